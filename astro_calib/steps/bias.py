"""Subtract the pattern of the bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import other_words
from astro_calib.steps.header import forget_levels
from astro_calib.steps.master import check_master, with_applied
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["SubtractBias", "subtract_bias"]


class SubtractBias(LinearStep):
    """The step of `subtract_bias`."""

    name = "bias"

    def __init__(self, master: CCDFrame) -> None:
        self.master = master

    def apply(self, frame: FrameSoFar) -> None:
        """Subtract the master."""
        master = check_master(frame, self.master, "bias")
        frame.add(master, -1.0, kind="bias")
        forget_levels(frame.edited_meta())
        with_applied(frame, frame, master, "bias")


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
    ...     return CCDFrame(
    ...         np.full((1, 2), value), unit="electron", uncertainty=sigmas
    ...     )
    >>> raw, dark, bias = frame(150.0, 5.0), frame(60.0, 2.0), frame(50.0, 3.0)
    >>> image = subtract_bias(raw, bias) - subtract_bias(dark, bias)
    >>> np.sqrt(image.variance).round(2)
    array([[5.39, 5.39]])
    """
    return SubtractBias(master)(ccd)
