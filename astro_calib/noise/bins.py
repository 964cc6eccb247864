"""
Sources of noise whose cells are bins: sums over blocks of the cells of another source.

A frame that was binned holds of each source the sums over blocks of its cells. These sums are a source of their own,
with an identity that says of which source, and over which of its cells: frames that were binned alike hold the same
source, and those whose blocks begin elsewhere share as much of it as their blocks overlap.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astro_calib.noise.window import Window

__all__ = ["Bins", "binned_window", "bins_of", "overlaps"]

#: How an identity ends that is one of bins.
WORDS = re.compile(r"(.*)\|bins of (\d+(?:,\d+)*), (\d+(?:,\d+)*) apart, from (\d+(?:,\d+)*)", re.DOTALL)


class Bins(NamedTuple):
    """
    What the cells of a source are sums of; a number for each axis of the source.

    Attributes
    ----------
    base : str
        The identity of the source whose cells are added up.
    size : tuple of int
        How many are added up.
    apart : tuple of int
        How far it is from one of them to the next.
    first : tuple of int
        The first one in the bin number 0, not further from 0 than a bin is long.
    """

    base: str
    size: tuple[int, ...]
    apart: tuple[int, ...]
    first: tuple[int, ...]

    @property
    def identity(self) -> str:
        """The identity of the bins."""
        size, apart, first = (",".join(map(str, numbers)) for numbers in self[1:])
        return f"{self.base}|bins of {size}, {apart} apart, from {first}"


@lru_cache(maxsize=4096)
def bins_of(identity: str) -> Bins | None:
    """What the cells of a source are sums of; None if they are none."""
    found = WORDS.fullmatch(identity) if "|bins of " in identity else None
    if found is None:
        return None
    size, apart, first = (tuple(map(int, numbers.split(","))) for numbers in found.groups()[1:])
    return Bins(found[1], size, apart, first)


def binned_window(identity: str, window: Window, size: Sequence[int]) -> tuple[Bins, Window]:
    """
    The bins of a source that the pixels of a binned frame hold, and which of them.

    Parameters
    ----------
    identity : str
        Of the source.
    window : Window
        Which cells of it the frame held before.
    size : sequence of int
        How many pixels are added up along each axis of the source.
    """
    base, first, apart, origins, sizes = identity, [], [], [], []
    inner = bins_of(identity)
    if inner is not None and all(abs(step) == 1 for _, step in window):
        # Bins of neighbouring bins are larger bins.
        base = inner.base
    else:
        inner = None
    for axis, ((origin, step), number) in enumerate(zip(window, size, strict=True)):
        distance, lowest = abs(step), origin if step > 0 else origin + step * (number - 1)
        if inner is not None:
            distance = inner.apart[axis]
            lowest = inner.first[axis] + inner.size[axis] * distance * lowest
            number *= inner.size[axis]  # noqa: PLW2901  cells of the base
        where, begin = divmod(lowest, number * distance)
        first.append(begin)
        apart.append(distance)
        sizes.append(number)
        origins.append((where, 1 if step > 0 else -1))
    return Bins(base, tuple(sizes), tuple(apart), tuple(first)), tuple(origins)


def overlaps(a: Bins, b: Bins) -> Iterator[tuple[float, tuple[int, ...]]]:
    """
    Which bins of one source overlap those of another binning of the same cells, if both are of one size.

    Yields
    ------
    float, tuple of int
        The part of the cells that bin n of ``a`` and bin ``n + shift`` of ``b`` have in common, and the shift.
    """
    if a.base != b.base or a.size != b.size or a.apart != b.apart:
        return
    along: list[list[tuple[int, int]]] = []
    for number, distance, first_a, first_b in zip(a.size, a.apart, a.first, b.first, strict=True):
        cells, rest = divmod(first_b - first_a, distance)
        shared = [(number - abs(cells + shift * number), shift) for shift in (-1, 0, 1)]
        along.append([] if rest else [(common, shift) for common, shift in shared if common > 0])
    for one in product(*along):
        yield prod(common for common, _ in one) / prod(a.size), tuple(shift for _, shift in one)
