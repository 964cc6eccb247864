"""A map of the shutter, from flats of two exposures or more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_number
from astro_calib.characterize.dark_frames import as_frames, by_exposure, exposures_of
from astro_calib.characterize.lamp import Drift, drift_between, times_of
from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import usable, with_quality
from astro_calib.masters.provenance import record
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.identity import content_digest
from astro_calib.noise.source import NoiseSource
from astro_calib.stack.combination import combine
from astro_calib.steps.applied import was_done
from astro_calib.steps.surface import check_degree, fit_surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["shutter_map"]

#: The long exposure is at least so many times the short one.
APART = 1.5
#: Maps of two exposures that differ by more standard errors than this contradict each other.
CONTRADICT = 5.0


def shutter_map(
    short: Iterable[CCDFrame],
    long: Iterable[CCDFrame],
    *,
    lamp: float | None = None,
    level: u.Quantity | None = None,
    degree: int | None = None,
    exposure_time: str = "EXPTIME",
    exposure_unit: Any = u.s,
    date: str = "DATE-OBS",
    **options: Any,
) -> CCDFrame:
    r"""
    Measure by how much each pixel is exposed for longer than the header says, from flats of two exposures.

    Parameters
    ----------
    short : iterable of CCDFrame
        Flats of a short exposure, in which the shutter is seen, each calibrated but for the flat: without overscan,
        bias and dark, and corrected for the linearity. There may be several short exposures.
    long : iterable of CCDFrame
        Flats of one exposure that is longer, at least 1.5 times, best ten times or more, of the same lamp.
    lamp : float, optional
        Relative standard uncertainty of the lamp's light in the long flats over that in the short ones. By default it
        is found from the times in the headers, where they tell it: see below.
    level : Quantity, optional
        What the median of the map is known to be, instead of ``lamp``, so that the lamp need not be steady: 0 s if only
        differences between pixels matter. It counts as exact.
    degree : int, optional
        The map becomes a polynomial of this degree in row and column, fitted to it: for shutters whose shading is
        smooth, it has much less noise, which all pixels share. By default each pixel is measured by itself.
    exposure_time : str
        Header keyword of the exposure time.
    exposure_unit : unit
        Unit of the exposure time in the header.
    date : str
        Header keyword of the time at which an exposure began.
    **options
        Arguments of `~astro_calib.combine`, with which the flats of one exposure are combined.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        In seconds, with the noise of the flats; for ``shutter`` of `~astro_calib.calibrate`. Its ``meta`` has by how
        much the lamp was brighter in the long flats than in the shortest (LAMP) and the standard error of that
        (LAMPERR).

    Raises
    ------
    FrameError
        If flats are raw, were corrected for the shutter before, have no light, no exposure time, or exposures that are
        too close to each other.
    ShapeMismatchError
        If shapes differ.
    TypeError
        If what is given are no lists of frames.
    ValueError
        If both ``lamp`` and ``level`` are given, or the degree is above 8.

    Warns
    -----
    NoiseWarning
        If nothing tells how steady the lamp was, the maps of several short exposures contradict each other, or no
        polynomial of this degree is like the map.

    Notes
    -----
    The signal is :math:`s = L F (t + d)`, with the light of the lamp L, the sensitivity of the pixel F and the map d.
    From the ratio r of the short to the long flat, and that of the light in them, :math:`\ell`,

    .. math:: d = \frac{\ell\,(t_2 - t_1)}{\ell - r} - t_2.

    An error of :math:`\ell` can hardly be told from one of d that is the same for all pixels: it is a source of noise
    that all pixels share, with :math:`\partial d/\partial \ell = -(t_1 + d)(t_2 + d) / (t_2 - t_1)`. The logarithm of
    the light is taken to be a straight line in time. If the flats are at least two more than such a line and a
    level for each exposure need, their scatter about it says how uncertain :math:`\ell` is. Taken by turns, short and
    long, they tell it best.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.characterize import shutter_map
    >>> rng = np.random.default_rng(1)
    >>> delay = np.linspace(-0.02, 0.02, 50)
    >>> def flats(seconds):
    ...     light = rng.poisson(20000 * (seconds + delay), (4, 50, 50)).astype(
    ...         float
    ...     )
    ...     return [
    ...         CCDFrame(
    ...             one,
    ...             unit="electron",
    ...             uncertainty=np.sqrt(one),
    ...             meta={"EXPTIME": seconds},
    ...         )
    ...         for one in light
    ...     ]
    >>> shutter = shutter_map(flats(1.0), flats(10.0), level=0 * u.s)
    >>> shutter.unit, bool(np.std(shutter.data - delay) < 0.005)
    (Unit("s"), True)
    """
    if lamp is not None and level is not None:
        msg = "lamp= and level= are both given; with a known median of the map the lamp need not be steady. Give one."
        raise ValueError(msg)
    steady = None if lamp is None else Drift(1.0, check_number("lamp", lamp, minimum=0.0))
    stated = None if level is None else check_number("level", level, u.s, minimum=-np.inf)
    degree = None if degree is None else check_degree(degree)
    shorts, longs = as_frames("shutter_map", "short flats", short), as_frames("shutter_map", "long flats", long)
    everything = as_frames("shutter_map", "flats", [*shorts, *longs])
    seconds = np.array([exposures_of(frame, exposure_time, exposure_unit) for frame in everything])
    groups = _checked_groups(everything, seconds, len(shorts))
    good = np.logical_and.reduce([usable(frame) for frame in everything])
    light = _checked_levels(everything, good)
    times = times_of(everything, date)
    stacks = [combine([everything[place] for place in group], **options) for group in groups]
    exposures = [float(seconds[group].mean()) for group in groups]
    of_long = content_digest(stacks[-1].pixels)
    maps, drifts = [], []
    for index, (stack, exposure) in enumerate(zip(stacks[:-1], exposures[:-1], strict=True)):
        drift = steady
        if drift is None and times is not None and stated is None:
            drift = drift_between([light[g] for g in groups], [times[g] for g in groups], (index, len(groups) - 1))
        if drift is None and stated is None:
            _warn_of_lamp()
        with np.errstate(divide="ignore", invalid="ignore"):
            # A pixel without light is found below.
            ratio = stack / stacks[-1]
        if stated is not None:
            middle = float(np.median(ratio.pixels[good]))
            drift = Drift(middle * (exposures[-1] + stated) / (exposure + stated), 0.0)
        drifts.append(drift or Drift(1.0, 0.0))
        maps.append(_map_of(ratio, (exposure, exposures[-1]), drifts[-1], of_long))
    shutter = maps[0] if len(maps) == 1 else _mean_of(maps, good, exposures)
    if degree is not None:
        shutter = _smooth(shutter, degree)
    _finish(shutter, everything, seconds, drifts[0], stated, exposure_time)
    return shutter


def _checked_groups(frames: Sequence[CCDFrame], seconds: NDArray[np.float64], number: int) -> list[NDArray[np.intp]]:
    """The flats of each exposure, the shortest first, the long ones at the end."""
    groups = [*by_exposure(seconds[:number]), np.arange(number, len(frames))]
    longs = seconds[number:]
    if len(by_exposure(longs)) > 1:
        msg = (
            f"the long flats have exposures of {longs.min():g} to {longs.max():g} s; give those of one exposure as "
            "long, and the others as short."
        )
        raise FrameError(msg)
    longest = seconds[:number].max()
    if not (seconds.min() > 0 and longs.min() >= APART * longest):
        msg = (
            f"short flats of up to {longest:g} s and long ones of {longs.min():g} s do not show the shutter; give long "
            f"ones of at least {APART} times the exposure, best of ten times."
        )
        raise FrameError(msg)
    return groups


def _checked_levels(frames: Sequence[CCDFrame], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The light in each flat, once it is clear that they tell it."""
    if not good.any():
        msg = f"no pixel is fit for use in all {len(frames)} flats, {frames[0].name} and so on."
        raise FrameError(msg)
    raw = next((frame for frame in frames if frame.dtype.kind in "ui"), None)
    if raw is not None:
        msg = (
            f"{raw.name} is a raw frame of whole numbers: its pedestal would count as light. Calibrate it first, "
            "without a flat."
        )
        raise FrameError(msg)
    done = next((frame for frame in frames if was_done(frame, "shutter")), None)
    if done is not None:
        msg = f"{done.name} was corrected for the shutter already; give flats that were calibrated without it."
        raise FrameError(msg)
    levels = np.array([float(np.median(frame.pixels[good])) for frame in frames])
    dark = next((frame for frame, level in zip(frames, levels, strict=True) if not level > 0), None)
    if dark is not None:
        msg = f"{dark.name} has no light; check that it is a flat, and that its bias was subtracted once."
        raise FrameError(msg)
    return levels


def _warn_of_lamp() -> None:
    msg = (
        "nothing tells how steady the lamp was, and it counts as steady: a lamp that was brighter in the long flats "
        "looks like a shutter that is slow. Give flats with the times at which they were taken, five or more, or "
        "lamp=, or the median of the map as level=."
    )
    warn(msg, NoiseWarning)


def _map_of(ratio: CCDFrame, exposures: tuple[float, float], drift: Drift, of_long: str) -> CCDFrame:
    """
    The map that the ratio of a short to a long flat tells.

    Maps of several short exposures share what the light of the long flats, of the digest ``of_long``, is off.
    """
    first, second = exposures
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (ratio - drift.ratio) * (-1 / (drift.ratio * (second - first)))
        shutter: CCDFrame = (1 * u.s) / part - second * u.s
    data = shutter.pixels
    with np.errstate(invalid="ignore"):
        lost = ~(np.isfinite(data) & (data > -first))
    if lost.any():
        shutter = with_quality(shutter, lost, DataQuality.NO_DATA)
    if drift.uncertainty > 0:
        # Half of its variance is of the long flats, which all maps share, and half of the short ones.
        sources = [
            NoiseSource("shutter", 0.5, axes=(), identity=f"lamp:{light}")
            for light in (of_long, content_digest(ratio.pixels))
        ]
        slope = -drift.uncertainty * (data + first) * (data + second) / (second - first)
        budget = shutter.known_budget
        if budget is not None:
            slope = np.where(np.isfinite(slope), slope, 0).astype(data.dtype)
            shutter = shutter.replace(data, budget.with_terms([(source, slope) for source in sources]))
    return shutter


def _mean_of(maps: Sequence[CCDFrame], good: NDArray[np.bool_], exposures: Sequence[float]) -> CCDFrame:
    """The mean of the maps of several short exposures, weighted by the noise that each has."""
    typical = [float(np.median(np.asarray(one.variance)[good])) for one in maps]
    for one, exposure in zip(maps[1:], exposures[1:-1], strict=True):
        difference = maps[0] - one
        weights = good / np.count_nonzero(good)
        assert difference.known_budget is not None
        error = np.sqrt(difference.known_budget.variance_of_sum(weights))
        off = float(np.mean(difference.pixels, where=good, dtype=np.float64))
        if abs(off) > CONTRADICT * error:
            msg = (
                f"the shutter that flats of {exposures[0]:g} s show is {off:.3g} +- {error:.1g} s slower than that of "
                f"flats of {exposure:g} s: the lamp was less steady than it seems, or the response is not linear."
            )
            warn(msg, NoiseWarning)
    return combine(maps, weights=[1 / variance for variance in typical])


def _smooth(shutter: CCDFrame, degree: int) -> CCDFrame:
    """The polynomial that is fitted to the map, with its error, and that of the lamp as it acts on the fit."""
    surface = fit_surface(shutter, degree)
    if surface.excess > 1:
        msg = (
            f"the map of the shutter is no polynomial of degree {degree}: its blocks are off by "
            f"{np.sqrt(surface.excess):.3g} times their errors. Give a higher degree, or None for a map that is "
            "measured pixel by pixel."
        )
        warn(msg, NoiseWarning)
    budget = shutter.known_budget
    assert budget is not None
    dtype = shutter.dtype
    data = np.array(surface.array(dtype).array)
    common = [
        (source, Coefficient(1.0).times(surface.of_map(coefficient.evaluate(budget.data), dtype)))
        for source, coefficient in budget.terms
        if not source.axes
    ]
    terms = [*surface.terms("shutter", dtype), *common]
    smooth = UncertaintyBudget(shutter.shape, terms, dtype, data)
    # Pixels that the flats do not tell are known from those around them.
    return CCDFrame(data, unit=shutter.unit, budget=smooth, meta=shutter.meta)


def _finish(
    shutter: CCDFrame,
    frames: Sequence[CCDFrame],
    seconds: NDArray[np.float64],
    drift: Drift,
    stated: float | None,
    exposure_time: str,
) -> None:
    shutter.name = "shutter"
    # It is no exposure.
    shutter.meta.pop(exposure_time, None)
    shutter.meta["OBJECT"] = "shutter"
    shutter.meta["LAMP"] = 1 / drift.ratio
    shutter.meta["LAMPERR"] = drift.uncertainty / drift.ratio
    parameters = {
        "frames": [frame.name for frame in frames],
        "exposures": [float(time) for time in seconds],
        "level": stated,
    }
    record(shutter, "shutter_map", parameters=parameters)
