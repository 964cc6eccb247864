"""What listed pixels have of waves along their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled
from astro_calib.kernels.plain import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["along_runs"]


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
