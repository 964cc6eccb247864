"""
Arrays that depend on nothing but which frames' values were kept at a pixel: tables of a few numbers.

After rejection the sums of weights, the factors of variances and the coefficients of what frames share are arrays of a
stack's size. Their pixels have one of a few patterns of survivors, and in a file or a pickle one number for each
pattern says the same.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.noise.arrays import ArrayRef, LazyArray, SurvivorMask, TableArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.source import NoiseSource

__all__ = ["find_tables", "term_arrays"]

#: Smaller arrays, in numbers a pattern, are not worth a table.
NUMBERS_A_PATTERN = 16
#: Pixels at which it is seen first whether an array may have a table.
LOOK = 1000
#: More frames have too many patterns.
FRAMES = 16


def term_arrays(source: NoiseSource, coefficient: Coefficient) -> list[ArrayRef]:
    """All arrays that a term of a budget refers to."""
    weights = [one.weight for one in source.constituents.values()]
    return [array for one in (coefficient, source.variance, *weights) for array in one.arrays]


def find_tables(terms: Iterable[Sequence[ArrayRef]], wanted: Callable[[ArrayRef], bool] = lambda _: True) -> None:
    """Find the tables of those wanted of the arrays that each term refers to, if they have one."""
    planes: dict[ArrayRef, _Patterns] = {}
    arrays: dict[ArrayRef, None] = {}
    for several in terms:
        for one in several:
            if isinstance(one, SurvivorMask):
                planes.setdefault(one.plane, _Patterns(one.plane))
            elif type(one) in (ArrayRef, LazyArray) and one.table is None:
                arrays[one] = None
    for array in arrays:
        likely = [patterns for plane, patterns in planes.items() if plane.shape == array.shape]
        if likely and wanted(array):
            array.table = next((table for one in likely if (table := one.table(array)) is not None), None)


class _Patterns:
    """The patterns of survivors in a plane, and where they are."""

    def __init__(self, plane: ArrayRef) -> None:
        self._plane = plane

    @cached_property
    def _alike(self) -> NDArray[np.intp]:
        """Some pixels that have the same pattern."""
        keys = self._plane.array.reshape(-1)
        step = max(1, keys.size // LOOK)
        patterns, counts = np.unique(keys[::step], return_counts=True)
        return np.flatnonzero(keys[::step] == patterns[counts.argmax()]) * step

    @cached_property
    def _found(self) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """The patterns, and a pixel that has each; None if there are too many."""
        keys = self._plane.array.reshape(-1)
        if int(keys.max()) >= 1 << FRAMES:
            return None
        pixels = np.full(1 << FRAMES, -1)
        pixels[keys] = np.arange(keys.size)
        patterns = np.flatnonzero(pixels >= 0)
        return None if patterns.size * NUMBERS_A_PATTERN > keys.size else (patterns, pixels[patterns])

    def table(self, array: ArrayRef) -> TableArray | None:
        """The table of an array; None if it has none."""
        flat = array.array.reshape(-1)
        if not flat.size or np.any(flat[self._alike] != flat[self._alike[0]]) or self._found is None:
            return None
        patterns, pixels = self._found
        table = TableArray(self._plane, patterns.astype(np.uint16), flat[pixels])
        whole = np.zeros(1 << FRAMES, dtype=flat.dtype)
        whole[patterns] = flat[pixels]
        return table if np.array_equal(whole.take(self._plane.array), array.array) else None
