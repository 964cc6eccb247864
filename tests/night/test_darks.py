"""Which dark a frame gets, and exposure times that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import CCDFrame
from astro_calib.night import reduce_night
from astro_calib.night.masters.master_set import Darks
from astro_calib.night.planning import plan_night


def masters(**sigmas):
    """Darks by the number of their seconds, each of some sigma."""
    darks = {
        float(name[1:]): CCDFrame(np.zeros((4, 5)), unit="electron", uncertainty=np.full((4, 5), sigma))
        for name, sigma in sigmas.items()
    }
    return Darks(darks=darks)


@pytest.mark.parametrize(
    ("sigmas", "seconds", "chosen"),
    [
        # One of the same exposure.
        ({"s60": 5.0, "s600": 1.0}, 60.0, 60.0),
        ({"s60": 5.0, "s600": 1.0}, 60.4, 60.0),
        # Scaled down, a longer one has less noise: 0.5 against 10.
        ({"s30": 5.0, "s600": 5.0}, 60.0, 600.0),
        # But not if it is one frame among means of many: 0.8 against 1.5.
        ({"s80": 1.0, "s120": 3.0}, 60.0, 80.0),
        # Days do not take the place of minutes.
        ({"s120": 2.0, "s1000000": 2.0}, 60.0, 120.0),
        ({"s120": 2.0, "s1000000": 2.0}, 300.0, 120.0),
        ({"s120": 2.0, "s100000": 0.1}, 1000.0, 120.0),
        # What there is, if there is nothing near.
        ({"s1": 2.0, "s2": 2.0}, 300.0, 2.0),
        ({"s600": 2.0, "s1200": 2.0}, 1.0, 600.0),
        ({"s600": 2.0}, 0.0, 600.0),
        # One without a pixel of use.
        ({"s100": np.nan, "s120": 2.0}, 60.0, 120.0),
    ],
)
def test_the_dark_for_a_frame(sigmas, seconds, chosen):
    night = masters(**sigmas)
    assert night.dark_for(seconds) is night.darks[chosen]


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("seconds", [1e300, 1e30, 1e6, 864001.0])
@pytest.mark.parametrize("kind", ["LIGHT", "DARK", "FLAT"])
def test_an_exposure_of_more_than_ten_days_is_none(write_raw, raw, seconds, kind):
    write_raw("odd.fits", kind, FILTER="V", EXPTIME=seconds)
    plan = plan_night(raw, gain=1.5, read_noise=8.0)
    (odd,) = (file for file in plan.unused if file.path.name == "odd.fits")
    assert "more than 10 days" in odd.reason
    assert odd.lost == (kind == "LIGHT")


@pytest.mark.usefixtures("quick", "small_night")
@pytest.mark.parametrize("seconds", [1e6, 100000.0])
def test_a_dark_of_days_does_not_replace_a_good_one(write_raw, raw, tmp_path, seconds):
    for index in range(3):
        write_raw(f"dark{index}.fits", "DARK", level=1040, EXPTIME=120.0)
    write_raw("days.fits", "DARK", level=60000, EXPTIME=seconds)
    write_raw("days2.fits", "DARK", level=60000, EXPTIME=seconds)
    summary = reduce_night(raw, tmp_path / "out", gain=1.5, read_noise=8.0, progress=False, pictures=False)
    image = CCDFrame.read(summary.frames[0].path)
    # 500 adu above the bias, less a quarter of 40 adu, and a flat of one level.
    assert np.median(image.data) == pytest.approx(1.5 * (500 - 10), abs=6)
    assert image.provenance[-1]["masters"][1]["name"].startswith("master-dark-120s")


@pytest.mark.usefixtures("quick", "small_night")
def test_a_dark_that_is_far_away_is_said(write_raw, raw, tmp_path):
    for index in range(3):
        write_raw(f"dark{index}.fits", "DARK", level=1001, EXPTIME=1.0)
    summary = reduce_night(raw, tmp_path / "out", gain=1.5, read_noise=8.0, progress=False, pictures=False)
    assert any("no dark nearer than 1 s" in remark for remark in summary.remarks)


@pytest.mark.usefixtures("quick", "small_night")
def test_the_pixels_of_the_science_frame_are_finite(raw, tmp_path, write_raw):
    write_raw("long.fits", "LIGHT", level=1500, FILTER="V", EXPTIME=1e300)
    for index in range(2):
        write_raw(f"dark{index}.fits", "DARK", level=1040, EXPTIME=120.0)
    summary = reduce_night(raw, tmp_path / "out", gain=1.5, read_noise=8.0, progress=False, pictures=False)
    assert [file.path.name for file in summary.unused if file.lost] == ["long.fits"]
    for frame in summary.frames:
        assert np.isfinite(fits.getdata(frame.path)).all()
