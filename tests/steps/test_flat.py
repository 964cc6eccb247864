from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib import (
    CCDFrame,
    DataQuality,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
    flat_correct,
)
from astro_calib.errors import FrameError, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted, make_frame


def image(shape=(1, 4), value=100.0, **kwargs):
    return CCDFrame(np.full(shape, value), unit="electron", name="d1048.fits", **kwargs)


def flat_of(values, **kwargs):
    return CCDFrame(np.array([values], dtype=float), unit="electron", name="flat.fits", **kwargs)


def test_a_flat_is_normalised_to_a_mean_of_one():
    result = flat_correct(image(), flat_of([500.0, 1000.0, 1000.0, 1500.0]))
    np.testing.assert_allclose(result.data, [[200.0, 100.0, 100.0, 100 / 1.5]])
    assert result.unit == u.electron


@pytest.mark.parametrize("unit", ["adu", "electron", u.dimensionless_unscaled])
def test_the_unit_of_the_flat_does_not_matter(unit):
    flat = CCDData([[500.0, 1000.0, 1000.0, 1500.0]], unit=unit)
    result = flat_correct(image(), flat)
    np.testing.assert_allclose(result.data, [[200.0, 100.0, 100.0, 100 / 1.5]])
    assert result.unit == u.electron


@pytest.mark.parametrize("wild", [1e7, -1e7, np.nan, np.inf])
def test_a_masked_pixel_does_not_count_in_the_normalisation(wild):
    flat = flat_of([500.0, 1500.0, wild, 1000.0], mask=[[False, False, True, False]])
    result = flat_correct(image(), flat)
    np.testing.assert_allclose(result.data[0, [0, 1, 3]], [200.0, 100 / 1.5, 100.0])
    assert result.mask[0, 2]


def test_a_pixel_that_is_only_flagged_as_unfit_does_not_count_either():
    flat = flat_of([500.0, 1500.0, 1e7, 1000.0], flags=np.array([[0, 0, DataQuality.SATURATED, 0]]))
    np.testing.assert_allclose(flat_correct(image(), flat).data[0, [0, 1, 3]], [200.0, 100 / 1.5, 100.0])


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, np.nan, -np.inf])
def test_where_the_flat_has_no_light_the_frame_is_not_divided_but_flagged(value):
    flat = flat_of([1000.0] * 999 + [value])
    result = flat_correct(image((1, 1000)), flat)
    assert result.data[0, -1] == 100.0
    assert result.flags[0, -1] == DataQuality.NO_FLAT
    assert result.mask[0, -1]
    assert not result.flags[0, :-1].any()
    assert not result.mask[0, :-1].any()
    np.testing.assert_allclose(result.data[0, :-1], 100.0, rtol=2e-3)


def test_min_value_is_in_the_unit_of_the_flat():
    result = flat_correct(image(), flat_of([500.0, 1000.0, 1500.0, 1000.0]), min_value=600.0)
    np.testing.assert_array_equal(result.flags, [[DataQuality.NO_FLAT, 0, 0, 0]])
    np.testing.assert_allclose(result.data, [[100.0, 100.0, 100 / 1.5, 100.0]])


def test_norm_value_replaces_the_mean():
    result = flat_correct(image(), flat_of([500.0, 1000.0, 1000.0, 1500.0]), norm_value=500.0)
    np.testing.assert_allclose(result.data, [[100.0, 50.0, 50.0, 100 / 3]])


def test_the_error_of_a_quotient(rng):
    # Var(r/f) = (s_r / f)^2 + (r s_f / f^2)^2, to first order: the flat's relative error is 1%.
    shape = (300, 300)
    sensitivity = np.linspace(0.5, 1.5, 300)[np.newaxis] * np.ones(shape)
    raw = make_frame(rng, 2000.0 * sensitivity, 20.0, shape)
    flat = make_frame(rng, 10000.0 * sensitivity, 100.0 * sensitivity, shape)
    result = flat_correct(raw, flat)
    expected = (20.0 / sensitivity) ** 2 + (2000.0 * 0.01) ** 2
    np.testing.assert_allclose(result.variance.mean(axis=0), expected[0], rtol=0.01)
    assert_scatters_as_predicted(result.data - 2000.0, result.variance)
    np.testing.assert_allclose(result.budget.variances()["flat"].mean(), 400.0, rtol=0.01)


def test_the_flat_under_all_frames_does_not_average_down(rng):
    shape = (300, 300)
    flat = make_frame(rng, 10000.0, 200.0, shape)
    stack = combine([flat_correct(make_frame(rng, 1000.0, 30.0, shape), flat) for _ in range(9)])
    np.testing.assert_allclose(np.sqrt(stack.variance.mean()), np.hypot(30.0 / 3, 20.0), rtol=0.01)
    assert_scatters_as_predicted(stack.data - 1000.0, stack.variance)


def test_the_flat_cancels_between_frames_of_the_same_light(rng):
    flat = make_frame(rng, 10000.0, 200.0, (20, 30))
    first, second = (flat_correct(make_frame(rng, 1000.0, 30.0, (20, 30)), flat) for _ in range(2))
    np.testing.assert_allclose((first - second).variance.mean(), 2 * 30.0**2, rtol=0.01)


def test_a_flat_over_itself_is_its_mean(rng):
    flat = make_frame(rng, 10000.0, 200.0, (20, 30))
    result = flat_correct(flat, flat)
    np.testing.assert_allclose(result.data, flat.data.mean())
    np.testing.assert_allclose(result.variance, 200.0**2 / 600)


def test_a_copy_of_a_flat_has_the_same_noise(rng):
    flat = make_frame(rng, 10000.0, 200.0, (20, 30))
    frame = make_frame(rng, 1000.0, 30.0, (20, 30))
    difference = flat_correct(frame, flat) - flat_correct(frame, flat.copy())
    assert np.all(difference.variance < 1e-6)


def test_a_level_common_to_the_flat_matters_where_its_sensitivity_is_not_one():
    # F + o over its mean m + o: df = (1 - f) do / m.
    values = np.array([[500.0, 1000.0, 1000.0, 1500.0]])
    level = NoiseSource("overscan", 10.0**2, axes=())
    flat = CCDFrame(values, unit="electron", budget=UncertaintyBudget((1, 4), [(level, 1.0)], data=values))
    result = flat_correct(image(), flat)
    f = values / 1000.0
    np.testing.assert_allclose(result.variance, (result.data / f * (1 - f) * 10.0 / 1000.0) ** 2, atol=1e-12)


def test_the_gain_cancels_in_a_normalised_flat(rng):
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron, gain_uncertainty=0.1 * u.electron / u.adu)
    raws = [CCDFrame(rng.normal(level, 70, (30, 40)), unit="adu") for level in (8000, 10000, 12000)]
    flat = combine([calibrate(raw, camera, pedestal=0) for raw in raws], scale="median")
    np.testing.assert_allclose(np.sqrt(flat.budget.variances()["gain"]), 0.05 * flat.data)
    result = flat_correct(image((30, 40)), flat)
    assert np.all(result.budget.variances().get("gain", np.zeros(1)) < 1e-12)
    # What is left is the photon noise of 60000 electrons, 0.4%: of 100 electrons, 0.4.
    np.testing.assert_allclose(np.sqrt(result.variance.mean()), 100 / np.sqrt(60000), rtol=0.02)


@pytest.mark.parametrize(("relative_error", "flag"), [(0.04, 0), (0.06, DataQuality.UNCERTAIN_DIVISOR)])
def test_a_divisor_with_an_error_above_5_percent_is_flagged_but_used(relative_error, flag):
    sigma = np.full((1, 1000), 1.0)
    sigma[0, 7] = relative_error * 1000.0
    flat = CCDFrame(np.full((1, 1000), 1000.0), unit="electron", uncertainty=StdDevUncertainty(sigma))
    result = flat_correct(image((1, 1000)), flat)
    assert result.flags[0, 7] == flag
    assert result.flags.any() == bool(flag)
    assert result.mask is None or not result.mask.any()


def test_masks_and_flags_are_united():
    frame = image(mask=[[True, False, False, False]], flags=np.array([[4, 0, 2, 0]]))
    flat = flat_of([1000.0] * 4, mask=[[False, True, False, False]], flags=np.array([[0, 1, 0, 0]]))
    result = flat_correct(frame, flat)
    np.testing.assert_array_equal(result.mask, [[True, True, False, False]])
    np.testing.assert_array_equal(result.flags, [[4, 1, 2, 0]])


@pytest.mark.parametrize("flat_type", [np.float32, np.float64])
def test_float32_stays_and_inputs_are_not_changed(rng, flat_type):
    frame = make_frame(rng, 100.0, 5.0, (3, 4), dtype=np.float32)
    flat = make_frame(rng, 10000.0, 100.0, (3, 4), dtype=flat_type)
    before = flat.data.copy(), flat.variance.copy()
    result = flat_correct(frame, flat)
    assert result.data.dtype == np.float32
    assert result.variance.dtype == np.float32
    np.testing.assert_array_equal(flat.data, before[0])
    np.testing.assert_array_equal(flat.variance, before[1])
    assert flat.unit == u.electron
    assert flat.flags is None


def test_a_flat_that_is_changed_afterwards_counts_with_its_new_values():
    flat = flat_of([500.0, 1000.0, 1000.0, 1500.0])
    flat_correct(image(), flat)
    flat.data = np.array([[1000.0, 1000.0, 500.0, 1500.0]])
    np.testing.assert_allclose(flat_correct(image(), flat).data, [[100.0, 100.0, 200.0, 100 / 1.5]])


def test_a_flat_that_is_masked_afterwards_is_normalised_anew():
    flat = flat_of([1000.0, 1000.0, 500.0, 1500.0])
    flat_correct(image(), flat)
    flat.mask = np.array([[False, False, False, True]])
    np.testing.assert_allclose(flat_correct(image(), flat).data[0, 0], 100 / 1.2)


@pytest.mark.parametrize("meta", [None, {"OBJECT": "M13"}])
def test_the_header_is_the_frames(meta):
    result = flat_correct(image(meta=meta), flat_of([1000.0] * 4, meta={"OBJECT": "dome", "EXPTIME": 4.0}))
    assert dict(result.meta) == (meta or {})


@pytest.mark.parametrize("values", [[0.0] * 4, [-1.0, -2.0, -1.0, 0.0]])
def test_a_flat_without_light_is_an_error(values):
    with pytest.raises(FrameError, match=r"flat\.fits.*mean"):
        flat_correct(image(), flat_of(values))


@pytest.mark.parametrize(("values", "mask"), [([np.nan] * 4, None), ([1000.0] * 4, np.ones((1, 4), dtype=bool))])
def test_a_flat_without_good_pixels_is_an_error(values, mask):
    with pytest.raises(FrameError, match=r"flat\.fits"):
        flat_correct(image(), flat_of(values, mask=mask))


@pytest.mark.parametrize("norm_value", [0.0, -1.0, np.nan])
def test_the_normalisation_must_be_positive(norm_value):
    with pytest.raises(ValueError, match="norm_value"):
        flat_correct(image(), flat_of([1000.0] * 4), norm_value=norm_value)


def test_shapes_that_differ_name_both_frames():
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits.*\(1, 4\).*flat\.fits.*\(1, 3\)"):
        flat_correct(image(), flat_of([1000.0] * 3))


def test_a_saturated_flat_does_not_make_the_frame_saturated():
    flags = np.array([[0, DataQuality.SATURATED, DataQuality.BAD, DataQuality.SATURATED | DataQuality.BAD]])
    flat = CCDFrame(np.ones((1, 4)), unit="adu", flags=flags, mask=flags != 0)
    result = flat_correct(CCDFrame(np.ones((1, 4)), unit="electron"), flat)
    no_flat, bad = int(DataQuality.NO_FLAT), int(DataQuality.BAD)
    np.testing.assert_array_equal(result.flags, [[0, no_flat, bad, no_flat | bad]])
    np.testing.assert_array_equal(result.mask, flags != 0)
