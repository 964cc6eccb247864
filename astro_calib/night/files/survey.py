"""Look at every raw file of a night: which frames there are, and which of them belong together."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u

from astro_calib.night.common.frames import RawFrame, UnusedFile
from astro_calib.night.common.names import unique_name
from astro_calib.night.common.net import tried
from astro_calib.night.files.examine import examine_file
from astro_calib.night.files.find import entries_of, find_files, places_of
from astro_calib.night.files.pixels import Pixels
from astro_calib.night.headers.raw_file import most_bytes
from astro_calib.night.headers.settings import is_near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from astro_calib.night.profiles.profile import Profile

__all__ = ["COMMON", "UNITS", "Alike", "alike", "left_out", "survey_headers", "survey_night"]

#: What must be the same in all frames that are reduced together, and what messages call it.
COMMON = {
    "shape": "shape (rows, columns)",
    "overscan": "overscan section",
    "trim": "data section",
    "gain": "gain in electron/adu",
    "read_noise": "read noise in electron",
    "saturation": "saturation in adu",
}
#: Frames of the same shape have these in the same place.
SECTIONS = ("overscan", "trim")
UNITS = {"gain": u.electron / u.adu, "read_noise": u.electron, "saturation": u.adu}


def survey_headers(
    raw: Any,
    profile: Profile,
    *,
    watch: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    needs_numbers: bool = True,
) -> tuple[list[RawFrame], list[UnusedFile]]:
    """
    Return the frames of a night by their headers, and the files that cannot be used. No pixel is read.

    Without ``needs_numbers`` a frame whose header has no sensible gain or read noise is of use.
    """
    entries = entries_of(raw)
    paths, unused = find_files(entries)
    examine = partial(examine_file, profile=profile, needs_numbers=needs_numbers, places=places_of(entries))
    frames: list[RawFrame] = []
    names: set[str] = set()
    for path in watch(paths):
        frame = tried(path, "", partial(examine, path))
        if isinstance(frame, UnusedFile):
            unused.append(frame)
            continue
        # All names are looked through only where it matters.
        name = unique_name(frame.name, names) if frame.name.casefold() in names else frame.name
        names.add(name.casefold())
        frames.append(replace(frame, name=name))
    return frames, unused


def survey_night(raw: Any, profile: Profile) -> tuple[list[RawFrame], list[UnusedFile]]:
    """
    Return the frames of a night that are alike in what `COMMON` names, each once, and the files that cannot be used.

    All of their pixels are read. What headers say of gain and read noise does not matter.
    """
    found, unused = survey_headers(raw, profile, needs_numbers=False)
    pixels = Pixels(most_bytes(math.prod(frame.shape) for frame in found))
    frames: list[RawFrame] = []
    for outcome in map(pixels.looked_at, found):
        if isinstance(outcome, UnusedFile):
            unused.append(outcome)
        else:
            frames.append(outcome)
    groups = alike(frames, needs_numbers=False)
    others = [file for group in groups[1:] for file in group.left_out] + (groups[0].unusable if groups else [])
    return (groups[0].frames if groups else []), unused + others


class Alike(NamedTuple):
    """
    Frames that are alike in what `COMMON` names.

    Attributes
    ----------
    frames : list of RawFrame
        The frames.
    left_out : list of UnusedFile
        The same ones, with what they have differently than most, for a night that has no use for them.
    unusable : list of UnusedFile
        Other frames of their shape, which are of no use for any.
    """

    frames: list[RawFrame]
    left_out: list[UnusedFile]
    unusable: list[UnusedFile]


def alike(frames: Iterable[RawFrame], *, needs_numbers: bool) -> list[Alike]:
    """Split frames into groups that are alike in what `COMMON` names, that of most frames first."""
    # Where numbers are measured, a gain in a header is a setting like others, see `setups`.
    roles = ["shape", *SECTIONS, *(["gain"] if needs_numbers else [])]
    groups: list[Alike] = []
    reasons: dict[Path, UnusedFile] = {}
    rest = list(frames)
    while rest:
        same, others, unusable = _alike(rest, roles)
        reasons = {file.path: file for file in others} | reasons
        # What has another shape than most is told so, and not what else is odd about it.
        unusable = [reasons.get(file.path, file) for file in unusable]
        groups.append(Alike(same, [reasons[frame.path] for frame in same if frame.path in reasons], unusable))
        by_path = {file.path for file in others}
        rest = [frame for frame in rest if frame.path in by_path]
    return groups


def _alike(frames: list[RawFrame], roles: Iterable[str]) -> tuple[list[RawFrame], list[UnusedFile], list[UnusedFile]]:
    """The frames that agree with most others in what a night has in common, those that do not, and useless ones."""
    others, unusable = [], []
    for attribute in roles:
        called = COMMON[attribute]
        if attribute != "shape":
            # Only now: if a frame has another shape, that is the reason, and not its sections.
            unusable += [left_out(frame, frame.misfit) for frame in frames if frame.misfit]
            frames = [frame for frame in frames if not frame.misfit]
        telling = [frame for frame in frames if getattr(frame, attribute) is not None or attribute in frame.beyond]
        values = Counter(getattr(frame, attribute) for frame in telling)
        if len(values) < 2 and (len(telling) == len(frames) or attribute in UNITS):
            continue
        science = Counter(getattr(frame, attribute) for frame in telling if frame.kind == "science")
        usual = max(values, key=lambda value: (values[value], science[value]), default=None)
        same = []
        for frame in frames:
            value = getattr(frame, attribute)
            near = attribute in UNITS and (value is None or is_near(value, usual or value))
            if near or value == usual:
                same.append(frame)
            elif value is None and attribute in SECTIONS and attribute not in frame.beyond:
                same.append(_with_section(frame, attribute, called, str(usual)))
            elif value is None and attribute in frame.unusable:
                unusable.append(left_out(frame, frame.unusable[attribute]))
            else:
                reason = f"its {called} is {value}, most frames have {usual}; reduce it with frames of its own"
                others.append(left_out(frame, reason))
        frames = same
    return frames, others, unusable


def _with_section(frame: RawFrame, role: str, called: str, section: str) -> RawFrame:
    """The frame with a section that its header does not tell, from the others of its shape."""
    reason = frame.unusable.get(role, f"its header names no {called}")
    remark = f"{reason}: {section} is taken, as in the other frames"
    unusable = {other: why for other, why in frame.unusable.items() if other != role}
    sections: dict[str, Any] = {role: section}
    return replace(frame, unusable=unusable, remarks=(*frame.remarks, remark), **sections)


def left_out(frame: RawFrame, reason: str) -> UnusedFile:
    """Return a frame that is not used, and why; a science frame is lost."""
    return UnusedFile(frame.path, reason, frame.kind, lost=frame.kind == "science")
