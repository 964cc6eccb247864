"""A digest of pixel values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["digest"]


@numba.njit(cache=True, nogil=True)
def _accumulate(pixels: NDArray[Any]) -> tuple[np.uint64, np.uint64]:
    """Two sums over (row, column) of a mixed position and value."""
    first = np.uint64(0)
    second = np.uint64(0)
    width = np.uint64(pixels.shape[1])
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            position = (np.uint64(row) * width + np.uint64(column) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            # The constants are those of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA).
            mixed = np.float64(pixels[row, column]).view(np.uint64) ^ position
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            first += mixed
            second += (mixed ^ (mixed >> np.uint64(31))) * (position | np.uint64(1))
    return first, second


def digest(pixels: NDArray[Any]) -> str:
    """
    A 128-bit digest of the values and positions of an array's pixels.

    The values are compared as float64, so that a frame has one digest whether it was read as integers or as
    floating-point numbers. It guards against accidents, not against malice.

    Parameters
    ----------
    pixels : ndarray, any shape
        Real numbers of any type.

    Returns
    -------
    str
        32 hexadecimal digits and the shape.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.kernels.digest import digest
    >>> pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    >>> digest(pixels) == digest(pixels.astype(np.float32))
    True
    >>> digest(pixels) == digest(pixels[:, ::-1])
    False
    """
    plane = pixels if pixels.ndim == 2 else pixels.reshape(-1, pixels.shape[-1] or 1 if pixels.ndim else 1)
    if plane.dtype.kind == "f" and plane.dtype.itemsize not in (4, 8):
        plane = plane.astype(np.float64)
    elif not plane.dtype.isnative:
        plane = plane.astype(plane.dtype.newbyteorder("="))
    first, second = _accumulate(plane)
    shape = "x".join(str(length) for length in pixels.shape)
    return f"{int(first) & (2**64 - 1):016x}{int(second) & (2**64 - 1):016x}:{shape}"
