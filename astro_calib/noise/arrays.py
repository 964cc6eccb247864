"""References to arrays: plain, read when asked for, or a mask of the values that were kept."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.noise.identity import content_digest
from astro_calib.noise.place import whole_region

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from astro_calib.noise.place import Place

__all__ = [
    "SELF_DATA",
    "ArrayRef",
    "LazyArray",
    "SurvivorMask",
    "TableArray",
    "finite_mean",
    "memory_of",
    "owner_of",
]


def memory_of(array: NDArray[Any]) -> tuple[Any, ...]:
    """The memory that an array lies in, and how: the same for views of the same values."""
    return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str


def owner_of(array: NDArray[Any]) -> NDArray[Any]:
    """The array that a view is all of, so that a pickle of several views holds it once; else the view itself."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return owner if type(owner) is np.ndarray and memory_of(owner) == memory_of(array) else array


def _unpickled(array: NDArray[Any], place: Place | None) -> ArrayRef:
    """A reference from a pickle: to the array that is here already, if it is that of a master."""
    return _interned(ArrayRef(array, place))


def _unpickled_table(plane: ArrayRef, patterns: NDArray[Any], values: NDArray[Any], place: Place | None) -> ArrayRef:
    return _interned(TableArray(plane, patterns, values, place))


def _interned(array: ArrayRef) -> ArrayRef:
    place = array.place
    if place is None or not place.is_whole:
        return array
    known: ArrayRef = place.master.arrays.setdefault(place.role, array)
    return known if known == array else array


class ArrayRef:
    """
    A reference to an array that is not to be written to.

    References are equal if they have the same place, or none and the same memory: two slices of one region of a flat
    are two ndarray objects, but one reference.

    Parameters
    ----------
    array : ndarray
        The array, of which a read-only view is kept.
    place : Place, optional
        The master, the role and the region that it is filed under.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.arrays import ArrayRef
    >>> flat = np.ones((4, 4))
    >>> (
    ...     ArrayRef(flat[:2]) == ArrayRef(flat[:2]),
    ...     ArrayRef(flat[:2]) == ArrayRef(flat[2:]),
    ... )
    (True, False)
    """

    __slots__ = ("__weakref__", "_array", "_digest", "_parts", "key", "place", "table")

    key: tuple[Any, ...]
    place: Place | None
    #: The same values as a table, if one was found.
    table: TableArray | None
    _digest: str | None
    _parts: WeakValueDictionary[tuple[range, ...], ArrayRef] | None

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        """A reference without a place."""
        self = super().__new__(cls)
        self.place = self.table = self._digest = self._parts = None
        return self

    def __init__(self, array: NDArray[Any], place: Place | None = None) -> None:
        view = array.view()
        view.flags.writeable = False
        self._array = view
        self.place = place
        self.key = memory_of(view) if place is None else place.key

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
        """How much memory the array takes that is there for this reference."""
        return self._array.nbytes

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """``array[item]``, without the rest of the array where that can be; one slice for each axis."""
        return self.array[item]

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[Any]:
        """The values for n pixels of a frame, which are given by their indices in the flattened frame of a shape."""
        array = self.array
        if array.shape == shape and array.flags.c_contiguous:
            return array.take(pixels)
        taken: NDArray[Any] = np.broadcast_to(array, shape)[np.unravel_index(pixels, shape)]
        return taken

    def cut(self, item: tuple[slice, ...]) -> ArrayRef:
        """The reference to ``array[item]``, for one slice for each axis; nothing is read for this."""
        region = tuple(range(length)[part] for length, part in zip(self.shape, item, strict=True))
        if region == whole_region(self.shape):
            return self
        if self._parts is None:
            self._parts = WeakValueDictionary()
        # One for all that have it, so that a pickle holds it once.
        known = self._parts.get(region)
        return self._parts.setdefault(region, self._cut(item, region)) if known is None else known

    def _cut(self, item: tuple[slice, ...], _region: tuple[range, ...]) -> ArrayRef:
        return ArrayRef(self.array[item], None if self.place is None else self.place.cut(item))

    def named(self, place: Place) -> ArrayRef:
        """A reference to the same array that is filed under a place."""
        result = ArrayRef(self.array, place)
        result.table, result._digest = self.table, self._digest
        return result

    def digest(self) -> str:
        """A digest of the values, the same for equal ones."""
        if self._digest is None:
            self._digest = content_digest(self.array)
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrayRef) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> str | tuple[Any, ...]:
        if self.table is not None:
            return _unpickled_table, (*self.table.entries, self.place)
        return _unpickled, (owner_of(self.array), self.place)


class LazyArray(ArrayRef):
    """
    An array that is made or read when it is first asked for, and kept then.

    Parameters
    ----------
    shape : tuple of int
        The shape that it will have.
    load : callable
        Gives the array.
    place : Place, optional
        The master, the role and the region that it is filed under.

    Raises
    ------
    FrameError
        When the array is asked for, if it turns out to have another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.arrays import LazyArray
    >>> field = LazyArray((2, 2), lambda: np.ones((2, 2)))
    >>> field.shape  # nothing is loaded for this
    (2, 2)
    >>> field.array.sum()
    np.float64(4.0)
    """

    __slots__ = ("_load", "_loaded", "_lock", "_shape", "_whole")

    def __init__(self, shape: tuple[int, ...], load: Callable[[], NDArray[Any]], place: Place | None = None) -> None:
        self.place = place
        self._shape = shape
        self._load: Callable[[], NDArray[Any]] | None = load
        self._loaded: NDArray[Any] | None = None
        self._lock = RLock()
        #: What this is a part of, and which.
        self._whole: tuple[LazyArray, tuple[range, ...]] = self, whole_region(shape)
        self.key = ("lazy", id(self)) if place is None else place.key

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

    def _cut(self, item: tuple[slice, ...], region: tuple[range, ...]) -> ArrayRef:
        shape = tuple(map(len, region))
        result = LazyArray(shape, lambda: self.part(item), None if self.place is None else self.place.cut(item))
        whole, of_whole = self._whole
        result._whole = whole, tuple(along[part] for along, part in zip(of_whole, item, strict=True))
        if self.place is None:
            result.key = ("lazy", id(whole), result._whole[1])
        return result

    def named(self, place: Place) -> ArrayRef:
        """A reference to the same array that is filed under a place."""
        return LazyArray(self.shape, lambda: self.array, place)


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
    >>> SurvivorMask(
    ...     ArrayRef(np.array([0b01, 0b11, 0b10], dtype=np.uint8)), 0
    ... ).array
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
        """``array[item]``, made of that part of the plane."""
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
        """The reference to ``array[item]``, with the same part of the plane."""
        return SurvivorMask(self.plane.cut(item), self.bit)

    def named(self, place: Place) -> ArrayRef:
        """The same bit of a plane that is filed under a place."""
        return SurvivorMask(self.plane.named(place), self.bit)

    def digest(self) -> str:
        """A digest of the values, the same for equal ones."""
        return f"{self.plane.digest()}:{self.bit}"

    def __reduce__(self) -> tuple[Any, ...]:
        return SurvivorMask, (self.plane, self.bit)


class TableArray(LazyArray):
    """
    An array that depends on nothing but which frames' values were kept at a pixel.

    Parameters
    ----------
    plane : ArrayRef
        Which frames' values were kept at each pixel, as for `SurvivorMask`; 16 frames at most.
    patterns : ndarray of unsigned integers, shape (n,)
        The numbers that are in the plane.
    values : ndarray, shape (n,)
        The value for each of them.
    place : Place, optional
        The master, the role and the region that it is filed under.

    Raises
    ------
    FrameError
        When the array is asked for, if the plane holds other numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.arrays import ArrayRef, TableArray
    >>> plane = ArrayRef(np.array([3, 3, 1], dtype=np.uint8))
    >>> TableArray(
    ...     plane, np.array([1, 3], dtype=np.uint8), np.array([0.5, 1.0])
    ... ).array
    array([1. , 1. , 0.5])
    """

    __slots__ = ("entries",)

    def __init__(
        self, plane: ArrayRef, patterns: NDArray[Any], values: NDArray[Any], place: Place | None = None
    ) -> None:
        super().__init__(plane.shape, self._spread, place)
        self.entries = plane, patterns, values
        self.table = self

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array."""
        return self.entries[2].dtype

    def _spread(self) -> NDArray[Any]:
        plane, patterns, values = self.entries
        known = np.zeros(1 << 16, dtype=np.bool_)
        known[patterns] = True
        keys = plane.array
        if keys.size and (int(keys.max()) >= known.size or not known.take(keys).all()):
            msg = "a table lacks the value for some of the frames that were kept."
            raise FrameError(msg)
        whole = np.zeros(known.size, dtype=values.dtype)
        whole[patterns] = values
        return whole.take(keys)

    def named(self, place: Place) -> ArrayRef:
        """The same table, filed under a place."""
        return TableArray(*self.entries, place)


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
