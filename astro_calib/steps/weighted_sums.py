"""
Sums of arrays times numbers that may be others for each frame, such as the variance of masters that share noise.

The arrays are found once for all frames. A sum is made once, too, as long as the numbers stay what they are: with the
amplitude of a dark that is fitted to each frame they do not, and the pass adds it up as it goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.budget import UncertaintyBudget

__all__ = ["WeightedSum", "covariance_of_sum", "variance_of_sum"]


@dataclass(frozen=True)
class WeightedSum:
    """
    Arrays of one shape times numbers, added up for a part of them at a time, with the same result for each pixel.

    Attributes
    ----------
    arrays : tuple of ndarray
    numbers : tuple of float
    """

    arrays: tuple[NDArray[Any], ...]
    numbers: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the sum."""
        return self.arrays[0].shape

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self.arrays[0].ndim

    def __getitem__(self, item: Any) -> NDArray[Any]:
        """The sum over a part of the arrays."""
        total = self.arrays[0][item] * self.numbers[0]
        for array, number in zip(self.arrays[1:], self.numbers[1:], strict=True):
            total += array[item] * number
        return np.asarray(total)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype, copy=False)


def variance_of_sum(parts: Sequence[tuple[UncertaintyBudget, float]], owner: CCDFrame) -> Any:
    """
    The variance of a sum of frames times numbers.

    Parameters
    ----------
    parts : sequence of (UncertaintyBudget, float)
        Of each frame.
    owner : CCDFrame
        Keeps what is found.
    """
    arrays, numbers = [budget.variance() for budget, _ in parts], [factor**2 for _, factor in parts]
    budgets = tuple(budget for budget, _ in parts)
    for index, (one, factor) in enumerate(parts):
        for place, (other, number) in enumerate(parts[index + 1 :], start=index + 1):
            arrays.append(_found(owner, f"covariance of {index} and {place}", budgets, one, other))
            numbers.append(2 * factor * number)
    return _sum(owner, "variance of a sum", budgets, WeightedSum(tuple(arrays), tuple(numbers)))


def covariance_of_sum(
    parts: Sequence[tuple[UncertaintyBudget, float]],
    divisor: CCDFrame,
    budget: UncertaintyBudget,
    earlier: Sequence[CCDFrame],
) -> Any:
    """
    The covariance of a sum of frames times numbers, which was divided by others, with another divisor.

    Parameters
    ----------
    parts : sequence of (UncertaintyBudget, float)
        Of each frame in the sum.
    divisor : CCDFrame
        Keeps what is found.
    budget : UncertaintyBudget
        Of the divisor.
    earlier : sequence of CCDFrame
        What the sum was divided by.
    """
    given = (budget, *(one for one, _ in parts), *(other.pixel_digest() for other in earlier))
    # Kept side by side for frames that are divided by another one first, and others.
    what = f"covariance after {len(earlier)} divisions"
    arrays = [
        _found(divisor, f"{what} with {index}", given, one, budget, earlier) for index, (one, _) in enumerate(parts)
    ]
    total = WeightedSum(tuple(arrays), tuple(factor for _, factor in parts))
    return _sum(divisor, f"{what} with a sum", given, total)


def _found(
    owner: CCDFrame,
    what: str,
    given: tuple[Any, ...],
    one: UncertaintyBudget,
    other: UncertaintyBudget,
    divisors: Sequence[CCDFrame] = (),
) -> NDArray[Any]:
    """A covariance, over the pixels of some divisors; found once for all numbers."""

    def find() -> NDArray[Any]:
        result = one.covariance(other)
        for divisor in divisors:
            result = result / divisor.pixels
        return result

    found: NDArray[Any] = owner.cached(what, given, find)
    return found


def _sum(owner: CCDFrame, what: str, given: tuple[Any, ...], total: WeightedSum) -> Any:
    """A sum, as an array that is kept if its numbers are those of the last one."""
    last: list[tuple[float, ...]] = owner.cached(f"numbers of the {what}", given, list)
    is_again, last[:] = last == [total.numbers], [total.numbers]
    return owner.cached(what, (*given, total.numbers), lambda: total[:]) if is_again else total
