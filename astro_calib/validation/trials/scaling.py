"""Trials of flats of different exposure that are scaled to each other before they are combined."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from astropy.nddata import CCDData

from astro_calib.frame.frame import CCDFrame
from astro_calib.stack.combination import combine
from astro_calib.steps import create_deviation
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import raw
from astro_calib.validation.trials.boxes import Drawn, box_errors, box_errors_of_ccddata
from astro_calib.validation.trials.combiner import combined_by_ccdproc

__all__ = ["TRIALS"]

#: Electrons in each pixel of the flats: the faintest is multiplied by 7, and with it the error of its level.
LEVELS = (1000.0, 4000.0, 16000.0)
LEVEL = float(np.mean(LEVELS))
#: Of a flat: so few pixels that the error of its level is a twelfth of that of a pixel, and moves with it.
SHAPE = (12, 12)
FUNCTIONS: dict[str, Any] = {"mean": np.mean, "median": np.median}


def _draw(rng: np.random.Generator) -> Drawn:
    """Flats in electrons."""
    shape = (len(LEVELS), *SHAPE)
    flats = rng.poisson(np.reshape(LEVELS, (-1, 1, 1)), shape) + raw.READ_NOISE * rng.standard_normal(shape)
    return Drawn.at_random(rng, flats)


def _stack(drawn: Drawn, box: tuple[int, int], scale: str, **options: Any) -> Errors:
    camera = raw.detector()
    flats = [create_deviation(CCDFrame(values, unit="electron"), camera) for values in drawn.frames]
    return box_errors(combine(flats, scale=scale, **options), box, LEVEL, drawn.place)


def _stack_by_ccdproc(drawn: Drawn, box: tuple[int, int], scale: str, **options: Any) -> Errors:
    levels = FUNCTIONS[scale](drawn.frames, axis=(1, 2))
    flats = [CCDData(values, unit="electron") for values in drawn.frames]
    stack = combined_by_ccdproc(flats, scale=levels.mean() / levels, **options)
    return box_errors_of_ccddata(stack, box, LEVEL)


def _trial(what: str, box: tuple[int, int], scale: str, realisations: int, tolerance: float, **options: Any) -> Trial:
    bound = {"box": box, "scale": scale, **options}
    return Trial(
        step="combine",
        what=f"{options.get('method', 'mean')} of 3 unequal flats scaled by their {scale}s: {what}",
        draw=_draw,
        reduce=partial(_stack, **bound),
        with_ccdproc=partial(_stack_by_ccdproc, **bound),
        realisations=realisations,
        tolerance=tolerance,
    )


#: The level is a median of like values, and known to 2%; a median of the flats is one of very unlike frames.
TRIALS = (
    _trial("pixel", (1, 1), "mean", 600, 0.01),
    _trial("sum over 4 x 4 pixels", (4, 4), "mean", 9500, 0.01),
    _trial("pixel", (1, 1), "median", 200, 0.02),
    _trial("sum over 4 x 4 pixels", (4, 4), "median", 2300, 0.02),
    _trial("pixel", (1, 1), "median", 60, 0.05, method="median"),
    _trial("sum over 4 x 4 pixels", (4, 4), "median", 400, 0.05, method="median"),
)
