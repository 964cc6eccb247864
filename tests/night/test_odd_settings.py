"""Settings that each program spells in its own way: no frame is calibrated with those of another setting."""

from __future__ import annotations

import pytest
from astropy.io import fits

from astro_calib.night import plan_night
from astro_calib.night.headers.settings import settings_of

CAMERA = {"gain": 1.5, "read_noise": 8.0, "headers_only": True}

#: Of each family cards that observatories and capture programs write, with two values.
SPELLINGS = {
    "binning": "BIN CCDBIN1 XBIN HBIN VBIN BINX BIN_X CCDBINX RDOUTBIN, ESO DET WIN1 BINX",
    "window": "DETSEC CCDSEC X_ORGSUB Y_ORGSUB XSTART ROI WINDOW STARTX, ESO DET WIN1 STRX",
    "camera": "DETNAM CCDNAME DETECNAM CHIPID CHIP CCDID CAMNAME CAMID DETID CCD SENSOR DSENSOR, ESO DET CHIP1 ID",
    "read-out mode": "READNMOD CCDMODE QREADMOD CONVGAIN ROSPEED",
    "orientation": "FLIPX HFLIP FLIP",
}
TEMPERATURES = """
TEMPERAT CAMTEMP CHIPTEMP CCDTEMP1 DETTEM TEMP TEC_TEMP SENSTEMP CCD_TEMPERATURE CHIP-TEMP TEMPDET, ESO DET CHIP1 TEMP
"""


def cards_in(text):
    """The cards that stand between blanks, and those with blanks behind a comma."""
    plain, *spaced = text.split(",")
    return [*plain.split(), *(card.strip() for card in spaced)]


def header_with(card, value, comment=""):
    header = fits.Header()
    header[f"HIERARCH {card}" if len(card) > 8 else card] = (value, comment)
    return header


def set_card(path, card, value):
    with fits.open(path, mode="update") as hdus:
        hdus[0].header[f"HIERARCH {card}" if len(card) > 8 else card] = value


@pytest.mark.parametrize(
    ("family", "card"), [(family, card) for family, cards in SPELLINGS.items() for card in cards_in(cards)], ids=str
)
@pytest.mark.usefixtures("small_night")
def test_darks_of_another_setting_are_not_used_however_it_is_spelt(raw, write_raw, family, card):
    for path in raw.iterdir():
        set_card(path, card, "A1")
    set_card(write_raw("odd.fits", "DARK", EXPTIME=30.0), card, "B2")
    plan = plan_night(raw, **CAMERA)
    assert [file.path.name for file in plan.unused] == ["odd.fits"]
    assert f"{family} ({card}) is b2, not a1" in plan.unused[0].reason


@pytest.mark.parametrize("card", cards_in(TEMPERATURES))
@pytest.mark.usefixtures("small_night")
def test_darks_of_another_temperature_are_not_used_however_it_is_spelt(raw, write_raw, card):
    for path in raw.iterdir():
        set_card(path, card, -20.0)
    set_card(write_raw("odd.fits", "DARK", EXPTIME=30.0), card, -10.0)
    plan = plan_night(raw, **CAMERA)
    assert [file.path.name for file in plan.unused] == ["odd.fits"]
    assert "temperature is -10 C, not -20 C" in plan.unused[0].reason


@pytest.mark.parametrize(
    ("card", "comment"),
    [
        ("DOMETEMP", ""),
        ("AIRTEMP", ""),
        ("FOCTEMP", ""),
        ("M1TEMP", "temperature of the mirror"),
        ("TEMPERAT", "outside air temperature"),
        ("TEMP", "ambient temperature [C]"),
        ("TEMPCON", "CONTROLLER TEMPERATURE"),
    ],
)
def test_the_temperature_of_something_else_is_not_that_of_the_detector(card, comment):
    assert settings_of(header_with(card, 11.0, comment)) == {}


@pytest.mark.parametrize(
    ("cards", "temperature"),
    [
        ([("SET-TEMP", -20.0, ""), ("CAMTEMP", -12.0, "")], -12.0),
        ([("SET-TEMP", -20.0, ""), ("TEMP", 8.0, "")], -20.0),
        ([("SET-TEMP", -20.0, ""), ("TEMP3", -12.0, "CCD temperature")], -12.0),
        ([("TEMP3", -12.0, "CCD temperature set point"), ("CHIPTEMP", -11.0, "")], -11.0),
        # Kelvin, and what a sensor without a wire tells.
        ([("ESO DET CHIP1 TEMP", 163.15, "")], -110.0),
        ([("CCDTEMP", -999.0, "")], None),
    ],
)
def test_what_the_detector_has_reached_counts_before_what_was_set(cards, temperature):
    header = fits.Header()
    for card, value, comment in cards:
        header.update(header_with(card, value, comment))
    found = settings_of(header).get("temperature")
    assert found == (None if temperature is None else pytest.approx(temperature))


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("card", ["CHIP", "XSTART", "WINDOW", "HBIN"])
def test_a_card_that_differs_from_frame_to_frame_splits_nothing(raw, card):
    for number, path in enumerate(sorted(raw.iterdir())):
        set_card(path, card, number)
    plan = plan_night(raw, **CAMERA)
    assert plan.unused == ()
    assert len(plan.setups) == 1


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    ("card", "own", "other"), [("FLIPSTAT", "", "Flip/Mirror"), ("READTIME", 0.1, 1.0), ("CHIPCONF", "slow", "fast")]
)
def test_a_card_that_may_be_a_setting_is_said_where_it_differs(raw, card, own, other):
    for path in raw.iterdir():
        set_card(path, card, other if path.name == "m13.fits" else own)
    plan = plan_night(raw, **CAMERA)
    assert plan.unused == ()
    (remark,) = [remark for remark in plan.remarks if card in remark]
    assert f"{card} is {str(own) or 'blank'!r} in the biases and flats" in remark
    assert f"{str(other).lower()!r} in science frames" in remark


@pytest.mark.usefixtures("small_night")
def test_a_telescope_that_turned_over_is_said(raw, write_raw):
    turned = write_raw("turned.fits", "LIGHT", FILTER="V")
    for path in raw.iterdir():
        set_card(path, "FLIPPED", path == turned)
    (remark,) = [remark for remark in plan_night(raw, **CAMERA).remarks if "FLIPPED" in remark]
    assert "FLIPPED is 'false' in the biases and flats, and 'true' in science frames" in remark


@pytest.mark.usefixtures("small_night")
def test_cards_of_frames_are_no_settings(raw):
    for number, path in enumerate(sorted(raw.iterdir())):
        set_card(path, "CCDCKSUM", number)
        set_card(path, "DETTIME", float(fits.getval(path, "IMAGETYP") == "LIGHT"))
        set_card(path, "CCDTYPE", fits.getval(path, "IMAGETYP"))
        set_card(path, "DETCALL", number)
    plan = plan_night(raw, **CAMERA)
    assert plan.unused == ()
    assert not [remark for remark in plan.remarks if "setting" in remark]


@pytest.mark.parametrize("night", ["lisbon", "nickel", "huntsman", "aspen"])
def test_real_nights_are_one_setup_without_a_word_on_settings(request, night):
    plan = plan_night(request.getfixturevalue(night), headers_only=True)
    assert len(plan.setups) + len(plan.incomplete) == 1
    assert not [file for file in plan.unused if "as in the frames that are reduced" in file.reason]
    assert not [remark for remark in plan.remarks if "go together" in remark]
