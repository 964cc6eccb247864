"""Trials of the gain's uncertainty, which all pixels of an amplifier and all frames of a detector share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.detector.detector import GAIN_UNIT, Amplifier, Detector
from astro_calib.steps import create_deviation, gain_correct
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw
from astro_calib.validation.trials.boxes import box_errors, box_errors_of_ccddata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["TRIALS"]

#: Relative standard uncertainty of a gain, and the light on each pixel, electron: both bring an error of 50.
UNCERTAINTY, SKY = 0.02, 2500.0
SHAPE = (8, 8)
#: For sums over columns and rows, where the gain's error adds up: uncertainties, and shape.
OF_COLUMNS, OF_ROWS = 0.0016, 0.004
LARGE = (32, 32)
COLUMN, ROW = (32, 1), (1, 32)
#: Gains of the amplifiers of a detector, each with as many columns as the others: electron / adu.
GAINS = np.array([1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6])


class Measured(NamedTuple):
    """
    Raw frames, and the gains that were measured for the detector: not those that it has.

    Gains and their relative uncertainty; and the place of `boxes.Drawn`.
    """

    frames: list[NDArray[np.uint16]]
    gains: NDArray[np.float64]
    uncertainty: float
    place: NDArray[np.float64]

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        true: NDArray[np.float64],
        number: int = 1,
        shape: tuple[int, int] = SHAPE,
        uncertainty: float = UNCERTAINTY,
    ) -> Measured:
        """So many frames of one detector."""
        gain = np.repeat(true, shape[1] // true.size)
        frames = [raw.digitised(rng, SKY, shape, gain=gain) for _ in range(number)]
        gains = true * (1 + uncertainty * rng.standard_normal(true.size))
        return cls(frames, gains, uncertainty, rng.random(2))

    def detector(self) -> Detector:
        """What the user knows of the detector."""
        uncertainties = self.uncertainty * self.gains
        if self.gains.size == 1:
            return raw.detector(self.gains[0], gain_uncertainty=uncertainties[0])
        rows, columns = self.frames[0].shape
        width = columns // self.gains.size
        return Detector(
            amplifiers=tuple(
                Amplifier(
                    gain=gain * GAIN_UNIT,
                    read_noise=raw.READ_NOISE * u.electron,
                    gain_uncertainty=uncertainty * GAIN_UNIT,
                    data_section=raw.section((0, rows), (index * width, (index + 1) * width)),
                )
                for index, (gain, uncertainty) in enumerate(zip(self.gains, uncertainties, strict=True))
            )
        )

    def in_electrons(self) -> list[CCDFrame]:
        """The frames, with their noise."""
        camera = self.detector()
        frames = [raw.frame(pixels) - raw.PEDESTAL * u.adu for pixels in self.frames]
        return [create_deviation(gain_correct(ccd, camera), camera) for ccd in frames]


def one(rng: np.random.Generator, **attributes: Any) -> Measured:
    """A frame of a detector with one amplifier."""
    return Measured.draw(rng, np.array([raw.GAIN]), **attributes)


def several(rng: np.random.Generator, **attributes: Any) -> Measured:
    """The same of a detector with several amplifiers."""
    return Measured.draw(rng, GAINS, **attributes)


def pixels(measured: Measured) -> Errors:
    """Errors of the pixels."""
    (ccd,) = measured.in_electrons()
    return raw.errors(ccd, SKY)


def pixels_by_ccdproc(measured: Measured) -> Errors:
    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(measured.frames[0]), gain=measured.gains[0])
    return ccdproc_way.errors(ccd, SKY)


def sums(measured: Measured, box: tuple[int, int]) -> Errors:
    """Errors of the sums over columns, or over rows, which go through all amplifiers."""
    (ccd,) = measured.in_electrons()
    return box_errors(ccd, box, SKY, measured.place)


def sums_by_ccdproc(measured: Measured, box: tuple[int, int]) -> Errors:
    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(measured.frames[0]), gain=measured.gains[0])
    return box_errors_of_ccddata(ccd, box, SKY)


def both(measured: Measured) -> Errors:
    """Errors of the pixels of the sum of two frames."""
    first, second = measured.in_electrons()
    return raw.errors(first + second, 2 * SKY)


TRIALS = (
    Trial(
        step="gain",
        what="uncertain gain: pixel",
        draw=one,
        reduce=pixels,
        with_ccdproc=pixels_by_ccdproc,
        realisations=18500,
    ),
    Trial(
        step="gain",
        what="uncertain gain: sum over a column",
        draw=partial(one, shape=LARGE, uncertainty=OF_COLUMNS),
        reduce=partial(sums, box=COLUMN),
        with_ccdproc=partial(sums_by_ccdproc, box=COLUMN),
        realisations=4500,
    ),
    Trial(
        step="gain",
        what="eight amplifiers: sum over a row",
        draw=partial(several, shape=LARGE, uncertainty=OF_ROWS),
        reduce=partial(sums, box=ROW),
        realisations=4300,
    ),
    Trial(
        step="gain",
        what="sum of two frames of eight amplifiers: pixel",
        draw=partial(several, number=2),
        reduce=both,
        realisations=5800,
    ),
)
