"""What a flat is divided by: one level, or one for each colour of a mosaic, and what the budget becomes by that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Level", "budget_over_levels", "levels_of"]

#: The noise of what is proportional to the flat, such as that of a gain, is none of its ratio to its level.
PROPORTIONAL = Coefficient(1.0).times(SELF_DATA)


class Level(NamedTuple):
    """
    What some pixels of a flat are divided by: all of them, or those of one colour.

    Attributes
    ----------
    value : float
        The mean of the good ones among them, or what a user says.
    item : (slice, slice)
        The pixels.
    inside : Coefficient
        One for these pixels, zero for all others.
    """

    value: float
    item: tuple[slice, ...]
    inside: Coefficient


def levels_of(
    name: str, data: NDArray[Any], good: NDArray[np.bool_], norm_value: float | None, *, by_colour: bool
) -> list[Level]:
    """
    The level of a flat, or the four levels of its colours.

    Parameters
    ----------
    name : str
        What messages call the flat.
    data : ndarray
        Its pixels.
    good : ndarray of bool
        Which of them count.
    norm_value : float or None
        The level, if it is not to be found.
    by_colour : bool
        Whether each second pixel of each second row has a level of its own.

    Raises
    ------
    FrameError
        If there is no good pixel, or no light.
    """
    if not by_colour:
        everywhere = (slice(None),) * data.ndim
        value = _mean(name, data, good) if norm_value is None else norm_value
        return [Level(_with_light(name, value), everywhere, Coefficient(1.0))]
    result = []
    # Products of two small arrays stand for the four masks.
    along = [np.arange(length) % 2 for length in data.shape]
    rows, columns = (
        [(parity == which).astype(data.dtype).reshape(shape) for which in (0, 1)]
        for parity, shape in zip(along, ((-1, 1), (1, -1)), strict=True)
    )
    for row in (0, 1):
        for column in (0, 1):
            item = slice(row, None, 2), slice(column, None, 2)
            whose = f"{name}, every second pixel from row {row} and column {column} on"
            value = _with_light(whose, _mean(whose, data[item], good[item]))
            result.append(Level(value, item, Coefficient(1.0).times(rows[row]).times(columns[column])))
    return result


def _mean(name: str, data: NDArray[Any], good: NDArray[np.bool_]) -> float:
    if not good.any():
        msg = f"the flat ({name}) has no good pixel with a finite variance to be normalised by."
        raise FrameError(msg)
    return float(np.mean(data, where=good, dtype=np.float64))


def _with_light(name: str, value: float) -> float:
    if not value > 0:
        msg = (
            f"the flat ({name}) has a mean of {value:.6g} over its good pixels; a flat must have light in it. Check "
            "that it is a flat, and that its bias was subtracted once."
        )
        raise FrameError(msg)
    return float(value)


def budget_over_levels(
    budget: UncertaintyBudget,
    good: NDArray[np.bool_] | None,
    levels: Sequence[Level],
    divisor: NDArray[Any],
    what: str,
) -> UncertaintyBudget:
    r"""
    The budget of f = F / m, with m the mean of F over ``good``, or exact if that is None; each level for its pixels.

    :math:`df = dF/m - f\,dm/m`. For a source common to the frame dm is its mean coefficient, which is taken off; the
    others enter dm as an average over pixels, as good as independent of each single one.
    """
    if len(levels) == 1:
        scaled = budget.scaled(levels[0].value, -1, divisor)
    else:
        scaled = UncertaintyBudget(
            budget.shape, [(s, _over(c, levels, budget.data)) for s, c in budget.terms], budget.dtype, divisor
        )
    if good is None:
        return scaled
    terms = [(s, c) for s, c in scaled.terms if s.axes or c.ratio_to(PROPORTIONAL) is None]
    for number, (value, item, inside) in enumerate(levels):
        own = budget[item]
        mean = good[item] / np.count_nonzero(good[item])
        for source, coefficient in own.terms:
            if not source.axes and coefficient.ratio_to(PROPORTIONAL) is None:
                of_mean = float(np.sum(mean * np.asarray(coefficient.evaluate(own.data)), where=good[item]))
                terms.append((source, inside.times(SELF_DATA) * (-of_mean / value)))
        single = UncertaintyBudget(own.shape, [t for t in own.terms if t[0].axes], own.dtype, own.data)
        variance = single.variance_of_sum(mean) / value**2
        identity = f"normalisation:{what}" if len(levels) == 1 else f"normalisation:{what}:{number}"
        terms.append((NoiseSource("flat", variance, axes=(), identity=identity), inside.times(SELF_DATA) * -1.0))
    return UncertaintyBudget(budget.shape, terms, budget.dtype, divisor)


def _over(coefficient: Coefficient, levels: Sequence[Level], data: NDArray[Any] | None) -> Coefficient:
    """A coefficient in F as one in f = F / m; what is proportional to F is as much so to f."""
    result = Coefficient(0.0)
    inverse = Coefficient.of_monomials(one for level in levels for one in (level.inside * (1 / level.value)).monomials)
    for number, factors in coefficient.monomials:
        part = Coefficient.of_monomials([(number, factors)])
        powers = [power for field, power in factors if field is SELF_DATA]
        if powers == [1]:
            result += part
        else:
            assert not powers or data is not None
            result += (part.with_data(data) if data is not None else part).product(inverse)
    return result
