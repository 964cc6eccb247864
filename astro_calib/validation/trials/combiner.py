"""A stack by ccdproc, for comparison."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.nddata import CCDData

__all__ = ["combined_by_ccdproc"]


def combined_by_ccdproc(
    frames: Sequence[CCDData],
    *,
    method: str = "mean",
    clip: str | None = None,
    sigma: float | tuple[float, float] = 3.0,
    extremes: tuple[int, int] = (1, 1),
    weights: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
) -> CCDData:
    """
    A stack by `ccdproc.Combiner`, with the arguments of `astro_calib.combine`.

    Rejection is about the median, and by the median absolute deviation of the sample, as ccdproc's guide has it:
    ccdproc knows no other sigma. The error is the one that ccdproc gives.
    """
    import ccdproc

    combiner = ccdproc.Combiner(frames)
    if scale is not None:
        combiner.scaling = np.asarray(scale, dtype=float)
    if weights is not None:
        combiner.weights = np.asarray(weights, dtype=float)
    if clip == "minmax":
        combiner.clip_extrema(*extremes)
    elif clip is not None:
        lower, upper = np.broadcast_to(sigma, 2)
        combiner.sigma_clipping(low_thresh=lower, high_thresh=upper, func="median", dev_func="mad_std")
    combined = {"mean": combiner.average_combine, "median": combiner.median_combine, "sum": combiner.sum_combine}[
        method
    ]
    with warnings.catch_warnings():
        # Pixels of which no value is left are masked in the result, and numpy says so besides.
        warnings.simplefilter("ignore", RuntimeWarning)
        return combined()
