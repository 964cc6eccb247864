"""Trials of `correct_linearity`: shot noise that the detector compresses, and a correction that is itself uncertain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.characterize.trial import Errors, Trial
from astro_calib.characterize.trials import raw
from astro_calib.detector import GAIN_UNIT, Detector
from astro_calib.linearity import Linearity, LinearityPolynomial, LinearityTable
from astro_calib.steps import correct_linearity, create_deviation, gain_correct

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TRIALS"]

GAIN, READ_NOISE = 1.5, 30.0
#: The true correction, x (1 + a1 x + a2 x**2), and the largest signal for which it is known; powers of adu.
COEFFICIENTS, LIMIT = np.array([1e-6, 3e-11]), 50000.0
#: Covariance of the coefficients as they are measured.
SIGMAS, CORRELATION = np.array([2.0e-7, 5.0e-12]), -0.8
COVARIANCE = np.outer(SIGMAS, SIGMAS) * np.array([[1, CORRELATION], [CORRELATION, 1]])
#: Signals at which the correction was measured, and the error of each; adu.
NODES, NODE_SIGMA = np.linspace(0, LIMIT, 6), 120.0


def correction(measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """The true signal of a measured one, both in adu net of pedestal."""
    return measured * (1 + COEFFICIENTS[0] * measured + COEFFICIENTS[1] * measured**2)


def response(true: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the detector makes of a signal, by Newton's method."""
    measured = true.copy()
    for _ in range(6):
        slope = 1 + 2 * COEFFICIENTS[0] * measured + 3 * COEFFICIENTS[1] * measured**2
        measured -= (correction(measured) - true) / slope
    return measured


class Exposed(NamedTuple):
    """A raw frame, its light (electron), and the correction that the user knows."""

    pixels: NDArray[np.uint16]
    light: NDArray[np.float64]
    linearity: Linearity


def exposed(rng: np.random.Generator, light: NDArray[np.float64], linearity: Linearity) -> Exposed:
    """A frame of a detector that compresses what was collected, before it is read."""
    measured = response(rng.poisson(light) / GAIN) + READ_NOISE / GAIN * rng.standard_normal(light.shape)
    return Exposed(np.rint(raw.PEDESTAL + measured).astype(np.uint16), light, linearity)


def by_exact_polynomial(rng: np.random.Generator) -> Exposed:
    """A bright frame, and the true correction."""
    light = np.full((48, 48), 60000.0)
    return exposed(rng, light, LinearityPolynomial(list(COEFFICIENTS), limit=LIMIT * u.adu))


def by_polynomial(rng: np.random.Generator) -> Exposed:
    """Three levels of light, and a polynomial whose coefficients are off."""
    light = np.repeat([[20000.0], [40000.0], [60000.0]], 8, axis=1)
    coefficients = COEFFICIENTS + SIGMAS * correlated(rng)
    return exposed(rng, light, LinearityPolynomial(list(coefficients), limit=LIMIT * u.adu, covariance=COVARIANCE))


def correlated(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two correlated numbers of unit variance."""
    first, second = rng.standard_normal(2)
    return np.array([first, CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second])


def by_table(rng: np.random.Generator) -> Exposed:
    """Levels of light between the nodes of a table, and a table whose values are off."""
    # Between its nodes the table is straight: the light is put where that is no error, on a node and near it.
    truth = correction(NODES)
    values = truth + NODE_SIGMA * rng.standard_normal(NODES.size) * (NODES > 0)
    uncertainties = np.full(NODES.size, NODE_SIGMA) * (NODES > 0)
    light = np.repeat(GAIN * truth[1:5, np.newaxis], 8, axis=1)
    table = LinearityTable(NODES * u.adu, values * u.adu, uncertainties * u.adu)
    return exposed(rng, light, table)


def pixels(frame: Exposed) -> Errors:
    """Errors of the pixels, in electrons."""
    camera = Detector(gain=GAIN * GAIN_UNIT, read_noise=READ_NOISE * u.electron, linearity=frame.linearity)
    ccd = gain_correct(raw.frame(frame.pixels) - raw.PEDESTAL * u.adu, camera)
    ccd = correct_linearity(create_deviation(ccd, camera), camera)
    return raw.errors(ccd, frame.light)


def trial(what: str, draw: Any, realisations: int) -> Trial:
    return Trial(step="linearity", what=what, draw=draw, reduce=pixels, realisations=realisations)


TRIALS = (
    trial("exact polynomial: pixel", by_exact_polynomial, 100),
    trial("polynomial with covariance: pixel", by_polynomial, 10500),
    trial("uncertain table: pixel", by_table, 8000),
)
