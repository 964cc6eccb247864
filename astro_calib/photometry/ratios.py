"""The signal-to-noise ratios of stars before and after calibration, as charts and pictures compare them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RATIOS", "Compared", "compared"]

#: The two kinds of ratios: the columns of a table of stars, before and after, and what they are in words.
RATIOS = {
    "predicted": ("snr_before", "snr", "flux / its predicted error"),
    "empirical": ("snr_empirical_before", "snr_empirical", "flux / scatter of empty apertures"),
}
#: The axes reach beyond the smallest and the largest by this factor.
ROOM = 1.3


class Compared(NamedTuple):
    """
    The ratios of the stars that have both.

    Attributes
    ----------
    before, after : ndarray of float64
        Those of the same stars.
    limits : (float, float)
        Of both axes.
    change : float
        The median of after over before.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    limits: tuple[float, float]
    change: float


def compared(before: Any, after: Any) -> Compared | None:
    """Return the ratios of the stars that have both; None if there is no such star, or they are beyond all bounds."""
    before, after = (np.asarray(values, dtype=np.float64) for values in (before, after))
    good = np.isfinite(before) & np.isfinite(after) & (before > 0) & (after > 0)
    before, after = before[good], after[good]
    if not before.size:
        return None
    low, high = float(min(before.min(), after.min())) / ROOM, float(max(before.max(), after.max())) * ROOM
    if not 0 < low < high < math.inf:
        return None
    with np.errstate(over="ignore"):
        return Compared(before, after, (low, high), float(np.median(after / before)))
