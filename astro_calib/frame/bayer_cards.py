"""
What a header says of the colours of a frame's pixels, and how that follows a cut.

BAYERPAT (COLORTYP in files of some programs) has the pattern, XBAYROFF and YBAYROFF how many columns and rows of it are
missing at the beginning of the frame, as in a subframe. ROWORDER says from where the pattern is read: ``TOP-DOWN`` if
the first row of the file is the top of the picture, ``BOTTOM-UP`` if it is its bottom; the pattern is that of the
picture from its top. Without ROWORDER it is taken to begin at the first row of the file, as all programs mean it that
write TOP-DOWN. Whoever is wrong about this has wrong names for the planes, and nothing else: pixels of one colour stay
pixels of one colour.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from astro_calib.detector.bayer import PATTERNS, colour_at, cut_pattern
from astro_calib.errors import warn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PLANE", "cards_of_cut", "forget_pattern", "meta_of_plane", "pattern_in"]

#: The keywords that have a pattern, the usual one first.
PATTERN = ("BAYERPAT", "COLORTYP")
OFFSETS = ("YBAYROFF", "XBAYROFF")
ORDER, TOP_DOWN, BOTTOM_UP = "ROWORDER", "TOP-DOWN", "BOTTOM-UP"
#: Where the colour stands of a frame that has one colour of a mosaic.
PLANE = "CFAPLANE"
#: What stands there in frames without a mosaic.
NO_PATTERN = ("", "NONE", "MONO", "MONOCHROME")


def pattern_in(meta: Mapping[str, Any], height: int, name: str) -> str | None:
    """
    The pattern from the first pixel of a frame on, by its header; None if that says nothing of one.

    Parameters
    ----------
    meta : header or dict
        Of the frame.
    height : int
        How many rows the frame has.
    name : str
        What messages call the frame.
    """
    if not _speaks_of_pattern(meta):
        return None
    values = [str(meta[keyword]).strip().upper() for keyword in PATTERN if keyword in meta]
    pattern = next((value for value in values if value in PATTERNS), None)
    if pattern is None:
        if PATTERN[0] in meta and values[0] not in NO_PATTERN:
            msg = (
                f"{name}: {PATTERN[0]} = {meta[PATTERN[0]]!r} is no pattern of colours that is known "
                f"({', '.join(PATTERNS)}); the frame counts as monochrome. If it is a mosaic, give its pattern with "
                "bayer=."
            )
            warn(msg)
        return None
    offsets = [_whole_number(meta, keyword, name) for keyword in OFFSETS]
    if _is_bottom_up(meta):
        # The first row of the file is the last one of the picture, and the pattern goes down from there.
        return cut_pattern(pattern, (height - 1 + offsets[0], offsets[1]), (-1, 1))
    return cut_pattern(pattern, offsets, (1, 1))


def cards_of_cut(meta: Any, slices: Sequence[slice], shape: Sequence[int], name: str) -> Any:
    """
    The header of ``frame[slices]``: the same one, or another if the cut begins with another colour.

    Parameters
    ----------
    meta : header or dict
        Of the whole frame; it is not changed.
    slices : sequence of slice
        One for each axis.
    shape : sequence of int
        Of the whole frame.
    name : str
        What messages call the frame.
    """
    if not _speaks_of_pattern(meta) or len(shape) != 2:
        return meta
    pattern = pattern_in(meta, shape[0], name)
    if pattern is None:
        return meta
    parts = [part.indices(length) for part, length in zip(slices, shape, strict=True)]
    starts, steps = [start for start, _, _ in parts], [step for _, _, step in parts]
    height = len(range(*parts[0]))
    turned = steps[0] < 0 and str(meta.get(ORDER)).strip().upper() in (TOP_DOWN, BOTTOM_UP)
    of_cut = cut_pattern(pattern, starts, steps)
    if not turned and of_cut is not None and of_cut == pattern_in(meta, height, name):
        return meta
    if of_cut is None and all(step % 2 == 0 for step in steps):
        return meta_of_plane(meta, colour_at(pattern, *starts))
    result = deepcopy(meta)
    if of_cut is None:
        forget_pattern(result)
        return result
    if turned:
        result[ORDER] = TOP_DOWN if _is_bottom_up(meta) else BOTTOM_UP
    if _is_bottom_up(result):
        of_cut = cut_pattern(of_cut, (height - 1, 0), (-1, 1))
    for keyword in PATTERN:
        if keyword in meta and str(meta[keyword]).strip().upper() in PATTERNS:
            result[keyword] = of_cut
    for keyword in OFFSETS:
        if keyword in meta:
            result[keyword] = 0
    return result


def meta_of_plane(meta: Any, colour: str) -> Any:
    """A copy of the header of a mosaic for the pixels of one colour."""
    result = deepcopy(meta)
    forget_pattern(result)
    comment = "colour of the mosaic that this plane has"
    result[PLANE] = (colour, comment) if hasattr(result, "comments") else colour
    return result


def forget_pattern(meta: Any) -> None:
    """Take out what a header says of a mosaic, of a frame that is none."""
    for keyword in (*PATTERN, *OFFSETS):
        if keyword in meta and (keyword in OFFSETS or str(meta[keyword]).strip().upper() in PATTERNS):
            del meta[keyword]


def _speaks_of_pattern(meta: Mapping[str, Any]) -> bool:
    return any(keyword in meta for keyword in PATTERN)


def _is_bottom_up(meta: Mapping[str, Any]) -> bool:
    return ORDER in meta and str(meta[ORDER]).strip().upper() == BOTTOM_UP


def _whole_number(meta: Mapping[str, Any], keyword: str, name: str) -> int:
    value = meta.get(keyword, 0)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.5
    if number != round(number):
        msg = f"{name}: {keyword} = {value!r} is no whole number; the pattern is taken to begin there."
        warn(msg)
        return 0
    return int(number)
