"""Settings that some frames tell and others do not, tell under another card, or in slightly different numbers."""

from __future__ import annotations

import pytest
from astropy.io import fits

from astro_calib.night import plan_night, reduce_night

CAMERA = {"gain": 1.5, "read_noise": 8.0}


def cards(path, **values):
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(values)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("kind", ["DARK", "LIGHT"])
def test_a_frame_that_does_not_tell_a_setting_which_all_others_tell_has_a_remark(raw, write_raw, kind):
    for path in raw.iterdir():
        cards(path, OFFSET=10)
    write_raw("odd.fits", kind, **({"FILTER": "V"} if kind == "LIGHT" else {}))
    said = " ".join(plan_night(raw, **CAMERA).remarks)
    assert "odd.fits: its header does not tell OFFSET, which is 10 in the other frames" in said


@pytest.mark.usefixtures("small_night")
def test_nothing_is_said_where_all_frames_or_none_tell_a_setting(raw):
    for path in raw.iterdir():
        cards(path, OFFSET=10)
    assert not any("does not tell" in remark for remark in plan_night(raw, **CAMERA).remarks)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    ("own", "other", "family"),
    [
        ({"OFFSET": 10}, {"BLKLEVEL": 30}, "offset setting"),
        ({"XBINNING": 1, "YBINNING": 1}, {"CCDSUM": "2 2"}, "binning"),
    ],
)
def test_two_cards_of_one_setting_that_disagree_are_named(raw, own, other, family):
    for path in raw.iterdir():
        cards(path, **(own if fits.getval(path, "IMAGETYP") == "LIGHT" else other))
    said = " ".join(plan_night(raw, **CAMERA).remarks)
    assert f"if both tell the {family}, they do not go together" in said


@pytest.mark.usefixtures("small_night")
def test_two_cards_of_one_setting_that_agree_are_no_remark(raw):
    for path in raw.iterdir():
        cards(
            path, **({"XBINNING": 2, "YBINNING": 2} if fits.getval(path, "IMAGETYP") == "LIGHT" else {"CCDSUM": "2 2"})
        )
    assert not any("go together" in remark for remark in plan_night(raw, **CAMERA).remarks)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    ("card", "values"), [("RDNOISE", (8.0, 8.3)), ("EGAIN", (1.5, 1.47)), ("SATURATE", (62e3, 6e4))]
)
def test_numbers_that_differ_a_little_from_frame_to_frame_do_not_part_a_night(raw, tmp_path, card, values):
    for number, path in enumerate(sorted(raw.iterdir())):
        cards(path, **{card: values[number % 2]})
    summary = reduce_night(raw, tmp_path / "out", **CAMERA, progress=False, stars=False, pictures=False)
    assert len(summary.frames) == 1
    assert not summary.unused


@pytest.mark.usefixtures("small_night")
def test_the_lowest_of_several_saturations_is_taken_and_said(raw):
    for number, path in enumerate(sorted(raw.iterdir())):
        cards(path, SATURATE=(62000.0, 60000.0)[number % 2])
    (plan,) = plan_night(raw, **CAMERA).setups
    assert plan.camera.saturation.value == 60000.0
    assert any("60000 to 62000" in remark for remark in plan.remarks)


@pytest.mark.usefixtures("small_night")
def test_a_science_frame_that_may_be_of_two_read_outs_has_a_remark(raw, write_raw):
    for path in raw.iterdir():
        cards(path, RDNOISE=8.0)
    for number in range(3):
        write_raw(f"slow{number}.fits", "BIAS", level=700.0, RDNOISE=4.0)
    for number in range(2):
        write_raw(f"slowflat{number}.fits", "FLAT", level=9000.0, FILTER="V", RDNOISE=4.0)
    write_raw("odd.fits", "LIGHT", FILTER="V")
    night = plan_night(raw, gain=1.5)
    said = " ".join((*night.remarks, *(f"{file.path.name}: {file.reason}" for file in night.unused)))
    assert "odd.fits: its header does not tell read noise, which is 8 or 4 in frames of the night" in said
