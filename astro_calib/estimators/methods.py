"""How `astro_calib.combine` works with estimators: the mean, the sum, the median, and those that users give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.estimators.estimator import Estimator, simulated_factor
from astro_calib.estimators.median import (
    median_probabilities,
    median_variance,
    median_variance_exact,
    median_variance_factor,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from astro_calib.estimators.rejection import Rejection

    Array = NDArray[Any]

__all__ = ["Mean", "Median", "Method", "Sum", "at_number", "excess_of_unlike"]

#: Simulated values, at most so many pixels of them: the factors are good to about 1%.
DRAWS, PIXELS = 800000, 40000
#: Factors are simulated for this many numbers of values, and interpolated between them.
NODES = 16
#: Beyond this ratio of sigmas the factor for rejection from a mean of like frames is off by more than 1%.
UNLIKE = 1.2
#: Beyond this one the formula for the median of unlike frames is off by more than 3.5%; quadrature then.
UNLIKE_MEDIAN = 1.5
NOT_GIVEN = Estimator()


@dataclass(frozen=True)
class Method:
    """An estimator as the stack needs it; as it stands, one that a user gives."""

    estimator: Estimator = NOT_GIVEN

    #: Whether the result is a weighted mean, and is multiplied by the number of frames.
    linear = summed = False
    #: Whether whole numbers are combined as they are.
    takes_integers = False
    #: Whether `weights_by_pixel` knows more of unlike frames than `weights`.
    weighs_pixels = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self.estimator).__name__

    def value(self, values: Array, used: Array, complete: bool, center: Array | None) -> Array:
        """The result; 0 where no value is used. ``center`` is the median of the used values, if that is known."""
        del center
        if not complete:
            values = np.where(used, values, values.dtype.type(np.nan))
            values[:, ~used.any(axis=0)] = 0
        return self.estimator.value(values)

    def combined(
        self, values: Array, used: Array, complete: bool, weights: Sequence[float], center: Array | None = None
    ) -> tuple[Array, Any, Any]:
        """The result, the sum of the weights of the values in it, 1 where there are none, and their number."""
        from astro_calib.kernels.stack import weighted_sums
        from astro_calib.kernels.usable import counted

        result = self.value(values, used, complete, center)
        if complete or all(weight == weights[0] for weight in weights):
            number = len(values) if complete else counted(used)
            weight = number * weights[0]
        else:
            _, weight, number = weighted_sums(values, used, weights)
        return result, np.where(weight > 0, weight, 1), number

    def weights(self, sigmas: NDArray[np.float64]) -> list[float]:
        """How much of each frame is in the result, for frames of these typical sigmas."""
        return self.estimator.weights(sigmas)

    def weights_by_pixel(self, sigmas: Array, typical: Array, counting: Array, used: Array) -> tuple[Array, Array]:
        """The weights and the variance factor at each pixel, from the sigmas there, where `weighs_pixels`."""
        raise NotImplementedError

    def variance_factor(self, number: int) -> float:
        """Variance of the result in units of sigma^2 / n, without rejection."""
        return self.estimator.variance_factor(number)

    def factor_after(self, rejection: Rejection, number: int) -> float:
        """The same after a rejection, in units of E[sigma^2 / n] with n of the values left."""
        if not rejection.rejects or number == 1:
            return self.variance_factor(number)
        return _simulated(self, rejection, (1.0,) * number, (1.0,) * number)

    def factor_of_sample(self, rejection: Rejection, number: int) -> float:
        """The same in units of E[s^2 / n], with the scatter s of the n values that are left."""
        return _simulated_of_sample(self, rejection, number) if rejection.rejects else self.variance_factor(number)

    def factor(self, rejection: Rejection, values: Any, sigmas: Array, weights: Sequence[float]) -> float | Array:
        """
        By how much the variance of the frames' own noise exceeds that of a mean with these weights, at each pixel.

        ``values`` are what the stack's ``StackedValues`` hold; ``sigmas`` are the typical ones of the frames.
        """
        before, dtype = values.n_before, values.data.dtype
        like = at_number(
            partial(self.factor_after, rejection), before, dtype, simulated=True, interpolate=rejection.rejects
        )
        return like * excess_of_unlike(self, rejection, sigmas, weights)


class Mean(Method):
    """The weighted mean."""

    linear = takes_integers = True
    name = "mean"

    def combined(
        self, values: Array, used: Array, complete: bool, weights: Sequence[float], center: Array | None = None
    ) -> tuple[Array, Any, Any]:
        """All sums in one go."""
        from astro_calib.kernels.stack import weighted_sums

        del center
        total, weight, number = weighted_sums(values, used, weights, complete)
        weight = weight if complete else np.where(weight > 0, weight, 1)
        return np.divide(total, weight, out=total), weight, number

    def variance_factor(self, number: int) -> float:
        """1, whatever the number."""
        del number
        return 1.0

    def factor(self, rejection: Rejection, values: Any, sigmas: Array, weights: Sequence[float]) -> float | Array:
        """From a formula, if there is one."""
        if rejection.rejects and rejection.factor_of_mean is None:
            return super().factor(rejection, values, sigmas, weights)
        like = at_number(rejection.factor_of_mean, values.n_before) if rejection.rejects else 1.0
        return like * excess_of_unlike(self, rejection, sigmas, weights)


class Sum(Mean):
    """The number of frames times the mean of the values used."""

    summed = True
    name = "sum"


class Median(Method):
    """The median."""

    takes_integers = weighs_pixels = True
    name = "median"

    def value(self, values: Array, used: Array, complete: bool, center: Array | None) -> Array:
        """Found already, or found here."""
        from astro_calib.kernels.stack import masked_median

        median = masked_median(values, used, complete) if center is None else center
        return median if complete else np.nan_to_num(median)

    def variance_factor(self, number: int) -> float:
        """By quadrature."""
        return median_variance_factor(number)

    def factor(self, rejection: Rejection, values: Any, sigmas: Array, weights: Sequence[float]) -> float | Array:
        """That of as many values as are left, or of all, if what is left has the median of all."""
        del sigmas, weights
        before, used, factor = values.n_before, values.n_combined, values.variance_factor
        if factor is None and (before is used or not rejection.keeps_median):
            factor = at_number(median_variance_factor, used)
        elif factor is None:
            of_all = at_number(median_variance_factor, before, np.float64)
            factor = (of_all * used / np.maximum(before, 1)).astype(np.float32)
        if rejection.keeps_median:
            return factor
        return factor * at_number(
            partial(_excess_of_median, rejection), before, values.data.dtype, simulated=True, interpolate=True
        )

    def weights(self, sigmas: NDArray[np.float64]) -> list[float]:
        """In proportion to 1 / sigma."""
        return (1 / sigmas / np.sum(1 / sigmas)).tolist()

    def weights_by_pixel(self, sigmas: Array, typical: Array, counting: Array, used: Array) -> tuple[Array, Array]:
        """
        The probability that each frame is the median, and the factor for a mean with these weights.

        Where a sigma is no positive, finite number, the frame's typical one decides how much of the value comes
        through; the value's own term makes the error of the result what it has to be.
        """
        own = typical.reshape(-1, *[1] * (sigmas.ndim - 1)).astype(sigmas.dtype)
        own = np.where((sigmas > 0) & (sigmas < np.inf), sigmas, own)
        probabilities = median_probabilities(own, ~used)
        with np.errstate(invalid="ignore"):
            linear = np.sum(np.where(used, probabilities * own, 0) ** 2, axis=0)
        variance = median_variance(own, ~counting)
        if typical.max() > UNLIKE_MEDIAN * typical.min():
            variance = variance * median_variance_exact(typical)[0] / float(median_variance(typical))
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = variance / linear
        return probabilities, np.where(np.isfinite(factor), factor, 1.0).astype(np.float32)


def at_number(
    factor: Callable[[int], float],
    number: NDArray[np.uint16],
    dtype: Any = np.float32,
    *,
    simulated: bool = False,
    interpolate: bool = False,
) -> float | Array:
    """
    A factor that depends on the number of values, at each pixel; 1 where there is none.

    One that may be ``simulated`` is found for the numbers that occur and no others, as that takes longer than to count.
    """
    least, largest = int(number.min()), int(number.max())
    if least == largest:
        return factor(largest) if largest else 1.0
    nodes = np.arange(max(least, 1), largest + 1)
    if simulated:
        # Only the numbers that occur. Row by row: NumPy counts in 64 bits.
        rows = number.reshape(-1, number.shape[-1])
        counts = np.sum([np.bincount(row, minlength=largest + 1) for row in rows], axis=0)
        nodes = nodes[counts[nodes] > 0]
    if interpolate and len(nodes) > NODES:
        # Only some of them: what is simulated changes slowly.
        nodes = np.unique(np.geomspace(nodes[0], nodes[-1], NODES).round())
    table = np.interp(np.arange(largest + 1), nodes, [factor(int(node)) for node in nodes])
    table[0] = 1.0
    return np.asarray(table.astype(dtype)[number])


def excess_of_unlike(
    method: Method, rejection: Rejection, sigmas: NDArray[np.float64], weights: Sequence[float]
) -> float:
    """By how much the factor for frames of these typical sigmas and weights exceeds that for like ones."""
    relative = sigmas / sigmas.min()
    always = method.linear and not rejection.rejects
    if always or (relative.max() <= UNLIKE and max(weights) <= UNLIKE * min(weights)):
        return 1.0
    like = (1.0,) * len(sigmas)
    unlike = _simulated(method, rejection, tuple(relative.round(2).tolist()), tuple(weights))
    return unlike / _simulated(method, rejection, like, like)


def _gaussian(number: int) -> NDArray[np.float32]:
    """Simulated noise of so many frames, in single precision: most frames' values need those loops anyway."""
    return np.random.default_rng(number).normal(size=(number, min(PIXELS, DRAWS // number))).astype(np.float32)


def _kept(data: Array, rejection: Rejection, variances: Any, usual: float = 0.0) -> Array:
    from astro_calib.kernels.stack import masked_median

    every = np.ones(data.shape, dtype=bool)
    return rejection.keep(data, every, masked_median(data, every), variances, usual)


@lru_cache(4096)
def _simulated(method: Method, rejection: Rejection, sigmas: tuple[float, ...], weights: tuple[float, ...]) -> float:
    """Variance of the result in units of the expectation of that of the weighted mean of the values left."""
    if not rejection.rejects:
        return simulated_factor(method.estimator, sigmas, weights)
    spread = np.array(sigmas, dtype=np.float32)[:, np.newaxis]
    data = spread * _gaussian(len(sigmas))
    used = _kept(data, rejection, np.square(spread))
    result, weight, _ = method.combined(data, used, False, weights)
    squares = sum(np.square(own * sigma) * kept for own, sigma, kept in zip(weights, sigmas, used, strict=True))
    return float(np.var(result) / np.mean(squares / weight**2))


@lru_cache(4096)
def _simulated_of_sample(method: Method, rejection: Rejection, number: int) -> float:
    """In units of E[s^2 / n] of the survivors, which scatter less than all, by how much depends on the rejection."""
    from astro_calib.kernels.stack import sample_variance

    if number == 1:
        return 1.0
    data = _gaussian(number)
    # Where the noise is not known, sigma is not taken as less than the usual scatter, which here is 1.
    used = _kept(data, rejection, None, usual=1.0)
    result, count, _ = method.combined(data, used, False, [1.0] * number)
    about = result.astype(data.dtype)
    of_all = sample_variance(data, used, about, complete=True)
    variance = np.where(count > 1, sample_variance(data, used, about), of_all)
    return float(np.var(result) / np.mean(variance / count))


@lru_cache(4096)
def _excess_of_median(rejection: Rejection, number: int) -> float:
    """By how much it scatters more than that of as many values as are left: what is rejected moves its rank."""
    from astro_calib.kernels.stack import masked_median

    if number == 1:
        return 1.0
    data = _gaussian(number)
    used = _kept(data, rejection, [1.0] * number)
    count = used.sum(axis=0)
    factors = np.array([1.0, *(median_variance_factor(left) for left in range(1, number + 1))])
    return float(np.var(masked_median(data, used)) / np.mean(factors[count] / count))
