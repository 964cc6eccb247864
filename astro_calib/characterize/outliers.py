"""Which values stand out: hits, and pixels that have more dark current than those around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CLIP", "clipped", "hot_pixels", "smooth"]

#: Values of a pixel that are further from the others than this many standard deviations are hits.
CLIP = 5.0
#: So many values are enough to find how they scatter.
SAMPLE = 100_000
#: Side of the box whose median is the dark current around a pixel, pixels.
BOX = 7


def smooth(values: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[Any]:
    """The image without what is narrower than a few pixels; where it is not good it counts as it is elsewhere."""
    from scipy.ndimage import median_filter

    filled = values if good.all() else np.where(good, values, np.median(values[good]))
    return np.asarray(median_filter(filled, size=BOX, mode="reflect"))


def hot_pixels(
    excess: NDArray[Any], good: NDArray[np.bool_], threshold: float, error: NDArray[Any] | float = 0.0
) -> NDArray[np.bool_]:
    """
    Which pixels have more dark current than those around them.

    Parameters
    ----------
    excess : ndarray, shape (ny, nx)
        Dark current above that of the pixels around.
    good : ndarray of bool, shape (ny, nx)
        Where it is known.
    threshold : float
        In standard errors, and in standard deviations of the pixels.
    error : ndarray or float
        Standard error of that.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        False where the rate is not known.
    """
    if not good.any():
        return np.zeros(excess.shape, np.bool_)
    spread = clipped(excess[good])[1]
    with np.errstate(invalid="ignore"):
        return np.asarray(good & (excess > threshold * np.maximum(error, spread)))


def clipped(values: NDArray[Any]) -> tuple[float, float]:
    """Mean and standard deviation without hits; right for whole numbers, too, as those by a median are not."""
    from astropy.stats import sigma_clipped_stats

    # A part of them tells where hits begin.
    some = np.asarray(values[:: max(1, values.size // SAMPLE)], np.float64)
    _, middle, scatter = sigma_clipped_stats(some, sigma=CLIP, maxiters=10)
    kept = values[np.abs(values - middle) <= CLIP * scatter]
    return float(kept.mean(dtype=np.float64)), float(kept.std(dtype=np.float64))
