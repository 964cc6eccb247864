"""The pixels of a chip, assembled from the images of its amplifiers, each of which is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.io.memory import SMALL, available_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from astro_calib.detector.layout import Box, ChipLayout
    from astro_calib.io.fits.unit_rows import UnitRows

__all__ = ["Pixels", "assembled"]


class Pixels:
    """
    An image that is filled part by part.

    Attributes
    ----------
    values : ndarray
        0 or NaN where there is no value.
    missing : ndarray of bool or None
        Where there is none; None if there is one everywhere.
    """

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any], *, has_gaps: bool) -> None:
        size = shape[0] * shape[1] * (dtype.itemsize + has_gaps)
        if size > SMALL and size > (limit := available_memory()):
            msg = f"an image of {shape[1]} x {shape[0]} pixels takes {size} bytes, but only {limit} of memory are free"
            raise FrameError(msg)
        self.missing: NDArray[np.bool_] | None = np.ones(shape, dtype=np.bool_) if has_gaps else None
        if has_gaps:
            self.values = np.full(shape, np.nan, dtype) if dtype.kind == "f" else np.zeros(shape, dtype)
        else:
            self.values = np.empty(shape, dtype)

    def put(self, rows: slice, columns: slice, part: NDArray[Any], missing: NDArray[np.bool_] | None) -> None:
        """Fill a part."""
        self.values[rows, columns] = part
        if missing is not None and self.missing is None:
            self.missing = np.zeros(self.values.shape, dtype=np.bool_)
        if self.missing is not None:
            self.missing[rows, columns] = False if missing is None else missing


class _Move(NamedTuple):
    """Which rows and columns of an amplifier's image go where in another, and which axes are turned round."""

    source: Box
    target: Box
    flipped: tuple[bool, bool]
    pixels: Pixels

    def take(self, first: int, values: NDArray[Any], missing: NDArray[np.bool_] | None) -> None:
        """Put what is wanted of a block of rows, of which ``first`` is the first, into the other image."""
        rows, columns = self.source
        begin = max(-((rows.start - first) // rows.step), 0)
        end = min(max(-((rows.start - first - len(values)) // rows.step), 0), len(rows))
        if begin >= end:
            return
        taken = rows[begin:end]
        item = slice(taken[0] - first, taken[-1] - first + 1, rows.step), _slice(columns)
        target = self.target[0]
        target = target[len(target) - end : len(target) - begin] if self.flipped[0] else target[begin:end]
        turned = tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped)
        self.pixels.put(
            _slice(target),
            _slice(self.target[1]),
            values[item][turned],
            None if missing is None else missing[item][turned],
        )


def assembled(chip: ChipLayout, images: Mapping[int, UnitRows]) -> Pixels:
    """
    Read the image of a chip, overscans included.

    Parameters
    ----------
    chip : ChipLayout
        Of a file.
    images : mapping
        Those of the file that the chip needs, by the numbers of their HDUs.
    """
    dtype = np.result_type(*(image.dtype for image in images.values()))
    whole = Pixels(chip.raw_shape, dtype, has_gaps=not chip.is_full_raw)
    moves: dict[tuple[int, int], list[_Move]] = {}
    for one, placed, strip in zip(chip.amplifiers, chip.placed, chip.strips, strict=True):
        of_image = moves.setdefault((one.image, one.plane), [])
        of_image.append(_Move(one.data, placed, one.flipped, whole))
        if strip is not None and strip.source[0] and strip.source[1]:
            of_image.append(_Move(strip.source, strip.target, one.flipped, whole))
    for (number, plane), several in moves.items():
        wanted = [move.source[0] for move in several]
        rows = range(min(one.start for one in wanted), max(one.stop for one in wanted))
        for first, values, missing in images[number].blocks(rows, plane):
            for move in several:
                move.take(first, values, missing)
    return whole


def _slice(pixels: range) -> slice:
    return slice(pixels[0], pixels[-1] + 1, pixels.step)
