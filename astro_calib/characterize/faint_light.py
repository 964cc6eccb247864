"""
Light that is not the same in two flats, and too faint to be found: stars, above all.

What a star leaves in the difference of two flats adds to its variance, and to its covariances at the distances that a
star is wide. These fall with the distance far more slowly than those of charge that repels charge, so that a fit can
tell the two apart; how much of it there is nobody knows before.
"""

from __future__ import annotations

import numpy as np

from astro_calib.characterize.lags import REACH

__all__ = ["MOST", "shapes"]

#: Standard deviations of stars, pixels: sharp and blurred ones. Others are in between.
WIDTHS = (1.2, 2.4)
#: Part of the shot noise's variance that faint light may be (standard deviation).
MOST = 0.007


def shapes() -> list[np.ndarray]:
    """The covariances that stars of each width leave, of 1 at the distance 0; shape (REACH + 1, REACH + 1), folded."""
    distance = np.hypot(*np.mgrid[: REACH + 1, : REACH + 1])
    # A Gaussian convolved with itself is wider by the root of two.
    return [np.exp(-np.square(distance / width) / 4) for width in WIDTHS]
