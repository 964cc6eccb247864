"""What arrays and sources are to a master travels with them, through cuts, copies and changes of the master."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import sleep

import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty

from astro_calib import CCDFrame, covariance, flat_correct, subtract_bias
from astro_calib.errors import FrameError
from astro_calib.noise import place
from astro_calib.noise.arrays import ArrayRef, LazyArray, SurvivorMask, TableArray
from astro_calib.noise.patterns import find_tables
from astro_calib.noise.place import Master, Place

#: Wider than what a frame's identity takes every pixel of.
SHAPE = (130, 140)
SIGMA = 5.0


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def noisy(rng, level=100.0):
    sigmas = StdDevUncertainty(np.full(SHAPE, SIGMA))
    return CCDFrame(rng.normal(level, SIGMA, SHAPE), unit="electron", uncertainty=sigmas)


def test_references_are_equal_by_their_place_and_a_cut_composes_it(rng):
    values = rng.normal(size=(20, 30))
    master = Master("frame:1", "flat", "checksum")
    place = Place.of_whole(master, {"array": "data"}, values.shape)
    one, copy = ArrayRef(values, place), ArrayRef(values.copy(), place)
    lazy = LazyArray(values.shape, values.copy, place)
    assert one == copy == lazy
    assert one != ArrayRef(values)
    inner, outer = (slice(2, 18, 3), slice(5, None)), (slice(1, None), slice(None, None, 2))
    for whole in (one, copy, lazy):
        assert whole.cut(inner).cut(outer) == one.cut((slice(5, 18, 3), slice(5, None, 2)))
        np.testing.assert_array_equal(whole.cut(inner).cut(outer).array, values[inner][outer])
        assert whole.cut((slice(None), slice(0, 30))) is whole
    assert one.cut(inner) != one.cut(outer)
    assert one != ArrayRef(values, Place.of_whole(Master("frame:1", "flat", "other"), {"array": "data"}, values.shape))


def test_nothing_is_read_for_a_cut():
    read = []
    lazy = LazyArray((6, 8), lambda: read.append(1) or np.arange(48.0).reshape(6, 8))
    part = lazy.cut((slice(1, 5), slice(None))).cut((slice(0, 2), slice(3, 4)))
    assert part == lazy.cut((slice(1, 3), slice(3, 4)))
    assert part.shape == (2, 1)
    assert not read
    np.testing.assert_array_equal(part.array, [[11.0], [19.0]])
    assert read == [1]


@pytest.mark.parametrize("place", [(1, 1), (0, 0)], ids=["a pixel that is not in the identity", "one that is"])
def test_an_exact_flat_that_somebody_writes_into_is_another_flat(rng, place):
    flat = CCDFrame(rng.uniform(0.5, 1.5, SHAPE), unit="electron")
    frame = noisy(rng)
    before = flat_correct(frame, flat, norm_value=1.0)
    old = flat.pixels.copy()
    flat.data[place] *= 3
    after = flat_correct(frame, flat, norm_value=1.0)
    # The same noise over two flats: sigma (1 / old - 1 / new).
    np.testing.assert_allclose((before - after).variance, SIGMA**2 * (1 / old - 1 / flat.pixels) ** 2, atol=1e-9)
    np.testing.assert_allclose(covariance(before, after), SIGMA**2 / (old * flat.pixels))


def test_a_source_of_a_master_stays_that_masters_when_another_brings_it(rng):
    bias, raw, other = noisy(rng), noisy(rng), noisy(rng)
    dark = subtract_bias(raw, bias)
    result = subtract_bias(other, dark)
    homes = {source.identity: source.home for source, _ in result.budget.terms if source.lent}
    (of_bias,), (of_raw,) = ([source.identity for source, _ in frame.budget.terms] for frame in (bias, raw))
    assert homes.keys() == {of_bias, of_raw}
    assert homes[of_bias] is not homes[of_raw]
    # Cut and copied, they are at home in the same place.
    for again in (result[3:9, ::2], result.copy(), result * 2.0):
        assert {s.identity: s.home for s, _ in again.budget.terms if s.lent} == homes


def test_an_array_that_depends_on_the_survivors_alone_becomes_a_table_with_the_same_values(rng):
    plane = ArrayRef(rng.integers(0, 8, SHAPE).astype(np.uint32))
    numbers = np.array([0.0, 0.1, 0.3, np.pi, 5.0, 6.0, 7.0, 8.0], dtype=np.float32)
    like, unlike = ArrayRef(numbers[plane.array]), ArrayRef(rng.normal(size=SHAPE).astype(np.float32))
    nearly = numbers[plane.array]
    nearly[-1, -1] += 1
    find_tables([[SurvivorMask(plane, 0), like, unlike, ArrayRef(nearly)]])
    assert unlike.table is None
    table = like.table
    assert table is not None
    np.testing.assert_array_equal(table.array, like.array)
    assert table.dtype == np.float32
    with pytest.raises(FrameError, match="table lacks"):
        _ = TableArray(plane, np.arange(7), numbers[:7]).array


def test_of_an_array_that_differs_at_one_pixel_no_table_is_made(rng):
    plane = ArrayRef(rng.integers(0, 8, SHAPE).astype(np.uint32))
    values = plane.array.astype(np.float64)
    values[77, 99] += 1e-9
    array = ArrayRef(values)
    find_tables([[SurvivorMask(plane, 0), array]])
    assert array.table is None


def test_threads_that_ask_for_one_master_get_one(monkeypatch):
    made = []

    class Slow(Master):
        """Takes its time to be made, so that others ask meanwhile."""

        def __init__(self, *args):
            made.append(args)
            sleep(0.01)
            super().__init__(*args)

    monkeypatch.setattr(place, "Master", Slow)
    with ThreadPoolExecutor(8) as threads:
        masters = list(threads.map(lambda _: place.known_master("frame:of threads"), range(8)))
    assert len(made) == 1
    assert all(master is masters[0] for master in masters)
