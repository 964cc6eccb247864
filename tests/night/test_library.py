"""Masters of other nights: which of a library fits the frames of a setup, and what is said of those that do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.night import load_profile
from astro_calib.night.files.examine import examine_chips
from astro_calib.night.library.library import find_library
from astro_calib.night.library.loan import Borrowed
from astro_calib.night.library.master_file import MasterFile
from astro_calib.night.profiles.matching_rules import Matching

GENERIC = load_profile("generic")
CAMERA = {"INSTRUME": "ZWO ASI294MC Pro", "GAIN": 120, "SET-TEMP": -20.0, "XBINNING": 1}
#: 2024 May 13, 12 h.
NIGHT = 60443.5


@pytest.fixture
def shelf(tmp_path):
    """The directory of a library."""
    directory = tmp_path / "library"
    directory.mkdir()
    return directory


@pytest.fixture
def put(shelf):
    """Put a master that another program has made into the library."""

    def write(name, kind, *, shape=(16, 20), **cards):
        header = fits.Header([("IMAGETYP", kind), ("COMBINED", True), *(CAMERA | cards).items()])
        path = shelf / name
        path.parent.mkdir(exist_ok=True)
        fits.writeto(path, np.full(shape, 1000.0, dtype=np.float32), header)
        return path

    return write


@pytest.fixture
def science(write_raw):
    """Write a science frame, and return it as the survey finds it."""

    def write(name="m13.fits", **cards):
        path = write_raw(name, "LIGHT", **({"FILTER": "V", "EXPTIME": 60.0} | CAMERA | cards))
        return examine_chips(path, GENERIC, needs_numbers=False)[0]

    return write


def lent(shelf, frames):
    return find_library(shelf, GENERIC).lend([replace(frame, time=NIGHT) for frame in frames])


def names(loan):
    return [one.master.path.name for one in loan.masters]


def test_what_a_night_of_lights_borrows(shelf, put, science):
    put("bias.fits", "BIAS")
    put("dark.fits", "DARK", EXPTIME=60.0)
    put("flat.fits", "FLAT", FILTER="V")
    put("flat-B.fits", "FLAT", FILTER="B")
    loan = lent(shelf, [science()])
    assert names(loan) == ["bias.fits", "dark.fits", "flat.fits"]
    assert [one.title for one in loan.masters] == ["master bias", "master dark of 60 s", "master flat for filter V"]


def test_what_the_night_has_is_not_borrowed(shelf, put, science, write_raw):
    for kind, cards in (("BIAS", {}), ("DARK", {"EXPTIME": 60.0}), ("FLAT", {"FILTER": "V"})):
        put(f"{kind}.fits", kind, **cards)
    put("flat-B.fits", "FLAT", FILTER="B")
    own = [
        examine_chips(write_raw(f"own-{kind}.fits", kind, **cards, **CAMERA), GENERIC, needs_numbers=False)[0]
        for kind, cards in (("BIAS", {}), ("FLAT", {"FILTER": "V"}))
    ]
    frames = [*own, science("v.fits"), science("b.fits", FILTER="B")]
    assert names(lent(shelf, frames)) == ["DARK.fits", "flat-B.fits"]


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ({"INSTRUME": "ZWO ASI183MM"}, "camera (INSTRUME) is zwo asi294mc pro, not zwo asi183mm"),
        ({"GAIN": 0}, "gain setting (GAIN) is 120, not 0"),
        ({"SET-TEMP": -10.0}, "temperature is -20 C, not -10 C"),
        ({"XBINNING": 2}, "binning (XBINNING) is 1, not 2"),
        ({"XORGSUBF": 512}, "window (XORGSUBF) is 0, not 512"),
        ({"OFFSET": 50}, "offset setting (OFFSET) is 30, not 50"),
        ({"READOUTM": "Fast"}, "read-out mode (READOUTM) is slow, not fast"),
        ({"ROWORDER": "BOTTOM-UP"}, "row order (ROWORDER) is top-down, not bottom-up"),
    ],
)
def test_a_master_of_another_setup_is_refused_with_the_reason(shelf, put, science, cards, said):
    for name, kind in (("bias.fits", "BIAS"), ("dark.fits", "DARK"), ("flat.fits", "FLAT")):
        put(name, kind, EXPTIME=60.0, FILTER="V", OFFSET=30, XORGSUBF=0, READOUTM="Slow", ROWORDER="TOP-DOWN")
    assert names(lent(shelf, [science("own.fits")])) == ["bias.fits", "dark.fits", "flat.fits"]
    loan = lent(shelf, [science("other.fits", **cards)])
    assert names(loan) == []
    for remark, title in zip(loan.remarks, ("bias", "dark", "flat"), strict=True):
        assert remark.startswith(f"there is no master {title}")
        assert said in remark


@pytest.mark.parametrize(
    ("angle", "taken"), [(90.0, ["flat.fits"]), (451.0, ["flat.fits"]), (270.0, []), (None, ["flat.fits"])]
)
def test_a_flat_of_another_angle_of_the_rotator_is_refused(shelf, put, science, angle, taken):
    put("flat.fits", "FLAT", FILTER="V", ROTATANG=90.0)
    loan = lent(shelf, [science(**({} if angle is None else {"ROTATANG": angle}))])
    assert names(loan) == taken
    assert any("its rotator is at 90 degrees, not at 270" in remark for remark in loan.remarks) == (angle == 270)


@pytest.mark.parametrize(("tolerance", "taken"), [(2.5, []), (4.0, ["bias.fits"])])
def test_how_far_a_temperature_may_be_is_a_rule_of_the_profile(shelf, put, science, tolerance, taken):
    put("bias.fits", "BIAS")
    profile = replace(GENERIC, matching=Matching(temperature=tolerance))
    frame = replace(science(**{"SET-TEMP": -17.0}), profile=profile)
    assert names(find_library(shelf, GENERIC).lend([frame])) == taken


def test_a_master_of_another_shape_is_refused(shelf, put, science):
    put("bias.fits", "BIAS", shape=(8, 10))
    loan = lent(shelf, [science()])
    assert names(loan) == []
    assert "it has 10 columns x 8 rows, and the frames 20 columns x 16 rows" in loan.remarks[0]


def test_what_a_masters_header_does_not_tell_is_said(shelf, put, science):
    put("bias.fits", "BIAS")
    (remark,) = lent(shelf, [science(**CAMERA)]).remarks
    assert "does not tell" not in remark
    (remark,) = lent(shelf, [science("two.fits", ROWORDER="TOP-DOWN", OFFSET=30)]).remarks
    assert remark.endswith(
        "its header does not tell offset setting, row order, in which it is taken to be like the frames of the night"
    )


def test_a_flat_has_no_pedestal_to_tell(shelf, put, science):
    put("bias.fits", "BIAS")
    put("flat.fits", "FLAT", FILTER="V")
    of_bias, of_flat = lent(shelf, [science(PEDESTAL=-100)]).remarks
    assert "does not tell pedestal" in of_bias
    assert "does not tell" not in of_flat


def test_a_master_in_another_unit_is_refused(shelf, put, science):
    put("bias.fits", "BIAS", BUNIT="ADU/s")
    assert "neither in adu nor in electron" in lent(shelf, [science()]).remarks[0]


def test_the_nearest_in_time_is_taken_and_its_age_said(shelf, put, science):
    put("old.fits", "BIAS", **{"DATE-OBS": "2024-04-13T12:00:00", "NCOMBINE": 50})
    put("near.fits", "BIAS", **{"DATE-OBS": "2024-05-15T12:00:00", "NCOMBINE": 9})
    put("undated.fits", "BIAS")
    loan = lent(shelf, [science()])
    assert names(loan)[0] == "near.fits"
    assert "near.fits, 2 days after the night, of 9 frames" in loan.remarks[0]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0.3, "of the same night"),
        (1.2, "1 day before the night"),
        (400.0, "400 days before the night"),
        (-3.0, "3 days after the night"),
        (None, "of an unknown date"),
    ],
)
def test_age_in_words(tmp_path, days, words):
    assert Borrowed(MasterFile(path=tmp_path, kind="bias", shape=(1, 1)), days).age == words


@pytest.mark.parametrize(
    ("times", "seconds", "taken"),
    [
        # One of the same exposure.
        ([60.0, 120.0, 600.0], 60.0, [60.0]),
        ([60.3, 600.0], 60.0, [60.3]),
        # Those that may be scaled; which of them is chosen by their noise.
        ([30.0, 120.0, 6000.0], 60.0, [30.0, 120.0]),
        # The last resort.
        ([6000.0, 9000.0], 60.0, [6000.0]),
    ],
)
def test_darks_by_exposure(shelf, put, science, times, seconds, taken):
    for time in times:
        put(f"dark{time:g}.fits", "DARK", EXPTIME=time)
    loan = lent(shelf, [science(EXPTIME=seconds)])
    assert [one.master.exposure_time for one in loan.of_kind("dark")] == taken


def test_a_dark_of_which_no_time_is_known_is_not_taken(shelf, put, science):
    put("dark.fits", "DARK")
    assert names(lent(shelf, [science()])) == []


def test_a_library_is_searched_with_all_below_it(shelf, put, science):
    put("2024-04/bias.fits", "BIAS")
    put("calibrated/m31.fits", "LIGHT")
    put(".trash/dark.fits", "DARK", EXPTIME=60.0)
    fits.writeto(shelf / "raw-bias.fits", np.ones((16, 20), np.uint16), fits.Header([("IMAGETYP", "BIAS")]))
    (shelf / "notes.txt").write_text("masters of April")
    assert names(lent(shelf, [science()])) == ["bias.fits"]


def test_a_library_without_masters_says_what_is_in_it(tmp_path, shelf, put):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; give a directory of masters"):
        find_library(tmp_path / "nowhere", GENERIC)
    with pytest.raises(TypeError, match="masters"):
        find_library(3, GENERIC)
    with pytest.raises(FrameError, match="holds no FITS file"):
        find_library(shelf, GENERIC)
    put("m31.fits", "LIGHT")
    with pytest.raises(FrameError, match=r"m31\.fits: no master: a science frame"):
        find_library(shelf, GENERIC)


@pytest.mark.parametrize(
    ("kind", "taken"),
    [("BIAS", []), ("DARK", ["bias.fits"]), ("FLAT", ["bias.fits", "dark.fits"])],
)
def test_a_night_without_science_frames_borrows_what_its_masters_need(shelf, put, write_raw, kind, taken):
    put("bias.fits", "BIAS")
    put("dark.fits", "DARK", EXPTIME=60.0)
    put("flat.fits", "FLAT", FILTER="V")
    frame = examine_chips(write_raw("one.fits", kind, FILTER="V", **CAMERA), GENERIC, needs_numbers=False)[0]
    assert names(lent(shelf, [frame])) == taken


@pytest.mark.parametrize(
    ("temperature", "said"),
    [
        # The dark current doubles every six degrees: by 2 degrees it grows by 26%.
        (-18.0, "dark.fits: it is of -18.0 C, the science frames of -20.0 C: about 26% too much of the dark current"),
        (-22.0, "about 21% too little of the dark current"),
        (-20.4, ""),
    ],
)
def test_a_dark_of_another_temperature_within_the_tolerance_is_said(shelf, put, science, temperature, said):
    put("dark.fits", "DARK", **{"EXPTIME": 60.0, "SET-TEMP": temperature})
    loan = lent(shelf, [science()])
    assert names(loan) == ["dark.fits"]
    assert any(said in remark for remark in loan.remarks)
    assert any("dark current is subtracted" in remark for remark in loan.remarks) == bool(said)


def test_what_may_tell_a_setting_is_compared_with_that_of_the_science_frames(shelf, put, science):
    put("bias.fits", "BIAS", FLIPSTAT="", AMPNAME="left")
    put("dark.fits", "DARK", EXPTIME=60.0, FLIPSTAT="Mirrored", AMPNAME="left")
    put("flat.fits", "FLAT", FILTER="V", FLIPSTAT="", AMPNAME="right")
    remarks = lent(shelf, [science(FLIPSTAT="", AMPNAME="left")]).remarks
    (of_dark,) = [remark for remark in remarks if "FLIPSTAT" in remark]
    assert of_dark.startswith("dark.fits: FLIPSTAT is 'mirrored' in the darks, and 'blank' in science frames")
    (of_flat,) = [remark for remark in remarks if "AMPNAME" in remark]
    assert of_flat.startswith("flat.fits: AMPNAME is 'right' in the flats, and 'left' in science frames")


def test_a_setting_under_another_card_is_compared(shelf, put, science):
    put("dark.fits", "DARK", EXPTIME=60.0, XBINNING=None, CCDSUM="2 2")
    put("flat.fits", "FLAT", FILTER="V", XBINNING=None, CCDSUM="1 1")
    remarks = lent(shelf, [science()]).remarks
    (said,) = [remark for remark in remarks if "CCDSUM" in remark]
    assert said.startswith("dark.fits: the darks say CCDSUM=2 2, and the science frames XBINNING=1")
