"""What the error of a pixel of the sky is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.noise.shares import PIXELS, mean_parts
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame

__all__ = ["error_shares"]

#: Pixels within so many standard deviations of the median are sky.
SKY = 2.0


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
    parts = mean_parts(piece.known_budget, sky)
    if min(parts.values()) < 0:
        # Where more was subtracted than is there, light has no noise, and the others are the whole.
        parts = {name: max(part, 0.0) for name, part in parts.items()}
        total = sum(parts.values())
    return {name: part / total for name, part in parts.items()}
