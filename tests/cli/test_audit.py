"""``astro-calib audit``: what it prints and writes, and with which exit status."""

from __future__ import annotations

import json

import pytest
from astropy.table import Table
from click.testing import CliRunner

from astro_calib import simulate
from astro_calib.cli import main
from astro_calib.night import reduce_night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Raw frames, and what they are reduced to."""
    directory = tmp_path_factory.mktemp("audit")
    camera = simulate.camera((128, 160), filters=["V"])
    simulate.night(directory / "raw", camera=camera, seed=5, biases=6, darks=3, flats=4, science=2, stars=15)
    reduce_night(directory / "raw", directory / "reduced", stars=False, pictures=False, progress=False)
    return directory


def call(*arguments):
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


def test_right_error_bars(night, tmp_path):
    outs = tmp_path / "audit.ecsv", tmp_path / "audit.png"
    result = call(night / "raw", night / "reduced", "-o", outs[0], "-o", outs[1])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("all right: no noise differs from its prediction by more than ")
    for kind in ("bias", "dark", "flat", "science"):
        assert f"\n{kind:>7} " in result.stdout
    assert Table.read(outs[0]).meta["right"] is True
    assert outs[1].read_bytes().startswith(b"\x89PNG")
    again = call(night / "reduced", "-o", outs[1])
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_results_alone(night):
    result = call(night / "reduced", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["right"] is True
    assert {row["kind"] for row in found["noise"]} == {"science"}


def test_a_fault_is_named_and_the_exit_status_tells(night):
    # The simulated camera has 1.5 electron/adu.
    result = call(night / "raw", "--gain", "1.8", "-q")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Error: the error bars are not right:\nthe gain is 20% too large: 1.8, should be 1.5" in result.stderr
    shown = call(night / "raw", "--gain", "1.8")
    assert shown.stdout.startswith("the gain is 20% too large")
    assert "raw science frames; give the directory that reduce wrote of them, too" in shown.stderr


def test_what_cannot_be_audited(night, tmp_path):
    result = call(night / "raw", "--filter", "Z")
    assert result.exit_code == 1
    assert "no flats through filter 'Z'; there are some through V." in result.stderr
    result = call(*sorted((night / "raw").glob("flat*")))
    assert result.exit_code == 1
    assert "needs two biases or more" in result.stderr
    result = call(tmp_path)
    assert result.exit_code == 1
