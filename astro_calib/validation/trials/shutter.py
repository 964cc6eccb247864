"""Trials of a shutter that is slower for some pixels than for others: its map, and what is corrected with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.characterize.shutter import shutter_map
from astro_calib.validation.trials.draws import READ_NOISE, digitised
from astro_calib.validation.trials.packages import detector
from astro_calib.validation.trials.rows import box, pixel, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.validation.trial import Trial
    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS"]

CAMERA = detector()
SHAPE, SIDE = (48, 48), 4
#: By how much the exposure is longer, seconds: an iris that is open in the middle for longer than at the edges.
ACROSS = np.linspace(-1, 1, SHAPE[1])
DELAY = 0.03 - 0.02 * (ACROSS**2 + ACROSS[:, np.newaxis] ** 2)
SENSITIVITY = np.random.default_rng(6).normal(1, 0.03, SHAPE)
#: Electrons a second of lamp and sky; seconds of short and long flats, of flats and of science frames.
LAMP, SKY = 5000.0, 2000.0
SHORT, LONG, FLAT, SCIENCE = 1.0, 8.0, 3.0, 0.5
#: How many of each, and how many biases.
NUMBERS = {SHORT: 4, LONG: 2, FLAT: 3}
BIASES = 3
LEVEL = SKY * SCIENCE


class Exposed(NamedTuple):
    """Raw frames of each exposure, the biases and the science frames apart, and the place of `Drawn`."""

    biases: Sequence[NDArray[np.uint16]]
    lamp: dict[float, list[NDArray[np.uint16]]]
    science: Sequence[NDArray[np.uint16]]
    place: NDArray[np.float64]


def draw(rng: np.random.Generator, number: int) -> Exposed:
    """So many science frames, and what their masters are made of."""

    def exposed(rate: float, seconds: float, many: int) -> list[NDArray[np.uint16]]:
        light = rate * SENSITIVITY * (seconds + DELAY)
        return [digitised(rng, light, SHAPE, read_noise=READ_NOISE) for _ in range(many)]

    lamp = {seconds: exposed(LAMP, seconds, many) for seconds, many in NUMBERS.items()}
    return Exposed(exposed(0.0, 0.0, BIASES), lamp, exposed(SKY, SCIENCE, number), rng.random(2))


def mapped(package: Package, drawn: Exposed) -> tuple[Any, Any]:
    """The map of the shutter, and the bias."""
    bias = package.combine([package.calibrated(package.raw(one), CAMERA, light=False) for one in drawn.biases])
    short, long = (
        [package.calibrated(package.raw(one, seconds), CAMERA, bias=bias) for one in drawn.lamp[seconds]]
        for seconds in (SHORT, LONG)
    )
    return shutter_map(short, long, lamp=0), bias


def map_alone(package: Package, drawn: Exposed) -> Any:
    """The map of the shutter."""
    return mapped(package, drawn)[0]


def corrected(package: Package, drawn: Exposed) -> Any:
    """The science frames, or their stack, with a flat that was corrected with the same map."""
    shutter, bias = mapped(package, drawn)
    masters = {"bias": bias, "shutter": shutter}
    flats = [package.calibrated(package.raw(one, FLAT), CAMERA, **masters) for one in drawn.lamp[FLAT]]
    masters |= {"flat": package.combine(flats), "norm_value": LAMP * FLAT}
    frames = [package.calibrated(package.raw(one, SCIENCE), CAMERA, **masters) for one in drawn.science]
    return frames[0] if len(frames) == 1 else package.combine(frames)


def trial(what: str, number: int, reduce: Any, truth: Any, of: Any, realisations: int, tolerance: float) -> Trial:
    """A trial of the shutter."""
    drawn = partial(draw, number=number)
    attributes: dict[str, Any] = {"realisations": realisations, "tolerance": tolerance, "ccdproc": False}
    return row("shutter", what, drawn, reduce, truth, of=of, **attributes)


TRIALS = (
    trial("map from flats of 1 s and 8 s: pixel", 0, map_alone, DELAY, pixel(), 100, 0.01),
    trial("frame of 0.5 s, its flat corrected, too: pixel", 1, corrected, LEVEL, pixel(), 100, 0.01),
    trial("frame of 0.5 s: sum over 4 x 4 pixels", 1, corrected, LEVEL, box(SIDE, SIDE), 200, 0.02),
    trial("stack of 10: pixel", 10, corrected, LEVEL, pixel(), 60, 0.01),
    trial("stack of 10: sum over 4 x 4 pixels", 10, corrected, LEVEL, box(SIDE, SIDE), 120, 0.02),
)
