"""The large scale of a flat from the sky: chance judges its error, and NumPy what is divided by."""

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
    illuminated_flat,
    illumination_correct,
)
from astro_calib.characterize import illumination
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.steps import apply_steps, calibration_steps

SHAPE = (96, 112)
Y, X = (2 * axis / (length - 1) - 1 for axis, length in zip(np.mgrid[:96, :112], SHAPE, strict=True))
LIT = np.exp(0.05 * X - 0.08 * Y**2 + 0.03 * X * Y)
LIT /= LIT.mean()
CAMERA = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)


def frame(pixels, variance, name="read noise"):
    data = np.asarray(pixels, dtype=np.float32)
    variance = np.broadcast_to(np.float32(variance), SHAPE)
    budget = UncertaintyBudget(SHAPE, [(NoiseSource(name, np.array(variance)), 1.0)], np.float32, data)
    return CCDFrame(data, unit="electron", budget=budget)


def light(rng, electrons):
    return frame(rng.normal(electrons, np.sqrt(electrons)), electrons)


def sensitivity():
    return 1 + 0.02 * np.random.default_rng(9).standard_normal(SHAPE)


def made(rng, level=400.0, number=3, lamp=1e6, **options):
    flat = light(rng, lamp * sensitivity())
    skies = [light(rng, (level + 10 * place) * sensitivity() * LIT) for place in range(number)]
    return flat, illumination(skies, flat, degree=3, **options)


def test_it_is_what_the_sky_lights_more_and_its_error_is_that_of_chance():
    rng = np.random.default_rng(1)
    corrections = [made(rng)[1] for _ in range(25)]
    errors = np.array([one.pixels - LIT for one in corrections], dtype=float)
    predicted = np.mean([one.variance for one in corrections], axis=0)
    # Nine numbers in each of 25: 225 that are as large as their errors say.
    assert np.mean(errors**2 / predicted) == pytest.approx(1, abs=3 * np.sqrt(2 / 225))
    assert np.abs(errors.mean(axis=0) / np.sqrt(predicted / 25)).max() < 4
    assert np.mean(corrections[0].pixels) == pytest.approx(1, rel=1e-5)
    assert corrections[0].unit == u.dimensionless_unscaled


def test_stars_in_frames_of_the_night_sky_do_not_matter():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    skies = []
    for _ in range(5):
        pixels = 400 * LIT
        for column, row, flux in zip(*rng.uniform(3, 93, (2, 10)), rng.uniform(200, 5000, 10), strict=True):
            pixels = pixels + flux * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 1.5**2))
        skies.append(light(rng, pixels))
    correction = illumination(skies, degree=3)
    assert np.abs(correction.pixels / LIT - 1).max() < 5 * np.sqrt((correction.variance / LIT**2).max())


def test_large_scales_are_of_the_one_and_small_ones_of_the_other():
    rng = np.random.default_rng(3)
    flat, correction = made(rng)
    both = illuminated_flat(flat, correction)
    np.testing.assert_allclose(both.pixels, flat.pixels * correction.pixels, rtol=1e-6)
    raw = light(rng, 20000 * sensitivity() * LIT)
    one, two = flat_correct(raw, both), illumination_correct(flat_correct(raw, flat), correction)
    # They are normalised to another mean.
    factor = float(np.mean(one.pixels / two.pixels))
    np.testing.assert_allclose(one.pixels, factor * two.pixels, rtol=1e-5)
    np.testing.assert_allclose(one.variance, factor**2 * two.variance, rtol=5e-3)
    np.testing.assert_allclose(two.pixels.std() / two.pixels.mean(), 1 / np.sqrt(20000), rtol=0.1)


def test_a_frame_is_not_divided_by_its_illumination_again_with_the_flat():
    rng = np.random.default_rng(3)
    flat, correction = made(rng)
    divided = illumination_correct(light(rng, 20000 * sensitivity() * LIT), correction)
    with pytest.raises(FrameError, match=r"by the illumination that is in the flat .* already; give the flat without"):
        flat_correct(divided, illuminated_flat(flat, correction))
    assert flat_correct(divided, flat).shape == SHAPE


def test_it_does_not_average_down():
    rng = np.random.default_rng(4)
    _, correction = made(rng, level=100.0)
    frames = [illumination_correct(light(rng, 20000 * LIT), correction) for _ in range(4)]
    stack = combine(frames)
    parts = [one.budget.variances()["illumination"] for one in (frames[0], stack)]
    np.testing.assert_allclose(parts[1], parts[0], rtol=0.07)
    # The frames have shot noise of 0.7%.
    np.testing.assert_allclose(covariance(*frames[:2]), parts[0], rtol=0.07)
    # One mean of all pixels has no error from it, by which it is normalised; half of the frame has.
    half = np.where(Y > 0, 1.0, 0.0)
    assert stack.budget.variances_of_sum(half)["illumination"] > 0.1 * parts[1].mean() * half.sum() ** 2 / 9
    assert stack.budget.variances_of_sum(np.ones(SHAPE))["illumination"] < 1e-3 * parts[1].mean() * half.size**2


@pytest.mark.parametrize("stated", ["illumination", "flat"])
def test_calibrate_does_the_same_in_one_pass(stated):
    rng = np.random.default_rng(5)
    flat, correction = made(rng)
    raw = CCDFrame(rng.poisson(500 + 5000 * LIT).astype(np.uint16), unit="adu")
    options = {"flat": flat, "illumination": correction}
    if stated == "flat":
        options = {"flat": illuminated_flat(flat, correction)}
    steps = calibration_steps(CAMERA, pedestal=500, **options)
    together, apart = (apply_steps(raw, steps, fused=fused) for fused in (True, False))
    np.testing.assert_allclose(together.pixels, apart.pixels, rtol=1e-5)
    np.testing.assert_allclose(together.variance, apart.variance, rtol=1e-4)
    np.testing.assert_allclose(calibrate(raw, CAMERA, pedestal=500, **options).variance, apart.variance, rtol=1e-4)
    assert "illumination" in together.budget.names


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_files_hold_few_numbers_of_it(tmp_path, suffix):
    rng = np.random.default_rng(6)
    flat, correction = made(rng)
    for name, one in (("flat", flat), ("correction", correction)):
        one.write(tmp_path / f"{name}.{suffix}")
    read = [CCDFrame.read(tmp_path / f"{name}.{suffix}") for name in ("flat", "correction")]
    np.testing.assert_allclose(read[1].variance, correction.variance, rtol=1e-5)
    raws = [light(rng, 20000 * LIT) for _ in range(2)]
    plain = flat_correct(raws[0], read[0])
    one, other = (illumination_correct(flat_correct(raw, read[0]), read[1]) for raw in raws)
    for name, image in (("plain", plain), ("one", one)):
        image.write(tmp_path / f"{name}.{suffix}")
    again = CCDFrame.read(tmp_path / f"one.{suffix}")
    np.testing.assert_allclose(covariance(again, other), covariance(one, other), rtol=1e-4)
    np.testing.assert_allclose(again.variance, one.variance, rtol=1e-5)
    weights = np.where(X > 0.2, 1.0, 0.0)
    assert again.budget.variance_of_sum(weights) == pytest.approx(one.budget.variance_of_sum(weights), rel=1e-4)
    sizes = [(tmp_path / f"{name}.{suffix}").stat().st_size for name in ("one", "plain")]
    assert sizes[0] - sizes[1] < SHAPE[0] * SHAPE[1]
    with pytest.raises(FrameError, match="this master illumination"):
        illumination_correct(again, read[1])


def test_what_makes_no_sense_is_refused():
    rng = np.random.default_rng(7)
    flat, correction = made(rng)
    raw = light(rng, 1000 * LIT)
    with pytest.raises(FrameError, match="one without a unit"):
        illumination_correct(raw, flat)
    with pytest.raises(FrameError, match="one without a unit"):
        illuminated_flat(flat, raw)
    with pytest.raises(ShapeMismatchError, match="the illumination"):
        illuminated_flat(flat[:50], correction)
    with pytest.raises(ValueError, match="degree is 0"):
        illumination([raw], degree=0)
    with pytest.raises(FrameError, match="there must be light"):
        illumination([frame(rng.normal(-5, 1, SHAPE), 1.0)])


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_where_there_is_no_light_nothing_is_divided_by(value):
    rng = np.random.default_rng(8)
    raw, flat = light(rng, 1000 * LIT), light(rng, 1e6 * sensitivity())
    dark = LIT.copy()
    dark[3, 4] = value
    for step in (illumination_correct, illuminated_flat):
        with pytest.raises(FrameError, match="expected light in all of them"):
            step(raw if step is illumination_correct else flat, CCDFrame(dark, unit=""))


@pytest.mark.parametrize("suffix", ["memory", "fits", "asdf"])
def test_an_illuminated_flat_has_the_illumination_in_it(suffix, tmp_path):
    rng = np.random.default_rng(9)
    flat, correction = made(rng)
    both, raw = illuminated_flat(flat, correction), light(rng, 1000 * sensitivity() * LIT)
    image = flat_correct(raw, both)
    if suffix != "memory":
        image.write(tmp_path / f"image.{suffix}")
        image = CCDFrame.read(tmp_path / f"image.{suffix}")
    with pytest.raises(FrameError, match=r"was divided by this master illumination .* write frame / master"):
        illumination_correct(image, correction)
    with pytest.raises(FrameError, match="this master illumination"):
        calibrate(CCDFrame(np.full(SHAPE, 900.0), unit="adu"), CAMERA, pedestal=0, flat=both, illumination=correction)


@pytest.mark.parametrize(("options", "says"), [({"degree": 9}, "expected 1 to 8"), ({"block": 3}, "at least 4 pixels")])
def test_the_surface_is_one_that_can_be_fitted(options, says):
    with pytest.raises(ValueError, match=says):
        illumination([light(np.random.default_rng(10), 1000 * LIT)], **options)
