"""What a step may add, multiply by or divide by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData

from astro_calib.arguments import NUMBERS, described
from astro_calib.errors import ShapeMismatchError
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.lending import reference_to
from astro_calib.frame.write_guard import may_be_written
from astro_calib.noise.arrays import ArrayRef
from astro_calib.steps.amplifiers import PerAmplifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from astro_calib.steps.facts import FrameFacts

__all__ = ["checked_operand", "has_zeros", "plain", "values_of"]


def checked_operand(frame: FrameFacts, operation: Any, operand: Any, factor: float) -> tuple[Any, u.UnitBase]:
    """An operand of a kind and a shape that the pass can use, and its unit."""
    if operation is not np.add and factor != 1:
        msg = "factor is for what is added; multiply or divide by a number of its own."
        raise ValueError(msg)
    if isinstance(operand, NDData) and not isinstance(operand, CCDFrame):
        operand = CCDFrame(operand)
    unit = operand.unit if isinstance(operand, CCDFrame) else u.dimensionless_unscaled
    if isinstance(operand, PerAmplifier):
        return operand, unit
    if isinstance(operand, u.Quantity):
        operand, unit = _without_unit(frame, operation, operand)
    if not isinstance(operand, (CCDFrame, np.ndarray, *NUMBERS)):
        msg = (
            f"{frame.name}: what a step adds, multiplies or divides by is {described(operand)}; expected a "
            f"CCDFrame, or a number or an array in {frame.unit or 'no unit'}."
        )
        raise TypeError(msg)
    shape = np.shape(operand) if not isinstance(operand, CCDFrame) else operand.shape
    alike = shape in ((), frame.shape) if isinstance(operand, CCDFrame) else _broadcasts(shape, frame.shape)
    if not alike:
        name = operand.name if isinstance(operand, CCDFrame) else "what a step adds, multiplies or divides by"
        msg = f"{frame.name} has shape {frame.shape}, {name} has {shape}; expected the same shape."
        raise ShapeMismatchError(msg)
    if operation is np.true_divide and shape == () and float(getattr(operand, "pixels", operand)) == 0:
        msg = f"{frame.name} is divided by 0, and its error would be no number; give a divisor other than zero."
        raise ZeroDivisionError(msg)
    # Rows, for what is cut later.
    return operand.reshape(1, -1) if isinstance(operand, np.ndarray) and operand.ndim == 1 else operand, unit


def _without_unit(frame: FrameFacts, operation: Any, operand: u.Quantity) -> tuple[Any, u.UnitBase]:
    """The numbers of a quantity, in the frame's unit if they are added, and the unit that they are in."""
    if operation is not np.add:
        return operand.value, operand.unit
    try:
        return operand.to_value(frame.unit), frame.unit
    except u.UnitConversionError as error:
        msg = f"{frame.name} is in {frame.unit}, what a step adds is in {operand.unit}; expected the same kind of unit."
        raise u.UnitConversionError(msg) from error


def values_of(operand: Any, dtype: Any) -> Callable[[], Any]:
    """Gives the values of an operand: a number, or a reference to an array that nobody writes into."""
    if isinstance(operand, CCDFrame):
        return lambda: reference_to(operand)
    if isinstance(operand, PerAmplifier):
        return lambda: operand.as_field(dtype)
    if np.ndim(operand) == 0:
        return lambda: float(operand)
    array = np.array(operand) if may_be_written(operand) else operand
    array.flags.writeable = False
    return lambda: array


def has_zeros(operand: Any) -> bool:
    """Whether some value is zero; found once for a frame."""
    if isinstance(operand, CCDFrame):
        return bool(operand.cached("zeros", (), lambda: not np.all(operand.pixels)))
    return isinstance(operand, np.ndarray) and not np.all(operand)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def plain(value: Any) -> Any:
    """A number, or the array that is referred to."""
    return value.array if isinstance(value, ArrayRef) else value
