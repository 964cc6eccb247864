"""
Tables of waves: the part of the variance that each has, and by how many radians it moves along a row and across rows.

The first is what the pixels of a row share: a wave of frequency 0, with another phase in each row (NaN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_TONES", "Level", "collected", "of_level", "parts_of_variance"]

#: More tones than these are merged with their neighbours, the weakest first.
MOST_TONES = 64
#: Frequencies that differ by less, in radians a pixel, are one.
SAME_FREQUENCY = 1e-9


class Level(NamedTuple):
    r"""
    An overscan level that was subtracted from the noise, as far as it is made of the same waves.

    Attributes
    ----------
    axes : tuple of int
        Axes along which the level varies: ``()`` for one level of the frame, ``(0,)`` for one a row, ``(1,)`` for one a
        column.
    amplitudes : ndarray of complex, shape (n_waves,)
        K of each of the ``waves`` of the correlation: with the weights u of the overscan pixels in the level,
        :math:`\sum u \, e^{i \omega x}`; over all of them for a level of the frame, over the columns of a row for one
        a row, over the rows of a column for one a column. A wave whose phase is another one in each row has, for n
        rows, 1/n of what a row gives in a level of the frame, and 0 in the levels of columns.
    squares : ndarray of float64, shape (n_waves,)
        The variance of what the level has of each wave, in units of the wave's: the mean of :math:`|K|^2`; for phases
        that change from row to row the sum over rows of the squares.
    """

    axes: tuple[int, ...]
    amplitudes: NDArray[Any]
    squares: NDArray[np.float64]


def parts_of_variance(waves: NDArray[np.float64], level: Level | None) -> NDArray[np.float64]:
    """What each wave adds to the variance of a pixel, on average over pixels, less the level."""
    return waves[:, 0] + of_level(waves, level)


def of_level(waves: NDArray[np.float64], level: Level | None) -> NDArray[np.float64]:
    """What the level changes of that."""
    part, wx, wy = waves.T
    if level is None:
        return np.zeros_like(part)
    along_level = {(): (wx == 0) & (np.isnan(wy) | (wy == 0)), (0,): wx == 0, (1,): wy == 0}[level.axes]
    added: NDArray[np.float64] = part * (level.squares - 2 * np.where(along_level, level.amplitudes.real, 0.0))
    return added


def collected(
    waves: NDArray[np.float64], amplitudes: NDArray[Any], squares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
    """Waves by strength, those of one frequency in one, and not too many; the one of rows first."""
    part, wx, wy = waves.T
    wx, wy = _wrapped(wx), _wrapped(wy)
    # A wave and the one that goes the other way are the same.
    turned = (wx < 0) | (np.isin(wx, (0.0, np.pi)) & (wy < 0))
    wx, wy = _wrapped(np.where(turned, -wx, wx)), _wrapped(np.where(turned, -wy, wy))
    amplitudes = np.where(turned, amplitudes.conj(), amplitudes)
    rounded = np.round(np.stack([wx, np.where(np.isnan(wy), 10.0, wy)]) / SAME_FREQUENCY)
    _, first, inverse = np.unique(rounded, axis=1, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    total = np.bincount(inverse, weights=part)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(inverse, weights=part * values) / np.where(total > 0, total, 1.0)

    table = np.stack([total, wx[first], wy[first]], axis=1)
    found = mean(amplitudes.real) + 1j * mean(amplitudes.imag)
    of_rows = inverse[0]
    order = [int(n) for n in np.argsort(-total, kind="stable") if n != of_rows and total[n] > 0]
    order.insert(0, of_rows)
    return _merged(table[order], found[order], mean(squares)[order])


def _wrapped(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same frequency for whole pixels, above -pi and up to pi."""
    inside = np.where(np.abs(frequency) <= np.pi, frequency, np.pi - np.mod(np.pi - frequency, 2 * np.pi))
    inside = np.where(np.abs(inside) < SAME_FREQUENCY, 0.0, inside)
    return np.where(np.pi - np.abs(inside) < SAME_FREQUENCY, np.pi, inside)


def _merged(
    waves: NDArray[np.float64], amplitudes: NDArray[Any], squares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
    """The same waves, the weakest tones merged with the next in frequency until there are few enough."""
    while len(waves) > 1 + MOST_TONES:
        changing = np.isnan(waves[:, 2])
        # The weakest that is not the only one of its kind; the first wave is that of rows.
        kinds = [np.flatnonzero(changing[1:] == kind) + 1 for kind in (False, True)]
        kind = max((one for one in kinds if len(one) > 1), key=lambda one: int(one[-1]))
        weakest, others = kind[-1], kind[:-1]
        apart = np.nan_to_num(np.abs(waves[others, 1:] - waves[weakest, 1:])).sum(axis=1)
        nearest = others[np.argmin(apart)]
        pair = [nearest, weakest]
        weights = waves[pair, 0] / waves[pair, 0].sum()
        waves[nearest] = [waves[pair, 0].sum(), *(weights @ waves[pair, 1:])]
        amplitudes[nearest], squares[nearest] = weights @ amplitudes[pair], weights @ squares[pair]
        strongest = [int(n) for n in 1 + np.argsort(-waves[1:, 0], kind="stable") if n != weakest]
        order = [0, *strongest]
        waves, amplitudes, squares = waves[order], amplitudes[order], squares[order]
    return waves, amplitudes, squares
