"""
The covariance of an image with itself at small distances, and how well that is known.

A lag is a distance (dx, dy) in pixels. Fourier transforms give all lags up to `REACH` at once, from the good pixels.
Noise that is almost constant over the image (light that changed between two flats, a fit that took some of it off)
adds the same to every lag: the mean over the outer ones, the ring, is subtracted from those inside of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = [
    "INNER",
    "REACH",
    "Lags",
    "at_lags",
    "autocovariance",
    "covariance_of_lags",
    "folded",
    "inner_lags",
    "less_ring",
    "power_of",
]

#: The largest distance in either direction, pixels.
REACH = 8
#: Lags up to this distance are kept; those beyond it are the ring.
INNER = 4


class Lags(NamedTuple):
    """
    Covariances of a pixel with those to its right and above it.

    Attributes
    ----------
    values : ndarray, shape (reach + 1, 2 reach + 1)
        At dy from 0 to reach and dx from -reach to reach, so that ``values[0, reach]`` is the variance.
    pairs : ndarray of the same shape
        How many pairs of good pixels each comes from.
    """

    values: NDArray[np.float64]
    pairs: NDArray[np.float64]


def autocovariance(images: Iterable[NDArray[np.float64]], good: NDArray[np.bool_], reach: int = REACH) -> Lags:
    """
    Mean products of the pixels of images that are zero on average, at all lags up to ``reach``.

    Parameters
    ----------
    images : iterable of ndarray, shape (ny, nx)
        One image or more, of which no mean is subtracted; the result is the mean over them.
    good : ndarray of bool, shape (ny, nx)
        The pixels that count.
    reach : int
        The largest distance in either direction.

    Returns
    -------
    Lags
        The covariances, and from how many pairs of pixels of each image.
    """
    from scipy.fft import next_fast_len

    shape = tuple(next_fast_len(length + reach, real=True) for length in good.shape)
    rows, columns = np.arange(reach + 1), np.arange(-reach, reach + 1)
    power, number = np.zeros((shape[0], shape[1] // 2 + 1)), 0
    for image in images:
        power += power_of(np.where(good, image, 0.0), shape)
        number += 1
    sums = at_lags(power / number, shape, rows, columns)
    pairs = np.rint(at_lags(power_of(good.astype(float), shape), shape, rows, columns))
    return Lags(sums / np.maximum(pairs, 1), pairs)


def power_of(image: NDArray[np.float64], shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """The squares of the Fourier transform of an image, without those that come twice; ``shape`` with zeros around."""
    from scipy.fft import rfft2

    found = rfft2(image, shape)
    return np.asarray(np.square(found.real) + np.square(found.imag))


def at_lags(
    power: NDArray[np.float64], shape: tuple[int, ...], dy: NDArray[np.intp], dx: NDArray[np.intp]
) -> NDArray[np.float64]:
    """
    Transform back what `power_of` gives, at some lags only, in a tenth of the time that all of them take.

    ``shape`` is that of the image with the zeros around it.
    """
    down, along = (2 * np.pi / length * np.arange(number) for length, number in zip(shape, power.shape, strict=True))
    # Those between the first and the middle one of a row come twice.
    times = np.where((np.arange(power.shape[1]) % (shape[1] / 2)) == 0, 1.0, 2.0) / np.prod(shape)
    sums = np.zeros((len(dy), len(dx)))
    for wave, sign in ((np.cos, 1), (np.sin, -1)):
        # NumPy's own loops: the threads of a library of matrices wait for each other longer than this takes.
        rows = np.einsum("ij,jk->ik", wave(np.outer(dy, down)), power)
        sums += sign * np.einsum("ij,jk->ik", rows, wave(np.outer(along, dx)) * times[:, None])
    return sums


def folded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the covariances at dx and -dx: shape (reach + 1, reach + 1), dy first."""
    reach = values.shape[0] - 1
    return (values[:, reach:] + values[:, reach::-1]) / 2


def inner_lags() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The (dy, dx) of the folded lags that are kept, (0, 0) first."""
    dy, dx = np.divmod(np.arange((INNER + 1) ** 2), INNER + 1)
    return dy, dx


def less_ring(reach: int = REACH) -> NDArray[np.float64]:
    """The matrix that makes inner lags, less the mean over the ring, of all folded lags (flattened)."""
    dy, dx = np.divmod(np.arange((reach + 1) ** 2), reach + 1)
    # Folded lags stand for one, two or four of the plane's.
    number = np.where(dx > 0, 2.0, 1.0) * np.where(dy > 0, 2.0, 1.0)
    ring = np.where(np.maximum(dx, dy) > INNER, number, 0.0)
    inner = np.ravel_multi_index(inner_lags(), (reach + 1, reach + 1))
    return np.eye((reach + 1) ** 2)[inner] - ring / ring.sum()


def covariance_of_lags(power: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""
    Covariance of all folded lags, times the number of pixels, for Gaussian noise.

    Parameters
    ----------
    power : ndarray, shape (2 reach + 1, 2 reach + 1)
        The autocovariance convolved with itself, :math:`\sum_u C(u) C(u + h)`, folded, at dy and dx from 0.

    Returns
    -------
    ndarray, shape ((reach + 1)^2, (reach + 1)^2)
        Of the flattened folded lags.

    Notes
    -----
    Bartlett's formula for the estimated covariance at two lags :math:`h` and :math:`k` of :math:`N` pixels is

    .. math::

        N \mathrm{Cov}[\hat C(h), \hat C(k)] = \sum_u C(u) C(u + h - k) + C(u) C(u + h + k)
    """
    reach = power.shape[0] // 2
    dy, dx = np.divmod(np.arange((reach + 1) ** 2), reach + 1)
    less_x, more_x = np.abs(dx[:, None] - dx), dx[:, None] + dx
    less_y, more_y = np.abs(dy[:, None] - dy), dy[:, None] + dy
    return (power[less_y, less_x] + power[less_y, more_x] + power[more_y, more_x] + power[more_y, less_x]) / 2
