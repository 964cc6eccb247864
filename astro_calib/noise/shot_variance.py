"""
The variance of a calibrated frame's shot noise, without an array of its own.

The electrons that a pixel collected are the variance of their number, and a calibrated frame still tells them: with its
values z, its normalised flat F and the dark D that was subtracted with the factor t they are ``z F + t D``.
"""

from __future__ import annotations

from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from astro_calib.noise.arrays import ArrayRef

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from numpy.typing import NDArray


__all__ = ["ShotVariance"]


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
    flat : ndarray, optional
        They were divided by this.
    dark : ndarray, optional
        This was subtracted before.
    ratio : float
        Times this.
    floor : float or ndarray
        The variance is not less than this, in electrons squared; an array broadcasts to the values.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.frame.pixels import WriteGuard
    >>> from astro_calib.noise.shot_variance import ShotVariance
    >>> ShotVariance(np.array([[50.0, -8.0]]), WriteGuard(), flat=np.array([[2.0, 2.0]]), floor=-9.0).array
    array([[100.,  -9.]])
    """

    __slots__ = ("_arrays", "_dtype", "_floor", "_guard", "_kept", "_lock", "_ratio", "_shape")

    def __init__(
        self,
        data: NDArray[Any],
        watch: Watched,
        *,
        flat: NDArray[Any] | None = None,
        dark: NDArray[Any] | None = None,
        ratio: float = 0.0,
        floor: float | NDArray[Any] = 0.0,
    ) -> None:
        self.key = ("shot variance", next(_numbers))
        self._shape, self._dtype = data.shape, data.dtype
        self._ratio = ratio
        self._floor = np.broadcast_to(floor, data.shape) if np.ndim(floor) else floor
        self._kept: NDArray[Any] | None = None
        #: Values, flat and dark, and what watches the values; None once the variance is kept.
        self._arrays: tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None] | None = (data, flat, dark)
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
        return self._found(lambda array: array[item])

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
        return self._found(lambda array: ArrayRef(array).at(pixels, shape))

    def _found(self, take: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        """What is taken of the variance: of what is kept, or found from what is taken of the values."""
        from astro_calib.kernels.fused import shot_variance

        with self._lock:
            arrays, kept = self._arrays, self._kept
        if arrays is None:
            assert kept is not None
            return take(kept)
        data, flat, dark = arrays
        own_flat, own_dark = (None if array is None else take(array) for array in (flat, dark))
        floor = take(self._floor) if isinstance(self._floor, np.ndarray) else self._floor
        return shot_variance(take(data), own_flat, own_dark, self._ratio, floor)

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
            assert self._arrays is not None
            data, flat, dark = self._arrays
            return ShotVariance(
                data[item],
                self._guard,
                flat=None if flat is None else flat[item],
                dark=None if dark is None else dark[item],
                ratio=self._ratio,
                floor=self._floor[item] if isinstance(self._floor, np.ndarray) else self._floor,
            )

    def materialize(self) -> None:
        """Make an array of its own, which does not depend on the values any more."""
        with self._lock:
            if self._kept is None:
                kept = self.array
                kept.flags.writeable = False
                self._kept, self._arrays, self._guard = kept, None, None

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrayRef, (self.array,)
