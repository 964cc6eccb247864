r"""
How far the mean of Gaussian values scatters after rejection about their median.

With the notation of `astro_calib.estimators.quadrature`: *given* the middle values a and b, the r values below are
independent draws from a Gaussian cut off above a, the r values above from one cut off below b. Each survives with a
probability p- (p+), and those that do have the mean mu- (mu+) and the variance v- (v+) of a Gaussian truncated to
[m - k-, a] ([b, m + k+]); a and b survive if t <= k- and t <= k+. The middle value of an odd N is counted with the
lower ones. So the numbers i, j that survive below and above m are binomial, with sums of mean S_i, T_j, such as
S_i = a + (i - 1) mu-, and of variance V_i, W_j, such as V_i = (i - 1) v-. Then, with n = i + j,

.. math:: E[\bar x^2 | a, b, i, j] = [(S_i + T_j)^2 + V_i + W_j] / n^2,

summed over i and j and integrated over a and b; the mean of the mean and E[1 / n] are found in the same way.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.estimators.quadrature import checked_number, gaussian, middle_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["clipped_mean_variance_factor"]

LARGEST_SUMMED = 100  # With more values, the factor is carried to its limit in 1 / N.
NEVER_REJECTED = (
    10.0  # No Gaussian value is farther than this from the median (probability 2e-16 for N = 3, less else).
)


def clipped_mean_variance_factor(number: int, k: float, k_upper: float | None = None) -> float:
    r"""
    Variance of the mean after rejection about the median, in units of the expectation of sigma^2 / n.

    Parameters
    ----------
    number : int
        The number N of values before the rejection.
    k : float
        Threshold in units of sigma, which is known, and the same for all values. Infinity rejects nothing.
    k_upper : float, optional
        Threshold above the median, if it is another one; ``k`` is then that below.

    Returns
    -------
    float
        :math:`\mathrm{Var}(\bar x) / E[\sigma^2 / n]` with n the number of survivors; to 3e-5 if both
        thresholds are at least 1.

    Raises
    ------
    ValueError
        If ``number`` is not an integer of at least 1, or a threshold is not a positive number.

    Notes
    -----
    By quadrature; the module's docstring has the derivation. Values farther from the median of all than the
    threshold on their side are left out, in a single pass. Never all: where none would be left, because even the
    middle two of an even number are too far from their mean, the lower half stays, whatever its distance. Of two
    values only the higher may go. The factor holds on average over pixels, not for those with a given n. It is 1
    for N = 1 and for large thresholds.

    Unequal thresholds bias the mean, for large N by :math:`\mu = \sigma [\phi(k_-) - \phi(k_+)] / P`, with
    :math:`P = \Phi(k_+) - \Phi(-k_-)`. The variance is that about the biased mean; the bias is no part of it.

    With :math:`\mu` and :math:`v` the mean and variance of a Gaussian truncated to :math:`[-k_-, k_+]`, in units of
    sigma, and :math:`h = (k_+ - \mu) \phi(k_+) + (k_- + \mu) \phi(k_-)`, the factor for large N is

    .. math:: v + \frac{h}{P} \Big[\frac{\pi h}{2} + 2 - \sqrt{2 \pi} \, \big(\phi(k_-) + \phi(k_+)
        + \mu \, [\Phi(k_+) - \Phi(k_-)]\big)\Big],

    because the mean of the survivors moves by h / P times the median.

    Examples
    --------
    >>> from astro_calib.estimators import clipped_mean_variance_factor
    >>> [round(clipped_mean_variance_factor(10, k), 3) for k in (2, 3, 4)]
    [1.249, 1.036, 1.002]
    >>> round(clipped_mean_variance_factor(10, 4, 2), 3)
    1.125
    """
    lower = float(k)
    upper = lower if k_upper is None else float(k_upper)
    for name, threshold in (("k", lower), ("k_upper", upper)):
        if not threshold > 0:
            msg = f"the threshold {name} is {threshold}; expected a positive number, in units of sigma."
            raise ValueError(msg)
    return _variance_factor(checked_number(number), min(lower, NEVER_REJECTED), min(upper, NEVER_REJECTED))


@functools.cache
def _variance_factor(number: int, lower: float, upper: float) -> float:
    if number == 1 or min(lower, upper) == NEVER_REJECTED:
        return 1.0
    if number > LARGEST_SUMMED:
        limit = _limit(lower, upper)
        summed = LARGEST_SUMMED - number % 2
        return limit + (_variance_factor(summed, lower, upper) - limit) * summed / number
    m, t, weights = middle_values(number, jumps=(lower, upper))
    # The lower of two values stays, and so does the lower half where none would be left.
    spared = (t > max(lower, upper)) | (number == 2)
    others = (number - 1) // 2
    below = _side(m - t, m - np.where(spared, NEVER_REJECTED, lower), others, middle=True)
    above = _side(-m - t, -m - upper, others, middle=number % 2 == 0)
    means, squares, inverses = _mean_of_sides(below, above)
    mean = weights @ means
    return float((weights @ squares - mean**2) / (weights @ inverses))


def _limit(lower: float, upper: float) -> float:
    """The factor for an infinite number of values."""
    below, above = math.erf(lower / math.sqrt(2)) / 2, math.erf(upper / math.sqrt(2)) / 2
    phi_lower, phi_upper = gaussian(np.array([lower, upper])).tolist()
    inside = below + above
    mu = (phi_lower - phi_upper) / inside
    v = 1 - (lower * phi_lower + upper * phi_upper) / inside - mu**2
    h = (upper - mu) * phi_upper + (lower + mu) * phi_lower
    pull = 2 - math.sqrt(2 * math.pi) * (phi_lower + phi_upper + mu * (above - below))
    return float(v + h * (math.pi * h / 2 + pull) / inside)


def _truncated(edge: Array, cut: Array) -> tuple[Array, Array, Array]:
    """Of a Gaussian cut off above `edge`: the probability to be above `cut`, and the mean and variance of what is."""
    from scipy.special import ndtr

    cut = np.minimum(cut, edge)
    part = ndtr(edge) - ndtr(cut)
    divisor = np.where(part > 0, part, 1)  # Where nothing is above, the mean and variance have no weight.
    mu = (gaussian(cut) - gaussian(edge)) / divisor
    v = 1 + (cut * gaussian(cut) - edge * gaussian(edge)) / divisor - mu**2
    return part / ndtr(edge), mu, v


def _side(edge: Array, cut: Array, others: int, *, middle: bool) -> tuple[Array, Array, Array]:
    """
    What survives of the middle value at `edge`, if it counts here, and the `others` below it, if above `cut`.

    For i = 0, 1, ... survivors along the first axis: their probability, and the mean and variance of their sum. For
    the values above the median, the axis is reversed.
    """
    from scipy.special import gammaln, xlog1py, xlogy

    p, mu, v = _truncated(edge, cut)
    i = np.arange(others + 1)[:, None]
    choices = gammaln(others + 1) - gammaln(i + 1) - gammaln(others - i + 1)
    probability = np.exp(choices + xlogy(i, p) + xlog1py(others - i, -p))
    total, variance = i * mu, i * v
    if middle:
        # Where it is beyond the cut, so are all others.
        survives = edge >= cut
        none = np.zeros(edge.shape)
        probability = np.vstack([~survives, survives * probability])
        total = np.vstack([none, edge + total])
        variance = np.vstack([none, variance])
    return probability, total, variance


def _mean_of_sides(below: tuple[Array, Array, Array], above: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Expectations of the mean of the n survivors of both sides, of its square, and of 1 / n, at each node."""
    low, low_total, low_variance = below
    high, high_total, high_variance = above
    high_total = -high_total
    n = np.add.outer(np.arange(len(low)), np.arange(len(high))).astype(np.float64)
    n[0, 0] = 1  # That none survives has no probability.
    inverses = n**-1 @ high
    means = low_total * inverses + n**-1 @ (high * high_total)
    squares = (low_total**2 + low_variance) * (n**-2 @ high) + 2 * low_total * (n**-2 @ (high * high_total))
    squares += n**-2 @ (high * (high_total**2 + high_variance))
    return np.sum(low * means, axis=0), np.sum(low * squares, axis=0), np.sum(low * inverses, axis=0)
