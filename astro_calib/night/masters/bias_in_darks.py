"""The signal in frames whose bias only the darks tell: the pattern of the bias is none, and has no shot noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.night.headers.values import parse_section

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.plan.plan import Plan

__all__ = ["signal_model"]

#: A pixel of a dark that is above the others by more than so many times their scatter is hot, and not a pattern.
HOT = 5.0


def signal_model(raw: CCDFrame, plan: Plan, detector: Detector, dark: CCDFrame | None) -> NDArray[Any]:
    """
    Return the electrons that a raw frame has collected, each of which brings shot noise.

    Those of a dark are the level of its ordinary pixels, and all of what hot ones have. Those of another frame are what
    is above its dark, and what this has collected. ``dark`` is None for a dark.
    """
    pixels = raw.pixels if plan.trim is None else raw.pixels[parse_section(plan.trim)]
    pedestal = plan.pedestal or 0.0
    electrons = (pixels - np.float32(pedestal)) * np.float32(detector.amplifiers[0].gain.value)
    if dark is None:
        return _collected(electrons)
    return np.maximum(electrons - dark.pixels + _collected(dark.pixels), 0)


def _collected(dark: NDArray[Any]) -> NDArray[Any]:
    """The electrons of the dark current, as far as they can be told from the pattern of the bias."""
    from astropy.stats import mad_std

    level = float(np.nanmedian(dark))
    hot = dark > level + HOT * float(mad_std(dark, ignore_nan=True))
    return np.where(hot, dark, np.float32(max(level, 0.0)))
