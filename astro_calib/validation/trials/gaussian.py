"""Frames of Gaussian noise of known size, for trials of what is done with many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib.frame.frame import CCDFrame
from astro_calib.steps import subtract_bias, subtract_dark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors

__all__ = ["LEVEL", "Frames", "as_ccddata", "as_frames", "errors_of", "errors_of_ccddata", "simulate_frames"]

#: What all frames show, without noise.
LEVEL = 100.0
#: Of a simulated frame: large enough that most of the time is spent on pixels.
SHAPE = (40, 40)


class Frames(NamedTuple):
    """
    Simulated frames, in electrons.

    Attributes
    ----------
    values : ndarray, shape (n, ny, nx)
        `LEVEL` and the noise of each frame.
    sigmas : sequence of float, length n
        Standard deviation of the noise that each frame has for itself.
    masks : ndarray of bool, shape (n, ny, nx), optional
        Which values are masked.
    master : ndarray, shape (ny, nx), optional
        A bias, or a dark, that is to be subtracted from all frames: 0 and its noise.
    master_sigma : float
        Standard deviation of its noise.
    ratios : sequence of float, length n, optional
        How often it is subtracted from each frame, if it is a dark and the frames have other exposure times.
    """

    values: NDArray[np.float64]
    sigmas: Sequence[float]
    masks: NDArray[np.bool_] | None = None
    master: NDArray[np.float64] | None = None
    master_sigma: float = 0.0
    ratios: Sequence[float] | None = None


def simulate_frames(
    rng: np.random.Generator,
    *,
    sigmas: Sequence[float],
    shape: tuple[int, int] = SHAPE,
    masked: float = 0.0,
    master_sigma: float = 0.0,
    ratios: Sequence[float] | None = None,
) -> Frames:
    """
    Draw frames.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the noise comes from.
    sigmas : sequence of float, length n
        Standard deviation of the noise of each frame.
    shape : (int, int)
        Of a frame.
    masked : float
        Part of the values that is masked.
    master_sigma : float
        Standard deviation of the noise of a master under all of them; 0 for no master.
    ratios : sequence of float, length n, optional
        Exposure times of the frames, if that master is a dark: in units of its own.
    """
    master = rng.normal(0.0, master_sigma, shape) if master_sigma else None
    values = rng.standard_normal((len(sigmas), *shape)) * np.reshape(sigmas, (-1, 1, 1)) + LEVEL
    masks = rng.random(values.shape) < masked if masked else None
    return Frames(values, sigmas, masks, master, master_sigma, ratios)


def as_frames(drawn: Frames, *, known: bool = True) -> list[CCDFrame]:
    """
    The frames, less the master.

    Parameters
    ----------
    drawn : Frames
        What was simulated.
    known : bool
        Whether the frames come with the sigma of their noise; without it they have no uncertainty.
    """
    frames = [CCDFrame(**arguments) for arguments in _arguments(drawn, known=known)]
    if drawn.master is None:
        return frames
    master = CCDFrame(drawn.master, unit="electron", uncertainty=_sigma(drawn.master, drawn.master_sigma))
    if drawn.ratios is None:
        return [subtract_bias(frame, master) for frame in frames]
    times = [_exposures(ratio) for ratio in drawn.ratios]
    return [subtract_dark(frame, master, scale=True, **time) for frame, time in zip(frames, times, strict=True)]


def as_ccddata(drawn: Frames) -> list[CCDData]:
    """The frames as ccdproc takes them, less the master."""
    import ccdproc

    frames = [CCDData(**arguments) for arguments in _arguments(drawn, known=True)]
    if drawn.master is None:
        return frames
    master = CCDData(drawn.master, unit="electron", uncertainty=_sigma(drawn.master, drawn.master_sigma))
    if drawn.ratios is None:
        return [ccdproc.subtract_bias(frame, master) for frame in frames]
    times = [_exposures(ratio) for ratio in drawn.ratios]
    return [ccdproc.subtract_dark(frame, master, scale=True, **time) for frame, time in zip(frames, times, strict=True)]


def _exposures(ratio: float) -> dict[str, u.Quantity]:
    return {"data_exposure": ratio * 60 * u.s, "dark_exposure": 60 * u.s}


def _arguments(drawn: Frames, *, known: bool) -> list[dict[str, Any]]:
    masks = [None] * len(drawn.values) if drawn.masks is None else list(drawn.masks)
    return [
        {"data": data, "unit": "electron", "mask": mask, "uncertainty": _sigma(data, sigma) if known else None}
        for data, sigma, mask in zip(drawn.values, drawn.sigmas, masks, strict=True)
    ]


def _sigma(data: NDArray[Any], sigma: float) -> StdDevUncertainty:
    return StdDevUncertainty(np.full(data.shape, float(sigma)))


def errors_of(frame: CCDFrame, truth: float = LEVEL) -> Errors:
    """Errors and variances of the pixels that are not masked."""
    good = np.s_[...] if frame.mask is None else ~frame.mask
    variance = frame.variance
    assert variance is not None
    return frame.data[good] - truth, variance[good]


def errors_of_ccddata(ccd: CCDData, truth: float = LEVEL) -> Errors:
    """The same of ccdproc's result."""
    good = np.s_[...] if ccd.mask is None else ~ccd.mask
    return ccd.data[good] - truth, ccd.uncertainty.array[good] ** 2
