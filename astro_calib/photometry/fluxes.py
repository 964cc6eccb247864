"""Fluxes as weighted sums over pixels, with their variances, source by source; for all places at once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.noise.arrays import ArrayRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from astro_calib.kernels.apertures import Listed
    from astro_calib.noise.budget import UncertaintyBudget
    from astro_calib.noise.coefficient import Coefficient

__all__ = ["COMPONENTS", "Fluxes", "measure"]

#: What the error of a flux is made of; the shot noise of a frame is split into that of source and sky.
COMPONENTS = ("source", "sky", "read_noise", "dark", "bias", "flat", "other")
#: Which part of the budget goes where; what is not here is "other".
SOURCE_NAMES = {"read noise": "read_noise", "dark": "dark", "bias": "bias", "flat": "flat"}
SHOT_NOISE = "shot noise"
#: About so many pixels are worked on together.
PIXELS = 1 << 17


class Fluxes(NamedTuple):
    """
    What was measured at a number of places.

    Attributes
    ----------
    flux : ndarray of float64, shape (n,)
        In the unit of the frame; NaN where nothing can be measured.
    variances : dict of str to ndarray of float64, shape (n,)
        For each of ``COMPONENTS``, in the square of that unit.
    """

    flux: NDArray[np.float64]
    variances: dict[str, NDArray[np.float64]]

    @property
    def error(self) -> NDArray[np.float64]:
        """The standard deviation of the flux."""
        return np.sqrt(sum(self.variances.values(), np.zeros_like(self.flux)))


def measure(data: NDArray[Any], budget: UncertaintyBudget, listed: Listed) -> Fluxes:
    """
    The fluxes in apertures, and the variances of them by kind of source.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        The frame.
    budget : UncertaintyBudget
        Of the frame.
    listed : Listed
        As ``weigh`` made it.

    Returns
    -------
    Fluxes
    """
    parts = [_measure(data, budget, part) for part in _parts(listed)]
    fluxes = np.concatenate([part.flux for part in parts])
    return Fluxes(fluxes, {name: np.concatenate([part.variances[name] for part in parts]) for name in COMPONENTS})


def _parts(listed: Listed) -> Iterator[Listed]:
    """The list a number of places at a time, so few that what is worked out for their pixels takes little memory."""
    number = len(listed.n_missing)
    step = max(1, PIXELS * number // max(1, len(listed.place)))
    for first in range(0, max(1, number), step):
        yield listed.of_places(first, min(first + step, number))


def _measure(data: NDArray[Any], budget: UncertaintyBudget, listed: Listed) -> Fluxes:
    looked_up = _LookedUp(data, budget, listed)
    parts = {name: np.zeros(looked_up.number) for name in COMPONENTS}
    shot = np.zeros(looked_up.number)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = _one_by_one(budget, listed) if any(budget.pairs()) else looked_up.variances_of_sums()
        for name, variance in sums.items():
            if name == SHOT_NOISE:
                shot = variance
            else:
                parts[SOURCE_NAMES.get(name, "other")] += variance
        of_star = looked_up.shot_noise_of_source()
        parts["source"] = np.minimum(np.maximum(of_star, 0.0), np.maximum(shot, 0.0))
        parts["sky"] = shot - parts["source"]
        variances = _without_negative(parts)
        fluxes = looked_up.totals(listed.weight * looked_up.pixels)
    nothing = np.ones(looked_up.number, dtype=bool)
    nothing[looked_up.measured] = False
    for values in (fluxes, *variances.values()):
        values[nothing] = np.nan
    return Fluxes(fluxes, variances)


class _LookedUp:
    """A frame and its budget at the pixels of a list: each array is looked up once, for all terms."""

    def __init__(self, data: NDArray[Any], budget: UncertaintyBudget, listed: Listed) -> None:
        self.budget, self.listed = budget, listed
        self.number = len(listed.n_missing)
        self.first = _beginnings(listed.place)
        self.measured = listed.place[self.first]
        self.where = listed.row * budget.shape[1] + listed.column
        self.pixels = ArrayRef(data).at(self.where, budget.shape).astype(np.float64)
        self.own = None if budget.data is None else ArrayRef(budget.data).at(self.where, budget.shape)
        self.known: dict[ArrayRef, ArrayRef] = {}
        self.cells: dict[tuple[int, ...], tuple[NDArray[np.intp] | slice, NDArray[np.intp]]] = {}

    def values(self, factored: Coefficient) -> NDArray[np.float64]:
        value = factored.at(self.where, self.budget.shape, self.known).evaluate(self.own)
        return np.broadcast_to(np.asarray(value, dtype=np.float64), self.where.shape)

    def totals(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The sum of the values of each place."""
        sums = np.zeros(self.number)
        if len(self.first):
            sums[self.measured] = np.add.reduceat(values, self.first, dtype=np.float64)
        return sums

    def variances_of_sums(self) -> dict[str, NDArray[np.float64]]:
        """`UncertaintyBudget.variances_of_sum` for each place, if no two terms have noise in common."""
        total = {name: np.zeros(self.number) for name in self.budget.names}
        for source, coefficient in self.budget.terms:
            weighted, variance = self.listed.weight * self.values(coefficient), self.values(source.variance)
            by_cell = len(source.axes) < len(self.budget.shape) and len(self.first) > 0
            if by_cell:
                order, first = self._cells(source.axes)
                weighted, variance = np.add.reduceat(weighted[order], first), variance[order][first]
            squares = np.square(weighted)
            # A cell without weight does not count, whatever its variance is.
            values = np.where(squares == 0, 0.0, squares * variance)
            if by_cell:
                place = self.listed.place[first]
                total[source.name] += np.bincount(place, weights=values, minlength=self.number)
            else:
                total[source.name] += self.totals(values)
        return total

    def _cells(self, axes: tuple[int, ...]) -> tuple[NDArray[np.intp] | slice, NDArray[np.intp]]:
        """An order of the pixels in which those of one cell of a source follow each other, and where each begins."""
        if axes not in self.cells:
            place, along = self.listed.place, (self.listed.row, self.listed.column)
            # Place by place and row by row they are already; the places stay where they are in any order.
            order = np.lexsort((along[1], place)) if axes == (1,) else slice(None)
            self.cells[axes] = order, _beginnings(place, *(along[axis][order] for axis in axes))
        return self.cells[axes]

    def shot_noise_of_source(self) -> NDArray[np.float64]:
        """
        The part of the shot noise's variance that the electrons of the star bring.

        It is what the aperture's variance exceeds that of the annulus by; but not more than what belongs to the flux,
        where it is known how the variance goes with the signal: the electrons of a hot pixel, whose dark current was
        subtracted, are no starlight.
        """
        inside, place, background = self.listed.inside, self.listed.place, self.listed.background
        n_beside = np.maximum(self.totals(background), 1)
        in_aperture = np.flatnonzero(inside > 0)
        squared = np.square(inside[in_aperture])

        def excess_of(values: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
            """The sum over the aperture of what is above the mean of the annulus."""
            level = self.totals(np.where(background, values, 0.0)) / n_beside
            above = factor * (values[in_aperture] - level[place[in_aperture]])
            return np.bincount(place[in_aperture], weights=above, minlength=self.number).astype(np.float64)

        excess, of_flux = np.zeros(self.number), np.zeros(self.number)
        slopes_known = True
        for source, coefficient in self.budget.terms:
            if source.name != SHOT_NOISE:
                continue
            c = self.values(coefficient)
            excess += excess_of(c * c * self.values(source.variance), squared)
            of_flux += source.slope * excess_of(self.pixels, squared * np.abs(c[in_aperture]))
            slopes_known &= source.slope > 0
        return np.minimum(excess, of_flux) if slopes_known else excess


def _beginnings(*keys: NDArray[Any]) -> NDArray[np.intp]:
    """Where each run of equal keys begins."""
    changes = np.ones(len(keys[0]), dtype=bool)
    changes[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(changes)


def _one_by_one(budget: UncertaintyBudget, listed: Listed) -> dict[str, NDArray[np.float64]]:
    """The variances of the sums by source, where terms have noise in common that links the cells of one place."""
    number = len(listed.n_missing)
    total = {name: np.zeros(number) for name in budget.names}
    ends = np.searchsorted(listed.place, np.arange(number + 1))
    for index, (start, end) in enumerate(pairwise(ends)):
        if start == end:
            continue
        row, column = listed.row[start:end], listed.column[start:end]
        here = tuple(slice(int(along.min()), int(along.max()) + 1) for along in (row, column))
        weights = np.zeros([part.stop - part.start for part in here])
        weights[row - here[0].start, column - here[1].start] = listed.weight[start:end]
        for name, variance in budget[here].variances_of_sum(weights).items():
            total[name][index] = variance
    return total


def _without_negative(parts: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """
    The same sums of parts none of which is negative.

    Parts can be negative where two sources have noise in common, and where there are fewer counts than none; the others
    take over what they lack, in proportion.
    """
    total = np.maximum(sum(parts.values()), 0.0)
    positive = {name: np.maximum(variance, 0.0) for name, variance in parts.items()}
    scale = np.divide(total, sum(positive.values()), where=total != 0, out=np.zeros_like(total))
    return {name: variance * scale for name, variance in positive.items()}
