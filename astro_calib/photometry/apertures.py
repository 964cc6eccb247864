r"""
One weight for each pixel around a star, so that flux and error are sums over one map.

.. math:: F = \sum_x w(x)\, z(x), \qquad w = a - \frac{\sum a}{n} b

with the part a of each pixel that lies in the aperture, and b = 1 for the n used pixels of the annulus, else 0.
What aperture and annulus have in common, such as the error of a level of the whole frame, cancels in w.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.budget import UncertaintyBudget

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


__all__ = ["COMPONENTS", "Aperture", "Fluxes", "Stamp", "measure", "stamp"]

#: Annulus pixels further than this many robust standard deviations from the median are stars and defects. It keeps
#: 99.7% of a Gaussian.
CLIP = 3.0
MAX_ROUNDS = 10
#: Standard deviations of Gaussian noise in its median absolute deviation: 1 / Phi^-1(3/4).
MAD_TO_SIGMA = 1.4826

#: Coefficients are multiplied out for a tile of about this many pixels on a side, not for each star, nor for the frame.
TILE = 256

#: What the error of a flux is made of; the shot noise of a frame is split into that of source and sky.
COMPONENTS = ("source", "sky", "read_noise", "dark", "bias", "flat", "other")
#: Which part of the budget goes where; what is not here is "other".
SOURCE_NAMES = {"read noise": "read_noise", "dark": "dark", "bias": "bias", "flat": "flat"}
SHOT_NOISE = "shot noise"


class Aperture(NamedTuple):
    """
    A circular aperture with its annulus, all radii in pixels.

    Attributes
    ----------
    radius : float
        Of the aperture; pixels on its edge count by the part that lies inside.
    inner, outer : float
        Of the annulus; the pixels count whose centre lies in it.
    """

    radius: float
    inner: float
    outer: float


class Stamp(NamedTuple):
    """
    The pixels around a star, and what they count; all arrays of the shape that ``slices`` cut out.

    Attributes
    ----------
    slices : tuple of slice
        Where they are in the frame.
    weights : ndarray of float64
        Aperture minus annulus; 0 everywhere if no pixel of either can be used.
    inside : ndarray of float64
        Aperture alone; 0 where a pixel is missing.
    background : ndarray of bool
        The pixels of the annulus that are used.
    touched : ndarray of bool
        Pixels of which a part lies in the aperture, the missing ones too.
    n_missing : int
        How many pixels of the aperture are missing, or outside of the frame.
    """

    slices: tuple[slice, slice]
    weights: NDArray[np.float64]
    inside: NDArray[np.float64]
    background: NDArray[np.bool_]
    touched: NDArray[np.bool_]
    n_missing: int


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


def stamp(data: NDArray[Any], missing: NDArray[np.bool_], x: float, y: float, aperture: Aperture) -> Stamp:
    """
    Weigh the pixels around a position.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        The frame in which stars are recognised in the annulus.
    missing : ndarray of bool, shape (ny, nx)
        True where a pixel cannot be used.
    x, y : float
        The position, from 0 at the centre of the first pixel; may be outside of the frame.
    aperture : Aperture
        What to weigh.

    Returns
    -------
    Stamp
    """
    from photutils.geometry import circular_overlap_grid

    first = [int(np.floor(center - aperture.outer)) for center in (y, x)]
    end = [int(np.ceil(center + aperture.outer)) + 1 for center in (y, x)]
    rows, columns = (
        slice(min(max(low, 0), length), min(max(high, 0), length))
        for low, high, length in zip(first, end, data.shape, strict=True)
    )
    height, width = end[0] - first[0], end[1] - first[1]
    left, low = first[1] - 0.5 - x, first[0] - 0.5 - y
    # The part of each pixel that is in the aperture, beyond the edges of the frame too.
    overlap = circular_overlap_grid(left, left + width, low, low + height, width, height, aperture.radius, 1, 1)
    within = overlap[rows.start - first[0] : rows.stop - first[0], columns.start - first[1] : columns.stop - first[1]]
    usable = ~missing[rows, columns]
    inside = np.where(usable, within, 0.0)
    distance = np.hypot(*np.ogrid[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x])
    background = usable & (distance >= aperture.inner) & (distance < aperture.outer)
    background[background] = _typical(data[rows, columns][background])
    number, area = np.count_nonzero(background), inside.sum()
    weights = inside - area / number * background if number and area else np.zeros_like(inside)
    n_missing = int(np.count_nonzero(overlap) - np.count_nonzero(inside))
    return Stamp((rows, columns), weights, inside, background, within > 0, n_missing)


def _typical(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are left after rejecting those that are not near the median, again and again."""
    if values.size == 0:
        return np.zeros(0, dtype=bool)
    # In sorted values those that are left are one interval, and their median is in the middle of it.
    ordered = np.sort(values)
    low, high = 0, ordered.size
    for _ in range(MAX_ROUNDS):
        kept = ordered[low:high]
        center = kept[kept.size // 2]
        deviation = np.abs(kept - center)
        reach = CLIP * MAD_TO_SIGMA * np.partition(deviation, kept.size // 2)[kept.size // 2]
        bounds = np.searchsorted(ordered, center - reach, "left"), np.searchsorted(ordered, center + reach, "right")
        if bounds == (low, high):
            break
        low, high = bounds
    return np.asarray((values >= ordered[low]) & (values <= ordered[high - 1]))


def measure(data: NDArray[Any], budget: UncertaintyBudget, stamps: Sequence[Stamp]) -> Fluxes:
    """
    The fluxes in apertures, and the variances of them by kind of source.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        The frame.
    budget : UncertaintyBudget
        Of the frame.
    stamps : sequence of Stamp
        As ``stamp`` made them.

    Returns
    -------
    Fluxes
    """
    fluxes = np.full(len(stamps), np.nan)
    variances = {name: np.full(len(stamps), np.nan) for name in COMPONENTS}
    for members in _neighbours(stamps):
        here = tuple(
            slice(min(one.start for one in along), max(one.stop for one in along))
            for along in zip(*(stamps[index].slices for index in members), strict=True)
        )
        pixels, local = data[here].astype(np.float64), _written_out(budget[here])
        for index in members:
            where = stamps[index]
            item = tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip(where.slices, here, strict=True))
            # What is in a pixel without weight may be anything.
            counted = np.where(where.weights != 0, pixels[item], 0.0)
            fluxes[index] = np.sum(where.weights * counted)
            for name, variance in _variances(counted, local[item], where).items():
                variances[name][index] = variance
    return Fluxes(fluxes, variances)


def _neighbours(stamps: Sequence[Stamp]) -> Iterable[list[int]]:
    """The indices of stamps that can be measured, those that are close together in one list."""
    tiles: dict[tuple[int, ...], list[int]] = {}
    for index, where in enumerate(stamps):
        if where.weights.any():
            tiles.setdefault(tuple(part.start // TILE for part in where.slices), []).append(index)
    return tiles.values()


def _written_out(budget: UncertaintyBudget) -> UncertaintyBudget:
    """The same budget with its coefficients multiplied out, once for all stamps that are cut from it."""
    terms = [(source, coefficient.evaluate(budget.data)) for source, coefficient in budget.terms]
    return UncertaintyBudget(budget.shape, terms, budget.dtype, budget.data)


def _variances(pixels: NDArray[np.float64], cut: UncertaintyBudget, where: Stamp) -> dict[str, float]:
    """The variance of one flux, for each of ``COMPONENTS``."""
    parts = dict.fromkeys(COMPONENTS, 0.0)
    shot = 0.0
    for name, variance in cut.variances_of_sum(where.weights).items():
        if name == SHOT_NOISE:
            shot = variance
        else:
            parts[SOURCE_NAMES.get(name, "other")] += variance
    parts["source"] = min(max(_shot_noise_of_source(pixels, cut, where), 0.0), max(shot, 0.0))
    parts["sky"] = shot - parts["source"]
    return _without_negative(parts)


def _shot_noise_of_source(pixels: NDArray[np.float64], cut: UncertaintyBudget, where: Stamp) -> float:
    """
    The part of the shot noise's variance that the electrons of the star bring.

    It is what the aperture's variance exceeds that of the annulus by; but not more than what belongs to the flux, where
    it is known how the variance goes with the signal: the electrons of a hot pixel, whose dark current was subtracted,
    are no starlight.
    """
    excess = of_flux = 0.0
    slopes_known = True
    squared, level = where.inside**2, np.mean(pixels[where.background])
    aperture = squared > 0
    for source, coefficient in cut.terms:
        if source.name != SHOT_NOISE:
            continue
        c = np.broadcast_to(np.asarray(coefficient.evaluate(cut.data), dtype=np.float64), cut.shape)
        variance = c * c * np.asarray(source.variance.evaluate(), dtype=np.float64)
        excess += float(np.sum(squared * (variance - np.mean(variance[where.background])), where=aperture))
        of_flux += source.slope * float(np.sum(squared * np.abs(c) * (pixels - level), where=aperture))
        slopes_known &= source.slope > 0
    return min(excess, of_flux) if slopes_known else excess


def _without_negative(parts: dict[str, float]) -> dict[str, float]:
    """
    The same sum of parts none of which is negative.

    Parts can be negative where two sources have noise in common, and where there are fewer counts than none; the others
    take over what they lack, in proportion.
    """
    total = max(0.0, sum(parts.values()))
    positive = {name: max(0.0, variance) for name, variance in parts.items()}
    scale = total / sum(positive.values()) if total > 0 else 0.0
    return {name: variance * scale for name, variance in positive.items()}
