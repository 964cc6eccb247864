"""Apertures in which there is no star: their sums scatter by the noise alone, predicted or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.photometry.apertures import MAD_TO_SIGMA
from astro_calib.photometry.growth import within_disc

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["empty_positions", "robust_scatter"]

#: So many places are tried for each aperture that is wanted.
TRIES = 30


def empty_positions(
    occupied: NDArray[np.bool_], radius: float, margin: float, number: int, seed: int
) -> NDArray[np.float64]:
    """
    Return up to ``number`` random places (x, y) for apertures that hold no star or missing pixel, and do not overlap.

    The next ``occupied`` pixel is at least ``margin`` pixels from their edge. The same seed gives the same places;
    there are fewer where there is no room.
    """
    rng = np.random.default_rng(seed)
    # Half a pixel for the place within a pixel, half to the edge of the occupied one, rounded up.
    centers = np.flatnonzero(~within_disc(occupied, radius + margin + 1.5, outside=True))
    chosen = rng.choice(centers, min(TRIES * number, centers.size), replace=False)
    y, x = np.unravel_index(chosen, occupied.shape)
    candidates = np.stack([x, y], axis=1) + rng.uniform(-0.5, 0.5, size=(chosen.size, 2))
    places = np.empty((number, 2))
    count = 0
    for candidate in candidates:
        if count == number:
            break
        if np.all(np.sum((places[:count] - candidate) ** 2, axis=1) >= (2 * radius) ** 2):
            places[count] = candidate
            count += 1
    return places[:count]


def robust_scatter(values: NDArray[np.float64]) -> float:
    """
    1.4826 times the median absolute deviation: the standard deviation of Gaussian values, not minding a few others.

    Its own relative standard error for n values is 1.17 over the root of n.
    """
    return MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values))))
