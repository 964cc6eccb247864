"""What amplifiers that read at the same time have of each other, row by row of the read-out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.many import part_of
from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ghosts_of"]

#: Values that are worked on before those that stand out are put aside.
BLOCK = 1 << 17
#: Sums may be taken in any order, so that several are added at a time.
ANY_ORDER = {"reassoc", "nsz"}


def ghosts_of(
    values: NDArray[Any],
    levels: NDArray[np.float64],
    sections: NDArray[np.int64],
    matrix: NDArray[np.float64],
    typical: NDArray[np.float64],
    limits: NDArray[np.float64],
    dtype: np.dtype[Any],
) -> tuple[NDArray[Any], list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]]:
    """
    Find minus the ghosts of values.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Integers or floats.
    levels : ndarray of float64, shape (n,)
        What is added to those of each amplifier first.
    sections : ndarray of int64, shape (n, 6)
        Of each amplifier the first row that it reads, the step to the next, how many there are; the same of columns.
    matrix : ndarray of float64, shape (n, n)
        What each amplifier, a row, has of each other one, a column.
    typical, limits : ndarray of float64, shape (n,)
        Values that differ from the typical one of their amplifier by more than the limit are put aside.
    dtype : dtype
        Of the ghosts, float32 or float64.

    Returns
    -------
    ghosts : ndarray, shape (ny, nx)
        Minus the sum over the columns of the matrix times what was read together; not set outside of the sections.
    aside : list of (rows, columns, values)
        For each amplifier those, in the order of the read-out, and NaN for what is no finite number, whose ghosts count
        as 0.
    """
    number = len(sections)
    rows, columns = int(sections[:, 2].max()), int(sections[:, 5].max())
    block = max(1, BLOCK // max(columns * number, 1))
    ghosts = np.empty(values.shape, dtype=dtype)
    found: list[tuple[int, Any]] = []

    def work(part: slice) -> None:
        size = (part.stop - part.start) * columns * number
        places, aside = np.empty((size, 3), dtype=np.int64), np.empty(size, dtype=dtype)
        count = _ghosts(
            values, levels, sections, matrix, typical, limits, part.start, part.stop, columns, ghosts, places, aside
        )
        found.append((part.start, (places[:count].copy(), aside[:count].copy())))

    over_rows(work, rows, values.size, block)
    found.sort(key=lambda one: one[0])
    places = np.concatenate([one[0] for _, one in found])
    aside = np.concatenate([one[1] for _, one in found])
    result = []
    for amplifier in range(number):
        own = places[:, 0] == amplifier
        result.append((places[own, 1], places[own, 2], aside[own]))
    return ghosts, result


@inner(fastmath=ANY_ORDER)
def _gather(source: NDArray[Any], line: NDArray[Any], turned: bool, level: Any, typical: Any, limit: Any) -> Any:
    """Copy a row, turned round or not; gives 0, or something else if it holds what is no number or stands out."""
    kind = line.dtype.type
    nothing, one = kind(0), kind(1)
    odd = nothing
    for index in range(line.shape[0]):
        value = kind(source[index]) + level
        odd += value * nothing + (one if abs(value - typical) > limit else nothing)
    if turned:
        last = np.uintp(line.shape[0] - 1)
        for index in range(line.shape[0]):
            line[index] = kind(source[last - np.uintp(index)]) + level
    else:
        for index in range(line.shape[0]):
            line[index] = kind(source[index]) + level
    return odd


@inner()
def _scatter(line: NDArray[Any], target: NDArray[Any], turned: bool) -> None:
    """Copy a row back."""
    if turned:
        last = np.uintp(line.shape[0] - 1)
        for index in range(line.shape[0]):
            target[index] = line[last - np.uintp(index)]
    else:
        for index in range(line.shape[0]):
            target[index] = line[index]


@inner(fastmath=ANY_ORDER)
def _add(total: NDArray[Any], line: NDArray[Any], factor: Any) -> None:
    for index in range(total.shape[0]):
        total[index] += factor * line[index]


@compiled()
def _ghosts(
    values: NDArray[Any],
    levels: NDArray[np.float64],
    sections: NDArray[np.int64],
    matrix: NDArray[np.float64],
    typical: NDArray[np.float64],
    limits: NDArray[np.float64],
    begin: int,
    end: int,
    columns: int,
    ghosts: NDArray[Any],
    places: NDArray[np.int64],
    aside: NDArray[Any],
) -> int:
    number, across = sections.shape[0], values.shape[1]
    lines, total = np.zeros((number, columns), dtype=ghosts.dtype), np.zeros(columns, dtype=ghosts.dtype)
    every = np.zeros(columns, dtype=values.dtype)
    kind = ghosts.dtype.type
    found = 0
    for row in range(begin, end):
        for one in range(number):
            first, step, count = sections[one, 3], sections[one, 4], sections[one, 5]
            line = part_of(lines, one * columns, count)
            if row >= sections[one, 2]:
                line[:] = 0
                continue
            place = (sections[one, 0] + sections[one, 1] * row) * across
            level, middle, limit = kind(levels[one]), kind(typical[one]), kind(limits[one])
            if abs(step) == 1:
                source = part_of(values, place + min(first, first + step * (count - 1)), count)
                odd = _gather(source, line, step < 0, level, middle, limit)
            else:
                for column in range(count):
                    every[column] = values[place // across, first + step * column]
                odd = _gather(part_of(every, 0, count), line, False, level, middle, limit)
            if odd == 0:
                continue
            for column in range(count):
                excess = line[column] - middle
                if not np.isfinite(line[column]):
                    line[column], excess = kind(0), kind(np.nan)
                elif not abs(excess) > limit:
                    continue
                places[found, 0], places[found, 1], places[found, 2] = one, row, column
                aside[found] = excess
                found += 1
        for victim in range(number):
            if row >= sections[victim, 2]:
                continue
            first, step, count = sections[victim, 3], sections[victim, 4], sections[victim, 5]
            part_of(total, 0, count)[:] = 0
            for one in range(number):
                factor = matrix[victim, one]
                if factor != 0:
                    width = min(count, sections[one, 5])
                    _add(part_of(total, 0, width), part_of(lines, one * columns, width), kind(-factor))
            place = (sections[victim, 0] + sections[victim, 1] * row) * across
            if abs(step) == 1:
                target = part_of(ghosts, place + min(first, first + step * (count - 1)), count)
                _scatter(part_of(total, 0, count), target, step < 0)
            else:
                for column in range(count):
                    ghosts[place // across, first + step * column] = total[column]
    return found
