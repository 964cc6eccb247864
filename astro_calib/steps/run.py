r"""
A run of operations, carried out in one pass over the pixels.

Each operation is noted as instructions for the pass, and as what it does to the coefficients of the sources of noise,
by the table of `astro_calib.noise.propagation`. With the raw frame r, its overscan level o, gain G, bias B, dark D
scaled by t, and flat F of mean one, the steps of a calibration come out as

.. math:: z = \frac{G (r - o) - M}{F}, \qquad M = B + t D,

so that the frame's own noise has the coefficient 1/F, each source of the masters with coefficient c has -c/F, and each
of the flat's has -c z/F: numbers times arrays that exist anyway. The variance comes out of the same pass,

.. math:: V = \frac{v + \mathrm{Var} M}{F^2} + \frac{z^2}{F^2} \mathrm{Var} F + \frac{2 z}{F^2} \mathrm{Cov}(M, F),

with the variance v of the frame's own noise. Where more noise is shared than this, the budget is asked for it.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import astropy.units as u
import numpy as np
from astropy.nddata import NDData

from astro_calib.arguments import NUMBERS, described
from astro_calib.dtypes import float_type, floating
from astro_calib.errors import ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.lending import reference_to
from astro_calib.frame.operands import check_addable, flagged_uncertain
from astro_calib.frame.pixels import WriteGuard, may_be_written
from astro_calib.kernels.program import (
    ADD,
    ADD_OF_DIVISOR,
    ADD_SHARED,
    ADD_SHOT,
    ADD_VARIANCE,
    DIVIDE,
    FLAG_FROM,
    FLAG_LOST,
    MULTIPLY,
    OF_VALUES,
    Instruction,
    undone,
)
from astro_calib.masters.master import FRAME_NOISE
from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.propagation import RULES, of_first, of_second
from astro_calib.noise.shot_variance import ShotVariance, clamped
from astro_calib.noise.window import compose_windows, window_of
from astro_calib.steps.amplifiers import PerAmplifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping, Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.history import History
    from astro_calib.kernels.program import Section
    from astro_calib.noise.origin import Origin
    from astro_calib.noise.propagation import Term
    from astro_calib.noise.source import NoiseSource

__all__ = ["FrameSoFar"]

CODES = {np.add: ADD, np.multiply: MULTIPLY, np.true_divide: DIVIDE}
#: Frames that were added, each with its factor.
Added: TypeAlias = "list[tuple[CCDFrame, float]]"


class FrameSoFar:
    """
    What a frame will be after operations that are carried out together, once `finished` is called.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to begin with.
    """

    def __init__(self, ccd: CCDFrame) -> None:
        budget = ccd.known_budget
        self.name, self.shape, self.size, self.unit = ccd.name, ccd.shape, ccd.size, ccd.unit
        self.history: History = ccd.history
        self.flattened_step = ccd.history.flattened_step
        #: The sources of noise with their coefficients; None for a frame that counts as exact.
        self.terms: list[Term] | None = None if budget is None else list(budget.terms)
        #: What a raw frame was multiplied by since the origin was found.
        self.gains: PerAmplifier | None = None
        self.raw_origin: Origin | None = ccd.origin
        self._scaled_origin: Origin | None = None
        self._ccd = ccd
        self._meta: MutableMapping[str, Any] | None = None
        self._program: list[Instruction] = []
        #: Those that factors of the program are for.
        self._sections: tuple[Section, ...] | None = None
        self._masks = [] if ccd.mask is None else [ccd.mask]
        self._quality = [] if ccd.flags is None else [ccd.flags]
        self._is_flagged = self._looks_for_lost = self._is_cut = self._has_new_values = self._has_new_noise = False
        #: By identity, where in the program noise was added.
        self._noise_at: dict[str, int] = {}
        #: By identity, shot noise that the values tell: where in the program, and the lowest variance.
        self._shot: dict[str, tuple[int, Any]] = {}
        #: Whether the pass can find the variance, which frames were added since the last multiplication or division,
        #: and the identities of all other noise.
        self._finds_variance = budget is None
        self._added: Added = []
        self._family = _family(self.terms or ())

    # -- what the frame is so far --------------------------------------------------------------------------------

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels; noise and arithmetic make numbers of another type of raw ones."""
        return float_type(self._ccd.dtype) if self._is_new else self._ccd.dtype

    @property
    def _is_new(self) -> bool:
        """Whether the frame gets an array of its own."""
        floats = float_type(self._ccd.dtype) != self._ccd.dtype
        return self._has_new_values or (self.terms is not None and floats)

    @property
    def meta(self) -> MutableMapping[str, Any]:
        """The header, not to be changed."""
        return self._ccd.meta if self._meta is None else self._meta

    def edited_meta(self) -> MutableMapping[str, Any]:
        """The header, to be changed."""
        if self._meta is None:
            self._meta = copy.deepcopy(self._ccd.meta)
        return self._meta

    @property
    def origin(self) -> Origin | None:
        """Which pixels of a raw frame these are."""
        if self.raw_origin is not None and self.gains is not None:
            if self._scaled_origin is None:
                self._scaled_origin = self.raw_origin.scaled(self.gains.over(self.dtype))
            return self._scaled_origin
        return self.raw_origin

    def forget_origin(self, step: float | None) -> None:
        """Note that the frame is no longer a raw one, and its digital step."""
        self.raw_origin, self.gains, self.flattened_step = None, None, step

    @property
    def digital_step(self) -> float | None:
        """As for a `CCDFrame`."""
        origin = self.origin
        return self.flattened_step if origin is None else origin.quantum

    def values(self, item: tuple[slice, ...] = (slice(None), slice(None))) -> NDArray[Any]:
        """
        The values at some pixels, found without the others; read-only.

        Parameters
        ----------
        item : (slice, slice)
            Rows and columns.
        """
        pixels = floating(self._ccd.pixels[item])
        program = [self._cut_instruction(one, item) for one in self._program if one.code in OF_VALUES]
        if not program:
            return pixels
        from astro_calib.kernels.fused import run

        return run(program, pixels, dtype=pixels.dtype).data

    def part(self, item: tuple[slice, slice]) -> CCDFrame:
        """A part of the frame as it is so far."""
        result = copy.copy(self)
        own = {key: copy.copy(value) for key, value in vars(self).items() if isinstance(value, (list, dict))}
        vars(result).update(own, _meta=copy.deepcopy(self._meta))
        result.cut(item)
        return result.finished()

    @property
    def has_numbers(self) -> bool:
        """Whether some pixel is a finite number."""
        return any(np.isfinite(self.values((slice(row, row + 1), slice(None)))).any() for row in range(self.shape[0]))

    def are_masked(self, where: NDArray[np.bool_]) -> bool:
        """Whether all of these pixels are masked, as far as is known before the values are."""
        return any(bool(mask[where].all()) for mask in self._masks)

    # -- operations ----------------------------------------------------------------------------------------------

    def add(self, operand: Any, factor: float = 1.0, kind: str | None = None) -> None:
        """Add ``factor * operand``; arguments as for `combine`."""
        self.combine(np.add, operand, factor, kind)

    def multiply(self, operand: Any, kind: str | None = None) -> None:
        """Multiply by an operand; arguments as for `combine`."""
        self.combine(np.multiply, operand, 1.0, kind)

    def divide(self, operand: Any, kind: str | None = None) -> None:
        """Divide by an operand; arguments as for `combine`."""
        self.combine(np.true_divide, operand, 1.0, kind)

    def combine(self, operation: Any, operand: Any, factor: float = 1.0, kind: str | None = None) -> None:
        """
        Add an operand times a factor, multiply by one, or divide by one.

        Parameters
        ----------
        operation : callable
            ``numpy.add``, ``numpy.multiply`` or ``numpy.true_divide``.
        operand : CCDFrame, float, ndarray or PerAmplifier
            All but a frame are exact; an array broadcasts to the frame.
        factor : float
            Of what is added.
        kind : str, optional
            What the noise of the operand's own is called in the frame.
        """
        operand = self._checked(operation, operand, factor)
        frame = operand if isinstance(operand, CCDFrame) else None
        budget = None if frame is None else frame.known_budget
        unit, x = self.unit, None
        if frame is not None:
            if operation is np.add:
                check_addable(self, frame)
                factor *= float(frame.unit.to(unit))
            elif frame.unit != u.dimensionless_unscaled:
                unit = operation(unit, frame.unit)
            if operation is np.multiply and budget is not None and not np.all(frame.pixels):
                # What was multiplied by zero does not tell its values any more.
                FrameSoFar.__init__(self, self.finished())
                x = self._ccd.read_only_data()
            self._take_flags(operation, frame)
        values = _values(operand, float_type(self._ccd.dtype))
        refers = bool(self._shot) or any(coefficient.depends_on_own for _, coefficient in self.terms or ())
        terms = [(s, of_first(operation, c, values, factor)) for s, c in self.terms or ()]
        if budget is not None:
            named = budget if kind is None else budget.named(kind, FRAME_NOISE)
            terms += [(s, of_second(operation, c, values, factor, x)) for s, c in named.terms]
        self._follow_step(operation, operand, values)
        if isinstance(operand, PerAmplifier):
            value: Any = operand
        else:
            # Of what is only read in the pass no copy is needed.
            value = frame.pixels if frame is not None and operation is np.add and not refers else _plain(values())
        self._note(self._instruction(CODES[operation], value, factor), frame if budget is not None else None, factor)
        self.terms = terms if terms or self.terms is not None else None
        self.unit = unit
        self._has_new_values = self._has_new_noise = True

    def _checked(self, operation: Any, operand: Any, factor: float) -> Any:
        """An operand of a kind and a shape that the pass can use."""
        if operation is not np.add and factor != 1:
            msg = "factor is for what is added; multiply or divide by a number of its own."
            raise ValueError(msg)
        if isinstance(operand, NDData) and not isinstance(operand, CCDFrame):
            operand = CCDFrame(operand)
        if isinstance(operand, PerAmplifier):
            return operand
        if isinstance(operand, u.Quantity) or not isinstance(operand, (CCDFrame, np.ndarray, *NUMBERS)):
            msg = (
                f"{self.name}: what a step adds, multiplies or divides by is {described(operand)}; expected a "
                f"CCDFrame, or a number or an array in {self.unit or 'no unit'}."
            )
            raise TypeError(msg)
        shape = np.shape(operand) if not isinstance(operand, CCDFrame) else operand.shape
        alike = shape in ((), self.shape) if isinstance(operand, CCDFrame) else _broadcasts(shape, self.shape)
        if not alike:
            name = operand.name if isinstance(operand, CCDFrame) else "what a step adds, multiplies or divides by"
            msg = f"{self.name} has shape {self.shape}, {name} has {shape}; expected the same shape."
            raise ShapeMismatchError(msg)
        if operation is np.true_divide and shape == () and float(getattr(operand, "pixels", operand)) == 0:
            msg = f"{self.name} is divided by 0, and its error would be no number; give a divisor other than zero."
            raise ZeroDivisionError(msg)
        # Rows, for what is cut later.
        return operand.reshape(1, -1) if isinstance(operand, np.ndarray) and operand.ndim == 1 else operand

    def add_noise(
        self, source: NoiseSource, coefficient: Coefficient | None = None, variance: PerAmplifier | None = None
    ) -> None:
        """
        Add a source of noise of the frame's own.

        Parameters
        ----------
        source : NoiseSource
            One of the same identity that is there already is replaced.
        coefficient : Coefficient, optional
            One by default.
        variance : PerAmplifier, optional
            That of the source, if it is one for each amplifier.
        """
        coefficient = Coefficient(1.0) if coefficient is None else coefficient
        self._add_term(source, coefficient)
        if coefficient.depends_on_own:
            self._finds_variance = False
            return
        self._noise_at[source.identity] = len(self._program)
        if variance is not None and coefficient.number is not None:
            self._program.append(self._instruction(ADD_VARIANCE, variance, coefficient.number**2))
        else:
            size = np.square(coefficient.evaluate()) * np.asarray(source.variance.evaluate())
            self._program.append(self._instruction(ADD_VARIANCE, size))

    def scale_noise(self, identity: str, factor: float) -> None:
        """
        Multiply the variance of a source that is there already by a factor; 0 takes it away.

        Parameters
        ----------
        identity : str
            That of the source.
        factor : float
            Zero or positive.
        """
        terms = [
            (source.replace(variance=source.variance * factor) if source.identity == identity else source, coefficient)
            for source, coefficient in self.terms or ()
            if factor or source.identity != identity
        ]
        self.terms, self._has_new_noise = terms, True
        at = self._noise_at.get(identity)
        if at is not None:
            one = self._program[at]
            assert one.code == ADD_VARIANCE
            scaled = (
                tuple(value * factor for value in one.factor) if isinstance(one.factor, tuple) else one.factor * factor
            )
            self._program[at] = one._replace(factor=scaled)

    def add_shot_noise(self, source: NoiseSource, floor: PerAmplifier) -> None:
        """
        Add shot noise whose variance is the values as they are now, but not less than a floor.

        Parameters
        ----------
        source : NoiseSource
            Its variance is not looked at.
        floor : PerAmplifier
            The lowest variance.
        """
        self._add_term(source, Coefficient(1.0))
        self._shot[source.identity] = len(self._program), floor.over(float_type(self._ccd.dtype))
        self._program.append(self._instruction(ADD_SHOT, floor))
        # The pass knows a number for each section, no map.
        self._finds_variance &= self._program[-1].array is None

    def flag(self, where: NDArray[np.bool_], quality: DataQuality) -> None:
        """Set a flag at some pixels, and mask them if it says that they are unfit for use."""
        self._is_flagged = True
        spread = np.broadcast_to(where, self.shape)
        self._quality.append(np.where(spread, np.uint16(quality), np.uint16(0)))
        if quality & DataQuality.UNUSABLE:
            self._masks.append(spread)

    def flag_from(self, level: float, quality: DataQuality) -> None:
        """Set a flag where the values are at this level or above, and mask these pixels."""
        self._is_flagged = True
        level = float(np.ceil(level)) if self.dtype.kind in "iu" else float(level)
        self._program.append(Instruction(FLAG_FROM, level, None, int(quality)))

    def flag_lost(self, quality: DataQuality) -> None:
        """Set a flag where the values are no finite numbers, and mask these pixels."""
        if self.dtype.kind == "f":
            self._looks_for_lost = True
            self._program.append(Instruction(FLAG_LOST, 1.0, None, int(quality)))

    def cut(self, item: tuple[slice, slice]) -> None:
        """Keep some rows and columns."""
        shape = self.shape
        self.raw_origin, self.gains = self.origin, None
        if self.raw_origin is not None:
            moves = tuple(window_of(part, length) for part, length in zip(item, shape, strict=True))
            window = compose_windows(self.raw_origin.window, moves)
            self.raw_origin = self.raw_origin.cut(window, item, shape)
        self._finds_variance &= not any(one.code == ADD_SHOT and isinstance(one.factor, tuple) for one in self._program)
        self._program, self._sections = [self._cut_instruction(one, item) for one in self._program], None
        self._shot = {key: (at, _cut(floor, item, shape)) for key, (at, floor) in self._shot.items()}
        self._added = [(frame[item], factor) for frame, factor in self._added]
        self._masks, self._quality = ([plane[item] for plane in planes] for planes in (self._masks, self._quality))
        self._ccd, self._is_cut = self._ccd[item], True
        if self.terms is not None:
            self.terms = [(s.cut(item, shape), c.cut(item, shape)) for s, c in self.terms]
        self.shape, self.size = self._ccd.shape, self._ccd.size

    # -- the result ----------------------------------------------------------------------------------------------

    def finished(self) -> CCDFrame:
        """The frame, after all operations were carried out."""
        ccd, dtype = self._ccd, float_type(self._ccd.dtype)
        if self._is_cut and not self._is_new:
            ccd = ccd.copy()
        data, guard = ccd.pixels, WriteGuard()
        changes: dict[str, Any] = {"meta": self._meta}
        variance = None
        if self._is_new or self._is_flagged or self._looks_for_lost:
            self._note_added()
            from astro_calib.kernels.fused import run

            looks = self._is_flagged or self._looks_for_lost or bool(self._masks or self._quality)
            pixels = run(
                self._program,
                data,
                dtype=dtype,
                sections=self._sections,
                with_variance=self._is_new and self.terms is not None and self._finds_variance,
                masks=self._masks if looks else None,
                quality=self._quality,
            )
            if self._is_new:
                data, variance = pixels.data, pixels.variance
                changes |= {"guard": guard, "wcs": None if ccd.wcs is None else ccd.wcs.deepcopy()}
            # A frame in which nothing was looked for and nothing was found has no mask and no flags.
            if pixels.flags is not None and (self._is_flagged or self._quality or pixels.flags.any()):
                changes["flags"] = pixels.flags
            if pixels.mask is not None and (self._is_flagged or self._masks or pixels.mask.any()):
                changes["mask"] = pixels.mask
        budget = ccd.known_budget
        if self.terms is not None and (self._has_new_noise or self._is_new):
            terms = [self._with_shot_noise(term, data, guard) for term in self.terms]
            budget = UncertaintyBudget(self.shape, terms, dtype, data)
            if variance is not None:
                budget = budget.with_variance(variance)
        history = self.history.of_new_pixels(origin=self.origin, flattened_step=self.flattened_step)
        changes = {key: value for key, value in changes.items() if value is not None}
        return ccd.replace(data, budget, unit=self.unit, history=history, **changes)

    # -- noise ---------------------------------------------------------------------------------------------------

    def _add_term(self, source: NoiseSource, coefficient: Coefficient) -> None:
        terms = self.terms or []
        others = [term for term in terms if term[0].identity != source.identity]
        self._shot.pop(source.identity, None)
        related = not source.family.isdisjoint(self._family | _family_of(self._added))
        self._finds_variance &= len(others) == len(terms) and not related
        self._family |= source.family
        self.terms = [*others, (source, coefficient)]
        self._has_new_noise = True

    def _note(self, instruction: Instruction, noisy: CCDFrame | None, factor: float) -> None:
        """Take an operation on the values into the program, and the noise of the operand, if it has any."""
        family = frozenset() if noisy is None else _family_of([(noisy, factor)])
        self._finds_variance &= family.isdisjoint(self._family)
        if instruction.code == ADD:
            self._program.append(instruction)
            if noisy is not None:
                self._added.append((noisy, factor))
            return
        added = self._note_added(noisy)
        self._program.append(instruction)
        self._family |= family
        if noisy is None:
            return
        self._finds_variance &= instruction.code == DIVIDE
        rule = RULES[np.true_divide]
        self._program.append(Instruction(ADD_OF_DIVISOR, rule.of_y.number**2, partial(_variance, noisy)))
        related = [one for one in added if not family.isdisjoint(_family_of([one]))]
        if related:
            both = 2 * rule.of_x.number * rule.of_y.number
            self._program.append(Instruction(ADD_SHARED, both, partial(_covariance, related, noisy)))

    def _note_added(self, divisor: CCDFrame | None = None) -> Added:
        """Take the variances of what was added into the program: of a sum, where these share noise."""
        added, self._added = self._added, []
        groups: list[Added] = []
        for one in added:
            related = [group for group in groups if not _family_of(group).isdisjoint(_family_of([one]))]
            groups = [group for group in groups if group not in related]
            groups.append([*(other for group in related for other in group), one])
        for group in groups:
            frame, factor = group[-1]
            if len(group) == 1:
                self._program.append(Instruction(ADD_VARIANCE, factor**2, partial(_variance, frame)))
            else:
                of_sum = partial(_variance_of_sum, group, divisor or frame)
                self._program.append(Instruction(ADD_VARIANCE, 1.0, of_sum))
        self._family |= _family_of(added)
        return added

    def _with_shot_noise(self, term: Term, data: NDArray[Any], guard: WriteGuard) -> Term:
        """A term with its variance, if that is what the values tell."""
        source, coefficient = term
        if source.identity not in self._shot:
            return term
        at, floor = self._shot[source.identity]
        undo = undone([self._as_array(one) for one in self._program[at:] if one.code in OF_VALUES])
        variance: Any = ShotVariance(data, guard, undo, floor) if self._is_new else clamped(data, undo, floor)
        return source.replace(variance=Coefficient(1.0).times(variance)), coefficient

    # -- inside --------------------------------------------------------------------------------------------------

    def _take_flags(self, operation: Any, frame: CCDFrame) -> None:
        if frame.mask is not None:
            self._masks.append(frame.mask)
        planes = [frame.flags]
        if operation is np.true_divide:
            planes.append(frame.cached("flags of a quotient", (), lambda: flagged_uncertain(None, frame, frame.shape)))
        self._quality += [plane for plane in planes if plane is not None]

    def _follow_step(self, operation: Any, operand: Any, values: Callable[[], Any]) -> None:
        """What an operation does to the digital step, as for operators of frames."""
        is_number = not isinstance(operand, PerAmplifier) and np.ndim(operand) == 0
        if not is_number:
            self.flattened_step = None
        if operation is np.add:
            return
        power = 1 if operation is np.multiply else -1
        if self.flattened_step is not None:
            self.flattened_step *= abs(float(operand)) ** power
        if isinstance(operand, PerAmplifier) and operand.is_contiguous and power == 1 and self.gains is None:
            self.gains, self._scaled_origin = operand, None
            return
        origin, self.gains = self.origin, None
        if origin is not None:
            is_gain = is_number or isinstance(operand, PerAmplifier)
            known = any(source.identity == f"{origin.raw.identity()}:read" for source, _ in self.terms or ())
            # Otherwise nothing was digitised, or the noise of that is known already.
            follows = is_gain or (origin.raw.step != 0 and not known)
            origin = origin.scaled(_plain(values()), power) if follows else origin.scaled(0.0)
        self.raw_origin = origin

    def _instruction(self, code: int, operand: Any, factor: float = 1.0) -> Instruction:
        """With a factor for each section, as long as all instructions have the same sections."""
        if isinstance(operand, PerAmplifier):
            if len(set(operand.values)) == 1:
                return Instruction(code, factor * operand.values[0])
            sections = tuple(operand.sections)
            if code != DIVIDE and operand.is_contiguous and self._sections in (None, sections):
                self._sections = sections
                return Instruction(code, tuple(factor * value for value in operand.values))
            operand = operand.over(float_type(self._ccd.dtype))
        if np.ndim(operand) == 0:
            return Instruction(code, factor * float(operand))
        return Instruction(code, factor, operand)

    def _as_array(self, one: Instruction) -> Instruction:
        """An instruction with one factor for all sections."""
        if not isinstance(one.factor, tuple):
            return one
        assert self._sections is not None
        over = PerAmplifier(self._sections, one.factor, self.shape).over(float_type(self._ccd.dtype))
        return one._replace(factor=1.0, array=np.asarray(over))

    def _cut_instruction(self, one: Instruction, item: tuple[slice, ...]) -> Instruction:
        one = self._as_array(one)
        array, shape = one.array, self.shape
        if callable(array):
            return one._replace(array=lambda: _cut(array(), item, shape))
        return one if array is None else one._replace(array=_cut(array, item, shape))


def _values(operand: Any, dtype: Any) -> Callable[[], Any]:
    """Gives the values of an operand: a number, or a reference to an array that nobody writes into."""
    if isinstance(operand, CCDFrame):
        return lambda: reference_to(operand)
    if isinstance(operand, PerAmplifier):
        return lambda: operand.over(dtype)
    if np.ndim(operand) == 0:
        return lambda: float(operand)
    array = np.array(operand) if may_be_written(operand) else operand
    array.flags.writeable = False
    return lambda: array


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _plain(value: Any) -> Any:
    """A number, or the array that is referred to."""
    return value.array if isinstance(value, ArrayRef) else value


def _cut(value: Any, item: tuple[slice, ...], shape: tuple[int, ...]) -> Any:
    """The part of a number or an array that broadcasts to a frame of this shape."""
    if np.ndim(value) == 0:
        return value
    along = (
        slice(None) if n == 1 and of_frame != 1 else part
        for part, n, of_frame in zip(item, value.shape, shape, strict=True)
    )
    return value[tuple(along)]


def _family(terms: Iterable[Term]) -> frozenset[str]:
    """The identities of all noise in a frame, and of what went into it."""
    return frozenset().union(*(source.family for source, _ in terms))


def _family_of(added: Iterable[tuple[CCDFrame, float]]) -> frozenset[str]:
    return frozenset().union(*(_family(frame.budget.terms) for frame, _ in added))


def _variance(frame: CCDFrame) -> NDArray[Any]:
    return np.asarray(frame.variance)


def _budgets(added: Added) -> Sequence[tuple[UncertaintyBudget, float]]:
    return [(frame.known_budget, factor) for frame, factor in added if frame.known_budget is not None]


def _variance_of_sum(added: Added, owner: CCDFrame) -> NDArray[Any]:
    """Found once for all frames that the same masters are applied to, and kept with one of these."""
    parts = _budgets(added)
    found: NDArray[Any] = owner.cached(
        "variance of a sum", tuple(parts), lambda: UncertaintyBudget.linear(parts).variance()
    )
    return found


def _covariance(added: Added, divisor: CCDFrame) -> NDArray[Any]:
    """Of a sum and a divisor; found once, as the variance of the sum is."""
    parts, budget = _budgets(added), divisor.known_budget
    assert budget is not None
    found: NDArray[Any] = divisor.cached(
        "covariance with a sum", tuple(parts), lambda: UncertaintyBudget.linear(parts).covariance(budget)
    )
    return found
