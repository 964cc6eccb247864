"""Which values at each pixel are too far from the others, on plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.many import addresses, alike, array_at, part_of
from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.plain import read_only
from astro_calib.kernels.stack import lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["at_center", "numbers_and_arrays", "reject_deviant", "reject_extremes", "too_few"]

#: Pixels whose values and counts stay in a fast cache while all frames are gone through.
WIDTH = 1024


@inner()
def is_near(value: Any, center: Any, variance: Any, below: Any, above: Any, nothing: Any, infinite: Any) -> bool:
    """Whether a value is no further from the centre than a threshold, squared, times its variance; all of one type."""
    deviation = value - center
    threshold = above if deviation > nothing else below
    # Rounding can leave a variance of nothing below zero; infinity times nothing is no number, and leaves nothing out.
    return (deviation * deviation <= threshold * max(variance, nothing)) | (threshold == infinite)


@inner()
def _within(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    variance: NDArray[Any],
    center: NDArray[Any],
    below: Any,
    above: Any,
    kept: NDArray[np.bool_],
) -> None:
    nothing, infinite = values.dtype.type(0), values.dtype.type(np.inf)
    for index in range(values.shape[0]):
        kept[index] = is_near(values[index], center[index], variance[index], below, above, nothing, infinite)
    # By itself, as the counting below: a loop over numbers and bits at once is slower than two.
    for index in range(values.shape[0]):
        kept[index] &= used[index]


@inner()
def too_few(before: int, after: int) -> bool:
    """Of two values only the higher may go, and all never do."""
    return ((before == 2) & (after < 2)) | ((before > 0) & (after == 0))


@compiled()
def _reject_deviant(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    variances: NDArray[np.uintp],
    numbers: NDArray[np.float64],
    center: NDArray[Any],
    lower: float,
    upper: float,
    remaining: NDArray[np.bool_],
) -> None:
    n, m = values.shape
    kind = values.dtype.type
    below, above = kind(lower * lower), kind(upper * upper)
    single = np.empty(WIDTH, dtype=values.dtype)
    before = np.empty(WIDTH, dtype=np.uint16)
    after = np.empty(WIDTH, dtype=np.uint16)
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        middle = part_of(center, start, width)
        before[:] = 0
        after[:] = 0
        for frame in range(n):
            own = frame * m + start
            line, here, kept = part_of(values, own, width), part_of(used, own, width), part_of(remaining, own, width)
            if variances[frame]:
                variance = array_at(variances[frame], start, width, values)
            else:
                single[:] = kind(numbers[frame])
                variance = part_of(single, 0, width)
            _within(line, here, variance, middle, below, above, kept)
            for index in range(width):
                before[index] += here[index]
            for index in range(width):
                after[index] += kept[index]
        lost = 0
        for index in range(width):
            lost += too_few(before[index], after[index])
        if lost == 0:
            continue
        for index in range(width):
            if too_few(before[index], after[index]):
                where = start + index
                for frame in range(n):
                    if used[frame, where] and values[frame, where] <= center[where]:
                        remaining[frame, where] = True


def numbers_and_arrays(
    values: Sequence[Any] | NDArray[Any], dtype: Any, shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], list[NDArray[Any] | None]]:
    """For a compiled loop over frames, of each of which a number is known, or an array: 0 or None for the other."""
    numbers = np.array([np.ravel(one)[0] if np.size(one) == 1 else 0.0 for one in values], dtype=float)
    return numbers, [None if np.size(one) == 1 else alike([one], dtype, shape)[0] for one in values]


def reject_deviant(
    values: NDArray[Any],
    variances: Sequence[Any] | NDArray[Any],
    used: NDArray[np.bool_],
    center: NDArray[Any],
    lower: float,
    upper: float,
) -> NDArray[np.bool_]:
    """
    Which of the used values, shape (n, ...), are not more standard deviations than the thresholds from their median.

    Of two values only the higher may go; all never do: the values up to the lower of the two middle ones stay where
    none would. ``variances`` are n numbers or arrays of shape (...).
    """
    remaining = np.empty(values.shape, dtype=np.bool_)
    middle = np.ascontiguousarray(center, dtype=values.dtype).reshape(-1)
    numbers, arrays = numbers_and_arrays(variances, values.dtype, center.shape)
    lines, here, kept = lines_of(values), lines_of(used), lines_of(remaining)
    _reject_deviant(lines, here, addresses(arrays), numbers, middle, lower, upper, kept)
    return remaining


@compiled()
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


@compiled()
def _at_center_alike(
    total: NDArray[Any], slope: float, floor: float, values: NDArray[Any], center: NDArray[Any], result: NDArray[Any]
) -> None:
    kind = result.dtype.type
    lowest, steepness = kind(floor / 4), kind(slope)
    for index in range(values.shape[0]):
        result[index] = max(kind(total[index]) + steepness * (center[index] - values[index]), lowest)


def at_center(total: Any, slope: Any, floor: Any, values: NDArray[Any], center: NDArray[Any]) -> NDArray[Any]:
    """The variance that values would have at the centre: moved along its slope, not below a quarter of its floor."""
    result = np.empty(values.shape, dtype=values.dtype)
    if np.ndim(slope) == np.ndim(floor) == 0 and np.shape(total) == values.shape:
        arrays = [read_only(part).reshape(-1) for part in (total, values, center)]
        _at_center_alike(arrays[0], float(slope), float(floor), arrays[1], arrays[2], result.reshape(-1))
        return result
    lines = [
        read_only(np.broadcast_to(part, values.shape)).reshape(-1) for part in (total, slope, floor, values, center)
    ]
    _at_center(lines[0], lines[1], lines[2], lines[3], lines[4], result.reshape(-1))
    return result


@compiled()
def _reject_extremes(
    values: NDArray[Any], used: NDArray[np.bool_], lowest: int, highest: int, remaining: NDArray[np.bool_]
) -> None:
    n, m = values.shape
    rank = np.empty(WIDTH, dtype=np.uint16)
    number = np.empty(WIDTH, dtype=np.uint16)
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        number[:] = 0
        for frame in range(n):
            here = part_of(used, frame * m + start, width)
            for index in range(width):
                number[index] += here[index]
        for frame in range(n):
            own = frame * m + start
            line, here, kept = part_of(values, own, width), part_of(used, own, width), part_of(remaining, own, width)
            rank[:] = 0
            # Of equal values the earlier frame's is the lower.
            for other in range(frame):
                beside, there = part_of(values, other * m + start, width), part_of(used, other * m + start, width)
                for index in range(width):
                    rank[index] += there[index] & (beside[index] <= line[index])
            for other in range(frame + 1, n):
                beside, there = part_of(values, other * m + start, width), part_of(used, other * m + start, width)
                for index in range(width):
                    rank[index] += there[index] & (beside[index] < line[index])
            for index in range(width):
                inside = (rank[index] >= lowest) & (rank[index] + highest < number[index])
                kept[index] = here[index] & (inside | (number[index] <= lowest + highest))


def reject_extremes(values: NDArray[Any], used: NDArray[np.bool_], lowest: int, highest: int) -> NDArray[np.bool_]:
    """Which of the used values, shape (n, ...), are not the lowest and highest; all where none would be left."""
    remaining = np.empty(values.shape, dtype=np.bool_)
    _reject_extremes(lines_of(values), lines_of(used), lowest, highest, remaining.reshape(len(values), -1))
    return remaining
