"""The numbers of a frame in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astro_calib import reduce_night
from astro_calib.night.summary.frame_summary import FrameSummary
from astro_calib.night.summary.frame_tables import FRAME_COLUMNS, short_frame_lines
from astro_calib.night.summary.plain import plain
from astro_calib.photometry.sky_noise import SkyNoise


@pytest.fixture
def frame():
    return FrameSummary(
        path=Path("d1059.fits"),
        table=Path("d1059.ecsv"),
        object="M 13",
        filter="V",
        exposure_time=60.0,
        sky=SkyNoise(100.0, 10.0, 10.0, 1.0),
        stars=1000,
        stars_found=1814,
        snr_before=30.0,
        snr_after=30.0,
        snr_empirical_before=20.0,
        snr_empirical_after=25.0,
        empty_ratio=1.0,
        saturated=3,
        bad=4,
    )


def test_stars_that_were_found_and_not_measured_are_told(frame):
    cells = {column.title: column.cell for column in FRAME_COLUMNS}
    assert cells["stars"](frame) == "1000 of 1814"
    assert cells["stars"](replace(frame, stars_found=1000)) == "1000"


@pytest.mark.parametrize(("ratio", "remarked"), [(0.94, 1), (0.96, 0), (1.11, 0), (1.13, 1), (np.nan, 0)])
def test_sky_noise_that_is_not_as_predicted_is_remarked_on(frame, ratio, remarked):
    remarks = replace(frame, sky=SkyNoise(100.0, 10.0, 10.0, ratio)).remarks()
    assert len(remarks) == remarked
    assert all("look into it" in remark for remark in remarks)


@pytest.mark.parametrize(("ratio", "remarked"), [(1.19, 0), (1.21, 1), (np.nan, 0)])
def test_empty_apertures_that_are_not_empty_are_remarked_on(frame, ratio, remarked):
    remarks = replace(frame, empty_ratio=ratio).remarks()
    assert len(remarks) == remarked
    assert all("crowded or structured field" in remark for remark in remarks)


def test_how_many_blocks_of_the_sky_there_were_is_told(frame):
    cells = {column.title: column.cell for column in FRAME_COLUMNS}
    assert cells["blocks"](replace(frame, sky=SkyNoise(100.0, 10.0, 10.0, 1.0, 287, 300))) == "287 of 300"
    assert cells["blocks"](frame) == "-"
    (remark,) = replace(frame, sky=SkyNoise(100.0, 13.0, 10.0, 1.3, 287, 300)).remarks()
    assert "1.300 of what is predicted, in 287 of 300 blocks of pixels" in remark


def test_a_noise_of_the_sky_that_is_not_told_is_remarked_on(frame):
    sky = SkyNoise(100.0, np.nan, 10.0, np.nan, 3, 300, "only 3 of 300 blocks are free")
    cells = {column.title: column.cell for column in FRAME_COLUMNS}
    assert (cells["ratio"](replace(frame, sky=sky)), cells["blocks"](replace(frame, sky=sky))) == ("-", "3 of 300")
    (remark,) = replace(frame, sky=sky).remarks()
    assert remark == (
        "d1059.fits: whether the noise of the sky is as predicted is not known: only 3 of 300 blocks are free"
    )


def test_trailed_stars_are_remarked_on(frame):
    assert replace(frame, fwhm=5.0, fwhm_across=4.0, aperture=5.0).remarks() == []
    (remark,) = replace(frame, fwhm=6.0, fwhm_across=2.5, aperture=6.0).remarks()
    assert remark == "d1059.fits: stars are 6.0 by 2.5 pixels: trailed or out of focus"


def test_apertures_that_do_not_hold_the_stars_are_remarked_on(frame):
    assert replace(frame, fwhm=5.0, fwhm_across=5.0, aperture=4.0).remarks() == []
    (remark,) = replace(frame, fwhm=5.0, fwhm_across=5.0, aperture=3.5).remarks()
    assert "apertures of radius 3.5 pixels, and stars 5.0 wide" in remark


def test_what_was_left_out_is_told_by_frame():
    cells = {column.title: column.cell for column in FRAME_COLUMNS}
    one = FrameSummary(
        path=Path("a.fits"),
        object="",
        filter="V",
        exposure_time=1.0,
        saturated=0,
        bad=0,
        fwhm=3.14,
        left_out={"too sharp": 12, "edge": 3},
    )
    assert cells["left out"](one) == "15"
    assert cells["fwhm"](one) == "3.1"


def test_files_of_one_name_are_called_with_their_folders(raw, write_raw, tmp_path):
    for number in range(3):
        write_raw(f"bias{number}.fits", "BIAS")
    for seed, folder in enumerate(["a", "b"], start=10):
        (raw / folder).mkdir()
        write_raw("m13.fits", "LIGHT", level=1500, seed=seed).rename(raw / folder / "m13.fits")
    write_raw("cut.fits", "LIGHT", seed=20).write_bytes(b"SIMPLE")
    choices = {"gain": 1.5, "read_noise": 8.0, "stars": False, "pictures": False, "progress": False}
    summary = reduce_night(raw, tmp_path / "out", **choices)
    assert [frame.raw_name for frame in summary.frames] == ["a/m13.fits", "b/m13.fits"]
    assert sorted(name for name in summary.called.values() if "/" in name) == ["a/m13.fits", "b/m13.fits"]
    text = summary.text(80)
    assert "\n  a/m13.fits  " in text
    assert "\n  cut.fits: " in text


def test_tables_of_frames_fit_or_cut_what_was_observed_and_no_number(frame):
    frames = [replace(frame, object="a galaxy with a long name", raw_name=f"d{number}.fits.gz") for number in (1, 2)]
    whole = short_frame_lines(frames, 120)
    assert "a galaxy with a long ..." in whole[2]
    narrow = short_frame_lines(frames, 76)
    assert len(narrow) == len(whole)
    assert max(map(len, narrow)) <= 76
    assert narrow[2].split()[-4:] == whole[2].split()[-4:]


def test_all_that_the_summary_says_can_be_json(frame):
    content = json.loads(json.dumps(plain(frame), allow_nan=False))
    assert (content["path"], content["snr_after"], content["fwhm"]) == ("d1059.fits", 30.0, None)
    assert content["sky"]["ratio"] == 1.0
