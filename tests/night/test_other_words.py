"""The same setting of a camera in the words of two programs, and settings that say nothing."""

from __future__ import annotations

import pytest
from astropy.io import fits

from astro_calib.night import plan_night
from tests.night.synthetic import Camera


def night(tmp_path, card, of_lights, of_others, *, alone=False):
    """A night whose lights say something else of a setting than the other frames; or which its darks alone say."""
    raw = Camera(seed=51).night(tmp_path / "raw", biases=2, darks=2, flats=2)
    for path in raw.iterdir():
        value = of_lights if "light" in path.name or (alone and "dark" not in path.name) else of_others
        if value is not None:
            fits.setval(path, card, value=value)
    return plan_night(raw, headers_only=True)


@pytest.mark.parametrize(
    ("card", "one", "other"),
    [
        *(("BINNING", "1x1", text) for text in ("1 x 1", "1 1", "1,1", "1X1", "1", 1)),
        ("CCDSUM", "2 2", "2,2"),
        ("CCDSUM", "2 1", "2x1"),
        ("ROWORDER", "TOP-DOWN", "TOP_DOWN"),
        ("READOUTM", "High Gain", "high-gain"),
        ("INSTRUME", "ZWO ASI294MC Pro", "ZWO CCD ASI294MC Pro"),
        ("INSTRUME", "ZWO ASI294MC Pro", "ZWO ASI294MC Pro(Pro)"),
        # A program that does not know the setting says so, or nothing.
        ("OFFSET", 10, -1),
        ("OFFSET", -1, 10),
        ("OFFSET", 10, "Auto"),
        ("READOUTM", "Fast", "Unknown"),
    ],
)
def test_the_same_setting_in_other_words_is_one(tmp_path, card, one, other):
    plan = night(tmp_path, card, one, other)
    assert (len(plan.setups), plan.unused) == (1, ())
    (match,) = plan.setups[0].matches()
    assert (match.bias.name, match.dark.name, match.flat.name) == ("bias", "dark-30s", "flat-V")


@pytest.mark.parametrize(
    ("card", "one", "other", "said"),
    [
        ("BINNING", "1,1", "2,2", "binning (BINNING) is 2,2, not 1,1"),
        ("BINNING", "1x1", "1x2", "binning (BINNING) is 1x2, not 1x1"),
        ("OFFSET", 10, 0, "offset setting (OFFSET) is 0, not 10"),
        ("INSTRUME", "ZWO ASI294MC", "ZWO ASI294MM", "camera (INSTRUME) is zwo asi294mm, not zwo asi294mc"),
        # The number of a chip, a window, and modes of read-out, as observatories and cameras spell them.
        ("CCDNUM", 1, 2, "camera (CCDNUM) is 2, not 1"),
        ("SUBARRAY", "full", "centre", "window (SUBARRAY) is centre, not full"),
        ("HCG", "on", "off", "read-out mode (HCG) is off, not on"),
    ],
)
def test_another_setting_is_another(tmp_path, card, one, other, said):
    plan = night(tmp_path, card, one, other, alone=True)
    assert {file.path.name for file in plan.unused} == {"dark0.fits", "dark1.fits"}
    assert f"its {said}, as in the frames that are reduced" in plan.unused[0].reason
    way_out = "if it is the same camera by another name, give it one name in all headers"
    assert (way_out in plan.unused[0].reason) == said.startswith("camera")


@pytest.mark.parametrize(("card", "one", "other"), [("SPEED", "1MHz", "100kHz"), ("USBSPEED", 40, 80)])
def test_a_speed_that_may_be_of_the_read_out_is_said(tmp_path, card, one, other):
    plan = night(tmp_path, card, one, other, alone=True)
    assert any(f"{card} is " in remark and "calibrate with frames of the same" in remark for remark in plan.remarks)
