r"""
Noise that is drawn once for all pixels, such as the error of a gain: its variance, found at the end of the pass.

With the values z of the result, the error of a gain G has the coefficient :math:`c = z / G`, whatever was done since,
and what the masters have of the same error is in it, too: nothing else is to be said of what they share. Other noise
of this kind has sums of products in its coefficient, of the values, a flat and a dark. The pass multiplies these out,
line by line, and adds :math:`c^2` times the variance of the draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.program import (
    ADD_PRODUCT,
    ADD_SQUARE,
    PRODUCT,
    PRODUCT_OVER,
    PRODUCT_TIMES,
    PRODUCT_TIMES_VALUE,
)
from astro_calib.noise.arrays import SELF_DATA, SurvivorMask
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.mosaic import MosaicArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.arrays import ArrayRef
    from astro_calib.noise.coefficient import Coefficient, Factors
    from astro_calib.noise.propagation import Term
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.window import Key
    from astro_calib.steps.instructions import Instructions

__all__ = ["append_common", "append_squares", "budget_without", "is_common"]


def is_common(source: NoiseSource) -> bool:
    """Whether one draw of a source, whose variance is a number, is for all pixels."""
    return not source.axes and not source.constituents and source.variance.number is not None


def budget_without(frame: CCDFrame, common: frozenset[Key]) -> UncertaintyBudget | None:
    """The budget of a frame without sources that are looked at in the end; made once for all frames."""
    budget = frame.known_budget
    if budget is None or all(source.key not in common for source, _ in budget.terms):
        return budget

    def make() -> UncertaintyBudget:
        others = [(source, coefficient) for source, coefficient in budget.terms if source.key not in common]
        return UncertaintyBudget(budget.shape, others, budget.dtype, budget.data)

    found: UncertaintyBudget = frame.cached("budget without what is common", (common,), make)
    return found


def append_common(program: Instructions, terms: Iterable[Term], common: frozenset[Key]) -> bool:
    """
    Take the variance of common noise among the instructions, and return whether the pass can find it.

    Parameters
    ----------
    program : Instructions
        All that is done to the values.
    terms : iterable of (NoiseSource, Coefficient)
        The noise of the result.
    common : set of keys
        The keys of the sources that are common.
    """
    variances: dict[Key, float] = {}
    coefficients: dict[Key, Coefficient] = {}
    for source, coefficient in terms:
        number = source.variance.number
        # The pass leaves out a square with factor zero, and with it the new beginning of c.
        if source.key in common and number:
            variances.setdefault(source.key, number)
            known = coefficients.get(source.key)
            coefficients[source.key] = coefficient if known is None else known + coefficient
    return append_squares(program, [(variances[key], coefficient) for key, coefficient in coefficients.items()])


def append_squares(program: Instructions, squares: Iterable[tuple[float, Coefficient]]) -> bool:
    """
    Take squares of coefficients among the instructions, and return whether the pass can find them.

    Parameters
    ----------
    program : Instructions
        All that is done to the values so far.
    squares : iterable of (float, Coefficient)
        What each square is multiplied by, which is positive; the coefficients are those of the values as they are now.
    """
    alike: list[tuple[float, Coefficient]] = []
    for variance, coefficient in squares:
        for index, (total, first) in enumerate(alike):
            ratio = coefficient.ratio_to(first)
            if ratio is not None:
                alike[index] = total + ratio**2 * variance, first
                break
        else:
            alike.append((variance, coefficient))
    return all(_append_square(program, coefficient, variance) for variance, coefficient in alike)


def _append_square(program: Instructions, coefficient: Coefficient, variance: float) -> bool:
    anywhere = np.zeros(program.number_of_sections)
    for number, factors in coefficient.monomials:
        if any(isinstance(field, SurvivorMask) or (field is SELF_DATA and power < 0) for field, power in factors):
            return False
        where, others = _by_section(program, factors)
        inside = where != 0
        anywhere[inside] = variance
        program.append_by_section(PRODUCT, None, number * where)
        for field, power in others:
            array = None if field is SELF_DATA else _array(field)
            code = PRODUCT_TIMES_VALUE if field is SELF_DATA else PRODUCT_TIMES if power > 0 else PRODUCT_OVER
            for _ in range(abs(power)):
                program.append_by_section(code, array, inside.astype(float))
        program.append_by_section(ADD_PRODUCT, None, inside.astype(float))
    program.append_by_section(ADD_SQUARE, None, anywhere)
    return True


def _by_section(program: Instructions, factors: Factors) -> tuple[NDArray[np.float64], Factors]:
    """What of a product is a number in each of the sections that the pass knows, and the other factors."""
    where = np.ones(program.number_of_sections)
    others = []
    for field, power in factors:
        values = None if program.sections is None or not isinstance(field, MosaicArray) else field.of(program.sections)
        if values is None:
            others.append((field, power))
        else:
            where *= np.array(values, dtype=np.float64) ** power
    return where, tuple(others)


def _array(field: ArrayRef) -> Any:
    """What an instruction reads: of what differs between amplifiers no more than a row and a column, if that is all."""
    if isinstance(field, MosaicArray):
        return np.asarray(field.compact)
    return lambda: np.atleast_2d(field.array)
