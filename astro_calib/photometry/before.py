"""The frame that a calibrated one is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.sequence import calibrate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import astropy.units as u

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame

__all__ = ["before_calibration"]


def before_calibration(
    raw: CCDFrame,
    detector: Detector,
    *,
    overscan: str | Sequence[str] | None = None,
    trim: str | None = None,
    pedestal: float | u.Quantity | None = None,
) -> CCDFrame:
    """
    A raw frame in electrons less one number, with its own read noise and shot noise.

    It is what `~astro_calib.measure_snr` takes as ``before``. No pattern is taken out of it: that of bias, dark current
    and sensitivity is still in the data, and its error knows nothing of them.

    Parameters
    ----------
    raw : CCDFrame, shape (ny, nx)
        A raw frame in adu.
    detector : Detector
        Gain, read noise and saturation.
    overscan : str or sequence of str, optional
        FITS section of the overscan, such as ``"[1025:1056, 1:1024]"``; its median is the number. One for each of
        several amplifiers.
    trim : str, optional
        FITS section to cut the frame to.
    pedestal : float or Quantity, optional
        The number itself, in adu if it has no unit; instead of ``overscan``.

    Returns
    -------
    CCDFrame
        In electrons.

    Raises
    ------
    TypeError
        If not exactly one of ``overscan`` and ``pedestal`` is given.
    FrameError
        If a section does not lie inside the frame, or no pixel is a number.
    astropy.units.UnitConversionError
        If the frame is not in adu.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, Detector
    >>> from astro_calib.photometry import before_calibration
    >>> camera = Detector(
    ...     gain=2 * u.electron / u.adu, read_noise=5 * u.electron
    ... )
    >>> raw = CCDFrame(np.full((2, 3), 1050, dtype=np.uint16), unit="adu")
    >>> before_calibration(raw, camera, pedestal=1000).data
    array([[100., 100., 100.],
           [100., 100., 100.]], dtype=float32)
    """
    raw = as_frame(raw, "the raw frame")
    if (overscan is None) == (pedestal is None):
        msg = f"{raw.name}: give overscan (a FITS section) or pedestal (a number), so that one number is subtracted."
        raise TypeError(msg)
    return calibrate(raw, detector, overscan=overscan, overscan_axis=(0, 1), trim=trim, pedestal=pedestal)
