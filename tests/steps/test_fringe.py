"""Fringes that are subtracted as strong as they are in a frame: chance judges amplitude and error."""

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
    subtract_fringe,
)
from astro_calib.characterize import fringe_map
from astro_calib.errors import FrameError, NoiseWarning
from astro_calib.steps import apply_steps, calibration_steps

SHAPE = (96, 112)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
PATTERN = np.sin(X / 4 + Y / 9) + 0.5 * np.sin(Y / 5)
NOISE, PATTERN_NOISE = 8.0, 0.3
GAIN = u.electron / u.adu
CAMERA = Detector(gain=2 * GAIN, gain_uncertainty=0.02 * GAIN, read_noise=5 * u.electron)


def frame(data, sigma, name="read noise"):
    data = np.asarray(data, dtype=np.float32)
    budget = UncertaintyBudget(SHAPE, [(NoiseSource(name, sigma**2), 1.0)], np.float32, data)
    return CCDFrame(data, unit="electron", budget=budget)


def pattern(rng, sigma=PATTERN_NOISE):
    return frame(PATTERN + rng.normal(0, sigma, SHAPE), sigma)


def science(rng, amplitude, light=0.0):
    return frame(300 + 0.2 * X + light + amplitude * PATTERN + rng.normal(0, NOISE, SHAPE), NOISE)


def amplitude_of(image, raw, master):
    """What was subtracted, and the standard error that the budget gives it."""
    found = np.vdot(raw.pixels - image.pixels, master.pixels) / np.vdot(master.pixels, master.pixels)
    source = next(source for source, _ in image.budget.terms if source.name == "fringe" and not source.axes)
    return float(found), float(np.sqrt(source.variance.number))


def test_the_amplitude_is_right_although_the_map_is_noisy():
    rng = np.random.default_rng(1)
    light = 2000 * np.exp(-((X - 30) ** 2 + (Y - 50) ** 2) / 8) + 400 * np.exp(-((X - 80) ** 2 + (Y - 20) ** 2) / 8)
    found = []
    for _ in range(60):
        master, raw = pattern(rng), science(rng, 12.0, light)
        found.append(amplitude_of(subtract_fringe(raw, master), raw, master))
    values, sigmas = np.transpose(found)
    # Without the noise of the map taken off, it would be low by 0.09 of 12 wherever fringes are as weak as here.
    assert values.mean() == pytest.approx(12, abs=3.5 * values.std() / np.sqrt(60))
    assert values.std() == pytest.approx(np.sqrt(np.mean(sigmas**2)), rel=0.28)


def test_a_frame_that_the_map_was_made_of_is_not_subtracted_from_itself():
    rng = np.random.default_rng(2)
    errors = []
    for _ in range(12):
        frames = [frame(300 + 12 * PATTERN + rng.normal(0, NOISE, SHAPE), NOISE) for _ in range(3)]
        master = combine([one.subtract(300 * u.electron) for one in frames]).multiply(1 / 12)
        image = subtract_fringe(frames[0], master)
        errors.append(amplitude_of(image, frames[0], master)[0] - 12)
    # The noise of a third of the map is that of the frame: 12 x 64 / 3 / 12 in the sum over pixels of variance 0.6.
    assert np.mean(errors) == pytest.approx(0, abs=4 * np.std(errors) / np.sqrt(12))
    assert abs(np.mean(errors)) < 0.3


def test_the_noise_of_the_map_is_shared_and_that_of_the_amplitude_is_not():
    rng = np.random.default_rng(3)
    master = pattern(rng)
    one, other = (subtract_fringe(science(rng, strength), master) for strength in (10.0, 20.0))
    np.testing.assert_allclose(covariance(one, other), 200 * PATTERN_NOISE**2, rtol=0.1)
    parts = one.budget.variances()
    sigma = amplitude_of(one, one, master)[1]
    np.testing.assert_allclose(parts["fringe"], (sigma * master.pixels) ** 2 + 100 * PATTERN_NOISE**2, rtol=0.1)


def test_one_pass_gives_the_same_as_steps_one_by_one():
    rng = np.random.default_rng(4)
    raw = CCDFrame((500 + 150 + 6 * PATTERN + rng.normal(0, 5, SHAPE)).astype(np.uint16), unit="adu")
    master = pattern(rng)
    for stated in (None, 12.0):
        steps = calibration_steps(CAMERA, pedestal=500, fringe=master, fringe_amplitude=stated)
        together, apart = (apply_steps(raw, steps, fused=fused) for fused in (True, False))
        np.testing.assert_allclose(together.pixels, apart.pixels, atol=1e-3)
        np.testing.assert_allclose(together.variance, apart.variance, rtol=1e-4)
        np.testing.assert_allclose(covariance(together, apart), apart.variance, rtol=1e-4)
        by_hand = subtract_fringe(calibrate(raw, CAMERA, pedestal=500), master, stated)
        np.testing.assert_allclose(by_hand.variance, together.variance, rtol=1e-4)
    # What is fitted follows the gain as the frame does.
    fitted = calibrate(raw, CAMERA, pedestal=500, fringe=master)
    np.testing.assert_allclose(fitted.budget.variances()["gain"], (0.01 * fitted.pixels) ** 2, rtol=1e-3)


def test_a_stated_amplitude_has_the_error_that_is_stated():
    rng = np.random.default_rng(5)
    master, raw = frame(PATTERN, 1e-6), science(rng, 12.0)
    exact, known = subtract_fringe(raw, master, 12.0), subtract_fringe(raw, master, 12.0, 0.5)
    np.testing.assert_allclose(exact.pixels, raw.pixels - 12 * master.pixels, rtol=1e-5)
    np.testing.assert_allclose(known.variance - exact.variance, (0.5 * PATTERN) ** 2, atol=1e-3)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_files_refer_to_the_map(tmp_path, suffix):
    rng = np.random.default_rng(6)
    path = tmp_path / f"fringe.{suffix}"
    pattern(rng).write(path)
    master = CCDFrame.read(path)
    one, other = (subtract_fringe(science(rng, 10.0), master) for _ in range(2))
    one.write(tmp_path / f"one.{suffix}")
    science(rng, 10.0).write(tmp_path / f"before.{suffix}")
    read = CCDFrame.read(tmp_path / f"one.{suffix}")
    np.testing.assert_allclose(covariance(read, other), covariance(one, other), rtol=1e-5)
    assert read.budget.variance_of_sum(PATTERN) == pytest.approx(one.budget.variance_of_sum(PATTERN), rel=1e-5)
    more = (tmp_path / f"one.{suffix}").stat().st_size - (tmp_path / f"before.{suffix}").stat().st_size
    assert more < SHAPE[0] * SHAPE[1]
    with pytest.raises(FrameError, match="this master fringe"):
        subtract_fringe(read, master)


def test_a_map_of_dithered_frames_shows_the_fringes_and_no_stars():
    rng = np.random.default_rng(7)
    frames = []
    for level in np.linspace(300, 600, 8):
        light = np.zeros(SHAPE)
        for x, y, flux in zip(*rng.uniform(3, 93, (2, 10)), rng.uniform(200, 5000, 10), strict=True):
            light += flux * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * 1.5**2))
        sky = level * (1 + 0.1 * X / SHAPE[1] + 0.03 * PATTERN) + light
        frames.append(frame(sky + rng.normal(0, NOISE, SHAPE), NOISE))
    master = fringe_map(frames)
    # 3% of 450 electrons, at a sky that is 5% brighter in the middle; what is smooth in the fringes went with the sky.
    smooth = [(X / 100) ** i * (Y / 100) ** j for i in range(4) for j in range(4 - i)]
    design = np.stack([PATTERN, *smooth], axis=-1).reshape(-1, 11)
    numbers = np.linalg.lstsq(design, master.pixels.ravel(), rcond=None)[0]
    assert numbers[0] * 1.05 == pytest.approx(0.03 * 450 * 1.05, rel=0.02)
    left = (master.pixels - (design @ numbers).reshape(SHAPE)) / np.sqrt(master.variance)
    assert left.std() == pytest.approx(1, abs=0.06)
    assert np.abs(left).max() < 6
    image = subtract_fringe(science(rng, 30.0), master)
    # The smooth part of so few fringes, which the map lacks, looks a little like them within a block.
    assert np.linalg.lstsq(design, image.pixels.ravel(), rcond=None)[0][0] == pytest.approx(0, abs=1.5)
    assert image.budget.names == ("read noise", "fringe")


def test_what_cannot_be_fitted_is_said():
    rng = np.random.default_rng(8)
    with pytest.raises(FrameError, match="no stronger than its noise"):
        subtract_fringe(science(rng, 10.0), frame(rng.normal(0, 1, SHAPE), 1.2))
    with pytest.warns(NoiseWarning, match="hardly there"):
        subtract_fringe(science(rng, 0.0), pattern(rng))
    masked = science(rng, 10.0)
    masked.mask = np.ones(SHAPE, dtype=bool)
    with pytest.raises(FrameError, match="cannot be told"):
        subtract_fringe(masked, pattern(rng))
    with pytest.warns(NoiseWarning, match="4 frames"):
        fringe_map([science(rng, 10.0) for _ in range(4)])


def test_arguments_that_mean_nothing_are_refused():
    rng = np.random.default_rng(12)
    raw, master = science(rng, 10.0), pattern(rng)
    with pytest.raises(ValueError, match=r"uncertainty is 0\.5, and no amplitude"):
        subtract_fringe(raw, master, uncertainty=0.5)
    with pytest.raises(u.UnitConversionError, match=r"is in electron, but what is .* subtracted is in adu"):
        subtract_fringe(raw, CCDFrame(master.data, unit="adu"))
    with pytest.raises(ValueError, match="degree is 9; expected 0 to 8"):
        fringe_map([raw], degree=9)
    with pytest.raises(ValueError, match="block is 2; expected at least 4"):
        fringe_map([raw], block=2)
