r"""
Variances of weighted sums over pixels, source by source.

.. math:: \mathrm{Var} \sum_x w z = \sum_k \sum_\mathrm{cells} v_k \Big( \sum_{x \in \mathrm{cell}} w c_k \Big)^2

The noise of pixels that hold one cell of a source adds up coherently, that of different cells in quadrature. Where the
noise of neighbouring cells goes together this holds for its white part; `astro_calib.noise.waves` has the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.blocks import in_blocks
from astro_calib.noise.sharing import links, meeting_cells, variance_power
from astro_calib.noise.waves import (
    RowSums,
    cells_along,
    joined,
    rows_of_map,
    sum_covariance,
    wave_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.sharing import Link
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.window import Key

    Term: TypeAlias = tuple[NoiseSource, Coefficient]
    Pair: TypeAlias = tuple[NoiseSource, Coefficient, NoiseSource, Coefficient]

__all__ = ["ListedSums", "MapSum", "by_identity"]


def by_identity(terms: Iterable[Term]) -> list[list[Term]]:
    """The terms of each source: several, if the frame holds several regions of it."""
    groups: dict[tuple[str, tuple[int, ...]], list[Term]] = {}
    for source, coefficient in terms:
        groups.setdefault((source.identity, source.axes), []).append((source, coefficient))
    return list(groups.values())


def _of_cells(sums: NDArray[Any], variances: NDArray[Any]) -> NDArray[Any]:
    """What each cell adds to the variance; one without weight adds nothing, whatever its variance is."""
    squares = np.square(sums)
    return np.where(squares == 0, 0.0, squares * variances)


def _amplitudes(weighted: NDArray[Any], variances: float | NDArray[Any]) -> NDArray[np.float64]:
    """The weights in units of the noise; a pixel without weight has none, whatever its variance is."""
    sigmas = np.sqrt(np.maximum(variances, 0.0))
    return np.multiply(weighted, sigmas, where=weighted != 0, out=np.zeros(weighted.shape))


def _of_waves(correlation: Correlation, parts: Sequence[RowSums]) -> float:
    """What the waves add to the variance of one sum."""
    rows = joined(parts)
    return float(sum_covariance(correlation, rows, rows)[0])


class MapSum:
    """One sum over all pixels of a frame, whose ``data`` coefficients may depend on."""

    def __init__(self, weights: NDArray[Any], data: NDArray[Any] | None) -> None:
        self.weights, self.data, self.shape = weights, data, weights.shape

    def variances(self, terms: Sequence[Term], pairs: Sequence[Pair]) -> dict[str, float]:
        """The variance by source; pairs are terms that have noise in common."""
        total = dict.fromkeys((source.name for source, _ in terms), 0.0)
        celled = {source.key for a, _, b, _ in pairs for source in (a, b)}
        for source, coefficient in terms:
            if self.shape and source.key not in celled and len(source.axes) == len(self.shape):
                # Each pixel is a cell, and no other term needs its sum.
                total[source.name] += self._of_pixels(source, coefficient)
            else:
                celled.add(source.key)
        celled_terms = [(source, c) for source, c in terms if source.key in celled]
        sums = {source.key: self._cell_sums(source, c) for source, c in celled_terms}
        for group in by_identity(celled_terms):
            total[group[0][0].name] += self._of_regions([source for source, _ in group], sums)
        for a, _, b, _ in pairs:
            if a.identity == b.identity:
                continue  # they met in the cells of their source
            for link in links(a, b):
                in_a, in_b = meeting_cells(link, [self.shape[axis] for axis in a.axes])
                linked_a = self._linked(sums[a.key], a, link.a, link.power_a)
                linked_b = self._linked(sums[b.key], b, link.b, link.power_b)
                cells_a, cells_b = linked_a[np.ix_(*in_a)], linked_b[np.ix_(*in_b)]
                common = float(np.sum(cells_a * cells_b))
                if link.correlation is not None:
                    common *= link.correlation.white
                    common += self._of_linked_waves(link, linked_a, linked_b)
                total[a.name] += common
                total[b.name] += common
        return total

    def _of_pixels(self, source: NoiseSource, coefficient: Coefficient) -> float:
        """The sum over the pixels of a source each of whose cells one pixel holds."""
        from astro_calib.kernels.sums import weighted_sum_of_squares

        found: dict[int, float] = {}
        rows: dict[int, RowSums] = {}
        together = source.correlation

        def add(item: tuple[slice, ...]) -> None:
            c = coefficient.part(item, self.shape, None if self.data is None else self.data[item])
            variance = source.variance.part(item, self.shape)
            weights = self.weights[item]
            found[item[0].start] = weighted_sum_of_squares(weights, c, variance)
            if together is not None:
                amplitudes = _amplitudes(
                    np.multiply(weights, c, where=weights != 0, out=np.zeros(weights.shape)), variance
                )
                (origin, step), columns = source.window
                window = (origin + step * item[0].start, step), columns
                rows[item[0].start] = rows_of_map(together, window, amplitudes)

        in_blocks(self.shape, add)
        # The order of the rows, so that the sum does not depend on which thread was first.
        white = sum(found[start] for start in sorted(found))
        if together is None:
            return white
        return together.white * white + _of_waves(together, [rows[start] for start in sorted(rows)])

    def _of_linked_waves(self, link: Link, a: NDArray[Any], b: NDArray[Any]) -> float:
        """What two sums have in common through the waves of the source that links them."""
        assert link.correlation is not None
        rows = rows_of_map(link.correlation, link.window_a, a), rows_of_map(link.correlation, link.window_b, b)
        return float(sum_covariance(link.correlation, *rows)[0])

    def _of_regions(self, sources: list[NoiseSource], sums: dict[Key, NDArray[Any]]) -> float:
        """The sum over the cells of one source, of which the frame may hold several regions, one over the other."""
        first = sources[0]
        white, waves = 1.0, 0.0
        if first.correlation is not None:
            white = first.correlation.white
            amplitudes = [_amplitudes(sums[source.key], self._cell_variance(source, 1)) for source in sources]
            waves = _of_waves(
                first.correlation,
                [rows_of_map(first.correlation, s.window, a) for s, a in zip(sources, amplitudes, strict=True)],
            )
        if len(sources) == 1:
            return white * float(np.sum(_of_cells(sums[first.key], self._cell_variance(first, 1)))) + waves
        lengths = [self.shape[axis] for axis in first.axes]
        places = [
            [origin + step * np.arange(n) for (origin, step), n in zip(source.window, lengths, strict=True)]
            for source in sources
        ]
        lowest = [min(int(place[axis].min()) for place in places) for axis in range(len(lengths))]
        highest = [max(int(place[axis].max()) for place in places) for axis in range(len(lengths))]
        cells = np.zeros([high - low + 1 for low, high in zip(lowest, highest, strict=True)])
        variance = np.zeros_like(cells)
        for source, place in zip(sources, places, strict=True):
            where = np.ix_(*(axis - low for axis, low in zip(place, lowest, strict=True)))
            cells[where] += sums[source.key]
            variance[where] = self._cell_variance(source, 1)
        return white * float(np.sum(_of_cells(cells, variance))) + waves

    def _cell_sums(self, source: NoiseSource, coefficient: Coefficient) -> NDArray[Any]:
        """Sum of weight times coefficient over the pixels of each cell."""
        across = tuple(axis for axis in range(len(self.shape)) if axis not in source.axes)
        values = np.asarray(coefficient.evaluate(self.data), dtype=np.float64)
        # Pixels without weight do not count, even if they are NaN.
        weighted = np.multiply(self.weights, values, where=self.weights != 0, out=np.zeros(self.shape))
        return np.asarray(weighted.sum(axis=across))

    def _cell_variance(self, source: NoiseSource, power: float) -> NDArray[Any]:
        """Variance of each cell, to a power."""
        return self._of_each_cell(variance_power(source.variance.evaluate(), power), source)

    def _linked(self, sums: NDArray[Any], source: NoiseSource, amplitude: Coefficient, power: float) -> NDArray[Any]:
        """The cells' sums times what a link multiplies them by; a cell without weight does not count."""
        factor = self._of_each_cell(amplitude.evaluate(), source) * self._cell_variance(source, power)
        with np.errstate(invalid="ignore"):
            return np.where(sums == 0, 0, sums * factor)

    def _of_each_cell(self, value: float | NDArray[Any], source: NoiseSource) -> NDArray[Any]:
        """A value that is constant over each cell, with the shape of ``_cell_sums``."""
        spread = np.broadcast_to(np.asarray(value, dtype=np.float64), self.shape)
        first = tuple(slice(None) if axis in source.axes else 0 for axis in range(len(self.shape)))
        return np.asarray(spread[first])


class ListedSums:
    """
    Sums over listed pixels of an image, one for each place, place by place and row by row at each.

    Each array is looked up once, for all terms.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        data: NDArray[Any] | None,
        number: int,
        place: NDArray[np.intp],
        row: NDArray[np.intp],
        column: NDArray[np.intp],
    ) -> None:
        self.shape, self.number, self.place, self.along = shape, number, place, (row, column)
        self.first = _beginnings(place)
        self.measured = place[self.first]
        self.where = row * shape[1] + column
        self.own = None if data is None else ArrayRef(data).at(self.where, shape)
        self._known: dict[ArrayRef, ArrayRef] = {}
        self._orders: dict[tuple[int, ...], tuple[NDArray[np.intp] | slice, NDArray[np.intp]]] = {}

    def values(self, factored: Coefficient) -> NDArray[np.float64]:
        """What a coefficient or a variance is at the pixels."""
        value = factored.at(self.where, self.shape, self._known).evaluate(self.own)
        return np.broadcast_to(np.asarray(value, dtype=np.float64), self.where.shape)

    def totals(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The sum of the values of each place."""
        sums = np.zeros(self.number)
        if len(self.first):
            sums[self.measured] = np.add.reduceat(values, self.first, dtype=np.float64)
        return sums

    def variances(self, terms: Sequence[Term], weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The variances of the weighted sums by source, if no two terms have noise in common."""
        total = {source.name: np.zeros(self.number) for source, _ in terms}
        for source, coefficient in terms:
            weighted, variance = weights * self.values(coefficient), self.values(source.variance)
            if len(source.axes) == len(self.shape) or not len(self.first):
                if source.correlation is not None and len(self.first):
                    total[source.name] += self._of_correlated(source, _amplitudes(weighted, variance))
                else:
                    total[source.name] += self.totals(_of_cells(weighted, variance))
                continue
            order, first = self._cells(source.axes)
            cells = _of_cells(np.add.reduceat(weighted[order], first), variance[order][first])
            total[source.name] += np.bincount(self.place[first], weights=cells, minlength=self.number)
        return total

    def _of_correlated(self, source: NoiseSource, amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sums over the pixels of a source whose neighbours go together."""
        from astro_calib.kernels.waves import along_runs

        together = source.correlation
        assert together is not None
        _, first = self._cells((0,))
        row, column = self.along
        table = wave_table(together, source.window[1], self.shape[1])
        waves = along_runs(amplitudes, column, first, table).view(np.complex128)
        rows = cells_along(source.window, 0, self.shape[0])[row[first]]
        sums = RowSums(rows, np.add.reduceat(amplitudes, first), waves)
        found = together.white * self.totals(np.square(amplitudes))
        found[self.measured] += sum_covariance(together, sums, sums, _beginnings(self.place[first]))
        return found

    def _cells(self, axes: tuple[int, ...]) -> tuple[NDArray[np.intp] | slice, NDArray[np.intp]]:
        """An order of the pixels in which those of one cell of a source follow each other, and where each begins."""
        if axes not in self._orders:
            # The list is in the order of places and rows; no order here changes that of the places.
            order = np.lexsort((self.along[1], self.place)) if axes == (1,) else slice(None)
            self._orders[axes] = order, _beginnings(self.place, *(self.along[axis][order] for axis in axes))
        return self._orders[axes]


def _beginnings(*keys: NDArray[Any]) -> NDArray[np.intp]:
    """Where each run of equal keys begins."""
    changes = np.ones(len(keys[0]), dtype=bool)
    changes[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(changes)
