"""
The variance of a calibrated frame's shot noise, without an array of its own.

The electrons that a pixel collected are the variance of their number, and a calibrated frame still tells them, once
what was done since is undone: with its values z, its normalised flat F and the dark D that was subtracted with the
factor t they are ``z F + t D``.
"""

from __future__ import annotations

from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from astro_calib.kernels.program import CLAMP, Instruction
from astro_calib.noise.arrays import ArrayRef

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from numpy.typing import NDArray


__all__ = ["ShotVariance", "clamped"]


#: For keys that no other field has or gets.
_numbers = count()


class Watched(Protocol):
    """Knows what is found from the values of an array, and has to be kept before somebody writes into them."""

    @property
    def readers(self) -> MutableMapping[int, Any]:
        """By number."""


class ShotVariance(ArrayRef):
    """
    The variance of the shot noise in a calibrated frame, found from its values when it is asked for.

    It becomes an array of its own before somebody gets hold of the values, who may write into them.

    Parameters
    ----------
    data : ndarray
        The calibrated values, in electrons.
    watch : Watched
        That of the values.
    undo : sequence of Instruction
        What makes of the values those of which the electrons were counted.
    floor : float or ArrayRef
        The variance is not less than this, in electrons squared; an array is of the shape of the values.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.frame.write_guard import WriteGuard
    >>> from astro_calib.kernels.program import MULTIPLY, Instruction
    >>> from astro_calib.noise.shot_variance import ShotVariance
    >>> times_flat = Instruction(MULTIPLY, 1.0, np.array([[2.0, 2.0]]))
    >>> ShotVariance(
    ...     np.array([[50.0, -8.0]]), WriteGuard(), [times_flat], floor=-9.0
    ... ).array
    array([[100.,  -9.]])
    """

    __slots__ = ("_data", "_dtype", "_floor", "_guard", "_kept", "_lock", "_shape", "_undo")

    def __init__(
        self,
        data: NDArray[Any],
        watch: Watched,
        undo: Sequence[Instruction] = (),
        floor: float | ArrayRef = 0.0,
    ) -> None:
        self.key = ("shot variance", next(_numbers))
        self._shape, self._dtype = data.shape, data.dtype
        self._floor = floor
        self._kept: NDArray[Any] | None = None
        #: The values, what is done to them, and what watches them; let go once the variance is kept.
        self._data: NDArray[Any] | None = data
        self._undo = _with_arrays(undo, lambda array: np.broadcast_to(array, data.shape))
        self._guard: Watched | None = watch
        self._lock = RLock()
        watch.readers[id(self)] = self

    @property
    def array(self) -> NDArray[Any]:
        """The values, made anew each time, unless they had to be kept."""
        return self.part((slice(None),) * len(self._shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array."""
        return self._dtype

    @property
    def nbytes(self) -> int:
        """How much memory the array takes: none, unless it had to be kept."""
        return 0 if self._kept is None else self._kept.nbytes

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """
        ``array[item]``, without the rest of the array.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the array.

        Returns
        -------
        ndarray
            Of the type of the values.
        """
        return self._found(lambda field: field.part(item))

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[Any]:
        """
        The values for some pixels of a frame, without the others.

        Parameters
        ----------
        pixels : ndarray of int, shape (n,)
            Where they are in the flattened frame.
        shape : tuple of int
            The frame's shape.

        Returns
        -------
        ndarray, shape (n,)
            Of the type of the values.
        """
        return self._found(lambda field: field.at(pixels, shape))

    def _found(self, take: Callable[[ArrayRef], NDArray[Any]]) -> NDArray[Any]:
        """What is taken of the variance: of what is kept, or found from what is taken of the values."""
        with self._lock:
            data, undo, kept = self._data, self._undo, self._kept
        if data is None:
            assert kept is not None
            return take(ArrayRef(kept))
        floor = take(self._floor) if isinstance(self._floor, ArrayRef) else self._floor
        return clamped(take(ArrayRef(data)), _with_arrays(undo, lambda array: take(ArrayRef(array))), floor)

    def cut(self, item: tuple[slice, ...]) -> ArrayRef:
        """
        The field of ``array[item]``.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the array.

        Returns
        -------
        ArrayRef
            A reference to that part.
        """
        with self._lock:
            if self._kept is not None:
                return ArrayRef(self._kept[item])
            assert self._guard is not None
            assert self._data is not None
            floor = self._floor.cut(item) if isinstance(self._floor, ArrayRef) else self._floor
            return ShotVariance(
                self._data[item], self._guard, _with_arrays(self._undo, lambda array: array[item]), floor
            )

    def materialize(self) -> None:
        """Make an array of its own, which does not depend on the values any more."""
        with self._lock:
            if self._kept is None:
                kept = self.array
                kept.flags.writeable = False
                self._kept, self._data, self._undo, self._guard = kept, None, (), None

    def elsewhere(self, place: Callable[[NDArray[Any]], NDArray[Any]], watch: Watched) -> ArrayRef:
        """
        The same variance, found from the same values in another array.

        Parameters
        ----------
        place : callable
            Gives the other array for one, or that one itself.
        watch : Watched
            That of the other array.

        Returns
        -------
        ArrayRef
            A reference to the same values.
        """
        with self._lock:
            data, undo, kept = self._data, self._undo, self._kept
        if data is None:
            assert kept is not None
            return ArrayRef(place(kept))
        return ShotVariance(place(data), watch, undo, self._floor)

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrayRef, (self.array,)


def clamped(values: NDArray[Any], undo: Sequence[Instruction], floor: float | NDArray[Any]) -> NDArray[Any]:
    """
    The variance of shot noise: the electrons that were collected, not less than the floor; 0 where they are no number.

    Parameters
    ----------
    values : ndarray, any shape
        Calibrated values.
    undo : sequence of Instruction
        What makes electrons of them.
    floor : float or ndarray
        An array broadcasts to the values, and is nowhere positive.
    """
    from astro_calib.kernels.fused import run

    is_map = np.ndim(floor) > 0
    lines = np.atleast_2d(values)
    if lines is not values:
        undo = _with_arrays(undo, lambda array: array.reshape(lines.shape))
    program = [*undo, Instruction(CLAMP, -np.inf if is_map else float(floor))]
    result = run(program, lines, dtype=values.dtype).data.reshape(values.shape)
    return np.maximum(result, floor, out=result) if is_map else result


def _with_arrays(
    program: Sequence[Instruction], function: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[Instruction, ...]:
    """The same instructions with what a function makes of their arrays."""
    return tuple(one if one.array is None else one._replace(array=function(np.asarray(one.array))) for one in program)
