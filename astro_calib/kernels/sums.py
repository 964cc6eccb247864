"""Sums over many arrays, each read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["add_scaled"]


@numba.njit(cache=True, nogil=True)
def _add(total: NDArray[Any], values: NDArray[Any], factor: float) -> None:
    scale = total.dtype.type(factor)
    for index in range(total.shape[0]):
        total[index] += scale * values[index]


@numba.njit(cache=True, nogil=True)
def _add_kept(total: NDArray[Any], values: NDArray[Any], kept: NDArray[np.bool_], factor: float) -> None:
    scale = total.dtype.type(factor)
    nothing = total.dtype.type(0)
    for index in range(total.shape[0]):
        # What is left out may be anything, infinity and NaN included.
        total[index] += scale * values[index] if kept[index] else nothing


@numba.njit(cache=True, nogil=True)
def _count_kept(total: NDArray[Any], kept: NDArray[np.bool_], factor: float) -> None:
    scale = total.dtype.type(factor)
    for index in range(total.shape[0]):
        total[index] += scale * kept[index]


def add_scaled(
    total: NDArray[Any], values: float | NDArray[Any], factor: float, kept: NDArray[np.bool_] | None = None
) -> None:
    """
    Add ``factor * values`` to ``total`` in place, where ``kept``.

    Parameters
    ----------
    total : ndarray, C-contiguous
    values : float or ndarray, of the same shape or broadcasting to it
    factor : float
    kept : ndarray of bool, of the same shape, optional
    """
    flat = total.reshape(-1)
    if np.ndim(values) == 0:
        number = float(values) * factor
        if kept is None:
            total += total.dtype.type(number)
        else:
            _count_kept(flat, np.ascontiguousarray(kept).reshape(-1), number)
        return
    if np.shape(values) != total.shape:
        values = np.broadcast_to(values, total.shape)
    line = np.ascontiguousarray(values).reshape(-1)
    if kept is None:
        _add(flat, line, factor)
    else:
        _add_kept(flat, line, np.ascontiguousarray(kept).reshape(-1), factor)
