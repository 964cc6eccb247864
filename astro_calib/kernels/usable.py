"""Which values of many frames are fit for use or in a result, and what comes with them; on plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.many import addresses, alike, array_at, part_of
from astro_calib.kernels.options import compiled, inner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["collect", "counted", "merge_flags", "survivors"]

#: Pixels that stay in the fastest cache while all frames are counted.
WIDTH = 4096
NO_FLAGS = np.empty(0, dtype=np.uint16)
NO_MASK = np.empty(0, dtype=np.bool_)
NO_MARKS = np.empty(0, dtype=np.uint32)


@inner()
def _take(values: NDArray[Any], result: NDArray[Any], used: NDArray[np.bool_]) -> None:
    kind = result.dtype.type
    infinite = kind(np.inf)
    for index in range(values.shape[0]):
        value = kind(values[index])
        result[index] = value
        used[index] = abs(value) < infinite


@inner()
def _all(used: NDArray[np.bool_]) -> bool:
    # Of single bytes, which is faster than to count them in wider numbers.
    every = np.uint8(1)
    for index in range(used.shape[0]):
        every &= np.uint8(used[index])
    return every != 0


@compiled()
def _collect(
    values: NDArray[np.uintp],
    masks: NDArray[np.uintp],
    flags: NDArray[np.uintp],
    like: NDArray[Any],
    no_mask: NDArray[np.bool_],
    no_flags: NDArray[np.uint16],
    unusable: np.uint16,
    result: NDArray[Any],
    used: NDArray[np.bool_],
) -> bool:
    complete = True
    n, m = result.shape
    for frame in range(n):
        for start in range(0, m, WIDTH):
            width = min(WIDTH, m - start)
            here, own = part_of(used, frame * m + start, width), part_of(result, frame * m + start, width)
            _take(array_at(values[frame], start, width, like), own, here)
            if masks[frame]:
                mask = array_at(masks[frame], start, width, no_mask)
                for index in range(width):
                    here[index] &= not mask[index]
            if flags[frame]:
                flagged = array_at(flags[frame], start, width, no_flags)
                for index in range(width):
                    here[index] &= (flagged[index] & unusable) == 0
            complete &= _all(here)
    return complete


def collect(
    values: Sequence[NDArray[Any]],
    masks: Sequence[NDArray[np.bool_] | None],
    flags: Sequence[NDArray[np.uint16] | None],
    unusable: int,
    result: NDArray[Any],
    used: NDArray[np.bool_],
) -> bool:
    """
    Take the values of frames, and find which are fit for use; returned is whether all are.

    Written are the values, as floating-point numbers of shape (n, ...), and where each is used: it is finite, not
    masked, and not flagged with one of the bits of ``unusable``.
    """
    # What was read from FITS has its bytes in the other order.
    native = {array.dtype.newbyteorder("=") for array in values}
    one_type = len(native) == 1 and all(dtype.kind in "iu" or dtype in (np.float32, np.float64) for dtype in native)
    arrays = alike(values, native.pop() if one_type else result.dtype, result.shape[1:])
    masked = [None if mask is None else np.ascontiguousarray(mask, dtype=np.bool_) for mask in masks]
    flagged = [None if flag is None else np.ascontiguousarray(flag, dtype=np.uint16) for flag in flags]
    complete = _collect(
        addresses(arrays),
        addresses(masked),
        addresses(flagged),
        np.empty(0, dtype=arrays[0].dtype),
        NO_MASK,
        NO_FLAGS,
        np.uint16(unusable),
        result.reshape(len(result), -1),
        used.reshape(len(used), -1),
    )
    return bool(complete)


@compiled()
def _count(used: NDArray[np.bool_], number: NDArray[np.uint16]) -> None:
    n, m = used.shape
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        counts = part_of(number, start, width)
        for frame in range(n):
            here = part_of(used, frame * m + start, width)
            for index in range(width):
                counts[index] += here[index]


def counted(used: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """How many values of shape (n, ...) are used at each pixel, as uint16."""
    number = np.zeros(used.shape[1:], dtype=np.uint16)
    _count(np.ascontiguousarray(used).reshape(len(used), -1), number.reshape(-1))
    return number


@compiled()
def _mark(kept: NDArray[np.bool_], plane: NDArray[np.uint32]) -> None:
    n, m = kept.shape
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        marks = part_of(plane, start, width)
        marks[:] = 0
        for frame in range(n):
            here, bit = part_of(kept, frame * m + start, width), np.uint32(1) << np.uint32(frame)
            for index in range(width):
                marks[index] |= bit if here[index] else np.uint32(0)


def survivors(kept: NDArray[np.bool_], planes: NDArray[np.uint32]) -> None:
    """Write which values, shape (n, ...), are in a result: bit i of plane p, of uint32, is that of frame 32 p + i."""
    lines = kept.reshape(len(kept), -1)
    for position, plane in enumerate(planes):
        _mark(lines[32 * position : 32 * position + 32], plane.reshape(-1))


@compiled()
def _merge_flags(
    more: NDArray[np.uintp],
    like: NDArray[np.uint16],
    planes: NDArray[np.uintp],
    no_marks: NDArray[np.uint32],
    flags: NDArray[np.uint16],
) -> None:
    for start in range(0, flags.shape[0], WIDTH):
        width = min(WIDTH, flags.shape[0] - start)
        merged = part_of(flags, start, width)
        for frame in range(more.shape[0]):
            if not more[frame]:
                continue
            own, any_flag = array_at(more[frame], start, width, like), np.uint16(0)
            for index in range(width):
                any_flag |= own[index]
            if any_flag == 0:
                continue
            if planes.shape[0]:
                marks, bit = array_at(planes[frame // 32], start, width, no_marks), np.uint32(1 << (frame % 32))
                for index in range(width):
                    merged[index] |= own[index] if np.uint32(marks[index] & bit) else np.uint16(0)
            else:
                for index in range(width):
                    merged[index] |= own[index]


def merge_flags(
    more: Sequence[NDArray[np.uint16] | None], planes: NDArray[np.uint32] | None, flags: NDArray[np.uint16]
) -> None:
    """
    Add the flags of the values that are in a result to ``flags``, in place.

    ``planes`` say which values these are, as `survivors` writes it; all, if None.
    """
    arrays = [None if own is None else np.ascontiguousarray(own, dtype=np.uint16) for own in more]
    if any(own is not None for own in arrays):
        marked = addresses([] if planes is None else list(planes))
        _merge_flags(addresses(arrays), NO_FLAGS, marked, NO_MARKS, flags.reshape(-1))
