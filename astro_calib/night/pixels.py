"""The pixels of a frame that can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.stack.levels import median_of_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["finite_median", "masked", "usable"]


def usable(frame: CCDFrame) -> NDArray[np.bool_]:
    """
    Return where a pixel of a frame is finite and not masked.

    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night.pixels import usable
    >>> usable(CCDFrame([[1.0, float("nan"), 3.0]], unit="adu", mask=[[False, False, True]]))
    array([[ True, False, False]])
    """
    finite: NDArray[np.bool_] = np.isfinite(frame.pixels)
    return finite if frame.mask is None else finite & ~np.asarray(frame.mask, dtype=bool)


def masked(frame: CCDFrame, values: NDArray[Any] | None = None) -> NDArray[Any]:
    """
    Return a frame's data, or other values for its pixels, with NaN where the frame cannot be used.

    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night.pixels import masked
    >>> masked(CCDFrame([[1.0, 2.0]], unit="adu", mask=[[False, True]]))
    array([[ 1., nan]])
    """
    return np.where(usable(frame), frame.pixels if values is None else values, np.nan)


def finite_median(values: Any) -> float:
    """The median of the values that are finite; NaN if there are none."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(median_of_pixels(finite)) if finite.size else float("nan")
