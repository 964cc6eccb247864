"""Checks of what the simulator is given: numbers get their unit and range checked and become plain floats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_array", "check_count", "check_number", "check_shape", "quantity_values"]


def quantity_values(what: str, value: Any, unit: u.UnitBase) -> NDArray[np.float64]:
    """Plain float64 values of `value` in `unit`; numbers without a unit are taken to be in `unit` already."""
    try:
        return np.asarray(u.Quantity(value, unit, dtype=float).value)
    except u.UnitConversionError as error:
        found = getattr(value, "unit", None)
        msg = f"{what} is in {found}; it must be in {unit or 'no unit'} or convertible to that."
        raise u.UnitConversionError(msg) from error
    except TypeError as error:
        msg = f"{what} must be made of numbers in {unit or 'no unit'}, not {value!r}."
        raise TypeError(msg) from error


def check_number(
    what: str,
    value: Any,
    unit: u.UnitBase = u.dimensionless_unscaled,
    *,
    minimum: float = 0.0,
    maximum: float = math.inf,
) -> float:
    """`value` as a finite float in `unit`, within the limits; the error says what was expected."""
    values = quantity_values(what, value, unit)
    if values.ndim != 0:
        msg = f"{what} must be a single number, not an array of shape {values.shape}."
        raise ValueError(msg)
    number = float(values)
    if not math.isfinite(number) or not minimum <= number <= maximum:
        allowed = f"at least {minimum:g}" if math.isinf(maximum) else f"from {minimum:g} to {maximum:g}"
        msg = f"{what} is {value}; it must be finite and {allowed}{f' {unit}' if str(unit) else ''}."
        raise ValueError(msg)
    return number


def check_count(what: str, value: Any) -> int:
    """`value` as a whole number, zero or positive."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        msg = f"{what} is {value!r}; it must be a whole number, zero or positive."
        raise ValueError(msg)
    return int(value)


def check_shape(shape: Any) -> tuple[int, int]:
    """`shape` as (ny, nx), two positive whole numbers."""
    try:
        ny, nx = (check_count("an axis of the shape", size) for size in shape)
    except (TypeError, ValueError) as error:
        msg = f"shape is {shape!r}; it must be (ny, nx), two positive whole numbers."
        raise ValueError(msg) from error
    if not (ny and nx):
        msg = f"shape is {shape!r}; neither axis may be empty."
        raise ValueError(msg)
    return ny, nx


def check_array(
    what: str,
    value: Any,
    shape: tuple[int, int],
    unit: u.UnitBase = u.dimensionless_unscaled,
    *,
    minimum: float = 0.0,
) -> NDArray[np.float64]:
    """`value`, a number or an array, as a read-only finite array of `shape` in `unit`."""
    values = quantity_values(what, value, unit)
    if values.shape not in ((), shape):
        msg = f"{what} has shape {values.shape}; it must be a number or an array of shape {shape}."
        raise ValueError(msg)
    if not np.isfinite(values).all() or (values < minimum).any():
        allowed = "" if math.isinf(minimum) else f" and at least {minimum:g}{f' {unit}' if str(unit) else ''}"
        msg = f"{what} must be finite{allowed} everywhere; it goes from {values.min()} to {values.max()}."
        raise ValueError(msg)
    # A number becomes a view of one element, which costs no memory.
    result = np.broadcast_to(values, shape) if values.ndim == 0 else values.copy()
    result.flags.writeable = False
    return result
