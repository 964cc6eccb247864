"""Combining the values of many frames at each pixel: rejection and location, on plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from astro_calib.kernels.network import comparators, median_of_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["masked_median", "reject_deviant", "reject_extremes", "weighted_sums"]


def masked_median(values: NDArray[Any], used: NDArray[np.bool_], complete: bool | None = None) -> NDArray[Any]:
    """
    The median of the used values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
        Floating.
    used : ndarray of bool, shape (n, ...)
        Which values count.
    complete : bool, optional
        Whether all do, if that is known.

    Returns
    -------
    ndarray, shape (...)
        Of the type of ``values``; NaN where no value is used.
    """
    number = len(values)
    lines, here = values.reshape(number, -1), used.reshape(number, -1)
    median = np.empty(lines.shape[1], dtype=values.dtype)
    counted = np.empty(lines.shape[1], dtype=np.uint16)
    pairs = comparators(number) if number > 1 else np.empty((0, 2), dtype=np.int64)
    median_of_lines(lines, here, bool(used.all()) if complete is None else complete, pairs, median, counted)
    return median.reshape(values.shape[1:])


@numba.njit(cache=True, nogil=True)
def _reject(
    values: NDArray[Any],
    sigma: NDArray[Any],
    used: NDArray[np.bool_],
    center: NDArray[Any],
    lower: float,
    upper: float,
    remaining: NDArray[np.bool_],
) -> None:
    n, m = values.shape
    before = np.zeros(m, dtype=np.uint16)
    after = np.zeros(m, dtype=np.uint16)
    for frame in range(n):
        line, noise, here, kept = values[frame], sigma[frame], used[frame], remaining[frame]
        for index in range(m):
            deviation = line[index] - center[index]
            inside = here[index] & (deviation <= upper * noise[index]) & (deviation >= -lower * noise[index])
            kept[index] = inside
            before[index] += here[index]
            after[index] += inside
    for index in range(m):
        # Of two values only the higher may go; all never do.
        if (before[index] == 2 and after[index] < 2) or (before[index] > 0 and after[index] == 0):
            for frame in range(n):
                if used[frame, index] and values[frame, index] <= center[index]:
                    remaining[frame, index] = True


def reject_deviant(
    values: NDArray[Any],
    sigma: NDArray[Any],
    used: NDArray[np.bool_],
    center: NDArray[Any],
    lower: float,
    upper: float,
) -> NDArray[np.bool_]:
    """
    Leave out values that are too many standard deviations from the centre.

    Parameters
    ----------
    values, sigma : ndarray, shape (n, ...) or broadcasting to it
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
    number = len(values)
    remaining = np.empty(values.shape, dtype=np.bool_)
    noise = np.ascontiguousarray(np.broadcast_to(sigma, values.shape)).reshape(number, -1)
    flat = values.reshape(number, -1), noise, used.reshape(number, -1), center.reshape(-1)
    _reject(*flat, lower, upper, remaining.reshape(number, -1))
    return remaining


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
    number = used.sum(axis=0)
    order = np.argsort(np.where(used, values, np.inf), axis=0, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)), axis=0)
    enough = number > lowest + highest
    inside = (rank >= lowest) & (rank < number - highest)
    return used & (inside | ~enough)


@numba.njit(cache=True, nogil=True)
def _add_used(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    weights: NDArray[np.float64],
    total: NDArray[np.float64],
    weight: NDArray[np.float64],
    number: NDArray[np.uint16],
) -> None:
    n, m = values.shape
    for frame in range(n):
        line, here, own = values[frame], used[frame], weights[frame]
        for index in range(m):
            # A value that is left out may be anything, infinity and NaN included.
            total[index] += own * np.float64(line[index]) if here[index] else 0.0
            weight[index] += own if here[index] else 0.0
            number[index] += here[index]


def weighted_sums(
    values: NDArray[Any], used: NDArray[np.bool_], weights: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint16]]:
    """
    Sums over the used values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
    used : ndarray of bool, shape (n, ...)
    weights : sequence of float, length n

    Returns
    -------
    total, weight : ndarray of float64, shape (...)
        The sums of weight times value, and of the weights.
    number : ndarray of uint16, shape (...)
        How many values are used.
    """
    count, shape = len(values), values.shape[1:]
    size = int(np.prod(shape))
    total, weight, number = np.zeros(size), np.zeros(size), np.zeros(size, dtype=np.uint16)
    own = np.asarray(weights, dtype=np.float64)
    _add_used(values.reshape(count, -1), used.reshape(count, -1), own, total, weight, number)
    return total.reshape(shape), weight.reshape(shape), number.reshape(shape)
