"""The base of estimators, and what is simulated for those that give no formula."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.estimators.rejection import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Estimator", "at_number", "excess_of_unlike", "gaussian_values"]

#: Simulated values; at most so many pixels: the factors are good to about 1%.
DRAWS = 800000
PIXELS = 40000
#: Where only the difference from the best mean is simulated fewer are enough: so many values, but not fewer pixels.
DRAWS_OF_DIFFERENCE, LEAST_PIXELS = 200000, 4000
#: Factors are simulated for this many numbers of values, and interpolated between them.
NODES = 16
#: Beyond this ratio of sigmas the factor for rejection from a mean of like frames is off by more than 1%.
UNLIKE = 1.2
#: A frame never has less than this part of the largest weight, so that its value alone can be the result.
LEAST_WEIGHT = 1e-6


class Estimator:
    r"""
    What `~astro_calib.combine` makes of the values of all frames at a pixel.

    An estimator of your own extends this class and gives `value`; nothing else is needed. It adds a constant to the
    result if one is added to all values, and a factor if they are multiplied by one.

    Notes
    -----
    The stack has the variance :math:`F \sum_i w_i^2 \sigma_i^2` from noise of the frames' own, and passes on what they
    share with :math:`\sum_i w_i c_i`. For frames of like noise the weights are those of the mean and F is
    `variance_factor`; for others `weights` gives the weights, and F is found by simulating their typical sigmas. Where
    values are left out the weights of the others are made to add up to one.

    `combine` calls `value` from several threads, each with a block of rows. What is simulated is kept for as long as
    estimators are equal: one that has parameters is best a frozen dataclass.

    Examples
    --------
    The mean of the lowest and the highest value; of three values it scatters a little more than their mean:

    >>> import numpy as np
    >>> from astro_calib.estimators import Estimator
    >>> class Midrange(Estimator):
    ...     def value(self, values):
    ...         return (np.nanmin(values, axis=0) + np.nanmax(values, axis=0)) / 2
    >>> round(Midrange().variance_factor(3), 2)
    1.09
    """

    #: Whether it is a weighted mean, which needs no weights but those given.
    linear = False
    #: Whether whole numbers are combined as they are.
    takes_integers = False
    #: Whether `weights_by_pixel` knows more than `weights`.
    weighs_pixels = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self).__name__

    def value(self, values: NDArray[Any]) -> NDArray[Any]:
        """
        The result at each pixel.

        Parameters
        ----------
        values : ndarray of floating-point numbers, shape (n, ...)
            Of all n frames, NaN where a value is left out, but never all at a pixel.

        Returns
        -------
        ndarray, shape (...)
            Finite everywhere.

        Raises
        ------
        NotImplementedError
            If an estimator does not say what it is.
        """
        raise NotImplementedError(self.name)

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
            Simulated from `value` to 1% or better, if the estimator has no formula of its own.
        """
        return 1.0 if number == 1 else _factor(self, Rejection(), (1.0,) * number, (1.0,) * number)

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
            They add up to one. Simulated from `value`, if the estimator does not say it: the mean derivative of the
            result T with respect to a value is :math:`\mathrm{Cov}(T, x_i) / \sigma_i^2` (Stein's lemma).
        """
        return list(_weights(self, tuple((sigmas / sigmas.min()).round(2).tolist())))

    def weights_by_pixel(self, sigmas: Array, typical: Array, counted: Array, used: Array) -> tuple[Array, Array]:
        """The weights and the factor for each pixel's own sigmas, if `weighs_pixels`."""
        raise NotImplementedError

    def multiple(self, number: int) -> float:
        """The result in units of `value`."""
        del number
        return 1.0

    def of_used(self, values: Array, used: Array, complete: bool, center: Array | None) -> Array:
        """`value` of the used values, 0 where there are none; ``center`` is their median, if that is known."""
        del center
        if complete:
            return self.value(values)
        marked = np.where(used, values, values.dtype.type(np.nan))
        marked[:, ~used.any(axis=0)] = 0
        return self.value(marked)

    def combined(
        self, values: Array, used: Array, complete: bool, weights: Sequence[float], center: Array | None = None
    ) -> tuple[Array, Any, Any]:
        """The result, the sum of the weights of the values in it, and their number; ``complete``: all are used."""
        from astro_calib.kernels.stack import weighted_sums
        from astro_calib.kernels.usable import counted

        result = self.of_used(values, used, complete, center)
        if complete or all(weight == weights[0] for weight in weights):
            number = len(values) if complete else counted(used)
            return result, number * weights[0], number
        _, weight, number = weighted_sums(values, used, weights)
        return result, weight, number

    def factor_after(self, rejection: Rejection, number: int) -> float:
        """Variance of the result for frames of like noise, in units of E[sigma^2 / n] with n of the values left."""
        if not rejection.rejects or number == 1:
            return self.variance_factor(number)
        return _factor(self, rejection, (1.0,) * number, (1.0,) * number)

    def factor_of_sample(self, rejection: Rejection, number: int) -> float:
        """The same in units of E[s^2 / n], with the scatter s of the n values that are left."""
        return _factor_of_sample(self, rejection, number) if rejection.rejects else self.variance_factor(number)

    def like_factor(self, rejection: Rejection, before: Array, used: Array, dtype: Any) -> float | Array:
        """The factor at each pixel for frames of like noise, by the numbers of values before rejection and after it."""
        del used
        simulated = rejection.rejects
        return at_number(partial(self.factor_after, rejection), before, dtype, interpolate=simulated)

    def excess(
        self, rejection: Rejection, before: Array, sigmas: Array, weights: Sequence[float], dtype: Any
    ) -> float | Array:
        """By how much the variance exceeds that which the factor for like frames gives."""
        del before, dtype
        return excess_of_unlike(self, rejection, sigmas, weights)


def at_number(
    factor: Callable[[int], float], number: NDArray[np.uint16], dtype: Any = np.float32, *, interpolate: bool = False
) -> float | Array:
    """A factor that depends on the number of values, at each pixel; 1 where there is none."""
    largest = int(number.max())
    # Row by row: NumPy counts in 64 bits.
    counts = sum(np.bincount(row, minlength=largest + 1) for row in number.reshape(-1, number.shape[-1]))
    present = np.flatnonzero(counts)
    if len(present) == 1 and present[0] > 0:
        return factor(int(present[0]))
    present = present[present > 0]
    if not present.size:
        return 1.0
    nodes = present
    if interpolate and len(present) > NODES:
        # What is simulated changes slowly for large numbers.
        nodes = np.unique(np.geomspace(present[0], present[-1], NODES).round())
    table = np.interp(np.arange(largest + 1), nodes, [factor(int(node)) for node in nodes])
    table[0] = 1.0
    return np.asarray(table.astype(dtype)[number])


def gaussian_values(number: int) -> NDArray[np.float32]:
    """Simulated noise of so many frames, in single precision: most frames' values need those loops anyway."""
    return np.random.default_rng(number).normal(size=(number, min(PIXELS, DRAWS // number))).astype(np.float32)


def excess_of_unlike(
    estimator: Estimator, rejection: Rejection, sigmas: NDArray[np.float64], weights: Sequence[float]
) -> float:
    """
    By how much the factor differs from that for frames of like noise and weight.

    Parameters
    ----------
    estimator, rejection
    sigmas : ndarray, shape (n,)
        Typical sigmas of the frames.
    weights : sequence of float
        Their weights in the mean.
    """
    relative = sigmas / sigmas.min()
    always = estimator.linear and not rejection.rejects
    if always or (relative.max() <= UNLIKE and max(weights) <= UNLIKE * min(weights)):
        return 1.0
    like = (1.0,) * len(sigmas)
    unlike = _factor(estimator, rejection, tuple(relative.round(2).tolist()), tuple(weights))
    return unlike / _factor(estimator, rejection, like, like)


@lru_cache(4096)
def _factor(estimator: Estimator, rejection: Rejection, sigmas: tuple[float, ...], weights: tuple[float, ...]) -> float:
    """Variance of the result in units of the expectation of that of the weighted mean of the values left."""
    from astro_calib.kernels.stack import masked_median

    if not rejection.rejects:
        difference, _, variance = _difference(estimator, sigmas)
        shares = np.square(np.array(weights) * sigmas)
        return float((variance + np.var(difference)) / (shares.sum() / np.sum(weights) ** 2))
    spread = np.array(sigmas, dtype=np.float32)[:, np.newaxis]
    data = spread * gaussian_values(len(sigmas))
    before = np.ones(data.shape, dtype=bool)
    center = masked_median(data, before) if rejection.needs_center else None
    used = rejection.keep(data, before, center, np.square(spread))
    result, weight, _ = estimator.combined(data, used, False, weights)
    squares = sum(np.square(own * sigma) * kept for own, sigma, kept in zip(weights, sigmas, used, strict=True))
    return float(np.var(result) / np.mean(squares / weight**2))


@lru_cache(4096)
def _factor_of_sample(estimator: Estimator, rejection: Rejection, number: int) -> float:
    """
    Variance of the result of a rejection by scatter in units of E[s^2 / n] of the n survivors.

    The survivors scatter less than all, and by how much depends on the rejection.
    """
    from astro_calib.kernels.stack import masked_median, sample_variance

    if number == 1:
        return 1.0
    data = gaussian_values(number)
    before = np.ones(data.shape, dtype=bool)
    center = masked_median(data, before) if rejection.needs_center else None
    # Where the noise is not known, sigma is not taken as less than the usual scatter, which here is 1.
    used = rejection.keep(data, before, center, None, usual=1.0)
    result, count, _ = estimator.combined(data, used, False, [1.0] * number)
    about = result.astype(data.dtype)
    variance = np.where(count > 1, sample_variance(data, used, about), sample_variance(data, before, about))
    return float(np.var(result) / np.mean(variance / count))


@lru_cache(4096)
def _weights(estimator: Estimator, sigmas: tuple[float, ...]) -> tuple[float, ...]:
    difference, data, variance = _difference(estimator, sigmas)
    found = (variance + (data - data.mean(axis=1, keepdims=True)) @ difference / len(difference)) / np.square(sigmas)
    found = np.maximum(found, LEAST_WEIGHT * found.max())
    return tuple((found / found.sum()).tolist())


def _difference(estimator: Estimator, sigmas: tuple[float, ...]) -> tuple[Array, Array, float]:
    """
    Simulated differences of the result from the best mean, the values, and the variance of that mean.

    The best mean is independent of the differences (Basu's theorem): what is known exactly need not be simulated.
    """
    number = len(sigmas)
    pixels = max(min(DRAWS_OF_DIFFERENCE // number, PIXELS), LEAST_PIXELS)
    data = np.array(sigmas)[:, np.newaxis] * np.random.default_rng(number).normal(size=(number, pixels))
    inverse = 1 / np.square(sigmas)
    variance = 1 / float(inverse.sum())
    return estimator.value(data) - variance * (inverse @ data), data, variance
