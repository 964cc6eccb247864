"""
The step of the digitiser, found in the pixels of a raw frame.

Twelve bits in files of sixteen come in steps of 16, fourteen in steps of 4, and frames that were multiplied by a number
in steps of that. Pixels that are side by side in a row differ by multiples of the step, whatever the level, the
gradient, and the offset of the row or the amplifier are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Neighbours", "digital_step", "neighbours", "sample_of"]

#: The number of pairs of neighbours that are looked at, and the smallest number of rows.
PAIRS = 1 << 14
ROWS = 32
#: Fewer pairs that differ than this are no evidence: a few pixels may have a common divisor by chance.
ENOUGH = 64
#: This part of the pairs that differ has to fit: clipped, interpolated and hit pixels need not lie on a step.
FITTING = 0.8
#: The number of pairs of differences whose common divisors are tried, and of differences on which they are tried first.
CANDIDATES, TRIED = 64, 256
#: The search begins with one pair in this many.
FIRST = 8
#: Neighbours that differ by more than this many times the median difference do not count.
FAR = 20
#: If more than this part of the pixels has the lowest or the highest value, they may have been clipped.
CLIPPED = 0.02
#: Relative precision of numbers that were once whole: that of float32, also if they are float64 by now.
PRECISION = 2.0**-23
#: A step smaller than this many times their precision is lost in rounding.
SMALLEST = 32
#: The part of a step by which a difference may miss a multiple of it.
MISS = 1 / 32


class Neighbours(NamedTuple):
    """
    A sample of the pixels of a frame, and their neighbours in the next column.

    Attributes
    ----------
    rows, columns : ndarray of int, shapes (n,) and (m,)
        Where the pixels are.
    left, right : ndarray, shape (n, m)
        Their values, and those of their neighbours.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    left: NDArray[Any]
    right: NDArray[Any]

    def within(self, rows: slice, columns: slice, shape: Sequence[int]) -> Neighbours:
        """The part of the sample that lies in a section of the frame, which has this shape."""
        inside = [
            _held(held, *part.indices(length))
            for held, part, length in zip((self.rows, self.columns), (rows, columns), shape, strict=True)
        ]
        place = np.ix_(*inside)
        return Neighbours(self.rows[inside[0]], self.columns[inside[1]], self.left[place], self.right[place])


def _held(cells: NDArray[np.intp], first: int, end: int, step: int) -> NDArray[np.bool_]:
    """Which cells a slice of an axis has, by its indices."""
    place = (cells - first) * np.sign(step)
    return np.asarray((place >= 0) & (place < (end - first) * np.sign(step)) & (place % abs(step) == 0))


def sample_of(shape: Sequence[int], dtype: np.dtype[Any]) -> Neighbours:
    """An empty sample of a frame of shape (ny, nx): which pixels it holds depends on the shape alone."""
    number = min(shape[0], max(ROWS, PAIRS // max(shape[1] - 1, 1)))
    rows = np.linspace(0, shape[0] - 1, number).round().astype(np.intp)
    columns = np.arange(0, shape[1] - 1, max(1, -(-len(rows) * (shape[1] - 1) // PAIRS)))
    left, right = np.empty((2, len(rows), len(columns)), dtype=dtype)
    return Neighbours(rows, columns, left, right)


def neighbours(pixels: NDArray[Any]) -> Neighbours | None:
    """A sample of an array's pixels; None if they are no numbers of a detector, or none is beside another."""
    if pixels.dtype.kind not in "uif" or pixels.ndim == 0 or pixels.shape[-1] < 2 or pixels.size == 0:
        return None
    plane = pixels.reshape(-1, pixels.shape[-1])
    sample = sample_of(plane.shape, pixels.dtype)
    sample.left[...], sample.right[...] = (plane[np.ix_(sample.rows, sample.columns + beside)] for beside in (0, 1))
    return sample


def digital_step(sample: Neighbours | None) -> float | None:
    """
    The step in which the values of a frame come.

    Parameters
    ----------
    sample : Neighbours or None
        Some of its pixels.

    Returns
    -------
    float or None
        None where nothing is found: too few pixels, too few different values, or numbers that do not come in steps.

    Notes
    -----
    The step is the greatest common divisor of the differences of neighbours, of which one in five may be something
    else. It is taken for real if at least 64 pairs differ, and not all by the same amount.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.digital_step import digital_step, neighbours
    >>> pixels = 1000 + np.random.default_rng(1).poisson(50, (100, 100))
    >>> (
    ...     digital_step(neighbours(pixels)),
    ...     digital_step(neighbours(16 * pixels + 3)),
    ... )
    (1.0, 16.0)
    >>> round(
    ...     digital_step(
    ...         neighbours(np.float32(0.1) * pixels.astype(np.float32))
    ...     ),
    ...     4,
    ... )
    0.1
    """
    if sample is None:
        return None
    # A part of the pairs is nearly always enough.
    return _step_of(sample, FIRST) or _step_of(sample, 1)


def _step_of(sample: Neighbours, every: int) -> float | None:
    """The step that one pair in ``every`` shows."""
    differences, error = _differences(sample, every)
    if differences.size < ENOUGH:
        return None
    half = min(CANDIDATES, differences.size // 2)
    picked = np.linspace(0, differences.size - 1, 2 * half).astype(np.intp)
    one, other = picked[:half], picked[half:]
    smallest = SMALLEST * np.maximum(error[one], error[other])
    divisors = _common_divisors(differences[one], differences[other], smallest)
    divisors = divisors[divisors > smallest]
    tried = differences[np.linspace(0, differences.size - 1, min(TRIED, differences.size)).astype(np.intp)]
    for divisor in np.unique(divisors)[::-1]:
        if _fitting(tried, divisor).mean() < FITTING:
            continue
        step = _refined(differences, divisor)
        fits = _fitting(differences, step, error)
        multiples = np.rint(differences[fits] / step)
        if fits.mean() >= FITTING and step > SMALLEST * np.median(error) and np.ptp(multiples) > 0:
            return float(step)
    return None


def _differences(sample: Neighbours, every: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differences of neighbours, without zeros and large ones, and how exact each is."""
    left, right = (values.ravel()[::every].astype(np.float64) for values in (sample.left, sample.right))
    with np.errstate(invalid="ignore", over="ignore"):
        differences = np.abs(right - left)
        whole = sample.left.dtype.kind in "ui"
        error = np.zeros(left.shape) if whole else PRECISION * np.maximum(np.abs(left), np.abs(right))
        differ = (differences > SMALLEST * error) & np.isfinite(differences)
    if not differ.any():
        return differences[differ], error[differ]
    # Leave out saturated pixels and hits, which need not lie on a step.
    differ &= differences <= FAR * np.median(differences[differ])
    for extreme in (np.min, np.max):
        # A value at which many pixels were clipped need not lie on a step.
        clipped = left == extreme(left[differ])
        if clipped.mean() > CLIPPED:
            inner = differ & ~clipped & (right != left[clipped][0])
            differ = inner if np.count_nonzero(inner) >= ENOUGH and np.ptp(differences[inner]) > 0 else differ
    return differences[differ], error[differ]


def _common_divisors(
    a: NDArray[np.float64], b: NDArray[np.float64], smallest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The greatest common divisors of pairs of numbers by Euclid's algorithm, down to the smallest that counts."""
    a, b = np.maximum(a, b), np.minimum(a, b)
    while np.any(going := b > smallest):
        rest = np.abs(a - b * np.rint(a / np.where(going, b, 1)))
        a, b = np.where(going, b, a), np.where(going, rest, b)
    return a


def _fitting(
    differences: NDArray[np.float64], step: float, error: NDArray[np.float64] | None = None
) -> NDArray[np.bool_]:
    """Which differences are multiples of a step."""
    off = np.abs(differences - step * np.rint(differences / step))
    allowed = MISS * step / 2
    if error is not None and not error.any():
        # Whole numbers are exact.
        allowed = 0.0
    return np.asarray(off <= allowed)


def _refined(differences: NDArray[np.float64], step: float) -> float:
    """A better value of the step, from the differences that are about its multiples: small multiples first."""
    if step == np.rint(step) and not np.any(differences % 1):
        return step
    for largest in (8, 64, 512):
        multiples = np.rint(differences / step)
        used = (multiples > 0) & (multiples <= largest) & (np.abs(differences - step * multiples) <= MISS * step)
        if used.any():
            step = float(np.sum(differences[used] * multiples[used]) / np.sum(np.square(multiples[used])))
    return step
