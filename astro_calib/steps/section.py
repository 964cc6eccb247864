"""Sections of a frame, which have to lie inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import described
from astro_calib.detector.sections import slices_of_section
from astro_calib.errors import FrameError
from astro_calib.frame.header_values import header_value

if TYPE_CHECKING:
    from astro_calib.steps.facts import FrameFacts

__all__ = ["section_slices"]


def section_slices(ccd: FrameFacts, section: str, what: str) -> tuple[slice, slice]:
    """
    The (row, column) slices of a FITS section such as ``"[1025:1056, 1:1024]"``.

    Parameters
    ----------
    ccd : CCDFrame or FrameSoFar, shape (ny, nx)
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
    try:
        rows, columns = slices_of_section(section)
    except ValueError as error:
        msg = f"{ccd.name}: {what} is {described(section)}; expected a FITS section such as '[1025:1056, 1:1024]'."
        if header_value(ccd.meta, str(section)) is not None:
            msg += f" Write frame.header[{section!r}] for what the header says."
        raise FrameError(msg) from error
    for part, length, axis in ((rows, ccd.shape[0], "row"), (columns, ccd.shape[1], "column")):
        if len(range(*part.indices(length))) == 0 or (part.stop or 0) > length or (part.start or 0) < 0:
            msg = (
                f"{ccd.name}: {what} {section} does not lie inside the frame, which has {ccd.shape[1]} columns and "
                f"{ccd.shape[0]} rows (see the {axis}s)."
            )
            raise FrameError(msg)
    return rows, columns
