"""
The same steps with ccdproc alone, in the order of its documentation, for comparison.

Its defaults are taken, with these choices: the pedestal is off before the deviation is created, negative pixels get the
read noise instead of NaN, and a lone bias frame gets its read noise. A master has the error that `ccdproc.combine`
gives it, which for a mean is that of a standard deviation with N and not N - 1. Errors of sums are added in quadrature,
as there is nothing else to add.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib.validation.trials.raw import EXPOSURE, GAIN, PEDESTAL, READ_NOISE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "combined",
    "errors",
    "flattened",
    "frame",
    "in_electrons",
    "less_bias",
    "less_dark",
    "sum_of",
    "sums",
    "variance",
]


def frame(pixels: NDArray[Any], exposure: float = 0.0, **attributes: Any) -> CCDData:
    """The pixels as a plain CCDData."""
    return CCDData(pixels, unit="adu", meta={EXPOSURE: exposure}, **attributes)


def in_electrons(
    raw: CCDData,
    *,
    overscan: dict[str, Any] | None = None,
    trim: str | None = None,
    gain: float = GAIN,
    read_noise: float = READ_NOISE,
    pedestal: float = PEDESTAL,
    light: bool = True,
) -> CCDData:
    """A raw frame less its overscan, or else its pedestal, with the deviation of ccdproc, or that of a bias frame."""
    import ccdproc

    ccd = raw.subtract(pedestal * u.adu) if overscan is None else ccdproc.subtract_overscan(raw, **overscan)
    ccd.meta = raw.meta.copy()
    if trim is not None:
        ccd = ccdproc.trim_image(ccd, fits_section=trim)
    electrons = gain * u.electron / u.adu
    if light:
        noise = read_noise * u.electron
        ccd = ccdproc.create_deviation(ccd, gain=electrons, readnoise=noise, disregard_nan=True)
    else:
        ccd.uncertainty = StdDevUncertainty(np.full(ccd.shape, read_noise / gain))
    return ccdproc.gain_correct(ccd, electrons)


def combined(frames: Sequence[CCDData], **options: Any) -> CCDData:
    """The average of frames, or what the options of ccdproc.combine ask for, with the header of the first."""
    import ccdproc

    with warnings.catch_warnings():
        # Where all values are masked it takes the mean of none.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = ccdproc.combine(list(frames), **options)
    result.meta[EXPOSURE] = frames[0].meta[EXPOSURE]
    return result


def less_bias(ccd: CCDData, bias: CCDData) -> CCDData:
    """The frame less a bias."""
    import ccdproc

    return ccdproc.subtract_bias(ccd, bias)


def less_dark(ccd: CCDData, dark: CCDData, *, scale: bool = True) -> CCDData:
    """The frame less a dark."""
    import ccdproc

    return ccdproc.subtract_dark(ccd, dark, exposure_time=EXPOSURE, exposure_unit=u.s, scale=scale)


def flattened(ccd: CCDData, flat: CCDData, **options: Any) -> CCDData:
    """The frame divided by a flat."""
    import ccdproc

    return ccdproc.flat_correct(ccd, flat, **options)


def variance(ccd: CCDData) -> NDArray[np.float64]:
    """The variance of each pixel."""
    return np.square(np.asarray(ccd.uncertainty.array, dtype=np.float64))


def errors(ccd: CCDData, truth: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors and variances of the pixels, which are ``truth`` in truth."""
    return np.asarray(ccd.data, dtype=np.float64) - truth, variance(ccd)


def sums(ccd: CCDData, axis: int, truth: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors and variances of the sums over the rows (axis 1) or columns (axis 0), which are ``truth`` in truth."""
    return np.asarray(ccd.data, dtype=np.float64).sum(axis=axis) - truth, variance(ccd).sum(axis=axis)


def sum_of(ccd: CCDData, weights: NDArray[Any], truth: float) -> tuple[float, float]:
    """Error and variance of a weighted sum over pixels, which is ``truth`` in truth."""
    total = float(np.sum(weights * ccd.data, dtype=np.float64))
    return total - truth, float(np.sum(weights**2 * variance(ccd)))
