"""What the demo shows first fits a terminal, whatever the names in it are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astro_calib.cli.first_look import _bars, first_look
from astro_calib.night import FrameSummary, SkyNoise

FRAME = FrameSummary(
    path=Path("m13.fits"),
    object="M 13",
    filter="V",
    exposure_time=60.0,
    saturated=3,
    bad=2048,
    sky=SkyNoise(level=212.0, observed=18.4, predicted=18.3, ratio=1.005),
    stars=120,
    snr_empirical_before=20.0,
    snr_empirical_after=30.0,
    shares={"shot noise": 0.75, "read noise": 0.2, "flat": 0.0495, "bias": 0.0004, "overscan": 0.0001},
)


def test_shares_are_bars_and_ratios_a_table():
    assert first_look([FRAME], 79).split("\n") == [
        "The error of a sky pixel, 18.3 electron in m13.fits, is made of",
        "  shot noise  75.0%  ##############################",
        "  read noise  20.0%  ########",
        "  flat         5.0%  ##",
        "  less than 0.1%: bias, overscan",
        "",
        "The signal-to-noise ratio of the stars before and after calibration (flux over",
        "the scatter of empty apertures, the median of the stars)",
        "  file      stars  before  after  times",
        "  m13.fits    120    20.0   30.0   1.50",
        "",
    ]


@pytest.mark.parametrize("width", [40, 60, 79])
def test_lines_are_no_longer_than_there_is_room(width):
    names = [f"source {number}" for number in range(60)]
    many = replace(FRAME, raw_name="a" * 30 + ".fits", shares=dict.fromkeys(names, 1e-4) | {"\x1b[31mred\n": 0.994})
    text = first_look([many] * 3, width)
    assert max(map(len, text.split("\n"))) <= max(width, 60)
    assert text.replace("\n", "").isprintable()


def test_frames_without_stars_or_shares_have_no_lines():
    bare = replace(FRAME, shares={}, snr_empirical_before=np.nan)
    assert first_look([bare], 79) == first_look([], 79) == ""
    none = replace(FRAME, shares={}, snr_empirical_before=0.0)
    assert first_look([none], 79).split("\n")[-2].split() == ["m13.fits", "120", "0.0", "30.0", "-"]


def test_what_takes_away_from_an_error_has_its_share():
    lines = _bars({"shot noise": 1.2, "bias": -0.2}, 79)
    assert lines[0].split()[:3] == ["shot", "noise", "120.0%"]
    assert lines[1].split() == ["bias", "-20.0%"]
