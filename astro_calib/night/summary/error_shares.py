"""What the error of a pixel of the sky is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astro_calib.frame.frame import CCDFrame

__all__ = ["error_shares", "shares_text"]

#: So many pixels of a frame are enough.
PIXELS = 50_000
#: Pixels within so many standard deviations of the median are sky.
SKY = 2.0
#: Smaller shares are not told.
SMALLEST = 0.001


def error_shares(image: CCDFrame) -> dict[str, float]:
    """
    Return the share of each kind of noise in the variance of the sky's pixels, the largest first.

    Empty if the frame has no pixel that can be used, or no budget.
    """
    piece = image[:: max(1, image.pixels.size // PIXELS)]
    variance, good = piece.variance, usable(piece)
    if variance is None or piece.known_budget is None or not good.any():
        return {}
    good &= np.isfinite(variance) & (variance > 0)
    level = finite_median(piece.pixels[good]) if good.any() else np.nan
    with np.errstate(invalid="ignore"):
        sky = good & (np.abs(piece.pixels - level) < SKY * np.sqrt(variance))
    if not sky.any():
        return {}
    total = float(np.mean(variance[sky], dtype=np.float64))
    parts = {
        name: float(np.mean(np.broadcast_to(part, sky.shape)[sky], dtype=np.float64))
        for name, part in piece.known_budget.variances().items()
    }
    if min(parts.values()) < 0:
        # Where more was subtracted than is there, light has no noise, and the others are the whole.
        parts = {name: max(part, 0.0) for name, part in parts.items()}
        total = sum(parts.values())
    return {name: part / total for name, part in sorted(parts.items(), key=lambda item: -item[1])}


def shares_text(shares: Mapping[str, float]) -> str:
    """
    Return shares as text.

    >>> from astro_calib.night.summary.error_shares import shares_text
    >>> shares_text({"shot noise": 0.8, "read noise": 0.196, "flat": 0.004})
    'shot noise 80%, read noise 19.6%, flat 0.4%'
    """
    return ", ".join(f"{name} {100 * share:.3g}%" for name, share in shares.items() if share >= SMALLEST)
