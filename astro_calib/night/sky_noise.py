"""Whether the noise of the sky is as large as the error bars say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.budget import UncertaintyBudget
from astro_calib.errors import FrameError
from astro_calib.photometry.growth import within_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = ["SkyNoise", "measure_sky_noise", "object_mask", "sky_noise"]

#: Standard deviations of Gaussian noise in its median absolute deviation: 1 / Phi^-1(3/4).
MAD_TO_SIGMA = 1.4826
#: A block with fewer usable pixels than this part of it says little about its scatter.
USABLE_PART = 0.5

#: The faint rim of an object goes this many pixels beyond where it is found.
MARGIN = 7


class SkyNoise(NamedTuple):
    """
    The sky's level and noise, in the unit of the frame.

    Parameters
    ----------
    level : float
        Median of the sky's pixels.
    observed : float
        Median over the blocks of 1.4826 times the median absolute deviation.
    predicted : float
        Median over the blocks of the root of the median predicted variance.
    ratio : float
        Median over the blocks of observed over predicted noise; 1 if the error bars are right.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night import measure_sky_noise
    >>> sky = np.random.default_rng(1).normal(100, 10, (256, 256))
    >>> noise = measure_sky_noise(CCDFrame(sky, unit="electron", uncertainty=np.full((256, 256), 10.0)))
    >>> print(f"{noise.predicted:.1f} electron predicted, {noise.observed / noise.predicted:.2f} of it observed")
    10.0 electron predicted, 0.99 of it observed
    """

    level: float
    observed: float
    predicted: float
    ratio: float


def sky_noise(
    data: NDArray[Any], variance: NDArray[Any], mask: NDArray[np.bool_] | None = None, *, block_size: int = 32
) -> SkyNoise:
    """
    Compare the scatter of pixels with their predicted variance, in blocks too small to notice gradients.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        The image.
    variance : ndarray, shape (ny, nx)
        Predicted variance of what is independent from pixel to pixel, in the square of the unit of ``data``.
    mask : ndarray of bool, shape (ny, nx), optional
        True where a pixel does not count: defects and objects (see ``object_mask``).
    block_size : int
        Rows and columns of a block. Blocks at the upper and right edge that are not full are left out, and so
        are those of which less than half can be used.

    Returns
    -------
    SkyNoise
        NaN where no block can be used.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.night.sky_noise import sky_noise
    >>> rng = np.random.default_rng(1)
    >>> noise = sky_noise(rng.normal(100.0, 3.0, (512, 512)), np.full((512, 512), 9.0))
    >>> bool(abs(noise.ratio - 1) < 0.01)
    True
    """
    if data.shape != variance.shape or (mask is not None and mask.shape != data.shape):
        shapes = [data.shape, variance.shape] + ([] if mask is None else [mask.shape])
        msg = f"data, variance and mask have the shapes {shapes}; expected the same shape for all."
        raise ValueError(msg)
    usable = np.isfinite(data) & np.isfinite(variance)
    if mask is not None:
        usable &= ~mask
    if not usable.any():
        return SkyNoise(np.nan, np.nan, np.nan, np.nan)
    values, number = _blocks(data, usable, block_size)
    enough = number >= USABLE_PART * block_size**2
    if not enough.any():
        return SkyNoise(float(np.median(data[usable])), np.nan, np.nan, np.nan)
    values, number = values[enough], number[enough]
    predicted = _blocks(variance, usable, block_size)[0][enough]
    deviation = np.abs(values - _medians(values, number)[:, np.newaxis])
    observed_sigma = MAD_TO_SIGMA * _medians(deviation, number)
    # The median, like that of the deviations, does not notice a few pixels of an object that was not masked.
    predicted_sigma = np.sqrt(_medians(predicted, number))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = observed_sigma / predicted_sigma
    return SkyNoise(
        float(np.median(data[usable])),
        float(np.median(observed_sigma)),
        float(np.median(predicted_sigma)),
        float(np.median(ratio)),
    )


def _blocks(array: NDArray[Any], usable: NDArray[np.bool_], size: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The full blocks of an array, shape (number of blocks, size**2), NaN where unusable; and how many are usable."""
    rows, columns = (length // size for length in array.shape)

    def cut(values: NDArray[Any]) -> NDArray[Any]:
        return values[: rows * size, : columns * size].reshape(rows, size, columns, size).swapaxes(1, 2)

    kept = cut(usable)
    return np.where(kept, cut(array), np.nan).reshape(-1, size * size), np.count_nonzero(kept, axis=(2, 3)).ravel()


def _medians(blocks: NDArray[Any], number: NDArray[np.intp]) -> NDArray[np.float64]:
    """The median of the numbers in each row, of which there are so many; the others are NaN."""
    # Which come last: with another place for the middle in each row, sorting all is faster than looking for it.
    ordered = np.sort(blocks, axis=1)
    rows = np.arange(len(blocks))
    return (ordered[rows, (number - 1) // 2].astype(np.float64) + ordered[rows, number // 2]) / 2


def object_mask(data: NDArray[Any], variance: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """
    Where stars and galaxies are, with a margin.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        The image.
    variance : ndarray, shape (ny, nx)
        Its variance.
    mask : ndarray of bool, shape (ny, nx), optional
        True where a pixel is unfit for use.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True within 7 pixels of what ``astro_calib.photometry`` finds to be an object.
    """
    from astro_calib.photometry.detection import survey

    missing = ~(np.isfinite(data) & np.isfinite(variance))
    if mask is not None:
        missing |= mask
    nothing = np.zeros(data.shape, dtype=bool)
    if missing.all():
        return nothing
    return within_square(survey(data, variance, missing, nothing).objects, MARGIN)


def measure_sky_noise(frame: CCDFrame, objects: NDArray[np.bool_] | None = None) -> SkyNoise:
    """
    The sky noise of a calibrated frame against its budget.

    Objects are masked; sources that are common to many pixels, such as the overscan's level, are left out.

    Parameters
    ----------
    frame : CCDFrame, shape (ny, nx)
        A calibrated frame with its budget.
    objects : ndarray of bool, shape (ny, nx), optional
        True where something is that is brighter than the sky; 7 pixels around it are left out too. Without it, objects
        are searched for.

    Returns
    -------
    SkyNoise
        In the unit of the frame.

    Raises
    ------
    FrameError
        If the frame has no variance.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night import measure_sky_noise
    >>> sky = np.random.default_rng(1).normal(100, 10, (256, 256))
    >>> noise = measure_sky_noise(CCDFrame(sky, unit="electron", uncertainty=np.full((256, 256), 10.0)))
    >>> print(f"{noise.ratio:.2f}")
    0.99
    """
    budget = frame.budget
    if budget is None:
        msg = f"{frame.name} has no variance to compare with; calibrate it first."
        raise FrameError(msg)
    by_pixel = [term for term in budget.terms if len(term[0].axes) == frame._data.ndim]
    variance = UncertaintyBudget(budget.shape, by_pixel, budget.dtype, frame._data).variance()
    mask = np.zeros(frame.shape, dtype=bool) if frame.mask is None else np.asarray(frame.mask, dtype=bool)
    near = object_mask(frame._data, variance, mask) if objects is None else within_square(objects, MARGIN)
    return sky_noise(frame._data, variance, mask | near)
