"""Whether rows of the overscan have noise in common, and those of the image have it, too."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.kernels.medians import median_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["RowNoise", "row_noise", "variance_of_rows_apart"]

#: The relative standard error of a squared, scaled median absolute deviation of n differences of neighbours, times the
#: square root of n.
OF_DIFFERENCES = 2.6
#: An excess of so many standard errors is no chance.
SIGNIFICANT = 4.0
#: Differences of rows that are so many standard deviations off show stars and hits.
CLIP = 5.0
#: What the image has of the rows' noise must be known this well, in units of what the overscan has.
KNOWN = 0.25


class RowNoise(NamedTuple):
    """
    What the pixels of a row of the overscan have in common.

    Attributes
    ----------
    variance : float
        Zero if rows scatter by no more than their pixels explain.
    shared, error : float
        The part of it that the row of the image has, too, and the standard error of that, which may be infinite.
    """

    variance: float
    shared: float
    error: float


def variance_of_rows_apart(image_of: Callable[[], NDArray[Any] | None], values: NDArray[np.float64]) -> float:
    """
    Variance of what a row of the overscan has in common and the row of the image has not.

    What both have is subtracted with the level, and is no error.

    Parameters
    ----------
    image_of : callable
        Gives the pixels of the image in the same rows, None if they are not known.
    values : ndarray, shape (ny, n)
        The pixels of the overscan, NaN where one does not count.

    Returns
    -------
    float
        Zero if rows scatter by no more than their pixels explain, or the image does not tell.
    """
    excess, _ = _excess(values)
    image = image_of() if excess else None
    if image is None:
        return 0.0
    rows = row_noise(values, image)
    if rows.error > KNOWN or rows.shared > 1 - 2 * rows.error:
        return 0.0
    return rows.variance * (1 - rows.shared) if rows.shared > 2 * rows.error else rows.variance


def row_noise(overscan: NDArray[np.float64], image: NDArray[Any]) -> RowNoise:
    """
    Find what the pixels of a row have in common in an overscan, and whether those of the image have it, too.

    It shows as a covariance of differences between neighbouring rows, in which slow drifts do not count.

    Parameters
    ----------
    overscan : ndarray, shape (ny, n)
        Pixels of an overscan, NaN where one does not count.
    image : ndarray, shape (ny, nx)
        Those of the image in the same rows.

    Returns
    -------
    RowNoise
        All zero, with an infinite error, where rows scatter by no more than their pixels explain.
    """
    nothing = RowNoise(0.0, 0.0, np.inf)
    excess, levels = _excess(overscan)
    if not excess:
        return nothing
    with warnings.catch_warnings():
        # A row without a good pixel has no median; it is left out below.
        warnings.simplefilter("ignore", RuntimeWarning)
        # The median of numbers is many times faster than that which looks for others.
        finite = np.isfinite(image)
        rows = median_of_rows(image) if finite.all() else np.nanmedian(np.where(finite, image, np.nan), axis=1)
    both = np.stack([np.diff(levels), np.diff(rows)])
    both = both[:, np.isfinite(both).all(axis=0)]
    width = np.maximum(1.4826 * np.median(np.abs(both), axis=1, keepdims=True), 1e-12)
    both = both[:, (np.abs(both) < CLIP * width).all(axis=0)]
    if both.shape[1] < 2:
        return nothing
    shared = float(np.mean(both[0] * both[1])) / (2 * excess)
    error = float(np.sqrt(np.mean(both[0] ** 2) * np.mean(both[1] ** 2) / both.shape[1])) / (2 * excess)
    error = float(np.hypot(error, shared * OF_DIFFERENCES / np.sqrt(both.shape[1])))
    return RowNoise(excess, shared, error)


def _excess(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """How much more the rows' means scatter than their pixels explain, 0 if that may be chance, and the means."""
    from astropy.stats import mad_std

    number = np.isfinite(values).sum(axis=1)
    with warnings.catch_warnings():
        # A row without a good pixel has no mean; it is masked.
        warnings.simplefilter("ignore", RuntimeWarning)
        levels = np.nanmean(values, axis=1)
        freedom = number.sum() - np.count_nonzero(number)
        scatter = np.nansum((values - levels[:, None]) ** 2) / max(freedom, 1)
    differences = np.diff(levels)
    differences = differences[np.isfinite(differences)]
    # Single pixels do not tell their own noise from that of their rows.
    if differences.size < 2 or not freedom:
        return 0.0, levels
    formal = float(scatter * np.mean(1 / number[number > 0]))
    seen = float(mad_std(differences)) ** 2 / 2
    significant = seen > formal * (1 + SIGNIFICANT * OF_DIFFERENCES / np.sqrt(differences.size))
    return (seen - formal if significant else 0.0), levels
