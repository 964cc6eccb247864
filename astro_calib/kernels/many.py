"""
Arrays of many frames for one compiled loop.

One call for all frames, by the addresses of their pixels: threads that come back to the interpreter for every frame
wait for each other there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["addresses", "alike", "array_at"]


def alike(arrays: Sequence[Any], dtype: Any, shape: tuple[int, ...]) -> list[NDArray[Any]]:
    """The arrays, broadcast to a shape, of one type and C-contiguous; those that are not so already are copied."""
    return [
        np.ascontiguousarray(array if np.shape(array) == shape else np.broadcast_to(array, shape), dtype=dtype)
        for array in arrays
    ]


def addresses(arrays: Sequence[NDArray[Any] | None]) -> NDArray[np.uintp]:
    """Where the values of C-contiguous arrays are, 0 for None; the arrays must be kept as long as these are used."""
    places = [0 if array is None else array.__array_interface__["data"][0] for array in arrays]
    return np.array(places, dtype=np.uintp)


def _to_pointer(context: Any, address: Any) -> Any:
    """An address as a pointer to what is there."""
    del context
    signature = numba.types.voidptr(address)

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], target.get_value_type(signature.return_type))

    return signature, generate


_pointer: Any = numba.extending.intrinsic(_to_pointer)
_carray: Any = vars(numba)["carray"]


@numba.njit(inline="always")
def array_at(address: np.uintp, start: int, width: int, like: NDArray[Any]) -> NDArray[Any]:
    """In compiled code: values ``start`` to ``start + width`` of the array at an address, of the type of ``like``."""
    return _carray(_pointer(address + np.uintp(start * like.itemsize)), (width,), like.dtype)
