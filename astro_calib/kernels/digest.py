"""A digest of pixel values, at the speed of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.plain import read_only
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["digest", "digest_of_rows", "digest_rows", "unsigned_rows"]

#: Values that are multiplied by keys of their own before they are mixed.
TILE = 1024


def _mixed(values: Any) -> Any:
    """Bits of numbers scattered over all places; the constants are those of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_mix = numba.njit(inline="always")(_mixed)

#: Odd, so that no change of one value's bits goes unnoticed, and different, so that no exchange of two does.
KEYS = (_mixed(np.arange(1, 2 * TILE + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)).astype(
    np.uint32
)


@inner()
def _bits(value: Any) -> np.uint64:
    """Those of a number in float32."""
    return np.uint64(np.float32(value).view(np.uint32))


@compiled()
def _short_rows(pixels: NDArray[Any], keys: NDArray[np.uint32], rows: NDArray[np.uint64]) -> None:
    """A number for each row of values that float32 holds exactly."""
    for row in range(pixels.shape[0]):
        mixed = np.uint64(pixels.shape[1])
        for start in range(0, pixels.shape[1], TILE):
            tile, total = pixels[row, start : start + TILE], np.uint64(0)
            for index in range(tile.shape[0]):
                total += _bits(tile[index]) * np.uint64(keys[index])
            mixed = _mix(mixed ^ total)
        rows[row] = mixed


@compiled()
def _long_rows(pixels: NDArray[Any], keys: NDArray[np.uint32], rows: NDArray[np.uint64]) -> None:
    """The same for other values: what float32 leaves of them counts in addition, so that nothing counts as nothing."""
    for row in range(pixels.shape[0]):
        mixed = np.uint64(pixels.shape[1])
        for start in range(0, pixels.shape[1], TILE):
            tile, total = pixels[row, start : start + TILE], np.uint64(0)
            for index in range(tile.shape[0]):
                value = np.float64(tile[index])
                rounded = np.float32(value)
                left = np.float32(value - np.float64(rounded))
                rest = left if np.isfinite(left) and left != 0 else np.float32(0)
                total += _bits(rounded) * np.uint64(keys[index]) + _bits(rest) * np.uint64(keys[TILE + index])
            mixed = _mix(mixed ^ total)
        rows[row] = mixed


@compiled()
def _unsigned_rows(
    pixels: NDArray[np.uint16], same: NDArray[np.uint16], keys: NDArray[np.uint32], rows: NDArray[np.uint64]
) -> None:
    """Row by row, so that a row is still in the fastest cache when its number is found; the same pixels, read-only."""
    byte, sign = np.uint16(8), np.uint16(1 << 15)
    for row in range(pixels.shape[0]):
        line = pixels[row]
        for index in range(line.shape[0]):
            value = line[index]
            line[index] = ((value << byte) | (value >> byte)) ^ sign
        _short_rows(same[row : row + 1], keys, rows[row : row + 1])


def unsigned_rows(pixels: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """
    Make unsigned numbers of 16 bits of those that FITS stores for them, in place, and find a number for each row.

    Parameters
    ----------
    pixels : ndarray of uint16, shape (ny, nx), C-contiguous
        The bytes of big-endian signed numbers that are 32768 too small.

    Returns
    -------
    ndarray of uint64, shape (ny,)
        As `digest_rows` finds them for the result.
    """
    rows = np.empty(len(pixels), dtype=np.uint64)
    same = read_only(pixels)
    over_rows(lambda part: _unsigned_rows(pixels[part], same[part], KEYS, rows[part]), len(pixels), pixels.size)
    return rows


def digest(pixels: NDArray[Any]) -> str:
    """
    A 64-bit digest of the values and positions of an array's pixels.

    The values count, not their type: a frame has one digest whether it was read as integers or as floating-point
    numbers. It guards against accidents, not against malice.

    Parameters
    ----------
    pixels : ndarray, any shape
        Real numbers of any type.

    Returns
    -------
    str
        16 hexadecimal digits and the shape.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.kernels.digest import digest
    >>> pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    >>> digest(pixels) == digest(pixels.astype(np.float32))
    True
    >>> digest(pixels) == digest(pixels[:, ::-1])
    False
    """
    plane = pixels if pixels.ndim == 2 else pixels.reshape(-1, pixels.shape[-1] or 1 if pixels.ndim else 1)
    return digest_of_rows(digest_rows(plane), pixels.shape)


def digest_rows(plane: NDArray[Any]) -> NDArray[np.uint64]:
    """
    A number for each row of an image.

    Parameters
    ----------
    plane : ndarray, shape (ny, nx)

    Returns
    -------
    ndarray of uint64, shape (ny,)
    """
    if plane.dtype.kind == "f" and plane.dtype.itemsize not in (4, 8):
        plane = plane.astype(np.float64)
    elif not plane.dtype.isnative:
        plane = plane.astype(plane.dtype.newbyteorder("="))
    plane = plane.view()
    # The loop for arrays that may not be written to does for all.
    plane.flags.writeable = False
    short = plane.dtype.itemsize <= 2 or plane.dtype == np.float32
    kernel = _short_rows if short else _long_rows
    rows = np.empty(len(plane), dtype=np.uint64)
    over_rows(lambda part: kernel(plane[part], KEYS, rows[part]), len(plane), plane.size)
    return rows


def digest_of_rows(rows: NDArray[np.uint64], shape: tuple[int, ...]) -> str:
    """
    The digest of an image of which the numbers of its rows are known.

    Parameters
    ----------
    rows : ndarray of uint64, shape (ny,)
        As `digest_rows` finds them.
    shape : tuple of int
        Of the image.
    """
    positions = np.arange(1, len(rows) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    whole = int(np.sum(_mixed(rows ^ positions), dtype=np.uint64))
    return f"{whole:016x}:{'x'.join(str(length) for length in shape)}"
