r"""
Sums over pixels of noise that is correlated: what the weights have of each wave.

A tone of the part p of the variance adds, with a the weights times the coefficient and the root of the variance,

.. math:: p \, \big( |A|^2 - 2 \, \mathrm{Re} \, A \overline{K B} + \overline{|K|^2} \, |B|^2 \big), \qquad
    A = \sum a \, e^{i (\omega_x x + \omega_y y)}

to the variance of a sum, where K is what a subtracted overscan level has of the wave, and B the same sum as A for the
wave as it goes along the level: for one level of the frame without the wave, for one a row without :math:`\omega_x`,
for one a column without :math:`\omega_y`. If each row has a phase of its own, this is the sum over rows.
Positions are cells of the source, so that cuts, flips and steps change nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.noise.window import Window

__all__ = ["RowSums", "cells_along", "joined", "rows_of_map", "sum_covariance", "wave_table"]


class RowSums(NamedTuple):
    """
    What weights have of each wave, row by row.

    Attributes
    ----------
    row : ndarray of int, shape (n,)
        The rows of the source.
    total : ndarray of float64, shape (n,)
        The sum of the weights in each.
    waves : ndarray of complex128, shape (n, n_waves)
        The sum of the weights times the wave along the row.
    """

    row: NDArray[np.intp]
    total: NDArray[np.float64]
    waves: NDArray[np.complex128]


def cells_along(window: Window, axis: int, length: int) -> NDArray[np.intp]:
    """The cells of a source that the pixels along an axis hold."""
    origin, step = window[axis]
    return origin + step * np.arange(length)


@lru_cache(4)
def wave_table(correlation: Correlation, along: tuple[int, int], length: int) -> NDArray[np.float64]:
    """The waves along a row of cells, shape (length, 2 n_waves): real and imaginary part of each."""
    cells = cells_along((along,), 0, length)
    table = np.exp(1j * np.outer(cells, correlation.waves[:, 1])).view(np.float64)
    table.flags.writeable = False
    return table


def rows_of_map(correlation: Correlation, window: Window, amplitudes: NDArray[np.float64]) -> RowSums:
    """The sums of a map of weights, shape (ny, nx), whose first pixel is at the window's."""
    ny, nx = amplitudes.shape
    waves = (amplitudes @ wave_table(correlation, window[1], nx)).view(np.complex128)
    return RowSums(cells_along(window, 0, ny), amplitudes.sum(axis=1), waves)


def joined(parts: Sequence[RowSums]) -> RowSums:
    """The sums of several maps over one source."""
    if len(parts) == 1:
        return parts[0]
    row, place = np.unique(np.concatenate([part.row for part in parts]), return_inverse=True)
    total = np.zeros(len(row))
    waves = np.zeros((len(row), parts[0].waves.shape[1]), dtype=np.complex128)
    np.add.at(total, place, np.concatenate([part.total for part in parts]))
    np.add.at(waves, place, np.concatenate([part.waves for part in parts]))
    return RowSums(row, total, waves)


def sum_covariance(
    correlation: Correlation, a: RowSums, b: RowSums, first: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """
    The covariance of two sums, without the white part, for each place of a list.

    ``first`` is where the rows of each place begin; without it all belong to one. For different sums there is one.
    """
    first = np.zeros(1, dtype=np.intp) if first is None else first
    result = np.zeros(len(first))
    if not len(a.row) or not len(b.row):
        return result
    coherent = ~np.isnan(correlation.waves[:, 2])
    if coherent.any():
        result += _of_coherent(correlation, coherent, *((a,) if a is b else (a, b)), first=first)
    if not coherent.all():
        result += _of_rows(correlation, ~coherent, *((a,) if a is b else (a, b)), first=first)
    return result


def _of_coherent(
    correlation: Correlation, chosen: NDArray[np.bool_], *sums: RowSums, first: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The part of waves that go on from row to row."""
    from astro_calib.kernels.waves import over_rows_of_waves

    part, _, wy = correlation.waves[chosen].T
    level, index = correlation.level, np.flatnonzero(chosen)
    wholes, of_level = [], []
    for one in sums:
        row, phase = _phases(one.row, wy)
        wholes.append(over_rows_of_waves(one.waves, index, row, first, phase))
        if level is None:
            continue
        if level.axes == (0,):
            of_level.append(over_rows_of_waves(one.total[:, np.newaxis], 0 * index, row, first, phase))
        else:
            along = one.waves[:, chosen] if level.axes else one.total[:, np.newaxis]
            of_level.append(np.add.reduceat(along, first, axis=0))
    found = _product(wholes)
    if level is not None:
        found = found + _of_level(wholes, of_level, level.amplitudes[chosen], level.squares[chosen])
    return _not_below_zero(found, sums) @ part


def _phases(row: NDArray[np.intp], frequency: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.complex128]]:
    """The waves from row to row, and where in this table each row is."""
    low, high = int(row.min()), int(row.max())
    if high - low < len(row):
        return row - low, np.exp(1j * np.outer(np.arange(low, high + 1), frequency))
    return np.arange(len(row)), np.exp(1j * np.outer(row, frequency))


def _of_rows(
    correlation: Correlation, chosen: NDArray[np.bool_], *sums: RowSums, first: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The part of waves that have another phase in each row."""
    part, level = correlation.waves[chosen, 0], correlation.level
    if len(sums) > 1:
        _, *places = np.intersect1d(sums[0].row, sums[1].row, assume_unique=True, return_indices=True)
    else:
        places = [np.arange(len(sums[0].row))]
    waves = [one.waves[place][:, chosen] for one, place in zip(sums, places, strict=True)]
    found = np.zeros((len(first), int(chosen.sum())))
    if len(places[0]):
        by_row = _product(waves)
        if level is not None and level.axes == (0,):
            totals = [one.total[place][:, np.newaxis] for one, place in zip(sums, places, strict=True)]
            by_row = by_row + _of_level(waves, totals, level.amplitudes[chosen], level.squares[chosen])
        found = np.add.reduceat(by_row, first, axis=0)
    if level is not None and level.axes != (0,):
        # What all rows of the level have of it.
        wholes = [np.add.reduceat(one.waves[:, chosen], first, axis=0) for one in sums]
        totals = wholes if level.axes else [np.add.reduceat(one.total[:, np.newaxis], first, axis=0) for one in sums]
        found = found + _of_level(wholes, totals, level.amplitudes[chosen], level.squares[chosen])
    return _not_below_zero(found, sums) @ part


def _product(pair: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The real part of a times the conjugate of b; of one with itself, if it is alone."""
    a, b = pair[0], pair[-1]
    return a.real * b.real + a.imag * b.imag


def _of_level(
    waves: Sequence[NDArray[np.complex128]],
    of_level: Sequence[NDArray[Any]],
    amplitudes: NDArray[np.complex128],
    squares: NDArray[np.float64],
) -> NDArray[Any]:
    """What a subtracted level changes."""
    a, b = waves[0], waves[-1]
    level_a, level_b = of_level[0], of_level[-1]
    mixed = _product([a, amplitudes * level_b]) + _product([b, amplitudes * level_a])
    return _product([level_a, level_b]) * squares - mixed


def _not_below_zero(found: NDArray[np.float64], sums: Sequence[RowSums]) -> NDArray[np.float64]:
    """No wave takes from the variance of a sum, but for rounding; it may from the covariance of two."""
    return np.maximum(found, 0.0) if len(sums) == 1 else found
