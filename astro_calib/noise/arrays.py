"""References to arrays: plain, read when asked for, or a mask of the values that were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

from threading import RLock
from typing import TYPE_CHECKING

from astro_calib.errors import FrameError
from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["SELF_DATA", "ArrayRef", "LazyArray", "SurvivorMask", "finite_mean"]


class ArrayRef:
    """
    A reference to an array that is not to be written to, equal to any other reference to the same memory.

    Two slices of the same region of a flat are two ndarray objects; as fields they are one.

    Parameters
    ----------
    array : ndarray
        The array, of which a read-only view is kept.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.arrays import ArrayRef
    >>> flat = np.ones((4, 4))
    >>> ArrayRef(flat[:2]) == ArrayRef(flat[:2]), ArrayRef(flat[:2]) == ArrayRef(flat[2:])
    (True, False)
    """

    __slots__ = ("_array", "_digest", "key")

    def __init__(self, array: NDArray[Any]) -> None:
        view = array.view()
        view.flags.writeable = False
        self._array = view
        self._digest: str | None = None
        self.key: tuple[Any, ...] = (view.__array_interface__["data"][0], view.shape, view.strides, view.dtype.str)

    @property
    def array(self) -> NDArray[Any]:
        """The array, read-only."""
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array."""
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        """How much memory the array takes that is there for this field."""
        return self._array.nbytes

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """
        ``array[item]``, for when the rest of the array is not needed.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the array.

        Returns
        -------
        ndarray
            Of the type of the array.
        """
        return self._array[item]

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[Any]:
        """
        The values for some pixels of a frame.

        Parameters
        ----------
        pixels : ndarray of int, shape (n,)
            Where they are in the flattened frame.
        shape : tuple of int
            The frame's shape.

        Returns
        -------
        ndarray, shape (n,)
            Of the type of the array.
        """
        array = self.array
        if array.shape == shape and array.flags.c_contiguous:
            return array.take(pixels)
        taken: NDArray[Any] = np.broadcast_to(array, shape)[np.unravel_index(pixels, shape)]
        return taken

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
        return ArrayRef(self.array[item])

    def digest(self) -> str:
        """
        A digest of the values.

        Returns
        -------
        str
            The same for equal values.
        """
        if self._digest is None:
            self._digest = content_digest(self.array)
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrayRef) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return ArrayRef, (self.array,)


class LazyArray(ArrayRef):
    """
    An array that is made or read when it is first asked for, and kept then.

    Parameters
    ----------
    shape : tuple of int
        The shape that it will have.
    load : callable
        Gives the array.
    place : object, optional
        Where the array comes from, for those who write it to a file.

    Raises
    ------
    FrameError
        When the array is asked for, if it turns out to have another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.arrays import LazyArray
    >>> field = LazyArray((2, 2), lambda: np.ones((2, 2)))
    >>> field.shape                # nothing is loaded for this
    (2, 2)
    >>> field.array.sum()
    np.float64(4.0)
    """

    __slots__ = ("__weakref__", "_load", "_loaded", "_lock", "_shape", "place")

    def __init__(self, shape: tuple[int, ...], load: Callable[[], NDArray[Any]], place: Any = None) -> None:
        self.place = place
        self._shape = shape
        self._load: Callable[[], NDArray[Any]] | None = load
        self._loaded: NDArray[Any] | None = None
        self._lock = RLock()
        self._digest = None
        self.key = ("deferred", id(self))

    @property
    def array(self) -> NDArray[Any]:
        """The array, read-only."""
        with self._lock:
            if self._loaded is None:
                assert self._load is not None
                view = self._load().view()
                if view.shape != self._shape:
                    msg = f"an array of shape {view.shape} was found; {self._shape} was expected."
                    raise FrameError(msg)
                view.flags.writeable = False
                self._loaded, self._load = view, None
            return self._loaded

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._shape

    @property
    def nbytes(self) -> int:
        """How much memory the array takes: none before it is asked for."""
        return 0 if self._loaded is None else self._loaded.nbytes

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """
        ``array[item]``.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the array.

        Returns
        -------
        ndarray
            Of the type of the array.
        """
        return self.array[item]


class SurvivorMask(ArrayRef):
    """
    One where a frame's value was kept, zero where it was left out; a bit a pixel.

    A product with this factor is zero where the value was left out, whatever the other factors are there, NaN included.

    Parameters
    ----------
    plane : ndarray of unsigned integers
        Which frames' values were kept at each pixel.
    bit : int
        The bit of this frame.

    Examples
    --------
    The value of the first frame was kept at the first two of three pixels:

    >>> import numpy as np
    >>> from astro_calib.noise.arrays import ArrayRef, SurvivorMask
    >>> SurvivorMask(ArrayRef(np.array([0b01, 0b11, 0b10], dtype=np.uint8)), 0).array
    array([ True,  True, False])
    """

    __slots__ = ("bit", "plane")

    def __init__(self, plane: ArrayRef, bit: int) -> None:
        self.plane = plane
        self.bit = bit
        self.key = (*plane.key, bit)

    @property
    def array(self) -> NDArray[Any]:
        """The values, made anew each time."""
        return self._of_plane(self.plane.array)

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """
        ``array[item]``, for when the rest of the array is not needed.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the array.

        Returns
        -------
        ndarray
            Of the type of the array.
        """
        return self._of_plane(self.plane.part(item))

    @property
    def nbytes(self) -> int:
        """None: the plane is there for all frames."""
        return 0

    def _of_plane(self, plane: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray((plane & plane.dtype.type(1 << self.bit)) != 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.plane.shape

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
        return SurvivorMask(self.plane.cut(item), self.bit)

    def digest(self) -> str:
        """
        A digest of the values.

        Returns
        -------
        str
            The same for equal values.
        """
        return f"{self.plane.digest()}:{self.bit}"

    def __reduce__(self) -> tuple[Any, ...]:
        return SurvivorMask, (self.plane, self.bit)


class _SelfData(ArrayRef):
    """Stands for the data of the frame that a coefficient belongs to."""

    __slots__ = ()

    def __init__(self) -> None:
        self._array = np.empty(())
        self.key = ("own",)

    def __reduce__(self) -> str:
        return "SELF_DATA"


#: The frame's own data, as a factor.
SELF_DATA = _SelfData()


def finite_mean(value: float | NDArray[Any]) -> float:
    """The mean over finite values; 0 if there are none."""
    if np.ndim(value) == 0:
        return float(value)
    from astro_calib.kernels.sums import mean_of_finite

    return mean_of_finite(np.asarray(value))
