"""What calibrated frames say: the noise of their sky, what two have in common, and what the dark leaves."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.arguments import described
from astro_calib.characterize.audit.samples import Common, Evidence, Pattern, Sample
from astro_calib.characterize.audit.stars import StarSeries
from astro_calib.characterize.lags import REACH, autocovariance, folded
from astro_calib.characterize.read_noise import CLIP, grown, robust_width
from astro_calib.detector.correlation import averaged
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.budget import UncertaintyBudget

__all__ = ["evidence_of_science"]

#: The sky is the mean over tiles of this side, pixels; of which this part must be free of objects.
TILE, FREE = 32, 0.3
#: Fewer pixels of sky say little.
FEWEST = 2000
#: Objects that nobody sees make the sky's noise larger by so much.
UNSEEN = 0.02
#: Their covariances may be this part of the variance.
CORRELATED = 0.03
#: Where all neighbours have more than this part of the variance in common the sky is full of objects.
CROWDED = 0.05
#: Hot pixels stand out in the dark by so many of its standard deviations; fewer than this number say little. Those that
#: stand out by the third number are no sky.
HOT, FEW_HOT, WARM = 12.0, 8, 5.0
#: The names of the terms of a budget that belong to the shot noise and to the read-out noise.
SHOT, READ = "shot noise", "read noise"


class _Sky(NamedTuple):
    """A frame without its sky, and where it is nothing but sky."""

    frame: CCDFrame
    rest: NDArray[np.float64]
    good: NDArray[np.bool_]
    level: float


def evidence_of_science(
    frames: Iterable[Any], dark: CCDFrame | None, read_noise: float | None, *, series: bool
) -> Evidence:
    """
    All that calibrated frames say.

    They are compared two by two, and no more than two are held, however many there are.

    Parameters
    ----------
    frames : iterable of CCDFrame
        With their budgets.
    dark : CCDFrame or None
        The master dark that was subtracted from them.
    read_noise : float or None
        The stated one, electron.
    series : bool
        Whether to measure the stars of the first frame in all others.

    Returns
    -------
    Evidence
        Differences of two frames of one shape and filter, what they have in common, and what the dark left.
    """
    waiting: dict[tuple[Any, ...], _Sky] = {}
    samples, common, remarks = [], [], []
    left = None if dark is None else _LeftByDark(dark)
    stars = StarSeries() if series else None
    for number, frame in enumerate(frames, start=1):
        if getattr(frame, "known_budget", None) is None:
            msg = (
                f"science frame {number} is {described(frame)} without an error; an audit needs calibrated frames with "
                "their budgets, from calibrate or from the files that reduce wrote."
            )
            raise FrameError(msg)
        if stars is not None:
            stars.add(frame)
        sky = _sky_of(frame, None if left is None else left.warm)
        if sky is None:
            remarks.append(f"{frame.name} is left out: it has no {FEWEST} pixels of empty sky")
            continue
        if left is not None:
            left.add(sky)
        setup = frame.shape, str(frame.meta.get("FILTER", ""))
        other = waiting.pop(setup, None)
        if other is None:
            waiting[setup] = sky
        else:
            sample = _difference(other, sky, read_noise)
            if _crowded(sample):
                emptier, full = sorted((other, sky), key=lambda one: _common_part(_single(one, read_noise)))
                if _crowded(_single(emptier, read_noise)):
                    remarks.append(
                        f"{other.frame.name} and {sky.frame.name} are left out: faint objects fill their sky"
                    )
                else:
                    waiting[setup] = emptier
                    remarks.append(f"{full.frame.name} is left out: faint objects fill its sky")
                continue
            samples.append(sample)
            common.append(_common(other, sky, 0.0 if left is None else left.level))
    if samples:
        remarks += [f"{sky.frame.name} is left over: frames are compared two by two" for sky in waiting.values()]
    else:
        samples = [one for sky in waiting.values() if not _crowded(one := _single(sky, read_noise))]
    pattern = None if left is None else left.pattern()
    return Evidence(
        samples=tuple(sample for sample in samples if sample.pixels >= FEWEST),
        common=tuple(common),
        patterns=() if pattern is None else (pattern,),
        stars=None if stars is None else stars.series(),
        remarks=tuple(remarks),
    )


def _sky_of(frame: CCDFrame, hot: NDArray[np.bool_] | None) -> _Sky | None:
    """The frame less the mean of its sky in tiles, without objects and outliers."""
    from astro_calib.photometry.sky_noise import object_mask

    variance = np.asarray(frame.variance)
    mask = np.zeros(frame.shape, bool) if frame.mask is None else np.asarray(frame.mask, bool)
    mask = mask | ~np.isfinite(frame.pixels) | ~np.isfinite(variance)
    # What the dark leaves of hot pixels is judged by itself, and is no star.
    if hot is not None and hot.shape == mask.shape:
        mask |= grown(hot)
    good = ~(mask | object_mask(frame.pixels, variance, mask, step=frame.digital_step or 0.0))
    data = np.nan_to_num(frame.pixels.astype(float))
    rest = np.full(frame.shape, np.nan)
    level = []
    for rows in _parts(frame.shape[0]):
        for columns in _parts(frame.shape[1]):
            here = (rows, columns)
            used = good[here]
            if used.sum() < FREE * used.size:
                good[here] = False
                continue
            for _ in range(3):
                values = data[here][used]
                centre, width = float(np.mean(values)), robust_width(values)
                used = good[here] & (np.abs(data[here] - np.median(values)) <= CLIP * width)
            good[here] = used
            rest[here] = (data[here] - float(np.mean(data[here][used]))) * np.sqrt(1 + 1 / used.sum())
            level.append(centre)
    if good.sum() < FEWEST:
        return None
    return _Sky(frame, rest, good, float(np.median(level)))


def _parts(length: int) -> list[slice]:
    number = max(length // TILE, 1)
    edges = np.linspace(0, length, number + 1).astype(int)
    return [slice(int(low), int(high)) for low, high in pairwise(edges)]


def _sample(
    rest: NDArray[np.float64],
    good: NDArray[np.bool_],
    budget: UncertaintyBudget,
    level: float,
    flat: float,
    read_noise: float | None,
    frames: int,
) -> Sample:
    # What is one draw for the whole frame, such as the gain's error, makes no pixel differ from its neighbour.
    scattering = budget.with_terms((source, c * -1) for source, c in budget.terms if not source.axes)
    means = {name: _mean(value, good) for name, value in scattering.variances().items()}
    correlation, correlated = _together(budget, good)
    shot, read = means.pop(SHOT, 0.0), means.pop(READ, 0.0)
    return Sample(
        kind="science",
        level=level,
        lags=folded(autocovariance([rest], good).values).ravel(),
        ring=True,
        pixels=float(good.sum()),
        draws=1.0,
        shape=good.shape,
        # In a calibrated frame the read-out noise is divided by the flat; a frame's own is not the stated one.
        reads=read / read_noise**2 if read_noise and read and correlation is None else float(frames),
        read=read,
        shot=shot,
        other=sum(means.values()),
        flat=flat,
        doubt=UNSEEN,
        unseen=CORRELATED,
        correlation=correlation,
        correlated=correlated,
    )


def _together(budget: UncertaintyBudget, good: NDArray[np.bool_]) -> tuple[Correlation | None, float]:
    """How the read-out noise of neighbours goes together, and the variance of all that has it."""
    parts = []
    for source, coefficient in budget.terms:
        if source.correlation is not None:
            variance = coefficient.product(coefficient).product(source.variance).evaluate(budget.data)
            parts.append((_mean(variance, good), source.correlation, source.window))
    return averaged(parts), sum(part[0] for part in parts)


def _mean(value: float | NDArray[Any], good: NDArray[np.bool_]) -> float:
    return float(np.mean(np.broadcast_to(value, good.shape)[good], dtype=float))


def _difference(one: _Sky, other: _Sky, read_noise: float | None) -> Sample:
    """Two frames against each other: what they have in common cancels."""
    good = one.good & other.good
    budget = one.frame.subtract(other.frame).known_budget
    assert budget is not None
    level = (one.level + other.level) / 2
    return _sample(one.rest - other.rest, good, budget, level, (one.level - other.level) ** 2, read_noise, 2)


def _single(sky: _Sky, read_noise: float | None) -> Sample:
    budget = sky.frame.known_budget
    assert budget is not None
    return _sample(sky.rest, sky.good, budget, sky.level, sky.level**2, read_noise, 1)


def _common_part(sample: Sample) -> float:
    """The part of the variance that a pixel has in common with its neighbours on all sides, as no read-out makes it."""
    lags = sample.lags.reshape(REACH + 1, REACH + 1) / sample.lags[0]
    return float(min(lags[0, 1], lags[1, 0], lags[1, 1]))


def _crowded(sample: Sample) -> bool:
    return _common_part(sample) > CROWDED


def _common(one: _Sky, other: _Sky, dark: float) -> Common:
    """The covariance of two frames' sky beyond that of the masters which they share."""
    good = one.good & other.good
    budgets = one.frame.known_budget, other.frame.known_budget
    assert budgets[0] is not None
    assert budgets[1] is not None
    number = max(int(good.sum()), 1)
    shared = _mean(budgets[0].covariance(budgets[1]), good)
    product = (one.rest * other.rest)[good]
    # Faint objects are in both frames.
    unseen = (UNSEEN / 2) * float(np.sqrt(np.mean(one.rest[good] ** 2) * np.mean(other.rest[good] ** 2)))
    return Common(
        covariance=float(product.mean()) - shared,
        uncertainty=float(np.hypot(np.std(product) / np.sqrt(number), unseen)),
        levels=one.level * other.level,
        dark=dark**2,
    )


class _LeftByDark:
    """What the dark leaves in its hot pixels, in the mean over frames."""

    def __init__(self, dark: CCDFrame) -> None:
        self.taken = _above_neighbours(np.nan_to_num(dark.pixels.astype(float)))
        self.noise = np.asarray(dark.variance, dtype=float)
        width = np.sqrt(np.median(self.noise[np.isfinite(self.noise)]))
        self.hot, self.warm = self.taken > HOT * width, self.taken > WARM * width
        self.usable = self.hot.copy()
        self.left, self.variance = np.zeros(dark.shape), np.zeros(dark.shape)
        self.number = 0
        self.level = float(np.nanmedian(dark.pixels))
        self.light = 0.0

    def add(self, sky: _Sky) -> None:
        """Take note of what one frame has there."""
        if sky.frame.shape != self.hot.shape:
            return
        pixels = np.nan_to_num(sky.frame.pixels.astype(float))
        variance = np.nan_to_num(np.asarray(sky.frame.variance, dtype=float), posinf=0.0)
        above = _above_neighbours(pixels)
        if sky.frame.mask is not None:
            self.usable &= ~np.asarray(sky.frame.mask, bool)
        # Not in a star, where the pixels around are brighter than the sky.
        with np.errstate(invalid="ignore"):
            in_sky = np.abs(sky.rest - above) < 2 * robust_width(sky.rest[sky.good])
        self.usable &= np.isfinite(sky.frame.pixels) & (variance > 0) & in_sky
        self.left += above
        self.variance += variance
        self.number += 1
        self.light += sky.level

    def pattern(self) -> Pattern | None:
        """What was seen, if it is in pixels enough."""
        if not self.number or self.usable.sum() < FEW_HOT:
            return None
        shared = self.noise[self.usable]
        own = np.maximum(self.variance[self.usable] / self.number - shared, 0.0) / self.number
        return Pattern(
            left=self.left[self.usable] / self.number,
            dark=self.taken[self.usable],
            variance=own + shared,
            noise=shared,
            light=(self.light / self.number) ** 2,
        )


def _above_neighbours(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much brighter each pixel is than those around it."""
    from scipy.ndimage import median_filter

    return np.asarray(pixels - median_filter(pixels, 7))
