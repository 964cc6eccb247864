r"""
How the noise of neighbouring blocks of pixels goes together.

A wave is a wave again after blocks of pixels were added up: over n pixels

.. math:: \sum_{j<n} e^{i \omega (n x + j)} = D(\omega) \, e^{i n \omega x}, \qquad D = \sum_{j<n} e^{i \omega j},

so that its part of the variance is :math:`|D|^2` times as large and its frequency n times as high. Where each row has a
phase of its own, the rows of a block are independent of each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.detector.correlation import Correlation, Level
from astro_calib.detector.waves import parts_of_variance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["binned_correlation"]

#: Of a wave that cancels in a block this part stays, so that what a subtracted level has of it can be told.
LEAST = 1e-6


def binned_correlation(correlation: Correlation, rows: int, columns: int) -> tuple[Correlation, float]:
    """
    The correlation of sums over blocks of pixels, and their variance.

    Parameters
    ----------
    correlation : Correlation
        Of pixels of which the first is the first one of a block.
    rows, columns : int
        The size of the blocks.

    Returns
    -------
    correlation : Correlation
        Of the sums.
    variance : float
        Of a sum, where that of a pixel is 1.
    """
    part, wx, wy = correlation.waves.T
    coherent = ~np.isnan(wy)
    along = _sum_of_wave(wx, columns)
    across = np.where(coherent, _sum_of_wave(np.where(coherent, wy, 0.0), rows), np.sqrt(rows))
    size = along * across
    waves = np.stack([part * np.abs(size) ** 2, wx * columns, wy * rows], axis=1)
    level = correlation.level
    if level is not None:
        level = _binned_level(level, coherent, (along, across), (rows, columns))
    total = correlation.white * rows * columns + float(parts_of_variance(waves, level).sum())
    return Correlation.of_waves(waves / [total, 1, 1], level), total


def _sum_of_wave(frequency: NDArray[np.float64], number: int) -> NDArray[np.complex128]:
    """The sum of a wave over so many pixels."""
    total: NDArray[np.complex128] = np.exp(1j * np.outer(frequency, np.arange(number))).sum(axis=1)
    size = np.abs(total)
    return np.where(size < LEAST * number, LEAST * number, total)


def _binned_level(
    level: Level,
    coherent: NDArray[np.bool_],
    sums: tuple[NDArray[np.complex128], NDArray[np.complex128]],
    size: tuple[int, int],
) -> Level:
    """What a level that was subtracted has of the waves of sums, in units of theirs."""
    along, across = sums
    rows, columns = size
    # The level goes with the wave along its own axes only, and is constant along the others.
    of_level = {
        (): np.full(len(along), columns * rows, dtype=complex),
        (0,): columns * across,
        (1,): along * rows,
    }[level.axes]
    ratio = of_level / (along * across)
    amplitude = ratio.copy()
    changing = ~coherent
    if level.axes == ():
        # All rows of a block have something of one level, each with a phase of its own.
        amplitude[changing] = (columns * rows / along)[changing]
    return Level(
        level.axes,
        level.amplitudes * amplitude,
        level.squares * np.abs(ratio) ** 2,
        None if level.in_image is None else level.in_image * np.abs(ratio) ** 2,
    )
