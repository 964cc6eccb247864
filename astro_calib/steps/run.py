r"""
A run of operations, carried out in one pass over the pixels.

Each operation is noted as instructions for the pass, and as what it does to the coefficients of the sources of noise,
by the table of `astro_calib.noise.propagation`. With the raw frame r, its overscan level o, gain G, bias B, dark D
scaled by t, and flat F of mean one, the steps of a calibration come out as

.. math:: z = \frac{G (r - o) - M}{F}, \qquad M = B + t D,

so that the frame's own noise has the coefficient 1/F, each source of the masters with coefficient c has -c/F, and each
of the flat's has -c z/F: numbers times arrays that exist anyway. The variance comes out of the same pass.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.dtypes import float_type
from astro_calib.flags import DataQuality
from astro_calib.frame.bayer_cards import cards_of_cut
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.operands import check_addable, flagged_uncertain
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.kernels.program import ADD, FLAG_FROM, FLAG_LOST
from astro_calib.masters.master import named_budget
from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.propagation import of_first, of_second
from astro_calib.noise.window import compose_windows, window_of
from astro_calib.steps.amplifiers import PerAmplifier
from astro_calib.steps.instructions import Instructions
from astro_calib.steps.operand import checked_operand, has_zeros, plain, values_of
from astro_calib.steps.variance import VarianceSoFar

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.history import History
    from astro_calib.kernels.fused import Pixels
    from astro_calib.noise.origin import Origin
    from astro_calib.noise.propagation import Term
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.sparse import SparseArray

__all__ = ["FrameSoFar"]


class FrameSoFar:
    """
    What a frame will be after operations that are carried out together, once `finished` is called.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to begin with.
    """

    def __init__(self, ccd: CCDFrame) -> None:
        self._begin(ccd)

    def _begin(self, ccd: CCDFrame) -> None:
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
        self._program = Instructions(ccd.shape, float_type(ccd.dtype))
        self._variance = VarianceSoFar.of(self._program, budget)
        self._masks = [] if ccd.mask is None else [ccd.mask]
        self._quality: list[Any] = [] if ccd.flags is None else [ccd.flags]
        self._is_flagged = self._looks_for_lost = self._is_cut = self._has_new_values = self._has_new_noise = False

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
                self._scaled_origin = self.raw_origin.scaled(self.gains.as_field(self.dtype))
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

    @property
    def pixels(self) -> NDArray[Any]:
        """The pixels that the run began with, read-only."""
        return self._ccd.pixels

    def values(self, item: tuple[slice, ...] = (slice(None), slice(None))) -> NDArray[Any]:
        """
        The values at some pixels, found without the others; read-only.

        Parameters
        ----------
        item : (slice, slice)
            Rows and columns.
        """
        return self._program.values(self._ccd.pixels, item)

    def values_and_levels(self, sections: Sequence[tuple[slice, slice]]) -> tuple[NDArray[Any], list[float]]:
        """The pixels that the run began with and what was added in each section, if that is all; else values and 0."""
        pixels, levels = self._ccd.pixels, self._program.numbers_added(sections)
        plain = (
            pixels.dtype.isnative
            and pixels.flags.c_contiguous
            and pixels.dtype.str[1:] in ("u2", "i2", "i4", "f4", "f8")
        )
        return (pixels, levels) if levels is not None and plain else (self.values(), [0.0] * len(sections))

    def part(self, item: tuple[slice, slice]) -> CCDFrame:
        """A part of the frame as it is so far."""
        result = copy.copy(self)
        vars(result)["_meta"] = copy.deepcopy(self._meta)
        result.cut(item)
        return result.finished()

    def at(self, where: NDArray[np.intp]) -> Pixels:
        """
        Some pixels as they are so far, with their variance; without flags and mask if nothing was looked for.

        Parameters
        ----------
        where : ndarray of int, shape (n, m)
            Their indices in the flattened frame, which has noise.
        """
        from astro_calib.kernels.fused import Pixels, run

        def held(plane: Any) -> NDArray[Any]:
            return (plane if isinstance(plane, ArrayRef) else ArrayRef(plane)).at(where, self.shape)

        variance = self._variance.copy()
        variance.finish(self.terms or ())
        if variance.is_found:
            return run(
                variance.program.at(where).done,
                held(self._ccd.pixels),
                dtype=float_type(self._ccd.dtype),
                with_variance=True,
                masks=[held(mask) for mask in self._masks],
                quality=[held(plane) for plane in self._quality],
            )
        frame = self.part((slice(None), slice(None)))
        variances, flags, mask = (
            None if plane is None else held(plane) for plane in (frame.variance, frame.flags, frame.mask)
        )
        return Pixels(held(frame.pixels), variances, flags, mask)

    @property
    def has_numbers(self) -> bool:
        """Whether some pixel is a finite number."""
        return any(np.isfinite(self.values((slice(row, row + 1), slice(None)))).any() for row in range(self.shape[0]))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which pixels are masked, as far as is known before the values are."""
        return np.logical_or.reduce([np.zeros(self.shape, dtype=np.bool_), *self._masks])

    def are_masked(self, where: NDArray[np.bool_]) -> bool:
        """Whether all of these pixels are masked, as far as is known before the values are."""
        return any(bool(mask[where].all()) for mask in self._masks)

    # -- operations ----------------------------------------------------------------------------------------------

    def add(self, operand: Any, factor: float = 1.0, *, kind: str | None = None) -> None:
        """Add ``factor * operand``; arguments as for `combine`."""
        self.combine(np.add, operand, factor, kind=kind)

    def multiply(self, operand: Any, *, kind: str | None = None) -> None:
        """Multiply by an operand; arguments as for `combine`."""
        self.combine(np.multiply, operand, kind=kind)

    def divide(self, operand: Any, *, kind: str | None = None) -> None:
        """Divide by an operand; arguments as for `combine`."""
        self.combine(np.true_divide, operand, kind=kind)

    def combine(self, operation: Any, operand: Any, factor: float = 1.0, *, kind: str | None = None) -> None:
        """
        Add an operand times a factor, multiply by one, or divide by one.

        Parameters
        ----------
        operation : callable
            ``numpy.add``, ``numpy.multiply`` or ``numpy.true_divide``.
        operand : CCDFrame, float, ndarray, Quantity or PerAmplifier
            All but a frame are exact; an array broadcasts to the frame. What has no unit is added in the frame's unit.
        factor : float
            Of what is added.
        kind : str, optional
            What the noise of an operand that is a frame is called in the budget: its read noise and shot noise, that
            of its overscan and the like. Noise that other masters brought to it keeps their names. As it is by default.
        """
        operand, operand_unit = checked_operand(self, operation, operand, factor)
        frame = operand if isinstance(operand, CCDFrame) else None
        budget = None if frame is None else frame.known_budget
        unit, x = self.unit, None
        if frame is not None:
            if operation is np.add:
                check_addable(self, frame)
                factor *= float(frame.unit.to(unit))
            if operation is np.multiply and budget is not None and has_zeros(frame):
                # What was multiplied by zero does not tell its values any more: they are found now.
                self._begin(self.finished())
                x = self._ccd.read_only_data()
            self._take_flags(operation, frame)
        if operation is not np.add and operand_unit != u.dimensionless_unscaled:
            unit = operation(unit, operand_unit)
        values = cache(values_of(operand, float_type(self._ccd.dtype)))
        refers = self._variance.follows_values or any(coefficient.depends_on_own for _, coefficient in self.terms or ())
        terms = [(s, of_first(operation, c, values, factor)) for s, c in self.terms or ()]
        if frame is not None and budget is not None:
            named = named_budget(frame, kind, is_added=operation is np.add)
            terms += [(s, of_second(operation, c, values, factor, x)) for s, c in named.terms]
        self._follow_step(operation, operand, values)
        if isinstance(operand, PerAmplifier):
            value: Any = operand
        else:
            # Of what is only read in the pass no copy is needed.
            value = frame.pixels if frame is not None and operation is np.add and not refers else plain(values())
        self._variance.operate(operation, value, factor, frame if budget is not None else None)
        if operation is np.true_divide and has_zeros(operand):
            # The budget says what is known of the noise there.
            self._variance.is_found = False
        self.terms = terms if terms or self.terms is not None else None
        self.unit = unit
        self._has_new_values = self._has_new_noise = True

    def add_in(self, where: PerAmplifier, value: float | NDArray[Any]) -> None:
        """
        Add what is exact, times a number for each amplifier.

        Parameters
        ----------
        where : PerAmplifier
            One for those whose pixels it is for, zero for others.
        value : float or ndarray
            In the frame's unit; an array broadcasts to the frame.
        """
        self._follow_step(np.add, where, lambda: value)
        self._program.append(ADD, value, where=where)
        self._variance.quotient = None
        self._has_new_values = self._has_new_noise = True

    def add_noise(
        self,
        source: NoiseSource,
        coefficient: Coefficient | float | NDArray[Any] = 1.0,
        variance: PerAmplifier | None = None,
        *,
        where: PerAmplifier | None = None,
    ) -> None:
        """
        Add a source of noise of the frame's own.

        Parameters
        ----------
        source : NoiseSource
            One of the same identity that is there already is replaced.
        coefficient : Coefficient, float or ndarray
            The derivative of the frame with respect to it; an array broadcasts to the frame.
        variance : PerAmplifier, optional
            That of the source, if it is one for each amplifier.
        where : PerAmplifier, optional
            Another factor of the coefficient, one for each amplifier.
        """
        coefficient = coefficient if isinstance(coefficient, Coefficient) else Coefficient(coefficient)
        whole = coefficient if where is None else coefficient.times(where.as_field(np.float32))
        is_new = self._replace_term(source, whole)
        self._variance.add_source(source, coefficient, variance, is_new=is_new, where=where)

    def add_noises(self, terms: Sequence[Term], variance: PerAmplifier, extra: SparseArray) -> None:
        """
        Add several sources of the frame's own that it does not have yet.

        Parameters
        ----------
        terms : sequence of (NoiseSource, Coefficient)
            Independent of each other.
        variance : PerAmplifier
            Of all together, at most pixels.
        extra : SparseArray
            What is to be added to that at some.
        """
        were_new = [self._replace_term(*term) for term in terms]
        self._variance.add_sources([source for source, _ in terms], variance, extra, are_new=all(were_new))

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
        self._variance.scale(identity, factor)

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
        is_new = self._replace_term(source, Coefficient(1.0))
        self._variance.add_shot_noise(source, floor, is_new=is_new)

    def _replace_term(self, source: NoiseSource, coefficient: Coefficient) -> bool:
        """Take a source into the noise, instead of one of the same identity; whether there was none."""
        terms = self.terms or []
        others = [term for term in terms if term[0].identity != source.identity]
        self.terms = [*others, (source, coefficient)]
        self._has_new_noise = True
        return len(others) == len(terms)

    def flagged(self, quality: DataQuality, where: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether one of these flags is set so far, for some pixels by their indices in the flattened frame."""
        found = np.zeros(where.shape, dtype=np.bool_)
        for plane in self._quality:
            flags = plane.at(where, self.shape) if isinstance(plane, ArrayRef) else plane.reshape(-1)[where]
            found |= (flags & np.uint16(quality)) != 0
        for place, one in enumerate(self._program.done):
            if one.code == FLAG_FROM and one.bits & quality:
                found |= self._program.reached(self._ccd.pixels, place, where)
        return found

    def flag(self, where: NDArray[np.bool_], quality: DataQuality) -> None:
        """Set a flag at some pixels, and mask them if it says that they are unfit for use."""
        self._is_flagged = True
        spread = np.broadcast_to(where, self.shape)
        self._quality.append(np.where(spread, np.uint16(quality), np.uint16(0)))
        if quality & DataQuality.UNUSABLE:
            self._masks.append(spread)

    def flag_some(self, quality: SparseArray) -> None:
        """Set flags that do not mask, at some pixels."""
        self._is_flagged = True
        self._quality.append(quality)

    def flag_from(self, level: float | PerAmplifier, quality: DataQuality) -> None:
        """Set a flag where the values are at this level or above, and mask these pixels; nowhere at NaN or above."""
        self._is_flagged = True
        if isinstance(level, PerAmplifier):
            whole = self.dtype.kind in "iu"
            level = level._replace(values=tuple(float(np.ceil(one)) if whole else one for one in level.values))
            self._program.append(FLAG_FROM, level, bits=int(quality))
            return
        level = float(np.ceil(level)) if self.dtype.kind in "iu" else float(level)
        self._program.append(FLAG_FROM, level, bits=int(quality))

    def flag_lost(self, quality: DataQuality) -> None:
        """Set a flag where the values are no finite numbers, and mask these pixels."""
        if self.dtype.kind == "f":
            self._looks_for_lost = True
            self._program.append(FLAG_LOST, bits=int(quality))

    def cut(self, item: tuple[slice, slice]) -> None:
        """Keep some rows and columns."""
        shape, ccd = self.shape, self._ccd[item]
        self.raw_origin, self.gains = self.origin, None
        if self.raw_origin is not None:
            moves = tuple(window_of(part, length) for part, length in zip(item, shape, strict=True))
            window = compose_windows(self.raw_origin.window, moves)
            self.raw_origin = self.raw_origin.cut(window, item, shape)
        program = self._program.cut(item, ccd.shape)
        self._program, self._variance = program, self._variance.cut(item, program)
        self._masks, self._quality = ([plane[item] for plane in planes] for planes in (self._masks, self._quality))
        self._ccd, self._is_cut = ccd, True
        if self._meta is not None:
            self._meta = cards_of_cut(self._meta, item, shape, self.name)
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
            self._variance.finish(self.terms or ())
            from astro_calib.kernels.fused import run

            looks = self._is_flagged or self._looks_for_lost or bool(self._masks or self._quality)
            pixels = run(
                self._program.done,
                data,
                dtype=dtype,
                sections=self._program.sections,
                with_variance=self._is_new and self.terms is not None and self._variance.is_found,
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
            terms = [self._variance.of_term(term, data, guard if self._is_new else None) for term in self.terms]
            budget = UncertaintyBudget(self.shape, terms, dtype, data)
            if variance is not None:
                budget = budget.with_variance(variance)
        history = self.history.of_new_pixels(origin=self.origin, flattened_step=self.flattened_step)
        changes = {key: value for key, value in changes.items() if value is not None}
        return ccd.replace(data, budget, unit=self.unit, history=history, **changes)

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
        if isinstance(operand, PerAmplifier) and power == 1 and self.gains is None:
            self.gains, self._scaled_origin = operand, None
            return
        origin, self.gains = self.origin, None
        if origin is not None:
            is_gain = is_number or isinstance(operand, PerAmplifier)
            known = any(source.identity == f"{origin.raw.identity()}:read" for source, _ in self.terms or ())
            # Otherwise nothing was digitised, or the noise of that is known already.
            follows = is_gain or (origin.raw.step != 0 and not known)
            factor = values() if is_gain else plain(values())
            origin = origin.scaled(factor, power) if follows else origin.scaled(0.0)
        self.raw_origin = origin
