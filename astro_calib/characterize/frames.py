"""The frames that a photon transfer is given: their pixels, masks and headers, and which of them serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, frame_from
from astro_calib.characterize.read_noise import thinned
from astro_calib.characterize.result import NotRaw
from astro_calib.detector.amplifier import CORNERS
from astro_calib.detector.sections import slices_of_section
from astro_calib.errors import FrameError
from astro_calib.noise.digital_step import digital_step, neighbours

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from astro_calib.characterize.read_noise import Biases

__all__ = [
    "different_frames",
    "middle_of",
    "remark_on_temperatures",
    "section_of",
    "step_of",
    "top_of_range",
    "usable_flats",
]

#: Levels above this part of the range are left out.
HIGHEST = 0.9
#: Cards of headers that say of how many frames one was made, and for how long it was exposed.
STACKED = ("NCOMBINE", "NSTACK", "STACKCNT", "NCOMB", "NIMAGES", "NFRAMES")
EXPOSURES = ("EXPTIME", "EXPOSURE")
#: Cards that tell the chip's temperature, the measured one first; frames of one temperature differ by less, C.
TEMPERATURES = ("CCD-TEMP", "CCDTEMP", "DET-TEMP", "SET-TEMP")
WARMER = 3.0
#: Shorter rows and columns hold too few distances of pixels.
SMALLEST_SIDE = 16
#: Biases may have been exposed for so long, s.
SHORT = 0.1


def different_frames(
    frames: Sequence[Any], kind: str, remarks: list[str], what_for: str = "photon transfer"
) -> tuple[list[NDArray[Any]], list[NDArray[np.bool_] | None]]:
    """The pixels and masks of the frames; without copies, which say nothing new."""
    kinds = "biases" if kind == "bias" else f"{kind}s"
    need = f"{what_for} needs two {kinds} or more that were taken one after the other"
    if isinstance(frames, np.ndarray) and frames.ndim == 3:
        frames = list(frames)
    if not isinstance(frames, (list, tuple)):
        msg = f"{kinds} is {described(frames)}; expected a list of frames: {need}."
        raise TypeError(msg)
    arrays: list[NDArray[Any]] = []
    masks: list[NDArray[np.bool_] | None] = []
    copies = 0
    for number, frame in enumerate(frames, start=1):
        unit = getattr(frame, "unit", None)
        if unit is not None and unit != u.adu:
            msg = f"{kind} {number} is in {unit}; {what_for} needs raw frames, in adu."
            raise FrameError(msg)
        pixels = getattr(frame, "pixels", None)
        pixels = np.asarray(pixels if pixels is not None else getattr(frame, "data", frame))
        if pixels.dtype.kind not in "uif" or pixels.ndim != 2:
            msg = f"{kind} {number} is {described(frame)}; expected an image of numbers. {frame_from(frame)}"
            raise TypeError(msg)
        if any(_is_copy(pixels, other) for other in arrays):
            copies += 1
            continue
        if arrays and pixels.shape != arrays[0].shape:
            msg = (
                f"{kind} {number} has shape {pixels.shape}, the first one {arrays[0].shape}; give frames of one shape "
                "and binning."
            )
            raise FrameError(msg)
        arrays.append(pixels)
        masks.append(_mask_of(frame, pixels))
        remarks += _remarks_on_header(getattr(frame, "meta", None) or {}, kind, number)
    if len(arrays) < 2:
        what = f"{copies + 1} times the same {kind}" if copies else "one" if arrays else "none"
        msg = f"{need}; given: {what}."
        raise FrameError(msg)
    if copies:
        remarks.append(f"{copies} of the {kinds} {'are copies' if copies > 1 else 'is a copy'} of another, left out")
    return arrays, masks


def _is_copy(pixels: NDArray[Any], other: NDArray[Any]) -> bool:
    # A few rows nearly always tell.
    return np.array_equal(pixels[::64], other[::64]) and np.array_equal(pixels, other)


def _mask_of(frame: Any, pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    mask = getattr(frame, "mask", None)
    mask = None if mask is None or mask is np.ma.nomask else np.asarray(mask, bool)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        mask = ~np.isfinite(pixels) | (False if mask is None else mask)
    return mask


def _remarks_on_header(header: Mapping[str, Any], kind: str, number: int) -> list[str]:
    """What a header says against the use of a frame."""

    def number_of(card: str) -> float:
        try:
            return float(header.get(card, 0))
        except (TypeError, ValueError):
            return 0.0

    found: list[str] = []
    for card in STACKED:
        if number_of(card) > 1:
            found.append(
                NotRaw(
                    f"{kind} {number} is a stack ({card} = {header[card]}), whose noise is not that of one frame; "
                    "give raw ones"
                )
            )
            break
    exposure = max(number_of(card) for card in EXPOSURES)
    if kind == "bias" and exposure > SHORT:
        found.append(f"bias {number} was exposed for {exposure:g} s: dark current adds to what is read noise here")
    return found


def remark_on_temperatures(frames: Sequence[Any]) -> list[str]:
    """What the headers say against frames of one temperature."""
    found = []
    for frame in frames:
        header = getattr(frame, "meta", None) or {}
        for card in TEMPERATURES:
            try:
                found.append(float(header[card]))
            except (KeyError, TypeError, ValueError):
                continue
            break
    if not found or max(found) - min(found) <= WARMER:
        return []
    return [
        f"the frames were taken at temperatures from {min(found):g} to {max(found):g} C; give biases and flats of one"
    ]


def section_of(name: str | None, shape: tuple[int, ...], what_for: str = "photon transfer") -> tuple[slice, slice]:
    """
    The rows and columns of an amplifier.

    Raises
    ------
    FrameError
        If it is no section, or not one of frames of this shape, or too small.
    """
    if name is None:
        rows, columns = slice(None), slice(None)
    else:
        try:
            rows, columns = slices_of_section(name)
        except ValueError as error:
            msg = f"a section is {described(name)}; expected a FITS section such as '[1:512, 1:1024]'."
            raise FrameError(msg) from error
    for part, length in zip((rows, columns), shape, strict=True):
        if part.stop is not None and part.stop > length:
            msg = f"section {name} lies outside frames of {shape[1]} columns and {shape[0]} rows."
            raise FrameError(msg)
        if len(range(*part.indices(length))) < SMALLEST_SIDE:
            msg = f"{name or 'a frame'} is smaller than {SMALLEST_SIDE} rows and columns, too small for {what_for}."
            raise FrameError(msg)
    return rows, columns


def middle_of(part: tuple[slice, slice], shape: tuple[int, ...], pixels: int | None) -> tuple[slice, slice]:
    """A block of about so many pixels in the middle of some rows and columns, of the same shape; all for None."""
    ranges = [range(*one.indices(length)) for one, length in zip(part, shape, strict=True)]
    whole = len(ranges[0]) * len(ranges[1])
    if pixels is None or whole <= pixels:
        return part
    rows, columns = (
        _slice_of(one[len(one) // 2 - side // 2 :][:side])
        for one, side in ((one, max(int(len(one) * np.sqrt(pixels / whole)), SMALLEST_SIDE)) for one in ranges)
    )
    return rows, columns


def _slice_of(cells: range) -> slice:
    return slice(cells.start, None if cells.stop < 0 else cells.stop, cells.step)


def as_read(array: NDArray[Any], part: tuple[slice, slice], corner: str) -> NDArray[Any]:
    """The pixels of an amplifier in the order in which it reads them, from a corner of its section."""
    columns_fall, rows_fall = CORNERS[corner]
    return array[part][:: -1 if rows_fall else 1, :: -1 if columns_fall else 1]


def step_of(flats: list[NDArray[Any]], biases: list[NDArray[Any]]) -> float:
    """The digital step that flats and biases have."""
    # Flats have noise enough to show it, biases may not.
    found = digital_step(neighbours(flats[0]))
    if not found:
        return 0.0
    return float(min(found, digital_step(neighbours(biases[0])) or found))


def top_of_range(
    flats: list[NDArray[Any]], dtype: np.dtype[Any], step: float, good: NDArray[np.bool_]
) -> tuple[float, bool]:
    """The raw value where values pile up and True; else the container's largest, or infinity, and False."""
    tops = []
    for flat in flats:
        values = flat[good]
        top = float(values.max())
        width = step or max(top, 1.0) * 1e-6
        at = np.count_nonzero(values > top - width / 2)
        below = np.count_nonzero(values > top - 10.5 * width) - at
        if at >= 20 and at > below:
            tops.append(top)
    if tops:
        return max(tops), True
    if dtype == np.uint16:
        return 65535 - 65535 % (step or 1), False
    return np.inf, False


def usable_flats(
    flats: list[NDArray[Any]],
    biases: Biases,
    top: float,
    bias_level: float,
    noise: float,
    where: str,
    what_for: str = "photon transfer",
) -> tuple[list[int], dict[int, float]]:
    """Which flats have light and are not full, and their levels above the bias, adu."""
    levels, dark, full = {}, 0, 0
    for index, flat in enumerate(flats):
        net = thinned((flat - biases.mean)[biases.good])
        # The lit half counts.
        level = float(np.median(net[net >= np.median(net)])) if net.size else 0.0
        if level < 5 * max(noise, 1e-3):
            dark += 1
        elif (
            level + bias_level > HIGHEST * (top - bias_level) + bias_level and np.median(net) + bias_level > 0.85 * top
        ):
            full += 1
        else:
            levels[index] = float(np.median(net)) if np.median(net) > 0.5 * level else level
    if len(levels) < 2:
        what = []
        if dark:
            what.append(f"{dark} of {len(flats)} without light")
        if full:
            what.append(f"{full} of {len(flats)} saturated at {top:g} adu")
        msg = (
            f"{what_for} needs two flats or more with light and below saturation{where}; given: "
            f"{' and '.join(what)}. Take flats at 5 to 60% of the range."
        )
        raise FrameError(msg)
    return sorted(levels), levels
