"""
Trials of sky, fringes and illumination: what a few numbers are off by is off in all pixels, and in all frames.

The apertures are left out of the fits, as stars are.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib import steps
from astro_calib.characterize import illumination, running_sky
from astro_calib.frame.frame import CCDFrame
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.source import NoiseSource
from astro_calib.stack.combination import combine
from astro_calib.stack.noise import budget_of
from astro_calib.validation.trials import skies
from astro_calib.validation.trials.rows import row
from astro_calib.validation.trials.skies import (
    APERTURES,
    LAMP,
    LIT,
    NOISE,
    OFFSETS,
    OVERSCAN,
    PATTERN_NOISE,
    PLACES,
    SHAPE,
    SIDE,
    SIGNAL,
    SMALL,
    Skies,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors, Trial
    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS"]


def frame(pixels: NDArray[Any], variance: Any, overscan: float = 0.0) -> CCDFrame:
    """A frame of known noise."""
    data = pixels.astype(np.float32)
    sources = [NoiseSource("read noise", variance)]
    sources += [NoiseSource("overscan", overscan**2, axes=())] if overscan else []
    terms = [(source, 1.0) for source in sources]
    return CCDFrame(data, unit="electron", budget=UncertaintyBudget(data.shape, terms, np.float32, data))


def stacked(frames: list[CCDFrame]) -> CCDFrame:
    """The mean, or the only frame."""
    return combine(frames) if len(frames) > 1 else frames[0]


def less_sky(_: Package, drawn: Skies) -> CCDFrame:
    """Frames less the sky that is fitted to each."""
    given = [frame(pixels, NOISE**2, OVERSCAN) for pixels in drawn.frames]
    return stacked([steps.subtract_sky(one, objects=APERTURES) for one in given])


def less_running_sky(_: Package, drawn: Skies) -> CCDFrame:
    """Frames of a series less the sky of their neighbours, shifted to each other."""
    given = [frame(pixels, NOISE**2, OVERSCAN) for pixels in drawn.frames]
    less = [one - running_sky(given, index) for index, one in enumerate(given)]
    return stacked(
        [
            one[down : down + SMALL[0], right : right + SMALL[1]]
            for one, (down, right) in zip(less, OFFSETS, strict=True)
        ]
    )


def less_fringes(_: Package, drawn: Skies) -> CCDFrame:
    """Frames less their fringes, and less what of the sky is known."""
    pattern = frame(drawn.masters[0], PATTERN_NOISE**2)
    known = (300 + 20 * skies.U).astype(np.float32) * u.electron
    given = [frame(pixels, NOISE**2) for pixels in drawn.frames]
    for one in given:
        one.mask = APERTURES
    less = [steps.subtract_fringe(one, pattern).subtract(known) for one in given]
    for one in less:
        one.mask = None
    return stacked(less)


def lit(_: Package, drawn: Skies) -> CCDFrame:
    """Frames under the flat of a lamp with the illumination of the sky."""
    *twilight, lamp = drawn.masters
    flat = frame(lamp, np.full(SHAPE, LAMP, dtype=np.float32))
    of_sky = [frame(pixels, (skies.TWILIGHT * LIT).astype(np.float32)) for pixels in twilight]
    for one in of_sky:
        one.mask = APERTURES
    correction = illumination(of_sky, flat, degree=3)
    given = [frame(pixels, (SIGNAL * LIT).astype(np.float32)) for pixels in drawn.frames]
    return stacked([steps.illumination_correct(steps.flat_correct(one, flat), correction) for one in given])


def apertures(_: Package, result: CCDFrame, truth: float, __: Skies) -> Errors:
    """The errors of the sums over apertures; each has a variance of its own, since surfaces are larger at the edges."""
    return of_boxes(result, truth, PLACES, PLACES)


def everywhere(_: Package, result: CCDFrame, truth: float, __: Skies) -> Errors:
    """The errors of the sums over boxes side by side, of which one variance stands for all."""
    places = [(y, x) for y in range(0, SMALL[0] - SIDE, SIDE) for x in range(0, SMALL[1] - SIDE, SIDE)]
    return of_boxes(result, truth, places, [places[len(places) // 2]])


def of_boxes(result: CCDFrame, truth: float, places: list[tuple[int, int]], asked: list[tuple[int, int]]) -> Errors:
    """The errors of the sums over boxes, with the mean of the variances of those that are asked for."""
    ones = np.ones((SIDE, SIDE))

    def box(place: tuple[int, int]) -> tuple[slice, slice]:
        return slice(place[0], place[0] + SIDE), slice(place[1], place[1] + SIDE)

    sums = [float(np.sum(result.pixels[box(place)], dtype=np.float64)) for place in places]
    predicted = np.mean([budget_of(result[box(place)]).variance_of_sum(ones) for place in asked])
    return np.array(sums) - SIDE**2 * truth, np.full(len(sums), predicted)


def trials(
    step: str,
    what: str,
    draw: Any,
    reduce: Any,
    truth: float,
    realisations: int,
    of: Any = apertures,
    number: int = 1,
    of_pixels: int = 20,
) -> list[Trial]:
    """Of the pixels, and of the sums over apertures; with so many realisations of these, and of the pixels."""
    name = what if number == 1 else f"{what}, mean of {number}"
    drawn = partial(draw, number=number)
    return [
        row(step, f"{name}: pixel", drawn, reduce, truth, ccdproc=False, realisations=of_pixels),
        row(
            step,
            f"{name}: sum over an aperture",
            drawn,
            reduce,
            truth,
            of=of,
            ccdproc=False,
            realisations=realisations,
            tolerance=0.02,
        ),
    ]


TRIALS = (
    *trials("illumination", "of three flats of the sky", skies.illuminated, lit, SIGNAL, 500),
    *trials("illumination", "of three flats of the sky", skies.illuminated, lit, SIGNAL, 950, number=10, of_pixels=60),
    *trials("fringe", "fitted to the frame", skies.fringed, less_fringes, 0.0, 300),
    *trials("fringe", "fitted to the frame", skies.fringed, less_fringes, 0.0, 300, number=10),
    *trials("sky", "fitted to the frame", skies.sloping, less_sky, 0.0, 250),
    *trials("sky", "fitted to the frame", skies.sloping, less_sky, 0.0, 300, number=10),
    *trials("sky", "of the neighbours, dithered", skies.series, less_running_sky, 0.0, 200, everywhere, 10),
)
