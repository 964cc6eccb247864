"""
The values of a stack, computed in blocks of rows of all frames that stay in the processor's cache.

`astro_calib.combine` says what is to be done; here it is done to the pixels, and what the errors need to know of it is
kept: how many values there were, which were left out, and how much the sample scatters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.dtypes import float_type
from astro_calib.flags import DataQuality
from astro_calib.noise.arrays import ArrayRef, SurvivorMask
from astro_calib.stack.noise import median_passing, sampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.stack.noise import PrivateNoise
    from astro_calib.stack.request import CombineOptions

__all__ = ["StackedValues", "gathered", "rejected", "stacked_values"]

#: Values of all frames in a block, so that the block stays in the cache.
BLOCK = 1 << 20


@dataclass
class StackedValues:
    """
    What a combination gives, and what its errors need to know.

    Attributes
    ----------
    data : ndarray, shape (ny, nx)
        The values.
    flags : ndarray of uint16, shape (ny, nx)
        Those of the values that are in the result, and what the combination adds to them.
    counted : ndarray of uint16, shape (ny, nx)
        How many values were used.
    before, used : ndarray of uint16, shape (ny, nx)
        How many values there were before rejection, and how many of them are in the result. Where none was fit for use
        the result is made of what there is, and these count that.
    complete : bool
        Whether every value of every frame is in the result.
    kept : list of SurvivorMask
        Which values are in the result; empty if all are.
    total : ndarray, shape (ny, nx), or None
        The sum of the weights of the values that are in the result; None if all are.
    scatter : ndarray, shape (ny, nx), or None
        The sample's variance at each pixel, where it was asked for.
    exact, variance_factor : ndarray or None
        For a median of unlike frames: weights, shape (n, ny, nx), and the factor of its variance.
    """

    data: NDArray[Any]
    flags: NDArray[np.uint16]
    counted: NDArray[np.uint16]
    before: NDArray[np.uint16]
    used: NDArray[np.uint16]
    complete: bool
    kept: list[SurvivorMask]
    total: NDArray[Any] | None
    scatter: NDArray[Any] | None
    exact: NDArray[Any] | None
    variance_factor: NDArray[Any] | None


def rejected(
    values: NDArray[Any],
    before: NDArray[np.bool_],
    center: NDArray[Any] | None,
    variances: Sequence[Any] | NDArray[Any] | None,
    options: CombineOptions,
    usual: float = 0.0,
) -> NDArray[np.bool_]:
    """
    Which values remain.

    Parameters
    ----------
    values, before : ndarray, shape (n, ...)
        The values, and which are fit for use.
    center : ndarray, shape (...)
        Their median, if it is needed.
    variances : sequence of n numbers or arrays of shape (...), or None
        Those of the frames' known noise, if it is known.
    options : CombineOptions
    usual : float
        Where the noise is not known: the usual scatter of a sample, see `usual_scatter`.
    """
    if options.clip is None:
        return before
    from astro_calib.kernels.reject import reject_deviant, reject_extremes
    from astro_calib.kernels.stack import masked_median

    if options.clip == "minmax":
        return reject_extremes(values, before, *options.extremes)
    assert center is not None
    if variances is None or options.clip == "scatter":
        with np.errstate(invalid="ignore"):
            deviation = 1.4826 * masked_median(np.abs(values - center), before)
        if options.clip == "sigma":
            # The scatter of a few values is no threshold: it is often far too small. It is not less than usual.
            deviation = np.maximum(deviation, values.dtype.type(usual))
        variances = [np.square(deviation)] * len(values)
    return reject_deviant(values, variances, before, center, options.lower, options.upper)


def usual_scatter(frames: Sequence[CCDFrame]) -> float:
    """The standard deviation of the sample at a typical pixel, from the median of the variances."""
    from scipy.stats import chi2

    from astro_calib.kernels.stack import masked_median, sample_variance

    item = sampled(frames[0].shape, len(frames))
    values, used, _ = gathered(frames, item)
    number = used.sum(axis=0)
    variance = sample_variance(values, used, masked_median(values, used))[number > 1]
    freedom = max(float(np.median(number[number > 1])) - 1, 1.0) if variance.size else 1.0
    return float(np.sqrt(np.median(variance) * freedom / chi2.median(freedom))) if variance.size else 0.0


def gathered(frames: Sequence[CCDFrame], item: tuple[slice, ...]) -> tuple[NDArray[Any], NDArray[np.bool_], bool]:
    """A part of all frames as floating-point numbers, shape (n, ...), where it is fit for use, and whether all is."""
    from astro_calib.kernels.usable import collect

    dtype = np.result_type(*(float_type(frame.dtype) for frame in frames))
    values = np.empty((len(frames), *_shape_of(frames[0].shape, item)), dtype=dtype)
    used = np.empty(values.shape, dtype=np.bool_)
    masks = [None if frame.mask is None else frame.mask[item] for frame in frames]
    flags = [None if frame.flags is None else frame.flags[item] for frame in frames]
    complete = collect([frame.pixels[item] for frame in frames], masks, flags, int(DataQuality.UNUSABLE), values, used)
    return values, used, complete


def _shape_of(shape: tuple[int, ...], item: tuple[slice, ...]) -> tuple[int, ...]:
    """The shape of a part of an array."""
    return tuple(len(range(*part.indices(length))) for part, length in zip(item, shape, strict=True))


def as_stored(
    frames: Sequence[CCDFrame], item: tuple[slice, ...]
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], bool]:
    """What `gathered` gives for frames of whole numbers, all fit for use, without a conversion."""
    values = np.empty((len(frames), *_shape_of(frames[0].shape, item)), dtype=np.uint16)
    for frame, result in zip(frames, values, strict=True):
        if isinstance(frame.pixels, np.ndarray):
            result[...] = frame.pixels[item]
        else:
            # Of a file: straight to where it is to be.
            frame.pixels.read_into(item[0], result)
    return values, np.ones((len(frames), 1), dtype=np.bool_), True


def stacked_values(
    frames: Sequence[CCDFrame],
    options: CombineOptions,
    weights: Sequence[float],
    own: PrivateNoise | None,
    *,
    typical: NDArray[np.float64] | None = None,
    scatter: bool = False,
    block: int = BLOCK,
) -> StackedValues:
    """
    Combine the frames' values.

    Parameters
    ----------
    frames : sequence of CCDFrame, each of shape (ny, nx)
    options : CombineOptions
    weights : sequence of float
        They add up to one.
    own : PrivateNoise or None
        The noise that each frame has for itself, if it is known.
    typical : ndarray, shape (n,), optional
        For a median of unlike frames: their typical sigmas.
    scatter : bool
        Whether the sample's variance is wanted.
    block : int
        How many values are worked on at a time.
    """
    from astro_calib.kernels.clipped import clipped_mean
    from astro_calib.kernels.stack import masked_median, sample_variance, sum_of_weights, weighted_sums
    from astro_calib.kernels.threads import over_rows
    from astro_calib.kernels.usable import counted, merge_flags, survivors

    shape = frames[0].shape
    number = len(frames)
    dtype = np.result_type(*(float_type(frame.dtype) for frame in frames))
    usual = usual_scatter(frames) if own is None and options.clip == "sigma" else 0.0
    # Whole numbers of 16 bits are sorted as they are, twice as fast.
    whole_numbers = (options.clip is None and typical is None) and all(
        frame.dtype == np.uint16 and frame.mask is None and frame.flags is None for frame in frames
    )
    needs_center = options.method == "median" or options.clip in ("sigma", "scatter")
    # What is not needed is not written to, and takes no memory then.
    planes = np.empty((-(-number // 32), *shape), dtype=np.uint32)
    used_counts = np.empty(shape, dtype=np.uint16)
    result = StackedValues(
        data=np.empty(shape, dtype=dtype),
        flags=np.zeros(shape, dtype=np.uint16),
        counted=used_counts,
        before=used_counts if options.clip is None else np.empty(shape, dtype=np.uint16),
        used=used_counts,
        complete=True,
        kept=[],
        total=np.empty(shape, dtype=dtype),
        scatter=np.empty(shape, dtype=dtype) if scatter else None,
        exact=None if typical is None else np.empty((number, *shape), dtype=dtype),
        variance_factor=None if typical is None else np.empty(shape, dtype=np.float32),
    )
    complete_rows: list[slice] = []
    refilled: list[tuple[slice, NDArray[np.intp]]] = []

    like = all(weight == weights[0] for weight in weights)

    def summed(values: NDArray[Any], used: NDArray[np.bool_], whole: bool) -> tuple[Any, Any, Any]:
        """The weighted sum, the sum of weights and the number of values, as far as they are needed."""
        if options.method == "median" and (whole or like):
            count = number if whole else counted(used)
            return None, count * weights[0], count
        return weighted_sums(values, used, weights, whole)

    def in_steps(
        rows: slice,
        values: NDArray[Any],
        before: NDArray[np.bool_],
        complete: bool,
        center: NDArray[Any] | None,
        variances: list[Any] | None,
    ) -> tuple[bool, NDArray[np.bool_] | None]:
        """Write the values; whether all are in them, and where nothing is fit for use."""
        used = rejected(values, before, center, variances, options, usual)
        whole = complete and (used is before or bool(used.all()))
        empty = np.zeros(1, dtype=np.bool_) if whole else counted(used) == 0
        filling = bool(empty.any())
        if filling:
            filled = empty & np.isfinite(values)
            before, used = before | filled, used | filled
        total, weight, count = summed(values, used, whole)
        result.used[rows] = count
        if options.clip is not None:
            result.before[rows] = number if complete else counted(before)
        if options.method == "median":
            as_before = options.clip is None and not filling
            middle = center if as_before and center is not None else masked_median(values, used, whole)
            result.data[rows] = middle if whole else np.nan_to_num(middle)
        else:
            np.divide(total, np.where(weight > 0, weight, 1), out=result.data[rows], casting="same_kind")
        if not whole and result.total is not None:
            result.total[rows] = np.where(weight > 0, weight, 1)
        if result.scatter is not None:
            about = result.data[rows]
            result.scatter[rows] = sample_variance(values, used, about, whole)
            if not whole:
                single = result.used[rows] <= 1
                np.copyto(result.scatter[rows], sample_variance(values, before, about, complete), where=single)
        if (
            result.exact is not None
            and result.variance_factor is not None
            and variances is not None
            and typical is not None
        ):
            counting = before if options.clip == "minmax" else used
            sigma = np.sqrt(np.array([np.broadcast_to(one, values.shape[1:]) for one in variances], dtype=dtype))
            result.exact[:, rows], result.variance_factor[rows] = median_passing(sigma, typical, counting, used)
        if not whole:
            survivors(used, planes[:, rows])
        return whole, empty if filling else None

    def combine_rows(rows: slice) -> None:
        item = (rows, *[slice(None)] * (len(shape) - 1))
        values, before, complete = as_stored(frames, item) if whole_numbers else gathered(frames, item)
        center = masked_median(values, before, complete) if needs_center else None
        variances = None
        if own is not None and center is not None and (options.clip == "sigma" or typical is not None):
            variances = own.at_center(item, values, center)
        if center is not None and variances is not None and options.method != "median" and result.total is not None:
            # What is asked for most goes through the values once.
            assert result.scatter is None
            thresholds, fit = (options.lower, options.upper), result.before[rows]
            parts = result.data[rows], result.total[rows], result.used[rows], fit, planes[:, rows]
            whole, filling = clipped_mean(values, before, complete, variances, center, thresholds, weights, parts)
            empty = fit == 0 if filling else None
            if empty is not None:
                np.copyto(fit, result.used[rows], where=empty)
        else:
            whole, empty = in_steps(rows, values, before, complete, center, variances)
        if empty is not None:
            # Where nothing is fit for use the pixel gets the value and the variance of what there is.
            refilled.append((rows, np.flatnonzero(empty)))
        flags = [None if frame.flags is None else frame.flags[item] for frame in frames]
        merge_flags(flags, None if whole else planes[:, rows], result.flags[rows])
        if whole:
            complete_rows.append(rows)
            return
        if options.clip is not None:
            result.flags[rows] |= (result.used[rows] < result.before[rows]) * np.uint16(DataQuality.REJECTED)
        if empty is not None:
            result.flags[rows] |= (result.used[rows] == 0) * np.uint16(DataQuality.NO_DATA)

    block = max(1, block // (number * max(int(np.prod(shape[1:])), 1)))
    over_rows(combine_rows, shape[0], number * int(np.prod(shape)), block)
    result.complete = sum(rows.stop - rows.start for rows in complete_rows) == shape[0]
    if result.complete:
        result.total = None
        return result
    for rows in complete_rows:
        for position, plane in enumerate(planes):
            plane[rows] = (1 << min(number - 32 * position, 32)) - 1
        if result.total is not None:
            result.total[rows] = sum_of_weights(weights)
    fields = [ArrayRef(plane) for plane in planes]
    result.kept = [SurvivorMask(fields[position // 32], position % 32) for position in range(number)]
    if refilled:
        result.counted = used_counts.copy()
        for rows, places in refilled:
            result.counted[rows].reshape(-1)[places] = 0
    return result
