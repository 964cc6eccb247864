"""From digital units to electrons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u

from astro_calib.arguments import check_unit, described, other_words, quantity_of
from astro_calib.detector.detector import GAIN_UNIT, Detector, check_gain, positive_quantity
from astro_calib.dtypes import floating
from astro_calib.frame.rebuild import as_frame
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.steps.amplifiers import amplifier_sections, inside, raw_map, uncertain_gains
from astro_calib.steps.header import note_electrons

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.source import NoiseSource

__all__ = ["gain_correct"]

#: What a frame that was multiplied by a gain holds.
LIGHT = (u.electron, u.photon, u.ct, u.adu, u.dimensionless_unscaled)


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
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
        In electrons if the gain is in electron / adu. float32 stays float32; integers of 16 bits become float32. Its
        header says so: the gain in it becomes 1, and levels in adu, BIASSEC and TRIMSEC are left out.

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
        quantity = _quantity(ccd, gain)
        if quantity.unit == u.dimensionless_unscaled and gain_unit is not None:
            quantity = quantity * check_unit("gain_unit", gain_unit, "u.electron / u.adu")
        positive_quantity(f"{ccd.name}: gain", quantity, quantity.unit, unitless_allowed=True)
        if quantity.unit.is_equivalent(GAIN_UNIT):
            check_gain(f"{ccd.name}: gain", quantity.to(GAIN_UNIT))
        result = ccd.multiply(quantity)
        if result.unit == u.electron:
            note_electrons(result.meta, [float(quantity.value)])
        return result
    if ccd.unit != u.adu:
        msg = f"{ccd.name} is in {ccd.unit}; only a frame in adu can be multiplied by a detector's gain in {GAIN_UNIT}."
        raise u.UnitConversionError(msg)
    value = raw_map(ccd, gain, "gain")
    data = floating(ccd.pixels)
    factor = value if isinstance(value, float) else value.astype(data.dtype)
    product = data * factor
    budget = ccd.known_budget.scaled(factor, 1, product) if ccd.known_budget is not None else None
    terms = _gain_terms(ccd, gain)
    if terms:
        budget = (budget or UncertaintyBudget(ccd.shape, (), product.dtype, product)).with_terms(terms)
    origin = ccd.origin
    if origin is not None:
        origin = origin.scaled(value)
    result = ccd.replace(product, budget, unit=u.electron, origin=origin)
    note_electrons(result.meta, [float(amplifier.gain.value) for amplifier in gain.amplifiers])
    return result


def _quantity(ccd: CCDFrame, gain: Any) -> u.Quantity:
    """A gain that is no detector's, with its unit if it has one."""
    quantity = quantity_of(gain)
    if quantity is None:
        msg = (
            f"{ccd.name}: the gain is {described(gain)}; expected a Detector, or a Quantity: 1.5 * u.electron / u.adu."
        )
        if isinstance(gain, str):
            msg += f" For a keyword of the header write frame.header[{gain!r}] * u.electron / u.adu."
        raise TypeError(msg)
    if ccd.unit == u.adu and (quantity.unit**-1).is_equivalent(GAIN_UNIT):
        msg = (
            f"{ccd.name}: the gain is {quantity}; expected electrons for each adu. That is its inverse: write "
            f"1 / ({quantity})."
        )
        raise u.UnitConversionError(msg)
    result = ccd.unit * quantity.unit
    if quantity.unit != u.dimensionless_unscaled and not any(map(result.is_equivalent, LIGHT)):
        msg = (
            f"{ccd.name} is in {ccd.unit} and the gain is {quantity}, which makes {result}; expected electrons for "
            "each adu, such as 1.5 * u.electron / u.adu."
        )
        raise u.UnitConversionError(msg)
    return quantity


def _gain_terms(ccd: CCDFrame, detector: Detector) -> list[tuple[NoiseSource, Coefficient]]:
    """One source for the gain of each amplifier, with coefficient z / G inside its section and 0 outside."""
    sections = amplifier_sections(ccd, detector)
    return [
        (source, Coefficient(1 / gain).times(SELF_DATA).times(inside(sections, index, ccd.shape)))
        for index, gain, source in uncertain_gains(detector)
    ]
