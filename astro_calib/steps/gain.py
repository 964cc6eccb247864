"""From digital units to electrons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arithmetic import floating
from astro_calib.budget import UncertaintyBudget
from astro_calib.derive import as_frame, rebuilt
from astro_calib.detector import GAIN_UNIT, Detector, positive_quantity
from astro_calib.errors import FrameError
from astro_calib.factored import OWN, Factored
from astro_calib.source import NoiseSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = ["gain_correct", "raw_map"]


def raw_map(ccd: CCDFrame, detector: Detector, attribute: str) -> float | NDArray[np.float64]:
    """
    An attribute of the detector's amplifiers at the pixels of a frame that may have been trimmed.

    Raises
    ------
    FrameError
        If the detector has several amplifiers, and it is not known which pixels of the raw frame these are, or no
        amplifier reads some of them.
    """
    if len(detector.amplifiers) == 1:
        return detector.pixel_map(attribute, ccd.shape)
    origin = ccd._present_origin()
    if origin is None:
        msg = (
            f"{ccd.name}: the detector has several amplifiers, and this frame is no longer a raw one, so that its "
            "pixels "
            "cannot be told apart by amplifier. Apply gain_correct and create_deviation before combining or assigning."
        )
        raise FrameError(msg)
    values = np.asarray(detector.pixel_map(attribute, origin.raw.shape))
    result: NDArray[np.float64] = values[origin.cells(ccd.shape)]
    if np.isnan(result).any():
        msg = f"{ccd.name}: some pixels belong to none of the amplifiers' data sections; trim the overscan first."
        raise FrameError(msg)
    return result


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
        # With several amplifiers the digital step differs from pixel to pixel; it is found again from the gain.
        origin = origin.scaled(float(np.mean(value)))
    return rebuilt(ccd, product, budget, unit=u.electron, origin=origin)


def _gain_terms(ccd: CCDFrame, detector: Detector) -> list[tuple[NoiseSource, Factored]]:
    """One source for the gain of each amplifier, with coefficient z / G inside its section and 0 outside."""
    terms = []
    for index, amplifier in enumerate(detector.amplifiers):
        if amplifier.gain_uncertainty is None or amplifier.gain_uncertainty.value == 0:
            continue
        gain = amplifier.gain.value
        coefficient = Factored(1 / gain).times(OWN)
        if len(detector.amplifiers) > 1:
            origin = ccd._present_origin()
            assert origin is not None  # raw_map has raised otherwise
            section = np.zeros(origin.raw.shape, dtype=np.float32)
            section[amplifier.slices()] = 1
            coefficient = coefficient.times(section[origin.cells(ccd.shape)])
        variance = float(amplifier.gain_uncertainty.value) ** 2
        source = NoiseSource("gain", variance, axes=(), identity=detector.gain_identity(index))
        terms.append((source, coefficient))
    return terms
