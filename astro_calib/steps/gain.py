"""From digital units to electrons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

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
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = ["amplifier_sections", "gain_correct", "inside", "over_sections", "raw_map"]

#: Maps of the amplifiers' values, each there once for all frames that refer to it, as long as one does.
_maps: WeakValueDictionary[tuple[Any, ...], NDArray[Any]] = WeakValueDictionary()


def amplifier_sections(ccd: CCDFrame, detector: Detector) -> list[tuple[slice, slice]]:
    """
    Rows and columns that each amplifier has read of a frame, which may have been trimmed; together they are all pixels.

    Raises
    ------
    FrameError
        If the detector has several amplifiers, and it is not known which pixels of the raw frame these are, or no
        amplifier reads some of them.
    """
    if len(detector.amplifiers) == 1:
        return [(slice(0, ccd.shape[0], 1), slice(0, ccd.shape[1], 1))]
    origin = ccd._present_origin()
    if origin is None:
        msg = (
            f"{ccd.name}: the detector has several amplifiers, and this frame is no longer a raw one, so that its "
            "pixels "
            "cannot be told apart by amplifier. Apply gain_correct and create_deviation before combining or assigning."
        )
        raise FrameError(msg)
    cells = [start + step * np.arange(n) for (start, step), n in zip(origin.window, ccd.shape, strict=True)]
    sections = []
    for section in detector._sections(origin.raw.shape):
        rows, columns = (
            _where(held, np.arange(length)[part])
            for held, length, part in zip(cells, origin.raw.shape, section, strict=True)
        )
        sections.append((rows, columns))
    if sum(_pixels(section) for section in sections) != ccd.size:
        msg = f"{ccd.name}: some pixels belong to none of the amplifiers' data sections; trim the overscan first."
        raise FrameError(msg)
    return sections


def _where(held: NDArray[np.intp], read: NDArray[np.intp]) -> slice:
    """Which rows or columns of a frame an amplifier has read; both step evenly through the raw frame."""
    found = np.flatnonzero(np.isin(held, read))
    if not found.size:
        return slice(0, 0, 1)
    return slice(int(found[0]), int(found[-1]) + 1, int(found[1] - found[0]) if found.size > 1 else 1)


def _pixels(section: tuple[slice, slice]) -> int:
    rows, columns = (len(range(part.start, part.stop, part.step)) for part in section)
    return rows * columns


def over_sections(
    sections: Sequence[tuple[slice, slice]], values: Sequence[float], shape: tuple[int, ...], dtype: Any = np.float64
) -> float | NDArray[Any]:
    """
    A map of values that are constant over each section.

    Parameters
    ----------
    sections : sequence of (slice, slice)
        Rows and columns, as from `amplifier_sections`.
    values : sequence of float
        One for each section.
    shape : (int, int)
        Of the frame.
    dtype : dtype
        Of the map.

    Returns
    -------
    float or ndarray, shape (ny, nx), (1, nx) or (ny, 1)
        A number if all values are the same; an array, read-only, that broadcasts to the frame.
    """
    if len(set(values)) == 1:
        return float(values[0])
    filled = [(section, value) for section, value in zip(sections, values, strict=True) if _pixels(section)]
    # Along an axis that no section divides one value is enough.
    divided = [any(section[axis] != slice(0, n, 1) for section, _ in filled) for axis, n in enumerate(shape)]
    lengths = tuple(n if cut else 1 for n, cut in zip(shape, divided, strict=True))
    parts = [tuple(part if cut else slice(None) for part, cut in zip(s, divided, strict=True)) for s, _ in filled]
    key = (lengths, np.dtype(dtype).str, repr(parts), tuple(value for _, value in filled))
    result = _maps.get(key)
    if result is None:
        result = np.zeros(lengths, dtype=dtype)
        for part, (_, value) in zip(parts, filled, strict=True):
            result[part] = value
        result.flags.writeable = False
        _maps[key] = result
    return result


def inside(sections: Sequence[tuple[slice, slice]], index: int, shape: tuple[int, ...]) -> float | NDArray[Any]:
    """A map that is one in a section and zero in the others: the same for all frames, so that gains cancel."""
    return over_sections(sections, [float(other == index) for other in range(len(sections))], shape, np.float32)


def raw_map(ccd: CCDFrame, detector: Detector, attribute: str) -> float | NDArray[np.float64]:
    """An attribute of the detector's amplifiers at the pixels of a frame, as from `over_sections`."""
    values = [float(getattr(amplifier, attribute).value) for amplifier in detector.amplifiers]
    if len(values) == 1:
        return values[0]
    return over_sections(amplifier_sections(ccd, detector), values, ccd.shape)


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
            coefficient = coefficient.times(inside(amplifier_sections(ccd, detector), index, ccd.shape))
        variance = float(amplifier.gain_uncertainty.value) ** 2
        source = NoiseSource("gain", variance, axes=(), identity=detector.gain_identity(index))
        terms.append((source, coefficient))
    return terms
