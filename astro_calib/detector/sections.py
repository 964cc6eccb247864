"""Sections of an image as FITS headers write them: columns first, counted from 1, both ends included."""

from __future__ import annotations

from typing import Any

__all__ = ["slices_of_section"]


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
