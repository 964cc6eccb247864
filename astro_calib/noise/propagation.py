r"""
How noise passes through arithmetic: one table, for the operators of frames, the steps, and runs of steps.

With the derivatives of z with respect to x and y, a source of noise with the coefficient c in x has :math:`c\,dz/dx`
in z (JCGM 100:2008, eq. 10). Where c follows the values x themselves, as that of a flat does, x is written in terms of
z and y: after a run of steps there is no array of the values in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from astro_calib.noise.arrays import SELF_DATA, ArrayRef
from astro_calib.noise.coefficient import Coefficient, Factors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from astro_calib.noise.source import NoiseSource

__all__ = ["RULES", "Power", "Rule", "Term", "Values", "of_first", "of_second"]


class Power(NamedTuple):
    """``number * z**z * y**y``."""

    number: float = 1.0
    z: int = 0
    y: int = 0


class Rule(NamedTuple):
    """
    The derivatives of z with respect to x and y, and x as a sum.

    All coefficients come from these numbers. The loops of `astro_calib.kernels.fused` find the variance of a run by the
    powers that `astro_calib.steps.variance` says; where a rule has others, it is found from the coefficients, slower.
    """

    of_x: Power
    of_y: Power
    x: tuple[Power, ...]


#: z is x + y, x y and x / y, of any two operands; what holds for flats alone stands in `astro_calib.masters.normalise`.
RULES: dict[Any, Rule] = {
    #                    dz/dx        dz/dy                x
    np.add: Rule(Power(1), Power(1), (Power(1, z=1), Power(-1, y=1))),
    np.multiply: Rule(Power(y=1), Power(z=1, y=-1), (Power(z=1, y=-1),)),
    np.true_divide: Rule(Power(y=-1), Power(-1, z=1, y=-1), (Power(z=1, y=1),)),
}

#: Gives the values of an operand; called only where they are needed.
Values: TypeAlias = "Callable[[], float | NDArray[Any] | ArrayRef]"
Term: TypeAlias = "tuple[NoiseSource, Coefficient]"


def of_first(
    operation: Any, coefficient: Coefficient, y: Values, factor: float = 1.0, *, write_out: bool = True
) -> Coefficient:
    """
    The coefficient in z of a source that has ``coefficient`` in x.

    Parameters
    ----------
    operation : callable
        ``numpy.add``, ``numpy.multiply`` or ``numpy.true_divide``.
    coefficient : Coefficient
        In it ``SELF_DATA`` stands for x, in the result for z.
    y : callable
        Gives a number, or an array that nobody writes into.
    factor : float
        y is multiplied by this first.
    write_out : bool
        False if a coefficient of the same source in y is added, which may cancel what has become too long.
    """
    rule = RULES[operation]
    if not coefficient.depends_on_own:
        return _times(coefficient, rule.of_x, y, factor)
    products: list[tuple[float, Factors]] = []
    for number, factors in coefficient.monomials:
        own = next((power for field, power in factors if field is SELF_DATA), 0)
        if own not in (0, 1) and len(rule.x) > 1:
            msg = "only the first power of a frame's own data can be part of a sum"
            raise NotImplementedError(msg)
        rest = Coefficient.of_products([(number, tuple(one for one in factors if one[0] is not SELF_DATA))])
        for x in rule.x if own else (Power(),):
            # Whole powers at once, so that what cancels is exactly zero.
            of_x = rule.of_x
            part = Power(of_x.number * x.number**own, own * x.z + of_x.z, own * x.y + of_x.y)
            products += _times(rest, part, y, factor).monomials
    return Coefficient.of_products(products, write_out=write_out)


def of_second(
    operation: Any, coefficient: Coefficient, y: Values, factor: float = 1.0, x: NDArray[Any] | None = None
) -> Coefficient:
    """
    The coefficient in z of a source that has ``coefficient`` in y.

    Parameters
    ----------
    operation : callable
        As for `of_first`.
    coefficient : Coefficient
        In it ``SELF_DATA`` stands for y, in the result for z.
    y : callable
        As for `of_first`.
    factor : float
        y is multiplied by this first.
    x : ndarray, optional
        The values of x, for a product where y has zeros, so that z does not tell them.
    """
    if coefficient.depends_on_own:
        values = y()
        coefficient = coefficient.referring_to(values if isinstance(values, ArrayRef) else np.asarray(values))
    of_y = RULES[operation].of_y
    if x is not None:
        # z is x y.
        result = _times(coefficient * factor, Power(of_y.number, y=of_y.y + of_y.z), y, factor)
        return result.times(x, of_y.z) if of_y.z else result
    return _times(coefficient * factor, of_y, y, factor)


def _times(coefficient: Coefficient, part: Power, y: Values, factor: float) -> Coefficient:
    result = coefficient * (part.number * factor**part.y)
    if part.y:
        result = result.times(y(), part.y)
    return result.times(SELF_DATA, part.z) if part.z else result
