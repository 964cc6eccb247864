"""Divide by how unevenly the sky lights the detector once a flat has been divided by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import described
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.header import forget_levels
from astro_calib.steps.master import as_master, check_master, with_applied
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["CorrectIllumination", "illuminated_flat", "illumination_correct"]


class CorrectIllumination(LinearStep):
    """The step of `illumination_correct`."""

    name = "illumination"

    def __init__(self, illumination: CCDFrame) -> None:
        self.illumination = illumination

    def apply(self, frame: FrameSoFar) -> None:
        """Divide by the illumination."""
        master = check_master(frame, self.illumination, "illumination")
        _check_divisor(master)
        step = frame.digital_step
        frame.divide(master, kind="illumination")
        frame.forget_origin(step)
        forget_levels(frame.edited_meta())
        with_applied(frame, frame, master, "illumination")


def illumination_correct(ccd: CCDFrame, illumination: CCDFrame) -> CCDFrame:
    r"""
    Divide a flat-fielded frame by the illumination, which says what the flat's lamp did not light as the sky does.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to correct, flat-fielded.
    illumination : CCDFrame, shape (ny, nx)
        As `~astro_calib.characterize.illumination` makes it.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        In the unit and the type of ``ccd``.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    FrameError
        If the illumination has a unit, or is not positive somewhere, or the frame was divided by it before, also as a
        part of an `illuminated_flat`.

    Notes
    -----
    The noise of the illumination is that of a few numbers, each common to all pixels and to all frames that it is
    divided by: it does not average down, neither over an aperture nor over a stack.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, illumination_correct
    >>> image = CCDFrame(np.array([[90.0, 110.0]]), unit="electron")
    >>> illumination_correct(
    ...     image, CCDFrame(np.array([[0.9, 1.1]]), unit="")
    ... ).pixels.round(2)
    array([[100., 100.]])
    """
    return CorrectIllumination(illumination)(ccd)


def illuminated_flat(flat: CCDFrame, illumination: CCDFrame) -> CCDFrame:
    """
    Make one master flat of two: the small scales are those of a flat, the large ones those of the sky.

    Parameters
    ----------
    flat : CCDFrame, shape (ny, nx)
        The master flat that the frames of the illumination were divided by, such as that of a dome.
    illumination : CCDFrame, shape (ny, nx)
        As `~astro_calib.characterize.illumination` makes it.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        Their product, in the unit of the flat, with the noise of both in its budget.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    FrameError
        If the illumination has a unit, or is not positive somewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, illuminated_flat
    >>> dome = CCDFrame(np.array([[900.0, 1000.0]]), unit="electron")
    >>> illuminated_flat(
    ...     dome, CCDFrame(np.array([[1.1, 0.9]]), unit="")
    ... ).pixels.round(1)
    array([[990., 900.]])
    """
    flat, illumination = as_frame(flat, "the flat").snapshot(), as_master(illumination, "illumination")
    if flat.shape != illumination.shape:
        msg = (
            f"the flat ({flat.name}) has shape {flat.shape}, the illumination ({illumination.name}) has "
            f"{illumination.shape}; make both from frames of the same size and binning."
        )
        raise ShapeMismatchError(msg)
    _check_divisor(illumination)
    result: CCDFrame = flat.multiply(illumination, handle_meta="first_found")
    result.name = f"{flat.name} with {illumination.name}"
    return with_applied(result, flat, illumination, "illumination")


def _check_divisor(illumination: Any) -> None:
    unit = illumination.unit
    if unit is not None and str(unit) != "":
        msg = (
            f"the illumination ({illumination.name}) is in {described(unit)}; expected one without a unit, and of mean "
            "one, as characterize.illumination makes it. Divide sky flats by their flat first."
        )
        raise FrameError(msg)
    if not np.min(illumination.pixels) > 0:
        msg = (
            f"the illumination ({illumination.name}) has pixels that are not positive, or no numbers; expected light "
            "in all of them, as characterize.illumination makes it. Put 1 there, and give these pixels as bad_pixels= "
            "to calibrate."
        )
        raise FrameError(msg)
