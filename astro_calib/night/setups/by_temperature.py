"""Which frames of a setup go together by the temperature of the detector."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from astro_calib.night.headers.settings import COOLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from astro_calib.night.common.frames import RawFrame

__all__ = ["WIDER", "by_temperature", "temperature_of"]

#: Biases hardly depend on the temperature, and flats still less: so many times the tolerance lies between biases that
#: are refused and the frames that come next to them. Flats are only refused where there is nothing else.
WIDER = 2.0
#: Science frames that may use this part of each other's darks are reduced together.
SHARED = 0.5


def temperature_of(frame: RawFrame) -> float | None:
    """Return the temperature that a frame tells, in degrees; None if it tells none."""
    return float(frame.settings[COOLED]) if COOLED in frame.settings else None


def by_temperature(frames: Sequence[RawFrame], tolerance: float) -> list[list[RawFrame]]:
    """
    Split frames by temperature; those whose header does not tell it are everywhere.

    Science frames that the same darks are within the tolerance of, in degrees, stay together, with the biases and flats
    that are nearest. A calibration frame that is of no use for any of them is in a group of its own.

    >>> from dataclasses import dataclass
    >>> from astro_calib.night.setups.by_temperature import by_temperature
    >>> @dataclass
    ... class Frame:
    ...     kind: str
    ...     settings: dict
    ...     filter: str = ""
    >>> kinds = [
    ...     ("bias", -20.0),
    ...     ("dark", -20.0),
    ...     ("science", -20.0),
    ...     ("science", -18.0),
    ...     ("science", -17.0),
    ... ]
    >>> groups = by_temperature(
    ...     [Frame(kind, {"temperature": t}) for kind, t in kinds], 2.5
    ... )
    >>> [
    ...     [(one.kind, one.settings["temperature"]) for one in group]
    ...     for group in groups
    ... ]
    ... # doctest: +NORMALIZE_WHITESPACE
    [[('bias', -20.0), ('dark', -20.0), ('science', -20.0), ('science', -18.0)],
     [('bias', -20.0), ('science', -17.0)]]
    """
    told = [temperature_of(frame) for frame in frames]
    of_science = _told(frames, "science")
    # Where no science frame tells, only darks are too different to be used together.
    groups = _of_science(frames, tolerance) if of_science else _alone(frames, tolerance)
    used = {number for group in groups for number in group}
    rest = {temperature for number, temperature in enumerate(told) if temperature is not None and number not in used}
    groups += [
        {number for number, temperature in enumerate(told) if temperature in cluster and number not in used}
        for cluster in _clusters(rest, tolerance)
    ]
    silent = {number for number, temperature in enumerate(told) if temperature is None}
    with_silent = [
        group | silent if not of_science or any(frames[number].kind == "science" for number in group) else group
        for group in groups
    ] or [silent]
    return [[frames[number] for number in sorted(group)] for group in with_silent if group]


def _told(frames: Iterable[RawFrame], kind: str = "") -> set[float]:
    told = (temperature_of(frame) for frame in frames if kind in ("", frame.kind))
    return {temperature for temperature in told if temperature is not None}


def _alone(frames: Sequence[RawFrame], tolerance: float) -> list[set[int]]:
    """Darks by their temperature, and all the biases and flats that tell theirs with each of them."""
    others = {n for n, frame in enumerate(frames) if frame.kind != "dark" and temperature_of(frame) is not None}
    if not any(frame.kind == "science" for frame in frames):
        return [
            {n for n, frame in enumerate(frames) if temperature_of(frame) in cluster}
            for cluster in _clusters(_told(frames), tolerance)
        ]
    of_darks = [
        {n for n, frame in enumerate(frames) if frame.kind == "dark" and temperature_of(frame) in cluster} | others
        for cluster in _clusters(_told(frames, "dark"), tolerance)
    ]
    return of_darks or [others]


def _of_science(frames: Sequence[RawFrame], tolerance: float) -> list[set[int]]:
    """Science frames that the same others can be used for, with these."""
    numbers: dict[tuple[str, str], dict[float, set[int]]] = {}
    for number, frame in enumerate(frames):
        if (temperature := temperature_of(frame)) is not None:
            what = (frame.kind, frame.filter if frame.kind == "flat" else "")
            numbers.setdefault(what, {}).setdefault(temperature, set()).add(number)
    clusters = {
        what: _clusters(found, WIDER * tolerance if what[0] == "flat" else tolerance)
        for what, found in numbers.items()
        if what[0] != "science"
    }
    chains = _chains((temperature for found in numbers.values() for temperature in found), WIDER * tolerance)
    science = numbers["science", ""]
    groups: list[tuple[frozenset[int], set[int], set[int]]] = []
    for temperature in sorted(science):
        hardly: set[int] = set()
        darks: set[int] = set()
        far_flats: set[int] = set()
        for what, found in clusters.items():
            nearest = min(found, key=lambda cluster: (min(abs(t - temperature) for t in cluster), max(cluster)))
            if what[0] == "dark":
                darks = _numbers(numbers[what], (t for t in nearest if abs(t - temperature) <= tolerance))
            elif chains[temperature] == chains[max(nearest)]:
                hardly |= _numbers(numbers[what], nearest)
            elif what[0] == "flat":
                far_flats |= _numbers(numbers[what], nearest)
        if darks or any(frames[number].kind == "bias" for number in hardly):
            # They may have been taken before the cooler was on.
            hardly |= far_flats
        key = frozenset(hardly)
        if groups and groups[-1][0] == key and _go_together(groups[-1][1], darks):
            _, common, own = groups.pop()
            groups.append((key, common & darks, own | science[temperature]))
        else:
            groups.append((key, darks, science[temperature]))
    by_use = _without_far(groups, frames, tolerance)
    return [set(hardly) | darks | own for hardly, darks, own in by_use]


def _without_far(
    groups: list[tuple[frozenset[int], set[int], set[int]]], frames: Sequence[RawFrame], tolerance: float
) -> list[tuple[frozenset[int], set[int], set[int]]]:
    """Part science frames that have nothing, by their own temperatures, so that what is said of them is right."""
    result = []
    for hardly, darks, own in groups:
        if hardly or darks:
            result.append((hardly, darks, own))
            continue
        clusters = _clusters({float(frames[number].settings[COOLED]) for number in own}, tolerance)
        result += [(hardly, darks, {n for n in own if temperature_of(frames[n]) in cluster}) for cluster in clusters]
    return result


def _go_together(common: set[int], darks: set[int]) -> bool:
    """Whether science frames are reduced with the darks that both may use; those without any stay apart."""
    if not common or not darks:
        return not common and not darks
    return len(common & darks) >= SHARED * max(len(common), len(darks))


def _numbers(found: Mapping[float, set[int]], temperatures: Iterable[float]) -> set[int]:
    return set().union(*(found[temperature] for temperature in temperatures))


def _clusters(temperatures: Iterable[float], tolerance: float) -> list[set[float]]:
    """Split temperatures where they are furthest apart, until those of each cluster are within the tolerance."""
    known = sorted(set(temperatures))
    if not known:
        return []
    if known[-1] - known[0] <= tolerance:
        return [set(known)]
    middle = median(known)
    # Of gaps that are equal the one in the middle, so that a camera that drifts has few clusters.
    gap = max(
        range(1, len(known)),
        key=lambda n: (round(known[n] - known[n - 1], 3), -abs((known[n] + known[n - 1]) / 2 - middle)),
    )
    return _clusters(known[:gap], tolerance) + _clusters(known[gap:], tolerance)


def _chains(temperatures: Iterable[float], gap: float) -> dict[float, int]:
    """Number temperatures so that those have the same number between which no gap is wider than this."""
    chains: dict[float, int] = {}
    number, before = 0, None
    for temperature in sorted(set(temperatures)):
        if before is not None and temperature - before > gap:
            number += 1
        chains[temperature] = number
        before = temperature
    return chains
