r"""
How far the mean of Gaussian values scatters when the lowest and the highest are left out.

In units of sigma, let l values be left out at the lower end and u at the upper, n = N - l - u be left, a be the
largest of those left out below, b the smallest of those left out above. By the joint density of two order statistics
(David & Nagaraja 2003, Order Statistics, 3rd ed., section 2.2),

.. math:: p(a, b) \propto \phi(a) \, \Phi(a)^{l - 1} \, [\Phi(b) - \Phi(a)]^n \, \phi(b) \, \Phi(-b)^{u - 1}.

*Given* a and b, the n values between are independent draws from a Gaussian truncated to [a, b], with its mean mu and
variance v. So their mean has

.. math:: n \, \mathrm{Var}(\bar x) = E[v] + n \, \mathrm{Var}(\mu),

a double Gauss-Legendre integral, or a single one if nothing is left out at one end. The first is over the range of
a, where Phi(a) has a beta distribution; the second over that of b given a, where Phi(-b) / Phi(-a) has one. It is
exact for every N, and no series is needed for large N.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.estimators.quadrature import checked_number, gauss_legendre

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["trimmed_mean_variance_factor"]

TAIL = 1e-14  # Probability that a boundary is beyond either end of its range.
END = 9.0  # Stands for infinity where nothing is left out: no value is beyond (probability 1e-19).


def trimmed_mean_variance_factor(number: int, lowest: int, highest: int) -> float:
    r"""
    Variance of the mean of what is left without the lowest and highest values, in units of sigma^2 / n.

    Parameters
    ----------
    number : int
        The number N of values, Gaussian and of equal sigma.
    lowest, highest : int
        How many of the lowest and of the highest are left out.

    Returns
    -------
    float
        :math:`n \, \mathrm{Var}(\bar x) / \sigma^2` with :math:`n = N - \mathrm{lowest} - \mathrm{highest}` the number
        of values left, good to 1e-8 for up to a million values.

    Raises
    ------
    ValueError
        If an argument is not an integer, ``number`` is less than 1, ``lowest`` or ``highest`` less than 0, or no
        value is left.

    Notes
    -----
    By quadrature; the module's docstring has the derivation. The factor is less than 1, because the values that are
    left scatter less than sigma; but :math:`N / n` times it, which compares with the mean of all N, is at least 1.
    That is the median's factor (`median_variance_factor`) if only the middle one or two are left. Unequal
    numbers bias the mean; the variance is that about the biased mean.

    Examples
    --------
    >>> from astro_calib.estimators import trimmed_mean_variance_factor
    >>> round(trimmed_mean_variance_factor(10, 1, 1), 4)
    0.8428

    The median of three, compared with the variance of one value, and with that of the mean of three:

    >>> factor = trimmed_mean_variance_factor(3, 1, 1)
    >>> round(factor, 4), round(3 * factor, 4)
    (0.4487, 1.346)
    """
    number = checked_number(number)
    lowest = checked_number(lowest, "lowest values left out", at_least=0)
    highest = checked_number(highest, "highest values left out", at_least=0)
    if lowest + highest >= number:
        msg = f"of {number} values the {lowest} lowest and {highest} highest are left out; expected one or more left."
        raise ValueError(msg)
    return _variance_factor(number, lowest, highest)


@functools.cache
def _variance_factor(number: int, lowest: int, highest: int) -> float:
    if lowest == highest == 0:
        return 1.0
    n = number - lowest - highest
    a, log_a = _lower_boundaries(number, lowest)
    b, log_b = _upper_boundaries(a, n, highest)
    log_inside, mu, v = _truncated(a[:, None], b)
    log_density = log_a[:, None] + log_b + n * log_inside
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    spread = mu - np.sum(weights * mu)
    return float(np.sum(weights * (v + n * spread**2)))


def _lower_boundaries(number: int, lowest: int) -> tuple[Array, Array]:
    """Nodes of a, and the log of their weight times phi(a) Phi(a)^(l - 1)."""
    from scipy.special import betaincinv, log_ndtr, ndtri

    if lowest == 0:
        return np.array([-END]), np.zeros(1)
    first = ndtri(betaincinv(lowest, number - lowest + 1, TAIL))
    last = -ndtri(betaincinv(number - lowest + 1, lowest, TAIL))
    nodes, weights = gauss_legendre(40)
    a = first + (last - first) / 2 * (nodes + 1)
    return a, np.log(weights) - a**2 / 2 + (lowest - 1) * log_ndtr(a)


def _upper_boundaries(a: Array, n: int, highest: int) -> tuple[Array, Array]:
    """Nodes of b for each a, and the log of their weight times phi(b) Phi(-b)^(u - 1)."""
    from scipy.special import betainccinv, betaincinv, log_ndtr, ndtr, ndtri

    if highest == 0:
        return np.full((len(a), 1), END), np.zeros((len(a), 1))
    first = np.maximum(a, -ndtri(ndtr(-a) * betainccinv(highest, n + 1, TAIL)))[:, None]
    last = -ndtri(ndtr(-a) * betaincinv(highest, n + 1, TAIL))[:, None]
    nodes, weights = gauss_legendre(40)
    b = first + (last - first) / 2 * (nodes + 1)
    return b, np.log((last - first) * weights) - b**2 / 2 + (highest - 1) * log_ndtr(-b)


def _truncated(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Log of the area of a Gaussian between a and b, but for a constant, and its mean and variance there."""
    # The usual differences of Phi and phi lose all digits where a and b are close together.
    center, half = (a + b) / 2, (b - a) / 2
    s, weights = gauss_legendre(48)
    density = weights * np.exp(-((center[..., None] + half[..., None] * s) ** 2) / 2)
    area = density.sum(axis=-1)
    mean = density @ s / area
    variance = np.sum(density * (s - mean[..., None]) ** 2, axis=-1) / area
    return np.log(half * area), center + half * mean, half**2 * variance
