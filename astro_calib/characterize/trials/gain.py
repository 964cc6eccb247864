"""Trials of the gain's uncertainty, which all pixels of an amplifier and all frames of a detector share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.characterize.trial import Errors, Trial
from astro_calib.characterize.trials import ccdproc_way, raw
from astro_calib.detector import GAIN_UNIT, Amplifier, Detector
from astro_calib.steps import create_deviation, gain_correct

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = ["TRIALS"]

#: Relative standard uncertainty of a gain, and the light on each pixel, electron: both bring an error of 50.
UNCERTAINTY, SKY = 0.02, 2500.0
SHAPE = (4, 4)
#: Gains of the amplifiers of a detector, each with a column of its own: electron / adu.
GAINS = np.array([1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6])


class Measured(NamedTuple):
    """Raw frames, and the gains that were measured for the detector: not those that it has."""

    frames: list[NDArray[np.uint16]]
    gains: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, true: NDArray[np.float64], number: int) -> Measured:
        """So many frames of one detector."""
        frames = [raw.digitised(rng, SKY, (SHAPE[0], max(SHAPE[1], true.size)), gain=true) for _ in range(number)]
        return cls(frames, true * (1 + UNCERTAINTY * rng.standard_normal(true.size)))

    def detector(self) -> Detector:
        """What the user knows of the detector."""
        uncertainties = UNCERTAINTY * self.gains
        if self.gains.size == 1:
            return raw.detector(self.gains[0], gain_uncertainty=uncertainties[0])
        return Detector(
            amplifiers=tuple(
                Amplifier(
                    gain=gain * GAIN_UNIT,
                    read_noise=raw.READ_NOISE * u.electron,
                    gain_uncertainty=uncertainty * GAIN_UNIT,
                    data_section=raw.section((0, SHAPE[0]), (index, index + 1)),
                )
                for index, (gain, uncertainty) in enumerate(zip(self.gains, uncertainties, strict=True))
            )
        )

    def in_electrons(self) -> list[CCDFrame]:
        """The frames, with their noise."""
        camera = self.detector()
        frames = [raw.frame(pixels) - raw.PEDESTAL * u.adu for pixels in self.frames]
        return [create_deviation(gain_correct(ccd, camera), camera) for ccd in frames]


def one(rng: np.random.Generator) -> Measured:
    """A frame of a detector with one amplifier."""
    return Measured.draw(rng, np.array([raw.GAIN]), 1)


def pair(rng: np.random.Generator) -> Measured:
    """Two frames of a detector with several amplifiers."""
    return Measured.draw(rng, GAINS, 2)


def pixels(measured: Measured) -> Errors:
    """Errors of the pixels."""
    (ccd,) = measured.in_electrons()
    return raw.errors(ccd, SKY)


def pixels_by_ccdproc(measured: Measured) -> Errors:
    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(measured.frames[0]), gain=measured.gains[0])
    return ccdproc_way.errors(ccd, SKY)


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
        realisations=16500,
    ),
    Trial(
        step="gain",
        what="sum of two frames of eight amplifiers: pixel",
        draw=pair,
        reduce=both,
        realisations=3900,
    ),
)
