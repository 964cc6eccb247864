"""Trials of `create_deviation`: read noise, digitisation, and amplifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.detector.detector import GAIN_UNIT, Amplifier, Detector
from astro_calib.steps import create_deviation, gain_correct
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TRIALS"]

SHAPE = (48, 48)
#: A gain so large that digitisation is a good part of the noise: electron / adu. Light, electron.
GAIN, SKY = 8.0, 20.0
CAMERA = raw.detector(GAIN)
#: A converter of 12 bits whose values are stored in 16: adu. Its light goes through several steps, electron.
STEP = 16
SLOPE = np.linspace(200.0, 200.0 + 4 * STEP * raw.GAIN, SHAPE[1], endpoint=False)
#: Of the amplifiers, each with twelve columns: electron / adu, electron.
GAINS, READ_NOISES = (1.0, 2.0, 5.0, 8.0), (3.0, 12.0, 6.0, 9.0)
AMPLIFIERS = Detector(
    amplifiers=tuple(
        Amplifier(
            gain=gain * GAIN_UNIT,
            read_noise=read_noise * u.electron,
            data_section=raw.section((0, SHAPE[0]), (12 * index, 12 * index + 12)),
        )
        for index, (gain, read_noise) in enumerate(zip(GAINS, READ_NOISES, strict=True))
    )
)


def coarse(rng: np.random.Generator) -> NDArray[np.uint16]:
    """A sky on the camera of large gain."""
    return raw.digitised(rng, SKY, SHAPE, gain=GAIN)


def in_adu(pixels: NDArray[np.uint16]) -> Errors:
    """Errors of the pixels in digital units."""
    ccd = create_deviation(raw.frame(pixels) - raw.PEDESTAL * u.adu, CAMERA)
    return raw.errors(ccd, SKY / GAIN)


def in_adu_by_ccdproc(pixels: NDArray[np.uint16]) -> Errors:
    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(pixels), gain=GAIN)
    return (ccd.data - SKY) / GAIN, ccdproc_way.variance(ccd) / GAIN**2


def in_electrons(pixels: NDArray[np.uint16], camera: Detector = CAMERA) -> Errors:
    """Errors of the pixels in electrons."""
    ccd = create_deviation(gain_correct(raw.frame(pixels) - raw.PEDESTAL * u.adu, camera), camera)
    return raw.errors(ccd, SKY)


def in_steps(rng: np.random.Generator) -> NDArray[np.uint16]:
    """A sky of 12 bits in 16."""
    return raw.digitised(rng, SLOPE, SHAPE, step=STEP)


def of_steps(pixels: NDArray[np.uint16]) -> Errors:
    """Errors of the pixels in electrons, after a multiplication that the digital step has to follow."""
    half = (raw.frame(pixels) - raw.PEDESTAL * u.adu).multiply(0.5)
    camera = raw.detector(2 * raw.GAIN)
    return raw.errors(create_deviation(gain_correct(half, camera), camera), SLOPE)


def in_electrons_by_ccdproc(pixels: NDArray[np.uint16]) -> Errors:
    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(pixels), gain=GAIN)
    return ccdproc_way.errors(ccd, SKY)


def of_each_amplifier(pixels: NDArray[np.uint16]) -> Errors:
    """Errors of the pixels in units of their true sigma: the right one, at the wrong amplifier, is wrong."""
    errors, variances = in_electrons(pixels, AMPLIFIERS)
    true = np.repeat(np.square(READ_NOISES) + np.square(GAINS) / 12 + SKY, 12)
    return np.asarray(errors) / np.sqrt(true), np.asarray(variances) / true


def of_amplifiers(rng: np.random.Generator) -> NDArray[np.uint16]:
    """A sky on a detector of several amplifiers."""
    return raw.digitised(rng, SKY, SHAPE, gain=np.repeat(GAINS, 12), read_noise=np.repeat(READ_NOISES, 12))


TRIALS = (
    Trial(
        step="deviation",
        what="in adu, 8 electrons a step: pixel",
        draw=coarse,
        reduce=in_adu,
        with_ccdproc=in_adu_by_ccdproc,
        realisations=100,
    ),
    Trial(
        step="deviation",
        what="in electrons, 8 a step: pixel",
        draw=coarse,
        reduce=in_electrons,
        with_ccdproc=in_electrons_by_ccdproc,
        realisations=100,
    ),
    Trial(
        step="deviation",
        what="digital steps of 16 adu: pixel",
        draw=in_steps,
        reduce=of_steps,
        realisations=100,
    ),
    Trial(
        step="deviation",
        what="four amplifiers: pixel over its true sigma",
        draw=of_amplifiers,
        reduce=of_each_amplifier,
        realisations=100,
    ),
)
