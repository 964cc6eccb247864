"""What arithmetic with frames accepts, and how operands of other kinds become frames of the right shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, NDData

from astro_calib.arguments import described
from astro_calib.dtypes import floating

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["is_same_array", "may_be_written", "merged_flags", "plain_slices", "weak", "with_unit"]


def with_unit(value: Any) -> Any:
    """A number or an array as an exact frame or a Quantity, copied: its owner may go on writing into it."""
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


def may_be_written(array: NDArray[Any]) -> bool:
    """Whether somebody may write into the memory of an array, through itself or through what it is a view of."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return True
        base = base.base
    return base is not None


def is_same_array(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays are views of the same memory, laid out in the same way."""
    return one is other or (
        one.shape == other.shape
        and one.dtype == other.dtype
        and one.strides == other.strides
        and one.__array_interface__["data"][0] == other.__array_interface__["data"][0]
    )


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


def plain_slices(item: Any, ndim: int) -> tuple[slice, ...] | None:
    """``item`` with one slice for each axis, or None if it is something else than slices."""
    parts = item if isinstance(item, tuple) else (item,)
    if any(not isinstance(part, slice) and part is not Ellipsis for part in parts):
        return None
    if Ellipsis in parts:
        where = parts.index(Ellipsis)
        parts = (*parts[:where], *[slice(None)] * (ndim - len(parts) + 1), *parts[where + 1 :])
    return (*parts, *[slice(None)] * (ndim - len(parts)))
