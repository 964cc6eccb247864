"""The noise that a frame is born with: read noise, digitisation and shot noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import astropy.units as u
import numpy as np
from astropy.nddata import NDData

from astro_calib.arguments import described, other_words, quantity_values
from astro_calib.detector.detector import as_detector
from astro_calib.dtypes import float_type
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError, warn
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.shot_variance import clamped
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.amplifiers import PerAmplifier, amplifier_sections, digital_steps, per_amplifier
from astro_calib.steps.applied import was_done
from astro_calib.steps.step import LinearStep
from astro_calib.steps.subtracted_level import without_level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.origin import Origin
    from astro_calib.steps.facts import FrameFacts
    from astro_calib.steps.run import FrameSoFar

__all__ = ["CreateDeviation", "create_deviation"]

#: Side of the box whose median is the signal for ``shot_noise="smooth"``, in pixels.
SMOOTHING_BOX = 7


class CreateDeviation(LinearStep):
    """The step of `create_deviation`, with its arguments."""

    name = "deviation"

    def __init__(
        self,
        detector: Detector,
        *,
        pedestal: float | u.Quantity | NDArray[Any] | None = None,
        shot_noise: str | float | NDArray[Any] = "data",
    ) -> None:
        self.detector = as_detector(detector, "create_deviation")
        self.pedestal, self.shot_noise = pedestal, shot_noise

    def apply(self, frame: FrameSoFar) -> None:
        """Add read noise and shot noise."""
        self._check_place(frame)
        by_signal = isinstance(self.shot_noise, str) and self.shot_noise == "data"
        tells_itself = by_signal and self.pedestal is None
        # This says what is wrong with the arguments, before what is wrong with the frame is said.
        expected = None if tells_itself else np.asarray(self._expected_signal(frame))
        origin = _origin(frame)
        identity, window = origin.raw.identity(), origin.window
        slope = 1.0 if by_signal else 0.0
        electrons_per_unit, read_noise, fixed = _fixed_noise(frame, origin, self.detector)
        coefficient = Coefficient(1.0).times(_field(frame, electrons_per_unit), -1)
        read = NoiseSource("read noise", 0.0, identity=f"{identity}:read", window=window)
        fixed = _add_read_noise(frame, read, self.detector, fixed, electrons_per_unit)
        floor = _mapped(lambda read, both: read**2 / 4 - both, read_noise, fixed)
        shot = NoiseSource("shot noise", 0.0, identity=f"{identity}:shot", window=window, slope=slope)
        if tells_itself and frame.unit == u.electron and isinstance(floor, PerAmplifier):
            frame.add_shot_noise(shot, floor)
            return
        if expected is None:
            expected = np.asarray(self._expected_signal(frame))
        if expected.ndim == 0:
            variance = _mapped(lambda low, scale: np.maximum(expected * scale, low), floor, electrons_per_unit)
        else:
            variance = clamped(expected * _over(frame, electrons_per_unit), (), _over(frame, floor))
        if np.any(_over(frame, variance)):
            _add_noise(frame, shot, variance, coefficient)

    def _check_place(self, frame: FrameSoFar) -> None:
        """Refuse a frame that is not at the right place in the order of the steps."""
        if frame.unit not in (u.adu, u.electron):
            msg = f"{frame.name} is in {frame.unit}; its noise can be computed in adu or in electron."
            raise u.UnitConversionError(msg)
        if self.pedestal is None and frame.dtype.kind in "ui" and isinstance(self.shot_noise, str):
            msg = (
                f"{frame.name} is a raw frame of whole numbers: its pedestal would count as signal, and the error come "
                "out too large. Subtract overscan and bias first, or give pedestal= (0 if there is none)."
            )
            raise FrameError(msg)
        if isinstance(self.shot_noise, str) and was_done(frame, "dark"):
            msg = (
                f"{frame.name}: the dark was subtracted before create_deviation, which counts no shot noise of its "
                "electrons, so that the error is too small. Call create_deviation before subtract_dark."
            )
            warn(msg, NoiseWarning)
        if not frame.has_numbers:
            msg = f"{frame.name}: no pixel is a finite number."
            raise FrameError(msg)

    def _expected_signal(self, frame: FrameSoFar) -> NDArray[Any]:
        if not isinstance(self.shot_noise, str):
            return np.maximum(_like(frame, "shot noise model", self.shot_noise), 0)
        signal = frame.values()
        if self.pedestal is not None:
            signal = signal - _like(frame, "pedestal", self.pedestal)
        if self.shot_noise == "data":
            return signal
        if self.shot_noise == "smooth":
            from scipy.ndimage import median_filter

            filled = np.where(np.isfinite(signal), signal, 0)
            return np.asarray(median_filter(filled, size=SMOOTHING_BOX, mode="reflect"))
        msg = f"shot_noise is {self.shot_noise!r}; expected 'data', 'smooth', a number or an array."
        raise ValueError(msg)


def _origin(frame: FrameSoFar) -> Origin:
    """Which pixels of a raw frame it holds."""
    if frame.raw_origin is None:
        msg = (
            f"{frame.name} has an uncertainty already that is not that of a raw frame (a stack, a file with error "
            "bars, an assigned uncertainty). To replace it, set uncertainty = None first."
        )
        raise FrameError(msg)
    return frame.raw_origin


#: A number for each amplifier, or the same or others at all pixels.
Values: TypeAlias = "PerAmplifier | float | NDArray[Any]"


def _mapped(function: Callable[..., Any], *values: Values) -> Values:
    """What a function makes of numbers for each amplifier, or of their maps."""
    amplifiers = [value for value in values if isinstance(value, PerAmplifier)]
    if amplifiers and all(isinstance(value, (PerAmplifier, float)) for value in values):
        number = len(amplifiers[0].values)
        columns = [value.values if isinstance(value, PerAmplifier) else (value,) * number for value in values]
        return amplifiers[0]._replace(values=tuple(float(function(*one)) for one in zip(*columns, strict=True)))
    return np.asarray(function(*(value.over() if isinstance(value, PerAmplifier) else value for value in values)))


def _over(frame: FrameSoFar, value: Values) -> Any:
    """A number, or an array that broadcasts to the frame, of its type."""
    dtype = float_type(frame.dtype)
    if isinstance(value, PerAmplifier):
        return value.over(dtype)
    return float(value) if np.ndim(value) == 0 else np.asarray(value, dtype=dtype)


def _field(frame: FrameSoFar, value: Values) -> Any:
    """The same for coefficients and variances, in which amplifiers take no memory."""
    return value.as_field(float_type(frame.dtype)) if isinstance(value, PerAmplifier) else _over(frame, value)


def _add_noise(frame: FrameSoFar, source: NoiseSource, variance: Values, coefficient: Coefficient) -> None:
    source = source.replace(variance=Coefficient(1.0).times(_field(frame, variance)))
    frame.add_noise(source, coefficient, variance if isinstance(variance, PerAmplifier) else None)


def _add_read_noise(
    frame: FrameSoFar, read: NoiseSource, detector: Detector, fixed: Values, electrons_per_unit: Values
) -> Values:
    """Add read noise and digitisation, whose variance was found, and return what of it a subtracted level left."""
    coefficient = Coefficient(1.0).times(_field(frame, electrons_per_unit), -1)
    if all(amplifier.correlation is None for amplifier in detector.amplifiers):
        _add_noise(frame, read, fixed, coefficient)
        return fixed
    sections = amplifier_sections(frame, detector)
    variances = _of_each(fixed, sections)
    electrons = _of_each(electrons_per_unit, sections)
    correlations, left = without_level(frame, _origin(frame), detector, variances, electrons, sections)
    fixed = _mapped(lambda one, factor: one * factor, fixed, PerAmplifier(sections, left, frame.shape))
    for index, correlation in enumerate(correlations):
        # No two amplifiers have a row or a tone in common.
        own = [float(other == index) for other in range(len(sections))]
        variance = _mapped(lambda one, inside: one * inside, fixed, PerAmplifier(sections, tuple(own), frame.shape))
        identity = read.identity if index == 0 else f"{read.identity}:{index}"
        _add_noise(frame, read.replace(identity=identity, correlation=correlation), variance, coefficient)
    return fixed


def _of_each(value: Values, sections: Sequence[tuple[slice, slice]]) -> tuple[float, ...]:
    """The mean for each amplifier."""
    if isinstance(value, PerAmplifier):
        return value.values
    if np.ndim(value) == 0:
        return (float(np.asarray(value)),) * len(sections)
    return tuple(float(np.mean(np.asarray(value)[section])) for section in sections)


def _fixed_noise(frame: FrameSoFar, origin: Origin, detector: Detector) -> tuple[Values, Values, Values]:
    """Electrons per unit of the frame, read noise, and its variance with that of digitisation."""
    gain, read_noise = (per_amplifier(frame, detector, what) for what in ("gain", "read_noise"))
    steps = PerAmplifier(gain.sections, tuple(digital_steps(origin, detector)), frame.shape)
    scale: Values = gain._replace(values=(1.0,) * len(gain.values))
    several, in_electrons = len(gain.values) > 1, frame.unit == u.electron
    if frame.gains is not None:
        scale = frame.gains if tuple(frame.gains.sections) == tuple(gain.sections) else _over(frame, frame.gains)
    elif several and in_electrons and origin.raw.of_file and isinstance(origin.factor, float):
        # A file remembers the mean of the amplifiers.
        scale = _mapped(lambda values, mean: values / mean, gain, float(np.mean(gain.over())))
    electrons_per_unit = gain._replace(values=(1.0,) * len(gain.values)) if in_electrons else gain
    present = origin.in_present_unit(1.0)
    step = _mapped(lambda a, b, c, d: a * b * c * d, steps, present, scale, electrons_per_unit)
    fixed = _mapped(lambda read, one: read**2 + one**2 / 12, read_noise, step)
    return electrons_per_unit, read_noise, fixed


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
    R = 3. The floor keeps the mean right to 0.1% for R of 3 and more. Read noise and digitisation are one source, or
    one for each amplifier where a detector says how the read noise of neighbours goes together. What a level that
    `subtract_overscan` took off has of rows and tones is then part of it, so that what image and overscan have in
    common cancels.

    The noise of a raw frame is known by its pixels: the same file read twice is the same noise.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import CCDFrame, Detector, create_deviation
    >>> camera = Detector(
    ...     gain=2 * u.electron / u.adu, read_noise=5 * u.electron
    ... )
    >>> image = create_deviation(
    ...     CCDFrame([[0.0, 100.0]], unit="electron"), camera
    ... )
    >>> image.variance
    array([[ 25., 125.]])
    """
    return CreateDeviation(detector, pedestal=pedestal, shot_noise=shot_noise)(ccd)


def _like(ccd: FrameFacts, what: str, value: Any) -> Any:
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
