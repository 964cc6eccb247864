"""ccdproc's own tests of its calibration steps, as they are installed: its functions are given `CCDFrame`."""

from __future__ import annotations

import pytest
from ccdproc.tests import pytest_fixtures, test_ccdproc, test_cosmicray, test_gain

from tests.upstream.substitution import ONLY_THE_CLASS, Difference, Reason, classes_to_try, found_in, substitute

PLAIN_RESULT = Reason(
    "These functions of ccdproc make a plain CCDData without uncertainty, whatever they are given; it is no frame, and "
    "does not pass for one."
)

NEGATIVE = Reason("The test makes up standard deviations of which half are negative.", ValueError)
DIFFERENCES = [
    Difference("test_trim_image_fits_section", NEGATIVE, {"uncertainty": (True,)}),
    Difference("test_transform_image", NEGATIVE, {"uncertainty": (True,)}),
    Difference("test_create_deviation", ONLY_THE_CLASS, {"expect_success": (True,)}),
    Difference("test_create_deviation_from_negative_2", ONLY_THE_CLASS),
    Difference("test_linear_gain_correct", ONLY_THE_CLASS),
    Difference("test_linear_gain_unit_keyword", ONLY_THE_CLASS),
    Difference("test_ccd_process", ONLY_THE_CLASS),
    Difference("test_ccd_process_gain_corrected", ONLY_THE_CLASS),
    # ccdproc takes the array for sigmas, whatever its class.
    Difference("test_cosmicray_median_ccddata", ONLY_THE_CLASS),
    Difference("test_block_reduce", PLAIN_RESULT),
    Difference("test_block_average", PLAIN_RESULT),
    Difference("test_block_replicate", PLAIN_RESULT),
]

globals().update(found_in(test_ccdproc, test_cosmicray, test_gain))


def pytest_generate_tests(metafunc):
    classes_to_try(metafunc, DIFFERENCES)


@pytest.fixture(autouse=True)
def frames_in_the_place_of_ccddata(frame_class, request, monkeypatch):
    substitute(frame_class, [pytest_fixtures, test_ccdproc], DIFFERENCES, request, monkeypatch)
