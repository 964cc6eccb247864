"""The instructions of a run: what the pass does to each pixel, with a number for each amplifier where it can be one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.dtypes import floating
from astro_calib.kernels.program import DIVIDE, OF_VALUES, Instruction, undone
from astro_calib.steps.amplifiers import PerAmplifier

if TYPE_CHECKING:
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

    def append(self, code: int, operand: Any = 1.0, factor: float = 1.0, bits: int = 0) -> Instruction:
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
        """
        if isinstance(operand, PerAmplifier):
            one = self._by_amplifier(code, operand, factor)
        elif callable(operand) or np.ndim(operand):
            one = Instruction(code, factor, operand, bits)
        else:
            one = Instruction(code, factor * float(operand), None, bits)
        self.done.append(one)
        return one

    def _by_amplifier(self, code: int, operand: PerAmplifier, factor: float) -> Instruction:
        """With a factor for each section, as long as all instructions have the same sections."""
        if len(set(operand.values)) == 1:
            return Instruction(code, factor * operand.values[0])
        sections = tuple(operand.sections)
        if code != DIVIDE and operand.is_contiguous and self.sections in (None, sections):
            self.sections = sections
            return Instruction(code, tuple(factor * value for value in operand.values))
        return Instruction(code, factor, np.asarray(operand.over(self.dtype)))

    def undone_from(self, place: int) -> list[Instruction]:
        """What makes of the result the values before the instruction at a place."""
        return undone([self._as_array(one) for one in self.done[place:] if one.code in OF_VALUES])

    def values(self, pixels: NDArray[Any], item: tuple[slice, ...], place: int | None = None) -> NDArray[Any]:
        """The values at some of a frame's pixels after all instructions so far, or those before a place."""
        program = [self._cut(one, item) for one in self.done[:place] if one.code in OF_VALUES]
        if not program:
            return pixels[item] if place is not None else floating(pixels[item])
        part = floating(pixels[item])
        from astro_calib.kernels.fused import run

        return run(program, part, dtype=part.dtype).data

    def cut(self, item: tuple[slice, ...], shape: tuple[int, ...]) -> Instructions:
        """The instructions for some rows and columns, which have this shape."""
        return Instructions(shape, self.dtype, [self._cut(one, item) for one in self.done])

    def _as_array(self, one: Instruction) -> Instruction:
        """An instruction with one factor for all sections."""
        if not isinstance(one.factor, tuple):
            return one
        assert self.sections is not None
        over = PerAmplifier(self.sections, one.factor, self.shape).over(self.dtype)
        return one._replace(factor=1.0, array=np.asarray(over))

    def _cut(self, one: Instruction, item: tuple[slice, ...]) -> Instruction:
        one = self._as_array(one)
        array, shape = one.array, self.shape
        if callable(array):
            return one._replace(array=lambda: cut_array(array(), item, shape))
        return one if array is None else one._replace(array=cut_array(array, item, shape))


def cut_array(value: Any, item: tuple[slice, ...], shape: tuple[int, ...]) -> Any:
    """The part of a number or an array that broadcasts to a frame of this shape."""
    if np.ndim(value) == 0:
        return value
    along = (
        slice(None) if n == 1 and of_frame != 1 else part
        for part, n, of_frame in zip(item, value.shape, shape, strict=True)
    )
    return value[tuple(along)]
