"""From a frame and its background to how significant what is left is, each pixel read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["significance"]

#: Rows that are smoothed together: with those above and below they stay in the cache.
BLOCK = 32
#: The Gaussian ends at this many of its standard deviations.
TRUNCATE = 4.0


@numba.njit(cache=True, nogil=True)
def _weigh_one(values: NDArray[np.float64], weight: float, total: NDArray[np.float64]) -> None:
    for index in range(len(total)):
        total[index] = values[index] * weight


@numba.njit(cache=True, nogil=True)
def _add_pair(left: NDArray[np.float64], right: NDArray[np.float64], weight: float, total: NDArray[np.float64]) -> None:
    for index in range(len(total)):
        total[index] += (left[index] + right[index]) * weight


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _significance(
    data: NDArray[Any],
    variance: NDArray[Any],
    blind: NDArray[np.bool_],
    background: NDArray[np.float64],
    weights: NDArray[np.float64],
    scale: float,
    start: int,
    stop: int,
    residual: NDArray[np.float64],
    sigma: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    ny, nx = data.shape
    reach = len(weights) - 1
    first, end = max(start - reach, 0), min(stop + reach, ny)
    relative = np.zeros((stop - start + 2 * reach, nx))
    spare = np.empty((2, nx))
    largest = np.finfo(np.float64).max
    for row in range(first, end):
        line = relative[row - start + reach]
        # Rows above and below are worked out for their part in these, and written by their own block.
        inside = start <= row < stop
        rest, error = (residual[row], sigma[row]) if inside else (spare[0], spare[1])
        values, variances, hidden, level = data[row], variance[row], blind[row], background[row]
        for column in range(nx):
            seen = not hidden[column]
            rest[column] = values[column] - level[column] if seen else 0.0
            error[column] = np.sqrt(np.float64(variances[column])) if seen else np.inf
        for column in range(nx):
            # Infinite where a pixel without noise differs from the background, no number where it does not.
            ratio = rest[column] / error[column]
            ratio = 0.0 if np.isnan(ratio) else min(ratio, largest)
            line[column] = max(ratio, -largest)
    along = np.zeros(nx + 2 * reach)
    for row in range(start, stop):
        middle = row - start + reach
        _weigh_one(relative[middle], weights[0], along[reach : reach + nx])
        for step in range(reach, 0, -1):
            _add_pair(relative[middle - step], relative[middle + step], weights[step], along[reach : reach + nx])
        smooth = result[row]
        _weigh_one(along[reach : reach + nx], weights[0] * scale, smooth)
        for step in range(reach, 0, -1):
            left, right = along[reach - step : reach - step + nx], along[reach + step : reach + step + nx]
            _add_pair(left, right, weights[step] * scale, smooth)


def significance(
    data: NDArray[Any],
    variance: NDArray[Any],
    blind: NDArray[np.bool_],
    background: NDArray[np.float64],
    smoothing: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """
    What is left after the background, its standard deviation, and the smoothed ratio of the two.

    Parameters
    ----------
    data, variance : ndarray of float32 or float64, shape (ny, nx)
        The frame.
    blind : ndarray of bool, shape (ny, nx)
        True where there is nothing to look at; elsewhere the data are finite and the variance is not negative.
    background : ndarray of float64, shape (ny, nx)
        What is subtracted.
    smoothing : float
        Standard deviation in pixels of the Gaussian. Beyond the edges there is nothing.

    Returns
    -------
    residual, sigma, significance : ndarray of float64, shape (ny, nx)
        0, infinite and that of the neighbours' light where blind. White noise has a significance of standard deviation
        1.
    """
    steps = np.arange(int(TRUNCATE * smoothing + 0.5) + 1)
    weights = np.exp(-0.5 * np.square(steps / smoothing))
    weights /= weights[0] + 2 * weights[1:].sum()
    # White noise of sigma 1 has this sigma after smoothing with a Gaussian.
    scale = 2 * np.sqrt(np.pi) * smoothing
    results = np.empty((3, *data.shape))

    def work(rows: slice) -> None:
        _significance(data, variance, blind, background, weights, scale, rows.start, rows.stop, *results)

    over_rows(work, len(data), data.size, block=BLOCK)
    return results[0], results[1], results[2]
