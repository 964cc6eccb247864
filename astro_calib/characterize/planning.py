"""How many calibration frames to take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_count, check_number, check_positive, described, quantity_of
from astro_calib.characterize.calibration_plan import KINDS, CalibrationPlan
from astro_calib.characterize.flux_noise import Conditions, pixel_sums
from astro_calib.characterize.planner import FULL, Planner, best_exposure
from astro_calib.detector.amplifier import Amplifier
from astro_calib.detector.detector import Detector, as_detector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["plan_calibration"]

ELECTRON_RATE = u.electron / u.s
#: Radius of the aperture, inner radius of the annulus, in full widths at half maximum, how far from the edge of a wide
#: aperture the annulus begins, in pixels, and its area, in apertures: those of `~astro_calib.measure_snr`.
RADIUS, INNER, GAP, ANNULUS_AREA = 1.0, 2.5, 1.5, 10.0


def plan_calibration(
    detector: Detector | Amplifier,
    *,
    flux: u.Quantity,
    sky: u.Quantity,
    fwhm: float,
    flat_level: u.Quantity,
    lamp_time: u.Quantity,
    read_out_time: u.Quantity,
    dark_current: u.Quantity = 0 * ELECTRON_RATE,
    exposure: u.Quantity | None = None,
    dark_exposure: u.Quantity | None = None,
    time: u.Quantity | None = None,
    science: int | None = None,
    biases: int | None = None,
    darks: int | None = None,
    flats: int | None = None,
    at_least: int = 3,
    radius: float | None = None,
    annulus: tuple[float, float] | None = None,
) -> CalibrationPlan:
    r"""
    Plan how many frames of each kind to take, and how long to expose.

    Numbers of frames that are given are taken as they are and cost nothing: they are there already, or are taken by
    day. Those that are left out share the telescope ``time`` so that the SNR of the target is best. If all are given,
    the plan says what SNR they give, and which kind gains most by one more minute.

    Parameters
    ----------
    detector : Detector or Amplifier
        Gain, read noise and saturation, measured or stated. Of a detector with several amplifiers give the one that
        reads the target: ``detector.amplifiers[0]``.
    flux : Quantity, electron / s
        Light of the target in the aperture, as `~astro_calib.measure_snr` measures it.
    sky : Quantity, electron / s
        Light of the sky in each pixel.
    fwhm : float or Quantity
        Full width at half maximum of the target, pixels.
    flat_level : Quantity, electron or adu
        Light in each pixel of one flat.
    lamp_time : Quantity, s
        How long a flat is exposed for that.
    read_out_time : Quantity, s
        What each frame takes beside its exposure.
    dark_current : Quantity, electron / s
        In each pixel. Without it no darks are planned.
    exposure : Quantity, s, optional
        Of each science frame. Without it the shortest exposure is taken that gives nearly the best SNR, to 0.3%, and
        does not saturate the detector.
    dark_exposure : Quantity, s, optional
        Of each dark, which is scaled to the exposure; by default the exposure itself.
    time : Quantity, min, optional
        Telescope time for the frames whose numbers are not given.
    science, biases, darks, flats : int, optional
        Numbers of frames, if they are given.
    at_least : int
        Frames of each kind that are planned at the least. Among three a hit can be told.
    radius : float or Quantity, optional
        Of the aperture, pixels. Like ``annulus`` it is that of `~astro_calib.measure_snr` by default.
    annulus : (float, float), optional
        Inner and outer radius of the annulus, in which the sky is measured, pixels.

    Returns
    -------
    CalibrationPlan
        The numbers, the exposure and the SNR; ``print`` it, or ``plot()`` it.

    Raises
    ------
    TypeError
        If the detector is none, or a number is none.
    astropy.units.UnitConversionError
        If a quantity has the wrong unit.
    ValueError
        If a number is out of range, there is no time for the fewest frames, or not enough is given to plan.

    Notes
    -----
    Science frames are averaged without shifts between them, under one master of each kind, the mean of its frames, so
    that the noise of the masters does not average down. With the weights w of aperture minus annulus, the sky and the
    target's light z in a pixel, the exposure ratio :math:`\rho = t/t_d` of science frame and dark, :math:`\rho_f` that
    of flat and dark, the flat's level L, the dark current d, and read noise and digitisation R, the variance is

    .. math::

        V = \frac{1}{N} \sum_x w^2 (z + d t + R^2)
          + \frac{R^2}{N_b} \sum_x w^2 \left[\rho - 1 + (1 - \rho_f) \frac{z}{L}\right]^2
          + \frac{R^2 + d t_d}{N_d} \sum_x w^2 \left[\rho - \rho_f \frac{z}{L}\right]^2
          + \frac{R^2 + d t_f + L}{N_f} \sum_x w^2 \frac{z^2}{L^2},

    and the uncertainty of the gain adds its part. A master bias is subtracted from darks, flats and science frames:
    with darks of the exposure of the science frames it cancels but for what the flat has of it. Clipping and medians
    bring a little more noise, see `astro_calib.estimators`. If frames have the variances :math:`v_i` and the costs
    :math:`c_i`, the best numbers are as :math:`\sqrt{v_i / c_i}` (Neyman 1934, for strata of a sample); what whole
    numbers and the fewest frames change is found by trying those around.

    Examples
    --------
    Half an hour for a faint star, seen with a camera that has some dark current:

    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> from astro_calib.characterize import plan_calibration
    >>> camera = Detector(
    ...     gain=1.5 * u.electron / u.adu,
    ...     read_noise=8 * u.electron,
    ...     saturation=60000 * u.adu,
    ... )
    >>> night = dict(
    ...     flux=40 * u.electron / u.s,
    ...     sky=5 * u.electron / u.s,
    ...     dark_current=0.1 * u.electron / u.s,
    ...     fwhm=3.5,
    ...     flat_level=20000 * u.adu,
    ...     lamp_time=5 * u.s,
    ...     read_out_time=15 * u.s,
    ... )
    >>> plan = plan_calibration(camera, time=30 * u.min, **night)
    >>> plan.exposure.unit, bool(plan.time <= 30 * u.min), plan.flats
    (Unit("s"), True, 4)

    What else is worth while, if these frames are there?

    >>> plan = plan_calibration(
    ...     camera,
    ...     exposure=60 * u.s,
    ...     science=20,
    ...     biases=10,
    ...     darks=3,
    ...     flats=10,
    ...     **night,
    ... )
    >>> plan.next
    'darks'
    """
    amplifier, saturation = _amplifier(detector)
    gain = float(amplifier.gain.value)
    # R^2 with the digitisation of whole numbers.
    read_variance = float(amplifier.read_noise.value) ** 2 + gain**2 / 12
    uncertainty = 0.0 if amplifier.gain_uncertainty is None else float(amplifier.gain_uncertainty.value) / gain
    fwhm = check_number("fwhm", fwhm, u.pixel, minimum=0.5)
    radius = RADIUS * fwhm if radius is None else check_positive("radius", radius, u.pixel)
    conditions = Conditions(
        flux=check_positive("flux", _with_unit("flux", flux, ELECTRON_RATE), ELECTRON_RATE),
        sky=check_number("sky", _with_unit("sky", sky, ELECTRON_RATE), ELECTRON_RATE),
        dark=check_number("dark_current", _with_unit("dark_current", dark_current, ELECTRON_RATE), ELECTRON_RATE),
        level=_flat_level(flat_level, gain, saturation),
        lamp=check_number("lamp_time", _with_unit("lamp_time", lamp_time, u.s), u.s),
        read_out=check_number("read_out_time", _with_unit("read_out_time", read_out_time, u.s), u.s),
        read_variance=read_variance,
        gain_uncertainty=uncertainty,
        sums=pixel_sums(fwhm, radius, _annulus(annulus, fwhm, radius)),
    )
    if conditions.read_out + conditions.lamp == 0:
        msg = "read_out_time and lamp_time are 0: flats that take no time can be had without end."
        raise ValueError(msg)
    fixed = _given_numbers(
        {"science": science, "biases": biases, "darks": darks, "flats": flats}, with_darks=conditions.dark > 0
    )
    free = [kind for kind in KINDS if kind not in fixed and (kind != "darks" or conditions.dark > 0)]
    dark_time = None
    if dark_exposure is not None:
        dark_time = check_positive("dark_exposure", _with_unit("dark_exposure", dark_exposure, u.s), u.s)
    # The most electrons that a pixel may hold, without pedestal.
    brightest = np.inf if saturation is None else saturation * gain
    planner = Planner(
        conditions=conditions,
        free=free,
        fixed=fixed,
        seconds=_available(time, free),
        fewest=max(1, check_count("at_least", at_least)),
        dark_time=dark_time,
        brightest=brightest,
        longest=FULL * brightest / conditions.peak_rate(),
    )
    if exposure is not None:
        t = check_positive("exposure", _with_unit("exposure", exposure, u.s), u.s)
        plans = planner.plans([t])
        if not plans:
            raise ValueError(planner.needs([t]))
        return plans[0]
    if science is not None:
        msg = "give the exposure of the science frames, whose number is given."
        raise ValueError(msg)
    return best_exposure(planner)


def _given_numbers(given: Mapping[str, Any], *, with_darks: bool) -> dict[str, int]:
    """The numbers of frames that are given, once it is clear that they are some."""
    if given["darks"] and not with_darks:
        msg = f"darks is {given['darks']}, but dark_current is 0; give the dark current, or no darks."
        raise ValueError(msg)
    fixed = {}
    for kind, number in given.items():
        if number is None or (kind == "darks" and not with_darks):
            continue
        fixed[kind] = check_count(kind, number)
        if fixed[kind] == 0:
            msg = f"{kind} is 0; without any there is nothing to calibrate with. Give 1 or more, or leave it out."
            raise ValueError(msg)
    return fixed


def _amplifier(detector: Any) -> tuple[Amplifier, float | None]:
    """The amplifier that reads the target, and the saturation in adu."""
    if isinstance(detector, Amplifier):
        return detector, None if detector.saturation is None else float(detector.saturation.value)
    detector = as_detector(detector, "plan_calibration")
    if len(detector.amplifiers) > 1:
        msg = (
            f"the detector has {len(detector.amplifiers)} amplifiers; give the one that reads the target, as in "
            "plan_calibration(detector.amplifiers[0], ...)."
        )
        raise ValueError(msg)
    return detector.amplifiers[0], detector.saturations()[0]


def _with_unit(what: str, value: Any, unit: u.UnitBase) -> Any:
    """The value, once it is clear that it has a unit."""
    quantity = quantity_of(value)
    if quantity is None:
        msg = f"{what} is {described(value)}; expected a number with its unit, as in 5 * u.Unit({str(unit)!r})."
        raise TypeError(msg)
    if quantity.unit == u.dimensionless_unscaled:
        msg = f"{what} has no unit; give it in {unit}, for example {described(value)} * u.Unit({str(unit)!r})."
        raise u.UnitTypeError(msg)
    return quantity


def _flat_level(value: Any, gain: float, saturation: float | None) -> float:
    """The level of a flat in electrons."""
    quantity = _with_unit("flat_level", value, u.electron)
    if quantity.unit.is_equivalent(u.adu):
        quantity = quantity.to_value(u.adu) * gain * u.electron
    level = check_positive("flat_level", quantity, u.electron)
    if saturation is not None and level >= saturation * gain:
        full = f"{saturation:g} adu, which is {saturation * gain:g} electron"
        msg = f"flat_level is {value}, and the detector saturates at {full}; give a lower level."
        raise ValueError(msg)
    return level


def _annulus(annulus: Any, fwhm: float, radius: float) -> tuple[float, float]:
    if annulus is None:
        inner = max(INNER * fwhm, radius + GAP)
        return inner, float(np.hypot(inner, np.sqrt(ANNULUS_AREA) * radius))
    try:
        inner, outer = (check_positive("a radius of the annulus", one, u.pixel) for one in annulus)
    except TypeError as error:
        msg = f"annulus is {described(annulus)}; expected its inner and outer radius in pixels, such as (10, 15)."
        raise TypeError(msg) from error
    if not radius <= inner < outer:
        msg = f"annulus is {annulus}; expected an inner radius of {radius:g} or more, and a larger outer one."
        raise ValueError(msg)
    return inner, outer


def _available(time: Any, free: Sequence[str]) -> float:
    """The telescope time in seconds."""
    if not free:
        return 0.0
    if time is None:
        msg = f"give the telescope time=, or the numbers of {', '.join(free)}."
        raise ValueError(msg)
    return check_positive("time", _with_unit("time", time, u.s), u.s)
