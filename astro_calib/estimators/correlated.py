r"""
How the noise of neighbouring pixels goes together after frames were combined by an estimator that is no mean.

The result is the mean plus what is not linear in the values (Hermite polynomials of order 3 and more, which are not
correlated with it). Where the noise of each of N frames has the correlation :math:`\rho` between two pixels, the
results there have the covariance

.. math:: \frac{\sigma^2}{N} \, [\rho + (f_N - 1) \, g_N(\rho)], \qquad
    g_N = (1 - b_N) \, \frac{\arcsin \rho - \rho}{\pi / 2 - 1} + b_N \, \rho^3

with the variance factor :math:`f_N`. That of the median is exact for large N, where :math:`b_N = 0` (the covariance of
two signs is :math:`(2 / \pi) \arcsin \rho`); for few values :math:`b_N` is from a simulation, and the covariance good
to 1%. As a function of the distance g is a sum of the waves that :math:`\rho` is made of, their overtones and those of
pairs of them, of which those of strong waves are kept; the rest counts as white.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.detector.correlation import Correlation, Level
from astro_calib.detector.waves import ENOUGH_TONES, parts_of_variance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["correlation_of_result", "nonlinear_correlation"]

#: b_N, from 2.4 million pairs of medians at a correlation of 0.7; to 0.01. Beyond, even numbers have about 2.6 / N.
CUBIC = {3: 0.62, 4: 0.66, 5: 0.29, 6: 0.45, 7: 0.17, 8: 0.33, 9: 0.11, 10: 0.27}
#: Sets of phases, independent of each other, over which the waves are averaged.
PHASES = 1 << 12
#: Smaller parts may be from the finite number of phases.
NEGLIGIBLE = 1e-4
#: Waves with more of the variance have overtones that are worth keeping.
STRONG = 0.1


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
        of_waves, others = _nonlinear_waves(correlation, max(number, 2), float(np.round(share, 3)))
        excess = (factor - 1) / factor
        table[:, 0] += excess * of_waves
        table = np.concatenate([table, others * [excess, 1, 1]])
        if level is not None:
            # The level is linear in the values.
            of_waves = np.concatenate([level.table(waves), np.zeros((len(others), 4))])
            level = Level.of_table(level.axes, of_waves)
    return Correlation.of_waves(table, level).with_fewer(max(len(correlation.tones), ENOUGH_TONES))


@lru_cache(64)
def _nonlinear_waves(
    correlation: Correlation, number: int, share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parts of what is not linear that go with each wave, and a table of other waves that it makes of them."""
    waves = correlation.waves
    # What a level has taken off, values have not in common.
    left = np.maximum(parts_of_variance(waves, correlation.level), 0.0)
    part, coherent = share * left, ~np.isnan(waves[:, 2])
    phases = _phases(len(waves))
    cosines = np.cos(phases)
    in_row = nonlinear_correlation(cosines @ part, number)
    across = nonlinear_correlation(cosines @ (part * coherent), number)

    def projected(values: NDArray[np.float64], order: NDArray[np.float64]) -> float:
        """The part of the values that goes with the cosine of so many times each phase."""
        found = float(values @ np.cos(phases @ order)) * (2 if order.any() else 1) / (PHASES * max(share, 1e-9))
        return found if found > NEGLIGIBLE else 0.0

    unit = np.eye(len(waves))
    unit[0] = 0
    of_waves = np.zeros(len(waves))
    others = []
    for index in np.flatnonzero(part):
        whole = projected(in_row, unit[index])
        of_waves[index] = min(projected(across, unit[index]), whole) if coherent[index] else whole
        if whole > of_waves[index]:
            # A tone that goes on from row to row has more in common with its own row than with the next.
            others.append((whole - of_waves[index], waves[index, 1], np.nan))
    strong = [int(index) for index in np.flatnonzero(part > STRONG) if index]
    for order in _overtones(strong, len(waves)):
        of_these = np.where(order == 0, 0.0, waves[:, 1:].T) @ order
        size = projected(in_row if np.isnan(of_these[1]) or part[0] > 0 else across, order)
        if size > 0 and np.abs(order).sum() % 2:
            others.append((size, *of_these))
        elif size > 0:
            # Even orders are with what the row has in common.
            others.append((size, of_these[0], np.nan))
    # The level takes its part off these, too.
    of_waves = np.divide(of_waves * waves[:, 0], left, where=left > 0, out=np.zeros_like(of_waves))
    return of_waves, np.array(others).reshape(-1, 3)


def _overtones(strong: list[int], number: int) -> Iterator[NDArray[np.float64]]:
    """How often each phase is in the waves that the second and third powers of a sum of waves hold."""
    for index in strong:
        for times in (2, 3):
            order = np.zeros(number)
            order[index] = times
            yield order
    for one, other in permutations(strong, 2):
        for times, sign in ((1, 1), (1, -1), (2, 1), (2, -1)):
            order = np.zeros(number)
            order[one], order[other] = times, sign
            if times == 2 or one < other:
                yield order


@lru_cache(8)
def _phases(number: int) -> NDArray[np.float64]:
    """Phases that fill their space evenly: multiples of the roots of primes; the first, of what rows share, is 0."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < number - 1:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    return 2 * np.pi * np.outer(np.arange(PHASES), [0.0, *np.sqrt(primes)])
