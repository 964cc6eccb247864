"""Calibration frames of other nights: those of the nearest night are taken, and what is far away in time is said."""

from __future__ import annotations

from bisect import bisect
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.names import PLURALS, for_filter, named
from astro_calib.night.common.remarks import Remark
from astro_calib.night.headers.observed import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.plan.plan import Plan

__all__ = ["of_nearest_nights", "remarks_on_time"]

#: Biases and darks with a longer pause between them are not averaged, days: bias and hot pixels change.
PAUSE = 7.0
#: So many frames of one night are enough for a master without outliers.
ENOUGH = 3
#: What is farther than this from a science frame is worth a remark, days: dust moves soon, and other pixels get hot.
FAR = {"bias": 30.0, "dark": 30.0, "flat": 10.0}
YEAR = 365.25


def of_nearest_nights(plan: Plan) -> tuple[Plan, list[UnusedFile]]:
    """Return a plan without the biases and darks of nights that are far from its science frames, and these."""
    science = [frame.time for frame in plan.science if frame.time is not None]
    unused: list[UnusedFile] = []
    remarks: list[str] = []
    for frames in (plan.biases, *plan.darks.values()):
        runs = _runs(frames)
        if len(runs) < 2 or not science:
            continue
        what = PLURALS[frames[0].kind]
        if frames[0].kind == "dark":
            what += f" of {frames[0].exposure_time:g} s"
        starts = [[frame.time or 0.0 for frame in run] for run in runs]
        nearest = {min(range(len(runs)), key=lambda one: _away(starts[one], time)) for time in science}
        if all(len(runs[one]) >= ENOUGH for one in nearest) and len(nearest) < len(runs):
            for number in set(range(len(runs))) - nearest:
                days = min(_away(starts[number], time) for time in science)
                reason = (
                    f"of another night, {_date(starts[number][0])}, {_duration(days)} from the science frames; there "
                    f"are enough {what} of {_dates(starts[one] for one in sorted(nearest))}"
                )
                files = [UnusedFile(frame.path, reason, frame.kind) for frame in runs[number]]
                remarks.append(f"{named([file.path.name for file in files])}: left out: {reason}")
                unused += files
        else:
            remarks.append(f"the {what} are of several nights, {_dates(starts)}, and are averaged")
    left_out: set[Path] = {file.path for file in unused}
    kept = tuple(frame for frame in plan.frames if frame.path not in left_out)
    return replace(plan, frames=kept, remarks=(*plan.remarks, *remarks)), unused


def remarks_on_time(plan: Plan) -> list[str]:
    """Say which science frames get calibration frames that were taken long before or after them, or may have been."""
    times: dict[tuple[str, str], list[float]] = {}
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for match in plan.matches():
        if match.frame.time is None:
            continue
        for kind, choice in (("bias", match.bias), ("dark", match.dark), ("flat", match.flat)):
            key = (kind, choice.name)
            if key not in times:
                times[key] = sorted(frame.time for frame in choice.frames if frame.time is not None)
            days = _away(times[key], match.frame.time) if times[key] else 0.0
            if days > FAR[kind]:
                what = f"the flats of {for_filter(match.frame.filter)}" if kind == "flat" else f"the {PLURALS[kind]}"
                found.setdefault((kind, what), []).append((match.frame.path.name, days))
    remarks = []
    for (kind, what), away in found.items():
        days = max(days for _, days in away)
        doubt = "dust may have moved since" if kind == "flat" else "bias and hot pixels may have changed since"
        if days > YEAR:
            doubt += ", or a clock was wrong: look at the dates in the headers"
        names = named([name for name, _ in away])
        remarks.append(f"{names}: {what} are {_duration(days)} away in time; {doubt}")
    return [*remarks, *_on_untold_times(plan)]


def _on_untold_times(plan: Plan) -> Iterator[Remark]:
    """Say which frames do not tell their time, where there are flats of several times."""
    groups = plan.flat_groups
    sets: dict[tuple[str, float | None], list[str]] = {}
    for key, flats in groups.items():
        sets.setdefault((flats[0].filter, flats[0].rotator), []).append(key)
    several = {key: len(keys) for keys in sets.values() if len(keys) > 1 for key in keys}
    untimed = [one for one in plan.matches() if one.frame.time is None] if several else []
    said: dict[str, list[str]] = {}
    for key, number in several.items():
        of_sets = f"of {number} sets of flats of {for_filter(groups[key][0].filter)}, taken at different times"
        text = f"its header does not tell its time, and {of_sets}, the first is taken"
        names = [one.frame.path.name for one in untimed if one.flat.key == key]
        said.setdefault(f"{text}; leave out those of other nights", []).extend(names)
        text = f"its header does not tell its time: {of_sets}, it is averaged with the first"
        said.setdefault(text, []).extend(flat.path.name for flat in groups[key] if flat.time is None)
    yield from (Remark(text, names) for text, names in said.items() if names)


def _runs(frames: Iterable[RawFrame]) -> list[list[RawFrame]]:
    """Frames without a long pause between them; those that do not tell their time are in none."""
    runs: list[list[RawFrame]] = []
    last = float("-inf")
    for time, frame in sorted(
        ((frame.time, frame) for frame in frames if frame.time is not None), key=lambda pair: pair[0]
    ):
        if time - last > PAUSE:
            runs.append([])
        runs[-1].append(frame)
        last = time
    return runs


def _away(times: Sequence[float], time: float) -> float:
    """How many days a time is from the nearest of some in a row."""
    place = bisect(times, time)
    return min(abs(near - time) for near in times[max(0, place - 1) : place + 1])


def _date(time: float) -> str:
    return f"{ZERO + timedelta(days=time):%Y-%m-%d}"


def _dates(runs: Iterable[Sequence[float]]) -> str:
    return " and ".join(_date(run[0]) for run in runs)


def _duration(days: float) -> str:
    return f"{days:.0f} days" if days < 2 * YEAR else f"{days / YEAR:.0f} years"
