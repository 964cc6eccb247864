"""The errors and warnings of this package; each is also the built-in error that a caller would expect."""

from __future__ import annotations

import inspect
import warnings

from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["FrameError", "HeaderWarning", "NoiseWarning", "ProfileError", "ShapeMismatchError"]


#: Packages whose functions call those of this one for somebody else.
BETWEEN = ("astro_calib", "astropy", "ccdproc", "numpy", "photutils", "specreduce")


class FrameError(ValueError):
    """
    A frame cannot be used for what was asked; the message names it, and says what to do.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, combine
    >>> from astro_calib.errors import FrameError
    >>> try:
    ...     combine([CCDFrame(np.zeros((2, 2)), unit="adu")])
    ... except FrameError as error:
    ...     print(error)
    the frame: one frame without noise of its own shows nothing of it.
    Give detector=, or apply create_deviation first.
    """


class ShapeMismatchError(FrameError):
    """
    Two frames, or a frame and a section, do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, subtract_bias
    >>> from astro_calib.errors import ShapeMismatchError
    >>> try:
    ...     subtract_bias(
    ...         CCDFrame(np.zeros((2, 2)), unit="adu"),
    ...         CCDFrame(np.zeros((2, 3)), unit="adu"),
    ...     )
    ... except ShapeMismatchError as error:
    ...     print(error)
    the frame has shape (2, 2), the master bias (the frame) has (2, 3); trim
    both to the same section, and make masters from frames of the same size and binning.
    """


class ProfileError(ValueError):
    """
    An instrument profile is incomplete or contradicts itself.

    Examples
    --------
    >>> from astro_calib.errors import ProfileError
    >>> from astro_calib.night import load_profile
    >>> try:
    ...     load_profile("keck")
    ... except ProfileError as error:
    ...     print(str(error).partition(";")[0])
    there is no profile 'keck'
    """


class NoiseWarning(AstropyUserWarning):
    """
    An error bar is less exact than usual; the message says what was given up and why.

    Examples
    --------
    Pixels that are chosen by an array of places, and not by slices, are no longer cells of a source:

    >>> import warnings
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.errors import NoiseWarning
    >>> frame = CCDFrame(
    ...     np.zeros((2, 2)), unit="adu", uncertainty=np.ones((2, 2))
    ... )
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", NoiseWarning)
    ...     part = frame[[0, 1], [1, 0]]
    >>> print(caught[0].message)
    the frame: an index other than slices takes out single pixels, so that
    its sources of noise cannot be followed; the result's noise is treated as its own.
    """


class HeaderWarning(AstropyUserWarning):
    """
    A file's header breaks the rules of FITS, and was read as far as it can be; the message names file and cards.

    Examples
    --------
    >>> import warnings
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astro_calib import CCDFrame
    >>> with (
    ...     TemporaryDirectory() as directory,
    ...     warnings.catch_warnings(record=True) as caught,
    ... ):
    ...     warnings.simplefilter("always")
    ...     path = Path(directory) / "raw.fits"
    ...     fits.writeto(
    ...         path, np.ones((2, 2)), fits.Header([("CCDXTEMP", -20.5)])
    ...     )
    ...     written = path.write_bytes(
    ...         path.read_bytes().replace(b"CCDXTEMP", b"CCD TEMP")
    ...     )
    ...     frame = CCDFrame.read(path, unit="adu")
    >>> print(caught[0].message)
    raw.fits: header cards that break the rules of FITS were repaired: CCD TEMP
    >>> frame.meta["CCD TEMP"]
    -20.5
    """


def warn(message: str, category: type[Warning] = AstropyUserWarning) -> None:
    """Warn, and point at the line of the caller's own code, however deep in this package the warning arises."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
