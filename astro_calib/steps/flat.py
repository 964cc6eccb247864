"""Divide by the sensitivity of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import other_words
from astro_calib.masters.normalise import normalised
from astro_calib.steps.header import forget_levels
from astro_calib.steps.master import check_master, with_applied
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["CorrectFlat", "flat_correct"]


class CorrectFlat(LinearStep):
    """The step of `flat_correct`."""

    name = "flat"

    def __init__(self, flat: CCDFrame, min_value: float | None = None, norm_value: float | None = None) -> None:
        self.flat, self.min_value, self.norm_value = flat, min_value, norm_value

    def apply(self, frame: FrameSoFar) -> None:
        """Divide by the flat."""
        flat = check_master(frame, self.flat, "flat")
        step = frame.digital_step
        frame.divide(normalised(flat, self.min_value, self.norm_value))
        frame.forget_origin(step)
        forget_levels(frame.edited_meta())
        with_applied(frame, frame, flat, "flat")


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def flat_correct(
    ccd: CCDFrame, flat: CCDFrame, min_value: float | None = None, norm_value: float | None = None
) -> CCDFrame:
    r"""
    Divide a frame by a flat that is normalised to a mean of one.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to correct, bias and dark already subtracted.
    flat : CCDFrame or CCDData, shape (ny, nx)
        The master flat, in any unit. Without uncertainty it counts as exact.
    min_value : float, optional
        Where the flat is below this, in its own unit, the frame is not divided, but flagged `DataQuality.NO_FLAT` and
        masked. 1% of the normalisation by default.
    norm_value : float, optional
        What to normalise the flat by, in its own unit, instead of the mean of its good pixels.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        In the unit and the type of ``ccd``. Pixels where the flat has a relative error above 5% are flagged
        `DataQuality.UNCERTAIN_DIVISOR`.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    FrameError
        If the flat has no good pixel, or its mean is not positive, or the frame was divided by it before; another flat
        is worth a warning.
    ValueError
        If ``norm_value`` is not positive.

    Notes
    -----
    With :math:`z = r/f`, :math:`\partial z/\partial r = 1/f` and :math:`\partial z/\partial f = -z/f` (JCGM 100:2008,
    eq. 13). In f = F / mean(F) the noise that is common to all pixels of F, such as that of the gain, drops out; that
    of the mean itself is one more source, common to all pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, flat_correct
    >>> flat = CCDFrame(np.array([[500.0, 1000.0, 1500.0, 0.0]]), unit="electron", mask=[[False, False, False, True]])
    >>> image = CCDFrame(np.full((1, 4), 100.0), unit="electron", uncertainty=StdDevUncertainty(np.full((1, 4), 10.0)))
    >>> result = flat_correct(image, flat)
    >>> result.pixels.round(2)
    array([[200.  , 100.  ,  66.67, 100.  ]])
    >>> np.sqrt(result.variance[0, :3]).round(2)
    array([20.  , 10.  ,  6.67])
    """
    return CorrectFlat(flat, min_value, norm_value)(ccd)
