"""The dark current of a detector, from darks of several exposures of one temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_positive
from astro_calib.characterize.dark_frames import (
    as_frames,
    by_exposure,
    exposures_of,
    known_variance,
    other_temperatures,
)
from astro_calib.characterize.dark_level import levels_of, line_factors, line_of_levels, noise_of_level
from astro_calib.characterize.dark_result import (
    DarkCurrent,
    noise_table,
    remarks_on_noise,
    remarks_on_unsteady,
    tell_of_clamp,
)
from astro_calib.characterize.outliers import CLIP, clipped, hot_pixels, smooth
from astro_calib.detector.detector import as_detector
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import lacks_own_noise, usable, with_quality
from astro_calib.masters.provenance import record
from astro_calib.stack.combination import combine
from astro_calib.steps.applied import was_done
from astro_calib.steps.deviation import create_deviation
from astro_calib.steps.gain import gain_correct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame

__all__ = ["dark_current"]

#: Kelvin by which the temperatures of darks may differ: the dark current changes by 6% with it.
TOLERANCE = 0.5
#: With fewer frames than this their own scatter does not tell which value is a hit.
ENOUGH_TO_CLIP = 5


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
    >>> camera = simulate.Camera(
    ...     shape=(64, 64),
    ...     detector=simulate.camera((64, 64)).detector,
    ...     dark_rate=rates,
    ... )
    >>> darks = [
    ...     camera.expose("dark", time, rng=seed)[0]
    ...     for seed, time in enumerate([60, 60, 60, 600, 600, 600])
    ... ]
    >>> measured = dark_current(darks, detector=camera.detector)
    >>> np.argwhere(measured.hot)
    array([[10, 20]])
    >>> bool(
    ...     abs(measured.level.value - 0.5)
    ...     < 4 * measured.level_uncertainty.value
    ... )
    True
    >>> bool(
    ...     abs(measured.rate.data[10, 20] - 40.0)
    ...     < 4 * np.sqrt(measured.rate.variance[10, 20])
    ... )
    True
    """
    threshold = check_positive("threshold", threshold)
    frames = as_frames("dark_current", "darks", darks)
    times = np.array([exposures_of(frame, exposure_time, exposure_unit) for frame in frames])
    groups = by_exposure(times)
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
    slope, _ = line_factors(exposures, np.ones(len(groups)))
    first = _sum_of(slope, medians)
    around = smooth(first, good)
    hot = hot_pixels(first - around, good, threshold)
    ordinary = good & ~hot
    calm = ordinary & _typical(first, ordinary)
    levels = levels_of(frames, groups, medians, calm)
    own = noise_of_level(frames, groups, calm)
    line = line_of_levels(times, levels, own)
    if len(frames) == 2:
        remarks.append("Two darks do not show how the level drifts: its uncertainty is that of the pixels alone.")
    if line.falls:
        tell_of_clamp(times, levels, unit, remarks)
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
    typical = np.array([np.median(known_variance(stack)[ordinary]) for stack in stacks])
    if not (np.isfinite(typical) & (typical > 0)).all():
        dead = [f"{time:g} s" for time, value in zip(exposures, typical, strict=True) if not value > 0]
        msg = f"the darks of {', '.join(dead)} have no noise: they are copies of each other, or no raw frames."
        raise FrameError(msg)
    slope, start = line_factors(exposures, 1 / typical)
    rate = _named(_frame_sum(slope / u.s, stacks), "dark current")
    offset = _named(_frame_sum(start * u.dimensionless_unscaled, stacks), "level at zero time")
    hot = hot_pixels(rate.pixels - around, usable(rate), threshold, np.sqrt(known_variance(rate)))
    remarks += remarks_on_unsteady(exposures, stacks, rate, offset, hot)
    if rate.flags is not None:
        full = (rate.flags & np.uint16(DataQuality.SATURATED)) != 0
        hot |= full
        if full.any():
            remarks.append(f"{np.count_nonzero(full)} pixels saturate in a dark; the rate there is too low.")
    table = noise_table(exposures, groups, frames, levels, ordinary)
    remarks += remarks_on_noise(table, scatter=line.falls or detector is None)
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


def _typical(values: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which values are not far from most: the same pixels make the level of all exposures."""
    middle, scatter = clipped(values[where])
    return np.asarray(np.abs(values - middle) <= CLIP * scatter)


def _error_of_mean(frame: CCDFrame, where: NDArray[np.bool_]) -> float:
    budget = frame.known_budget
    assert budget is not None
    return float(np.sqrt(budget.variance_of_sum(where / np.count_nonzero(where))))


def _without_bias(frames: Sequence[CCDFrame]) -> bool:
    """Whether a bias was subtracted from all of them."""
    return all(was_done(frame, "bias") for frame in frames)
