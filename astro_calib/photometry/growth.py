"""Masks that grow by a square or a disc."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["within_disc", "within_square"]


def within_square(mask: NDArray[np.bool_], reach: int, *, outside: bool = False) -> NDArray[np.bool_]:
    """
    Return where something is in the square that reaches so many pixels to each side of a pixel.

    ``outside`` says whether something is outside of the frame.
    """
    return _grown(mask, [reach] * (reach + 1), outside)


def within_disc(mask: NDArray[np.bool_], radius: float, *, outside: bool = False) -> NDArray[np.bool_]:
    """
    Return where the centre of something is no further than ``radius`` from that of a pixel.

    ``outside`` says whether something is outside of the frame.
    """
    steps = range(math.floor(radius) + 1)
    return _grown(mask, [max(y for y in steps if math.sqrt(x * x + y * y) <= radius) for x in steps], outside)


def _grown(mask: NDArray[np.bool_], heights: Sequence[int], outside: bool) -> NDArray[np.bool_]:
    """Grown by a shape that reaches ``heights[x]`` pixels up and down at x pixels to the left and to the right."""
    reach = len(heights) - 1
    rows, columns = mask.shape
    padded = np.pad(mask, reach, constant_values=outside)
    result = np.zeros(mask.shape, dtype=bool)
    tall = padded[reach : reach + rows].copy()
    height = 0
    # From the sides, where the shape is lowest, to the middle.
    for x in range(reach, -1, -1):
        while height < heights[x]:
            height += 1
            for first in (reach - height, reach + height):
                tall |= padded[first : first + rows]
        for first in {reach - x, reach + x}:
            result |= tall[:, first : first + columns]
    return result
