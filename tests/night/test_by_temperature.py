"""Cameras that drift: a light gets darks within the tolerance of its own temperature, and masters are made once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night import plan_night, reduce_night
from astro_calib.night.preview.plan_text import plan_text
from astro_calib.night.setups.by_temperature import by_temperature

from .synthetic import Camera


def drifting(directory, temperatures, **options):
    """A night at -20 C, and lights of these temperatures."""
    camera = Camera(seed=41)
    raw = camera.night(directory / "raw", lights=0, temperature=-20.0, **options)
    for index, temperature in enumerate(temperatures):
        camera.write(raw / f"light{index}.fits", "LIGHT", 30, "V", temperature=temperature)
    return camera, raw


def temperatures_of(frames, kind):
    return [frame.settings["temperature"] for frame in frames if frame.kind == kind]


def test_no_light_gets_darks_further_away_than_the_tolerance(tmp_path):
    _, raw = drifting(tmp_path, -20 + 0.5 * np.arange(8))
    night = plan_night(raw, headers_only=True)
    assert [temperatures_of(plan.frames, "science") for plan in night.setups] == [
        [-20.0, -19.5, -19.0, -18.5, -18.0, -17.5],
        [-17.0, -16.5],
    ]
    assert [len(plan.darks) for plan in night.setups] == [1, 0]
    assert [len(plan.biases) for plan in night.setups] == [4, 4]


@pytest.mark.parametrize("seed", range(5))
def test_any_night_keeps_the_tolerance_and_each_light_is_used_once(seed):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["bias", "dark", "flat", "science"], 60)
    where = np.round(rng.uniform(-25, -5, 60), 1)
    frames = [
        SimpleNamespace(kind=kind, settings={"temperature": t}, filter="V" if kind in ("flat", "science") else "")
        for kind, t in zip(kinds, where, strict=True)
    ]
    groups = by_temperature(frames, 2.5)
    lights = [id(frame) for group in groups for frame in group if frame.kind == "science"]
    assert sorted(lights) == sorted(id(frame) for frame in frames if frame.kind == "science")
    for group in groups:
        darks, own = temperatures_of(group, "dark"), temperatures_of(group, "science")
        assert all(abs(dark - light) <= 2.5 for dark in darks for light in own)


def test_a_camera_without_a_cooler_is_reduced_with_few_setups(tmp_path):
    camera = Camera(seed=42)
    raw = camera.night(tmp_path / "raw", lights=0, temperature=10.0)
    for index in range(60):
        camera.write(raw / f"light{index:02d}.fits", "LIGHT", 30, "V", temperature=10.0 + index / 2)
    night = plan_night(raw, headers_only=True)
    assert len(night.science) == 60
    assert not [file for file in night.unused if file.lost]
    assert [len(plan.of_kind("dark")) for plan in night.setups] == [0, 4]
    (said,) = [remark for remark in night.remarks if "biases and flats" in remark]
    assert "biases and flats are of 10.0 C, the science frames of 13.0 to 39.5 C: they serve" in said
    assert "matching.temperature in a profile" in said


def test_biases_a_little_beyond_the_tolerance_serve_and_darks_do_not(tmp_path):
    camera, raw = drifting(tmp_path, [-17.4], biases=20, flats=10)
    summary = reduce_night(raw, tmp_path / "out", detector="header", stars=False, progress=False)
    (frame,) = summary.frames
    # The dark current stays, which is said.
    expected = camera.truth(30) + np.mean(camera.rate) * 30 * 2 ** (-17.4 / 6)
    image = fits.getdata(frame.path)
    assert np.mean(image - expected) == pytest.approx(0, abs=2)
    assert any("biases and flats are of -20.0 C" in remark for remark in summary.remarks)
    text = "\n".join(summary.remarks)
    assert "4 darks are not used: their temperature is -20 C, not -17 C" in text
    assert "(matching.temperature in a profile can allow it)" in text


def test_frames_of_another_temperature_that_a_cooler_holds_are_not_mixed(tmp_path):
    camera = Camera(seed=43)
    raw = camera.night(tmp_path / "raw", temperature=-20.0)
    camera.night(raw, temperature=-10.0, prefix="warm")
    night = plan_night(raw, headers_only=True)
    assert [{frame.settings["temperature"] for frame in plan.frames} for plan in night.setups] == [{-20.0}, {-10.0}]
    assert night.remarks == ()


def test_what_lights_of_many_temperatures_lack_is_said_once_with_the_way_out(tmp_path):
    _, raw = drifting(tmp_path, 10 + np.arange(20) / 2)
    text = plan_text(plan_night(raw, headers_only=True))
    assert text.count("nothing to calibrate with") == 1
    said = " ".join(text.split())
    assert "only science frames (light0.fits and so on, 20 in all)" in said
    assert "4 biases are not used: their temperature is -20 C" in said
    assert "(matching.temperature in a profile can allow it)" in said
    assert said.count("nothing of its setup can be reduced") == 1
