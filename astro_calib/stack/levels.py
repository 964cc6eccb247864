r"""
Bringing frames to a common level before they are combined, and the error that this adds.

Frame j has the level :math:`L_j`, the mean or the median of its good pixels, and is multiplied by
:math:`\bar L / L_j` with :math:`\bar L = \sum_j L_j / N`. In a stack S with weights :math:`w_j` the errors of the
levels are common to the frame,

.. math:: \frac{dS}{S} = \sum_j \Big(\frac{1}{N \bar L} - \frac{w_j}{L_j}\Big) \, dL_j ,

which vanishes for equal levels in a plain mean. :math:`dL_j` is that of a mean over pixels, source by source: noise of
rows and of the frame does not average down in it, and what frames share adds up coherently. Each pixel is one of those
that its frame's level is the mean of: the covariance of the two counts as if the scene had the mean level there, so
that the source of noise that the level makes may have a negative variance.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import quantity_values
from astro_calib.dtypes import float_type, floating
from astro_calib.errors import FrameError
from astro_calib.frame.rebuild import measured
from astro_calib.frame.statistics import good_pixels
from astro_calib.kernels.threads import let_go, number_of_threads
from astro_calib.noise.arrays import SELF_DATA, ArrayRef, SurvivorMask
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource
from astro_calib.stack.noise import budget_of, materialized, sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.window import Key
    from astro_calib.stack.overflow import Overflow

__all__ = [
    "Levels",
    "finite_median",
    "level_effects",
    "level_terms",
    "median_of_pixels",
    "scaled_frames",
    "with_level_errors",
]

#: Part of the pixels about the median over which their density is measured.
CENTRAL = 0.1
#: Of more values than these a median is looked for near that of a sample of so many.
MANY, SOME = 1 << 19, 1 << 15
#: The part of the values on either side of the sample's median that is sorted.
AROUND = 0.02
#: Frames whose levels are found at a time: NumPy lets go of the interpreter's lock while it sorts.
THREADS = 4
#: Density of a Gaussian at its median, for sigma 1.
GAUSSIAN_DENSITY = 1 / np.sqrt(2 * np.pi)


@dataclass(frozen=True)
class Levels:
    """The levels that frames were scaled by, as measured on them."""

    #: "median" or "mean": what the level is of the good pixels.
    how: str
    #: Of the frames as they were.
    values: NDArray[np.float64]
    #: The pixels that each was found from: one array for frames that have the same.
    good: Sequence[NDArray[np.bool_]]

    @property
    def common(self) -> float:
        """The level to which the frames are brought."""
        return float(self.values.mean())


def scaled_frames(frames: Sequence[CCDFrame], scale: Any, overflow: Overflow) -> tuple[list[CCDFrame], Levels | None]:
    """Frames times the numbers that ``scale`` of `combine` means, and the levels these come from, if measured here."""
    levels = None
    if scale is None:
        return list(frames), None
    if isinstance(scale, str):
        if scale not in ("median", "mean"):
            msg = f"scale is {scale!r}; expected 'median', 'mean', a function or a list of numbers."
            raise ValueError(msg)
        with ThreadPoolExecutor(min(THREADS, number_of_threads())) as pool:
            found = list(pool.map(partial(_level, how=scale, overflow=overflow), frames))
        levels = Levels(scale, np.array([level for level, _ in found]), _each_once([good for _, good in found]))
        factors = levels.common / levels.values
    elif callable(scale):
        factors = np.array([_factor(scale, frame) for frame in frames])
    else:
        factors = quantity_values("scale", scale, u.dimensionless_unscaled)
        if factors.shape != (len(frames),):
            msg = f"{factors.size} scale factors for {len(frames)} frames."
            raise ValueError(msg)
    for frame, factor in zip(frames, factors, strict=True):
        holds = np.finfo(float_type(frame.dtype))
        if not holds.tiny <= factor <= holds.max:
            msg = f"{frame.name}: its scale factor is {factor:.6g}; expected a finite, positive number."
            raise ValueError(msg)
    with ThreadPoolExecutor(min(THREADS, number_of_threads())) as pool:
        return list(pool.map(partial(_scaled, overflow=overflow), frames, factors.tolist())), levels


def _scaled(frame: CCDFrame, factor: float, overflow: Overflow) -> CCDFrame:
    """The frame times a number; mask and flags, which do not change, are shared with it."""
    data = floating(frame.pixels) * factor
    budget = None if frame.known_budget is None else frame.known_budget.scaled(factor, 1, data)
    origin = frame.origin
    return overflow.frame(frame.replace(data, budget, origin=None if origin is None else origin.scaled(factor)))


def _factor(scale: Callable[[NDArray[Any]], Any], frame: CCDFrame) -> float:
    """What a function makes of the good pixels of a frame, in their places."""
    found = scale(good_pixels(frame.pixels, measured(frame)))
    try:
        # What is masked is no number.
        return float("nan") if found is np.ma.masked else float(found)
    except (TypeError, ValueError) as error:
        msg = f"{frame.name}: the scale function gave {found!r}; expected one number, such as 1 / np.median(pixels)."
        raise ValueError(msg) from error


def _each_once(planes: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """The same arrays, but equal ones only once in memory."""
    known: list[NDArray[np.bool_]] = []
    for plane in planes:
        known.append(next((other for other in known if np.array_equal(other, plane)), plane))
        let_go()
    return known


def _level(frame: CCDFrame, how: str, overflow: Overflow) -> tuple[float, NDArray[np.bool_]]:
    """The level of a frame, and the pixels that it is found from."""
    good = measured(frame)
    values = frame.pixels if good.all() else frame.pixels[good]
    level = float((median_of_pixels if how == "median" else np.mean)(values)) if good.any() else float("nan")
    if not level > 0:
        msg = (
            f"{frame.name}: its {how} over good pixels is {level:.6g}; frames are scaled to each other by "
            "positive levels."
        )
        raise FrameError(msg)
    return level, overflow.array(good)


def median_of_pixels(values: NDArray[Any]) -> Any:
    """That of `numpy.median`, without NaN; of many values only those are sorted that a sample says are near it."""
    line = values.reshape(-1)
    if line.size < MANY:
        return np.median(line)
    low, high = np.quantile(line[:: line.size // SOME], [0.5 - AROUND, 0.5 + AROUND])
    below = np.count_nonzero(line < low)
    near = line[(line >= low) & (line <= high)]
    places = [(line.size - 1) // 2 - below, line.size // 2 - below]
    if places[0] < 0 or places[1] >= near.size:
        return np.median(line)
    return np.partition(near, places)[places].mean()


def finite_median(values: Any) -> float:
    """The median of the values that are finite; NaN if there are none."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(median_of_pixels(finite)) if finite.size else float("nan")


def level_effects(levels: Levels, weights: Sequence[float]) -> NDArray[np.float64]:
    """By how much an error of each scaled frame's level changes the stack, relative to the stack."""
    return (levels.values / (len(levels.values) * levels.common) - np.asarray(weights)) / levels.common


def with_level_errors(
    frames: Sequence[CCDFrame],
    private: set[tuple[int, Key]],
    levels: Levels,
    effects: NDArray[np.float64],
    weights: Sequence[float],
) -> list[UncertaintyBudget]:
    """
    The budgets of scaled frames in which noise that is common to a frame, and only this has, acts on its level as well.

    What an overscan adds to every pixel, it adds to the level that the frame is divided by.
    """
    result = []
    for position, (frame, good, effect, weight) in enumerate(zip(frames, levels.good, effects, weights, strict=True)):
        budget = budget_of(frame)
        common = [(s, c) for s, c in budget.terms if not s.axes and (position, s.key) in private]
        if not common or effect == 0:
            result.append(budget)
            continue
        terms = [
            (source, Coefficient(_in_level(frame, good, coefficient, levels.common) * effect / weight).times(SELF_DATA))
            for source, coefficient in common
        ]
        result.append(budget.with_terms(terms))
    return result


def level_terms(
    frames: Sequence[CCDFrame],
    private: set[tuple[int, Key]],
    levels: Levels,
    effects: NDArray[np.float64],
    weights: Sequence[float],
    overflow: Overflow,
) -> list[tuple[NoiseSource, Coefficient]]:
    """
    The error of the levels as terms of the stack's budget, but for the part that `with_level_errors` has put in.

    The level's noise from single pixels and rows is a source of its own.
    """
    variance = 0.0
    shared: list[tuple[NoiseSource, Coefficient]] = []
    common: dict[Key, tuple[NoiseSource, float]] = {}
    keys: list[str] = []
    for position, (frame, good, effect, weight) in enumerate(zip(frames, levels.good, effects, weights, strict=True)):
        budget = budget_of(frame)
        number = np.count_nonzero(good)
        # Nothing where a pixel is left out, whatever its noise is there.
        kept = SurvivorMask(ArrayRef(good.view(np.uint8)), 0)
        # Some pixels are enough to know the noise of single pixels by, and the density of their values.
        item = _some_of(good)
        excess = _excess_of_median(frame, good, item) if levels.how == "median" else 1.0
        pixels: list[tuple[NoiseSource, Coefficient]] = []
        rows: list[tuple[NoiseSource, Coefficient]] = []
        for source, coefficient in budget.terms:
            keys.append(source.identity)
            if (position, source.key) in private:
                if source.axes:
                    (pixels if len(source.axes) == frame.ndim else rows).append((source, coefficient))
            elif source.axes:
                written = overflow.coefficient(materialized(coefficient, budget))
                shared.append((source, written.times(kept) * (effect / number)))
            else:
                known = common.get(source.key, (source, 0.0))[1]
                common[source.key] = (source, known + effect * _in_level(frame, good, coefficient, levels.common))
        with_pixels = 2 * effect * weight / levels.common
        of_pixels = UncertaintyBudget(frame.shape, pixels, budget.dtype, budget.data)
        of_mean = float(np.mean(of_pixels[item].variance(), where=good[item], dtype=np.float64)) / number
        variance += (effect**2 * excess + with_pixels) * of_mean
        if any(source.correlation is not None for source, _ in pixels):
            # What neighbours have in common does not average down as their white noise does.
            more = of_pixels.variance_of_sum(good / np.float32(number)) - of_mean
            variance += (effect**2 + with_pixels) * more
        of_rows = UncertaintyBudget(frame.shape, rows, budget.dtype, budget.data)
        if rows:
            variance += (effect**2 + with_pixels) * of_rows.variance_of_sum(good / np.float32(number))
    shape = frames[0].shape
    variance += UncertaintyBudget(shape, shared).variance_of_sum(np.broadcast_to(1.0, shape))
    result = [(source, Coefficient(effect).times(SELF_DATA)) for source, effect in common.values()]
    if variance != 0:
        digest = hashlib.blake2b(repr(sorted(keys)).encode(), digest_size=16).hexdigest()
        source = NoiseSource("scale", variance, axes=(), identity=f"scale:{levels.how}:{digest}")
        result.append((source, Coefficient(1.0).times(SELF_DATA)))
    return result


def _in_level(frame: CCDFrame, good: NDArray[np.bool_], coefficient: Coefficient, level: float) -> float:
    """The coefficient of noise that is common to a frame in the frame's level."""
    value = np.broadcast_to(np.asarray(coefficient.evaluate(frame.pixels)), frame.shape)
    mean = float(np.mean(value, where=good, dtype=np.float64))
    if coefficient.is_proportional_to_own:
        # A median goes with a factor as the mean does, each from its own value.
        mean *= level / float(np.mean(frame.pixels, where=good, dtype=np.float64))
    return mean


def _some_of(good: NDArray[np.bool_]) -> tuple[slice, ...]:
    """An index that takes some pixels of a frame, good ones among them."""
    item = sampled(good.shape, 1)
    return item if good[item].any() else (slice(None),) * good.ndim


def _excess_of_median(frame: CCDFrame, good: NDArray[np.bool_], item: tuple[slice, ...]) -> float:
    r"""
    By how much the variance of the median over pixels exceeds that of their mean, for noise of single pixels.

    With P the probability that a pixel is below the median, and f the density of pixel values at it, the variance of
    the median of n pixels is the mean of :math:`P (1 - P)` over :math:`n f^2`. Where the values of a scene are spread
    wider than the noise the mean is :math:`\sigma f / \sqrt\pi`; for a scene without structure, where it is 1/4, this
    is low by 10%.
    """
    values = frame.pixels[item][good[item]]
    variance = budget_of(frame)[item].variance()
    sigma = float(np.sqrt(np.mean(variance, where=good[item], dtype=np.float64)))
    low, high = np.quantile(values, [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2])
    # Values cannot be denser than the noise lets them, but rounding can make them look so.
    narrowest = CENTRAL * sigma / GAUSSIAN_DENSITY
    return max(float(high - low), narrowest) / (CENTRAL * sigma * np.sqrt(np.pi)) if sigma > 0 else 1.0
