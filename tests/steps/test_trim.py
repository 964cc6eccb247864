from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from astro_calib import CCDFrame, trim_image
from astro_calib.errors import FrameError


def numbered():
    data = np.arange(12, dtype=np.uint16).reshape(3, 4)
    return CCDFrame(data, unit="adu", mask=data == 5, flags=data, meta={"EXPTIME": 3.0}, name="d1048.fits")


def test_the_section_is_cut_out_with_mask_flags_and_header():
    result = trim_image(numbered(), "[2:3, 1:2]")
    np.testing.assert_array_equal(result.data, [[1, 2], [5, 6]])
    np.testing.assert_array_equal(result.mask, [[False, False], [True, False]])
    np.testing.assert_array_equal(result.flags, [[1, 2], [5, 6]])
    assert result.data.dtype == np.uint16
    assert result.meta["EXPTIME"] == 3.0
    assert result.unit == "adu"


@pytest.mark.parametrize("section", [None, "[2:3, 1:2]"])
def test_the_result_has_arrays_of_its_own(section):
    raw = numbered()
    result = trim_image(raw, section)
    result.data[:] = 99
    result.mask[:] = True
    result.flags[:] = 99
    np.testing.assert_array_equal(raw.data, np.arange(12).reshape(3, 4))
    assert raw.mask.sum() == 1
    assert raw.flags.max() == 11


def test_sky_positions_stay_with_their_pixels():
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = 2.0, 1.5
    wcs.wcs.crval = 200.0, 30.0
    wcs.wcs.cdelt = -0.001, 0.001
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    frame = CCDFrame(np.zeros((6, 8)), unit="adu", wcs=wcs)
    cut = trim_image(frame, "[3:8,2:6]")
    np.testing.assert_allclose(cut.wcs.pixel_to_world_values(0, 0), frame.wcs.pixel_to_world_values(2, 1), rtol=1e-12)


def test_noise_stays_with_its_pixel():
    sigma = np.arange(1.0, 13.0).reshape(3, 4)
    master = CCDFrame(np.zeros((3, 4)), unit="adu", uncertainty=sigma)
    left, right = trim_image(master, "[1:3,1:3]"), trim_image(master, "[2:4,1:3]")
    np.testing.assert_allclose(left.variance, sigma[:, :3] ** 2)
    np.testing.assert_array_equal((left - trim_image(master, "[1:3,1:3]")).variance, 0)
    # Neighbouring pixels are different draws.
    np.testing.assert_allclose((left - right).variance, sigma[:, :3] ** 2 + sigma[:, 1:] ** 2)


def test_a_section_outside_the_frame_is_an_error():
    with pytest.raises(FrameError, match=r"d1048\.fits"):
        trim_image(numbered(), "[1:5,1:3]")
