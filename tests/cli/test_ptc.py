"""``astro-calib ptc``: what it prints and writes, and with which exit status."""

from __future__ import annotations

import json
import shutil

import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib import simulate
from astro_calib.cli import main


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Biases and flats whose headers tell neither gain nor read noise."""
    directory = tmp_path_factory.mktemp("ptc") / "raw"
    simulate.night(directory, seed=3, shape=(128, 128), biases=4, darks=0, flats=3, science=1, stars=5)
    for path in directory.iterdir():
        for keyword in ("GAIN", "RDNOISE"):
            fits.delval(path, keyword)
    return directory


def call(*arguments):
    return CliRunner().invoke(main, ["ptc", *map(str, arguments)])


def test_numbers_as_text_and_json(raw):
    result = call(raw)
    assert result.exit_code == 0, result.output
    assert "gain " in result.stdout
    assert "3 flats, 4 biases" in result.stdout
    result = call(raw, "--json", "-q")
    found = json.loads(result.stdout)
    for one in found.values():
        (amplifier,) = one["amplifiers"]
        gain = amplifier["gain"]
        # That of the simulated night.
        assert abs(gain["value"] - 1.5) < 3.5 * gain["uncertainty"]
        assert gain["unit"] == "electron / adu"
        assert amplifier["section"] == "[1:128,1:128]"


@pytest.mark.long
def test_a_picture_for_each_filter(raw, tmp_path):
    out = tmp_path / "curve.png"
    assert call(raw, "-o", out, "-q").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve-R.png", "curve-V.png"]
    assert call(raw, "-o", out, "--filter", "V").exit_code == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    result = call(raw, "-o", out, "--filter", "V")
    assert result.exit_code == 1
    assert "exists already" in result.stderr


def test_what_is_missing_is_said(raw, tmp_path):
    result = call(raw, "--filter", "Z")
    assert result.exit_code == 1
    assert "no flats through filter 'Z'; there are some through R, V" in result.stderr
    few = tmp_path / "few"
    few.mkdir()
    for path in raw.iterdir():
        if fits.getval(path, "IMAGETYP") != "FLAT":
            shutil.copy(path, few)
    result = call(few)
    assert result.exit_code == 1
    assert "needs two flats or more through one filter and two biases or more; found: 0 and 4" in result.stderr


def test_two_setups_are_not_mixed(raw, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(raw, both)
    for number, path in enumerate(sorted(both.iterdir())):
        fits.setval(path, "READMODE", value="fast" if number % 2 else "slow")
    result = call(both, "--json", "-q")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {name.split(", ")[-1] for name in found} == {"READMODE fast", "READMODE slow"}
    # Two or so of the four biases, and of the three flats of each filter.
    assert all(one["amplifiers"][0]["biases"] == 2 and one["amplifiers"][0]["flats"] < 3 for one in found.values())
