"""
Arrays that are polynomials in row and column, kept as a few numbers: what the error of a smooth sky looks like.

A surface is a sum of Legendre polynomials, of which each axis of the whole array is the interval from -1 to 1. Part of
a surface is a surface, so that it stays a few numbers through cuts and files.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial.legendre import legvander

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.place import whole_region

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.noise.place import Place

__all__ = ["SurfaceArray", "along_axis", "matrix_of", "powers_of", "sum_of_squares"]

#: A part of the largest number that is rounding.
ROUNDING = 1e-10


def powers_of(degree: int) -> list[tuple[int, int]]:
    """The degrees along rows and columns of the polynomials whose degrees add up to ``degree`` at most, 0 first."""
    return [(whole - x, x) for whole in range(degree + 1) for x in range(whole + 1)]


def along_axis(degree: int, length: int, places: Iterable[float] | None = None) -> NDArray[np.float64]:
    """The Legendre polynomials up to a degree at pixels of an axis, all by default; shape (n_places, degree + 1)."""
    pixels = np.arange(length) if places is None else np.asarray(places, dtype=np.float64)
    return np.asarray(legvander(2 * pixels / max(length - 1, 1) - 1, degree))


def matrix_of(numbers: NDArray[Any], degree: int) -> NDArray[np.float64]:
    """The matrix of a surface, from the coefficients of the polynomials that `powers_of` lists."""
    matrix = np.zeros((degree + 1, degree + 1))
    for number, (y, x) in zip(numbers, powers_of(degree), strict=True):
        matrix[y, x] = number
    return matrix


class SurfaceArray(ArrayRef):
    """
    A polynomial in row and column, whose values are made anew each time that they are asked for.

    Parameters
    ----------
    matrix : array_like, shape (n, m)
        The numbers that the products of Legendre polynomials along rows and columns are multiplied by.
    whole : tuple of int
        The shape of the whole array.
    region : tuple of range, optional
        The part of it that this is; all of it by default.
    dtype : dtype
        Floating type of the values.

    Examples
    --------
    A slope along the rows:

    >>> from astro_calib.noise.surface import SurfaceArray
    >>> SurfaceArray([[10.0, 2.0]], (2, 3)).array
    array([[ 8., 10., 12.],
           [ 8., 10., 12.]])
    """

    __slots__ = ("_dtype", "matrix", "region", "whole")

    def __init__(
        self,
        matrix: Any,
        whole: tuple[int, ...],
        region: tuple[range, ...] | None = None,
        dtype: Any = np.float64,
    ) -> None:
        self.matrix = np.array(matrix, dtype=np.float64)
        self.matrix.flags.writeable = False
        self.whole = tuple(whole)
        self.region = whole_region(whole) if region is None else region
        self._dtype = np.dtype(dtype)
        self.key = (
            *("surface", self.matrix.shape, self.matrix.tobytes(), self.whole, self.region),
            self._dtype.str,
        )

    def _factors(self, region: tuple[range, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The polynomials along the columns times the matrix, and those along the rows."""
        rows, columns = (
            _whole_axis(number - 1, length)[slice(along.start, _stop(along), along.step)]
            for number, length, along in zip(self.matrix.shape, self.whole, region, strict=True)
        )
        return (rows @ self.matrix).astype(self._dtype), columns.astype(self._dtype)

    @property
    def array(self) -> NDArray[Any]:
        """The values."""
        rows, columns = self._factors(self.region)
        return rows @ columns.T

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(map(len, self.region))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self._dtype

    @property
    def nbytes(self) -> int:
        """None that counts."""
        return 0

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """``array[item]``, without the rest of the array."""
        return self.cut(item).array

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[Any]:
        """The values for n pixels of a frame, which are given by their indices in the flattened frame of a shape."""
        if self.shape != shape:
            return super().at(pixels, shape)
        rows, columns = self._factors(self.region)
        y, x = np.unravel_index(pixels, shape)
        return np.asarray(np.einsum("ij,ij->i", rows[y], columns[x]))

    def cut(self, item: tuple[slice, ...]) -> ArrayRef:
        """The reference to ``array[item]``, for one slice for each axis."""
        region = tuple(along[part] for along, part in zip(self.region, item, strict=True))
        return self if region == self.region else SurfaceArray(self.matrix, self.whole, region, self._dtype)

    def named(self, _place: Place) -> ArrayRef:
        """The same: a few numbers need not be filed under a master."""
        return self

    def digest(self) -> str:
        """The same for equal values."""
        return repr((*self.key[:2], self.matrix.tolist(), *self.key[3:]))

    @property
    def addable(self) -> tuple[Any, ...]:
        """The same for surfaces that can be added up."""
        return "surface", self.whole, self.region, self.dtype

    @staticmethod
    def sum_of(surfaces: Sequence[tuple[float, SurfaceArray]]) -> SurfaceArray:
        """The sum of numbers times surfaces."""
        first = surfaces[0][1]
        matrix = np.zeros(np.max([one.matrix.shape for _, one in surfaces], axis=0))
        for number, one in surfaces:
            matrix[: one.matrix.shape[0], : one.matrix.shape[1]] += number * one.matrix
        return SurfaceArray(matrix, first.whole, first.region, first.dtype)

    @property
    def degree(self) -> int:
        """The highest of the degrees along rows and columns together that it has."""
        rows, columns = np.nonzero(np.abs(self.matrix) > ROUNDING * np.abs(self.matrix).max())
        return int((rows + columns).max(initial=0))

    def numbers(self, degree: int) -> NDArray[np.float64]:
        """The surface in terms of the polynomials of its own part: the matrix flattened, shape ((degree + 1)**2,)."""
        rows, columns = (
            _expansion(number - 1, degree, length, along)
            for number, length, along in zip(self.matrix.shape, self.whole, self.region, strict=True)
        )
        return np.asarray(rows @ self.matrix @ columns.T).ravel()

    def __reduce__(self) -> tuple[Any, ...]:
        return SurfaceArray, (self.matrix, self.whole, self.region, self._dtype)


def sum_of_squares(surfaces: Sequence[SurfaceArray], weights: Sequence[float]) -> SurfaceArray:
    """
    A sum of weights times squares of surfaces of one whole and region, which is a surface of twice the degree.

    Examples
    --------
    >>> from astro_calib.noise.surface import SurfaceArray, sum_of_squares
    >>> sum_of_squares(
    ...     [SurfaceArray([[10.0, 2.0]], (2, 3))], [2.0]
    ... ).array.round(9)
    array([[128., 200., 288.],
           [128., 200., 288.]])
    """
    first = surfaces[0]
    total: Any = 0.0
    axes = []
    for axis, length in enumerate(first.whole):
        degree = max(one.matrix.shape[axis] for one in surfaces) - 1
        nodes = _nodes(2 * degree, length)
        axes.append((along_axis(degree, length, nodes), along_axis(2 * degree, length, nodes)))
    (rows, of_rows), (columns, of_columns) = axes
    for one, weight in zip(surfaces, weights, strict=True):
        ny, nx = one.matrix.shape
        total = total + weight * np.square(rows[:, :ny] @ one.matrix @ columns[:, :nx].T)
    matrix = np.linalg.solve(of_columns, np.linalg.solve(of_rows, total).T).T
    return SurfaceArray(matrix, first.whole, first.region, first.dtype)


@lru_cache(maxsize=64)
def _whole_axis(degree: int, length: int) -> NDArray[np.float64]:
    """The polynomials at all pixels of an axis, found once."""
    return along_axis(degree, length)


def _stop(along: range) -> int | None:
    """The end of a range as a slice has it."""
    return None if along.stop < 0 else along.stop


def _nodes(degree: int, length: int) -> NDArray[np.float64]:
    """Places along an axis, as many as a polynomial has numbers, that tell these well."""
    return (np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1)) + 1) / 2 * max(length - 1, 1)


def _expansion(own: int, degree: int, length: int, along: range) -> NDArray[np.float64]:
    """
    What multiplies the numbers of a whole axis to give those of a part of it, shape (degree + 1, own + 1).

    Polynomials are the same if they agree at as many places as they have numbers.
    """
    nodes = _nodes(degree, len(along))
    here = along_axis(degree, len(along), nodes)
    there = along_axis(own, length, along.start + along.step * nodes)
    return np.asarray(np.linalg.solve(here, there))
