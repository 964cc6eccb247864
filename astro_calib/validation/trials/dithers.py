"""Trials of stacks under one master of frames that were shifted by whole pixels, in pixels and in apertures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.stack.combination import combine
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials.combiner import combined_by_ccdproc
from astro_calib.validation.trials.gaussian import (
    LEVEL,
    Frames,
    as_ccddata,
    as_frames,
    errors_of,
    errors_of_ccddata,
    simulate_frames,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.nddata import CCDData
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["TRIALS", "aperture"]

NUMBER, SELF_DATA, MASTER = 25, 5.0, 5.0
#: Side of what all frames have in common, for each dither: neighbouring apertures have more in common if it is large.
SIDES = {0: 96, 1: 96, 5: 160, 15: 200}
RADIUS = 5


class Dithered(NamedTuple):
    """
    Frames under one master, and for each where the field begins in it: offsets of shape (n, 2).

    The place says of which aperture the variance is asked for: two numbers between 0 and 1.
    """

    frames: Frames
    offsets: NDArray[np.intp]
    place: NDArray[np.float64]


def aperture(radius: int) -> NDArray[np.float64]:
    """1 where the centre of a pixel lies in the aperture, shape (2 radius + 1, 2 radius + 1)."""
    distance = np.hypot(*np.ogrid[-radius : radius + 1, -radius : radius + 1])
    return (distance <= radius).astype(float)


def _draw(rng: np.random.Generator, dither: int, side: int) -> Dithered:
    """Each frame is shifted along both axes by a whole number of pixels, of all up to ``dither`` with equal chance."""
    length = side + 2 * dither
    frames = simulate_frames(rng, sigmas=(SELF_DATA,) * NUMBER, shape=(length, length), master_sigma=MASTER)
    return Dithered(frames, rng.integers(0, 2 * dither + 1, (NUMBER, 2)), rng.random(2))


def _cuts(offsets: NDArray[np.intp], shape: tuple[int, ...]) -> Iterable[tuple[slice, slice]]:
    """What all frames have in common, if the largest offset leaves just that."""
    side = shape[-1] - int(offsets.max(initial=0))
    return [(slice(y, y + side), slice(x, x + side)) for y, x in offsets.tolist()]


def _stack(drawn: Dithered) -> CCDFrame:
    cuts = _cuts(drawn.offsets, drawn.frames.values.shape)
    return combine([frame[cut] for frame, cut in zip(as_frames(drawn.frames), cuts, strict=True)])


def _stack_by_ccdproc(drawn: Dithered) -> CCDData:
    cuts = _cuts(drawn.offsets, drawn.frames.values.shape)
    return combined_by_ccdproc([frame[cut] for frame, cut in zip(as_ccddata(drawn.frames), cuts, strict=True)])


def _pixels(drawn: Dithered) -> Errors:
    return errors_of(_stack(drawn))


def _pixels_by_ccdproc(drawn: Dithered) -> Errors:
    return errors_of_ccddata(_stack_by_ccdproc(drawn))


def _apertures(drawn: Dithered) -> Errors:
    """
    Errors of the mean signal in apertures, times the root of their number of pixels.

    All pixels of the stack have the same noise, so that the variance of one aperture stands for that of all.
    """
    stack = _stack(drawn)
    weights = aperture(RADIUS)
    number = weights.sum()
    y, x = (drawn.place * (np.array(stack.shape) - len(weights) + 1)).astype(int)
    budget = stack[y : y + len(weights), x : x + len(weights)].known_budget
    assert budget is not None
    errors = _sums_over_apertures(stack.data - LEVEL) / np.sqrt(number)
    return errors, np.full(errors.shape, budget.variance_of_sum(weights) / number)


def _apertures_by_ccdproc(drawn: Dithered) -> Errors:
    """The same, the errors of the pixels added in quadrature, as photutils does."""
    stack = _stack_by_ccdproc(drawn)
    number = aperture(RADIUS).sum()
    variances = _sums_over_apertures(stack.uncertainty.array**2) / number
    return _sums_over_apertures(stack.data - LEVEL) / np.sqrt(number), variances


def _sums_over_apertures(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Over apertures three pixels apart.

    They overlap, since hardly anything more is learned from more of them, but from fewer less.
    """
    from scipy.signal import fftconvolve

    return np.asarray(fftconvolve(values, aperture(RADIUS), mode="valid")[::3, ::3])


def _trials(dither: int) -> tuple[Trial, ...]:
    amount = f"dithered by up to {dither} pixel{'' if dither == 1 else 's'}" if dither else "without dithers"
    what = f"mean of 25 under one master, {amount}"
    return (
        Trial(
            step="shared noise",
            what=f"{what}: pixel",
            draw=partial(_draw, dither=dither, side=40),
            reduce=_pixels,
            with_ccdproc=_pixels_by_ccdproc,
            realisations=150 if dither == 1 else 80,
        ),
        Trial(
            step="shared noise",
            what=f"{what}: aperture sum / sqrt(81)",
            draw=partial(_draw, dither=dither, side=SIDES[dither]),
            reduce=_apertures,
            with_ccdproc=_apertures_by_ccdproc,
            realisations={0: 360, 1: 500, 5: 320, 15: 320}[dither],
        ),
    )


TRIALS = tuple(trial for dither in SIDES for trial in _trials(dither))
