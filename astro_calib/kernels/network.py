"""
The median of many frames at each pixel by a sorting network: the same few instructions for every pixel.

Batcher's merge exchange (Knuth, The Art of Computer Programming, vol. 3, 2nd ed., section 5.2.2, algorithm M), less
the comparisons on which the middle places do not depend. A value that is left out counts as infinite, plus and minus
in turn, so that the median of the others stays in the middle.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["comparators", "median_of_lines"]

#: Pixels that are sorted at a time: all frames' values of them stay in a fast cache.
WIDTH = 512


@cache
def comparators(number: int) -> NDArray[np.int64]:
    """
    The comparisons that bring the middle values of some numbers to their places.

    Parameters
    ----------
    number : int
        How many values, 2 or more.

    Returns
    -------
    ndarray of int64, shape (k, 2)
        Pairs (i, j), i < j: the smaller value goes to i. Afterwards the places (number - 1) // 2 and number // 2 hold
        what a full sort would put there; for an odd number the place below the middle does, too.
    """
    pairs: list[tuple[int, int]] = []
    highest = 1 << ((number - 1).bit_length() - 1)
    p = highest
    while p > 0:
        q, r, d = highest, 0, p
        while d > 0:
            pairs += [(i, i + d) for i in range(number - d) if i & p == r]
            d, q, r = q - p, q >> 1, p
        p >>= 1
    needed = {(number - 1) // 2, number // 2, max((number - 1) // 2 - number % 2, 0)}
    kept = []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return np.array(kept[::-1], dtype=np.int64).reshape(-1, 2)


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _exchange(lines: NDArray[Any], i: int, j: int, smaller: int, larger: int) -> None:
    # To other lines than those that are read, which the compiler turns into plain minimum and maximum; always as many
    # values, for which it needs no loop over the rest.
    for index in range(WIDTH):
        x, y = lines[i, index], lines[j, index]
        lines[smaller, index] = min(x, y)
        lines[larger, index] = max(x, y)


@numba.njit(cache=True, nogil=True)
def _fill(line: NDArray[Any], here: NDArray[np.bool_], filling: NDArray[Any], number: NDArray[np.uint16]) -> None:
    # The first that is left out counts as large, the second as small, and so on.
    for index in range(line.shape[0]):
        used, value, other = here[index], line[index], filling[index]
        line[index] = value if used else other
        filling[index] = other if used else -other
        number[index] += used


@numba.njit(cache=True, nogil=True)
def _middle(
    low: NDArray[Any],
    mid: NDArray[Any],
    high: NDArray[Any],
    odd: bool,
    filling: NDArray[Any],
    number: NDArray[np.uint16],
    median: NDArray[Any],
) -> None:
    kind = median.dtype.type
    half, nothing, no_number = kind(0.5), kind(0), kind(np.nan)
    for index in range(median.shape[0]):
        even_missing = filling[index] > nothing
        if odd:
            value = kind(mid[index]) if even_missing else (kind(low[index]) + kind(mid[index])) * half
        else:
            value = (kind(mid[index]) + kind(high[index])) * half if even_missing else kind(mid[index])
        median[index] = value if number[index] > 0 else no_number


@numba.njit(cache=True, nogil=True)
def median_of_lines(
    values: NDArray[Any],
    used: NDArray[np.bool_],
    complete: bool,
    pairs: NDArray[np.int64],
    median: NDArray[Any],
) -> None:
    """
    The median of the used values at each pixel.

    Parameters
    ----------
    values : ndarray, shape (n, m)
        Finite where used; floating, if not all are used.
    used : ndarray of bool, shape (n, m)
        Which values count; not read if ``complete``.
    complete : bool
        Whether all do.
    pairs : ndarray of int64, shape (k, 2)
        `comparators` of n.
    median : ndarray, shape (m,)
        Floating, to be written; NaN where no value is used.
    """
    n, m = values.shape
    lines = np.zeros((n + 2, WIDTH), dtype=values.dtype)
    filling = np.empty(WIDTH, dtype=median.dtype)
    number = np.empty(WIDTH, dtype=np.uint16)
    place = np.empty(n, dtype=np.int64)
    middle = (n - 1) // 2
    upper = n // 2
    below = middle - 1 if n % 2 == 1 and n > 1 else middle
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        filling[:] = np.inf
        number[:] = n if complete else 0
        for frame in range(n):
            place[frame] = frame
            lines[frame, :width] = values[frame, start : start + width]
            if not complete:
                _fill(lines[frame, :width], used[frame, start : start + width], filling, number)
        spare, other = n, n + 1
        for pair in range(pairs.shape[0]):
            i, j = place[pairs[pair, 0]], place[pairs[pair, 1]]
            _exchange(lines, i, j, spare, other)
            place[pairs[pair, 0]], place[pairs[pair, 1]] = spare, other
            spare, other = i, j
        low, mid, high = lines[place[below], :width], lines[place[middle], :width], lines[place[upper], :width]
        _middle(low, mid, high, n % 2 == 1, filling, number, median[start : start + width])
