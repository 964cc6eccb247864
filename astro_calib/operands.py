"""What arithmetic with frames accepts, and how operands of other kinds become frames of the right shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, NDData

from astro_calib.arguments import described
from astro_calib.arithmetic import float_type, floating
from astro_calib.budget import UncertaintyBudget
from astro_calib.flags import DataQuality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = [
    "flagged_uncertain",
    "may_be_written",
    "merged_flags",
    "plain_slices",
    "spread_out",
    "weak",
    "with_unit",
]

#: Above this relative error of a divisor, first-order propagation is off by more than about 1%.
MAX_RELATIVE_ERROR = 0.05
#: So many pixels stay in the cache.
TOGETHER = 1 << 15


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


def spread_out(frame: CCDFrame, shape: tuple[int, ...], other: CCDFrame) -> CCDFrame:
    """A number as a frame of a shape and the other's type, an exact array broadcast to it; anything else as it is."""
    if frame.shape == shape or (frame.ndim and frame._budget is not None):
        return frame
    try:
        if np.broadcast_shapes(frame.shape, shape) != shape:
            return frame
    except ValueError:
        return frame
    dtype = float_type(other.dtype) if frame.ndim == 0 else frame.dtype
    data = np.array(np.broadcast_to(frame._data, shape), dtype=dtype)
    data.flags.writeable = False
    budget = frame._noise
    result = type(frame)(
        data,
        unit=frame.unit,
        mask=None if frame.mask is None else np.broadcast_to(frame.mask, shape),
        flags=None if frame.flags is None else np.broadcast_to(frame.flags, shape),
        meta=frame.meta,
        name=frame._name,
        budget=None if budget is None else UncertaintyBudget(shape, budget.bound().terms, budget.dtype),
    )
    result._constant = frame._constant
    return result


def may_be_written(array: NDArray[Any]) -> bool:
    """Whether somebody may write into the memory of an array, through itself or through what it is a view of."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return True
        base = base.base
    return base is not None


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


def flagged_uncertain(flags: Any, divisor: CCDFrame, shape: tuple[int, ...]) -> Any:
    """The flags of a quotient, with a remark where the divisor is too uncertain for first-order propagation."""
    variance = divisor.variance
    if variance is None:
        return flags
    uncertain = _uncertain(np.atleast_1d(divisor._data), np.atleast_1d(variance)).reshape(divisor.shape)
    if divisor.mask is not None:
        uncertain &= ~divisor.mask
    if not uncertain.any():
        return flags
    remark = np.where(uncertain, np.uint16(DataQuality.UNCERTAIN_DIVISOR), np.uint16(0))
    return np.broadcast_to(remark, shape) | (np.zeros(shape, np.uint16) if flags is None else flags)


def _uncertain(data: NDArray[Any], variance: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the relative error is too large, found for rows that stay in the cache."""
    from astro_calib.kernels.threads import over_rows

    uncertain = np.empty(data.shape, dtype=np.bool_)

    def find(rows: slice) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            # The other way round, so that an unknown variance counts as a large one.
            np.less_equal(variance[rows], np.square(MAX_RELATIVE_ERROR * data[rows]), out=uncertain[rows])
            np.logical_not(uncertain[rows], out=uncertain[rows])

    over_rows(find, len(data), data.size, max(1, TOGETHER * len(data) // max(data.size, 1)))
    return uncertain


def plain_slices(item: Any, ndim: int) -> tuple[slice, ...] | None:
    """``item`` with one slice for each axis, or None if it is something else than slices."""
    parts = item if isinstance(item, tuple) else (item,)
    if any(not isinstance(part, slice) and part is not Ellipsis for part in parts):
        return None
    if Ellipsis in parts:
        where = parts.index(Ellipsis)
        parts = (*parts[:where], *[slice(None)] * (ndim - len(parts) + 1), *parts[where + 1 :])
    return (*parts, *[slice(None)] * (ndim - len(parts)))
