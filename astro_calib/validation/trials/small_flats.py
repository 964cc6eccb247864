"""Trials of a flat so small that its noise, and that of its mean, matter in sums over the frame."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from astro_calib.steps import flat_correct
from astro_calib.steps.sequence import calibrate
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw
from astro_calib.validation.trials.boxes import Drawn, box_errors, box_errors_of_ccddata

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

__all__ = ["TRIALS"]

SHAPE, CAMERA = (6, 6), raw.detector()
#: Light of the sky and of the lamp, electron: the flat brings a fifth of the variance of a pixel.
SKY, LAMP = 400.0, 1500.0


def draw(rng: np.random.Generator) -> Drawn:
    """A frame and a flat of a camera whose pixels are all alike."""
    return Drawn.at_random(rng, [raw.digitised(rng, light, SHAPE) for light in (SKY, LAMP)])


def sums(drawn: Drawn, norm_value: float | None) -> Errors:
    """Errors of the sums over the frame."""
    ccd, flat = (calibrate(raw.frame(pixels), CAMERA, pedestal=raw.PEDESTAL) for pixels in drawn.frames)
    return box_errors(flat_correct(ccd, flat, norm_value=norm_value), SHAPE, SKY, drawn.place)


def sums_by_ccdproc(drawn: Drawn, norm_value: float | None) -> Errors:
    ccd, flat = (ccdproc_way.in_electrons(ccdproc_way.frame(pixels)) for pixels in drawn.frames)
    return box_errors_of_ccddata(ccdproc_way.flattened(ccd, flat, norm_value=norm_value), SHAPE, SKY)


def trial(what: str, norm_value: float | None, **attributes: Any) -> Trial:
    return Trial(
        step="flat",
        what=f"6 x 6 pixels, {what}",
        draw=draw,
        reduce=partial(sums, norm_value=norm_value),
        with_ccdproc=partial(sums_by_ccdproc, norm_value=norm_value),
        **attributes,
    )


# A frame is one number, and 1% would take four times as many of them. The mean that a flat is divided by is taken as
# independent of its pixels, which only adds to the error of a sum.
TRIALS = (
    trial("norm_value given: sum over the frame", LAMP, realisations=19000, tolerance=0.02),
    trial(
        "divided by their mean: sum over the frame, an upper limit",
        None,
        realisations=1000,
        tolerance=0.1,
        limit=True,
    ),
)
