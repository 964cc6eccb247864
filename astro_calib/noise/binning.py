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
    from collections.abc import Callable

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
        #: The coefficients of sources whose variance is a number, by those of pixels.
        self._alike: dict[tuple[Coefficient, tuple[int, ...]], Coefficient] = {}

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
            # With weights of their own the blocks have means.
            return Coefficient(number * self.number * self.weights if isinstance(self.weights, float) else number)
        return Coefficient(self._sums(coefficient, weighted=True))

    def _sums(self, value: Coefficient, *, weighted: bool = False) -> NDArray[Any]:
        """The sums of a coefficient or of a variance over blocks."""
        from astro_calib.kernels.bins import sums_of_blocks

        result = np.empty(self.shape, dtype=self.budget.dtype)

        def add(part: slice) -> None:
            weights = self._weights(part) if weighted else 1.0
            result[part] = sums_of_blocks(self._pixels(value, part), self._used(part), *self.size) * weights

        self._in_parts(add)
        return result

    def _of_cells(self, source: NoiseSource, coefficient: Coefficient) -> tuple[Coefficient, Coefficient]:
        """The variance of a cell and its coefficient, for noise that varies along some axes."""
        cells = prod(self.size[axis] for axis in source.axes)
        number, size = coefficient.number, source.variance.number
        plain = None
        if number is not None and isinstance(self.weights, float):
            plain = Coefficient(number * self.weights * self.number / cells)
        if size is not None:
            return Coefficient(size * cells), plain or self._of_one_variance(source.axes, coefficient)
        if len(source.axes) < len(self.shape):
            return self._of_lines(coefficient, source.variance, source.axes[0])
        # Where the coefficient is a number, so is that of the sums, and the variances may have any sign.
        sums = None if plain is None else self._sums(source.variance)
        if plain is not None and sums is not None and np.isfinite(sums).all():
            return Coefficient(sums), plain
        variance, found = self._of_pixels(coefficient, source.variance, own=source.slope != 0)
        assert variance is not None
        return variance, found

    def _of_one_variance(self, axes: tuple[int, ...], coefficient: Coefficient) -> Coefficient:
        """The coefficient where the variance is one number; found once for all sources that have it times a number."""
        split = coefficient.split()
        factor, rest = (1.0, coefficient) if split is None or split[1] is not None else (split[0], split[2])
        if (rest, axes) not in self._alike:
            whole = len(axes) == len(self.shape)
            _, self._alike[rest, axes] = (
                self._of_pixels(rest, None) if whole else self._of_lines(rest, Coefficient(1.0), axes[0])
            )
        return self._alike[rest, axes] * factor

    def _of_pixels(
        self, coefficient: Coefficient, variance: Coefficient | None, *, own: bool = False
    ) -> tuple[Coefficient | None, Coefficient]:
        """The variance of sums of independent pixels, unless it is that of ones, and their coefficient."""
        from astro_calib.kernels.bins import noise_of_blocks

        sizes = np.empty(self.shape, dtype=self.budget.dtype)
        variances = None if variance is None else np.empty(self.shape, dtype=self.budget.dtype)

        def add(part: slice) -> None:
            noise_of_blocks(
                self._pixels(coefficient, part),
                None if variance is None else self._pixels(variance, part),
                self._used(part),
                np.atleast_2d(self._weights(part)),
                self.size,
                own=own,
                coefficient=sizes[part],
                variance=None if variances is None else variances[part],
            )

        self._in_parts(add)
        return None if variances is None else Coefficient(variances), Coefficient(sizes)

    def _of_lines(self, coefficient: Coefficient, variance: Coefficient, axis: int) -> tuple[Coefficient, Coefficient]:
        """The variance of sums of rows or columns that have one draw each, and their coefficient."""
        from astro_calib.kernels.bins import noise_of_lines

        rows, columns = self.size
        of_lines = np.broadcast_to(np.asarray(variance.evaluate(), dtype=np.float64), self.budget.shape)
        of_lines = of_lines[:, 0] if axis == 0 else of_lines[0]
        result = np.empty(self.shape, dtype=self.budget.dtype)
        sums = of_lines.reshape(self.shape[axis], self.size[axis]).sum(axis=1)
        sums = sums[:, np.newaxis] if axis == 0 else sums

        def add(part: slice) -> None:
            values, used = self._pixels(coefficient, part), self._used(part)
            if axis == 0:
                lines = of_lines[part.start * rows : part.stop * rows]
                total, square = noise_of_lines(values, lines, used, rows, columns)
            else:
                across = None if used is None else used.T
                total, square = (one.T for one in noise_of_lines(values.T, of_lines, across, columns, rows))
            size = np.sqrt(np.maximum(square / (sums[part] if axis == 0 else sums), 0.0)) * self._weights(part)
            result[part] = np.where(total == 0, 0.0, np.copysign(size, total))

        self._in_parts(add)
        return Coefficient(sums.astype(self.budget.dtype)), Coefficient(result)

    # -- parts of the frame --------------------------------------------------------------------------------------

    def _pixels(self, value: Coefficient, part: slice) -> NDArray[Any]:
        """A coefficient or a variance at the pixels of some rows of blocks."""
        rows, shape = slice(part.start * self.size[0], part.stop * self.size[0]), self.budget.shape
        own = None if self.budget.data is None else self.budget.data[rows]
        found = np.asarray(value.part((rows, slice(None)), shape, own), dtype=self.budget.dtype)
        return np.broadcast_to(found, (rows.stop - rows.start, shape[1]))

    def _used(self, part: slice) -> NDArray[np.bool_] | None:
        return None if self.used is None else self.used[part.start * self.size[0] : part.stop * self.size[0]]

    def _weights(self, part: slice) -> Any:
        return self.weights if isinstance(self.weights, float) else self.weights[part]

    def _in_parts(self, function: Callable[[slice], None]) -> None:
        """Call a function with some rows of blocks, whose pixels stay in the cache."""
        from astro_calib.kernels.threads import over_rows

        def quietly(part: slice) -> None:
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                function(part)

        pixels = self.size[0] * self.budget.shape[1]
        over_rows(quietly, self.shape[0], self.shape[0] * pixels, max(1, BLOCK // pixels))

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
