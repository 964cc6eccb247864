"""What may be wrong with a pixel, as bits of an unsigned 16-bit integer."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["DataQuality"]


class DataQuality(IntFlag):
    """
    Bits of `CCDFrame.flags`; the first five have the meaning they have in DRAGONS.

    A pixel whose flags share a bit with `DataQuality.UNUSABLE` holds no measurement of the sky and is masked
    as well. The other bits are remarks: the value can be used, its error is right.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import DataQuality
    >>> flags = np.array([0, 4, 1 | 8], dtype=np.uint16)
    >>> (flags & DataQuality.SATURATED) != 0
    array([False,  True, False])
    >>> print(DataQuality(9).name)
    BAD|COSMIC_RAY
    """

    #: A defect of the detector: dead, hot, or in a bad column.
    BAD = 1
    #: Above the range in which the response is known: corrected by an amount that is itself uncertain.
    NONLINEAR = 2
    #: At or above the saturation level.
    SATURATED = 4
    #: Hit by a cosmic ray; `cosmicray_lacosmic` has put an estimate from its neighbours there, unless it only flags.
    COSMIC_RAY = 8
    #: Nothing was measured here.
    NO_DATA = 16
    #: The flat is too close to zero to divide by, so that no sensitivity is known.
    NO_FLAT = 32
    #: The relative error of a divisor exceeds 5%: first-order propagation is off by more than about 1%.
    UNCERTAIN_DIVISOR = 64
    #: Values were rejected at this pixel when frames were combined.
    REJECTED = 128
    #: Corrected for the crosstalk of a saturated pixel: what was subtracted is only a lower limit of its ghost.
    CROSSTALK = 256

    #: Bits that make a pixel unfit for use; steps that set one of them mask the pixel too.
    UNUSABLE = BAD | SATURATED | COSMIC_RAY | NO_DATA | NO_FLAT
