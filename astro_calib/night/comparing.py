"""Cosmic rays in a science frame of a night, found by comparing it with others of its field."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy.nddata import VarianceUncertainty

from astro_calib.errors import warn
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import usable, with_quality
from astro_calib.photometry.offset import offset_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Seen", "seen", "without_hits"]

#: Frames that are shifted by more than this part of their width or height have too little in common.
FARTHEST = 0.25


class Seen(NamedTuple):
    """A calibrated frame and its stars, shape (n, 2), the brightest first."""

    image: CCDFrame
    stars: NDArray[np.float64]


def seen(image: CCDFrame) -> Seen:
    """Find the stars of a calibrated frame; cosmic rays among them are at other places on other frames."""
    from astro_calib.photometry.detection import find_stars, measure_shape
    from astro_calib.photometry.search import search

    scene = search(image).scene
    shape = measure_shape(scene)
    if shape is None:
        return Seen(image, np.empty((0, 2)))
    return Seen(image, find_stars(scene, shape, 5.0, shape.along))


def without_hits(frame: Seen, others: Sequence[Seen]) -> CCDFrame:
    """
    Return a frame with the pixels flagged and masked that cosmic rays have hit, as others of its field tell.

    The others are shifted by whole pixels, so that their stars lie within half a pixel of those of the frame, as
    `~astro_calib.find_cosmic_rays` allows. L.A.Cosmic searches what they do not cover; that all of
    the frame is not covered is a warning.
    """
    from astro_calib.masters.provenance import record
    from astro_calib.stack.cosmic_rays import find_cosmic_rays
    from astro_calib.steps.cosmic_rays import cosmicray_lacosmic

    image = frame.image
    shifts = [(other.image, shift) for other in others if (shift := _shift(frame, other)) is not None]
    if not shifts:
        why = "no frame of the same object lies on it" if others else "no other is of the same field and exposure time"
        warn(f"{image.name}: cosmic rays were searched for without comparing frames (L.A.Cosmic): {why}")
    covered = np.zeros(image.shape, dtype=np.bool_)
    for _, shift in shifts:
        covered[_part(image.shape, shift)] = True
    hits = np.zeros(image.shape, dtype=np.bool_)
    if not covered.all():
        hits |= _hits(cosmicray_lacosmic(image, repair=False)) & ~covered
    if shifts:
        hits |= _hits(find_cosmic_rays([image, *(_shifted(other, shift) for other, shift in shifts)])[0])
    result = with_quality(image, hits, DataQuality.COSMIC_RAY)
    record(result, "find_cosmic_rays", parameters={"frames": [other.name for other, _ in shifts]})
    return result


def _hits(frame: CCDFrame) -> NDArray[np.bool_]:
    assert frame.flags is not None
    return np.asarray((frame.flags & np.uint16(DataQuality.COSMIC_RAY)) != 0)


def _shift(frame: Seen, other: Seen) -> tuple[int, int] | None:
    """By how many rows and columns another frame is shifted; None if that is too far, or cannot be told."""
    offset = offset_between(frame.stars, other.stars)
    if offset is None:
        return None
    shift = round(float(offset[1])), round(float(offset[0]))
    far = any(abs(by) > FARTHEST * length for by, length in zip(shift, frame.image.shape, strict=True))
    return None if far else shift


def _part(shape: tuple[int, ...], shift: tuple[int, int]) -> tuple[slice, ...]:
    """The rows and columns that a frame which is shifted shows as well."""
    return tuple(slice(max(0, -by), length - max(0, by)) for length, by in zip(shape, shift, strict=True))


def _shifted(image: CCDFrame, shift: tuple[int, int]) -> CCDFrame:
    """A frame shifted back by whole pixels: its values and total variance, and nothing where it shows nothing."""
    here = _part(image.shape, shift)
    there = _part(image.shape, (-shift[0], -shift[1]))
    assert image.variance is not None
    values, variance = np.full_like(image.pixels, np.nan), np.full_like(image.pixels, np.nan)
    values[here] = np.where(usable(image), image.pixels, np.nan)[there]
    variance[here] = image.variance[there]
    missing = ~np.isfinite(values)
    result = CCDFrame(values, unit=image.unit, mask=missing, uncertainty=VarianceUncertainty(variance), meta=image.meta)
    result.name = image.name
    return result
