"""Which floating-point type an array becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["float_type", "floating"]


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """
    The floating type that a frame of some type is calculated in.

    float32 and float64 stay what they are; integers of up to 16 bits become float32, which holds them exactly; float16,
    whose squares would overflow, becomes float32; all else float64.
    """
    small = dtype.itemsize <= 2 or (dtype.kind == "f" and dtype.itemsize == 4)
    return np.dtype(np.float32 if small else np.float64)


def floating(data: NDArray[Any]) -> NDArray[Any]:
    """The data in their `float_type`, so that raw integers do not wrap around; copied only where the type changes."""
    return data.astype(float_type(data.dtype), copy=False)
