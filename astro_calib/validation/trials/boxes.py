"""Errors of sums over boxes of pixels, into which a frame is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.validation.trials import raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.nddata import CCDData
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.validation.trial import Errors

__all__ = ["Drawn", "box_errors", "box_errors_of_ccddata"]


class Drawn(NamedTuple):
    """
    Simulated frames, and where in the result the variance is asked for.

    Attributes
    ----------
    frames : sequence of ndarray, shape (n, ny, nx)
    place : ndarray, shape (2,)
        Numbers between 0 and 1: the box, of all along the rows and along the columns.
    """

    frames: Sequence[NDArray[Any]] | NDArray[Any]
    place: NDArray[np.float64]

    @classmethod
    def at_random(cls, rng: np.random.Generator, frames: Sequence[NDArray[Any]] | NDArray[Any]) -> Drawn:
        """With another place each time."""
        return cls(frames, rng.random(2))


def box_errors(frame: CCDFrame, box: tuple[int, int], level: float, place: NDArray[np.float64]) -> Errors:
    """
    Errors and variances of the sums over boxes.

    Parameters
    ----------
    frame : CCDFrame, shape (ny, nx)
        All pixels of which have the same noise, so that the variance of one box stands for that of all.
    box : (int, int)
        Numbers of rows and of columns; they divide those of the frame.
    level : float
        What a pixel shows in truth.
    place : ndarray, shape (2,)
        Which box that one is: the place of `Drawn`. Of boxes of one pixel the variance of each is taken.
    """
    if box == (1, 1):
        return raw.errors(frame, level)
    errors = _sums(frame.data - level, box)
    row, column = (int(part * number) * size for part, number, size in zip(place, errors.shape, box, strict=True))
    budget = frame[row : row + box[0], column : column + box[1]].known_budget
    assert budget is not None
    return errors, np.full(errors.shape, budget.variance_of_sum(np.ones(box)))


def box_errors_of_ccddata(ccd: CCDData, box: tuple[int, int], level: float) -> Errors:
    """The same of a plain CCDData, whose errors can only be added in quadrature."""
    return _sums(ccd.data - level, box), _sums(ccd.uncertainty.array**2, box)


def _sums(values: NDArray[Any], box: tuple[int, int]) -> NDArray[np.float64]:
    rows, columns = (length // size for length, size in zip(values.shape, box, strict=True))
    boxes = np.asarray(values, dtype=np.float64).reshape(rows, box[0], columns, box[1])
    return np.asarray(boxes.sum(axis=(1, 3)))
