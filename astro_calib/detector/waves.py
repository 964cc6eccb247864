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

#: More tones than these are merged with their neighbours in frequency.
MOST_TONES = 64
#: Waves are slow below this frequency, in radians a pixel.
SLOW = 0.3
#: Further apart than any two waves are.
FURTHEST = 1e6
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
    several = table[order], found[order], mean(squares)[order]
    return collected(*_merged(*several)) if len(order) > 1 + MOST_TONES else several


def _wrapped(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same frequency for whole pixels, above -pi and up to pi."""
    inside = np.where(np.abs(frequency) <= np.pi, frequency, np.pi - np.mod(np.pi - frequency, 2 * np.pi))
    inside = np.where(np.abs(inside) < SAME_FREQUENCY, 0.0, inside)
    return np.where(np.pi - np.abs(inside) < SAME_FREQUENCY, np.pi, inside)


def _merged(
    waves: NDArray[np.float64], amplitudes: NDArray[Any], squares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
    """
    The same waves, those that matter least added to the next in frequency; that of rows, the first, stays by itself.

    Slow waves matter most: they add up over an aperture, of which fast ones have the mean over their neighbours. One
    after the other those are chosen that have most of the variance and are furthest from those that were chosen before.
    """
    part, frequency = waves[:, 0], waves[:, 1:]
    changing = np.isnan(waves[:, 2])
    importance = part / (np.square(np.nan_to_num(frequency)).sum(axis=1) + SLOW**2)
    nearest = np.zeros(len(waves), dtype=np.intp)
    turned = np.zeros(len(waves), dtype=bool)
    distance = np.full(len(waves), FURTHEST)
    distance[0] = 0
    moved = frequency.copy()
    chosen = [0]
    while len(chosen) <= MOST_TONES:
        new = int(np.argmax(importance * np.square(distance)))
        chosen.append(new)
        # A wave and the one that goes the other way are the same.
        for turn in (False, True):
            step = np.nan_to_num(_wrapped((-1 if turn else 1) * frequency - frequency[new]))
            apart = np.where(changing == changing[new], np.hypot(*step.T), np.inf)
            nearer = apart < distance
            nearer[0] = False
            nearest[nearer], turned[nearer], distance[nearer] = new, turn, apart[nearer]
            moved[nearer] = (frequency[new] + step)[nearer]
    amplitudes = np.where(turned, amplitudes.conj(), amplitudes)
    total = np.bincount(nearest, weights=part, minlength=len(waves))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        summed = np.bincount(nearest, weights=part * values, minlength=len(waves))
        return (summed / np.where(total > 0, total, 1.0))[chosen]

    table = np.stack([total[chosen], mean(moved[:, 0]), mean(moved[:, 1])], axis=1)
    table[0] = waves[0]
    return table, mean(amplitudes.real) + 1j * mean(amplitudes.imag), mean(squares)
