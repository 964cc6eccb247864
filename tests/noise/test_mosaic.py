"""Arrays that are constant over sections."""

import pickle

import numpy as np
import pytest

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.mosaic import MosaicArray, as_mosaic, progressions

SHAPE = (7, 10)
LAYOUTS = {
    "quadrants": [np.s_[:3, :5], np.s_[:3, 5:], np.s_[3:, :5], np.s_[3:, 5:]],
    "columns in turn": [np.s_[:, ::2], np.s_[:, 1::2]],
    "rows": [np.s_[:2, :], np.s_[2:, :]],
    "with a border": [np.s_[1:4, 2:5], np.s_[1:4, 5:8]],
    "read backwards": [np.s_[6::-1, 4::-1], np.s_[:, 5:]],
}
ITEMS = [np.s_[:, :], np.s_[1:6, 2:9], np.s_[::-1, :], np.s_[::2, ::-3], np.s_[2:3, 4:5], np.s_[3:3, :]]


def plain(layout):
    result = np.full(SHAPE, 0.5)
    for number, section in enumerate(layout):
        result[section] = 1.5 + number
    return result


def mosaic(layout, dtype=np.float64):
    return MosaicArray.of_sections(layout, [1.5 + number for number in range(len(layout))], SHAPE, dtype, 0.5)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("item", ITEMS, ids=str)
def test_it_is_the_array(layout, item):
    whole, array = mosaic(layout), plain(layout)
    np.testing.assert_array_equal(whole.array, array)
    np.testing.assert_array_equal(np.broadcast_to(whole.compact, SHAPE), array)
    np.testing.assert_array_equal(whole.part(item), array[item])
    np.testing.assert_array_equal(whole.cut(item).array, array[item])
    pixels = np.array([0, 69, 23, 40])
    np.testing.assert_array_equal(whole.at(pixels, SHAPE), array.ravel()[pixels])
    assert not whole.array.flags.writeable


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("item", ITEMS[:5], ids=str)
def test_equal_values_are_equal(layout, item):
    cut, array = mosaic(layout).cut(item), plain(layout)[item]
    sections = [(slice(row, row + 1), slice(column, column + 1)) for row, column in np.ndindex(array.shape)]
    other = MosaicArray.of_sections(sections, array.ravel().tolist(), array.shape)
    assert cut == other
    assert hash(cut) == hash(other)
    assert cut.digest() == other.digest()
    assert Coefficient(2.0).times(cut).times(other, -1).number == 2.0
    assert cut != mosaic(layout, np.float32).cut(item)
    assert cut != ArrayRef(array)
    assert pickle.loads(pickle.dumps(cut)) == cut  # noqa: S301  our own bytes


@pytest.mark.parametrize("item", ITEMS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_nothing_is_outside_of_its_extent(layout, item):
    for number in range(len(layout)):
        one = MosaicArray.of_sections(layout, [float(other == number) for other in range(len(layout))], SHAPE)
        rest = one.array.copy()[item]
        inside = np.zeros(SHAPE, bool)
        extent = one.extent(item)
        if extent is not None:
            inside[extent] = True
        assert not rest[~inside[item]].any()
        outside = np.ones(SHAPE, bool)
        outside[item] = False
        assert not inside[outside].any()


def test_it_takes_next_to_no_memory():
    sections = [np.s_[:500, :500], np.s_[:500, 500:], np.s_[500:, :500], np.s_[500:, 500:]]
    assert MosaicArray.of_sections(sections, [1, 2, 3, 4], (1000, 1000)).nbytes < 3000


def test_what_is_found_from_mosaics_is_one():
    one, other = (mosaic(LAYOUTS[name]) for name in ("quadrants", "columns in turn"))
    product = one.array * other.array
    found = as_mosaic(product, [one, other])
    np.testing.assert_array_equal(found.array, product)
    assert as_mosaic(product, [one, ArrayRef(other.array)]) is None
    assert as_mosaic(product, []) is None


@pytest.mark.parametrize("kinds", [[0, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1], [0, 1, 1, 0, 2, 2, 0], [0], [0, 1, 2, 2, 1, 0]])
def test_progressions(kinds):
    found = np.full(len(kinds), -1)
    for kind, first, end, step in progressions(np.array(kinds)):
        assert np.all(found[first:end:step] == -1)
        found[first:end:step] = kind
    np.testing.assert_array_equal(found, kinds)
