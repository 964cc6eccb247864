"""What ``astro-calib reduce`` tells: on a terminal, to a log, as JSON, and by its exit status."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib import simulate
from astro_calib.cli import main
from astro_calib.cli.options import MEMORY
from tests import processes
from tests.quickly import without_pictures_and_empty_apertures

LEAN = ["--no-stars", "--no-pictures"]
WIDTH = 80


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A night of small raw frames."""
    directory = tmp_path_factory.mktemp("reduce") / "raw"
    simulate.night(directory, seed=3, shape=(128, 128), biases=4, darks=2, flats=2, science=1, stars=20, progress=False)
    return directory


@pytest.fixture
def damaged(raw, tmp_path):
    """The same night; one science frame has no exposure time."""
    directory = tmp_path / "raw"
    shutil.copytree(raw, directory)
    fits.delval(directory / "science-001-V.fits", "EXPTIME")
    return directory


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No empty apertures, and pictures without anything on them: here it matters what is printed."""
    without_pictures_and_empty_apertures(monkeypatch)


def call(*arguments, columns=None):
    # Where COLUMNS is set, as where tests run in parallel, lines are as short as it says.
    return CliRunner(env={"COLUMNS": columns}).invoke(main, [str(argument) for argument in arguments])


# ---- the exit status


def test_the_exit_status_tells_all_from_part_from_nothing(raw, damaged, tmp_path):
    assert call("reduce", raw, "-o", tmp_path / "all", *LEAN).exit_code == 0
    in_part = call("reduce", damaged, "-o", tmp_path / "part", *LEAN)
    assert in_part.exit_code == 3
    assert "1 of 2 science frames could not be reduced:\n  science-001-V.fits: no exposure time" in in_part.stderr
    fits.delval(damaged / "science-002-R.fits", "EXPTIME")
    nothing = call("reduce", damaged, "-o", tmp_path / "nothing", *LEAN)
    assert nothing.exit_code == 1
    assert "none of the science frames can be used" in nothing.stderr


def test_the_help_tells_the_exit_statuses():
    text = " ".join(call("reduce", "--help").stdout.split())
    assert "exit status is 0 if all science frames were reduced; 3 if some were not" in text
    assert "130 after Ctrl-C" in text


def test_what_failed_stands_before_all_else(damaged, tmp_path):
    result = call("reduce", damaged, "-o", tmp_path / "out", *LEAN)
    first, second = result.stdout.splitlines()[:2]
    assert first == "FAILED: 1 of 2 science frames could not be reduced:"
    assert second.startswith("  science-001-V.fits: no exposure time")


def test_quiet_and_verbose_contradict_each_other(raw, tmp_path):
    result = call("reduce", raw, "-o", tmp_path / "out", "-q", "-v")
    assert result.exit_code == 2
    assert "contradict" in result.stderr
    assert not (tmp_path / "out").exists()


# ---- log and JSON


def test_the_log_names_every_file_and_what_became_of_it(damaged, tmp_path):
    log = tmp_path / "night.log"
    before = list(logging.getLogger("astro_calib").handlers)
    assert call("reduce", damaged, "-o", tmp_path / "out", "--log", log, *LEAN, "-q").exit_code == 3
    assert logging.getLogger("astro_calib").handlers == before
    lines = log.read_text(encoding="utf-8").splitlines()
    for path in damaged.iterdir():
        assert any(path.name in line for line in lines)
    (line,) = [line for line in lines if "science-002-R.fits: calibrated" in line]
    assert " INFO " in line
    assert any(" ERROR " in line and "science-001-V.fits: no exposure time" in line for line in lines)


def test_verbose_tells_it_on_standard_error_and_prints_what_it_always_prints(raw, tmp_path):
    result = call("reduce", raw, "-o", tmp_path / "out", "-v", *LEAN)
    assert result.exit_code == 0, result.output
    assert result.stdout == (tmp_path / "out" / "summary.txt").read_text(encoding="utf-8")
    for path in raw.iterdir():
        assert path.name in result.stderr
    assert "%|" not in result.stderr
    # The next command says nothing of this.
    assert "calibrated" not in call("reduce", raw, "-o", tmp_path / "again", *LEAN).stderr


def test_json_has_what_the_summary_says(damaged, tmp_path):
    path = tmp_path / "night.json"
    result = call("reduce", damaged, "-o", tmp_path / "out", "--json", path, "--no-pictures")
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (content["exit_status"], content["outcome"]) == (result.exit_code, "part")
    (frame,) = content["science"]
    assert frame["raw"] == str(damaged / "science-002-R.fits")
    assert f"{frame['sky']['level']:.1f}" in result.stdout
    with fits.open(frame["path"]) as hdus:
        # The level of the sky, from the calibrated frame.
        assert frame["sky"]["level"] == pytest.approx(np.nanmedian(hdus[0].data), rel=0.02)
    (lost,) = content["lost"]
    assert lost["path"] == str(damaged / "science-001-V.fits")
    kinds = [one["kind"] for one in content["setups"][0]["frames"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {"bias": 4, "dark": 2, "flat": 4, "science": 1}
    assert content["setups"][0]["gain"] == pytest.approx(1.5, rel=0.1)
    assert [len(content[name]) for name in ("masters", "not_used")] == [4, 0]


def test_json_tells_why_there_is_nothing(tmp_path):
    path = tmp_path / "night.json"
    (tmp_path / "empty").mkdir()
    result = call("reduce", tmp_path / "empty", "-o", tmp_path / "out", "--json", path)
    assert result.exit_code == 1
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["exit_status"], content["outcome"]) == (1, "nothing")
    assert "there are no raw frames" in content["error"]


@pytest.mark.parametrize("option", ["--log", "--json"])
def test_a_report_replaces_nothing_unless_asked_for_and_may_lie_with_the_results(raw, tmp_path, option):
    there = tmp_path / "there"
    there.write_text("precious")
    refused = call("reduce", raw, "-o", tmp_path / "out", option, there, *LEAN)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert there.read_text() == "precious"
    assert not (tmp_path / "out").exists()
    assert "is not a directory" in call("reduce", raw, "-o", tmp_path / "out", option, tmp_path / "no" / "x").stderr
    within = tmp_path / "out" / "report"
    assert call("reduce", raw, "-o", tmp_path / "out", option, within, *LEAN, "-q").exit_code == 0
    assert within.stat().st_size > 100


# ---- terminals


def on_terminal(*arguments, width=WIDTH):
    """Run the command on a terminal; return its status, and what it shows, as bytes."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, np.array([40, width, 0, 0], dtype=np.uint16).tobytes())
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "astro_calib", *map(str, arguments)],
        stdin=child,
        stdout=child,
        stderr=child,
        env=environment,
    )
    os.close(child)
    shown = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            # The terminal is closed.
            break
        if not piece:
            break
        shown += piece
    os.close(parent)
    return process.wait(60), shown.decode()


def lines_of(shown):
    """The lines that are left on a terminal: what follows a carriage return is written over what stood there."""
    return [line.rstrip("\r").rsplit("\r", 1)[-1] for line in shown.split("\n")]


@pytest.mark.long
def test_all_fits_a_terminal_of_80_columns_and_progress_shows_there_only(damaged, tmp_path):
    shutil.copy(damaged / "science-002-R.fits", damaged / "M31_Light_300s_gain100_2023-09-15_21-30-45_-10.0C_0001.fits")
    with fits.open(damaged / "M31_Light_300s_gain100_2023-09-15_21-30-45_-10.0C_0001.fits", mode="update") as hdus:
        hdus[0].data[0, 0] += 1
        hdus[0].header["OBJECT"] = "a galaxy whose name is much longer than that of others"
    status, shown = on_terminal("reduce", damaged, "-o", tmp_path / "out", "--no-pictures")
    lines = lines_of(shown)
    assert status == 3, shown
    # Words that are longer, such as paths, are not cut.
    assert [line for line in lines if len(line) > WIDTH and str(tmp_path) not in line] == []
    assert "%|" in shown
    assert "FAILED: 1 of 2" not in shown
    assert "FAILED: 1 of 3 science frames could not be reduced:" in lines
    assert any("M31_Light_300s_gain100_2023-09-15_21-30-45_-10.0C_0001.fits" in line for line in lines)
    # The whole summary is in the file, whose lines are longer.
    text = (tmp_path / "out" / "summary.txt").read_text(encoding="utf-8")
    assert len(text.splitlines()) > len(lines)
    assert max(map(len, text.splitlines())) <= 120 + len(str(tmp_path))
    again = call("reduce", damaged, "-o", tmp_path / "again", *LEAN)
    assert "%|" not in again.output
    assert again.stderr.startswith("reading headers: 13 files\n")


def test_where_columns_says_so_lines_are_as_short(raw, tmp_path):
    result = call("reduce", raw, "-o", tmp_path / "out", *LEAN, columns="70")
    assert max(len(line) for line in result.stdout.splitlines() if str(tmp_path) not in line) <= 70
    names = [path.name for part in ("masters", "calibrated") for path in (tmp_path / "out" / part).iterdir()]
    assert len(names) == 6
    for name in names:
        assert name in result.stdout


# ---- shells


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("nic", ["plain,nickel"]), ("gen", ["plain,generic"]), ("my/", ["file,my/"])],
)
@pytest.mark.parametrize("command", ["reduce", "ptc", "audit"])
def test_a_shell_completes_the_names_of_profiles(command, typed, offered):
    environment = {
        **os.environ,
        "_ASTRO_CALIB_COMPLETE": "bash_complete",
        "COMP_WORDS": f"astro-calib {command} --profile {typed}",
        "COMP_CWORD": "3",
    }
    result = processes.run("from astro_calib.cli import main\nmain(prog_name='astro-calib')\n", env=environment)
    assert [line for line in result.stdout.splitlines() if line] == offered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2e9),
        ("1.5 gib", 1.5 * 2**30),
        ("500MB", 5e8),
        ("2g", 2e9),
        ("300000000", 3e8),
        (".5T", 5e11),
        ("8kB", 8e3),
    ],
)
def test_an_amount_of_memory(text, expected):
    assert MEMORY.convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["2 Gbit", "much", "-1GB", "0MB", "GB", "1e9", ""])
def test_no_amount_of_memory(raw, tmp_path, text):
    result = call("reduce", raw, "-o", tmp_path / "out", "--memory-limit", text)
    assert result.exit_code == 2
    assert f"{text!r} is no amount of memory; expected such as 2GB or 500MB." in result.stderr


def test_a_memory_limit_is_passed_on(raw, tmp_path):
    result = call("reduce", raw, "-o", tmp_path / "out", *LEAN, "--verbose", "--memory-limit", "1B")
    assert result.exit_code == 0
    # Bias, dark and two flats.
    assert result.stderr.count("temporary files") == 4
