"""Statistics over the pixels of a frame: what is masked counts neither in the value nor in the error."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty

from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget
from astro_calib.frame.statistics import good_pixels

VALUES = np.arange(12.0).reshape(3, 4) ** 2
MASK = np.zeros((3, 4), dtype=bool)
MASK[0, 0] = MASK[2, 3] = True
GOOD = VALUES[~MASK]


def frame(values=VALUES, mask=MASK, sigma=2.0, dtype=float):
    sigmas = np.full(values.shape, sigma)
    return CCDFrame(values.astype(dtype), unit="electron", uncertainty=StdDevUncertainty(sigmas), mask=mask)


@pytest.mark.parametrize("spoilt", [0.0, 1e7, np.nan, np.inf], ids=str)
@pytest.mark.parametrize("by", ["method", "numpy"])
def test_ten_good_of_twelve_pixels(spoilt, by):
    values = VALUES.copy()
    values[MASK] = spoilt
    one = frame(values)
    mean, added = (one.mean(), one.sum()) if by == "method" else (np.mean(one), np.sum(one))
    assert float(mean.data) == pytest.approx(GOOD.mean())
    assert float(mean.variance) == pytest.approx(0.40)
    assert float(added.data) == pytest.approx(GOOD.sum())
    assert float(added.variance) == pytest.approx(40.0)
    assert mean.unit == added.unit == u.electron
    assert not np.any(mean.mask)
    assert not np.any(added.mask)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_along_an_axis(axis, keepdims):
    number = (~MASK).sum(axis=axis, keepdims=keepdims)
    total = np.where(MASK, 0, VALUES).sum(axis=axis, keepdims=keepdims)
    mean, added = (function(frame(), axis=axis, keepdims=keepdims) for function in (np.mean, np.sum))
    np.testing.assert_allclose(mean.data, total / number)
    np.testing.assert_allclose(mean.variance, 4 / number)
    np.testing.assert_allclose(added.data, total)
    np.testing.assert_allclose(added.variance, 4 * number)
    assert mean.shape == added.shape == number.shape


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_a_masked_pixel_of_unknown_variance_does_not_count(unknown):
    variance = np.where(MASK, unknown, 4.0)
    one = CCDFrame(VALUES, unit="adu", uncertainty=VarianceUncertainty(variance), mask=MASK)
    assert float(one.mean().variance) == pytest.approx(0.40)
    np.testing.assert_allclose(one.sum(axis=0).variance, [8, 12, 12, 8])


def test_noise_that_pixels_share_adds_up_over_the_good_ones():
    terms = [(NoiseSource("read noise", 4.0), 1.0), (NoiseSource("overscan", 0.5, axes=(0,)), 1.0)]
    one = CCDFrame(VALUES, unit="adu", budget=UncertaintyBudget((3, 4), terms), mask=MASK)
    # Rows of 3, 4 and 3 good pixels: each row's error times their number.
    assert float(one.sum().variance) == pytest.approx(40 + 0.5 * (9 + 16 + 9))
    assert float(one.mean().variance) == pytest.approx(0.57)


def test_of_nothing_nothing_is_known():
    mask = MASK.copy()
    mask[:, 1] = True
    one = frame(mask=mask)
    for collapsed in (one.mean(axis=0), one.sum(axis=0)):
        np.testing.assert_array_equal(collapsed.mask, [False, True, False, False])
        np.testing.assert_array_equal(np.isnan(collapsed.variance), [False, True, False, False])
    nothing = frame(mask=np.ones((3, 4), dtype=bool)).mean()
    assert nothing.mask.all()
    assert np.isnan(nothing.variance)


def test_masked_pixels_count_where_that_is_asked_for():
    added = frame().sum(operation_ignores_mask=False)
    assert float(added.variance) == 48.0
    assert added.mask.all()


def test_extremes_are_those_of_good_pixels_and_have_no_error_bar():
    for extreme, value in ((frame().min(), 1.0), (np.max(frame()), 100.0), (np.min(frame(), keepdims=True), 1.0)):
        assert float(extreme.data.item()) == value
        assert extreme.uncertainty is None


def test_float32_stays_float32():
    for mask in (None, MASK, np.ones_like(MASK)):
        one = frame(mask=mask, dtype=np.float32)
        assert one.mean(axis=0).dtype == one.mean().dtype == one.sum().dtype == np.float32


FUNCTIONS = {
    "std": np.std,
    "var": np.var,
    "median": np.median,
    "average": np.average,
    "ptp": np.ptp,
    "percentile": lambda values: np.percentile(values, 30),
    "quantile": lambda values: np.quantile(values, [0.1, 0.7]),
    "nanmean": np.nanmean,
    "nanmedian": np.nanmedian,
    "nanstd": np.nanstd,
    "nanmax": np.nanmax,
    "nanpercentile": lambda values: np.nanpercentile(values, 80),
    "histogram": lambda values: np.histogram(values, bins=3)[0],
    "by name": lambda values: [np.median(a=values), np.percentile(a=values, q=30), np.nanmean(a=values)],
    "count_nonzero": np.count_nonzero,
    "cumsum": lambda values: np.ma.compressed(np.cumsum(values)),
    "cumprod": lambda values: np.ma.compressed(np.cumprod(values)),
    "add.reduce": lambda values: np.add.reduce(values, axis=None),
    "maximum.reduce": lambda values: np.maximum.reduce(values, axis=None),
    "std of a sample": lambda values: np.std(values, ddof=1),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("spoilt", [1e7, np.nan], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_the_statistics_of_numpy_see_good_pixels(function, spoilt, dtype):
    values = VALUES.copy()
    values[MASK] = spoilt if dtype is not np.int32 else 10**7
    one = frame(values, dtype=dtype)
    np.testing.assert_allclose(FUNCTIONS[function](one), FUNCTIONS[function](GOOD), rtol=1e-6)
    # Without a mask they are what they are of the data.
    whole = frame(mask=None, dtype=dtype)
    np.testing.assert_allclose(FUNCTIONS[function](whole), FUNCTIONS[function](VALUES), rtol=1e-6)


@pytest.mark.parametrize("function", [np.std, np.var, np.median, np.ptp, np.nanmean])
def test_the_statistics_of_numpy_along_an_axis(function):
    values = VALUES.copy()
    values[MASK] = 1e7
    expected = [function(column[~hidden]) for column, hidden in zip(VALUES.T, MASK.T, strict=True)]
    np.testing.assert_allclose(np.asarray(function(frame(values), axis=0), dtype=float), expected)


def test_the_brightest_good_pixel_is_found():
    values = VALUES.copy()
    values[MASK] = 1e7
    assert np.argmax(frame(values)) == 10
    assert np.argmin(frame(values)) == 1


def test_other_functions_of_numpy_do_what_they_did():
    one = frame(mask=None)
    np.testing.assert_array_equal(np.concatenate([one, one]), np.concatenate([VALUES, VALUES]))
    np.testing.assert_array_equal(np.where(MASK, one, 0), np.where(MASK, VALUES, 0))
    assert np.shape(one) == (3, 4)
    assert np.allclose(one, VALUES)


def test_pixels_that_are_all_good_cannot_be_written_into():
    values = VALUES.copy()
    with pytest.raises(ValueError, match="read-only"):
        good_pixels(values, np.ones(values.shape, dtype=bool)).sort()
    np.testing.assert_array_equal(values, VALUES)


# -- negative error bars --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
@pytest.mark.parametrize("sizes", [[-1.0, 2.0], [-np.inf, 2.0], [-1e-30, np.nan]], ids=str)
@pytest.mark.parametrize("way", ["argument", "array", "CCDData", "assigned", "operand", "new array", "file"])
def test_a_negative_error_bar_is_refused(kind, sizes, way, tmp_path):
    from astropy.nddata import CCDData

    uncertainty = kind(np.array([sizes]))
    data = np.ones((1, 2))
    exact = CCDFrame(data, unit="adu")

    def new_array():
        known = CCDFrame(data, unit="adu", uncertainty=np.ones((1, 2)))
        known.uncertainty.array = np.array([sizes])
        return known.variance

    def from_file():
        path = tmp_path / "other.fits"
        CCDData(data, unit="adu", uncertainty=uncertainty).write(path)
        return CCDFrame.read(path)

    ways = {
        "argument": lambda: CCDFrame(data, unit="adu", uncertainty=uncertainty),
        "array": lambda: CCDFrame(data, unit="adu", uncertainty=np.array([sizes])),
        "CCDData": lambda: CCDFrame(CCDData(data, unit="adu", uncertainty=uncertainty)),
        "assigned": lambda: setattr(exact, "uncertainty", uncertainty),
        "operand": lambda: exact + CCDData(data, unit="adu", uncertainty=uncertainty),
        "new array": new_array,
        "file": from_file,
    }
    with pytest.raises(ValueError, match=r"1 (standard deviations|variances|inverse variances) are negative"):
        ways[way]()


def test_minus_zero_is_zero():
    for kind, variance in ((StdDevUncertainty, 0.0), (VarianceUncertainty, 0.0), (InverseVariance, np.inf)):
        one = CCDFrame(np.ones((1, 1)), unit="adu", uncertainty=kind(np.array([[-0.0]])))
        np.testing.assert_array_equal(one.variance, [[variance]])
