"""What names of files and folders tell: whole words, of what is below the folder that was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from astro_calib.night import plan_night
from astro_calib.night.headers.told_by_name import filter_by_name, kind_by_name

CAMERA = {"gain": 1.5, "read_noise": 8.0}


def kinds(plan):
    return {frame.path.name: frame.kind for frame in plan.frames}


@pytest.mark.parametrize(
    "name",
    [
        "unbiased.fits",
        "Zeroth.fits",
        "flatland.fits",
        "Flaters.fits",
        "Moonlight_001.fits",
        "Starlight/x.fits",
        "highlights/a.fits",
        "Darkness.fits",
        "Barnard33_darkneb_001.fits",
        "Dark Sky Park/a.fits",
        "DarkSky/a.fits",
    ],
)
def test_words_that_only_hold_that_of_a_kind_tell_nothing(name):
    assert kind_by_name(Path(name)) is None


@pytest.mark.parametrize(
    ("name", "kind", "band"),
    [
        ("TwilightFlat_g.fits", "flat", "g"),
        ("flatV.fits", "flat", "V"),
        ("vflat001.fits", "flat", "V"),
        ("skyflatB.fit", "flat", "B"),
        ("domeflat_r_1.fits", "flat", "r"),
        ("haflat_01.fits", "flat", None),
        ("FLATWIZARD/d.fits", "flat", None),
        ("FlatFrame_V.fits", "flat", "V"),
        ("DARKFRAME_1.fits", "dark", None),
        ("dark_flat_V_001.fit", "dark", "V"),
        ("FlatDarks/c.fits", "dark", None),
        ("biais_001.fits", "bias", None),
        ("LightFrame_001.fit", "science", None),
        ("flats/R_300s/a.fits", "flat", "R"),
        ("lights/R_And/a.fits", "science", None),
        ("lights/M31_R/a.fits", "science", "R"),
        ("FLAT_R0.FIT", "flat", "R"),
        ("LIGHT_V01.fit", "science", "V"),
        ("flat-B-V2.fit", "flat", None),
        ("light_V404.fit", "science", None),
        ("light_B33_001.fit", "science", None),
    ],
)
def test_kind_and_filter_of_names(name, kind, band):
    assert kind_by_name(Path(name)).value == kind
    told = filter_by_name(Path(name))
    assert (told and told.value) == band


def test_the_folder_of_the_night_tells_neither_kind_nor_filter(raw, write_raw):
    night = raw / "flats_V" / "darks"
    night.mkdir(parents=True)
    for path in (write_raw("a.fits", EXPTIME=30.0), write_raw("b.fits", "LIGHT"), write_raw("c.fits", "BIAS")):
        path.rename(night / path.name)
    plan = plan_night(night, headers_only=True, **CAMERA)
    assert kinds(plan) == {"b.fits": "science", "c.fits": "bias"}
    assert [(file.path.name, file.lost) for file in plan.unused] == [("a.fits", True)]
    assert plan.science[0].filter == ""
    # Seen from above both names are below what was given.
    plan = plan_night(raw, headers_only=True, **CAMERA)
    assert kinds(plan) == {"a.fits": "dark", "b.fits": "science", "c.fits": "bias"}
    assert plan.science[0].filter == "V"


def test_one_of_several_folders_tells_a_kind_if_that_is_its_whole_name(raw, write_raw):
    for name in ("biases", "Dark Frames", "lights", "dark nights V"):
        (raw / name).mkdir()
        write_raw(f"{name[:5]}.fits", EXPTIME=30.0, seed=len(name)).rename(raw / name / f"{name}.fits")
    plan = plan_night(sorted(raw.iterdir()), headers_only=True, **CAMERA)
    assert kinds(plan) == {"biases.fits": "bias", "Dark Frames.fits": "dark", "lights.fits": "science"} | {
        "dark nights V.fits": "dark"
    }
    for path in raw.glob("*/*.fits"):
        path.rename(path.with_name(f"{path.parent.name[0]}.fits"))
    # Files that were given count for the folders that they are in.
    plan = plan_night(sorted(raw.glob("*/*.fits")), headers_only=True, **CAMERA)
    assert kinds(plan) == {"b.fits": "bias", "D.fits": "dark", "l.fits": "science"}
    assert [file.path.parent.name for file in plan.unused] == ["dark nights V"]


@pytest.mark.usefixtures("small_night")
def test_a_file_and_a_folder_that_say_different_kinds_are_remarked(raw, write_raw):
    (raw / "darks").mkdir()
    (raw / "flats" / "darks").mkdir(parents=True)
    write_raw("flat-V-1.fits", level=20000, EXPTIME=2.0, seed=40).rename(raw / "darks" / "flat-V-1.fits")
    write_raw("b.fits", EXPTIME=2.0, seed=41).rename(raw / "flats" / "darks" / "b.fits")
    plan = plan_night(raw, **CAMERA)
    assert kinds(plan)["flat-V-1.fits"] == "flat"
    assert kinds(plan)["b.fits"] == "dark"
    (remark,) = [remark for remark in plan.remarks if "says something else" in remark]
    assert remark.startswith(
        "flat-V-1.fits: taken for a flat, as its name says, although its folder 'darks' says something else"
    )


@pytest.mark.usefixtures("small_night")
def test_what_tells_a_bias_is_said_where_it_has_an_exposure(raw, write_raw):
    write_raw("bias_9.fits", EXPTIME=60.0)
    write_raw("o1.fits", "LIGHT", EXPTIME=60.0)
    plan = plan_night(raw, bias="o1*", **CAMERA)
    assert "bias_9.fits: a bias by its name, although EXPTIME=60.0" in plan.remarks
    assert "o1.fits: a bias by --bias 'o1*', although EXPTIME=60.0" in plan.remarks
