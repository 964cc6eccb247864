"""Boxes without what is far off are those of astropy's sigma clipping."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip

from astro_calib.kernels.boxes import clipped_medians, clipped_moments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_medians_of_boxes_are_those_of_astropy(dtype):
    rng = np.random.default_rng(4)
    values = (rng.normal(50, 3, (50, 70)) + 400 * (rng.random((50, 70)) < 0.1)).astype(dtype)
    unfit = rng.random(values.shape) < 0.2
    unfit[16:32, :20] = True
    medians, left = clipped_medians(values, unfit, (16, 20), 3, 10)
    for row in range(4):
        for column in range(4):
            here = np.s_[16 * row : 16 * (row + 1), 20 * column : 20 * (column + 1)]
            kept = sigma_clip(values[here][~unfit[here]], sigma=3, maxiters=10, masked=False)
            assert left[row, column] == kept.size
            np.testing.assert_array_equal(medians[row, column], np.median(kept) if kept.size else np.nan)
    assert medians.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_and_variances_of_boxes_are_those_of_astropy(dtype):
    rng = np.random.default_rng(6)
    values = (rng.normal(50, 3, (5, 400)) + 30 * (rng.random((5, 400)) < 0.05)).astype(dtype)
    values[rng.random(values.shape) < 0.1] = np.nan
    start = np.full(5, 50.0), np.full(5, 400.0)
    # All are near at first, and after so many rounds nothing changes any more.
    means, variances, kept = clipped_moments(values, *start, 3, 30, 0.98)
    for line, mean, variance, near in zip(values, means, variances, kept, strict=True):
        finite = line[np.isfinite(line)].astype(float)
        expected = sigma_clip(finite, sigma=3, maxiters=None, cenfunc="mean", stdfunc=_spread, masked=False)
        np.testing.assert_allclose(mean, expected.mean(), rtol=1e-13)
        np.testing.assert_allclose(variance, expected.var(ddof=1) / 0.98, rtol=1e-12)
        assert near.sum() == expected.size


def _spread(values, axis):
    return np.nanstd(values, axis=axis, ddof=1) / np.sqrt(0.98)


@pytest.mark.parametrize(("dtype", "wild"), [(np.float32, 1e12), (np.float64, 1e30)])
def test_a_wild_value_costs_itself_only(dtype, wild):
    values = np.random.default_rng(5).normal(200, 5, (64, 64)).astype(dtype)
    values[10, 20] = wild
    medians, left = clipped_medians(values, np.zeros(values.shape, dtype=bool), (64, 64), 3, 10)
    # The wild value itself makes the sums of others useless, which astropy knows as little.
    values[10, 20] = 1e6
    kept = sigma_clip(values.astype(float), sigma=3, maxiters=10, masked=False)
    assert left[0, 0] == kept.size
    np.testing.assert_allclose(medians[0, 0], np.median(kept))
