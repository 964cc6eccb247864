"""
The median of many frames at each pixel by a sorting network: the same few instructions for every pixel.

Batcher's odd-even merge sort (Knuth, The Art of Computer Programming, vol. 3, 2nd ed., section 5.3.4), less the
comparisons on which the middle places do not depend. Frames are sorted by eight first, which takes no memory in
between. A value that is left out counts as infinite, plus and minus in turn, so that the median of the others stays in
the middle.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from astro_calib.kernels.many import build, part_of
from astro_calib.kernels.options import compiled, inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["comparators", "median_of_lines"]

#: Pixels that are sorted at a time: all frames' values of them stay in the cache, and fewer are not worth a loop.
WIDTH = 512
#: Frames whose values fit into the registers together.
BLOCK = 8
#: The comparisons that sort two and eight values.
EIGHT = "01 23 45 67 02 13 46 57 12 56 04 15 26 37 24 35 12 34 56"
NETWORKS = {2: [(0, 1)], 8: [(int(pair[0]), int(pair[1])) for pair in EIGHT.split()]}
#: No value is NaN, and which of two zeros is first does not matter: one instruction chooses.
FLAGS = "nnan", "nsz"


@cache
def comparators(number: int) -> NDArray[np.int64]:
    """
    The comparisons that bring the middle values of some numbers to their places.

    Parameters
    ----------
    number : int
        How many values; each whole `BLOCK` of them is sorted already.

    Returns
    -------
    ndarray of int64, shape (k, 2)
        Pairs (i, j), i < j: the smaller value goes to i. Afterwards the places (number - 1) // 2 and number // 2 hold
        what a full sort would put there; for an odd number the place below the middle does, too.
    """
    pairs: list[tuple[int, int]] = []
    sorted_already = number - number % BLOCK
    # Runs of p are merged to runs of 2p, by comparing what is d apart.
    p = 1
    while p < number:
        d = p
        while d > 0:
            starts = range(d % p, number - d, 2 * d)
            apart = [(i, i + d) for start in starts for i in range(start, min(start + d, number - d))]
            pairs += [(i, j) for i, j in apart if i // (2 * p) == j // (2 * p) and (p >= BLOCK or i >= sorted_already)]
            d //= 2
        p *= 2
    needed = {(number - 1) // 2, number // 2, max((number - 1) // 2 - number % 2, 0)}
    kept = []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return np.array(kept[::-1], dtype=np.int64).reshape(-1, 2)


def _sort_at(context: Any, lines: Any, index: Any, places: Any) -> Any:
    """
    Sort the values of some lines at an index, none NaN; the first value of each line is at one of the places.

    Written as instructions: it is compiled in less than half the time, and a value is chosen without a jump.
    """
    del context

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        whole = build.create_struct_proxy(lines)(target, builder, value=arguments[0])
        starts = build.unpack_tuple(builder, arguments[2], len(places))
        where = [builder.gep(whole.data, [builder.add(start, arguments[1])]) for start in starts]
        values = [builder.load(place) for place in where]
        for i, j in NETWORKS[len(places)]:
            pair = values[i], values[j]
            for position, sign in ((i, "<"), (j, ">")):
                if isinstance(lines.dtype, numba.types.Float):
                    chosen = builder.fcmp_ordered(sign, *pair, flags=FLAGS)
                    values[position] = builder.select(chosen, *pair, flags=FLAGS)
                else:
                    compare = builder.icmp_signed if lines.dtype.signed else builder.icmp_unsigned
                    values[position] = builder.select(compare(sign, *pair), *pair)
        for place, value in zip(where, values, strict=True):
            builder.store(value, place)
        return target.get_dummy_value()

    return numba.types.void(lines, index, places), generate


_sort: Any = numba.extending.intrinsic(_sort_at)


@inner()
def _exchange(lines: NDArray[Any], i: int, j: int) -> None:
    places = i * WIDTH, j * WIDTH
    # Always as many values, for which the compiler needs no loop over the rest.
    for index in range(WIDTH):
        _sort(lines, index, places)


@inner()
def _sort_block(lines: NDArray[Any], first: int) -> None:
    """Sort the values of eight lines at each place."""
    a, b, c, d = first, first + WIDTH, first + 2 * WIDTH, first + 3 * WIDTH
    places = a, b, c, d, a + 4 * WIDTH, b + 4 * WIDTH, c + 4 * WIDTH, d + 4 * WIDTH
    for index in range(WIDTH):
        _sort(lines, index, places)


@inner()
def _take(values: NDArray[Any], line: NDArray[Any]) -> None:
    # Number by number, which is compiled for several at a time; an assignment of slices is not.
    for index in range(values.shape[0]):
        line[index] = values[index]


@inner()
def _take_used(
    values: NDArray[Any], used: NDArray[np.bool_], line: NDArray[Any], filling: NDArray[Any], number: NDArray[np.uint16]
) -> None:
    # The first that is left out counts as large, the second as small, and so on. To another line than what is read:
    # in place the compiler stores only some of several values, which is slow.
    for index in range(values.shape[0]):
        here, value, other = used[index], values[index], filling[index]
        line[index] = value if here else other
        filling[index] = other if here else -other
    for index in range(values.shape[0]):
        number[index] += used[index]


@inner()
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


@compiled()
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
    values : ndarray, shape (n, m), C-contiguous
        Finite where used; floating, if not all are used.
    used : ndarray of bool, shape (n, m), C-contiguous
        Which values count; not read if ``complete``.
    complete : bool
        Whether all do.
    pairs : ndarray of int64, shape (k, 2)
        `comparators` of n.
    median : ndarray, shape (m,), C-contiguous
        Floating, to be written; NaN where no value is used.
    """
    n, m = values.shape
    lines = np.empty(n * WIDTH, dtype=values.dtype)
    lines[:] = 0
    filling = np.empty(WIDTH, dtype=median.dtype)
    number = np.empty(WIDTH, dtype=np.uint16)
    middle = (n - 1) // 2 * WIDTH
    upper = n // 2 * WIDTH
    below = max(middle - n % 2 * WIDTH, 0)
    for start in range(0, m, WIDTH):
        width = min(WIDTH, m - start)
        filling[:] = np.inf
        number[:] = n if complete else 0
        for frame in range(n):
            own, line = part_of(values, frame * m + start, width), part_of(lines, frame * WIDTH, width)
            if complete:
                _take(own, line)
            else:
                _take_used(own, part_of(used, frame * m + start, width), line, filling, number)
        for block in range(n // BLOCK):
            _sort_block(lines, block * BLOCK * WIDTH)
        for pair in range(pairs.shape[0]):
            _exchange(lines, pairs[pair, 0], pairs[pair, 1])
        low, mid, high = part_of(lines, below, width), part_of(lines, middle, width), part_of(lines, upper, width)
        _middle(low, mid, high, n % 2 == 1, filling, number, part_of(median, start, width))
