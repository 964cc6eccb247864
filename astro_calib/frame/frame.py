"""`CCDFrame`: a CCDData that knows where its error came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import registry

from astro_calib.arguments import described, frame_from
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame.base import UNNAMED
from astro_calib.frame.exports import Exports
from astro_calib.frame.looks import Looks
from astro_calib.frame.operators import Operators
from astro_calib.frame.read_write import FrameRead, FrameWrite
from astro_calib.frame.reductions import Reductions
from astro_calib.frame.slicing import Slicing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["UNNAMED", "CCDFrame", "covariance"]


class CCDFrame(Exports, Operators, Reductions, Slicing, Looks):
    """
    A CCD image with its variance, split up by the sources of noise that it comes from.

    All that works on a `~astropy.nddata.CCDData` works on it. In addition there are operators, arithmetic follows each
    source of noise on its own, and mask, flags, header and WCS survive it.

    Parameters
    ----------
    data : array-like, Quantity, or CCDData
        The image, shape (ny, nx), kept by reference: whole numbers, floating-point numbers or bool. An uncertainty of a
        plain CCDData is taken over as one source of noise of its own; it is the same source each time that the same
        object is used.
    uncertainty : NDUncertainty or ndarray, optional
        Standard deviation, variance or inverse variance; a bare array counts as standard deviations. It becomes a new
        source of noise, independent from pixel to pixel, that no other frame shares.
    budget : UncertaintyBudget, optional
        Instead of an uncertainty, the sources one by one.
    name : str, optional
        What messages call the frame; the file name if it was read from a file.
    **kwargs
        ``unit``, ``mask``, ``flags``, ``wcs``, ``meta``, ``psf`` and ``copy``, as for CCDData.

    Raises
    ------
    FrameError
        If the data are no real numbers: complex, text, dates or objects.
    ValueError
        If there is no unit, or the shapes of data and uncertainty differ.

    Notes
    -----
    A frame without uncertainty counts as exact, and so does any number, array or Quantity in arithmetic with a frame.

    Writing into ``data`` in place, or setting ``data`` or ``uncertainty``, cuts the link to the sources: from then on
    the variance belongs to one source of the frame's own. The variance array itself cannot be written into; assign to
    ``uncertainty`` instead.

    ``sum``, ``mean``, ``min`` and ``max``, and `numpy.mean` and the like, leave out masked pixels and return frames,
    the first two with their error. `numpy.std`, `numpy.var`, `numpy.median` and percentiles leave them out as well, and
    return numbers without an error.

    A frame remembers which master bias, dark and flat were applied to it: the steps refuse the same one again.

    Whoever writes a step reads `pixels` and `known_budget`, and makes the result by `replace`. A `snapshot` is for a
    frame that is looked at often, `cached` for what is needed again. `read_only_data` is for the budgets of other
    frames: an array that stays as it is.

    Functions of ccdproc that calculate with frames, such as ``subtract_bias``, return frames with the right budget.
    ``block_reduce``, ``median_filter``, ``wcs_project`` and the like return a plain CCDData without uncertainty;
    `~astro_calib.block_sum` and `~astro_calib.block_mean` return frames.
    ``cosmicray_lacosmic`` and ``cosmicray_median`` replace pixels and leave their variance as it was. The latter wants
    standard deviations: give it ``frame.sigma``.

    NumPy's functions of single pixels, such as `numpy.sqrt` and `numpy.log10`, return arrays without unit and noise,
    and a warning says so; ``frame.pixels`` are the values without that warning.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame
    >>> a = CCDFrame(
    ...     np.full((2, 2), 100.0),
    ...     unit="electron",
    ...     uncertainty=StdDevUncertainty(np.full((2, 2), 5.0)),
    ... )
    >>> b = CCDFrame(
    ...     np.full((2, 2), 10.0),
    ...     unit="electron",
    ...     uncertainty=StdDevUncertainty(np.full((2, 2), 3.0)),
    ... )
    >>> (a - b).variance
    array([[34., 34.],
           [34., 34.]])
    >>> (a - b + b).variance
    array([[25., 25.],
           [25., 25.]])
    >>> (a - a).variance
    array([[0., 0.],
           [0., 0.]])
    """

    read = registry.UnifiedReadWriteMethod(FrameRead)
    write = registry.UnifiedReadWriteMethod(FrameWrite)


def covariance(a: CCDFrame, b: CCDFrame) -> NDArray[Any]:
    r"""
    The covariance of two frames, pixel by pixel, from the sources of noise that they share.

    Parameters
    ----------
    a, b : CCDFrame, shape (ny, nx)
        Two frames; an exact one has no covariance with any other.

    Returns
    -------
    ndarray, shape (ny, nx)
        :math:`\sum_k c_{ak} c_{bk} v_k` over the shared sources (JCGM 100:2008, eq. F.2), in the product of the two
        units.

    Raises
    ------
    FrameError
        If one of them is no CCDFrame.
    ShapeMismatchError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, covariance
    >>> bias = CCDFrame(
    ...     np.zeros((1, 2)),
    ...     unit="adu",
    ...     uncertainty=StdDevUncertainty(np.full((1, 2), 3.0)),
    ... )
    >>> covariance(5.0 * bias, bias - 2 * bias)
    array([[-45., -45.]])
    """
    for frame in (a, b):
        if not isinstance(frame, CCDFrame):
            msg = f"covariance takes two CCDFrames; one of them is {described(frame)}. {frame_from(frame)}"
            raise FrameError(msg)
    if a.shape != b.shape:
        msg = f"{a.name} has shape {a.shape}, {b.name} has {b.shape}: no pixels to pair up."
        raise ShapeMismatchError(msg)
    if a.known_budget is None or b.known_budget is None:
        return np.zeros(a.shape, dtype=np.result_type(floating(a.pixels), floating(b.pixels)))
    return a.known_budget.covariance(b.known_budget)
