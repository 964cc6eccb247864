"""Frames made ready for measuring stars: which of their pixels can be used, and where something is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import as_frame, measured
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.photometry.detection import Scene, survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["Searched", "search"]


class Searched(NamedTuple):
    """
    The calibrated frame, and the one before calibration if there is one, with their budgets, searched for objects.

    ``flags`` are those of all frames together. ``scene`` is what is on the calibrated frame; missing is what one of the
    frames misses.
    """

    frames: tuple[CCDFrame, ...]
    budgets: tuple[UncertaintyBudget, ...]
    flags: NDArray[np.uint16]
    scene: Scene


def search(ccd: CCDFrame, before: CCDFrame | None = None) -> Searched:
    """
    Take off the background of a calibrated frame and look for objects.

    ``before`` is the same exposure before calibration. A FrameError says that a frame has no variance, is no image, or
    has no pixel that can be measured; a ShapeMismatchError or UnitConversionError that the two do not go together.
    """
    frames = (as_frame(ccd),) if before is None else (as_frame(ccd), as_frame(before, "the frame before calibration"))
    budgets = tuple(_budget(frame) for frame in frames)
    if before is not None:
        _check_pair(*frames)
    missing = _missing(frames)
    flags = _flags(frames)
    # A saturated pixel has too much light; one that is bad as well has nothing to say.
    too_bright = (flags & np.uint16(DataQuality.UNUSABLE)) == np.uint16(DataQuality.SATURATED)
    variance = _without_gain(budgets[0], frames[0].pixels)
    scene = survey(frames[0].pixels, variance, missing, too_bright, frames[0].digital_step or 0.0)
    return Searched(frames, budgets, flags, scene)


def _budget(frame: CCDFrame) -> UncertaintyBudget:
    budget = frame.known_budget
    if budget is None:
        msg = f"{frame.name} has no variance, so that nothing has an error. Calibrate it, or apply create_deviation."
        raise FrameError(msg)
    return budget


def _without_gain(budget: UncertaintyBudget, pixels: NDArray[Any]) -> NDArray[Any]:
    """The variance without that of the gain, which changes all pixels together and neither hides nor makes a star."""
    terms = [term for term in budget.terms if term[0].name != "gain"]
    if len(terms) == len(budget.terms):
        return budget.variance()
    return UncertaintyBudget(budget.shape, terms, budget.dtype, pixels).variance()


def _check_pair(ccd: CCDFrame, before: CCDFrame) -> None:
    if before.shape != ccd.shape:
        msg = (
            f"{ccd.name} has shape {ccd.shape}, and before calibration ({before.name}) {before.shape}; trim both to "
            "the same section."
        )
        raise ShapeMismatchError(msg)
    if before.unit != ccd.unit:
        msg = (
            f"{ccd.name} is in {ccd.unit}, and before calibration ({before.name}) in {before.unit}; fluxes are "
            "compared in one unit. Apply gain_correct, or convert_unit_to."
        )
        raise u.UnitConversionError(msg)


def _missing(frames: tuple[CCDFrame, ...]) -> NDArray[np.bool_]:
    """True where a pixel of one of the frames cannot be used, or its error is not known."""
    missing = np.zeros(frames[0].shape, dtype=bool)
    for frame in frames:
        missing |= ~measured(frame)
    if missing.all():
        names = " and ".join(frame.name for frame in frames)
        msg = (
            f"{names}: no pixel can be measured; all are masked, not finite, or without a finite variance. Look at "
            "what was masked, and why."
        )
        raise FrameError(msg)
    return missing


def _flags(frames: tuple[CCDFrame, ...]) -> NDArray[np.uint16]:
    """The flags of all frames together."""
    flags = np.zeros(frames[0].shape, dtype=np.uint16)
    for frame in frames:
        if isinstance(frame.flags, np.ndarray):
            flags |= frame.flags
    return flags
