"""Arrays in temporary files, and where these are."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest

from astro_calib.io import mapped
from astro_calib.io.mapped import MappedArrays, roomy_directory
from astro_calib.io.memory import memory_of_files, memory_taken


@pytest.mark.parametrize("dtype", ["f4", "f8", "u2", "?", ">i2"])
def test_an_array_is_the_same_in_a_file(dtype):
    array = np.random.default_rng(1).integers(0, 2, (90, 101)).astype(dtype)
    moved = MappedArrays(1e9).moved(array)
    np.testing.assert_array_equal(moved, array)
    assert moved.dtype == array.dtype
    assert not moved.flags.writeable
    assert not np.may_share_memory(moved, array)


def test_an_array_outlives_what_moved_it():
    array = np.arange(1e5)
    moved = MappedArrays(1e9).moved(array)
    np.testing.assert_array_equal(moved, array)


def test_what_is_in_a_file_stays_there():
    arrays = MappedArrays(1e9)
    moved = arrays.moved(np.arange(1e5))
    assert arrays.moved(moved) is moved
    assert np.may_share_memory(arrays.moved(moved[5:]), moved)


def test_views_of_the_same_memory_become_one_array_for_as_long_as_it_is_there():
    arrays, array = MappedArrays(1e9), np.arange(1e5)
    first = arrays.moved(array.view())
    assert arrays.moved(array.view()) is first
    assert arrays.moved(array[1:]) is not first
    for number in range(20):
        # New arrays, of which some get the memory of those before.
        np.testing.assert_array_equal(arrays.moved(np.full(10**5, number)), number)


def test_a_part_that_is_not_contiguous():
    array = np.arange(1e5).reshape(250, 400)
    np.testing.assert_array_equal(MappedArrays(1e9).moved(array[::2, 3:]), array[::2, 3:])


def test_many_arrays_of_any_size(monkeypatch):
    monkeypatch.setattr(mapped, "FIRST", 1 << 16)
    monkeypatch.setattr(mapped, "LARGEST", 1 << 17)
    arrays, rng = MappedArrays(1e9), np.random.default_rng(2)
    whole = [rng.integers(0, 255, size).astype("u1") for size in rng.integers(5000, 200000, 40)]
    for array, moved in [(array, arrays.moved(array)) for array in whole]:
        np.testing.assert_array_equal(moved, array)


def test_memory_is_given_back_and_the_values_stay():
    arrays = MappedArrays(room=0)
    before = memory_of_files()
    moved = arrays.moved(np.random.default_rng(3).random(4_000_000))
    total = moved.sum()
    read = memory_of_files() - before
    arrays.let_go()
    assert 30e6 < read <= memory_taken()
    assert memory_of_files() - before < 8e6
    assert moved.sum() == total


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    """File systems of the kinds that are given, at two directories: the usual one for temporary files, and another."""
    usual, instead = tmp_path / "with a space", tmp_path / "instead"

    def mount(of_usual, of_instead):
        for place in (usual, instead):
            place.mkdir(exist_ok=True)
        table = tmp_path / "mounts"
        name = str(usual).replace(" ", "\\040")
        table.write_text(f"/dev/a / ext4 rw 0 0\nx {name} {of_usual} rw 0 0\ny {instead} {of_instead} rw 0 0\n")
        monkeypatch.setattr(mapped, "MOUNTS", table)
        monkeypatch.setattr(mapped, "INSTEAD", instead)
        monkeypatch.setattr(tempfile, "tempdir", str(usual))
        return usual, instead

    return mount


@pytest.mark.parametrize(("kinds", "chosen"), [("ext4 ext4", 0), ("tmpfs xfs", 1), ("tmpfs tmpfs", 0)])
def test_large_files_do_not_go_where_they_would_take_memory(mounts, kinds, chosen):
    places = mounts(*kinds.split())
    assert roomy_directory() == places[chosen]


def test_a_system_that_does_not_tell_its_file_systems(mounts, monkeypatch, tmp_path):
    usual, _ = mounts("tmpfs", "ext4")
    monkeypatch.setattr(mapped, "MOUNTS", tmp_path / "none")
    assert roomy_directory() == usual
