"""Find out which raw frames a night has, what each is good for, and which cannot be used and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import quantity_values
from astro_calib.errors import FrameError, ProfileError
from astro_calib.night.examine import ADU, examine_file
from astro_calib.night.frames import RawFrame, UnusedFile, by_reason, find_files
from astro_calib.night.headers import parse_section
from astro_calib.night.names import for_filter, unique_name
from astro_calib.night.net import tried
from astro_calib.night.plan import Plan
from astro_calib.night.profile import Profile, load_profile
from astro_calib.night.raw_file import most_bytes
from astro_calib.night.remarks import FileRemark, Remarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike
    from pathlib import Path

    from astro_calib.detector.detector import Detector

__all__ = ["plan_night"]

#: A night without darks is worth a remark if an exposure is at least this long; seconds.
LONG_EXPOSURE = 60.0
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


def plan_night(
    raw: Any,
    profile: str | PathLike[str] | Profile = "generic",
    *,
    gain: u.Quantity | float | None = None,
    read_noise: u.Quantity | float | None = None,
    saturation: u.Quantity | float | None = None,
    unit: str | u.UnitBase | None = None,
    watch: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> Plan:
    """
    Find out what there is to reduce. Every file is read to its end once; nothing is written.

    Parameters
    ----------
    raw : path, ccdproc.ImageFileCollection, or iterable of paths
        Directories, files, or both.
    profile : str, path or Profile
        See `~astro_calib.night.load_profile`.
    gain, read_noise, saturation : Quantity or float, optional
        In electron/adu, electron and adu; go before what the profile and the headers say.
    unit : str or unit, optional
        ``"adu"``: the numbers in the raw frames are in adu, whatever their BUNIT says.
    watch : callable
        Given the list of files, returns an iterable of them; for a progress bar.

    Returns
    -------
    Plan
        What there is to reduce, and what is left out.

    Raises
    ------
    FrameError
        If there is nothing that can be reduced: no file or no science frame can be used, there are science
        frames and nothing else, or there is neither a bias nor an overscan; or if the gain or the read noise
        is not known. The message says what was found and what to do.
    FileNotFoundError
        If a path does not exist.
    ProfileError
        If the profile is not valid.
    astropy.units.UnitConversionError, ValueError
        If a gain, read noise or saturation has the wrong unit or is out of range, or ``unit`` is not adu.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astro_calib.night import plan_night
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for number, kind in enumerate(["BIAS", "BIAS", "LIGHT"]):
    ...         header = fits.Header([("IMAGETYP", kind), ("EXPTIME", 0.0 if kind == "BIAS" else 30.0)])
    ...         data = np.full((8, 10), 1000 + number, dtype=np.uint16)
    ...         fits.writeto(f"{directory}/frame{number}.fits", data, header)
    ...     plan = plan_night(directory, gain=1.5, read_noise=8.0)
    >>> len(plan.biases), plan.science[0].exposure_time
    (2, 30.0)
    """
    profile = _with_options(load_profile(profile), gain=gain, read_noise=read_noise, saturation=saturation)
    if unit is not None:
        profile = replace(profile, unit=_checked_unit(unit))
    paths, unused = find_files(raw)
    frames: list[RawFrame] = []
    first_with: dict[str, Path] = {}
    most = most_bytes(paths, profile)
    for path in watch(paths):
        frame = tried(path, "", partial(examine_file, path, profile, most=most))
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
    frames, deviating = _alike(frames)
    unused += deviating
    _check_complete(frames, unused, profile)
    detector, remarks = _detector(frames, profile)
    _check_bad_sections(profile, frames[0].shape)
    return Plan(
        profile=profile,
        frames=tuple(frames),
        unused=tuple(unused),
        detector=detector,
        remarks=tuple(remarks + _remarks(frames, profile)),
    )


def _with_options(profile: Profile, **options: u.Quantity | float | None) -> Profile:
    """The profile with those of its numbers replaced that the caller gives."""
    numbers: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        quantity = u.Quantity(quantity_values(name, value, UNITS[name]), UNITS[name])
        zero_allowed = name == "read_noise"
        if not quantity.isscalar or not (np.inf > quantity.value > 0 or (zero_allowed and quantity.value == 0)):
            msg = f"{name} is {value}; it must be a number{', 0 or' if zero_allowed else ''} above 0."
            raise ValueError(msg)
        numbers[name] = float(quantity.value)
        if name == "gain":
            numbers["gain_uncertainty"] = None
    return replace(profile, **numbers)


def _checked_unit(unit: str | u.UnitBase) -> str:
    if str(unit).strip().casefold() not in ADU - {""}:
        msg = f"unit is {str(unit)!r}; raw frames are in adu: give 'adu', or nothing where BUNIT is right."
        raise ValueError(msg)
    return "adu"


def _alike(frames: list[RawFrame]) -> tuple[list[RawFrame], list[UnusedFile]]:
    """Split frames into those that agree with most others in what a night has in common, and those that do not."""
    unused = []
    for attribute, called in COMMON.items():
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


def _check_complete(frames: list[RawFrame], unused: list[UnusedFile], profile: Profile) -> None:
    """Raise if there is too little to work with."""
    listed = by_reason(unused)
    reasons = _listed(listed)
    if not frames:
        msg = f"none of the {len(unused)} files can be used with profile {profile.name}"
        msg += f" (a profile of your own can say what their headers mean):{reasons}"
        raise FrameError(msg)
    left_out = f" Not used are:{reasons}" if unused else ""
    kinds = {frame.kind for frame in frames}
    first = frames[0].path
    if "science" not in kinds and any(file.lost and file.kind for file in unused):
        msg = f"none of the science frames can be used:{reasons}"
        raise FrameError(msg)
    if kinds == {"science"}:
        msg = (
            f"there are only science frames ({first.name} and so on, {len(frames)} in all) "
            f"and nothing to calibrate them with; give biases and flats of the same night as well.{left_out}"
        )
        raise FrameError(msg)
    if "bias" not in kinds and frames[0].overscan is None:
        msg = (
            f"there are neither biases nor an overscan among the {len(frames)} frames ({first.name} and "
            "so on), so that the level of zero light is unknown; give biases, or detector.overscan in a "
            f"profile, such as '[1025:1056, 1:1024]'.{_listed(_set_aside(frames, 'overscan'))}{left_out}"
        )
        raise FrameError(msg)


def _listed(lines: Sequence[str]) -> str:
    """A line for each reason below a message; the rest of many is counted."""
    text = "".join(f"\n  {line}" for line in lines[:20])
    return text + (f"\n  and {len(lines) - 20} more reasons" if len(lines) > 20 else "")


def _set_aside(frames: Iterable[RawFrame], role: str, meaning: str = "") -> tuple[str, ...]:
    """Return a line for each reason why sections of headers cannot be used."""
    remarks = Remarks()
    faulty = [frame for frame in frames if role in frame.unusable]
    remarks.add(*(FileRemark(frame.path.name, frame.unusable[role] + meaning) for frame in faulty))
    return remarks.lines()


def _detector(frames: list[RawFrame], profile: Profile) -> tuple[Detector, list[str]]:
    """The detector of the night, and what has to be said about where its numbers are from."""
    from astro_calib.detector.detector import Detector

    values = {}
    remarks, unknown = [], []
    for role, unit in UNITS.items():
        known = [value for frame in frames if (value := getattr(frame, role)) is not None]
        if known:
            values[role] = known[0] * unit
        elif role != "saturation":
            option = "--" + role.replace("_", "-")
            keywords = ", ".join(profile.keywords[role]) or "the keywords for it (the profile names none)"
            unknown.append(
                f"the {COMMON[role]} of {frames[0].path.name} is not known: its header has none of {keywords}. "
                f"Give {option}, or detector.{role} in a profile."
            )
        elif all(frame.unsigned_16_bit for frame in frames):
            values[role] = 65535 * unit
            remarks.append("the saturation level is not known; 65535 adu is taken (--saturation)")
        else:
            remarks.append("the saturation level is not known; no pixel counts as saturated (--saturation)")
    if unknown:
        raise FrameError("\n".join(unknown))
    if profile.gain_uncertainty is not None:
        values["gain_uncertainty"] = profile.gain_uncertainty * UNITS["gain"]
    return Detector(**values, linearity=profile.linearity, name=profile.name), remarks


def _check_bad_sections(profile: Profile, shape: tuple[int, int]) -> None:
    for section in profile.bad:
        for part, length in zip(parse_section(section), shape, strict=True):
            if part.stop is not None and part.stop > length:
                found = f"frames of {shape[1]} columns and {shape[0]} rows"
                msg = f"{profile.source}: detector.bad: {section!r} does not fit in {found}."
                raise ProfileError(msg)


def _remarks(frames: list[RawFrame], profile: Profile) -> list[str]:
    """Say which parts of headers cannot be used, what is missing, and what that means for the result."""
    of_headers = Remarks()
    of_headers.add(*(FileRemark(frame.path.name, remark) for frame in frames for remark in frame.remarks))
    remarks = [
        *of_headers.lines(),
        *_set_aside(frames, "overscan", ": reduced without overscan"),
        *_set_aside(frames, "trim", ": the whole frame is kept"),
    ]
    kinds = Counter(frame.kind for frame in frames)
    if not kinds["science"]:
        remarks.append("there are no science frames: only masters are made")
    if not kinds["bias"]:
        remarks.append("there are no biases: their pattern stays in the frames")
    longest = max(frame.exposure_time for frame in frames)
    if not kinds["dark"] and profile.darks_expected and longest >= LONG_EXPOSURE:
        remarks.append(f"there are no darks: the dark current of up to {longest:g} s stays in the frames")
    if frames[0].overscan is not None and frames[0].trim is None:
        remarks.append("no data section is known: the overscan stays in the frames (detector.trim in a profile)")
    flats = {frame.filter for frame in frames if frame.kind == "flat"}
    for filter_name in sorted({frame.filter for frame in frames if frame.kind == "science"} - flats):
        names = ", ".join(f.path.name for f in frames if f.kind == "science" and f.filter == filter_name)
        remarks.append(f"no flat for {for_filter(filter_name)}: reduced without one: {names}")
    return remarks
