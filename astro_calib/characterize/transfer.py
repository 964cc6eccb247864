"""Gain, read-out noise and more of a detector from flats and biases: the photon transfer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, frame_from
from astro_calib.characterize.brighter_fatter import PRIOR, classes, covariance_of_charge, template, with_corrections
from astro_calib.characterize.flats import FEWEST, Contrast, Part, contrasts, groups_of_levels
from astro_calib.characterize.lags import REACH, covariance_of_lags, folded, inner_lags, less_ring
from astro_calib.characterize.read_noise import Biases, Spectrum, Tone, biases_of, spectrum_of
from astro_calib.characterize.rounded import rounded_width
from astro_calib.detector.detector import Amplifier, Detector
from astro_calib.detector.sections import slices_of_section
from astro_calib.errors import FrameError
from astro_calib.noise.digital_step import digital_step, neighbours

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = ["AmplifierTransfer", "Measured", "PhotonTransfer", "Point", "photon_transfer"]

GAIN_UNIT = u.electron / u.adu
#: Flats should lie within these parts of the range.
RANGE = (0.05, 0.6)
#: Tiles above this part of the range are left out.
HIGHEST = 0.9
#: Below this part of a step the variance of rounded numbers depends on the level, and below that one it says little.
SMALL, SMALLEST = 0.6, 0.3
#: So many levels, over such a factor, tell how the response departs from a straight line.
LEVELS, SPAN = 4, 3.0
#: A chance that is smaller than this is worth a remark.
UNLIKELY = 1e-4
#: Cards of headers that say of how many frames one was made.
STACKED = ("NCOMBINE", "NSTACK", "STACKCNT", "NCOMB", "NIMAGES", "NFRAMES")
EXPOSURES = ("EXPTIME", "EXPOSURE")


@dataclass(frozen=True)
class Measured:
    """
    A value with its standard uncertainty.

    Parameters
    ----------
    value, uncertainty : Quantity
        Of one unit.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib.characterize import Measured
    >>> print(Measured(1.7912 * u.electron / u.adu, 0.0123 * u.electron / u.adu))
    1.791 +- 0.012 electron / adu
    """

    value: u.Quantity
    uncertainty: u.Quantity

    def __str__(self) -> str:
        value, error = self.value.value, self.uncertainty.to_value(self.value.unit)
        if not np.isfinite(error) or error <= 0:
            return f"{value:.4g} {self.value.unit}".rstrip()
        digits = 1 - int(np.floor(np.log10(error)))
        unit = f" {self.value.unit}".rstrip()
        if not -6 < digits < 7:
            return f"{value:.3g} +- {error:.2g}{unit}"
        return f"{round(value, digits):.{max(digits, 0)}f} +- {round(error, digits):.{max(digits, 0)}f}{unit}"


class Point(NamedTuple):
    """
    One measurement of the photon transfer curve: a difference of flats at one level.

    Attributes
    ----------
    level : float
        Mean level of a flat, adu above the bias.
    variance, uncertainty : float
        Variance of a flat at that level with its standard uncertainty, adu^2.
    predicted : float
        The variance that the fit has there, adu^2.
    flats : tuple of int
        Which flats it comes from.
    """

    level: float
    variance: float
    uncertainty: float
    predicted: float
    flats: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class AmplifierTransfer:
    """
    What `photon_transfer` finds of one amplifier.

    Attributes
    ----------
    section : str or None
        The pixels, as a FITS section; None for all.
    gain : Measured
        Electron / adu, at zero signal.
    read_noise : Measured
        Standard deviation of the noise of reading a pixel, electron: white part, rows and tones together, without
        what rounding adds.
    read_noise_adu : Measured
        The same in adu, whose uncertainty does not hold that of the gain.
    white, row : Measured
        Standard deviations of the part of each pixel and of that which a row shares, electron.
    tones : tuple of Tone
        Their powers are in electron^2.
    digital_step : Quantity
        adu; 0 where the values come in no steps.
    level : Measured
        Level of the biases, adu; the uncertainty is that of their mean.
    drift : Measured
        Standard deviation of the level from bias to bias, adu.
    full_well : Quantity or None
        Level above the bias where values pile up, electron; None if no flat reaches it.
    saturation : Quantity or None
        The raw value where they pile up, adu.
    a_00 : Measured
        Relative change of the variance for each electron of the level, by charge that repels charge, 1 / electron.
    nonlinearity : Measured or None
        Relative loss of signal at the highest level; None for fewer than four levels.
    points : tuple of Point
        The measurements, for a plot.
    lags, lags_uncertainty : ndarray, shape (9, 9)
        Autocovariance of a bias at dy and dx from 0 to 8, the mean of both signs of dx, adu^2.
    biases, flats : int
        How many frames were used.
    remarks : tuple of str
        What a user should know before believing it.
    """

    section: str | None
    gain: Measured
    read_noise: Measured
    read_noise_adu: Measured
    white: Measured
    row: Measured
    tones: tuple[Tone, ...]
    digital_step: u.Quantity
    level: Measured
    drift: Measured
    full_well: u.Quantity | None
    saturation: u.Quantity | None
    a_00: Measured
    nonlinearity: Measured | None
    points: tuple[Point, ...] = field(repr=False)
    lags: NDArray[np.float64] = field(repr=False, compare=False)
    lags_uncertainty: NDArray[np.float64] = field(repr=False, compare=False)
    biases: int
    flats: int
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"gain          {self.gain}",
            f"read noise    {self.read_noise}  (white {self.white}, rows {self.row}, {len(self.tones)} tones)",
            f"level         {self.level}, drift {self.drift}, in steps of {self.digital_step:g}",
            f"a_00          {self.a_00}",
        ]
        if self.nonlinearity is not None:
            lines.append(f"nonlinearity  {self.nonlinearity} at the highest level")
        if self.full_well is not None:
            lines.append(f"full well     {self.full_well:.4g}, at {self.saturation:g}")
        lines += [f"! {remark}" for remark in self.remarks]
        if self.section is not None:
            lines.insert(0, f"amplifier {self.section}")
        return "\n".join(lines)


@dataclass(frozen=True)
class PhotonTransfer:
    """
    The result of `photon_transfer`.

    Parameters
    ----------
    amplifiers : tuple of AmplifierTransfer
        One for each section.

    Examples
    --------
    See `photon_transfer`.
    """

    amplifiers: tuple[AmplifierTransfer, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know before believing it, of all amplifiers."""
        several = len(self.amplifiers) > 1
        return tuple(
            f"{one.section}: {remark}" if several else remark for one in self.amplifiers for remark in one.remarks
        )

    def to_detector(self, name: str = "detector") -> Detector:
        """
        The detector with what was measured, for `~astro_calib.calibrate`.

        Parameters
        ----------
        name : str
            Name of the detector.

        Returns
        -------
        Detector
            With gains, their uncertainties, read noises, and the saturation if it was seen.
        """
        amplifiers = [
            Amplifier(
                gain=one.gain.value,
                gain_uncertainty=one.gain.uncertainty,
                read_noise=one.read_noise.value,
                data_section=one.section,
            )
            for one in self.amplifiers
        ]
        levels = [one.saturation for one in self.amplifiers if one.saturation is not None]
        return Detector(amplifiers=tuple(amplifiers), saturation=min(levels) if levels else None, name=name)

    def plot(self) -> Figure:
        """
        Draw variance against level with the fit, and the residuals, a column for each amplifier.

        Returns
        -------
        matplotlib.figure.Figure
            Save it with its ``savefig``.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5 * len(self.amplifiers), 5), layout="constrained")
        axes = figure.subplots(2, len(self.amplifiers), sharex="col", squeeze=False, height_ratios=(2, 1))
        for column, one in zip(axes.T, self.amplifiers, strict=True):
            level, variance, error, predicted = np.array([point[:4] for point in one.points]).T
            order = np.argsort(level)
            column[0].errorbar(level, variance, error, fmt="o", ms=3, label="differences of flats")
            column[0].plot(level[order], predicted[order], label=f"gain {one.gain}")
            column[0].set(ylabel="variance [adu$^2$]", title=one.section or "")
            column[0].legend()
            column[1].errorbar(level, 100 * (variance / predicted - 1), 100 * error / predicted, fmt="o", ms=3)
            column[1].axhline(0, lw=0.8, color="k")
            column[1].set(xlabel="level above the bias [adu]", ylabel="residual [%]")
        return figure


def photon_transfer(
    flats: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    *,
    sections: Sequence[str] | str | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> PhotonTransfer:
    r"""
    Measure gain, read-out noise and more from flats and biases.

    Parameters
    ----------
    flats : sequence of array_like or CCDData, shape (ny, nx)
        Two or more raw flats through one filter, in adu, as they were read out. Their levels may differ.
    biases : sequence of array_like or CCDData, shape (ny, nx)
        Two or more raw biases, in adu.
    sections : sequence of str, optional
        The pixels of each amplifier as a FITS section such as ``"[1:512, 1:1024]"``. Without it all pixels belong to
        one.
    mask : ndarray of bool, shape (ny, nx), optional
        Pixels that are known to be bad.

    Returns
    -------
    PhotonTransfer
        What was measured of each amplifier, and remarks.

    Raises
    ------
    FrameError
        If the frames cannot tell: too few of them, the same one twice, no light, saturated, of several shapes.
    TypeError
        If a frame is none.

    Notes
    -----
    Each flat is compared with the sum of those before it of about the same level, times a smooth ratio, so that lamps
    may fade. The variances and covariances of the differences at all lags up to four pixels, less the mean over those
    from five to eight, are fitted together: with the level :math:`l` of each flat and its weight :math:`w` in the
    difference,

    .. math::

        C(h) = \sum_i w_i^2 [l_i \delta_h / g + a_h l_i^2 + R(h)]

    (and higher orders of :math:`a`), where the read-out noise :math:`R` comes from differences of biases. The
    coefficients :math:`a_h` of charge that repels charge have a shape and a size that CCDs have, each with a prior
    width, and sum to zero (Astier et al. 2019, A&A 629, A36). The covariance of the lags is Bartlett's. The uncertainty
    of the gain so holds what one level cannot tell from :math:`a_{00}`.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.characterize import photon_transfer
    >>> rng = np.random.default_rng(1)
    >>> def frame(electrons):
    ...     collected = rng.poisson(electrons, (200, 200)) + 8 * rng.standard_normal((200, 200))
    ...     return np.rint(1000 + collected / 1.5).astype(np.uint16)
    >>> result = photon_transfer([frame(30_000), frame(28_000)], [frame(0), frame(0)])
    >>> gain = result.amplifiers[0].gain
    >>> bool(abs(gain.value.value - 1.5) < 3 * gain.uncertainty.value)
    True
    >>> result.to_detector().amplifiers[0].gain == gain.value
    True
    """
    remarks: list[str] = []
    flat_arrays, flat_masks = _arrays(flats, "flat", remarks)
    bias_arrays, bias_masks = _arrays(biases, "bias", remarks)
    shape = flat_arrays[0].shape
    good = np.ones(shape, bool)
    for one in (mask, *flat_masks, *bias_masks):
        if one is not None:
            good &= ~np.broadcast_to(one, shape)
    names = [sections] if isinstance(sections, str) else list(sections or [None])
    found = []
    for name in names:
        part = (slice(None), slice(None)) if name is None else slices_of_section(name)
        found.append(_amplifier(flat_arrays, bias_arrays, good, part, name, remarks))
    return PhotonTransfer(tuple(found))


def _arrays(
    frames: Sequence[Any], kind: str, remarks: list[str]
) -> tuple[list[NDArray[Any]], list[NDArray[np.bool_] | None]]:
    """The pixels and masks of the frames; without copies, which say nothing new."""
    kinds = "biases" if kind == "bias" else "flats"
    need = f"photon transfer needs two {kinds} or more that were taken one after the other"
    if isinstance(frames, np.ndarray) and frames.ndim == 3:
        frames = list(frames)
    if not isinstance(frames, (list, tuple)):
        msg = f"{kinds} is {described(frames)}; expected a list of frames: {need}."
        raise TypeError(msg)
    arrays: list[NDArray[Any]] = []
    masks: list[NDArray[np.bool_] | None] = []
    copies = 0
    for number, frame in enumerate(frames, start=1):
        unit = getattr(frame, "unit", None)
        if unit is not None and unit != u.adu:
            msg = f"{kind} {number} is in {unit}; photon transfer needs raw frames, in adu."
            raise FrameError(msg)
        pixels = getattr(frame, "pixels", None)
        pixels = np.asarray(pixels if pixels is not None else getattr(frame, "data", frame))
        if pixels.dtype.kind not in "uif" or pixels.ndim != 2:
            msg = f"{kind} {number} is {described(frame)}; expected an image of numbers. {frame_from(frame)}"
            raise TypeError(msg)
        if any(np.array_equal(pixels, other) for other in arrays):
            copies += 1
            continue
        if arrays and pixels.shape != arrays[0].shape:
            msg = (
                f"{kind} {number} has shape {pixels.shape}, the first one {arrays[0].shape}; give frames of one shape "
                "and binning."
            )
            raise FrameError(msg)
        arrays.append(pixels)
        masks.append(_mask_of(frame, pixels))
        remarks += _remarks_on_header(getattr(frame, "meta", None) or {}, kind, number)
    if len(arrays) < 2:
        what = f"{copies + 1} times the same {kind}" if copies else "one" if arrays else "none"
        msg = f"{need}; given: {what}."
        raise FrameError(msg)
    if copies:
        remarks.append(f"{copies} of the {kinds} {'are copies' if copies > 1 else 'is a copy'} of another, left out")
    return arrays, masks


def _mask_of(frame: Any, pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    mask = getattr(frame, "mask", None)
    mask = None if mask is None or mask is np.ma.nomask else np.asarray(mask, bool)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        mask = ~np.isfinite(pixels) | (False if mask is None else mask)
    return mask


def _remarks_on_header(header: Mapping[str, Any], kind: str, number: int) -> list[str]:
    """What a header says against the use of a frame."""

    def number_of(card: str) -> float:
        try:
            return float(header.get(card, 0))
        except (TypeError, ValueError):
            return 0.0

    found = []
    for card in STACKED:
        if number_of(card) > 1:
            found.append(
                f"{kind} {number} is a stack ({card} = {header[card]}), whose noise is not that of a frame; give raw ones"
            )
            break
    exposure = max(number_of(card) for card in EXPOSURES)
    if kind == "bias" and exposure > 0.1:
        found.append(f"bias {number} was exposed for {exposure:g} s: dark current adds to what is read noise here")
    return found


def _amplifier(
    flat_arrays: list[NDArray[Any]],
    bias_arrays: list[NDArray[Any]],
    all_good: NDArray[np.bool_],
    part: tuple[slice, slice],
    name: str | None,
    before: list[str],
) -> AmplifierTransfer:
    remarks = list(before)
    where = f" in {name}" if name else ""
    good = all_good[part]
    if flat_arrays[0].shape != bias_arrays[0].shape:
        msg = (
            f"the flats have shape {flat_arrays[0].shape}, the biases {bias_arrays[0].shape}; give frames of one shape "
            "and binning."
        )
        raise FrameError(msg)
    flats = [np.where(good, frame[part], 0).astype(float) for frame in flat_arrays]
    frames = [np.where(good, frame[part], 0).astype(float) for frame in bias_arrays]
    if good.sum() < FEWEST:
        msg = f"only {good.sum()} good pixels{where}; photon transfer needs {FEWEST} or more."
        raise FrameError(msg)

    step = _step([frame[part] for frame in flat_arrays], [frame[part] for frame in bias_arrays])
    if step == 0:
        remarks.append("the values come in no steps: they were processed, averaged or filtered, and are not raw")
    biases = biases_of(frames, good)
    if biases.pixels < FEWEST:
        msg = f"the biases agree in {biases.pixels} pixels only{where}; give biases of one setup, taken in a row."
        raise FrameError(msg)
    spectrum = spectrum_of(biases)
    total, small = _without_rounding(spectrum, frames, biases, step)
    if small:
        remarks.append(small)
    if spectrum.total[1] > 0.1 * spectrum.total[0]:
        remarks.append(
            f"{len(frames)} biases tell the variance of the read noise to {100 * spectrum.total[1] / spectrum.total[0]:.0f}% "
            "only, because a tone goes through all of each; give ten or more"
        )

    top, piled = _top_of_range(flats, flat_arrays[0].dtype, step, good)
    bias_level = float(np.mean(biases.mean[biases.good]))
    kept, levels = _usable(flats, biases, top, bias_level, np.sqrt(total[0] + step**2 / 12), where)
    if len(kept) < len(flats):
        remarks.append(f"{len(flats) - len(kept)} of {len(flats)} flats have no light or are saturated, left out")
    if np.isfinite(top):
        parts_of_range = np.array([levels[index] for index in kept]) / (top - bias_level)
        if parts_of_range.max() > RANGE[1] or parts_of_range.max() < RANGE[0]:
            remarks.append(
                f"the brightest flat is at {100 * parts_of_range.max():.3g}% of the range; "
                f"{100 * RANGE[0]:.0f} to {100 * RANGE[1]:.0f}% is safe"
            )

    found: list[Contrast] = []
    noise = total[0] + step**2 / 12
    for group in groups_of_levels([levels[index] for index in kept]):
        chosen = [kept[place] for place in group]
        found += contrasts(flats, biases, chosen, top, noise)
    parts = [(contrast, one) for contrast in found for one in contrast.parts]
    if not parts:
        msg = (
            f"the flats{where} have no {FEWEST} pixels in common that are lit, below saturation, and without objects; "
            "give two flats of about 5 to 60% of the range through one filter."
        )
        raise FrameError(msg)

    fit = _Fit(spectrum, biases, noise, small != "")
    result = fit.solve([one for _, one in parts], top - bias_level if np.isfinite(top) else np.inf)
    remarks += _remarks_on_fit(result, parts, fit, found)

    drift, drift_error = _drift(biases.levels)
    gain = 1 / result.inverse_gain
    relative = result.inverse_gain_error / result.inverse_gain
    number = len(kept)
    mean_level = float(np.mean([levels[index] for index in kept]))
    # Flats and biases have levels of their own.
    relative = np.hypot(relative, drift * np.sqrt(1 / number + 1 / len(frames)) / mean_level)
    gain_error = gain * relative

    def electrons(variance: tuple[float, float]) -> Measured:
        value = np.sqrt(max(variance[0], 0.0))
        # At zero the error of a variance is a width.
        error = variance[1] / (2 * value) if value**2 > variance[1] else np.sqrt(variance[1])
        return Measured(value * gain * u.electron, float(np.hypot(error * gain, value * gain_error)) * u.electron)

    white = max(total[0] - spectrum.row[0] - sum(tone.power for tone in spectrum.tones), 0.0)
    white_error = spectrum.white[1] if not small else total[1]
    read = np.sqrt(max(total[0], 0.0))
    read_error = total[1] / (2 * read) if read**2 > total[1] else np.sqrt(total[1])
    lag_errors = np.sqrt(np.diag(covariance_of_lags(_both_signs(spectrum.power))) / biases.pixels / biases.differences)
    highest = max(levels[index] for index in kept)
    return AmplifierTransfer(
        section=name,
        gain=Measured(gain * GAIN_UNIT, gain_error * GAIN_UNIT),
        read_noise=electrons(total),
        read_noise_adu=Measured(read * u.adu, read_error * u.adu),
        white=electrons((white, white_error)),
        row=electrons(spectrum.row),
        tones=tuple(Tone(tone.power * gain**2, tone.uncertainty * gain**2, *tone[2:]) for tone in spectrum.tones),
        digital_step=step * u.adu,
        level=Measured(bias_level * u.adu, drift / np.sqrt(len(frames)) * u.adu),
        drift=Measured(drift * u.adu, drift_error * u.adu),
        full_well=(top - bias_level) * gain * u.electron if piled else None,
        saturation=top * u.adu if piled else None,
        a_00=Measured(result.a_00 / u.electron, result.a_00_error / u.electron),
        nonlinearity=None
        if result.curvature is None
        else Measured(u.Quantity(result.curvature[0] * highest), u.Quantity(result.curvature[1] * highest)),
        points=tuple(result.points(parts)),
        lags=folded(biases.lags),
        lags_uncertainty=lag_errors.reshape(REACH + 1, REACH + 1),
        biases=len(frames),
        flats=number,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _step(flats: list[NDArray[Any]], biases: list[NDArray[Any]]) -> float:
    """The digital step that flats and biases have."""
    found = [digital_step(neighbours(frames[0])) for frames in (flats, biases)]
    steps = [step for step in found if step]
    if not steps:
        return 0.0
    return float(min(steps))


def _without_rounding(
    spectrum: Spectrum, frames: list[NDArray[np.float64]], biases: Biases, step: float
) -> tuple[tuple[float, float], str]:
    """The variance of the read-out noise with its error, adu^2, and a remark where the step hides it."""
    total, error = spectrum.total
    if step == 0 or np.sqrt(total) > np.hypot(SMALL, 0.2887) * step:
        return (total - step**2 / 12, error), ""
    width, width_error = rounded_width(frames, biases.good, step)
    if width < SMALLEST * step:
        limit = max(width + 2 * width_error, SMALLEST * step)
        return (width**2, max(2 * width * width_error, limit**2 / 4)), (
            f"the read noise is below {limit:.3g} adu: the digital step of {step:g} adu hides it"
        )
    return (width**2, 2 * width * width_error), (
        f"the read noise is {width / step:.2f} digital steps: rows and tones cannot be told from rounding"
    )


def _top_of_range(
    flats: list[NDArray[np.float64]], dtype: np.dtype[Any], step: float, good: NDArray[np.bool_]
) -> tuple[float, bool]:
    """The raw value where values pile up and True; else the container's largest, or infinity, and False."""
    tops = []
    for flat in flats:
        values = flat[good]
        top = float(values.max())
        width = step or max(top, 1.0) * 1e-6
        at = np.count_nonzero(values > top - width / 2)
        below = np.count_nonzero(values > top - 10.5 * width) - at
        if at >= 20 and at > below:
            tops.append(top)
    if tops:
        return max(tops), True
    if dtype == np.uint16:
        return 65535 - 65535 % (step or 1), False
    return np.inf, False


def _usable(
    flats: list[NDArray[np.float64]], biases: Biases, top: float, bias_level: float, noise: float, where: str
) -> tuple[list[int], dict[int, float]]:
    """Which flats have light and are not full, and their levels above the bias, adu."""
    levels, dark, full = {}, 0, 0
    for index, flat in enumerate(flats):
        net = (flat - biases.mean)[biases.good]
        # The lit half counts.
        level = float(np.median(net[net >= np.median(net)])) if net.size else 0.0
        if level < 5 * max(noise, 1e-3):
            dark += 1
        elif (
            level + bias_level > HIGHEST * (top - bias_level) + bias_level and np.median(net) + bias_level > 0.85 * top
        ):
            full += 1
        else:
            levels[index] = float(np.median(net)) if np.median(net) > 0.5 * level else level
    if len(levels) < 2:
        what = []
        if dark:
            what.append(f"{dark} of {len(flats)} without light")
        if full:
            what.append(f"{full} of {len(flats)} saturated at {top:g} adu")
        msg = (
            f"photon transfer needs two flats or more with light and below saturation{where}; given: "
            f"{' and '.join(what)}. Take flats at 5 to 60% of the range."
        )
        raise FrameError(msg)
    return sorted(levels), levels


def _drift(levels: NDArray[np.float64]) -> tuple[float, float]:
    """The standard deviation of the levels, and its standard uncertainty."""
    drift = float(np.std(levels, ddof=1))
    return drift, drift / np.sqrt(2 * (len(levels) - 1))


def _both_signs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A function of the lag, the mean of both signs of dx: from what `Spectrum` holds to a square from 0 on."""
    middle = values.shape[1] // 2
    return (values[:, middle:] + values[:, middle::-1]) / 2


class _Result(NamedTuple):
    inverse_gain: float
    inverse_gain_error: float
    a_00: float
    a_00_error: float
    curvature: tuple[float, float] | None
    residuals: list[NDArray[np.float64]]
    covariances: list[NDArray[np.float64]]
    chance: float

    def points(self, parts: list[tuple[Contrast, Part]]) -> list[Point]:
        found = []
        for (contrast, part), residual, covariance in zip(parts, self.residuals, self.covariances, strict=True):
            squares = np.square(part.weights)
            norm = float(squares.sum())
            level = float(squares @ part.levels) / norm
            variance = float(part.lags[0, 0]) / norm
            error = float(np.sqrt(covariance[0, 0])) / norm
            found.append(Point(level, variance, error, variance - float(residual[0]) / norm, contrast.flats))
        return found


class _Fit:
    """The linear least squares of all lags, repeated for what is not linear."""

    def __init__(self, spectrum: Spectrum, biases: Biases, noise: float, small: bool) -> None:
        self.ring = less_ring()
        white = np.zeros((2 * REACH + 1,) * 2)
        white[0, 0] = 1
        self.moments = [
            self.ring @ covariance_of_lags(power) @ self.ring.T
            for power in (white, _both_signs(spectrum.lags), _both_signs(spectrum.power))
        ]
        self.read = self.ring @ folded(biases.lags).ravel()
        self.read_covariance = self.moments[2] / (biases.pixels * biases.differences)
        self.number = len(biases.levels)
        if small:
            # Rounding hides the rest.
            self.read = np.zeros_like(self.read)
            self.read[0] = noise
        self.maps = [template(), *(one for one, _ in classes())]
        self.columns = [self.ring @ one[REACH:, REACH:].ravel() for one in self.maps]
        self.prior_mean = np.array([PRIOR[0], *[0.0] * (len(self.maps) - 1)])
        self.prior_width = np.array([PRIOR[1], *(width for _, width in classes())])

    def solve(self, parts: list[Part], full: float) -> _Result:
        """Fit; nonlinearity only where there are levels enough."""
        del full
        levels = np.array([float(np.square(one.weights) @ one.levels / np.sum(one.weights**2)) for one in parts])
        curved = _number_of_levels(levels) >= LEVELS and levels.max() > SPAN * levels.min()
        charge = len(self.maps)
        lags = len(self.read)
        size = 1 + charge + curved + lags
        values = np.zeros(size)
        first = parts[int(np.argmax(levels))]
        shot = first.lags[0, 0] - self._read_weight(first) * self.read[0]
        values[0] = max(shot, 1e-6 * first.lags[0, 0]) / float(np.square(first.weights) @ first.levels)
        values[1] = PRIOR[0]
        values[-lags:] = self.read
        covariances: list[NDArray[np.float64]] = []
        for _ in range(4):
            normal = np.zeros((size, size))
            right = np.zeros(size)
            # Priors of the charge's covariances, and the biases.
            place = np.arange(1, 1 + charge)
            normal[place, place] += 1 / self.prior_width**2
            right[place] += self.prior_mean / self.prior_width**2
            weight = np.linalg.pinv(self.read_covariance, hermitian=True)
            normal[-lags:, -lags:] += weight
            right[-lags:] += weight @ self.read
            covariances, residuals = [], []
            for part in parts:
                matrix = self._matrix(part, values, curved)
                predicted, covariance = self._prediction(part, values, curved)
                weight = np.linalg.inv(covariance)
                measured = self.ring @ part.lags.ravel()
                normal += matrix.T @ weight @ matrix
                right += matrix.T @ weight @ (measured - predicted + matrix @ values)
                covariances.append(covariance)
            scale = 1 / np.sqrt(np.diag(normal))
            inverse = np.linalg.inv(normal * np.outer(scale, scale)) * np.outer(scale, scale)
            values = inverse @ right
        residuals = [self.ring @ part.lags.ravel() - self._prediction(part, values, curved)[0] for part in parts]
        a_00 = np.zeros(size)
        a_00[1 : 1 + charge] = [one[REACH, REACH] for one in self.maps]
        return _Result(
            float(values[0]),
            float(np.sqrt(inverse[0, 0])),
            float(a_00 @ values),
            float(np.sqrt(a_00 @ inverse @ a_00)),
            (float(values[1 + charge]), float(np.sqrt(inverse[1 + charge, 1 + charge]))) if curved else None,
            residuals,
            covariances,
            _chance(residuals, covariances, 1 + curved),
        )

    def _read_weight(self, part: Part) -> float:
        """How often a difference holds the noise of a bias."""
        return float(np.sum(part.weights**2) + part.bias / self.number)

    def _matrix(self, part: Part, values: NDArray[np.float64], curved: bool) -> NDArray[np.float64]:
        """Derivatives of the lags by the parameters."""
        squares = np.square(part.weights)
        lags = len(self.read)
        first = np.zeros(lags)
        first[0] = squares @ part.levels
        columns = [first, *(float(squares @ part.squares) * column for column in self.columns)]
        if curved:
            second = np.zeros(lags)
            second[0] = -3 * values[0] * float(squares @ part.squares)
            columns.append(second)
        return np.column_stack([*columns, self._read_weight(part) * np.eye(lags)])

    def _prediction(
        self, part: Part, values: NDArray[np.float64], curved: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lags of a difference and their covariance, adu^2 and adu^4."""
        inverse_gain = values[0]
        charge = len(self.maps)
        a = with_corrections(values[1 : 1 + charge])
        lags = np.zeros((REACH + 1, REACH + 1))
        for weight, level, square in zip(part.weights, part.levels, part.squares, strict=True):
            more = covariance_of_charge(a, level / inverse_gain)
            more[0, 0] -= level / inverse_gain
            more *= square / level**2
            more[0, 0] += level / inverse_gain
            lags += weight**2 * inverse_gain**2 * more
            if curved:
                lags[0, 0] -= weight**2 * 3 * inverse_gain * values[1 + charge] * square
        read = self._read_weight(part)
        predicted = self.ring @ lags.ravel() + read * values[-len(self.read) :]
        shot = max(float(lags[0, 0]), 1e-12)
        moments = self.moments
        covariance = shot**2 * moments[0] + 2 * shot * read * moments[1] + read**2 * moments[2]
        return predicted, covariance / part.pixels


def _number_of_levels(levels: NDArray[np.float64]) -> int:
    """How many levels there are that differ by a tenth or more."""
    number, last = 0, 0.0
    for level in np.sort(levels):
        if level > 1.1 * last:
            number, last = number + 1, float(level)
    return number


def _chance(residuals: list[NDArray[np.float64]], covariances: list[NDArray[np.float64]], parameters: int) -> float:
    """How often chance alone makes variances scatter so much about the fit."""
    from scipy.stats import chi2

    off = sum(residual[0] ** 2 / covariance[0, 0] for residual, covariance in zip(residuals, covariances, strict=True))
    free = len(residuals) - parameters
    return float(chi2.sf(off, free)) if free > 0 else 1.0


def _remarks_on_fit(result: _Result, parts: list[tuple[Contrast, Part]], fit: _Fit, found: list[Contrast]) -> list[str]:
    """What the flats themselves say against the result."""
    remarks = []
    if result.chance < UNLIKELY:
        remarks.append(
            "differences of flats, or parts of them, at other levels contradict each other beyond their errors: "
            "nonlinearity, another filter, or stray light"
        )
    worst, at = 0.0, (0, 0)
    dy, dx = inner_lags()
    for (_, part), residual, covariance in zip(parts, result.residuals, result.covariances, strict=True):
        read = fit._read_weight(part) * fit.read
        inner = fit.ring @ part.lags.ravel() - read
        size = np.abs(inner[1:]) / max(inner[0], 1e-12)
        certain = np.abs(inner[1:]) > 5 * np.sqrt(np.diag(covariance)[1:])
        size = np.where(certain, size, 0)
        if size.max() > worst:
            place = int(np.argmax(size)) + 1
            worst, at = float(size.max()), (int(dx[place]), int(dy[place]))
        del residual
    if worst > 0.05:
        remarks.append(
            f"the noise of the flats is correlated by {100 * worst:.0f}% at the distance {at}: they were smoothed, "
            "resampled or filtered, and the gain is wrong"
        )
    ring = [_ring(part) / np.sqrt(2 / part.pixels / 104) for _, part in parts]
    if np.max(np.abs(ring)) > 8 and max(abs(_ring(part)) for _, part in parts) > 0.005:
        remarks.append("light that changed between the flats has left large structures in their differences")
    lost = float(np.mean([contrast.excluded for contrast in found]))
    if lost > 0.5:
        remarks.append(f"{100 * lost:.0f}% of the pixels were left out: unlit, saturated, hit, or with objects")
    return remarks


def _ring(part: Part) -> float:
    """The mean of the ring of lags over the variance."""
    ring = part.lags.copy()
    ring[:5, :5] = np.nan
    return float(np.nanmean(ring) / part.lags[0, 0])
