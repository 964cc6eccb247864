r"""
The variance of a run of operations, found in the same pass over the pixels as the values.

With the raw frame r, its overscan level o, gain G, bias B, dark D scaled by t, and flat F of mean one, the steps of a
calibration come out as

.. math:: z = \frac{G (r - o) - M}{F}, \qquad M = B + t D,

and with the variance v of the frame's own noise the variance is

.. math:: V = \frac{v + \mathrm{Var} M}{F^2} + \frac{z^2}{F^2} \mathrm{Var} F + \frac{2 z}{F^2} \mathrm{Cov}(M, F).

A frame P that is added to such a quotient with a factor a brings :math:`a^2\,\mathrm{Var} P` and, if it is made with
the same masters, :math:`-2 a\,(\mathrm{Cov}(M, P) + z\,\mathrm{Cov}(F, P)) / F`.

Noise that is drawn once for all pixels and follows the values, as the error of a gain does, is left out of all this,
also in the masters: what it adds is found from its coefficients at the end (`astro_calib.steps.common_noise`).

The error of an amplitude, by which a frame P was multiplied, brings the square of its coefficient, which the pass takes
from P as it is. A pass after another step begins with the variance that is known by then.

Where more noise is shared than this, the budget is asked for the variance.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from astro_calib.kernels.program import ADD, ADD_OF_DIVISOR, ADD_SHARED, ADD_SHOT, ADD_VARIANCE, DIVIDE, MULTIPLY
from astro_calib.noise.arrays import SurvivorMask
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.mosaic import MosaicArray
from astro_calib.noise.propagation import RULES, Power, Rule
from astro_calib.noise.shot_variance import ShotVariance, clamped
from astro_calib.steps.common_noise import append_common, append_squares, budget_without, is_common
from astro_calib.steps.weighted_sums import covariance_of_sum, variance_of_sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.frame.write_guard import WriteGuard
    from astro_calib.noise.budget import UncertaintyBudget
    from astro_calib.noise.propagation import Term
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.sparse import SparseArray
    from astro_calib.noise.window import Key
    from astro_calib.steps.amplifiers import PerAmplifier
    from astro_calib.steps.instructions import Instructions

__all__ = ["VarianceSoFar"]

#: What the pass does for each operation.
CODES = {np.add: ADD, np.multiply: MULTIPLY, np.true_divide: DIVIDE}
#: The rules that the loops of `astro_calib.kernels.fused` follow; the number in dz/dy may be any, and stands here as 1.
OF_LOOPS = {
    np.add: Rule(Power(), Power(), (Power(z=1), Power(-1, y=1))),
    np.multiply: Rule(Power(y=1), Power(z=1, y=-1), (Power(z=1, y=-1),)),
    np.true_divide: Rule(Power(y=-1), Power(z=1, y=-1), (Power(z=1, y=1),)),
}
#: Frames that were added, each with the number in dz/dy.
Added: TypeAlias = "list[tuple[CCDFrame, float]]"


class Quotient(NamedTuple):
    """
    A sum that was divided by noisy frames.

    Attributes
    ----------
    family : frozenset of str
        The identities of the other noise in what was divided.
    added : list
        The noisy frames in the sum.
    divisors : tuple of CCDFrame
    """

    family: frozenset[str]
    added: Added
    divisors: tuple[CCDFrame, ...]


@dataclass
class VarianceSoFar:
    """Puts what the pass does to the variance among the instructions."""

    program: Instructions
    #: The identities of all noise in the frame, but for that of `added`.
    family: frozenset[str]
    #: Whether the pass finds the variance, so that the budget need not be asked.
    is_found: bool
    #: Frames that were added since the last multiplication or division: their noise is noted once for all.
    added: Added = field(default_factory=list)
    #: What was divided since by noisy frames, and by nothing else: its noise may be shared with that of the next one.
    quotient: Quotient | None = None
    #: By identity, shot noise that the values tell: where in the program, and the lowest variance.
    shot: dict[str, tuple[int, Any]] = field(default_factory=dict)
    #: By identity, where in the program noise was added.
    noise_at: dict[str, int] = field(default_factory=dict)
    #: Variances and the coefficients whose squares they multiply, since the last multiplication or division.
    squares: list[tuple[float, Coefficient]] = field(default_factory=list)
    #: Noise of all pixels whose variance is found at the end.
    common: frozenset[Key] = frozenset()

    @classmethod
    def of(cls, program: Instructions, budget: UncertaintyBudget | None) -> VarianceSoFar:
        """Begin with a frame of this noise, whose variance is known if it was found before; None for an exact one."""
        known = None if budget is None else budget.known_variance
        # What is infinite may become unknown, which the budget says.
        if known is not None and not np.isfinite(known.sum()):
            known = None
        if known is not None:
            program.append(ADD_VARIANCE, known)
        return cls(
            program, _family(() if budget is None else budget.terms), is_found=budget is None or known is not None
        )

    def copy(self) -> VarianceSoFar:
        """Another one, with instructions of its own."""
        program = replace(self.program, done=list(self.program.done))
        return replace(self, program=program, added=list(self.added), squares=list(self.squares))

    @property
    def follows_values(self) -> bool:
        """Whether some noise is known from the values of the result only."""
        return bool(self.shot)

    # -- operations and sources ----------------------------------------------------------------------------------

    def operate(self, operation: Any, value: Any, factor: float, noisy: CCDFrame | None) -> None:
        """Take an operation on the values into the program, and the noise of the operand, if it has any."""
        code, rule = CODES[operation], RULES[operation]
        family = frozenset() if noisy is None else self._family_of([(noisy, factor)])
        if noisy is None or self.added or code not in (ADD, DIVIDE):
            self.quotient = None
        self.is_found &= family.isdisjoint(self.family if self.quotient is None else self.quotient.family)
        self.is_found &= rule._replace(of_y=rule.of_y._replace(number=1)) == OF_LOOPS[operation]
        if code == ADD:
            if noisy is not None and self.quotient is not None:
                self._note_shared(self.quotient, noisy, factor * rule.of_y.number, family)
            self.quotient = None
            self.program.append(code, value, factor)
            if noisy is not None:
                self.added.append((noisy, factor * rule.of_y.number))
            return
        quotient = self.quotient or Quotient(self.family, self.note_added(noisy), ())
        self.program.append(code, value, factor)
        self.family |= family
        if noisy is None:
            return
        self.is_found &= code == DIVIDE
        divisors = [one for one, _ in self._related([(one, 1.0) for one in quotient.divisors], family)]
        found = partial(_variance_of_divisor, noisy, divisors, self.common)
        self.program.append(ADD_OF_DIVISOR, found, rule.of_y.number**2)
        related = self._related(quotient.added, family)
        if related:
            shared = partial(_covariance, related, noisy, quotient.divisors, self.common)
            self.program.append(ADD_SHARED, shared, 2 * rule.of_y.number)
        self.quotient = quotient._replace(divisors=(*quotient.divisors, noisy))

    def _related(self, added: Added, family: frozenset[str]) -> Added:
        """Those of some frames that share noise with a family."""
        return [one for one in added if not family.isdisjoint(self._family_of([one]))]

    def _note_shared(self, quotient: Quotient, noisy: CCDFrame, factor: float, family: frozenset[str]) -> None:
        """Take into the program what the noise of a frame that is about to be added shares with that of a quotient."""
        related = self._related(quotient.added, family)
        if related:
            shared = partial(_covariance, related, noisy, quotient.divisors, self.common)
            self.program.append(ADD_VARIANCE, shared, 2 * factor)
        divisors = [one for one, _ in self._related([(one, 1.0) for one in quotient.divisors], family)]
        if divisors:
            shared = partial(_covariance_with_divisors, divisors, quotient.divisors[-1], noisy, self.common)
            self.program.append(ADD_SHARED, shared, -2 * factor)

    def note_added(self, divisor: CCDFrame | None = None) -> Added:
        """Take the variances of what was added into the program: of a sum, where these share noise."""
        squares, self.squares = self.squares, []
        self.is_found &= append_squares(self.program, squares)
        added, self.added = self.added, []
        groups: list[Added] = []
        for one in added:
            related = [group for group in groups if not self._family_of(group).isdisjoint(self._family_of([one]))]
            groups = [group for group in groups if group not in related]
            groups.append([*(other for group in related for other in group), one])
        for group in groups:
            frame, factor = group[-1]
            if len(group) == 1:
                self.program.append(ADD_VARIANCE, partial(_variance, frame, self.common), factor**2)
            else:
                self.program.append(ADD_VARIANCE, partial(_variance_of_sum, group, divisor or frame, self.common))
        self.family |= self._family_of(added)
        return added

    def add_source(
        self,
        source: NoiseSource,
        coefficient: Coefficient,
        variance: PerAmplifier | None,
        *,
        is_new: bool,
        where: PerAmplifier | None = None,
    ) -> None:
        """Add a source; the pass cannot take the old one away, if there is one. The coefficient is multiplied."""
        if source.key in self.common and is_common(source):
            # Its whole coefficient is looked at in the end.
            return
        self._meet(source, is_new=is_new)
        if coefficient.depends_on_own:
            self.common |= {source.key}
            self.is_found &= is_common(source)
            return
        number = source.variance.number
        if number and where is None and self._is_image(coefficient):
            self.squares.append((number, coefficient))
            return
        self.noise_at[source.identity] = len(self.program.done)
        if variance is not None and where is None and coefficient.number is not None:
            self.program.append(ADD_VARIANCE, variance, coefficient.number**2)
        else:
            size = np.square(coefficient.evaluate()) * np.asarray(source.variance.evaluate())
            squares = None if where is None else where._replace(values=tuple(np.square(where.values).tolist()))
            self.program.append(ADD_VARIANCE, size, where=squares)

    def _is_image(self, coefficient: Coefficient) -> bool:
        """Whether a coefficient is a number for each pixel, found from arrays that the pass can take as they are."""
        plain = not any(isinstance(one, (SurvivorMask, MosaicArray)) for one in coefficient.arrays)
        return plain and any(one.shape == self.program.shape for one in coefficient.arrays)

    def add_sources(
        self, sources: list[NoiseSource], variance: PerAmplifier, extra: SparseArray, *, are_new: bool
    ) -> None:
        """Add sources whose variance together is known: a number for each amplifier, and more at some pixels."""
        for source in sources:
            self._meet(source, is_new=are_new)
        self.program.append(ADD_VARIANCE, variance)
        self.program.append(ADD_VARIANCE, extra)

    def scale(self, identity: str, factor: float) -> None:
        """Multiply the variance of a source that was added by a factor."""
        at = self.noise_at.get(identity)
        if at is None:
            self.is_found &= identity not in self.family
            return
        one = self.program.done[at]
        assert one.code == ADD_VARIANCE
        scaled = tuple(value * factor for value in one.factor) if isinstance(one.factor, tuple) else one.factor * factor
        self.program.done[at] = one._replace(factor=scaled)

    def add_shot_noise(self, source: NoiseSource, floor: PerAmplifier, *, is_new: bool) -> None:
        """Add shot noise whose variance is the values as they are now, but not less than a floor."""
        self._meet(source, is_new=is_new)
        self.shot[source.identity] = len(self.program.done), floor.as_field(self.program.dtype)
        self.program.append(ADD_SHOT, floor)

    def _meet(self, source: NoiseSource, *, is_new: bool) -> None:
        self.quotient = None
        self.shot.pop(source.identity, None)
        self.is_found &= is_new and source.family.isdisjoint(self.family | self._family_of(self.added))
        self.family |= source.family

    def cut(self, item: tuple[slice, slice], program: Instructions) -> VarianceSoFar:
        """That of some rows and columns, and the instructions for these."""
        shot = {
            key: (at, floor if isinstance(floor, float) else floor.cut(item)) for key, (at, floor) in self.shot.items()
        }
        added = [(frame[item], factor) for frame, factor in self.added]
        squares = [(number, coefficient.cut(item, self.program.shape)) for number, coefficient in self.squares]
        return replace(self, program=program, added=added, squares=squares, quotient=None, shot=shot)

    def _family_of(self, added: Added) -> frozenset[str]:
        """The identities of the noise in frames, but for what is looked at in the end."""
        budgets = [budget for budget, _ in _budgets(added, self.common)]
        return frozenset().union(*(source.family for budget in budgets for source, _ in budget.terms))

    # -- the result ----------------------------------------------------------------------------------------------

    def finish(self, terms: Iterable[Term]) -> None:
        """Note what is left of the noise of the result."""
        self.note_added()
        if self.is_found and self.common:
            self.is_found = append_common(self.program, terms, self.common)

    def of_term(self, term: Term, data: NDArray[Any], guard: WriteGuard | None) -> Term:
        """A term with its variance, if the values tell that; they are new if there is a guard for them."""
        source, coefficient = term
        if source.identity not in self.shot:
            return term
        at, floor = self.shot[source.identity]
        undo = self.program.undone_from(at)
        if guard is not None:
            variance: Any = ShotVariance(data, guard, undo, floor)
        else:
            variance = clamped(data, undo, floor if isinstance(floor, float) else floor.array)
        return source.replace(variance=Coefficient(1.0).times(variance)), coefficient


def _family(terms: Iterable[Term]) -> frozenset[str]:
    """The identities of all noise in a frame, and of what went into it."""
    return frozenset().union(*(source.family for source, _ in terms))


def _variance(frame: CCDFrame, common: frozenset[Key]) -> NDArray[Any]:
    return _budget(frame, common).variance()


def _budget(frame: CCDFrame, common: frozenset[Key]) -> UncertaintyBudget:
    budget = budget_without(frame, common)
    assert budget is not None
    return budget


def _budgets(added: Added, common: frozenset[Key]) -> Sequence[tuple[UncertaintyBudget, float]]:
    return [(_budget(frame, common), factor) for frame, factor in added if frame.known_budget is not None]


def _variance_of_sum(added: Added, owner: CCDFrame, common: frozenset[Key]) -> Any:
    """Found once for all frames that the same masters are applied to, and kept with one of these."""
    return variance_of_sum(_budgets(added, common), owner)


def _variance_of_divisor(divisor: CCDFrame, earlier: Sequence[CCDFrame], common: frozenset[Key]) -> NDArray[Any]:
    r"""
    What a divisor brings to the variance, with what its noise shares with that of earlier ones.

    With the divisors x and y, :math:`V(y) + 2 y\,\mathrm{Cov}(x, y) / x`; found once, as the variance of a sum is.
    """
    budget = _budget(divisor, common)
    if not earlier:
        return budget.variance()

    def find() -> NDArray[Any]:
        result = budget.variance().copy()
        for other in earlier:
            result += 2 * divisor.pixels / other.pixels * _budget(other, common).covariance(budget)
        return result

    given = (budget, *((_budget(other, common), other.pixel_digest()) for other in earlier))
    found: NDArray[Any] = divisor.cached("variance with divisors", given, find)
    return found


def _covariance(added: Added, divisor: CCDFrame, earlier: Sequence[CCDFrame], common: frozenset[Key]) -> Any:
    """Of a divisor, and of a sum that was divided by others; found once, as the variance of the sum is."""
    return covariance_of_sum(_budgets(added, common), divisor, _budget(divisor, common), earlier)


def _covariance_with_divisors(
    divisors: Sequence[CCDFrame], last: CCDFrame, other: CCDFrame, common: frozenset[Key]
) -> NDArray[Any]:
    r"""
    What the noise of a frame shares with divisors x, times :math:`d^2 / x` with the last of them, d; found once.

    The loop multiplies it by :math:`z / d^2`.
    """
    budget = _budget(other, common)

    def find() -> NDArray[Any]:
        result = np.zeros_like(last.pixels)
        for one in divisors:
            result += _budget(one, common).covariance(budget) / one.pixels
        return result * np.square(last.pixels)

    given = (budget, *((_budget(one, common), one.pixel_digest()) for one in divisors), last.pixel_digest())
    found: NDArray[Any] = other.cached("covariance with divisors", given, find)
    return found
