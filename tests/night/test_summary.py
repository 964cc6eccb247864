"""The numbers of a frame in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astro_calib.night.sky_noise import SkyNoise
from astro_calib.night.summary import FRAME_COLUMNS, FrameSummary


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
