"""What amplifiers that read at the same time have of each other, row by row of the read-out, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ghosts_in_place"]

#: Values that are worked on before those that stand out are put aside.
BLOCK = 1 << 17
#: Sums may be taken in any order, so that several are added at a time.
ANY_ORDER = {"reassoc", "nsz"}


def ghosts_in_place(
    values: NDArray[Any],
    sections: NDArray[np.int64],
    matrix: NDArray[np.float64],
    typical: NDArray[np.float64],
    limits: NDArray[np.float64],
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]:
    """
    Put minus the ghosts in the place of the values.

    Parameters
    ----------
    values : ndarray of floats, shape (ny, nx)
        Replaced in the sections: by minus the sum over the columns of the matrix times what was read together.
    sections : ndarray of int64, shape (n, 6)
        Of each amplifier the first row that it reads, the step to the next, how many there are; the same of columns.
    matrix : ndarray of float64, shape (n, n)
        What each amplifier, a row, has of each other one, a column.
    typical, limits : ndarray of float64, shape (n,)
        Values that differ from the typical one of their amplifier by more than the limit are put aside.

    Returns
    -------
    list of (rows, columns, values)
        For each amplifier those, in the order of the read-out, and NaN for what is no finite number, whose ghosts count
        as 0.
    """
    number = len(sections)
    rows, columns = int(sections[:, 2].max()), int(sections[:, 5].max())
    block = max(1, BLOCK // max(columns * number, 1))
    found: list[tuple[int, Any]] = []

    def work(part: slice) -> None:
        size = (part.stop - part.start) * columns * number
        places, aside = np.empty((size, 3), dtype=np.int64), np.empty(size, dtype=values.dtype)
        count = _ghosts(values, sections, matrix, typical, limits, part.start, part.stop, columns, places, aside)
        found.append((part.start, (places[:count].copy(), aside[:count].copy())))

    over_rows(work, rows, values.size, block)
    found.sort(key=lambda one: one[0])
    places = np.concatenate([one[0] for _, one in found])
    aside = np.concatenate([one[1] for _, one in found])
    result = []
    for amplifier in range(number):
        own = places[:, 0] == amplifier
        result.append((places[own, 1], places[own, 2], aside[own]))
    return result


@inner(fastmath=ANY_ORDER)
def _gather(values: NDArray[Any], row: int, first: int, step: int, count: int, line: NDArray[Any]) -> Any:
    """Copy a row of an amplifier; gives 0, or NaN if one of them is no finite number."""
    zero = line.dtype.type(0)
    check = zero
    if step == 1:
        for index in range(count):
            value = values[row, first + index]
            line[index] = value
            check += value * zero
    elif step == -1:
        for index in range(count):
            value = values[row, first - (count - 1) + index]
            line[count - 1 - index] = value
            check += value * zero
    else:
        for index in range(count):
            value = values[row, first + step * index]
            line[index] = value
            check += value * zero
    return check


@inner()
def _scatter(values: NDArray[Any], row: int, first: int, step: int, count: int, line: NDArray[Any]) -> None:
    """Copy back what is in the order of the read-out."""
    if step == 1:
        for index in range(count):
            values[row, first + index] = line[index]
    elif step == -1:
        for index in range(count):
            values[row, first - (count - 1) + index] = line[count - 1 - index]
    else:
        for index in range(count):
            values[row, first + step * index] = line[index]


@inner(fastmath=ANY_ORDER)
def _add(total: NDArray[Any], line: NDArray[Any], factor: Any, count: int) -> None:
    for index in range(count):
        total[index] += factor * line[index]


@inner()
def _spread(line: NDArray[Any], typical: Any, limit: Any, count: int) -> bool:
    """Whether some value differs from the typical one by more than the limit."""
    far = 0
    for index in range(count):
        far += abs(line[index] - typical) > limit
    return far > 0


@compiled()
def _ghosts(
    values: NDArray[Any],
    sections: NDArray[np.int64],
    matrix: NDArray[np.float64],
    typical: NDArray[np.float64],
    limits: NDArray[np.float64],
    begin: int,
    end: int,
    columns: int,
    places: NDArray[np.int64],
    aside: NDArray[Any],
) -> int:
    number = sections.shape[0]
    lines = np.zeros((number, columns), dtype=values.dtype)
    total = np.zeros(columns, dtype=values.dtype)
    kind = values.dtype.type
    found = 0
    for row in range(begin, end):
        for one in range(number):
            first, step, count = sections[one, 3], sections[one, 4], sections[one, 5]
            if row >= sections[one, 2]:
                lines[one] = 0
                continue
            place = sections[one, 0] + sections[one, 1] * row
            line = lines[one]
            is_odd = _gather(values, place, first, step, count, line) != 0
            if is_odd or _spread(line, kind(typical[one]), kind(limits[one]), count):
                for column in range(count):
                    value = line[column]
                    if not np.isfinite(value):
                        line[column] = 0
                        excess = kind(np.nan)
                    else:
                        excess = value - kind(typical[one])
                        if not abs(excess) > limits[one]:
                            continue
                    places[found, 0], places[found, 1], places[found, 2] = one, row, column
                    aside[found] = excess
                    found += 1
        for victim in range(number):
            if row >= sections[victim, 2]:
                continue
            count = sections[victim, 5]
            total[:count] = 0
            for one in range(number):
                factor = matrix[victim, one]
                if factor != 0:
                    _add(total, lines[one], kind(-factor), min(count, sections[one, 5]))
            place = sections[victim, 0] + sections[victim, 1] * row
            first, step = sections[victim, 3], sections[victim, 4]
            _scatter(values, place, first, step, count, total)
    return found
