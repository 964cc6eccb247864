"""Combining the values of many frames at each pixel: rejection and location, on plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["masked_median", "reject_deviant", "reject_extremes"]


def masked_median(values: NDArray[Any], used: NDArray[np.bool_]) -> NDArray[Any]:
    """
    The median of the used values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, ny, nx)
        Floating.
    used : ndarray of bool, shape (n, ny, nx)
        Which values count.

    Returns
    -------
    ndarray, shape (ny, nx)
        Of the type of ``values``; NaN where no value is used.
    """
    if used.all():
        return np.asarray(np.median(values, axis=0))
    ordered = np.sort(np.where(used, values, np.inf), axis=0)
    number = used.sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum(number - 1, 0)[np.newaxis] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(number // 2, len(values) - 1)[np.newaxis], axis=0)[0]
    with np.errstate(invalid="ignore"):
        return np.where(number > 0, (low + high) / 2, np.nan).astype(values.dtype, copy=False)


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
    values, sigma : ndarray, shape (n, ny, nx) or broadcasting to it
    used : ndarray of bool, shape (n, ny, nx)
        Which values are considered.
    center : ndarray, shape (ny, nx)
        The median of the used values.
    lower, upper : float
        Thresholds below and above the centre.

    Returns
    -------
    ndarray of bool, shape (n, ny, nx)
        Which values remain. Of two values only the higher may go; all never do: the values up to the lower of the two
        middle ones stay where none would.
    """
    deviation = values - center
    with np.errstate(invalid="ignore"):
        remaining = used & (deviation <= upper * sigma) & (deviation >= -lower * sigma)
    number = used.sum(axis=0)
    pairs = number == 2
    if pairs.any():
        remaining |= used & pairs & (deviation <= 0)
    none = ~remaining.any(axis=0) & (number > 0)
    if none.any():
        remaining |= used & none & (deviation <= 0)
    return remaining


def reject_extremes(values: NDArray[Any], used: NDArray[np.bool_], lowest: int, highest: int) -> NDArray[np.bool_]:
    """
    Leave out the lowest and the highest values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, ny, nx)
    used : ndarray of bool, shape (n, ny, nx)
    lowest, highest : int
        How many to leave out at each end. Where too few values are used to leave one over, none is left out.

    Returns
    -------
    ndarray of bool, shape (n, ny, nx)
        Which values remain.
    """
    number = used.sum(axis=0)
    order = np.argsort(np.where(used, values, np.inf), axis=0, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)), axis=0)
    enough = number > lowest + highest
    inside = (rank >= lowest) & (rank < number - highest)
    return used & (inside | ~enough)
