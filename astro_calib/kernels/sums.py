"""Sums over many arrays, each read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["add_scaled", "mean_of_finite"]


#: For fewer values than this, NumPy is as fast.
SMALL = 1 << 14


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


@numba.njit(cache=True, nogil=True)
def _sum_of_finite(values: NDArray[Any]) -> tuple[float, float]:
    total, number = 0.0, 0.0
    for row in range(values.shape[0]):
        part, count = 0.0, 0.0
        for index in range(values.shape[1]):
            value = np.float64(values[row, index])
            finite = abs(value) < np.inf
            part += value if finite else 0.0
            count += 1.0 if finite else 0.0
        total += part
        number += count
    return total, number


def mean_of_finite(values: NDArray[Any]) -> float:
    """
    The mean over finite values; 0 if there are none.

    Parameters
    ----------
    values : ndarray, any shape
        Real numbers.
    """
    plane = np.atleast_2d(values) if values.ndim <= 2 else values.reshape(-1, values.shape[-1])
    if plane.size < SMALL:
        finite = np.isfinite(plane)
        return float(np.mean(plane, where=finite, dtype=np.float64)) if finite.any() else 0.0
    sums = np.zeros((len(plane), 2))

    def work(rows: slice) -> None:
        sums[rows.start] = _sum_of_finite(plane[rows])

    over_rows(work, len(plane), plane.size)
    total, number = sums.sum(axis=0)
    return float(total / number) if number else 0.0
