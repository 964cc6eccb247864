"""From digital units to electrons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u

from astro_calib.arithmetic import floating
from astro_calib.budget import UncertaintyBudget
from astro_calib.derive import as_frame, rebuilt
from astro_calib.detector import GAIN_UNIT, Detector, positive_quantity
from astro_calib.factored import OWN, Factored
from astro_calib.steps.amplifiers import amplifier_sections, inside, raw_map, uncertain_gains

if TYPE_CHECKING:
    from astro_calib.frame import CCDFrame
    from astro_calib.source import NoiseSource

__all__ = ["gain_correct"]


def gain_correct(ccd: CCDFrame, gain: Any, gain_unit: Any = None) -> CCDFrame:
    r"""
    Multiply a frame by its gain.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame in adu.
    gain : Detector, Quantity or ccdproc.Keyword
        Electrons for each adu. Only a `Detector` tells the gain of several amplifiers apart, and brings the gain's
        standard uncertainty; any other gain counts as exact.
    gain_unit : unit, optional
        Unit of a gain that has none.

    Returns
    -------
    CCDFrame
        In electrons if the gain is in electron / adu. float32 stays float32; integers of 16 bits become float32.

    Raises
    ------
    astropy.units.UnitConversionError
        If the detector's gain is applied to a frame that is not in adu.
    ValueError
        If the gain is not positive.

    Notes
    -----
    With :math:`z = G a`, an uncertain gain is a source of noise that all pixels of an amplifier and all frames of a
    detector share, with the sensitivity coefficient :math:`\partial z/\partial G = a` (JCGM 100:2008, eq. 13). It does
    not average down.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import CCDFrame, gain_correct
    >>> gain_correct(CCDFrame([[10.0, 20.0]], unit="adu"), 1.5 * u.electron / u.adu).data
    array([[15., 30.]])
    """
    ccd = as_frame(ccd)
    if not isinstance(gain, Detector):
        if hasattr(gain, "value_from"):
            gain = gain.value_from(ccd.header)
        quantity = u.Quantity(gain)
        if quantity.unit == u.dimensionless_unscaled and gain_unit is not None:
            quantity = quantity * u.Unit(gain_unit)
        positive_quantity(f"{ccd.name}: gain", quantity, quantity.unit, unitless_allowed=True)
        return ccd.multiply(quantity)
    if ccd.unit != u.adu:
        msg = f"{ccd.name} is in {ccd.unit}; only a frame in adu can be multiplied by a detector's gain in {GAIN_UNIT}."
        raise u.UnitConversionError(msg)
    value = raw_map(ccd, gain, "gain")
    data = floating(ccd._data)
    factor = value if isinstance(value, float) else value.astype(data.dtype)
    product = data * factor
    budget = ccd.budget.scaled(factor, 1, product) if ccd.budget is not None else None
    terms = _gain_terms(ccd, gain)
    if terms:
        budget = (budget or UncertaintyBudget(ccd.shape, (), product.dtype, product)).with_terms(terms)
    origin = ccd._present_origin()
    if origin is not None:
        origin = origin.scaled(value)
    return rebuilt(ccd, product, budget, unit=u.electron, origin=origin)


def _gain_terms(ccd: CCDFrame, detector: Detector) -> list[tuple[NoiseSource, Factored]]:
    """One source for the gain of each amplifier, with coefficient z / G inside its section and 0 outside."""
    sections = amplifier_sections(ccd, detector)
    return [
        (source, Factored(1 / gain).times(OWN).times(inside(sections, index, ccd.shape)))
        for index, gain, source in uncertain_gains(detector)
    ]
