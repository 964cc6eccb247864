"""Which pixels of a frame show nothing but sky."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.steps.blocks import Blocks

__all__ = ["excess_of_clipping", "objects_on", "without_outliers"]

#: Pixels further than this from the sky are left out, in their own sigmas.
CLIP = 3.0
#: Something is on the frame where the mean of 3 x 3 pixels is further from the sky than this, in robust sigmas.
OBJECT = 4.0
#: So many pixels around it are left out as well.
GROW = 2
MAD = 1.4826


def excess_of_clipping() -> float:
    """The variance of the mean of Gaussian values within ``CLIP`` sigmas of it, over that of a mean of as many."""
    inside = math.erf(CLIP / math.sqrt(2))
    return inside / (inside - 2 * CLIP * math.exp(-(CLIP**2) / 2) / math.sqrt(2 * math.pi))


def objects_on(residual: NDArray[Any], good: NDArray[np.bool_], step: int = 1) -> NDArray[np.bool_]:
    """Where something is on a frame less its sky, or missing: its scatter is told from every n-th row and column."""
    from scipy.ndimage import binary_dilation, uniform_filter

    smooth = uniform_filter(np.where(good, residual, residual.dtype.type(0)), 3)
    some = smooth[::step, ::step][good[::step, ::step]]
    scatter = MAD * float(np.median(np.abs(some))) if some.size else 0.0
    # Both ways, so that what chance makes of an empty sky is left out evenly.
    far = np.abs(smooth) > OBJECT * scatter
    return binary_dilation(far, np.ones((3, 3), dtype=bool), iterations=GROW) if far.any() else far


def without_outliers(
    blocks: Blocks, residual: NDArray[Any], good: NDArray[np.bool_], variances: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The good pixels of a frame less its sky without objects and outliers, from the variances of pixels by block."""
    step = blocks.step
    sigmas = blocks.spread(np.sqrt(variances)).astype(residual.dtype)
    with np.errstate(invalid="ignore"):
        some = np.abs(residual[::step, ::step] / sigmas[::step, ::step])[good[::step, ::step]]
        # Where the sky has a structure of its own, such as fringes, both sides of it are kept.
        wider = max(1.0, MAD * float(np.median(some))) if some.size else 1.0
        near = np.abs(residual) <= residual.dtype.type(CLIP * wider) * sigmas
    return good & near & ~objects_on(residual, good, blocks.step)
