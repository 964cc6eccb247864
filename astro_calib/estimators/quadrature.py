r"""
Quadrature over the middle of N Gaussian values, which the factors of the median and the clipped mean share.

In units of sigma, let a <= b be the middle values of an even number N, m = (a + b) / 2 the median,
t = (b - a) / 2, c = 2 the number of middle values, r = (N - c) / 2 that of the values on either side; for odd N,
a = b = m, t = 0 and c = 1. By the joint density of order statistics (David & Nagaraja 2003, Order Statistics,
3rd ed., section 2.2), and because phi(m - t) phi(m + t) is proportional to exp(-m^2 - t^2),

.. math:: p(m, t) \propto e^{-c m^2 / 2 - t^2} \, [\Phi(m - t) \, \Phi(-m - t)]^r, \quad t \ge 0.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LOWEST_EXPONENT = 36.0  # Densities are cut off at exp(-36) of their maximum.


def checked_number(number: Any, what: str = "values", at_least: int = 1) -> int:
    """The number of `what`, or a ValueError that names it."""
    if not isinstance(number, int | np.integer) or number < at_least:
        msg = f"the number of {what} is {number!r}; expected an integer of at least {at_least}."
        raise ValueError(msg)
    return int(number)


def gaussian(x: Array) -> Array:
    """The standard normal density."""
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


gauss_legendre = functools.cache(np.polynomial.legendre.leggauss)


def panels(edges: list[float], number: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights, `number` in each panel between `edges`."""
    nodes, weights = gauss_legendre(number)
    starts, halves = np.array(edges[:-1])[:, None], np.diff(edges)[:, None] / 2
    return (starts + halves * (nodes + 1)).ravel(), (halves * weights).ravel()


def middle_values(number: int, jumps: Iterable[float] = ()) -> tuple[Array, Array, Array]:
    """Flat nodes m, t over the middle values and weights that sum to 1; integrands may jump at t in `jumps`."""
    from scipy.special import log_ndtr

    middle = 2 - number % 2
    outer = (number - middle) // 2
    # Phi(m) Phi(-m) falls off at least as exp(-m^2 / 2), and Phi(-t)^2 as exp(-1.6 t).
    furthest = math.sqrt(2 * LOWEST_EXPONENT / (middle + outer))
    medians, median_weights = panels([-furthest, furthest], 40)
    gaps, gap_weights = np.zeros(1), np.ones(1)
    if middle == 2:
        widest = math.hypot(0.8 * outer, math.sqrt(LOWEST_EXPONENT)) - 0.8 * outer
        gaps, gap_weights = panels([0.0, *sorted({jump for jump in jumps if jump < widest}), widest], 24)
    m, t = (axis.ravel() for axis in np.meshgrid(medians, gaps, indexing="ij"))
    density = -middle / 2 * m**2 - t**2 + outer * (log_ndtr(m - t) + log_ndtr(-m - t))
    weights = np.outer(median_weights, gap_weights).ravel() * np.exp(density - density.max())
    return m, t, weights / weights.sum()
