"""A sky below zero is the first thing that a summary says, and shares of its variance stay below the whole."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import CCDFrame
from astro_calib.night import reduce_night
from astro_calib.night.summary.sky_level import below_zero

from .synthetic import Camera


def reduce(raw, out, *, stars=False):
    return reduce_night(raw, out, detector="header", stars=stars, pictures=False, progress=False)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """A night whose darks have 300 adu (450 e) more than its lights, of 400 to 600 e of sky."""
    directory = tmp_path_factory.mktemp("wrong")
    raw = Camera(seed=51, shape=(96, 96)).night(directory / "raw", darks=0, lights=2)
    for index in range(4):
        Camera(seed=51, shape=(96, 96), pedestal=900.0).write(raw / f"dark{index}.fits", "DARK", 30)
    return raw


@pytest.mark.parametrize("stars", [False, True])
def test_a_sky_below_zero_is_the_first_thing_that_is_said(wrong, tmp_path, stars):
    summary = reduce(wrong, tmp_path / "out", stars=stars)
    (said,) = [line for line in summary.attention if "the sky of" in line]
    # 500 e of sky on average, of which 1.5 x 400 adu were subtracted.
    assert said.startswith("the sky of lightV0.fits, lightV1.fits is -")
    assert [frame.below_zero for frame in summary.frames] == pytest.approx([100, 100], abs=8)
    assert "more was subtracted than is there" in said
    assert str(summary).startswith("ATTENTION")


def test_shares_of_the_variance_are_parts_of_a_whole(wrong, tmp_path):
    summary = reduce(wrong, tmp_path / "out")
    for frame in summary.frames:
        assert sum(frame.shares.values()) == pytest.approx(1, abs=0.01)
        assert all(0 <= share <= 1 for share in frame.shares.values())


def test_a_right_night_has_a_sky_above_zero(tmp_path):
    summary = reduce(Camera(seed=52).night(tmp_path / "raw"), tmp_path / "out")
    assert summary.attention == ()
    assert summary.frames[0].below_zero == 0


@pytest.mark.parametrize(("level", "expected"), [(-120.0, 120), (-5.0, 5), (0.0, 0), (300.0, 0)])
def test_level(level, expected):
    rng = np.random.default_rng(53)
    for number in range(20):
        pixels = rng.normal(level, 10, (120, 160))
        # Stars do not hide it.
        pixels.flat[rng.integers(pixels.size, size=300)] += 2000
        image = CCDFrame(pixels, unit="electron", uncertainty=np.full(pixels.shape, 10.0))
        assert below_zero(image) == pytest.approx(expected, abs=0.5), number


@pytest.mark.long
@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (512, 512)])
def test_no_sky_at_all_is_not_below_zero(shape):
    rng = np.random.default_rng(54)
    images = [CCDFrame(rng.normal(0, 10, shape), unit="electron", uncertainty=np.full(shape, 10.0)) for _ in range(100)]
    assert not any(below_zero(image) for image in images)
