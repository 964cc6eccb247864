"""The background of a frame is that of photutils, found faster."""

from __future__ import annotations

import numpy as np
import pytest
from photutils.background import Background2D, MedianBackground

from astro_calib.photometry.background import background_of


@pytest.mark.parametrize("shape", [(64, 64), (50, 200), (200, 130)])
def test_the_background_is_that_of_photutils(shape):
    rng = np.random.default_rng(2)
    values = rng.normal(100, 5, shape) + np.arange(shape[1]) / 10
    unfit = rng.random(shape) < 0.05
    box = tuple(min(64, length) for length in shape)
    theirs = Background2D(
        values, box, mask=unfit, filter_size=3, bkg_estimator=MedianBackground(), exclude_percentile=80
    )
    np.testing.assert_allclose(background_of(values, unfit), theirs.background, rtol=1e-13)


def test_a_frame_that_tells_too_little_has_one_level():
    rng = np.random.default_rng(3)
    values, unfit = rng.normal(100, 5, (64, 64)), rng.random((64, 64)) < 0.9
    with pytest.raises(ValueError, match="box"):
        Background2D(values, 64, mask=unfit, filter_size=3, bkg_estimator=MedianBackground(), exclude_percentile=80)
    np.testing.assert_array_equal(background_of(values, unfit), np.median(values[~unfit]))
    np.testing.assert_array_equal(background_of(values, np.ones((64, 64), dtype=bool)), 0)
