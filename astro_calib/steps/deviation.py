"""The noise that a frame is born with: read noise, digitisation and shot noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData

from astro_calib.arguments import described, other_words, quantity_values
from astro_calib.detector.detector import as_detector
from astro_calib.dtypes import float_type, floating
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame.rebuild import as_frame
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.amplifiers import amplifier_sections, digital_steps, over_sections, raw_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.origin import Origin

__all__ = ["create_deviation"]

#: Side of the box whose median is the signal for ``shot_noise="smooth"``, in pixels.
SMOOTHING_BOX = 7


@other_words(
    gain="write create_deviation(frame, Detector(gain={gain}, read_noise={readnoise})).",
    readnoise="write create_deviation(frame, Detector(gain={gain}, read_noise={readnoise})).",
    read_noise="write create_deviation(frame, Detector(gain={gain}, read_noise={read_noise})).",
    disregard_nan="leave it out; pixels that are not numbers have no shot noise, and no variance that counts.",
    add_keyword="leave it out; frame.provenance says what was done.",
    _position="Write create_deviation(frame, Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron)).",
)
def create_deviation(
    ccd: CCDFrame,
    detector: Detector,
    *,
    pedestal: float | u.Quantity | NDArray[Any] | None = None,
    shot_noise: str | float | NDArray[Any] = "data",
) -> CCDFrame:
    r"""
    Give a frame its read noise, digitisation noise and shot noise.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame in adu or in electrons, from which overscan and bias were subtracted, but not the dark: its electrons
        were collected too. Sources that it already has (those of the overscan and of the bias) are kept.
    detector : Detector
        Gain and read noise.
    pedestal : float, Quantity or ndarray, optional
        What is in the data without being signal, in the unit of ``ccd``; for a frame whose bias was not subtracted.
    shot_noise : {"data", "smooth"}, float or ndarray
        Where the expected signal comes from. ``"data"``: the pixel itself. ``"smooth"``: the median of the pixels
        around it. A number or an array: a model of the signal in the unit of ``ccd``, net of pedestal; 0 for a bias
        frame, which has collected nothing.

    Returns
    -------
    CCDFrame
        The same data with the sources "read noise" and "shot noise" added to the budget.

    Raises
    ------
    FrameError
        If the frame is raw (whole numbers, nothing subtracted) and no pedestal is given: it would count as signal.
        If it has an uncertainty already that did not come with the calibration of a raw frame.
    astropy.units.UnitConversionError
        If the frame is neither in adu nor in electrons.
    ShapeMismatchError
        If an array does not have the frame's shape.

    Notes
    -----
    With read noise R, digital step q and signal s in electrons,

    .. math:: V = \max(R^2 + q^2/12 + s,\; R^2/4).

    A negative signal lowers the variance: clipping it at zero would raise the mean variance of a dark sky by 13% at
    R = 3. The floor keeps the mean right to 0.1% for R of 3 and more. Read noise and digitisation are one source.

    The noise of a raw frame is known by its pixels: the same file read twice is the same noise.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import CCDFrame, Detector, create_deviation
    >>> camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)
    >>> image = create_deviation(CCDFrame([[0.0, 100.0]], unit="electron"), camera)
    >>> image.variance
    array([[ 25., 125.]])
    """
    ccd = as_frame(ccd)
    detector = as_detector(detector, "create_deviation")
    if ccd.unit not in (u.adu, u.electron):
        msg = f"{ccd.name} is in {ccd.unit}; its noise can be computed in adu or in electron."
        raise u.UnitConversionError(msg)
    origin = ccd.origin
    if pedestal is None and ccd.dtype.kind in "ui" and isinstance(shot_noise, str):
        msg = (
            f"{ccd.name} is a raw frame of whole numbers: its pedestal would count as signal, and the error come "
            "out too "
            "large. Subtract overscan and bias first, or give pedestal= (0 if there is none)."
        )
        raise FrameError(msg)
    signal = floating(ccd.pixels)
    if not np.isfinite(signal).any():
        msg = f"{ccd.name}: no pixel is a finite number."
        raise FrameError(msg)
    if pedestal is not None:
        signal = signal - _like(ccd, "pedestal", pedestal)
    gain = raw_map(ccd, detector, "gain")
    read_noise = raw_map(ccd, detector, "read_noise")
    # The noise of a raw frame is one thing in adu and in electrons: its variances are in electrons, squared.
    electrons_per_unit: Any = 1.0 if ccd.unit == u.electron else gain
    step = _digital_step(ccd, detector, origin, gain) * electrons_per_unit
    fixed = read_noise**2 + step**2 / 12
    expected = _expected_signal(ccd, signal, shot_noise)
    if np.ndim(electrons_per_unit) or electrons_per_unit != 1:
        expected = expected * electrons_per_unit
    shot = _variance_of_shot_noise(expected, read_noise**2 / 4 - fixed)
    if origin is None:
        msg = (
            f"{ccd.name} has an uncertainty already that is not that of a raw frame (a stack, a file with error "
            "bars, an "
            "assigned uncertainty). To replace it, set uncertainty = None first."
        )
        raise FrameError(msg)
    kept = [] if ccd.known_budget is None else list(ccd.known_budget.terms)
    identity, window = origin.raw.identity(), origin.window
    by_data = isinstance(shot_noise, str) and shot_noise == "data"
    sources = [NoiseSource("read noise", _number_or_array(fixed, signal), identity=f"{identity}:read", window=window)]
    if np.any(shot):
        sources.append(
            NoiseSource(
                "shot noise",
                _number_or_array(shot, signal),
                identity=f"{identity}:shot",
                window=window,
                slope=1.0 if by_data else 0.0,
            )
        )
    own = {f"{identity}:read", f"{identity}:shot"}
    terms = [term for term in kept if term[0].identity not in own]
    data = floating(ccd.pixels)
    coefficient = Coefficient(1.0).times(_number_or_array(electrons_per_unit, signal), -1)
    budget = UncertaintyBudget(ccd.shape, [*terms, *((source, coefficient) for source in sources)], data.dtype, data)
    return ccd.replace(data, budget, origin=origin)


def _variance_of_shot_noise(expected: NDArray[Any], floor: float | NDArray[Any]) -> NDArray[Any]:
    """The electrons that are expected, but not less than the floor; 0 where they are no number."""
    if np.ndim(expected):
        from astro_calib.kernels.fused import shot_variance

        return shot_variance(expected, None, None, 0.0, floor)
    return np.asarray(np.where(np.isfinite(expected), np.maximum(expected, floor), 0))


def _digital_step(
    ccd: CCDFrame, detector: Detector, origin: Origin | None, gain: float | NDArray[Any]
) -> float | NDArray[Any]:
    """The step of the digitiser in the frame's unit; of each pixel, if it differs."""
    if origin is None:
        return 0.0
    steps = digital_steps(origin, detector)
    if len(steps) == 1:
        return origin.in_present_unit(steps[0])
    step = origin.in_present_unit(over_sections(amplifier_sections(ccd, detector), steps, ccd.shape))
    if np.ndim(step) == 0 and np.ndim(gain) and ccd.unit == u.electron and origin.raw.of_file:
        # A file remembers the mean of the amplifiers.
        return step * gain / np.mean(gain)
    return step


def _number_or_array(value: Any, like: NDArray[Any]) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value, dtype=like.dtype)


def _like(ccd: CCDFrame, what: str, value: Any) -> Any:
    """A number or an image of one, in the frame's unit and type."""
    if isinstance(value, NDData):
        value = value.data if value.unit is None else value.data * value.unit
    array = quantity_values(f"{ccd.name}: the {what}", value, ccd.unit).astype(float_type(ccd.dtype))
    if array.ndim and array.shape != ccd.shape:
        msg = f"{ccd.name} has shape {ccd.shape}, its {what} {array.shape}."
        raise ShapeMismatchError(msg)
    if array.ndim == 0 and not np.isfinite(array):
        msg = f"{ccd.name}: the {what} is {described(value)}; expected a finite number."
        raise FrameError(msg)
    return array


def _expected_signal(ccd: CCDFrame, signal: NDArray[Any], shot_noise: str | float | NDArray[Any]) -> NDArray[Any]:
    if not isinstance(shot_noise, str):
        return np.maximum(_like(ccd, "shot noise model", shot_noise), 0)
    if shot_noise == "data":
        return signal
    if shot_noise == "smooth":
        from scipy.ndimage import median_filter

        filled = np.where(np.isfinite(signal), signal, 0)
        return np.asarray(median_filter(filled, size=SMOOTHING_BOX, mode="reflect"))
    msg = f"shot_noise is {shot_noise!r}; expected 'data', 'smooth', a number or an array."
    raise ValueError(msg)
