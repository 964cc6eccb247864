"""Names of output files, and writing them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_calib.io.atomic import write_atomically
from astro_calib.night.common.names import file_name, in_rows, stem, unique_name


@pytest.mark.parametrize("name", ["d1.fits", "d1.FIT", "d1.fts", "d1.fits.gz", "d1.fits.fz", "d1.fz", "d1.fit.bz2"])
def test_stem(name):
    assert stem(Path("/raw") / name) == "d1"


@given(st.text())
def test_name_from_a_header_stays_in_its_directory(text):
    name = file_name(text)
    directory = Path("/out/masters")
    path = directory / f"master-flat-{name}.fits"
    assert path.parent == directory
    assert (directory / name).parent == directory
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>| ')
    assert name not in ("", ".", "..")
    assert len(name) <= 80


def test_names_do_not_collide_where_capitals_do_not_count():
    names = []
    for wanted in ["r", "R", "r", "r-2"]:
        names.append(unique_name(wanted, names))
    assert len({name.casefold() for name in names}) == 4
    assert names[0] == "r"


def test_write_makes_the_whole_file_or_nothing(tmp_path):
    path = tmp_path / "table.txt"
    write_atomically(path, lambda temporary: temporary.write_text("first"))
    assert path.read_text() == "first"

    def fail(temporary):
        temporary.write_text("half of the sec")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, fail)
    assert path.read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.txt"]


def test_writer_sees_the_suffix_and_a_file_that_does_not_exist(tmp_path):
    seen = []

    def write(temporary):
        seen.append((temporary.parent, temporary.suffix, temporary.exists()))
        temporary.write_text("x")

    write_atomically(tmp_path / "frame.fits", write)
    assert seen == [(tmp_path, ".fits", False)]


def test_written_file_has_the_permissions_of_any_new_file(tmp_path):
    write_atomically(tmp_path / "a", lambda temporary: temporary.write_text("x"))
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([f"t{number}.txt" for number in range(2000)], ["t0.txt to t1999.txt (2000 files)"]),
        (
            ["b.txt", *(f"{number:02}.fits.bz2" for number in range(8, 13))],
            ["b.txt", "08.fits.bz2 to 12.fits.bz2 (5 files)"],
        ),
        ([f"d{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9)], [f"d{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9)]),
        ([f"{folder}/{number}" for number in range(3) for folder in "ab"], ["a/0", "b/0", "a/1", "b/1", "a/2", "b/2"]),
    ],
    ids=["many", "padded", "gap", "few"],
)
def test_names_in_a_row_are_said_by_the_first_and_the_last(names, said):
    assert in_rows(names) == said
