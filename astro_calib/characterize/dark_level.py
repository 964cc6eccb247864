"""The level of darks: the mean of each over the same pixels, and how it goes with exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.characterize.outliers import clipped
from astro_calib.dtypes import floating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["LevelLine", "levels_of", "line_factors", "line_of_levels", "noise_of_level"]

#: A fall of the level is told from chance at this probability.
CHANCE = 1e-3


def line_factors(
    times: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What values at some times are multiplied by in the slope of their line, and in its value at zero."""
    shares = weights / weights.sum()
    middle = shares @ times
    slope = shares * (times - middle) / (shares @ (times - middle) ** 2)
    return slope, shares - middle * slope


def levels_of(
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


def noise_of_level(
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


class LevelLine(NamedTuple):
    """How the level rises with time, its value at zero, their standard errors, and whether it falls beyond chance."""

    rate: float
    rate_error: float
    start: float
    start_error: float
    falls: bool


def line_of_levels(times: NDArray[np.float64], levels: NDArray[np.float64], own: NDArray[np.float64]) -> LevelLine:
    """The line through the levels of frames, whose pixels bring them errors of their own."""
    from scipy.special import stdtr

    slope, start = line_factors(times, np.ones(len(times)))
    rate, level = float(slope @ levels), float(start @ levels)
    freedom = len(times) - 2
    rest = levels - level - rate * times
    scatter = np.sqrt(rest @ rest / freedom) if freedom else 0.0
    errors = [
        max(float(np.sqrt(factors**2 @ own**2)), float(scatter * np.sqrt(factors @ factors)))
        for factors in (slope, start)
    ]
    falls = freedom > 0 and rate < 0 and (errors[0] == 0 or stdtr(freedom, rate / errors[0]) < CHANCE)
    return LevelLine(rate, errors[0], level, errors[1], bool(falls))
