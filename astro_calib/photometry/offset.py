"""How far the stars of one frame lie from those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["offset_between"]

#: So many of the brightest stars of each frame are looked at.
BRIGHTEST = 50
#: Pairs of the same stars have the same offset but for this much, in pixels.
ALIKE = 1.0
#: Fewer pairs than this, or less than this part of the stars, may have the same offset by chance.
FEWEST, PART = 3, 0.3
#: Where this part of that many pairs have another offset, either may be that of what stays on the detector.
RIVAL = 0.6


def offset_between(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """
    Return the median offset (x, y) of the stars of a second frame from those of a first; None if they are not the same.

    Both have shape (n, 2), the brightest first. The offset is that which most pairs of stars have.

    >>> import numpy as np
    >>> from astro_calib.photometry.offset import offset_between
    >>> stars = np.random.default_rng(1).uniform(0, 500, (20, 2))
    >>> offset_between(stars, stars + [0.25, -0.5]).round(2)
    array([ 0.25, -0.5 ])
    >>> offset_between(
    ...     stars, np.random.default_rng(2).uniform(0, 500, (20, 2))
    ... ) is None
    True
    """
    from scipy.spatial import KDTree

    first, second = first[:BRIGHTEST], second[:BRIGHTEST]
    needed = max(FEWEST, PART * min(len(first), len(second)))
    if min(len(first), len(second)) < needed:
        return None
    offsets = (second[np.newaxis] - first[:, np.newaxis]).reshape(-1, 2)
    around = KDTree(offsets).query_ball_point(offsets, ALIKE)
    most = max(around, key=len)
    found: NDArray[np.float64] = np.median(offsets[most], axis=0)
    far = np.hypot(*(offsets - found).T) > 2 * ALIKE
    rival = max((len(near) for near, other in zip(around, far, strict=True) if other), default=0)
    return found if len(most) >= needed and rival < max(FEWEST, RIVAL * len(most)) else None
