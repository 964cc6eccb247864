"""Hot pixels above what is around them, in a dark and in the frames that it is subtracted from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.dtypes import floating
from astro_calib.frame.rebuild import usable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["Excess", "excess_of", "hot_pixels_of", "pixels_around"]

#: A hot pixel is further above what is around it than this many of its standard errors, and of the pixels around.
#: So far out, pixels that noise has made hot are rare enough to leave the amplitude alone.
THRESHOLD = 30.0
#: Side of the boxes whose medians are the level that hot pixels are looked for above.
BOX = 32
#: The level around a pixel is the median of those at most so far, but for the next neighbours.
REACH = 3
OFFSETS = np.array(
    [
        (row, column)
        for row in range(-REACH, REACH + 1)
        for column in range(-REACH, REACH + 1)
        if max(abs(row), abs(column)) > 1
    ]
)
#: Of these, so many must be fit for use.
ENOUGH = 20
#: The variance of a median of many, in units of that of the mean.
OF_MEDIAN = np.pi / 2


class Excess(NamedTuple):
    """
    By how much pixels are above what is around them.

    Attributes
    ----------
    rows, columns : ndarray of int, shape (n,)
        Where they are.
    values : ndarray, shape (n,)
        The excess; NaN where it is not known.
    variances : ndarray, shape (n,)
        Of the excess.
    around : ndarray, shape (n,)
        The part of that which the noise of the pixels around would give.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: NDArray[np.float64]
    variances: NDArray[np.float64]
    around: NDArray[np.float64]

    def at(self, which: NDArray[Any]) -> Excess:
        """Some of the pixels."""
        rows, columns, values, variances, around = self
        return Excess(rows[which], columns[which], values[which], variances[which], around[which])


def hot_pixels_of(dark: CCDFrame) -> Excess:
    """The hot pixels of a dark; found once for all frames that it is subtracted from."""
    found: Excess = dark.cached("hot pixels", (), lambda: _found(dark))
    return found


def _found(dark: CCDFrame) -> Excess:
    data, good = floating(dark.pixels), usable(dark)
    variance = dark.variance
    limit = _limits(np.where(good, data, np.nan))
    candidates = np.zeros(dark.shape, dtype=bool)
    inside = np.s_[REACH : dark.shape[0] - REACH, REACH : dark.shape[1] - REACH]
    candidates[inside] = (good & (data > limit))[inside]
    rows, columns = np.nonzero(candidates)
    excess = _excess_at(data, variance, good & ~candidates, rows, columns)
    with np.errstate(invalid="ignore"):
        hot = excess.values > THRESHOLD * np.sqrt(excess.variances)
    return excess.at(hot)


def _excess_at(
    data: NDArray[Any],
    variance: NDArray[Any] | None,
    calm: NDArray[np.bool_],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> Excess:
    """
    By how much pixels are above what is around them.

    Parameters
    ----------
    data, variance : ndarray, shape (ny, nx)
        An image; None for one that is exact.
    calm : ndarray of bool, shape (ny, nx)
        Which pixels tell the level around others.
    rows, columns : ndarray of int, shape (n,)
        Where the pixels are, none of them at the border.
    """
    near = np.divmod(pixels_around(rows, columns, data.shape), data.shape[1])
    return excess_of(rows, columns, data[near], None if variance is None else variance[near], calm[near])


def pixels_around(rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """For each of n pixels its own index in the flattened image and those of the pixels around it, shape (n, m)."""
    near = [np.concatenate([[0], along]) for along in OFFSETS.T]
    return (rows[:, np.newaxis] + near[0]) * shape[1] + columns[:, np.newaxis] + near[1]


def excess_of(
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    data: NDArray[Any],
    variance: NDArray[Any] | None,
    calm: NDArray[np.bool_],
) -> Excess:
    """The same, from arrays of shape (n, m) that hold what is at the pixels that `pixels_around` gives."""
    fit, near = calm[:, 1:], data[:, 1:]
    number = np.count_nonzero(fit, axis=1)
    enough = number >= ENOUGH
    level, own, around = (np.full(rows.shape, np.nan) for _ in range(3))
    # NumPy's median of numbers is many times faster than that which looks for others.
    whole = number == fit.shape[1]
    level[whole] = np.median(near[whole], axis=1)
    some = enough & ~whole
    level[some] = np.nanmedian(np.where(fit[some], near[some], np.nan), axis=1)
    if variance is None:
        own[enough] = around[enough] = 0.0
    else:
        mean = np.nanmean(np.where(fit[enough], variance[:, 1:][enough], np.nan), axis=1, dtype=np.float64)
        of_level = OF_MEDIAN / number[enough] * mean
        own[enough] = variance[enough, 0] + of_level
        around[enough] = mean + of_level
    return Excess(rows, columns, data[:, 0] - level, own, around)


def _limits(data: NDArray[Any]) -> NDArray[Any]:
    """What pixels have to be above to be looked at: the level in boxes and how their pixels scatter."""
    limits = np.empty_like(data)
    for top in range(0, data.shape[0], BOX):
        band = data[top : top + BOX]
        whole = band.shape[1] // BOX * BOX
        parts = [band[:, :whole].reshape(len(band), -1, BOX).swapaxes(0, 1)] if whole else []
        levels = [_limit(part.reshape(len(part), -1)) for part in parts]
        if whole < band.shape[1]:
            # The last box reaches back, so that it is as wide as the others.
            last = band[:, -min(BOX, band.shape[1]) :].reshape(1, -1)
            levels.append(_limit(last))
        along = np.repeat(np.concatenate(levels), BOX)
        limits[top : top + BOX] = along[: band.shape[1]]
    return limits


def _limit(boxes: NDArray[Any]) -> NDArray[Any]:
    middle = np.full(len(boxes), np.inf)
    known = np.isfinite(boxes).sum(axis=1) > boxes.shape[1] // 4
    if known.any():
        middle[known] = np.nanmedian(boxes[known], axis=1)
        # Half of the pixels are nearer than this: a wide estimate of their scatter, which hot ones hardly move.
        spread = np.nanmedian(np.abs(boxes[known] - middle[known, np.newaxis]), axis=1)
        middle[known] += THRESHOLD * 1.4826 * spread
    return middle
