"""Arrays as the compiled loops take them, so that each loop is compiled for few kinds of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["plain", "read_only"]


def read_only(values: NDArray[Any], dtype: Any = None) -> NDArray[Any]:
    """The same values, of this type if one is given, contiguous and read-only; a view if possible."""
    view = np.ascontiguousarray(values, dtype=dtype).view()
    view.flags.writeable = False
    return view


def plain(values: NDArray[Any]) -> NDArray[Any]:
    """
    The same values, float32 or float64 in the order of this machine, contiguous and read-only; a view if possible.

    Parameters
    ----------
    values : ndarray of numbers
        float32 stays float32, all else becomes float64.
    """
    single = values.dtype.kind == "f" and values.dtype.itemsize == 4
    return read_only(values, np.float32 if single else np.float64)
