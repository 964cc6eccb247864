"""A sky that is fitted to a frame and subtracted: chance and plain least squares judge its error."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import (
    CCDFrame,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
    covariance,
    flat_correct,
    subtract_sky,
)
from astro_calib.errors import FrameError, ShapeMismatchError

SHAPE = (96, 128)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
SKY = 300 + 0.4 * X - 0.2 * Y + 0.002 * (X - 60) * (Y - 50)
NOISE = 8.0


def stars(rng, number=12):
    light = np.zeros(SHAPE)
    for x, y, flux in zip(*rng.uniform(5, 90, (2, number)), rng.uniform(100, 5000, number), strict=True):
        light += flux * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * 1.5**2))
    return light


def frame(rng, light=0.0, overscan=0.0, gain=0.0):
    level = rng.normal(0, overscan) if overscan else 0.0
    data = ((SKY + light + rng.normal(0, NOISE, SHAPE) + level) * (1 + rng.normal(0, 1) * gain)).astype(np.float32)
    terms = [(NoiseSource("read noise", NOISE**2), 1.0)]
    if overscan:
        terms.append((NoiseSource("overscan", overscan**2, axes=()), 1.0))
    return CCDFrame(data, unit="electron", budget=UncertaintyBudget(SHAPE, terms, np.float32, data))


def least_squares(used, degree=2):
    """The variance of a fit of a polynomial to the used pixels, at all pixels, for noise of one."""
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    design = np.stack([(Y / 100) ** i * (X / 100) ** j for i, j in powers], axis=-1)
    inverse = np.linalg.inv(design[used].T @ design[used])
    return np.einsum("yxi,ij,yxj->yx", design, inverse, design)


def test_stars_do_not_matter_and_the_error_is_that_of_least_squares():
    rng = np.random.default_rng(1)
    light = stars(rng)
    image, empty = subtract_sky(frame(rng, light)), subtract_sky(frame(rng))
    left = image.pixels - light
    assert abs(left.mean()) < 5 * NOISE / np.sqrt(left.size)
    # 3% for outliers that are left out, and 1% for the pixels that are; stars take a tenth of the pixels or two.
    of_all = NOISE**2 * least_squares(np.ones(SHAPE, dtype=bool))
    np.testing.assert_allclose(empty.budget.variances()["sky"] / of_all, 1.035, rtol=0.05)
    assert 1.05 < (image.budget.variances()["sky"] / of_all).mean() < 1.4
    assert image.pixels.dtype == np.float32


@pytest.mark.long
def test_the_error_is_that_of_chance_for_one_frame_and_a_stack():
    rng = np.random.default_rng(2)
    objects = np.zeros(SHAPE, dtype=bool)
    boxes = [np.s_[y : y + 6, x : x + 6] for y in range(5, 90, 16) for x in range(5, 120, 16)]
    for box in boxes:
        objects[box] = True
    made, predicted = {"one": [], "stack": []}, {"one": [], "stack": []}
    for number in range(60):
        frames = [subtract_sky(frame(rng, overscan=3.0), objects=objects) for _ in range(3)]
        for name, image in (("one", frames[0]), ("stack", combine(frames))):
            made[name] += [float(image.pixels[box].sum(dtype=float)) for box in boxes]
            if number == 0:
                predicted[name] = [image[box].budget.variance_of_sum(np.ones((6, 6))) for box in boxes]
    for name, sums in made.items():
        # Some 2900 sums, of which a part is common to a frame.
        assert np.std(sums) / np.sqrt(np.mean(predicted[name])) == pytest.approx(1, abs=0.045)


def test_what_is_common_to_a_frame_is_gone_with_its_sky():
    rng = np.random.default_rng(3)
    image = subtract_sky(frame(rng, overscan=3.0))
    assert image.budget.names == ("read noise", "sky")


def test_the_gain_multiplies_what_is_left():
    detector = Detector(
        gain=2 * u.electron / u.adu, gain_uncertainty=0.02 * u.electron / u.adu, read_noise=5 * u.electron
    )
    rng = np.random.default_rng(4)
    raw = CCDFrame(np.round(SKY / 2 + rng.normal(0, 5, SHAPE) + 500).astype(np.uint16), unit="adu")
    image = calibrate(raw, detector, pedestal=500, sky=2)
    plain = calibrate(raw, detector, pedestal=500)
    # The error of a gain of 1% is 1% of the light that is there.
    np.testing.assert_allclose(image.budget.variances()["gain"], (0.01 * image.pixels) ** 2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(plain.budget.variances()["gain"], (0.01 * plain.pixels) ** 2, rtol=1e-4)
    both = subtract_sky(plain)
    np.testing.assert_array_equal(both.pixels, image.pixels)
    np.testing.assert_allclose(covariance(both, image), image.variance, rtol=1e-4)


def test_the_noise_of_a_flat_stays_that_of_all_the_light():
    rng = np.random.default_rng(5)
    flat = CCDFrame(
        rng.normal(1000, 20, SHAPE).astype(np.float32), unit="electron", uncertainty=np.full(SHAPE, 20, np.float32)
    )
    lit = frame(rng)
    before = flat_correct(lit, flat)
    image = subtract_sky(before)
    np.testing.assert_allclose(image.budget.variances()["flat"], before.budget.variances()["flat"], rtol=0.02)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_a_file_holds_a_few_numbers_more(tmp_path, suffix):
    rng = np.random.default_rng(6)
    before = frame(rng)
    image = subtract_sky(before)
    for name, one in (("before", before), ("image", image)):
        one.write(tmp_path / f"{name}.{suffix}")
    read = CCDFrame.read(tmp_path / f"image.{suffix}")
    np.testing.assert_allclose(read.budget.variances()["sky"], image.budget.variances()["sky"], rtol=1e-6)
    weights = X - 60.0
    assert read.budget.variance_of_sum(weights) == pytest.approx(image.budget.variance_of_sum(weights), rel=1e-6)
    assert (read - image).variance.max() < 1e-3
    size = (tmp_path / f"image.{suffix}").stat().st_size - (tmp_path / f"before.{suffix}").stat().st_size
    # Less than a plane of bytes: FITS has blocks of 2880.
    assert size < SHAPE[0] * SHAPE[1]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"degree": 9}, ValueError, "degree is 9"),
        ({"degree": -1}, ValueError, "degree"),
        ({"block": 2}, ValueError, "block is 2"),
        ({"block": 64}, FrameError, "4 blocks with enough good pixels; a surface of 6 numbers takes at least 12"),
        ({"objects": np.ones(SHAPE, dtype=bool)}, FrameError, "0 blocks"),
        ({"objects": np.zeros((5, 5), dtype=bool)}, ShapeMismatchError, r"\(5, 5\)"),
    ],
)
def test_what_makes_no_sense_is_refused(options, error, says):
    with pytest.raises(error, match=says):
        subtract_sky(frame(np.random.default_rng(7)), **options)


def test_a_frame_without_noise_is_refused():
    with pytest.raises(FrameError, match="no noise yet"):
        subtract_sky(CCDFrame(SKY, unit="electron", name="raw.fits"))


def test_a_sky_that_is_no_surface_has_a_larger_error():
    rng = np.random.default_rng(8)
    waves = 5 * np.sin(X / 12) * np.sin(Y / 12)
    image, flat = subtract_sky(frame(rng, waves)), subtract_sky(frame(rng))
    assert image.budget.variances()["sky"].mean() > 5 * flat.budget.variances()["sky"].mean()


def test_a_frame_of_one_row_shows_no_slope_along_columns():
    noise = np.random.default_rng(11).normal(100, 5, (1, 64))
    strip = CCDFrame(noise, unit="electron", uncertainty=np.full((1, 64), 5.0), name="strip.fits")
    with pytest.raises(FrameError, match=r"strip\.fits of shape \(1, 64\) has too few blocks along an axis"):
        subtract_sky(strip, degree=1, block=4)
