"""From digital units to electrons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u

from astro_calib.arguments import check_unit, described, other_words, quantity_of
from astro_calib.detector.amplifier import GAIN_UNIT, check_gain, positive_quantity
from astro_calib.detector.detector import Detector
from astro_calib.errors import warn
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.coefficient import Coefficient
from astro_calib.steps.amplifiers import inside, per_amplifier, uncertain_gains
from astro_calib.steps.applied import note_done, was_done
from astro_calib.steps.header import note_electrons
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["CorrectGain", "gain_correct"]

#: How a frame in adu remembers that it was multiplied by a gain.
WITHOUT_UNIT = "gain"
#: What a frame that was multiplied by a gain holds.
LIGHT = (u.electron, u.photon, u.ct, u.adu, u.dimensionless_unscaled)


class CorrectGain(LinearStep):
    """The step of `gain_correct`."""

    name = "gain"

    def __init__(self, gain: Any, gain_unit: Any = None) -> None:
        self.gain, self.gain_unit = gain, gain_unit

    def apply(self, frame: FrameSoFar) -> None:
        """Multiply by the gain."""
        if was_done(frame, WITHOUT_UNIT):
            msg = (
                f"{frame.name} was multiplied by a gain without a unit before, which left it in {frame.unit}. Give a "
                "gain with its unit, in electron / adu, and give it once."
            )
            warn(msg)
        if isinstance(self.gain, Detector):
            self._apply_detector(frame, self.gain)
            return
        gain = self.gain.value_from(frame.meta) if hasattr(self.gain, "value_from") else self.gain
        quantity = _quantity(frame, gain)
        if quantity.unit == u.dimensionless_unscaled and self.gain_unit is not None:
            quantity = quantity * check_unit("gain_unit", self.gain_unit, "u.electron / u.adu")
        positive_quantity(f"{frame.name}: gain", quantity, quantity.unit, unitless_allowed=True)
        if quantity.unit.is_equivalent(GAIN_UNIT):
            check_gain(f"{frame.name}: gain", quantity.to(GAIN_UNIT))
        frame.multiply(quantity)
        if frame.unit == u.adu and quantity.unit == u.dimensionless_unscaled:
            note_done(frame, WITHOUT_UNIT, "a number")
        if frame.unit == u.electron:
            note_electrons(frame.edited_meta(), [float(quantity.value)])

    def _apply_detector(self, frame: FrameSoFar, detector: Detector) -> None:
        if frame.unit != u.adu:
            msg = (
                f"{frame.name} is in {frame.unit}; only a frame in adu can be multiplied by a detector's gain in "
                f"{GAIN_UNIT}."
            )
            raise u.UnitConversionError(msg)
        gain = per_amplifier(frame, detector, "gain")
        frame.multiply(gain)
        frame.unit = u.electron
        # One source for the gain of each amplifier, with coefficient z / G inside its section and 0 outside.
        for index, value, source in uncertain_gains(detector):
            where = inside(gain.sections, index, frame.shape)
            frame.add_noise(source, Coefficient(1 / value).times(SELF_DATA).times(where))
        note_electrons(frame.edited_meta(), gain.values)


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
    >>> gain_correct(
    ...     CCDFrame([[10.0, 20.0]], unit="adu"), 1.5 * u.electron / u.adu
    ... ).data
    array([[15., 30.]])
    """
    return CorrectGain(gain, gain_unit)(ccd)


def _quantity(ccd: FrameSoFar, gain: Any) -> u.Quantity:
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
