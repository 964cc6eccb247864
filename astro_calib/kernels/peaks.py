"""Local maxima of an image, and its correlation with a small kernel; only where something is there to be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["convolved", "local_maxima"]


@compiled()
def _mark_maxima(
    image: NDArray[Any],
    threshold: NDArray[Any],
    excluded: NDArray[np.bool_],
    footprint: NDArray[np.bool_],
    start: int,
    stop: int,
    found: NDArray[np.bool_],
) -> None:
    ny, nx = image.shape
    up, left = footprint.shape[0] // 2, footprint.shape[1] // 2
    for row in range(start, stop):
        for column in range(nx):
            value = image[row, column]
            if not value > threshold[row, column] or excluded[row, column]:
                continue
            highest = True
            for down in range(max(0, row - up), min(ny, row - up + footprint.shape[0])):
                for across in range(max(0, column - left), min(nx, column - left + footprint.shape[1])):
                    if image[down, across] > value and footprint[down - row + up, across - column + left]:
                        highest = False
                        break
                if not highest:
                    break
            found[row, column] = highest


def local_maxima(
    image: NDArray[Any], threshold: NDArray[Any] | float, footprint: NDArray[np.bool_], excluded: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """
    Return the pixels (column, row) that are above a threshold, and that no pixel around them exceeds.

    Parameters
    ----------
    image : ndarray of float32 or float64, shape (ny, nx)
        Finite values.
    threshold : float or ndarray, shape (ny, nx)
        Not negative.
    footprint : ndarray of bool, odd lengths
        Which pixels are around one.
    excluded : ndarray of bool, shape (ny, nx)
        True where a pixel is no peak, though it may exceed others.
    """
    found = np.zeros(image.shape, dtype=np.bool_)
    thresholds = np.broadcast_to(np.asarray(threshold), image.shape)

    def work(rows: slice) -> None:
        _mark_maxima(image, thresholds, excluded, footprint, rows.start, rows.stop, found)

    over_rows(work, len(image), image.size)
    return np.argwhere(found)[:, ::-1]


@compiled()
def _add_weighted(values: NDArray[Any], weight: float, total: NDArray[np.float64]) -> None:
    for index in range(len(total)):
        total[index] += values[index] * weight


@compiled()
def _convolved(image: NDArray[Any], weights: NDArray[np.float64], start: int, stop: int, result: NDArray[Any]) -> None:
    ny, nx = image.shape
    up, left = weights.shape[0] // 2, weights.shape[1] // 2
    total = np.empty(nx, dtype=np.float64)
    for row in range(start, stop):
        total[:] = 0.0
        for down in range(weights.shape[0]):
            from_row = row + down - up
            if from_row < 0 or from_row >= ny:
                continue
            for across in range(weights.shape[1]):
                weight, shift = weights[down, across], across - left
                if weight != 0 and abs(shift) < nx:
                    first, end = max(0, -shift), min(nx, nx - shift)
                    _add_weighted(image[from_row, first + shift : end + shift], weight, total[first:end])
        result[row] = total


def convolved(image: NDArray[Any], kernel: NDArray[Any]) -> NDArray[Any]:
    """Return the convolution of an image with a kernel of odd lengths; beyond the edges there is nothing."""
    result = np.empty_like(image)
    weights = np.ascontiguousarray(kernel[::-1, ::-1], dtype=np.float64)

    def work(rows: slice) -> None:
        _convolved(image, weights, rows.start, rows.stop, result)

    over_rows(work, len(image), image.size * kernel.size)
    return result
