"""
Tables of waves: the part of the variance that each has, and by how many radians it moves along a row and across rows.

The first is what the pixels of a row share: a wave of frequency 0, with another phase in each row (NaN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ENOUGH_TONES", "MOST_TONES", "Level", "collected", "of_level", "parts_of_variance", "table_of"]

#: More tones than these are merged with their neighbours in frequency.
MOST_TONES = 256
#: So many are enough of those that are measured, or that a median makes of others.
ENOUGH_TONES = 64
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
    in_image : ndarray of float64, shape (n_waves,), optional
        What a pixel of the image has in common with the level, on average over the image, in the same units. Without
        it the image is so large that only waves which do not change along the level have something.
    """

    axes: tuple[int, ...]
    amplitudes: NDArray[Any]
    squares: NDArray[np.float64]
    in_image: NDArray[np.float64] | None = None

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """What is known of each wave."""
        return [self.amplitudes, self.squares, *([] if self.in_image is None else [self.in_image])]

    def of_image(self, waves: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the image has in common with the level, found if it was not given."""
        if self.in_image is not None:
            return self.in_image
        _, wx, wy = waves.T
        along_level = {(): (wx == 0) & (np.isnan(wy) | (wy == 0)), (0,): wx == 0, (1,): wy == 0}[self.axes]
        return np.where(along_level, self.amplitudes.real, 0.0)

    def table(self, waves: NDArray[np.float64]) -> NDArray[np.float64]:
        """All that it has of each wave in real numbers: both parts of the amplitude, the square, and in the image."""
        return np.stack([self.amplitudes.real, self.amplitudes.imag, self.squares, self.of_image(waves)], axis=1)

    @classmethod
    def of_table(cls, axes: tuple[int, ...], table: NDArray[np.float64]) -> Level:
        """The level that `table` is of; the last column may be missing."""
        table = np.asarray(table, dtype=np.float64)
        in_image = table[:, 3] if table.shape[1] > 3 else None
        return cls(axes, table[:, 0] + 1j * table[:, 1], table[:, 2], in_image)


def table_of(level: Level | None, waves: NDArray[np.float64]) -> NDArray[np.float64]:
    """A level in real numbers, zeros if there is none."""
    return np.zeros((len(waves), 4)) if level is None else level.table(waves)


def parts_of_variance(waves: NDArray[np.float64], level: Level | None) -> NDArray[np.float64]:
    """What each wave adds to the variance of a pixel, on average over pixels, less the level."""
    return waves[:, 0] + of_level(waves, level)


def of_level(waves: NDArray[np.float64], level: Level | None) -> NDArray[np.float64]:
    """What the level changes of that."""
    part = waves[:, 0]
    if level is None:
        return np.zeros_like(part)
    added: NDArray[np.float64] = part * (level.squares - 2 * level.of_image(waves))
    return added


def collected(
    waves: NDArray[np.float64], level: NDArray[np.float64], most: int = MOST_TONES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Waves by strength, those of one frequency in one, and not too many tones; the one of rows first.

    ``level`` is what `Level.table` gives.
    """
    part, wx, wy = waves.T
    wx, wy = _wrapped(wx), _wrapped(wy)
    # A wave and the one that goes the other way are the same.
    turned = (wx < 0) | (np.isin(wx, (0.0, np.pi)) & (wy < 0))
    wx, wy = _wrapped(np.where(turned, -wx, wx)), _wrapped(np.where(turned, -wy, wy))
    level = _turned(level, turned)
    rounded = np.round(np.stack([wx, np.where(np.isnan(wy), 10.0, wy)]) / SAME_FREQUENCY)
    _, first, inverse = np.unique(rounded, axis=1, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    total = np.bincount(inverse, weights=part).astype(np.float64)

    table = np.stack([total, wx[first], wy[first]], axis=1)
    means = _means(level, part, inverse, total)
    of_rows = inverse[0]
    order = [int(n) for n in np.argsort(-total, kind="stable") if n != of_rows and total[n] > 0]
    order.insert(0, of_rows)
    several = table[order], means[order]
    return collected(*_merged(*several, most), most) if len(order) > 1 + most else several


def _wrapped(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same frequency for whole pixels, above -pi and up to pi."""
    inside = np.where(np.abs(frequency) <= np.pi, frequency, np.pi - np.mod(np.pi - frequency, 2 * np.pi))
    inside = np.where(np.abs(inside) < SAME_FREQUENCY, 0.0, inside)
    return np.where(np.pi - np.abs(inside) < SAME_FREQUENCY, np.pi, inside)


def _turned(level: NDArray[np.float64], turned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The same for waves some of which are taken to go the other way: the conjugate of the amplitude."""
    return np.where(turned[:, np.newaxis], level * [1, -1, 1, 1], level)


def _means(
    values: NDArray[np.float64], part: NDArray[np.float64], group: NDArray[np.intp], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The means of columns over groups of waves, each with its part of the variance."""
    summed = [np.bincount(group, weights=part * column, minlength=len(total)) for column in values.T]
    return np.stack(summed, axis=1) / np.where(total > 0, total, 1.0)[:, np.newaxis]


def _merged(
    waves: NDArray[np.float64], level: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
    while len(chosen) <= most:
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
    total = np.bincount(nearest, weights=part, minlength=len(waves)).astype(np.float64)
    table = np.concatenate([total[:, np.newaxis], _means(moved, part, nearest, total)], axis=1)[chosen]
    table[0] = waves[0]
    return table, _means(_turned(level, turned), part, nearest, total)[chosen]
