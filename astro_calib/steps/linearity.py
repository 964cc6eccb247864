"""Correct the response of the detector for its departure from a straight line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.detector.detector import Detector, as_detector
from astro_calib.detector.linearity import Linearity
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import as_frame, lacks_own_noise, with_quality
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.amplifiers import amplifier_sections
from astro_calib.steps.applied import note_done, was_done

if TYPE_CHECKING:
    from types import EllipsisType

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["correct_linearity"]

#: How a frame remembers that it was corrected.
LINEARITY = "linearity"


def correct_linearity(ccd: CCDFrame, detector: Detector | Linearity) -> CCDFrame:
    r"""
    Correct a frame for the nonlinear response of the detector.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame in adu or in electrons, from which overscan and bias were subtracted, whose deviation was created, and
        from which the dark was not subtracted: its electrons were collected too.
    detector : Detector, LinearityPolynomial or LinearityTable
        The detector, with the linearity of each amplifier; those without are left as they are. For a frame in adu the
        linearity alone is enough.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        In the unit and the type of ``ccd``. Pixels above the range in which the response is known are flagged
        `DataQuality.NONLINEAR`; mask and other flags stay.

    Raises
    ------
    FrameError
        If the frame is raw and its deviation was not created yet, its linearity was corrected or the dark subtracted
        already, or it is not known which amplifier read its pixels.
    ValueError
        If the detector has no linearity.
    astropy.units.UnitConversionError
        If the frame is neither in adu nor in electrons, or is in electrons and only the linearity is given.

    Notes
    -----
    With the measured signal x and the correction :math:`z = f(x)`, the coefficient of a source of noise in x is
    multiplied by :math:`f'(x)`, so that the variance is multiplied by :math:`f'^2` (JCGM 100:2008, eq. 10).

    Shot noise is that of the electrons that were collected, which the corrected signal tells, compressed as the signal
    is: :math:`s(z)/f'^2` in x, with s(z) the shot noise of a signal z. `create_deviation` took s(x) for it; it is
    multiplied by :math:`z/(x f'^2)` here. In z there is the shot noise of z then, while read noise and digitisation,
    which came after the response, are multiplied by f', and so is an uncertainty of which only the size is known.

    What is uncertain of f is noise that all pixels of an amplifier and all frames of a detector share. It does not
    average down. There is a source for each eigenvector w of the covariance of a polynomial's coefficients, with the
    coefficient :math:`\sum_k w_k\, \partial f/\partial a_k`, or for each value of a table.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import (
    ...     CCDFrame,
    ...     Detector,
    ...     LinearityPolynomial,
    ...     correct_linearity,
    ...     create_deviation,
    ... )
    >>> camera = Detector(
    ...     gain=1 * u.electron / u.adu,
    ...     read_noise=5 * u.electron,
    ...     linearity=LinearityPolynomial([1e-6], limit=60000 * u.adu),
    ... )
    >>> image = create_deviation(
    ...     CCDFrame([[1000.0, 50000.0]], unit="electron"), camera
    ... )
    >>> corrected = correct_linearity(image, camera)
    >>> corrected.data
    array([[ 1001., 52500.]])
    >>> corrected.variance  # 25 (1 + 2e-6 x)**2 + z
    array([[ 1026.1001, 52530.25  ]])
    """
    ccd = as_frame(ccd)
    if not isinstance(detector, Linearity):
        detector = as_detector(detector, "correct_linearity")
    if isinstance(detector, Detector) and not detector.has_linearity:
        msg = f"{ccd.name}: the detector has no linearity to correct for; give Detector(linearity=...)."
        raise ValueError(msg)
    budget = _checked_budget(ccd)
    data = floating(ccd.pixels)
    corrected, slope, shot = data.copy(), np.ones_like(data), np.ones_like(data)
    beyond = np.zeros(data.shape, dtype=bool)
    uncertain: list[tuple[NoiseSource, Coefficient]] = []
    sections = _sections(ccd, detector)
    for section in sections:
        x = data[section.where] / section.gain
        finite = np.isfinite(x)
        x = np.where(finite, x, 0)
        z, derivative = section.linearity.correct(x), section.linearity.slope(x)
        corrected[section.where] = np.where(finite, z * section.gain, data[section.where])
        slope[section.where] = derivative
        ratio = np.divide(z, x, where=x != 0, out=derivative.copy())
        shot[section.where] = ratio / derivative**2
        beyond[section.where] = x > section.linearity.limit.value
        for index, component in enumerate(section.linearity.error_components(x)):
            if component.any():
                coefficient = np.zeros_like(data)
                coefficient[section.where] = np.where(finite, component * section.gain, 0)
                source = NoiseSource("linearity", 1.0, axes=(), identity=f"{section.identity}:{index}")
                uncertain.append((source, Coefficient(coefficient)))
    propagated = _propagated(budget, sections, corrected, slope, shot)
    terms = [*propagated, *uncertain]
    result = ccd.replace(corrected, UncertaintyBudget(ccd.shape, terms, corrected.dtype, corrected))
    note_done(result, LINEARITY, "|".join(dict.fromkeys(section.identity for section in sections)))
    return with_quality(result, beyond, DataQuality.NONLINEAR)


@dataclass(frozen=True, kw_only=True)
class _Section:
    """
    The pixels of a frame that one linearity is for.

    Attributes
    ----------
    linearity : Linearity
    identity : str
        Of its noise.
    where : ndarray of bool or ...
        Which pixels.
    gain : float
        The frame's unit for each adu.
    gain_identity : str or None
        Of the noise of the gain, if the frame was multiplied by it.
    """

    linearity: Linearity
    identity: str
    where: NDArray[np.bool_] | EllipsisType = ...
    gain: float = 1.0
    gain_identity: str | None = None


def _checked_budget(ccd: CCDFrame) -> UncertaintyBudget:
    """The frame's budget, once it is clear that the frame is at the right place in the order of the steps."""
    if ccd.unit not in (u.adu, u.electron):
        msg = f"{ccd.name} is in {ccd.unit}; its linearity can be corrected in adu or in electron."
        raise u.UnitConversionError(msg)
    budget = ccd.known_budget
    names = () if budget is None else budget.names
    if budget is None or (ccd.origin is not None and lacks_own_noise(ccd)):
        msg = (
            f"{ccd.name} has no read noise and shot noise yet, and they depend on the signal as it was measured. "
            "Subtract overscan and bias, call create_deviation, and then correct_linearity."
        )
        raise FrameError(msg)
    if was_done(ccd, LINEARITY):
        msg = f"{ccd.name}: its linearity was corrected already. Leave it out here; calibrate corrects it by itself."
        raise FrameError(msg)
    late = [name for name in ("dark", "flat") if name in names or was_done(ccd, name)]
    if late:
        msg = (
            f"{ccd.name}: the {late[0]} was applied already, but the response depends on all electrons that were "
            "collected. Call correct_linearity before subtract_dark and flat_correct."
        )
        raise FrameError(msg)
    return budget


def _sections(ccd: CCDFrame, detector: Detector | Linearity) -> list[_Section]:
    if not isinstance(detector, Detector):
        if ccd.unit != u.adu:
            msg = (
                f"{ccd.name} is in {ccd.unit}, and a linearity is in adu: give the Detector, with its gain, to "
                "correct_linearity."
            )
            raise u.UnitConversionError(msg)
        return [_Section(linearity=detector, identity=detector.identity())]
    read = amplifier_sections(ccd, detector)
    sections = []
    for index, amplifier in enumerate(detector.amplifiers):
        if amplifier.linearity is None:
            continue
        where: NDArray[np.bool_] | EllipsisType = ...
        if len(detector.amplifiers) > 1:
            where = np.zeros(ccd.shape, dtype=bool)
            where[read[index]] = True
        in_electrons = ccd.unit == u.electron
        sections.append(
            _Section(
                linearity=amplifier.linearity,
                identity=detector.linearity_identity(index),
                where=where,
                gain=float(amplifier.gain.value) if in_electrons else 1.0,
                gain_identity=detector.gain_identity(index) if in_electrons else None,
            )
        )
    return sections


def _propagated(
    budget: UncertaintyBudget,
    sections: list[_Section],
    corrected: NDArray[Any],
    slope: NDArray[Any],
    shot: NDArray[Any],
) -> list[tuple[NoiseSource, Coefficient]]:
    r"""
    The sources of the measured frame, with their coefficients in the corrected one.

    A frame in electrons is :math:`z = G f(x)`, with the gain G. What was multiplied by the gain as a whole stays
    proportional to it, whatever f is. Where an exact bias b in electrons was subtracted, :math:`x = r - b/G` depends on
    the gain as well: :math:`dz/dG = f'\,dx_e/dG + f - x f'`, with :math:`x_e = G x`.
    """
    gains = {section.gain_identity: section for section in sections}
    terms = []
    for source, coefficient in budget.terms:
        if source.identity in gains and coefficient.is_proportional_to_own:
            terms.append((source, coefficient))
            continue
        measured = coefficient if budget.data is None else coefficient.with_data(budget.data)
        propagated = measured.times(slope)
        if source.identity in gains:
            section = gains[source.identity]
            assert budget.data is not None
            explicit = np.zeros_like(slope)
            curved = corrected - slope * floating(budget.data)
            explicit[section.where] = curved[section.where] / section.gain
            propagated = propagated + Coefficient(explicit)
        shot_noise = source.name == "shot noise" and len(source.axes) == slope.ndim
        terms.append((_of_collected(source, shot) if shot_noise else source, propagated))
    return terms


def _of_collected(source: NoiseSource, ratio: NDArray[Any]) -> NoiseSource:
    """Shot noise with the variance of the electrons that were collected instead of those that were measured."""
    return source.replace(variance=Coefficient(np.asarray(source.variance.evaluate() * ratio, dtype=ratio.dtype)))
