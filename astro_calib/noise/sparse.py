"""Arrays that are zero but at some pixels: what the ghosts of bright stars are known to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.noise.place import Place

__all__ = ["SparseArray"]


class SparseArray(ArrayRef):
    """
    An array of two axes that is zero but at some pixels.

    Parameters
    ----------
    pixels : ndarray of int64, shape (n,)
        The indices of these pixels in the flattened array, in ascending order and each once.
    values : ndarray of floats, shape (n,)
        What they hold.
    shape : (int, int)
        The shape of the array.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.sparse import SparseArray
    >>> ghosts = SparseArray(np.array([1, 5]), np.array([3.0, 4.0]), (2, 3))
    >>> ghosts.array
    array([[0., 3., 0.],
           [0., 0., 4.]])
    >>> ghosts.cut((slice(1, 2), slice(0, 3, 2))).array
    array([[0., 4.]])
    """

    __slots__ = ("_key", "_shape", "pixels", "values")

    #: As an array has it, for loops that take some rows at a time.
    ndim = 2

    def __init__(self, pixels: NDArray[Any], values: NDArray[Any], shape: tuple[int, ...]) -> None:
        self.pixels = np.asarray(pixels, dtype=np.int64)
        self.values = np.asarray(values)
        self._shape = (int(shape[0]), int(shape[1]))
        self._key: tuple[Any, ...] | None = None

    @property
    def key(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The same for equal values; found when it is first asked for."""
        if self._key is None:
            self._key = ("sparse", content_digest(self.pixels), content_digest(self.values), self._shape)
        return self._key

    @property
    def array(self) -> NDArray[Any]:
        """The values of all pixels, made anew each time."""
        return _spread(self.pixels, self.values, self._shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.array.astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, item: Any) -> Any:
        """Some rows as an array, for one slice; for a slice for each axis, as `cut` gives it."""
        return self.cut(item) if isinstance(item, tuple) else self.part((item, slice(None)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        """What the pixels that are not zero take."""
        return self.pixels.nbytes + self.values.nbytes

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """``array[item]``, without the rest of the array."""
        return _spread(*self._cut_out(item))

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[Any]:
        """The values for n pixels of a frame, which are given by their indices in the flattened frame of a shape."""
        if self._shape != shape or not self.pixels.size:
            return super().at(pixels, shape)
        place = np.searchsorted(self.pixels, pixels).clip(max=self.pixels.size - 1)
        found = self.pixels[place] == pixels
        return np.where(found, self.values[place], self.values.dtype.type(0))

    def cut(self, item: tuple[slice, ...]) -> ArrayRef:
        """The reference to ``array[item]``, for one slice for each axis."""
        pixels, values, shape = self._cut_out(item)
        return self if values is self.values else SparseArray(pixels, values, shape)

    def _cut_out(self, item: tuple[slice, ...]) -> tuple[NDArray[np.int64], NDArray[Any], tuple[int, int]]:
        rows, columns = (range(length)[part] for part, length in zip(item, self._shape, strict=True))
        shape = len(rows), len(columns)
        if shape == self._shape and rows.step == columns.step == 1:
            return self.pixels, self.values, shape
        # Only the rows between the first and the last one are looked at.
        low, high = (min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1) if rows else (0, 0)
        ends = np.searchsorted(self.pixels, [low * self._shape[1], high * self._shape[1]])
        pixels, values = self.pixels[slice(*ends)], self.values[slice(*ends)]
        y, x = np.divmod(pixels, self._shape[1])
        (y, has_row), (x, has_column) = _within(y, rows), _within(x, columns)
        held = has_row & has_column
        kept = (y * len(columns) + x)[held]
        order = np.argsort(kept, kind="stable")
        return kept[order], values[held][order], shape

    def named(self, _place: Place) -> ArrayRef:
        """The same: what a few pixels hold need not be filed under a master."""
        return self

    def digest(self) -> str:
        """The same for equal values."""
        return repr(self.key)

    def __reduce__(self) -> tuple[Any, ...]:
        return SparseArray, (self.pixels, self.values, self._shape)


def _spread(pixels: NDArray[np.int64], values: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    result = np.zeros(shape, dtype=values.dtype)
    result.reshape(-1)[pixels] = values
    return result


def _within(places: NDArray[np.int64], along: range) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where places of an axis are among those that a range keeps, and which are kept at all."""
    if not along:
        return places, np.zeros(places.shape, dtype=np.bool_)
    number, rest = np.divmod(places - along.start, along.step)
    return number, (rest == 0) & (number >= 0) & (number < len(along))
