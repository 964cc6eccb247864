"""The medians of boxes are those of astropy's sigma clipping."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip

from astro_calib.kernels.boxes import clipped_medians


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
