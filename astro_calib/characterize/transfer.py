"""Gain, read-out noise and more of a detector from flats and biases: the photon transfer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_count, described, is_sequence_of
from astro_calib.characterize.fit import DIFFERENT, Fit, FitResult, both_signs, remarks_on_fit
from astro_calib.characterize.flats import FEWEST, Contrast, Part, contrasts, groups_of_levels
from astro_calib.characterize.frames import (
    as_read,
    different_frames,
    middle_of,
    remark_on_temperatures,
    section_of,
    step_of,
    top_of_range,
    usable_flats,
)
from astro_calib.characterize.lags import REACH, covariance_of_lags, folded
from astro_calib.characterize.read_noise import Biases, biases_of
from astro_calib.characterize.result import AmplifierTransfer, Doubt, Measured, NotBias, NotRaw, PhotonTransfer
from astro_calib.characterize.rounded import rounded_width
from astro_calib.characterize.spectrum import Spectrum, spectrum_of
from astro_calib.characterize.tones import Tone
from astro_calib.detector.amplifier import CORNERS
from astro_calib.detector.detector import Detector
from astro_calib.errors import FrameError, ShapeMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Known", "photon_transfer", "transfer_of"]

#: Flats should lie within these parts of the range.
RANGE = (0.05, 0.6)
#: Below this part of a step the variance of rounded numbers depends on the level, and below that one it says little.
SMALL, SMALLEST = 0.6, 0.3
#: No pixel holds so many electrons.
WELL = 1e6
#: Hits in biases cost fewer pixels than this part.
HIT = 0.02
#: A variance of the read noise that is known less well than this is worth a remark.
POOR = 0.1


#: Biases and the spectrum of their noise, by the section that they were looked at in.
Known: TypeAlias = "dict[str | None, tuple[Biases, Spectrum]]"


def photon_transfer(
    flats: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    *,
    sections: Sequence[str] | str | Detector | None = None,
    corners: Sequence[str] | None = None,
    mask: NDArray[np.bool_] | None = None,
    pixels: int | None = None,
) -> PhotonTransfer:
    r"""
    Measure gain, read-out noise and more from flats and biases.

    Parameters
    ----------
    flats : sequence of array_like or CCDData, shape (ny, nx)
        Two or more raw flats through one filter, in adu, as they were read out. Their levels may differ.
    biases : sequence of array_like or CCDData, shape (ny, nx)
        Two or more raw biases, in adu.
    sections : sequence of str or Detector, optional
        The pixels of each amplifier as a FITS section such as ``"[1:512, 1:1024]"``, or a detector whose amplifiers
        have them. Without it all pixels belong to one. Every other column is ``"[1:1023:2, 1:512]"``.
    corners : sequence of str, optional
        The corner of each section that its amplifier reads first, as in `~astro_calib.Amplifier`; those of the detector
        by default, or all lower left.
    mask : ndarray of bool, shape (ny, nx), optional
        Pixels that are known to be bad.
    pixels : int, optional
        Use no more of each amplifier than a block of about so many pixels in its middle: 300,000 of them tell the gain
        from a few flats to about one percent, in a third of the time that a megapixel takes. Full pixels are looked for
        there only. Without it all are used.

    Returns
    -------
    PhotonTransfer
        What was measured of each amplifier, and remarks.

    Raises
    ------
    FrameError
        If the frames cannot tell: too few of them, the same one twice, no light, saturated.
    ShapeMismatchError
        If the frames have several shapes.
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
    ...     collected = rng.poisson(
    ...         electrons, (200, 200)
    ...     ) + 8 * rng.standard_normal((200, 200))
    ...     return np.rint(1000 + collected / 1.5).astype(np.uint16)
    >>> result = photon_transfer(
    ...     [frame(30_000), frame(28_000)], [frame(0), frame(0)]
    ... )
    >>> gain = result.amplifiers[0].gain
    >>> bool(abs(gain.value.value - 1.5) < 3 * gain.uncertainty.value)
    True
    >>> bool(result.to_detector().amplifiers[0].gain == gain.value)
    True
    """
    return transfer_of(flats, biases, {}, sections=sections, corners=corners, mask=mask, pixels=pixels)


def transfer_of(
    flats: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    known: Known,
    *,
    sections: Sequence[str] | str | Detector | None = None,
    corners: Sequence[str] | None = None,
    mask: NDArray[np.bool_] | None = None,
    pixels: int | None = None,
) -> PhotonTransfer:
    """
    Do what `photon_transfer` does for several sets of flats, one after the other, and look at their biases once.

    ``known`` gets what is found of the biases; give it again with the same biases, masks and sections.
    """
    if pixels is not None:
        pixels = max(check_count("pixels", pixels), FEWEST)
    remarks: list[str] = []
    flat_arrays, flat_masks = different_frames(flats, "flat", remarks)
    bias_arrays, bias_masks = different_frames(biases, "bias", remarks)
    remarks += remark_on_temperatures([*flats, *biases])
    shape = flat_arrays[0].shape
    if shape != bias_arrays[0].shape:
        msg = f"the flats have shape {shape}, the biases {bias_arrays[0].shape}; give frames of one shape and binning."
        raise ShapeMismatchError(msg)
    good = np.ones(shape, bool)
    for one in (mask, *flat_masks, *bias_masks):
        if one is not None:
            good &= ~np.broadcast_to(one, shape)
    found = []
    for read in _amplifiers(sections, corners):
        part = middle_of(section_of(read.section, shape), shape, pixels)
        flats_read, biases_read = (
            [as_read(frame, part, read.corner) for frame in frames] for frames in (flat_arrays, bias_arrays)
        )
        good_read = as_read(good, part, read.corner)
        measured = _amplifier(flats_read, biases_read, good_read, read.section, remarks, known)
        found.append(replace(measured, corner=read.corner, overscan_section=read.overscan_section))
    return PhotonTransfer(tuple(found))


class _Read(NamedTuple):
    """What an amplifier reads, and from where."""

    section: str | None
    corner: str = "lower left"
    overscan_section: str | None = None


def _amplifiers(sections: Sequence[str] | str | Detector | None, corners: Sequence[str] | None) -> list[_Read]:
    """The amplifiers that are to be looked at."""
    if isinstance(sections, Detector):
        found = [_Read(one.data_section, one.corner, one.overscan_section) for one in sections.amplifiers]
    else:
        found = [_Read(one) for one in ([sections] if sections is None or isinstance(sections, str) else sections)]
    if corners is None:
        return found
    known = is_sequence_of(str, corners) and all(one in CORNERS for one in corners)
    if not known or len(corners) != len(found):
        msg = (
            f"corners is {described(corners)}; expected one of {', '.join(map(repr, CORNERS))} for each of "
            f"{len(found)} amplifiers."
        )
        raise ValueError(msg)
    return [one._replace(corner=corner) for one, corner in zip(found, corners, strict=True)]


def _amplifier(
    flat_arrays: list[NDArray[Any]],
    bias_arrays: list[NDArray[Any]],
    good: NDArray[np.bool_],
    name: str | None,
    before: list[str],
    known: Known,
) -> AmplifierTransfer:
    remarks = list(before)
    where = f" in {name}" if name else ""
    flats = [_finite(frame, good) for frame in flat_arrays]
    frames = [_finite(frame, good) for frame in bias_arrays]
    if good.sum() < FEWEST:
        msg = f"only {good.sum()} good pixels{where}; photon transfer needs {FEWEST} or more."
        raise FrameError(msg)

    step = step_of(flats, frames)
    if step == 0:
        remarks.append(
            NotRaw("the flats' values come in no steps: they were processed, averaged or filtered, and are not raw")
        )
    elif abs(step - round(step)) > 1e-6 * step:
        remarks.append(
            NotRaw(f"the values come in steps of {step:.4g} adu: they were averaged or scaled, and are not raw")
        )
    biases, spectrum = known.get(name) or (biases_of(frames, good), None)
    if biases.pixels < FEWEST:
        msg = f"the biases agree in {biases.pixels} pixels only{where}; give biases of one setup, taken in a row."
        raise FrameError(msg)
    hit = 1 - biases.pixels / good.sum()
    if hit > HIT:
        remarks.append(
            NotBias(
                f"{100 * hit:.1f}% of the pixels differ from bias to bias by far more than the others, or are beside "
                "such: hot pixels of darks, hits, or another setup"
            )
        )
    spectrum = spectrum_of(biases) if spectrum is None else spectrum
    known[name] = biases, spectrum
    total, small = _without_rounding(spectrum, frames, biases, step)
    if small:
        remarks.append(small)
    uncertain = spectrum.total[1] / spectrum.total[0] if spectrum.total[0] > 0 else 0.0
    if uncertain > POOR and not small:
        remarks.append(
            f"{len(frames)} biases tell the variance of the read noise to {100 * uncertain:.0f}% only, because a tone "
            "goes through all of each; give ten or more"
        )

    top, piled = top_of_range(flats, flat_arrays[0].dtype, step, good)
    bias_level = float(np.mean(biases.mean[biases.good]))
    kept, levels = usable_flats(flats, biases, top, bias_level, np.sqrt(total[0] + step**2 / 12), where)
    if len(kept) < len(flats):
        remarks.append(f"{len(flats) - len(kept)} of {len(flats)} flats have no light or are saturated, left out")
    if np.isfinite(top):
        parts_of_range = np.array([levels[index] for index in kept]) / (top - bias_level)
        if parts_of_range.max() > RANGE[1] + 0.005 or parts_of_range.max() < RANGE[0]:
            remarks.append(
                Doubt(
                    f"the brightest flat is at {100 * parts_of_range.max():.3g}% of the range; "
                    f"{100 * RANGE[0]:.0f} to {100 * RANGE[1]:.0f}% is safe"
                )
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

    fit = Fit(spectrum, biases, noise, small != "")
    result = fit.solve([one for _, one in parts])
    if result.inverse_gain < 3 * result.inverse_gain_error:
        msg = (
            f"the shot noise of the flats{where} is lost in their other noise: give flats with more light, about 5 to "
            "60% of the range, or more of them."
        )
        raise FrameError(msg)
    of_fit = remarks_on_fit(result, parts, fit, found)
    if (min(top, 65535.0) - bias_level) / result.inverse_gain > WELL:
        of_fit.append(
            NotRaw(
                f"a gain of {1 / result.inverse_gain:.3g} electron/adu lets a pixel hold more electrons than CCDs do: "
                "the flats were averaged or smoothed, or are not proportional to the light"
            )
        )
    remarks += of_fit
    plain = not any(isinstance(one, NotRaw) for one in remarks) and not any(isinstance(one, Doubt) for one in of_fit)

    drift, drift_error = _drift(biases.levels)
    gain = 1 / result.inverse_gain
    gain_error = gain**2 * np.hypot(result.inverse_gain_error, _error_of_levels(result, parts, biases.levels))

    def electrons(variance: tuple[float, float]) -> Measured:
        value = np.sqrt(max(variance[0], 0.0))
        # At zero the error of a variance is a width.
        error = variance[1] / (2 * value) if value**2 > variance[1] else np.sqrt(variance[1])
        return Measured(value * gain * u.electron, float(np.hypot(error * gain, value * gain_error)) * u.electron)

    white = max(total[0] - spectrum.row[0] - sum(tone.power for tone in spectrum.tones), 0.0)
    white_error = spectrum.white[1] if not small else total[1]
    read = np.sqrt(max(total[0], 0.0))
    read_error = total[1] / (2 * read) if read**2 > total[1] else np.sqrt(total[1])
    lag_errors = np.sqrt(np.diag(covariance_of_lags(both_signs(spectrum.power))) / biases.pixels / biases.differences)
    highest = max(levels[index] for index in kept)
    return AmplifierTransfer(
        section=name,
        gain=Measured(gain * u.electron / u.adu, gain_error * u.electron / u.adu),
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
        consistent=(result.consistent if _levels_differ(found) else None) if plain else False,
        points=tuple(result.points(parts)),
        lags=folded(biases.lags),
        lags_uncertainty=lag_errors.reshape(REACH + 1, REACH + 1),
        biases=len(frames),
        flats=len(kept),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _finite(frame: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[Any]:
    """The frame, without numbers that are none where it is not good."""
    return np.where(good, frame, 0) if frame.dtype.kind == "f" else frame


def _without_rounding(
    spectrum: Spectrum, frames: list[NDArray[Any]], biases: Biases, step: float
) -> tuple[tuple[float, float], str]:
    """The variance of the read-out noise with its error, adu^2, and a remark where the step hides it."""
    total, error = spectrum.total
    if step == 0 or np.sqrt(total) > np.hypot(SMALL, 0.2887) * step:
        return (total - step**2 / 12, error), ""
    if total < 1e-9 * step**2:
        # All values are the same: no noise that is larger leaves them so.
        return (0.0, (SMALLEST * step) ** 2 / 4), (
            f"the biases have no noise at all: their level is clamped, or hidden in the digital step of {step:g} adu"
        )
    width, width_error = rounded_width(frames, biases.good, step)
    if width < SMALLEST * step:
        limit = max(width + 2 * width_error, SMALLEST * step)
        return (width**2, max(2 * width * width_error, limit**2 / 4)), (
            f"the read noise is below {limit:.3g} adu: the digital step of {step:g} adu hides it"
        )
    # Pixels that share a draw of a row or of a tone tell less than as many that share nothing.
    shared = np.sqrt(spectrum.row[1] ** 2 + sum(tone.uncertainty**2 for tone in spectrum.tones))
    return (width**2, float(np.hypot(2 * width * width_error, shared))), (
        f"the read noise is {width / step:.2f} digital steps: rows and tones cannot be told from rounding"
    )


def _levels_differ(found: list[Contrast]) -> bool:
    """Whether flats, or parts of them, are at levels that differ enough to check each other."""
    levels = [float(one.levels.mean()) for contrast in found for one in contrast.parts]
    return max(levels) > DIFFERENT * min(levels)


def _error_of_levels(result: FitResult, parts: list[tuple[Contrast, Part]], levels: NDArray[np.float64]) -> float:
    """The standard uncertainty of the inverse gain because each flat and bias has a level of its own."""
    from scipy.special import ndtr, stdtrit

    by_flat: dict[int, float] = {}
    for (contrast, _), changes in zip(parts, result.by_level, strict=True):
        for flat, change in zip(contrast.flats, changes, strict=True):
            by_flat[flat] = by_flat.get(flat, 0.0) + float(change)
    each = np.array([*by_flat.values()])
    # Few biases do not tell well how far levels drift (Student).
    drift = _drift(levels)[0] * float(stdtrit(len(levels) - 1, ndtr(1)))
    return drift * float(np.sqrt(np.sum(each**2) + np.sum(each) ** 2 / len(levels)))


def _drift(levels: NDArray[np.float64]) -> tuple[float, float]:
    """The standard deviation of the levels, and its standard uncertainty."""
    drift = float(np.std(levels, ddof=1))
    return drift, drift / np.sqrt(2 * (len(levels) - 1))
