"""The numbers of frames and the exposure with the best SNR in the time that there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.characterize.calibration_plan import KINDS, CalibrationPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from astro_calib.characterize.flux_noise import Conditions

__all__ = ["FULL", "Planner", "best_exposure"]

#: The brightest pixel of a recommended exposure stays at this part of the saturation, for pedestal and better seeing.
FULL = 0.8
#: Around so many of the best exposures, these parts of them are tried.
REFINED, PARTS = 3, np.linspace(0.94, 1.06, 25)
#: Exposures that are tried: these times powers of ten, in seconds, from the shortest.
ROUND = np.concatenate([np.arange(1, 2, 0.1), np.arange(2, 5, 0.2), np.arange(5, 10, 0.5)])
SHORTEST = 0.1
#: The shortest exposure is taken with which the SNR is at least this part of the best: more frames show more hits.
NEARLY = 0.997
#: Numbers of frames that are tried on either side of where the SNR would be best if they need not be whole.
TRIED = 2
#: More frames of a kind than this are not planned.
MOST = 100_000


def best_exposure(planner: Planner) -> CalibrationPlan:
    """The plan with the shortest exposure of those that are nearly the best."""
    candidates = _exposures(planner.seconds, planner.longest)
    plans = planner.plans(candidates, lengthen=True)
    if not plans:
        raise ValueError(planner.needs(candidates))
    # Where frames are few, how they fill the time matters: around the best, exposures are tried in small steps.
    best = sorted(plans, key=lambda plan: plan.snr)[-REFINED:]
    around = {float(f"{plan.exposure.value * part:.3g}") for plan in best for part in PARTS}
    plans += planner.plans([t for t in sorted(around) if t <= planner.longest], lengthen=True)
    enough = NEARLY * max(plan.snr for plan in plans)
    return min((plan for plan in plans if plan.snr >= enough), key=lambda plan: plan.exposure)


@dataclass(frozen=True, kw_only=True)
class Planner:
    """
    What is to be planned.

    Attributes
    ----------
    conditions : Conditions
        What is observed with what.
    free : list of str
        The kinds of frame whose numbers are to be found.
    fixed : dict of str to int
        The other numbers.
    seconds : float
        Time for the free ones.
    fewest : int
        How many of each there have to be.
    dark_time : float or None
        Exposure of the darks, s; None for that of the science frames.
    brightest, longest : float
        Electrons at which a pixel saturates, and the exposure (s) in which the target stays well below.
    """

    conditions: Conditions
    free: Sequence[str]
    fixed: Mapping[str, int]
    seconds: float
    fewest: int
    dark_time: float | None
    brightest: float
    longest: float

    def plans(self, exposures: Iterable[float], *, lengthen: bool = False) -> list[CalibrationPlan]:
        """The best plan for each of the exposures with which there is time; lengthened to take all of it, if asked."""
        found = []
        for t in exposures:
            variances, costs = self._of_one(t)
            numbers = _best_numbers(self.free, self.fixed, variances, costs, self.seconds, self.fewest)
            if numbers is not None:
                found.append(self._plan(self._lengthened(t, numbers, costs) if lengthen else t, numbers))
        return found

    def needs(self, exposures: Sequence[float]) -> str:
        """What to say if there is no time for the fewest frames, with none of the exposures."""
        needed = min(self.fewest * sum(self._of_one(t)[1][kind] for kind in self.free) for t in exposures) / 60
        return (
            f"time is {self.seconds / 60:.3g} min; {self.fewest} frames of each of {', '.join(self.free)} take "
            f"{needed:.3g} min. Give more time, a shorter exposure, or fewer frames with at_least=."
        )

    def _of_one(self, t: float) -> tuple[dict[str, float], dict[str, float]]:
        """The variance that one frame of each kind brings, and what it costs."""
        of_dark = self.dark_time or t
        return self.conditions.variances(t, of_dark), self.conditions.costs(t, of_dark)

    def _lengthened(self, t: float, numbers: Mapping[str, int], costs: Mapping[str, float]) -> float:
        """The exposure with which as many frames take all of the time, to three digits."""
        left = self.seconds - sum(numbers[kind] * costs[kind] for kind in self.free)
        matched = self.dark_time is None and "darks" in self.free
        longer = min(t + left / (numbers["science"] + (numbers["darks"] if matched else 0)), self.longest)
        digit = 10.0 ** (np.floor(np.log10(longer)) - 2)
        return max(t, round(float(np.floor(longer / digit * (1 + 1e-12)) * digit), 6))

    def _plan(self, t: float, numbers: Mapping[str, int]) -> CalibrationPlan:
        conditions = self.conditions
        variances, costs = self._of_one(t)
        signal = conditions.flux * t
        return CalibrationPlan(
            exposure=t * u.s,
            dark_exposure=(self.dark_time or t) * u.s,
            **{"darks": 0, **numbers},
            time=sum(number * costs[kind] for kind, number in numbers.items()) / 60 * u.min,
            signal=signal * u.electron,
            variances=variances,
            gain_variance=(signal * conditions.gain_uncertainty) ** 2,
            seconds=costs,
            remarks=self._remarks(t),
        )

    def _remarks(self, t: float) -> tuple[str, ...]:
        """What should be known about an exposure."""
        remarks = []
        collected = self.conditions.peak_rate() * t
        if collected >= self.brightest:
            remarks.append(
                f"The target saturates: its brightest pixel collects {collected:.3g} electrons in {t:g} s, and "
                f"saturates at {self.brightest:.3g}. Expose for {self.longest:.2g} s at most."
            )
        if self.dark_time not in (None, t) and self.conditions.dark:
            remarks.append("The darks are scaled, which is right only for pixels whose dark current is steady.")
        return tuple(remarks)


def _best_numbers(
    free: Sequence[str],
    fixed: Mapping[str, int],
    variances: Mapping[str, float],
    costs: Mapping[str, float],
    seconds: float,
    fewest: int,
) -> dict[str, int] | None:
    """The numbers of frames with the least variance that the time allows; None if it does not for the fewest."""
    # The dearest first, so that what is left of the time goes into the cheaper ones.
    order = sorted(free, key=lambda kind: -costs[kind])
    best: tuple[float, list[int]] = (np.inf, [])

    def choose(place: int, left: float, so_far: list[int], variance: float) -> None:
        nonlocal best
        if place == len(order):
            if variance < best[0]:
                best = variance, so_far
            return
        rest = order[place:]
        exact = _shared_out(rest, variances, costs, left, fewest)
        if exact is None:
            return
        most = int(min(MOST, (left + 1e-9 - fewest * sum(costs[kind] for kind in rest[1:])) / costs[rest[0]]))
        around = [most] if len(rest) == 1 else range(int(exact) - TRIED, int(exact) + TRIED + 2)
        for number in sorted({min(max(fewest, one), most) for one in around}):
            part = variances[rest[0]] / number
            choose(place + 1, left - number * costs[rest[0]], [*so_far, number], variance + part)

    choose(0, seconds, [], 0.0)
    if len(best[1]) < len(order):
        return None
    numbers = {**fixed, **dict(zip(order, best[1], strict=True))}
    return {kind: numbers[kind] for kind in KINDS if kind in numbers}


def _shared_out(
    kinds: Sequence[str], variances: Mapping[str, float], costs: Mapping[str, float], seconds: float, fewest: int
) -> float | None:
    """How many frames of the first kind are best, if numbers need not be whole; None without time for the fewest."""
    if fewest * sum(costs[kind] for kind in kinds) > seconds * (1 + 1e-12) + 1e-9:
        return None
    shared = list(kinds)
    while shared:
        left = seconds - fewest * sum(costs[kind] for kind in kinds if kind not in shared)
        total = sum(np.sqrt(variances[kind] * costs[kind]) for kind in shared)
        numbers = {kind: left * np.sqrt(variances[kind] / costs[kind]) / total if total else 0.0 for kind in shared}
        few = [kind for kind in shared if numbers[kind] < fewest]
        if not few:
            return float(min(numbers.get(kinds[0], fewest), MOST))
        shared = [kind for kind in shared if kind not in few]
    return float(fewest)


def _exposures(seconds: float, longest: float) -> list[float]:
    """The round exposures up to the longest."""
    last = int(np.ceil(np.log10(max(seconds, 1))))
    tried = [round(float(one) * 10.0**power, 3) for power in range(round(np.log10(SHORTEST)), last) for one in ROUND]
    found = [t for t in tried if t <= min(seconds, longest)]
    if not found:
        msg = (
            f"the brightest pixel of the target saturates in {longest / FULL:.2g} s, before the shortest exposure that "
            f"is planned, {SHORTEST:g} s. Give the exposure=, or defocus."
        )
        raise ValueError(msg)
    return found
