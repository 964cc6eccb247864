"""What a frame refuses: each check says what was found, what was expected and what to write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import FlagCollection, NDData, NDUncertainty, StdDevUncertainty, VarianceUncertainty
from astropy.wcs.wcsapi import BaseHighLevelWCS, BaseLowLevelWCS

from astro_calib.arguments import as_mask, described, frame_from, unit_in_code
from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.no_budget import NoBudget

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "NAMELESS",
    "by_position",
    "checked_budget",
    "checked_flags",
    "checked_mask",
    "checked_name",
    "checked_variance",
    "refuse_correlation",
    "refuse_header_and_wcs",
    "refuse_unreal",
    "refuse_values",
    "warn_of_lost_sources",
]

#: The arguments of a CCDData that may be given by position, after the data.
POSITIONAL = ("uncertainty", "mask", "wcs", "meta", "unit", "copy", "psf")
#: What messages call a frame without a name.
NAMELESS = "the frame"
#: What the values of an uncertainty are called.
SPOKEN = {"std": "standard deviations", "var": "variances", "ivar": "inverse variances"}


def by_position(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments that were given by position, by their names."""
    if len(args) > len(POSITIONAL) or kwargs.keys() & set(POSITIONAL[: len(args)]):
        msg = f"CCDFrame takes {', '.join(POSITIONAL)} after the data, each once."
        raise TypeError(msg)
    return dict(zip(POSITIONAL, args, strict=False))


def checked_name(name: Any) -> str | None:
    """The name of a frame as text."""
    if name is not None and not isinstance(name, (str, os.PathLike)):
        msg = f"the name of a frame is {described(name)}; expected text or a path."
        raise TypeError(msg)
    return None if name is None or name == NAMELESS else str(name)


def checked_budget(name: str, budget: Any) -> UncertaintyBudget | None:
    """A budget; None for that of an exact frame."""
    if isinstance(budget, NoBudget):
        return None
    if budget is not None and not isinstance(budget, UncertaintyBudget):
        msg = f"{name}: the budget is {described(budget)}; expected an UncertaintyBudget, or uncertainty=."
        raise TypeError(msg)
    return budget


def checked_mask(name: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask of a frame."""
    mask = as_mask(f"the mask of {name}", value)
    if mask.shape != shape:
        msg = f"dimensions of mask {mask.shape} and data {shape} do not match"
        raise ValueError(msg)
    return mask


def checked_flags(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """Flags as an array of 16 bits. A FlagCollection of another shape is returned as it is; astropy refuses it."""
    if value is None:
        return None
    if isinstance(value, FlagCollection):
        if value.shape == shape:
            msg = f"{name}: flags are bits of DataQuality in one array, not a FlagCollection."
            raise TypeError(msg)
        return value
    if isinstance(value, NDData):
        msg = f"{name}: flags are {described(value)}; expected an array of bits of DataQuality."
        raise TypeError(msg)
    flags = np.asarray(value)
    if flags.dtype.kind not in "biu" or (
        not np.can_cast(flags.dtype, np.uint16)
        and flags.size
        and not 0 <= int(flags.min()) <= int(flags.max()) <= np.iinfo(np.uint16).max
    ):
        msg = f"{name}: flags must be whole numbers of 16 bits, from 0 to 65535."
        raise ValueError(msg)
    if flags.shape != shape:
        msg = f"{name}: dimensions of flags do not match data: {flags.shape} is not {shape}."
        raise ValueError(msg)
    return flags.astype(np.uint16, copy=False)


def checked_variance(name: str, value: Any, shape: tuple[int, ...], unit: u.UnitBase, dtype: Any) -> NDArray[Any]:
    """The variances that an uncertainty of any kind stands for, in the square of ``unit``, in a new array."""
    if isinstance(value, np.ndarray) and not isinstance(value, u.Quantity):
        value = StdDevUncertainty(value)
    if not isinstance(value, NDUncertainty):
        msg = (
            "uncertainty must be an instance of a NDUncertainty object or a numpy array. Not "
            f"{described(value)}: write StdDevUncertainty(array), with an array of the frame's shape {shape}."
        )
        raise TypeError(msg)
    if np.shape(value.array) != shape:
        msg = f"uncertainty must have same shape as data: {np.shape(value.array)} is not {shape}."
        raise ValueError(msg)
    # This copy has no parent: that of a foreign uncertainty may have another unit than this frame. Adding zero takes
    # the sign off -0.
    values = np.asarray(value.array, dtype=np.float64) + 0.0
    negative = np.count_nonzero(values < 0)
    if negative:
        # Squaring them would make error bars of what is none.
        kind = SPOKEN.get(value.uncertainty_type, "uncertainties")
        msg = f"{name}: {negative} {kind} are negative; an uncertainty cannot be. Give NaN where none is known."
        raise ValueError(msg)
    with np.errstate(divide="ignore"):
        # An inverse variance of 0 says that nothing is known.
        variance = type(value)(values, unit=value.unit, copy=False).represent_as(VarianceUncertainty)
    array = np.array(variance.array, dtype=dtype)
    if variance.unit is not None and unit is not None and variance.unit != unit**2:
        array *= variance.unit.to(unit**2)
    return array


def refuse_correlation(correlation: Any) -> None:
    """Refuse astropy's way to say how the noise of two operands is correlated."""
    if np.any(correlation):
        msg = "a CCDFrame knows which noise its operands share; uncertainty_correlation cannot be given."
        raise ValueError(msg)


def refuse_header_and_wcs(name: str, given: Mapping[str, Any]) -> None:
    """Refuse a header, a WCS or a PSF of another kind."""
    header = given.get("meta") if given.get("meta") is not None else given.get("header")
    if header is not None and not isinstance(header, Mapping):
        msg = f"{name}: the header (meta) is {described(header)}; expected a dict or a fits.Header."
        raise TypeError(msg)
    wcs = given.get("wcs")
    if wcs is not None and not isinstance(wcs, (BaseLowLevelWCS, BaseHighLevelWCS)):
        write = "WCS(header)" if isinstance(wcs, Mapping) else "astropy.wcs.WCS(header)"
        msg = f"{name}: the wcs is {described(wcs)}; expected a WCS: write {write}."
        raise TypeError(msg)


def refuse_values(name: str, unit: u.UnitBase, value: Any) -> None:
    """Refuse to take anything but a plain array for the data of a frame, which have the frame's unit."""
    if isinstance(value, u.Quantity):
        write = f"values.to_value({unit_in_code(unit)})"
    elif hasattr(value, "compute"):
        write = "values.compute()"
    elif isinstance(value, NDData):
        write = "values.data"
    elif not isinstance(value, np.ndarray):
        write = "np.asarray(values)"
    else:
        return
    msg = f"the data of {name} cannot be {described(value)}; expected an array: write frame.data = {write}."
    raise TypeError(msg)


def refuse_unreal(name: str, values: Any) -> None:
    """Refuse pixels that are no real numbers."""
    if hasattr(values, "compute") or hasattr(values, "to_numpy"):
        msg = f"{name}: its pixels are {described(values)}; expected a NumPy array. {frame_from(values)}"
        raise FrameError(msg)
    if isinstance(values, (list, tuple)) and any(isinstance(value, NDData) for value in values):
        msg = f"{name} is made of a list of frames; expected one array. combine makes one frame of several."
        raise FrameError(msg)
    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, np.dtype):
        dtype = np.asarray(values).dtype
    if dtype.kind in "biuf":
        return
    if dtype.kind == "c":
        remedy = "Take their real part or their absolute value first."
    else:
        remedy = "Convert them first, as with data.astype(float); to read a file call CCDFrame.read."
    msg = f"{name}: its pixels are of type {dtype}; expected real numbers: integer, floating point or bool. {remedy}"
    raise FrameError(msg)


def warn_of_lost_sources(name: str, why: str) -> None:
    """Warn that the noise of a result counts as its own."""
    msg = f"{name}: {why}, so that its sources of noise cannot be followed; the result's noise is treated as its own."
    warn(msg, NoiseWarning)
