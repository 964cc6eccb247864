"""Which cells of a source the pixels of a binned frame hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from astro_calib.noise.bins import Bins, binned_window, bins_of, overlaps


def cells(bins, window, pixel):
    """The cells of the base that a pixel of the binned frame holds, along one axis."""
    ((origin, step),) = window
    (size,), (apart,), (first,) = bins.size, bins.apart, bins.first
    number = origin + step * pixel
    return {first + apart * (size * number + cell) for cell in range(size)}


@pytest.mark.parametrize("window", list(itertools.product((-7, 0, 1, 6), (1, -1, 2, -3))), ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_bin_holds_the_cells_of_its_pixels(window, size):
    origin, step = window
    bins, of_bins = binned_window("pixels:abc", (window,), (size,))
    assert bins_of(bins.identity) == bins
    assert 0 <= bins.first[0] < size * abs(step)
    for pixel in range(-2, 4):
        expected = {origin + step * (size * pixel + cell) for cell in range(size)}
        assert cells(bins, of_bins, pixel) == expected


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("window", [(3, 1), (-5, -1), (4, 2)], ids=str)
def test_bins_of_bins_are_bins(window, turn):
    inner, of_inner = binned_window("pixels:abc", (window,), (3,))
    ((origin, step),) = of_inner
    outer, of_outer = binned_window(inner.identity, ((origin + 5 * step, step * turn),), (2,))
    at_once = {cell for pixel in (5, 5 + turn) for cell in cells(inner, of_inner, pixel)}
    assert outer.base == "pixels:abc"
    assert cells(outer, of_outer, 0) == at_once


def test_bins_that_leave_out_others_are_kept_apart():
    inner, of_inner = binned_window("pixels:abc", ((0, 1),), (2,))
    ((origin, step),) = of_inner
    outer, _ = binned_window(inner.identity, ((origin, 3 * step),), (2,))
    assert outer.base == inner.identity


@pytest.mark.parametrize("first_b", range(6))
@pytest.mark.parametrize("first_a", range(6))
def test_what_two_binnings_have_in_common(first_a, first_b):
    a, b = (Bins("pixels:abc", (3,), (2,), (first,)) for first in (first_a, first_b))
    common = dict.fromkeys(range(-2, 3), 0.0)
    for part, (shift,) in overlaps(a, b):
        common[shift] += part
    for shift, part in common.items():
        both = cells(a, ((0, 1),), 0) & cells(b, ((0, 1),), shift)
        assert part == pytest.approx(len(both) / 3)


def test_along_two_axes_the_parts_multiply():
    a, b = Bins("x", (2, 2), (1, 1), (0, 0)), Bins("x", (2, 2), (1, 1), (1, 1))
    assert sorted(overlaps(a, b)) == [(0.25, shift) for shift in sorted(itertools.product((-1, 0), (-1, 0)))]
    assert list(overlaps(a, Bins("y", *b[1:]))) == []
    assert np.isclose(sum(part for part, _ in overlaps(a, a)), 1.0)
