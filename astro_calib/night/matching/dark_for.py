"""Which dark a frame gets where there is none of its exposure: the one with the least noise and bias together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.frame.rebuild import usable
from astro_calib.night.matching.matching import between

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astro_calib.frame.frame import CCDFrame

__all__ = ["FAR", "Combination", "best_combination", "combined_dark", "distance", "line_between"]

#: A dark that has to be scaled by more than this, up or down, is a last resort.
FAR = 10.0
#: What is made of several darks has to be better than a single one by this factor.
BETTER = 0.8
#: A pixel whose scaled darks differ by more standard errors than this does not grow steadily.
UNSTEADY = 5.0


class Combination(NamedTuple):
    """
    How the dark of an exposure is made from darks of others.

    Attributes
    ----------
    parts : dict of float to float
        What the dark of each exposure time is multiplied by.
    why : str
        What it is, in a few words.
    error : float
        The error that it brings to a pixel, noise and bias together, in electron; NaN if nothing tells it.
    tested : bool
        Whether a dark of another exposure shows that it may be scaled so.
    """

    parts: dict[float, float]
    why: str
    error: float = math.nan
    tested: bool = False


def distance(time: float, wanted: float) -> float:
    """By how much an exposure time is scaled to be another, up or down."""
    return max(time / wanted, wanted / time)


def best_combination(darks: Mapping[float, CCDFrame], wanted: float, exposure_time: str) -> Combination:
    """
    Return the dark for an exposure time: one that is scaled, a rate from several, or what lies between two.

    Whichever has the smallest sum of variance and bias squared is taken. Hot pixels do not grow linearly with time, and
    no error bar knows of it; darks of other exposures show it. A dark that would be scaled by more than ``FAR`` is only
    taken where there is no nearer one. ``exposure_time`` is the header keyword of the darks.
    """
    near = [time for time, dark in darks.items() if distance(time, wanted) <= FAR and _has_errors(dark)]
    if not near:
        nearest = min(darks, key=lambda time: distance(time, wanted))
        return _scaled(nearest, wanted)
    if len(near) == 1:
        return _scaled(near[0], wanted)
    from astro_calib.characterize.dark_choice import choose_dark

    frame = darks[near[0]].multiply(0.0)
    frame.meta[exposure_time] = wanted
    try:
        table = choose_dark(frame, [darks[time] for time in near], exposure_time=exposure_time).table
    except FrameError:
        # Such as two of the same pixels: the noise alone has to tell.
        return _scaled(min(near, key=lambda time: _mean_variance(darks[time]) / time**2), wanted)
    rows = [_Row.of(row, near) for row in table]
    tested = [row for row in rows if row.tested]
    if not tested:
        return _scaled(rows[0].time, wanted)
    best = _scaled(tested[0].time, wanted)._replace(error=tested[0].error, tested=True)
    others = [one for one in (_rate(darks, tested, wanted), _between(darks, near, wanted)) if one is not None]
    other = min(others, key=lambda one: one.error, default=best)
    return other if other.error < BETTER * best.error else best


class _Row(NamedTuple):
    """A line of the table of `choose_dark`: a dark, its error in all pixels, and of that the bias."""

    time: float
    error: float
    bias: float
    tested: bool

    @classmethod
    def of(cls, row: Any, times: list[float]) -> _Row:
        ordinary, hot, both = (float(row[name]) ** 2 for name in ("ordinary", "hot", "all"))
        share = (hot - both) / (hot - ordinary) if hot != ordinary else 1.0
        bias = math.sqrt(max(0.0, share * float(row["bias"]) ** 2 + (1 - share) * float(row["bias in hot"]) ** 2))
        time = min(times, key=lambda one: abs(one - float(row["exposure"])))
        return cls(time, math.sqrt(both), bias, bool(row["tested"]))


def _scaled(time: float, wanted: float) -> Combination:
    return Combination({time: wanted / time}, f"that of {time:g} s, scaled by {wanted / time:.3g}")


def _rate(darks: Mapping[float, CCDFrame], rows: list[_Row], wanted: float) -> Combination | None:
    """The rate that darks of several exposures tell together, each with the weight that its noise gives it."""
    if len(rows) < 2:
        return None
    noise = np.array([row.error**2 - row.bias**2 for row in rows])
    if not np.all(noise > 0):
        return None
    weights = (1 / noise) / (1 / noise).sum()
    parts = {row.time: float(weight) * wanted / row.time for row, weight in zip(rows, weights, strict=True)}
    # As if all biases had the same sign.
    bias = float(weights @ np.array([row.bias for row in rows]))
    error = math.sqrt(_mean_variance(combined_dark(darks, parts)) + bias**2)
    listed = ", ".join(f"{row.time:g}" for row in sorted(rows))
    return Combination(parts, f"the rate that those of {listed} s tell", error, tested=True)


def _between(darks: Mapping[float, CCDFrame], near: list[float], wanted: float) -> Combination | None:
    """What lies on the line between the darks of the next exposures below and above."""
    around = between(near, wanted)
    if around is None:
        return None
    below, above = around
    made = line_between(below, above, wanted)
    first, last, line = darks[below], darks[above], combined_dark(darks, made.parts)
    difference = first.multiply(above / below).subtract(last)
    good = usable(difference)
    if not good.any():
        return None
    # Pixels that do not grow steadily are off the line by what a power of time would make of them.
    squares = np.square(difference.pixels, dtype=np.float64)
    unsteady = good & (squares > UNSTEADY**2 * _variance(difference)) & (first.pixels > 0) & (last.pixels > 0)
    start = first.pixels[unsteady].astype(np.float64)
    power = np.log(last.pixels[unsteady] / start) / math.log(above / below)
    off = line.pixels[unsteady] - start * (wanted / below) ** power
    error = math.sqrt(_mean_variance(line) + float(np.sum(off**2)) / np.count_nonzero(good))
    return made._replace(error=error, tested=True)


def line_between(below: float, above: float, wanted: float) -> Combination:
    """Return what the darks of two exposures are multiplied by to be one of an exposure between them."""
    share = (wanted - below) / (above - below)
    return Combination({below: 1 - share, above: share}, f"what lies between those of {below:g} s and {above:g} s")


def combined_dark(darks: Mapping[float, CCDFrame], parts: Mapping[float, float]) -> CCDFrame:
    """Return the sum of darks, each multiplied by a number."""
    (first, *rest) = (darks[time].multiply(factor) for time, factor in parts.items())
    for other in rest:
        first = first.add(other)
    return first


def _variance(frame: CCDFrame) -> Any:
    if frame.variance is None:
        msg = f"{frame.name} has no error"
        raise FrameError(msg)
    return frame.variance


def _mean_variance(frame: CCDFrame) -> float:
    good = usable(frame)
    return float(_variance(frame)[good].mean(dtype=np.float64)) if good.any() else math.nan


def _has_errors(dark: CCDFrame) -> bool:
    """Whether any pixel of a dark can be used, and has an error."""
    good = usable(dark)
    return bool(dark.variance is not None and good.any() and np.isfinite(dark.variance[good]).any())
