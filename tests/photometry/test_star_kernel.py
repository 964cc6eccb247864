"""The kernel for stars is that of photutils."""

from __future__ import annotations

import numpy as np
import pytest
from photutils.detection import DAOStarFinder

from astro_calib.photometry.shapes import Shape
from astro_calib.photometry.star_kernel import star_kernel


@pytest.mark.parametrize(
    ("along", "across", "angle"), [(3, 3, 0), (1.2, 1.2, 0), (8, 5, 0.7), (6, 2, -1.2), (5, 4, 1.57)]
)
def test_the_kernel_is_that_of_photutils(along, across, angle):
    theirs = DAOStarFinder(1, along, ratio=across / along, theta=np.degrees(angle), sigma_radius=2).kernel
    ours = star_kernel(Shape(along, across, angle))
    np.testing.assert_array_equal(ours.inside, theirs.mask)
    np.testing.assert_allclose(ours.weights, theirs.data, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours.relative_error, theirs.rel_err, rtol=1e-13)
    assert ours.radii == (theirs.y_radius, theirs.x_radius)
    assert ours.number == theirs.n_pixels
