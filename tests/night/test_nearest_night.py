"""Calibration frames of several nights in one folder, and clocks that cannot be right."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night import plan_night, reduce_night
from tests.night.synthetic import DARK, Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}
HOT = 2000.0


def night(raw, kinds, date, *, camera=None, prefix="", numbers=(3, 3, 3, 1), temperature=0.0):
    """Frames of some kinds that were taken on a day."""
    camera = camera or Camera((48, 64), seed=1)
    number = dict(zip(("BIAS", "DARK", "FLAT", "LIGHT"), numbers, strict=True))
    for kind in kinds:
        seconds = {"BIAS": 0, "FLAT": 2}.get(kind, 30)
        for index in range(number[kind]):
            cards = {"DATE-OBS": f"{date}T20:{index:02d}:00"} if date else {}
            name = "V" if kind in ("FLAT", "LIGHT") else ""
            camera.write(raw / f"{prefix}{kind.lower()}{index}.fits", kind, seconds, name, temperature, **cards)
    return raw


ALL = ("BIAS", "DARK", "FLAT", "LIGHT")


def test_darks_of_the_night_are_taken_and_not_those_of_months_ago(tmp_path):
    raw = night(tmp_path / "raw", ALL, "2024-01-01", numbers=(3, 4, 3, 1))
    other = Camera((48, 64), seed=9)
    other.bias, other.rate = Camera((48, 64), seed=1).bias, other.rate + HOT / 30 * (other.rng.random((48, 64)) < 0.01)
    night(raw, ("DARK",), "2023-06-01", camera=other, prefix="old")
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert {file.path.name for file in summary.unused} == {"olddark0.fits", "olddark1.fits", "olddark2.fits"}
    (dark,) = [master for master in summary.masters if master.kind == "dark"]
    assert dark.number == 4
    # Ten times the dark current's noise in a master of four darks, and far below a hot pixel.
    assert fits.getdata(dark.path).max() < 30 * DARK * 4 + 100
    (remark,) = [text for text in summary.remarks if "of another night" in text]
    assert "left out: of another night, 2023-06-01, 214 days from the science frames" in remark
    assert "enough darks of 30 s of 2024-01-01" in remark


@pytest.mark.parametrize(
    ("own", "old", "said"),
    [
        # Too few of the night, so that all are better than these.
        (2, 3, "the biases are of several nights, 2023-06-01 and 2024-01-01, and are averaged"),
        (3, 3, "of another night, 2023-06-01, 214 days"),
    ],
)
def test_biases_of_several_nights(tmp_path, own, old, said):
    raw = night(tmp_path / "raw", ALL, "2024-01-01", numbers=(own, 3, 3, 1))
    night(raw, ("BIAS",), "2023-06-01", prefix="old", numbers=(old, 0, 0, 0))
    plan = plan_night(raw, headers_only=True)
    assert any(said in remark for remark in plan.remarks)
    assert len(plan.biases) == (3 if own == 3 else own + old)


def test_a_run_of_nights_is_one(tmp_path):
    raw = tmp_path / "raw"
    for day in ("2024-01-01", "2024-01-02", "2024-01-04", "2024-01-09"):
        night(raw, ALL, day, prefix=day)
    plan = plan_night(raw, headers_only=True)
    assert (len(plan.biases), plan.unused, plan.remarks) == (12, (), ())


def test_each_of_two_runs_with_science_frames_keeps_its_darks(tmp_path):
    raw = tmp_path / "raw"
    for day in ("2024-01-01", "2024-05-01"):
        night(raw, ALL, day, prefix=day)
    plan = plan_night(raw, headers_only=True)
    assert len(plan.biases) == 6
    assert "the biases are of several nights, 2024-01-01 and 2024-05-01, and are averaged" in plan.remarks


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("2024-01-08", []),
        ("2024-01-21", ["light0.fits: the flats of filter V are 20 days away in time; dust may have moved since"]),
        (
            "2035-01-01",
            [
                f"light0.fits: {what} are 11 years away in time; {doubt}, or a clock was wrong: look at the dates in "
                "the headers"
                for what, doubt in (
                    ("the biases", "bias and hot pixels may have changed since"),
                    ("the darks", "bias and hot pixels may have changed since"),
                    ("the flats of filter V", "dust may have moved since"),
                )
            ],
        ),
        ("", []),
    ],
)
def test_what_is_far_away_in_time_is_said(tmp_path, date, said):
    raw = night(tmp_path / "raw", ("BIAS", "DARK", "FLAT"), "2024-01-01")
    night(raw, ("LIGHT",), date)
    plan = plan_night(raw, headers_only=True)
    assert [remark for remark in plan.remarks if "away in time" in remark] == said


def test_frames_without_a_time_stay(tmp_path):
    raw = night(tmp_path / "raw", ALL, "2024-01-01")
    night(raw, ("BIAS", "DARK"), "", prefix="undated")
    plan = plan_night(raw, headers_only=True)
    assert len(plan.biases) == 6
    assert np.sum([len(darks) for darks in plan.darks.values()]) == 6


@pytest.mark.parametrize("kinds", [("DARK",), ("BIAS",)])
def test_darks_or_biases_of_another_month_alone_are_said_to_be_old(tmp_path, kinds):
    # Other pixels are hot after a hundred days.
    raw = night(tmp_path / "raw", tuple(kind for kind in ALL if kind not in kinds), "2024-04-10")
    night(raw, kinds, "2024-01-01", prefix="old")
    (remark,) = [one for one in plan_night(raw, headers_only=True).remarks if "away in time" in one]
    assert "are 100 days away in time; bias and hot pixels may have changed since" in remark


@pytest.mark.parametrize(
    ("lights", "flats", "said"),
    [
        ("", "2024-01-01", "light0.fits: its header does not tell its time, and of 2 sets of flats of filter V"),
        ("2024-01-01", "", "bflat0.fits, bflat1.fits, bflat2.fits: its header does not tell its time: of 2 sets"),
        ("2024-01-01", "2024-01-01", ""),
    ],
)
def test_what_tells_no_time_is_named_where_there_are_flats_of_two_nights(tmp_path, lights, flats, said):
    raw = night(tmp_path / "raw", ("BIAS", "DARK"), "2024-01-01")
    night(raw, ("FLAT",), "2023-12-27", prefix="a")
    night(raw, ("FLAT",), "2024-01-01", prefix="c")
    night(raw, ("FLAT",), flats, prefix="b")
    night(raw, ("LIGHT",), lights)
    remarks = [one for one in plan_night(raw, headers_only=True).remarks if "does not tell its time" in one]
    assert [one[: len(said)] for one in remarks] == ([said] if said else [])
