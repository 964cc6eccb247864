"""The estimators that `astro_calib.combine` knows by name."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.estimators.estimator import Estimator, at_number, gaussian_values
from astro_calib.estimators.median import (
    median_probabilities,
    median_variance,
    median_variance_exact,
    median_variance_factor,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.estimators.rejection import Rejection

    Array = NDArray[Any]

__all__ = ["Mean", "Median", "Sum"]

#: Beyond this ratio of sigmas the formula for the median of unlike frames is off by more than 3.5%; quadrature then.
UNLIKE = 1.5


class Mean(Estimator):
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
        return total / np.where(weight > 0, weight, 1), weight, number

    def variance_factor(self, number: int) -> float:
        """1, whatever the number."""
        del number
        return 1.0

    def factor_after(self, rejection: Rejection, number: int) -> float:
        """From a formula, if there is one for the rejection."""
        formula = rejection.variance_factor_of_mean(number)
        return super().factor_after(rejection, number) if formula is None else formula

    def like_factor(self, rejection: Rejection, before: Array, used: Array, dtype: Any) -> float | Array:
        """1 without rejection."""
        if not rejection.rejects:
            return 1.0
        if rejection.variance_factor_of_mean(1) is None:
            return super().like_factor(rejection, before, used, dtype)
        return at_number(partial(self.factor_after, rejection), before)


class Sum(Mean):
    """The number of frames times the mean of the values used."""

    name = "sum"

    def multiple(self, number: int) -> float:
        """The number of frames."""
        return float(number)


class Median(Estimator):
    """The median; that of unlike frames passes on noise by the sigmas at each pixel."""

    takes_integers = weighs_pixels = True
    name = "median"

    def of_used(self, values: Array, used: Array, complete: bool, center: Array | None) -> Array:
        """The median of the used values."""
        from astro_calib.kernels.stack import masked_median

        median = masked_median(values, used, complete) if center is None else center
        return median if complete else np.nan_to_num(median)

    def variance_factor(self, number: int) -> float:
        """By quadrature."""
        return median_variance_factor(number)

    def like_factor(self, rejection: Rejection, before: Array, used: Array, dtype: Any) -> float | Array:
        """That of as many values as are left, or of all, if the median is still that of all."""
        del dtype
        if not rejection.keeps_median:
            return at_number(median_variance_factor, used)
        if before is used:
            return at_number(median_variance_factor, used)
        factor = at_number(median_variance_factor, before, np.float64)
        return (factor * used / np.maximum(before, 1)).astype(np.float32)

    def excess(
        self, rejection: Rejection, before: Array, sigmas: Array, weights: Sequence[float], dtype: Any
    ) -> float | Array:
        """By what a rejection adds."""
        del sigmas, weights
        if rejection.keeps_median:
            return 1.0
        return at_number(partial(_excess_of_median, rejection), before, dtype, interpolate=True)

    def weights(self, sigmas: NDArray[np.float64]) -> list[float]:
        """In proportion to 1 / sigma."""
        return (1 / sigmas / np.sum(1 / sigmas)).tolist()

    def weights_by_pixel(self, sigmas: Array, typical: Array, counted: Array, used: Array) -> tuple[Array, Array]:
        """
        The weight of each frame at each pixel, and by how much the variance exceeds that of a mean with these weights.

        Parameters
        ----------
        sigmas : ndarray, shape (n, ny, nx)
            Sigma of each frame's own noise. Where it is no positive, finite number, the frame's typical one decides how
            much of the value comes through; the value's own term makes the error of the result what it has to be.
        typical : ndarray, shape (n,)
            Typical sigmas, for what no formula says of each pixel.
        counted, used : ndarray of bool, shape (n, ny, nx)
            The values that the factor counts, and those that can be the median.

        Returns
        -------
        weights : ndarray, shape (n, ny, nx)
            The probability that a frame is the median.
        variance_factor : ndarray of float32, shape (ny, nx)
        """
        own = typical.reshape(-1, *[1] * (sigmas.ndim - 1)).astype(sigmas.dtype)
        own = np.where((sigmas > 0) & (sigmas < np.inf), sigmas, own)
        probabilities = median_probabilities(own, ~used)
        with np.errstate(invalid="ignore"):
            linear = np.sum(np.where(used, probabilities * own, 0) ** 2, axis=0)
        variance = median_variance(own, ~counted)
        if typical.max() > UNLIKE * typical.min():
            variance = variance * median_variance_exact(typical)[0] / float(median_variance(typical))
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = variance / linear
        return probabilities, np.where(np.isfinite(factor), factor, 1.0).astype(np.float32)


@lru_cache(4096)
def _excess_of_median(rejection: Rejection, number: int) -> float:
    """
    By how much a median after rejection scatters more than that of as many values as are left.

    What is rejected on one side moves the rank of the median towards the other.
    """
    from astro_calib.kernels.stack import masked_median

    if number == 1:
        return 1.0
    data = gaussian_values(number)
    before = np.ones(data.shape, dtype=bool)
    used = rejection.keep(data, before, masked_median(data, before), [1.0] * number)
    count = used.sum(axis=0)
    factors = np.array([1.0, *(median_variance_factor(left) for left in range(1, number + 1))])
    return float(np.var(masked_median(data, used)) / np.mean(factors[count] / count))
