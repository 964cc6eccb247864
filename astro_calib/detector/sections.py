"""Sections of an image as FITS headers write them: columns first, counted from 1, both ends included."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

__all__ = ["OF_SECTIONS", "Span", "section_of", "slices_of_section", "spans_of_section"]

#: Keywords that say where parts of a raw frame are, counted in its own pixels or in those of the detector.
OF_SECTIONS = re.compile(
    r"(?:BIAS|TRIM|DATA|CCD|AMP|DET|ORIG|IMAGE?|OVER|PRE|POST)SEC(?:\d*|[A-Z])|[ABCDT]SEC\d*[A-Z]?|"
    r"[ADL]TV\d|[ADL]TM\d_\d|PRESCAN|OVERSCAN|OVRSCAN\d?|POSTSCAN|[XY]ORGSUBF"
)
#: Two numbers, and a step if there is one.
SPAN = r" *(\d{1,9}) *: *(\d{1,9}) *(?:: *(\d{1,9}) *)?"
SECTION = re.compile(rf" *\[{SPAN},{SPAN}\] *")
#: A section as most are written: each axis a range, or all of it.
PLAIN = re.compile(r"\[(?:(\d{1,9}):(\d{1,9})|\*), ?(?:(\d{1,9}):(\d{1,9})|\*)\]", re.ASCII)


def slices_of_section(section: Any) -> tuple[slice, slice]:
    """
    The (row, column) slices of a section such as ``"[1025:1056, 1:1024]"``; ``*`` stands for a whole axis.

    A ValueError says what is wrong with a text that is no section of two axes, each with a range.

    Examples
    --------
    >>> from astro_calib.detector.sections import slices_of_section
    >>> slices_of_section("[1025:1056, 1:1024]")
    (slice(0, 1024, None), slice(1024, 1056, None))
    """
    return _parsed(section) if isinstance(section, str) else _slices(section)


def _slices(section: Any) -> tuple[slice, slice]:
    # ccdproc takes a quarter of a second to import.
    if isinstance(section, str) and (plain := PLAIN.fullmatch(section)):
        limits = [None if number is None else int(number) for number in plain.groups()]
        if all(first is None or 0 < first <= last for first, last in (limits[:2], limits[2:])):
            columns, rows = (
                slice(None if first is None else first - 1, last) for first, last in (limits[:2], limits[2:])
            )
            return rows, columns
    from ccdproc.utils.slices import slice_from_string

    try:
        slices = slice_from_string(section, fits_convention=True)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(str(error)) from error
    if len(slices) != 2:
        msg = f"it has {len(slices)} {'axis' if len(slices) == 1 else 'axes'} instead of two"
        raise ValueError(msg)
    if not all(":" in part or "*" in part for part in section.split(",")):
        # ccdproc takes a single number for the end of a range that begins at the first pixel.
        msg = "an axis has one number instead of a range"
        raise ValueError(msg)
    rows, columns = slices
    return rows, columns


#: The few sections of a camera are asked for again and again.
_parsed = lru_cache(256)(_slices)


class Span(NamedTuple):
    """
    What a section says of one axis.

    Attributes
    ----------
    first, last : int
        As they are written: the first is the larger one where the axis is counted backwards.
    step : int
        From one pixel to the next; positive.
    """

    first: int
    last: int
    step: int = 1

    @property
    def direction(self) -> int:
        """1, or -1 for a span that is written backwards."""
        return -1 if self.last < self.first else 1

    @property
    def pixels(self) -> range:
        """The pixels, counted from 0, the first of the axis first."""
        low, high = sorted((self.first, self.last))
        return range(low - 1, high, self.step)


def spans_of_section(section: Any) -> tuple[Span, Span]:
    """
    Return what a section says of the rows and of the columns, which may be counted backwards.

    A ValueError says that a value is no section.

    >>> from astro_calib.detector.sections import spans_of_section
    >>> rows, columns = spans_of_section("[4096:2049,1:2048]")
    >>> columns.direction, columns.pixels, rows.direction
    (-1, range(2048, 4096), 1)
    """
    found = SECTION.fullmatch(section) if isinstance(section, str) else None
    if found is None:
        msg = "expected a section such as '[1:1024,1:2048]'"
        raise ValueError(msg)
    numbers = [int(number or 1) for number in found.groups()]
    if min(numbers) < 1:
        msg = "expected numbers from 1 on"
        raise ValueError(msg)
    return Span(*numbers[3:]), Span(*numbers[:3])


def section_of(rows: range, columns: range) -> str:
    """
    Write the section of rows and columns that are counted from 0.

    >>> from astro_calib.detector.sections import section_of
    >>> section_of(range(10), range(1, 8, 2))
    '[2:8:2,1:10]'
    """
    return f"[{_written(columns)},{_written(rows)}]"


def _written(pixels: range) -> str:
    step = f":{pixels.step}" if pixels.step > 1 else ""
    # With the last pixel, not the end of the last step, which may lie outside of the image.
    return f"{pixels[0] + 1}:{pixels[-1] + 1}{step}"
