"""Sums over blocks of pixels, and what their noise is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled
from astro_calib.kernels.plain import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["noise_of_blocks", "noise_of_lines", "sums_of_blocks"]

#: Stands for all pixels.
ALL: NDArray[np.bool_] = np.empty((0, 0), dtype=np.bool_)


@compiled()
def _sums_of_blocks(
    values: NDArray[Any], used: NDArray[np.bool_], rows: int, columns: int, total: NDArray[np.float64]
) -> None:
    for line in range(values.shape[0]):
        row = line // rows
        for column in range(total.shape[1]):
            added = 0.0
            for place in range(column * columns, (column + 1) * columns):
                if used.size == 0 or used[line, place]:
                    added += values[line, place]
            total[row, column] += added


def sums_of_blocks(
    values: NDArray[Any], used: NDArray[np.bool_] | None, rows: int, columns: int
) -> NDArray[np.float64]:
    """The sums over blocks of so many rows and columns, which fill the array of shape (ny, nx); of what is used."""
    total = np.zeros((values.shape[0] // rows, values.shape[1] // columns))
    _sums_of_blocks(read_only(values), read_only(ALL if used is None else used), rows, columns, total)
    return total


@compiled(error_model="numpy")
def _noise_of_blocks(
    values: NDArray[Any],
    variances: NDArray[Any],
    used: NDArray[np.bool_],
    weights: NDArray[np.float64],
    rows: int,
    columns: int,
    own: bool,
    coefficient: NDArray[Any],
    variance: NDArray[Any],
) -> None:
    number = rows * columns
    all_used, with_variances = used.size == 0, variances.size > 0
    for row in range(coefficient.shape[0]):
        for column in range(coefficient.shape[1]):
            total, magnitude, square, of_cells = 0.0, 0.0, 0.0, 0.0
            known, count = number, number
            if all_used:
                for line in range(row * rows, (row + 1) * rows):
                    for place in range(column * columns, (column + 1) * columns):
                        size = np.float64(variances[line, place]) if with_variances else 1.0
                        value = np.float64(values[line, place])
                        of_cells += size
                        total += value
                        magnitude += abs(value)
                        square += value * value * size
            if not all_used or not np.isfinite(square + of_cells):
                # What is not used may be no number, and without a weight no variance counts.
                total, magnitude, square, of_cells = 0.0, 0.0, 0.0, 0.0
                known, count = 0, 0
                for line in range(row * rows, (row + 1) * rows):
                    for place in range(column * columns, (column + 1) * columns):
                        size = np.float64(variances[line, place]) if with_variances else 1.0
                        if np.isfinite(size):
                            of_cells += size
                            known += 1
                        if all_used or used[line, place]:
                            count += 1
                            value = np.float64(values[line, place])
                            if value != 0:
                                total += value
                                magnitude += abs(value)
                                square += value * value * size
            weight = weights[row, column] if weights.size > 1 else weights[0, 0]
            if known < number:
                of_cells = of_cells * number / known if known else np.nan
            square *= weight * weight
            mean = magnitude * weight / count
            # A variance of shot noise from counts below zero may be negative, and no other frame has it.
            if magnitude != 0 and (own or not (of_cells > 0 and square >= 0)):
                of_cells, size = square / (mean * mean), mean
            else:
                size = np.sqrt(square / of_cells) if magnitude != 0 else 0.0
            coefficient[row, column] = -size if total < 0 else size
            if with_variances:
                variance[row, column] = of_cells


def noise_of_blocks(
    values: NDArray[Any],
    variances: NDArray[Any] | None,
    used: NDArray[np.bool_] | None,
    weights: NDArray[np.float64],
    size: tuple[int, int],
    *,
    own: bool,
    coefficient: NDArray[Any],
    variance: NDArray[Any] | None,
) -> None:
    r"""
    Coefficients and variances of sums over blocks of noise that is independent from pixel to pixel.

    Parameters
    ----------
    values, variances : ndarray
        Coefficients and variances of pixels, of one floating type; one everywhere without ``variances``.
    used : ndarray of bool or None
        Which pixels are in the sums; all by default.
    weights : ndarray of float64, shape (ny, nx) or (1, 1)
        What the sums are multiplied by.
    size : (int, int)
        Rows and columns of a block.
    own : bool
        Whether no other frame has this noise, so that its variance may be that of the used pixels.
    coefficient, variance : ndarray, shape (ny, nx)
        Where the results go: :math:`\sqrt{\sum w^2 c^2 v / \sum v}` and :math:`\sum v`. Without ``variance`` it is not
        kept.
    """
    nothing = np.empty((0, 0), dtype=values.dtype)
    _noise_of_blocks(
        read_only(values),
        read_only(nothing if variances is None else variances),
        read_only(ALL if used is None else used),
        read_only(weights),
        *size,
        own,
        coefficient,
        np.empty((0, 0), dtype=coefficient.dtype) if variance is None else variance,
    )


@compiled()
def _noise_of_lines(
    values: NDArray[Any],
    variances: NDArray[Any],
    used: NDArray[np.bool_],
    rows: int,
    columns: int,
    total: NDArray[np.float64],
    square: NDArray[np.float64],
) -> None:
    for line in range(values.shape[0]):
        row = line // rows
        for column in range(total.shape[1]):
            along = 0.0
            for place in range(column * columns, (column + 1) * columns):
                if used.size == 0 or used[line, place]:
                    along += values[line, place]
            if along != 0:
                total[row, column] += along
                square[row, column] += along * along * variances[line]


def noise_of_lines(
    values: NDArray[Any], variances: NDArray[Any], used: NDArray[np.bool_] | None, rows: int, columns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    The sums of values over blocks, and the variance of noise that has one draw a line, with these coefficients.

    ``variances`` has one for each line, shape (ny,).
    """
    shape = values.shape[0] // rows, values.shape[1] // columns
    total, square = np.zeros(shape), np.zeros(shape)
    _noise_of_lines(
        read_only(values),
        read_only(variances, values.dtype),
        read_only(ALL if used is None else used),
        rows,
        columns,
        total,
        square,
    )
    return total, square
