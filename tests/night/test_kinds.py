"""Which frame is what: by hand, by rules, by names where headers are silent; and what is no raw frame."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib import DataQuality, reduce_night
from astro_calib.cli import main
from astro_calib.errors import FrameError, ProfileError
from astro_calib.night import load_profile, plan_night
from astro_calib.night.files.find import find_files
from astro_calib.night.headers.observed import time_of

CAMERA = {"gain": 1.5, "read_noise": 8.0}
QUICK = {"stars": False, "pictures": False, "progress": False}


def kinds(plan):
    return {frame.path.name: frame.kind for frame in plan.frames}


def reasons(plan):
    return {file.path.name: file.reason for file in plan.unused}


@pytest.fixture
def profile(tmp_path):
    """Write a profile of some lines; return its path."""

    def write(text):
        path = tmp_path / "camera.toml"
        path.write_text(text)
        return path

    return write


# -- profiles --------------------------------------------------------------------------------------------------------


def test_words_that_are_added_stand_beside_the_built_in_ones(profile):
    text = "[[flat]]\nadd = true\nkind = 'himmel'\n[keywords]\nkind = { add = 'BILDTYP' }\n"
    found = load_profile(profile(text))
    for keyword, word, kind in [
        ("BILDTYP", "Himmel", "flat"),
        ("IMAGETYP", "HIMMEL", "flat"),
        ("IMAGETYP", "Dome Flat", "flat"),
        ("IMAGETYP", "Light", "science"),
    ]:
        assert found.kind(fits.Header([(keyword, word)])) == kind
    # What is added goes before what is built in.
    assert found.kind(fits.Header([("IMAGETYP", "Light"), ("BILDTYP", "Himmel")])) == "flat"
    only = load_profile(profile("[flat]\nkind = 'himmel'\n"))
    assert only.kind(fits.Header([("IMAGETYP", "Dome Flat")])) is None


def test_names_of_files_and_folders_in_rules(profile, tmp_path):
    found = load_profile(profile("[flat]\nFILENAME = 'dusk*'\nIMAGETYP = 'LIGHT'\n[dark]\nFOLDER = 'closed'\n"))
    light = fits.Header([("IMAGETYP", "LIGHT")])
    assert found.kind(light, tmp_path / "Dusk_3.fits.gz") == "flat"
    assert found.kind(light, tmp_path / "dawn.fits") == "science"
    assert found.kind(light, tmp_path / "closed" / "300s" / "dusk.fits") == "dark"
    assert found.kind(light, tmp_path / "closed" / "a" / "b" / "c.fits") == "science"


def test_filters_of_two_wheels_are_one_name(profile):
    found = load_profile(profile("[keywords]\nfilter = ['WHEEL1 + WHEEL2', 'FILTER']\n"))

    def name(**cards):
        return found.find(fits.Header(list(cards.items())), "filter")

    assert name(WHEEL1="V", WHEEL2="ND 2")[1] == "V+ND 2"
    assert name(WHEEL1="V", WHEEL2="Clear")[1] == "V"
    assert name(WHEEL1="open", WHEEL2="V")[1] == "V"
    assert name(WHEEL1="open", WHEEL2="clear")[1] == "open"
    assert name(WHEEL2="V")[1] == "V"
    assert name(FILTER="R") == ("FILTER", "R")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[keywords]\nfilter = { plus = 'X' }", "unknown key 'plus' in keywords.filter"),
        ("[keywords]\nkind = 'A + B'", "keywords.kind is 'A + B'; it must be a header keyword"),
        ("[keywords]\nexposure_time = 'EXP [h]'", r"keywords.exposure_time is 'EXP [h]'; it must be"),
        ("[keywords]\nfilter = { add = 5 }", "keywords.filter.add is 5; it must be a header keyword"),
        ("[flat]\nadd = true", "it must be a table [flat] with at least one line"),
        ("[flat]\nadd = 'x'\nkind = 'y'", "flat.add is 'x'; it must be true or false"),
        ("[flat]\nreason = 'x'\nkind = 'y'", "flat.reason is 'x'; it must be text in quotes, in [ignore]"),
        ("[[flat]]\nadd = true\nkind = 'y'\n[[flat]]\nkind = 'z'", "true in all of [[flat]], or in none"),
    ],
)
def test_errors_in_what_is_added(profile, text, message):
    with pytest.raises(ProfileError) as caught:
        load_profile(profile(text))
    assert message in str(caught.value)


# -- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("pattern", ["dusk*", "DUSK.fits", "dusk", "evening/", "raw/evening", "evening/d*"])
def test_a_pattern_goes_before_the_header(raw, write_raw, pattern):
    path = write_raw("dusk.fits", "LIGHT", level=20_000, FILTER="V")
    (raw / "evening").mkdir()
    path.rename(raw / "evening" / "dusk.fits")
    assert kinds(plan_night(raw, **CAMERA))["dusk.fits"] == "science"
    plan = plan_night(raw, flat=pattern, **CAMERA)
    assert kinds(plan)["dusk.fits"] == "flat"
    assert [frame.why for frame in plan.frames if frame.name == "dusk"] == [f"--flat {pattern!r}"]
    assert kinds(plan)["bias0.fits"] == "bias"


@pytest.mark.usefixtures("small_night")
def test_a_folder_is_the_same_whichever_way_it_is_written(raw, write_raw, monkeypatch):
    path = write_raw("dusk.fits", "LIGHT", level=20_000, FILTER="V")
    (raw / "evening").mkdir()
    path.rename(raw / "evening" / "dusk.fits")
    monkeypatch.chdir(raw)
    for place in (raw / "evening", "./evening/", f"{raw}/../raw/evening", raw / "evening" / "dusk.fits"):
        assert kinds(plan_night(".", flat=place, **CAMERA))["dusk.fits"] == "flat"


@pytest.mark.usefixtures("small_night")
def test_patterns_that_contradict_each_other_and_that_fit_nothing(raw):
    plan = plan_night(raw, flat="flat*", dark=["flat1*", "dunkel"], **CAMERA)
    assert reasons(plan)["flat1.fits"].startswith("it fits --dark 'flat1*' and --flat 'flat*'; give patterns that tell")
    assert any("no file or folder fits --dark 'dunkel'" in remark for remark in plan.remarks)
    with pytest.raises(ValueError, match=r"flat is 5; expected a pattern"):
        plan_night(raw, flat=5, **CAMERA)


@pytest.mark.usefixtures("small_night")
def test_bad_pixels_of_a_file_are_flagged_and_masked(raw, tmp_path):
    mask = np.zeros((16, 20), np.uint8)
    mask[3, 7] = mask[12, 1] = 1
    # Among the raw frames, where observers keep it; one of these is gone.
    (raw / "gone.fits").symlink_to("nowhere.fits")
    fits.writeto(raw / "bad.fits", mask)
    summary = reduce_night(raw, tmp_path / "out", bad_pixels=raw / "bad.fits", **CAMERA, **QUICK)
    assert [file.path.name for file in summary.unused] == ["gone.fits"]
    with fits.open(summary.frames[0].path) as hdus:
        flagged = (hdus["FLAGS"].data & int(DataQuality.BAD)) > 0
        np.testing.assert_array_equal(flagged, mask > 0)
        assert (hdus["MASK"].data[mask > 0] > 0).all()


@pytest.mark.usefixtures("small_night")
def test_bad_pixels_that_cannot_be_those_of_the_night(raw, tmp_path):
    path = tmp_path / "bad.fits"
    fits.writeto(path, np.eye(9, dtype=np.uint8))
    plan = plan_night(raw, bad_pixels=path, **CAMERA)
    assert any("bad.fits has 9 columns and 9 rows, the frames have 20 and 16" in remark for remark in plan.remarks)
    assert plan.setups[0].bad_pixels() is None
    fits.writeto(path, np.ones((16, 20), np.uint8), overwrite=True)
    with pytest.raises(FrameError, match=r"100% of the pixels are bad; expected a mask with 0 where a pixel is good"):
        plan_night(raw, bad_pixels=path, **CAMERA)
    path.write_text("no mask")
    with pytest.raises(FrameError, match=r"the bad pixels of .*bad.fits cannot be used: not a FITS file"):
        plan_night(raw, bad_pixels=path, **CAMERA)


def test_bad_pixels_of_the_trimmed_frame(raw, write_raw, tmp_path):
    for index in range(2):
        write_raw(f"bias{index}.fits", "BIAS", BIASSEC="[17:20,1:16]", TRIMSEC="[1:16,1:16]")
    write_raw("a.fits", "LIGHT", BIASSEC="[17:20,1:16]", TRIMSEC="[1:16,1:16]")
    small, whole = np.zeros((16, 16), np.uint8), np.zeros((16, 20), np.uint8)
    small[2, 5] = whole[2, 5] = 1
    for number, mask in enumerate((small, whole)):
        fits.writeto(tmp_path / f"{number}.fits", mask)
        found = plan_night(raw, bad_pixels=tmp_path / f"{number}.fits", **CAMERA).setups[0].bad_pixels()
        np.testing.assert_array_equal(found, small > 0)


# -- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
def test_folders_of_kinds_are_reduced_to_the_same_pixels(raw, tmp_path):
    (flat,) = reduce_night(raw, tmp_path / "flat", **CAMERA, **QUICK).frames
    for kind, pattern in (("biases", "bias*"), ("flats/V", "flat*"), ("lights", "m13*")):
        (raw / kind).mkdir(parents=True)
        for path in list(raw.glob(pattern)):
            if path.is_file():
                path.rename(raw / kind / path.name)
    (deep,) = reduce_night(raw, tmp_path / "deep", **CAMERA, **QUICK).frames
    for extension in (0, "UNCERT", "FLAGS"):
        np.testing.assert_array_equal(fits.getdata(deep.path, extension), fits.getdata(flat.path, extension))


@pytest.mark.usefixtures("small_night")
def test_results_and_rejected_frames_below_a_night_are_not_searched(raw, write_raw):
    before = kinds(plan_night(raw, **CAMERA))
    reduce_night(raw, raw / "reduced", **CAMERA, **QUICK)
    (raw / "Rejected").mkdir()
    write_raw("cloudy.fits", "LIGHT", FILTER="V").rename(raw / "Rejected" / "cloudy.fits")
    (raw / ".hidden").mkdir()
    write_raw("hidden.fits", "LIGHT", FILTER="V").rename(raw / ".hidden" / "hidden.fits")
    plan = plan_night(raw, **CAMERA)
    assert kinds(plan) == before
    assert "results of a reduction" in reasons(plan)["reduced"]
    assert "holds what was rejected" in reasons(plan)["Rejected"]
    assert not any(file.lost for file in plan.unused)
    # What is asked for by name is searched.
    assert [path.name for path in find_files(raw / "Rejected")[0]] == ["cloudy.fits"]


@pytest.mark.usefixtures("small_night")
def test_a_link_to_a_folder_above_is_followed_once(raw):
    (raw / "again").symlink_to(raw)
    plan = plan_night(raw, **CAMERA)
    assert len(plan.frames) == 6
    assert reasons(plan) == {"again": "a link to a directory that is searched already"}


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    ("name", "reason", "lost"),
    [
        ("m13.xisf", "an XISF file, which is not read here; let the program that wrote it save it as FITS", True),
        ("master-dark.xisf", "an XISF file", False),
        ("flat-1.xisf", "an XISF file", False),
        ("jupiter.ser", "a SER film, which is not read here", True),
    ],
)
def test_files_of_other_formats_are_refused_in_a_sentence(raw, name, reason, lost):
    (raw / name).write_bytes(b"XISF0100")
    (file,) = plan_night(raw, **CAMERA).unused
    assert (file.reason.startswith(reason), file.lost) == (True, lost)


# -- what is no raw frame --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    ("name", "cards", "reason"),
    [
        ("a.fits", {"NCOMBINE": 9}, "is a stack (NCOMBINE=9)"),
        ("a.fits", {"COMBINED": True}, "is a stack (COMBINED=T)"),
        ("a.fits", {"IMAGETYP": "Master Flat"}, "is a master (IMAGETYP='Master Flat')"),
        ("master-flat-V.fits", {}, "is a master by its name"),
        ("masters/flat-V.fits", {}, "is in a folder of masters, 'masters'"),
    ],
)
def test_a_master_is_no_raw_frame(raw, write_raw, name, cards, reason):
    path = raw / name
    path.parent.mkdir(exist_ok=True)
    write_raw("a.fits", "FLAT", level=20_000, FILTER="V", **cards).rename(path)
    (file,) = plan_night(raw, **CAMERA).unused
    assert reason in file.reason
    assert "--masters" in file.reason
    assert not file.lost


@pytest.mark.usefixtures("small_night")
def test_whoever_calls_a_raw_frame_a_master_can_say_so(raw, write_raw):
    write_raw("master-bedroom-flat.fits", "FLAT", level=20_000, FILTER="V")
    plan = plan_night(raw, flat="master-bed*", **CAMERA)
    assert kinds(plan)["master-bedroom-flat.fits"] == "flat"


@pytest.mark.usefixtures("small_night")
def test_number_of_frames_in_a_row_is_no_stack(raw, write_raw):
    write_raw("a.fits", "LIGHT", FILTER="V", NFRAMES=20)
    assert kinds(plan_night(raw, **CAMERA))["a.fits"] == "science"


@pytest.mark.usefixtures("small_night")
def test_fractions_and_colour_images_are_no_raw_frames(raw):
    header = fits.Header([("IMAGETYP", "LIGHT"), ("EXPTIME", 30.0), ("FILTER", "V")])
    rng = np.random.default_rng(1)
    fits.writeto(raw / "fraction.fits", rng.random((16, 20)).astype(np.float32), header)
    fits.writeto(raw / "colour.fits", rng.integers(9, 99, (3, 16, 20)).astype(np.uint16), header)
    fits.writeto(
        raw / "stack.fits", rng.integers(9, 99, (3, 16, 20)).astype(np.uint16), header + fits.Header({"STACKCNT": 9})
    )
    plan = plan_night(raw, **CAMERA)
    found = reasons(plan)
    # A stack is no science frame that was lost.
    assert {file.path.name for file in plan.unused if file.lost} == {"colour.fits"}
    assert found["stack.fits"].startswith("no raw frame, for it is a stack (STACKCNT=9): the image has 3 dimensions")
    assert "fractions between 0 and 1" in found["fraction.fits"]
    assert "It may be a colour image: give the frames that it was made of" in found["colour.fits"]
    # Whole numbers in floats are those of a camera.
    fits.writeto(raw / "whole.fits", rng.integers(900, 1100, (16, 20)).astype(np.float32), header)
    assert kinds(plan_night(raw, **CAMERA))["whole.fits"] == "science"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            (name, "flat")
            for name in ("flat", "Flat_V", "FLAT-01", "flat R 10s", "flatV", "Flat Field B", "dome flat R")
        ),
        *((name, "flat") for name in ("Flat Halpha", "flat sdss-g", "Sky Flats", "FlatDither00", "twilight")),
        *((name, "science") for name in ("Flat Rock Nebula", "Flaters", "Flattop Mountain Galaxy", "flatland")),
    ],
)
def test_a_target_whose_name_begins_like_a_flat_is_none(name, kind):
    assert load_profile("generic").kind(fits.Header([("IMAGETYP", "LIGHT"), ("OBJECT", name)])) == kind


# -- names and headers -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
def test_names_against_headers_and_targets_that_are_called_like_kinds(raw, write_raw):
    write_raw("flat-07.fits", "LIGHT", level=20_000, FILTER="V")
    write_raw("dark_nebula.fits", "LIGHT", FILTER="V")
    plan = plan_night(raw, **CAMERA)
    assert kinds(plan)["flat-07.fits"] == kinds(plan)["dark_nebula.fits"] == "science"
    (remark,) = [remark for remark in plan.remarks if "although its name says" in remark]
    assert remark.startswith("flat-07.fits: a science frame, as IMAGETYP='LIGHT' says, although its name says flat")


@pytest.mark.usefixtures("small_night")
def test_file_of_which_nothing_tells_the_kind_may_be_a_science_frame(raw, write_raw):
    write_raw("a.fits", None, EXPTIME=30.0)
    write_raw("b.fits", "SLIT", EXPTIME=30.0)
    plan = plan_night(raw, **CAMERA)
    assert {file.path.name: file.lost for file in plan.unused} == {"a.fits": True, "b.fits": False}
    assert "--bias, --dark, --flat or --science with a pattern of its name" in reasons(plan)["a.fits"]


@pytest.mark.parametrize("word", ["Bildtyp 7", "0", "SKY", "plop"])
@pytest.mark.usefixtures("small_night")
def test_a_frame_whose_word_for_its_kind_is_not_known_is_missed(raw, tmp_path, write_raw, word):
    write_raw("z1.fits", word, EXPTIME=30.0)
    summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    assert summary.outcome == "part"
    text = str(summary)
    assert text.startswith(
        "FAILED: files of a kind that is not known, which may be science frames (1):\n  z1.fits: its kind"
    )
    assert f"IMAGETYP={word!r}" in text
    # That it is of no use can be said.
    profile = tmp_path / "mine.toml"
    profile.write_text(f"[[ignore]]\nadd = true\nIMAGETYP = {word!r}\n")
    assert not any(file.lost for file in plan_night(raw, profile, **CAMERA).unused)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("LIGHTFRAME", "science"),
        ("Light (raw)", "science"),
        ("objekt", "science"),
        ("Science,IMG", "science"),
        ("DARKFRAME", "dark"),
        ("Dunkelbild", "dark"),
        ("DARK,FLAT", "dark"),
        ("BIASFRAME", "bias"),
        ("Biais", "bias"),
        ("FLATFRAME", "flat"),
        ("FLAT_V", "flat"),
        ("Dusk flat", "flat"),
        ("AUTOFLAT", "flat"),
        ("twi-flat", "flat"),
        ("FLAT,LAMP,OFF", "ignore"),
        ("DOMEFLAT OFF", "ignore"),
    ],
)
def test_more_words_for_kinds(word, kind):
    header = fits.Header([("IMAGETYP", word), ("EXPTIME", 30.0)])
    assert load_profile("generic").kind(header) == kind


@pytest.mark.usefixtures("small_night")
def test_flats_whose_filters_only_their_names_tell_are_not_mixed(raw, write_raw):
    for index, name in enumerate(("flat-B-1.fits", "flat-B-2.fits", "flat-R-1.fits")):
        write_raw(name, "FLAT", level=20_000 + 1000 * index)
    plan = plan_night(raw, **CAMERA)
    assert {name: len(frames) for name, frames in plan.flats.items()} == {"B": 2, "R": 1, "V": 2}
    (remark,) = [remark for remark in plan.remarks if "for its header names none" in remark]
    assert remark.startswith(
        "flat-B-1.fits, flat-B-2.fits, flat-R-1.fits: its filter is the one that its name or folder"
    )


@pytest.mark.parametrize(
    ("cards", "gain"),
    [
        ({"GAIN": 1.5}, 1.5),
        ({"GAIN": 120}, None),
        ({"GAIN": 120.0}, None),
        ({"GAIN": 0}, None),
        ({"GAIN": (1, "DCS GAIN INDEX")}, None),
        ({"GAIN": (0.6, "[adu/e-]")}, None),
        ({"GAIN": (2, "e-/ADU")}, 2),
        ({"GAIN": 2}, 2),
        ({"GAIN": 2, "OFFSET": 30}, None),
        ({"GAIN": 120, "EGAIN": 1.002}, 1.002),
        ({"GAIN": 120, "CCDGAIN": 2.5}, 2.5),
        ({"CCDSENS": 0.97, "GAIN": 7.0}, 0.97),
        ({"HIERARCH ESO DET OUT1 CONAD": 2.19}, 2.19),
    ],
    ids=str,
)
def test_gains_that_can_be_electrons_per_adu(cards, gain):
    header = fits.Header()
    for keyword, value in cards.items():
        header[keyword] = value
    found = load_profile("generic").find(header, "gain")
    assert (None if found is None else found[1]) == gain


@pytest.mark.parametrize("keyword", ["RDNOISE", "CCDRON", "HIERARCH ESO DET OUT1 RON"])
def test_read_noise_in_headers(keyword):
    header = fits.Header()
    header[keyword] = 4.5
    assert load_profile("generic").find(header, "read_noise")[1] == 4.5


@pytest.mark.parametrize(
    ("comment", "noise"),
    [
        ("read noise [adu]", None),
        ("(DN) RMS", None),
        ("noise in counts", None),
        ("read noise [electron]", 4.5),
        ("[e-] noise", 4.5),
        ("[e-], for 1.5 e-/adu", 4.5),
        ("", 4.5),
    ],
)
def test_a_read_noise_whose_comment_names_its_unit(comment, noise):
    found = load_profile("generic").find(fits.Header([("RDNOISE", 4.5, comment)]), "read_noise")
    assert (None if found is None else found[1]) == noise


def test_a_night_whose_only_read_noise_is_in_adu_is_told_so(raw, write_raw):
    for name, kind in (("bias.fits", "BIAS"), ("a.fits", "LIGHT")):
        fits.setval(write_raw(name, kind, GAIN=1.5), "RDNOISE", value=3.0, comment="[adu]")
    with pytest.raises(FrameError, match=r"RDNOISE=3.0 is in adu, as its comment says.*Give --read-noise"):
        plan_night(raw)


def test_a_night_whose_only_gain_is_a_setting_is_told_so(raw, write_raw):
    write_raw("bias.fits", "BIAS", GAIN=139, RDNOISE=3.0)
    write_raw("a.fits", "LIGHT", GAIN=139, RDNOISE=3.0)
    with pytest.raises(FrameError, match=r"GAIN=139 is what the camera was set to, .*Give --gain"):
        plan_night(raw)


@pytest.mark.parametrize(
    ("cards", "saturation"),
    [
        # The converter of the ZWO ASI183 ends at 4094.
        ({"BITDEPTH": 12}, 4094),
        ({"BITDEPTH": 14}, 16382),
        ({"BITDEPTH": 16}, 65535),
        ({"BITDEPTH": 32}, None),
        ({"DATAMAX": 65535.0}, 65535),
        ({"DATAMAX": 60000.0}, 60000),
        ({"DATAMAX": (51283.0, "largest value in the image")}, None),
        ({"DATAMAX": (51283.0, "[ADU] saturation level")}, 51283),
        ({"SATURATE": 50000, "BITDEPTH": 12}, 50000),
        ({"SATURATE": (90000, "[e-] full well")}, None),
        ({"SATURATE": (90000, "full well in electrons"), "BITDEPTH": 16}, 65535),
        ({"SATURATE": (60000, "[adu] where it is saturated")}, 60000),
    ],
    ids=str,
)
def test_saturation_in_headers(cards, saturation):
    header = fits.Header()
    for keyword, value in cards.items():
        header[keyword] = value
    found = load_profile("generic").find(header, "saturation")
    assert (None if found is None else found[1]) == saturation


# Modified Julian dates from the tables of the Astronomical Almanac: 2000 January 1.5 is 51544.5.
@pytest.mark.parametrize(
    ("cards", "days"),
    [
        ({"DATE-OBS": "2000-01-01T12:00:00"}, 51544.5),
        ({"DATE-OBS": "2000-01-01T12:00:00.000Z"}, 51544.5),
        ({"DATE-OBS": "2000-01-01", "TIME-OBS": "12:00:00"}, 51544.5),
        ({"DATE-OBS": "2000-01-01", "UT": "12:00:00.0"}, 51544.5),
        ({"DATE-OBS": "01/01/00", "UT": "12:00:00"}, 51544.5),
        ({"DATE-OBS": "31/12/99", "TIME-OBS": "12:00:00"}, 51543.5),
        ({"MJD-OBS": 51544.5}, 51544.5),
        ({"JD": 2451545.0}, 51544.5),
        ({"JD": "2451545.0"}, 51544.5),
        ({"DATE-OBS": "unknown", "JD": 2451545.0}, 51544.5),
        ({"DATE-OBS": "2000-01-01"}, None),
        ({"DATE-OBS": "2000-13-01T12:00:00"}, None),
        ({"MJD-OBS": 0.0}, None),
        ({}, None),
    ],
    ids=str,
)
def test_time_of_an_observation(cards, days):
    found = time_of(fits.Header(list(cards.items())))
    assert found == (None if days is None else pytest.approx(days, abs=1e-9))


def test_a_night_of_silent_headers_is_sorted_by_options(raw, write_raw, tmp_path):
    for index in range(3):
        write_raw(f"a{index}.fits", None, EXPTIME=0.0)
        write_raw(f"b{index}.fits", None, level=20_000 + 500 * index, EXPTIME=3.0, FILTER="V")
    write_raw("c.fits", None, level=1500, EXPTIME=30.0, FILTER="V")
    fits.writeto(tmp_path / "bad.fits", np.eye(16, 20, dtype=np.uint8))
    options = ["--gain", "1.5", "--read-noise", "8", "--no-stars", "--no-pictures"]
    given = ["--bias", "a?", "--flat", "b0*", "--flat", "b[12].fits", "--science", "c.fits"]
    command = ["reduce", str(raw), "-o", str(tmp_path / "out"), *options, *given]
    result = CliRunner().invoke(main, [*command, "--bad-pixels", str(tmp_path / "bad.fits")])
    assert result.exit_code == 0, result.output
    header = fits.getheader(tmp_path / "out" / "masters" / "master-bias.fits")
    flat = fits.getheader(tmp_path / "out" / "masters" / "master-flat-V.fits")
    assert (header["NCOMBINE"], flat["NCOMBINE"]) == (3, 3)
    flags = fits.getdata(tmp_path / "out" / "calibrated" / "c.fits", "FLAGS")
    assert np.count_nonzero(flags & int(DataQuality.BAD)) == 16


# -- real frames -----------------------------------------------------------------------------------------------------


def test_real_frames_of_a_camera_of_twelve_bits(huntsman, tmp_path):
    summary = reduce_night(huntsman, tmp_path / "out", read_noise=3, **QUICK)
    assert {frame.path.name: frame.kind for frame in summary.plan.frames} == {
        "bias_0.fits.gz": "bias",
        "dark_0.fits.gz": "dark",
        "flat_0.fits.gz": "flat",
        "science_0.fits.gz": "science",
    }
    full = fits.getdata(huntsman / "science_0.fits.gz") >= 4094
    assert np.count_nonzero(full) == 82
    flags = fits.getdata(summary.frames[0].path, "FLAGS")
    np.testing.assert_array_equal((flags & int(DataQuality.SATURATED)) > 0, full)
    assert summary.plan.detector.gain.value == pytest.approx(1.144745, rel=1e-5)


def test_real_twilight_flats_are_recognised_without_a_profile_of_their_own(nickel):
    plan = plan_night(nickel, "generic", headers_only=True)
    frames = [frame for setup in (*plan.setups, *plan.incomplete) for frame in setup.frames]
    assert sorted(frame.name for frame in frames if frame.kind == "flat") == ["d1035", "d1036", "d1037"]
    assert all(
        any(
            "taken for a flat, as OBJECT='sky flat' says, although OBSTYPE='OBJECT'" in remark
            for remark in frame.remarks
        )
        for frame in frames
        if frame.kind == "flat"
    )
    assert sum(frame.kind == "bias" for frame in frames) == 10
    assert sum(frame.kind == "science" for frame in frames) == 6


def test_real_masters_are_no_raw_frames(aspen):
    plan = plan_night(aspen, headers_only=True)
    masters = [file for file in plan.unused if "COMBINED" in file.reason]
    assert len(masters) == 3
    assert not any(file.lost for file in masters)
