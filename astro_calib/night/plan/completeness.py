"""Whether the frames of a setup are enough to reduce something, and what has to be said of what is missing."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from astro_calib.errors import ProfileError
from astro_calib.night.common.frames import RawFrame, UnusedFile, by_reason
from astro_calib.night.common.names import PLURALS, called, for_filter, named
from astro_calib.night.common.remarks import FileRemark, Remarks
from astro_calib.night.headers.values import parse_section
from astro_calib.night.library.loan import NOTHING, Loan
from astro_calib.night.matching.matching import dark_choice, darks_of, flat_choice, flat_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from astro_calib.night.profiles.profile import Profile

__all__ = ["check_bad_sections", "remarks_on", "why_incomplete"]

#: A night without darks is worth a remark if an exposure is at least this long; seconds.
LONG_EXPOSURE = 60.0
#: What flats are called that headers take for science frames.
FLAT = re.compile(r"\bflat\b|skyflat|domeflat|twilight", re.IGNORECASE)


def why_incomplete(
    frames: Sequence[RawFrame], unused: Sequence[UnusedFile], profile: Profile, loan: Loan = NOTHING
) -> str:
    """
    Return why some frames of one setup are too little to work with, and what to do; empty if they are enough.

    ``loan`` are masters of other nights that stand in for what is missing.
    """
    listed = by_reason(unused)
    reasons = _listed(listed)
    if not frames:
        msg = f"none of the {len(unused)} files can be used with profile {profile.name}"
        return f"{msg} (a profile of your own can say what their headers mean):{reasons}"
    left_out = _listed(loan.remarks) + (f" Not used are:{reasons}" if unused else "")
    kinds = {frame.kind for frame in frames} | loan.kinds
    first = frames[0].path
    if "science" not in kinds and any(file.lost and file.kind for file in unused):
        return f"none of the science frames can be used:{_listed(by_reason(file for file in unused if file.lost))}"
    told = frames[0].overscan is not None or profile.pedestal is not None
    if kinds == {"science"} and not told:
        only = f"only science frames ({first.name} and so on, {len(frames)} in all)"
        if len(frames) == 1:
            only = f"one science frame ({first.name}) only"
        return (
            f"the night has {only}, and nothing to calibrate with; give biases and flats of the same night as "
            f"well, or masters of other nights with --masters, or the level of zero light (--pedestal).{left_out}"
        )
    if "bias" not in kinds and not told:
        exposures = {frame.exposure_time for frame in frames if frame.kind == "science"}
        if any(loan.dark_for(seconds, with_bias=True) for seconds in exposures):
            return ""
        if any(frame.kind == "dark" for frame in frames):
            return _no_dark_serves(frames, profile)
        return (
            f"there are neither biases nor an overscan among the {len(frames)} frames ({first.name} and "
            "so on), so that the level of zero light is unknown; give biases, or detector.overscan in a "
            f"profile, such as '[1025:1056, 1:1024]'; or darks of the exposure of the science frames, or "
            f"--pedestal.{_listed(_set_aside(frames, 'overscan'))}{left_out}"
        )
    return ""


def _no_dark_serves(frames: Sequence[RawFrame], profile: Profile) -> str:
    """Why darks cannot take the place of biases; empty if they can for a science frame, or there is none."""
    darks = darks_of(frames)
    exposures = sorted({frame.exposure_time for frame in frames if frame.kind == "science"})
    choices = [dark_choice(seconds, darks, profile.matching, with_bias=True) for seconds in exposures]
    if not choices or any(choice.name for choice in choices):
        return ""
    wanted = ", ".join(f"{seconds:g}" for seconds in exposures)
    return (
        f"there are neither biases nor an overscan, and {choices[0].why}; give biases, or darks of the exposure of the "
        f"science frames ({wanted} s), which hold their bias"
    )


def _listed(lines: Sequence[str]) -> str:
    """A line for each reason below a message; the rest of many is counted."""
    text = "".join(f"\n  {line}" for line in lines[:20])
    return text + (f"\n  and {len(lines) - 20} more reasons" if len(lines) > 20 else "")


def _set_aside(frames: Sequence[RawFrame], role: str, meaning: str = "") -> tuple[str, ...]:
    """Return a line for each reason why sections of headers cannot be used."""
    remarks = Remarks()
    faulty = [frame for frame in frames if role in frame.unusable]
    names = called(frame.path for frame in frames)
    remarks.add(*(FileRemark(names[frame.path], frame.unusable[role] + meaning) for frame in faulty))
    return remarks.lines()


def check_bad_sections(profile: Profile, shape: tuple[int, int]) -> None:
    """Raise a ProfileError if bad pixels of the profile are not in frames of this shape."""
    for section in profile.bad:
        for part, length in zip(parse_section(section), shape, strict=True):
            if part.stop is not None and part.stop > length:
                found = f"frames of {shape[1]} columns and {shape[0]} rows"
                msg = f"{profile.source}: detector.bad: {section!r} does not fit in {found}."
                raise ProfileError(msg)


def _without_bias(frames: Sequence[RawFrame], profile: Profile, there_are: str) -> str:
    """What it means that there are no biases."""
    if frames[0].overscan is not None:
        return f"{there_are}: their pattern stays in the frames"
    if profile.pedestal is not None:
        return f"{there_are}: the pedestal of {profile.pedestal:g} adu is subtracted, which counts as exact"
    return f"{there_are}: darks of the same exposure are subtracted with the bias that they hold"


def _on_flats_without_darks(frames: Sequence[RawFrame], profile: Profile) -> list[str]:
    """Say which flats lose the level of zero light only, for no dark that holds the bias is of their exposure."""
    darks = darks_of(frames)
    if frames[0].overscan is not None or profile.pedestal is not None or not darks:
        return []
    exposures = sorted({frame.exposure_time for frame in frames if frame.kind == "flat"})
    without = [
        seconds for seconds in exposures if not dark_choice(seconds, darks, profile.matching, with_bias=True).name
    ]
    if not without:
        return []
    times = ", ".join(f"{seconds:g}" for seconds in without[:6]) + (", ..." if len(without) > 6 else "")
    what = "the level of zero light is subtracted from them, and the pattern of the bias stays"
    return [f"flats of {times} s have no dark of their exposure: {what}; darks of that exposure would take it off"]


def remarks_on(
    frames: Sequence[RawFrame], profile: Profile, loan: Loan = NOTHING, useless: Sequence[UnusedFile] = ()
) -> list[str]:
    """
    Return which parts of headers cannot be used, what is borrowed or missing, and what that means for the result.

    ``useless`` are files that cannot be used, of this setup or of none.
    """
    of_headers = Remarks()
    names = called(frame.path for frame in frames)
    of_headers.add(*(FileRemark(names[frame.path], remark) for frame in frames for remark in frame.remarks))
    remarks = [
        *of_headers.lines(),
        *_set_aside(frames, "overscan", ": reduced without overscan"),
        *_set_aside(frames, "trim", ": the whole frame is kept"),
        *loan.remarks,
    ]
    kinds = Counter(frame.kind for frame in frames)
    kinds.update(loan.kinds)
    if not kinds["science"]:
        remarks.append("there are no science frames: only masters are made")
    if not kinds["bias"]:
        remarks.append(_without_bias(frames, profile, _none_of_use("bias", useless)))
        remarks += _on_flats_without_darks(frames, profile)
    if profile.pedestal is not None and (kinds["bias"] or frames[0].overscan is not None):
        teller = "the overscan tells" if frames[0].overscan is not None else "biases tell"
        remarks.append(f"the pedestal of {profile.pedestal:g} adu is not used: {teller} the level of zero light")
    if set(kinds) == {"science"}:
        remarks.append("there is nothing to calibrate with: only the level of zero light is subtracted")
    longest = max(frame.exposure_time for frame in frames)
    if not kinds["dark"] and profile.darks_expected and longest >= LONG_EXPOSURE:
        remarks.append(f"{_none_of_use('dark', useless)}: the dark current of up to {longest:g} s stays in the frames")
    if frames[0].overscan is not None and frames[0].trim is None:
        remarks.append("no data section is known: the overscan stays in the frames (detector.trim in a profile)")
    remarks += _on_angles(frames, profile)
    flats = {frame.filter for frame in frames if frame.kind == "flat"}
    flats |= {one.master.filter for one in loan.of_kind("flat")}
    wanted = {frame.filter for frame in frames if frame.kind == "science"}
    for filter_name in sorted(wanted - flats):
        of_filter = [frame for frame in frames if frame.kind == "science" and frame.filter == filter_name]
        of_use = " that can be used" if any(file.kind == "flat" for file in useless) else ""
        text = f"no flat for {for_filter(filter_name)}{of_use}: reduced without one: "
        text += ", ".join(names[frame.path] for frame in of_filter)
        alike = [frame for frame in of_filter if FLAT.search(frame.object)]
        if alike:
            text += (
                f"; {named([names[frame.path] for frame in alike])} may be flats, as the object {alike[0].object!r} "
                f"says: object = {alike[0].object!r} under [flat] in a profile makes them some"
            )
        remarks.append(text)
    return remarks + (_on_idle_flats(frames, wanted) if wanted - flats else [])


def _on_idle_flats(frames: Sequence[RawFrame], wanted: Collection[str]) -> list[str]:
    """Say which flats no science frame has a use for, where some lack one: a filter may have two names."""
    idle = Counter(frame.filter for frame in frames if frame.kind == "flat" and frame.filter not in wanted)
    if not idle:
        return []
    found = ", ".join(
        f"{number} flat{'s' * (number > 1)} of {for_filter(name) if name else 'no filter name'}"
        for name, number in sorted(idle.items())
    )
    advice = "if it is the same filter by another name, give it one name in all headers"
    return [f"{found}: no science frame has that filter; {advice}"]


def _none_of_use(kind: str, useless: Iterable[UnusedFile]) -> str:
    """What is said where there are no biases or darks, or none that can be used."""
    files = [file for file in useless if file.kind == kind]
    if not files:
        return f"there are no {PLURALS[kind]}"
    reasons = "; ".join(dict.fromkeys(file.reason for file in files))
    what = f"the only {kind} cannot" if len(files) == 1 else f"none of the {len(files)} {PLURALS[kind]} can"
    return f"{what} be used ({reasons})"


def _on_angles(frames: Sequence[RawFrame], profile: Profile) -> list[str]:
    """Say which science frames have flats of their filter, but none of the rotator's angle."""
    groups = flat_groups(frames, profile.matching)
    without: dict[str, list[str]] = {}
    for frame in frames:
        if frame.kind == "science" and any(flats[0].filter == frame.filter for flats in groups.values()):
            choice = flat_choice(frame, groups, profile.matching)
            if not choice.name:
                without.setdefault(f"{choice.why}: reduced without a flat; give {choice.mend}", []).append(
                    frame.path.name
                )
    return [f"{named(names)}: {reason}" for reason, names in without.items()]
