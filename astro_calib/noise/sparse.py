"""Arrays that are zero but at some pixels: what the ghosts of bright stars are known to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.program import SomeValues
from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.identity import content_digest
from astro_calib.noise.surface import SurfaceArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.noise.place import Place

__all__ = ["SomePixels", "SparseArray", "added_up"]


class SomePixels:
    """
    Some pixels of a frame, which several arrays can have in common.

    Parameters
    ----------
    flat : ndarray of int64, shape (n,)
        Their indices in the flattened frame, in ascending order and each once.
    shape : (int, int)
        The shape of the frame.
    """

    __slots__ = ("_cuts", "_digest", "flat", "shape")

    def __init__(self, flat: NDArray[Any], shape: tuple[int, ...]) -> None:
        self.flat = np.asarray(flat, dtype=np.int64)
        self.shape = (int(shape[0]), int(shape[1]))
        self._cuts: dict[tuple[range, ...], tuple[SomePixels, NDArray[np.intp]]] = {}
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """The same for the same pixels."""
        if self._digest is None:
            self._digest = f"{content_digest(self.flat)}{self.shape}"
        return self._digest

    def cut(self, item: tuple[slice, ...], *, keep: bool = True) -> tuple[SomePixels, NDArray[np.intp] | slice]:
        """Those of ``frame[item]``, and which of these they are; kept for the next array of the same pixels."""
        region = tuple(range(length)[part] for part, length in zip(item, self.shape, strict=True))
        if region == (range(self.shape[0]), range(self.shape[1])):
            return self, slice(None)
        known = self._cuts.get(region)
        if known is None:
            known = self._cut(*region)
            if keep:
                self._cuts[region] = known
        return known

    def _cut(self, rows: range, columns: range) -> tuple[SomePixels, NDArray[np.intp]]:
        # Only the rows between the first and the last one are looked at.
        low, high = (min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1) if rows else (0, 0)
        first, last = np.searchsorted(self.flat, [low * self.shape[1], high * self.shape[1]])
        y, x = np.divmod(self.flat[first:last], self.shape[1])
        (y, has_row), (x, has_column) = _within(y, rows), _within(x, columns)
        held = np.flatnonzero(has_row & has_column)
        flat = (y * len(columns) + x)[held]
        if (rows.step, columns.step) != (1, 1):
            order = np.argsort(flat, kind="stable")
            held, flat = held[order], flat[order]
        return SomePixels(flat, (len(rows), len(columns))), held + first

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """An array that holds values at these pixels, and is zero elsewhere."""
        result = np.zeros(self.shape, dtype=values.dtype)
        result.reshape(-1)[self.flat] = values
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        return SomePixels, (self.flat, self.shape)


class SparseArray(ArrayRef, SomeValues):
    """
    An array of two axes that is zero but at some pixels.

    Parameters
    ----------
    pixels : SomePixels
        These pixels.
    values : ndarray, shape (n,)
        What they hold.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.sparse import SomePixels, SparseArray
    >>> ghosts = SparseArray(
    ...     SomePixels(np.array([1, 5]), (2, 3)), np.array([3.0, 4.0])
    ... )
    >>> ghosts.array
    array([[0., 3., 0.],
           [0., 0., 4.]])
    >>> ghosts.cut((slice(1, 2), slice(0, 3, 2))).array
    array([[0., 4.]])
    """

    __slots__ = ("_hash", "_key", "pixels", "values")

    #: As an array has it, for loops that take some rows at a time.
    ndim = 2

    def __init__(self, pixels: SomePixels, values: NDArray[Any]) -> None:
        self.pixels, self.values = pixels, np.asarray(values)
        self._key: tuple[Any, ...] | None = None
        # A few of the numbers: all of them are looked at where these agree.
        some = self.values[:: max(1, self.values.size // 4)].tobytes()
        self._hash = hash((self.shape, self.values.size, self.dtype.str, some))

    @property
    def key(self) -> tuple[Any, ...]:  # type: ignore[override]  # an attribute of others, which is found at once
        """The same for equal values; found when it is first asked for."""
        if self._key is None:
            self._key = ("sparse", self.pixels.digest, self.values.dtype.str, content_digest(self.values))
        return self._key

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, SparseArray):
            return self is other
        alike = self.pixels is other.pixels or (
            self.shape == other.shape and np.array_equal(self.pixels.flat, other.pixels.flat)
        )
        return alike and self.dtype == other.dtype and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return self._hash

    @property
    def array(self) -> NDArray[Any]:
        """The values of all pixels, made anew each time."""
        return self.pixels.spread(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.array.astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, item: tuple[slice, ...]) -> ArrayRef:
        """As `cut` gives it."""
        return self.cut(item)

    def within(self, rows: slice) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Where the pixels are in some rows, flattened, and what they hold, for loops that take some at a time."""
        flat, across = self.pixels.flat, self.shape[1]
        held = slice(*np.searchsorted(flat, [rows.start * across, rows.stop * across]).tolist())
        return flat[held] - rows.start * across, self.values[held]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.pixels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        """What the values take that are not zero."""
        return self.values.nbytes

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """``array[item]``, without the rest of the array."""
        pixels, held = self.pixels.cut(item, keep=False)
        return pixels.spread(self.values[held])

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[Any]:
        """The values for n pixels of a frame, which are given by their indices in the flattened frame of a shape."""
        own = self.pixels.flat
        if self.shape != shape or not own.size:
            return super().at(pixels, shape)
        place = np.searchsorted(own, pixels).clip(max=own.size - 1)
        return np.where(own[place] == pixels, self.values[place], self.values.dtype.type(0))

    def cut(self, item: tuple[slice, ...]) -> ArrayRef:
        """The reference to ``array[item]``, for one slice for each axis."""
        pixels, held = self.pixels.cut(item)
        return self if pixels is self.pixels else SparseArray(pixels, self.values[held])

    def named(self, _place: Place) -> ArrayRef:
        """The same: what a few pixels hold need not be filed under a master."""
        return self

    @property
    def addable(self) -> tuple[Any, ...]:
        """The same for arrays that can be added up."""
        return "sparse", self.shape, self.dtype

    @staticmethod
    def sum_of(arrays: Sequence[tuple[float, SparseArray]]) -> SparseArray:
        """The sum of numbers times arrays."""
        first = arrays[0][1]
        flat, places = np.unique(np.concatenate([one.pixels.flat for _, one in arrays]), return_inverse=True)
        values = np.concatenate([number * np.asarray(one.values, dtype=np.float64) for number, one in arrays])
        total = np.bincount(places, weights=values, minlength=flat.size)
        return SparseArray(SomePixels(flat, first.shape), total.astype(first.dtype))

    def digest(self) -> str:
        """The same for equal values."""
        return repr(self.key)

    def __reduce__(self) -> tuple[Any, ...]:
        return SparseArray, (self.pixels, self.values)


def added_up(products: Iterable[tuple[float, tuple[tuple[ArrayRef, int], ...]]]) -> list[tuple[float, Any]]:
    """
    Products of numbers and factors, of which those that differ in a sparse array or in a surface only are one.

    Parameters
    ----------
    products : iterable of (float, factors)
        The factors are pairs of an array and its power.

    Returns
    -------
    list of (float, factors)
        Of the same sum.
    """
    result: list[tuple[float, Any]] = []
    groups: dict[Any, list[tuple[float, SparseArray | SurfaceArray, Any]]] = {}
    for number, factors in products:
        simple = [(field, power) for field, power in factors if isinstance(field, (SparseArray, SurfaceArray))]
        if len(simple) != 1 or simple[0][1] != 1:
            result.append((number, factors))
            continue
        others = tuple(factor for factor in factors if factor != simple[0])
        field: Any = simple[0][0]
        groups.setdefault((frozenset(others), field.addable), []).append((number, field, others))
    for group in groups.values():
        number, field, others = group[0]
        if len(group) > 1:
            number, field = 1.0, field.sum_of([(one, array) for one, array, _ in group])
        result.append((number, ((field, 1), *others)))
    return result


def _within(places: NDArray[np.int64], along: range) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where places of an axis are among those that a range keeps, and which are kept at all."""
    if not along:
        return places, np.zeros(places.shape, dtype=np.bool_)
    if along.step == 1:
        number = places - along.start
        return number, (number >= 0) & (number < len(along))
    number, rest = np.divmod(places - along.start, along.step)
    return number, (rest == 0) & (number >= 0) & (number < len(along))
