"""Frames whose headers lack what tells setups apart are lost or left out, and that is said."""

from __future__ import annotations

import pytest

from astro_calib.night import plan_night

from .synthetic import Camera


def both(directory, own, other, **options):
    """Nights of two setups of the same pixels in a folder; returns the camera of the first."""
    camera = Camera(seed=31, **own)
    camera.night(directory, prefix="a", **options)
    Camera(seed=32, pedestal=900.0, **other).night(directory, prefix="b", **options)
    return camera


CARDS = [
    ({"INSTRUME": "A"}, {"INSTRUME": "B"}, "INSTRUME, which is a or b"),
    ({"GAIN": 100}, {"GAIN": 200}, "GAIN, which is 100 or 200"),
    ({"OFFSET": 10}, {"OFFSET": 30}, "OFFSET, which is 10 or 30"),
    ({"READOUTM": "Fast"}, {"READOUTM": "Slow"}, "READOUTM, which is fast or slow"),
]


@pytest.mark.parametrize(("own", "other", "said"), CARDS)
@pytest.mark.parametrize("lights", [0, 1])
def test_a_light_that_may_be_of_two_setups_is_lost(tmp_path, own, other, said, lights):
    both(tmp_path / "raw", own, other, lights=lights)
    Camera(seed=33).write(tmp_path / "raw" / "silent.fits", "LIGHT", 30, "V")
    night = plan_night(tmp_path / "raw", headers_only=True)
    assert [frame.path.name for frame in night.science] == ["alightV0.fits", "blightV0.fits"][: 2 * lights]
    (lost,) = night.unused
    assert (lost.path.name, lost.lost) == ("silent.fits", True)
    assert "its header does not tell" in lost.reason
    assert said in lost.reason
    assert "put the frames of each setup into a folder of its own" in lost.reason


@pytest.mark.parametrize(("own", "other", "said"), CARDS)
@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_calibration_frames_that_may_be_of_either_are_not_used_and_said(tmp_path, own, other, said, kind):
    number = {"biases": 0} if kind == "bias" else {f"{kind}s": 0}
    both(tmp_path / "raw", own, other, **number)
    silent = Camera(seed=31)
    for index in range(3):
        silent.write(tmp_path / "raw" / f"s{index}.fits", kind.upper(), {"bias": 0, "dark": 30, "flat": 2}[kind], "V")
    night = plan_night(tmp_path / "raw", headers_only=True)
    assert night.of_kind(kind) == ()
    assert len(night.science) == 2
    assert {file.path.name for file in night.unused} == {"s0.fits", "s1.fits", "s2.fits"}
    assert any("not used: its header does not tell" in one and said in one for one in night.remarks)


def test_they_serve_where_they_can_be_of_one_setup_only(tmp_path):
    camera = Camera(seed=34, GAIN=100)
    camera.night(tmp_path / "raw", biases=0)
    for index in range(3):
        Camera(seed=34).write(tmp_path / "raw" / f"bias{index}.fits", "BIAS")
    night = plan_night(tmp_path / "raw", headers_only=True)
    assert len(night.biases) == 3
    assert night.unused == ()
    assert not [remark for remark in night.remarks if "does not tell" in remark]


def test_they_serve_with_a_remark_where_the_other_setup_has_no_lights(tmp_path):
    both(tmp_path / "raw", {"GAIN": 100}, {"GAIN": 200}, biases=0, lights=0, darks=0)
    Camera(seed=31, GAIN=100).write(tmp_path / "raw" / "light.fits", "LIGHT", 30, "V")
    Camera(seed=31).write(tmp_path / "raw" / "bias.fits", "BIAS")
    night = plan_night(tmp_path / "raw", headers_only=True)
    assert len(night.biases) == 1
    assert any("bias.fits: its header does not tell GAIN" in remark for remark in night.remarks)


def test_lights_without_temperature_do_not_get_the_larger_of_two_groups_of_darks(tmp_path):
    camera = Camera(seed=35)
    raw = camera.night(tmp_path / "raw", lights=0, temperature=-20.0)
    for index in range(6):
        camera.write(raw / f"warm{index}.fits", "DARK", 30, temperature=-10.0)
    pixels = camera.pixels("LIGHT", 30, "V")
    camera.write(raw / "light.fits", "LIGHT", 30, "V", pixels=pixels, **{"CCD-TEMP": None})
    night = plan_night(raw, headers_only=True)
    assert night.science == ()
    (lost,) = [file for file in night.unused if file.lost]
    assert "its header does not tell its temperature, which is -10 C or -20 C" in lost.reason


def test_without_darks_the_temperature_of_a_light_need_not_be_known(tmp_path):
    camera = Camera(seed=36)
    raw = camera.night(tmp_path / "raw", lights=0, darks=0, temperature=5.0)
    for index in range(3):
        camera.write(raw / f"cold{index}.fits", "BIAS", temperature=-3.0)
    camera.write(raw / "light.fits", "LIGHT", 30, "V", **{"CCD-TEMP": None})
    assert [frame.path.name for frame in plan_night(raw, headers_only=True).science] == ["light.fits"]
