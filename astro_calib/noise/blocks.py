"""Parts of a frame that stay in the cache, worked on by all threads."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NO_NUMBER", "in_blocks"]

#: The number of pixels in a block.
BLOCK = 1 << 16
#: Pixels that are no numbers have no variance; NumPy does not warn of them.
NO_NUMBER = np.errstate(invalid="ignore", over="ignore")


def in_blocks(shape: tuple[int, ...], function: Callable[[tuple[slice, ...]], None]) -> None:
    """Call a function with the slices of each block of a frame."""
    if not shape:
        function(())
        return
    from astro_calib.kernels.threads import over_rows

    along = (slice(None),) * (len(shape) - 1)

    def of_rows(rows: slice) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            function((rows, *along))

    over_rows(of_rows, shape[0], prod(shape), max(1, BLOCK // max(prod(shape[1:]), 1)))
