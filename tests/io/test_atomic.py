"""A file is there whole, or as it was before."""

from __future__ import annotations

import pytest

from astro_calib.io.atomic import write_atomically


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
