"""Subtract the dark current."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_switch, other_words
from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.frame.lending import reference_to
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.applied import was_done
from astro_calib.steps.dark_amplitude import fit_amplitude, shared_identity
from astro_calib.steps.header import forget_levels
from astro_calib.steps.master import check_exposure, check_master, exposure, with_applied
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["SubtractDark", "exposure_ratio", "subtract_dark"]


class SubtractDark(LinearStep):
    """The step of `subtract_dark`, with its arguments."""

    name = "dark"

    def __init__(
        self,
        master: CCDFrame,
        *,
        dark_exposure: u.Quantity | None = None,
        data_exposure: u.Quantity | None = None,
        exposure_time: Any = None,
        exposure_unit: Any = u.s,
        scale: bool = False,
        amplitude: str | None = None,
    ) -> None:
        self.master, self.amplitude = master, amplitude
        self.exposures = data_exposure, dark_exposure
        self.exposure_time, self.exposure_unit, self.scale = exposure_time, exposure_unit, scale

    def apply(self, frame: FrameSoFar) -> None:
        """Subtract the master."""
        master = check_master(frame, self.master, "dark")
        ratio = self._ratio(frame, master)
        _warn_of_bias_in_dark(frame, master, ratio)
        if self._fits():
            ratio *= _fitted(frame, master, ratio)
        frame.add(master, -ratio, kind="dark")
        forget_levels(frame.edited_meta())
        with_applied(frame, frame, master, "dark")

    def _fits(self) -> bool:
        """Whether the amplitude is to be fitted."""
        if self.amplitude not in (None, "fit"):
            msg = f"the amplitude of a dark is {self.amplitude!r}; expected 'fit', or None to take it as it is."
            raise ValueError(msg)
        return self.amplitude is not None

    def _ratio(self, frame: FrameSoFar, master: CCDFrame) -> float:
        """What the dark is multiplied by."""
        of_data, of_dark = self.exposures
        if (of_dark is None) != (of_data is None):
            msg = "give both dark_exposure and data_exposure, or neither."
            raise TypeError(msg)
        if of_data is not None and of_dark is not None:
            check_exposure(frame.name, of_data)
            check_exposure(f"the master dark ({master.name})", of_dark)
        if not check_switch("scale", self.scale):
            return 1.0
        if of_dark is None or of_data is None:
            if self.exposure_time is None:
                msg = (
                    "to scale a dark give its exposure and the frame's, or the header keyword of both as exposure_time."
                )
                raise TypeError(msg)
            of_data = exposure(frame, self.exposure_time, self.exposure_unit)
            of_dark = exposure(master, self.exposure_time, self.exposure_unit)
        return exposure_ratio(of_data, of_dark, master)


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def subtract_dark(
    ccd: CCDFrame,
    master: CCDFrame,
    dark_exposure: u.Quantity | None = None,
    data_exposure: u.Quantity | None = None,
    exposure_time: Any = None,
    exposure_unit: Any = u.s,
    scale: bool = False,
    amplitude: str | None = None,
) -> CCDFrame:
    r"""
    Subtract a master dark, scaled by exposure time if asked.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to correct, bias already subtracted, its deviation created: the electrons of the dark current were
        collected too, and bring their shot noise.
    master : CCDFrame or CCDData, shape (ny, nx)
        The master dark. To be scaled, it must have had its bias subtracted. Without uncertainty it counts as exact.
    dark_exposure, data_exposure : Quantity, optional
        Exposure times of the dark and of the frame; both or neither.
    exposure_time : str or ccdproc.Keyword, optional
        Header keyword of the exposure time, instead.
    exposure_unit : unit, optional
        Unit of the exposure time in the header; seconds by default.
    scale : bool
        Whether to multiply the dark by the ratio of the exposure times.
    amplitude : {None, "fit"}
        With ``"fit"`` what the dark is multiplied by besides is fitted to the hot pixels of the frame, for a detector
        whose temperature drifts.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        ``ccd - ratio * master``, of the type of ``ccd``. Masks and flags are ORed.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    FrameError
        If an exposure time is needed and missing or not positive, or this master was subtracted from the frame before;
        another master dark is worth a warning. If the amplitude is fitted: fewer than 50 hot pixels, those that do not
        grow in proportion or have no amplitude in common, or a frame without noise.
    astropy.units.UnitConversionError
        If units cannot be converted.
    TypeError
        If only one of the exposures is given, or ``scale`` without any.

    Notes
    -----
    With :math:`z = r - (t/t_d) D`, :math:`\partial z/\partial D = -t/t_d`. If the same bias B was subtracted from r and
    D, its coefficient in z is :math:`t/t_d - 1`: for equal exposures it cancels (JCGM 100:2008, eq. 13).

    A fitted amplitude a (DARKAMP in ``meta``, its standard error in DARKAERR) is that of pixels that are 30 standard
    errors above those around them in the dark. Its error is one source of the frame ("dark amplitude"), with
    :math:`\partial z/\partial a = -(t/t_d) D`. What the noise of the dark brings to it is shared by all frames that the
    dark is fitted to. Where the amplitudes of hot pixels differ by more than their noise, the part by which they do is
    an error of each pixel in proportion to its dark current. Other pixels may grow otherwise than hot ones: see
    :doc:`/approximations`.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, subtract_bias, subtract_dark
    >>> def frame(value, sigma):
    ...     sigmas = StdDevUncertainty(np.full((1, 2), sigma))
    ...     return CCDFrame(
    ...         np.full((1, 2), value), unit="electron", uncertainty=sigmas
    ...     )
    >>> raw, dark, bias = frame(150.0, 5.0), frame(60.0, 2.0), frame(50.0, 3.0)
    >>> image = subtract_dark(
    ...     subtract_bias(raw, bias),
    ...     subtract_bias(dark, bias),
    ...     data_exposure=60 * u.s,
    ...     dark_exposure=30 * u.s,
    ...     scale=True,
    ... )
    >>> np.sqrt(image.variance).round(2)
    array([[7.07, 7.07]])
    """
    return SubtractDark(
        master,
        dark_exposure=dark_exposure,
        data_exposure=data_exposure,
        exposure_time=exposure_time,
        exposure_unit=exposure_unit,
        scale=scale,
        amplitude=amplitude,
    )(ccd)


def exposure_ratio(data_exposure: u.Quantity, dark_exposure: u.Quantity, master: CCDFrame) -> float:
    """What a dark is multiplied by."""
    if not dark_exposure > 0 * u.s:
        msg = (
            f"the master dark ({master.name}) has an exposure of {dark_exposure}; it cannot be scaled to "
            f"{data_exposure}."
        )
        raise FrameError(msg)
    return float((data_exposure / dark_exposure).to_value(u.dimensionless_unscaled))


def _fitted(frame: FrameSoFar, dark: CCDFrame, ratio: float) -> float:
    """The amplitude that fits the hot pixels of a frame, whose errors are noise of the frame."""
    amplitude = fit_amplitude(frame, dark, ratio)
    parts = (
        (amplitude.own, (), shared_identity(dark, f"noise of the frame {amplitude.value!r} {amplitude.own!r}")),
        (amplitude.of_dark, (), shared_identity(dark, "noise of the dark")),
        # Pixels that grow faster than others do so the more, the more the amplitude is above one.
        ((amplitude.value * amplitude.spread) ** 2, (0, 1), shared_identity(dark, "spread")),
    )

    for variance, axes, identity in parts:
        if variance > 0:
            sign = -1.0 if axes and amplitude.value < 1 else 1.0
            source = NoiseSource("dark amplitude", 1.0, axes=axes, identity=identity)
            coefficient = Coefficient(-sign * ratio * float(np.sqrt(variance))).times(reference_to(dark))
            frame.add_noise(source, coefficient)
    meta = frame.edited_meta()
    meta["DARKAMP"] = amplitude.value
    meta["DARKAERR"] = float(np.sqrt(amplitude.own + amplitude.of_dark))
    return amplitude.value


def _warn_of_bias_in_dark(frame: FrameSoFar, dark: CCDFrame, ratio: float) -> None:
    """Say that a dark is scaled with its bias in it, as far as its noise tells."""
    has_bias = any(source.name == "bias" for source, _ in frame.terms or ())
    if ratio == 1 or dark.known_budget is None or frame.terms is None:
        return
    if not has_bias and not was_done(frame, "bias"):
        return
    names = {source.name for source, _ in dark.known_budget.terms}
    # Of a dark that comes with an uncertainty from elsewhere nothing is known; a bias without one leaves no noise.
    if "read noise" in names and "bias" not in names and not was_done(dark, "bias"):
        msg = (
            f"the master dark ({dark.name}) is scaled by {ratio:.3g}, but no bias was subtracted from it: what is left "
            "of the bias in it is scaled, too. Subtract the bias from each dark before they are combined, or take "
            "darks of the frame's exposure time."
        )
        warn(msg, NoiseWarning)
