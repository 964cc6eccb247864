"""The sum of 32-bit words, at the speed of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.kernels.options import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["sum_of_swapped"]


@compiled()
def sum_of_swapped(words: NDArray[np.uint32]) -> np.uint64:
    """
    The sum of words whose bytes are in the opposite order.

    Parameters
    ----------
    words : ndarray of uint32, shape (n,)
        Fewer than 2**32.
    """
    first, second = np.uint64(0), np.uint64(0)
    low, half, eight, sixteen = np.uint32(0x00FF00FF), np.uint32(0xFFFF), np.uint32(8), np.uint32(16)
    for index in range(words.shape[0]):
        word = words[index]
        word = ((word & low) << eight) | ((word >> eight) & low)
        # The halves change places; each has a sum of its own, as a shift to the left would go beyond 32 bits.
        first += np.uint64(word & half)
        second += np.uint64(word >> sixteen)
    return (first << np.uint64(16)) + second
