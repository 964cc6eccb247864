"""Darks and science frames of different temperatures, as far as headers tell them."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from astro_calib.night.common.remarks import Remark
from astro_calib.night.headers.settings import COOLED
from astro_calib.night.matching.matching import darks_of
from astro_calib.night.setups.setups import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from astro_calib.night.common.frames import RawFrame

__all__ = ["SILENT", "doubt_of_master_dark", "doubts_of_temperature", "silent_darks"]

#: Temperatures that differ by more than this change the dark current by more than 6%; degrees.
WORTH_SAYING = 0.5
#: A cooler that holds its temperature stays within this; degrees.
STEADY = 1.0
#: The dark current of a chip that is colder than this is next to nothing.
COLD = -80.0
SILENT = (
    "its header does not tell its temperature, and other darks of its exposure tell that they have that of the "
    "science frames"
)


def silent_darks(frames: Sequence[RawFrame]) -> tuple[RawFrame, ...]:
    """Return the darks whose headers tell no temperature, where others of their exposure and the science frames do."""
    if not _temperatures(frame for frame in frames if frame.kind == "science"):
        return ()
    groups = darks_of(frames).values()
    mixed = (group for group in groups if _temperatures(group))
    return tuple(frame for group in mixed for frame in group if COOLED not in frame.settings)


def doubts_of_temperature(frames: Sequence[RawFrame], tolerance: float = TOLERANCE) -> Iterator[str]:
    """
    Yield remarks on frames that are warmer or colder than the science frames, and on coolers that drift.

    Biases and flats may be further from them than the ``tolerance`` in degrees, darks are within it.
    """
    of_science = _temperatures(frame for frame in frames if frame.kind == "science")
    if of_science and max(of_science) < COLD:
        return
    yield from _on_biases_and_flats(frames, of_science, tolerance)
    yield from _on_silent_science(frames, of_science)
    for time, group in darks_of(frames).items():
        own = _temperatures(group)
        if not own:
            if of_science:
                yield (
                    f"nothing tells the temperature of the darks of {time:g} s, and the science frames tell theirs: "
                    "they are subtracted all the same; leave out those that were taken at another temperature"
                )
            continue
        if max(own) - min(own) > STEADY:
            yield (
                f"the temperature of the darks of {time:g} s goes from {min(own):.1f} to {max(own):.1f} C: hot pixels "
                "are subtracted less well"
            )
        if not of_science:
            if any(frame.kind == "science" for frame in frames):
                yield f"darks of {time:g} s are of {_range(own)} C; the headers of the science frames tell none"
            continue
        apart = median(own) - median(of_science)
        if abs(apart) > WORTH_SAYING:
            yield (
                f"darks of {time:g} s are of {median(own):.1f} C, the science frames of {median(of_science):.1f} C: "
                f"{_too_much(apart)}"
            )
    if of_science and max(of_science) - min(of_science) > STEADY and any(frame.kind == "dark" for frame in frames):
        yield (
            f"the temperature of the science frames goes from {min(of_science):.1f} to {max(of_science):.1f} C, and "
            "the same darks are subtracted from all"
        )


def doubt_of_master_dark(temperature: float, frames: Iterable[RawFrame]) -> str:
    """What is to be said of a master dark of another night, of a temperature in degrees; empty if nothing is."""
    of_science = _temperatures(frame for frame in frames if frame.kind == "science")
    if not of_science or max(of_science) < COLD or abs(apart := temperature - median(of_science)) <= WORTH_SAYING:
        return ""
    return f"it is of {temperature:.1f} C, the science frames of {median(of_science):.1f} C: {_too_much(apart)}"


def _too_much(apart: float) -> str:
    """What it means that a dark is so many degrees warmer than the science frames."""
    too = "too much" if apart > 0 else "too little"
    return (
        f"about {100 * abs(2 ** (apart / 6) - 1):.0f}% {too} of the dark current is subtracted (it doubles every 6 C "
        "or so), most at hot pixels; take darks of the same temperature"
    )


def _on_biases_and_flats(frames: Sequence[RawFrame], of_science: Sequence[float], tolerance: float) -> Iterator[str]:
    """Say which of them are further from the science frames than a dark may be."""
    far = {}
    for kind, called in (("bias", "biases"), ("flat", "flats")):
        own = _temperatures(frame for frame in frames if frame.kind == kind)
        if own and of_science and max(max(of_science) - min(own), max(own) - min(of_science)) > tolerance:
            far[called] = own
    if far:
        yield (
            f"{' and '.join(far)} are of {_range([t for own in far.values() for t in own])} C, the science frames of "
            f"{_range(of_science)} C: they serve, for they hardly depend on the temperature (a dark may be "
            f"{tolerance:g} C away: matching.temperature in a profile)"
        )


def _on_silent_science(frames: Sequence[RawFrame], of_science: Sequence[float]) -> Iterator[Remark]:
    """Say which science frames are taken to have the temperature of the others."""
    if of_science and _temperatures(frame for frame in frames if frame.kind == "dark"):
        silent = [frame.path.name for frame in frames if frame.kind == "science" and COOLED not in frame.settings]
        if silent:
            yield Remark("no temperature in the header: it is taken to be that of the other science frames", silent)


def _range(temperatures: Sequence[float]) -> str:
    low, high = min(temperatures), max(temperatures)
    return f"{low:.1f}" if high - low < WORTH_SAYING else f"{low:.1f} to {high:.1f}"


def _temperatures(frames: Iterable[RawFrame]) -> list[float]:
    return [float(frame.settings[COOLED]) for frame in frames if COOLED in frame.settings]
