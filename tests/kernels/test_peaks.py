"""Local maxima and convolutions are those of photutils and scipy, found faster."""

from __future__ import annotations

import numpy as np
import pytest
from photutils.detection import find_peaks
from scipy import ndimage

from astro_calib.kernels.peaks import convolved, local_maxima


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(60, 90), (3, 40)])
def test_a_convolution_is_that_of_scipy(dtype, shape):
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=shape).astype(dtype), rng.normal(size=(7, 5))
    np.testing.assert_array_equal(convolved(image, kernel), ndimage.convolve(image, kernel, mode="constant"))


@pytest.mark.parametrize("footprint", [np.ones((9, 9), dtype=bool), np.hypot(*np.mgrid[-3:4, -3:4]) < 3.2])
def test_peaks_are_those_of_photutils(footprint):
    rng = np.random.default_rng(1)
    # Steps, so that neighbours are equal; photutils counts both as peaks.
    image = np.rint(3 * ndimage.gaussian_filter(rng.normal(size=(80, 100)), 1, mode="wrap") * 10).astype(np.float32)
    excluded = rng.random(image.shape) < 0.02
    threshold = rng.uniform(2, 8, image.shape)
    theirs = find_peaks(image, threshold, footprint=footprint, mask=excluded)
    assert len(theirs) > 20
    np.testing.assert_array_equal(
        local_maxima(image, threshold, footprint, excluded), np.stack([theirs["x_peak"], theirs["y_peak"]], axis=1)
    )
