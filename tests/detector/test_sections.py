"""Sections are those that ccdproc reads."""

from __future__ import annotations

import pytest
from ccdproc.utils.slices import slice_from_string

from astro_calib.detector.sections import slices_of_section


@pytest.mark.parametrize(
    "section",
    ["[1025:1056, 1:1024]", "[1025:1056,1:1024]", "[*,2:9]", "[3:4, *]", "[5:5,1:1]", "[9:2,1:3]", "[1:9:2,*]"],
)
def test_a_section_is_that_of_ccdproc(section):
    assert slices_of_section(section) == slice_from_string(section, fits_convention=True)


def test_a_section_begins_at_the_first_pixel():
    with pytest.raises(ValueError, match="index is 1"):
        slices_of_section("[0:9,1:3]")
