"""Frames of several setups of a camera: told apart by their headers, never mixed, and named with what differs."""

from __future__ import annotations

import pytest
from astropy.io import fits

from astro_calib.night import plan_night
from astro_calib.night.headers.settings import settings_of
from astro_calib.night.setups.setups import setups

CAMERA = {"gain": 1.5, "read_noise": 8.0}


def reasons(plan):
    return {file.path.name: file.reason for file in plan.unused}


OTHER_SETUPS = [
    ("INSTRUME", "ZWO ASI294MC Pro", "ZWO ASI183MM Pro", "camera (INSTRUME) is zwo asi183mm pro, not zwo asi294mc"),
    ("CAM-ID", "A1", "B2", "camera (CAM-ID) is b2, not a1"),
    ("XBINNING", 1, 2, "binning (XBINNING) is 2, not 1"),
    ("XORGSUBF", 0, 512, "window (XORGSUBF) is 512, not 0"),
    ("GAIN", 120, 0, "gain setting (GAIN) is 0, not 120"),
    ("OFFSET", 30, 50, "offset setting (OFFSET) is 50, not 30"),
    ("READOUTM", "Monochrome", "Fast", "read-out mode (READOUTM) is fast, not monochrome"),
    ("SET-TEMP", -20.0, -10.0, "temperature is -10 C, not -20 C"),
    ("CCD-TEMP", -19.8, -9.9, "temperature is -9.9 C, not -19.8 C"),
]


@pytest.mark.parametrize(("kind", "lost"), [("BIAS", False), ("LIGHT", True)])
@pytest.mark.parametrize(("card", "own", "other", "said"), OTHER_SETUPS)
@pytest.mark.usefixtures("small_night")
def test_frames_of_another_setup_are_left_out_and_named(raw, write_raw, card, own, other, said, kind, lost):
    for path in raw.glob("*.fits"):
        fits.setval(path, card, value=own)
    write_raw("odd.fits", kind, FILTER="V", **{card: other})
    write_raw("silent.fits", "LIGHT", FILTER="V")
    plan = plan_night(raw, **CAMERA)
    assert [frame.name for frame in plan.science] == ["m13", "silent"]
    (file,) = plan.unused
    assert file.path.name == "odd.fits"
    assert said in file.reason
    assert "reduce it with frames of its own setup" in file.reason
    assert file.lost is lost


@pytest.mark.parametrize(("card", "own", "other"), [one[:3] for one in OTHER_SETUPS])
@pytest.mark.usefixtures("small_night")
def test_another_setup_that_has_what_it_needs_is_reduced_as_well(raw, write_raw, card, own, other):
    for path in raw.glob("*.fits"):
        fits.setval(path, card, value=own)
    write_raw("odd-bias.fits", "BIAS", **{card: other})
    write_raw("odd.fits", "LIGHT", FILTER="V", **{card: other})
    write_raw("silent.fits", "LIGHT", FILTER="V")
    plan = plan_night(raw, **CAMERA)
    if card.endswith("TEMP"):
        # Without darks it hardly matters which biases it gets.
        assert plan.unused == ()
        assert [[frame.name for frame in setup.science] for setup in plan.setups] == [["m13", "silent"], ["odd"]]
        assert any("silent.fits: its header does not tell its temperature" in remark for remark in plan.remarks)
    else:
        (lost,) = plan.unused
        assert lost.lost
        assert lost.path.name == "silent.fits"
        assert f"its header does not tell {card}, which is" in lost.reason
        assert "into a folder of its own" in lost.reason
        assert [[frame.name for frame in setup.science] for setup in plan.setups] == [["m13"], ["odd"]]
    assert [[frame.name for frame in setup.biases] for setup in plan.setups] == [
        ["bias0", "bias1", "bias2"],
        ["odd-bias"],
    ]
    assert all(setup.title and setup.name for setup in plan.setups)
    assert len({setup.name for setup in plan.setups}) == 2


@pytest.mark.usefixtures("small_night")
def test_the_setup_of_the_science_frames_counts_not_that_of_most(raw, write_raw):
    for path in raw.glob("*.fits"):
        fits.setval(path, "SET-TEMP", value=-20.0)
    for number in range(9):
        write_raw(f"warm{number}.fits", "DARK", **{"SET-TEMP": 0.0})
    plan = plan_night(raw, **CAMERA)
    assert [frame.name for frame in plan.science] == ["m13"]
    assert plan.darks == {}
    assert len(plan.unused) == 9


@pytest.mark.usefixtures("small_night")
def test_a_cooler_that_jitters_is_one_setup(raw):
    for number, path in enumerate(sorted(raw.glob("*.fits"))):
        fits.setval(path, "SET-TEMP", value=-20.0)
        fits.setval(path, "CCD-TEMP", value=-20.0 + 0.5 * (-1) ** number)
    assert plan_night(raw, **CAMERA).unused == ()


@pytest.mark.parametrize(
    ("cards", "temperature"),
    [
        ({"SET-TEMP": -18, "CCD-TEMP": -17.5}, -17.5),
        # It has not got there yet.
        ({"SET-TEMP": -18, "CCD-TEMP": -3.0}, -3.0),
        ({"CCD-TEMP": 12.7}, 12.7),
        ({"SET-TEMP": "-35.0"}, -35.0),
        ({}, None),
    ],
)
def test_temperature(cards, temperature):
    assert settings_of(fits.Header(cards)).get("temperature") == temperature


@pytest.mark.usefixtures("small_night")
def test_frames_that_do_not_tell_are_in_each_setup(raw):
    names = sorted(raw.glob("flat*.fits"))
    for gain, path in zip((0, 120), names, strict=True):
        fits.setval(path, "OFFSET", value=gain)
    plan = plan_night(raw, **CAMERA)
    found = setups((*plan.frames, *()))
    assert len(plan.of_kind("flat")) == 1
    assert len(found) == 1
    assert len(plan.biases) == 3
