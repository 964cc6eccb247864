"""Darks that are not what they should be, as pixels tell: of several temperatures, of other nights, with light."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import CCDFrame
from astro_calib.night import reduce_night
from astro_calib.night.masters.dark_frames import DarkFrames
from tests.night.synthetic import Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}
SHAPE, NOISE = (120, 160), 8.0


def hot_pixels(seed, number=200):
    rng = np.random.default_rng(seed)
    electrons = np.full(SHAPE, 3.0)
    electrons.flat[rng.choice(electrons.size, number, replace=False)] += rng.uniform(60, 1200, number)
    return electrons


def remark_on(electrons, seed=0):
    """What is said of darks of these true electrons."""
    rng = np.random.default_rng(seed)
    looks = DarkFrames(len(electrons))
    for number, mean in enumerate(electrons):
        pixels = rng.poisson(mean) + rng.normal(0, NOISE, SHAPE)
        frame = CCDFrame(pixels, unit="electron", uncertainty=np.sqrt(mean + NOISE**2))
        frame.name = f"d{number}.fits"
        assert list(looks.watched([frame])) == [frame]
    return looks.remark()


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        # A temperature that is higher by ten degrees.
        ((1, 1, 1, 3, 3, 3), "3 times as bright in d3.fits, d4.fits, d5.fits as in the faintest"),
        # The cooler drifts.
        ((1, 1.5, 2, 2.5, 3, 3.5), "3.5 times as bright"),
        ((1, 1, 1.25), "1.2 times as bright in d2.fits"),
        # A degree less than one changes it by less than a tenth.
        ((1, 1.03, 0.97, 1.05), ""),
        ((1,) * 6, ""),
        # Of two frames cosmic rays cannot be told from hot pixels.
        ((1, 3), ""),
    ],
)
def test_hot_pixels_tell_darks_of_several_temperatures(scales, said):
    hot = hot_pixels(1)
    remark = remark_on([scale * hot for scale in scales])
    assert said in remark
    assert bool(remark) == bool(said)


@pytest.mark.parametrize("number", [2, 3])
def test_other_hot_pixels_are_those_of_another_night(number):
    remark = remark_on([hot_pixels(1)] * 3 + [hot_pixels(2)] * number)
    others = ", ".join(f"d{index}.fits" for index in range(3, 3 + number))
    assert f"other pixels are hot in {others} than in d0.fits" in remark


def test_levels_tell_where_there_are_no_hot_pixels():
    few = [np.full(SHAPE, level) for level in (3.0, 3.0, 3.0, 9.0, 9.0)]
    assert "their levels lie between 2.9" in remark_on(few)
    assert remark_on([np.full(SHAPE, 3.0)] * 5) == ""


def test_right_darks_are_not_accused():
    rng = np.random.default_rng(5)
    for seed in range(20):
        hot = hot_pixels(seed, int(rng.choice([5, 30, 200])))
        # A tenth of the hot pixels blinks, and cosmic rays come.
        frames = []
        for _ in range(rng.integers(3, 8)):
            seen = np.where((hot > 50) & (rng.random(SHAPE) < 0.1), 3.0, hot)
            seen.flat[rng.choice(seen.size, 15)] += 800
            frames.append(seen)
        assert remark_on(frames, seed) == ""


@pytest.mark.parametrize("leak", [0.0, 60.0])
def test_light_in_the_darks_is_said(tmp_path, leak):
    camera = Camera(shape=(100, 120), seed=31)
    raw = camera.night(tmp_path / "raw", darks=0)
    for number in range(4):
        pixels = camera.pixels("DARK", 30).astype(float) + camera.rng.poisson(leak * camera.flats["V"]) / 1.5
        camera.write(raw / f"dark{number}.fits", "DARK", 30, pixels=pixels.round().astype(np.uint16))
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    remarks = [remark for remark in summary.remarks if "the pattern of a flat" in remark]
    assert len(remarks) == (leak > 0)
    if leak:
        value = float(remarks[0].split("light of ")[1].split()[0])
        assert value == pytest.approx(leak, rel=0.15)


def test_one_bias_makes_dark_and_flat_alike_and_is_no_light(tmp_path):
    # Its noise is in both.
    camera = Camera(shape=(100, 120), seed=32)
    camera.flats["V"] = 1 + (camera.flats["V"] - 1) / 20
    raw = camera.night(tmp_path / "raw", biases=1, darks=6)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert not [remark for remark in summary.remarks if "the pattern of a flat" in remark]


def test_darks_of_two_temperatures_that_no_header_tells_are_said_in_a_night(tmp_path):
    camera = Camera(shape=(100, 120), seed=33)
    camera.rate.flat[::97] += 20.0
    raw = camera.night(tmp_path / "raw", darks=0, temperature=0.0)
    for number in range(6):
        warm = 10.0 * (number > 2)
        camera.write(raw / f"dark{number}.fits", "DARK", 30, temperature=warm, **{"CCD-TEMP": None})
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert any("the darks of 30 s are not alike" in remark for remark in summary.remarks)
