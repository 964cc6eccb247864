"""Divide by the sensitivity of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_number, check_positive, other_words
from astro_calib.arithmetic import floating
from astro_calib.budget import UncertaintyBudget
from astro_calib.derive import as_frame, measured, rebuilt, with_quality
from astro_calib.errors import FrameError
from astro_calib.factored import OWN, Factored
from astro_calib.flags import DataQuality
from astro_calib.identity import content_digest
from astro_calib.masters import master_of, remember_array
from astro_calib.operands import flagged_uncertain
from astro_calib.source import NoiseSource
from astro_calib.steps.master import check_master, like_frame, relabelled, with_applied

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = ["flat_correct", "normalised"]

#: A pixel with less than this part of the flat's mean has no usable sensitivity.
MIN_SENSITIVITY = 0.01
#: Flags of a flat that say that it was not measured at a pixel.
SPOILED = DataQuality.SATURATED | DataQuality.COSMIC_RAY | DataQuality.NO_DATA


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def flat_correct(
    ccd: CCDFrame, flat: CCDFrame, min_value: float | None = None, norm_value: float | None = None
) -> CCDFrame:
    r"""
    Divide a frame by a flat that is normalised to a mean of one.

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
        What to normalise the flat by, in its own unit, instead of the mean of its good pixels.

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
        If ``norm_value`` is not positive.

    Notes
    -----
    With :math:`z = r/f`, :math:`\partial z/\partial r = 1/f` and :math:`\partial z/\partial f = -z/f` (JCGM 100:2008,
    eq. 13). In f = F / mean(F) the noise that is common to all pixels of F, such as that of the gain, drops out; that
    of the mean itself is one more source, common to all pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, flat_correct
    >>> flat = CCDFrame(np.array([[500.0, 1000.0, 1500.0, 0.0]]), unit="electron", mask=[[False, False, False, True]])
    >>> image = CCDFrame(np.full((1, 4), 100.0), unit="electron", uncertainty=StdDevUncertainty(np.full((1, 4), 10.0)))
    >>> result = flat_correct(image, flat)
    >>> result._data.round(2)
    array([[200.  , 100.  ,  66.67, 100.  ]])
    >>> np.sqrt(result.variance[0, :3]).round(2)
    array([20.  , 10.  ,  6.67])
    """
    ccd = as_frame(ccd)
    flat = check_master(ccd, flat, "flat")
    result = like_frame(ccd.divide(normalised(flat, min_value, norm_value)), ccd)
    result._origin, result._flattened_step = None, ccd._digital_step()
    return with_applied(result, ccd, flat, "flat")


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
    result: CCDFrame = flat._once("normalised", given, lambda: _normalised(flat, min_value, norm_value))
    return result


def _normalised(flat: CCDFrame, min_value: float | None, norm_value: float | None) -> CCDFrame:
    data, budget = floating(flat._data), flat._noise
    good = measured(flat)
    what = f"{flat._digest()}:{content_digest(good)}:{min_value}:{norm_value}"
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
    remember_array(divisor, master_of(flat), {"array": "normalised", "min_value": min_value, "norm_value": norm_value})
    if budget is not None:
        named = relabelled(flat, "flat")._noise
        assert named is not None
        budget = _budget_of_normalised(named, good if norm_value is None else None, norm, divisor, what)
    result = rebuilt(flat, divisor, budget, unit=u.dimensionless_unscaled)
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
        terms.append((source, Factored(-of_mean / norm).times(OWN)))
    variance = single.variance_of_sum(mean) / norm**2
    normalisation = NoiseSource("flat", variance, axes=(), identity=f"normalisation:{what}")
    terms.append((normalisation, Factored(-1.0).times(OWN)))
    return UncertaintyBudget(budget.shape, terms, budget.dtype, divisor)
