"""What arithmetic with frames accepts, and how operands of other kinds become frames of the right shape."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, NDData

from astro_calib.arguments import described, unit_in_code
from astro_calib.dtypes import float_type, floating
from astro_calib.errors import ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.frame.base import BaseFrame
from astro_calib.noise.budget import UncertaintyBudget

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["check_addable", "conforming", "flagged_uncertain", "merged_flags", "weak"]


#: Above this relative error of a divisor, first-order propagation is off by more than about 1%.
MAX_RELATIVE_ERROR = 0.05
#: The number of pixels that stay in the cache.
TOGETHER = 1 << 15


def conforming(cls: type[BaseFrame], operation: Any, left: Any, right: Any) -> tuple[BaseFrame, BaseFrame]:
    """Two operands as frames of one shape, the right one perhaps a number, whose units fit the operation."""
    left, right = (value if isinstance(value, BaseFrame) else _as_frame(cls, value) for value in (left, right))
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        shape = left.shape  # which is refused below
    left, right = _spread_out(left, shape, right), right if right.ndim == 0 else _spread_out(right, shape, left)
    if right.ndim and right.shape != left.shape:
        msg = (
            f"{left.name} has shape {left.shape} and {right.name} has shape {right.shape}; arithmetic needs frames of "
            "the same shape. Trim them to the same section first."
        )
        raise ShapeMismatchError(msg)
    if operation in (np.add, np.subtract):
        check_addable(left, right)
    by_zero = operation is np.true_divide and right.ndim == 0 and right.pixels == 0
    if by_zero and not (left.known_budget is None and right.known_budget is None):
        msg = (
            f"{left.name} is divided by {right.pixels:g}{f' {right.unit}' if str(right.unit) else ''}, and its error "
            "would be no number; give a divisor other than zero."
        )
        raise ZeroDivisionError(msg)
    return left, right


def check_addable(left: Any, right: BaseFrame) -> None:
    """Refuse the sum or the difference of frames whose units do not fit."""
    if not right.unit.is_equivalent(left.unit):
        msg = (
            f"{left.name} is in {str(left.unit) or 'no unit'}, but what is added or subtracted is in "
            f"{str(right.unit) or 'no unit'}. {_same_unit(left, right)}"
        )
        raise u.UnitConversionError(msg)


def _as_frame(cls: type[BaseFrame], value: Any) -> BaseFrame:
    """A frame that stands for a number, an array or a CCDData."""
    frame = cls(_with_unit(value))
    frame.history = dataclasses.replace(frame.history, is_constant=not isinstance(value, NDData))
    return frame


def _same_unit(left: Any, right: BaseFrame) -> str:
    """What to write when the units of two operands do not fit."""
    for bare, other in ((right, left), (left, right)):
        if bare.history.is_constant and bare.unit == u.dimensionless_unscaled:
            what = f"{bare.pixels:g}" if bare.ndim == 0 else "array"
            return f"Give it its unit: write {what} * {unit_in_code(other.unit)}."
    if {left.unit, right.unit} == {u.adu, u.electron}:
        return "Apply gain_correct to what is in adu first."
    return f"Expected a unit that converts to {left.unit}."


def _with_unit(value: Any) -> Any:
    """A frame, or a Quantity made of a number or an array. The values are copied: their owner may write into them."""
    if isinstance(value, NDData):
        if value.unit is None:
            msg = f"{described(value)} has no unit; write CCDFrame(data, unit='adu'), or use its array."
            raise TypeError(msg)
        return value
    if hasattr(value, "compute"):
        msg = f"{described(value)} is no operand for a frame: call its .compute() first."
        raise TypeError(msg)
    if value is None or isinstance(value, (str, bytes)):
        msg = f"{described(value)} cannot be added to, subtracted from, multiplied by or divided by a frame."
        raise TypeError(msg)
    if isinstance(value, np.ma.MaskedArray):
        return CCDData(value.data.copy(), mask=np.ma.getmaskarray(value), unit=u.dimensionless_unscaled)
    if isinstance(value, (u.Quantity, u.UnitBase)):
        return u.Quantity(value, copy=True, dtype=None if isinstance(value, u.Quantity) else float)
    array = np.array(value)
    if array.dtype.kind not in "biuf":
        msg = f"{described(value)} of {array.dtype} is no operand for a frame; expected real numbers."
        raise TypeError(msg)
    return u.Quantity(array, dtype=None, copy=False)


def _spread_out(frame: BaseFrame, shape: tuple[int, ...], other: BaseFrame) -> BaseFrame:
    """The frame, broadcast to a shape if it is a number or exact; a number takes the floating type of the other."""
    if frame.shape == shape or (frame.ndim and frame.known_budget is not None):
        return frame
    try:
        if np.broadcast_shapes(frame.shape, shape) != shape:
            return frame
    except ValueError:
        return frame
    dtype = float_type(other.dtype) if frame.ndim == 0 else frame.dtype
    data = np.array(np.broadcast_to(frame.pixels, shape), dtype=dtype)
    data.flags.writeable = False
    budget = frame.known_budget
    result = type(frame)(
        data,
        unit=frame.unit,
        mask=None if frame.mask is None else np.broadcast_to(frame.mask, shape),
        flags=None if frame.flags is None else np.broadcast_to(frame.flags, shape),
        meta=frame.meta,
        name=frame.name,
        budget=None if budget is None else UncertaintyBudget(shape, budget.materialized().terms, budget.dtype),
    )
    result.history = dataclasses.replace(result.history, is_constant=frame.history.is_constant)
    return result


def weak(data: NDArray[Any]) -> Any:
    """A 0-d array as a Python number, which does not turn float32 into float64."""
    return float(data) if np.ndim(data) == 0 else floating(data)


def merged_flags(a: Any, b: Any) -> Any:
    """The bits of both operands' flags; None if neither has any."""
    if a is None:
        a, b = b, a
    if a is None:
        return None
    if b is None or np.ndim(b) == 0:
        return a.copy()
    return a | b


def flagged_uncertain(flags: Any, divisor: BaseFrame, shape: tuple[int, ...]) -> Any:
    """The flags of a quotient, with a remark where the divisor is too uncertain for first-order propagation."""
    variance = divisor.variance
    if variance is None:
        return flags
    uncertain = _uncertain(np.atleast_1d(divisor.pixels), np.atleast_1d(variance)).reshape(divisor.shape)
    if divisor.mask is not None:
        uncertain &= ~divisor.mask
    if not uncertain.any():
        return flags
    remark = np.where(uncertain, np.uint16(DataQuality.UNCERTAIN_DIVISOR), np.uint16(0))
    return np.broadcast_to(remark, shape) | (np.zeros(shape, np.uint16) if flags is None else flags)


def _uncertain(data: NDArray[Any], variance: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the relative error is too large; a few rows at a time, so that they stay in the cache."""
    from astro_calib.kernels.threads import over_rows

    uncertain = np.empty(data.shape, dtype=np.bool_)

    def find(rows: slice) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            # An unknown variance compares as false, and so counts as a large one.
            np.less_equal(variance[rows], np.square(MAX_RELATIVE_ERROR * data[rows]), out=uncertain[rows])
            np.logical_not(uncertain[rows], out=uncertain[rows])

    over_rows(find, len(data), data.size, max(1, TOGETHER * len(data) // max(data.size, 1)))
    return uncertain
