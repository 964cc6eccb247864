r"""
The covariance of each pixel of an image with each other one.

.. math:: \mathrm{Cov}(x, y) = \sum_k c_k(x)\, c_k(y)\, v_k \, \rho_k(x, y)

over the sources k, with :math:`\rho = 1` where both pixels hold the same cell, and less where the noise of neighbouring
cells goes together. It agrees with what `astro_calib.noise.sums` finds for any weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.sharing import Link, links, variance_power

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.noise.budget import UncertaintyBudget
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.window import Window

__all__ = ["covariance_matrix", "is_white"]


def is_white(budget: UncertaintyBudget) -> bool:
    """Whether no two pixels have noise in common."""
    own = all(len(source.axes) == len(budget.shape) and source.correlation is None for source, _ in budget.terms)
    return own and not any(budget.pairs())


def covariance_matrix(budget: UncertaintyBudget) -> NDArray[np.float64]:
    """The covariances of n pixels, in the order of the flattened frame, shape (n, n)."""
    pixels = _Pixels(budget)
    total = np.zeros((pixels.number, pixels.number))
    for source, coefficient in budget.terms:
        if pixels.each_has_a_cell(source) and source.correlation is None:
            np.einsum("ii->i", total)[:] += pixels.variances(source, coefficient)
            continue
        # Cells that go together may differ in their variance.
        powers = (1.0, 0.0) if source.correlation is None else (0.5, 0.5)
        one = Coefficient(1.0)
        own = Link(source.window, source.window, one, one, *powers, source.correlation)
        total += pixels.linked(own, source, coefficient, source, coefficient)
    for a, c_a, b, c_b in budget.pairs():
        for link in links(a, b):
            both = pixels.linked(link, a, c_a, b, c_b)
            total += both
            total += both.T
    return total


class _Pixels:
    """The pixels of a frame, in their order when it is flattened."""

    def __init__(self, budget: UncertaintyBudget) -> None:
        self.shape, self.data = budget.shape, budget.data
        self.places = [place.ravel() for place in np.indices(self.shape)]
        self.number = self.places[0].size

    def each_has_a_cell(self, source: NoiseSource) -> bool:
        """Whether no two pixels hold the same cell of a source."""
        return len(source.axes) == len(self.shape)

    def variances(self, source: NoiseSource, coefficient: Coefficient) -> NDArray[np.float64]:
        """The variance that a source gives to each pixel."""
        one = Coefficient(1.0)
        return self._amplitudes(source, coefficient, one, 1.0) * self._amplitudes(source, coefficient, one, 0.0)

    def linked(
        self, link: Link, a: NoiseSource, c_a: Coefficient, b: NoiseSource, c_b: Coefficient
    ) -> NDArray[np.float64]:
        """What each pixel (row) has in common with each other (column) by a link of two sources."""
        left = self._amplitudes(a, c_a, link.a, link.power_a)
        right = self._amplitudes(b, c_b, link.b, link.power_b)
        cells_a, cells_b = self._cells(link.window_a, a.axes), self._cells(link.window_b, b.axes)
        same = np.ones((self.number, self.number), dtype=bool)
        for one, other in zip(cells_a, cells_b, strict=True):
            same &= one[:, np.newaxis] == other
        product = np.where(same, np.outer(left, right), 0.0)
        if link.correlation is None:
            return product
        product *= link.correlation.white
        return product + _of_waves(link.correlation, (left, *cells_a), (right, *cells_b))

    def _amplitudes(
        self, source: NoiseSource, coefficient: Coefficient, amplitude: Coefficient, power: float
    ) -> NDArray[np.float64]:
        values = (
            coefficient.evaluate(self.data),
            amplitude.evaluate(),
            variance_power(source.variance.evaluate(), power),
        )
        return np.broadcast_to(np.asarray(np.prod(np.broadcast_arrays(*values), axis=0)), self.shape).ravel()

    def _cells(self, window: Window, axes: tuple[int, ...]) -> list[NDArray[np.intp]]:
        """The cell that each pixel holds, along each axis of a source."""
        return [origin + step * self.places[axis] for axis, (origin, step) in zip(axes, window, strict=True)]


def _of_waves(correlation: Correlation, a: tuple[Any, ...], b: tuple[Any, ...]) -> NDArray[np.float64]:
    """What pixels have in common through rows and tones; each side has amplitudes, rows and columns of cells."""
    coherent = ~np.isnan(correlation.waves[:, 2])
    found = np.zeros((a[0].size, b[0].size))
    same_row = a[1][:, np.newaxis] == b[1]
    level = correlation.level
    for goes_on in (True, False):
        chosen = coherent if goes_on else ~coherent
        if not chosen.any():
            continue
        part = correlation.waves[chosen, 0]
        waves = [_waves(correlation, chosen, side) for side in (a, b)]
        common = _real_product(waves[0] * part, waves[1])
        found += common if goes_on else np.where(same_row, common, 0.0)
        if level is None:
            continue
        seen = [_waves(correlation, chosen, side, level.axes) for side in (a, b)]
        amplitudes, squares = level.amplitudes[chosen], level.squares[chosen]
        change = _real_product(seen[0] * part * squares, seen[1])
        change -= _real_product(waves[0] * part, amplitudes * seen[1])
        change -= _real_product(amplitudes * seen[0] * part, waves[1])
        found += change if goes_on or level.axes != (0,) else np.where(same_row, change, 0.0)
    return found


def _waves(
    correlation: Correlation, chosen: NDArray[np.bool_], side: tuple[Any, ...], axes: tuple[int, ...] = (0, 1)
) -> NDArray[np.complex128]:
    """The waves at each pixel, along some axes, times the amplitude there, shape (n_pixels, n_waves)."""
    amplitude, rows, columns = side
    _, along_x, along_y = np.nan_to_num(correlation.waves[chosen]).T
    phase = np.zeros((len(rows), len(along_x)))
    if 0 in axes:
        phase += np.outer(rows, along_y)
    if 1 in axes:
        phase += np.outer(columns, along_x)
    return amplitude[:, np.newaxis] * np.exp(1j * phase)


def _real_product(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The real part of a times the conjugate of b, for each two pixels, added up over the waves."""
    return a.real @ b.real.T + a.imag @ b.imag.T
