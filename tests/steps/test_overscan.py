from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.modeling.models import Chebyshev1D, Const1D, Exponential1D, Polynomial1D

from astro_calib import CCDFrame, DataQuality, Detector, calibrate, subtract_overscan
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError
from astro_calib.estimators import median_variance_factor
from astro_calib.steps.subtracted_level import interpolated_median_factor
from tests.noise_checks import assert_scatters_as_predicted

SIGMA = 5.0


def raw_frame(rng, level=1000.0, shape=(40, 48), sigma=SIGMA, **kwargs):
    """A frame of nothing but its level, a number or an array, and Gaussian noise."""
    return CCDFrame(rng.normal(level, sigma, shape), unit="adu", **kwargs)


def error_and_variance(raw, level, **kwargs):
    """What was subtracted less what should have been, and the variance of the result."""
    result = subtract_overscan(raw, **kwargs)
    return raw.data.astype(float) - result.data - level, result.variance


def collected(results):
    """Errors and variances of many frames, as arrays."""
    errors, variances = zip(*results, strict=True)
    return np.array(errors), np.array(variances)


# ---- values


@pytest.mark.parametrize("overscan_axis", [0, 1, (0, 1), None])
@pytest.mark.parametrize("median", [False, True])
def test_a_constant_level_is_subtracted(overscan_axis, median):
    data = np.full((6, 6), 1000, dtype=np.uint16)
    data[:4, :4] = 990
    raw = CCDFrame(data, unit="adu", meta={"EXPTIME": 3.0}, flags=data * 0 + 2)
    section = "[1:6,5:6]" if overscan_axis == 0 else "[5:6,1:6]"
    result = subtract_overscan(raw, fits_section=section, overscan_axis=overscan_axis, median=median)
    expected = data.astype(float) - 1000
    np.testing.assert_array_equal(result.data, expected)
    assert result.data.dtype == np.float32
    assert result.meta["EXPTIME"] == 3.0
    assert (result.flags == 2).all()
    assert result.unit == "adu"
    np.testing.assert_array_equal(raw.data, data)


@pytest.mark.parametrize(("overscan_axis", "section"), [(1, "[5:6,1:4]"), (0, "[1:6,4:4]")])
def test_levels_of_rows_and_columns(overscan_axis, section):
    level = 1000.0 + 10 * (np.arange(4)[:, np.newaxis] if overscan_axis == 1 else np.arange(6)[np.newaxis])
    raw = CCDFrame(np.broadcast_to(level, (4, 6)).copy(), unit="adu")
    result = subtract_overscan(raw, fits_section=section, overscan_axis=overscan_axis)
    np.testing.assert_allclose(result.data, 0.0, atol=1e-9)


def test_none_averages_over_the_shorter_side():
    rows = CCDFrame(np.repeat(np.arange(8.0)[:, np.newaxis], 10, axis=1), unit="adu")
    np.testing.assert_allclose(subtract_overscan(rows, fits_section="[8:10,1:8]", overscan_axis=None).data, 0)
    columns = CCDFrame(np.repeat(np.arange(10.0)[np.newaxis], 8, axis=0), unit="adu")
    np.testing.assert_allclose(subtract_overscan(columns, fits_section="[1:10,7:8]", overscan_axis=None).data, 0)


def test_a_cut_of_the_frame_serves_as_overscan(rng):
    raw = raw_frame(rng)
    by_cut = subtract_overscan(raw, overscan=raw[:, 40:])
    by_section = subtract_overscan(raw, fits_section="[41:48,1:40]")
    np.testing.assert_array_equal(by_cut.data, by_section.data)
    np.testing.assert_allclose(by_cut.variance, by_section.variance)


def test_float32_stays(rng):
    raw = CCDFrame(rng.normal(1000, 5, (40, 48)).astype(np.float32), unit="adu")
    result = subtract_overscan(raw, fits_section="[41:48,1:40]")
    assert result.data.dtype == result.variance.dtype == np.float32


# ---- errors: as many draws as levels


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize(("overscan_axis", "section"), [(1, "[3:18,1:400]"), (0, "[1:400,3:18]")])
def test_levels_of_rows_and_columns_scatter_as_predicted(rng, overscan_axis, section, median):
    shape = (400, 18) if overscan_axis == 1 else (18, 400)
    errors, variances = collected(
        error_and_variance(
            raw_frame(rng, shape=shape), 1000.0, fits_section=section, overscan_axis=overscan_axis, median=median
        )
        for _ in range(25)
    )
    draws = (slice(None), slice(None), 0) if overscan_axis == 1 else (slice(None), 0)
    assert_scatters_as_predicted(errors[draws], variances[draws], tolerance=0.03)


@pytest.mark.parametrize("median", [False, pytest.param(True, marks=pytest.mark.long)])
def test_one_level_for_the_frame_scatters_as_predicted(rng, median):
    errors, variances = collected(
        error_and_variance(
            raw_frame(rng, shape=(40, 10)), 1000.0, fits_section="[3:10,1:40]", overscan_axis=(0, 1), median=median
        )
        for _ in range(350)
    )
    assert_scatters_as_predicted(errors[:, 0, 0], variances[:, 0, 0], tolerance=0.12)


def test_the_variance_of_a_mean_is_that_of_its_pixels_over_their_number(rng):
    result = subtract_overscan(raw_frame(rng, shape=(200, 240)), fits_section="[201:240,1:200]", overscan_axis=(0, 1))
    np.testing.assert_allclose(result.variance, SIGMA**2 / 8000, rtol=0.05)
    result = subtract_overscan(raw_frame(rng, shape=(200, 240)), fits_section="[201:240,1:200]", overscan_axis=1)
    np.testing.assert_allclose(result.variance, SIGMA**2 / 40, rtol=0.05)


def test_a_level_is_common_to_its_row_column_or_frame(rng):
    raw = raw_frame(rng, shape=(20, 20))
    ones = np.ones((20, 20))
    for axis, section in ((1, "[11:20,1:20]"), (0, "[1:20,11:20]")):
        budget = subtract_overscan(raw, fits_section=section, overscan_axis=axis).budget
        level = budget.variance()[:, 0] if axis == 1 else budget.variance()[0]
        assert level.shape == (20,)
        assert budget.variance_of_sum(ones) == pytest.approx(20**2 * level.sum(), rel=1e-6)
    budget = subtract_overscan(raw, fits_section="[11:20,1:20]", overscan_axis=(0, 1)).budget
    assert budget.variance_of_sum(ones) == pytest.approx(400**2 * budget.variance()[0, 0], rel=1e-6)


def test_rows_that_scatter_by_more_than_their_formal_error_have_that_scatter(rng):
    # As on the Nickel camera: the overscan's rows scatter by 2 adu, and the image's do not follow.
    errors, variances = [], []
    for _ in range(40):
        level = np.full((300, 18), 1000.0)
        level[:, 2:] += rng.normal(0, 2.0, (300, 1))
        error, variance = error_and_variance(raw_frame(rng, level, (300, 18)), 1000.0, fits_section="[3:18,1:300]")
        errors.append(error[:, 0])
        variances.append(variance[:, 0])
    assert np.mean(variances) == pytest.approx(4.0 + SIGMA**2 / 16, rel=0.06)
    assert_scatters_as_predicted(errors, variances, tolerance=0.06)


def test_a_drift_along_the_rows_is_signal_and_no_error(rng):
    drift = 1000.0 + 0.1 * np.arange(400)[:, np.newaxis] * np.ones((1, 48))
    _, variance = error_and_variance(raw_frame(rng, drift, (400, 48)), drift, fits_section="[41:48,1:400]")
    assert variance.mean() == pytest.approx(SIGMA**2 / 8, rel=0.1)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 5.0])
@pytest.mark.parametrize("median", [False, True])
def test_whole_numbers_scatter_as_predicted(rng, median, sigma):
    # A median of whole numbers is a whole number: with 4000 of them, far from the level that lies anywhere between two.
    errors, variances = [], []
    for _ in range(120):
        level = 1000.0 + rng.uniform()
        raw = CCDFrame(np.rint(rng.normal(level, sigma, (100, 50))).astype(np.uint16), unit="adu")
        error, variance = error_and_variance(
            raw, level, fits_section="[11:50,1:100]", overscan_axis=(0, 1), median=median
        )
        errors.append(error[0, 0])
        variances.append(variance[0, 0])
    assert_scatters_as_predicted(errors, variances, tolerance=0.25)


@pytest.mark.parametrize(
    ("sigma", "pixels"),
    [
        (1.0, 64),
        *(pytest.param(sigma, pixels, marks=pytest.mark.long) for sigma, pixels in ((1.0, 255), (4.0, 16), (4.0, 256))),
    ],
)
def test_medians_of_many_whole_numbers_scatter_as_predicted(rng, sigma, pixels):
    # The levels of many columns, so that a variance too large by a fifteenth is seen; where in a step they lie matters.
    errors, variances = [], []
    for level in 1000.0 + (np.arange(160) + rng.uniform()) / 160:
        raw = CCDFrame(np.rint(rng.normal(level, sigma, (pixels, 100))).astype(np.uint16), unit="adu")
        arguments = {"fits_section": f"[1:100,1:{pixels}]", "overscan_axis": 0}
        error, variance = error_and_variance(raw, level, median=True, **arguments)
        errors.append(error[0])
        variances.append(variance[0])
    assert_scatters_as_predicted(errors, variances, tolerance=0.02)


def test_the_median_of_rounded_values_is_better_known_than_that_of_others():
    # Of the factor pi / 2 narrow steps take the part 2 p / 3, with p the part of the values in the middle step.
    for sigma in (5.0, 10.0, 20.0):
        expected = np.pi / 2 * (1 - 2 / 3 / (np.sqrt(2 * np.pi) * sigma))
        assert interpolated_median_factor(10**6, 1.0, sigma**2) == pytest.approx(expected, rel=0.004)
    # Where there are no steps, or they hide the scatter, or there are few values, it is the plain one.
    for number, step, variance in ((1000, 0.0, 1.0), (1000, 1.0, 0.09), (1000, 1.0, 0.0), (5, 1.0, 1.0)):
        assert interpolated_median_factor(number, step, variance) == median_variance_factor(number)


# ---- what does not count


@pytest.mark.parametrize("overscan_axis", [1, (0, 1)])
def test_a_cosmic_ray_in_the_overscan_does_not_count(rng, overscan_axis):
    raw = raw_frame(rng)
    hit = raw.data.copy()
    hit[7, 44] += 20000.0
    arguments = {"fits_section": "[41:48,1:40]", "overscan_axis": overscan_axis}
    clean, rejected = subtract_overscan(raw, **arguments), subtract_overscan(CCDFrame(hit, unit="adu"), **arguments)
    kept = subtract_overscan(CCDFrame(hit, unit="adu"), clip=None, **arguments)
    assert np.abs(clean.data[:, :40] - rejected.data[:, :40]).max() < SIGMA
    np.testing.assert_allclose(rejected.variance, clean.variance, rtol=0.3)
    assert np.abs(clean.data[:, :40] - kept.data[:, :40]).max() > 20000.0 / 350


def test_masked_pixels_of_the_overscan_do_not_count(rng):
    raw = raw_frame(rng)
    wild = raw.data.copy()
    wild[:, 40:44] = 5000.0
    mask = wild == 5000.0
    result = subtract_overscan(CCDFrame(wild, unit="adu", mask=mask), fits_section="[41:48,1:40]", clip=None)
    expected = subtract_overscan(raw, fits_section="[45:48,1:40]", clip=None)
    np.testing.assert_allclose(result.data[:, :40], expected.data[:, :40])
    np.testing.assert_allclose(result.variance, expected.variance)
    np.testing.assert_array_equal(result.mask, mask)


def test_what_is_not_a_number_does_not_count(rng):
    raw = raw_frame(rng)
    raw.data[3, 44] = np.nan
    result = subtract_overscan(raw, fits_section="[41:48,1:40]")
    assert np.isfinite(result.data[:, :40]).all()
    assert np.isfinite(result.variance).all()


# ---- models


def sums_over_rows(results):
    """Roots of each frame's summed squared errors, and its summed variance: one number a frame."""
    errors, variances = collected(results)
    return np.sqrt(np.square(errors[:, :, 0]).sum(axis=1)), variances[:, :, 0].sum(axis=1)


def test_a_fitted_polynomial_scatters_as_predicted(rng):
    level = (1000.0 + 0.05 * np.arange(100)[:, np.newaxis]) * np.ones((1, 42))
    errors, variances = sums_over_rows(
        error_and_variance(raw_frame(rng, level, (100, 42)), level, fits_section="[3:42,1:100]", model=Polynomial1D(2))
        for _ in range(120)
    )
    # The diagonal of the hat matrix of least squares adds up to the number of parameters.
    assert variances.mean() == pytest.approx(3 * SIGMA**2 / 40, rel=0.04)
    assert_scatters_as_predicted(errors, variances, tolerance=0.13)


def test_a_models_errors_are_common_to_the_frame(rng):
    # The sum over all rows of a least-squares fit with a constant term is that of the levels themselves.
    raw = raw_frame(rng, shape=(100, 24))
    budget = subtract_overscan(raw, fits_section="[17:24,1:100]", model=Chebyshev1D(2)).budget
    weights = np.zeros((100, 24))
    weights[:, 0] = 1
    levels = raw.data[:, 16:].mean(axis=1)
    assert budget.variance_of_sum(weights) == pytest.approx(100 * levels.var(), rel=0.1)


def test_a_model_that_is_not_linear_scatters_as_predicted(rng):
    level = (1000.0 + 50 * np.exp(-np.arange(100)[:, np.newaxis] / 15.0)) * np.ones((1, 42))
    model = Const1D(1000.0) + Exponential1D(50.0, -15.0)
    errors, variances = sums_over_rows(
        error_and_variance(raw_frame(rng, level, (100, 42)), level, fits_section="[3:42,1:100]", model=model)
        for _ in range(50)
    )
    assert variances.mean() == pytest.approx(3 * SIGMA**2 / 40, rel=0.06)
    assert_scatters_as_predicted(errors, variances, tolerance=0.2)


def test_rows_without_good_overscan_have_the_error_of_the_extrapolation(rng):
    # A straight line through n = 80 levels (rows 0 to 79), at row 99:
    # Var = s^2 [1 / n + (99 - 39.5)^2 / sum (x - 39.5)^2], with s^2 = 25 / 40.
    mask = np.zeros((100, 42), dtype=bool)
    mask[80:] = True
    raw = raw_frame(rng, shape=(100, 42), mask=mask)
    variance = subtract_overscan(raw, fits_section="[3:42,1:100]", model=Polynomial1D(1)).variance
    expected = SIGMA**2 / 40 * (1 / 80 + 59.5**2 / np.sum((np.arange(80) - 39.5) ** 2))
    assert variance[99, 0] == pytest.approx(expected, rel=0.6)
    # An extrapolation is less certain the farther it goes.
    assert np.all(np.diff(variance[60:, 0]) > 0)


def test_a_fixed_parameter_is_no_source_of_noise(rng):
    model = Polynomial1D(1, c1=0.0, fixed={"c1": True})
    result = subtract_overscan(raw_frame(rng, shape=(200, 24)), fits_section="[17:24,1:200]", model=model)
    np.testing.assert_allclose(result.variance, SIGMA**2 / 8 / 200, rtol=0.3)


# ---- identity


def test_the_overscan_of_the_same_file_is_the_same_noise(rng):
    pixels = rng.poisson(1000, (40, 48)).astype(np.uint16)
    first, again = (
        subtract_overscan(CCDFrame(pixels.copy(), unit="adu"), fits_section="[41:48,1:40]") for _ in range(2)
    )
    np.testing.assert_array_equal((first - again).variance, 0)


def test_two_overscans_of_one_frame_are_different_noise(rng):
    raw = raw_frame(rng)
    left = subtract_overscan(raw, fits_section="[1:8,1:40]", overscan_axis=(0, 1))
    right = subtract_overscan(raw, fits_section="[41:48,1:40]", overscan_axis=(0, 1))
    np.testing.assert_allclose((left - right).variance, left.variance + right.variance)


@pytest.mark.parametrize("overscan_axis", [1, (0, 1)])
def test_the_overscans_of_two_cuts_are_different_noise(rng, overscan_axis):
    raw = raw_frame(rng)
    arguments = {"fits_section": "[41:48,1:20]", "overscan_axis": overscan_axis}
    upper, lower = subtract_overscan(raw[:20], **arguments), subtract_overscan(raw[20:], **arguments)
    np.testing.assert_allclose((upper - lower).variance, upper.variance + lower.variance)


# ---- errors


def test_the_overscan_is_given_once(rng):
    raw = raw_frame(rng)
    with pytest.raises(TypeError, match="fits_section"):
        subtract_overscan(raw)
    with pytest.raises(TypeError, match="fits_section"):
        subtract_overscan(raw, overscan=raw[:, 40:], fits_section="[41:48,1:40]")


def test_a_section_outside_the_frame_is_an_error(rng):
    with pytest.raises(FrameError, match=r"d1048\.fits.*\[41:49,1:40\]"):
        subtract_overscan(raw_frame(rng, name="d1048.fits"), fits_section="[41:49,1:40]")


@pytest.mark.parametrize(("overscan_axis", "section"), [(1, "[41:48,1:39]"), (0, "[41:48,1:40]")])
def test_an_overscan_that_is_too_short_is_an_error(rng, overscan_axis, section):
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits.*\(40, 48\)"):
        subtract_overscan(raw_frame(rng, name="d1048.fits"), fits_section=section, overscan_axis=overscan_axis)


@pytest.mark.parametrize("overscan_axis", [2, -1, (0, 2), ()])
def test_an_axis_that_is_none_is_an_error(rng, overscan_axis):
    with pytest.raises(ValueError, match="overscan_axis"):
        subtract_overscan(raw_frame(rng), fits_section="[41:48,1:40]", overscan_axis=overscan_axis)


def test_a_model_needs_levels_along_an_axis(rng):
    with pytest.raises(TypeError, match="overscan_axis"):
        subtract_overscan(raw_frame(rng), fits_section="[41:48,1:40]", overscan_axis=(0, 1), model=Polynomial1D(1))


def test_an_overscan_without_good_pixels_is_an_error(rng):
    raw = raw_frame(rng, mask=np.ones((40, 48), dtype=bool), name="d1048.fits")
    with pytest.raises(FrameError, match=r"d1048\.fits.*good pixel"):
        subtract_overscan(raw, fits_section="[41:48,1:40]")


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize("lines", [[7], [0, 1], [39], [3, 20]], ids=str)
@pytest.mark.parametrize("axis", [1, 0], ids=["rows", "columns"])
@pytest.mark.parametrize("way", ["step", "at once"])
def test_lines_without_overscan_are_masked_and_the_others_are_what_they_were(rng, median, lines, axis, way):
    spoilt = np.zeros((40, 48), dtype=bool)
    spoilt[lines, 40:] = True
    values = np.rint(rng.normal(1000, SIGMA, (40, 48))).astype(np.uint16)
    section = "[41:48,1:40]"
    if axis == 0:
        spoilt, values, section = spoilt.T, values.T, "[1:40,41:48]"
    camera = Detector(gain=1 * u.electron / u.adu, read_noise=SIGMA * u.electron)

    def corrected(mask):
        raw = CCDFrame(values, unit="adu", mask=mask, name="d1048.fits")
        if way == "step":
            return subtract_overscan(raw, fits_section=section, overscan_axis=axis, median=median)
        return calibrate(raw, camera, overscan=section, overscan_axis=axis, overscan_median=median)

    good = corrected(None)
    with pytest.warns(NoiseWarning, match=rf"d1048\.fits: {len(lines)} of 40 {'rows' if axis else 'columns'} have no"):
        result = corrected(spoilt)
    lost = np.any(spoilt, axis=axis, keepdims=True) & np.ones_like(spoilt)
    np.testing.assert_array_equal(result.mask, lost)
    np.testing.assert_array_equal(result.flags[lost] & DataQuality.NO_DATA, DataQuality.NO_DATA)
    np.testing.assert_allclose(result.data[~lost], good.data[~lost], rtol=1e-6)
    np.testing.assert_allclose(result.variance[~lost], good.variance[~lost], rtol=0.1)
    assert np.isfinite(result.mean().variance)


def test_a_line_that_is_blank_from_end_to_end_needs_no_word(rng):
    mask = np.zeros((40, 48), dtype=bool)
    mask[7] = True
    result = subtract_overscan(raw_frame(rng, mask=mask), fits_section="[41:48,1:40]")
    np.testing.assert_array_equal(result.mask, mask)


# ---- digital steps wider than the noise


def in_steps(rng, level, sigma, step=16, shape=(100, 72), dtype=np.uint16):
    """A frame in digital steps whose last 32 columns are the overscan; the image has light of many steps."""
    values = rng.normal(level, sigma, shape)
    values[:, :-32] += rng.uniform(0, 10 * step, (shape[0], shape[1] - 32))
    return CCDFrame((step * np.rint(values / step)).astype(dtype), unit="adu")


def level_of(raw, **kwargs):
    result = subtract_overscan(raw, fits_section=f"[41:72,1:{len(raw.data)}]", **kwargs)
    level = raw.data.astype(float) - result.data
    return level[:, 0], result.variance[:, 0].astype(float)


@pytest.mark.parametrize("median", [False, True])
def test_the_level_of_coarse_steps_is_between_them(rng, median):
    # All that is seen are values of 7984, 8000, and 8016, most of them 8000; the level said to be exact was 8000.
    levels, variances = level_of(in_steps(rng, 8003.3, 5.5), overscan_axis=(0, 1), median=median)
    assert levels[0] == pytest.approx(8003.3, abs=0.5)
    assert 0.05 < np.sqrt(variances[0]) < 0.5


@pytest.mark.parametrize("dtype", [np.uint16, pytest.param(np.float32, marks=pytest.mark.long)])
@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize(
    "sigma", [0.35, pytest.param(0.4, marks=pytest.mark.long), 0.5, pytest.param(1.0, marks=pytest.mark.long), 3.0]
)
@pytest.mark.parametrize("step", [pytest.param(4, marks=pytest.mark.long), 16])
def test_levels_of_coarse_steps_scatter_as_predicted(rng, step, sigma, median, dtype):
    drawn = [8000 + rng.uniform(0, step) for _ in range(100)]
    pairs = [
        level_of(in_steps(rng, level, sigma * step, step, dtype=dtype), overscan_axis=(0, 1), median=median)
        for level in drawn
    ]
    errors = np.array([levels[0] for levels, _ in pairs]) - drawn
    predicted = np.mean([variances[0] for _, variances in pairs])
    # 100 levels: 7%, four of which are 28%. The interpolated median is a little better than it says.
    assert np.sqrt(np.mean(errors**2) / predicted) == pytest.approx(0.9 if median and sigma < 1 else 1.0, abs=0.28)


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize("sigma", [0.35, 0.5, 1.0, 3.0])
def test_rows_of_coarse_steps_all_have_a_level(rng, sigma, median):
    errors, variances = [], []
    for _ in range(20):
        level = 8000 + rng.uniform(0, 16)
        levels, own = level_of(in_steps(rng, level, sigma * 16), overscan_axis=1, median=median)
        errors.append(levels - level)
        variances.append(own)
    assert np.sqrt(np.mean(np.square(errors)) / np.mean(variances)) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("overscan_axis", [(0, 1), 1])
@pytest.mark.parametrize("median", [False, True])
def test_an_overscan_of_one_value_is_known_to_a_step(rng, median, overscan_axis):
    raw = in_steps(rng, 8003.0, 0.5)
    assert np.ptp(raw.data[:, 40:]) == 0
    _, variances = level_of(raw, overscan_axis=overscan_axis, median=median)
    np.testing.assert_allclose(variances, 16**2 / 12, rtol=0.02)


def test_what_steps_leave_unresolved_is_common_to_all_rows(rng):
    raw = in_steps(rng, 8003.0, 0.5)
    result = subtract_overscan(raw, fits_section="[41:72,1:100]", overscan_axis=1)
    # The sum over a column of 100 rows, all of them off by the same.
    column = np.zeros(raw.shape)
    column[:, 0] = 1
    assert result.budget.variance_of_sum(column) == pytest.approx(100**2 * 16**2 / 12, rel=0.02)


def test_an_overscan_that_was_multiplied_keeps_its_step(rng):
    levels, variances = level_of(in_steps(rng, 8003.3, 5.5).multiply(0.25), overscan_axis=(0, 1), median=True)
    assert levels[0] == pytest.approx(8003.3 / 4, abs=0.12)
    assert 0.01 < np.sqrt(variances[0]) < 0.12
