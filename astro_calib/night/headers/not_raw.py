"""What is no raw frame although it is a FITS file: masters, stacks, results, images on a scale from 0 to 1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import printable
from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

__all__ = ["NAMED", "STACKED", "are_whole_numbers", "header_of_stack", "name_of_stack", "pixels_of_result"]

#: Cards that say of how many frames one was made, and that it was made of some.
STACKED = ("NCOMBINE", "NSTACK", "STACKCNT", "NCOMB", "NIMAGES", "NFRAMES")
#: Some cameras count under these the frames of a series, of which this is one.
OF_A_SERIES = ("NIMAGES", "NFRAMES")
COMBINED = ("COMBINED", "STACKED")
#: Under this MaxIm DL and others note what was done to a frame: B, D and F for bias, dark and flat.
CALIBRATED = "CALSTAT"
#: The first of the frames that IRAF has combined.
COMBINED_FROM = "IMCMB001"
#: What programs write into HISTORY that combine frames.
HISTORY = re.compile(r"ImageIntegration|numberOfImages|\bimcombine\b|\bNCOMBINE\b|\bcombined from\b", re.IGNORECASE)
#: What masters and stacks are called.
KINDS = "bias|dark|flat|zero|offset|light"
NAMED = re.compile(
    rf"(?:^|[^a-z])(?:master(?:{KINDS})?(?:s|es)?|(?:{KINDS})(?:s|es)?master|super(?:{KINDS})|combined|stack(?:ed)?)"
    r"(?:[^a-z]|$)",
    re.IGNORECASE,
)
#: Folders of masters and stacks.
FOLDERS = re.compile(r"masters?|stacks?|stacked|combined", re.IGNORECASE)
#: So many rows of a frame tell which numbers are in it.
ROWS = 16
#: So much of a line of HISTORY is quoted.
LONGEST = 48


def header_of_stack(header: Header, kinds: Iterable[str] = ("IMAGETYP",), *, series: bool = False) -> str:
    """
    Return what a header says of frames that were combined or calibrated, as a clause behind a name; empty if nothing.

    ``kinds`` are cards that tell the kind of a frame. With ``series`` a number of frames is believed to be of those
    that were combined, even where whole numbers are written and it may be how many were taken in a row.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.not_raw import header_of_stack
    >>> header_of_stack(fits.Header([("NCOMBINE", 9)]))
    'is a stack (NCOMBINE=9)'
    """
    floats = (as_number(header_value(header, "BITPIX")) or 0) < 0
    for card in STACKED:
        number = as_number(header_value(header, card))
        if number is not None and number > 1 and (floats or series or card not in OF_A_SERIES):
            return f"is a stack ({card}={number:g})"
    for card in COMBINED:
        if header_value(header, card) is True:
            return f"is a stack ({card}=T)"
    first = header_value(header, COMBINED_FROM)
    if first is not None:
        return f"is a stack ({COMBINED_FROM}={first!r})"
    line = next((line for line in header.get("HISTORY", ()) if HISTORY.search(str(line))), None)
    if line is not None:
        return f"is a stack (HISTORY {printable(str(line))[:LONGEST]!r})"
    done = str(header_value(header, CALIBRATED) or "")
    if set("BDF") & set(done.upper()):
        return f"was calibrated already ({CALIBRATED}={done!r})"
    for card in kinds:
        kind = str(header_value(header, card) or "")
        if NAMED.search(kind):
            return f"is a master ({card}={kind!r})"
    return ""


def name_of_stack(path: Path) -> str:
    """
    Return what the names of a file and its folder say of frames that were combined; empty if they say nothing.

    >>> from pathlib import Path
    >>> from astro_calib.night.headers.not_raw import name_of_stack
    >>> (
    ...     name_of_stack(Path("raw/master-flat.fit")),
    ...     name_of_stack(Path("raw/flat-1.fit")),
    ... )
    ('is a master by its name', '')
    """
    if NAMED.search(path.name):
        return "is a master by its name"
    return f"is in a folder of masters, {path.parent.name!r}" if FOLDERS.fullmatch(path.parent.name) else ""


def pixels_of_result(data: NDArray[Any]) -> str:
    """
    Return why the numbers of an image are those of a result; empty if a camera may have written them.

    >>> import numpy as np
    >>> from astro_calib.night.headers.not_raw import pixels_of_result
    >>> pixels_of_result(np.linspace(0, 1, 20).reshape(4, 5))
    'its numbers are fractions between 0 and 1, as PixInsight and others write results'
    """
    if data.dtype.kind != "f" or are_whole_numbers(data):
        return ""
    with np.errstate(invalid="ignore"):
        lowest, highest = np.nanmin(data), np.nanmax(data)
    if lowest >= 0 and highest <= 1:
        return "its numbers are fractions between 0 and 1, as PixInsight and others write results"
    return ""


def are_whole_numbers(data: NDArray[Any]) -> bool:
    """Whether the numbers of an image are whole ones, by some of its rows."""
    some = np.asarray(data[:: max(1, len(data) // ROWS)], dtype=float)
    some = some[np.isfinite(some)]
    return bool(np.all(some == np.rint(some)))
