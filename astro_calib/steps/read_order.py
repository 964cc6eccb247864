"""The sections of a frame's amplifiers in the order in which they are read, all at the same time."""

from __future__ import annotations

from itertools import pairwise, starmap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.detector.amplifier import CORNERS
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.steps.facts import FrameFacts

__all__ = ["ReadSection", "clear_outside", "in_read_order", "read_sections"]


class ReadSection(NamedTuple):
    """
    The pixels of an amplifier.

    Attributes
    ----------
    rows, columns : slice
        Of the frame, from the first to the last, with start, stop and step.
    upper, right : bool
        Whether the last row, and the last column, is read first.
    """

    rows: slice
    columns: slice
    upper: bool
    right: bool

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns it has."""
        rows, columns = (len(range(part.start, part.stop, part.step)) for part in (self.rows, self.columns))
        return rows, columns

    def ends(self, axis: int) -> tuple[int, int]:
        """The first row or column, and the one after the last."""
        part = self.columns if axis else self.rows
        return part.start, part.stop

    @property
    def progression(self) -> tuple[int, ...]:
        """The first row that is read, the step to the next one, and how many there are; the same of the columns."""
        numbers: list[int] = []
        parts = zip((self.rows, self.columns), self.shape, (self.upper, self.right), strict=True)
        for part, length, last_first in parts:
            first = part.start + part.step * (length - 1) if last_first else part.start
            numbers += [first, -part.step if last_first else part.step, length]
        return tuple(numbers)

    def flat(self, rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
        """The indices in a flattened frame of what is read in these rows and columns, counted as they are read."""
        row, down, _, column, along, _ = self.progression
        y, x = row + down * rows, column + along * columns
        return np.asarray(y * shape[1] + x, dtype=np.int64)


def read_sections(frame: FrameFacts, detector: Detector) -> list[ReadSection]:
    """
    The sections of a frame that is as it is in the file.

    Raises
    ------
    FrameError
        If rows or columns of the frame were cut off.
    """
    origin = frame.origin
    if origin is None or origin.raw.shape != frame.shape or any(part != (0, 1) for part in origin.window):
        msg = (
            f"{frame.name}: what its amplifiers read at the same moment is not known, as it is cut or no longer a raw "
            "frame. Subtract the crosstalk before trimming, and before arithmetic with other frames."
        )
        raise FrameError(msg)
    sections = []
    for amplifier, section in zip(detector.amplifiers, detector.sections(frame.shape), strict=True):
        rows, columns = (_ascending(part, length) for part, length in zip(section, frame.shape, strict=True))
        right, upper = CORNERS[amplifier.corner]
        sections.append(ReadSection(rows, columns, upper, right))
    return sections


def in_read_order(array: NDArray[Any], section: ReadSection) -> NDArray[Any]:
    """A view of an amplifier's pixels: its first row holds what is read first, from left to right."""
    part = array[section.rows, section.columns]
    return part[:: -1 if section.upper else 1, :: -1 if section.right else 1]


def clear_outside(array: NDArray[Any], sections: list[ReadSection]) -> None:
    """Put zero where no amplifier reads."""
    if sum(int(np.prod(section.shape)) for section in sections) == array.size:
        return
    edges = [
        sorted({0, length, *(end for one in sections for end in one.ends(axis))})
        for axis, length in enumerate(array.shape)
    ]
    if any(part.step != 1 for one in sections for part in (one.rows, one.columns)):
        outside = np.ones(array.shape, dtype=np.bool_)
        for one in sections:
            outside[one.rows, one.columns] = False
        array[outside] = 0
        return
    for rows in starmap(slice, pairwise(edges[0])):
        for columns in starmap(slice, pairwise(edges[1])):
            if not any(_holds(one.rows, rows) and _holds(one.columns, columns) for one in sections):
                array[rows, columns] = 0


def _holds(whole: slice, part: slice) -> bool:
    return bool(whole.start <= part.start and part.stop <= whole.stop)


def _ascending(part: slice, length: int) -> slice:
    along = range(length)[part]
    along = along if along.step > 0 else along[::-1]
    return slice(along.start, along.stop, along.step)
