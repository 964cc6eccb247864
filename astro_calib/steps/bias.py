"""Subtract the pattern of the bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import other_words
from astro_calib.frame.rebuild import as_frame
from astro_calib.masters.master import with_noise_named
from astro_calib.steps.master import check_master, subtracted, with_applied

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame

__all__ = ["subtract_bias"]


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def subtract_bias(ccd: CCDFrame, master: CCDFrame) -> CCDFrame:
    r"""
    Subtract a master bias.

    The master's noise enters as a source of its own, so that a dark from which the same master was subtracted does
    not count it twice.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to correct, overscan already removed.
    master : CCDFrame or CCDData, shape (ny, nx)
        The master bias, in a unit that converts to that of ``ccd``. Without uncertainty it counts as exact.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        ``ccd - master``, of the type of ``ccd`` if that is floating, else float32. Masks and flags are ORed.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ; the message names both frames and both shapes.
    FrameError
        If this master was subtracted from the frame before, as a frame and its file remember; another master bias is
        worth a warning.
    astropy.units.UnitConversionError
        If the units cannot be converted.

    Notes
    -----
    With :math:`z = r - B`, :math:`\partial z/\partial B = -1` (JCGM 100:2008, eq. 13).

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, subtract_bias
    >>> def frame(value, sigma):
    ...     sigmas = StdDevUncertainty(np.full((1, 2), sigma))
    ...     return CCDFrame(np.full((1, 2), value), unit="electron", uncertainty=sigmas)
    >>> raw, dark, bias = frame(150.0, 5.0), frame(60.0, 2.0), frame(50.0, 3.0)
    >>> image = subtract_bias(raw, bias) - subtract_bias(dark, bias)
    >>> np.sqrt(image.variance).round(2)
    array([[5.39, 5.39]])
    """
    ccd = as_frame(ccd)
    master = check_master(ccd, master, "bias")
    return with_applied(subtracted(ccd, with_noise_named(master, "bias")), ccd, master, "bias")
