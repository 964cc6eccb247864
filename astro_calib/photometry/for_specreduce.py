"""Spectra extracted by specreduce, with the errors that a budget tells. specreduce is not needed for anything else."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib.arguments import described
from astro_calib.errors import FrameError
from astro_calib.photometry.noisy_image import noisy_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.photometry.noisy_image import NoisyImage

__all__ = ["boxcar_spectrum"]


def boxcar_spectrum(frame: Any, extract: Any) -> Any:
    """
    The spectrum that ``specreduce.extract.BoxcarExtract`` extracts, with errors that know what pixels have in common.

    Parameters
    ----------
    frame : CCDFrame or CCDData
        A frame with noise, or an image that has a `~astro_calib.noise.protocol.Budget`; wavelengths go along its rows.
    extract : specreduce.extract.BoxcarExtract
        The extraction; its own image does not count.

    Returns
    -------
    specutils.Spectrum
        That of specreduce, with the standard deviations of its fluxes as uncertainty.

    Raises
    ------
    FrameError
        If the frame has no noise yet, or the extraction is no sum with the weights of a boxcar. For another one
        ``frame.budget.variance_of_sum(weights)`` gives the variance, with its weights.

    Examples
    --------
    The sum over 5 rows of read noise of sigma 2, and an error of 0.5 that each column has in its level:

    >>> import numpy as np
    >>> from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget
    >>> from astro_calib.photometry import boxcar_spectrum
    >>> from specreduce.extract import BoxcarExtract
    >>> from specreduce.tracing import FlatTrace
    >>> sources = [
    ...     NoiseSource("read noise", 4.0),
    ...     NoiseSource("overscan", 0.25, axes=(1,)),
    ... ]
    >>> budget = UncertaintyBudget(
    ...     (12, 3), [(source, 1.0) for source in sources]
    ... )
    >>> frame = CCDFrame(np.full((12, 3), 10.0), unit="electron", budget=budget)
    >>> spectrum = boxcar_spectrum(
    ...     frame, BoxcarExtract(frame, FlatTrace(frame, 6.0), width=5)
    ... )
    >>> spectrum.uncertainty.array.round(3)  # the root of 5 x 4 + (5 x 0.5)^2
    array([5.123, 5.123, 5.123])
    """
    image = noisy_image(frame)
    wanted = ("trace_object", "width", "mask_treatment")
    if not dataclasses.is_dataclass(extract) or not all(hasattr(extract, name) for name in wanted):
        msg = f"the extraction is {described(extract)}; expected a BoxcarExtract of specreduce."
        raise FrameError(msg)
    uncertainty = StdDevUncertainty(image.sigma, unit=image.unit)
    # specreduce fills what is masked in place, if it is told to.
    plain = CCDData(image.values.copy(), unit=image.unit, mask=image.mask, uncertainty=uncertainty)
    own: Any = dataclasses.replace(extract, image=plain)  # type: ignore[type-var]  # a class was refused above
    spectrum = own()
    flux, error = _sums(image, own)
    found = np.asarray(spectrum.flux.value)
    if not np.allclose(found, flux, rtol=1e-6, atol=1e-6 * np.nanmax(error, initial=0), equal_nan=True):
        msg = (
            f"{type(own).__name__} gives other fluxes than the sums over boxes of {own.width} pixels around its trace, "
            "so that their errors are not known. Give frame.budget.variance_of_sum its weights instead."
        )
        raise FrameError(msg)
    error[np.isnan(found)] = np.nan
    spectrum.uncertainty = StdDevUncertainty(error, unit=image.unit)
    return spectrum


def _sums(image: NoisyImage, extract: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The flux of each column and its error, from the parts of the pixels that lie in the box and count."""
    inside = _inside(extract, image.values.shape[0])
    good = np.isfinite(image.values)
    if image.mask is not None:
        good &= ~image.mask
    weights = inside
    if extract.mask_treatment == "apply":
        counted = np.where(good, inside, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            weights = counted * (inside.sum(axis=0) / counted.sum(axis=0))
    elif extract.mask_treatment == "zero_fill":
        weights = np.where(good, inside, 0)
    values = image.values if extract.mask_treatment != "nan_fill" else np.where(good, image.values, np.nan)
    # The rest of the frame is not looked at.
    used = np.flatnonzero(inside.any(axis=1))
    rows = slice(used[0], used[-1] + 1) if used.size else slice(0, 1)
    columns = range(image.values.shape[1])
    errors = [image.error_of_sum(weights[rows, x : x + 1], (rows, slice(x, x + 1))) for x in columns]
    flux = np.sum(weights * values, axis=0, where=weights != 0)
    return flux, np.array(errors)


def _inside(extract: Any, number: int) -> NDArray[np.float64]:
    """The part of each pixel that lies in the box around the trace, for so many rows."""
    rows = np.arange(number)[:, np.newaxis]
    centre = np.ma.getdata(extract.trace_object.trace)
    low, high = centre - extract.width / 2, centre + extract.width / 2
    return np.clip(np.minimum(high, rows + 0.5) - np.maximum(low, rows - 0.5), 0, 1)
