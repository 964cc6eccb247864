"""What subtracting a bias, subtracting a dark and dividing by a flat have in common."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arithmetic import float_type
from astro_calib.derive import rebuilt
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame import UNNAMED, CCDFrame
from astro_calib.masters import applied
from astro_calib.steps.header import forget_levels

if TYPE_CHECKING:
    from astropy.nddata import CCDData

__all__ = ["FRAME_NOISE", "check_exposure", "check_master", "exposure", "like_frame", "relabelled", "subtracted"]

#: Names of the noise of a frame's own; in a frame that a master was applied to, it is the master's noise.
FRAME_NOISE = frozenset({"read noise", "shot noise", "overscan", "scale", "merged", UNNAMED})


def check_master(ccd: CCDFrame, master: CCDData, kind: str) -> CCDFrame:
    """
    The master as a CCDFrame, once it is clear that it fits the frame.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    FrameError
        If the master is not a frame, or holds no number.
    """
    if not isinstance(master, CCDFrame):
        if not hasattr(master, "unit") or not hasattr(master, "meta"):
            msg = f"the master {kind} for {ccd.name} is a {type(master).__name__}; expected a CCDFrame or a CCDData."
            raise FrameError(msg)
        master = CCDFrame(master, name=f"the master {kind}")
    if master.shape != ccd.shape:
        msg = (
            f"{ccd.name} has shape {ccd.shape}, the master {kind} ({master.name}) has {master.shape}; trim both to the "
            "same section, and make masters from frames of the same size and binning."
        )
        raise ShapeMismatchError(msg)
    if not any(np.isfinite(row).any() for row in np.atleast_1d(master._data)):
        msg = f"the master {kind} ({master.name}) holds no finite number."
        raise FrameError(msg)
    applied(master)
    return master


def relabelled(master: CCDFrame, kind: str) -> CCDFrame:
    """The master with its own noise under the name of its kind."""
    if master.budget is None:
        return master
    return rebuilt(master, master._data, master.budget.named(kind, FRAME_NOISE))


def subtracted(ccd: CCDFrame, master: CCDFrame) -> CCDFrame:
    """``ccd - master`` with the header and the type of ``ccd``."""
    return like_frame(ccd.subtract(master), ccd)


def like_frame(result: CCDFrame, ccd: CCDFrame) -> CCDFrame:
    """The result of applying a master, with the header and the type of the frame that it was applied to."""
    result.meta = deepcopy(ccd.meta)
    forget_levels(result.meta)
    result._name = ccd._name
    dtype = float_type(ccd.dtype)
    if result.dtype == dtype:
        return result
    budget = None if result.budget is None else result.budget.bound()
    return rebuilt(result, result._data.astype(dtype), budget)


def exposure(ccd: CCDFrame, keyword: Any, unit: Any) -> u.Quantity:
    """
    The exposure time in a frame's header, under a name or a `ccdproc.Keyword`.

    Raises
    ------
    FrameError
        If the keyword is missing, or its value is no positive number.
    """
    keyword = getattr(keyword, "name", keyword)
    value = ccd.meta.get(keyword)
    if value is None:
        msg = (
            f"{ccd.name}: no exposure time: the header has no {keyword}. Name the right keyword with "
            "exposure_time=, or "
            "give data_exposure= and dark_exposure= as quantities."
        )
        raise FrameError(msg)
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not np.isfinite(seconds) or seconds < 0:
        msg = f"{ccd.name}: the exposure time {keyword} = {value!r} is not a positive number."
        raise FrameError(msg)
    return seconds * u.Unit(unit)


def check_exposure(what: str, time: u.Quantity) -> u.Quantity:
    """
    An exposure time, once it is clear that it is one.

    Raises
    ------
    FrameError
        If it is not a finite time of zero or more.
    """
    if not (np.isscalar(time.value) and np.isfinite(time.value) and time >= 0 * u.s):
        msg = f"the exposure time of {what} is {time}; expected a finite time that is not negative."
        raise FrameError(msg)
    return time
