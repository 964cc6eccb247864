"""A night of many raw frames, made fast: a few are simulated, the others are copies with a column of other pixels."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["many_frames"]

#: So many science frames are simulated; the others are copies of them.
DIFFERENT = 8


def many_frames(directory: Path, number: int, size: int = 512) -> Path:
    """
    Write a simulated night with so many science frames, and return its directory.

    No two have the same pixels: copies are told by their pixels, and left out.
    """
    from astro_calib import simulate

    camera = simulate.camera((size, size), seed=20, filters=["V"])
    simulate.night(directory, seed=20, camera=camera, science=min(number, DIFFERENT))
    models = sorted(directory.glob("science-*.fits"))
    opened = [(path, *fits.getdata(path, header=True)) for path in models]
    for index, (path, data, header) in enumerate(islice(cycle(opened), number - len(opened))):
        rng = np.random.default_rng(index)
        changed = data.copy()
        # One step of the converter up or down, in one column, by chance.
        changed[:, index % size] += rng.integers(0, 2, len(data)).astype(data.dtype)
        fits.writeto(directory / f"{path.stem}-{index:05d}.fits", changed, header)
    return directory
