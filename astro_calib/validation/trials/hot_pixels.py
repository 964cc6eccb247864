"""Trials of a dark whose amplitude is fitted to hot pixels, because the temperature was another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.validation.trials.draws import DARK_TIME, digitised
from astro_calib.validation.trials.packages import detector
from astro_calib.validation.trials.rows import pixel, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors, Trial
    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS"]

CAMERA = detector()
SHAPE, NUMBER = (48, 48), 90
#: Electrons in the dark, in ordinary pixels and at least in hot ones, and how much more there is in the frames.
ORDINARY, LEAST, AMPLITUDE = 40.0, 500.0, 1.3
SKY, DARKS = 100.0, 4


class Warm(NamedTuple):
    """Raw biases, darks and frames that were warmer, and which pixels are hot."""

    biases: Sequence[NDArray[np.uint16]]
    darks: Sequence[NDArray[np.uint16]]
    frames: Sequence[NDArray[np.uint16]]
    hot: NDArray[np.bool_]


def draw(rng: np.random.Generator, number: int) -> Warm:
    """So many frames of the sky, with other hot pixels each time."""
    current, hot = np.full(SHAPE, ORDINARY), np.zeros(SHAPE, dtype=bool)
    hot.flat[rng.choice(hot.size, NUMBER, replace=False)] = True
    current[hot] += LEAST * np.minimum(rng.pareto(1.2, NUMBER) + 1, 40)
    biases, darks = ([digitised(rng, light, SHAPE) for _ in range(DARKS)] for light in (np.zeros(SHAPE), current))
    return Warm(biases, darks, [digitised(rng, SKY + AMPLITUDE * current, SHAPE) for _ in range(number)], hot)


def subtracted(package: Package, drawn: Warm) -> Any:
    """The frame less its dark, or the stack of several."""
    bias = package.combine([package.calibrated(package.raw(one), CAMERA, light=False) for one in drawn.biases])
    darks = [package.calibrated(package.raw(one, DARK_TIME), CAMERA, bias=bias) for one in drawn.darks]
    masters = {"bias": bias, "dark": package.combine(darks), "dark_amplitude": "fit"}
    frames = [package.calibrated(package.raw(one, DARK_TIME), CAMERA, **masters) for one in drawn.frames]
    return frames[0] if len(frames) == 1 else package.combine(frames)


def sum_of_ordinary(_package: Package, frame: Any, truth: float, drawn: Warm) -> Errors:
    """The error of the sum over all pixels that are not hot."""
    weights = np.where(drawn.hot, 0.0, 1.0)
    made = float(np.sum((np.asarray(frame.data, dtype=np.float64) - truth) * weights))
    return made, frame.known_budget.variance_of_sum(weights)


def trial(what: str, number: int, of: Any, realisations: int, tolerance: float) -> Trial:
    """A trial of the amplitude of a dark."""
    attributes: dict[str, Any] = {"realisations": realisations, "tolerance": tolerance, "ccdproc": False}
    return row("dark amplitude", what, partial(draw, number=number), subtracted, SKY, of=of, **attributes)


# A frame is one sum, and 2% would take five thousand of them.
TRIALS = (
    trial("fitted to 90 hot pixels: ordinary pixel", 1, pixel(lambda drawn: ~drawn.hot), 60, 0.01),
    trial("fitted to 90 hot pixels: sum over all ordinary pixels", 1, sum_of_ordinary, 1250, 0.06),
    trial("stack of 10: ordinary pixel", 10, pixel(lambda drawn: ~drawn.hot), 60, 0.01),
    trial("stack of 10: sum over all ordinary pixels", 10, sum_of_ordinary, 480, 0.12),
)
