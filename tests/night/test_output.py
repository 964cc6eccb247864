"""The directory of the results."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from astro_calib import simulate
from astro_calib.cli import main
from astro_calib.io.atomic import TEMPORARY
from astro_calib.night.common.lock import LOCK
from astro_calib.night.common.output import Output, check_output


def test_parts_are_made_and_files_belong_to_them(tmp_path):
    with Output(tmp_path / "a" / "out", []) as output:
        assert sorted(path.name for path in output.directory.iterdir() if path.is_dir()) == [
            "calibrated",
            "masters",
            "pictures",
            "tables",
        ]
        assert output.path("calibrated", "d1048") == tmp_path / "a" / "out" / "calibrated" / "d1048.fits"


@pytest.mark.parametrize("name", ["summary.txt", "masters/master-bias.fits", "tables/d1.ecsv"])
def test_results_are_replaced_only_if_asked_for(tmp_path, name):
    old = tmp_path / name
    old.parent.mkdir(exist_ok=True)
    old.write_text("precious")
    with pytest.raises(FileExistsError, match=f"holds results already, such as {name}; give another directory"):
        Output(tmp_path, [])
    assert old.read_text() == "precious"
    with Output(tmp_path, [], overwrite=True) as output:
        # A summary tells of results that are finished; those that are about to change are not.
        assert old.exists() == (name != "summary.txt")
        assert output.left_over() == ([] if name == "summary.txt" else [old])


def test_other_files_are_nobodys_business(tmp_path):
    (tmp_path / "notes.txt").write_text("seeing 2 arcsec")
    with Output(tmp_path, []) as output:
        assert output.left_over() == []


def test_what_was_written_is_not_left_over(tmp_path):
    (tmp_path / "masters").mkdir()
    for name in ("old", "asked for", "new"):
        (tmp_path / "masters" / f"{name}.fits").write_text("")
    with Output(tmp_path, [], overwrite=True) as output:
        output.path("masters", "asked for")
        output.write("masters", "new", lambda path: path.write_text("new"))
        assert (tmp_path / "masters" / "new.fits").read_text() == "new"
        assert [path.name for path in output.left_over()] == ["asked for.fits", "old.fits"]


@pytest.mark.parametrize("part", ["", "calibrated", "masters"])
def test_results_never_go_where_raw_frames_are(tmp_path, part):
    raw = tmp_path / part / "raw.fits"
    raw.parent.mkdir(exist_ok=True)
    raw.write_text("photons")
    with pytest.raises(FileExistsError, match=r"raw\.fits lies where the results would be written"):
        Output(tmp_path, [raw], overwrite=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [raw]


def test_a_link_to_the_raw_frames_is_seen_through(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.fits").write_text("photons")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "calibrated").symlink_to(raw)
    with pytest.raises(FileExistsError, match="lies where the results"):
        Output(tmp_path / "out", [raw / "a.fits"], overwrite=True)


def test_a_directory_beside_or_below_the_raw_frames_is_fine(tmp_path):
    raw = tmp_path / "a.fits"
    raw.write_text("photons")
    with Output(tmp_path / "reduced", [raw]) as output:
        assert output.directory.is_dir()


def test_a_directory_that_cannot_be_made_is_named_before_anything_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/out cannot be written: .*file is a file; give another directory .*-o"):
        check_output(tmp_path / "file" / "out")
    check_output(tmp_path / "new" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_without_permission(tmp_path, monkeypatch):
    # The superuser has every permission: what the system would say to others is said for it.
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(OSError, match=rf"out cannot be written: no permission to write in {tmp_path}; give another"):
        check_output(tmp_path / "out")


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(FileExistsError, match="out is a file; give a directory"):
        Output(tmp_path / "out", [])


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    "part", ["calibrated/{}.fits", "masters/{}.fits", "tables/{}.ecsv", "pictures/{}.png", "{}.txt"]
)
def test_what_a_process_that_was_killed_has_left_is_no_result_and_removed(tmp_path, dead, part):
    # The second as earlier versions named them, which somebody else may do as well.
    left, old = (tmp_path / part.format(name) for name in (f"{TEMPORARY}{dead}-abcd1234-m13", ".abcd1234-m13"))
    left.parent.mkdir(exist_ok=True)
    for path in (left, old):
        path.write_text("half")
    with Output(tmp_path, []) as output:
        assert not left.exists()
        assert old.exists()
        assert output.left_over() == []


def test_the_temporary_file_of_a_process_that_runs_is_left_to_it(tmp_path):
    (tmp_path / "masters").mkdir()
    path = tmp_path / "masters" / f"{TEMPORARY}{os.getppid()}-abcd1234-m13.fits"
    path.write_text("half")
    with Output(tmp_path, []):
        assert path.exists()


def test_a_directory_without_a_name_is_not_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="has no name"):
        check_output("")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out", "out/deep", "fine"])
def test_a_link_that_leads_nowhere_is_told_before_anything_is_made(tmp_path, name):
    (tmp_path / "out").symlink_to(tmp_path / "out")
    (tmp_path / "fine").mkdir()
    (tmp_path / "fine" / "tables").symlink_to(tmp_path / "not there")
    with pytest.raises(OSError, match="is a link that leads nowhere; give another directory"):
        check_output(tmp_path / name)
    assert not (tmp_path / "not there").exists()


def test_a_folder_belongs_to_one_reduction_at_a_time(tmp_path):
    with Output(tmp_path / "out", []):
        for attempt in (check_output, lambda out, **options: Output(out, [], **options)):
            with pytest.raises(BlockingIOError, match=rf"reduction \(process {os.getpid()} on .*; wait for its end"):
                attempt(tmp_path / "out", overwrite=True)
    with Output(tmp_path / "out", []):
        pass
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_file()]


def test_the_second_of_two_commands_is_told_who_is_at_work_and_touches_nothing(tmp_path):
    raw = tmp_path / "raw"
    simulate.night(raw, seed=1, camera=simulate.camera((64, 96), seed=1, filters=["V"]), science=1)
    with Output(tmp_path / "out", []) as output:
        output.write("masters", "master-bias", lambda path: path.write_text("of the first"))
        options = ["-o", str(output.directory), "--gain", "2", "--overwrite"]
        result = CliRunner().invoke(main, ["reduce", str(raw), *options])
        assert result.exit_code == 1
        assert f"process {os.getpid()}" in result.output
        assert output.path("masters", "master-bias").read_text() == "of the first"


def test_a_process_that_was_killed_holds_nothing(tmp_path):
    code = (
        "import sys, time; from astro_calib.night.common.output import Output\n"
        "with Output(sys.argv[1], []): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError, match=f"process {process.pid}"):
            check_output(tmp_path)
        process.kill()
    with Output(tmp_path, []):
        pass


def test_a_disk_that_knows_no_locks_is_said_and_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match=r"out is on a disk that knows no locks \(No locks available\): let no other"):
        output = Output(tmp_path / "out", [])
    with output:
        output.write("masters", "master-bias", lambda path: path.write_text("whole"))


def test_a_pipe_or_a_link_in_the_place_of_the_lock_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / LOCK)
    check_output(tmp_path)
    (tmp_path / LOCK).unlink()
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="cannot be written"):
        Output(tmp_path, [])
    assert not (tmp_path / "precious").exists()


@pytest.mark.parametrize("name", ["report.html", "summary.json"])
def test_a_page_or_a_summary_that_lies_there_is_not_removed_unasked(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError, match=f"holds results already, such as {name}"):
        Output(tmp_path, [])
    assert (tmp_path / name).read_text() == "precious"
