"""What the trials have in common: raw frames from plain numpy, with all their noise drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.detector.detector import GAIN_UNIT, Detector
from astro_calib.frame.frame import CCDFrame

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "EXPOSURE",
    "GAIN",
    "PEDESTAL",
    "READ_NOISE",
    "detector",
    "digitised",
    "errors",
    "frame",
    "section",
    "sum_of",
    "sums",
]

#: Of the camera, where a trial does not need another: electron / adu, electron, adu.
GAIN, READ_NOISE, PEDESTAL = 1.5, 6.0, 1000.0
#: Header keyword of the exposure time, in seconds.
EXPOSURE = "EXPTIME"


def digitised(
    rng: np.random.Generator,
    electrons: float | NDArray[Any],
    shape: tuple[int, int],
    *,
    gain: float | NDArray[Any] = GAIN,
    read_noise: float | NDArray[Any] = READ_NOISE,
    pedestal: float | NDArray[Any] = PEDESTAL,
    step: int = 1,
) -> NDArray[np.uint16]:
    """
    The pixels of a raw frame.

    Parameters
    ----------
    rng : numpy.random.Generator
    electrons : float or ndarray
        Expected number, of light and dark current together; broadcasts to ``shape``, as the others do.
    shape : (int, int)
        Shape (ny, nx).
    gain, read_noise, pedestal : float or ndarray
        electron / adu, electron, adu.
    step : int
        The values are multiples of this, adu.
    """
    collected = rng.poisson(np.broadcast_to(electrons, shape)) + read_noise * rng.standard_normal(shape)
    return (step * np.rint((pedestal + collected / gain) / step)).astype(np.uint16)


def frame(pixels: NDArray[Any], exposure: float = 0.0, **attributes: Any) -> CCDFrame:
    """The pixels as a frame that was just read."""
    return CCDFrame(pixels, unit="adu", meta={EXPOSURE: exposure}, **attributes)


def detector(gain: float = GAIN, read_noise: float = READ_NOISE, gain_uncertainty: float | None = None) -> Detector:
    """A detector with one amplifier, from electron / adu and electron."""
    uncertainty = None if gain_uncertainty is None else gain_uncertainty * GAIN_UNIT
    return Detector(gain=gain * GAIN_UNIT, read_noise=read_noise * u.electron, gain_uncertainty=uncertainty)


def section(rows: tuple[int, int], columns: tuple[int, int]) -> str:
    """The FITS section of a range of rows and of columns, which count from 0 and leave out the last."""
    return f"[{columns[0] + 1}:{columns[1]},{rows[0] + 1}:{rows[1]}]"


def errors(ccd: CCDFrame, truth: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Errors and variances of the pixels, which are ``truth`` in truth."""
    assert ccd.variance is not None
    return np.asarray(ccd.data, dtype=np.float64) - np.asarray(truth), ccd.variance


def sums(ccd: CCDFrame, axis: int, truth: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Errors and variances of the sums over the rows (axis 1) or columns (axis 0), which are ``truth`` in truth."""
    return errors(ccd.sum(axis=axis), truth)


def sum_of(ccd: CCDFrame, weights: NDArray[Any], truth: float) -> tuple[float, float]:
    """Error and variance of a weighted sum over pixels, which is ``truth`` in truth."""
    budget = ccd.known_budget
    assert budget is not None
    return float(np.sum(weights * ccd.data, dtype=np.float64)) - truth, budget.variance_of_sum(weights)
