"""
The values of a stack, computed in blocks of rows of all frames that stay in the processor's cache.

`astro_calib.combine` says what is to be done; here it is done to the pixels, and what the errors need to know of it is
kept: how many values there were, which were left out, and how much the sample scatters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.dtypes import float_type
from astro_calib.flags import DataQuality
from astro_calib.noise.arrays import ArrayRef, SurvivorMask
from astro_calib.stack.noise import alike, sampled, typical_sigmas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.estimators.methods import Method
    from astro_calib.estimators.rejection import Rejection
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.stack.noise import PrivateNoise

    Array = NDArray[Any]

__all__ = ["StackedValues", "stacked_values", "typical_noise"]

#: Values of all frames in a block, so that the block stays in the cache.
BLOCK = 1 << 20
#: The same where frames bring noise of their own, whose many small steps cost something for each block.
BLOCK_WITH_NOISE = 1 << 21
#: The same of values that are read from files, so that a file is not read in too small pieces.
BLOCK_ON_DISK = 1 << 24
#: Memory that a thread needs for one of them, at most: double precision, and its distance from the centre.
BYTES_A_VALUE = 24
#: Images with more columns than this need not be looked at in every one to find what is typical.
MANY_COLUMNS = 1000


@dataclass
class StackedValues:
    """What a combination gives at each pixel, and what its errors need to know."""

    data: NDArray[Any]
    #: Those of the values that are in the result, and what the combination adds to them.
    flags: NDArray[np.uint16]
    n_used: NDArray[np.uint16]
    #: The numbers of values before rejection, and in the result. Where none was fit for use these count what there is.
    n_before: NDArray[np.uint16]
    n_combined: NDArray[np.uint16]
    #: The sample's variance, where it was asked for.
    scatter: NDArray[Any] | None
    #: Of a method that weighs pixels: weights, shape (n, ny, nx), and the factor of its variance.
    weights: NDArray[Any] | None
    variance_factor: NDArray[Any] | None
    #: Which values are in the result, and the sum of their weights, unless all are.
    kept: list[SurvivorMask] = field(default_factory=list)
    total: NDArray[Any] | None = None


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


def typical_noise(frames: Sequence[CCDFrame], own: PrivateNoise) -> tuple[NDArray[np.float64], bool]:
    """Typical sigmas of the frames' own noise, and whether they are alike nearly everywhere."""
    from astro_calib.kernels.stack import masked_median

    rows, *rest = sampled(frames[0].shape, len(frames))
    # Of images every third column is enough: rows are as many as before, the work is done by one thread.
    item = (rows, *rest[:-1], slice(None, None, 3)) if rest and frames[0].shape[-1] > MANY_COLUMNS else (rows, *rest)
    values, used, _ = gathered(frames, item)
    used = used | ~used.any(axis=0)
    center = masked_median(values, used & np.isfinite(values))
    sigma = _roots(own.at_center(item, values, center), values)
    used &= np.isfinite(sigma)
    return typical_sigmas(sigma, used), alike(sigma, used)


def _roots(variances: Sequence[Any], values: NDArray[Any]) -> NDArray[Any]:
    """The square roots of numbers or arrays, as an array of the shape and type of the values."""
    return np.sqrt(np.array([np.broadcast_to(one, values.shape[1:]) for one in variances], dtype=values.dtype))


def stacked_values(
    frames: Sequence[CCDFrame],
    method: Method,
    rejection: Rejection,
    weights: Sequence[float],
    own: PrivateNoise | None = None,
    *,
    typical: NDArray[np.float64] | None = None,
    scatter: bool = False,
    memory_limit: float = np.inf,
) -> StackedValues:
    """
    Combine the frames' values, with weights that add up to one.

    ``own`` is the noise that each frame has for itself, if it is known and needed; ``typical`` are the frames' sigmas,
    if they are unlike and the method weighs pixels; ``scatter`` asks for the sample's variance.
    """
    from astro_calib.kernels.clipped import clipped_mean
    from astro_calib.kernels.stack import masked_median, sample_variance, sum_of_weights
    from astro_calib.kernels.threads import number_of_threads, over_rows
    from astro_calib.kernels.usable import counted, merge_flags, survivors

    shape = frames[0].shape
    number = len(frames)
    dtype = np.result_type(*(float_type(frame.dtype) for frame in frames))
    usual = usual_scatter(frames) if own is None and rejection.by_noise else 0.0
    # Whole numbers of 16 bits are sorted as they are, twice as fast.
    whole_numbers = (method.takes_integers and not rejection.rejects and typical is None) and all(
        frame.dtype == np.uint16 and frame.mask is None and frame.flags is None for frame in frames
    )
    # What is not needed is not written to, and takes no memory then.
    planes = np.empty((-(-number // 32), *shape), dtype=np.uint32)
    n_combined = np.empty(shape, dtype=np.uint16)
    total = np.empty(shape, dtype=dtype)
    result = StackedValues(
        data=np.empty(shape, dtype=dtype),
        flags=np.zeros(shape, dtype=np.uint16),
        n_used=n_combined,
        n_before=np.empty(shape, dtype=np.uint16) if rejection.rejects else n_combined,
        n_combined=n_combined,
        scatter=np.empty(shape, dtype=dtype) if scatter else None,
        weights=None if typical is None else np.empty((number, *shape), dtype=dtype),
        variance_factor=None if typical is None else np.empty(shape, dtype=np.float32),
    )
    complete_rows: list[slice] = []
    refilled: list[tuple[slice, NDArray[np.intp]]] = []

    def in_steps(
        rows: slice, values: Array, fit: Array, complete: bool, center: Array | None, variances: list[Any] | None
    ) -> tuple[bool, Array | None]:
        """Write the values; whether all are in them, and where nothing is fit for use."""
        used = rejection.keep(values, fit, center, variances, usual)
        whole = complete and (used is fit or bool(used.all()))
        known_median = center if used is fit else None
        empty = np.zeros(1, dtype=np.bool_) if whole else counted(used) == 0
        filling = bool(empty.any())
        if filling:
            filled = empty & np.isfinite(values)
            fit, used, known_median = fit | filled, used | filled, None
        result.data[rows], weight, result.n_combined[rows] = method.combined(values, used, whole, weights, known_median)
        if rejection.rejects:
            result.n_before[rows] = number if complete else counted(fit)
        if not whole:
            total[rows] = weight
        if result.scatter is not None:
            about = result.data[rows]
            result.scatter[rows] = sample_variance(values, used, about, whole)
            if not whole:
                single = result.n_combined[rows] <= 1
                np.copyto(result.scatter[rows], sample_variance(values, fit, about, complete), where=single)
        if typical is not None and variances is not None:
            assert result.weights is not None
            assert result.variance_factor is not None
            counting = fit if rejection.keeps_median else used
            found = method.weights_by_pixel(_roots(variances, values), typical, counting, used)
            result.weights[:, rows], result.variance_factor[rows] = found
        if not whole:
            survivors(used, planes[:, rows])
        return whole, empty if filling else None

    def combine_rows(rows: slice) -> None:
        item = (rows, *[slice(None)] * (len(shape) - 1))
        values, fit, complete = as_stored(frames, item) if whole_numbers else gathered(frames, item)
        needs_center = rejection.needs_center or typical is not None
        center = masked_median(values, fit, complete) if needs_center else None
        variances = None if own is None or center is None else own.at_center(item, values, center)
        if center is not None and variances is not None and method.linear:
            # What is asked for most goes through the values once.
            thresholds, n_before = (rejection.lower, rejection.upper), result.n_before[rows]
            parts = result.data[rows], total[rows], n_combined[rows], n_before, planes[:, rows]
            whole, filling = clipped_mean(values, fit, complete, variances, center, thresholds, weights, parts)
            empty = n_before == 0 if filling else None
            if empty is not None:
                np.copyto(n_before, n_combined[rows], where=empty)
        else:
            whole, empty = in_steps(rows, values, fit, complete, center, variances)
        if empty is not None:
            # Where nothing is fit for use the pixel gets the value and the variance of what there is.
            refilled.append((rows, np.flatnonzero(empty)))
        flags = [None if frame.flags is None else frame.flags[item] for frame in frames]
        merge_flags(flags, None if whole else planes[:, rows], result.flags[rows])
        if whole:
            complete_rows.append(rows)
            return
        if rejection.rejects:
            result.flags[rows] |= (n_combined[rows] < result.n_before[rows]) * np.uint16(DataQuality.REJECTED)
        if empty is not None:
            result.flags[rows] |= (n_combined[rows] == 0) * np.uint16(DataQuality.NO_DATA)

    block: float = BLOCK if own is None else BLOCK_WITH_NOISE
    if not all(isinstance(frame.pixels, np.ndarray) for frame in frames):
        block = BLOCK_ON_DISK
    block = min(block, memory_limit / (BYTES_A_VALUE * number_of_threads()))
    rows_at_a_time = max(1, int(block) // (number * max(int(np.prod(shape[1:])), 1)))
    over_rows(combine_rows, shape[0], number * int(np.prod(shape)), rows_at_a_time)
    if sum(rows.stop - rows.start for rows in complete_rows) == shape[0]:
        return result
    for rows in complete_rows:
        for position, plane in enumerate(planes):
            plane[rows] = (1 << min(number - 32 * position, 32)) - 1
        total[rows] = sum_of_weights(weights)
    result.total = total
    fields = [ArrayRef(plane) for plane in planes]
    result.kept = [SurvivorMask(fields[position // 32], position % 32) for position in range(number)]
    if refilled:
        result.n_used = n_combined.copy()
        for rows, places in refilled:
            result.n_used[rows].reshape(-1)[places] = 0
    return result
