"""astropy's own tests of CCDData, as they are installed, with `CCDFrame` in its place."""

from __future__ import annotations

import pytest
from astropy.nddata.tests import test_ccddata as upstream
from astropy.utils.exceptions import AstropyUserWarning

from tests.upstream.substitution import ONLY_THE_CLASS, Difference, Reason, classes_to_try, found_in, substitute

HEADER_AND_COPY = Reason(
    "The header survives arithmetic, where a CCDData comes out without. And a copy has the noise of its original, so "
    "that their sum has twice its sigma, not sqrt(2)."
)
NEGATIVE = Reason("The test makes up error bars of which half are negative.", ValueError)
FLOATING_FLAGS = Reason("Flags are bits of DataQuality; the test gives 0.15.", ValueError)
NAMED_FLAGS = Reason(
    "Flags are one array of bits, which cuts and arithmetic pass on, not a FlagCollection, which they would lose.",
    TypeError,
)
QUIET_READING = Reason(
    "Reading is quiet about how a date or a unit in the WCS was understood, which some cameras write wrongly into each "
    "file of a night. The frame is the same.",
    pytest.fail.Exception,
)
IMAGE_ONLY = Reason(
    "A header says nothing of the place of its image in the file: XTENSION, PCOUNT, GCOUNT and EXTEND are not in it.",
    AssertionError,
)
SAID_OF_WCS = Reason(
    "That a WCS cannot be used is said in a warning, which the test takes for an error; astropy only logs it.",
    AstropyUserWarning,
)
STATED_CONTENT = Reason(
    "A file has one extension more, which says what the frame is: one that was cut off is not taken for an exact one.",
    AssertionError,
)

ROUND_TRIPS = (
    "test_write_read_multiextensionfits_uncertainty_default",
    "test_write_read_multiextensionfits_uncertainty_different_uncertainty_key",
    "test_write_read_multiextensionfits_not",
    "test_write_read_multiextensionfits_custom_ext_names",
)
DIFFERENCES = [
    Difference("test_setting_uncertainty_with_array", ONLY_THE_CLASS),
    Difference("test_mult_div_overload", ONLY_THE_CLASS, {"with_uncertainty": (True,)}),
    Difference("test_add_sub_overload", ONLY_THE_CLASS, {"with_uncertainty": (True,), "expect_failure": (False,)}),
    Difference("test_read_old_style_multiextensionfits", ONLY_THE_CLASS),
    *(Difference(test, NEGATIVE) for test in ROUND_TRIPS),
    Difference("test_arithmetic_overload_ccddata_operand", HEADER_AND_COPY),
    Difference("test_wcs_keywords_removed_from_header", QUIET_READING),
    Difference("test_ccddata_writer_as_imagehdu", STATED_CONTENT),
    Difference("test_initialize_from_fits_with_data_in_different_extension", IMAGE_ONLY),
    Difference("test_read_wcs_not_creatable", SAID_OF_WCS),
    Difference("test_write_read_with_array_flags", FLOATING_FLAGS),
    Difference("test_write_read_with_flag_collection", NAMED_FLAGS),
]

globals().update(found_in(upstream))


def pytest_generate_tests(metafunc):
    classes_to_try(metafunc, DIFFERENCES)


@pytest.fixture(autouse=True)
def frames_in_the_place_of_ccddata(frame_class, request, monkeypatch):
    substitute(frame_class, [upstream], DIFFERENCES, request, monkeypatch)
