"""The masters of a setup once they are made, and which of them a frame gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.night.masters.extra_steps import ExtraSteps
from astro_calib.night.matching.dark_for import Combination, best_combination, combined_dark, distance, line_between
from astro_calib.night.matching.matching import SAME_EXPOSURE, between
from astro_calib.night.profiles.steps import Steps
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = [
    "EXPOSURE_TIME",
    "Darks",
    "FrameMasters",
    "dark_name",
    "flat_name",
    "level_of",
    "pixel_sigma_of",
    "sigma_of",
    "variance_of",
]

#: The header keyword under which all frames of a night have their exposure time.
EXPOSURE_TIME = "EXPTIME"
#: So many pixels tell how large their error is.
PIXELS = 250_000


@dataclass(frozen=True, kw_only=True)
class FrameMasters:
    """The masters that a frame gets, in electron, None for what there is not; ``steps`` are those beside the usual."""

    bias: CCDFrame | None
    dark: CCDFrame | None
    flat: CCDFrame | None
    steps: ExtraSteps = field(default_factory=lambda: ExtraSteps(Steps()))

    @cached_property
    def pedestal(self) -> float:
        """The level of the master bias, in electron; NaN without one."""
        return float("nan") if self.bias is None else level_of(self.bias)


@dataclass(frozen=True, kw_only=True)
class Darks:
    """
    The master darks of a setup in electron, by exposure time in seconds, and which of them a frame gets.

    Without ``may_scale`` a dark serves for its own exposure time only, with ``bias_in_darks`` for those between two as
    well.
    """

    darks: Mapping[float, CCDFrame]
    may_scale: bool = True
    bias_in_darks: bool = False
    _found: dict[float, tuple[Combination, CCDFrame]] = field(default_factory=dict)

    def dark_for(self, exposure_time: float) -> CCDFrame | None:
        """
        Return the dark to subtract from a frame of this exposure time in seconds; None without one.

        A dark of the same time is the first choice; else what `best_combination` finds, once for each time.
        """
        # A frame without exposure can take any dark, which is multiplied by zero.
        wanted = max(exposure_time, 1e-9)
        same = [time for time in self.darks if distance(time, wanted) <= SAME_EXPOSURE]
        if same:
            return self.darks[min(same, key=lambda time: distance(time, wanted))]
        if wanted not in self._found:
            how = self._how(wanted)
            if how is None:
                return None
            if len(how.parts) == 1:
                (time,) = how.parts
                dark = self.darks[time]
            else:
                dark = combined_dark(self.darks, how.parts)
                dark.meta[EXPOSURE_TIME] = wanted
                dark.meta["NCOMBINE"] = sum(int(self.darks[time].meta.get("NCOMBINE", 1)) for time in how.parts)
            self._found[wanted] = how, dark
        return self._found[wanted][1]

    def how_made(self, exposure_time: float) -> Combination | None:
        """Return how the dark for an exposure time was made that has none of its own; None for others."""
        found = self._found.get(max(exposure_time, 1e-9))
        return None if found is None else found[0]

    def _how(self, wanted: float) -> Combination | None:
        """How a dark for an exposure time is made; None if it cannot be."""
        if not self.darks or not self.may_scale:
            return None
        if self.bias_in_darks:
            # On a line between two, the bias that both hold stays as it is.
            around = between(self.darks, wanted)
            return None if around is None else line_between(*around, wanted)
        return best_combination(self.darks, wanted, EXPOSURE_TIME)


def dark_name(time: float) -> str:
    """Return the name of the master dark of an exposure time in seconds."""
    return f"dark-{time:g}s"


def flat_name(name: str) -> str:
    """Return the name of the master flat of a group of flats."""
    return f"flat-{name or 'none'}"


def level_of(master: CCDFrame) -> float:
    """Return the median over the pixels that can be used; NaN if there are none."""
    return finite_median(master.pixels[usable(master)])


def sigma_of(master: CCDFrame) -> float:
    """Return the root of the median variance over the pixels that can be used; NaN if there are none."""
    return float(np.sqrt(finite_median(variance_of(master)[usable(master)])))


def pixel_sigma_of(master: CCDFrame) -> float:
    """Return the same without the error of the gain, which all pixels have in common."""
    piece = master[:: max(1, master.pixels.size // PIXELS)]
    good = usable(piece)
    if piece.variance is None or piece.known_budget is None or not good.any():
        return sigma_of(master)
    of_gain = piece.known_budget.variances().get("gain", 0.0)
    return float(np.sqrt(max(0.0, finite_median((piece.variance - of_gain)[good]))))


def variance_of(master: CCDFrame) -> NDArray[Any]:
    """Return the variance of a master; NaN where nothing tells it."""
    # One of another program may say nothing of its noise.
    return np.full(master.shape, np.nan) if master.variance is None else master.variance
