from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, DataQuality, Detector, flag_bad_pixels, flag_saturated
from astro_calib.errors import FrameError, ShapeMismatchError

CAMERA = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron, saturation=60000 * u.adu)
UNLIMITED = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)


def test_at_and_above_the_saturation_level_is_saturated():
    raw = CCDFrame(np.array([[59999, 60000], [60001, 65535]], dtype=np.uint16), unit="adu")
    result = flag_saturated(raw, CAMERA)
    np.testing.assert_array_equal(result.flags, [[0, 4], [4, 4]])
    np.testing.assert_array_equal(result.mask, [[False, True], [True, True]])
    assert result.flags.dtype == np.uint16
    assert result.data.dtype == np.uint16
    assert raw.flags is None
    assert raw.mask is None


def test_without_saturation_level_nothing_is_saturated():
    result = flag_saturated(CCDFrame(np.full((2, 2), 65535, dtype=np.uint16), unit="adu"), UNLIMITED)
    assert result.flags is None or not result.flags.any()
    assert result.mask is None or not result.mask.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_no_data(value):
    result = flag_saturated(CCDFrame(np.array([[1.0, value]]), unit="adu"), UNLIMITED)
    np.testing.assert_array_equal(result.flags, [[0, DataQuality.NO_DATA]])
    np.testing.assert_array_equal(result.mask, [[False, True]])


def test_a_frame_of_nans_names_its_file():
    frame = CCDFrame(np.full((2, 2), np.nan), unit="adu", name="d1048.fits")
    with pytest.raises(FrameError, match=r"d1048\.fits.*finite"):
        flag_saturated(frame, CAMERA)


def test_saturation_is_a_raw_level():
    with pytest.raises(u.UnitConversionError):
        flag_saturated(CCDFrame(np.ones((2, 2)), unit="electron"), CAMERA)


def test_bad_pixels_add_to_what_is_known():
    raw = CCDFrame(np.array([[65535, 10, 10]], dtype=np.uint16), unit="adu", meta={"OBJECT": "M13"})
    result = flag_bad_pixels(flag_saturated(raw, CAMERA), [[True, True, False]])
    np.testing.assert_array_equal(result.flags, [[1 | 4, 1, 0]])
    np.testing.assert_array_equal(result.mask, [[True, True, False]])
    np.testing.assert_array_equal(result.data, raw.data)
    assert result.meta["OBJECT"] == "M13"
    assert result.unit == u.adu


def test_bad_pixels_leave_the_variance():
    frame = CCDFrame(np.ones((1, 2)), unit="adu", uncertainty=np.array([[2.0, 3.0]]))
    result = flag_bad_pixels(frame, [[True, False]])
    np.testing.assert_allclose(result.variance, [[4.0, 9.0]])
    np.testing.assert_array_equal((result - frame).variance, 0)


def test_a_map_of_bad_pixels_has_the_shape_of_the_frame():
    frame = CCDFrame(np.ones((2, 3)), unit="adu", name="d1048.fits")
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits.*\(2, 3\).*\(3, 2\)"):
        flag_bad_pixels(frame, np.zeros((3, 2), dtype=bool))
