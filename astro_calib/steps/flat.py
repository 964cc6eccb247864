"""Divide by the sensitivity of the pixels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from astro_calib.arguments import other_words
from astro_calib.detector.bayer import check_pattern
from astro_calib.errors import FrameError, warn
from astro_calib.frame.bayer_cards import pattern_in
from astro_calib.masters.normalise import normalised
from astro_calib.steps.header import forget_levels
from astro_calib.steps.master import check_master, with_applied
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["CorrectFlat", "flat_correct"]

#: Instead of a pattern, for frames that are no mosaic whatever their header says.
MONOCHROME = "none"


class CorrectFlat(LinearStep):
    """The step of `flat_correct`."""

    name = "flat"

    def __init__(
        self,
        flat: CCDFrame,
        min_value: float | None = None,
        norm_value: float | None = None,
        bayer: str | None = None,
    ) -> None:
        self.flat, self.min_value, self.norm_value = flat, min_value, norm_value
        self.bayer = bayer if bayer is None or bayer == MONOCHROME else check_pattern("bayer", bayer)

    def apply(self, frame: FrameSoFar) -> None:
        """Divide by the flat."""
        flat = check_master(frame, self.flat, "flat")
        step = frame.digital_step
        # That of an illuminated flat is in the frame as well, so that it is not divided by once more.
        inside = tuple(one for one in flat.history.applied if one[0] == "illumination")
        if any(one in frame.history.applied for one in inside):
            msg = (
                f"{frame.name} was divided by the illumination that is in the flat ({flat.name}) already; "
                "give the flat without it."
            )
            raise FrameError(msg)
        frame.divide(normalised(flat, self.min_value, self.norm_value, by_colour=self._is_mosaic(frame, flat)))
        frame.forget_origin(step)
        forget_levels(frame.edited_meta())
        with_applied(frame, frame, flat, "flat")
        frame.history = dataclasses.replace(frame.history, applied=(*frame.history.applied, *inside))

    def _is_mosaic(self, frame: FrameSoFar, flat: CCDFrame) -> bool:
        """Whether each colour of the flat has a level of its own."""
        if self.norm_value is not None or self.bayer == MONOCHROME:
            return False
        of_frame, of_flat = (pattern_in(one.meta, one.shape[0], one.name) for one in (frame, flat))
        if self.bayer is None and None not in (of_frame, of_flat) and of_frame != of_flat:
            msg = (
                f"{frame.name} begins with the pattern of colours {of_frame}, the flat ({flat.name}) with {of_flat}: "
                "pixels of one colour are divided by those of another, unless a header is wrong. Cut both to the same "
                "section."
            )
            warn(msg)
        return (self.bayer or of_frame or of_flat) is not None


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def flat_correct(
    ccd: CCDFrame,
    flat: CCDFrame,
    min_value: float | None = None,
    norm_value: float | None = None,
    bayer: str | None = None,
) -> CCDFrame:
    r"""
    Divide a frame by a flat that is normalised to a mean of one; that of a colour sensor to one in each colour.

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
        What to normalise the flat by, in its own unit, instead of the mean of its good pixels; of all colours.
    bayer : str, optional
        The pattern of colours from the first pixel on, such as ``"RGGB"``; ``"none"`` for a frame that is no mosaic
        whatever its header says. By default that which the headers of frame or flat have (BAYERPAT).

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
        If ``norm_value`` is not positive, or ``bayer`` no pattern.

    Notes
    -----
    With :math:`z = r/f`, :math:`\partial z/\partial r = 1/f` and :math:`\partial z/\partial f = -z/f` (JCGM 100:2008,
    eq. 13). In f = F / mean(F) the noise that is common to all pixels of F, such as that of the gain, drops out; that
    of the mean itself is one more source, common to all pixels.

    The flat of a colour sensor has the colour of its lamp in it. Each of its four colours (red, green in the rows of
    red, green in the rows of blue, blue) is normalised by itself, so that the lamp's colour drops out and leaves no
    checkerboard; how sensitive the colours are compared with each other stays in the data. The noise of each level is a
    source of its own, common to the pixels of that colour.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, flat_correct
    >>> flat = CCDFrame(
    ...     np.array([[500.0, 1000.0, 1500.0, 0.0]]),
    ...     unit="electron",
    ...     mask=[[False, False, False, True]],
    ... )
    >>> image = CCDFrame(
    ...     np.full((1, 4), 100.0),
    ...     unit="electron",
    ...     uncertainty=StdDevUncertainty(np.full((1, 4), 10.0)),
    ... )
    >>> result = flat_correct(image, flat)
    >>> result.pixels.round(2)
    array([[200.  , 100.  ,  66.67, 100.  ]])
    >>> np.sqrt(result.variance[0, :3]).round(2)
    array([20.  , 10.  ,  6.67])
    """
    return CorrectFlat(flat, min_value, norm_value, bayer)(ccd)
