"""What a rejection does to the variance of a stack where no formula says it: found by simulating it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.estimators import (
    clipped_mean_variance_factor,
    median_variance_factors,
    trimmed_mean_variance_factor,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.stack.values import StackedValues

from functools import cache
from typing import TYPE_CHECKING

from astro_calib.estimators import median_variance_factor
from astro_calib.stack.values import rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from astro_calib.stack.request import CombineOptions

__all__ = [
    "excess_of_median",
    "excess_of_unlike",
    "factor_of_sample",
    "factor_of_survivors",
    "of_number",
    "variance_factor_of_mean",
    "variance_factor_of_median",
]

#: Simulated values; at most so many pixels: the factors are good to about 1%.
DRAWS = 800000
PIXELS = 40000
#: Factors are simulated for this many numbers of values, and interpolated between them.
NODES = 16
#: Beyond this ratio of sigmas the factor for rejection from a mean of like frames is off by more than 1%.
UNLIKE = 1.2


def of_number(factor: Callable[[int], float], number: NDArray[np.uint16], dtype: Any) -> float | NDArray[Any]:
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
    # The factor changes slowly for large numbers: some are enough.
    nodes = np.unique(np.geomspace(present[0], present[-1], NODES).round()) if len(present) > NODES else present
    values = [factor(int(node)) for node in nodes]
    every = np.arange(int(present[-1]) + 1)
    table = np.interp(every, nodes, values)
    table[0] = 1.0
    return np.asarray(table.astype(dtype)[number])


def factor_of_sample(number: int, options: CombineOptions) -> float:
    """Variance of the result in units of s^2 / n, with the scatter s of the n values that a rejection leaves."""
    if options.clip is not None:
        return _simulated(number, options)[1]
    return median_variance_factor(number) if options.method == "median" else 1.0


def factor_of_survivors(number: int, options: CombineOptions) -> float:
    """Variance of the result of a rejection by scatter in units of E[sigma^2 / n], with n values left."""
    return _simulated(number, options)[0]


@cache
def _simulated(number: int, options: CombineOptions) -> tuple[float, float]:
    """
    Variance of the result of a rejection by scatter, in units of E[sigma^2 / n] and of E[s^2 / n] of the n survivors.

    The survivors scatter less than all, and by how much depends on the rejection.
    """
    from astro_calib.kernels.stack import masked_median, sample_variance, weighted_sums

    if number == 1:
        return 1.0, 1.0
    data = _gaussian(number)
    before = np.ones(data.shape, dtype=bool)
    # Where the noise is not known, sigma is not taken as less than the usual scatter, which here is 1.
    used = rejected(data, before, masked_median(data, before), None, options, usual=1.0)
    total, count, _ = weighted_sums(data, used, [1.0] * number)
    result = masked_median(data, used) if options.method == "median" else total / count
    about = result.astype(data.dtype)
    variance = np.where(count > 1, sample_variance(data, used, about), sample_variance(data, before, about))
    return float(np.var(result) / np.mean(1 / count)), float(np.var(result) / np.mean(variance / count))


@cache
def excess_of_median(number: int, options: CombineOptions) -> float:
    """
    By how much a median after rejection scatters more than that of as many values as are left.

    What is rejected on one side moves the rank of the median towards the other. The rejection of extremes leaves the
    median as it is.
    """
    if options.clip not in ("sigma", "scatter") or number == 1:
        return 1.0
    from astro_calib.kernels.stack import masked_median

    data = _gaussian(number)
    before = np.ones(data.shape, dtype=bool)
    used = rejected(data, before, masked_median(data, before), [1.0] * number, options)
    count = used.sum(axis=0)
    factors = np.array([1.0, *(median_variance_factor(left) for left in range(1, number + 1))])
    return float(np.var(masked_median(data, used)) / np.mean(factors[count] / count))


def _gaussian(number: int) -> NDArray[np.float32]:
    """Simulated noise of so many frames, in single precision: most frames' values need those loops anyway."""
    return np.random.default_rng(number).normal(size=(number, min(PIXELS, DRAWS // number))).astype(np.float32)


def excess_of_unlike(sigmas: NDArray[np.float64], weights: Sequence[float], options: CombineOptions) -> float:
    """
    By how much the factor of a mean after rejection differs from that for frames of like noise and weight.

    Parameters
    ----------
    sigmas : ndarray, shape (n,)
        Typical sigmas of the frames.
    weights : sequence of float
        Their weights in the mean.
    options : CombineOptions
    """
    relative = sigmas / sigmas.min()
    if relative.max() <= UNLIKE and max(weights) <= UNLIKE * min(weights):
        return 1.0
    like = (1.0,) * len(sigmas)
    unlike = _simulated_of_unlike(tuple(relative.round(2).tolist()), tuple(weights), options)
    return unlike / _simulated_of_unlike(like, like, options)


@cache
def _simulated_of_unlike(sigmas: tuple[float, ...], weights: tuple[float, ...], options: CombineOptions) -> float:
    """Variance of a weighted mean after rejection, in units of the expectation of that of independent values."""
    from astro_calib.kernels.stack import masked_median, weighted_sums

    spread = np.array(sigmas, dtype=np.float32)[:, np.newaxis]
    data = spread * _gaussian(len(sigmas))
    before = np.ones(data.shape, dtype=bool)
    used = rejected(data, before, masked_median(data, before), np.square(spread), options)
    total, weight, _ = weighted_sums(data, used, weights)
    squares = sum(np.square(own * sigma) * kept for own, sigma, kept in zip(weights, sigmas, used, strict=True))
    return float(np.var(total / weight) / np.mean(squares / weight**2))


def variance_factor_of_median(values: StackedValues, clip: str | None, number: int) -> float | NDArray[np.float32]:
    """The factor by which the variance of a median of like frames exceeds that of their mean."""
    table = np.nan_to_num(median_variance_factors(number), nan=1.0)
    if values.complete:
        return float(table[-1])
    if clip != "minmax":
        return np.asarray(table.astype(np.float32)[values.used])
    # The median is the same after the lowest and the highest are left out, so that their number counts too.
    before = values.before
    return (table[before] * values.used / np.maximum(before, 1)).astype(np.float32)


def variance_factor_of_mean(
    clip: str | None, thresholds: tuple[float, float], extremes: tuple[int, int], values: StackedValues, number: int
) -> float | NDArray[np.float32]:
    """By how much the variance of a mean after rejection exceeds that of independent values."""
    if clip is None:
        return 1.0
    if clip == "minmax":
        table = _trimmed_factors(number, extremes)
    else:
        table = [clipped_mean_variance_factor(count, *thresholds) for count in range(1, number + 1)]
    if values.before.min() == number:
        return table[-1]
    return np.array([1.0, *table], dtype=np.float32)[values.before]


def _trimmed_factors(largest: int, extremes: tuple[int, int]) -> list[float]:
    """The factor of the trimmed mean for 1, 2, ... values; 1 where there are too few to leave any out."""
    return [
        trimmed_mean_variance_factor(number, *extremes) if number > sum(extremes) else 1.0
        for number in range(1, largest + 1)
    ]
