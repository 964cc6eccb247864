"""Medians are those of NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.kernels.medians import median, median_of_rows


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 2, 9, 10])
def test_medians_are_those_of_numpy(dtype, length):
    values = np.random.default_rng(5).integers(0, 60_000, (3, length)).astype(dtype)
    found, expected = median_of_rows(values), np.median(values, axis=1)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert median(values) == np.median(values)
