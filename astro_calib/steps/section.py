"""Sections of a frame, as FITS headers write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import described
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from astro_calib.frame import CCDFrame

__all__ = ["section_slices"]


def section_slices(ccd: CCDFrame, section: str, what: str) -> tuple[slice, slice]:
    """
    The (row, column) slices of a FITS section such as ``"[1025:1056, 1:1024]"``.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame that the section belongs to.
    section : str
        Columns first, counted from 1, both ends included.
    what : str
        What the section is, for messages.

    Raises
    ------
    FrameError
        If the string is not a section, or the section is not inside the frame.
    """
    from ccdproc.utils.slices import slice_from_string

    msg = f"{ccd.name}: {what} is {described(section)}; expected a FITS section such as '[1025:1056, 1:1024]'."
    try:
        rows, columns = slice_from_string(section, fits_convention=True)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise FrameError(msg) from error
    if not all(":" in part or "*" in part for part in section.split(",")):
        # One number would be taken for all up to it.
        raise FrameError(msg)
    for part, length, axis in ((rows, ccd.shape[0], "row"), (columns, ccd.shape[1], "column")):
        if len(range(*part.indices(length))) == 0 or (part.stop or 0) > length or (part.start or 0) < 0:
            msg = (
                f"{ccd.name}: {what} {section} does not lie inside the frame, which has {ccd.shape[1]} columns and "
                f"{ccd.shape[0]} rows (see the {axis}s)."
            )
            raise FrameError(msg)
    return rows, columns
