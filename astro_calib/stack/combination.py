"""
Combine frames into one, with the right error.

The noise of a stack has two parts. What each frame has for itself is averaged down, by a factor that depends on the
estimator (`astro_calib.estimators`); it becomes one source of the stack's own, which remembers the frames that went
into it. What frames share (a master, the gain) is passed on source by source, and does not average down.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import other_words
from astro_calib.detector.detector import as_detector
from astro_calib.estimators.methods import excess_of_unlike
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.history import History
from astro_calib.frame.rebuild import lacks_own_noise
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.stack.inputs import load_inputs, warn_of_repetition
from astro_calib.stack.levels import level_effects, level_terms, scaled_frames, with_level_errors
from astro_calib.stack.noise import PrivateNoise, Weights, budget_of, private_terms, stacked_budget, warn_of_nonlinear
from astro_calib.stack.overflow import Overflow
from astro_calib.stack.request import check_memory_limit, check_weights, method_of, rejection_of, shares
from astro_calib.stack.scatter import lack_noise, with_scatter
from astro_calib.stack.values import StackedValues, stacked_values, typical_noise
from astro_calib.steps.deviation import create_deviation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    import astropy.units as u
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.estimators.estimator import Estimator
    from astro_calib.noise.budget import UncertaintyBudget
    from astro_calib.stack.request import MemoryLimit

__all__ = ["combine"]

#: Bytes that raw frames in files may take, if nobody says how many.
OF_FILES = 1e9


@other_words(
    img_list="give the list first: combine(frames).",
    ccd_list="give the list first: combine(frames).",
    output_file="write combine(frames).write({output_file}).",
    mem_limit="write memory_limit={mem_limit}.",
    sigma_clip="write clip='sigma', or clip='scatter' for the scatter of the sample, and sigma=3 or (3, 3).",
    sigma_clip_low_thresh="write clip='sigma', sigma=({sigma_clip_low_thresh}, {sigma_clip_high_thresh}).",
    sigma_clip_high_thresh="write clip='sigma', sigma=({sigma_clip_low_thresh}, {sigma_clip_high_thresh}).",
    sigma_clip_func="leave it out; values are clipped about the median.",
    sigma_clip_dev_func="leave it out; clip='scatter' takes the robust scatter, clip='sigma' the known noise.",
    clip_extrema="write clip='minmax', extremes=({nlow}, {nhigh}).",
    nlow="write clip='minmax', extremes=({nlow}, {nhigh}).",
    nhigh="write clip='minmax', extremes=({nlow}, {nhigh}).",
    minmax_clip="set frame.mask where values are out of range: {minmax_clip_min} to {minmax_clip_max}.",
    minmax_clip_min="set frame.mask |= frame.data < {minmax_clip_min}.",
    minmax_clip_max="set frame.mask |= frame.data > {minmax_clip_max}.",
    dtype="write np.float32 into the frames first; float32 stays float32.",
    combine_uncertainty_function="leave it out; the error comes from the frames' budgets.",
    overwrite_output="write combine(frames).write(path, overwrite=True).",
    _position="Frames go into one list, the rest by name: combine([frame, frame], method='median').",
)
def combine(
    frames: Iterable[CCDFrame | str | os.PathLike[str]],
    *,
    method: str | Estimator = "mean",
    clip: str | None = None,
    sigma: float | tuple[float, float] = 3.0,
    extremes: tuple[int, int] = (1, 1),
    scale: str | Callable[[NDArray[Any]], float] | Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    detector: Detector | None = None,
    pedestal: float | u.Quantity | None = None,
    shot_noise: str | float | NDArray[Any] = "data",
    unit: Any = None,
    memory_limit: MemoryLimit = "auto",
) -> CCDFrame:
    r"""
    Combine frames pixel by pixel.

    Parameters
    ----------
    frames : iterable of CCDFrame or path, each of shape (ny, nx)
        What to combine. Values that are masked, flagged as unfit for use (`DataQuality.UNUSABLE`) or not finite are
        left out.
    method : {"mean", "median", "sum"} or `~astro_calib.estimators.Estimator`
        A sum is the number of frames times the mean of the values used, so that a value left out does not darken it.
        Any other estimator can be given as an object.
    clip : {None, "sigma", "scatter", "minmax"}
        Rejection. ``"sigma"``: values further than ``sigma`` times their own known noise from the median of all; for
        frames without variance their scatter takes its place. ``"scatter"``: ``sigma`` times the robust scatter of the
        sample at each pixel. ``"minmax"``: the lowest and highest values of each pixel, as many as ``extremes`` says.
    sigma : float or (float, float)
        Threshold, or thresholds below and above the median.
    extremes : (int, int)
        How many of the lowest and of the highest values ``"minmax"`` leaves out.
    scale : {"median", "mean"}, callable or sequence of float, optional
        Frames are multiplied by these numbers first. A name brings all frames to the average of their medians or means
        over good pixels, as flats of different exposure need; the error of these levels is a source of the stack's
        ("scale"). A callable gives the factor for an array of pixels, of which those that are not fit for use, or have
        no finite variance, are masked: ``lambda pixels: 1 / numpy.median(pixels)`` and ``numpy.ma.median`` both leave
        them out. Factors given count as exact.
    weights : sequence of float, optional
        Weights of the frames in a mean; they count as exact. Weights from each pixel's own variance would bias the
        mean, because low values have low variance.
    detector : Detector, optional
        Gives frames that have no noise of their own yet their read noise and shot noise.
    pedestal : float or Quantity, optional
        As in `create_deviation`, for ``detector``.
    shot_noise : {"data", "smooth"}, float or ndarray
        As in `create_deviation`, for ``detector``; raw biases have ``shot_noise=0``.
    unit : unit, optional
        Of files that do not say theirs.
    memory_limit : float or "auto"
        About how many bytes the frames may take, beside the result; ``numpy.inf`` is no limit. Raw frames that are
        given as files, and are neither scaled nor given a ``detector``, are read some rows at a time (1e9 bytes at most
        by default); compressed ones that do not fit are decompressed into temporary files. Frames that a generator
        makes, ``combine(calibrate(path, ...) for path in paths)``, which nobody else holds, go to temporary files if
        they do not fit (into half of the free memory by default), and are combined by rows, with the same result. All
        others are held in memory; a warning says when files that were read take more.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        With the header of the first frame and NCOMBINE; `CCDFrame.n_used` tells how many values were used at each
        pixel. Where none could be, the pixel is masked, and holds what the values that are unfit for use give.
        `DataQuality.REJECTED` marks pixels where the clipping left something out.

    Raises
    ------
    FrameError
        If there are no frames, or more than 65535, or there is one frame only and its noise is not known: an exact
        master is never made.
    ShapeMismatchError
        If shapes differ; the message names the frames.
    astropy.units.UnitConversionError
        If units differ.
    ValueError
        If an argument has no meaning: a factor that is not positive and finite, extremes that would leave no value.

    Notes
    -----
    With weights w_i that add up to 1, a source that frames share gets the coefficient :math:`\sum_i w_i c_i`, and the
    frames' own noise the variance :math:`F \sum_i w_i^2 \sigma_i^2`. F is 1 for a mean, else the factor of the
    estimator for Gaussian noise at the pixel's own number of values, see `astro_calib.estimators`. The median of
    unlike frames passes on shared noise in proportion to :math:`1/\sigma_i`.

    Frames without noise of their own and without ``detector`` get the scatter of the sample (N - 1) at each pixel;
    after a rejection, times a factor that is found by simulating it.

    Examples
    --------
    Noise that frames share does not average down:

    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, combine
    >>> def frame(value, sigma):
    ...     sigmas = StdDevUncertainty(np.full((1, 2), sigma))
    ...     return CCDFrame(
    ...         np.full((1, 2), value), unit="electron", uncertainty=sigmas
    ...     )
    >>> master = frame(10.0, 5.0)
    >>> stack = combine([frame(100.0, 5.0) - master for _ in range(25)])
    >>> np.sqrt(stack.variance).round(2)
    array([[5.1, 5.1]])
    """
    how, rejection = method_of(method), rejection_of(clip, sigma, extremes)
    if weights is not None:
        check_weights(weights, how)
    check_memory_limit(memory_limit)
    if detector is not None:
        detector = as_detector(detector, "combine(detector=...)")
    overflow = Overflow(memory_limit)
    of_files = OF_FILES if memory_limit == "auto" else memory_limit
    inputs = load_inputs(frames, unit, of_files, by_rows=scale is None and detector is None, overflow=overflow)
    named_after = inputs[0]
    if weights is not None:
        if len(weights) != len(inputs):
            msg = f"{len(weights)} weights for {len(inputs)} frames."
            raise ValueError(msg)
        weights = shares(weights)
        if not (scale is None or isinstance(scale, str) or callable(scale)) and len(scale) == len(inputs):
            scale = [factor for factor, weight in zip(scale, weights, strict=True) if weight > 0]
        # A frame without weight is not there.
        inputs = [frame for frame, weight in zip(inputs, weights, strict=True) if weight > 0]
        weights = [weight for weight in weights if weight > 0]
    rejection.check(len(inputs))
    if detector is not None:
        inputs = [
            overflow.frame(create_deviation(frame, detector, pedestal=pedestal, shot_noise=shot_noise))
            if lacks_own_noise(frame)
            else frame
            for frame in inputs
        ]
    by_scatter = lack_noise(inputs)
    inputs, levels = scaled_frames(inputs, scale, overflow)
    numbers = shares(np.ones(len(inputs)) if weights is None else weights)
    if by_scatter:
        at_once = min(of_files, overflow.room)
        values = stacked_values(inputs, how, rejection, numbers, scatter=True, memory_limit=at_once)
    if len(inputs) > 1:
        warn_of_repetition(inputs)
    if by_scatter:
        inputs = with_scatter(inputs, values, how, rejection)
    private = private_terms(inputs)
    own = PrivateNoise(inputs, private)
    typical, like = typical_noise(inputs, own)
    if not how.linear:
        quantum = max(0.0 if frame.origin is None else frame.origin.quantum for frame in inputs)
        warn_of_nonlinear(how.name, own, typical, quantum)
    variance_factor: Any
    if by_scatter:
        # The factor of the estimator is in the variance that was taken from the scatter; that of weights is not.
        variance_factor = excess_of_unlike(how, rejection, np.ones(len(inputs)), numbers)
    else:
        unlike = not (like or how.linear)
        if unlike:
            numbers = how.weights(typical)
        by_pixel = unlike and how.weighs_pixels
        known = own if rejection.by_noise or by_pixel else None
        values = stacked_values(
            inputs,
            how,
            rejection,
            numbers,
            known,
            typical=typical if by_pixel else None,
            memory_limit=overflow.room,
        )
        variance_factor = how.factor(rejection, values, typical, numbers)
    passing = Weights(numbers=numbers, kept=values.kept, total=values.total, by_pixel=values.weights)
    if levels is None:
        budgets = [budget_of(frame) for frame in inputs]
        budget = stacked_budget(budgets, private, passing, variance_factor, values.data, overflow.coefficient)
    else:
        effects = level_effects(levels, numbers)
        budgets = with_level_errors(inputs, private, levels, effects, numbers)
        budget = stacked_budget(budgets, private, passing, variance_factor, values.data, overflow.coefficient)
        budget = budget.with_terms(level_terms(inputs, private, levels, effects, numbers, overflow))
    stack = _assembled(inputs, named_after, values, budget)
    if how.summed:
        stack = stack.multiply(float(len(inputs)))
    stack.history = dataclasses.replace(stack.history, n_used=values.n_used)
    return stack


def _assembled(frames: Sequence[Any], first: CCDFrame, values: StackedValues, budget: UncertaintyBudget) -> CCDFrame:
    empty = values.n_used == 0
    meta = first.meta.copy()
    meta["NCOMBINE"] = len(frames)
    applied = tuple(one for one in first.history.applied if all(one in frame.history.applied for frame in frames))
    return CCDFrame(
        values.data,
        unit=first.unit,
        budget=budget,
        mask=empty if empty.any() or any(frame.mask is not None for frame in frames) else None,
        flags=values.flags,
        meta=meta,
        wcs=first.wcs,
        history=History(applied=applied),
        name=f"the stack of {len(frames)} frames from {first.name}",
        guard=WriteGuard(),
    )
