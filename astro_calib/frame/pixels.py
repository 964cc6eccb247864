"""Who may have written into the pixels of a frame."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.noise.shot_variance import ShotVariance

__all__ = ["ReadOnlyValues", "WriteGuard"]


class WriteGuard:
    """
    Of an array that was made here: whether somebody else got hold of it, who may write into it.

    Frames that hold the same array share its watch; those that hold parts of it have watches of their own, which know
    of each other, since whoever has one of the arrays may change all.

    Attributes
    ----------
    stamp : str or None
        The digest of the array when it, or one that shares its memory, was first handed out; None while none was.
    readers : mapping
        What is found from the values of the array, and has to be kept before somebody writes into them.
    """

    __slots__ = ("__weakref__", "array", "readers", "relatives", "stamp")

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None
        self.stamp: str | None = None
        self.relatives: weakref.WeakSet[WriteGuard] = weakref.WeakSet((self,))
        self.readers: weakref.WeakValueDictionary[int, ShotVariance | ReadOnlyValues] = weakref.WeakValueDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return WriteGuard, ()

    def expose(self, array: NDArray[Any]) -> None:
        """Note that somebody gets hold of the array."""
        if self.stamp is None:
            self.array = array
            for reader in list(self.readers.values()):
                reader.materialize()
            for watch in list(self.relatives):
                assert watch.array is not None
                watch.stamp = content_digest(watch.array)

    def of_part(self, array: NDArray[Any], part: NDArray[Any]) -> WriteGuard:
        """The watch of a view of the array, neither of which was handed out."""
        self.array = array
        result = WriteGuard()
        result.array, result.relatives, result.readers = part, self.relatives, self.readers
        self.relatives.add(result)
        return result


class ReadOnlyValues:
    """
    The values of an array as they are now; copied before somebody gets hold of the array, who may write into it.

    Parameters
    ----------
    array : ndarray
        The array.
    watch : WriteGuard
        That of the array.
    """

    def __init__(self, array: NDArray[Any], watch: WriteGuard) -> None:
        self._array = array
        watch.readers[id(self)] = self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._array, dtype=dtype, copy=copy)

    def materialize(self) -> None:
        """Copy the values, unless they were copied before."""
        if self._array.flags.writeable:
            self._array = self._array.copy()
            self._array.flags.writeable = False
