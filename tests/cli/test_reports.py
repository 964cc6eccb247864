"""Where ``--log`` and ``--json`` may write, and what is said where they cannot."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from astro_calib import simulate
from astro_calib.cli import main

FULL = Path("/dev/full")
LEAN = ["--no-stars", "--no-pictures", "--quiet"]
needs_full_disk = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A night of small raw frames."""
    directory = tmp_path_factory.mktemp("reports") / "raw"
    camera = simulate.camera((48, 64), seed=1, filters=["V"])
    simulate.night(directory, seed=3, camera=camera, biases=3, darks=2, flats=2, science=1, stars=2, progress=False)
    return directory


@pytest.fixture
def raw(night, tmp_path):
    """The same in a directory of its own."""
    return shutil.copytree(night, tmp_path / "raw")


def call(*arguments):
    return CliRunner().invoke(main, ["reduce", *map(str, arguments), *LEAN])


def contents(directory):
    return {path: path.read_bytes() for path in directory.rglob("*")}


@pytest.mark.parametrize("option", ["--log", "--json"])
@pytest.mark.parametrize("place", ["bias-001.fits", "new.fits.gz", "link.json", "hard.json", "plain"])
def test_a_report_never_takes_the_place_of_a_raw_frame(raw, tmp_path, option, place):
    bias = min(raw.glob("bias*"))
    given = [raw]
    if place == "link.json":
        (raw / place).symlink_to(bias)
    elif place == "hard.json":
        (raw / place).hardlink_to(bias)
    elif place == "plain":
        # Whose name says nothing, and which is given by itself.
        bias.rename(raw / place)
        given.append(raw / place)
    before = contents(raw)
    result = call(*given, "-o", tmp_path / "out", option, raw / place, "--overwrite")
    assert result.exit_code == 1
    assert f"{option} {raw / place}" in result.stderr
    assert "give another" in result.stderr
    assert contents(raw) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--log", "--json"])
def test_a_report_never_takes_the_place_of_a_profile_or_a_mask(raw, tmp_path, option):
    profile = tmp_path / "mine.toml"
    profile.write_text('inherit = "generic"\n')
    result = call(raw, "-o", tmp_path / "out", "--profile", profile, option, profile, "--overwrite")
    assert result.exit_code == 1
    assert profile.read_text() == 'inherit = "generic"\n'


@pytest.mark.parametrize("option", ["--log", "--json"])
@pytest.mark.parametrize("place", ["summary.txt", "masters/x.json", "calibrated/x.log"])
def test_a_report_lies_beside_the_results_and_not_among_them(raw, tmp_path, option, place):
    out = tmp_path / "out"
    result = call(raw, "-o", out, option, out / place)
    assert result.exit_code == 1
    assert "give another" in result.stderr
    assert str(out / place) in result.stderr
    assert not out.exists()


def test_log_and_json_are_two_files(raw, tmp_path):
    out = tmp_path / "out"
    result = call(raw, "-o", out, "--log", tmp_path / "same", "--json", tmp_path / "raw" / ".." / "same")
    assert result.exit_code == 1
    assert "--log and --json" in result.stderr
    assert not out.exists()
    assert not (tmp_path / "same").exists()


def test_both_lie_in_the_directory_of_the_results_however_it_is_written(raw, tmp_path):
    out = tmp_path / "new" / "out"
    other = tmp_path / "raw" / ".." / "new" / "out"
    result = call(raw, "-o", out, "--log", other / "night.log", "--json", other / "night.json")
    assert result.exit_code == 0, result.output
    assert (out / "night.log").stat().st_size > 100
    assert json.loads((out / "night.json").read_text())["outcome"] == "all"


@needs_full_disk
def test_a_log_on_a_full_disk_costs_the_log(raw, tmp_path):
    out = tmp_path / "out"
    result = call(raw, "-o", out, "--log", FULL, "--overwrite")
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"Error: {FULL} could not be written")
    assert "No space left" in result.stderr
    assert (out / "summary.txt").exists()
    assert len(list((out / "calibrated").iterdir())) == 1


@needs_full_disk
def test_a_log_on_a_full_disk_hides_no_other_error(tmp_path):
    (tmp_path / "empty").mkdir()
    result = call(tmp_path / "empty", "-o", tmp_path / "out", "--log", FULL, "--overwrite")
    assert result.exit_code == 1
    assert "there are no raw frames" in result.stderr
    assert f"{FULL} could not be written" in result.stderr
    assert "Traceback" not in result.stderr


def test_json_that_cannot_be_written_costs_the_json(raw, tmp_path, monkeypatch):
    from astro_calib.io import atomic

    real = atomic.write_atomically

    def full(path, write):
        if path.name == "night.json":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, write)

    monkeypatch.setattr(atomic, "write_atomically", full)
    out = tmp_path / "out"
    result = CliRunner(env={"COLUMNS": None}).invoke(
        main, ["reduce", str(raw), "-o", str(out), "--json", str(tmp_path / "night.json"), "--no-stars"]
    )
    assert result.exit_code == 3
    assert result.stdout == (out / "summary.txt").read_text(encoding="utf-8")
    assert f"{tmp_path / 'night.json'} could not be written: No space left" in result.stderr


@needs_full_disk
def test_json_is_a_file(raw, tmp_path):
    result = call(raw, "-o", tmp_path / "out", "--json", FULL, "--overwrite")
    assert result.exit_code == 1
    assert not (tmp_path / "out").exists()
