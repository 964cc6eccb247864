"""Correct for a shutter that exposes some pixels for longer than others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u

from astro_calib.errors import FrameError
from astro_calib.masters.shutter import exposed_part
from astro_calib.steps.header import forget_levels
from astro_calib.steps.master import check_exposure, check_master, exposure, with_applied
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["CorrectShutter", "shutter_correct"]


class CorrectShutter(LinearStep):
    """The step of `shutter_correct`."""

    name = "shutter"

    def __init__(
        self,
        shutter: CCDFrame,
        *,
        data_exposure: u.Quantity | None = None,
        exposure_time: Any = "EXPTIME",
        exposure_unit: Any = u.s,
    ) -> None:
        self.shutter, self.data_exposure = shutter, data_exposure
        self.exposure_time, self.exposure_unit = exposure_time, exposure_unit

    def apply(self, frame: FrameSoFar) -> None:
        """Divide by the part of the exposure time that each pixel was exposed for."""
        shutter = check_master(frame, self.shutter, "shutter")
        if self.data_exposure is None:
            time = exposure(frame, self.exposure_time, self.exposure_unit, "data_exposure= as a quantity")
        else:
            time = check_exposure(frame.name, self.data_exposure)
        seconds = float(time.to_value(u.s))
        if seconds == 0:
            msg = f"{frame.name} has an exposure time of 0; the shutter was not open, and there is nothing to correct."
            raise FrameError(msg)
        step = frame.digital_step
        frame.divide(exposed_part(shutter, seconds))
        frame.forget_origin(step)
        forget_levels(frame.edited_meta())
        with_applied(frame, frame, shutter, "shutter")


def shutter_correct(
    ccd: CCDFrame,
    shutter: CCDFrame,
    *,
    data_exposure: u.Quantity | None = None,
    exposure_time: Any = "EXPTIME",
    exposure_unit: Any = u.s,
) -> CCDFrame:
    r"""
    Correct a frame for a shutter that opens and closes at different times over the frame.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to correct, bias and dark already subtracted: only light is cut off by the shutter. Flats need it,
        too, before they are combined.
    shutter : CCDFrame, shape (ny, nx)
        By how much each pixel is exposed for longer than the header says, such as
        `~astro_calib.characterize.shutter_map` makes it. Without uncertainty it counts as exact.
    data_exposure : Quantity, optional
        The exposure time of the frame.
    exposure_time : str or ccdproc.Keyword
        Header keyword of the exposure time, if that is not given.
    exposure_unit : unit
        Unit of the exposure time in the header.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        What the frame would be if all pixels had been exposed for the time in the header, in the unit and the type of
        ``ccd``. Pixels that were exposed for less than 1% of it are flagged `DataQuality.NO_DATA` and masked, those
        whose exposure has a relative error above 5% are flagged `DataQuality.UNCERTAIN_DIVISOR`.

    Raises
    ------
    FrameError
        If the exposure time is missing or zero, the map is in no unit of time, or it was applied to the frame before.
    ShapeMismatchError
        If the shapes differ.

    Notes
    -----
    With the exposure time t and the map d, :math:`z = r\,t/(t + d)`, :math:`\partial z/\partial r = t/(t + d)` and
    :math:`\partial z/\partial d = -z/(t + d)` (JCGM 100:2008, eq. 13). The noise of the map is shared by all frames
    that it is applied to: it does not average down in their stack, and that of a flat and a frame of one exposure time
    cancels.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, shutter_correct
    >>> def frame(values, sigma, unit):
    ...     return CCDFrame(
    ...         np.array([values]),
    ...         unit=unit,
    ...         uncertainty=StdDevUncertainty(np.full((1, 2), sigma)),
    ...     )
    >>> shutter = frame([0.0, 0.25], 0.01, "s")
    >>> image = shutter_correct(
    ...     frame([100.0, 125.0], 10.0, "electron"),
    ...     shutter,
    ...     data_exposure=1 * u.s,
    ... )
    >>> image.data
    array([[100., 100.]])
    >>> np.sqrt(image.variance).round(2)
    array([[10.05,  8.04]])
    """
    return CorrectShutter(
        shutter, data_exposure=data_exposure, exposure_time=exposure_time, exposure_unit=exposure_unit
    )(ccd)
