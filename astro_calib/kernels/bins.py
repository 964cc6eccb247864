"""Sums over blocks of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled
from astro_calib.kernels.plain import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SumsOfBlocks", "over_blocks", "over_lines"]

#: The sum of values, that of their magnitudes, and that of their squares times variances; shapes (ny, nx).
SumsOfBlocks = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


@compiled()
def _over_blocks(
    values: NDArray[np.float64],
    variances: NDArray[np.float64],
    used: NDArray[np.bool_],
    rows: int,
    columns: int,
    total: NDArray[np.float64],
    magnitude: NDArray[np.float64],
    square: NDArray[np.float64],
) -> None:
    for line in range(values.shape[0]):
        row = line // rows
        for column in range(total.shape[1]):
            for place in range(column * columns, (column + 1) * columns):
                value = values[line, place]
                # What is not used may be no number, and without a weight no variance counts.
                if used[line, place] and value != 0:
                    total[row, column] += value
                    magnitude[row, column] += abs(value)
                    square[row, column] += value * value * variances[line, place]


@compiled()
def _over_lines(
    values: NDArray[np.float64],
    variances: NDArray[np.float64],
    used: NDArray[np.bool_],
    rows: int,
    columns: int,
    total: NDArray[np.float64],
    magnitude: NDArray[np.float64],
    square: NDArray[np.float64],
) -> None:
    for line in range(values.shape[0]):
        row = line // rows
        for column in range(total.shape[1]):
            along = 0.0
            for place in range(column * columns, (column + 1) * columns):
                if used[line, place]:
                    along += values[line, place]
            if along != 0:
                total[row, column] += along
                magnitude[row, column] += abs(along)
                square[row, column] += along * along * variances[line, 0]


def over_blocks(
    values: NDArray[Any], variances: NDArray[Any], used: NDArray[np.bool_], rows: int, columns: int
) -> SumsOfBlocks:
    """
    Sums over blocks of so many rows and columns, which fill the arrays of shape (ny, nx).

    The variances are those of pixels; what is not ``used`` does not count.
    """
    return _sums(_over_blocks, values, variances, used, rows, columns)


def over_lines(
    values: NDArray[Any], variances: NDArray[Any], used: NDArray[np.bool_], rows: int, columns: int
) -> SumsOfBlocks:
    """
    The same, but each line of a block is added up first: the squares are those of the sums of lines.

    The variances, shape (ny, 1), are those of lines.
    """
    return _sums(_over_lines, values, variances, used, rows, columns)


def _sums(
    loop: Any, values: NDArray[Any], variances: NDArray[Any], used: NDArray[np.bool_], rows: int, columns: int
) -> SumsOfBlocks:
    shape = values.shape[0] // rows, values.shape[1] // columns
    total, magnitude, square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    loop(
        read_only(values, np.float64),
        read_only(variances, np.float64),
        read_only(used),
        rows,
        columns,
        total,
        magnitude,
        square,
    )
    return total, magnitude, square
