"""Frames that do not go together: the right result, or a frame that is refused and named; never a wrong number."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.cli.reduce import lost
from astro_calib.errors import FrameError
from astro_calib.night import plan_night, reduce_night
from tests.night.synthetic import DARK, GAIN, READ_NOISE, Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}

#: What differs in a setup, as cards of the usual frames and of the odd ones; the name is that of the mistake.
SETTINGS = {
    "temperature": ({"CCD-TEMP": -20.0}, {"CCD-TEMP": -5.0}),
    "set temperature": ({"SET-TEMP": -20.0, "CCD-TEMP": None}, {"SET-TEMP": -5.0, "CCD-TEMP": None}),
    "a cooler that is not there yet": (
        {"SET-TEMP": -20.0, "CCD-TEMP": -19.8},
        {"SET-TEMP": -20.0, "CCD-TEMP": -5.0},
    ),
    "offset": ({"OFFSET": 30}, {"OFFSET": 50}),
    "gain setting": ({"GAIN": 120}, {"GAIN": 300}),
    "row order": ({"ROWORDER": "TOP-DOWN"}, {"ROWORDER": "BOTTOM-UP"}),
    "binning": ({"XBINNING": 2, "YBINNING": 2}, {"XBINNING": 1, "YBINNING": 1}),
    "window": ({"XORGSUBF": 0, "YORGSUBF": 0}, {"XORGSUBF": 512, "YORGSUBF": 0}),
    "camera": ({"INSTRUME": "ZWO ASI294MM Pro"}, {"INSTRUME": "ZWO ASI183MM Pro"}),
    "read mode": ({"READOUTM": "High gain"}, {"READOUTM": "Extended full well"}),
}


def set_cards(paths, cards):
    for path in paths:
        with fits.open(path, mode="update") as hdus:
            for card, value in cards.items():
                if value is None:
                    hdus[0].header.remove(card, ignore_missing=True)
                else:
                    hdus[0].header[card] = value


def reduced(raw, out, **options):
    return reduce_night(raw, out, **{**LEAN, **options})


def image(summary, name):
    (frame,) = [one for one in summary.frames if one.path.name == name]
    return fits.getdata(frame.path)


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """A night, and another that a camera of another bias, dark and flat has taken."""
    directory = tmp_path_factory.mktemp("nights")
    Camera(seed=1).night(directory / "usual")
    Camera(seed=2).night(directory / "odd", prefix="odd")
    return directory


ALL_KINDS = ("bias", "dark", "flat")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [*((name, ALL_KINDS) for name in SETTINGS), *(("offset", (kind,)) for kind in ALL_KINDS)],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_calibration_frames_of_another_setup_change_nothing(nights, tmp_path, name, kinds):
    raw = tmp_path / "raw"
    shutil.copytree(nights / "usual", raw)
    usual, other = SETTINGS[name]
    set_cards(raw.iterdir(), usual)
    alone = reduced(raw, tmp_path / "alone")
    odd = [path for path in (nights / "odd").iterdir() if any(kind in path.name for kind in kinds)]
    set_cards([shutil.copy(path, raw) for path in odd], other)
    mixed = reduced(raw, tmp_path / "mixed")
    np.testing.assert_array_equal(image(mixed, "lightV0.fits"), image(alone, "lightV0.fits"))
    assert {file.path.name for file in mixed.unused} == {path.name for path in odd}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_light_of_another_setup_is_refused_and_named(nights, tmp_path, name):
    raw = tmp_path / "raw"
    shutil.copytree(nights / "usual", raw)
    usual, other = SETTINGS[name]
    set_cards(raw.iterdir(), usual)
    set_cards([shutil.copy(nights / "odd" / "oddlightV0.fits", raw)], other)
    summary = reduced(raw, tmp_path / "out")
    assert [frame.path.name for frame in summary.frames] == ["lightV0.fits"]
    assert "oddlightV0.fits: its " in lost(summary)


@pytest.mark.parametrize(
    "name",
    # Which settings tell two setups apart is seen above; here, what is made of both.
    [
        name if name in ("offset", "binning", "camera") else pytest.param(name, marks=pytest.mark.long)
        for name in SETTINGS
    ],
)
def test_a_night_of_two_setups_gives_what_each_gives_alone(nights, tmp_path, name):
    usual, other = SETTINGS[name]
    expected = {}
    for part, cards in (("usual", usual), ("odd", other)):
        shutil.copytree(nights / part, tmp_path / part)
        set_cards((tmp_path / part).iterdir(), cards)
        alone = reduced(tmp_path / part, tmp_path / f"{part}-out")
        expected |= {frame.path.name: fits.getdata(frame.path) for frame in alone.frames}
    summary = reduced([tmp_path / "usual", tmp_path / "odd"], tmp_path / "out")
    assert summary.unused == ()
    assert expected.keys() == {frame.path.name for frame in summary.frames} == {"lightV0.fits", "oddlightV0.fits"}
    for light, data in expected.items():
        np.testing.assert_array_equal(image(summary, light), data, err_msg=light)


def test_a_dark_of_another_temperature_is_not_mixed_in(tmp_path):
    # Lights at 0 C have 18 electrons of dark current in 30 s, of which darks at -20 C have a tenth.
    camera = Camera(seed=5)
    raw = camera.night(tmp_path / "raw", temperature=0.0, darks=10, biases=10)
    for index in range(10):
        camera.write(raw / f"cold{index}.fits", "DARK", 30, temperature=-20.0)
    summary = reduced(raw, tmp_path / "out")
    (dark,) = [master for master in summary.masters if master.kind == "dark"]
    assert dark.number == 10
    assert fits.getdata(dark.path).mean() == pytest.approx(30 * DARK, abs=0.6)
    assert fits.getdata(summary.frames[0].path).mean() == pytest.approx(camera.truth(30).mean(), abs=3)
    assert any("temperature is -20 C, not 0 C" in file.reason for file in summary.unused)


def test_flats_of_two_filters_are_two_masters(tmp_path):
    camera = Camera(seed=6)
    raw = camera.night(tmp_path / "raw", "VR", flats=4)
    summary = reduced(raw, tmp_path / "out")
    ratios = {master.title: master.noise_ratio for master in summary.masters if master.kind == "flat"}
    assert ratios.keys() == {"master flat, V", "master flat, R"}
    # Merged they scatter by several times of what is predicted.
    assert all(0.9 < ratio < 1.1 for ratio in ratios.values())
    for name in "VR":
        error = image(summary, f"light{name}0.fits") / camera.truth(30) - 1
        assert error.std() < 0.1


@pytest.mark.parametrize("number", [3, 11])
def test_flats_of_two_filters_that_no_header_tells_apart_are_said_first(tmp_path, number):
    camera = Camera(seed=8)
    raw = camera.night(tmp_path / "raw", flats=0, lights=0)
    for name in "VR":
        for index in range(number):
            camera.write(raw / f"flat{name}{index:02}.fits", "FLAT", 2, name, FILTER="Clear")
    camera.write(raw / "light.fits", "LIGHT", 30, "V", FILTER="Clear")
    summary = reduced(raw, tmp_path / "out")
    (flat,) = [master for master in summary.masters if master.kind == "flat"]
    assert flat.noise_ratio > 1.5
    (alarm,) = [text for text in summary.attention if "its frames scatter by" in text]
    assert alarm.startswith("master-flat-Clear.fits: ")
    assert "flats of several filters" in alarm
    assert str(summary).startswith("ATTENTION\n")
    # It is said once.
    assert not any("its frames scatter by" in remark for remark in summary.remarks)


def test_frames_that_were_written_upside_down_are_not_subtracted_from_others(tmp_path):
    camera = Camera(seed=7)
    raw = tmp_path / "raw"
    camera.night(raw, flats=0)
    set_cards(raw.iterdir(), {"ROWORDER": "BOTTOM-UP"})
    for index in range(3):
        camera.write(raw / f"flat{index}.fits", "FLAT", 2, "V", flip=True, ROWORDER="TOP-DOWN")
    summary = reduced(raw, tmp_path / "out")
    assert [master.kind for master in summary.masters] == ["bias", "dark"]
    assert any("no flat for filter V: reduced without one" in remark for remark in summary.remarks)
    assert any("row order (ROWORDER) is top-down, not bottom-up" in file.reason for file in summary.unused)


def test_dark_flats_serve_flats_and_not_lights(tmp_path):
    camera = Camera(seed=8)
    raw = camera.night(tmp_path / "raw", temperature=0.0)
    alone = reduced(raw, tmp_path / "alone")
    for index in range(4):
        camera.write(raw / f"darkflat{index}.fits", "Dark Flat", 2, temperature=0.0)
    summary = reduced(raw, tmp_path / "out")
    titles = [master.title for master in summary.masters]
    assert "master dark, 2 s" in titles
    assert "master dark, 30 s" in titles
    steps = fits.getdata(summary.frames[0].path) - fits.getdata(alone.frames[0].path)
    # Only the flat is another one, by what the dark current of 2 s and its noise are of 30000 electrons.
    assert np.abs(steps).max() < 2e-3 * camera.truth(30).max()


@pytest.mark.parametrize("name", ["bias", "dark", "flat"])
def test_a_master_among_raw_frames_is_not_taken_for_one(nights, tmp_path, name):
    raw = tmp_path / "raw"
    shutil.copytree(nights / "usual", raw)
    alone = reduced(raw, tmp_path / "alone")
    masters = {"bias": "master-bias", "dark": "master-dark-30s", "flat": "master-flat-V"}
    shutil.copy(tmp_path / "alone" / "masters" / f"{masters[name]}.fits", raw / f"{name}-of-yesterday.fits")
    summary = reduced(raw, tmp_path / "out")
    np.testing.assert_array_equal(image(summary, "lightV0.fits"), image(alone, "lightV0.fits"))
    assert [file.path.name for file in summary.unused] == [f"{name}-of-yesterday.fits"]


def test_lights_at_another_temperature_than_the_flats_say_what_there_is(tmp_path):
    camera = Camera(seed=9)
    raw = camera.night(tmp_path / "raw", flats=0, temperature=-20.0)
    for index in range(2):
        camera.write(raw / f"flat{index}.fits", "FLAT", 2, "V", temperature=-10.0)
    summary = reduced(raw, tmp_path / "out")
    text = "\n".join(summary.remarks)
    # Flats hardly depend on the temperature, and those of a cooled camera are taken at dusk.
    assert "flats are of -10.0 C, the science frames of -20.0 C: they serve" in text
    error = image(summary, "lightV0.fits") / camera.truth(30) - 1
    assert error.std() < 0.1


def test_an_error_says_what_there_is_of_every_kind_that_is_missing(raw, write_raw):
    write_raw("light.fits", "LIGHT", GAIN=100)
    for kind, number in (("BIAS", 6), ("DARK", 5), ("FLAT", 4)):
        for index in range(number):
            write_raw(f"{kind}{index}.fits", kind, GAIN=200)
    with pytest.raises(FrameError) as caught:
        plan_night(raw, gain=1.5, read_noise=8.0)
    for found in ("6 biases are not used: their gain", "5 darks are not used: their gain", "4 flats of frames without"):
        assert found in str(caught.value)


@pytest.mark.parametrize(("temperature", "used"), [(-18.0, True), (-17.0, False)])
def test_the_tolerance_is_two_and_a_half_degrees_unless_a_profile_says_otherwise(tmp_path, temperature, used):
    camera = Camera(seed=10)
    raw = camera.night(tmp_path / "raw", darks=0)
    for index in range(3):
        camera.write(raw / f"dark{index}.fits", "DARK", 30, temperature=temperature)
    summary = reduced(raw, tmp_path / "out")
    assert (summary.unused == ()) is used
    profile = tmp_path / "mine.toml"
    profile.write_text("[matching]\ntemperature = 5\n")
    assert reduced(raw, tmp_path / "wide", profile=profile).unused == ()
    profile.write_text("[matching]\ntemperature = 0.5\n")
    assert len(reduced(raw, tmp_path / "narrow", profile=profile).unused) == 3


def test_a_pedestal_that_contradicts_the_darks_is_remarked(tmp_path):
    raw = Camera(pedestal=500.0).night(tmp_path / "raw", biases=0)
    right = reduced(raw, tmp_path / "right", pedestal=500.0)
    wrong = reduced(raw, tmp_path / "wrong", pedestal=800.0)
    assert not [remark for remark in right.remarks if "more was subtracted" in remark]
    (remark,) = [remark for remark in wrong.remarks if "more was subtracted" in remark]
    # 300 adu of 1.5 electron each.
    assert float(remark.partition("median is ")[2].split()[0]) == pytest.approx(-450, abs=10)


def test_a_pedestal_beside_biases_is_said_not_to_be_used(tmp_path):
    raw = Camera().night(tmp_path / "raw")
    without = reduced(raw, tmp_path / "without")
    summary = reduced(raw, tmp_path / "out", pedestal=800.0)
    assert "the pedestal of 800 adu is not used: biases tell the level of zero light" in summary.remarks
    assert not [remark for remark in without.remarks if "pedestal" in remark]
    np.testing.assert_array_equal(image(summary, "lightV0.fits"), image(without, "lightV0.fits"))


def test_flats_with_hardly_any_light_are_remarked(tmp_path):
    camera = Camera()
    raw = camera.night(tmp_path / "raw")
    assert not [remark for remark in reduced(raw, tmp_path / "bright").remarks if "brighter" in remark]
    rng = np.random.default_rng(3)
    for path in raw.glob("flat*"):
        with fits.open(path, mode="update") as hdus:
            electrons = rng.poisson(60 * camera.response("V")) + camera.bias + rng.normal(0, READ_NOISE, camera.shape)
            hdus[0].data = np.round(electrons / GAIN + camera.pedestal).astype(np.uint16)
    (remark,) = [remark for remark in reduced(raw, tmp_path / "faint").remarks if "brighter" in remark]
    # Three flats of 60 electron and a read noise of 5, and four biases.
    percent = 100 * np.sqrt((60 + READ_NOISE**2) / 3 + READ_NOISE**2 / 4) / 60
    assert float(remark.partition("known to ")[2].partition("%")[0]) == pytest.approx(percent, rel=0.1)
