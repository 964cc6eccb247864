"""What subtracting a bias, subtracting a dark and dividing by a flat have in common."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import NUMBERS, check_unit, described
from astro_calib.detector.header_values import as_seconds
from astro_calib.errors import FrameError, ShapeMismatchError, warn
from astro_calib.frame.lending import lent, master_of
from astro_calib.frame.rebuild import as_frame
from astro_calib.masters.master import converted
from astro_calib.steps.applied import was_done
from astro_calib.steps.gain import gain_correct

if TYPE_CHECKING:
    from astropy.nddata import CCDData

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.facts import FrameFacts

__all__ = ["as_master", "check_exposure", "check_master", "exposure", "in_electrons", "master_to_apply", "with_applied"]

#: What a frame is divided by as it is.
DIVISORS = ("flat", "illumination")
#: No frame is exposed for longer, the sum of many frames included: three years.
LONGEST_EXPOSURE = 1e8 * u.s


def as_master(master: Any, kind: str) -> CCDFrame:
    """
    The master as a CCDFrame.

    Raises
    ------
    FrameError
        If it is no image, or only numbers with a unit, which have no header to tell what they are.
    """
    if isinstance(master, u.Quantity):
        msg = (
            f"the master {kind} is {described(master)}; expected a CCDFrame or a CCDData. Write CCDFrame(array), or "
            "subtract a number as frame - 1000 * u.adu."
        )
        raise FrameError(msg)
    return as_frame(master, f"the master {kind}")


def master_to_apply(master: Any, kind: str) -> CCDFrame:
    """
    The master as it is applied, for the time of a calculation.

    Raises
    ------
    FrameError
        As for `as_master`.
    """
    return lent(as_master(master, kind))


def in_electrons(master: Any, kind: str, detector: Detector) -> CCDFrame:
    """
    The master as it is applied; in electrons, if it was combined from frames in adu.

    Its pixels are multiplied once for all frames.
    """
    master = master_to_apply(master, kind)
    if master.unit != u.adu:
        return master
    given = tuple(detector.gain_identity(index) for index in range(len(detector.amplifiers)))
    made: CCDFrame = master.cached("electrons", given, lambda: gain_correct(master, detector))
    gains = [float(amplifier.gain.value) for amplifier in detector.amplifiers]
    return converted(master, made, u.electron, gains[0] if len(gains) == 1 else None)


def check_master(ccd: FrameFacts, master: CCDData, kind: str) -> CCDFrame:
    """
    The master as it is applied, once it is clear that it fits the frame.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    FrameError
        If the master is not a frame, holds no number, or was applied to the frame before.
    """
    master = as_master(master, kind)
    if master.shape != ccd.shape:
        msg = (
            f"{ccd.name} has shape {ccd.shape}, the master {kind} ({master.name}) has {master.shape}; trim both to the "
            "same section, and make masters from frames of the same size and binning."
        )
        raise ShapeMismatchError(msg)
    if not any(np.isfinite(row).any() for row in np.atleast_1d(master.pixels)):
        msg = f"the master {kind} ({master.name}) holds no finite number."
        raise FrameError(msg)
    master = lent(master)
    _check_not_applied(ccd, master, kind)
    return master


def _check_not_applied(ccd: FrameFacts, master: CCDFrame, kind: str) -> None:
    """Refuse the same master a second time, and say that another of its kind was applied."""
    if not ccd.history.applied:
        return
    identity = master_of(master).identity
    before = [of_kind for of_kind, known in ccd.history.applied if known == identity]
    # Exact masters are told apart by their pixels alone, and a bias of zeros is no dark of zeros. Of any other a bias
    # that is given as a dark is subtracted twice as well.
    once = kind if kind in before else next(iter(before), None)
    if once is not None and once != kind and master.known_budget is None:
        if np.any(master.pixels != master.pixels[0, 0]):
            warn(
                f"{ccd.name} was {_done(once)} a master {once} of the same pixels as the master {kind} ({master.name}) "
                "has. Give each its own frame, unless this is meant."
            )
    elif once is not None:
        # A frame divided by a map in seconds means nothing.
        twice = f"; if twice is what you mean, write frame {'/' if kind in DIVISORS else '-'} master"
        msg = (
            f"{ccd.name} was {_done(once)} this master {once} ({master.name}) already. Leave it out here"
            f"{twice * (kind != 'shutter')}."
        )
        raise FrameError(msg)
    if not was_done(ccd, kind):
        return
    meant = " This is right only for a correction on top of it, such as that of an illumination." * (kind == "flat")
    msg = f"{ccd.name} was {_done(kind)} another master {kind} before it was given {master.name}.{meant}"
    warn(msg)


def _done(kind: str) -> str:
    """What a master of a kind does to a frame, in the past."""
    return "divided by" if kind in DIVISORS else "corrected with"


def with_applied(result: Any, ccd: FrameFacts, master: CCDFrame, kind: str) -> Any:
    """The result, which remembers the master beside those that were applied to the frame before."""
    applied = (*ccd.history.applied, (kind, master_of(master).identity))
    result.history = dataclasses.replace(result.history, applied=applied)
    return result


def exposure(
    ccd: FrameFacts, keyword: Any, unit: Any, instead: str = "data_exposure= and dark_exposure= as quantities"
) -> u.Quantity:
    """
    The exposure time in a frame's header, under a name or a `ccdproc.Keyword`; ``instead`` is another way to tell it.

    Raises
    ------
    FrameError
        If the keyword is missing, or its value is no positive number.
    """
    keyword = getattr(keyword, "name", keyword)
    if not isinstance(keyword, str):
        msg = f"exposure_time is {described(keyword)}; expected the keyword of the header, such as 'EXPTIME'."
        raise TypeError(msg)
    given, unit = unit, check_unit("exposure_unit", unit, "u.s")
    if not unit.is_equivalent(u.s) or isinstance(given, u.Quantity):
        msg = f"exposure_unit is {unit}; expected a unit of time, such as u.s."
        raise u.UnitConversionError(msg)
    value = ccd.meta.get(keyword)
    if value is None:
        msg = (
            f"{ccd.name}: no exposure time: the header has no {keyword}. Name the right keyword with "
            f"exposure_time=, or give {instead} in the step's own function."
        )
        raise FrameError(msg)
    seconds = as_seconds(value, unit.to(u.s))
    if seconds is None:
        msg = f"{ccd.name}: {keyword} = {value!r} is no exposure time; expected a number that is not negative."
        raise FrameError(msg)
    return check_exposure(f"{ccd.name} ({keyword} = {value!r})", seconds * u.s)


def check_exposure(what: str, time: u.Quantity) -> u.Quantity:
    """
    An exposure time, once it is clear that it is one.

    Raises
    ------
    FrameError
        If it is not a finite time of zero or more, or longer than any exposure.
    """
    if not isinstance(time, u.Quantity):
        example = f"{time} * u.s" if isinstance(time, NUMBERS) and not isinstance(time, bool) else "60 * u.s"
        msg = f"the exposure time of {what} is {described(time)}; expected a time with its unit: write {example}."
        raise u.UnitTypeError(msg)
    if not time.unit.is_equivalent(u.s):
        msg = (
            f"the exposure time of {what} is {time}; expected a time, such as {time.value} * u.s, or u.min for minutes."
        )
        raise u.UnitConversionError(msg)
    if not (np.isscalar(time.value) and np.isfinite(time.value) and time >= 0 * u.s):
        msg = f"the exposure time of {what} is {time}; expected a finite time that is not negative."
        raise FrameError(msg)
    if time > LONGEST_EXPOSURE:
        msg = f"the exposure time of {what} is {time}, which is years; expected a time in seconds. Correct the header."
        raise FrameError(msg)
    return time
