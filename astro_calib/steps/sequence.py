"""All steps of a calibration in the right order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_switch, described, other_words, with_options_of
from astro_calib.detector.detector import Detector, as_detector
from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.bias import SubtractBias
from astro_calib.steps.companions import does_nothing, with_companions
from astro_calib.steps.cosmic_rays import cosmicray_lacosmic
from astro_calib.steps.crosstalk import SubtractCrosstalk
from astro_calib.steps.dark import SubtractDark
from astro_calib.steps.deviation import CreateDeviation
from astro_calib.steps.flat import CorrectFlat
from astro_calib.steps.fringe import SubtractFringe
from astro_calib.steps.gain import CorrectGain
from astro_calib.steps.illumination import CorrectIllumination
from astro_calib.steps.linearity import correct_linearity
from astro_calib.steps.master import as_master, in_electrons, master_to_apply
from astro_calib.steps.overscan import SubtractOverscan, overscan_to_apply
from astro_calib.steps.pedestal import RefusePedestal, SubtractPedestal
from astro_calib.steps.quality import FlagBadPixels, FlagSaturated
from astro_calib.steps.shutter import CorrectShutter
from astro_calib.steps.sky import sky_step
from astro_calib.steps.step import LinearStep, NamedStep, apply_steps, place_of
from astro_calib.steps.trim import Trim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astropy.modeling import Model
    from numpy.typing import ArrayLike, NDArray

    from astro_calib.detector.crosstalk import Crosstalk
    from astro_calib.frame.frame import CCDFrame

__all__ = ["apply_steps", "calibrate", "calibration_steps", "ccd_process"]


@with_companions
def calibration_steps(
    detector: Detector,
    *,
    overscan: str | CCDFrame | Sequence[str | CCDFrame] | None = None,
    overscan_axis: int | tuple[int, int] | None = (0, 1),
    overscan_median: bool = True,
    overscan_model: Model | None = None,
    crosstalk: Crosstalk | None = None,
    trim: str | None = None,
    bad_pixels: ArrayLike | None = None,
    bias: CCDFrame | None = None,
    pedestal: float | u.Quantity | None = None,
    shot_noise: str | float | NDArray[Any] = "data",
    dark: CCDFrame | None = None,
    dark_amplitude: str | None = None,
    exposure_time: str = "EXPTIME",
    exposure_unit: Any = u.s,
    shutter: CCDFrame | None = None,
    flat: CCDFrame | None = None,
    min_value: float | None = None,
    norm_value: float | None = None,
    bayer: str | None = None,
    illumination: CCDFrame | None = None,
    fringe: CCDFrame | None = None,
    fringe_amplitude: float | None = None,
    sky: int | None = None,
    cosmic_rays: bool | str = False,
) -> list[LinearStep | Callable[[CCDFrame], CCDFrame]]:
    """
    The steps that `calibrate` takes, in order, for `apply_steps`; its options are explained there.

    Another step may be put between them, where `place_of` says. Most of what is given is checked when the steps are
    applied.
    """
    detector = as_detector(detector, "calibrate")
    if isinstance(cosmic_rays, str) and cosmic_rays != "mask":
        msg = f"cosmic_rays is {described(cosmic_rays)}; expected True or False, or 'mask'."
        raise TypeError(msg)
    repair = cosmic_rays != "mask" and check_switch("cosmic_rays", cosmic_rays)
    early = (bias, "bias"), (dark, "dark"), (shutter, "shutter")
    given = (*early, (flat, "flat"), (illumination, "illumination"), (fringe, "fringe"))
    bias, dark, shutter, flat, illumination, fringe = (
        None if master is None else master_to_apply(master, kind) for master, kind in given
    )
    linearity = detector.has_linearity and bool(np.any(shot_noise))
    by_signal = isinstance(shot_noise, str) or linearity
    steps: list[LinearStep | Callable[[CCDFrame], CCDFrame]] = [FlagSaturated(detector)]
    if by_signal and overscan is None and bias is None and pedestal is None:
        steps.insert(0, RefusePedestal())
    if overscan is not None:
        steps.append(
            SubtractOverscan(
                overscan=overscan_to_apply(overscan, detector),
                detector=detector,
                fits_section=overscan if isinstance(overscan, str) else None,
                overscan_axis=overscan_axis,
                median=overscan_median,
                model=overscan_model,
            )
        )
    if pedestal is not None:
        steps.append(SubtractPedestal(pedestal))
    if crosstalk is not None:
        if overscan is None and pedestal is None:
            msg = "crosstalk comes from values net of the amplifiers' levels: give overscan=, or pedestal=, too."
            raise ValueError(msg)
        steps.append(SubtractCrosstalk(crosstalk, detector))
    if trim is not None:
        steps.append(Trim(trim))
    if bad_pixels is not None:
        steps.append(FlagBadPixels(bad_pixels))
    steps.append(CorrectGain(detector))
    if bias is not None:
        steps.append(SubtractBias(in_electrons(bias, "bias", detector)))
    steps.append(CreateDeviation(detector, shot_noise=shot_noise))
    if linearity:
        steps.append(NamedStep("linearity", partial(correct_linearity, detector=detector)))
    if dark is not None:
        of_dark = in_electrons(dark, "dark", detector)
        keyword: dict[str, Any] = {"exposure_time": exposure_time, "exposure_unit": exposure_unit}
        steps.append(SubtractDark(of_dark, **keyword, scale=True, amplitude=dark_amplitude))
    if shutter is not None:
        steps.append(CorrectShutter(shutter, exposure_time=exposure_time, exposure_unit=exposure_unit))
    if flat is not None:
        steps.append(CorrectFlat(flat, min_value, norm_value, bayer))
    if illumination is not None:
        steps.append(CorrectIllumination(illumination))
    if fringe is not None:
        steps.append(SubtractFringe(fringe, fringe_amplitude))
    if sky is not None:
        steps.append(sky_step(sky))
    if cosmic_rays:
        steps.append(NamedStep("cosmic_rays", partial(cosmicray_lacosmic, repair=repair)))
    return steps


@other_words(
    gain="write calibrate(frame, Detector(gain={gain}, read_noise={readnoise})).",
    readnoise="write calibrate(frame, Detector(gain={gain}, read_noise={readnoise})).",
    read_noise="write calibrate(frame, Detector(gain={gain}, read_noise={read_noise})).",
    oscan="write overscan={oscan}.",
    fits_section="write overscan={fits_section}, or trim= for the section to keep.",
    oscan_median="write overscan_median={oscan_median}.",
    oscan_model="write overscan_model=.",
    error="leave it out; each calibrated frame has its error.",
    master_bias="write bias=.",
    dark_frame="write dark=.",
    master_flat="write flat=.",
    bad_pixel_mask="write bad_pixels=.",
    exposure_key="write exposure_time={exposure_key}.",
    dark_scale="leave it out; the dark is scaled by exposure time.",
    dark_exposure="write dark.header['EXPTIME'] = 60.0, or apply the steps one by one, with subtract_dark.",
    data_exposure="write frame.header['EXPTIME'] = 60.0, or apply the steps one by one, with subtract_dark.",
    gain_corrected="leave it out; bias and dark say their unit themselves.",
    _position="Write calibrate(frame, Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron), bias=bias).",
)
@with_options_of(calibration_steps)
def calibrate(ccd: CCDFrame, detector: Detector, **options: Any) -> CCDFrame:
    """
    Calibrate a raw frame: from digital units to electrons with an error that says where it came from.

    The order is: flag saturated pixels, subtract overscan, pedestal and crosstalk, trim, flag bad pixels, multiply by
    the gain, subtract the bias, add read noise and shot noise, correct the linearity, subtract the dark scaled by
    exposure time, correct for the shutter, divide by the flat and by its illumination, subtract the fringes and the
    sky, repair cosmic rays. Each is a function of its own, and one at a time they give the same numbers. What is not
    given is left out.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A raw frame in adu.
    detector : Detector
        Gain, read noise, saturation, and linearity if it has one.
    overscan : str, CCDFrame, or sequence of them, optional
        FITS section of the raw frame, such as ``"[1025:1056, 1:1024]"``, or the overscan as a cut of it. A list has one
        for each amplifier of the detector, as in `subtract_overscan`: ``detector.overscan_sections()``, or frames that
        hold the overscan of an amplifier.
    overscan_axis : int, (int, int) or None
        As in `subtract_overscan`; one level for the frame by default.
    overscan_median : bool
        As ``median`` of `subtract_overscan`.
    overscan_model : Model, optional
        As ``model`` of `subtract_overscan`.
    crosstalk : Crosstalk, optional
        What the amplifiers have of each other's values, as in `subtract_crosstalk`; it is subtracted after overscan and
        pedestal, from the frame as it is in the file. Bias, dark and flat have to be calibrated with it, too.
    trim : str, optional
        FITS section of the raw frame.
    bad_pixels : array_like of bool, optional
        True where a pixel of the trimmed frame is bad.
    bias : CCDFrame, optional
        A master, trimmed, made from calibrated frames by `combine`; it may be in adu, too.
    pedestal : float or Quantity, optional
        What is in the frame without being signal, in adu if it has no unit, for frames without overscan and bias. It is
        subtracted, after the overscan if there is one, and counts as exact.
    shot_noise : {"data", "smooth"}, float or ndarray
        As in `create_deviation`, in electrons; 0 for a bias frame, which has none, and whose linearity is not corrected
        either. A model is one of the signal as it was measured, before its linearity is corrected.
    dark : CCDFrame, optional
        A master as the bias is. One in adu is not corrected for linearity here.
    dark_amplitude : {None, "fit"}
        As ``amplitude`` of `subtract_dark`: ``"fit"`` for a detector whose temperature drifts.
    exposure_time : str
        Header keyword of the exposure time.
    exposure_unit : unit
        The unit of the exposure time.
    shutter : CCDFrame, optional
        By how much each pixel is exposed for longer, as `~astro_calib.characterize.shutter_map` makes it. Flats need it
        as well.
    flat : CCDFrame, optional
        A master as the bias is.
    min_value : float, optional
        As in `flat_correct`.
    norm_value : float, optional
        As in `flat_correct`.
    bayer : str, optional
        As in `flat_correct`: the pattern of colours, where the headers do not say it.
    illumination : CCDFrame, optional
        From `~astro_calib.characterize.illumination`; a flat of `illuminated_flat` has it in it, and both together are
        refused.
    fringe : CCDFrame, optional
        From `~astro_calib.characterize.fringe_map`, as `subtract_fringe` takes it.
    fringe_amplitude : float, optional
        What the fringes are multiplied by; fitted to the frame by default.
    sky : int, optional
        The degree of the surface that `subtract_sky` fits to the frame and subtracts.
    cosmic_rays : bool or "mask"
        Whether to repair cosmic rays with `cosmicray_lacosmic`, or only to flag and mask them.

    Returns
    -------
    CCDFrame
        In electrons, float32 for raw frames of 16-bit integers.

    Raises
    ------
    ValueError
        If an option does nothing because another is not given, such as ``fringe_amplitude`` without ``fringe``.
    FrameError
        If the frame cannot be calibrated: nothing tells its pedestal, no exposure time, no finite pixel, a flat without
        light, a section outside the frame. The message names the frame.
    ShapeMismatchError
        If a master does not have the frame's shape.
    astropy.units.UnitConversionError
        If the frame is not in adu.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, Detector, calibrate
    >>> camera = Detector(
    ...     gain=2 * u.electron / u.adu, read_noise=5 * u.electron
    ... )
    >>> raw = CCDFrame(np.full((2, 3), 1050, dtype=np.uint16), unit="adu")
    >>> image = calibrate(raw, camera, pedestal=1000)
    >>> image.data
    array([[100., 100., 100.],
           [100., 100., 100.]], dtype=float32)
    >>> image.variance.round(2)  # 5**2 + 2**2 / 12 + 100
    array([[125.33, 125.33, 125.33],
           [125.33, 125.33, 125.33]], dtype=float32)
    """
    raw, steps = as_frame(ccd), calibration_steps(detector, **options)
    if raw.unit != u.adu:
        msg = f"{raw.name} is in {raw.unit}; what calibrate corrects is found in the raw frame, in adu. "
        if raw.unit == u.electron:
            msg += "This frame is calibrated already, or was multiplied by its gain at least."
        else:
            msg += "If it is as the camera wrote it, write frame.unit = 'adu'."
        raise u.UnitConversionError(msg)
    return apply_steps(raw.snapshot(), steps)


def ccd_process(
    ccd: CCDFrame,
    oscan: str | CCDFrame | None = None,
    trim: str | None = None,
    error: bool = False,
    master_bias: CCDFrame | None = None,
    dark_frame: CCDFrame | None = None,
    master_flat: CCDFrame | None = None,
    bad_pixel_mask: ArrayLike | None = None,
    gain: u.Quantity | None = None,
    readnoise: u.Quantity | None = None,
    oscan_median: bool = True,
    oscan_model: Model | None = None,
    min_value: float | None = None,
    dark_exposure: u.Quantity | None = None,
    data_exposure: u.Quantity | None = None,
    exposure_key: Any = None,
    exposure_unit: Any = None,
    dark_scale: bool = False,
    gain_corrected: bool = True,
) -> CCDFrame:
    """
    `calibrate` with the arguments of `ccdproc.ccd_process`, for scripts that come from there.

    The deviation is created after the bias was subtracted, so that the pedestal does not count as signal; the overscan
    is taken row by row; the result is in electrons.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A raw frame in adu.
    oscan : str or CCDFrame, optional
        FITS section of the overscan, or the overscan as a cut of ``ccd``.
    trim : str, optional
        FITS section of the image.
    error : bool
        Must be True: a calibration without error is what ccdproc is for.
    master_bias, dark_frame, master_flat : CCDFrame, optional
        The masters.
    bad_pixel_mask : array_like of bool, optional
        True where a pixel is bad.
    gain, readnoise : Quantity
        In electron / adu and electron.
    oscan_median : bool
        As in ccdproc.
    oscan_model : astropy.modeling.Model, optional
        As in ccdproc.
    min_value : float, optional
        As in ccdproc.
    dark_exposure, data_exposure : Quantity, optional
        Exposure times of the dark and of the frame; both or neither.
    exposure_key : str or ccdproc.Keyword, optional
        Header keyword of the exposure time, instead.
    exposure_unit : unit, optional
        Unit of the exposure time in the header; that of the keyword, or seconds, by default.
    dark_scale : bool
        Whether to multiply the dark by the ratio of the exposure times.
    gain_corrected : bool
        Whether bias and dark are in electrons; False if they are in adu. The order of the steps is the same.

    Returns
    -------
    CCDFrame
        In electrons.

    Raises
    ------
    ValueError
        If ``error`` is not True, or gain or read noise is missing.
    TypeError
        If a dark is to be scaled and nothing tells the exposure times, or only one of them is given.
    astropy.units.UnitConversionError
        If a master is not in the unit that ``gain_corrected`` says.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, ccd_process
    >>> raw = CCDFrame(np.full((4, 6), 1000, dtype=np.uint16), unit="adu")
    >>> image = ccd_process(
    ...     raw,
    ...     oscan="[5:6, 1:4]",
    ...     trim="[1:4, 1:4]",
    ...     error=True,
    ...     gain=2 * u.electron / u.adu,
    ...     readnoise=5 * u.electron,
    ... )
    >>> image.shape, str(image.unit)
    ((4, 4), 'electron')
    """
    if not error or gain is None or readnoise is None:
        msg = (
            "ccd_process needs error=True, gain (in electron / adu) and readnoise (in electron). For a calibration "
            "without errors use ccdproc.ccd_process."
        )
        raise ValueError(msg)
    expected = u.electron if check_switch("gain_corrected", gain_corrected) else u.adu
    for kind, master in (("bias", master_bias), ("dark", dark_frame)):
        if master is not None and as_master(master, kind).unit != expected:
            msg = f"the master {kind} is in {master.unit}, but gain_corrected={gain_corrected} says {expected}."
            raise u.UnitConversionError(msg)
    for name, value, companion, other in (
        ("oscan_model", oscan_model, "oscan", oscan),
        ("min_value", min_value, "master_flat", master_flat),
    ):
        if value is not None and other is None:
            raise ValueError(does_nothing(name, value, companion))
    # ccdproc has a default for oscan_median, which is no mistake without an overscan.
    of_overscan: dict[str, Any] = {}
    if oscan is not None:
        of_overscan = {"overscan_axis": 1, "overscan_median": oscan_median, "overscan_model": oscan_model}
    detector = Detector(gain=gain, read_noise=readnoise)
    ccd = as_frame(ccd).snapshot()
    steps = calibration_steps(
        detector,
        overscan=oscan,
        **of_overscan,
        trim=trim,
        bad_pixels=bad_pixel_mask,
        bias=master_bias,
        dark=dark_frame,
        flat=master_flat,
        min_value=min_value,
    )
    if dark_frame is not None:
        # Only the exposure times are given in another way.
        steps[place_of(steps, "dark")] = SubtractDark(
            in_electrons(dark_frame, "dark", detector),
            dark_exposure=dark_exposure,
            data_exposure=data_exposure,
            exposure_time=exposure_key,
            exposure_unit=getattr(exposure_key, "unit", None) or exposure_unit or u.s,
            scale=dark_scale,
        )
    return apply_steps(ccd, steps)
