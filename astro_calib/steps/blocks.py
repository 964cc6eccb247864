"""A frame in blocks of pixels, and the means of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.surface import along_axis, powers_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Blocks"]

#: Blocks that are not given have this part of the shorter side of the frame, and so many pixels on a side.
PART, FEWEST, MOST = 16, 8, 64
#: Every n-th row and column, where some of the pixels say enough; so many are left on a side of a block.
STEPS, LEFT = (4, 2), 8


class Blocks:
    """
    A frame in square blocks; those at its upper and right edges may be smaller.

    Parameters
    ----------
    shape : tuple of int
        Of the frame.
    side : int, optional
        How many pixels a block has on a side.
    """

    def __init__(self, shape: tuple[int, ...], side: int | None = None) -> None:
        if side is None:
            side = int(np.clip(8 * round(min(shape) / PART / 8), FEWEST, MOST))
        self.shape, self.side = shape, side
        self.number = tuple(-(-length // side) for length in shape)
        self.step = next((step for step in STEPS if side % step == 0 and side // step >= LEFT), 1)

    def tiles(self, array: NDArray[Any], fill: Any, step: int = 1) -> NDArray[Any]:
        """The pixels of each block, shape (rows, columns, side, side); what lies outside the frame is ``fill``."""
        array, side = array[::step, ::step], self.side // step
        (rows, columns), (ny, nx) = self.number, array.shape
        if (rows * side, columns * side) != (ny, nx):
            whole = np.full((rows * side, columns * side), fill, dtype=array.dtype)
            whole[:ny, :nx] = array
            array = whole
        return array.reshape(rows, side, columns, side).swapaxes(1, 2)

    def medians(self, values: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The median of some of the good pixels of each block; NaN if there are none."""
        known = np.where(self.tiles(good, fill=False, step=self.step), self.tiles(values, np.nan, self.step), np.inf)
        known = known.reshape(*self.number, -1)
        known.sort(axis=-1)
        number = np.isfinite(known).sum(axis=-1)
        lower, upper = (
            np.take_along_axis(known, np.maximum(place, 0)[..., np.newaxis], axis=-1)[..., 0]
            for place in ((number - 1) // 2, number // 2)
        )
        with np.errstate(invalid="ignore"):
            return np.where(number > 0, 0.5 * (lower + upper), np.nan)

    def means(self, values: NDArray[Any], used: NDArray[np.bool_], step: int = 1) -> NDArray[np.float64]:
        """The mean of the used pixels of each block, of every n-th row and column; NaN if there are none."""
        where = self.tiles(used, fill=False, step=step)
        tiles = self.tiles(np.broadcast_to(values, self.shape), 0, step)
        sums = np.sum(tiles, axis=(-2, -1), where=where, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            return np.asarray(sums / where.sum(axis=(-2, -1)))

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """An array of the frame's shape with one value for each block."""
        ny, nx = self.shape
        return np.repeat(np.repeat(values, self.side, axis=0)[:ny], self.side, axis=1)[:, :nx]

    def counts(self, used: NDArray[np.bool_]) -> NDArray[np.intp]:
        """How many pixels of each block are used."""
        return self.tiles(used, fill=False).sum(axis=(-2, -1))

    def design(self, used: NDArray[np.bool_], degree: int) -> NDArray[np.float64]:
        """The means of polynomials over the used pixels of each block, shape (*number, n_polynomials)."""
        weights = self.tiles(used, fill=False).astype(np.float32)
        rows, columns = (
            along_axis(degree, length, np.arange(count * self.side)).reshape(count, self.side, -1)
            for length, count in zip(self.shape, self.number, strict=True)
        )
        sums = weights @ columns.astype(np.float32)
        both = rows.swapaxes(1, 2)[:, np.newaxis].astype(np.float32) @ sums
        with np.errstate(invalid="ignore", divide="ignore"):
            both = both / weights.sum(axis=(-2, -1), dtype=np.float64)[..., np.newaxis, np.newaxis]
        return np.stack([both[..., y, x] for y, x in powers_of(degree)], axis=-1)
