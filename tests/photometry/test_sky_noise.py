"""Predicted against observed noise of the sky, on frames whose noise is known."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, Detector, NoiseSource, UncertaintyBudget, calibrate
from astro_calib.errors import FrameError
from astro_calib.night import measure_sky_noise
from astro_calib.photometry.sky_noise import object_mask, sky_noise

READ_NOISE = 9.0


def sky_frame(seed, stars=0, shape=(512, 512), gradient=0.1):
    """Poisson sky with a gradient and Gaussian stars of sigma 2 pixels, plus read noise; and its expected signal."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    signal = 300 + gradient * columns
    for _ in range(stars):
        x, y, flux = rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), 10 ** rng.uniform(2.5, 5)
        signal = signal + flux / (8 * np.pi) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    return rng.poisson(signal) + rng.normal(0, READ_NOISE, shape), signal


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.3])
def test_ratio_is_that_of_true_and_predicted_sigma(scale):
    # 256 blocks of 1024 pixels: the median of their MADs has a standard error of 0.2%.
    data, signal = sky_frame(1)
    noise = sky_noise(data, (signal + READ_NOISE**2) / scale**2)
    assert noise.ratio == pytest.approx(scale, rel=0.01)
    assert noise.observed == pytest.approx(np.sqrt(np.median(signal) + READ_NOISE**2), rel=0.01)
    assert noise.level == pytest.approx(np.median(signal), rel=0.01)


def test_a_gradient_of_many_sigma_over_the_frame_does_not_count():
    data, signal = sky_frame(2, gradient=1.0)
    assert np.ptp(signal) > 20 * np.sqrt(np.median(signal))
    # Within a block of 32 pixels a slope of 1 electron a pixel adds 32^2/12 = 85 to a variance of 640.
    assert sky_noise(data, signal + READ_NOISE**2).ratio == pytest.approx(np.sqrt(1 + 85 / 640), abs=0.02)


def test_stars_are_masked_and_the_noise_between_them_is_right():
    data, signal = sky_frame(3, stars=120)
    variance = np.maximum(data + READ_NOISE**2, READ_NOISE**2 / 4)
    mask = object_mask(data, variance)
    background = 300 + 0.1 * np.indices(data.shape)[1]
    # What is left, of stars too faint to be found, adds 1% to the variance of 400.
    assert np.mean(np.square((signal - background)[~mask])) < 4
    assert 0.02 < mask.mean() < 0.5
    assert sky_noise(data, variance, mask).ratio == pytest.approx(1.0, abs=0.01)


def test_masked_and_infinite_pixels_do_not_count():
    data, signal = sky_frame(4)
    variance = signal + READ_NOISE**2
    expected = sky_noise(data, variance)
    bad = np.zeros(data.shape, dtype=bool)
    bad[::7] = True
    broken = np.where(bad, 1e6, data)
    broken[::7, ::2] = np.nan
    assert sky_noise(broken, variance, bad).ratio == pytest.approx(expected.ratio, rel=0.01)


def test_nothing_to_measure():
    empty = np.full((64, 64), np.nan)
    assert np.isnan(sky_noise(empty, empty).ratio)
    assert not object_mask(empty, empty).any()
    few = np.ones((64, 64), dtype=bool)
    few[:4] = False
    noise = sky_noise(np.ones((64, 64)), np.ones((64, 64)), few)
    assert noise.level == 1
    assert np.isnan(noise.ratio)
    # A frame smaller than one block has no full block.
    assert np.isnan(sky_noise(np.ones((20, 20)), np.ones((20, 20))).ratio)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="expected the same shape for all"):
        sky_noise(np.ones((64, 64)), np.ones((64, 63)))


def test_sources_common_to_many_pixels_do_not_count():
    rng = np.random.default_rng(5)
    data = rng.normal(500.0, 10.0, (256, 256)).astype(np.float32)
    pixels = NoiseSource("read noise", np.full(data.shape, 100.0, np.float32))
    level, rows = NoiseSource("overscan", 400.0, axes=()), NoiseSource("overscan", 25.0, axes=(0,))
    budget = UncertaintyBudget(data.shape, [(pixels, 1.0), (level, 1.0), (rows, 1.0)], np.float32, data)
    frame = CCDFrame(data, unit="electron", budget=budget)
    assert float(frame.variance[0, 0]) == 525
    noise = measure_sky_noise(frame)
    assert noise.predicted == pytest.approx(10.0)
    assert noise.ratio == pytest.approx(1.0, abs=0.02)


def test_frame_without_variance():
    with pytest.raises(FrameError, match="has no variance to compare with"):
        measure_sky_noise(CCDFrame(np.ones((64, 64)), unit="electron"))


# ---- digitised values: with sigma in steps, what is seen has the variance sigma**2 + 1/12 on average over the levels


@pytest.mark.parametrize("place", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("sigma", [0.3, 0.4, 0.5, 0.7, 1.0, 1.9, 3.0, 10.0])
@pytest.mark.parametrize("step", [1, 16])
def test_the_noise_of_whole_numbers(step, sigma, place):
    rng = np.random.default_rng(11)
    data = step * np.rint(rng.normal(500 + place, sigma, (320, 320)))
    noise = sky_noise(data, np.full(data.shape, step**2 * (sigma**2 + 1 / 12)))
    # 100 blocks of 1024 pixels: 0.3%.
    assert noise.ratio == pytest.approx(1.0, abs=0.015)
    assert (noise.blocks, noise.all_blocks, noise.why) == (100, 100, "")


@pytest.mark.parametrize("scale", [0.8, 1.25])
@pytest.mark.parametrize("sigma", [0.7, 1.0, 3.0])
def test_a_wrong_prediction_is_seen_in_whole_numbers_too(sigma, scale):
    data = np.rint(np.random.default_rng(12).normal(500.3, sigma, (320, 320)))
    assert sky_noise(data, np.full(data.shape, (sigma**2 + 1 / 12) / scale**2)).ratio == pytest.approx(scale, rel=0.03)


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.5])
def test_noise_far_below_a_step_cannot_be_told(sigma, place):
    data = 16 * np.rint(np.random.default_rng(13).normal(500 + place, sigma, (320, 320)))
    noise = sky_noise(data, np.full(data.shape, 256 * (sigma**2 + 1 / 12)), step=16.0)
    assert np.isnan(noise.ratio)
    assert np.isnan(noise.observed)
    assert "too little to be seen" in noise.why or "all alike" in noise.why


def night_frame(sigma, *, step=16, of_flat=0.0, of_bias=0.0, read_noise=0.3, seed=1):
    """A calibrated frame of so much noise in digital steps, from a raw one made by plain NumPy."""
    rng = np.random.default_rng(seed)
    gain, shape = 1.5, (320, 320)
    noise = sigma * step * gain
    read_noise, sky = np.sqrt(read_noise) * noise, (1 - read_noise) * noise**2
    flat, bias = 1 + of_flat * rng.standard_normal(shape), of_bias * step * rng.standard_normal(shape)
    level = 1000 + rng.uniform(0, step) + bias
    electrons = rng.poisson(sky * flat) + rng.normal(0, read_noise, shape)
    raw = (step * np.rint((level + electrons / gain) / step)).astype(np.uint16)
    camera = Detector(gain=gain * u.electron / u.adu, read_noise=read_noise * u.electron)
    master = CCDFrame((gain * level).astype(np.float32), unit="electron", uncertainty=np.full(shape, 0.01))
    lamp = CCDFrame(flat.astype(np.float32), unit="electron", uncertainty=np.full(shape, 1e-4))
    return calibrate(CCDFrame(raw, unit="adu"), camera, bias=master, flat=lamp)


@pytest.mark.parametrize("sigma", [0.4, 0.5, 0.7, 1.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize(("of_flat", "of_bias"), [(0.0, 0.0), (0.002, 0.1), (0.01, 2.0)])
def test_the_noise_of_calibrated_frames_that_came_in_steps(of_flat, of_bias, sigma):
    # Whatever the places in their steps: all alike, nearly so, and all different.
    noise = measure_sky_noise(night_frame(sigma, of_flat=of_flat, of_bias=of_bias))
    assert noise.ratio == pytest.approx(1.0, abs=0.02)
    assert noise.blocks > 80


def test_a_calibrated_frame_whose_noise_is_far_below_a_step():
    noise = measure_sky_noise(night_frame(0.15))
    assert np.isnan(noise.ratio)
    assert noise.why


# ---- how much it is from


@pytest.mark.parametrize(("free", "told"), [(0, False), (1, False), (3, False), (7, False), (8, True), (40, True)])
def test_nothing_is_concluded_from_a_few_blocks(free, told):
    data = np.random.default_rng(14).normal(100.0, 10.0, (320, 960))
    mask = np.ones(data.shape, dtype=bool)
    for block in range(free):
        row, column = divmod(block, 30)
        mask[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = False
    noise = sky_noise(data, np.full(data.shape, 100.0), mask)
    assert bool(np.isfinite(noise.ratio)) is told
    assert (noise.blocks, noise.all_blocks) == (free, 300 if free else 0)
    assert told == (not noise.why)
    if 0 < free < 8:
        assert f"only {free} of 300 blocks" in noise.why
