"""Cut a frame to the pixels that saw light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import other_words
from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.header import forget_sections
from astro_calib.steps.section import section_slices
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["Trim", "trim_image"]


class Trim(LinearStep):
    """The step of `trim_image`."""

    name = "trim"

    def __init__(self, fits_section: str) -> None:
        self.fits_section = fits_section

    def apply(self, frame: FrameSoFar) -> None:
        """Keep the section."""
        frame.cut(section_slices(frame, self.fits_section, "the section to trim to"))
        forget_sections(frame.edited_meta())


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def trim_image(ccd: CCDFrame, fits_section: str | None = None) -> CCDFrame:
    """
    Cut a frame to a section.

    The cut keeps its place on the detector: noise that it shares with another cut of the same master cancels only
    where both hold the same pixel.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame.
    fits_section : str, optional
        FITS section, columns first, counted from 1, ends included; without it the frame is copied. For Python slices
        write ``ccd[rows, columns]``.

    Returns
    -------
    CCDFrame
        With data of its own, of the same type. Its header leaves out BIASSEC, TRIMSEC and the like, which were those
        of the whole frame.

    Raises
    ------
    FrameError
        If the section cannot be read, or lies outside the frame.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, trim_image
    >>> raw = CCDFrame(np.arange(12).reshape(3, 4), unit="adu")
    >>> trim_image(raw, "[2:3, 1:2]").data
    array([[1, 2],
           [5, 6]])
    """
    return as_frame(ccd).copy() if fits_section is None else Trim(fits_section)(ccd)
