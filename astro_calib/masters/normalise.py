"""A flat made ready to divide by: of mean one, and one where it cannot be divided by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_number, check_positive
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.lending import lend_pixels, lent, master_of
from astro_calib.frame.operands import flagged_uncertain
from astro_calib.frame.rebuild import measured, with_quality
from astro_calib.masters.master import with_noise_named
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.identity import content_digest
from astro_calib.noise.source import NoiseSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["normalised"]


#: A pixel with less than this part of the flat's mean has no usable sensitivity.
MIN_SENSITIVITY = 0.01


#: Flags of a flat that say that it was not measured at a pixel.
SPOILED = DataQuality.SATURATED | DataQuality.COSMIC_RAY | DataQuality.NO_DATA


def normalised(flat: CCDFrame, min_value: float | None, norm_value: float | None) -> CCDFrame:
    """
    The flat with a mean of one, and one where it cannot be divided by.

    Kept with the flat: 25 frames under one flat refer to one array.
    """
    # Numbers before they are compared: what was made of the flat is kept under them.
    if norm_value is not None:
        norm_value = check_positive("norm_value", norm_value, flat.unit)
    if min_value is not None:
        min_value = check_number("min_value", min_value, flat.unit, minimum=-np.inf)
    flags = content_digest(flat.flags) if isinstance(flat.flags, np.ndarray) else None
    mask = None if flat.mask is None else content_digest(flat.mask)
    given = (flags, mask, min_value, norm_value)
    flat = lent(flat)
    result: CCDFrame = flat.cached("normalised", given, lambda: _normalised(flat, min_value, norm_value))
    words = {"array": "normalised", "min_value": min_value, "norm_value": norm_value}
    return lend_pixels(result, master_of(flat), words, f"{flags}:{mask}")


def _normalised(flat: CCDFrame, min_value: float | None, norm_value: float | None) -> CCDFrame:
    data, budget = floating(flat.pixels), flat.known_budget
    good = measured(flat)
    what = f"{flat.pixel_digest()}:{content_digest(good)}:{min_value}:{norm_value}"
    if not good.any():
        msg = f"the flat ({flat.name}) has no good pixel with a finite variance to be normalised by."
        raise FrameError(msg)
    norm = float(np.mean(data, where=good, dtype=np.float64)) if norm_value is None else float(norm_value)
    if not norm > 0:
        msg = (
            f"the flat ({flat.name}) has a mean of {norm:.6g} over its good pixels; a flat must have light in it. "
            "Check that "
            "it is a flat, and that its bias was subtracted once."
        )
        raise FrameError(msg)
    threshold = MIN_SENSITIVITY * norm if min_value is None else min_value
    with np.errstate(invalid="ignore"):
        unusable = ~(data >= threshold)
    divisor = data / data.dtype.type(norm)
    divisor[unusable] = 1
    divisor.flags.writeable = False
    if budget is not None:
        named = with_noise_named(flat, "flat").known_budget
        assert named is not None
        budget = _budget_of_normalised(named, good if norm_value is None else None, norm, divisor, what)
    result = flat.replace(divisor, budget, unit=u.dimensionless_unscaled)
    if result.flags is not None:
        # What was saturated or hit in the flat is not saturated or hit in the frame; it has no flat there.
        spoiled = (result.flags & np.uint16(SPOILED)) != 0
        unusable |= spoiled
        result.flags = np.where(spoiled, result.flags & ~np.uint16(SPOILED), result.flags)
    result = with_quality(result, unusable, DataQuality.NO_FLAT)
    result.flags = flagged_uncertain(result.flags, result, result.shape)
    return result


def _budget_of_normalised(
    budget: UncertaintyBudget, good: NDArray[np.bool_] | None, norm: float, divisor: NDArray[Any], what: str
) -> UncertaintyBudget:
    r"""
    The budget of f = F / m, with m the mean of F over ``good``, or exact if that is None.

    :math:`df = dF/m - f\,dm/m`. For a source common to the frame dm is its mean coefficient, which is taken off; the
    others enter dm as an average over pixels, as good as independent of each single one.
    """
    scaled = budget.scaled(norm, -1, divisor)
    if good is None:
        return scaled
    mean = good / np.count_nonzero(good)
    common = UncertaintyBudget(budget.shape, [t for t in budget.terms if not t[0].axes], budget.dtype, budget.data)
    single = UncertaintyBudget(budget.shape, [t for t in budget.terms if t[0].axes], budget.dtype, budget.data)
    terms = list(scaled.terms)
    for source, coefficient in common.terms:
        of_mean = float(np.sum(mean * np.asarray(coefficient.evaluate(budget.data)), where=good))
        terms.append((source, Coefficient(-of_mean / norm).times(SELF_DATA)))
    variance = single.variance_of_sum(mean) / norm**2
    normalisation = NoiseSource("flat", variance, axes=(), identity=f"normalisation:{what}")
    terms.append((normalisation, Coefficient(-1.0).times(SELF_DATA)))
    return UncertaintyBudget(budget.shape, terms, budget.dtype, divisor)
