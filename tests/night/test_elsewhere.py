"""What a night has for another setup only, and what of another temperature is good enough."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night import plan_night, reduce_night
from astro_calib.night.library.loan import Borrowed, Loan
from astro_calib.night.library.master_file import MasterFile
from tests.night.synthetic import Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}


def of_type(raw, kind, **cards):
    for path in raw.glob(f"{kind}*"):
        for card, value in cards.items():
            fits.setval(path, card, value=value)


def test_flats_that_were_taken_before_the_cooler_was_on_serve(tmp_path):
    camera = Camera(seed=61)
    raw = camera.night(tmp_path / "raw", biases=10, darks=10, flats=0)
    for index in range(10):
        camera.write(raw / f"flat{index}.fits", "FLAT", 2, "V", temperature=5.0)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    (frame,) = summary.frames
    # Without the flat pixels are off by 5%.
    assert np.std(fits.getdata(frame.path) / camera.truth(30)) < 0.08
    error = fits.getdata(frame.path) - camera.truth(30)
    without = error + camera.truth(30) * (camera.flats["V"] - 1)
    assert np.std(error) < np.std(without)
    (said,) = [remark for remark in summary.remarks if "temperature" in remark]
    assert said.startswith("flats are of 5.0 C, the science frames of -20.0 C: they serve")


def test_biases_that_are_not_used_are_said_where_darks_hold_the_bias(tmp_path):
    raw = Camera(seed=62).night(tmp_path / "raw")
    of_type(raw, "bias", **{"CCD-TEMP": 5.0})
    (plan,) = plan_night(raw, headers_only=True).setups
    said = "4 biases are not used: their temperature is 5 C, not -20 C (matching.temperature in a profile can allow it)"
    assert said in plan.elsewhere


def test_darks_of_flats_that_are_not_used_are_said(tmp_path):
    camera = Camera(seed=63, OFFSET=10)
    raw = camera.night(tmp_path / "raw", biases=0)
    for index in range(4):
        camera.write(raw / f"darkflat{index}.fits", "DARK", 2, OFFSET=30)
        camera.write(raw / f"longer{index}.fits", "DARK", 300, OFFSET=30)
    (plan,) = plan_night(raw, headers_only=True).setups
    assert plan.elsewhere == ("4 darks are not used: their offset setting (OFFSET) is 30, not 10",)


def test_what_differs_in_frames_of_one_shape_is_said(tmp_path):
    raw = Camera(seed=64).night(tmp_path / "raw")
    of_type(raw, "", BIASSEC="[41:48,1:40]")
    of_type(raw, "light", BIASSEC="[1:8,1:40]")
    (plan,) = plan_night(raw, headers_only=True).setups
    assert "3 flats of filter V are not used: their overscan section is [41:48,1:40], not [1:8,1:40]" in plan.elsewhere


@pytest.mark.parametrize("silent", ["dark", "light"])
def test_temperatures_that_are_not_told_have_a_remark_that_can_be_followed(tmp_path, silent):
    camera = Camera(seed=65)
    raw = camera.night(tmp_path / "raw", darks=0)
    camera.write(raw / "dark0.fits", "DARK", 30, temperature=-20.0)
    camera.write(raw / "dark1.fits", "DARK", 30, temperature=-18.5)
    for path in raw.glob(f"{silent}*"):
        fits.delval(path, "CCD-TEMP")
    said = [remark for remark in plan_night(raw, headers_only=True).remarks if "darks of 30 s" in remark]
    if silent == "dark":
        assert said[0].endswith("are subtracted all the same; leave out those that were taken at another temperature")
    else:
        assert "darks of 30 s are of -20.0 to -18.5 C; the headers of the science frames tell none" in said


def test_where_no_light_tells_its_temperature_nobody_is_told_to_mix_the_darks(tmp_path):
    raw = Camera(seed=66).night(tmp_path / "raw")
    Camera(seed=66).night(raw, biases=0, flats=0, lights=0, prefix="warm", temperature=-10.0)
    for path in raw.glob("light*"):
        fits.delval(path, "CCD-TEMP")
    (lost,) = [file for file in plan_night(raw, headers_only=True).unused if file.lost]
    assert "which is -20 C or -10 C in frames of the night" in lost.reason
    assert lost.reason.endswith(
        "put the frames of each setup into a folder of its own, and reduce each folder by itself"
    )


@pytest.mark.parametrize(("card", "named"), [("TEMP", " (TEMP)"), ("CCD-TEMP", "")])
def test_a_temperature_that_may_be_of_something_else_is_named(tmp_path, card, named):
    raw = Camera(seed=67).night(tmp_path / "raw")
    for path in raw.iterdir():
        fits.delval(path, "CCD-TEMP")
        fits.setval(path, card, value=2.0 if "dark" in path.name else 12.0)
    (plan,) = plan_night(raw, headers_only=True).setups
    may = "matching.temperature in a profile can allow it"
    assert plan.elsewhere == (f"4 darks are not used: their temperature is 2 C, not 12 C{named} ({may})",)


def test_a_flat_of_another_gain_does_not_tell_the_gain_of_the_night(tmp_path):
    flat = MasterFile(path=tmp_path / "flat.fits", kind="flat", shape=(4, 4), ours=True, gain=(4.5,), read_noise=(5.0,))
    assert Loan(masters=(Borrowed(flat, 1.0),)).numbers["gain"] == (4.5, None)
    assert Loan(masters=(Borrowed(flat, 1.0, "gain setting (GAIN) is 0, not 200"),)).numbers == {}


def test_flats_of_another_gain_serve_as_a_master(tmp_path):
    # Cameras with CMOS chips: flats and darks for them at the lowest gain, lights and their darks at a high one.
    camera = Camera(seed=68, GAIN=200, OFFSET=30)
    raw = camera.night(tmp_path / "raw", biases=0, flats=0, darks=20)
    flats = tmp_path / "raw" / "flats"
    for index in range(20):
        pixels = {kind: (camera.pixels(kind, 2, "V") // 3 + 100).astype(np.uint16) for kind in ("FLAT", "DARK")}
        for kind, data in pixels.items():
            low = {"GAIN": 0, "OFFSET": 10, "EGAIN": 4.5, "pixels": data}
            camera.write(flats / f"{kind}{index}.fits", kind, 2, "V" if kind == "FLAT" else "", **low)
    summary = reduce_night(raw, tmp_path / "without", **LEAN)
    said = " ".join(summary.remarks)
    assert "20 flats of filter V are not used: their gain setting (" in said
    assert "give it with --masters" in said
    reduce_night(flats, tmp_path / "of-flats", **LEAN)
    masters = tmp_path / "of-flats" / "masters" / "master-flat-V.fits"
    summary = reduce_night(raw, tmp_path / "out", masters=masters, **LEAN)
    (frame,) = summary.frames
    error = fits.getdata(frame.path) - camera.truth(30)
    # The noise of sky and read-out; without a flat 5% of 600 electrons come to it.
    assert np.std(error) < 1.1 * np.sqrt(np.mean(camera.truth(30)) * 1.05 + 25)
    assert "which makes no difference to a flat" in " ".join(summary.remarks)
