"""The instructions of a run: what the pass does to each pixel, with a number for each amplifier where it can be one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.dtypes import float_type, floating
from astro_calib.kernels.program import ADD, DIVIDE, OF_VALUES, Instruction, RowsAndColumns, undone
from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.window import along
from astro_calib.steps.amplifiers import PerAmplifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.kernels.program import Section

__all__ = ["Instructions", "cut_array"]


@dataclass
class Instructions:
    """What is done to the pixels of a frame, in order."""

    shape: tuple[int, ...]
    #: Of the result: float32 or float64.
    dtype: np.dtype[Any]
    done: list[Instruction] = field(default_factory=list)
    #: The amplifiers that factors are for; None as long as each factor is for all pixels.
    sections: tuple[Section, ...] | None = None

    @property
    def number_of_sections(self) -> int:
        """How many factors an instruction has."""
        return 1 if self.sections is None else len(self.sections)

    def append(
        self,
        code: int,
        operand: Any = 1.0,
        factor: float = 1.0,
        bits: int = 0,
        *,
        where: PerAmplifier | None = None,
    ) -> Instruction:
        """
        Add an instruction at the end.

        Parameters
        ----------
        code : int
            What is done, as `astro_calib.kernels.program` has it.
        operand : float, ndarray, PerAmplifier or callable
            What it is done with; a callable gives an array when the pass begins.
        factor : float
            The operand is multiplied by this first.
        bits : int
            The flags that are set.
        where : PerAmplifier, optional
            Another factor, one for each amplifier.
        """
        if isinstance(operand, PerAmplifier):
            operand, where = 1.0, operand
        if callable(operand) or np.ndim(operand):
            one = Instruction(code, factor, operand, bits)
        else:
            one = Instruction(code, factor * float(operand), None, bits)
        if where is not None:
            one = self._by_amplifier(one, where)
        self.done.append(one)
        return one

    def append_by_section(self, code: int, array: NDArray[Any] | None, factors: NDArray[np.float64]) -> None:
        """Add an instruction at the end that has a factor for each of the sections there are."""
        numbers = tuple(factors.tolist())
        self.done.append(Instruction(code, numbers[0] if len(set(numbers)) == 1 else numbers, array))

    def _by_amplifier(self, one: Instruction, numbers: PerAmplifier) -> Instruction:
        """With a factor for each section, as long as all instructions have the same sections."""
        field, factor = numbers.as_field(self.dtype), one.factor
        assert not isinstance(factor, tuple)
        if isinstance(field, float):
            return one._replace(factor=factor * field)
        if one.code != DIVIDE and numbers.is_contiguous:
            sections, values = numbers.parts
            if self.sections in (None, sections):
                self.sections = sections
                return one._replace(factor=tuple(factor * value for value in values))
        return one._replace(array=_product(one.array, field.compact, self.dtype))

    def undone_from(self, place: int) -> list[Instruction]:
        """What makes of the result the values before the instruction at a place."""
        done = [self._as_array(one) for one in self.done[place:] if one.code in OF_VALUES]
        return undone([one._replace(array=one.array()) if callable(one.array) else one for one in done])

    def numbers_added(self, sections: Sequence[Section]) -> list[float] | None:
        """What was added to the values in each of some sections; None if that is no number or not all that was done."""
        done = [one for one in self.done if one.code in OF_VALUES]
        if len(done) != 1 or done[0].code != ADD or done[0].array is not None:
            return None
        factor = done[0].factor
        if not isinstance(factor, tuple):
            return [factor] * len(sections)
        assert self.sections is not None
        known = {str(section): number for section, number in zip(self.sections, factor, strict=True)}
        found = [known.get(str(section)) for section in sections]
        return [number for number in found if number is not None] if None not in found else None

    def values(self, pixels: NDArray[Any], item: tuple[slice, ...]) -> NDArray[Any]:
        """The values at some of a frame's pixels after all instructions so far."""
        part = pixels[item]
        program = Instructions(self.shape, self.dtype, [one for one in self.done if one.code in OF_VALUES])
        if not program.done:
            return floating(part)
        program.sections = self.sections
        program = program.cut(item, part.shape)
        from astro_calib.kernels.fused import run

        return run(program.done, part, dtype=float_type(part.dtype), sections=program.sections).data

    def reached(self, pixels: NDArray[Any], place: int, where: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether values have reached the factor of the instruction at a place, for pixels by their flat indices."""
        before = Instructions(self.shape, self.dtype, self.done[:place], self.sections)
        changed = any(one.code in OF_VALUES for one in before.done)
        values = before.values(pixels, (slice(None), slice(None))) if changed else pixels
        one = self._as_array(self.done[place])
        level = one.factor if one.array is None else np.broadcast_to(np.asarray(one.array), self.shape).flat[where]
        return np.asarray(values.reshape(-1)[where] >= level)

    def at(self, where: NDArray[np.intp]) -> Instructions:
        """The instructions for some pixels by their indices in the flattened frame; an image of the indices' shape."""
        done = [self._as_array(one) for one in self.done]
        return Instructions(where.shape, self.dtype, [one._replace(array=self._at(one.array, where)) for one in done])

    def _at(self, array: Any, where: NDArray[np.intp]) -> NDArray[Any] | None:
        if array is None:
            return None
        if not isinstance(array, ArrayRef):
            array = ArrayRef(np.asarray(array() if callable(array) else array))
        return array.at(where, self.shape)

    def cut(self, item: tuple[slice, ...], shape: tuple[int, ...]) -> Instructions:
        """The instructions for some rows and columns, which have this shape."""
        held, sections = self._cut_sections(item)
        done = self.done
        if held is None:
            done = [self._as_array(one) for one in done]
        elif sections is not None:
            done = [_with_factors_of(one, held) for one in done]
        return Instructions(shape, self.dtype, [self._cut(one, item) for one in done], sections)

    def _cut_sections(self, item: tuple[slice, ...]) -> tuple[list[int] | None, tuple[Section, ...] | None]:
        """Which sections have pixels in a part of the frame, and these pixels; None if that is no part in one piece."""
        if self.sections is None:
            return [], None
        moves = [part.indices(length) for part, length in zip(item, self.shape, strict=True)]
        if any(step != 1 for *_, step in moves):
            return None, None
        found = {
            place: tuple(
                slice(max(part.start, first) - first, min(part.stop, end) - first, 1)
                for part, (first, end, _) in zip(section, moves, strict=True)
            )
            for place, section in enumerate(self.sections)
        }
        held = [place for place, section in found.items() if all(part.stop > part.start for part in section)]
        rows_and_columns = tuple((found[place][0], found[place][1]) for place in held)
        return (held, rows_and_columns) if held else (None, None)

    def _as_array(self, one: Instruction) -> Instruction:
        """An instruction with one factor for all sections."""
        if not isinstance(one.factor, tuple):
            return one
        assert self.sections is not None
        over = PerAmplifier(self.sections, one.factor, self.shape).over(self.dtype)
        return one._replace(factor=1.0, array=_product(one.array, over, self.dtype))

    def _cut(self, one: Instruction, item: tuple[slice, ...]) -> Instruction:
        array, shape = one.array, self.shape
        if isinstance(array, RowsAndColumns):
            return one._replace(array=RowsAndColumns(*(cut_array(each, item, shape) for each in array)))
        if callable(array):
            return one._replace(array=lambda: cut_array(array(), item, shape))
        return one if array is None else one._replace(array=cut_array(array, item, shape))


def _with_factors_of(one: Instruction, held: list[int]) -> Instruction:
    """An instruction with the factors of some of the sections, if it has one for each."""
    return one._replace(factor=tuple(one.factor[at] for at in held)) if isinstance(one.factor, tuple) else one


def _product(array: Any, numbers: Any, dtype: np.dtype[Any]) -> Any:
    """An array times numbers that are given for each amplifier; made when the pass begins if it is larger than both."""
    if array is None:
        return np.asarray(numbers)
    if isinstance(array, np.ndarray) and array.shape[1:] == np.shape(numbers)[:1] == (1,):
        return RowsAndColumns(array, np.asarray(numbers))
    return lambda: np.asarray((array() if callable(array) else array) * numbers, dtype=dtype)


def cut_array(value: Any, item: tuple[slice, ...], shape: tuple[int, ...]) -> Any:
    """The part of a number or an array that broadcasts to a frame of this shape."""
    return value if np.ndim(value) == 0 else value[along(value.shape, item, shape)]
