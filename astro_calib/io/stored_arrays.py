"""What is the same for all that is found in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MALFORMED", "bits", "native", "own_native", "window_of_entry"]

#: What reading a tree that is not one may raise.
MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)


def native(array: Any) -> NDArray[Any]:
    """An array in the byte order of this machine, copied only where that is another."""
    array = np.asarray(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def own_native(array: NDArray[Any]) -> NDArray[Any]:
    """An array that nobody else has in the byte order of this machine; its bytes are swapped where they are."""
    if array.dtype.isnative:
        return array
    if not array.flags.writeable:
        return native(array)
    return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))


def bits(array: NDArray[Any]) -> NDArray[np.uint16]:
    """
    Flags as they are kept, whichever type of numbers they were written as.

    Raises
    ------
    FrameError
        If they are no whole numbers from 0 to 65535.
    """
    if array.dtype.kind in "biuf":
        lowest, highest = (array.min(), array.max()) if array.size else (0, 0)
        if not (lowest >= 0 and highest <= np.iinfo(np.uint16).max):
            msg = f"they go from {lowest} to {highest}; flags have 16 bits, from 0 to 65535"
            raise FrameError(msg)
        result = array.astype(np.uint16, copy=False)
        if array.dtype.kind != "f" or np.array_equal(result, array):
            return result
    msg = f"they are of type {array.dtype}; flags are whole numbers from 0 to 65535"
    raise FrameError(msg)


def window_of_entry(entry: Any) -> tuple[tuple[int, int], ...]:
    """The window of a source or an origin from a tree."""
    return tuple((int(origin), int(step)) for origin, step in entry)
