"""What `astro_calib.combine` asks of an estimator that a user gives, and what is simulated where it does not say it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Estimator", "simulated_factor"]

#: Simulated values, at most and at least so many pixels of them: the factors are good to 1%.
DRAWS, MOST_PIXELS, LEAST_PIXELS = 200000, 40000, 4000
#: A frame never has less than this part of the largest weight, so that its value alone can be the result.
LEAST_WEIGHT = 1e-6


class Estimator:
    r"""
    What `~astro_calib.combine` makes of the values of all frames at a pixel.

    An estimator of your own extends this class and gives `value`; the rest is simulated if it does not say it.

    Notes
    -----
    The result moves with the values: if all are multiplied by a number, or raised by one, so is the result. It is asked
    for from several threads, with a block of rows at a time. What is simulated is kept for equal estimators: all of a
    class without parameters are equal; with parameters, make it a frozen dataclass.

    With the weights w_i, which add up to 1, noise that frames share gets the coefficient :math:`\sum_i w_i c_i`, and
    the frames' own noise the variance :math:`F \sum_i w_i^2 \sigma_i^2`. For frames of like noise the weights are those
    of the mean, and F is `variance_factor` at each pixel's own number of values.

    Examples
    --------
    The mean of the lowest and the highest value, which scatters more than the mean of all:

    >>> import numpy as np
    >>> from astro_calib.estimators import Estimator
    >>> class Midrange(Estimator):
    ...     def value(self, values):
    ...         return (
    ...             np.nanmin(values, axis=0) + np.nanmax(values, axis=0)
    ...         ) / 2
    >>> round(Midrange().variance_factor(5), 1)
    1.3
    """

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and not vars(self) and not vars(other))

    def __hash__(self) -> int:
        return hash((type(self), id(self) if vars(self) else 0))

    def value(self, values: NDArray[Any]) -> NDArray[Any]:
        """
        The result at each pixel.

        Parameters
        ----------
        values : ndarray of floating-point numbers, shape (n, ...)
            Of all n frames; NaN where a value is left out. One at least is not, at each pixel.

        Returns
        -------
        ndarray, shape (...)
            Finite everywhere.

        Raises
        ------
        NotImplementedError
            If an estimator does not give it.
        """
        raise NotImplementedError(type(self).__name__)

    def variance_factor(self, number: int) -> float:
        """
        By how much the variance of the result exceeds that of the mean, for Gaussian noise of equal sigma.

        Parameters
        ----------
        number : int
            The number of values.

        Returns
        -------
        float
            Simulated from `value`, to 1% or better, where an estimator does not give it.
        """
        return 1.0 if number == 1 else simulated_factor(self, (1.0,) * number, (1.0,) * number)

    def weights(self, sigmas: NDArray[np.float64]) -> list[float]:
        r"""
        How much of each frame's noise is passed on, for frames of unlike noise.

        Parameters
        ----------
        sigmas : ndarray of float64, shape (n,)
            Typical sigmas of the frames.

        Returns
        -------
        list of n floats
            They add up to one. Where an estimator does not give them they are simulated: the mean derivative of the
            result T with respect to a value is :math:`\mathrm{Cov}(T, x_i) / \sigma_i^2` (Stein's lemma).
        """
        return list(_simulated_weights(self, tuple((sigmas / sigmas.min()).round(2).tolist())))


@lru_cache(4096)
def simulated_factor(estimator: Estimator, sigmas: tuple[float, ...], weights: tuple[float, ...]) -> float:
    """Variance of the result for Gaussian noise, in units of that of the weighted mean."""
    difference, _, variance = _simulated(estimator, sigmas)
    linear = np.sum(np.square(np.array(weights) * sigmas)) / np.sum(weights) ** 2
    return float((variance + np.var(difference)) / linear)


@lru_cache(4096)
def _simulated_weights(estimator: Estimator, sigmas: tuple[float, ...]) -> tuple[float, ...]:
    difference, data, variance = _simulated(estimator, sigmas)
    covariance = variance + data @ (difference - difference.mean()) / len(difference)
    found = covariance / np.square(sigmas)
    found = np.maximum(found, LEAST_WEIGHT * found.max())
    return tuple((found / found.sum()).tolist())


def _simulated(estimator: Estimator, sigmas: tuple[float, ...]) -> tuple[NDArray[Any], NDArray[Any], float]:
    """
    Differences of the result from the best mean, the values, and the variance of that mean.

    The best mean is independent of the differences (Basu's theorem): what is known of it need not be simulated.
    """
    number = len(sigmas)
    pixels = max(min(DRAWS // number, MOST_PIXELS), LEAST_PIXELS)
    data = np.array(sigmas)[:, np.newaxis] * np.random.default_rng(number).normal(size=(number, pixels))
    inverse = 1 / np.square(sigmas)
    variance = 1 / float(inverse.sum())
    return estimator.value(data) - variance * (inverse @ data), data, variance
