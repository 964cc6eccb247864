"""
Charge that repels charge: it moves variance of flats into the covariance of neighbours.

To first order the covariance of two pixels of a flat is a_ij mu^2, and a_00 is minus the sum of all others, because no
charge is lost. The a_ij are fitted with a shape, from which each may differ: one level alone cannot tell the deficit of
the variance from a larger gain, and the lags say little about it where the image is small or faint.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.characterize.lags import REACH, inner_lags

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HIGHER", "PRIOR", "classes", "orders", "template", "with_corrections"]

#: Size of the deficit that CCDs have, and its spread over cameras, for each electron: from next to nothing (thin
#: chips, large pixels) to 3e-6 (thick chips of 10 micron pixels).
PRIOR = (1.0e-6, 1.0e-6)
#: The covariances fall with this power of the distance; in some chips next to nothing reaches beyond the neighbours.
DECAY, STEEP = 3.4, 5.0
#: How much of an ordinary deficit may be of the steep shape instead (standard deviation).
STEEP_WIDTH = 0.45
#: Each covariance may differ from the shape by this part (standard deviation) of what an ordinary deficit gives.
SHAPE_WIDTH = 0.5
#: How much of the higher orders there is, and its spread: they are known for charge that moves borders of pixels as if
#: these moved no field, and how far the field changes with them differs from chip to chip.
HIGHER = (0.7, 0.3)


def template(decay: float = DECAY) -> NDArray[np.float64]:
    """The shape of the covariances, which sum to 1 without the middle; -1 in the middle; shape (2 REACH + 1,) * 2."""
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    distance = np.hypot(x, y)
    distance[REACH, REACH] = np.inf
    shape = distance**-decay
    shape /= shape.sum()
    shape[REACH, REACH] = -1
    return np.asarray(shape)


@cache
def classes() -> list[tuple[NDArray[np.float64], float]]:
    """
    Ways in which the covariances may differ from the shape: maps that sum to zero, and how large they may be.

    The first makes them fall more steeply. Then there is one for each inner lag, whose four (or two) signs go together.
    """
    shape = template()
    ordinary = np.hypot(*PRIOR)
    found = [(template(STEEP) - shape, float(STEEP_WIDTH * ordinary))]
    for dy, dx in zip(*inner_lags(), strict=True):
        if dy == dx == 0:
            continue
        one = np.zeros_like(shape)
        one[np.ix_([REACH - dy, REACH + dy], [REACH - dx, REACH + dx])] = 1
        width = SHAPE_WIDTH * ordinary * shape[REACH + dy, REACH + dx]
        one[REACH, REACH] = -one.sum()
        found.append((one, float(width)))
    return found


def orders(a: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""
    The covariances of a flat by their orders in its level, at the inner lags and the ring (folded).

    Parameters
    ----------
    a : ndarray, shape (2 REACH + 1, 2 REACH + 1)
        The coefficients, 1 / electron.

    Returns
    -------
    ndarray, shape (3, REACH + 1, REACH + 1)
        What belongs to the second, third and fourth power of the level in electrons; rows first.

    Notes
    -----
    The series of Astier et al. 2019 (A&A 629, A36, eq. 20), without what the effect changes with its level:

    .. math::

        C = \mu [\delta + a \mu + \tfrac{2}{3} a \otimes a \mu^2 + \tfrac{1}{3} a \otimes a \otimes a \mu^3]
    """
    twice = _convolved(a, a)
    return np.stack([a, 2 / 3 * twice, 1 / 3 * _convolved(twice, a)])[:, REACH:, REACH:]


def _convolved(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle of a convolution; scipy.signal takes longer to load than to measure a detector."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    shape = [next_fast_len(2 * length - 1, real=True) for length in one.shape]
    whole = irfft2(rfft2(one, shape) * rfft2(other, shape), shape)
    return np.asarray(whole[tuple(slice(length // 2, length // 2 + length) for length in one.shape)])


def with_corrections(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The coefficients that belong to a deficit (first) and the deviations of the inner lags from its shape."""
    a = values[0] * template()
    for value, (one, _) in zip(values[1:], classes(), strict=True):
        a += value * one
    return a
