"""Take a frame of a colour sensor apart into its four colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.detector.bayer import check_pattern, places
from astro_calib.errors import FrameError, warn
from astro_calib.frame.bayer_cards import meta_of_plane, pattern_in
from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.header import binning_cards, note_larger_pixels

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame

__all__ = ["colour_planes"]


def colour_planes(ccd: CCDFrame, bayer: str | None = None) -> dict[str, CCDFrame]:
    """
    The pixels of each colour of a mosaic as a frame of its own.

    Nothing is interpolated: each plane is every second pixel of every second row, with the noise that these pixels
    have, so that pixels of a plane share no more noise than pixels of the mosaic do.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame of a colour sensor, raw, calibrated, or a stack.
    bayer : str, optional
        The pattern of colours from the first pixel on, such as ``"RGGB"``. By default that which the header has:
        BAYERPAT with XBAYROFF, YBAYROFF and ROWORDER, which follow cuts of the frame.

    Returns
    -------
    dict of str to CCDFrame, shapes (ny / 2, nx / 2)
        ``"R"``, ``"G1"`` (green in the rows of red), ``"G2"`` (green in the rows of blue) and ``"B"``. The planes share
        the array of the frame. Their WCS has pixels of twice the size, each where it is on the sky; their header says
        the colour (CFAPLANE) instead of the pattern.

    Raises
    ------
    FrameError
        If nothing says the pattern, or the frame has less than two rows or columns.
    ValueError
        If ``bayer`` is no pattern.

    Notes
    -----
    The planes are half a pixel of theirs apart. Planes of one colour of different frames are stacked as whole frames
    are. Look for stars in planes, not in the mosaic, in which each star is a checkerboard.

    Where ROWORDER is missing, the pattern is taken to begin at the first row of the file.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, colour_planes
    >>> raw = CCDFrame(
    ...     np.arange(16).reshape(4, 4), unit="adu", meta={"BAYERPAT": "RGGB"}
    ... )
    >>> planes = colour_planes(raw)
    >>> list(planes)
    ['R', 'G1', 'G2', 'B']
    >>> planes["G1"].pixels
    array([[ 1,  3],
           [ 9, 11]])
    >>> (
    ...     list(colour_planes(raw[:, 1:])) == list(planes),
    ...     colour_planes(raw[:, 1:])["R"].pixels[0].tolist(),
    ... )
    (True, [2])
    """
    ccd = as_frame(ccd)
    pattern = pattern_in(ccd.meta, ccd.shape[0], ccd.name) if bayer is None else check_pattern("bayer", bayer)
    if pattern is None:
        msg = (
            f"{ccd.name}: its header does not say which pixels have which colour (BAYERPAT). If it is the mosaic of a "
            "colour sensor, give the pattern from its first pixel on, as in bayer='RGGB'."
        )
        raise FrameError(msg)
    if min(ccd.shape) < 2:
        msg = f"{ccd.name} has shape {ccd.shape}; a mosaic has two rows and two columns at least."
        raise FrameError(msg)
    binned = binning_cards(ccd.meta)
    if bayer is None and binned:
        words = ", ".join(f"{keyword} = {value}" for keyword, value in binned.items())
        msg = (
            f"{ccd.name}: its pixels were read out together ({words}), and its header has the pattern {pattern}. The "
            "planes are right only if the camera adds up pixels of one colour."
        )
        warn(msg)
    return {colour: _plane(ccd, colour, row, column) for colour, (row, column) in places(pattern).items()}


def _plane(ccd: CCDFrame, colour: str, row: int, column: int) -> CCDFrame:
    """Every second pixel of every second row."""
    plane = ccd[row::2, column::2]
    # Also where the header has another pattern than the caller, or none.
    plane.meta = meta_of_plane(ccd.meta, colour)
    note_larger_pixels(plane.meta, 2, 2)
    return plane
