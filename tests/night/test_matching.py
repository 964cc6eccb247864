"""Which bias, dark and flat a science frame gets: without biases, with nothing at all, of several nights and angles."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.night import plan_night, reduce_night
from astro_calib.night.common.frames import RawFrame
from astro_calib.night.matching.matching import Choice, dark_choice, flat_choice, flat_groups
from astro_calib.night.profiles.matching_rules import Matching
from tests.night.synthetic import GAIN, READ_NOISE, Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}
RULES = Matching()


def off(summary, camera, seconds=30.0):
    """How a calibrated frame differs from the truth, in standard errors, and in electron."""
    (frame,) = summary.frames
    difference = fits.getdata(frame.path) - camera.truth(seconds)
    return difference / np.sqrt(fits.getdata(frame.path, "UNCERT")), difference


# -- nights without biases ---------------------------------------------------------------------------------------------


def test_darks_of_the_same_exposure_with_their_bias_serve_where_there_are_no_biases(tmp_path):
    camera = Camera(seed=21)
    raw = camera.night(tmp_path / "raw", biases=0, darks=16, flats=16, temperature=-5.0)
    for index in range(16):
        camera.write(raw / f"darkflat{index}.fits", "DARK", 2, temperature=-5.0)
    pulls, difference = off(reduce_night(raw, tmp_path / "out", **LEAN), camera)
    assert np.mean(difference) == pytest.approx(0, abs=2.5)
    assert np.std(pulls) == pytest.approx(1, abs=0.06)


def test_flats_without_darks_of_their_own_lose_the_level_of_zero_light(tmp_path):
    camera = Camera(seed=22)
    raw = camera.night(tmp_path / "raw", biases=0, darks=16, flats=16)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert any(remark.startswith("flats of 2 s have no dark of their exposure") for remark in summary.remarks)
    pulls, difference = off(summary, camera)
    # The pattern of the bias, 20 electrons, stays in flats of 30000.
    assert np.mean(difference) == pytest.approx(0, abs=2.5)
    assert np.std(pulls) == pytest.approx(1, abs=0.06)
    assert (
        "there are no biases: darks of the same exposure are subtracted with the bias that they hold" in summary.remarks
    )


def test_dark_current_of_a_warm_camera_is_in_the_error_bars_although_the_read_noise_is_stated(tmp_path):
    # 18 electrons of dark current in 30 s, and a read noise of 5.
    camera = Camera(seed=20)
    raw = camera.night(tmp_path / "raw", biases=0, darks=12, flats=12, temperature=0.0)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    (ratio,) = [master.noise_ratio for master in summary.masters if master.kind == "dark"]
    assert ratio == pytest.approx(1, abs=0.06)
    pulls, difference = off(summary, camera)
    assert np.mean(difference) == pytest.approx(0, abs=2.5)
    assert np.std(pulls) == pytest.approx(1, abs=0.06)


def test_a_dark_of_another_exposure_cannot_take_the_place_of_a_bias(tmp_path):
    camera = Camera(seed=23)
    raw = camera.night(tmp_path / "raw", biases=0)
    camera.write(raw / "long.fits", "LIGHT", 300, "V")
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert [frame.path.name for frame in summary.frames] == ["lightV0.fits"]
    (file,) = (file for file in summary.unused if file.lost)
    assert file.path.name == "long.fits"
    assert "darks of 30 s, whose bias cannot be scaled; give biases, or darks of 300 s" in file.reason


def test_no_dark_of_the_exposure_at_all_is_an_error_that_says_what_to_do(tmp_path):
    camera = Camera(seed=24)
    raw = camera.night(tmp_path / "raw", biases=0, darks=0)
    camera.write(raw / "dark.fits", "DARK", 60)
    with pytest.raises(FrameError, match=r"give biases, or darks of the exposure of the science frames \(30 s\)"):
        reduce_night(raw, tmp_path / "out", **LEAN)


def test_between_two_darks_the_bias_in_them_stays_as_it_is(tmp_path):
    camera = Camera(seed=25)
    raw = camera.night(tmp_path / "raw", biases=0, darks=0, flats=16, temperature=0.0)
    for index in range(16):
        camera.write(raw / f"short{index}.fits", "DARK", 15, temperature=0.0)
        camera.write(raw / f"long{index}.fits", "DARK", 60, temperature=0.0)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    pulls, difference = off(summary, camera)
    assert np.mean(difference) == pytest.approx(0, abs=2.5)
    assert np.std(pulls) == pytest.approx(1, abs=0.06)
    assert any("what lies between those of 15 s and 60 s" in remark for remark in summary.remarks)


def test_without_biases_read_noise_is_measured_from_darks(tmp_path):
    camera = Camera((128, 160), seed=26)
    camera.cards = {"RDNOISE": None, "EGAIN": None}
    raw = camera.night(tmp_path / "raw", biases=0, darks=6, flats=0)
    for index, seconds in enumerate([1, 1, 2, 2]):
        camera.write(raw / f"flat{index}.fits", "FLAT", seconds, "V")
    for path in raw.iterdir():
        fits.delval(path, "RDNOISE", ignore_missing=True)
        fits.delval(path, "EGAIN", ignore_missing=True)
    summary = reduce_night(raw, tmp_path / "out", **LEAN | {"detector": "auto"})
    gain, noise = summary.plan.numbers
    assert gain.value == pytest.approx(GAIN, rel=0.05)
    assert noise.value == pytest.approx(
        np.hypot(READ_NOISE, np.sqrt(camera.rate.mean() * 30 * 2 ** (-20 / 6))), rel=0.05
    )
    assert "were exposed: dark current adds to the noise" in " ".join(str(summary).split())
    (ratio,) = [master.noise_ratio for master in summary.masters if master.kind == "dark"]
    # The pattern of the bias is in the darks, and is no signal.
    assert ratio == pytest.approx(1, abs=0.05)


# -- lights alone ------------------------------------------------------------------------------------------------------


def test_lights_alone_are_reduced_with_a_pedestal_that_is_given(tmp_path):
    camera = Camera(seed=27)
    camera.bias[:] = 0
    camera.rate[:] = 0
    camera.flats["V"][:] = 1
    raw = camera.night(tmp_path / "raw", biases=0, darks=0, flats=0)
    with pytest.raises(FrameError, match=r"or the level of zero light \(--pedestal"):
        reduce_night(raw, tmp_path / "none", **LEAN)
    summary = reduce_night(raw, tmp_path / "out", pedestal=500, **LEAN)
    pulls, difference = off(summary, camera)
    assert np.mean(difference) == pytest.approx(0, abs=2.5)
    assert np.std(pulls) == pytest.approx(1, abs=0.06)
    assert "there is nothing to calibrate with: only the level of zero light is subtracted" in summary.remarks


def test_lights_alone_are_reduced_with_an_overscan(tmp_path):
    camera = Camera((40, 56), seed=28, BIASSEC="[49:56,1:40]", TRIMSEC="[1:48,1:40]")
    camera.bias[:] = 0
    camera.rate[:] = 0
    camera.flats["V"][:] = 1
    camera.sky[:, 48:] = 0
    raw = camera.night(tmp_path / "raw", biases=0, darks=0, flats=0)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    image = fits.getdata(summary.frames[0].path)
    assert image.shape == (40, 48)
    assert np.mean(image - camera.sky[:, :48]) == pytest.approx(0, abs=2.5)
    assert any("no flat for filter V" in remark for remark in summary.remarks)


# -- flats of several nights, and angles -------------------------------------------------------------------------------


def frame(kind, *, seconds=30.0, name="V", time=None, rotator=None, path="a.fits"):
    return RawFrame(
        path=path,
        name=path,
        kind=kind,
        filter=name,
        exposure_time=seconds,
        object="",
        shape=(4, 4),
        unsigned_16_bit=True,
        overscan=None,
        trim=None,
        gain=None,
        read_noise=None,
        saturation=None,
        time=time,
        rotator=rotator,
    )


def test_the_flats_nearest_in_time_are_taken():
    flats = [frame("flat", time=time, path=f"{time}.fits") for time in (100.1, 100.11, 101.1, 101.12)]
    groups = flat_groups(flats, RULES)
    assert {key: [flat.time for flat in group] for key, group in groups.items()} == {
        "V": [100.1, 100.11],
        "V-2": [101.1, 101.12],
    }
    assert flat_choice(frame("science", time=100.3), groups, RULES).key == "V"
    chosen = flat_choice(frame("science", time=100.9), groups, RULES)
    assert chosen.key == "V-2"
    assert "nearest in time (5.0 h away)" in chosen.why


def test_flats_of_dusk_and_dawn_are_one_master():
    flats = [frame("flat", time=time) for time in (100.0, 100.5)]
    assert list(flat_groups(flats, RULES)) == ["V"]


@pytest.mark.parametrize(
    ("angle", "key"), [(10.5, "V"), (359.5 + 10, "V"), (190.0, "V-2"), (-170.0, "V-2"), (100.0, "")]
)
def test_flats_of_the_rotators_angle_are_taken(angle, key):
    groups = flat_groups([frame("flat", rotator=10.0), frame("flat", rotator=190.0)], RULES)
    chosen = flat_choice(frame("science", rotator=angle), groups, RULES)
    assert chosen.key == key
    if not key:
        assert chosen.why == "the flats of filter V have the rotator at 10 degrees, 190 degrees, and not at 100 degrees"
        assert chosen.mend == "flats of filter V at 100 degrees, or a larger matching.rotator in a profile"


def test_angles_that_no_header_tells_do_not_matter():
    groups = flat_groups([frame("flat", rotator=10.0)], RULES)
    assert flat_choice(frame("science"), groups, RULES).key == "V"
    groups = flat_groups([frame("flat")], RULES)
    assert flat_choice(frame("science", rotator=3.0), groups, RULES).key == "V"


def test_other_flats_are_named_where_there_are_none_of_the_filter():
    chosen = flat_choice(frame("science", name="B"), flat_groups([frame("flat")], RULES), RULES)
    assert chosen == Choice(why="no flat for filter B; there are flats of V", mend="flats of filter B")


def test_flats_of_two_nights_make_two_masters_and_each_light_gets_its_own(tmp_path):
    raw, cameras = tmp_path / "raw", [Camera(seed=31), Camera(seed=31)]
    cameras[1].flats["V"] = cameras[0].flats["V"][::-1].copy()
    cameras[0].night(raw, lights=0, flats=0)
    for number, camera in enumerate(cameras):
        day = f"2024-05-{10 + number}T"
        for index in range(12):
            camera.write(raw / f"flat{number}{index}.fits", "FLAT", 2, "V", **{"DATE-OBS": f"{day}03:{index:02}:00"})
        camera.write(raw / f"light{number}.fits", "LIGHT", 30, "V", **{"DATE-OBS": f"{day}06:00:00"})
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert [master.path.stem for master in summary.masters if master.kind == "flat"] == [
        "master-flat-V",
        "master-flat-V-2",
    ]
    for made, camera in zip(summary.frames, cameras, strict=True):
        pulls = (fits.getdata(made.path) - camera.truth(30)) / np.sqrt(fits.getdata(made.path, "UNCERT"))
        assert np.std(pulls) == pytest.approx(1, abs=0.08)


# -- darks by their headers --------------------------------------------------------------------------------------------


def test_the_plan_says_which_dark_and_why():
    darks = {30.0: (frame("dark"),), 300.0: (frame("dark", seconds=300.0),) * 2}
    assert dark_choice(300.5, darks, RULES, with_bias=False).why == "2 of the same exposure"
    scaled = dark_choice(60.0, {30.0: darks[30.0]}, RULES, with_bias=False)
    assert (scaled.why, scaled.mend) == ("scaled by 2, which nothing tests", "darks of 60 s")
    assert not dark_choice(60.0, darks, Matching(scale_darks=False), with_bias=False).name
    assert not dark_choice(600.0, darks, RULES, with_bias=True).name
    assert dark_choice(60.0, darks, RULES, with_bias=True).name == "dark-30s and dark-300s"


def test_a_plan_from_headers_says_what_goes_with_each_frame_and_what_is_missing(tmp_path):
    camera = Camera(seed=33)
    raw = camera.night(tmp_path / "raw", darks=0)
    camera.write(raw / "red.fits", "LIGHT", 60, "R")
    (setup,) = plan_night(raw, headers_only=True).setups
    assert setup.detector is None
    matches = {match.frame.path.name: match for match in setup.matches()}
    assert matches["lightV0.fits"].flat.name == "flat-V"
    assert [len(match.bias.frames) for match in matches.values()] == [4, 4]
    assert matches["red.fits"].flat.why == "no flat for filter R; there are flats of V"
    assert matches["red.fits"].dark.mend == "darks of 60 s"


def test_an_incomplete_night_is_planned_from_headers_all_the_same(tmp_path):
    camera = Camera(seed=34)
    camera.write(tmp_path / "raw" / "light.fits", "LIGHT", 60, "R")
    night = plan_night(tmp_path / "raw", headers_only=True)
    assert night.setups == ()
    (setup,) = night.incomplete
    assert "nothing to calibrate with" in setup.problem
    assert [match.flat.mend for match in setup.matches()] == ["flats of filter R"]
