"""Sums over many arrays, each read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.many import addresses, array_at, part_of
from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.plain import read_only
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["add_many", "add_scaled", "add_times_square", "mean_of_finite", "weighted_sum_of_squares"]


#: So many values of all arrays are added before the next ones, and their sum stays in the fastest cache.
WIDTH = 2048
#: For fewer values than this, NumPy is as fast.
SMALL = 1 << 14


#: Sums may be taken in any order, so that several are added at a time.
ANY_ORDER = {"reassoc", "nsz"}


@inner(fastmath=ANY_ORDER)
def _add(total: NDArray[Any], values: NDArray[Any], factor: float) -> float:
    scale, added = total.dtype.type(factor), values.dtype.type(0)
    for index in range(total.shape[0]):
        value = values[index]
        total[index] += scale * value
        added += value
    return np.float64(added)


@inner(fastmath=ANY_ORDER)
def _add_kept(total: NDArray[Any], values: NDArray[Any], plane: NDArray[Any], bit: int, factor: float) -> float:
    kind = plane.dtype.type
    scale, nothing, added = total.dtype.type(factor), total.dtype.type(0), values.dtype.type(0)
    marked = kind(1 << bit)
    for index in range(total.shape[0]):
        value = values[index]
        # A value that is left out may be infinite or NaN.
        total[index] += scale * value if kind(plane[index] & marked) else nothing
        added += value
    return np.float64(added)


@inner()
def _sum_and_number(values: NDArray[Any]) -> tuple[float, int]:
    added, number = 0.0, 0
    for index in range(values.shape[0]):
        if np.isfinite(values[index]):
            added += np.float64(values[index])
            number += 1
    return added, number


@compiled()
def _count_kept(total: NDArray[Any], plane: NDArray[Any], bit: int, factor: float) -> None:
    scale, nothing = total.dtype.type(factor), total.dtype.type(0)
    marked = plane.dtype.type(1 << bit)
    for index in range(total.shape[0]):
        total[index] += scale if plane[index] & marked else nothing


@compiled(fastmath=ANY_ORDER)
def _add_many(
    total: NDArray[Any],
    like: NDArray[Any],
    places: NDArray[np.uintp],
    factors: NDArray[np.float64],
    planes: NDArray[Any],
    frames: NDArray[np.int64],
    added: NDArray[np.float64],
    number: NDArray[np.int64],
) -> None:
    for start in range(0, total.shape[0], WIDTH):
        width = min(WIDTH, total.shape[0] - start)
        here = part_of(total, start, width)
        for term in range(places.shape[0]):
            values = array_at(places[term], start, width, like)
            # A sum of so few numbers of the values' own type is right to some parts in ten million; whether all are
            # finite shows in it.
            if frames[term] < 0:
                found, finite = _add(here, values, factors[term]), width
            else:
                plane = part_of(planes, frames[term] // 32 * planes.shape[1] + start, width)
                found, finite = _add_kept(here, values, plane, frames[term] % 32, factors[term]), width
            if not np.isfinite(found):
                found, finite = _sum_and_number(values)
            added[term] += found
            number[term] += finite


def add_many(
    total: NDArray[Any],
    values: Sequence[NDArray[Any]],
    factors: Sequence[float],
    frames: Sequence[int],
    planes: NDArray[np.uint32],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """
    Add ``factor * values`` to ``total`` in place for many arrays, by one call, so that threads need not wait in turn.

    The values, each of the type and shape of the others, and ``total`` are C-contiguous. An array counts where its bit
    in ``frames`` is set in ``planes``, of which each holds 32; everywhere if that is -1. For each array the sum over
    its finite values, kept or not, and their number are returned.
    """
    added, number = np.zeros(len(values)), np.zeros(len(values), dtype=np.int64)
    marks = np.array(frames, dtype=np.int64)
    lines = read_only(planes.reshape(len(planes), -1) if len(planes) else np.empty((0, 0), dtype=np.uint32))
    like = np.empty(0, dtype=values[0].dtype)
    _add_many(total.reshape(-1), like, addresses(values), np.array(factors, dtype=float), lines, marks, added, number)
    return added, number


def add_scaled(
    total: NDArray[Any],
    values: float | NDArray[Any],
    factor: float,
    kept: tuple[NDArray[Any], int] | None = None,
) -> tuple[float, int]:
    """
    Add ``factor * values`` to ``total``, which is C-contiguous, in place where they were kept.

    Values count where a bit is set in an array of unsigned integers: ``kept`` is that array and the bit. The sum over
    the values that are finite, kept or not, and their number are returned.
    """
    flat = total.reshape(-1)
    plane = None if kept is None else read_only(kept[0]).reshape(-1)
    if np.ndim(values) == 0:
        value = float(values)
        if plane is None or kept is None:
            total += total.dtype.type(value * factor)
        else:
            _count_kept(flat, plane, kept[1], value * factor)
        return value * total.size, total.size
    if np.shape(values) != total.shape:
        values = np.broadcast_to(values, total.shape)
    line = np.ascontiguousarray(values).reshape(-1)
    planes = read_only(np.empty((0, 0), dtype=np.uint32)) if plane is None else plane.reshape(1, -1)
    bit = -1 if kept is None else kept[1]
    added, number = np.zeros(1), np.zeros(1, dtype=np.int64)
    factors, bits = np.array([factor], dtype=float), np.array([bit], dtype=np.int64)
    like = np.empty(0, dtype=line.dtype)
    _add_many(flat, like, addresses([line]), factors, planes, bits, added, number)
    return float(added[0]), int(number[0])


@compiled()
def _add_times_square(total: NDArray[Any], values: NDArray[Any], scale: NDArray[Any]) -> None:
    nothing = total.dtype.type(0)
    for index in range(total.shape[0]):
        value, factor = values[index], scale[index]
        total[index] += factor * factor * value if (value != 0) & (factor != 0) else nothing


def add_times_square(total: NDArray[Any], values: NDArray[Any], scale: float | NDArray[Any]) -> None:
    """Add ``values * scale**2`` to ``total`` in place; 0 where one of the two is 0, whatever the other is."""
    factors = read_only(np.broadcast_to(scale, total.shape)).reshape(-1)
    _add_times_square(total.reshape(-1), read_only(values).reshape(-1), factors)


@compiled(fastmath=ANY_ORDER)
def _sum_of_squares(weights: NDArray[Any], coefficients: NDArray[Any], variances: NDArray[Any]) -> float:
    # One coefficient or variance stands for all.
    single_coefficient, single_variance = coefficients.shape[0] == 1, variances.shape[0] == 1
    total = 0.0
    for index in range(weights.shape[0]):
        weight = np.float64(weights[index])
        coefficient = coefficients[0 if single_coefficient else index]
        variance = variances[0 if single_variance else index]
        part = weight * np.float64(coefficient)
        # A pixel without weight does not count, even if its variance is NaN.
        total += part * part * np.float64(variance) if part != 0.0 and weight != 0.0 else 0.0
    return total


def weighted_sum_of_squares(
    weights: NDArray[Any], coefficients: float | NDArray[Any], variances: float | NDArray[Any]
) -> float:
    """The sum of ``(weights * coefficients)**2 * variances`` over all pixels that have a weight and a coefficient."""
    if not weights.dtype.isnative:
        weights = weights.astype(np.float64)
    lines = [
        read_only(np.asarray(part) if np.ndim(part) == 0 else np.broadcast_to(part, weights.shape)).reshape(-1)
        for part in (coefficients, variances)
    ]
    return float(_sum_of_squares(read_only(weights).reshape(-1), lines[0], lines[1]))


@compiled(fastmath=ANY_ORDER)
def _sum_of_finite(values: NDArray[Any], sums: NDArray[np.float64]) -> None:
    infinite = values.dtype.type(np.inf)
    for row in range(values.shape[0]):
        line = values[row]
        part, count = 0.0, 0
        for index in range(line.shape[0]):
            finite = abs(line[index]) < infinite
            part += np.float64(line[index]) if finite else 0.0
            count += finite
        sums[row, 0], sums[row, 1] = part, count


def mean_of_finite(values: NDArray[Any]) -> float:
    """The mean over finite values; 0 if there are none."""
    plane = np.atleast_2d(values) if values.ndim <= 2 else values.reshape(-1, values.shape[-1])
    if plane.size < SMALL:
        finite = np.isfinite(plane)
        return float(np.mean(plane, where=finite, dtype=np.float64)) if finite.any() else 0.0
    # Sum each row by itself, so that the mean does not depend on how the threads share out the rows.
    sums = np.empty((len(plane), 2))
    over_rows(lambda rows: _sum_of_finite(plane[rows], sums[rows]), len(plane), plane.size)
    total, number = sums.sum(axis=0)
    return float(total / number) if number else 0.0
