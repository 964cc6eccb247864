"""Fluxes as weighted sums over pixels, with their variances, source by source; for all places at once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.sums import ListedSums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from astro_calib.kernels.apertures import Listed
    from astro_calib.noise.budget import UncertaintyBudget

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
    """The fluxes in apertures that ``weigh`` has listed, and their variances by kind of source."""
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
    number = len(listed.n_missing)
    sums = ListedSums(budget.shape, budget.data, number, listed.place, listed.row, listed.column)
    pixels = ArrayRef(data).at(sums.where, budget.shape).astype(np.float64)
    parts = {name: np.zeros(number) for name in COMPONENTS}
    shot = np.zeros(number)
    with np.errstate(invalid="ignore", over="ignore"):
        linked = any(budget.pairs())
        by_source = _one_by_one(budget, listed) if linked else sums.variances(budget.terms, listed.weight)
        for name, variance in by_source.items():
            if name == SHOT_NOISE:
                shot = variance
            else:
                parts[SOURCE_NAMES.get(name, "other")] += variance
        of_star = _shot_noise_of_source(pixels, budget, listed, sums)
        parts["source"] = np.minimum(np.maximum(of_star, 0.0), np.maximum(shot, 0.0))
        parts["sky"] = shot - parts["source"]
        variances = _without_negative(parts)
        fluxes = sums.totals(listed.weight * pixels)
    nothing = np.ones(number, dtype=bool)
    nothing[sums.measured] = False
    for values in (fluxes, *variances.values()):
        values[nothing] = np.nan
    return Fluxes(fluxes, variances)


def _shot_noise_of_source(
    pixels: NDArray[np.float64], budget: UncertaintyBudget, listed: Listed, sums: ListedSums
) -> NDArray[np.float64]:
    """
    The part of the shot noise's variance that the electrons of the star bring.

    It is what the aperture's variance exceeds that of the annulus by; but not more than what belongs to the flux,
    where it is known how the variance goes with the signal: the electrons of a hot pixel, whose dark current was
    subtracted, are no starlight.
    """
    inside, place, background = listed.inside, listed.place, listed.background
    n_beside = np.maximum(sums.totals(background), 1)
    in_aperture = np.flatnonzero(inside > 0)
    squared = np.square(inside[in_aperture])

    def excess_of(values: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over the aperture of what is above the mean of the annulus."""
        level = sums.totals(np.where(background, values, 0.0)) / n_beside
        above = factor * (values[in_aperture] - level[place[in_aperture]])
        return np.bincount(place[in_aperture], weights=above, minlength=sums.number).astype(np.float64)

    excess, of_flux = np.zeros(sums.number), np.zeros(sums.number)
    slopes_known = True
    for source, coefficient in budget.terms:
        if source.name != SHOT_NOISE:
            continue
        c = sums.values(coefficient)
        excess += excess_of(c * c * sums.values(source.variance), squared)
        of_flux += source.slope * excess_of(pixels, squared * np.abs(c[in_aperture]))
        slopes_known &= source.slope > 0
    return np.minimum(excess, of_flux) if slopes_known else excess


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
