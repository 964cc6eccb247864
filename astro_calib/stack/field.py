"""How bright the sky and the stars of frames of one field are, compared with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.detector.header_values import as_seconds
from astro_calib.stack.levels import finite_median
from astro_calib.stack.values import gathered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["Field", "field_of", "offsets_of"]

#: So many pixels of each frame are looked at, in bands of so many rows, cut into boxes as wide.
SAMPLE, SIDE = 300_000, 32
#: The light of a box tells the scale if it is so many times its error, and if so many boxes have as much.
BRIGHT, ENOUGH = 50.0, 10
#: Every so manieth row and column is enough for the level of a box.
EVERY = 4


class Field(NamedTuple):
    """
    What makes frames of one field alike: their values less the sky, over the scale.

    Attributes
    ----------
    skies : ndarray, shape (n,)
        The level of the sky in each frame.
    scales : ndarray, shape (n,)
        How bright the stars are in each.
    """

    skies: NDArray[np.float64]
    scales: NDArray[np.float64]

    def alike(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the frames, shape (n, ...), as if all had the same sky and exposure."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        kind = values.dtype.type
        skies, over = (kind(one).reshape(shape) for one in (self.skies, 1 / self.scales))
        result = values - skies
        result *= over
        return np.asarray(result)


def field_of(frames: Sequence[CCDFrame], exposure_time: str) -> Field:
    """
    The sky and the scale of frames of one field.

    The scale comes from the stars, which tell thin clouds as well; from the exposure times if there are too few stars.
    """
    from astro_calib.kernels.stack import masked_median

    values, used = _sampled(frames)
    used &= np.isfinite(values)
    skies = np.array([finite_median(one[fit]) for one, fit in zip(values, used, strict=True)])
    scales = _of_exposures(frames, exposure_time)
    light = (values - skies[:, np.newaxis, np.newaxis]) / scales[:, np.newaxis, np.newaxis]
    reference = masked_median(light, used)
    scatter = 1.4826 * finite_median(np.abs(reference))
    # Whole stars, or the seeing would count.
    boxes = np.sum(light, axis=2, where=used.all(axis=0))
    sums = np.median(boxes, axis=0)
    bright = sums > BRIGHT * scatter * SIDE
    if scatter > 0 and np.count_nonzero(bright) >= ENOUGH:
        scales = scales * np.median(boxes[:, bright] / sums[bright], axis=1)
    return Field(skies, scales)


def _sampled(frames: Sequence[CCDFrame]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The values of each frame in some boxes, shape (n, boxes, pixels), and which are fit for use."""
    rows, columns = frames[0].shape
    side = min(SIDE, rows, columns)
    whole = columns // side * side
    number = max(1, min(SAMPLE // (side * whole), rows // side))
    values: list[NDArray[Any]] = []
    used: list[NDArray[Any]] = []
    for start in np.linspace(0, rows - side, number).astype(int):
        parts = gathered(frames, (slice(int(start), int(start) + side), slice(0, whole)))
        for kept, part in zip((values, used), parts[:2], strict=True):
            boxes = part.reshape(len(frames), side, whole // side, side).swapaxes(1, 2)
            kept.append(boxes.reshape(len(frames), whole // side, -1))
    return np.concatenate(values, axis=1), np.concatenate(used, axis=1)


def _of_exposures(frames: Sequence[CCDFrame], exposure_time: str) -> NDArray[np.float64]:
    times = [as_seconds(frame.meta.get(exposure_time), 1.0) for frame in frames]
    known = [time for time in times if time is not None and time > 0]
    if len(known) < len(times):
        return np.ones(len(times))
    return np.array(known) / np.mean(known)


def offsets_of(off: NDArray[Any], used: NDArray[np.bool_], width: int) -> NDArray[Any]:
    """
    By how much each frame is above the others, in boxes of a band of rows.

    Parameters
    ----------
    off : ndarray, shape (n, rows, columns)
        How far each value is from the others.
    used : ndarray of bool, same shape
        Which values are fit for use.
    width : int
        Columns of a box.

    Returns
    -------
    ndarray, shape (n, 1, columns)
        The median of the box that a column is in; zero where a box has no value.
    """
    number, _, columns = off.shape
    result = np.zeros((number, 1, columns), dtype=off.dtype)
    for start in range(0, columns, width):
        box = np.s_[:, ::EVERY, start : start + width : EVERY]
        values = np.where(used[box], off[box], np.nan).reshape(number, -1)
        for index, line in enumerate(values):
            middle = finite_median(line)
            result[index, :, start : start + width] = middle if np.isfinite(middle) else 0.0
    return result
