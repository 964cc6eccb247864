"""Trials of the models of the shot noise, each where the mean of its variance is furthest from the truth."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.steps import create_deviation, gain_correct
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["GAIN", "MODELS", "READ_NOISES", "SKIES", "TRIALS", "exposed", "mean_variance", "with_noise"]

MODELS = ("data", "smooth", "array")
SKIES = (0.0, 1.0, 5.0, 20.0, 100.0)
READ_NOISES = (3.0, 5.0, 10.0)
#: electron / adu. Rounding to whole numbers adds its square over 12 to the variance.
GAIN = 1.0
SHAPE = (128, 128)
WORST = READ_NOISES[0]


def exposed(rng: np.random.Generator, sky: float, read_noise: float = WORST) -> NDArray[np.uint16]:
    """A raw frame of a sky."""
    return raw.digitised(rng, sky, SHAPE, gain=GAIN, read_noise=read_noise)


def with_noise(pixels: NDArray[np.uint16], model: str, sky: float, read_noise: float = WORST) -> CCDFrame:
    """The frame in electrons with its noise, after a model; an array is that of the true sky."""
    camera = raw.detector(GAIN, read_noise)
    shot_noise: Any = np.full(SHAPE, sky) if model == "array" else model
    ccd = gain_correct(raw.frame(pixels) - raw.PEDESTAL * u.adu, camera)
    return create_deviation(ccd, camera, shot_noise=shot_noise)


def mean_variance(ccd: CCDFrame) -> float:
    """The mean of the variance over the pixels."""
    assert ccd.variance is not None
    return float(np.mean(ccd.variance, dtype=np.float64))


def pixels(frame: NDArray[np.uint16], model: str, sky: float) -> Errors:
    """Errors of the pixels."""
    return raw.errors(with_noise(frame, model, sky), sky)


def pixels_by_ccdproc(frame: NDArray[np.uint16], sky: float) -> Errors:
    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(frame), gain=GAIN, read_noise=WORST)
    return ccdproc_way.errors(ccd, sky)


def trial(model: str, sky: float, realisations: int, tolerance: float) -> Trial:
    """A trial of a model."""
    return Trial(
        step="shot noise",
        what=f'"{model}" at {sky:g} electrons, read noise {WORST:g}: pixel',
        draw=partial(exposed, sky=sky),
        reduce=partial(pixels, model=model, sky=sky),
        with_ccdproc=partial(pixels_by_ccdproc, sky=sky) if model == "data" else None,
        realisations=realisations,
        tolerance=tolerance,
    )


# Within 0.5% of the variance for the default.
TRIALS = (
    trial("data", 1.0, 100, 0.0025),
    trial("smooth", 5.0, 50, 0.005),
    trial("array", 1.0, 100, 0.0025),
)
