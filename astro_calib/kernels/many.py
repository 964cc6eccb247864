"""
Arrays of many frames for one compiled loop.

One call for all frames, by the addresses of their pixels: threads that come back to the interpreter for every frame
wait for each other there.
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba.core import cgutils, imputils

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["addresses", "alike", "array_at", "build", "part_of"]


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


#: Of numba, without types.
build: Any = cgutils
returned: Any = imputils.impl_ret_borrowed
value_of = methodcaller("_getvalue")


def _line(target: Any, builder: Any, kind: Any, values: Any, width: Any) -> Any:
    """An array of one dimension over values that are somewhere already."""
    size = target.get_constant(numba.types.intp, target.get_abi_sizeof(target.get_data_type(kind.dtype)))
    line = build.create_struct_proxy(kind)(target, builder)
    line.data, line.nitems, line.itemsize = values, width, size
    line.shape, line.strides = build.pack_array(builder, [width]), build.pack_array(builder, [size])
    return line


def _at(context: Any, address: Any, start: Any, width: Any, like: Any) -> Any:
    """Values ``start`` to ``start + width`` of the array at an address, of the type of ``like``."""
    del context, start, width
    kind = numba.types.Array(like.dtype, 1, "C")

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        first = builder.inttoptr(arguments[0], target.get_data_type(like.dtype).as_pointer())
        return value_of(_line(target, builder, kind, builder.gep(first, [arguments[1]]), arguments[2]))

    return kind(address, numba.types.intp, numba.types.intp, like), generate


def _of(context: Any, values: Any, start: Any, width: Any) -> Any:
    """Values ``start`` to ``start + width`` of a C-contiguous array, counted through all of its rows."""
    del context, start, width
    if values.layout != "C":
        return None
    kind = numba.types.Array(values.dtype, 1, "C", readonly=not values.mutable, aligned=values.aligned)

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        whole = build.create_struct_proxy(values)(target, builder, value=arguments[0])
        line = _line(target, builder, kind, builder.gep(whole.data, [arguments[1]]), arguments[2])
        line.meminfo, line.parent = whole.meminfo, whole.parent
        return returned(target, builder, kind, value_of(line))

    return kind(values, numba.types.intp, numba.types.intp), generate


#: In compiled code. Neither looks whether the values are there; a slice does, and compiles more than twice as long.
array_at: Any = numba.extending.intrinsic(_at)
part_of: Any = numba.extending.intrinsic(_of)
