"""Flags that are known before any correction: saturated and bad pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.arguments import as_mask
from astro_calib.detector.detector import as_detector
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.steps.amplifiers import PerAmplifier, sections_in
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["FlagBadPixels", "FlagSaturated", "flag_bad_pixels", "flag_saturated"]


class FlagSaturated(LinearStep):
    """The step of `flag_saturated`."""

    name = "saturation"

    def __init__(self, detector: Detector) -> None:
        self.detector = as_detector(detector, "flag_saturated")

    def apply(self, frame: FrameSoFar) -> None:
        """Set the flags."""
        if frame.dtype.kind == "f" and not frame.has_numbers:
            msg = f"{frame.name}: no pixel is a finite number; the file holds no image that could be calibrated."
            raise FrameError(msg)
        frame.flag_lost(DataQuality.NO_DATA)
        levels = self.detector.saturations()
        if all(level is None for level in levels):
            return
        if frame.unit != u.adu:
            msg = f"{frame.name} is in {frame.unit}; saturated pixels are found in the raw frame, in adu."
            raise u.UnitConversionError(msg)
        found = [np.nan if level is None else level for level in levels]
        of_all = np.nan if self.detector.saturation is None else float(self.detector.saturation.value)
        if len(set(levels)) == 1:
            frame.flag_from(found[0], DataQuality.SATURATED)
        else:
            sections = sections_in(frame, self.detector)
            frame.flag_from(PerAmplifier(sections, tuple(found), frame.shape, of_all), DataQuality.SATURATED)


class FlagBadPixels(LinearStep):
    """The step of `flag_bad_pixels`."""

    name = "bad_pixels"

    def __init__(self, bad_pixels: ArrayLike) -> None:
        self.bad_pixels = bad_pixels

    def apply(self, frame: FrameSoFar) -> None:
        """Set the flag."""
        bad = as_mask("the map of bad pixels", self.bad_pixels)
        if bad.shape != frame.shape:
            msg = (
                f"{frame.name} has shape {frame.shape}, the map of bad pixels {bad.shape}; give a map of the trimmed "
                "frame."
            )
            raise ShapeMismatchError(msg)
        frame.flag(bad, DataQuality.BAD)


def flag_saturated(ccd: CCDFrame, detector: Detector) -> CCDFrame:
    """
    Flag pixels at or above the saturation level, and pixels that are not numbers.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A raw frame in adu, before anything was subtracted: saturation is a property of the digitised value.
    detector : Detector
        With its ``saturation`` or those of its amplifiers; without any only pixels that are not numbers are flagged.

    Returns
    -------
    CCDFrame
        With `DataQuality.SATURATED` and `DataQuality.NO_DATA` set and masked where they apply.

    Raises
    ------
    FrameError
        If no pixel is a number.
    astropy.units.UnitConversionError
        If the frame is not in adu.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import CCDFrame, Detector, flag_saturated
    >>> camera = Detector(
    ...     gain=2 * u.electron / u.adu,
    ...     read_noise=5 * u.electron,
    ...     saturation=65000 * u.adu,
    ... )
    >>> flag_saturated(CCDFrame([[100, 65535]], unit="adu"), camera).flags
    array([[0, 4]], dtype=uint16)
    """
    return FlagSaturated(detector)(ccd)


def flag_bad_pixels(ccd: CCDFrame, bad_pixels: ArrayLike) -> CCDFrame:
    """
    Flag the detector's bad pixels.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame.
    bad_pixels : array_like of bool, shape (ny, nx)
        True where a pixel is bad.

    Returns
    -------
    CCDFrame
        With `DataQuality.BAD` set and masked there.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.

    Examples
    --------
    >>> from astro_calib import CCDFrame, flag_bad_pixels
    >>> flag_bad_pixels(
    ...     CCDFrame([[1.0, 2.0]], unit="adu"), [[True, False]]
    ... ).mask
    array([[ True, False]])
    """
    return FlagBadPixels(bad_pixels)(ccd)
