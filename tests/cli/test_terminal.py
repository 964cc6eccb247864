"""The command in a shell: signals that end it, streams that are closed or full."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests import processes

LEAN = ["--no-stars", "--no-pictures"]
COMMAND = "from astro_calib.cli import main\nmain(prog_name='astro-calib')\n"
#: Sends a signal to its own process while a file is half written.
SIGNALLED = """
import os, time
from astro_calib.io.fits import write as fits_writer

def half(hdus, path):
    if {name!r} in path.name:
        path.write_bytes(b"SIMPLE")
        os.kill(os.getpid(), {number})
        time.sleep(0.2)
        path.unlink()
    original(hdus, path)

original, fits_writer.write_hdus = fits_writer.write_hdus, half
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Three biases and two science frames, as small as they can be."""
    directory = tmp_path_factory.mktemp("terminal") / "raw"
    directory.mkdir()
    for number, kind in enumerate(["BIAS", "BIAS", "BIAS", "LIGHT", "LIGHT"]):
        data = np.random.default_rng(number).normal(1000, 5, (16, 20)).round().astype(np.uint16)
        cards = [("IMAGETYP", kind), ("EXPTIME", 30.0), ("GAIN", 1.5), ("RDNOISE", 8.0)]
        fits.writeto(directory / f"{kind.lower()}{number}.fits", data, fits.Header(cards))
    return directory


def reduce(raw, out, code=""):
    return processes.run(code + COMMAND, "reduce", raw, "-o", out, *LEAN)


@pytest.mark.parametrize(
    ("number", "status", "said", "name"),
    [
        (signal.SIGTERM, 143, "Ended by SIGTERM", "master-bias"),
        (signal.SIGTERM, 143, "Ended by SIGTERM", "light3"),
        (signal.SIGINT, 130, "Interrupted", "light3"),
        (signal.SIGHUP, 129, "Ended by SIGHUP", "master-bias"),
    ],
)
def test_a_signal_ends_the_command_and_leaves_no_half_file(raw, tmp_path, number, status, said, name):
    out = tmp_path / "out"
    result = reduce(raw, out, SIGNALLED.format(name=name, number=int(number)))
    assert result.returncode == status
    last = result.stderr.strip().splitlines()[-1]
    assert said in last
    assert "Traceback" not in result.stderr
    assert "Aborted" not in result.stderr
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "journal.jsonl"]
    assert not [path for path in files if path.name.startswith(".")]
    assert not (out / "summary.txt").exists()
    for path in files:
        fits.getdata(path)


def test_who_ignores_a_hangup_is_not_ended_by_it(raw, tmp_path):
    code = f"import signal\nsignal.signal({int(signal.SIGHUP)}, signal.SIG_IGN)\n"
    code += SIGNALLED.format(name="light3", number=int(signal.SIGHUP))
    result = reduce(raw, tmp_path / "out", code)
    assert result.returncode == 0
    assert (tmp_path / "out" / "summary.txt").exists()


def test_what_a_killed_run_leaves_does_not_hinder_the_next(raw, tmp_path):
    out = tmp_path / "out"
    code = SIGNALLED.format(name="master-bias", number=int(signal.SIGKILL))
    assert reduce(raw, out, code).returncode == -signal.SIGKILL
    assert [path for path in out.rglob(".*") if path.is_file()]
    again = reduce(raw, out)
    assert again.returncode == 0, again.stderr
    assert not [path for path in out.rglob(".*") if path.is_file()]


@pytest.mark.parametrize(
    "redirection",
    [
        pytest.param("2>&-", marks=pytest.mark.long),
        pytest.param("2>/dev/full", marks=pytest.mark.long),
        "<&- >&- 2>&-",
        pytest.param("| true", marks=pytest.mark.long),
    ],
)
def test_a_night_is_reduced_whatever_becomes_of_what_is_printed(raw, tmp_path, redirection):
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    out = tmp_path / "out"
    command = (
        f"set -o pipefail; '{sys.executable}' -c \"$CODE\" reduce '{raw}' -o '{out}' {' '.join(LEAN)} {redirection}"
    )
    result = subprocess.run(
        ["bash", "-c", command],  # noqa: S607  wherever bash is
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "CODE": COMMAND},
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr
    assert len(list((out / "calibrated").glob("*.fits"))) == 2
    assert "1 master and 2 science frames" in (out / "summary.txt").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_results_that_cannot_be_printed_are_told_where_they_are(raw, tmp_path):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-c", COMMAND, "reduce", raw, "-o", tmp_path / "out", *LEAN]
        result = subprocess.run(command, check=False, text=True, timeout=300, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: the results cannot be printed: No space left on device. They are in ")
    assert last.endswith("summary.txt.")
    assert (tmp_path / "out" / "summary.txt").exists()


def shown(arguments, cwd, columns=80):
    """What a command writes on a terminal of so many columns, both streams together."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    with subprocess.Popen(command, cwd=cwd, env=environment, stdin=follower, stdout=follower, stderr=follower) as run:
        os.close(follower)
        content = bytearray()
        # The end of a terminal is an error on Linux.
        with contextlib.suppress(OSError):
            while part := os.read(leader, 1 << 16):
                content += part
        os.close(leader)
    return run.returncode, re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", content.decode()))


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [["-o", "out", "-v", *LEAN], ["-o", "out", *LEAN, "--aperture", "3"], ["--dry-run"]],
    ids=lambda value: value[-1],
)
def test_what_reduce_says_fits_a_terminal(raw, tmp_path, options):
    (tmp_path / "raw").symlink_to(raw)
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE  =")
    status, lines = shown(["reduce", "raw", "broken.fits", *options], tmp_path)
    assert status in (0, 1, 3)
    assert len(lines) > 10
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", ""], "it is empty"),
        (["-o", "/dev/null"], "/dev/null is a file; give a directory"),
        (["-o", "out", "--profile", ""], "profile has no name"),
        (["-o", "out", "--profile", "/dev/zero"], "/dev/zero is no regular file"),
        (["-o", "out", "--profile", "pipe.toml"], "pipe.toml is no regular file"),
        (["-o", "out", "--profile", "folder.toml"], "folder.toml is no regular file"),
        (["-o", "out", "--profile", "huge.toml"], "huge.toml has more than"),
        (["-o", "loop"], "loop is a link that leads nowhere"),
        (["-o", "loop/out"], "loop is a link that leads nowhere"),
        (["-o", "nowhere"], "nowhere is a link that leads nowhere"),
        (["-o", "linked"], "calibrated is a link that leads nowhere"),
        (["-o", "x" * 300], "File name too long"),
        (["", "-o", "out"], "it is empty"),
        (["loop", "-o", "out", "-q"], "loop: it cannot be read: Too many levels of symbolic links"),
        (["/dev/zero", "-o", "out", "-q"], "zero: it is no regular file"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_arguments_that_mean_nothing_are_refused_in_one_message(raw, tmp_path, monkeypatch, arguments, said):
    from click.testing import CliRunner

    from astro_calib.cli import main

    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "not there")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "calibrated").symlink_to(tmp_path / "not there")
    before = sorted(path.name for path in tmp_path.iterdir())
    result = CliRunner().invoke(main, ["reduce", str(raw), *LEAN, *arguments])
    # Of a night with one file that cannot be read the others are reduced.
    assert result.exit_code in ((3,) if "-q" in arguments else (1, 2))
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.count("Error: ") == 1
    assert said in result.stderr
    after = sorted(path.name for path in tmp_path.iterdir())
    # A file that is given and cannot be read is one frame less.
    assert after == before if "-q" not in arguments else "not there" not in after


#: Sends a signal after the first share of the work; the processes that help import this again, and do nothing with it.
VALIDATE = """
import os
from importlib import import_module

def ended(shares, jobs):
    for done in original(shares, jobs):
        {send}
        yield done

if __name__ == "__main__":
    module = import_module("astro_calib.validation.judge")
    original, module._done = module._done, ended
    from astro_calib.cli import main
    main(prog_name="astro-calib")
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "send"),
    # Ctrl-C in a terminal reaches those that help as well.
    [
        (signal.SIGTERM, "os.kill(os.getpid(), 15)"),
        (signal.SIGINT, "os.killpg(0, 2)"),
        (signal.SIGHUP, "os.kill(os.getpid(), 1)"),
    ],
)
def test_a_signal_ends_validate_with_the_processes_that_help(tmp_path, number, send):
    script = tmp_path / "script.py"
    script.write_text(VALIDATE.format(send=send), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, script, "validate", "--quick", "--step", "bias", "--jobs", "2"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,
    )
    assert result.returncode == 128 + number, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith(("Ended by SIG", "Interrupted"))
