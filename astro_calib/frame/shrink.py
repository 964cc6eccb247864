"""Images made as small as they are shown: means over blocks of pixels, and grey levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["grey_levels", "shrunk", "zscale"]

#: So many rows of the small image are made at a time, which keeps what is needed in between small.
ROWS = 64
#: A block of which no more than this part can be used shows as masked.
USABLE_PART = 0.5


def shrunk(image: NDArray[Any], good: NDArray[np.bool_], size: int) -> tuple[NDArray[np.float32], int]:
    """
    Return the means of the good pixels in square blocks, so that no side is longer than ``size``; and the block's side.

    A block is NaN if no more than half of its pixels are good. What is beyond the last whole block is left out.

    >>> import numpy as np
    >>> from astro_calib.frame.shrink import shrunk
    >>> small, block = shrunk(
    ...     np.arange(16.0).reshape(4, 4), np.ones((4, 4), dtype=bool), 2
    ... )
    >>> small.tolist(), block
    ([[2.5, 4.5], [10.5, 12.5]], 2)
    """
    block = max(1, -(-max(image.shape) // size))
    rows, columns = (max(1, length // block) for length in image.shape)
    small = np.empty((rows, columns), dtype=np.float32)
    # An image that is thinner than a block is one block thick.
    needed = USABLE_PART * min(block, image.shape[0]) * min(block, image.shape[1])
    for first in range(0, rows, ROWS):
        last = min(first + ROWS, rows)
        piece = (slice(first * block, last * block), slice(0, columns * block))
        usable = good[piece]
        values = np.where(usable, image[piece], 0).astype(np.float32, copy=False)
        number = _sums(usable.view(np.uint8), block, np.uint16)
        with np.errstate(divide="ignore", invalid="ignore"):
            small[first:last] = np.where(number > needed, _sums(values, block, np.float32) / number, np.nan)
    return small, block


def _sums(values: NDArray[Any], block: int, kind: Any) -> NDArray[Any]:
    """Sums over blocks, first along the columns of the image and then along its rows, each in slices."""
    if values.shape[0] < block or values.shape[1] < block:
        # An image that is thinner than a block is one block thick.
        block_rows, block_columns = (min(block, length) for length in values.shape)
    else:
        block_rows = block_columns = block
    summed = values[::block_rows].astype(kind)
    for row in range(1, block_rows):
        summed += values[row::block_rows]
    across = summed[:, ::block_columns].copy()
    for column in range(1, block_columns):
        across += summed[:, column::block_columns]
    return across


def zscale(image: NDArray[Any]) -> tuple[float, float]:
    """Return the values to show as black and white, by the zscale of IRAF; not the same if all pixels are."""
    from astropy.visualization import ZScaleInterval

    finite = image[np.isfinite(image)]
    low, high = ZScaleInterval().get_limits(finite) if finite.size else (0.0, 1.0)
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)


def grey_levels(image: NDArray[Any], limits: tuple[float, float], white: int, masked: int) -> NDArray[np.uint8]:
    """
    Return an image as whole numbers: 0 at the lower limit, ``white`` at the upper one, ``masked`` where it is NaN.

    The first row is at the top, as in files of pictures; in an image of the sky it is at the bottom.
    """
    low, high = limits
    scaled = (image - np.float32(low)) * np.float32(white / (high - low))
    unknown = np.isnan(scaled)
    scaled[unknown] = 0
    np.clip(scaled, 0, white, out=scaled)
    levels = (scaled + np.float32(0.5)).astype(np.uint8)
    levels[unknown] = masked
    return levels[::-1]
