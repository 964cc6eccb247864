r"""
How the noise of neighbouring pixels goes together after frames were combined by an estimator that is no mean.

The result is the mean plus what is not linear in the values (Hermite polynomials of order 3 and more, which are not
correlated with it). Where the noise of each of N frames has the correlation :math:`\rho` between two pixels, the
results there have the covariance

.. math:: \frac{\sigma^2}{N} \, [\rho + (f_N - 1) \, g_N(\rho)], \qquad
    g_N = (1 - b_N) \, \frac{\arcsin \rho - \rho}{\pi / 2 - 1} + b_N \, \rho^3

with the variance factor :math:`f_N`. That of the median is exact for large N, where :math:`b_N = 0` (the covariance of
two signs is :math:`(2 / \pi) \arcsin \rho`); for few values :math:`b_N` is from a simulation, and the covariance good
to 1%. Of g the part that goes with each wave is kept; its harmonics count as white.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.detector.correlation import Correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["correlation_of_result", "nonlinear_correlation"]

#: b_N, from 2.4 million pairs of medians at a correlation of 0.7; to 0.01. Beyond, even numbers have about 2.6 / N.
CUBIC = {3: 0.62, 4: 0.66, 5: 0.29, 6: 0.45, 7: 0.17, 8: 0.33, 9: 0.11, 10: 0.27}
#: Sets of phases, independent of each other, over which the waves are averaged.
PHASES = 1 << 12
#: Smaller parts may be from the finite number of phases.
NEGLIGIBLE = 1e-4


def nonlinear_correlation(rho: NDArray[np.float64] | float, number: int) -> NDArray[np.float64]:
    """
    The correlation of what is not linear in the values of two pixels, g in the module's docstring.

    Parameters
    ----------
    rho : ndarray or float
        The correlation of the values.
    number : int
        The number of values.
    """
    cubic = CUBIC.get(number, 0.0 if number % 2 or number < 3 else 2.6 / number)
    rho = np.clip(rho, -1.0, 1.0)
    found: NDArray[np.float64] = (1 - cubic) * (np.arcsin(rho) - rho) / (math.pi / 2 - 1) + cubic * rho**3
    return found


def correlation_of_result(
    correlation: Correlation, factor: float, number: int, linear: float, share: float = 1.0
) -> Correlation:
    """
    The correlation of the noise of a stack.

    Parameters
    ----------
    correlation : Correlation
        Of the frames' noise.
    factor : float
        Variance of the result in units of that of the mean of the values left.
    number : int
        The number of values.
    linear : float
        The part of the variance of that mean that the same weights at all pixels would give; what comes from values
        that are left out here and there is white.
    share : float
        The part that this noise has of all noise of the frames.
    """
    waves = correlation.waves
    table = waves * [min(linear / factor, 1.0), 1, 1]
    level = correlation.level
    if factor > 1:
        of_waves, of_rows = _nonlinear_waves(correlation, max(number, 2), float(np.round(share, 3)))
        excess = (factor - 1) / factor
        table[:, 0] += excess * of_waves
        # A tone that goes on from row to row has more in common with its own row than with the next.
        more = np.stack([excess * of_rows, waves[:, 1], np.full(len(waves), np.nan)], axis=1)
        table = np.concatenate([table, more])
        if level is not None:
            level = level._replace(
                amplitudes=np.concatenate([level.amplitudes, 0 * level.amplitudes]),
                squares=np.concatenate([level.squares, 0 * level.squares]),
            )
    return Correlation.of_waves(table, level)


@lru_cache(64)
def _nonlinear_waves(
    correlation: Correlation, number: int, share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parts of what is not linear that go with each wave, and those that do so within a row only."""
    waves = correlation.waves
    part, coherent = share * waves[:, 0], ~np.isnan(waves[:, 2])
    cosines = _cosines(len(waves))
    # The first is constant along the row.
    cosines = np.concatenate([np.ones((PHASES, 1)), cosines[:, 1:]], axis=1)
    times = np.where(np.arange(len(waves)) == 0, 1.0, 2.0) / (PHASES * max(share, 1e-9))

    def projected(rho: Any) -> NDArray[np.float64]:
        found = times * (nonlinear_correlation(rho, number) @ cosines)
        return np.where((found > NEGLIGIBLE) & (part > 0), found, 0.0)

    in_row = projected(cosines @ part)
    across = np.where(coherent, projected(cosines @ (part * coherent)), 0.0)
    of_waves = np.where(coherent, np.minimum(across, in_row), in_row)
    return of_waves, np.maximum(in_row - of_waves, 0.0)


@lru_cache(8)
def _cosines(number: int) -> NDArray[np.float64]:
    """Cosines of phases that fill their space evenly: multiples of the roots of primes."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < number:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    return np.cos(2 * np.pi * np.outer(np.arange(PHASES), np.sqrt(primes)))
