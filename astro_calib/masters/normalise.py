"""A flat made ready to divide by: of mean one, also of each colour, and one where it cannot be divided by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_number, check_positive
from astro_calib.dtypes import floating
from astro_calib.flags import DataQuality
from astro_calib.frame.lending import lend_pixels, lent, master_of
from astro_calib.frame.operands import flagged_uncertain
from astro_calib.frame.rebuild import measured, with_quality
from astro_calib.masters.levels import budget_over_levels, levels_of
from astro_calib.masters.master import with_noise_named
from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame

__all__ = ["normalised"]


#: A pixel with less than this part of the flat's mean has no usable sensitivity.
MIN_SENSITIVITY = 0.01


#: Flags of a flat that say that it was not measured at a pixel.
SPOILED = DataQuality.SATURATED | DataQuality.COSMIC_RAY | DataQuality.NO_DATA


def normalised(
    flat: CCDFrame, min_value: float | None, norm_value: float | None, *, by_colour: bool = False
) -> CCDFrame:
    """
    The flat with a mean of one, and one where it cannot be divided by; with ``by_colour`` each of its four colours.

    Kept with the flat: 25 frames under one flat refer to one array.
    """
    # Numbers before they are compared: what was made of the flat is kept under them.
    if norm_value is not None:
        norm_value = check_positive("norm_value", norm_value, flat.unit)
    if min_value is not None:
        min_value = check_number("min_value", min_value, flat.unit, minimum=-np.inf)
    flags = content_digest(flat.flags) if isinstance(flat.flags, np.ndarray) else None
    mask = None if flat.mask is None else content_digest(flat.mask)
    given = (flags, mask, min_value, norm_value, by_colour)
    flat = lent(flat)
    result: CCDFrame = flat.cached(
        "normalised", given, lambda: _normalised(flat, min_value, norm_value, by_colour=by_colour)
    )
    # Under another name, which readers that know no colours refuse.
    kind = "normalised by colour" if by_colour else "normalised"
    words = {"array": kind, "min_value": min_value, "norm_value": norm_value}
    return lend_pixels(result, master_of(flat), words, f"{flags}:{mask}")


def _normalised(flat: CCDFrame, min_value: float | None, norm_value: float | None, *, by_colour: bool) -> CCDFrame:
    data, budget = floating(flat.pixels), flat.known_budget
    good = measured(flat)
    what = f"{flat.pixel_digest()}:{content_digest(good)}:{min_value}:{norm_value}"
    if norm_value is None and not good.any():
        by_colour = False  # which says so
    levels = levels_of(flat.name, data, good, norm_value, by_colour=by_colour)
    divisor, unusable = np.empty_like(data), np.empty(data.shape, dtype=np.bool_)
    for level in levels:
        threshold = MIN_SENSITIVITY * level.value if min_value is None else min_value
        with np.errstate(invalid="ignore"):
            unusable[level.item] = ~(data[level.item] >= threshold)
        np.divide(data[level.item], data.dtype.type(level.value), out=divisor[level.item])
    divisor[unusable] = 1
    divisor.flags.writeable = False
    if budget is not None:
        named = with_noise_named(flat, "flat").known_budget
        assert named is not None
        budget = budget_over_levels(named, good if norm_value is None else None, levels, divisor, what)
    result = flat.replace(divisor, budget, unit=u.dimensionless_unscaled)
    if result.flags is not None:
        # What was saturated or hit in the flat is not saturated or hit in the frame; it has no flat there.
        spoiled = (result.flags & np.uint16(SPOILED)) != 0
        unusable |= spoiled
        result.flags = np.where(spoiled, result.flags & ~np.uint16(SPOILED), result.flags)
    result = with_quality(result, unusable, DataQuality.NO_FLAT)
    result.flags = flagged_uncertain(result.flags, result, result.shape)
    return result
