"""The mean of the values that are near enough to the centre, on plain arrays: rejection and mean in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.many import addresses, array_at, part_of
from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.reject import is_near, numbers_and_arrays, too_few
from astro_calib.kernels.stack import TOGETHER, add_lines, lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["clipped_mean"]

#: Pixels whose sums stay in the fastest cache while all frames are gone through.
WIDTH = 1024
NO_MARKS = np.empty(0, dtype=np.uint32)


@inner()
def _choose(
    values: NDArray[Any],
    variance: NDArray[Any],
    center: NDArray[Any],
    below: Any,
    above: Any,
    used: NDArray[np.bool_],
    complete: bool,
    bit: np.uint32,
    chosen: NDArray[Any],
    marks: NDArray[np.uint32],
) -> None:
    """Take the values that are near the centre, 0 for the others, and mark their places."""
    nothing, infinite, no_mark = values.dtype.type(0), values.dtype.type(np.inf), np.uint32(0)
    for index in range(values.shape[0]):
        near = is_near(values[index], center[index], variance[index], below, above, nothing, infinite)
        if not complete:
            near &= used[index]
        chosen[index] = values[index] if near else nothing
        marks[index] |= bit if near else no_mark


@inner()
def _count_marks(marks: NDArray[np.uint32], number: NDArray[np.uint16]) -> None:
    """Add the number of bits that are set, counted in pairs, in fours, in bytes."""
    kind = np.uint32
    for index in range(marks.shape[0]):
        bits = marks[index]
        bits = kind(bits - (kind(bits >> 1) & kind(0x55555555)))
        bits = kind((bits & kind(0x33333333)) + (kind(bits >> 2) & kind(0x33333333)))
        bits = kind(kind(bits + kind(bits >> 4)) & kind(0x0F0F0F0F))
        number[index] += np.uint16(kind(bits * kind(0x01010101)) >> 24)


@compiled()
def _mend(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    places: NDArray[np.uintp],
    center: NDArray[Any],
    weights: NDArray[np.float64],
    same: bool,
    mean: NDArray[Any],
    weight: NDArray[Any],
    number: NDArray[np.uint16],
    before: NDArray[np.uint16],
) -> None:
    """Take back the values that may not all go, and those that are finite where none is fit for use."""
    n, m = values.shape
    for where in range(m):
        nothing_fit = before[where] == 0
        if not (nothing_fit or too_few(before[where], number[where])):
            continue
        total, own, count = 0.0, 0.0, 0
        for frame in range(n):
            value, bit = values[frame, where], np.uint32(1) << np.uint32(frame % 32)
            marks = array_at(places[frame // 32], where, 1, NO_MARKS)
            if np.isfinite(value) if nothing_fit else used[frame, where] and value <= center[where]:
                marks[0] |= bit
            if marks[0] & bit:
                total += weights[frame] * np.float64(value)
                own += weights[frame]
                count += 1
        if same:
            own = weights[0] * count
        number[where] = count
        weight[where] = own if own > 0 else 1.0
        mean[where] = total / (own if own > 0 else 1.0)


@compiled()
def _clipped_mean(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    complete: bool,
    variances: NDArray[np.uintp],
    numbers: NDArray[np.float64],
    center: NDArray[Any],
    lower: float,
    upper: float,
    weights: NDArray[np.float64],
    same: bool,
    places: NDArray[np.uintp],
    mean: NDArray[Any],
    weight: NDArray[Any],
    number: NDArray[np.uint16],
    before: NDArray[np.uint16],
) -> tuple[int, int]:
    """The means, and how many values are not in them, and at how many pixels too few are."""
    n, m = values.shape
    left, lost = 0, 0
    kind = values.dtype.type
    below, above = kind(lower * lower), kind(upper * upper)
    # One after the other, which is compiled sooner than in an array of two dimensions.
    chosen, single = np.empty(TOGETHER * WIDTH, dtype=values.dtype), np.empty(WIDTH, dtype=values.dtype)
    all_sums, all_weights = np.empty(WIDTH), np.empty(WIDTH)
    for start in range(0, m, WIDTH):
        stop = min(start + WIDTH, m)
        width = stop - start
        middle, sums, own_weights = part_of(center, start, width), part_of(all_sums, 0, width), all_weights
        counts, fit = part_of(number, start, width), part_of(before, start, width)
        for index in range(width):
            sums[index], own_weights[index], counts[index], fit[index] = 0.0, 0.0, 0, n if complete else 0
        for frame in range(n):
            marks = array_at(places[frame // 32], start, width, NO_MARKS)
            bit = np.uint32(1) << np.uint32(frame % 32)
            if frame % 32 == 0:
                marks[:] = 0
            if variances[frame]:
                variance = array_at(variances[frame], start, width, values)
            else:
                single[:] = kind(numbers[frame])
                variance = part_of(single, 0, width)
            here = part_of(used, frame * m + start if not complete else 0, width)
            first = frame - frame % TOGETHER
            line = part_of(chosen, (frame - first) * WIDTH, width)
            taken = part_of(values, frame * m + start, width)
            _choose(taken, variance, middle, below, above, here, complete, bit, line, marks)
            if not complete:
                for index in range(width):
                    fit[index] += here[index]
            if not same:
                for index in range(width):
                    own_weights[index] += weights[frame] if np.uint32(marks[index] & bit) else 0.0
            if frame - first == TOGETHER - 1 or frame == n - 1:
                add_lines(chosen, 0, WIDTH, part_of(weights, first, frame + 1 - first), sums)
        for plane in range(places.shape[0]):
            _count_marks(array_at(places[plane], start, width, NO_MARKS), counts)
        if same:
            for index in range(width):
                own_weights[index] = weights[0] * counts[index]
        for index in range(width):
            lost += too_few(fit[index], counts[index]) | (fit[index] == 0)
        for index in range(width):
            left += n - counts[index]
        for index in range(width):
            own = own_weights[index] if own_weights[index] > 0 else 1.0
            mean[start + index] = sums[index] / own
            weight[start + index] = own
    return left, lost


def clipped_mean(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    complete: bool,
    variances: Sequence[Any],
    center: NDArray[Any],
    thresholds: tuple[float, float],
    weights: Sequence[float],
    results: tuple[NDArray[Any], NDArray[Any], NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint32]],
) -> tuple[bool, bool]:
    """
    The mean at each pixel of the values, shape (n, ...), that `astro_calib.kernels.reject.reject_deviant` leaves.

    Where no value is fit for use all that are finite are taken, so that the pixel gets a value. Results are written:
    the mean; the sum of the weights of the values taken, 1 if there are none; of uint16 how many are taken, and how
    many are fit for use; of uint32, shape (ceil(n / 32), ...), which are taken: bit i of plane p is that of frame
    32 p + i. Returned is whether all values are fit for use and taken, and whether somewhere none is fit for use.
    """
    mean, weight, number, before, planes = results
    lines, here = lines_of(values), lines_of(used)
    numbers, arrays = numbers_and_arrays(variances, values.dtype, center.shape)
    own = np.asarray(weights, dtype=np.float64)
    middle = np.ascontiguousarray(center, dtype=values.dtype).reshape(-1)
    same, places = bool(np.all(own == own[0])), addresses(list(planes))
    flat = [array.reshape(-1) for array in (mean, weight, number, before)]
    left, lost = _clipped_mean(
        lines, here, complete, addresses(arrays), numbers, middle, *thresholds, own, same, places, *flat
    )
    if not lost:
        return complete and left == 0, False
    # By itself: it is seldom needed, and compiled when it is.
    _mend(lines, here, places, middle, own, same, *flat)
    return complete and bool(np.all(number == len(values))), bool(np.any(before == 0))
