r"""
The budget of a frame whose pixels are added up in blocks.

With the weights w, the pixel X of the result holds of a source e with the coefficient c the sum :math:`\sum_x w c e(x)`
over the pixels of its block. What frames that were binned alike have in common is :math:`S(X) = \sum_x e(x)`, the cell
of a source of its own with the variance :math:`\sum_x v(x)`, and its coefficient is

.. math:: C(X) = \pm \sqrt{\sum_x w^2 c^2 v \Big/ \sum_x v},

so that the variance of each pixel is exact. Of two frames, what they have of one source within a block counts as
proportional to each other: exact where their coefficients are, as under one flat and with stars at the same place.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.detector.binned import binned_correlation
from astro_calib.noise.arrays import SELF_DATA, finite_mean
from astro_calib.noise.bins import binned_window
from astro_calib.noise.blocks import BLOCK
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import Constituent, NoiseSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.noise.window import Window

__all__ = ["binned_budget"]

#: What is proportional to the frame's own data stays so.
OWN = Coefficient(1.0).times(SELF_DATA)


def binned_budget(
    budget: UncertaintyBudget,
    size: tuple[int, int],
    used: NDArray[np.bool_] | None,
    weights: float | NDArray[Any],
    data: NDArray[Any],
) -> UncertaintyBudget:
    """
    The budget of weighted sums over blocks.

    Parameters
    ----------
    budget : UncertaintyBudget
        Of the frame, whose shape is a multiple of the blocks'.
    size : (int, int)
        Rows and columns of a block.
    used : ndarray of bool or None
        Which pixels are in the sums; all by default.
    weights : float or ndarray
        What the sum of each block is multiplied by, shape (ny, nx).
    data : ndarray, shape (ny, nx)
        The sums.
    """
    binning = _Binning(budget, size, used, weights, data)
    return UncertaintyBudget(data.shape, [binning.term(*term) for term in budget.terms], budget.dtype, data)


class _Binning:
    """Finds the terms of a binned frame."""

    def __init__(
        self,
        budget: UncertaintyBudget,
        size: tuple[int, int],
        used: NDArray[np.bool_] | None,
        weights: float | NDArray[Any],
        data: NDArray[Any],
    ) -> None:
        self.budget, self.size, self.used, self.weights, self.shape = budget, size, used, weights, data.shape
        self.number = prod(size)
        #: The mean square in a block of coefficients that several sources have.
        self._squares: dict[tuple[Coefficient, tuple[int, ...]], Coefficient] = {}

    def term(self, source: NoiseSource, coefficient: Coefficient) -> tuple[NoiseSource, Coefficient]:
        """The source and the coefficient of a term after binning."""
        if not source.axes:
            return source, self._of_frame(coefficient)
        variance, coefficient = self._of_cells(source, coefficient)
        return self._binned(source, variance), coefficient

    # -- coefficients and variances ------------------------------------------------------------------------------

    def _of_frame(self, coefficient: Coefficient) -> Coefficient:
        """The coefficient of noise that all pixels have in common: its sum, as that of the values."""
        if coefficient.ratio_to(OWN) is not None:
            return coefficient
        number = coefficient.number
        if number is not None:
            # With pixels left out it is a mean.
            return Coefficient(number * self.number * self.weights if isinstance(self.weights, float) else number)
        total, _, _ = self._sums(coefficient, Coefficient(1.0), ())
        return self._array(total * self.weights)

    def _of_cells(self, source: NoiseSource, coefficient: Coefficient) -> tuple[Coefficient, Coefficient]:
        """The variance of a cell and its coefficient, for noise that varies along some axes."""
        cells = prod(self.size[axis] for axis in source.axes)
        across = self.number / cells
        number, size = coefficient.number, source.variance.number
        if size is not None:
            variance = Coefficient(size * cells)
            if number is not None and isinstance(self.weights, float):
                return variance, Coefficient(number * across * self.weights)
            split = coefficient.split()
            if split is None or split[1] is not None:
                return variance, self._root_of_mean_square(coefficient, source.axes, cells)
            factor, _, rest = split
            if (rest, source.axes) not in self._squares:
                self._squares[rest, source.axes] = self._root_of_mean_square(rest, source.axes, cells)
            return variance, self._squares[rest, source.axes] * factor
        sums = self._variances(source)
        if number is not None and isinstance(self.weights, float) and np.isfinite(sums).all():
            return self._array(sums), Coefficient(number * across * self.weights)
        total, magnitude, square = self._sums(coefficient, source.variance, source.axes)
        square *= np.square(self.weights)
        sign = np.where(total < 0, -1.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            size = np.sqrt(np.maximum(square / sums, 0.0))
            if across == 1:
                # Shot noise from counts below zero may have a negative variance, and no other frame has it.
                mean = magnitude * self.weights / self._count()
                own = (mean > 0) & ~((sums > 0) & (square >= 0) & (source.slope == 0))
                sums = np.where(own, square / np.square(mean), sums)
                size = np.where(own, mean, size)
        return self._array(sums), self._array(np.where(magnitude > 0, sign * size, 0.0))

    def _root_of_mean_square(self, coefficient: Coefficient, axes: tuple[int, ...], cells: int) -> Coefficient:
        """The coefficient of noise whose variance is one number."""
        total, _, square = self._sums(coefficient, Coefficient(1.0), axes)
        return self._array(np.where(total < 0, -1.0, 1.0) * np.sqrt(square / cells) * np.abs(self.weights))

    def _count(self) -> Any:
        """How many pixels of each block are used."""
        if self.used is None:
            return self.number
        return self.used.reshape(self.shape[0], self.size[0], self.shape[1], self.size[1]).sum(axis=(1, 3))

    def _array(self, values: Any) -> Coefficient:
        return Coefficient(np.asarray(values).astype(self.budget.dtype))

    def _variances(self, source: NoiseSource) -> NDArray[np.float64]:
        """The sums of the variances of cells; of those that are known, where some of a bin are not."""
        lengths = [1 if axis not in source.axes else length for axis, length in enumerate(self.budget.shape)]
        rows, columns = (self.size[axis] if axis in source.axes else 1 for axis in (0, 1))
        result = np.empty((lengths[0] // rows, lengths[1] // columns))

        def add(part: slice) -> None:
            lines = slice(part.start * rows, part.stop * rows)
            item = (lines, slice(None, lengths[1]))
            values = np.broadcast_to(
                source.variance.part(item, self.budget.shape), (lines.stop - lines.start, lengths[1])
            )
            ones = np.ones(values.shape)
            known = np.isfinite(values)
            with_number = known.all()
            result[part] = over_blocks(values, ones, known, rows, columns)[0]
            if not with_number:
                count = known.reshape(result[part].shape[0], rows, result.shape[1], columns).sum(axis=(1, 3))
                with np.errstate(divide="ignore", invalid="ignore"):
                    result[part] *= rows * columns / count

        from astro_calib.kernels.bins import over_blocks

        self._in_parts(add, result.shape[0], rows * lengths[1])
        return result

    def _sums(self, coefficient: Coefficient, variance: Coefficient, axes: tuple[int, ...]) -> Any:
        """What `astro_calib.kernels.bins` finds: of pixels, of lines for noise of rows or columns."""
        from astro_calib.kernels.bins import over_blocks, over_lines

        (rows, columns), shape = self.size, self.budget.shape
        result = tuple(np.empty(self.shape) for _ in range(3))

        def add(part: slice) -> None:
            lines = slice(part.start * rows, part.stop * rows)
            item = (lines, slice(None))
            here = (lines.stop - lines.start, shape[1])
            own = None if self.budget.data is None else self.budget.data[item]
            values = np.broadcast_to(np.asarray(coefficient.part(item, shape, own)), here)
            variances = np.broadcast_to(np.asarray(variance.part(item, shape)), here)
            used = np.ones(here, dtype=np.bool_) if self.used is None else self.used[item]
            if axes == (0,):
                found = over_lines(values, variances[:, :1], used, rows, columns)
            elif axes == (1,):
                a, b, c = over_lines(values.T, variances[:1].T, used.T, columns, rows)
                found = a.T, b.T, c.T
            else:
                found = over_blocks(values, variances, used, rows, columns)
            for whole, one in zip(result, found, strict=True):
                whole[part] = one

        self._in_parts(add, self.shape[0], rows * shape[1])
        return result

    def _in_parts(self, function: Any, rows: int, pixels_of_row: int) -> None:
        from astro_calib.kernels.threads import over_rows

        def quietly(part: slice) -> None:
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                function(part)

        over_rows(quietly, rows, rows * pixels_of_row, max(1, BLOCK // pixels_of_row))

    # -- sources -------------------------------------------------------------------------------------------------

    def _binned(self, source: NoiseSource, variance: Coefficient) -> NoiseSource:
        """The source whose cells are the bins."""
        size = tuple(self.size[axis] for axis in source.axes)
        bins, window = binned_window(source.identity, source.window, size)
        # Where the cells of bin 0 are in the source as it was, of which ``bins`` may skip some generations.
        cells = _cells_of_bin(source.window, window, size)
        correlation, factor = _of_bins(source.correlation, cells, size)
        constituents: dict[tuple[str, Window], Constituent] = {}
        for (identity, inner), one in source.constituents.items():
            seen = tuple(
                (origin + step * first, step * apart)
                for (origin, step), (first, apart) in zip(inner, cells, strict=True)
            )
            of_inner, window_of_inner = binned_window(identity, seen, size)
            waves, times = _of_bins(one.correlation, seen, size)
            entry = Constituent(Coefficient(finite_mean(one.weight.evaluate())), one.variance * times, waves)
            constituents[of_inner.identity, window_of_inner] = entry
        return source.replace(
            identity=bins.identity,
            window=window,
            variance=variance * (factor / prod(size)),
            constituents=constituents,
            correlation=correlation,
            home=None,
            lent=False,
        )


def _cells_of_bin(window: Window, bins: Window, size: tuple[int, ...]) -> Window:
    """For each axis the first cell of the bin number 0 of a frame's source, and how far apart its cells are."""
    result = []
    for (origin, step), (where, _), number in zip(window, bins, size, strict=True):
        lowest = origin if step > 0 else origin + step * (number - 1)
        result.append((lowest - where * number * abs(step), abs(step)))
    return tuple(result)


def _of_bins(correlation: Correlation | None, cells: Window, size: tuple[int, ...]) -> tuple[Correlation | None, float]:
    """The correlation of bins, and their variance where that of a cell is 1."""
    if correlation is None:
        return None, float(prod(size))
    rows, columns = size
    return binned_correlation(correlation.seen_through(cells), rows, columns)
