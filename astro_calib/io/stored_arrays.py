"""What is the same for all that is found in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MALFORMED", "native", "window_of_entry"]

#: What reading a tree that is not one may raise.
MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)


def native(array: Any) -> NDArray[Any]:
    """An array in the byte order of this machine, copied only where that is another."""
    array = np.asarray(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def window_of_entry(entry: Any) -> tuple[tuple[int, int], ...]:
    """The window of a source or an origin from a tree."""
    return tuple((int(origin), int(step)) for origin, step in entry)
