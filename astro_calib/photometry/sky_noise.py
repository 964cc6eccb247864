"""Whether the noise of the sky is as large as the error bars say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.kernels.medians import median
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.digital_step import digital_step, neighbours
from astro_calib.photometry.growth import within_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["SkyNoise", "measure_sky_noise", "object_mask", "sky_noise"]

#: Pixels further than this many standard deviations from the mean of their block are left out, again and again.
CLIP, ROUNDS = 4.0, 4
#: The part of the variance of Gaussian noise that is left then: 1 - 2 k phi(k) / (2 Phi(k) - 1).
CLIPPED_VARIANCE = 0.998929
#: Standard deviations between the 10th and the 90th percentile of Gaussian noise.
DECILES = 2.5631
#: A block with fewer usable pixels than this part of it says little about its scatter.
USABLE_PART = 0.5
#: Fewer blocks than this do not give a ratio.
FEWEST_BLOCKS = 8
#: If the noise is more than this many digital steps, it does not matter where in a step a block's level lies.
FINE = 1.0
#: If the noise is less than this many, the pixels do not show it.
COARSE = 0.28
#: Pixels that scatter by less than this part of the prediction are constant.
CONSTANT = 0.01
#: If the mean phase of a block's pixels, a complex number, is smaller than this, they are spread over their steps.
ALIKE = 0.2

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
        Median over the blocks of the standard deviation of their pixels, without those beyond 4 sigma; NaN where the
        blocks do not tell the noise.
    predicted : float
        Median over the blocks of the root of the mean predicted variance of the same pixels.
    ratio : float
        Median over the blocks of observed over predicted noise; 1 if the error bars are right, NaN where the blocks do
        not tell it.
    blocks, all_blocks : int
        How many blocks this is from, and how many the frame has; the others are full of objects or unusable pixels.
    why : str
        Why the ratio is not told; empty if it is.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night import measure_sky_noise
    >>> sky = np.random.default_rng(1).normal(100, 10, (256, 256))
    >>> noise = measure_sky_noise(
    ...     CCDFrame(
    ...         sky, unit="electron", uncertainty=np.full((256, 256), 10.0)
    ...     )
    ... )
    >>> print(f"{noise.predicted:.1f}, {noise.observed / noise.predicted:.2f}")
    10.0, 1.00
    """

    level: float
    observed: float
    predicted: float
    ratio: float
    blocks: int = 0
    all_blocks: int = 0
    why: str = ""


def sky_noise(
    data: NDArray[Any],
    variance: NDArray[Any],
    mask: NDArray[np.bool_] | None = None,
    *,
    block_size: int = 32,
    step: float | None = None,
) -> SkyNoise:
    """
    Compare the scatter of pixels with their predicted variance, in blocks too small to notice gradients.

    ``variance`` is that of what is independent from pixel to pixel; ``mask`` is True where a pixel does not count:
    defects and objects (see `object_mask`). Blocks at the upper and right edge that are not full are left out, and so
    are those of which less than half can be used. Without ``step``, the digital step, it is looked for in the data,
    which tell it as long as they were not divided by a flat. The ratio is NaN, and ``why`` says why, if there are fewer
    than 8 blocks, or less noise than 0.28 digital steps.

    Of digitised values with little noise the median absolute deviation is wrong, below two steps by up to a factor of
    two. The standard deviation is right from half a step on; below, the variance that is seen in a block depends on
    where in its step the level of the block lies, by terms that are known (Widrow & Kollar, Quantization Noise, 2008).
    They are added to the prediction.
    """
    if data.shape != variance.shape or (mask is not None and mask.shape != data.shape):
        shapes = [data.shape, variance.shape] + ([] if mask is None else [mask.shape])
        msg = f"data, variance and mask have the shapes {shapes}; expected the same shape for all."
        raise ValueError(msg)
    usable = np.isfinite(data) & np.isfinite(variance)
    if mask is not None:
        usable &= ~mask
    if not usable.any():
        return SkyNoise(np.nan, np.nan, np.nan, np.nan, why="no pixel is usable")
    level = median(data[usable])
    values, number = _blocks(data, usable, block_size)
    enough = number >= USABLE_PART * block_size**2
    blocks, all_blocks = int(np.count_nonzero(enough)), len(number)
    few = f"only {blocks} of {all_blocks} blocks of {block_size} x {block_size} pixels are free of objects and usable"
    if not blocks:
        return SkyNoise(level, np.nan, np.nan, np.nan, 0, all_blocks, few)
    values, number = values[enough], number[enough]
    variances = _blocks(variance, usable, block_size)[0][enough]
    # The median does not notice a few pixels of an object that was not masked.
    predicted = _medians(np.sort(variances, axis=1), number)
    typical = float(np.median(np.sqrt(predicted)))
    if blocks < FEWEST_BLOCKS:
        return SkyNoise(level, np.nan, typical, np.nan, blocks, all_blocks, few)
    if step is None:
        step = digital_step(neighbours(data)) or 0.0
    mean, observed, kept = _clipped(values, number, predicted)
    # Digitised values have to be averaged, and so has what is compared with them.
    predicted = _means(variances, kept)
    typical = float(np.median(np.sqrt(predicted)))
    if float(np.median(observed)) < (CONSTANT * typical) ** 2:
        why = "the pixels of a block are all alike, so that they show no noise"
        return SkyNoise(level, np.nan, typical, np.nan, blocks, all_blocks, why)
    seen = predicted
    own = float(np.median(predicted)) - step**2 / 12
    if step > 0 and own < (FINE * step) ** 2:
        if own < (COARSE * step) ** 2 and _likeness(values, kept, step) > ALIKE:
            why = (
                f"the noise is {np.sqrt(max(own, 0)) / step:.2f} of a digital step, too little to be seen in the pixels"
            )
            return SkyNoise(level, np.nan, typical, np.nan, blocks, all_blocks, why)
        seen = _seen_variance(values, kept, mean, predicted, step)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(observed / seen)
    return SkyNoise(level, float(np.median(np.sqrt(observed))), typical, float(np.median(ratio)), blocks, all_blocks)


def _clipped(
    values: NDArray[Any], number: NDArray[np.intp], predicted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Mean and variance of each block without the pixels that are far off, and which pixels these leave."""
    ordered = np.sort(values, axis=1)
    rows = np.arange(len(values))
    low, high = (ordered[rows, (part * (number - 1)).astype(np.intp)] for part in (0.1, 0.9))
    # Digitised values may agree in nearly all pixels; then the prediction is the better guess to begin with.
    variance = np.maximum(np.square((high - low) / DECILES), predicted)
    mean = _medians(ordered, number)
    for _ in range(ROUNDS):
        with np.errstate(invalid="ignore"):
            kept = np.abs(values - mean[:, np.newaxis]) <= CLIP * np.sqrt(variance)[:, np.newaxis]
        left = np.count_nonzero(kept, axis=1)
        mean = _means(values, kept)
        square = np.square(values - mean[:, np.newaxis])
        variance = _means(square, kept) * left / np.maximum(left - 1, 1) / CLIPPED_VARIANCE
    return mean, variance, kept


def _means(values: NDArray[Any], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean of what is kept of each block, which is not nothing."""
    return np.asarray(np.mean(values, axis=1, where=kept, dtype=np.float64))


def _phases(values: NDArray[Any], kept: NDArray[np.bool_], step: float, k: int = 1) -> NDArray[np.complex128]:
    """The mean over each block of where in a digital step the values lie, as complex numbers."""
    turns = 2j * np.pi * k * np.where(kept, values, 0) / step
    return np.asarray(np.mean(np.exp(turns), axis=1, where=kept))


def _likeness(values: NDArray[Any], kept: NDArray[np.bool_], step: float) -> float:
    """One if all pixels of a block lie at one place in their digital steps, zero if these places are spread."""
    return float(np.median(np.abs(_phases(values, kept, step))))


def _seen_variance(
    values: NDArray[Any],
    kept: NDArray[np.bool_],
    mean: NDArray[np.float64],
    predicted: NDArray[np.float64],
    step: float,
) -> NDArray[np.float64]:
    """The variance that is to be seen in each block: the predicted one is a mean over all places in a step."""
    own = np.maximum(predicted - step**2 / 12, 0)
    orders = [k for k in (1, 2, 3) if np.exp(-2 * np.square(np.pi * k) * own.min() / step**2) > 1e-6]
    phases = {k: np.conj(_phases(values, kept, step, k)) for k in orders}
    size = {k: (-1) ** k * np.exp(-2 * np.square(np.pi * k) * own / step**2) for k in orders}
    level, offset = mean, np.zeros_like(mean)
    for _ in range(ROUNDS):
        # Digitised values are off on average, too.
        turned = {k: np.exp(2j * np.pi * k * level / step) * phases[k] for k in orders}
        offset = sum((step / (np.pi * k) * size[k] * turned[k].imag for k in orders), np.zeros_like(mean))
        level = mean - offset
    seen = predicted - np.square(offset)
    for k in orders:
        seen = seen + size[k] * (4 * own + (step / (np.pi * k)) ** 2) * turned[k].real
    return np.maximum(seen, 0.1 * predicted)


def _blocks(array: NDArray[Any], usable: NDArray[np.bool_], size: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The full blocks of an array, shape (number of blocks, size**2), NaN where unusable; and how many are usable."""
    rows, columns = (length // size for length in array.shape)

    def cut(values: NDArray[Any]) -> NDArray[Any]:
        return values[: rows * size, : columns * size].reshape(rows, size, columns, size).swapaxes(1, 2)

    kept = cut(usable)
    return np.where(kept, cut(array), np.nan).reshape(-1, size * size), np.count_nonzero(kept, axis=(2, 3)).ravel()


def _medians(ordered: NDArray[Any], number: NDArray[np.intp]) -> NDArray[np.float64]:
    """The median of each row of sorted numbers, of which there are so many; the others are NaN, and come last."""
    # The middle is at another place in each row, so that sorting is faster than searching.
    rows = np.arange(len(ordered))
    return (ordered[rows, (number - 1) // 2].astype(np.float64) + ordered[rows, number // 2]) / 2


def object_mask(
    data: NDArray[Any], variance: NDArray[Any], mask: NDArray[np.bool_] | None = None, *, step: float = 0.0
) -> NDArray[np.bool_]:
    """Return where stars and galaxies are that ``astro_calib.photometry`` finds, and 7 pixels around them."""
    from astro_calib.photometry.detection import survey

    missing = ~(np.isfinite(data) & np.isfinite(variance))
    if mask is not None:
        missing |= mask
    nothing = np.zeros(data.shape, dtype=bool)
    if missing.all():
        return nothing
    return within_square(survey(data, variance, missing, nothing, step).objects, MARGIN)


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
    >>> noise = measure_sky_noise(
    ...     CCDFrame(
    ...         sky, unit="electron", uncertainty=np.full((256, 256), 10.0)
    ...     )
    ... )
    >>> print(f"{noise.ratio:.2f}")
    1.00
    """
    budget = frame.known_budget
    if budget is None:
        msg = f"{frame.name} has no variance to compare with; calibrate it first."
        raise FrameError(msg)
    by_pixel = [term for term in budget.terms if len(term[0].axes) == frame.pixels.ndim]
    variance = UncertaintyBudget(budget.shape, by_pixel, budget.dtype, frame.pixels).variance()
    mask = np.zeros(frame.shape, dtype=bool) if frame.mask is None else np.asarray(frame.mask, dtype=bool)
    step = frame.digital_step
    if step is None:
        step = digital_step(neighbours(frame.pixels)) or 0.0
    near = object_mask(frame.pixels, variance, mask, step=step) if objects is None else within_square(objects, MARGIN)
    return sky_noise(frame.pixels, variance, mask | near, step=step)
