"""The pixels of many apertures and their annuli, listed one place after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.kernels.options import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Listed", "list_pixels"]

#: The largest number of rounds of rejection.
MAX_ROUNDS = 10


class Listed(NamedTuple):
    """
    The pixels that count at each place, and what is in the apertures.

    Attributes
    ----------
    place, row, column : ndarray of int, shape (n_pixels,)
        Place by place, and row by row at each; none of a place at which nothing can be measured.
    inside : ndarray of float64, shape (n_pixels,)
        The part of the pixel that lies in the aperture.
    weight : ndarray of float64, shape (n_pixels,)
        Aperture minus annulus.
    background : ndarray of bool, shape (n_pixels,)
        Whether it is one of the annulus.
    n_missing, n_saturated : ndarray of int, shape (n_places,)
        Pixels of the aperture that are missing or outside of the frame, and those that are saturated.
    flags : ndarray of uint16, shape (n_places,)
        The bits of all pixels of the aperture.
    """

    place: NDArray[np.intp]
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    inside: NDArray[np.float64]
    weight: NDArray[np.float64]
    background: NDArray[np.bool_]
    n_missing: NDArray[np.int64]
    n_saturated: NDArray[np.int64]
    flags: NDArray[np.uint16]

    def of_places(self, first: int, end: int) -> Listed:
        """The part of the list that belongs to the places from ``first`` to before ``end``."""
        listed = slice(*np.searchsorted(self.place, (first, end)))
        place, *others = (part[listed] for part in self[:6])
        return Listed._make([place - first, *others, *(part[first:end] for part in self[6:])])


@compiled()
def _median_deviation(ordered: NDArray[Any], low: int, high: int) -> float:
    """The median of the distances from the median, for ordered values from low to high."""
    middle = low + (high - low) // 2
    center = ordered[middle]
    left, right = middle - 1, middle + 1
    distance = 0.0
    # Go outwards from the centre, always to the nearer side.
    for _ in range((high - low) // 2):
        if right >= high or (left >= low and center - ordered[left] <= ordered[right] - center):
            distance = center - ordered[left]
            left -= 1
        else:
            distance = ordered[right] - center
            right += 1
    return distance


@compiled()
def _typical(ordered: NDArray[Any], clip: float) -> tuple[float, float]:
    """The smallest and the largest value left after rejecting those that are not near the median, again and again."""
    # The values that are left are one interval of the sorted ones, with their median in the middle.
    low, high = 0, ordered.size
    for _ in range(MAX_ROUNDS):
        center = ordered[low + (high - low) // 2]
        reach = clip * _median_deviation(ordered, low, high)
        first, end = low, high
        # The median has moved: what was rejected before may be near the new one.
        while first > 0 and ordered[first - 1] >= center - reach:
            first -= 1
        while ordered[first] < center - reach:
            first += 1
        while end < ordered.size and ordered[end] <= center + reach:
            end += 1
        while ordered[end - 1] > center + reach:
            end -= 1
        if first == low and end == high:
            break
        low, high = first, end
    return ordered[low], ordered[high - 1]


@compiled()
def _span(center: float, radius: float, length: int) -> tuple[int, int]:
    """The first pixel along an axis that is within the radius, or one before, and the end of those that are."""
    return max(int(np.floor(center - radius)), 0), min(int(np.ceil(center + radius)) + 1, length)


@compiled()
def _annuli(
    data: NDArray[Any],
    missing: NDArray[np.bool_],
    places: NDArray[np.float64],
    inner: float,
    outer: float,
    values: NDArray[Any],
    numbers: NDArray[np.int64],
) -> None:
    for index in range(len(places)):
        x, y = places[index]
        first_row, end_row = _span(y, outer, data.shape[0])
        first_column, end_column = _span(x, outer, data.shape[1])
        for r in range(first_row, end_row):
            for c in range(first_column, end_column):
                squared = (r - y) ** 2 + (c - x) ** 2
                if inner**2 <= squared < outer**2 and not missing[r, c]:
                    values[index, numbers[index]] = data[r, c]
                    numbers[index] += 1


@compiled()
def _inside(
    missing: NDArray[np.bool_],
    flags: NDArray[np.uint16],
    saturated: int,
    corners: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    areas: NDArray[np.float64],
    n_missing: NDArray[np.int64],
    n_saturated: NDArray[np.int64],
    bits: NDArray[np.uint16],
) -> None:
    for index in range(len(corners)):
        for i in range(overlaps.shape[1]):
            for j in range(overlaps.shape[2]):
                if overlaps[index, i, j] <= 0:
                    continue
                r, c = corners[index, 0] + i, corners[index, 1] + j
                if r < 0 or r >= missing.shape[0] or c < 0 or c >= missing.shape[1]:
                    n_missing[index] += 1
                    continue
                bits[index] |= flags[r, c]
                n_saturated[index] += (flags[r, c] & saturated) != 0
                if missing[r, c]:
                    n_missing[index] += 1
                else:
                    areas[index] += overlaps[index, i, j]


@compiled()
def _list_pixels(
    data: NDArray[Any],
    missing: NDArray[np.bool_],
    places: NDArray[np.float64],
    corners: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    areas: NDArray[np.float64],
    inner: float,
    outer: float,
    clip: float,
    ordered: NDArray[Any],
    numbers: NDArray[np.int64],
    place: NDArray[np.intp],
    row: NDArray[np.intp],
    column: NDArray[np.intp],
    inside: NDArray[np.float64],
    weight: NDArray[np.float64],
    background: NDArray[np.bool_],
) -> int:
    side = overlaps.shape[1]
    end = 0
    for index in range(len(places)):
        if areas[index] == 0 or numbers[index] == 0:
            continue
        x, y = places[index]
        lowest, highest = _typical(ordered[index, : numbers[index]], clip)
        first_row, end_row = _span(y, outer, data.shape[0])
        first_column, end_column = _span(x, outer, data.shape[1])
        start, number = end, 0
        for r in range(first_row, end_row):
            for c in range(first_column, end_column):
                if missing[r, c]:
                    continue
                i, j = r - corners[index, 0], c - corners[index, 1]
                part = overlaps[index, i, j] if 0 <= i < side and 0 <= j < side else 0.0
                squared = (r - y) ** 2 + (c - x) ** 2
                beside = inner**2 <= squared < outer**2 and lowest <= data[r, c] <= highest
                if part > 0 or beside:
                    place[end], row[end], column[end], inside[end], background[end] = index, r, c, part, beside
                    end += 1
                    number += beside
        for k in range(start, end):
            weight[k] = inside[k] - areas[index] / number * background[k]
    return end


def list_pixels(
    data: NDArray[Any],
    missing: NDArray[np.bool_],
    flags: NDArray[np.uint16],
    saturated: int,
    places: NDArray[np.float64],
    corners: NDArray[np.int64],
    overlaps: NDArray[np.float64],
    inner: float,
    outer: float,
    clip: float,
) -> Listed:
    """
    List the pixels of apertures and annuli; values of an annulus that are far from its median are left out.

    ``data``, of shape (ny, nx), are finite where they are not ``missing``; ``saturated`` is the bit in ``flags`` of a
    saturated pixel. ``places`` has x and y of each place. ``overlaps`` has the part of each pixel around it that lies
    in the aperture, ``corners`` row and column of the first of these. ``inner`` and ``outer`` are the radii of the
    annulus, no smaller than that of the aperture. A value is far if it is further than ``clip`` median absolute
    deviations from the median.
    """
    number = len(places)
    n_missing, n_saturated = np.zeros((2, number), dtype=np.int64)
    bits = np.zeros(number, dtype=np.uint16)
    areas = np.zeros(number)
    _inside(missing, flags, saturated, corners, overlaps, areas, n_missing, n_saturated, bits)
    # No pixel of an annulus reaches further than half its diagonal beyond the edges.
    ring = min(int(np.pi * ((outer + 0.75) ** 2 - max(inner - 0.75, 0.0) ** 2)) + 1, data.size)
    values = np.full((number, ring), np.inf, dtype=data.dtype)
    numbers = np.zeros(number, dtype=np.int64)
    _annuli(data, missing, places, inner, outer, values, numbers)
    values.sort(axis=1)
    room = number * min(ring + overlaps[:1].size, data.size)
    pixels: list[NDArray[Any]] = [
        np.empty(room, dtype=dtype) for dtype in (*3 * [np.intp], np.float64, np.float64, np.bool_)
    ]
    end = _list_pixels(data, missing, places, corners, overlaps, areas, inner, outer, clip, values, numbers, *pixels)
    return Listed._make([*(part[:end] for part in pixels), n_missing, n_saturated, bits])
