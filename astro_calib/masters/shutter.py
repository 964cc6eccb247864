"""How much longer or shorter than it should each pixel is exposed: a map of the shutter made ready to divide by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.lending import lend_pixels, lent, master_of
from astro_calib.frame.operands import flagged_uncertain
from astro_calib.frame.rebuild import with_quality
from astro_calib.masters.master import with_noise_named

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame

__all__ = ["exposed_part"]

#: A pixel that is exposed for less than this part of the exposure time has no usable signal.
LEAST_PART = 0.01


def exposed_part(shutter: CCDFrame, seconds: float) -> CCDFrame:
    """
    The part (t + d) / t of an exposure time that each pixel is exposed for, and one where it is next to nothing.

    Kept with the map: all frames of one exposure time refer to one array.

    Parameters
    ----------
    shutter : CCDFrame, shape (ny, nx)
        By how much the exposure of each pixel is longer, in a unit of time.
    seconds : float
        The exposure time.

    Raises
    ------
    FrameError
        If the map is in no unit of time.
    """
    if not shutter.unit.is_equivalent(u.s):
        msg = (
            f"the map of the shutter ({shutter.name}) is in {str(shutter.unit) or 'no unit'}; expected a time for each "
            "pixel, such as characterize.shutter_map makes it."
        )
        raise FrameError(msg)
    shutter = lent(shutter)
    result: CCDFrame = shutter.cached("exposed part", (seconds,), lambda: _exposed_part(shutter, seconds))
    return lend_pixels(result, master_of(shutter), {"array": "exposed part", "seconds": seconds})


def _exposed_part(shutter: CCDFrame, seconds: float) -> CCDFrame:
    per_exposure = float(shutter.unit.to(u.s)) / seconds
    data = floating(shutter.pixels)
    part: Any = data * data.dtype.type(per_exposure)
    part += 1
    with np.errstate(invalid="ignore"):
        unusable = ~(part >= LEAST_PART)
    part[unusable] = 1
    part.flags.writeable = False
    budget = with_noise_named(shutter, "shutter").known_budget
    if budget is not None:
        budget = budget.scaled(per_exposure, 1, part - 1).shifted(1.0, part)
    result = shutter.replace(part, budget, unit=u.dimensionless_unscaled)
    if unusable.any():
        result = with_quality(result, unusable, DataQuality.NO_DATA)
    result.flags = flagged_uncertain(result.flags, result, result.shape)
    return result
