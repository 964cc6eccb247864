"""The frames of a night for an audit of their noise: raw ones, and those that ``reduce`` wrote."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.characterize.audit.frames import calibrated_in
from astro_calib.errors import FrameError
from astro_calib.night.common.frames import by_amplifier
from astro_calib.night.detector.detector import UnknownNumberError
from astro_calib.night.files.raw_pixels import raw_pixels
from astro_calib.night.planning import plan_night

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from astropy.nddata import CCDData

    from astro_calib.detector.detector import Detector
    from astro_calib.night.common.frames import RawFrame

__all__ = ["ToAudit", "frames_to_audit"]


class ToAudit(NamedTuple):
    """
    What `~astro_calib.characterize.audit_noise` takes.

    Attributes
    ----------
    frames : dict
        Frames by kind.
    detector : Detector or None
        What is stated; None without raw frames.
    overscan, trim : str or None
        Sections of the raw frames.
    left_out : list of str
        What was not used, and why.
    """

    frames: dict[str, Any]
    detector: Detector | None
    overscan: str | None
    trim: str | None
    left_out: list[str]


def frames_to_audit(
    paths: Sequence[Path],
    profile: str,
    *,
    unit: str | None = None,
    gain: float | None = None,
    read_noise: float | None = None,
    filter_name: str | None = None,
) -> ToAudit:
    """Sort raw frames by kind; of several filters the flats of one are used."""
    reduced = [path for path in paths if (path / "calibrated").is_dir()]
    if len(reduced) > 1:
        msg = f"{reduced[0]} and {reduced[1]} were both written by reduce; audit them one by one."
        raise FrameError(msg)
    calibrated = calibrated_in(reduced[0]) if reduced else {}
    raw = [path for path in paths if path not in reduced]
    if not raw:
        return ToAudit(calibrated, None, None, None, [])
    try:
        night = plan_night(raw, profile, unit=unit, gain=gain, read_noise=read_noise)
    except UnknownNumberError as error:
        msg = f"{error}\nOr audit the directory that astro-calib reduce wrote: its frames hold what was measured."
        raise FrameError(msg) from error
    # Frames of several setups differ by more than their noise.
    plan, *others = night.setups
    flats = plan.flats
    if filter_name is not None and filter_name not in flats:
        msg = f"there are no flats through filter {filter_name!r}; there are some through {', '.join(flats) or 'none'}."
        raise FrameError(msg)
    chosen = filter_name if filter_name is not None else max(flats, key=lambda name: len(flats[name]), default="")
    kinds = {"bias": plan.biases, "dark": plan.of_kind("dark"), "flat": flats.get(chosen, ())}
    left_out = [str(file) for file in night.unused]
    left_out += [
        f"{len(other.frames)} frames of another setup ({other.title}); audit them by themselves" for other in others
    ]
    left_out += [f"{len(files)} flats through {name or 'no filter'}" for name, files in flats.items() if name != chosen]
    frames: dict[str, Any] = {}
    for kind, files in kinds.items():
        if len(files) == 1:
            left_out.append(f"{files[0].path.name}: one {kind} alone tells nothing")
        elif files:
            frames[kind] = [_raw_frame(file) for file in files]
    if plan.science and not reduced:
        left_out.append(f"{len(plan.science)} raw science frames; give the directory that reduce wrote of them, too")
    return ToAudit(
        frames | calibrated,
        _where_read(plan.detector, plan.frames[0]),
        # Each of several amplifiers has its own in the detector.
        None if plan.frames[0].amplifiers else plan.overscan,
        plan.trim,
        left_out,
    )


def _where_read(detector: Detector | None, frame: RawFrame) -> Detector | None:
    """The detector with the pixels that its amplifiers have read, which in a window are not all of theirs."""
    if detector is None or not frame.amplifiers:
        return detector
    pairs = zip(detector.amplifiers, by_amplifier(frame), strict=True)
    return replace(detector, amplifiers=tuple(replace(own, data_section=one.trim) for own, one in pairs))


def _raw_frame(frame: RawFrame) -> CCDData:
    """A raw frame in adu, with its exposure time where an audit looks for it."""
    from astropy.nddata import CCDData

    header, pixels = raw_pixels(frame)
    header["EXPTIME"] = frame.exposure_time
    return CCDData(pixels, unit="adu", meta=header)
