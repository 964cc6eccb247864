"""Medians, means and variances of boxes of an image, without the values that are far off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.plain import plain
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["clipped_medians", "clipped_moments"]

#: Sums may be taken in any order, so that several are added at a time.
ANY_ORDER = {"reassoc", "nsz"}


@compiled()
def _clip(ordered: NDArray[Any], number: NDArray[np.intp], sigma: float, rounds: int, places: NDArray[np.intp]) -> None:
    """Which of the sorted values of each line are left: from one place to before another."""
    for line in range(len(ordered)):
        values, low, high = ordered[line], 0, number[line]
        for _ in range(rounds):
            count = high - low
            if count == 0:
                break
            # Sums of differences from a value in the middle lose no digits; those of before would keep what a wild
            # value has cost them.
            middle = np.float64(values[low + count // 2])
            total, squares = 0.0, 0.0
            for index in range(low, high):
                off = values[index] - middle
                total += off
                squares += off * off
            mean = total / count
            reach = sigma * np.sqrt(max(squares / count - mean * mean, 0.0))
            median = (np.float64(values[low + (count - 1) // 2]) + values[low + count // 2]) / 2
            while low < high and values[low] < median - reach:
                low += 1
            while high > low and values[high - 1] > median + reach:
                high -= 1
            if high - low == count:
                break
        places[line, 0], places[line, 1] = low, high


def clipped_medians(
    values: NDArray[Any], unfit: NDArray[np.bool_], box: tuple[int, int], sigma: float, rounds: int
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """
    Find the median of each box, again and again without what is far from it.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (ny, nx)
        The image.
    unfit : ndarray of bool, shape (ny, nx)
        True where a pixel does not count; elsewhere values are numbers.
    box : (int, int)
        Rows and columns of a box. The first begins at the first pixel, the last ones may reach over the edge.
    sigma : float
        A value counts as far if it is further than this many standard deviations from the median.
    rounds : int
        How often values are left out, at most.

    Returns
    -------
    medians : ndarray of the type of the values, shape (rows of boxes, boxes in a row)
        No number where nothing is left.
    left : ndarray of int of the same shape
        How many values each is the median of.
    """
    ny, nx = values.shape
    rows, columns = -(-ny // box[0]), -(-nx // box[1])
    medians = np.full((rows, columns), np.nan, dtype=values.dtype)
    left = np.zeros((rows, columns), dtype=np.intp)

    def work(part: slice) -> None:
        for row in range(part.start, part.stop):
            here = slice(row * box[0], (row + 1) * box[0])
            strip = np.full((box[0], columns * box[1]), np.nan, dtype=values.dtype)
            np.copyto(strip[: ny - here.start, :nx], values[here], where=~unfit[here])
            ordered = strip.reshape(box[0], columns, box[1]).swapaxes(0, 1).reshape(columns, -1)
            # What is no number comes last.
            ordered.sort(axis=1)
            number = np.count_nonzero(ordered == ordered, axis=1)  # noqa: PLR0124  NaN is not itself
            places = np.empty((columns, 2), dtype=np.intp)
            _clip(ordered, number, sigma, rounds, places)
            low, high = places.T
            left[row] = high - low
            some = np.flatnonzero(high > low)
            middle = low[some] + high[some]
            medians[row, some] = np.mean([ordered[some, (middle - 1) // 2], ordered[some, middle // 2]], axis=0)

    over_rows(work, rows, values.size)
    return medians, left


@inner(fastmath=ANY_ORDER)
def _sum_of_near(values: NDArray[Any], middle: float, reach: float, kept: NDArray[np.bool_]) -> tuple[float, int]:
    total, number = 0.0, 0
    for index in range(values.shape[0]):
        near = np.abs(values[index] - middle) <= reach
        kept[index] = near
        total += np.float64(values[index]) if near else 0.0
        number += near
    return total, number


@inner(fastmath=ANY_ORDER)
def _sum_of_squares(values: NDArray[Any], middle: float, kept: NDArray[np.bool_]) -> float:
    total = 0.0
    for index in range(values.shape[0]):
        off = np.float64(values[index]) - middle
        total += off * off if kept[index] else 0.0
    return total


@compiled()
def _clip_about_mean(
    values: NDArray[Any],
    sigma: float,
    rounds: int,
    left: float,
    means: NDArray[np.float64],
    variances: NDArray[np.float64],
    kept: NDArray[np.bool_],
) -> None:
    for line in range(values.shape[0]):
        for _ in range(rounds):
            total, number = _sum_of_near(values[line], means[line], sigma * np.sqrt(variances[line]), kept[line])
            means[line] = total / max(number, 1)
            squares = _sum_of_squares(values[line], means[line], kept[line])
            variances[line] = squares / max(number - 1, 1) / left


def clipped_moments(
    values: NDArray[Any],
    means: NDArray[np.float64],
    variances: NDArray[np.float64],
    sigma: float,
    rounds: int,
    left: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """
    Find mean and variance of each box, again and again without what is far from the mean.

    Parameters
    ----------
    values : ndarray, shape (n, m)
        The values of n boxes, NaN where one does not count.
    means, variances : ndarray of float64, shape (n,)
        Those to begin with.
    sigma : float
        A value is far if it is further than this many standard deviations from the mean.
    rounds : int
        How often.
    left : float
        The part of the variance of Gaussian noise that is left then.

    Returns
    -------
    means, variances : ndarray of float64, shape (n,)
        Of what is left, and what all of the noise has.
    kept : ndarray of bool, shape (n, m)
        What is left.
    """
    values = plain(values)
    means, variances, kept = means.copy(), variances.copy(), np.empty(values.shape, dtype=np.bool_)

    def work(part: slice) -> None:
        _clip_about_mean(values[part], sigma, rounds, left, means[part], variances[part], kept[part])

    over_rows(work, len(values), values.size)
    return means, variances, kept
