"""The noise that a frame of each kind brings to the flux of a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.characterize.calibration_plan import KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Conditions", "PixelSums", "pixel_sums"]

#: Where in a pixel a star's centre may be: averages over these stand for all places, by symmetry.
PLACES = (0.125, 0.375)


class PixelSums(NamedTuple):
    """
    Sums over the pixels of aperture minus annulus, with weights w and the part p of the target's light in a pixel.

    The light in the aperture is one; `peak` is the most that a pixel can have of it.
    """

    ww: float
    wwp: float
    wwpp: float
    peak: float

    def of_square(self, constant: float, slope: float) -> float:
        """The sum of w^2 (constant + slope p)^2."""
        return constant**2 * self.ww + 2 * constant * slope * self.wwp + slope**2 * self.wwpp


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is observed with what: rates in electron / s, levels in electrons, times in seconds."""

    flux: float
    sky: float
    dark: float
    level: float
    lamp: float
    read_out: float
    read_variance: float
    gain_uncertainty: float
    sums: PixelSums

    def peak_rate(self) -> float:
        """Electrons a second in the brightest pixel of the target."""
        return self.flux * self.sums.peak + self.sky + self.dark

    def costs(self, t: float, dark_t: float) -> dict[str, float]:
        """Seconds for a frame of each kind."""
        exposures = {"science": t, "biases": 0.0, "darks": dark_t, "flats": self.lamp}
        return {kind: exposures[kind] + self.read_out for kind in KINDS if kind != "darks" or self.dark}

    def variances(self, t: float, dark_t: float) -> dict[str, float]:
        """The variance of the target's flux that one frame of each kind brings, as in `plan_calibration`."""
        sums, level = self.sums, self.level
        target, sky = self.flux * t, self.sky * t
        ratio, of_flat = (t / dark_t, self.lamp / dark_t) if self.dark else (0.0, 0.0)
        own = self.read_variance + self.dark * t
        found = {
            "science": target * sums.wwp + (sky + own) * sums.ww,
            "biases": self.read_variance
            * sums.of_square(ratio - 1 + (1 - of_flat) * sky / level, (1 - of_flat) * target / level),
            "flats": (self.read_variance + self.dark * self.lamp + level) * sums.of_square(sky, target) / level**2,
        }
        if self.dark:
            of_square = sums.of_square(ratio - of_flat * sky / level, -of_flat * target / level)
            found["darks"] = (self.read_variance + self.dark * dark_t) * of_square
        return {kind: found[kind] for kind in KINDS if kind in found}


def pixel_sums(fwhm: float, radius: float, annulus: tuple[float, float]) -> PixelSums:
    """The sums over a Gaussian target, on average over where in a pixel its centre is."""
    from scipy.special import erf

    half = int(np.ceil(annulus[1])) + 2
    pixels = np.arange(-half, half + 1)
    scale = np.sqrt(4 * np.log(2)) / fwhm

    def light(x: float, y: float) -> NDArray[np.float64]:
        along = [(erf((pixels + 0.5 - c) * scale) - erf((pixels - 0.5 - c) * scale)) / 2 for c in (y, x)]
        return np.asarray(np.outer(*along))

    found, enclosed = [], []
    for y in PLACES:
        for x in PLACES:
            inside = _overlap(radius, x, y, half)
            distance = np.hypot(*np.meshgrid(pixels - x, pixels - y))
            ring = (distance >= annulus[0]) & (distance <= annulus[1])
            weights = inside - ring * (inside.sum() / np.count_nonzero(ring))
            image = light(x, y)
            enclosed.append(np.sum(inside * image))
            part = image / enclosed[-1]
            found.append([np.sum(weights**2 * part**power) for power in range(3)])
    ww, wwp, wwpp = np.mean(found, axis=0)
    return PixelSums(float(ww), float(wwp), float(wwpp), float(light(0.0, 0.0).max() / np.mean(enclosed)))


def _overlap(radius: float, x: float, y: float, half: int) -> NDArray[np.float64]:
    """The part of each pixel that is inside of a circle."""
    from photutils.geometry import circular_overlap_grid

    edge, size = half + 0.5, 2 * half + 1
    return np.asarray(circular_overlap_grid(-edge - x, edge - x, -edge - y, edge - y, size, size, radius, 1, 1))
