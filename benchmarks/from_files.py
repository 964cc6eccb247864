"""A median of raw frames in files, beside the mere reading of them with astropy.io.fits."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import numpy as np
from agreement import ROWS
from astropy.io import fits
from clock import medians, timed

import astro_calib as ac

__all__ = ["measured"]


def take(directory: Path, size: int, number: int) -> list[Path]:
    """Write raw frames of 16 bits, with no more memory than three of them take in single precision."""
    rng = np.random.default_rng(0)
    pattern = rng.standard_normal((size, size), dtype=np.float32)
    pattern *= 20
    pattern += 1000
    paths = [directory / f"{index}.fits" for index in range(number)]
    for path in paths:
        pixels = rng.standard_normal((size, size), dtype=np.float32)
        pixels *= 5
        pixels += pattern
        fits.PrimaryHDU(pixels.astype(np.uint16)).writeto(path)
    return paths


def measured(size: int, number: int, repeats: int) -> dict[str, float]:
    """Seconds, medians, and the peak memory of the combination in MB."""
    with tempfile.TemporaryDirectory() as directory:
        paths = take(Path(directory), size, number)

        def ours() -> ac.CCDFrame:
            return ac.combine(paths, method="median", unit="adu", memory_limit=1e9)

        stack = ours()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        values = np.array([fits.getdata(path)[ROWS].copy() for path in paths])
        np.testing.assert_allclose(stack.data[ROWS], np.median(values, axis=0), rtol=1e-6)
        del stack, values
        times: dict[str, list[float]] = {"ours": [], "reading": []}
        for _ in range(repeats):
            times["ours"].append(timed(ours))
            times["reading"].append(timed(lambda: [fits.getdata(path).shape for path in paths]))
    return medians(times) | {"peak": memory}
