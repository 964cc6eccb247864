"""Masks grown, against scipy's filters and distances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, maximum_filter

from astro_calib.photometry.growth import within_disc, within_square


@pytest.fixture(params=[0.0, 0.003, 0.1])
def mask(request):
    return np.random.default_rng(1).random((61, 83)) < request.param


@pytest.mark.parametrize("reach", [0, 1, 5, 40])
@pytest.mark.parametrize("outside", [False, True])
def test_a_square_is_that_of_the_maximum_filter(mask, reach, outside):
    expected = maximum_filter(mask, 2 * reach + 1, mode="constant", cval=outside)
    np.testing.assert_array_equal(within_square(mask, reach, outside=outside), expected)


@pytest.mark.parametrize("radius", [0.0, 0.9, 1.0, 2.3, 5.0, 13.7])
@pytest.mark.parametrize("outside", [False, True])
def test_a_disc_holds_what_is_no_further_than_its_radius(mask, radius, outside):
    # The nearest of a frame with a wide rim: for an empty frame there is none.
    distance = distance_transform_edt(~np.pad(mask, 30, constant_values=outside))[30:-30, 30:-30]
    expected = distance <= radius if mask.any() or outside else np.zeros(mask.shape, dtype=bool)
    np.testing.assert_array_equal(within_disc(mask, radius, outside=outside), expected)
