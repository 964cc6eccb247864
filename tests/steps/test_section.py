from __future__ import annotations

import numpy as np
import pytest

from astro_calib import CCDFrame
from astro_calib.errors import FrameError
from astro_calib.steps.section import section_slices

FRAME = CCDFrame(np.zeros((5, 10)), unit="adu", name="d1048.fits")


@pytest.mark.parametrize("section", ["[9:10,1:5]", "[9:10, 1:5]", "[9:10,:]", "[9:10,*]"])
def test_columns_come_first_and_count_from_one_with_both_ends(section):
    # FITS standard 4.0, section 3.3.2: the first axis varies fastest; IRAF's sections count from 1 and include the end.
    data = np.arange(50).reshape(5, 10)
    np.testing.assert_array_equal(data[section_slices(FRAME, section, "trim")], data[:, 8:10])


@pytest.mark.parametrize("section", ["[0:5,1:5]", "[1:11,1:5]", "[1:5,1:6]", "[11:12,1:5]"])
def test_a_section_outside_the_frame_names_frame_and_section(section):
    with pytest.raises(FrameError, match=rf"d1048\.fits.*overscan.*\{section}"):
        section_slices(FRAME, section, "the overscan section")


@pytest.mark.parametrize("section", ["nonsense", "", "1:5,1:5", "[1:5]", "[1:2,1:2,1:2]", "[a:b,1:2]"])
def test_what_is_no_section_says_what_one_looks_like(section):
    with pytest.raises(FrameError, match=r"d1048\.fits.*\[1025:1056, 1:1024\]"):
        section_slices(FRAME, section, "the overscan section")
