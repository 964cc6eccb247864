"""A file is there whole, or as it was before."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import tempfile

import numpy as np
import pytest

from astro_calib import CCDFrame
from astro_calib.io.atomic import write_atomically
from tests import processes


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_file_is_written_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "table.ecsv"
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new"
    assert names(tmp_path) == ["table.ecsv"]


def test_writer_sees_a_new_path_of_the_same_ending_in_the_same_directory(tmp_path):
    path = tmp_path / "frame.fits.gz"
    path.write_text("old")

    def write(temporary):
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".fits.gz")
        assert not temporary.exists()
        assert path.read_text() == "old"
        temporary.write_text("new")

    write_atomically(path, write)
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("bad header"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", ["old", None])
def test_error_halfway_leaves_the_directory_as_it_was(tmp_path, error, old):
    path = tmp_path / "frame.fits"
    if old is not None:
        path.write_text(old)

    def write(temporary):
        temporary.write_text("half of it")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, write)
    assert names(tmp_path) == (["frame.fits"] if old else [])
    assert old is None or path.read_text() == old


def test_missing_directory_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "frame.fits", lambda temporary: temporary.write_text("x"))


def test_permissions_are_those_of_any_new_file(tmp_path):
    plain, atomic = tmp_path / "plain", tmp_path / "atomic"
    plain.write_text("x")
    write_atomically(atomic, lambda temporary: temporary.write_text("x"))
    assert atomic.stat().st_mode == plain.stat().st_mode


def test_link_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "table.ecsv"
    link.symlink_to(tmp_path / "disk" / "table.ecsv")
    for text in ("new", "newer"):
        write_atomically(link, lambda temporary, text=text: temporary.write_text(text))
        assert link.is_symlink()
        assert (tmp_path / "disk" / "table.ecsv").read_text() == text
    assert names(tmp_path) == ["disk", "table.ecsv"]


def test_a_device_a_pipe_or_a_directory_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "directory.fits").mkdir()
    (tmp_path / "null.fits").symlink_to(os.devnull)
    before = {name: (tmp_path / name).stat().st_ino for name in names(tmp_path)}
    for name, number in before.items():
        with pytest.raises(OSError, match=r"it is there, and is no regular file: .*(null|pipe|directory)"):
            write_atomically(tmp_path / name, lambda temporary: temporary.write_text("x"))
        assert (tmp_path / name).stat().st_ino == number
    assert set(names(tmp_path)) == set(before)


def test_name_of_the_greatest_length(tmp_path):
    path = tmp_path / ("x" * 250 + ".fits")
    write_atomically(path, lambda temporary: temporary.write_text("x"))
    assert path.exists()


# -- frames ----------------------------------------------------------------------------------------------------------

ENDINGS = ["fits", "fits.gz", "asdf"]


def random_frame(seed):
    pixels = np.random.default_rng(seed).random((700, 700))
    return CCDFrame(pixels, unit="adu", uncertainty=np.ones((700, 700)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_full_disk_leaves_the_old_frame_and_is_told_with_its_name(tmp_path, ending):
    path = tmp_path / f"frame.{ending}"
    frame = random_frame(1)
    frame.write(path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"frame\.{ending}"):
            frame.write(path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
    assert names(tmp_path) == [path.name]


def write_for_ever(path, connection):
    frame = random_frame(2)
    connection.send("it begins")
    while True:
        frame.write(path, overwrite=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_process_that_is_killed_leaves_a_whole_frame(tmp_path, ending):
    path = tmp_path / f"frame.{ending}"
    random_frame(1).write(path)
    for delay in (0.03, 0.11):
        here, there = processes.context().Pipe()
        process = processes.start(write_for_ever, path, there)
        assert here.recv() == "it begins"
        process.join(delay)
        assert process.exitcode is None
        process.kill()
        process.join()
        pixels = CCDFrame.read(path, checksum=True).data
        assert any(np.array_equal(pixels, random_frame(seed).data) for seed in (1, 2))


@pytest.mark.parametrize("ending", ENDINGS)
def test_directory_that_cannot_be_written_to_is_told_with_the_name_of_the_frame(tmp_path, ending, monkeypatch):
    # As a user other than root finds it.
    def refuse(**options):
        raise PermissionError(errno.EACCES, "Permission denied", f"{options['dir']}/.temporary")

    path = tmp_path / f"frame.{ending}"
    random_frame(1).write(path)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(PermissionError, match=rf"frame\.{ending}"):
        random_frame(2).write(path, overwrite=True)
    np.testing.assert_array_equal(CCDFrame.read(path).data, random_frame(1).data)
    assert names(tmp_path) == [path.name]


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_the_name_before_the_writer_returns(tmp_path, monkeypatch):
    calls = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def sync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        calls.append(("fsync", kind, os.fstat(descriptor).st_size))
        real["fsync"](descriptor)

    def replace(source, target):
        calls.append(("rename", str(target), source.stat().st_size))
        real["replace"](source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomically(tmp_path / "frame.fits", lambda temporary: temporary.write_bytes(b"x" * 5000))
    assert [call[:2] for call in calls] == [
        ("fsync", "file"),
        ("rename", str(tmp_path / "frame.fits")),
        ("fsync", "folder"),
    ]
    assert calls[0][2] == calls[1][2] == 5000
