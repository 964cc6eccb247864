"""How large the files of a night are, from their headers, so that one that is far larger need not be read."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from astro_calib.night.profile import Profile

__all__ = ["most_bytes"]

#: How many bytes a file may hold for each pixel of a usual frame: uncertainties, masks and tables may be in it, too.
BYTES_A_PIXEL = 32
#: Files up to this size are read in any case.
SMALL = 1 << 25


def most_bytes(paths: Iterable[Path], profile: Profile) -> int | None:
    """
    How many bytes of data a file of the night may hold.

    A frame of another size than most is left out in any case; one that is many times larger is not even read, so that
    it does not take the memory that the others need.

    Parameters
    ----------
    paths : iterable of Path
        The files; of each the header of its first image is read.
    profile : Profile
        Tells which of them are frames of the night.

    Returns
    -------
    int or None
        None if no header tells anything.
    """
    from astro_calib.io.fits.image import header_at_beginning
    from astro_calib.io.fits.whole import number_of_pixels

    pixels: Counter[int] = Counter()
    for path in paths:
        # What is wrong with a file is found out, and told, when it is read.
        with suppress(Exception):
            header = header_at_beginning(path)
            if header is not None and profile.kind(header) not in (None, "ignore") and number_of_pixels(header):
                pixels[number_of_pixels(header)] += 1
    if not pixels:
        return None
    usual = max(pixels, key=lambda number: (pixels[number], -number))
    return max(SMALL, BYTES_A_PIXEL * usual)
