"""The median, the mean and the scatter of the values of many frames at each pixel, on plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.dtypes import float_type
from astro_calib.kernels.many import part_of
from astro_calib.kernels.network import comparators, median_of_lines
from astro_calib.kernels.options import compiled, inner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["TOGETHER", "add_lines", "lines_of", "masked_median", "sample_variance", "sum_of_weights", "weighted_sums"]

#: Pixels whose sums stay in the fastest cache while all frames are added.
WIDTH = 1024
#: Frames that are added at a time, so that their sum is read and written less often.
TOGETHER = 4


def masked_median(values: NDArray[Any], used: NDArray[np.bool_], complete: bool | None = None) -> NDArray[Any]:
    """
    The median of the used values, shape (n, ...), at each pixel; NaN where there is none.

    Whole numbers must all be used. ``used`` is not read if all are known to be, that is, ``complete``.
    """
    number = len(values)
    lines, here = lines_of(values), lines_of(used)
    median = np.empty(lines.shape[1], dtype=float_type(values.dtype))
    median_of_lines(lines, here, bool(used.all()) if complete is None else complete, comparators(number), median)
    return median.reshape(values.shape[1:])


def lines_of(values: NDArray[Any]) -> NDArray[Any]:
    """Values of each frame in a line, C-contiguous."""
    return np.ascontiguousarray(values).reshape(len(values), -1)


@inner()
def add_lines(
    values: NDArray[Any], first: int, apart: int, weights: NDArray[np.float64], total: NDArray[np.float64]
) -> None:
    """
    In compiled code: add ``weights * values``, of `TOGETHER` lines or fewer, to the total.

    The first line begins at the place ``first``, counted through all rows, the others ``apart`` from each other.
    """
    width = total.shape[0]
    if weights.shape[0] < TOGETHER:
        for line in range(weights.shape[0]):
            one, own = part_of(values, first + line * apart, width), weights[line]
            for index in range(width):
                total[index] += own * np.float64(one[index])
        return
    a, b = part_of(values, first, width), part_of(values, first + apart, width)
    c, d = part_of(values, first + 2 * apart, width), part_of(values, first + 3 * apart, width)
    of_a, of_b, of_c, of_d = weights[0], weights[1], weights[2], weights[3]
    for index in range(width):
        two = total[index] + of_a * np.float64(a[index]) + of_b * np.float64(b[index])
        total[index] = two + of_c * np.float64(c[index]) + of_d * np.float64(d[index])


@inner()
def _take_used(values: NDArray[Any], used: NDArray[np.bool_], line: NDArray[Any]) -> None:
    nothing = line.dtype.type(0)
    for index in range(line.shape[0]):
        # A value that is left out may be anything, infinity and NaN included.
        line[index] = values[index] if used[index] else nothing


@compiled()
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
    lines = np.empty(TOGETHER * WIDTH, dtype=values.dtype)
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        sums, own_weights = part_of(total, start, width), part_of(weight, start, width)
        counts = part_of(number, start, width)
        for frame in range(n):
            first, here, own = frame - frame % TOGETHER, part_of(used, frame * m + start, width), weights[frame]
            line = part_of(lines, (frame - first) * WIDTH, width)
            _take_used(part_of(values, frame * m + start, width), here, line)
            if frame - first == TOGETHER - 1 or frame == n - 1:
                add_lines(lines, 0, WIDTH, part_of(weights, first, frame + 1 - first), sums)
            if not alike:
                for index in range(width):
                    own_weights[index] += own if here[index] else 0.0
            for index in range(width):
                counts[index] += here[index]
        if alike:
            for index in range(width):
                own_weights[index] = weights[0] * counts[index]


@compiled()
def _add_all(values: NDArray[Any], weights: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    n, m = values.shape
    for start in range(0, m, WIDTH):
        sums = part_of(total, start, min(WIDTH, m - start))
        for first in range(0, n, TOGETHER):
            own = part_of(weights, first, min(TOGETHER, n - first))
            add_lines(values, first * m + start, m, own, sums)


def sum_of_weights(weights: Sequence[float]) -> float:
    """The sum of all, to the last digit as `weighted_sums` finds it for each pixel."""
    return weights[0] * len(weights) if all(weight == weights[0] for weight in weights) else sum(weights)


def weighted_sums(
    values: NDArray[Any], used: NDArray[np.bool_], weights: Sequence[float], complete: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint16]]:
    """The sums of weight times value, and of weights, over the used values, shape (n, ...), and how many they are."""
    count, shape = len(values), values.shape[1:]
    size = int(np.prod(shape))
    own = np.asarray(weights, dtype=np.float64)
    total = np.zeros(size)
    if complete:
        weight, number = np.full(size, sum_of_weights(weights)), np.full(size, count, dtype=np.uint16)
        _add_all(lines_of(values), own, total)
    else:
        weight, number = np.zeros(size), np.zeros(size, dtype=np.uint16)
        alike = bool(np.all(own == own[0]))
        _add_used(lines_of(values), lines_of(used), own, alike, total, weight, number)
    return total.reshape(shape), weight.reshape(shape), number.reshape(shape)


@compiled()
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
        width = min(WIDTH, m - start)
        middle, result = part_of(about, start, width), part_of(variance, start, width)
        number[:width] = kind(n) if complete else nothing
        sums[:width] = nothing
        squares[:width] = nothing
        for frame in range(n):
            line, here = part_of(values, frame * m + start, width), part_of(used, frame * m + start, width)
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
    The variance of the used values, shape (n, ...), at each pixel, with N - 1; 0 for one value.

    Rounding is relative to the distance from ``about``, such as the median; the result is of its type.
    """
    variance = np.empty(values.shape[1:], dtype=about.dtype)
    middle = np.ascontiguousarray(about).reshape(-1)
    _sample_variance(lines_of(values), lines_of(used), middle, complete, variance.reshape(-1))
    return variance
