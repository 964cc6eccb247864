"""Whether the sky of a calibrated frame is below zero: then more was subtracted than is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.summary.frame_summary import FrameSummary

__all__ = ["below_zero", "doubts_of_level"]

#: So many pixels of a frame are enough.
PIXELS = 50_000
#: A level is below zero if it is so by more than this many errors of a median, and by more than this part of the error
#: of a pixel: a bias may drift a little from frame to frame.
SURE, DRIFT = 5.0, 0.3
#: The error of a median over that of a mean.
MEDIAN = 1.2533


def below_zero(image: CCDFrame) -> float:
    """
    Return how far the level of the sky is below zero, in the unit of the frame; 0 if it is not, beyond doubt.

    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night.summary.sky_level import below_zero
    >>> noise = np.random.default_rng(1).normal(0, 10, (64, 64))
    >>> [
    ...     round(
    ...         below_zero(
    ...             CCDFrame(
    ...                 noise + level,
    ...                 unit="electron",
    ...                 uncertainty=np.full((64, 64), 10.0),
    ...             )
    ...         )
    ...     )
    ...     for level in (-120, -1, 50)
    ... ]
    [120, 0, 0]
    """
    piece = image[:: max(1, image.pixels.size // PIXELS)]
    good = usable(piece)
    if not good.any():
        return 0.0
    pixels = piece.pixels[good]
    level = float(finite_median(pixels))
    # What is seen, for where the level is wrong the predicted error is wrong as well; the half below has no stars.
    error = (level - float(np.nanpercentile(pixels, 15.87))) * max(1.0, MEDIAN * SURE / (DRIFT * np.sqrt(pixels.size)))
    return -level if level < -DRIFT * error else 0.0


def doubts_of_level(frames: Iterable[FrameSummary]) -> list[str]:
    """Return what is to be said of frames whose sky is below zero, all of a setup in one sentence."""
    below = [frame for frame in frames if frame.below_zero > 0]
    if not below:
        return []
    levels = sorted(-frame.below_zero for frame in below)
    low, high = (f"{level:.3g}" if abs(level) < 1000 else f"{level:.0f}" for level in (levels[0], levels[-1]))
    names = ", ".join(frame.raw_name for frame in below[:3]) + (f" and {len(below) - 3} more" if len(below) > 3 else "")
    said = (
        f"the sky of {names} is {low if low == high else f'{low} to {high}'} e: more was subtracted than is there, and "
        "the error bars are too small; bias, dark or pedestal are of another setup, temperature or unit, or light fell "
        "into them: look at the levels of the raw frames"
    )
    return [said]
