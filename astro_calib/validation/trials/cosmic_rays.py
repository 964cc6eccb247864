"""
Trials of the repair of cosmic rays, whose error is a limit: nobody can know what was under a hit.

The variance of a repaired pixel is the scatter of the pixels around it. On a smooth sky, where the mean of these is a
good guess, that is too much; on the flank of a star it is about right.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.flags import DataQuality
from astro_calib.steps import cosmicray_lacosmic
from astro_calib.steps.sequence import calibrate
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TRIALS"]

SHAPE, CAMERA = (48, 48), raw.detector()
#: Light of the sky, of a star's brightest pixel, and of a hit, electron; standard deviation of a star's light, pixels.
SKY, PEAK, HIT, WIDTH = 100.0, 1000.0, 3000.0, 2.0


class Sky(NamedTuple):
    """A raw frame, its light (electron), and where it was hit."""

    pixels: NDArray[np.uint16]
    light: NDArray[np.float64]
    hit: NDArray[np.bool_]


def draw(rng: np.random.Generator, peak: float) -> Sky:
    """Hits of one pixel anywhere but at the edges, and stars on a grid."""
    y, x = (np.mod(axis, 16) - 8 for axis in np.mgrid[: SHAPE[0], : SHAPE[1]])
    light = SKY + peak * np.exp(-(x**2 + y**2) / (2 * WIDTH**2))
    hit = np.zeros(SHAPE, dtype=bool)
    hit[tuple(rng.integers(4, np.array(SHAPE)[:, np.newaxis] - 4, (2, 8)))] = True
    return Sky(raw.digitised(rng, light + HIT * hit, SHAPE), light, hit)


def repaired(sky: Sky) -> Errors:
    """Errors of the pixels that were hit and repaired."""
    ccd = cosmicray_lacosmic(calibrate(raw.frame(sky.pixels), CAMERA, pedestal=raw.PEDESTAL))
    found = sky.hit & ((ccd.flags & np.uint16(DataQuality.COSMIC_RAY)) != 0)
    errors, variances = raw.errors(ccd, sky.light)
    return errors[found], variances[found]


def repaired_by_ccdproc(sky: Sky) -> Errors:
    import ccdproc

    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(sky.pixels))
    cleaned = ccdproc.cosmicray_lacosmic(ccd, readnoise=raw.READ_NOISE, gain_apply=False)
    found = sky.hit & cleaned.mask
    errors, variances = ccdproc_way.errors(cleaned, sky.light)
    return errors[found], variances[found]


def trial(where: str, peak: float) -> Trial:
    """A trial of hits on stars of some brightness."""
    return Trial(
        step="cosmic rays",
        what=f"repaired pixel {where}, an upper limit",
        draw=partial(draw, peak=peak),
        reduce=repaired,
        with_ccdproc=repaired_by_ccdproc,
        realisations=200,
        tolerance=0.1,
        limit=True,
    )


TRIALS = (
    trial("of a smooth sky", 0.0),
    trial("among stars of 4.7 pixels", PEAK),
)
