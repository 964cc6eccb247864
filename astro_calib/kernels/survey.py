"""What of a frame can be searched, and how significant what is left after the background is; each pixel read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["reach", "searchable", "significance"]

#: Rows that are smoothed together: with those above and below they stay in the cache.
BLOCK = 32
#: The Gaussian ends at this many of its standard deviations.
TRUNCATE = 4.0
#: How far from the background, in standard deviations, a pixel is at most, if it has no noise: so little that sums of
#: it are finite in float32.
FURTHEST = 1e30


@compiled()
def _searchable(
    data: NDArray[Any],
    variance: NDArray[Any],
    missing: NDArray[np.bool_],
    saturated: NDArray[np.bool_],
    values: NDArray[Any],
    blind: NDArray[np.bool_],
    unfit: NDArray[np.bool_],
) -> None:
    for row in range(len(data)):
        # Without a branch, many pixels at once.
        value, variances, absent, bright = data[row], variance[row], missing[row], saturated[row]
        result, hidden, useless = values[row], blind[row], unfit[row]
        for column in range(data.shape[1]):
            here = np.isfinite(value[column]) & (variances[column] >= 0) & (variances[column] < np.inf)
            seen = here & (bright[column] | ~absent[column])
            useless[column] = absent[column] | ~here
            hidden[column] = ~seen
            result[column] = value[column] if seen else 0.0


def searchable(
    data: NDArray[Any], variance: NDArray[Any], missing: NDArray[np.bool_], saturated: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
    """
    Tell what of a frame can be searched.

    Parameters
    ----------
    data, variance : ndarray of float32 or float64, shape (ny, nx)
        The frame.
    missing : ndarray of bool, shape (ny, nx)
        True where a pixel cannot be measured.
    saturated : ndarray of bool, shape (ny, nx)
        Those of the missing pixels in which there is too much light rather than none.

    Returns
    -------
    values : ndarray, shape (ny, nx)
        The data, 0 where blind; of their type.
    blind : ndarray of bool, shape (ny, nx)
        True where there is nothing to look at: what is missing and not saturated, what is no finite number, and whose
        variance is none or negative.
    unfit : ndarray of bool, shape (ny, nx)
        True where a pixel says nothing of the background: what is missing or blind.
    """
    values = np.empty_like(data)
    blind, unfit = np.empty((2, *data.shape), dtype=np.bool_)

    def work(rows: slice) -> None:
        _searchable(data[rows], variance[rows], missing[rows], saturated[rows], values[rows], blind[rows], unfit[rows])

    over_rows(work, len(data), data.size)
    return values, blind, unfit


@compiled()
def _weigh_one(values: NDArray[Any], weight: np.floating[Any], total: NDArray[Any]) -> None:
    for index in range(len(total)):
        total[index] = values[index] * weight


@compiled()
def _add_pair(left: NDArray[Any], right: NDArray[Any], weight: np.floating[Any], total: NDArray[Any]) -> None:
    for index in range(len(total)):
        total[index] += (left[index] + right[index]) * weight


@compiled(error_model="numpy")
def _significance(
    values: NDArray[Any],
    variance: NDArray[Any],
    blind: NDArray[np.bool_],
    background: NDArray[Any],
    down: NDArray[Any],
    across: NDArray[Any],
    furthest: np.floating[Any],
    start: int,
    stop: int,
    residual: NDArray[Any],
    sigma: NDArray[Any],
    result: NDArray[Any],
) -> None:
    ny, nx = values.shape
    reach = len(down) - 1
    first, end = max(start - reach, 0), min(stop + reach, ny)
    relative = np.zeros((stop - start + 2 * reach, nx), dtype=result.dtype)
    spare = np.empty((2, nx), dtype=result.dtype)
    for row in range(first, end):
        line = relative[row - start + reach]
        # Rows above and below are worked out for their part in these, and written by their own block.
        inside = start <= row < stop
        rest, error = (residual[row], sigma[row]) if inside else (spare[0], spare[1])
        value, variances, hidden, level = values[row], variance[row], blind[row], background[row]
        for column in range(nx):
            seen = not hidden[column]
            rest[column] = value[column] - level[column] if seen else 0.0
            error[column] = np.sqrt(variances[column]) if seen else 1.0
        for column in range(nx):
            # Infinite where a pixel without noise differs from the background, no number where it does not.
            ratio = rest[column] / error[column]
            ratio = furthest * 0 if np.isnan(ratio) else min(ratio, furthest)
            line[column] = max(ratio, -furthest)
    along = np.zeros(nx + 2 * reach, dtype=result.dtype)
    for row in range(start, stop):
        middle = row - start + reach
        _weigh_one(relative[middle], down[0], along[reach : reach + nx])
        for step in range(reach, 0, -1):
            _add_pair(relative[middle - step], relative[middle + step], down[step], along[reach : reach + nx])
        smooth = result[row]
        _weigh_one(along[reach : reach + nx], across[0], smooth)
        for step in range(reach, 0, -1):
            left, right = along[reach - step : reach - step + nx], along[reach + step : reach + step + nx]
            _add_pair(left, right, across[step], smooth)


def reach(smoothing: float) -> int:
    """How many pixels a Gaussian of this standard deviation spreads one to each side."""
    return int(TRUNCATE * smoothing + 0.5)


def significance(
    values: NDArray[Any],
    variance: NDArray[Any],
    blind: NDArray[np.bool_],
    background: NDArray[Any],
    smoothing: float,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """
    What is left after the background, its standard deviation, and the smoothed ratio of the two.

    Parameters
    ----------
    values, variance : ndarray of float32 or float64, shape (ny, nx)
        The frame.
    blind : ndarray of bool, shape (ny, nx)
        True where there is nothing to look at; elsewhere values and variances are finite, and variances not negative.
    background : ndarray of float32 or float64, shape (ny, nx)
        What is subtracted.
    smoothing : float
        Standard deviation in pixels of the Gaussian. Beyond the edges there is nothing.

    Returns
    -------
    residual, sigma, significance : ndarray of the type of the values, shape (ny, nx)
        0, 1 and that of the neighbours' light where blind. White noise has a significance of standard deviation 1.
    """
    steps = np.arange(reach(smoothing) + 1)
    weights = np.exp(-0.5 * np.square(steps / smoothing))
    weights /= weights[0] + 2 * weights[1:].sum()
    # White noise of sigma 1 has this sigma after smoothing with a Gaussian.
    scale = 2 * np.sqrt(np.pi) * smoothing
    down, across = (factors.astype(values.dtype) for factors in (weights, weights * scale))
    results = np.empty_like(values), np.empty_like(values), np.empty_like(values)
    furthest = values.dtype.type(FURTHEST)

    def work(rows: slice) -> None:
        _significance(values, variance, blind, background, down, across, furthest, rows.start, rows.stop, *results)

    over_rows(work, len(values), values.size, block=BLOCK)
    return results
