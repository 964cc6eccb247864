"""Remarks of many files, said once."""

from __future__ import annotations

import logging
import warnings

import pytest
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib.night.common.remarks import FileRemark, Remark, Remarks, remark_lines


def told(*texts):
    remarks = Remarks()
    remarks.add(*(FileRemark(f"{number}.fits", text) for number, text in enumerate(texts)))
    return remarks.lines()


def test_remarks_that_differ_in_numbers_only_are_one_with_the_smallest_and_the_largest():
    (remark,) = told(
        "the noise is 0.876 of it, in 998 of 1024 blocks", "the noise is 2.447 of it, in 18 of 1024 blocks"
    )
    assert remark == "0.fits, 1.fits: the noise is 0.876 to 2.447 of it, in 18 to 998 of 1024 blocks"
    assert remark.names == ("0.fits", "1.fits")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("BIASSEC='[1:16,1:16]' is no section", "BIASSEC='[1:17,1:16]' is no section"),
        ("GAIN=2 is a setting", "GAIN=3 is a setting"),
        ("d1.fits is nearer", "d2.fits is nearer"),
        ("the filter '1 2' is odd", "the filter '1 3' is odd"),
    ],
)
def test_values_and_names_are_no_numbers_to_be_put_together(one, other):
    assert told(one, other) == (f"0.fits: {one}", f"1.fits: {other}")


def test_numbers_tell_remarks_apart_that_are_about_no_file():
    remarks = Remarks()
    remarks.add("2 flats of V at -10 C", "2 flats of V at -20 C")
    assert len(remarks.lines()) == 2


def test_what_many_files_have_in_common_has_a_count_and_all_names():
    names = [f"d{number}.fits.gz" for number in range(1000, 1030)]
    remark = Remark("no WCS", names)
    assert remark == "d1000.fits.gz to d1029.fits.gz (30 files): no WCS"
    lines = remark_lines(remark, 80)
    assert lines[0] == "  30 files: no WCS"
    assert " ".join(" ".join(lines[1:]).split()) == ", ".join(names)
    assert max(map(len, lines)) <= 80
    assert remark_lines(remark, 80, short=True) == [f"  {remark}"]


def test_a_long_remark_is_cut_where_it_has_to_be_short():
    text = "word " * 500
    assert len(remark_lines(text, 80, short=True)) == 6
    assert len(remark_lines(text, 80)) > 30


def test_warnings_about_one_file_are_remarks_on_it():
    remarks = Remarks()
    for name in ("a.fits", "b.fits"):
        with remarks.heard(name):
            warnings.warn(f"{name}: a fwhm of 4 pixels is assumed.", AstropyUserWarning, stacklevel=1)
            warnings.warn("nothing about a file", AstropyUserWarning, stacklevel=1)
    assert remarks.lines() == ("a.fits, b.fits: a fwhm of 4 pixels is assumed.", "nothing about a file")


def test_each_remark_is_logged_as_it_comes(caplog):
    remarks = Remarks()
    with caplog.at_level(logging.INFO, logger="astro_calib"):
        remarks.add(
            FileRemark("a.fits", "1.5 wide"), FileRemark("b.fits", "2.5 wide"), FileRemark("b.fits", "2.5 wide")
        )
    assert [record.getMessage() for record in caplog.records] == ["a.fits: 1.5 wide", "b.fits: 2.5 wide"]
