"""Frames that do not fit into memory: their arrays lie in temporary files, and are read some rows at a time."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import TYPE_CHECKING, Any

from astropy import log

from astro_calib.dtypes import float_type
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.io.mapped import MappedArrays
from astro_calib.io.memory import available_memory
from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.shot_variance import ShotVariance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.stack.request import MemoryLimit

__all__ = ["OF_FREE", "Overflow"]

#: The log of what is done in a night.
LOG = logging.getLogger("astro_calib")
#: The part of the limit that frames may take in memory; the rest is for what is made of them.
OF_FRAMES = 0.5
#: The part of the limit that is for what was read from the files, and the part for the rows that are worked on.
OF_FILES, OF_ROWS = 0.25, 0.25
#: The part of the memory which is free that is the limit where nobody says one.
OF_FREE = 0.5


class Overflow:
    """
    Where the frames of a combination go that do not fit into memory.

    All stay in memory, or none: nothing but the place of their arrays differs, so that the result is the same.

    Parameters
    ----------
    limit : float or "auto"
        About how many bytes the combination may take; half of what is free by default.
    """

    def __init__(self, limit: MemoryLimit) -> None:
        self._limit = limit
        self._taken = 0.0
        self._arrays: MappedArrays | None = None

    @property
    def is_used(self) -> bool:
        """Whether frames lie in files."""
        return self._arrays is not None

    @property
    def room(self) -> float:
        """How many bytes the rows may take that are worked on at a time; infinite while frames are in memory."""
        return math.inf if self._arrays is None or self._limit == "auto" else OF_ROWS * self._limit

    def take(self, frames: list[Any]) -> None:
        """Move the frames to files, if the last one is too many, or if those before it were."""
        last: CCDFrame = frames[-1]
        if self._arrays is None:
            self._taken += _size_of(last)
            if self._limit == "auto":
                self._limit = OF_FREE * available_memory()
            if self._taken <= OF_FRAMES * self._limit:
                return
            self._arrays = MappedArrays(OF_FILES * self._limit)
            msg = (
                f"The frames to be combined take more than half of the memory limit ({self._limit / 1e9:.2g} GB). They "
                f"are kept in temporary files in {self._arrays.directory} meanwhile."
            )
            # The one is for sessions, in which nobody listens to the other; of the first, nights show warnings only.
            log.info(msg)
            LOG.info(msg)
            for position, frame in enumerate(frames):
                frames[position] = self.frame(frame)
        else:
            frames[-1] = self.frame(last)

    def array(self, array: NDArray[Any]) -> NDArray[Any]:
        """The same array; in a file, if frames lie in files."""
        return array if self._arrays is None else self._arrays.moved(array)

    def frame(self, frame: CCDFrame) -> CCDFrame:
        """The same frame, its arrays in a file, if frames lie in files."""
        if self._arrays is None:
            return frame
        guard = WriteGuard()
        pixels, budget = self.array(frame.pixels), frame.known_budget
        return frame.replace(
            pixels,
            None if budget is None else self._budget(budget, pixels, guard),
            mask=None if frame.mask is None else self.array(frame.mask),
            flags=None if frame.flags is None else self.array(frame.flags),
            history=dataclasses.replace(frame.history, origin=frame.origin),
            meta=frame.meta,
            guard=guard,
        )

    def _budget(self, budget: UncertaintyBudget, pixels: NDArray[Any], guard: WriteGuard) -> UncertaintyBudget:
        known: dict[ArrayRef, ArrayRef] = {}
        terms = []
        for source, coefficient in budget.terms:
            # What is lent is in memory with the master.
            moved = source.variance if source.lent else self._coefficient(source.variance, known, guard)
            same = moved == source.variance
            terms.append(
                (source if same else source.replace(variance=moved), self._coefficient(coefficient, known, guard))
            )
        result = UncertaintyBudget(budget.shape, terms, budget.dtype, pixels)
        if not any(coefficient.depends_on_own for _, coefficient in terms):
            # Its variance is found again, should somebody ask for it.
            return result
        return result.with_variance(self.array(budget.variance()))

    def coefficient(self, coefficient: Coefficient) -> Coefficient:
        """The same coefficient, its arrays in a file, if frames lie in files."""
        return coefficient if self._arrays is None else self._coefficient(coefficient, {}, WriteGuard())

    def _coefficient(self, coefficient: Coefficient, known: dict[ArrayRef, ArrayRef], guard: WriteGuard) -> Coefficient:
        def moved(field: ArrayRef) -> ArrayRef:
            if isinstance(field, ShotVariance):
                return field.elsewhere(self.array, guard)
            if type(field) is not ArrayRef or field.place is not None:
                # A few numbers, or an array that is in memory with a master.
                return field
            array = self.array(field.array)
            return field if array is field.array else ArrayRef(array)

        return coefficient.with_arrays(moved, known) if coefficient.arrays else coefficient


def _size_of(frame: CCDFrame) -> float:
    """About how many bytes of memory a frame takes, its noise among them; those of masters are there once."""
    planes = [plane for plane in (frame.pixels, frame.mask, frame.flags) if plane is not None]
    values = math.prod(frame.shape) * float_type(frame.dtype).itemsize
    return sum(plane.nbytes for plane in planes) + (0 if frame.known_budget is None else values)
