"""Arrays that are constant over sections of a frame, such as what differs from amplifier to amplifier."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

import numpy as np

from astro_calib.noise.arrays import ArrayRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.place import Place

__all__ = ["MosaicArray", "as_mosaic", "extent_of", "mean_size", "progressions", "read_by"]

#: First, end and step of the rows and the columns of a section.
Cells: TypeAlias = "tuple[tuple[int, int, int], tuple[int, int, int]]"

#: Arrays that somebody holds at the moment, by the key of what they were made of.
_spread: WeakValueDictionary[tuple[Any, ...], NDArray[Any]] = WeakValueDictionary()


class MosaicArray(ArrayRef):
    """
    An array that takes no more memory than a number for each row and each column.

    Those of equal values are equal, however they were made, and so cancel.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_columns)
        The value for each kind of row and each kind of column.
    rows, columns : ndarray of int
        Of which kind each row and each column of the array is.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.mosaic import MosaicArray
    >>> halves = np.array([0, 0, 1, 1])
    >>> MosaicArray(
    ...     np.array([[1.0, 2.0], [3.0, 4.0]]), halves[::2], halves
    ... ).array
    array([[1., 1., 2., 2.],
           [3., 3., 4., 4.]])
    """

    __slots__ = ("_columns", "_hash", "_rows", "_values")

    def __init__(self, values: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> None:
        values, self._rows = _canonical(values, rows)
        turned, self._columns = _canonical(values.T, columns)
        self._values = np.ascontiguousarray(turned.T)
        kinds = self._rows.tobytes(), self._columns.tobytes()
        self.key = ("mosaic", self.shape, self._values.dtype.str, self._values.tobytes(), *kinds)
        self._hash = hash(self.key)

    @classmethod
    def of_sections(
        cls,
        sections: Sequence[tuple[slice, slice]],
        values: Sequence[float],
        shape: tuple[int, ...],
        dtype: Any = np.float64,
        outside: float = 0.0,
    ) -> MosaicArray:
        """
        An array with one value in each of some sections.

        Parameters
        ----------
        sections : sequence of (slice, slice)
            Rows and columns; no two of them overlap.
        values : sequence of float
            One for each section.
        shape : (int, int)
            Of the array.
        dtype : dtype
            Of the array.
        outside : float
            The value in none of the sections.
        """
        cells = tuple((rows.indices(shape[0]), columns.indices(shape[1])) for rows, columns in sections)
        return _of_cells(cells, tuple(map(float, values)), tuple(shape), np.dtype(dtype).str, float(outside))

    @property
    def entries(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The values, the kinds of the rows, and those of the columns."""
        return self._values, self._rows, self._columns

    @property
    def array(self) -> NDArray[Any]:
        """The array, read-only, which is there for as long as somebody holds it."""
        return np.broadcast_to(self.compact, self.shape)

    @property
    def compact(self) -> NDArray[Any]:
        """The array with a length of one along an axis on which nothing changes."""
        found = _spread.get(self.key)
        if found is None:
            rows, columns = (
                kinds if number > 1 else kinds[:1]
                for kinds, number in zip((self._rows, self._columns), self._values.shape, strict=True)
            )
            found = self._values.take(columns, axis=1).take(rows, axis=0)
            found.flags.writeable = False
            _spread[self.key] = found
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return len(self._rows), len(self._columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array."""
        return self._values.dtype

    @property
    def nbytes(self) -> int:
        """How much memory is taken: no more than a few numbers, and one for each row and column."""
        return self._values.nbytes + self._rows.nbytes + self._columns.nbytes

    @property
    def has_zeros(self) -> bool:
        """Whether it is zero in some section."""
        return not self._values.all()

    def extent(self, item: tuple[slice, ...]) -> tuple[slice, ...] | None:
        """The part of ``array[item]`` outside of which it is zero, in even steps; None if it is zero everywhere."""
        nonzero = self._values != 0
        found = []
        for part, kinds, some in zip(
            item, (self._rows, self._columns), (nonzero.any(axis=1), nonzero.any(axis=0)), strict=True
        ):
            held = range(len(kinds))[part]
            where = np.flatnonzero(some[kinds[part]])
            if not where.size:
                return None
            first, last = int(where[0]), int(where[-1])
            # All in one piece, as a rule.
            step = 1 if last - first < where.size else int(np.gcd.reduce(np.diff(where)))
            cells = held[first : last + 1 : step]
            found.append(slice(cells.start, None if cells.stop < 0 else cells.stop, cells.step))
        return tuple(found)

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """``array[item]``, without the rest of the array."""
        rows, columns = self._rows[item[0]], self._columns[item[1]]
        shape = len(rows), len(columns)
        if all(shape) and rows.min() == rows.max():
            line = self._values[rows[0]]
            one = columns.min() == columns.max()
            return np.broadcast_to(line[columns[0]] if one else line.take(columns), shape)
        return self._values.take(columns, axis=1).take(rows, axis=0)

    def of(self, sections: Sequence[tuple[slice, slice]]) -> list[float] | None:
        """The number in each of some sections, if it is one in each."""
        found = []
        for section in sections:
            rows, columns = self._rows[section[0]], self._columns[section[1]]
            if not (len(rows) and len(columns)) or rows.min() != rows.max() or columns.min() != columns.max():
                return None
            found.append(float(self._values[rows[0], columns[0]]))
        return found

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[Any]:
        """The values for n pixels of a frame, which are given by their indices in the flattened frame of a shape."""
        row, column = np.divmod(pixels, shape[1])
        taken: NDArray[Any] = self._values[self._rows[row], self._columns[column]]
        return taken

    def _cut(self, item: tuple[slice, ...], region: tuple[range, ...]) -> ArrayRef:  # noqa: ARG002  as for others
        return _part_of(self, region)

    def named(self, place: Place) -> ArrayRef:  # noqa: ARG002  as for others
        """The same: it is not worth a look into the file of a master."""
        return self

    def digest(self) -> str:
        """A digest of the values, the same for equal ones."""
        if self._digest is None:
            import hashlib

            self._digest = hashlib.blake2b(repr(self.key).encode(), digest_size=16).hexdigest()
        return self._digest

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, MosaicArray) and self.key == other.key)

    def __reduce__(self) -> tuple[Any, ...]:
        return MosaicArray, self.entries


@lru_cache(256)
def _part_of(array: MosaicArray, region: tuple[range, ...]) -> MosaicArray:
    """The array for some rows and columns, which the frames of a night have in common."""
    values, rows, columns = array.entries
    return MosaicArray(values, rows[list(region[0])], columns[list(region[1])])


@lru_cache(256)
def _of_cells(
    cells: tuple[Cells, ...], values: tuple[float, ...], shape: tuple[int, int], dtype: str, outside: float
) -> MosaicArray:
    """The array of `MosaicArray.of_sections`."""
    kinds, members = [], []
    for axis, length in enumerate(shape):
        belongs = np.zeros((length, len(cells)), dtype=np.uint8)
        for index, section in enumerate(cells):
            belongs[slice(*section[axis]) if section[axis][1] >= 0 else slice(section[axis][0], None, -1), index] = 1
        distinct, of_each = np.unique(belongs, axis=0, return_inverse=True)
        kinds.append(of_each.reshape(-1))
        members.append(distinct.astype(bool))
    table = np.full((len(members[0]), len(members[1])), outside, dtype=np.dtype(dtype))
    for index, value in enumerate(values):
        table[np.ix_(members[0][:, index], members[1][:, index])] = value
    return MosaicArray(table, *kinds)


def _canonical(values: NDArray[Any], kinds: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lines that occur, each once and in the order in which they come, and which of them each line is."""
    if not len(kinds):
        return values[:0], np.zeros(0, np.uint8)
    if len(values) > 1:
        _, same = np.unique(np.ascontiguousarray(values), axis=0, return_inverse=True)
        kinds = same.reshape(-1)[kinds]
        values = values[np.unique(same.reshape(-1), return_index=True)[1]]
    # The first of each, and their order.
    present, first, which = np.unique(kinds, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.uint8 if len(order) <= 256 else np.uint16)
    rank[order] = np.arange(len(order))
    return values[present[order]], rank[which.reshape(-1)]


def read_by(coefficient: Coefficient) -> frozenset[ArrayRef]:
    """What tells which pixels of a frame a coefficient is for, if it is zero for others."""
    return frozenset(one for one in coefficient.arrays if isinstance(one, MosaicArray) and one.has_zeros)


def extent_of(coefficient: Coefficient, item: tuple[slice, ...] | None) -> tuple[slice, ...] | None:
    """The part of ``frame[item]`` outside of which a coefficient is zero; None if it is zero everywhere."""
    if item is None:
        return None
    products = [factors for _, factors in coefficient.monomials]
    for field, power in products[0] if products else ():
        is_zero = isinstance(field, MosaicArray) and power > 0 and field.has_zeros
        if is_zero and all((field, power) in factors for factors in products):
            assert isinstance(field, MosaicArray)
            return field.extent(item)
    return item


def mean_size(coefficient: Coefficient) -> float:
    """The mean of the absolute value, found from few numbers if all that varies is constant over sections."""
    fields = coefficient.arrays
    mosaics = [field for field in fields if isinstance(field, MosaicArray)]
    if not mosaics or len(mosaics) < len(fields):
        return float(np.mean(np.abs(coefficient.evaluate()), dtype=float))
    (rows, of_rows), (columns, of_columns) = (_joint_kinds(mosaics, axis) for axis in (1, 2))
    pixels = rows[:, np.newaxis] * mosaics[0].shape[1] + columns
    values = np.abs(coefficient.at(pixels.ravel(), mosaics[0].shape, {}).evaluate())
    return float(np.bincount(of_rows) @ values.reshape(pixels.shape) @ np.bincount(of_columns)) / (
        len(of_rows) * len(of_columns)
    )


def _joint_kinds(mosaics: Sequence[MosaicArray], axis: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows (axis 1) or columns (2) that are not alike in all arrays, and which of these each one is like."""
    along = np.stack([field.entries[axis] for field in mosaics])
    _, first, of_each = np.unique(along, axis=1, return_index=True, return_inverse=True)
    return first, of_each.reshape(-1)


def as_mosaic(values: NDArray[Any], fields: Sequence[ArrayRef]) -> MosaicArray | None:
    """
    An array that was found from others, pixel by pixel, if these are constant over sections; None if some are not.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        The array.
    fields : sequence of ArrayRef
        All that it depends on.
    """
    mosaics = [field for field in fields if isinstance(field, MosaicArray)]
    if not mosaics or len(mosaics) < len(fields) or any(field.shape != values.shape for field in fields):
        return None
    (rows, of_rows), (columns, of_columns) = (_joint_kinds(mosaics, axis) for axis in (1, 2))
    return MosaicArray(values[np.ix_(rows, columns)], of_rows, of_columns)


def progressions(kinds: NDArray[Any]) -> list[list[int]]:
    """Where each kind is, as a list of [kind, first, end, step]: the words of files."""
    found = []
    for kind in np.unique(kinds).tolist():
        places = np.flatnonzero(kinds == kind)
        begin = 0
        while begin < len(places):
            steps = np.diff(places[begin:])
            step = int(steps[0]) if steps.size else 1
            other = np.flatnonzero(steps != step)
            end = begin + (int(other[0]) + 1 if other.size else len(places) - begin)
            found.append([int(kind), int(places[begin]), int(places[end - 1]) + 1, step])
            begin = end
    return found
