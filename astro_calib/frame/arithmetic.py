"""Budgets of what arithmetic and sums make of frames: noise by noise, not by quadrature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.propagation import of_first, of_second

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.noise.propagation import Term, Values

__all__ = ["budget_of", "budget_over_axes"]


def budget_of(
    operation: Any,
    a: UncertaintyBudget | None,
    b: UncertaintyBudget | None,
    values: Values,
    factor: float,
    data: NDArray[Any],
    x: NDArray[Any] | None = None,
) -> UncertaintyBudget | None:
    """
    The budget of a sum, a product or a quotient of two frames, by the table of `astro_calib.noise.propagation`.

    Parameters
    ----------
    operation : callable
        ``numpy.add``, ``numpy.multiply`` or ``numpy.true_divide``.
    a, b : UncertaintyBudget or None
        Of the operands; None for an exact one.
    values : callable
        Gives the data of the second operand, an array that nobody writes into.
    factor : float
        What the second operand is multiplied by; includes a conversion of units.
    data : ndarray
        The result.
    x : ndarray, optional
        The data of the first operand, for a product with zeros.
    """
    if b is None:
        result = None if a is None else a.combined(operation, values, factor, data)
    else:
        both = {s.key for s, _ in b.terms}
        terms = [
            (s, of_first(operation, c, values, factor, write_out=s.key not in both))
            for s, c in (() if a is None else a.terms)
        ]
        terms += [(s, of_second(operation, c, values, factor, x)) for s, c in b.terms]
        result = UncertaintyBudget(data.shape, terms, data.dtype, data)
    if result is None or operation is not np.add or not any(map(_is_mixed, result.terms)) or _is_number(values()):
        return result
    # One array instead of ever more products, as a chain of sums would make them.
    short = [(s, Coefficient(np.asarray(c.evaluate(data))) if _is_mixed((s, c)) else c) for s, c in result.terms]
    return UncertaintyBudget(data.shape, short, data.dtype, data)


def _is_mixed(term: Term) -> bool:
    """Whether some products of a coefficient have the frame's own data as a factor, and others have not."""
    return term[1].depends_on_own and not term[1].is_proportional_to_own


def _is_number(value: Any) -> bool:
    return not isinstance(value, ArrayRef) and np.ndim(value) == 0


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
