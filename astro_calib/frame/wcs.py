"""World coordinates that fit an image: those of a cut, and those without the axes that an image does not have."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs import FITSFixedWarning

from astro_calib.errors import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.wcs import WCS

__all__ = ["binned_wcs", "cut_wcs", "moved_wcs", "plane_wcs"]


def cut_wcs(wcs: WCS, slices: Sequence[slice], shape: Sequence[int]) -> WCS:
    """
    The world coordinates of ``image[slices]``, for one slice of each axis, rows first.

    `astropy.wcs.WCS.slice` refuses to turn an axis round, and takes every second pixel for the middle of two.
    """
    # FITS counts axes the other way round.
    parts = [part.indices(length) for part, length in zip(slices, shape, strict=True)][::-1]
    starts, steps = [start for start, _, _ in parts], [step for _, _, step in parts]
    return moved_wcs(wcs, starts, steps, [len(range(*part)) for part in parts])


def binned_wcs(wcs: WCS, size: Sequence[int], shape: Sequence[int]) -> WCS:
    """
    The world coordinates of blocks of pixels, each of which has the middle of its pixels for its own.

    Parameters
    ----------
    wcs : WCS
        Of the pixels.
    size : sequence of int
        The size of a block, rows first.
    shape : sequence of int
        How many blocks there are along each axis, rows first.
    """
    steps = list(size)[::-1]
    return moved_wcs(wcs, [(step - 1) / 2 for step in steps], steps, list(shape)[::-1])


def moved_wcs(wcs: WCS, starts: Sequence[float], steps: Sequence[float], lengths: Sequence[int]) -> WCS:
    r"""
    The world coordinates of an image whose pixel q is pixel :math:`p = a + s q` of another.

    Parameters
    ----------
    wcs : WCS
        Of the other.
    starts, steps : sequence of number
        a and s for each axis, columns first, counted from 0.
    lengths : sequence of int
        Of the axes of the new image, columns first.

    Notes
    -----
    Offsets from the reference pixel are s times as large, so that the columns of the matrix are multiplied by s. A
    distortion :math:`p' = p + \sum A_{ij} u^i v^j` becomes one of q with the coefficients
    :math:`A_{ij} s_u^i s_v^j / s_u`. Axes that the image does not have stay as they are.
    """
    result = wcs.deepcopy()

    def moved(pixel: float, axis: int) -> float:
        return float((pixel - 1 - starts[axis]) / steps[axis] + 1)

    crpix = result.wcs.crpix
    for axis in range(len(steps)):
        crpix[axis] = moved(crpix[axis], axis)
    result.wcs.crpix = crpix
    if any(step != 1 for step in steps):
        scale = np.ones(wcs.wcs.naxis)
        scale[: len(steps)] = steps
        if wcs.wcs.has_cd():
            result.wcs.cd = wcs.wcs.cd * scale
        else:
            result.wcs.pc = wcs.wcs.get_pc() * scale
    if wcs.sip is not None:
        result.sip = _cut_sip(wcs, steps, crpix)
    for along, tables in enumerate(((result.cpdis1, result.det2im1), (result.cpdis2, result.det2im2))):
        for table in tables:
            if table is None:
                continue
            for axis, step in enumerate(steps[:2]):
                table.crval[axis] = moved(table.crval[axis], axis)
                table.cdelt[axis] /= step
            table.data /= steps[along]
    if wcs.pixel_shape is not None:
        result.pixel_shape = [*lengths, *wcs.pixel_shape[len(lengths) :]]
    return result


def _cut_sip(wcs: WCS, steps: Sequence[float], crpix: Sequence[float]) -> object:
    """The distortion polynomials in the pixels of the cut."""
    from astropy.wcs import Sip

    def scaled(coefficients: np.ndarray | None, along: int) -> np.ndarray | None:
        if coefficients is None:
            return None
        powers = np.arange(len(coefficients))
        u_to_the, v_to_the = (np.power(float(step), powers) for step in steps)
        return coefficients * np.outer(u_to_the, v_to_the) / steps[along]

    sip = wcs.sip
    return Sip(scaled(sip.a, 0), scaled(sip.b, 1), scaled(sip.ap, 0), scaled(sip.bp, 1), crpix[:2])


def plane_wcs(wcs: Any, ndim: int, name: str) -> Any:
    """
    A WCS without the axes that an image does not have, such as a polarisation's, so that it can be cut with the image.

    None, with a warning, if the image's axes depend on these; one that has no more axes than the image is left alone.
    """
    if getattr(wcs, "pixel_n_dim", 0) <= ndim or ndim < 2:
        return wcs
    try:
        with warnings.catch_warnings():
            # wcslib says again how it read a date or a unit, which was said when the file was read.
            warnings.simplefilter("ignore", FITSFixedWarning)
            result = wcs.sub(list(range(1, ndim + 1)))
            result.wcs.set()
    except (ValueError, AttributeError) as error:
        reason = " ".join(str(error).split()).rpartition(": ")[2].rstrip(".")
        msg = (
            f"{name}: its WCS has {wcs.pixel_n_dim} axes, the image {ndim}; it is left out, because it cannot be "
            f"reduced to those of the image: {reason}."
        )
        warn(msg)
        return None
    if wcs.pixel_shape is not None:
        result.pixel_shape = wcs.pixel_shape[:ndim]
    return result
