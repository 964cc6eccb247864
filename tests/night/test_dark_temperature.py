"""Darks whose temperature is not that of the science frames, or not told: left out, or said."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night import plan_night, reduce_night
from tests.night.synthetic import Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}


def said(summary, *words):
    return [remark for remark in summary.remarks if all(word in remark for word in words)]


@pytest.mark.parametrize("names_first", [True, False])
def test_darks_that_tell_the_temperature_are_taken_and_not_those_that_are_silent(tmp_path, names_first):
    camera = Camera(seed=21)
    camera.night(tmp_path / "raw", temperature=0.0, darks=6)
    alone = reduce_night(tmp_path / "raw", tmp_path / "alone", **LEAN)
    # They are 16 degrees warmer, which nothing tells.
    for number in range(3):
        name = f"{'a' if names_first else 'x'}{number}.fits"
        path = camera.write(tmp_path / "raw" / name, "DARK", 30, temperature=16.0)
        fits.delval(path, "CCD-TEMP")
    both = reduce_night(tmp_path / "raw", tmp_path / "both", **LEAN)
    np.testing.assert_array_equal(*(fits.getdata(one.frames[0].path) for one in (alone, both)))
    assert len(both.unused) == 3
    assert all("does not tell its temperature" in file.reason for file in both.unused)


def test_silent_darks_serve_where_there_are_no_others(tmp_path):
    camera = Camera(seed=22)
    raw = camera.night(tmp_path / "raw")
    for path in raw.glob("dark*"):
        fits.delval(path, "CCD-TEMP")
    plan = plan_night(raw, headers_only=True)
    assert plan.unused == ()
    assert said(plan, "nothing tells the temperature of the darks of 30 s")


@pytest.mark.parametrize(
    ("of_darks", "words"),
    [
        (-20.4, ()),
        # It doubles every six degrees.
        (-18.0, ("-18.0 C", "-20.0 C", "about 26% too much")),
        (-22.0, ("-22.0 C", "about 21% too little")),
    ],
)
def test_a_difference_within_the_tolerance_is_said(tmp_path, of_darks, words):
    camera = Camera(seed=23)
    raw = camera.night(tmp_path / "raw", darks=0)
    for number in range(3):
        camera.write(raw / f"dark{number}.fits", "DARK", 30, temperature=of_darks)
    plan = plan_night(raw, headers_only=True)
    assert plan.unused == ()
    assert bool(said(plan, "of the dark current is subtracted", *words)) == bool(words)


def test_a_cooler_that_drifts_is_said(tmp_path):
    camera = Camera(seed=24)
    raw = camera.night(tmp_path / "raw", darks=0)
    for number in range(5):
        camera.write(raw / f"dark{number}.fits", "DARK", 30, temperature=-21.0 + number / 2)
    plan = plan_night(raw, headers_only=True)
    assert said(plan, "temperature of the darks of 30 s goes from -21.0 to -19.0 C")
    assert not said(plan, "is subtracted (")


def test_a_chip_that_is_very_cold_is_one_setup(tmp_path):
    camera = Camera(seed=25)
    raw = camera.night(tmp_path / "raw", temperature=-108.0)
    for number in range(3):
        camera.write(raw / f"colder{number}.fits", "BIAS", temperature=-112.0)
    plan = plan_night(raw, headers_only=True)
    assert plan.unused == ()
    assert len(plan.setups) == 1
    assert not [remark for remark in plan.remarks if "temperature" in remark]
