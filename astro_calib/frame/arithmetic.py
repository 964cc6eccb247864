"""How the four operations of arithmetic pass on the noise of frames (noise by noise, not by quadrature)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.arrays import SELF_DATA, ArrayRef
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["budget_of_product", "budget_of_sum", "budget_over_axes"]


def budget_of_sum(
    a: UncertaintyBudget | None,
    b: UncertaintyBudget | None,
    factor: float,
    addend: float | NDArray[Any],
    data: NDArray[Any],
) -> UncertaintyBudget | None:
    """
    The budget of ``data = a + factor * b``.

    Parameters
    ----------
    a, b : UncertaintyBudget or None
        None for an exact operand.
    factor : float
        Minus one for a difference; includes a conversion of units.
    addend : float or ndarray
        The value of ``factor * b``.
    data : ndarray
        The result.
    """
    if b is None:
        if a is None:
            return None
        if np.ndim(addend) == 0:
            return a.shifted(float(addend), data)
        return a.materialized().of_data(data)
    if a is None:
        return UncertaintyBudget.linear([(b, factor)], data.dtype).of_data(data)
    # A source whose effect is proportional to the frame in the same way for both, such as that of the gain, stays so:
    # k a + factor k b = k data.
    common = {
        (source.key, coefficient)
        for source, coefficient in a.terms
        if coefficient.is_proportional_to_own and (source, coefficient) in b
    }
    kept = [term for term in a.terms if (term[0].key, term[1]) in common]
    others = [
        UncertaintyBudget(part.shape, [t for t in part.terms if (t[0].key, t[1]) not in common], part.dtype, part.data)
        for part in (a, b)
    ]
    rest = UncertaintyBudget.linear([(others[0], 1.0), (others[1], factor)], data.dtype).of_data(data)
    return rest.with_terms(kept) if kept else rest


def budget_of_product(
    a: UncertaintyBudget | None,
    b: UncertaintyBudget | None,
    a_data: float | NDArray[Any],
    b_data: float | ArrayRef,
    power: int,
    data: NDArray[Any],
) -> UncertaintyBudget | None:
    """
    The budget of ``data = a * b**power``, with a power of 1 or -1.

    The coefficient of b is ``power * data / b``: it is kept in terms of the result, which costs no array. Where b has
    zeros and is multiplied, that is not defined, and the data of a are referred to instead.
    """
    parts: list[UncertaintyBudget] = []
    if a is not None:
        parts.append(a.scaled(b_data, power, data))
    if b is not None:
        if power == 1 and not np.all(b_data.array if isinstance(b_data, ArrayRef) else b_data):
            coefficient = Coefficient(1.0).times(a_data)
        else:
            coefficient = (Coefficient(1.0) * power).times(SELF_DATA).times(b_data, -1)
        terms = b.terms
        if isinstance(b_data, ArrayRef):
            # Its coefficients may depend on its data; the product refers to these, and does not write them out.
            terms = tuple((source, own.referring_to(b_data)) for source, own in terms)
        else:
            terms = b.materialized().terms
        parts.append(UncertaintyBudget(data.shape, [(s, c.product(coefficient)) for s, c in terms], data.dtype, data))
    if not parts:
        return None
    return UncertaintyBudget(data.shape, [term for part in parts for term in part.terms], data.dtype, data)


def budget_over_axes(
    budget: UncertaintyBudget, weights: NDArray[Any], axes: tuple[int, ...]
) -> float | NDArray[np.float64]:
    """
    The variance of weighted sums along some axes of a frame.

    Parameters
    ----------
    budget : UncertaintyBudget
    weights : ndarray
        Of the frame's shape.
    axes : tuple of int
        The axes that are summed over.

    Returns
    -------
    ndarray of float64
        Of the shape of the sums.
    """
    if len(axes) == len(budget.shape):
        return budget.variance_of_sum(weights)
    kept = tuple(axis for axis in range(len(budget.shape)) if axis not in axes)
    result = np.empty(tuple(budget.shape[axis] for axis in kept))
    for index in np.ndindex(*result.shape):
        item = [slice(None)] * len(budget.shape)
        for axis, position in zip(kept, index, strict=True):
            item[axis] = slice(position, position + 1)
        result[index] = budget[tuple(item)].variance_of_sum(weights[tuple(item)])
    return result
