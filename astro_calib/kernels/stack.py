"""Combining the values of many frames at each pixel: rejection and location, on plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from astro_calib.arithmetic import float_type
from astro_calib.kernels.network import comparators, median_of_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "at_center",
    "collect",
    "counted",
    "masked_median",
    "merge_flags",
    "reject_deviant",
    "reject_extremes",
    "sample_variance",
    "survivors",
    "weighted_sums",
]

#: Pixels whose sums stay in the fastest cache while all frames are added.
WIDTH = 1024


@numba.njit(cache=True, nogil=True)
def _collect(
    values: NDArray[Any],
    mask: NDArray[np.bool_],
    flags: NDArray[np.uint16],
    unusable: np.uint16,
    result: NDArray[Any],
    used: NDArray[np.bool_],
) -> int:
    kind = result.dtype.type
    infinite = kind(np.inf)
    number = 0
    for index in range(values.shape[0]):
        value = kind(values[index])
        result[index] = value
        good = abs(value) < infinite
        used[index] = good
        number += good
    if mask.shape[0]:
        number = 0
        for index in range(values.shape[0]):
            good = used[index] & (not mask[index])
            used[index] = good
            number += good
    if flags.shape[0]:
        number = 0
        for index in range(values.shape[0]):
            good = used[index] & ((flags[index] & unusable) == 0)
            used[index] = good
            number += good
    return number


NO_MASK = np.empty(0, dtype=np.bool_)
NO_FLAGS = np.empty(0, dtype=np.uint16)


def collect(
    values: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    flags: NDArray[np.uint16] | None,
    unusable: int,
    result: NDArray[Any],
    used: NDArray[np.bool_],
) -> bool:
    """
    Take the values of a frame, and find which are fit for use.

    Parameters
    ----------
    values : ndarray
        Real numbers of any type that ``result`` can hold.
    mask : ndarray of bool, of the same shape, optional
        True where a value is not to be used.
    flags : ndarray of uint16, of the same shape, optional
    unusable : int
        Flags with one of these bits say that a value is not to be used.
    result : ndarray, floating, C-contiguous
        The values are written here.
    used : ndarray of bool, C-contiguous
        Written: where a value is finite, not masked and not flagged.

    Returns
    -------
    bool
        Whether all are fit for use.
    """
    if not values.dtype.isnative or (values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8)):
        values = values.astype(result.dtype)
    line = np.ascontiguousarray(values).reshape(-1)
    masked = NO_MASK if mask is None else np.ascontiguousarray(mask, dtype=np.bool_).reshape(-1)
    flagged = NO_FLAGS if flags is None else np.ascontiguousarray(flags, dtype=np.uint16).reshape(-1)
    number = _collect(line, masked, flagged, np.uint16(unusable), result.reshape(-1), used.reshape(-1))
    return bool(number == line.size)


def masked_median(values: NDArray[Any], used: NDArray[np.bool_], complete: bool | None = None) -> NDArray[Any]:
    """
    The median of the used values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
        Floating, or whole numbers that are all used.
    used : ndarray of bool, shape (n, ...)
        Which values count; not read if ``complete``.
    complete : bool, optional
        Whether all do, if that is known.

    Returns
    -------
    ndarray, shape (...)
        Of the type of ``values``, float32 for whole numbers of 16 bits; NaN where no value is used.
    """
    number = len(values)
    lines, here = _lines(values), _lines(used)
    median = np.empty(lines.shape[1], dtype=float_type(values.dtype))
    pairs = comparators(number) if number > 1 else np.empty((0, 2), dtype=np.int64)
    median_of_lines(lines, here, bool(used.all()) if complete is None else complete, pairs, median)
    return median.reshape(values.shape[1:])


def _lines(values: NDArray[Any]) -> NDArray[Any]:
    """Values of each frame in a line, C-contiguous."""
    return np.ascontiguousarray(values).reshape(len(values), -1)


@numba.njit(cache=True, nogil=True)
def _within(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    variance: NDArray[Any],
    center: NDArray[Any],
    lower: float,
    upper: float,
    kept: NDArray[np.bool_],
) -> None:
    kind = values.dtype.type
    below, above, nothing = kind(lower * lower), kind(upper * upper), kind(0)
    if variance.shape[0] == 1:
        single = max(kind(variance[0]), nothing)
        low, high = below * single, above * single
        for index in range(values.shape[0]):
            deviation = values[index] - center[index]
            limit = high if deviation > nothing else low
            kept[index] = used[index] & (deviation * deviation <= limit)
        return
    for index in range(values.shape[0]):
        deviation = values[index] - center[index]
        # Rounding can leave a variance of nothing below zero.
        limit = (above if deviation > nothing else below) * max(kind(variance[index]), nothing)
        kept[index] = used[index] & (deviation * deviation <= limit)


@numba.njit(cache=True, nogil=True)
def _keep_some(
    values: NDArray[Any], used: NDArray[np.bool_], center: NDArray[Any], remaining: NDArray[np.bool_]
) -> None:
    """Of two values only the higher may go; all never do."""
    n, m = values.shape
    before = np.empty(WIDTH, dtype=np.uint16)
    after = np.empty(WIDTH, dtype=np.uint16)
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        before[:width] = 0
        after[:width] = 0
        for frame in range(n):
            here, kept = used[frame, start : start + width], remaining[frame, start : start + width]
            for index in range(width):
                before[index] += here[index]
                after[index] += kept[index]
        for index in range(width):
            if (before[index] == 2 and after[index] < 2) or (before[index] > 0 and after[index] == 0):
                where = start + index
                for frame in range(n):
                    if used[frame, where] and values[frame, where] <= center[where]:
                        remaining[frame, where] = True


def reject_deviant(
    values: NDArray[Any],
    variances: Sequence[Any] | NDArray[Any],
    used: NDArray[np.bool_],
    center: NDArray[Any],
    lower: float,
    upper: float,
) -> NDArray[np.bool_]:
    """
    Leave out values that are too many standard deviations from the centre.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
    variances : sequence of n numbers or arrays, each of shape (...)
        The square of the standard deviation of each frame's values.
    used : ndarray of bool, shape (n, ...)
        Which values are considered.
    center : ndarray, shape (...)
        The median of the used values.
    lower, upper : float
        Thresholds below and above the centre.

    Returns
    -------
    ndarray of bool, shape (n, ...)
        Which values remain. Of two values only the higher may go; all never do: the values up to the lower of the two
        middle ones stay where none would.
    """
    remaining = np.empty(values.shape, dtype=np.bool_)
    lines, here, kept, middle = (
        _lines(values),
        _lines(used),
        _lines(remaining),
        np.ascontiguousarray(center).reshape(-1),
    )
    for frame, variance in enumerate(variances):
        noise = np.ascontiguousarray(variance).reshape(-1)
        if noise.size not in (1, middle.size):
            noise = np.ascontiguousarray(np.broadcast_to(variance, center.shape)).reshape(-1)
        _within(lines[frame], here[frame], noise, middle, lower, upper, kept[frame])
    _keep_some(lines, here, middle, kept)
    return remaining


@numba.njit(cache=True, nogil=True)
def _at_center(
    total: NDArray[Any],
    slope: NDArray[Any],
    floor: NDArray[Any],
    values: NDArray[Any],
    center: NDArray[Any],
    result: NDArray[Any],
) -> None:
    kind = result.dtype.type
    quarter = kind(0.25)
    for index in range(values.shape[0]):
        moved = kind(total[index]) + kind(slope[index]) * (center[index] - values[index])
        lowest = quarter * kind(floor[index])
        result[index] = max(moved, lowest)


@numba.njit(cache=True, nogil=True)
def _at_center_alike(
    total: NDArray[Any], slope: float, floor: float, values: NDArray[Any], center: NDArray[Any], result: NDArray[Any]
) -> None:
    kind = result.dtype.type
    lowest, steepness = kind(floor / 4), kind(slope)
    for index in range(values.shape[0]):
        result[index] = max(kind(total[index]) + steepness * (center[index] - values[index]), lowest)


def at_center(total: Any, slope: Any, floor: Any, values: NDArray[Any], center: NDArray[Any]) -> NDArray[Any]:
    """
    The variance that values would have at the centre: moved along its slope, not below a quarter of its floor.

    Parameters
    ----------
    total, slope, floor : float or ndarray, broadcasting to shape (...)
    values, center : ndarray, shape (...)

    Returns
    -------
    ndarray, shape (...)
        Of the type of ``values``.
    """
    result = np.empty(values.shape, dtype=values.dtype)
    if np.ndim(slope) == np.ndim(floor) == 0 and np.shape(total) == values.shape:
        arrays = [np.ascontiguousarray(part).reshape(-1) for part in (total, values, center)]
        _at_center_alike(arrays[0], float(slope), float(floor), arrays[1], arrays[2], result.reshape(-1))
        return result
    lines = [
        np.ascontiguousarray(np.broadcast_to(part, values.shape)).reshape(-1)
        for part in (total, slope, floor, values, center)
    ]
    _at_center(lines[0], lines[1], lines[2], lines[3], lines[4], result.reshape(-1))
    return result


@numba.njit(cache=True, nogil=True)
def _reject_extremes(
    values: NDArray[Any], used: NDArray[np.bool_], lowest: int, highest: int, remaining: NDArray[np.bool_]
) -> None:
    n, m = values.shape
    rank = np.empty(WIDTH, dtype=np.uint16)
    number = np.empty(WIDTH, dtype=np.uint16)
    for start in range(0, m, WIDTH):
        stop = min(start + WIDTH, m)
        width = stop - start
        number[:width] = 0
        for frame in range(n):
            here = used[frame, start:stop]
            for index in range(width):
                number[index] += here[index]
        for frame in range(n):
            line, here, kept = values[frame, start:stop], used[frame, start:stop], remaining[frame, start:stop]
            rank[:width] = 0
            # Of equal values the earlier frame's is the lower.
            for other in range(frame):
                beside, there = values[other, start:stop], used[other, start:stop]
                for index in range(width):
                    rank[index] += there[index] & (beside[index] <= line[index])
            for other in range(frame + 1, n):
                beside, there = values[other, start:stop], used[other, start:stop]
                for index in range(width):
                    rank[index] += there[index] & (beside[index] < line[index])
            for index in range(width):
                inside = (rank[index] >= lowest) & (rank[index] + highest < number[index])
                kept[index] = here[index] & (inside | (number[index] <= lowest + highest))


def reject_extremes(values: NDArray[Any], used: NDArray[np.bool_], lowest: int, highest: int) -> NDArray[np.bool_]:
    """
    Leave out the lowest and the highest values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
    used : ndarray of bool, shape (n, ...)
    lowest, highest : int
        How many to leave out at each end. Where too few values are used to leave one over, none is left out.

    Returns
    -------
    ndarray of bool, shape (n, ...)
        Which values remain.
    """
    remaining = np.empty(values.shape, dtype=np.bool_)
    _reject_extremes(_lines(values), _lines(used), lowest, highest, _lines(remaining))
    return remaining


@numba.njit(cache=True, nogil=True)
def _add_used(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    weights: NDArray[np.float64],
    alike: bool,
    total: NDArray[np.float64],
    weight: NDArray[np.float64],
    number: NDArray[np.uint16],
) -> None:
    n, m = values.shape
    for start in range(0, m, WIDTH):
        stop = min(start + WIDTH, m)
        sums, own_weights, counts = total[start:stop], weight[start:stop], number[start:stop]
        for frame in range(n):
            line, here, own = values[frame, start:stop], used[frame, start:stop], weights[frame]
            for index in range(stop - start):
                # A value that is left out may be anything, infinity and NaN included.
                sums[index] += own * np.float64(line[index]) if here[index] else 0.0
            if not alike:
                for index in range(stop - start):
                    own_weights[index] += own if here[index] else 0.0
            for index in range(stop - start):
                counts[index] += here[index]
        if alike:
            for index in range(stop - start):
                own_weights[index] = weights[0] * counts[index]


@numba.njit(cache=True, nogil=True)
def _count(used: NDArray[np.bool_], number: NDArray[np.uint16]) -> None:
    n, m = used.shape
    for start in range(0, m, WIDTH):
        stop = min(start + WIDTH, m)
        counts = number[start:stop]
        for frame in range(n):
            here = used[frame, start:stop]
            for index in range(stop - start):
                counts[index] += here[index]


def counted(used: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """
    How many values are used at each pixel.

    Parameters
    ----------
    used : ndarray of bool, shape (n, ...)

    Returns
    -------
    ndarray of uint16, shape (...)
    """
    number = np.zeros(used.shape[1:], dtype=np.uint16)
    _count(_lines(used), number.reshape(-1))
    return number


@numba.njit(cache=True, nogil=True)
def _add_all(values: NDArray[Any], weights: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    n, m = values.shape
    for start in range(0, m, WIDTH):
        stop = min(start + WIDTH, m)
        sums = total[start:stop]
        for frame in range(n):
            line, own = values[frame, start:stop], weights[frame]
            for index in range(stop - start):
                sums[index] += own * np.float64(line[index])


def weighted_sums(
    values: NDArray[Any], used: NDArray[np.bool_], weights: Sequence[float], complete: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint16]]:
    """
    Sums over the used values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
    used : ndarray of bool, shape (n, ...)
    weights : sequence of float, length n
    complete : bool
        Whether all values are known to be used.

    Returns
    -------
    total, weight : ndarray of float64, shape (...)
        The sums of weight times value, and of the weights.
    number : ndarray of uint16, shape (...)
        How many values are used.
    """
    count, shape = len(values), values.shape[1:]
    size = int(np.prod(shape))
    own = np.asarray(weights, dtype=np.float64)
    total = np.zeros(size)
    if complete:
        weight, number = np.full(size, own.sum()), np.full(size, count, dtype=np.uint16)
        _add_all(_lines(values), own, total)
    else:
        weight, number = np.zeros(size), np.zeros(size, dtype=np.uint16)
        alike = bool(np.all(own == own[0]))
        _add_used(_lines(values), _lines(used), own, alike, total, weight, number)
    return total.reshape(shape), weight.reshape(shape), number.reshape(shape)


@numba.njit(cache=True, nogil=True)
def _sample_variance(
    values: NDArray[Any], used: NDArray[np.bool_], about: NDArray[Any], complete: bool, variance: NDArray[Any]
) -> None:
    n, m = values.shape
    kind = about.dtype.type
    nothing, one = kind(0), kind(1)
    number = np.empty(WIDTH, dtype=about.dtype)
    sums = np.empty(WIDTH, dtype=about.dtype)
    squares = np.empty(WIDTH, dtype=about.dtype)
    for start in range(0, m, WIDTH):
        stop = min(start + WIDTH, m)
        width = stop - start
        middle, result = about[start:stop], variance[start:stop]
        number[:width] = kind(n) if complete else nothing
        sums[:width] = nothing
        squares[:width] = nothing
        for frame in range(n):
            line, here = values[frame, start:stop], used[frame, start:stop]
            if complete:
                for index in range(width):
                    deviation = kind(line[index]) - middle[index]
                    sums[index] += deviation
                    squares[index] += deviation * deviation
            else:
                for index in range(width):
                    deviation = kind(line[index]) - middle[index] if here[index] else nothing
                    sums[index] += deviation
                    squares[index] += deviation * deviation
                    number[index] += one if here[index] else nothing
        for index in range(width):
            around_mean = squares[index] - sums[index] * sums[index] / max(number[index], one)
            result[index] = max(around_mean, nothing) / max(number[index] - one, one)


def sample_variance(
    values: NDArray[Any], used: NDArray[np.bool_], about: NDArray[Any], complete: bool = False
) -> NDArray[Any]:
    """
    The variance of the used values at each pixel, with N - 1; 0 for one value.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
    used : ndarray of bool, shape (n, ...)
    about : ndarray, shape (...)
        Floating: about where the values are, such as their median: rounding is relative to the distance from there.
    complete : bool
        Whether all values are known to be used.

    Returns
    -------
    ndarray, shape (...)
        Of the type of ``about``.
    """
    variance = np.empty(values.shape[1:], dtype=about.dtype)
    middle = np.ascontiguousarray(about).reshape(-1)
    _sample_variance(_lines(values), _lines(used), middle, complete, variance.reshape(-1))
    return variance


@numba.njit(cache=True, nogil=True)
def _mark(kept: NDArray[np.bool_], bit: np.uint32, plane: NDArray[np.uint32]) -> None:
    for index in range(kept.shape[0]):
        plane[index] |= bit if kept[index] else np.uint32(0)


def survivors(kept: NDArray[np.bool_], planes: NDArray[np.uint32]) -> None:
    """
    Note which values are in a result, 32 frames in a plane.

    Parameters
    ----------
    kept : ndarray of bool, shape (n, ...)
    planes : ndarray of uint32, shape (ceil(n / 32), ...), C-contiguous in each plane
        Written: bit i of plane p is that of frame 32 p + i.
    """
    planes[...] = 0
    for frame, line in enumerate(_lines(kept)):
        _mark(line, np.uint32(1 << frame % 32), planes[frame // 32].reshape(-1))


@numba.njit(cache=True, nogil=True)
def _merge_flags(more: NDArray[np.uint16], kept: NDArray[np.bool_], flags: NDArray[np.uint16]) -> None:
    for index in range(flags.shape[0]):
        flags[index] |= more[index] if kept[index] else np.uint16(0)


def merge_flags(more: NDArray[np.uint16], kept: NDArray[np.bool_], flags: NDArray[np.uint16]) -> None:
    """
    Add the flags of the values that are kept to ``flags``, in place.

    Parameters
    ----------
    more : ndarray of uint16
    kept : ndarray of bool, of the same shape, C-contiguous
    flags : ndarray of uint16, of the same shape, C-contiguous
    """
    _merge_flags(np.ascontiguousarray(more, dtype=np.uint16).reshape(-1), kept.reshape(-1), flags.reshape(-1))
