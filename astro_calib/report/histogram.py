"""How often the pixels of a sky have which value, before and after calibration, and how often they should."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.photometry.sky_noise import SkyNoise

__all__ = ["Histogram", "histogram_of"]

#: So many pixels of a frame are enough.
PIXELS = 150_000
#: A histogram has about so many bins for the width of the noise, and at most so many in all.
BINS_OF_WIDTH, MOST_BINS = 5, 160


class Histogram(NamedTuple):
    """
    Counts of the pixels of a sky around their median, before and after calibration.

    Parameters
    ----------
    start, width : float
        The lower edge of the first bin, and the width of each, in electron; the median is at 0.
    before, after : array of int
        How many pixels are in each bin.
    pixels : int
        How many pixels were looked at, with those beyond the bins.
    spreads : (float, float)
        1.4826 times the median absolute deviation, before and after.
    predicted : float
        The standard deviation that the error bars predict; NaN if it is not known.
    """

    start: float
    width: float
    before: array[int]
    after: array[int]
    pixels: int
    spreads: tuple[float, float]
    predicted: float

    @property
    def edges(self) -> NDArray[np.float64]:
        """The edges of the bins, one more than there are bins."""
        return np.asarray(self.start + self.width * np.arange(len(self.before) + 1), dtype=np.float64)

    @property
    def densities(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The part of all pixels that a bin has for each electron of its width, before and after."""
        before, after = (np.array(counts) / (self.pixels * self.width) for counts in (self.before, self.after))
        return before, after

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest density that a picture shows: every bin that holds a pixel is in sight."""
        filled = np.concatenate([density[density > 0] for density in self.densities])
        return (float(filled.min()) / 2, float(filled.max()) * 2) if filled.size else (0.1, 1.0)

    def curve(self, points: int = 201) -> list[tuple[float, float]]:
        """Points of the Gaussian that is predicted, as far as a picture shows it; none if it is not known."""
        if not (math.isfinite(self.predicted) and self.predicted > 0):
            return []
        edges, lowest = self.edges, self.limits[0]
        x = np.linspace(edges[0], edges[-1], points)
        y = np.exp(-0.5 * (x / self.predicted) ** 2) / (self.predicted * math.sqrt(2 * math.pi))
        return [(float(one), float(other)) for one, other in zip(x, y, strict=True) if other >= lowest]


def histogram_of(
    before: NDArray[Any], after: NDArray[Any], good: NDArray[np.bool_], sky: SkyNoise, step: float
) -> Histogram | None:
    """
    Return the histogram of the good pixels of a frame before and after calibration, in electron; None without any.

    Parameters
    ----------
    before, after : ndarray
        The pixels.
    good : ndarray of bool
        Where both are finite, and nothing but sky.
    sky : SkyNoise
        That of the frame after.
    step : float
        The electrons of a digital step, by which values before differ, if they differ.
    """
    chosen = _places(good)
    if not chosen.size:
        return None
    values = [image.ravel()[chosen].astype(np.float64) for image in (before, after)]
    # Both around 0, because a pedestal and a flat move the level but not what is looked at here.
    # The median is a value that a pixel has, so that the values before are whole steps from it.
    values = [one - np.quantile(one, 0.5, method="nearest") for one in values]
    spreads = _spread(values[0]), _spread(values[1])
    width = sky.predicted if math.isfinite(sky.predicted) and sky.predicted > 0 else spreads[1]
    reach = min(max(4 * spreads[0], 6 * width), 30 * width)
    # Each bin holds as many of the steps as any other, or the histogram would be a comb; its edges are between them.
    steps = max(1, round(max(width / BINS_OF_WIDTH, 2 * reach / MOST_BINS) / step))
    count = math.ceil(reach / (steps * step))
    start, size = (-count * steps - steps // 2 - 0.5) * step, steps * step
    edges = start + size * np.arange(2 * count + 2)
    counts = [array("I", np.histogram(one, edges)[0].tolist()) for one in values]
    return Histogram(start, size, counts[0], counts[1], chosen.size, spreads, float(sky.predicted))


def _places(good: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where to look: at so many good pixels as are enough, spread over the frame and its columns."""
    stride = max(1, good.size // PIXELS)
    # A stride that has a divisor in common with the length of a row would always hit the same columns.
    while math.gcd(stride, good.shape[-1]) > 1:
        stride += 1
    places = np.arange(0, good.size, stride)
    return places[good.ravel()[places]]


def _spread(values: NDArray[Any]) -> float:
    """1.4826 times the median absolute deviation; 1 if all values are equal."""
    from astro_calib.photometry.empty import robust_scatter

    return (robust_scatter(values) if values.size else 0.0) or 1.0
