"""The frames that an audit is given: files, raw frames by kind, or a directory that ``reduce`` wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.arguments import described
from astro_calib.characterize.audit.raw import WHAT_FOR, Raw
from astro_calib.characterize.frames import different_frames, section_of, step_of
from astro_calib.errors import FrameError, ShapeMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.amplifier import Amplifier
    from astro_calib.frame.frame import CCDFrame

__all__ = ["Given", "calibrated_in", "frames_of", "raw_of", "read_frame"]

RAW_KINDS = ("bias", "dark", "flat")
KINDS = (*RAW_KINDS, "science", "master dark")


class Given(NamedTuple):
    """Raw arrays by kind (darks by exposure), calibrated frames, the master dark, and the pixels that may be used."""

    raw: dict[Any, list[NDArray[Any]]]
    science: list[Any]
    dark: CCDFrame | None
    good: NDArray[np.bool_] | None
    remarks: list[str]


def frames_of(frames: Any, mask: NDArray[np.bool_] | None) -> Given:
    """Read files and sort the frames by what they are for."""
    if isinstance(frames, (str, os.PathLike)):
        frames = calibrated_in(Path(frames))
    if not isinstance(frames, Mapping):
        msg = (
            f"frames is {described(frames)}; expected a dictionary such as "
            '{"bias": [...], "flat": [...], "science": [...]}, or a directory that reduce wrote.'
        )
        raise TypeError(msg)
    unknown = [kind for kind in frames if kind not in KINDS]
    if unknown:
        msg = f"there is no kind of frames {unknown[0]!r}; expected {', '.join(map(repr, KINDS))}."
        raise ValueError(msg)
    remarks: list[str] = []
    raw: dict[Any, list[NDArray[Any]]] = {}
    masks: list[NDArray[np.bool_] | None] = [mask]
    for kind in RAW_KINDS:
        given = frames.get(kind, ())
        if len(given):
            for key, group in _groups(kind, [read_frame(one, raw=True) for one in given], remarks):
                arrays, found = different_frames(group, kind, remarks, WHAT_FOR)
                raw[key] = arrays
                masks += found
    shapes = {array.shape for arrays in raw.values() for array in arrays}
    if len(shapes) > 1:
        msg = f"the raw frames have the shapes {sorted(shapes)}; give frames of one shape and binning."
        raise ShapeMismatchError(msg)
    good = None
    if shapes:
        good = np.ones(shapes.pop(), bool)
        for one in masks:
            if one is not None:
                good &= ~np.broadcast_to(one, good.shape)
    science = list(frames.get("science", ()))
    dark = frames.get("master dark")
    if raw and "bias" not in raw:
        msg = "an audit of raw frames needs two biases or more, for the level and the read noise; given: none."
        raise FrameError(msg)
    if not raw and not science:
        msg = "an audit needs two biases or more, or two calibrated science frames; given: none."
        raise FrameError(msg)
    return Given(raw, science, None if dark is None else read_frame(dark), good, remarks)


def read_frame(frame: Any, *, raw: bool = False) -> Any:
    """The frame itself, or that of a file."""
    if not isinstance(frame, (str, os.PathLike)):
        return frame
    from astro_calib.frame.frame import CCDFrame

    return CCDFrame.read(frame, unit="adu") if raw else CCDFrame.read(frame)


def _groups(kind: str, frames: list[Any], remarks: list[str]) -> list[tuple[Any, list[Any]]]:
    """All frames of a kind; darks by exposure, where there are two or more of one."""
    if kind != "dark":
        return [(kind, frames)]
    groups: dict[float, list[Any]] = {}
    for number, frame in enumerate(frames, start=1):
        exposure = (getattr(frame, "meta", None) or {}).get("EXPTIME")
        if not isinstance(exposure, (int, float)) or not exposure > 0:
            msg = f"dark {number} has no EXPTIME in its header; an audit needs the exposure times of darks."
            raise FrameError(msg)
        groups.setdefault(float(exposure), []).append(frame)
    single = [exposure for exposure, group in groups.items() if len(group) < 2]
    if single:
        remarks.append(f"there is one dark only of {', '.join(f'{time:g} s' for time in single)}, left out")
    return [(("dark", exposure), group) for exposure, group in sorted(groups.items()) if len(group) > 1]


def calibrated_in(directory: Path) -> dict[str, Any]:
    """The calibrated frames of a directory that ``reduce`` wrote, and their dark, if there is one only."""
    calibrated = sorted((directory / "calibrated").glob("*.fits"))
    if not calibrated:
        msg = f"{directory} holds no calibrated frames; give a directory that astro-calib reduce wrote."
        raise FrameError(msg)
    found: dict[str, Any] = {"science": calibrated}
    darks = sorted((directory / "masters").glob("master-dark*.fits"))
    if len(darks) == 1:
        found["master dark"] = darks[0]
    return found


def raw_of(given: Given, amplifier: Amplifier, overscan: str | None, trim: str | None) -> Raw:
    """The raw frames of one amplifier: its pixels, less nothing; and the levels of the overscan."""
    assert given.good is not None
    shape = given.good.shape
    part = section_of(amplifier.data_section or trim, shape, WHAT_FOR)
    own = amplifier.overscan_section or overscan
    strip = None if own is None else section_of_overscan(own, shape)

    def cut(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        return [_finite(array[part], good) for array in arrays]

    good = given.good[part]
    levels = (
        {}
        if strip is None
        else {key: np.array([float(np.mean(one[strip])) for one in arrays]) for key, arrays in given.raw.items()}
    )
    biases, flats = cut(given.raw["bias"]), cut(given.raw.get("flat", []))
    columns = 0 if strip is None else len(range(*strip[1].indices(shape[1])))
    return Raw(
        biases=biases,
        flats=flats,
        darks={key[1]: cut(arrays) for key, arrays in given.raw.items() if isinstance(key, tuple)},
        levels=levels,
        overscan=columns,
        good=good,
        gain=float(amplifier.gain.value),
        read_noise=float(amplifier.read_noise.value),
        step=step_of([*flats, *biases][:1], biases),
        correlation=amplifier.correlation,
    )


def section_of_overscan(section: str, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of the overscan, which may be narrow."""
    from astro_calib.detector.sections import slices_of_section

    try:
        rows, columns = slices_of_section(section)
    except ValueError as error:
        msg = f"overscan is {described(section)}; expected a FITS section such as '[1025:1056, 1:1024]'."
        raise FrameError(msg) from error
    if (rows.stop or 0) > shape[0] or (columns.stop or 0) > shape[1]:
        msg = f"overscan {section} lies outside frames of {shape[1]} columns and {shape[0]} rows."
        raise FrameError(msg)
    return rows, columns


def _finite(frame: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[Any]:
    """The frame, without numbers that are none where it is not good."""
    return np.where(good, frame, 0) if frame.dtype.kind == "f" else frame
