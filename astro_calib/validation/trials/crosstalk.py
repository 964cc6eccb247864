"""Trials of crosstalk: two amplifiers, the right one with a ghost of what the left one has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.detector.amplifier import Amplifier
from astro_calib.detector.crosstalk import Crosstalk
from astro_calib.detector.detector import Detector
from astro_calib.frame.frame import CCDFrame
from astro_calib.steps.sequence import calibrate
from astro_calib.validation.trials.rows import pixel, row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS"]

#: Rows, and columns of an amplifier; rows and columns of the star.
SHAPE = (16, 16)
STAR = np.s_[4:8, 4:8]
GAINS, READ_NOISE, PEDESTAL = (1.5, 1.8), 4.0, 1000
COEFFICIENT, ERROR = 1e-3, 1e-4
#: Electrons a pixel.
SKY, LIGHT = 200.0, 60000.0


class Drawn(NamedTuple):
    """A raw frame, in adu."""

    frame: CCDFrame


def _truth() -> NDArray[np.float64]:
    truth = np.full((SHAPE[0], 2 * SHAPE[1]), SKY)
    truth[STAR] += LIGHT
    return truth


def _ghost() -> NDArray[np.bool_]:
    """Where the right amplifier, which reads from the right, has the ghost of the star."""
    where = np.zeros((SHAPE[0], 2 * SHAPE[1]), dtype=np.bool_)
    where[STAR] = True
    return where[:, ::-1]


def _quiet() -> NDArray[np.bool_]:
    """Where neither the star nor its ghost is."""
    return (_truth() == SKY) & ~_ghost()


def _draw(rng: np.random.Generator) -> Drawn:
    coefficient = rng.normal(COEFFICIENT, ERROR)
    gains = np.repeat(GAINS, SHAPE[1])
    image = rng.poisson(_truth()) / gains
    image[:, SHAPE[1] :] += coefficient * image[:, : SHAPE[1]][:, ::-1]
    raw = np.round(image + PEDESTAL + rng.normal(0, READ_NOISE, image.shape) / gains)
    return Drawn(CCDFrame(raw.astype(np.uint16), unit="adu"))


def _reduced(_: Package, drawn: Drawn) -> Any:
    amplifiers = [
        Amplifier(
            gain=gain * u.electron / u.adu,
            read_noise=READ_NOISE * u.electron,
            data_section=f"[{1 + k * SHAPE[1]}:{(1 + k) * SHAPE[1]}, 1:{SHAPE[0]}]",
            corner=("lower left", "lower right")[k],
        )
        for k, gain in enumerate(GAINS)
    ]
    crosstalk = Crosstalk(np.array([[0, 0], [COEFFICIENT, 0]]), np.array([[0, 0], [ERROR, 0]]))
    return calibrate(drawn.frame, Detector(amplifiers=tuple(amplifiers)), pedestal=PEDESTAL, crosstalk=crosstalk)


TRIALS = (
    row(
        "crosstalk", "a star's ghost", _draw, _reduced, _truth(), of=pixel(_ghost()), ccdproc=False, realisations=3000,
        tolerance=0.02,
    ),
    row(
        "crosstalk", "where no ghost is", _draw, _reduced, _truth(), of=pixel(_quiet()), ccdproc=False,
        realisations=300, tolerance=0.01,
    ),
)  # fmt: skip
