"""What a raw file is, from its header alone: its kind and what tells it, and what a reduction would take from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from astro_calib.night.common.frames import RawFrame, by_amplifier
from astro_calib.night.files.examine import examine_chips

if TYPE_CHECKING:
    from pathlib import Path

    from astro_calib.io.fits.header_reader import ImageHeader
    from astro_calib.night.profiles.profile import Profile

__all__ = ["Facts", "about_raw", "moment"]

#: What is told of a file, by what it is about.
Facts = dict[str, str]
#: A modified Julian date is zero here.
ZERO = datetime(1858, 11, 17, tzinfo=UTC)
UNITS = {"gain": "electron/adu", "read_noise": "electron", "saturation": "adu"}
ARTICLES = {"bias": "a bias", "dark": "a dark", "flat": "a flat", "science": "a science frame"}


def about_raw(path: Path, found: ImageHeader, profile: Profile) -> Facts:
    """
    Return what a raw file is for a reduction with a profile; first what it is taken for, and why.

    ``found`` are its headers.
    """
    profile = profile.of(found.header)
    frame, *others = examine_chips(path, profile, needs_numbers=False)
    if not isinstance(frame, RawFrame):
        kind = f" ({ARTICLES[frame.kind]})" if frame.kind in ARTICLES else ""
        facts = {"taken for": f"nothing{kind}: {frame.reason}"}
    else:
        facts = {"taken for": f"{ARTICLES[frame.kind]}, as {frame.why} says"}
    facts |= _from_header(found, profile)
    if isinstance(frame, RawFrame):
        if frame.is_assembled:
            facts["pixels"] = f"{_size(frame.shape)}, {found.dtype}, of {len(frame.amplifiers)} amplifiers"
        if others:
            beside = ", ".join(one.chip if isinstance(one, RawFrame) else str(one) for one in others)
            facts["chip"] = f"{frame.chip}; in the same file: {beside}"
        facts |= _of_frame(frame, found, profile)
    facts["profile"] = f"{profile.name}, chosen by {profile.why}" if profile.why else profile.name
    if isinstance(frame, RawFrame) and frame.remarks:
        facts["remarks"] = "; ".join(frame.remarks)
    return facts


def _from_header(found: ImageHeader, profile: Profile) -> Facts:
    """What every header may tell, whatever the file is."""
    facts: Facts = {}
    for role in ("object", "filter"):
        told = profile.find(found.header, role)
        if told is not None:
            facts[role] = f"{told[1]} ({told[0]})"
    time = profile.exposure_time(found.header)
    if time is not None:
        seconds = f"{time.value!r}, which is no time" if time.seconds is None else f"{time.seconds:g} s"
        facts["exposure"] = f"{seconds} ({time.keyword})"
    if found.shape:
        lengths = " x ".join(map(str, reversed(found.shape)))
        shape = _size(found.shape) if len(found.shape) == 2 else f"{lengths} pixels"
        facts["pixels"] = f"{shape}, {found.dtype}"
    return facts


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} columns x {shape[0]} rows"


def _of_frame(frame: RawFrame, found: ImageHeader, profile: Profile) -> Facts:
    """What is known of a frame that can be used."""
    facts: Facts = {}
    if frame.filter and "filter" not in _from_header(found, profile):
        facts["filter"] = frame.filter
    if frame.time is not None:
        facts["began"] = moment(frame.time)
    facts["kept"] = frame.trim or "the whole frame"
    facts["overscan"] = frame.overscan or "none"
    for role, unit in UNITS.items():
        facts[role.replace("_", " ")] = _number(role, unit, frame, found, profile)
    if frame.settings:
        facts["settings"] = ", ".join(f"{card} {_shown(value)}" for card, value in frame.settings.items())
    for role, reason in frame.unusable.items():
        facts[f"not its {role.replace('_', ' ')}"] = reason
    if frame.misfit:
        facts["does not fit"] = frame.misfit
    return facts


def _number(role: str, unit: str, frame: RawFrame, found: ImageHeader, profile: Profile) -> str:
    # What a profile states goes before what the headers say of each amplifier.
    stated = getattr(profile, role)
    told = [getattr(one, role) for one in by_amplifier(frame)] if stated is None else [stated]
    values = sorted({value for value in told if value is not None})
    if not values:
        if role == "saturation":
            return "unknown"
        return f"unknown (measured from two {'flats and two biases' if role == 'gain' else 'biases'} of the night)"
    card = None if frame.is_assembled else profile.find(found.header, role)
    origin = f"profile {profile.name}" if stated is not None else card[0] if card else "header"
    some = "" if None not in told else f" of {len(told) - told.count(None)} amplifiers, unknown of the others"
    return f"{' to '.join(f'{value:g}' for value in (values[0], values[-1])[: len(values)])} {unit}{some} ({origin})"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def moment(days: float) -> str:
    """
    Return a modified Julian date as text.

    >>> from astro_calib.night.preview.about_raw import moment
    >>> moment(60443.25)
    '2024-05-13T06:00:00 (UT)'
    """
    return f"{(ZERO + timedelta(days=days)).replace(tzinfo=None).isoformat(timespec='seconds')} (UT)"
