"""The dark current of a detector, from darks of several exposures of one temperature."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib.arguments import check_positive, described, frame_from, is_sequence_of
from astro_calib.detector.detector import as_detector
from astro_calib.detector.header_values import as_number
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import as_frame, lacks_own_noise, usable, with_quality
from astro_calib.masters.provenance import record
from astro_calib.stack.combination import combine
from astro_calib.steps.deviation import create_deviation
from astro_calib.steps.gain import gain_correct
from astro_calib.steps.master import exposure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from astropy.table import Table
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector

__all__ = [
    "DarkCurrent",
    "as_frames",
    "clipped",
    "dark_current",
    "exposures_of",
    "hot_pixels",
    "other_temperatures",
    "smooth",
]

#: Exposures that differ by less than this part are the same.
SAME_EXPOSURE = 1e-3
#: Kelvin by which the temperatures of darks may differ: the dark current changes by 6% with it.
TOLERANCE = 0.5
#: Values of a pixel that are further from the others than this many standard deviations are hits.
CLIP = 5.0
#: So many values are enough to find how they scatter.
SAMPLE = 100_000
#: With fewer frames than this their own scatter does not tell which value is a hit.
ENOUGH_TO_CLIP = 5
#: Side of the box whose median is the dark current around a pixel, pixels.
BOX = 7
#: A fall of the level is told from chance at this probability.
CHANCE = 1e-3
#: A hot pixel whose darks are off a straight line with less probability than this does not grow steadily.
UNSTEADY = 1e-5
#: Observed over predicted noise further from one than this is worth a remark.
UNLIKE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class DarkCurrent:
    """
    What darks of several exposures say of a detector.

    Parameters
    ----------
    rate : CCDFrame, shape (ny, nx)
        Dark current in electron / s or adu / s, with its budget. Hot pixels are flagged ``DataQuality.BAD`` and masked.
    offset : CCDFrame, shape (ny, nx)
        What the darks hold at zero time, with its budget: the bias, or what is left of it.
    hot : ndarray of bool, shape (ny, nx)
        True where a pixel is hot.
    level, level_uncertainty : Quantity
        Rate of the ordinary pixels, and its standard uncertainty, which holds how the level drifts between frames.
    clamped : bool
        Whether the level falls with exposure: then the camera has moved it, and rates count from an unknown level.
    temperature : Quantity or None
        Mean temperature of the darks, if their headers tell it.
    table : Table
        A row for each exposure: ``exposure``, ``number`` of darks, ``level``, and a pixel's noise in one dark as
        ``observed`` in their differences and ``predicted``; NaN where it is not known.
    remarks : tuple of str
        What should be known about the result.

    Examples
    --------
    As `dark_current` makes it; see there.

    >>> from astro_calib import simulate
    >>> from astro_calib.characterize import dark_current
    >>> camera = simulate.Camera(shape=(64, 64), detector=simulate.camera((64, 64)).detector, dark_rate=0.5)
    >>> darks = [camera.expose("dark", time, rng=seed)[0] for seed, time in enumerate([60, 60, 600, 600])]
    >>> dark_current(darks, detector=camera.detector).rate.unit
    Unit("electron / s")
    """

    rate: CCDFrame
    offset: CCDFrame
    hot: NDArray[np.bool_]
    level: u.Quantity
    level_uncertainty: u.Quantity
    clamped: bool
    temperature: u.Quantity | None
    table: Table
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        number = int(np.count_nonzero(self.hot))
        share = 100 * number / self.hot.size
        where = "" if self.temperature is None else f" at {self.temperature.value:.1f} deg C"
        rate = f"{self.level.value:.4g} +- {self.level_uncertainty.value:.2g} {self.level.unit}"
        lines = [f"Dark current{where}: {rate}; {number} hot pixels ({share:.2g}%).", *self.remarks]
        return "\n".join([*lines, "", *self.table.pformat(max_lines=-1, max_width=-1)])


def dark_current(
    darks: Iterable[CCDFrame],
    *,
    detector: Detector | None = None,
    exposure_time: str = "EXPTIME",
    exposure_unit: Any = u.s,
    temperature: str = "CCD-TEMP",
    tolerance: float | u.Quantity = TOLERANCE,
    threshold: float = 5.0,
) -> DarkCurrent:
    r"""
    Measure the dark current of each pixel from darks of several exposures.

    Parameters
    ----------
    darks : iterable of CCDFrame, each of shape (ny, nx)
        Darks of two exposures at the least, all of one temperature; biases count as darks of no exposure. They may be
        raw, or have had their overscan or bias subtracted. What is the same at all exposures is the offset.
    detector : Detector, optional
        Turns frames in adu into electrons, and gives those without noise of their own read noise and shot noise.
        Without it such frames have the noise that their scatter shows, which takes two of each exposure.
    exposure_time : str
        Header keyword of the exposure time.
    exposure_unit : unit
        Its unit.
    temperature : str
        Header keyword of the detector's temperature, degrees Celsius.
    tolerance : float or Quantity
        How far a temperature may be from the median of all, K.
    threshold : float
        A pixel is hot if its rate is above that around it by so many of its own standard errors, and as many of the
        standard deviations that the pixels have.

    Returns
    -------
    DarkCurrent
        The rate of each pixel with its error, the offset at zero time, and which pixels are hot.

    Raises
    ------
    FrameError
        If all darks have one exposure, a temperature is another, the same frame is given twice, or the noise of the
        darks cannot be known from so few.
    ShapeMismatchError
        If shapes differ.
    astropy.units.UnitConversionError
        If units differ.
    TypeError
        If the darks are no frames.
    ValueError
        If an argument is out of range.

    Warns
    -----
    AstropyUserWarning
        If the level falls with exposure, which no dark current does: the camera clamps its black level, or it drifts.

    Notes
    -----
    The darks of each exposure :math:`t_m` are averaged, hits left out. With weights :math:`w_m` from the variance of a
    typical pixel, the same for all pixels, the rate is the slope of a straight line,

    .. math:: r = \sum_m k_m D_m, \qquad k_m = \frac{w_m (t_m - \bar t)}{\sum_m w_m (t_m - \bar t)^2}.

    It is a sum of frames: its error is that of the sum, in which a bias that was subtracted from all of them cancels.
    The shot noise is that of the fitted rate, smoothed but for hot pixels, and not of each dark's own value.

    The level's uncertainty comes from the scatter of the frames' means about a line. If these fall, at odds of one to a
    thousand, the darks' own noise is taken from their scatter, for what the camera does to the level
    it does to the noise.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import simulate
    >>> from astro_calib.characterize import dark_current
    >>> rates = np.full((64, 64), 0.5)
    >>> rates[10, 20] = 40.0
    >>> camera = simulate.Camera(shape=(64, 64), detector=simulate.camera((64, 64)).detector, dark_rate=rates)
    >>> darks = [camera.expose("dark", time, rng=seed)[0] for seed, time in enumerate([60, 60, 60, 600, 600, 600])]
    >>> measured = dark_current(darks, detector=camera.detector)
    >>> np.argwhere(measured.hot)
    array([[10, 20]])
    >>> bool(abs(measured.level.value - 0.5) < 4 * measured.level_uncertainty.value)
    True
    >>> bool(abs(measured.rate.data[10, 20] - 40.0) < 4 * np.sqrt(measured.rate.variance[10, 20]))
    True
    """
    threshold = check_positive("threshold", threshold)
    frames = as_frames("dark_current", "darks", darks)
    times = np.array([exposures_of(frame, exposure_time, exposure_unit) for frame in frames])
    groups = _by_exposure(times)
    if len(groups) < 2:
        msg = (
            f"all {len(frames)} darks are exposed for {times[0]:g} s; two exposures are needed at the least to tell "
            "the dark current from the level at zero time. Biases count as darks of 0 s."
        )
        raise FrameError(msg)
    others, celsius = other_temperatures(frames, temperature, tolerance)
    if others:
        msg = (
            f"{', '.join(others)}; the others have {celsius:.4g} deg C. The dark current doubles with every 6 K: give "
            "darks of one temperature."
        )
        raise FrameError(msg)
    remarks = []
    if celsius is None:
        remarks.append(f"The headers tell no temperature ({temperature}); that the darks have the same is not checked.")
    if detector is not None:
        detector = as_detector(detector, "dark_current")
        frames = [gain_correct(frame, detector) if frame.unit == u.adu else frame for frame in frames]
    unit = frames[0].unit

    good = np.logical_and.reduce([usable(frame) for frame in frames])
    if not good.any():
        msg = f"no pixel is fit for use in all {len(frames)} darks, {frames[0].name} and so on."
        raise FrameError(msg)
    exposures = np.array([times[group].mean() for group in groups])
    medians = [_median([frames[place] for place in group]) for group in groups]
    slope, _ = _line(exposures, np.ones(len(groups)))
    first = _sum_of(slope, medians)
    around = smooth(first, good)
    hot = hot_pixels(first - around, good, threshold)
    ordinary = good & ~hot
    calm = ordinary & _typical(first, ordinary)
    levels = _levels(frames, groups, medians, calm)
    own = _noise_of_level(frames, groups, calm)
    line = _line_of_levels(times, levels, own)
    if len(frames) == 2:
        remarks.append("Two darks do not show how the level drifts: its uncertainty is that of the pixels alone.")
    if line.falls:
        _tell_of_clamp(times, levels, unit, remarks)
        frames = [frame.replace(frame.pixels, None) for frame in frames]
        alone = [group for group in groups if len(group) == 1]
        groups = [group for group in groups if len(group) > 1]
        remarks += [f"{frames[group[0]].name} is left out: the scatter of one dark is not known." for group in alone]
        if len(groups) < 2:
            msg = "the level of the darks falls with exposure, so that their noise has to be seen in their scatter; "
            msg += "give two darks or more of each of two exposures."
            raise FrameError(msg)
    elif detector is not None:
        expected = np.where(hot, first, around)
        frames = [
            create_deviation(frame, detector, shot_noise=np.nan_to_num(np.maximum(expected, 0)) * time)
            if lacks_own_noise(frame)
            else frame
            for frame, time in zip(frames, times, strict=True)
        ]
    stacks = [_stack([frames[place] for place in group]) for group in groups]
    exposures = np.array([times[group].mean() for group in groups])
    typical = np.array([np.median(_variance(stack)[ordinary]) for stack in stacks])
    if not (np.isfinite(typical) & (typical > 0)).all():
        dead = [f"{time:g} s" for time, value in zip(exposures, typical, strict=True) if not value > 0]
        msg = f"the darks of {', '.join(dead)} have no noise: they are copies of each other, or no raw frames."
        raise FrameError(msg)
    slope, start = _line(exposures, 1 / typical)
    rate = _named(_frame_sum(slope / u.s, stacks), "dark current")
    offset = _named(_frame_sum(start * u.dimensionless_unscaled, stacks), "level at zero time")
    hot = hot_pixels(rate.pixels - around, usable(rate), threshold, np.sqrt(_variance(rate)))
    remarks += _unsteady(exposures, stacks, rate, offset, hot)
    if rate.flags is not None:
        full = (rate.flags & np.uint16(DataQuality.SATURATED)) != 0
        hot |= full
        if full.any():
            remarks.append(f"{np.count_nonzero(full)} pixels saturate in a dark; the rate there is too low.")
    table = _table(exposures, groups, frames, levels, ordinary)
    remarks += _noise_remarks(table, scatter=line.falls or detector is None)
    rate = with_quality(rate, hot, DataQuality.BAD)
    # Frames that share a bias share the error of its level, too.
    error = np.hypot(line.start_error, _error_of_mean(offset, calm))
    if _without_bias(frames) and abs(line.start) > 5 * error:
        left = f"{line.start:.3g} +- {error:.1g} {unit}"
        remarks.append(f"At zero time {left} are left: the bias that was subtracted is not that of the darks.")
    for made in (rate, offset):
        # It is no dark of the exposure that the first one had.
        made.meta.pop(exposure_time, None)
        made.meta["OBJECT"] = made.name
        record(
            made,
            "dark_current",
            parameters={
                "frames": [frame.name for frame in frames],
                "exposures": [float(time) for time in times],
                "temperature": celsius,
                "clamped": line.falls,
                "threshold": threshold,
            },
        )
    return DarkCurrent(
        rate=rate,
        offset=offset,
        hot=hot,
        level=line.rate * unit / u.s,
        level_uncertainty=line.rate_error * unit / u.s,
        clamped=line.falls,
        temperature=None if celsius is None else celsius * u.deg_C,
        table=table,
        remarks=tuple(remarks),
    )


# -- what is given ---------------------------------------------------------------------------------------------------


def as_frames(function: str, what: str, given: Any) -> list[CCDFrame]:
    """The frames of a list, once it is clear that they fit together, and that none is there twice."""
    if isinstance(given, CCDFrame) or not hasattr(given, "__iter__") or isinstance(given, (str, np.ndarray)):
        msg = f"{function} takes a list of {what}, not {described(given)}: write {function}([frame, frame, ...])."
        raise TypeError(msg)
    given = list(given)
    if not given or not is_sequence_of((CCDFrame,), given):
        other = next((one for one in given if not isinstance(one, CCDFrame)), None)
        remedy = "the list is empty." if not given else f"found {described(other)}. {frame_from(other)}"
        msg = f"{function} takes a list of {what} as CCDFrame; {remedy}"
        raise TypeError(msg)
    frames = [as_frame(frame) for frame in given]
    first = frames[0]
    seen: dict[str, str] = {}
    for frame in frames:
        if frame.shape != first.shape:
            msg = f"{first.name} has shape {first.shape}, {frame.name} has {frame.shape}; give {what} of one size."
            raise ShapeMismatchError(msg)
        if frame.unit != first.unit:
            msg = f"{first.name} is in {first.unit}, {frame.name} in {frame.unit}; give {what} of one unit."
            raise u.UnitConversionError(msg)
        digest = frame.pixel_digest()
        if digest in seen:
            msg = f"{frame.name} has the same pixels as {seen[digest]}; give each of the {what} once."
            raise FrameError(msg)
        seen[digest] = frame.name
    return frames


def exposures_of(frame: CCDFrame, keyword: str, unit: Any) -> float:
    """The exposure time of a frame in seconds."""
    return float(exposure(frame, keyword, unit).to_value(u.s))


def other_temperatures(frames: Sequence[CCDFrame], keyword: str, tolerance: Any) -> tuple[list[str], float | None]:
    """
    Which frames have another temperature than most.

    Parameters
    ----------
    frames : sequence of CCDFrame
        With headers.
    keyword : str
        Of the temperature, degrees Celsius.
    tolerance : float or Quantity
        How far from the median a temperature may be, K.

    Returns
    -------
    others : list of str
        The names of these frames with their temperatures.
    celsius : float or None
        Mean temperature of the frames that are left; None if a header does not tell it.
    """
    allowed = check_positive("tolerance", tolerance, u.K)
    found = [as_number(frame.meta.get(keyword)) for frame in frames]
    known = np.array([value for value in found if value is not None])
    if not known.size:
        return [], None
    middle = np.median(known)
    others = [
        f"{frame.name} has {value:g} deg C"
        for frame, value in zip(frames, found, strict=True)
        if value is not None and abs(value - middle) > allowed
    ]
    if len(known) < len(found):
        return others, None if not others else float(middle)
    near = known[np.abs(known - middle) <= allowed]
    return others, float(near.mean() if near.size else middle)


def _by_exposure(times: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Which frames have the same exposure, the shortest first."""
    groups: list[list[int]] = []
    for place in np.argsort(times, kind="stable"):
        if groups and times[place] <= times[groups[-1][0]] * (1 + SAME_EXPOSURE):
            groups[-1].append(int(place))
        else:
            groups.append([int(place)])
    return [np.array(sorted(group)) for group in groups]


# -- the line --------------------------------------------------------------------------------------------------------


def _line(times: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What values at some times are multiplied by in the slope of their line, and in its value at zero."""
    shares = weights / weights.sum()
    middle = shares @ times
    slope = shares * (times - middle) / (shares @ (times - middle) ** 2)
    return slope, shares - middle * slope


def _sum_of(factors: NDArray[np.float64], arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    total = arrays[0].dtype.type(factors[0]) * arrays[0]
    for factor, array in zip(factors[1:], arrays[1:], strict=True):
        total += array.dtype.type(factor) * array
    return total


def _frame_sum(factors: u.Quantity, frames: Sequence[CCDFrame]) -> CCDFrame:
    """The sum of frames times numbers, with the noise of the sum."""
    parts = [frame.multiply(factor) for factor, frame in zip(factors, frames, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total.add(part)
    return total


def _named(frame: CCDFrame, name: str) -> CCDFrame:
    frame.name = name
    return frame


def _median(frames: Sequence[CCDFrame]) -> NDArray[Any]:
    """The median of frames, by which a hit in one of three or more does no harm."""
    return np.asarray(np.median([floating(frame.pixels) for frame in frames], axis=0))


def _stack(frames: Sequence[CCDFrame]) -> CCDFrame:
    """The mean of darks of one exposure, without hits as far as they can be told."""
    if len(frames) == 1 and frames[0].known_budget is not None:
        return frames[0]
    by_noise = all(frame.known_budget is not None for frame in frames)
    enough = len(frames) >= ENOUGH_TO_CLIP
    clip = "sigma" if by_noise else "scatter" if enough else None
    return combine(frames, method="mean", clip=clip, sigma=CLIP)


def _variance(frame: CCDFrame) -> NDArray[Any]:
    variance = frame.variance
    assert variance is not None
    return variance


def smooth(values: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[Any]:
    """The image without what is narrower than a few pixels; where it is not good it counts as it is elsewhere."""
    from scipy.ndimage import median_filter

    filled = values if good.all() else np.where(good, values, np.median(values[good]))
    return np.asarray(median_filter(filled, size=BOX, mode="reflect"))


def hot_pixels(
    excess: NDArray[Any], good: NDArray[np.bool_], threshold: float, error: NDArray[Any] | float = 0.0
) -> NDArray[np.bool_]:
    """
    Which pixels have more dark current than those around them.

    Parameters
    ----------
    excess : ndarray, shape (ny, nx)
        Dark current above that of the pixels around.
    good : ndarray of bool, shape (ny, nx)
        Where it is known.
    threshold : float
        In standard errors, and in standard deviations of the pixels.
    error : ndarray or float
        Standard error of that.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        False where the rate is not known.
    """
    if not good.any():
        return np.zeros(excess.shape, np.bool_)
    spread = clipped(excess[good])[1]
    with np.errstate(invalid="ignore"):
        return np.asarray(good & (excess > threshold * np.maximum(error, spread)))


# -- the level -------------------------------------------------------------------------------------------------------


def _typical(values: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which values are not far from most: the same pixels make the level of all exposures."""
    middle, scatter = clipped(values[where])
    return np.asarray(np.abs(values - middle) <= CLIP * scatter)


def _levels(
    frames: Sequence[CCDFrame],
    groups: Sequence[NDArray[np.intp]],
    medians: Sequence[NDArray[Any]],
    calm: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The mean of each frame over the same pixels, without its hits, which are told by the others of its exposure."""
    levels = np.empty(len(frames))
    for group, median in zip(groups, medians, strict=True):
        usual = median[calm]
        mean = float(usual.mean(dtype=np.float64))
        for place in group:
            levels[place] = mean + clipped(floating(frames[place].pixels)[calm] - usual)[0]
    return levels


def _error_of_mean(frame: CCDFrame, where: NDArray[np.bool_]) -> float:
    budget = frame.known_budget
    assert budget is not None
    return float(np.sqrt(budget.variance_of_sum(where / np.count_nonzero(where))))


def _noise_of_level(
    frames: Sequence[CCDFrame], groups: Sequence[NDArray[np.intp]], ordinary: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The error of each frame's level that its pixels bring, from how they differ from those of the next frame."""
    errors = np.empty(len(frames))
    for group in groups:
        # Of one frame the pixels' own scatter, which is too large rather than too small.
        pixels = [floating(frames[place].pixels)[ordinary] for place in group[:2]]
        scatter = clipped(pixels[1] - pixels[0])[1] / np.sqrt(2) if len(group) > 1 else clipped(pixels[0])[1]
        errors[group] = scatter / np.sqrt(pixels[0].size)
    return errors


def clipped(values: NDArray[Any]) -> tuple[float, float]:
    """Mean and standard deviation without hits; right for whole numbers, too, as those by a median are not."""
    from astropy.stats import sigma_clipped_stats

    # A part of them tells where hits begin.
    some = np.asarray(values[:: max(1, values.size // SAMPLE)], np.float64)
    _, middle, scatter = sigma_clipped_stats(some, sigma=CLIP, maxiters=10)
    kept = values[np.abs(values - middle) <= CLIP * scatter]
    return float(kept.mean(dtype=np.float64)), float(kept.std(dtype=np.float64))


class _LevelLine(NamedTuple):
    """How the level rises with time, its value at zero, their standard errors, and whether it falls beyond chance."""

    rate: float
    rate_error: float
    start: float
    start_error: float
    falls: bool


def _line_of_levels(times: NDArray[np.float64], levels: NDArray[np.float64], own: NDArray[np.float64]) -> _LevelLine:
    from scipy.special import stdtr

    slope, start = _line(times, np.ones(len(times)))
    rate, level = float(slope @ levels), float(start @ levels)
    freedom = len(times) - 2
    rest = levels - level - rate * times
    scatter = np.sqrt(rest @ rest / freedom) if freedom else 0.0
    errors = [
        max(float(np.sqrt(factors**2 @ own**2)), float(scatter * np.sqrt(factors @ factors)))
        for factors in (slope, start)
    ]
    falls = freedom > 0 and rate < 0 and (errors[0] == 0 or stdtr(freedom, rate / errors[0]) < CHANCE)
    return _LevelLine(rate, errors[0], level, errors[1], bool(falls))


def _tell_of_clamp(
    times: NDArray[np.float64], levels: NDArray[np.float64], unit: u.UnitBase, remarks: list[str]
) -> None:
    ends = [float(np.mean(levels[np.isclose(times, time, rtol=SAME_EXPOSURE)])) for time in (times.min(), times.max())]
    words = (
        f"The level of the darks falls with exposure, from {ends[0]:.6g} {unit} at {times.min():g} s to {ends[1]:.6g} "
        f"{unit} at {times.max():g} s, which no dark current does: the camera clamps its black level, or the level "
        "drifts. Rates count from an unknown level, and the darks' noise is taken from their scatter. Take darks of "
        "the exposure of the frames, and do not scale them."
    )
    remarks.append(words)
    warnings.warn(words, AstropyUserWarning, stacklevel=3)


def _without_bias(frames: Sequence[CCDFrame]) -> bool:
    """Whether a bias was subtracted from all of them."""
    return all(any(kind == "bias" for kind, _ in frame.history.applied) for frame in frames)


# -- what is said ----------------------------------------------------------------------------------------------------


def _unsteady(
    times: NDArray[np.float64],
    stacks: Sequence[CCDFrame],
    rate: CCDFrame,
    offset: CCDFrame,
    hot: NDArray[np.bool_],
) -> list[str]:
    """A remark on hot pixels that do not grow along a line, if three exposures or more can tell."""
    if len(times) < 3 or not hot.any():
        return []
    from scipy.special import chdtri

    square = np.zeros(np.count_nonzero(hot))
    for time, stack in zip(times, stacks, strict=True):
        off = stack.pixels[hot] - offset.pixels[hot] - time * rate.pixels[hot]
        square += np.square(off, dtype=np.float64) / _variance(stack)[hot]
    number = int(np.count_nonzero(square > chdtri(len(times) - 2, UNSTEADY)))
    if not number:
        return []
    return [f"{number} of {square.size} hot pixels do not grow steadily with exposure; scaled darks are wrong there."]


def _table(
    times: NDArray[np.float64],
    groups: Sequence[NDArray[np.intp]],
    frames: Sequence[CCDFrame],
    levels: NDArray[np.float64],
    ordinary: NDArray[np.bool_],
) -> Table:
    from astropy.table import Table

    rows = []
    for time, group in zip(times, groups, strict=True):
        pairs = [[frames[place] for place in group[start : start + 2]] for start in range(0, len(group) - 1, 2)]
        own = frames[group[0]].variance
        predicted = np.nan if own is None else float(np.sqrt(np.median(own[ordinary])))
        # Over what is predicted for each pixel, where that is known: where the dark current differs, the noise does.
        ratios = [_scatter_of_pair(one, other, ordinary) for one, other in pairs]
        observed = np.sqrt(np.mean(np.square(ratios))) if ratios else np.nan
        if own is not None:
            observed *= predicted
        rows.append((time, len(group), float(levels[group].mean()), observed, predicted))
    table = Table(rows=rows, names=("exposure", "number", "level", "observed", "predicted"))
    table["exposure"].unit = u.s
    for name in ("level", "observed", "predicted"):
        table[name].unit = frames[0].unit
        table[name].format = ".4g" if name != "level" else ".6g"
    return table


def _scatter_of_pair(one: CCDFrame, other: CCDFrame, ordinary: NDArray[np.bool_]) -> float:
    """Noise in one of two darks that are alike, from their difference: over the predicted one, where that is known."""
    if one.known_budget is None or other.known_budget is None:
        return clipped(floating(other.pixels)[ordinary] - floating(one.pixels)[ordinary])[1] / np.sqrt(2)
    # In which a bias that both had subtracted cancels.
    difference = other.subtract(one)
    return clipped(difference.pixels[ordinary] / np.sqrt(_variance(difference)[ordinary]))[1]


def _noise_remarks(table: Table, *, scatter: bool) -> list[str]:
    if scatter:
        return []
    ratios = np.asarray(table["observed"] / table["predicted"])
    return [
        f"The noise of the darks of {time:g} s is {ratio:.2f} of what is predicted; look at gain and read noise."
        for time, ratio in zip(table["exposure"], ratios, strict=True)
        if abs(ratio - 1) > UNLIKE
    ]
