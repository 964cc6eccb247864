"""Look at every raw file of a night: which frames there are, and which of them belong together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u

from astro_calib.night.examine import examine_file
from astro_calib.night.frames import RawFrame, UnusedFile, find_files
from astro_calib.night.names import unique_name
from astro_calib.night.net import tried
from astro_calib.night.raw_file import most_bytes
from astro_calib.night.setups import difference, setups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from astro_calib.night.profile import Profile

__all__ = ["COMMON", "UNITS", "of_one_setup", "survey_night"]

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
SAME_PIXELS = "it has the same pixels as "
UNITS = {"gain": u.electron / u.adu, "read_noise": u.electron, "saturation": u.adu}


def survey_night(
    raw: Any,
    profile: Profile,
    *,
    watch: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    needs_numbers: bool = True,
    look: Callable[[RawFrame, Header, NDArray[Any]], object] | None = None,
) -> tuple[list[RawFrame], list[UnusedFile]]:
    """
    Return the frames of a night that are alike in what `COMMON` names, each once, and the files that cannot be used.

    Without ``needs_numbers`` a frame whose header has no sensible gain or read noise, or another gain, is of use.
    ``look`` is called with each frame that can be used, its header and its pixels.
    """
    paths, unused = find_files(raw)
    frames: list[RawFrame] = []
    first_with: dict[str, Path] = {}
    most = most_bytes(paths, profile)
    for path in watch(paths):
        examine = partial(examine_file, path, profile, most=most, needs_numbers=needs_numbers, look=look)
        frame = tried(path, "", examine)
        if isinstance(frame, UnusedFile):
            unused.append(frame)
            continue
        twin = first_with.setdefault(frame.digest, path)
        if twin is path:
            frames.append(replace(frame, name=unique_name(frame.name, {other.name for other in frames})))
        else:
            # The name alone would say that the file is like itself.
            reason = f"{path} has the same pixels as {twin}" if path.name == twin.name else SAME_PIXELS + twin.name
            unused.append(UnusedFile(path, reason, frame.kind))
    # Where numbers are measured, a gain in a header is a setting like others, see `of_one_setup`.
    frames, deviating = _alike(frames, [role for role in COMMON if needs_numbers or role != "gain"])
    return frames, unused + deviating


def of_one_setup(frames: Sequence[RawFrame]) -> tuple[list[RawFrame], list[UnusedFile]]:
    """
    Return the frames of one setup of the camera, and those of others, with what they have differently.

    The setup is the one with the most science frames, of those that have something to calibrate them with.
    """

    def rank(members: Sequence[RawFrame]) -> tuple[bool, int, int]:
        science = sum(frame.kind == "science" for frame in members)
        return 0 < science < len(members), science, len(members)

    found = setups(frames)
    if len(found) < 2:
        return list(frames), []
    chosen = max(found, key=lambda setup: rank(setup.frames))
    kept = {frame.path for frame in chosen.frames}
    others = [frame for frame in frames if frame.path not in kept]
    advice = "as in the frames that are reduced; reduce it with frames of its own setup"
    return list(chosen.frames), [_left_out(frame, f"its {difference(chosen, frame)}, {advice}") for frame in others]


def _alike(frames: list[RawFrame], roles: Iterable[str]) -> tuple[list[RawFrame], list[UnusedFile]]:
    """Split frames into those that agree with most others in what a night has in common, and those that do not."""
    unused = []
    for attribute in roles:
        called = COMMON[attribute]
        if attribute != "shape":
            # Only now: if a frame has another shape, that is the reason, and not its sections.
            unused += [_left_out(frame, frame.misfit) for frame in frames if frame.misfit]
            frames = [frame for frame in frames if not frame.misfit]
        telling = [frame for frame in frames if getattr(frame, attribute) is not None or attribute in frame.beyond]
        values = Counter(getattr(frame, attribute) for frame in telling)
        if len(values) < 2 and (len(telling) == len(frames) or attribute in UNITS):
            continue
        science = Counter(getattr(frame, attribute) for frame in telling if frame.kind == "science")
        usual = max(values, key=lambda value: (values[value], science[value]), default=None)
        alike = []
        for frame in frames:
            value = getattr(frame, attribute)
            if value == usual or (value is None and attribute in UNITS):
                alike.append(frame)
            elif value is None and attribute in SECTIONS and attribute not in frame.beyond:
                alike.append(_with_section(frame, attribute, called, str(usual)))
            else:
                reason = f"its {called} is {value}, most frames have {usual}; reduce it with frames of its own"
                if value is None and attribute in frame.unusable:
                    reason = frame.unusable[attribute]
                unused.append(_left_out(frame, reason))
        frames = alike
    return frames, unused


def _with_section(frame: RawFrame, role: str, called: str, section: str) -> RawFrame:
    """The frame with a section that its header does not tell, from the others of its shape."""
    reason = frame.unusable.get(role, f"its header names no {called}")
    remark = f"{reason}: {section} is taken, as in the other frames"
    unusable = {other: why for other, why in frame.unusable.items() if other != role}
    sections: dict[str, Any] = {role: section}
    return replace(frame, unusable=unusable, remarks=(*frame.remarks, remark), **sections)


def _left_out(frame: RawFrame, reason: str) -> UnusedFile:
    return UnusedFile(frame.path, reason, frame.kind, lost=frame.kind == "science")
