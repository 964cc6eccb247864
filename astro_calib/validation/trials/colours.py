"""Trials of frames of a colour sensor, whose flats are of a lamp that is redder than the sky."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.detector.bayer import places
from astro_calib.steps.planes import colour_planes
from astro_calib.validation.trials.draws import PEDESTAL, SENSITIVITY, SHAPE, Drawn, digitised
from astro_calib.validation.trials.packages import detector
from astro_calib.validation.trials.rows import pixel, row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from astro_calib.validation.trial import Trial
    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS"]

CAMERA = detector()
PATTERN = "GRBG"
#: Electrons of a lamp and of a sky, in each colour.
LAMP: Mapping[str, float] = {"R": 9000.0, "G1": 2600.0, "G2": 2500.0, "B": 700.0}
SKY: Mapping[str, float] = {"R": 200.0, "G1": 420.0, "G2": 410.0, "B": 310.0}
#: Frames that share a flat, and flats.
SCIENCE, FLATS = 10, 3


def mosaic(levels: Mapping[str, float]) -> NDArray[np.float64]:
    """An image with one level for each colour."""
    image = np.empty(SHAPE)
    for colour, (first_row, first_column) in places(PATTERN).items():
        image[first_row::2, first_column::2] = levels[colour]
    return image


def of_mean_one(sensitivity: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sensitivity of the pixels in units of that of their colour."""
    result = sensitivity.copy()
    for first_row, first_column in places(PATTERN).values():
        item = slice(first_row, None, 2), slice(first_column, None, 2)
        result[item] /= result[item].mean()
    return result


PIXELS = of_mean_one(SENSITIVITY)


def night(rng: np.random.Generator, science: int) -> Drawn:
    """Flats, and science frames behind them."""
    light = [mosaic(LAMP) * PIXELS] * FLATS + [mosaic(SKY) * PIXELS] * science
    return Drawn([digitised(rng, one, SHAPE, pedestal=PEDESTAL) for one in light], rng.random(2))


def stack_of_planes(package: Package, drawn: Drawn, colour: str) -> Any:
    """The mean of one colour of all science frames, divided by one flat."""
    frames = [package.raw(pixels) for pixels in drawn.frames]
    for frame in frames:
        frame.meta["BAYERPAT"] = PATTERN
    flat = package.combine([package.calibrated(frame, CAMERA) for frame in frames[:FLATS]])
    planes = [colour_planes(package.calibrated(frame, CAMERA, flat=flat))[colour] for frame in frames[FLATS:]]
    return planes[0] if len(planes) == 1 else package.combine(planes)


TRIALS: tuple[Trial, ...] = tuple(
    row(
        "colours",
        f"{what}, flat of a red lamp, {name}: pixel",
        partial(night, science=science),
        partial(stack_of_planes, colour=colour),
        SKY[colour],
        of=pixel(),
        ccdproc=False,
        realisations=100,
        tolerance=0.01,
    )
    for what, science in (("one frame", 1), (f"mean of {SCIENCE}", SCIENCE))
    for colour, name in (("R", "red"), ("G1", "green"), ("B", "blue"))
)
