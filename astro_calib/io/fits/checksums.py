"""The checksums of FITS files (FITS standard 4.0, section 4.4.2.7 and appendix J)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LARGE", "encoded", "folded", "ones_complement_sum", "sum_of_words"]

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
