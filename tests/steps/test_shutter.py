"""A shutter that is slower for some pixels than for others: taken out, with the error of its map."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty

from astro_calib import CCDFrame, Detector, calibrate, combine, covariance, flat_correct, shutter_correct
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.steps import apply_steps, calibration_steps
from tests.noise_checks import assert_scatters_as_predicted

CAMERA = Detector(gain=2 * u.electron / u.adu, read_noise=8 * u.electron)
SHAPE = (40, 48)
#: By how much the exposure is longer, seconds.
DELAY = 0.03 - 0.05 * np.hypot(*np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 48), indexing="ij"))


def with_sigma(data, sigma, unit="electron", **attributes):
    sigmas = StdDevUncertainty(np.full(data.shape, sigma, data.dtype))
    return CCDFrame(data, unit=unit, uncertainty=sigmas, **attributes)


def raw(rng, rate, seconds):
    light = rng.poisson(rate * (seconds + DELAY)) if seconds else np.zeros(SHAPE)
    pixels = np.rint(500 + (light + rng.normal(0, 8, SHAPE)) / 2)
    return CCDFrame(pixels.astype(np.uint16), unit="adu", meta={"EXPTIME": seconds})


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def night(rng):
    """Masters that share a bias, and the map that the flats were corrected with."""
    bias = combine([calibrate(raw(rng, 0, 0.0), CAMERA, shot_noise=0, pedestal=0) for _ in range(3)])
    shutter = with_sigma(rng.normal(DELAY, 0.002).astype(np.float32), 0.002, unit="s", name="shutter")
    flats = [calibrate(raw(rng, 5000, 2.0), CAMERA, bias=bias, shutter=shutter) for _ in range(3)]
    dark = combine([calibrate(raw(rng, 0, 10.0), CAMERA, bias=bias) for _ in range(3)])
    return {"bias": bias, "dark": dark, "shutter": shutter, "flat": combine(flats)}


def test_values_and_errors_are_those_of_the_formula(rng):
    data = rng.normal(1000, 30, SHAPE)
    shutter = with_sigma(1e3 * DELAY, 4.0, unit="ms")
    frame = with_sigma(data, 30.0, meta={"EXPTIME": 0.5})
    result = shutter_correct(frame, shutter)
    part = 1 + DELAY / 0.5
    np.testing.assert_allclose(result.data, data / part)
    np.testing.assert_allclose(result.variance, (30 / part) ** 2 + (data / part * 0.004 / (0.5 + DELAY)) ** 2)
    assert "shutter" in result.budget.names
    minutes = shutter_correct(with_sigma(data, 30.0), shutter, data_exposure=u.Quantity(0.5 / 60, "min"))
    np.testing.assert_allclose(minutes.data, result.data)
    # An exposure of a minute hardly sees it.
    long = shutter_correct(frame, shutter, data_exposure=60 * u.s)
    np.testing.assert_allclose(long.data, data, rtol=1e-3)


@pytest.mark.parametrize("with_flat", [True, False])
def test_one_pass_gives_what_one_pass_a_step_gives(rng, night, with_flat):
    masters = night if with_flat else {kind: one for kind, one in night.items() if kind != "flat"}
    frame = raw(rng, 2000, 0.5)
    steps = calibration_steps(CAMERA, **masters)
    together, apart = (apply_steps(frame, steps, fused=fused) for fused in (True, False))
    np.testing.assert_allclose(together.data, apart.data, rtol=1e-5)
    np.testing.assert_allclose(together.variance, apart.variance, rtol=1e-5)
    # The pass knows as well what the masters share: bias, and the map that the flats were corrected with.
    budget = together.budget
    whole = UncertaintyBudget(budget.shape, budget.terms, np.float64, together.pixels)
    np.testing.assert_allclose(together.variance, whole.variance(), rtol=1e-5)
    assert together.history.applied[-1 - with_flat][0] == "shutter"


def test_the_map_cancels_where_frame_and_flat_have_one_exposure(rng):
    shutter = with_sigma(rng.normal(DELAY, 0.01), 0.01, unit="s")
    one, other = (
        shutter_correct(with_sigma(rng.normal(level * (1 + DELAY), 1.0), 1.0, meta={"EXPTIME": 1.0}), shutter)
        for level in (3000.0, 5000.0)
    )
    quotient = flat_correct(one, other, norm_value=5000.0)
    # Read noise alone is left, and to the second order the noise of the map.
    expected = (1 / (1 + DELAY)) ** 2 * (1 + 0.36)
    np.testing.assert_allclose(quotient.variance, expected, rtol=0.02)
    shared = one.data * other.data * (0.01 / (1 + shutter.data)) ** 2
    np.testing.assert_allclose(covariance(one, other), shared, rtol=1e-6)


def sums(values, side=4):
    rows, columns = (length // side for length in values.shape)
    return values.reshape(rows, side, columns, side).sum(axis=(1, 3))


@pytest.mark.long
def test_pixels_sums_and_stacks_scatter_as_predicted():
    rng = np.random.default_rng(7)
    seconds, level = 0.5, 3000.0
    delay = 0.02 + 0.01 * np.linspace(-1, 1, 64) * np.ones((64, 1))
    errors = {key: ([], []) for key in ("pixel", "sum", "stack", "sum of a stack")}

    def note(key, made, predicted):
        errors[key][0].append(np.ravel(made))
        errors[key][1].append(np.mean(predicted))

    for _ in range(48):
        shutter = with_sigma(rng.normal(delay, 0.006), 0.006, unit="s")
        flat = with_sigma(rng.normal(8000 * (1 + delay / 2), 80.0), 80.0, meta={"EXPTIME": 2.0})
        flat = shutter_correct(flat, shutter)
        exposed = level * (1 + delay / seconds)
        raws = [with_sigma(rng.normal(exposed, 60.0), 60.0, meta={"EXPTIME": seconds}) for _ in range(10)]
        frames = [flat_correct(shutter_correct(frame, shutter), flat, norm_value=8000.0) for frame in raws]
        stack = combine(frames)
        row, column = rng.integers(0, 16, 2) * 4
        box = np.s_[row : row + 4, column : column + 4]
        for key, image in (("pixel", frames[0]), ("stack", stack)):
            note(key, image.data - level, image.variance)
            of_sum = "sum" if key == "pixel" else "sum of a stack"
            note(of_sum, sums(image.data - level), image[box].budget.variance_of_sum(np.ones((4, 4))))
    for key, (made, predicted) in errors.items():
        assert_scatters_as_predicted(made, predicted, 0.02 if "sum" in key else 0.01)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_files_hold_it_as_compactly_as_a_flat(rng, night, tmp_path, suffix):
    for kind, master in night.items():
        master.write(tmp_path / f"{kind}.{suffix}")
    images = [calibrate(raw(rng, 2000, seconds), CAMERA, **night) for seconds in (0.5, 1.0)]
    stack = combine(images)
    found = []
    for name, image in (("one", images[0]), ("other", images[1]), ("stack", stack)):
        image.write(tmp_path / f"{name}.{suffix}")
        found.append(CCDFrame.read(tmp_path / f"{name}.{suffix}"))
    for image, read in zip((*images, stack), found, strict=True):
        np.testing.assert_allclose(read.variance, image.variance, rtol=1e-5)
        assert read.budget.names == image.budget.names
        np.testing.assert_allclose(read.budget.variances()["shutter"], image.budget.variances()["shutter"], rtol=1e-4)
    np.testing.assert_allclose(covariance(*found[:2]), covariance(*images), rtol=1e-4)
    without = calibrate(raw(rng, 2000, 0.5), CAMERA, **{k: v for k, v in night.items() if k != "shutter"})
    without.write(tmp_path / f"without.{suffix}")
    sizes = [(tmp_path / f"{name}.{suffix}").stat().st_size for name in ("one", "without")]
    # Less than half of one more array.
    assert sizes[0] - sizes[1] < 0.5 * images[0].pixels.nbytes + 6000


def test_what_cannot_be_corrected_is_said(rng):
    frame = with_sigma(rng.normal(1000, 30, SHAPE), 30.0, name="m31.fits")
    shutter = with_sigma(DELAY, 0.001, unit="s", name="shutter.fits")
    with pytest.raises(FrameError, match=r"m31\.fits: no exposure time: .* or give data_exposure= as a quantity"):
        shutter_correct(frame, shutter)
    with pytest.raises(FrameError, match=r"m31\.fits has an exposure time of 0"):
        shutter_correct(frame, shutter, data_exposure=0 * u.s)
    with pytest.raises(FrameError, match=r"shutter\.fits\) is in electron; expected a time"):
        shutter_correct(frame, with_sigma(DELAY, 0.001, name="shutter.fits"), data_exposure=1 * u.s)
    with pytest.raises(FrameError, match="is in no unit; expected a time"):
        shutter_correct(frame, CCDFrame(DELAY, unit=""), data_exposure=1 * u.s)
    with pytest.raises(ShapeMismatchError, match="master shutter"):
        shutter_correct(frame, shutter[:10], data_exposure=1 * u.s)
    once = shutter_correct(frame, shutter, data_exposure=1 * u.s)
    with pytest.raises(FrameError, match="this master shutter"):
        shutter_correct(once, shutter, data_exposure=1 * u.s)


def test_pixels_that_saw_nothing_are_masked_and_uncertain_ones_flagged(rng):
    delay = np.zeros((2, 3))
    delay[0, 0], delay[1, 1] = -1.0, np.nan
    shutter = with_sigma(delay, 0.01, unit="s")
    frame = with_sigma(rng.normal(1000, 30, (2, 3)), 30.0)
    result = shutter_correct(frame, shutter, data_exposure=1 * u.s)
    assert result.mask.tolist() == [[True, False, False], [False, True, False]]
    assert result.flags[0, 0] & DataQuality.NO_DATA
    assert result.flags[1, 1] & DataQuality.NO_DATA
    short = shutter_correct(frame, shutter, data_exposure=0.1 * u.s)
    assert short.flags[0, 1] & DataQuality.UNCERTAIN_DIVISOR
    assert not short.mask[0, 1]
