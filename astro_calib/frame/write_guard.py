"""Who may have written into the pixels of a frame."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.noise.shot_variance import ShotVariance

__all__ = ["ReadOnlyValues", "WriteGuard", "is_same_array", "may_be_written"]


class WriteGuard:
    """
    Tracks whether an array was exposed to callers who may modify it.

    Frames that hold the same array share its guard. Those that hold parts of it have guards of their own, which know of
    each other, since whoever has one of the arrays may change all.

    Attributes
    ----------
    checksum : str or None
        The checksum of the array when it, or one that shares its memory, was first exposed; None while none was.
    readers : mapping
        What is found from the values of the array, and has to be kept before somebody writes into them.
    """

    __slots__ = (
        "__weakref__",
        "array",
        "checksum",
        "digest",
        "is_snapshot",
        "owner",
        "readers",
        "relatives",
        "was_exposed",
    )

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None
        self.checksum: str | None = None
        #: For a snapshot, the guard of the frame that it was made of, and whether that had been exposed before.
        self.is_snapshot = self.was_exposed = False
        self.owner: WriteGuard | None = None
        #: A digest of the array, once it was asked for; right while the array is not exposed.
        self.digest: str | None = None
        self.relatives: weakref.WeakSet[WriteGuard] = weakref.WeakSet((self,))
        self.readers: weakref.WeakValueDictionary[int, ShotVariance | ReadOnlyValues] = weakref.WeakValueDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return WriteGuard, ()

    @classmethod
    def of_snapshot(cls, owner: WriteGuard | None, *, was_exposed: bool = False) -> WriteGuard:
        """The guard of a frame that stands for another during a calculation, in which nobody writes into the array."""
        result = cls()
        result.is_snapshot, result.owner, result.was_exposed = True, owner, was_exposed
        if owner is not None:
            result.readers = owner.readers
            if owner.checksum is None:
                result.digest = owner.digest
        return result

    def expose(self, array: NDArray[Any]) -> None:
        """Note that a caller gets the array: find its checksum first."""
        if self.checksum is None:
            self.array = array
            for reader in list(self.readers.values()):
                reader.materialize()
            for guard in list(self.relatives):
                assert guard.array is not None
                guard.checksum = guard.digest or content_digest(guard.array)

    def of_part(self, array: NDArray[Any], part: NDArray[Any]) -> WriteGuard:
        """The guard of a view of the array, neither of which was exposed."""
        self.array = array
        result = WriteGuard()
        result.array, result.relatives, result.readers = part, self.relatives, self.readers
        self.relatives.add(result)
        return result


class ReadOnlyValues:
    """The values of an array as they are now; copied before somebody gets hold of the array, who may write into it."""

    def __init__(self, array: NDArray[Any], guard: WriteGuard) -> None:
        self._array = array
        guard.readers[id(self)] = self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._array, dtype=dtype, copy=copy)

    def materialize(self) -> None:
        """Copy the values, unless they were copied before."""
        if self._array.flags.writeable:
            self._array = self._array.copy()
            self._array.flags.writeable = False


def may_be_written(array: NDArray[Any]) -> bool:
    """Whether somebody may write into the memory of an array, through itself or through what it is a view of."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return True
        base = base.base
    return base is not None


def is_same_array(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays are views of the same memory, laid out in the same way."""
    return one is other or (
        one.shape == other.shape
        and one.dtype == other.dtype
        and one.strides == other.strides
        and one.__array_interface__["data"][0] == other.__array_interface__["data"][0]
    )
