"""What pixels have of waves along their rows, and from row to row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled
from astro_calib.kernels.plain import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["along_runs", "over_rows_of_waves"]


@compiled()
def _along_runs(
    values: NDArray[np.float64],
    column: NDArray[np.intp],
    first: NDArray[np.intp],
    waves: NDArray[np.float64],
    found: NDArray[np.float64],
) -> None:
    for run in range(first.shape[0]):
        end = first[run + 1] if run + 1 < first.shape[0] else values.shape[0]
        for index in range(first[run], end):
            value, place = values[index], column[index]
            for part in range(waves.shape[1]):
                found[run, part] += value * waves[place, part]


def along_runs(
    values: NDArray[np.float64],
    column: NDArray[np.intp],
    first: NDArray[np.intp],
    waves: NDArray[np.float64],
) -> NDArray[np.float64]:
    """
    The sums of values times waves over runs of pixels.

    ``values`` and ``column`` have a pixel after the other, ``first`` is where each run begins. ``waves`` has the shape
    (n_columns, n_parts), what is returned (n_runs, n_parts).
    """
    found: NDArray[Any] = np.zeros((len(first), waves.shape[1]))
    _along_runs(
        read_only(values, np.float64), read_only(column, np.intp), read_only(first, np.intp), read_only(waves), found
    )
    return found


@compiled()
def _over_rows(
    sums: NDArray[Any],
    index: NDArray[np.intp],
    row: NDArray[np.intp],
    first: NDArray[np.intp],
    waves: NDArray[Any],
    found: NDArray[Any],
) -> None:
    for place in range(first.shape[0]):
        end = first[place + 1] if place + 1 < first.shape[0] else row.shape[0]
        for run in range(first[place], end):
            for wave in range(index.shape[0]):
                found[place, wave] += sums[run, index[wave]] * waves[row[run], wave]


def over_rows_of_waves(
    sums: NDArray[Any],
    index: NDArray[np.intp],
    row: NDArray[np.intp],
    first: NDArray[np.intp],
    waves: NDArray[np.complex128],
) -> NDArray[np.complex128]:
    """
    The sums over the rows of each place of what they have of waves along the row, times the wave from row to row.

    ``sums`` has the shape (n, n_waves_along_rows), ``index`` says which of these goes with each of the ``waves``, of
    the shape (n_rows, n_waves), and ``row`` at which of the rows. ``first`` is where each place begins; the result has
    the shape (n_places, n_waves).
    """
    found: NDArray[Any] = np.zeros((len(first), len(index)), dtype=np.complex128)
    places = [read_only(one, np.intp) for one in (index, row, first)]
    _over_rows(read_only(sums, np.complex128), *places, read_only(waves, np.complex128), found)
    return found
