"""Polynomials in row and column from a tree (`astro_calib.io.tree`), checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.noise.surface import SurfaceArray

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["surface_of_entry"]

#: Polynomials of more numbers along an axis are damaged ones.
MOST = 64


def surface_of_entry(entry: Mapping[str, Any]) -> SurfaceArray:
    """
    A surface from its entry among the fields of a tree.

    Raises
    ------
    FrameError
        If it is none.
    """
    matrix = np.array([[float(number) for number in row] for row in entry["surface"]], dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size or max(matrix.shape) > MOST or not np.isfinite(matrix).all():
        msg = f"a surface has a matrix of shape {matrix.shape}; expected finite numbers, {MOST} along an axis at most."
        raise FrameError(msg)
    whole = tuple(int(length) for length in entry["whole"])
    region = tuple(range(*map(int, part)) for part in entry["region"])
    inside = len(whole) == len(region) == 2 and all(
        along and min(along[0], along[-1]) >= 0 and max(along[0], along[-1]) < length
        for along, length in zip(region, whole, strict=True)
    )
    dtype = np.dtype(str(entry["dtype"]))
    if not inside or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        msg = f"a surface is the part {region} of {whole}, of type {dtype}; expected a part of the whole, of floats."
        raise FrameError(msg)
    return SurfaceArray(matrix, whole, region, dtype)
