"""The step of the digitiser, found in the pixels, and what it does to error bars."""

from __future__ import annotations

import warnings
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from astro_calib import (
    Amplifier,
    CCDFrame,
    Detector,
    calibrate,
    combine,
    create_deviation,
    gain_correct,
    reduce_night,
    simulate,
    trim_image,
)
from astro_calib.errors import NoiseWarning
from astro_calib.noise.digital_step import digital_step, neighbours
from tests.noise_checks import assert_scatters_as_predicted

SHAPE = (120, 160)
E_PER_ADU = u.electron / u.adu


def digitised(seed, step=16, sigma=5.0, level=8003.3, shape=SHAPE, offset=0):
    """Gaussian noise about a level, in steps."""
    values = np.random.default_rng(seed).normal(level, sigma, shape)
    return (step * np.rint((values - offset) / step) + offset).astype(np.uint16)


def found(pixels):
    return digital_step(neighbours(pixels))


def read_noise_variance(frame, camera):
    return create_deviation(frame, camera, pedestal=0, shot_noise=0).budget.variances()["read noise"]


# ---- the step is found


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 10, 16, 64, 257])
def test_the_step_of_whole_numbers(step, sigma):
    pixels = digitised(step, step, sigma * step, 30000.0, offset=3 % step)
    assert found(pixels) == step
    assert found(pixels.astype(np.int32)) == step


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [1, 0.5, 0.1, 1.8, 2.34, 1 / 16, 16])
def test_the_step_of_numbers_that_were_whole_once(factor, dtype):
    pixels = digitised(1, 1, 4.0, 1000.0).astype(dtype) * dtype(factor)
    assert found(pixels) == pytest.approx(factor, rel=1e-4)


def with_saturated(pixels, rng):
    pixels[rng.random(pixels.shape) < 0.03] = 65535
    return pixels


def with_a_saturated_half(pixels, _):
    pixels[: len(pixels) // 2] = 65535
    return pixels


def with_clipped(pixels, _):
    return np.clip(pixels, 7990, 65535).astype(np.uint16)


def with_clipped_on_both_sides(pixels, _):
    return np.clip(pixels, 7970, 8045).astype(np.uint16)


def with_odd_pixels(pixels, rng):
    odd = rng.random(pixels.shape) < 0.02
    return np.where(odd, rng.integers(7900, 8100, pixels.shape), pixels).astype(np.uint16)


def with_hits(pixels, rng):
    hit = rng.random(pixels.shape) < 0.02
    return np.where(hit, rng.integers(0, 65536, pixels.shape), pixels).astype(np.uint16)


def with_offsets_of_rows(pixels, rng):
    return pixels + rng.integers(0, 16, (len(pixels), 1)).astype(np.uint16)


def with_amplifiers_of_different_offsets(pixels, _):
    pixels[:, pixels.shape[1] // 2 :] += 7
    return pixels


def with_a_gradient(pixels, _):
    return pixels + (16 * (np.arange(pixels.shape[1]) // 3)).astype(np.uint16)


@pytest.mark.parametrize(
    "spoil",
    [
        with_saturated,
        with_a_saturated_half,
        with_clipped,
        with_clipped_on_both_sides,
        with_odd_pixels,
        with_hits,
        with_offsets_of_rows,
        with_amplifiers_of_different_offsets,
        with_a_gradient,
    ],
)
def test_pixels_that_do_not_lie_on_a_step_do_not_hide_it(spoil):
    assert found(spoil(digitised(2, sigma=14.0), np.random.default_rng(3))) == 16


def test_twelve_bits_stretched_to_sixteen_come_in_steps_of_about_16():
    assert found(np.rint(digitised(4, 1, 2.0, 500.0) * (65535 / 4095)).astype(np.uint16)) == 16


@pytest.mark.parametrize(
    "pixels",
    [
        np.full(SHAPE, 1000, np.uint16),
        np.array([[1000, 1016]], np.uint16),
        digitised(5, shape=(4, 5)),
        np.tile(np.array([1000, 1016], np.uint16), (50, 50)),
        np.arange(10000, dtype=np.uint16).reshape(100, 100) * 2,
        np.where(np.arange(2500).reshape(50, 50) == 700, 9000, 1000).astype(np.uint16),
        np.kron(np.array([[1000, 2000], [3000, 2000]], np.uint16), np.ones((20, 20), np.uint16)),
    ],
    ids=["constant", "two pixels", "20 pixels", "two columns", "ramp", "one hot pixel", "patches"],
)
def test_little_variety_is_no_evidence(pixels):
    assert found(pixels) is None
    assert read_noise_variance(CCDFrame(pixels, unit="adu"), camera(1.0, 3.0)) == pytest.approx(9 + 1 / 12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [0.0, 1000.0, 60000.0])
def test_numbers_that_were_never_digitised_have_no_step(level, dtype):
    assert found(np.random.default_rng(6).normal(level, 5.0, SHAPE).astype(dtype)) is None


def test_three_values_of_noise_are_a_step_and_not_one_adu():
    pixels = digitised(7, 16, 5.0, 8000.0)
    assert set(np.unique(pixels)) == {7984, 8000, 8016}
    assert found(pixels) == 16


def test_averages_do_not_have_the_step_of_their_frames():
    frames = [digitised(seed, 1, 5.0, 1000.0).astype(float) for seed in range(10)]
    assert found(np.mean(frames, axis=0)) == pytest.approx(0.1)
    assert found(np.random.default_rng(8).normal(0, 0.01, SHAPE) + np.mean(frames, axis=0)) is None


# ---- and it is in the noise


def camera(gain, read_noise, **kwargs):
    return Detector(gain=gain * E_PER_ADU, read_noise=read_noise * u.electron, **kwargs)


@pytest.mark.parametrize("step", [4, 16])
@pytest.mark.parametrize("kind", ["uint16", "int32", "float32", ">i2", ">f4"])
def test_the_step_is_in_the_variance(kind, step):
    pixels = digitised(9, step, 0.8 * step).astype(kind)
    expected = 9 + (1.5 * step) ** 2 / 12
    frame = create_deviation(
        gain_correct(CCDFrame(pixels, unit="adu"), camera(1.5, 3.0)), camera(1.5, 3.0), shot_noise=0
    )
    np.testing.assert_allclose(frame.variance, expected, rtol=1e-5)
    np.testing.assert_allclose(
        calibrate(CCDFrame(pixels, unit="adu"), camera(1.5, 3.0), shot_noise=0).variance, expected, rtol=1e-5
    )


def columns_of(value):
    return np.linspace(1, 2, SHAPE[1]) * value


MULTIPLIED = {
    "half": (lambda frame: frame.multiply(0.5), 0.5),
    "minus 1.8": (lambda frame: frame.multiply(-1.8), 1.8),
    "divided by 10": (lambda frame: frame.divide(10.0), 0.1),
    "twice": (lambda frame: frame.multiply(0.5).subtract(7.7 * u.adu).multiply(3.0), 1.5),
    "a map": (lambda frame: frame.multiply(np.broadcast_to(columns_of(2.0), SHAPE)), columns_of(2.0)),
    "divided by a map": (lambda frame: frame.divide(np.broadcast_to(columns_of(2.0), SHAPE)), 1 / columns_of(2.0)),
    "in NumPy": (lambda frame: CCDFrame(np.float32(1.8) * frame.data.astype(np.float32), unit="adu"), 1.8),
}


@pytest.mark.parametrize("step", [1, 16])
@pytest.mark.parametrize("how", MULTIPLIED)
def test_frames_that_were_multiplied_keep_their_step(how, step):
    multiply, factor = MULTIPLIED[how]
    frame = multiply(CCDFrame(digitised(10, step, 2.0 * step), unit="adu"))
    expected = 9 + (step * factor) ** 2 / 12
    np.testing.assert_allclose(
        read_noise_variance(frame, camera(1.0, 3.0)), np.broadcast_to(expected, SHAPE), rtol=1e-4
    )
    np.testing.assert_allclose(
        calibrate(frame, camera(1.0, 3.0), shot_noise=0).variance, np.broadcast_to(expected, SHAPE), rtol=1e-4
    )


def test_the_map_of_a_frame_that_is_cut_is_cut_too():
    frame = CCDFrame(digitised(11), unit="adu").multiply(np.broadcast_to(columns_of(2.0), SHAPE))
    variance = read_noise_variance(trim_image(frame, "[41:80,11:60]"), camera(1.0, 3.0))
    np.testing.assert_allclose(
        variance, np.broadcast_to(9 + (16 * columns_of(2.0)[40:80]) ** 2 / 12, (50, 40)), rtol=1e-5
    )


AMPLIFIERS = Detector(
    amplifiers=[
        Amplifier(gain=1 * E_PER_ADU, read_noise=3 * u.electron, data_section="[1:60,1:120]"),
        Amplifier(gain=2 * E_PER_ADU, read_noise=5 * u.electron, data_section="[61:120,1:120]"),
    ]
)


@pytest.mark.parametrize("factor", [1.0, 0.5])
@pytest.mark.parametrize("steps", [(16, 16), (16, 4), (1, 64)])
def test_each_amplifier_has_a_step_of_its_own(steps, factor):
    parts = [digitised(seed, step, 1.5 * step, shape=(120, 60)) for seed, step in enumerate(steps)]
    overscan = digitised(2, steps[1], 1.5 * steps[1], shape=(120, 40))
    raw = CCDFrame(np.concatenate([*parts, overscan], axis=1), unit="adu").multiply(factor)
    left, right = (
        noise**2 + (gain * factor * step) ** 2 / 12 for noise, gain, step in zip((3, 5), (1, 2), steps, strict=True)
    )
    frame = trim_image(raw, "[51:70,11:100]")
    expected = np.broadcast_to([left] * 10 + [right] * 10, (90, 20))
    in_electrons = create_deviation(gain_correct(frame, AMPLIFIERS), AMPLIFIERS, shot_noise=0)
    in_adu = gain_correct(create_deviation(frame, AMPLIFIERS, pedestal=0, shot_noise=0), AMPLIFIERS)
    at_once = calibrate(raw, AMPLIFIERS, trim="[51:70,11:100]", shot_noise=0)
    for result in (in_electrons, in_adu, at_once):
        np.testing.assert_allclose(result.variance, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["raw.fits", "raw.asdf"])
def test_a_frame_in_electrons_that_was_written_and_read_has_its_steps(tmp_path, name):
    raw = CCDFrame(digitised(12)[:, :120], unit="adu")
    in_electrons = gain_correct(raw, AMPLIFIERS)
    in_electrons.write(tmp_path / name)
    read = create_deviation(CCDFrame.read(tmp_path / name), AMPLIFIERS, shot_noise=0)
    expected = np.broadcast_to([9 + 16**2 / 12] * 60 + [25 + 32**2 / 12] * 60, (120, 120))
    np.testing.assert_allclose(read.variance, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["image.fits", "image.asdf"])
@pytest.mark.parametrize(
    ("then", "factor"),
    [
        (lambda image: image, 1.0),
        (lambda image: image.multiply(-0.5), 0.5),
        (lambda image: 4 * image, 4.0),
        (lambda image: image / 10 - 3 * u.electron, 0.1),
        (lambda image: image[10:90, 20:], 1.0),
    ],
    ids=["as it is", "minus half", "4 times", "a tenth", "a part"],
)
def test_a_frame_that_was_divided_by_a_flat_has_its_step_when_it_is_read_back(tmp_path, name, then, factor):
    raw = CCDFrame(digitised(16), unit="adu")
    flat = CCDFrame(np.random.default_rng(17).normal(1.0, 0.1, SHAPE), unit="electron")
    image = calibrate(raw, camera(1.5, 3.0), pedestal=8000, flat=flat)
    image = then(image)
    image.write(tmp_path / name)
    step = CCDFrame.read(tmp_path / name).digital_step
    # The values themselves come in no steps any more.
    assert found(image.data) is None
    assert step == image.digital_step == pytest.approx(16 * 1.5 * factor, rel=1e-5)


def test_numbers_that_the_header_scales_have_the_step_of_bscale(tmp_path):
    hdu = fits.PrimaryHDU(digitised(13, 1, 3.0, 1000.0) * 0.25 + 100.0)
    hdu.scale("int16", bscale=0.25, bzero=100.0)
    hdu.writeto(tmp_path / "scaled.fits")
    frame = CCDFrame.read(tmp_path / "scaled.fits", unit="adu")
    np.testing.assert_allclose(read_noise_variance(frame, camera(1.0, 3.0)), 9 + 0.25**2 / 12, rtol=1e-5)


def test_a_stack_with_a_detector_has_the_steps_of_its_frames(tmp_path):
    frames = [CCDFrame(digitised(seed, sigma=12.0), unit="adu") for seed in range(4)]
    for number, frame in enumerate(frames):
        frame.write(tmp_path / f"{number}.fits")
    expected = (9 + (1.5 * 16) ** 2 / 12) / 1.5**2 / 4
    options = {"pedestal": 0, "shot_noise": 0}
    for given in (frames, sorted(tmp_path.glob("*.fits"))):
        stack = combine(given, detector=camera(1.5, 3.0), method="mean", clip=None, **options)
        np.testing.assert_allclose(stack.variance, expected, rtol=1e-5)


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_median_of_steps_that_are_wider_than_the_noise_warns(tmp_path, on_disk):
    frames = [CCDFrame(digitised(seed, sigma=8.0), unit="adu") for seed in range(5)]
    for number, frame in enumerate(frames):
        fits.writeto(tmp_path / f"{number}.fits", frame.data, fits.Header({"BUNIT": "adu"}))
    given = sorted(tmp_path.glob("*.fits")) if on_disk else frames
    with pytest.warns(NoiseWarning, match="digital units, so that the median of whole numbers"):
        combine(given, method="median")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        combine([CCDFrame(digitised(seed, 1, 8.0), unit="adu") for seed in range(5)], method="median")


@pytest.mark.parametrize(("step", "gain", "read_noise"), [(16, 0.1, 1.0), (16, 1.5, 12.0), (4, 1.0, 1.5)])
def test_frames_in_steps_scatter_as_predicted(step, gain, read_noise):
    rng = np.random.default_rng(15)
    # Light that goes through many steps: what rounding does to one level is not what it does on average.
    light = np.linspace(50, 50 + 40 * step * gain, 300)
    electrons = rng.poisson(light, (300, 300)) + rng.normal(0, read_noise, (300, 300))
    pixels = (step * np.rint((1000 + electrons / gain) / step)).astype(np.uint16)
    frame = calibrate(CCDFrame(pixels, unit="adu"), camera(gain, read_noise), pedestal=1000)
    assert_scatters_as_predicted(frame.data - light, frame.variance)


@pytest.fixture(scope="module")
def coarse_night(tmp_path_factory):
    out = tmp_path_factory.mktemp("coarse")
    detector = camera(0.5, 6.0, saturation=65520 * u.adu)
    fine = simulate.camera((128, 160), seed=3, filters=["V"], detector=detector)
    simulate.night(out / "raw", seed=4, camera=replace(fine, digital_step=16), science=1)
    return reduce_night(out / "raw", out / "reduced", pictures=False, progress=False)


def test_a_night_in_steps_of_16_has_the_right_error_bars(coarse_night):
    (frame,) = coarse_night.frames
    # 20 blocks of 1024 pixels, and the sky's shot noise is large.
    assert frame.sky.ratio == pytest.approx(1.0, abs=0.03)
    assert f"{frame.sky.blocks} of {frame.sky.all_blocks}" in str(coarse_night)


def test_the_step_of_a_night_is_in_what_its_frames_say_of_their_noise(coarse_night):
    image = CCDFrame.read(coarse_night.frames[0].path)
    ny, nx = image.shape
    variance = image.budget.variances()["read noise"]
    flat_squared = variance / (36 + (16 * 0.5) ** 2 / 12)
    # Divided by the flat, which is 1 on average.
    assert np.median(flat_squared[ny // 4 : -ny // 4, nx // 4 : -nx // 4]) == pytest.approx(1.0, abs=0.06)


def test_twelve_bits_in_sixteen_have_1_7_electrons_where_1_5_were_predicted():
    # Read noise 1.5 e, 0.176 e/adu, steps of 16 adu: sqrt(1.5**2 + (16 * 0.176)**2 / 12).
    rng = np.random.default_rng(14)
    truth = np.linspace(1000, 1400, SHAPE[1])
    pixels = (16 * np.rint((truth + rng.normal(0, 1.5 / 0.176, SHAPE)) / 16)).astype(np.uint16)
    frame = create_deviation(CCDFrame(pixels, unit="adu"), camera(0.176, 1.5), pedestal=0, shot_noise=0)
    seen = float(np.std(pixels - truth)) * 0.176
    assert seen == pytest.approx(1.70, abs=0.02)
    assert float(np.sqrt(frame.variance[0, 0])) * 0.176 == pytest.approx(seen, rel=0.015)
