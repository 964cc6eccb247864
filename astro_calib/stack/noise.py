"""
The noise of a stack: what each frame has for itself is averaged down, what frames share is passed on.

`astro_calib.combine` finds the values; here it is found how much of each frame, and of each source, is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import NoiseWarning, warn
from astro_calib.noise.arrays import ArrayRef, SurvivorMask, finite_mean
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.merge import differ_by_regions, merge_sources, squared, variances_in_sample
from astro_calib.noise.merge_surfaces import are_surfaces, merge_surfaces, with_squares_together
from astro_calib.noise.mosaic import read_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.window import Key

    Term: TypeAlias = tuple[NoiseSource, Coefficient]
    #: Name, axes, and which of several of a frame, or which pixels an amplifier has read.
    Kind: TypeAlias = tuple[str, tuple[int, ...], int | frozenset[ArrayRef]]

__all__ = [
    "PrivateNoise",
    "Weights",
    "alike",
    "budget_of",
    "materialized",
    "private_terms",
    "sampled",
    "stacked_budget",
    "typical_sigmas",
    "warn_of_nonlinear",
]

#: Sigmas that agree to this count as equal: the error of the median is second order in their difference.
LIKE = 0.02
#: Below this many digital units of noise a median of whole numbers is dominated by rounding.
SMALLEST_ROUNDED = 2.0
#: Fewer pixels than this part may have unlike noise in frames that count as alike.
RARE = 0.01
#: Pixels from which typical values are taken, and values of all frames there.
SAMPLE, SAMPLED_VALUES = 1 << 16, 1 << 20
#: By less than this part of its variance a frame's noise is not changed.
NEGLIGIBLE = 1e-5
#: Above this difference of shared noise, in units of their own, the median of frames is not linear any more.
LARGEST_UNLIKE = 0.5
#: Correlated noise of so many frames is kept apart where other frames are masked in other regions.
MOST_APART = 6


def budget_of(frame: CCDFrame) -> UncertaintyBudget:
    """The budget of a frame that is known to have one."""
    budget = frame.known_budget
    assert budget is not None
    return budget


def sampled(shape: tuple[int, ...], number: int) -> tuple[slice, ...]:
    """An index that takes every n-th row of images: some ten thousand pixels, fewer of many, not less than 8 rows."""
    pixels = min(SAMPLE, SAMPLED_VALUES // number)
    step = int(np.prod(shape)) // max(pixels, 1)
    return (slice(None, None, max(min(step, shape[0] // 8), 1)), *[slice(None)] * (len(shape) - 1))


def private_terms(frames: Sequence[CCDFrame]) -> set[tuple[int, Key]]:
    """(frame, key) of the sources that no other frame has to do with."""
    owners: dict[str, set[int]] = {}
    terms = [(position, source) for position, frame in enumerate(frames) for source, _ in budget_of(frame).terms]
    for position, source in terms:
        for identity in source.family:
            owners.setdefault(identity, set()).add(position)
    return {
        (position, source.key)
        for position, source in terms
        if all(owners[identity] == {position} for identity in source.family)
    }


class PrivateNoise:
    """The noise that each frame has for itself, from which rejection and medians take their measure."""

    def __init__(self, frames: Sequence[CCDFrame], private: set[tuple[int, Key]]) -> None:
        self._budgets = [budget_of(frame) for frame in frames]
        self._own = [
            with_squares_together([term for term in budget.terms if (position, term[0].key) in private])
            for position, budget in enumerate(self._budgets)
        ]
        known: dict[Coefficient, float] = {}
        #: For each frame its other sources by their keys, each with the mean of its coefficient.
        self.shared: list[dict[Key, tuple[NoiseSource, float]]] = []
        for position, budget in enumerate(self._budgets):
            of_frame: dict[Coefficient, float] = {}
            self.shared.append(
                {
                    source.key: (source, _mean(coefficient, budget.data, known, of_frame))
                    for source, coefficient in budget.terms
                    if (position, source.key) not in private
                }
            )
        sums: dict[Key, tuple[NoiseSource, float]] = {}
        for one in self.shared:
            for key, (source, mean) in one.items():
                sums[key] = (source, mean + sums.get(key, (source, 0.0))[1])
        # By how much each frame holds more or less of what is shared than all do on average.
        self._apart = [
            [
                (one.get(key, (source, 0.0))[0], (one.get(key, (source, 0.0))[1] - total / len(frames)) ** 2)
                for key, (source, total) in sums.items()
            ]
            for one in self.shared
        ]
        # Under the same masters that is next to nothing everywhere, and not worth an array.
        item = sampled(frames[0].shape, len(frames))
        largest = {key: float(np.max(source.variance.evaluate())) for key, (source, _) in sums.items()}
        for position, apart in enumerate(self._apart):
            own, *_ = self._of_its_own(position, item, {})
            least = NEGLIGIBLE * float(np.min(own))
            # What is no number is not passed over.
            self._apart[position] = [
                (source, square) for source, square in apart if square and not square * largest[source.key] <= least
            ]

    def _of_its_own(
        self, position: int, item: tuple[slice, ...], known: dict[Coefficient, tuple[Any, Any]]
    ) -> tuple[Any, Any, Any]:
        """
        The variance of a part of a frame from what only it has, its slope with signal, and its part without shot noise.

        What coefficients are in this part, and their squares, goes to ``known`` for other sources and frames.
        """
        budget = self._budgets[position]
        data = None if budget.data is None else budget.data[item]
        total: Any = 0.0
        slope: Any = 0.0
        floor: Any = 0.0
        for source, coefficient in self._own[position]:
            variance = source.variance.part(item, budget.shape)
            if coefficient in known:
                c, square = known[coefficient]
            else:
                c = coefficient.part(item, budget.shape, data)
                square = np.square(c)
                if not coefficient.depends_on_own:
                    known[coefficient] = c, square
            part = variance if np.ndim(c) == 0 and c == 1 else square * variance
            total = part if np.ndim(total) == 0 and total == 0 else total + part
            if source.slope:
                slope = slope + np.abs(c) * source.slope
            elif len(source.axes) == len(budget.shape):
                floor = part if np.ndim(floor) == 0 and floor == 0 else floor + part
        return total, slope, floor

    def at_center(self, item: tuple[slice, ...], values: NDArray[Any], center: NDArray[Any]) -> list[Any]:
        """
        The variance of each frame's noise, n numbers or arrays of shape (ny, nx), were its value that of the centre.

        The shot noise of a pixel's own count would be too small where the value is low, and clipping with it would bias
        the mean; so it is moved along its slope to the count at the centre, one for all frames, or one for each.
        """
        from astro_calib.kernels.reject import at_center

        result = []
        known: dict[Coefficient, tuple[Any, Any]] = {}
        centers = center if center.ndim == values.ndim else np.broadcast_to(center, values.shape)
        for position, (value, middle) in enumerate(zip(values, centers, strict=True)):
            total, slope, floor = self._of_its_own(position, item, known)
            # Of what frames share, only the difference from the mean coefficient moves a frame away from the others.
            for source, square in self._apart[position]:
                total = total + square * source.variance.part(item, self._budgets[position].shape)
            moves = np.ndim(slope) or slope != 0
            result.append(at_center(total, slope, floor, value, middle) if moves else total)
        return result


def _mean(
    coefficient: Coefficient,
    data: NDArray[Any] | None,
    known: dict[Coefficient, float],
    of_frame: dict[Coefficient, float],
) -> float:
    """The mean over finite pixels; that of a product of arrays, which many coefficients have in them, is found once."""
    total = 0.0
    for number, factors in coefficient.monomials:
        product = Coefficient.of_monomials([(1.0, factors)])
        means = of_frame if product.depends_on_own else known
        if product not in means:
            means[product] = finite_mean(product.evaluate(data))
        total += number * means[product]
    return total


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much of each frame's value is in the result."""

    #: One for each frame. Where no value is left out they add up to one.
    numbers: Sequence[float]
    #: Which values are in the result, and the sum of their numbers, where that differs from pixel to pixel.
    kept: Sequence[SurvivorMask] = ()
    total: NDArray[Any] | None = None
    #: The weights themselves, shape (n, ny, nx), where the numbers are only typical.
    by_pixel: NDArray[Any] | None = None

    def times(self, position: int, coefficient: Coefficient) -> Coefficient:
        """A frame's coefficient in the result; 0 where the frame is left out, whatever the coefficient is there."""
        if self.by_pixel is None:
            return self.remembered(position, coefficient)
        weight = self.by_pixel[position]
        if coefficient.number is not None:
            return Coefficient(weight) * coefficient.number
        with np.errstate(invalid="ignore"):
            product = np.where(weight != 0, weight * coefficient.evaluate(), 0)
        return Coefficient(product.astype(weight.dtype))

    def remembered(self, position: int, coefficient: Coefficient) -> Coefficient:
        """A frame's coefficient in the result, or a typical one that needs no array of its own."""
        return coefficient.product(self._factors[position])

    @cached_property
    def _factors(self) -> list[Coefficient]:
        factors = [Coefficient(number) for number in self.numbers]
        if not self.kept or self.total is None:
            return factors
        total = ArrayRef(self.total)
        return [factor.times(kept).times(total, -1) for factor, kept in zip(factors, self.kept, strict=True)]


def alike(own: NDArray[Any], used: NDArray[np.bool_]) -> bool:
    """Whether the frames have the same noise at nearly every pixel, from a sample of shape (n, ...)."""
    largest = np.where(used, own, 0).max(axis=0)
    smallest = np.where(used, own, np.inf).min(axis=0)
    return bool(np.mean(largest > (1 + LIKE) * smallest) < RARE)


def typical_sigmas(own: NDArray[Any], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One sigma a frame: the median over its used pixels."""
    typical = np.array(
        [np.median(sigma[good]) if good.any() else np.nan for sigma, good in zip(own, used, strict=True)], dtype=float
    )
    return np.where(np.isfinite(typical) & (typical > 0), typical, np.nanmax([*typical, 1e-30]))


def warn_of_nonlinear(name: str, own: PrivateNoise, typical: NDArray[np.float64], quantum: float) -> None:
    """Say where the error of what is no mean is less exact than usual, by typical sigmas of the frames' own noise."""
    lowest = float(typical.min())
    if lowest < SMALLEST_ROUNDED * quantum:
        msg = (
            f"the noise is {lowest / quantum:.2g} digital units, so that the {name} of whole numbers is dominated by "
            "rounding, and its error is larger than predicted (a median's 1.5 times at 1 unit and 25 frames). Use "
            "method='mean'."
        )
        warn(msg, NoiseWarning)
    sources = {key: source for one in reversed(own.shared) for key, (source, _) in one.items()}
    for key, source in sources.items():
        means = [one[key][1] if key in one else 0.0 for one in own.shared]
        apart = max(means) - min(means)
        if not apart:
            continue
        unlike = apart * np.sqrt(max(finite_mean(source.variance.evaluate()), 0.0)) / lowest
        if unlike > LARGEST_UNLIKE:
            msg = (
                f"the frames hold the shared noise {source.name!r} to different amounts, up to {unlike:.1f} times "
                f"their own noise; the error of their {name} is only first order in that. Use method='mean', or frames "
                "of like exposure."
            )
            warn(msg, NoiseWarning)


def stacked_budget(
    budgets: Sequence[UncertaintyBudget],
    private: set[tuple[int, Key]],
    weights: Weights,
    variance_factor: float | NDArray[Any],
    data: NDArray[Any],
    kept: Callable[[Coefficient], Coefficient],
) -> UncertaintyBudget:
    """
    Shared sources with their weighted coefficients; the frames' own merged, by name, axes and amplifier.

    What is written out for one frame is ``kept`` until all are merged.
    """
    groups: dict[Kind, list[tuple[NoiseSource, Coefficient]]] = {}
    remembered: dict[Kind, list[Coefficient]] = {}
    owners: dict[Kind, set[int]] = {}
    smooth: dict[Kind, list[tuple[NoiseSource, Coefficient]]] = {}
    shared: dict[Key, list[tuple[int, NoiseSource, Coefficient]]] = {}
    for position, budget in enumerate(budgets):
        amplifiers: dict[tuple[str, tuple[int, ...]], int] = {}
        for source, coefficient in budget.terms:
            if (position, source.key) in private:
                number: int | frozenset[ArrayRef] = 0
                if source.correlation is not None:
                    # Two amplifiers of a frame have waves of their own.
                    number = amplifiers.get((source.name, source.axes), 0)
                    amplifiers[source.name, source.axes] = number + 1
                elif len(source.axes) < len(budget.shape):
                    # And levels of their own.
                    number = read_by(coefficient)
                kind, written = (source.name, source.axes, number), kept(materialized(coefficient, budget))
                groups.setdefault(kind, []).append((source, weights.times(position, written)))
                remembered.setdefault(kind, []).append(weights.remembered(position, written))
                if not source.axes:
                    smooth.setdefault(kind, []).append((source, written * weights.numbers[position]))
                owners.setdefault(kind, set()).add(position)
            else:
                shared.setdefault(source.key, []).append((position, source, coefficient))
    terms: list[tuple[NoiseSource, Coefficient]] = []
    by_pixel = _variance_factor_by_pixel(list(groups.values()), data.ndim, variance_factor)
    of_noise = {} if np.ndim(by_pixel) == 0 and by_pixel == 1 else _shares_of_noise(groups, data.shape)
    for kind, group in groups.items():
        name, axes, _ = kind
        factor = by_pixel if len(axes) == data.ndim else 1.0
        linear = np.ndim(factor) == 0 and factor == 1
        if linear and (len(owners[kind]) == 1 or (weights.by_pixel is None and _cross_regions(group, data.shape))):
            terms += group
        elif kind in smooth and are_surfaces(smooth[kind]):
            terms += merge_surfaces(smooth[kind], group, data.shape, name, data.dtype)
        else:
            typical = None if weights.by_pixel is None else remembered[kind]
            share = of_noise.get(kind, 1.0)
            terms.append(merge_sources(group, data.shape, name, data.dtype, factor, typical, share))
    sums: dict[tuple[Any, ...], Coefficient] = {}
    rests: list[tuple[list[tuple[int, Coefficient]], Coefficient]] = []
    for members in shared.values():
        source, coefficient = members[0][1:]
        if len(members) == len(budgets) and all(other == coefficient for _, _, other in members):
            # The weights add up to one, and the frame's own data in the coefficient become those of the stack.
            terms.append((source, coefficient))
            continue
        numbers = {position: own.number for position, _, own in members}
        first = coefficient.number
        if first and None not in numbers.values():
            # One array serves what goes alike with the frames, such as the bias and the dark in flats of one exposure.
            ratios = {position: float(number or 0.0) / first for position, number in numbers.items()}
            key = tuple((position, f"{ratio:.12e}") for position, ratio in ratios.items())
            if key not in sums:
                parts = [weights.times(position, Coefficient(ratio)) for position, ratio in ratios.items()]
                sums[key] = Coefficient.of_monomials(monomial for part in parts for monomial in part.monomials)
            terms.append((source, sums[key] * first))
            continue
        rest = [(at, one) for at, _, one in members]
        if len(members) == len(budgets):
            # What all have alike is passed on as it is, as above.
            alike = Coefficient.of_what_is_alike([one for _, one in rest])
            terms.append((source, alike))
            rest = [(at, one + alike * -1.0) for at, one in rest]
        ratio, known = next(((ratio, total) for other, total in rests if (ratio := _ratio(rest, other))), (1.0, None))
        if known is None:
            parts = [weights.times(at, kept(materialized(one, budgets[at]))) for at, one in rest]
            known = Coefficient.of_monomials(monomial for part in parts for monomial in part.monomials)
            rests.append((rest, known))
        terms.append((source, known * ratio))
    return UncertaintyBudget(data.shape, terms, data.dtype, data)


def _ratio(these: Sequence[tuple[int, Coefficient]], others: Sequence[tuple[int, Coefficient]]) -> float | None:
    """The number that the coefficients of some frames have to be multiplied by to give others of the same frames."""
    if [at for at, _ in these] != [at for at, _ in others]:
        return None
    ratios = {one.ratio_to(other) for (_, one), (_, other) in zip(these, others, strict=True)}
    return ratios.pop() if len(ratios) == 1 else None


def _cross_regions(group: Sequence[Term], shape: tuple[int, ...]) -> bool:
    """Whether a sum may go across the edges of regions in which neighbours have other noise in common."""
    if len(group) > MOST_APART or all(source.correlation is None for source, _ in group):
        return False
    return differ_by_regions(group, shape)


def _shares_of_noise(groups: Mapping[Kind, Sequence[Term]], shape: tuple[int, ...]) -> dict[Kind, float]:
    """The part of the noise of single pixels that each group brings, if neighbours have some of it in common."""
    of_pixels = {kind: group for kind, group in groups.items() if len(kind[1]) == len(shape)}
    if all(source.correlation is None for group in of_pixels.values() for source, _ in group):
        return {}
    samples = {kind: variances_in_sample(group, shape).sum(axis=0) for kind, group in of_pixels.items()}
    means = {kind: float(np.mean(sample, where=np.isfinite(sample))) for kind, sample in samples.items()}
    total = sum(means.values())
    return {kind: mean / total if total > 0 else 1.0 for kind, mean in means.items()}


def materialized(coefficient: Coefficient, budget: UncertaintyBudget) -> Coefficient:
    """A coefficient with its frame's own data written out."""
    return coefficient if budget.data is None else coefficient.with_data(budget.data)


def _variance_factor_by_pixel(
    groups: Sequence[Sequence[tuple[NoiseSource, Coefficient]]], ndim: int, variance_factor: float | NDArray[Any]
) -> float | NDArray[Any]:
    """
    The factor for noise that is independent from pixel to pixel, where the estimator's is for all of it.

    What is common to a row or to the frame moves all its pixels alike, and an estimator passes it on linearly; the
    estimator's excess scatter is independent from pixel to pixel, whatever made it.
    """
    if np.ndim(variance_factor) == 0 and variance_factor == 1:
        return 1.0
    if all(len(group[0][0].axes) == ndim for group in groups):
        return variance_factor
    single: Any = 0.0
    common: Any = 0.0
    for group in groups:
        part = sum(squared(coefficient, source) for source, coefficient in with_squares_together(group))
        if len(group[0][0].axes) == ndim:
            single = single + part
        else:
            common = common + part
    if not np.any(common):
        return variance_factor
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = variance_factor + (variance_factor - 1) * common / single
    return float(factor) if np.ndim(factor) == 0 else np.where(np.isfinite(factor), factor, variance_factor)
