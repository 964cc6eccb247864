"""Errors of sums over boxes of pixels, into which a frame is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from astropy.nddata import CCDData
    from numpy.typing import NDArray

    from astro_calib.characterize.trial import Errors
    from astro_calib.frame import CCDFrame

__all__ = ["box_errors", "box_errors_of_ccddata"]


def box_errors(frame: CCDFrame, box: tuple[int, int], level: float) -> Errors:
    """
    Errors and variances of the sums over boxes.

    Parameters
    ----------
    frame : CCDFrame, shape (ny, nx)
        All pixels of which have the same noise, so that the variance of one box is that of all.
    box : (int, int)
        Numbers of rows and of columns; they divide those of the frame.
    level : float
        What a pixel shows in truth.
    """
    budget = frame[: box[0], : box[1]].budget
    assert budget is not None
    errors = _sums(frame.data - level, box)
    return errors, np.full(errors.shape, budget.variance_of_sum(np.ones(box)))


def box_errors_of_ccddata(ccd: CCDData, box: tuple[int, int], level: float) -> Errors:
    """The same of a plain CCDData, whose errors can only be added in quadrature."""
    return _sums(ccd.data - level, box), _sums(ccd.uncertainty.array**2, box)


def _sums(values: NDArray[Any], box: tuple[int, int]) -> NDArray[np.float64]:
    rows, columns = (length // size for length, size in zip(values.shape, box, strict=True))
    boxes = np.asarray(values, dtype=np.float64).reshape(rows, box[0], columns, box[1])
    return np.asarray(boxes.sum(axis=(1, 3)))
