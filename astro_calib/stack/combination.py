"""
Combine frames into one, with the right error.

The noise of a stack has two parts. What each frame has for itself is averaged down, by a factor that depends on the
estimator (`astro_calib.estimators`); it becomes one source of the stack's own, which remembers the frames that went
into it. What frames share (a master, the gain) is passed on source by source, and does not average down.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib.arguments import described, is_sequence_of, other_words, quantity_values
from astro_calib.detector.detector import as_detector
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.history import History
from astro_calib.frame.pixels import WriteGuard
from astro_calib.frame.rebuild import as_frame, lacks_own_noise
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.source import NoiseSource
from astro_calib.stack.factors import (
    excess_of_median,
    excess_of_unlike,
    factor_of_sample,
    factor_of_survivors,
    of_number,
    variance_factor_of_mean,
    variance_factor_of_median,
)
from astro_calib.stack.levels import level_effects, level_terms, scaled_frames, with_level_errors
from astro_calib.stack.noise import (
    PrivateNoise,
    Weights,
    alike,
    private_terms,
    sampled,
    stacked_budget,
    typical_sigmas,
    warn_of_median,
)
from astro_calib.stack.request import CombineOptions
from astro_calib.stack.values import BLOCK, StackedValues, gathered, stacked_values
from astro_calib.steps.deviation import create_deviation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.noise.window import Key

__all__ = ["combine"]

#: Values that are read from files at a time, so that a file is not read in too small pieces.
SLAB_ON_DISK = 1 << 24
#: Memory that a thread needs for one of them, at most: double precision, and its distance from the centre.
BYTES_A_VALUE = 24
#: The number of values at a pixel is counted in 16 bits.
MAX_FRAMES = np.iinfo(np.uint16).max
#: Images with more columns than this need not be looked at in every one to find what is typical.
MANY_COLUMNS = 1000
METHODS = ("mean", "median", "sum")
CLIPS = (None, "sigma", "scatter", "minmax")


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
    method: str = "mean",
    clip: str | None = None,
    sigma: float | tuple[float, float] = 3.0,
    extremes: tuple[int, int] = (1, 1),
    scale: str | Callable[[NDArray[Any]], float] | Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    detector: Detector | None = None,
    pedestal: float | u.Quantity | None = None,
    shot_noise: str | float | NDArray[Any] = "data",
    unit: Any = None,
    memory_limit: float = 1e9,
) -> CCDFrame:
    r"""
    Combine frames pixel by pixel.

    Parameters
    ----------
    frames : iterable of CCDFrame or path, each of shape (ny, nx)
        What to combine. Values that are masked, flagged as unfit for use (`DataQuality.UNUSABLE`) or not finite are
        left out.
    method : {"mean", "median", "sum"}
        A sum is the number of frames times the mean of the values used, so that a value left out does not darken it.
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
    memory_limit : float
        Raw frames that are given as files, and are neither scaled nor given a ``detector``, are read some rows at a
        time, so that all of them together take about this many bytes at most, beside the result. Compressed ones that
        do not fit are decompressed into temporary files. All others are held in memory; a warning says when they take
        more. ``numpy.inf`` is no limit.

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
    ...     return CCDFrame(np.full((1, 2), value), unit="electron", uncertainty=sigmas)
    >>> master = frame(10.0, 5.0)
    >>> stack = combine([frame(100.0, 5.0) - master for _ in range(25)])
    >>> np.sqrt(stack.variance).round(2)
    array([[5.1, 5.1]])
    """
    lower, upper = _thresholds(sigma)
    _check_choices(method, clip, lower, upper, extremes, weights, memory_limit)
    if detector is not None:
        detector = as_detector(detector, "combine(detector=...)")
    by_rows = scale is None and detector is None
    inputs = _loaded(frames, unit, memory_limit, by_rows=by_rows)
    named_after = inputs[0]
    if weights is not None:
        if len(weights) != len(inputs):
            msg = f"{len(weights)} weights for {len(inputs)} frames."
            raise ValueError(msg)
        weights = _shares(weights)
        if not (scale is None or isinstance(scale, str) or callable(scale)) and len(scale) == len(inputs):
            scale = [factor for factor, weight in zip(scale, weights, strict=True) if weight > 0]
        # A frame without weight is not there.
        inputs = [frame for frame, weight in zip(inputs, weights, strict=True) if weight > 0]
        weights = [weight for weight in weights if weight > 0]
    if clip == "minmax" and sum(extremes) >= len(inputs) > 1:
        msg = (
            f"extremes is {extremes}, which would leave none of {len(inputs)} values; leave out fewer, or combine more "
            "frames."
        )
        raise ValueError(msg)
    if detector is not None:
        inputs = [
            create_deviation(frame, detector, pedestal=pedestal, shot_noise=shot_noise)
            if lacks_own_noise(frame)
            else frame
            for frame in inputs
        ]
    by_scatter = _by_scatter(inputs)
    inputs, levels = scaled_frames(inputs, scale)
    options = CombineOptions(method, clip, lower, upper, extremes)
    numbers = _shares(np.ones(len(inputs)) if weights is None else weights)
    if by_scatter:
        block = BLOCK if all(isinstance(frame, CCDFrame) for frame in inputs) else _block_on_disk(memory_limit)
        values = stacked_values(inputs, options, numbers, None, scatter=True, block=block)
    if len(inputs) > 1:
        _warn_of_repetition(inputs)
    if by_scatter:
        inputs = _with_scatter(inputs, values, options)
    private = private_terms(inputs)
    own = PrivateNoise(inputs, private)
    typical, like = _typical(inputs, own)
    if method == "median":
        warn_of_median(own, typical, max(map(_quantum, inputs)))
    variance_factor: float | NDArray[Any] = 1.0
    if by_scatter:
        # The factor of the options is in the variance that was taken from the scatter; that of weights is not.
        if method != "median" and clip is not None:
            variance_factor = excess_of_unlike(np.ones(len(inputs)), numbers, options)
    else:
        unlike_median = method == "median" and not like
        if unlike_median:
            numbers = (1 / typical / np.sum(1 / typical)).tolist()
        known = own if clip == "sigma" or unlike_median else None
        values = stacked_values(inputs, options, numbers, known, typical=typical if unlike_median else None)
        variance_factor = _variance_factor(values, typical, numbers, options)
    passing = Weights(numbers=numbers, kept=values.kept, total=values.total, exact=values.exact)
    if levels is None:
        budget = stacked_budget(inputs, private, passing, variance_factor, values.data)
    else:
        effects = level_effects(levels, numbers)
        with_levels = with_level_errors(inputs, private, levels, effects, numbers)
        budget = stacked_budget(with_levels, private, passing, variance_factor, values.data)
        budget = budget.with_terms(level_terms(inputs, private, levels, effects, numbers))
    stack = _assembled(inputs, named_after, values, budget)
    if method == "sum":
        stack = stack.multiply(float(len(inputs)))
    stack.history = dataclasses.replace(stack.history, n_used=values.counted)
    return stack


def _typical(frames: Sequence[CCDFrame], own: PrivateNoise) -> tuple[NDArray[np.float64], bool]:
    """Typical sigmas of the frames' own noise, and whether they are alike nearly everywhere."""
    from astro_calib.kernels.stack import masked_median

    rows, *rest = sampled(frames[0].shape, len(frames))
    # Of images every third column is enough: rows are as many as before, the work is done by one thread.
    item = (rows, *rest[:-1], slice(None, None, 3)) if rest and frames[0].shape[-1] > MANY_COLUMNS else (rows, *rest)
    values, used, _ = gathered(frames, item)
    used = used | ~used.any(axis=0)
    variances = own.at_center(item, values, masked_median(values, used & np.isfinite(values)))
    sigma = np.sqrt(np.array([np.broadcast_to(one, values.shape[1:]) for one in variances], dtype=values.dtype))
    used &= np.isfinite(sigma)
    return typical_sigmas(sigma, used), alike(sigma, used)


def _variance_factor(
    values: StackedValues, typical: NDArray[np.float64], weights: Sequence[float], options: CombineOptions
) -> float | NDArray[Any]:
    """By how much the variance of the frames' own noise exceeds that of a mean with these weights."""
    clip, number = options.clip, len(weights)
    if options.method == "median":
        factor = (
            variance_factor_of_median(values, clip, number)
            if values.variance_factor is None
            else values.variance_factor
        )
        if clip is None or clip == "minmax":
            return factor
        return factor * of_number(lambda n: excess_of_median(n, options), values.before, values.data.dtype)
    if clip is None:
        return 1.0
    if clip == "scatter":
        # The threshold is itself uncertain, which the factor for a known one does not count.
        like: Any = of_number(lambda n: factor_of_survivors(n, options), values.before, values.data.dtype)
    else:
        like = variance_factor_of_mean(clip, (options.lower, options.upper), options.extremes, values, number)
    return like * excess_of_unlike(typical, weights, options)


def _shares(weights: Sequence[float] | NDArray[np.float64]) -> list[float]:
    """The weights over their sum; divided by the largest first, so that the sum is neither infinite nor zero."""
    given = np.asarray(weights, dtype=float)
    given = given / given.max()
    return [float(weight) for weight in given / given.sum()]


# -- input -----------------------------------------------------------------------------------------------------------


def _thresholds(sigma: float | tuple[float, float]) -> tuple[float, float]:
    """How many standard deviations below and above the median a value may be."""
    numbers = quantity_values("sigma", sigma, u.dimensionless_unscaled)
    if numbers.shape not in ((), (1,), (2,)):
        msg = f"sigma is {described(sigma)}; expected one number, or two: below and above the median."
        raise ValueError(msg)
    lower, upper = (float(value) for value in np.broadcast_to(numbers, 2))
    return lower, upper


def _check_choices(
    method: str,
    clip: str | None,
    lower: float,
    upper: float,
    extremes: tuple[int, int],
    weights: Sequence[float] | None,
    memory_limit: float,
) -> None:
    if not _is_one_of(METHODS, method):
        msg = f"method is {described(method)}; expected one of {', '.join(METHODS)}."
        if _is_one_of(("average",), method):
            msg += " ccdproc's 'average' is 'mean'."
        raise ValueError(msg)
    if not _is_one_of(CLIPS, clip):
        msg = f"clip is {described(clip)}; expected None, 'sigma', 'scatter' or 'minmax'."
        raise ValueError(msg)
    if not (lower > 0 and upper > 0):
        msg = f"sigma is ({lower}, {upper}); both thresholds must be positive."
        raise ValueError(msg)
    if not is_sequence_of(Integral, extremes) or len(extremes) != 2:
        msg = f"extremes is {described(extremes)}; expected two whole numbers: how many of the lowest and highest."
        raise ValueError(msg)
    if min(extremes) < 0:
        msg = f"extremes is {extremes}; the numbers of values to leave out cannot be negative."
        raise ValueError(msg)
    if weights is not None:
        if method == "median":
            msg = "a median takes no weights; use method='mean'."
            raise ValueError(msg)
        given = quantity_values("weights", weights, u.dimensionless_unscaled)
        if given.ndim != 1 or not np.isfinite(given).all() or (given < 0).any() or not (given > 0).any():
            msg = "weights must be one finite number a frame, none negative and not all zero."
            raise ValueError(msg)
    if isinstance(memory_limit, (bool, np.bool_)) or not (isinstance(memory_limit, Real) and memory_limit > 0):
        msg = (
            f"memory_limit is {memory_limit!r}; expected a positive number of bytes, such as 4e9, or numpy.inf for no "
            "limit."
        )
        raise ValueError(msg)


def _is_one_of(choices: tuple[str | None, ...], value: Any) -> bool:
    return (value is None or isinstance(value, str)) and value in choices


def _loaded(
    frames: Iterable[CCDFrame | str | os.PathLike[str]], unit: Any, memory_limit: float, *, by_rows: bool
) -> list[Any]:
    """The frames; raw ones in files stay there, if they can be read by rows."""
    if isinstance(frames, str) and "," in frames:
        msg = f"combine takes a list of paths: write combine({[name.strip() for name in frames.split(',')]})."
        raise TypeError(msg)
    if isinstance(frames, (str, os.PathLike, CCDFrame)):
        msg = "combine takes several frames: give a list."
        raise TypeError(msg)
    if isinstance(frames, np.ndarray) or hasattr(frames, "compute") or not isinstance(frames, Iterable):
        remedy = "write combine([CCDFrame(image, unit='adu') for image in array])"
        remedy = remedy if getattr(frames, "ndim", 0) > 2 else "write combine([frame, frame, ...])"
        msg = f"combine takes a list of frames or paths, not {described(frames)}: {remedy}."
        raise TypeError(msg)
    loaded: list[Any] = []
    taken, said = 0, False
    known: set[Key] = set()
    for frame in frames:
        if not isinstance(frame, (str, os.PathLike)):
            loaded.append(as_frame(frame, f"frame {len(loaded)}", any_shape=True).snapshot())
            continue
        if loaded and by_rows and loaded[0].known_budget is None and loaded[0].ndim == 2:
            loaded.append(_on_disk(Path(frame), unit, loaded, memory_limit))
        else:
            loaded.append(CCDFrame.read(frame, unit=unit))
        more = _bytes_of(loaded[-1], known)
        taken += more
        if more and len(loaded) > 1 and taken > memory_limit and not said:
            _warn_of_memory(len(loaded), taken, memory_limit)
            said = True
    if not loaded:
        msg = "there are no frames to combine."
        raise FrameError(msg)
    if len(loaded) > MAX_FRAMES:
        msg = f"there are {len(loaded)} frames to combine; expected {MAX_FRAMES} at most. Combine groups of them first."
        raise FrameError(msg)
    first = loaded[0]
    if first.ndim == 0 or first.size == 0:
        msg = f"{first.name} has no pixels (shape {first.shape})."
        raise FrameError(msg)
    for position, frame in enumerate(loaded[1:], start=1):
        if frame.shape != first.shape:
            msg = (
                f"frame 0 ({first.name}) has shape {first.shape}, frame {position} ({frame.name}) has "
                f"{frame.shape}; only "
                "frames of one shape can be combined. Trim them to the same section first."
            )
            raise ShapeMismatchError(msg)
        if not frame.unit.is_equivalent(first.unit):
            msg = (
                f"frame 0 ({first.name}) is in {first.unit}, frame {position} ({frame.name}) in {frame.unit}; only "
                "frames "
                "of one unit can be combined. Apply gain_correct to all of them, or to none."
            )
            raise u.UnitConversionError(msg)
        if frame.unit != first.unit:
            loaded[position] = frame.convert_unit_to(first.unit)
    return loaded


def _bytes_of(frame: Any, known: set[Key]) -> int:
    """What a frame that was read takes in memory, less the noise that is known already; it is added to that."""
    if not isinstance(frame, CCDFrame):
        return 0
    planes = [plane for plane in (frame.pixels, frame.mask, frame.flags) if plane is not None]
    sources = [] if frame.known_budget is None else [source for source, _ in frame.known_budget.terms]
    own = [source for source in sources if source.key not in known]
    known |= {source.key for source in own}
    return sum(plane.nbytes for plane in planes) + sum(source.variance.nbytes for source in own)


def _warn_of_memory(number: int, taken: int, memory_limit: float) -> None:
    msg = (
        f"the first {number} frames take {taken / 1e9:.2g} GB of memory, and more are to come: more than memory_limit "
        f"({memory_limit / 1e9:.2g} GB). Only raw frames that are neither scaled nor given a detector are read by "
        "rows. Combine fewer at a time, or raise memory_limit."
    )
    warnings.warn(msg, AstropyUserWarning, stacklevel=4)


def _is_raw(frame: Any) -> bool:
    return frame.known_budget is None and frame.mask is None and frame.flags is None and frame.ndim == 2


def _on_disk(path: Path, unit: Any, loaded: Sequence[Any], memory_limit: float) -> Any:
    """A raw frame in a file to be read by rows; another as it is, or in a file of its own if there is no room."""
    from astro_calib.io.rows import RawOnDisk, raw_on_disk, spilled

    first = loaded[0]
    frame = raw_on_disk(path, first.unit, stated=unit is None)
    same_unit = unit is None or u.Unit(unit) == first.unit
    if frame is not None and same_unit and frame.shape == first.shape:
        return frame
    read = CCDFrame.read(path, unit=unit)
    in_memory = sum(one.pixels.nbytes for one in loaded if isinstance(one, CCDFrame))
    if not _is_raw(read) or in_memory + read.pixels.nbytes < memory_limit / 2:
        return read.snapshot()
    directories = [one.directory for one in loaded if isinstance(one, RawOnDisk) and one.directory is not None]
    directory = directories[0] if directories else TemporaryDirectory(prefix="astro-calib-")
    return spilled(read, directory, len(loaded))


def _warn_of_repetition(frames: Sequence[Any]) -> None:
    """The same exposure given twice does not average down; say so, since it is hardly ever meant."""
    known: dict[Any, int] = {}
    for position, frame in enumerate(frames):
        if frame.known_budget is None:
            # Frames that share all their noise hold the same values; exact ones are told apart by their pixels.
            origin = frame.origin
            key: Any = (origin.raw.identity(), origin.window)
        else:
            key = frozenset(source.key for source, _ in frame.known_budget.terms)
        earlier = known.setdefault(key, position)
        if earlier != position:
            msg = (
                f"frames {earlier} ({frames[earlier].name}) and {position} ({frame.name}) are the same exposure; "
                "its noise "
                "does not average down with itself. Give each frame once."
            )
            warnings.warn(msg, NoiseWarning, stacklevel=3)


def _quantum(frame: CCDFrame) -> float:
    """The digital step of a frame in its unit, 0 where it is not known."""
    origin = frame.origin
    return 0.0 if origin is None else origin.quantum


def _by_scatter(frames: Sequence[CCDFrame]) -> bool:
    """Whether the noise has to be taken from the scatter of the sample."""
    lacking = [frame for frame in frames if lacks_own_noise(frame)]
    if not lacking:
        return False
    if len(frames) == 1:
        msg = (
            f"{lacking[0].name}: one frame without noise of its own shows nothing of it. Give detector=, or apply "
            "create_deviation first."
        )
        raise FrameError(msg)
    if len(lacking) < len(frames):
        msg = (
            f"{lacking[0].name} has no variance of its own, but other frames have. Give detector=, or apply "
            "create_deviation "
            "to it first."
        )
        raise FrameError(msg)
    return True


def _block_on_disk(memory_limit: float) -> int:
    """How many values are read at a time by each thread, which needs some bytes for each."""
    from astro_calib.kernels.threads import number_of_threads

    return int(max(min(SLAB_ON_DISK, memory_limit / (BYTES_A_VALUE * number_of_threads())), 1))


def _with_scatter(frames: Sequence[Any], values: StackedValues, options: CombineOptions) -> list[Any]:
    """
    The frames, each with the scatter of the sample at each pixel as noise of its own.

    Times the factor of the options, so that a mean with weights 1/n has the variance of the result.
    """
    # One value alone shows no scatter: it has the usual one.
    known = values.before > 1
    assert values.scatter is not None
    if not np.any(values.scatter[known] > 0) if not known.all() else not np.any(values.scatter):
        msg = (
            f"the frames to combine, such as {frames[0].name}, agree in every pixel: they show nothing of their noise."
        )
        raise FrameError(msg)
    variance = values.scatter
    if not known.all():
        usual = np.mean(values.scatter, where=known & np.isfinite(values.scatter), dtype=np.float64)
        variance[~known] = usual
    variance *= of_number(lambda n: factor_of_sample(n, options), values.before, variance.dtype)
    private = private_terms([frame for frame in frames if frame.known_budget is not None])
    result = []
    position = -1
    for frame in frames:
        origin = frame.origin
        assert origin is not None  # the frame lacks noise of its own
        source = NoiseSource(
            "read noise",
            variance,
            axes=tuple(range(frame.ndim)),
            # Not the identity that a detector gives it, whose variance is in electrons.
            identity=f"{origin.raw.identity()}:scatter",
            window=origin.window,
        )
        terms: list[Any] = [(source, 1.0)]
        if frame.known_budget is not None:
            # What only this frame has, such as the error of its overscan, is in the scatter already.
            position += 1
            terms += [term for term in frame.known_budget.terms if (position, term[0].key) not in private]
        data = frame.pixels if isinstance(frame, CCDFrame) else None
        budget = UncertaintyBudget(frame.shape, terms, variance.dtype, data)
        result.append(frame.with_budget(budget, origin))
    return result


def _assembled(frames: Sequence[Any], first: CCDFrame, values: StackedValues, budget: UncertaintyBudget) -> CCDFrame:
    empty = values.counted == 0
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
