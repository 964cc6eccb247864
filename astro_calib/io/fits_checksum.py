"""The checksums of FITS files (FITS standard 4.0, section 4.4.2.7 and appendix J)."""

from __future__ import annotations

import mmap
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.io.whole import BLOCK, header_units

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from astro_calib.io.whole import HeaderUnit

__all__ = ["PLACEHOLDERS", "check_data", "check_headers", "fill_in_checksums"]

#: What stands for the checksums in a header until they are known.
PLACEHOLDERS = (("CHECKSUM", "0" * 16, "of header and data"), ("DATASUM", "0" * 10, "of the data"))
#: Below so many bytes it is not worth while to load the compiled loop.
LARGE = 1 << 20
#: Punctuation between digits and letters, and between capital and small ones.
NOT_ALNUM = frozenset(b":;<=>?@[\\]^_`")


def ones_complement_sum(content: Any) -> int:
    """The 32-bit ones' complement sum of big-endian words."""
    if len(content) < LARGE or sys.byteorder == "big":
        total = int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
    else:
        from astro_calib.kernels.checksum import sum_of_swapped
        from astro_calib.kernels.threads import over_rows

        words = np.frombuffer(content, np.uint32)
        sums: list[int] = []

        def add(part: slice) -> None:
            sums.append(int(sum_of_swapped(words[part])))

        over_rows(add, words.size, words.size)
        # A thread may remember the last work it did, and the file could not be closed.
        del words
        total = sum(sums)
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encoded(number: int) -> bytes:
    """A number as 16 letters and digits, so that a header in which they stand sums up to it."""
    lines = []
    for byte in number.to_bytes(4, "big"):
        quotient, rest = divmod(byte, 4)
        letters = [quotient + rest + 48, quotient + 48, quotient + 48, quotient + 48]
        while NOT_ALNUM.intersection(letters):
            for first, second in ((0, 1), (2, 3)):
                if NOT_ALNUM.intersection((letters[first], letters[second])):
                    letters[first] += 1
                    letters[second] -= 1
        lines.append(letters)
    text = bytes(lines[byte][place] for place in range(4) for byte in range(4))
    # The value begins in the last byte of a word.
    return text[-1:] + text[:-1]


def fill_in_checksums(path: Path) -> None:
    """
    Put the checksums in the place of their placeholders.

    Parameters
    ----------
    path : Path
        A FITS file whose headers hold the ``PLACEHOLDERS``.
    """
    with path.open("r+b") as file:
        units = list(header_units(file))
        with mmap.mmap(file.fileno(), 0) as content:
            for unit in units:
                start = unit.data - len(unit.header)
                view = memoryview(content)
                data = ones_complement_sum(view[unit.data : unit.data + unit.size + -unit.size % BLOCK])
                view.release()
                place = start + unit.header.index(b"DATASUM = '") + 11
                content[place : place + 10] = f"{data:<10}".encode()
                total = ones_complement_sum(content[start : unit.data]) + data
                total = (total & 0xFFFFFFFF) + (total >> 32)
                place = start + unit.header.index(b"CHECKSUM= '") + 11
                content[place : place + 16] = encoded(0xFFFFFFFF ^ total)


def check_headers(units: Iterable[HeaderUnit]) -> None:
    """
    Compare each header that has a CHECKSUM with it; the data are not read.

    Raises
    ------
    FrameError
        If one was changed.
    """
    for number, unit in enumerate(units):
        header = fits.Header.fromstring(unit.header.decode("latin-1"))
        if "CHECKSUM" not in header:
            continue
        total = ones_complement_sum(unit.header) + int(header.get("DATASUM", 0))
        if (total & 0xFFFFFFFF) + (total >> 32) not in (0, 0xFFFFFFFF):
            msg = (
                f"header {number} is not as it was written: its CHECKSUM differs. If it was changed on purpose, read "
                "with checksum=False"
            )
            raise FrameError(msg)


def check_data(units: Iterable[HeaderUnit], content: Any) -> None:
    """
    Compare the data with the DATASUM of their headers.

    Parameters
    ----------
    units : iterable of HeaderUnit
    content : buffer
        The whole file.

    Raises
    ------
    FrameError
        If some were changed, or there is nothing to compare with.
    """
    for number, unit in enumerate(units):
        header = fits.Header.fromstring(unit.header.decode("latin-1"))
        if "DATASUM" not in header:
            msg = f"it cannot be checked: header {number} has no DATASUM; read without checksum=True"
            raise FrameError(msg)
        found = ones_complement_sum(memoryview(content)[unit.data : unit.data + unit.size + -unit.size % 2880])
        if found != int(header["DATASUM"]):
            msg = f"the data of header {number} ({header.get('EXTNAME', 'primary')}) differ from their DATASUM: damaged"
            raise FrameError(msg)
