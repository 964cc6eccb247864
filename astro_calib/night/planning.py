"""Find out which raw frames a night has, what each is good for, and which cannot be used and why."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, quantity_values
from astro_calib.errors import FrameError, ProfileError
from astro_calib.night.decide import MODES
from astro_calib.night.detector import night_detector
from astro_calib.night.examine import ADU
from astro_calib.night.frames import RawFrame, UnusedFile, by_reason
from astro_calib.night.headers import parse_section
from astro_calib.night.names import for_filter, named
from astro_calib.night.plan import Plan
from astro_calib.night.profile import Profile, load_profile
from astro_calib.night.remarks import FileRemark, Remarks
from astro_calib.night.sample import FEWER, PIXELS, Seen
from astro_calib.night.survey import UNITS, of_one_setup, survey_night

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike
    from pathlib import Path

__all__ = ["make_plan", "plan_night", "with_unit"]

#: A night without darks is worth a remark if an exposure is at least this long; seconds.
LONG_EXPOSURE = 60.0
#: What flats are called that headers take for science frames.
FLAT = re.compile(r"\bflat\b|skyflat|domeflat|twilight", re.IGNORECASE)


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
    return make_plan(raw, profile, gain=gain, read_noise=read_noise, saturation=saturation, unit=unit, watch=watch)


def make_plan(
    raw: Any,
    profile: str | PathLike[str] | Profile,
    *,
    detector: str = "header",
    unit: str | u.UnitBase | None = None,
    watch: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    **numbers: u.Quantity | float | None,
) -> Plan:
    """
    Find out what there is to reduce, as `plan_night` does, and with which detector.

    ``detector`` says which of its numbers may be taken: "auto", "header", "measure" or "profile"; ``numbers`` are gain,
    read noise and saturation, where they are given.
    """
    if detector not in MODES:
        msg = f"detector is {described(detector)}; expected one of {', '.join(MODES)}."
        raise ValueError(msg)
    profile = _with_options(load_profile(profile), **numbers)
    profile = with_unit(profile, unit)
    seen = None
    if detector in ("auto", "measure"):
        # What is stated is taken, and the measurement can only contradict it.
        stated = detector == "auto" and None not in (profile.gain, profile.read_noise)
        seen = Seen(FEWER if stated else PIXELS)
    look = None if seen is None else seen.look
    frames, unused = survey_night(raw, profile, watch=watch, needs_numbers=detector == "header", look=look)
    frames, others = of_one_setup(frames)
    unused += others
    _check_complete(frames, unused, profile)
    given = [role for role, value in numbers.items() if value is not None]
    found = night_detector(frames, profile, mode=detector, options=given, seen=seen)
    _check_bad_sections(profile, frames[0].shape)
    return Plan(
        profile=profile,
        frames=tuple(frames),
        unused=tuple(unused),
        detector=found.detector,
        remarks=(*found.remarks, *_remarks(frames, profile)),
        numbers=found.numbers,
        image_excess=found.image_excess,
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


def with_unit(profile: Profile, unit: str | u.UnitBase | None) -> Profile:
    """Return the profile with the unit of the raw frames, where it is given; a ValueError says that it is not adu."""
    return profile if unit is None else replace(profile, unit=_checked_unit(unit))


def _checked_unit(unit: str | u.UnitBase) -> str:
    if str(unit).strip().casefold() not in ADU - {""}:
        msg = f"unit is {str(unit)!r}; raw frames are in adu: give 'adu', or nothing where BUNIT is right."
        raise ValueError(msg)
    return "adu"


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
        only = f"only science frames ({first.name} and so on, {len(frames)} in all)"
        if len(frames) == 1:
            only = f"one science frame ({first.name}) only"
        msg = (
            f"the night has {only}, and nothing to calibrate with; give biases and flats of the same night as "
            f"well.{left_out}"
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
        of_filter = [frame for frame in frames if frame.kind == "science" and frame.filter == filter_name]
        text = f"no flat for {for_filter(filter_name)}: reduced without one: "
        text += ", ".join(frame.path.name for frame in of_filter)
        called = [frame for frame in of_filter if FLAT.search(frame.object)]
        if called:
            text += (
                f"; {named([frame.path.name for frame in called])} may be flats, as the object {called[0].object!r} "
                f"says: object = {called[0].object!r} under [flat] in a profile makes them some"
            )
        remarks.append(text)
    return remarks
