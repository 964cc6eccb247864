"""A reduction that was killed goes on where it stopped, and ends with what an undisturbed one has."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import reduce_night
from astro_calib.night import run
from astro_calib.night.common.lock import LOCK, hold, release
from astro_calib.night.common.output import SAID
from astro_calib.night.masters import masters
from astro_calib.night.tasks.journal import JOURNAL, read_journal
from tests.night.synthetic import two_filters

QUICK = {"progress": False, "pictures": False, "stars": False}
#: The process ends as in a power cut when it has written so many files whose names contain this.
KILLED = """
import os, signal, sys
from astro_calib import reduce_night
from astro_calib.io import atomic

place, wanted, before = sys.argv[3], int(sys.argv[4]), sys.argv[5] == "before"
original, count = os.replace, 0

def replace(source, target):
    global count
    count += place in str(target)
    end = place in str(target) and count == wanted
    if end and before:
        os.kill(os.getpid(), signal.SIGKILL)
    original(source, target)
    if end:
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace
reduce_night(sys.argv[1], sys.argv[2], progress=False, pictures=False, stars=False)
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return two_filters(tmp_path_factory.mktemp("night") / "raw")


@pytest.fixture(scope="module")
def undisturbed(raw, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    return reduce_night(raw, out, **QUICK)


@pytest.fixture
def half(undisturbed, tmp_path):
    """A reduction that lacks one science frame, and its summary."""
    out = tmp_path / "out"
    shutil.copytree(undisturbed.out, out)
    for name in SAID:
        (out / name).unlink()
    (out / "calibrated" / "science-002-V.fits").unlink()
    return out


def killed(raw, out, place, number, when="after"):
    """Reduce a night in a process that is killed when it has written a file, or just before."""
    command = [sys.executable, "-c", KILLED, str(raw), str(out), place, str(number), when]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def states(out):
    """Number and time of writing of each file of the results."""
    return {
        path.relative_to(out): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in out.rglob("*")
        if path.is_file() and path.name not in (JOURNAL, LOCK, *SAID)
    }


def assert_same(one, other):
    """The pixels of all files, and the tables and the summary but for what is said of the run itself."""
    files = {path.relative_to(one) for path in one.rglob("*.*") if path.is_file()}
    assert files == {path.relative_to(other) for path in other.rglob("*.*") if path.is_file()}
    for file in files:
        if file.suffix == ".fits":
            with fits.open(one / file) as first, fits.open(other / file) as second:
                assert [hdu.name for hdu in first] == [hdu.name for hdu in second]
                for hdu, same in zip(first, second, strict=True):
                    # The budget tells when it was made.
                    assert hdu.name == "BUDGET" or np.array(hdu.data).tobytes() == np.array(same.data).tobytes()
        elif file.suffix == ".ecsv":
            assert (one / file).read_bytes() == (other / file).read_bytes()
    first, second = (json.loads((out / "summary.json").read_text().replace(str(out), "OUT")) for out in (one, other))
    for content in (first, second):
        del content["made"], content["seconds"]
    assert first == second


@pytest.mark.long
@pytest.mark.parametrize(
    ("place", "number", "when"),
    [("masters", 1, "after"), ("calibrated", 2, "before"), ("summary.txt", 1, "before")],
    ids=["after the master bias", "in the middle of a frame", "before the summary"],
)
def test_a_killed_reduction_goes_on_and_leaves_what_was_complete(raw, undisturbed, tmp_path, place, number, when):
    out = tmp_path / "out"
    killed(raw, out, place, number, when)
    # Nothing half-written has a name of its own.
    for path in (*out.rglob("[!.]*.fits"), *out.rglob("[!.]*.ecsv")):
        assert path.name.startswith(".") or path.stat().st_size > 0
        if path.suffix == ".fits":
            with fits.open(path, checksum=True) as hdus:
                assert all(hdu.data is None or hdu.data.size for hdu in hdus)
    assert not (out / "summary.txt").exists()
    noted = {Path(file) for record in read_journal(out).records.values() for file in record.files}
    before = states(out)
    summary = reduce_night(raw, out, **QUICK)
    after = states(out)
    assert {path: after[path] for path in noted} == {path: before[path] for path in noted}
    assert_same(undisturbed.out, out)
    assert not list(out.rglob(".*"))
    assert sum(summary.complete) == len(noted)
    if noted:
        assert f"{summary.complete[1]} of 4 science frames and {summary.complete[0]} of 4 masters" in " ".join(
            str(summary).split()
        )


def test_a_finished_night_is_left_alone(raw, undisturbed):
    before = states(undisturbed.out)
    with pytest.raises(FileExistsError, match="all of them are complete, and nothing has changed since"):
        reduce_night(raw, undisturbed.out, **QUICK)
    assert states(undisturbed.out) == before
    assert (undisturbed.out / "summary.txt").exists()


def redone(raw, out, **options):
    """What of the results is made anew by another run."""
    before = states(out)
    reduce_night(raw, out, **QUICK, **options)
    after = states(out)
    return sorted(path.name for path, state in after.items() if state != before.get(path))


@pytest.fixture
def own(raw, tmp_path):
    """Raw files that may be changed, and their reduction; the gain is given, so that flats do not change it."""
    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    out = tmp_path / "out"
    reduce_night(copy, out, gain=1.5, read_noise=8, **QUICK)
    return copy, out


def change(path):
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[5, 5] += 1


def test_a_changed_flat_redoes_its_master_and_the_frames_of_its_filter_and_nothing_else(own):
    raw, out = own
    change(next(raw.glob("flat*-R.fits")))
    frames = sorted(path.name for path in raw.glob("science*-R.fits"))
    assert redone(raw, out, gain=1.5, read_noise=8) == ["master-flat-R.fits", *frames]


def test_a_changed_bias_redoes_all(own):
    raw, out = own
    every = sorted(path.name for path in states(out))
    change(raw / "bias-001.fits")
    with pytest.raises(FileExistsError, match="none of them is of these raw files and this version"):
        redone(raw, out, gain=1.5, read_noise=8)
    (out / "summary.txt").unlink()
    assert redone(raw, out, gain=1.5, read_noise=8) == every


def test_a_changed_header_redoes_its_frame_and_a_touched_file_nothing(own):
    raw, out = own
    os.utime(raw / "science-001-V.fits")
    fits.setval(raw / "science-002-V.fits", "OBSERVER", value="somebody else")
    assert redone(raw, out, gain=1.5, read_noise=8) == ["science-002-V.fits"]


def test_a_new_frame_is_added_to_a_finished_night(own):
    raw, out = own
    with fits.open(raw / "science-001-V.fits") as hdus:
        hdus[0].data[3, 3] += 7
        hdus.writeto(raw / "science-009-V.fits")
    assert redone(raw, out, gain=1.5, read_noise=8) == ["science-009-V.fits"]


def test_a_result_that_somebody_has_changed_is_made_anew(raw, half):
    with fits.open(half / "calibrated" / "science-001-V.fits", mode="update") as hdus:
        hdus[0].data[0, 0] = 0
    assert redone(raw, half) == ["science-001-V.fits", "science-002-V.fits"]


def test_other_parameters_are_refused_with_their_names_and_replace_all_if_asked_for(raw, half):
    before = states(half)
    with pytest.raises(FileExistsError, match="other parameters: gain was not given, and is 2; give the same ones"):
        reduce_night(raw, half, gain=2, **QUICK)
    assert states(half) == before
    assert redone(raw, half, gain=2, overwrite=True) == sorted(
        path.name for path in (*before, Path("science-002-V.fits"))
    )
    with pytest.raises(FileExistsError, match=r"gain was 2, and is 1\.5"):
        reduce_night(raw, half, gain=1.5, **QUICK)


def test_what_is_replaced_is_removed_if_it_is_ours_and_as_we_left_it(raw, half, tmp_path):
    (half / "calibrated" / "mine.fits").write_bytes(b"mine")
    less = tmp_path / "less"
    less.mkdir()
    for path in raw.iterdir():
        if "-R" not in path.name:
            (less / path.name).symlink_to(path)
    summary = reduce_night(less, half, overwrite=True, **QUICK)
    assert not list(half.rglob("*-R.fits"))
    (remark,) = [remark for remark in summary.remarks if "left over" in remark]
    assert remark == "left over from an earlier reduction: calibrated/mine.fits"


def test_who_comes_second_is_told_who_is_at_work_and_touches_nothing(raw, half):
    held = hold(half)
    before = states(half)
    with pytest.raises(BlockingIOError, match=rf"another reduction \(process {os.getpid()} on .*, since 20"):
        reduce_night(raw, half, **QUICK)
    with pytest.raises(BlockingIOError, match="is written by another reduction"):
        reduce_night(raw, half, overwrite=True, **QUICK)
    assert states(half) == before
    release(half, held)


def test_who_was_overtaken_while_planning_touches_nothing(raw, half, monkeypatch):
    original = run.make_plan

    def overtaken(*arguments, **options):
        plan = original(*arguments, **options)
        monkeypatch.setattr(run, "make_plan", original)
        reduce_night(raw, half, **QUICK)
        return plan

    monkeypatch.setattr(run, "make_plan", overtaken)
    with pytest.raises(OSError, match=r"another reduction has written into .* since this one began; begin again"):
        reduce_night(raw, half, **QUICK)
    assert (half / "summary.txt").exists()


@pytest.mark.long
def test_the_lock_of_a_process_that_was_killed_is_gone(raw, tmp_path):
    killed(raw, tmp_path / "out", "masters", 2)
    assert reduce_night(raw, tmp_path / "out", **QUICK).complete == (1, 0)


BAD = [
    b"",
    b"not json",
    b"[1, 2]",
    b"7",
    b"{}",
    b"\xff\xfe{",
    b'{"key": "x", "files": {"../../etc/passwd": [1, 2]}, "outcome": {"Outcome": {"name": "bias"}}}',
    b'{"key": "x", "files": {"/etc/passwd": [1, 2]}, "outcome": {"Outcome": {"name": "bias"}}}',
    b'{"key": "x", "files": {"raw/a.fits": [1, 2]}, "outcome": {"Outcome": {"name": "bias"}}}',
    b'{"key": "x", "files": {}, "outcome": {"Path": {"name": "bias"}}}',
    b'{"key": "x", "files": {}, "outcome": {"Outcome": {"name": "bias", "master": {"result": "../x"}}}}',
    b'{"key": "x", "files": {}, "outcome": "bias"}',
    b'{"key": "x", "files": {"masters/a.fits": [Infinity, 1]}, "outcome": {"Outcome": {"name": "bias"}}}',
    b'{"key": "x", "files": {"masters/a.fits": [1, 1]}, "outcome": {"Outcome": {"name": "bias"}}}',
    b'{"key": "x", "files": {}, "outcome": {"Outcome": {"name": "bias", "files": ["masters/a.fits"]}}}',
    b'{"key": "x", "files": {}, "outcome": {"Outcome": {"name": "bias", "master": "../../x.fits"}}}',
    b'{"key": "x", "files": {}, "outcome": {"Outcome": {"name": "bias", "facts": {"array": ["B", [300]]}}}}',
    b"[" * 100000,
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_lines_of_the_journal_that_mean_nothing_or_lead_elsewhere_are_left(half, number):
    def records():
        # A number that is not known is not even equal to itself.
        return {name: (one.key, one.files, str(one.outcome)) for name, one in read_journal(half).records.items()}

    before = records()
    with (half / JOURNAL).open("ab") as journal:
        journal.write(BAD[number] + b"\n")
    assert records() == before


def test_a_frame_that_is_older_than_its_flat_is_made_anew(raw, half):
    lines = (half / JOURNAL).read_bytes().splitlines(keepends=True)
    # As if the flat could not be made at first, and the frame had been reduced without.
    (frame,) = (line for line in lines if b'"name": "science-001-V"' in line)
    lines.remove(frame)
    first = next(number for number, line in enumerate(lines) if b'"name": "flat-V"' in line)
    (half / JOURNAL).write_bytes(b"".join([*lines[:first], frame, *lines[first:]]))
    assert redone(raw, half) == ["science-001-V.fits", "science-002-V.fits"]


def test_what_a_failing_disk_has_spoilt_is_tried_again(raw, undisturbed, tmp_path, monkeypatch):
    original = masters.raw_frame

    def failing(frame):
        if frame.name.startswith("flat") and frame.name.endswith("V"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(frame.path))
        return original(frame)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(masters, "raw_frame", failing)
        summary = reduce_night(raw, out, **QUICK)
    assert "no flat for filter V can be used" in " ".join(summary.remarks)
    frames = sorted(path.name for path in raw.glob("science*-V.fits"))
    assert redone(raw, out) == ["master-flat-V.fits", *frames]
    assert_same(undisturbed.out, out)


def test_an_earlier_run_that_left_nothing_says_nothing_of_the_parameters(raw, half):
    nothing = half.parent / "nothing"
    nothing.mkdir()
    header = json.loads((half / JOURNAL).read_bytes().splitlines()[0])
    header["parameters"]["gain"] = "1.0"
    (nothing / JOURNAL).write_text(json.dumps(header) + "\n")
    reduce_night(raw, nothing, **QUICK)
    assert "gain" not in read_journal(nothing).parameters
    (nothing / "calibrated" / "science-002-V.fits").unlink()
    assert redone(raw, nothing) == ["science-002-V.fits"]


def test_a_line_that_was_torn_costs_its_task_and_no_other(raw, half):
    journal = half / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    last = json.loads(lines[-1])["outcome"]["Outcome"]["name"]
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    assert redone(raw, half) == ["science-002-V.fits", f"{last}.fits"]
    assert len(read_journal(half).records) == len([line for line in lines if b'"key"' in line])


def test_a_journal_that_cannot_be_written_costs_the_next_run_time_and_this_one_nothing(
    raw, tmp_path, monkeypatch, caplog
):
    from astro_calib.night.tasks import journal

    def full(_):
        raise OSError(28, "No space left on device")

    class Full:
        fsync = staticmethod(full)

        def __getattr__(self, name):
            return getattr(os, name)

    monkeypatch.setattr(journal, "os", Full())
    summary = reduce_night(raw, tmp_path / "out", **QUICK)
    assert (len(summary.frames), len(summary.masters)) == (4, 4)
    assert "No space left on device; what is done now would be done again" in caplog.text


def test_a_journal_that_is_a_link_is_not_written_through(raw, half, tmp_path):
    other = tmp_path / "precious"
    other.write_text("precious")
    (half / JOURNAL).unlink()
    (half / JOURNAL).symlink_to(other)
    with pytest.raises(FileExistsError, match="holds results already"):
        reduce_night(raw, half, **QUICK)
    reduce_night(raw, half, overwrite=True, **QUICK)
    assert other.read_text() == "precious"
    assert not (half / JOURNAL).is_symlink()
