"""The medians of boxes of an image, without the values that are far from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["clipped_medians"]


@compiled()
def _clip(ordered: NDArray[Any], number: NDArray[np.intp], sigma: float, rounds: int, places: NDArray[np.intp]) -> None:
    """Which of the sorted values of each line are left: from one place to before another."""
    for line in range(len(ordered)):
        values, low, high = ordered[line], 0, number[line]
        # Sums of differences from a value in the middle lose no digits.
        middle = np.float64(values[high // 2])
        total, squares = 0.0, 0.0
        for index in range(high):
            off = values[index] - middle
            total += off
            squares += off * off
        for _ in range(rounds):
            count = high - low
            if count == 0:
                break
            mean = total / count
            reach = sigma * np.sqrt(max(squares / count - mean * mean, 0.0))
            median = (np.float64(values[low + (count - 1) // 2]) + values[low + count // 2]) / 2
            while low < high and values[low] < median - reach:
                off = values[low] - middle
                total -= off
                squares -= off * off
                low += 1
            while high > low and values[high - 1] > median + reach:
                high -= 1
                off = values[high] - middle
                total -= off
                squares -= off * off
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
            number = np.count_nonzero(ordered == ordered, axis=1)  # noqa: PLR0124
            places = np.empty((columns, 2), dtype=np.intp)
            _clip(ordered, number, sigma, rounds, places)
            low, high = places.T
            left[row] = high - low
            some = np.flatnonzero(high > low)
            middle = low[some] + high[some]
            medians[row, some] = np.mean([ordered[some, (middle - 1) // 2], ordered[some, middle // 2]], axis=0)

    over_rows(work, rows, values.size)
    return medians, left
