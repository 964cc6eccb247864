"""All steps of a calibration in the right order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_number, check_switch, described, other_words
from astro_calib.detector.detector import Detector, as_detector
from astro_calib.errors import FrameError
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import as_frame
from astro_calib.masters.normalise import normalised
from astro_calib.steps import (
    correct_linearity,
    cosmicray_lacosmic,
    create_deviation,
    flag_bad_pixels,
    flag_saturated,
    flat_correct,
    gain_correct,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim_image,
)
from astro_calib.steps.amplifiers import amplifier_sections
from astro_calib.steps.dark import exposure_ratio, warn_of_bias_in_dark
from astro_calib.steps.fused import calibrated_at_once
from astro_calib.steps.master import as_master, check_master, exposure, in_electrons, master_to_apply, with_applied
from astro_calib.steps.overscan import CLIP, overscan_level, without_level
from astro_calib.steps.section import section_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.modeling import Model
    from numpy.typing import ArrayLike, NDArray

    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.source import NoiseSource

__all__ = ["calibrate", "ccd_process"]


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
def calibrate(
    ccd: CCDFrame,
    detector: Detector,
    *,
    overscan: str | CCDFrame | None = None,
    overscan_axis: int | tuple[int, int] | None = (0, 1),
    overscan_median: bool = True,
    overscan_model: Model | None = None,
    trim: str | None = None,
    bad_pixels: ArrayLike | None = None,
    bias: CCDFrame | None = None,
    pedestal: float | u.Quantity | None = None,
    shot_noise: str | float | NDArray[Any] = "data",
    dark: CCDFrame | None = None,
    exposure_time: str = "EXPTIME",
    exposure_unit: Any = u.s,
    flat: CCDFrame | None = None,
    min_value: float | None = None,
    norm_value: float | None = None,
    cosmic_rays: bool = False,
) -> CCDFrame:
    """
    Calibrate a raw frame: from digital units to electrons with an error that says where it came from.

    The order is: flag saturated pixels, subtract the overscan, trim, multiply by the gain, subtract the bias, add read
    noise and shot noise, correct the linearity, subtract the dark scaled by exposure time, divide by the flat, repair
    cosmic rays. Each is a function of its own, and one at a time they give the same numbers. What is not given is left
    out.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A raw frame in adu.
    detector : Detector
        Gain, read noise, saturation, and linearity if it has one.
    overscan : str or CCDFrame, optional
        FITS section of the raw frame, such as ``"[1025:1056, 1:1024]"``, or the overscan as a cut of it.
    overscan_axis : int, (int, int) or None
        As in `subtract_overscan`; one level for the frame by default.
    overscan_median : bool
        As ``median`` of `subtract_overscan`.
    overscan_model : Model, optional
        As ``model`` of `subtract_overscan`.
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
    exposure_time : str
        Header keyword of the exposure time.
    exposure_unit : unit
        The unit of the exposure time.
    flat : CCDFrame, optional
        A master as the bias is.
    min_value : float, optional
        As in `flat_correct`.
    norm_value : float, optional
        As in `flat_correct`.
    cosmic_rays : bool
        Whether to repair cosmic rays with `cosmicray_lacosmic`.

    Returns
    -------
    CCDFrame
        In electrons, float32 for raw frames of 16-bit integers.

    Raises
    ------
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
    >>> camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)
    >>> raw = CCDFrame(np.full((2, 3), 1050, dtype=np.uint16), unit="adu")
    >>> image = calibrate(raw, camera, pedestal=1000)
    >>> image.data
    array([[100., 100., 100.],
           [100., 100., 100.]], dtype=float32)
    >>> image.variance.round(2)            # 5**2 + 2**2 / 12 + 100
    array([[125.33, 125.33, 125.33],
           [125.33, 125.33, 125.33]], dtype=float32)
    """
    ccd = as_frame(ccd).snapshot()
    detector = as_detector(detector, "calibrate")
    cosmic_rays = check_switch("cosmic_rays", cosmic_rays)
    bias, dark, flat = (
        None if master is None else master_to_apply(master, kind)
        for master, kind in ((bias, "bias"), (dark, "dark"), (flat, "flat"))
    )
    linearity = detector.has_linearity and bool(np.any(shot_noise))
    by_signal = isinstance(shot_noise, str) or linearity
    if by_signal and overscan is None and bias is None and pedestal is None:
        msg = (
            f"{ccd.name}: neither overscan nor bias nor pedestal is given, so that the pedestal would count as "
            "signal and the error come out too large. Give one of them; pedestal=0 if there is none."
        )
        raise FrameError(msg)
    if pedestal is not None:
        pedestal = _one_level(ccd, pedestal)
    if overscan is not None and not isinstance(overscan, str):
        overscan = flag_saturated(as_frame(overscan, "the overscan"), detector)
    if overscan_model is None and not linearity and _is_plain(ccd, detector, (bias, dark, flat), shot_noise):
        frame = _at_once(
            ccd,
            detector,
            overscan=overscan,
            overscan_axis=overscan_axis,
            overscan_median=overscan_median,
            trim=trim,
            bad_pixels=bad_pixels,
            bias=bias,
            pedestal=pedestal,
            shot_noise=isinstance(shot_noise, str),
            dark=dark,
            exposure_time=exposure_time,
            exposure_unit=exposure_unit,
            flat=flat,
            min_value=min_value,
            norm_value=norm_value,
        )
        return cosmicray_lacosmic(frame) if cosmic_rays else frame
    frame = flag_saturated(ccd, detector)
    if overscan is not None:
        where: dict[str, Any] = {"fits_section" if isinstance(overscan, str) else "overscan": overscan}
        frame = subtract_overscan(
            frame, overscan_axis=overscan_axis, median=overscan_median, model=overscan_model, **where
        )
    if pedestal is not None:
        frame = frame.subtract(pedestal)
    if trim is not None:
        frame = trim_image(frame, trim)
    if bad_pixels is not None:
        frame = flag_bad_pixels(frame, bad_pixels)
    frame = gain_correct(frame, detector)
    if bias is not None:
        frame = subtract_bias(frame, in_electrons(bias, "bias", detector))
    frame = create_deviation(frame, detector, shot_noise=shot_noise)
    if linearity:
        frame = correct_linearity(frame, detector)
    if dark is not None:
        frame = subtract_dark(
            frame,
            in_electrons(dark, "dark", detector),
            exposure_time=exposure_time,
            exposure_unit=exposure_unit,
            scale=True,
        )
    if flat is not None:
        frame = flat_correct(frame, flat, min_value=min_value, norm_value=norm_value)
    if cosmic_rays:
        frame = cosmicray_lacosmic(frame)
    return frame


def _one_level(ccd: CCDFrame, pedestal: float | u.Quantity) -> u.Quantity:
    """The pedestal as one number in adu."""
    try:
        return check_number(f"{ccd.name}: the pedestal", pedestal, u.adu, minimum=-np.inf) * u.adu
    except u.UnitConversionError:
        raise
    except (TypeError, ValueError) as error:
        msg = (
            f"{ccd.name}: the pedestal is {described(pedestal)}; expected one finite number, in adu. Subtract an image "
            "as a bias."
        )
        raise FrameError(msg) from error


def _is_plain(
    ccd: CCDFrame, detector: Detector, masters: Sequence[CCDFrame | None], shot_noise: str | float | NDArray[Any]
) -> bool:
    """Whether a frame can be calibrated in one pass over its pixels; all others take the steps one by one."""
    by_signal = isinstance(shot_noise, str) and shot_noise == "data"
    without = not isinstance(shot_noise, str) and np.ndim(shot_noise) == 0 and shot_noise == 0
    return (
        (by_signal or without)
        and _is_contiguous(detector)
        and ccd.ndim == 2
        and ccd.unit == u.adu
        and ccd.known_budget is None
        and ccd.size > 0
        and ccd.dtype.isnative
        and (ccd.dtype.kind in "iu" or ccd.dtype in (np.float32, np.float64))
        and all(isinstance(master, CCDFrame) for master in masters if master is not None)
        and (ccd.dtype.kind != "f" or bool(np.isfinite(ccd.pixels).any()))
        and _has_one_factor(ccd)
    )


def _has_one_factor(ccd: CCDFrame) -> bool:
    """Whether a raw frame was multiplied by nothing but numbers, so that its digital step is one number."""
    origin = ccd.origin
    return origin is not None and isinstance(origin.factor, float)


def _is_contiguous(detector: Detector) -> bool:
    """Whether each amplifier reads all rows and columns of its section, so that a pass can go along them."""
    amplifiers = detector.amplifiers
    return len(amplifiers) == 1 or all(part.step in (None, 1, -1) for one in amplifiers for part in one.slices())


def _at_once(
    ccd: CCDFrame,
    detector: Detector,
    *,
    overscan: str | CCDFrame | None,
    overscan_axis: int | tuple[int, int] | None,
    overscan_median: bool,
    trim: str | None,
    bad_pixels: ArrayLike | None,
    bias: CCDFrame | None,
    pedestal: u.Quantity | None,
    shot_noise: bool,
    dark: CCDFrame | None,
    exposure_time: str,
    exposure_unit: Any,
    flat: CCDFrame | None,
    min_value: float | None,
    norm_value: float | None,
) -> CCDFrame:
    """What the steps would make of a frame, with the same checks."""
    level: NDArray[np.float64] = np.zeros(())
    terms: list[tuple[NoiseSource, Coefficient]] = []
    if overscan is not None:
        section = overscan
        if isinstance(section, str):
            section = flag_saturated(ccd[section_slices(ccd, section, "the overscan section")], detector)
        level, terms, lost = overscan_level(ccd, section, overscan_axis, None, overscan_median, None, CLIP)
        ccd = without_level(ccd, lost)
    if trim is not None:
        item = section_slices(ccd, trim, "the section to trim to")
        terms = [(source.cut(item, ccd.shape), coefficient.cut(item, ccd.shape)) for source, coefficient in terms]
        if level.ndim:
            level = level[tuple(item[axis] if level.shape[axis] > 1 else slice(None) for axis in (0, 1))]
        ccd = ccd[item]
    if pedestal is not None:
        level = level + pedestal.to_value(u.adu)
    if bad_pixels is not None:
        ccd = flag_bad_pixels(ccd, bad_pixels)
    sections = amplifier_sections(ccd, detector)
    given: dict[str, CCDFrame] = {}
    if bias is not None:
        bias = given["bias"] = check_master(ccd, in_electrons(bias, "bias", detector), "bias")
    ratio = 1.0
    if dark is not None:
        dark = given["dark"] = check_master(ccd, in_electrons(dark, "dark", detector), "dark")
        own, of_dark = (exposure(frame, exposure_time, exposure_unit) for frame in (ccd, dark))
        ratio = exposure_ratio(own, of_dark, dark)
        warn_of_bias_in_dark(bias, dark, ratio)
    if flat is not None:
        given["flat"] = check_master(ccd, flat, "flat")
        flat = normalised(given["flat"], min_value, norm_value)
    result = calibrated_at_once(
        ccd,
        detector,
        sections,
        level=level,
        level_terms=terms,
        shot_noise=shot_noise,
        bias=bias,
        dark=dark,
        ratio=ratio,
        flat=flat,
    )
    for kind, master in given.items():
        with_applied(result, result, master, kind)
    return result


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
    >>> image = ccd_process(raw, oscan="[5:6, 1:4]", trim="[1:4, 1:4]", error=True,
    ...                     gain=2 * u.electron / u.adu, readnoise=5 * u.electron)
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
    detector = Detector(gain=gain, read_noise=readnoise)
    frame = calibrate(
        ccd,
        detector,
        overscan=oscan,
        overscan_axis=1,
        overscan_median=oscan_median,
        overscan_model=oscan_model,
        trim=trim,
        bad_pixels=bad_pixel_mask,
        bias=master_bias,
    )
    if dark_frame is not None:
        frame = subtract_dark(
            frame,
            in_electrons(dark_frame, "dark", detector),
            dark_exposure=dark_exposure,
            data_exposure=data_exposure,
            exposure_time=exposure_key,
            exposure_unit=getattr(exposure_key, "unit", None) or exposure_unit or u.s,
            scale=dark_scale,
        )
    if master_flat is not None:
        frame = flat_correct(frame, master_flat, min_value=min_value)
    return frame
