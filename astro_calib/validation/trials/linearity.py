"""Trials of `correct_linearity`: shot noise that the detector compresses, and a correction that is itself uncertain."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.detector.detector import GAIN_UNIT, Detector
from astro_calib.detector.linearity import Linearity, LinearityPolynomial, LinearityTable
from astro_calib.steps import correct_linearity, create_deviation, gain_correct
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import raw
from astro_calib.validation.trials.boxes import box_errors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from astro_calib.frame.frame import CCDFrame

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
    """Raw frames of one detector, the light of each (electron), and the correction that the user knows."""

    frames: list[NDArray[np.uint16]]
    light: list[NDArray[np.float64]]
    linearity: Linearity
    #: Of `boxes.Drawn`.
    place: NDArray[np.float64]


def exposed(rng: np.random.Generator, light: list[NDArray[np.float64]], linearity: Linearity) -> Exposed:
    """Frames of a detector that compresses what was collected, before it is read."""
    frames = []
    for one in light:
        measured = response(rng.poisson(one) / GAIN) + READ_NOISE / GAIN * rng.standard_normal(one.shape)
        frames.append(np.rint(raw.PEDESTAL + measured).astype(np.uint16))
    return Exposed(frames, light, linearity, rng.random(2))


def levels(light: ArrayLike, columns: int, rows: int = 1) -> NDArray[np.float64]:
    """So many pixels for each level, beside and above each other."""
    return np.repeat(np.reshape(np.repeat(np.asarray(light, dtype=np.float64), rows), (-1, 1)), columns, axis=1)


def by_exact_polynomial(rng: np.random.Generator) -> Exposed:
    """A bright frame, and the true correction."""
    light = np.full((48, 48), 60000.0)
    return exposed(rng, [light], LinearityPolynomial(list(COEFFICIENTS), limit=LIMIT * u.adu))


def by_polynomial(rng: np.random.Generator, light: list[NDArray[np.float64]], part: float = 1.0) -> Exposed:
    """A polynomial whose coefficients are off, by that part of the uncertainties above."""
    coefficients = COEFFICIENTS + part * SIGMAS * correlated(rng)
    polynomial = LinearityPolynomial(list(coefficients), limit=LIMIT * u.adu, covariance=part**2 * COVARIANCE)
    return exposed(rng, light, polynomial)


def correlated(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two correlated numbers of unit variance."""
    first, second = rng.standard_normal(2)
    return np.array([first, CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second])


def by_table(rng: np.random.Generator, columns: int, rows: int = 1, part: float = 1.0) -> Exposed:
    """Levels of light between the nodes of a table, and a table whose values are off."""
    # Between its nodes the table is straight: the light is put where that is no error, on a node and near it.
    truth = correction(NODES)
    sigmas = part * NODE_SIGMA * (NODES > 0)
    values = truth + sigmas * rng.standard_normal(NODES.size)
    table = LinearityTable(NODES * u.adu, values * u.adu, sigmas * u.adu)
    return exposed(rng, [levels(GAIN * truth[1:5], columns, rows)], table)


def corrected(drawn: Exposed) -> list[CCDFrame]:
    """The frames, in electrons."""
    camera = Detector(gain=GAIN * GAIN_UNIT, read_noise=READ_NOISE * u.electron, linearity=drawn.linearity)
    frames = [gain_correct(raw.frame(pixels) - raw.PEDESTAL * u.adu, camera) for pixels in drawn.frames]
    return [correct_linearity(create_deviation(ccd, camera), camera) for ccd in frames]


def pixels(drawn: Exposed) -> Errors:
    """
    Errors of the pixels, in units of the sigma of their light.

    So the brightest level, which has the largest errors, does not decide for the others.
    """
    (ccd,) = corrected(drawn)
    (light,) = drawn.light
    errors, variances = raw.errors(ccd, light)
    return errors / np.sqrt(light), variances / light


def sums(drawn: Exposed) -> Errors:
    """Errors of the sums over columns, in each of which are all levels of light."""
    (ccd,) = corrected(drawn)
    (light,) = drawn.light
    return box_errors(ccd, (len(light), 1), float(light[:, 0].mean()), drawn.place)


def difference(drawn: Exposed) -> Errors:
    """Errors of the pixels of one frame less another."""
    first, second = corrected(drawn)
    return raw.errors(first - second, drawn.light[0] - drawn.light[1])


def trial(what: str, draw: Any, reduce: Any, realisations: int) -> Trial:
    return Trial(step="linearity", what=what, draw=draw, reduce=reduce, realisations=realisations)


LIGHT = (20000.0, 40000.0, 60000.0)
#: For sums over columns: columns, rows of a level, and a part of the uncertainties for a quarter of the variance.
COLUMNS, ROWS, PART = 24, 4, 0.3
PAIR = [levels(60000.0, 16), levels(40000.0, 16)]
TRIALS = (
    trial("exact polynomial: pixel over sigma of its light", by_exact_polynomial, pixels, 100),
    trial(
        "polynomial with covariance: pixel over sigma of its light",
        partial(by_polynomial, light=[levels(LIGHT, 8)]),
        pixels,
        9000,
    ),
    trial(
        "polynomial with covariance: sum over a column",
        partial(by_polynomial, light=[levels(LIGHT, COLUMNS, ROWS)], part=PART),
        sums,
        9800,
    ),
    trial(
        "polynomial with covariance: difference of two frames",
        partial(by_polynomial, light=PAIR),
        difference,
        7200,
    ),
    trial("uncertain table: pixel over sigma of its light", partial(by_table, columns=8), pixels, 8600),
    trial("uncertain table: sum over a column", partial(by_table, columns=COLUMNS, rows=ROWS, part=PART), sums, 8200),
)
