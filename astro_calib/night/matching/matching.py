"""Which bias, dark and flat go with a science frame, and why; told from headers."""

from __future__ import annotations

import math
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.common.names import for_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.profiles.matching_rules import Matching

__all__ = [
    "SAME_EXPOSURE",
    "Choice",
    "Match",
    "between",
    "dark_choice",
    "darks_of",
    "flat_choice",
    "flat_groups",
    "middle_times",
    "near",
    "same_exposure",
]

#: Cameras that report the time that the shutter was open report a slightly different one for each frame.
SAME_EXPOSURE = 1.01
#: Angles come back to where they were after so many degrees.
TURN = 360.0
HOURS = 24.0


class Choice(NamedTuple):
    """
    What is subtracted from a science frame, or what it is divided by.

    Attributes
    ----------
    name : str
        The name of the master, as in the name of its file; empty if there is none.
    frames : tuple of RawFrame
        What it is made of.
    why : str
        Why it is taken, or why there is none.
    mend : str
        What would give a better one; empty if nothing is missing.
    key : str
        Of a flat, which of the `flat_groups`.
    """

    name: str = ""
    frames: tuple[RawFrame, ...] = ()
    why: str = ""
    mend: str = ""
    key: str = ""


class Match(NamedTuple):
    """
    What a science frame is calibrated with.

    Attributes
    ----------
    frame : RawFrame
        The science frame.
    bias, dark, flat : Choice
        What goes with it.
    problem : str
        Why it cannot be reduced; empty if it can.
    """

    frame: RawFrame
    bias: Choice
    dark: Choice
    flat: Choice
    problem: str = ""


def same_exposure(one: float, other: float) -> bool:
    """Whether two exposure times are the same, but for how long a shutter took."""
    return max(one, other) <= SAME_EXPOSURE * min(one, other)


def darks_of(frames: Iterable[RawFrame]) -> dict[float, tuple[RawFrame, ...]]:
    """Return the darks by their mean exposure time in seconds, those that differ by less than 1% together."""
    groups: list[list[RawFrame]] = []
    darks = [frame for frame in frames if frame.kind == "dark"]
    for frame in sorted(darks, key=lambda frame: frame.exposure_time):
        if groups and frame.exposure_time <= SAME_EXPOSURE * groups[-1][0].exposure_time:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return {fmean(frame.exposure_time for frame in group): tuple(group) for group in groups}


def between(times: Iterable[float], wanted: float) -> tuple[float, float] | None:
    """Return the nearest of some exposure times below and above another; None if it is not between any."""
    below = [time for time in times if time < wanted]
    above = [time for time in times if time > wanted]
    return (max(below), min(above)) if below and above else None


def flat_groups(frames: Iterable[RawFrame], rules: Matching) -> dict[str, tuple[RawFrame, ...]]:
    """
    Return the flats that make one master each, by name: of one filter, angle of the rotator, and time of taking.

    The name is that of the filter, with a number behind it for all but the first of a filter.
    """
    groups: dict[str, tuple[RawFrame, ...]] = {}
    flats = [frame for frame in frames if frame.kind == "flat"]
    for name in sorted({frame.filter for frame in flats}):
        of_filter = [frame for frame in flats if frame.filter == name]
        parts = [part for angle in _by_angle(of_filter, rules.rotator) for part in _by_time(angle, rules.flat_hours)]
        for number, part in enumerate(parts, start=1):
            key = name if number == 1 else f"{name}-{number}"
            while key in groups:
                key += "-"
            groups[key] = tuple(part)
    return groups


def _by_angle(flats: Sequence[RawFrame], tolerance: float) -> list[list[RawFrame]]:
    groups: list[list[RawFrame]] = []
    for flat in flats:
        own = next((group for group in groups if near(group[0].rotator, flat.rotator, tolerance)), None)
        if own is None:
            groups.append([flat])
        else:
            own.append(flat)
    return groups


def near(one: float | None, other: float | None, tolerance: float) -> bool:
    """Whether two angles are the same, as far as they are known."""
    if one is None or other is None:
        return one is other
    return abs(math.remainder(one - other, TURN)) <= tolerance


def _by_time(flats: Sequence[RawFrame], hours: float) -> list[list[RawFrame]]:
    """Split flats where there was a long pause; those whose time is not known are with the first."""
    known = sorted((flat.time, number) for number, flat in enumerate(flats) if flat.time is not None)
    part_of: dict[int, int] = {}
    part = 0
    for (before, _), (time, number) in zip([known[0], *known] if known else [], known, strict=False):
        part += (time - before) * HOURS > hours
        part_of[number] = part
    return [[flat for number, flat in enumerate(flats) if part_of.get(number, 0) == one] for one in range(part + 1)]


def middle_times(groups: Mapping[str, Sequence[RawFrame]]) -> dict[str, float]:
    """Return the median time of each group of flats, in days; infinity if the headers tell none."""
    known = {key: [flat.time for flat in flats if flat.time is not None] for key, flats in groups.items()}
    return {key: median(times) if times else math.inf for key, times in known.items()}


def flat_choice(
    frame: RawFrame, groups: Mapping[str, Sequence[RawFrame]], rules: Matching, times: Mapping[str, float] | None = None
) -> Choice:
    """
    Return the flats for a science frame: of its filter, of the rotator's angle, and nearest in time.

    ``times`` are the `middle_times` of the groups, so that they need not be found for each frame.
    """
    of_filter = {key: flats for key, flats in groups.items() if flats[0].filter == frame.filter}
    called = for_filter(frame.filter)
    if not of_filter:
        others = sorted({flats[0].filter or "no filter" for flats in groups.values()})
        found = f"; there are flats of {', '.join(others)}" if others else ""
        return Choice(why=f"no flat for {called}{found}", mend=f"flats of {called}")
    unknown = frame.rotator is None or all(flats[0].rotator is None for flats in of_filter.values())
    fitting = {
        key: flats
        for key, flats in of_filter.items()
        if unknown or near(flats[0].rotator, frame.rotator, rules.rotator)
    }
    if not fitting:
        angles = ", ".join(sorted({_angle(flats[0].rotator) for flats in of_filter.values()}))
        why = f"the flats of {called} have the rotator at {angles}, and not at {_angle(frame.rotator)}"
        return Choice(
            why=why, mend=f"flats of {called} at {_angle(frame.rotator)}, or a larger matching.rotator in a profile"
        )
    middle = middle_times(fitting) if times is None else times
    away = {key: math.inf if frame.time is None else abs(middle[key] - frame.time) for key in fitting}
    key = min(fitting, key=lambda one: away[one])
    why = f"{len(fitting[key])} of {called}"
    if len(fitting) > 1 and math.isfinite(away[key]):
        why += f", nearest in time ({_duration(away[key])} away)"
    if not unknown:
        why += f", rotator at {_angle(frame.rotator)}"
    return Choice(f"flat-{key or 'none'}", tuple(fitting[key]), why, key=key)


def _angle(angle: float | None) -> str:
    return "an unknown angle" if angle is None else f"{angle:g} degrees"


def _duration(days: float) -> str:
    return f"{days * HOURS:.1f} h" if days < 2 else f"{days:.1f} days"


def dark_choice(
    exposure_time: float, darks: Mapping[float, Sequence[RawFrame]], rules: Matching, *, with_bias: bool
) -> Choice:
    """
    Return the darks for a frame of an exposure time in seconds.

    ``with_bias`` says that no bias can be subtracted from the darks, so that they cannot be scaled.
    """
    if not darks:
        return Choice(why="there are no darks", mend=f"darks of {exposure_time:g} s")
    if exposure_time == 0 and not with_bias:
        return Choice(why="an exposure of 0 s has no dark current")
    same = next((time for time in darks if same_exposure(time, exposure_time)), None)
    if same is not None:
        held = ", with their bias in them" if with_bias else ""
        return Choice(f"dark-{same:g}s", tuple(darks[same]), f"{len(darks[same])} of the same exposure{held}")
    mend = f"darks of {exposure_time:g} s"
    there = ", ".join(f"{time:g}" for time in darks)
    around = between(darks, exposure_time)
    if with_bias and around is not None and rules.scale_darks:
        frames = tuple(frame for time in around for frame in darks[time])
        why = f"between those of {around[0]:g} s and {around[1]:g} s, with their bias in them"
        return Choice(f"dark-{around[0]:g}s and dark-{around[1]:g}s", frames, why, mend)
    if with_bias:
        return Choice(why=f"there are darks of {there} s, whose bias cannot be scaled", mend=f"{mend}, or biases")
    if not rules.scale_darks:
        return Choice(why=f"there are darks of {there} s, and the profile forbids to scale them", mend=mend)
    if len(darks) == 1:
        (time,) = darks
        return Choice(
            f"dark-{time:g}s", tuple(darks[time]), f"scaled by {exposure_time / time:.3g}, which nothing tests", mend
        )
    frames = tuple(frame for group in darks.values() for frame in group)
    return Choice("dark", frames, f"the best of those of {there} s, scaled; which one, their errors tell", mend)
