"""The checksums of FITS files (FITS standard 4.0, section 4.4.2.7 and appendix J)."""

from __future__ import annotations

import mmap
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.io.fits.whole import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from astropy.io import fits
    from numpy.typing import NDArray

    from astro_calib.io.fits.whole import HeaderUnit

__all__ = [
    "LARGE",
    "check_data",
    "check_headers",
    "compare_sums",
    "content_of",
    "encoded",
    "folded",
    "ones_complement_sum",
    "sum_of_words",
]

#: Below so many bytes it is not worth while to load the compiled loop; so many stay in the cache.
LARGE = 1 << 19
#: Punctuation between digits and letters, and between capital and small ones.
NOT_ALNUM = frozenset(b":;<=>?@[\\]^_`")


def sum_of_words(words: NDArray[np.uint32]) -> int:
    """The sum of big-endian words, whatever their dtype says; of fewer than 2**32."""
    if words.nbytes < LARGE or sys.byteorder == "big":
        return int(words.view(">u4").sum(dtype=np.uint64))
    from astro_calib.kernels.checksum import sum_of_swapped

    return int(sum_of_swapped(words))


def ones_complement_sum(content: Any) -> int:
    """The 32-bit ones' complement sum of big-endian words."""
    if len(content) < LARGE:
        total = sum_of_words(np.frombuffer(content, np.uint32))
    else:
        from astro_calib.kernels.threads import over_rows

        words = np.frombuffer(content, np.uint32)
        sums: list[int] = []

        def add(part: slice) -> None:
            sums.append(sum_of_words(words[part]))

        over_rows(add, words.size, words.size)
        # A thread may remember the last work it did, and the file could not be closed.
        del words
        total = sum(sums)
    return folded(total)


def folded(total: int) -> int:
    """A sum with what is beyond 32 bits added again."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encoded(number: int) -> str:
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
    text = "".join(chr(lines[byte][place]) for place in range(4) for byte in range(4))
    # The value begins in the last byte of a word.
    return text[-1:] + text[:-1]


def check_headers(units: Iterable[HeaderUnit]) -> None:
    """
    Compare each header that has a CHECKSUM with it; the data are not read.

    Raises
    ------
    FrameError
        If one was changed.
    """
    for number, unit in enumerate(units):
        header = unit.cards
        if "CHECKSUM" not in header:
            continue
        total = folded(ones_complement_sum(unit.header) + int(header.get("DATASUM", 0)))
        if total not in (0, 0xFFFFFFFF):
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
        header = unit.cards
        if "DATASUM" not in header:
            msg = f"it cannot be checked: header {number} has no DATASUM; read without checksum=True"
            raise FrameError(msg)
        _compare_data(number, unit, header, content, int(header["DATASUM"]))


def compare_sums(units: Iterable[HeaderUnit], content: Any, *, only_tiles: bool = False) -> list[str]:
    """
    Compare what a file holds with the checksums that it has, whoever wrote it.

    Parameters
    ----------
    units : iterable of HeaderUnit
    content : buffer
        The whole file.
    only_tiles : bool
        Whether to look at compressed images only.

    Returns
    -------
    list of str
        What is wrong with headers: many programs change one and leave its CHECKSUM as it was.

    Raises
    ------
    FrameError
        If data differ from their DATASUM.
    """
    remarks = []
    for number, unit in enumerate(units):
        header = unit.cards
        expected = _stated(header, "DATASUM")
        if expected is None or (only_tiles and "ZIMAGE" not in header):
            continue
        _compare_data(number, unit, header, content, expected)
        if header.get("CHECKSUM") and folded(ones_complement_sum(unit.header) + expected) not in (0, 0xFFFFFFFF):
            remarks.append(f"header {number} was changed after its CHECKSUM was written; its data were not")
    return remarks


def _stated(header: fits.Header, keyword: str) -> int | None:
    """A sum that a header tells; None if it tells none."""
    text = str(header.get(keyword, "")).strip()
    return int(text) if text.isdecimal() else None


def _compare_data(number: int, unit: HeaderUnit, header: fits.Header, content: Any, expected: int) -> None:
    if not _sums_agree(unit, content, expected):
        msg = f"the data of header {number} ({header.get('EXTNAME', 'primary')}) differ from their DATASUM: damaged"
        raise FrameError(msg)


def _sums_agree(unit: HeaderUnit, content: Any, expected: int) -> bool:
    # 0 is written in two ways in ones' complement, with no bit and with all of them.
    found = ones_complement_sum(memoryview(content)[unit.data : unit.data + unit.size + -unit.size % BLOCK])
    return found % 0xFFFFFFFF == expected % 0xFFFFFFFF


@contextmanager
def content_of(source: Path | bytes) -> Iterator[Any]:
    """What is in a file, which is not read if it is on disk before something looks at it."""
    if isinstance(source, bytes):
        yield source
    else:
        with source.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Not closed here: an error that was found in it still refers to it.
        yield content
