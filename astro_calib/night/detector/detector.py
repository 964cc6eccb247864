"""The detector of a night: its numbers from options, profile, headers and the frames themselves."""

from __future__ import annotations

from dataclasses import replace
from statistics import median_low
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.night.common.frames import by_amplifier
from astro_calib.night.detector.converter import gain_of_headers, step_of_frames
from astro_calib.night.detector.decide import Estimate, Evidence, Number, decide
from astro_calib.night.detector.excess import excess_of
from astro_calib.night.files.sample import Sampler
from astro_calib.night.files.survey import COMMON, UNITS
from astro_calib.night.matching.matching import darks_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from astro_calib.characterize.frame_noise import ImageExcess
    from astro_calib.detector.detector import Detector
    from astro_calib.io.fits.chip import MosaicAmplifier
    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.detector.measure import Measurement
    from astro_calib.night.files.sample import Piece, Seen
    from astro_calib.night.profiles.profile import Profile

__all__ = ["NightDetector", "UnknownNumberError", "night_detector", "short_names"]

ROLES = ("gain", "read_noise")
#: Values of 14, 12 and 10 bits, moved to the upper end of 16.
STEPS = (4.0, 16.0, 64.0)
#: Why biases do not tell the read noise in electrons.
IN_ADU = "biases tell it in adu, and the gain is not known"
#: So many darks tell the level of zero light.
FEW = 4


class UnknownNumberError(FrameError):
    """
    The gain or the read noise is not known.

    >>> from astro_calib.night.detector.detector import UnknownNumberError
    >>> str(UnknownNumberError("the gain is not known"))
    'the gain is not known'
    """


class NightDetector(NamedTuple):
    """
    The detector, where each of its numbers is from, and what has to be said about that.

    Attributes
    ----------
    detector : Detector
        What the frames are calibrated with.
    numbers : tuple of Number
        Gain and read noise.
    remarks : tuple of str
        What should be known about the result.
    image_excess : ImageExcess or None
        As in `~astro_calib.night.Plan`.
    pedestal : float or None
        As in `~astro_calib.night.Plan`.
    """

    detector: Detector
    numbers: tuple[Number, ...]
    remarks: tuple[str, ...]
    image_excess: ImageExcess | None = None
    pedestal: float | None = None


def night_detector(
    frames: Sequence[RawFrame],
    profile: Profile,
    *,
    mode: str = "header",
    options: Collection[str] = (),
    seen: Seen | None = None,
    lent: Mapping[str, tuple[float, float | None]] = MappingProxyType({}),
    bias_is_lent: bool = False,
) -> NightDetector:
    """
    Find out the numbers of the detector that took some frames of one setup.

    Parameters
    ----------
    frames : sequence of RawFrame
        All frames of the setup.
    profile : Profile
        With the numbers that options give in the place of its own.
    mode : {"auto", "header", "measure", "profile"}
        What may be taken; see `~astro_calib.night.reduce_night`.
    options : collection of str
        Which numbers of the profile are from options.
    seen : Seen, optional
        Pieces of frames that were kept when they were read.
    lent : mapping of str to (float, float or None)
        The numbers that borrowed masters were made with, and their uncertainties.
    bias_is_lent : bool
        Whether a master bias is borrowed, which tells the level of zero light.

    Returns
    -------
    NightDetector
        An UnknownNumberError says that the gain or the read noise is not known.
    """
    from astro_calib.detector.detector import Detector

    if frames[0].amplifiers:
        return _of_amplifiers(frames, profile, mode, options, seen, bias_is_lent=bias_is_lent)
    values: dict[str, Any] = {}
    remarks: list[str] = []
    sampler = Sampler(frames[0].shape, frames[0].overscan, frames[0].trim, seen)
    step = step_of_frames(frames, sampler)
    unsigned = all(frame.unsigned_16_bit for frame in frames)
    steps = step if step in STEPS else 1.0
    # A camera of 12 bits whose values come in steps of 16 goes up to 65520.
    largest = 65536.0 - steps
    saturations = {frame.saturation for frame in frames if frame.saturation is not None}
    saturation = min(saturations, default=None)
    if len(saturations) > 1:
        remarks.append(
            f"the headers tell saturations of {min(saturations):g} to {max(saturations):g} adu: the lowest is taken "
            "(--saturation)"
        )
    if saturation is not None and profile.saturation is None and saturation < 65536 / steps and steps > 1:
        remarks.append(
            f"the saturation in the headers, {saturation:g}, is in steps of the converter, and the pixel values come "
            f"in steps of {steps:g}: {saturation * steps:g} adu is taken"
        )
        saturation *= steps
    top = saturation or (largest if unsigned else None)
    of_headers = gain_of_headers(frames, step)
    # Where there are no biases, the shortest darks tell the level of zero light, and their noise that of a read-out.
    standing_in = frames if bias_is_lent else _standing_in(frames)
    numbers, measurement = _numbers(standing_in, profile, mode, options, top, sampler, of_headers.value, lent)
    remarks += measurement.notes
    if numbers[0].source in ("header", "") and numbers[0].measured is None and of_headers.remark:
        remarks.append(of_headers.remark)
    unknown = [number for number in numbers if number.value is None]
    if unknown and measurement.not_raw:
        raise UnknownNumberError(_of_masters(unknown, measurement.not_raw))
    if unknown:
        raise UnknownNumberError("\n".join(_missing(number, frames, profile, mode) for number in unknown))
    for number in numbers:
        values[number.role] = number.value * UNITS[number.role]
    if numbers[0].uncertainty is not None:
        values["gain_uncertainty"] = numbers[0].uncertainty * UNITS["gain"]
    if saturation is not None:
        values["saturation"] = saturation * UNITS["saturation"]
    elif unsigned:
        values["saturation"] = largest * UNITS["saturation"]
        remarks.append(f"the saturation level is not known; {largest:g} adu is taken (--saturation)")
    else:
        remarks.append("the saturation level is not known; no pixel counts as saturated (--saturation)")
    excess = None
    if numbers[1].source == "measured":
        excess = excess_of([piece for _, piece in measurement.biases])
    detector = Detector(**values, linearity=profile.linearity, name=profile.name)
    pedestal = None if bias_is_lent else _pedestal(standing_in, profile, numbers, measurement, sampler)
    return NightDetector(detector, numbers, tuple(remarks), excess, pedestal)


def _of_amplifiers(
    frames: Sequence[RawFrame],
    profile: Profile,
    mode: str,
    options: Collection[str],
    seen: Seen | None,
    *,
    bias_is_lent: bool,
) -> NightDetector:
    """The detector of frames of several amplifiers, each of which is measured by itself."""
    from astro_calib.detector.amplifier import Amplifier
    from astro_calib.detector.detector import Detector

    apart = list(zip(*map(by_amplifier, frames), strict=True))
    names = short_names(frames[0].amplifiers)
    amplifiers, numbers, pedestals = [], [], set()
    said: dict[str, list[str]] = {}
    tables = profile.tables(len(apart), frames[0].chip)
    for own, name, table, of_one in zip(frames[0].amplifiers, names, tables, apart, strict=True):
        of_frames: Sequence[RawFrame] = of_one
        # An option holds for all of them.
        roles = (*ROLES, "gain_uncertainty", "saturation")
        stated = {
            role: table[role] for role in roles if role in table and role.removesuffix("_uncertainty") not in options
        }
        saturation = stated.get("saturation", profile.saturation)
        if saturation is not None:
            of_frames = [replace(frame, saturation=saturation) for frame in of_frames]
        try:
            found = night_detector(
                of_frames,
                replace(profile, **stated),
                mode=mode,
                options=options,
                seen=seen,
                bias_is_lent=bias_is_lent,
            )
        except UnknownNumberError as error:
            msg = f"of amplifier {name}: {error}"
            raise UnknownNumberError(msg) from error
        pedestals.add(found.pedestal)
        (amplifier,) = found.detector.amplifiers
        amplifiers.append(
            Amplifier(
                gain=amplifier.gain,
                read_noise=amplifier.read_noise,
                gain_uncertainty=amplifier.gain_uncertainty,
                data_section=own.data_section,
                overscan_section=own.overscan_section,
                saturation=found.detector.saturation,
                linearity=amplifier.linearity,
                correlation=amplifier.correlation,
                rows_in_overscan=amplifier.rows_in_overscan,
                corner=own.corner,
            )
        )
        for number in found.numbers:
            alarm = number.alarm and f"amplifier {name}: {number.alarm}"
            numbers.append(replace(number, amplifier=name, alarm=alarm))
        for remark in found.remarks:
            said.setdefault(remark, []).append(name)
    if pedestals - {None, profile.pedestal}:
        msg = (
            "there are neither biases nor overscans, and the darks of several amplifiers tell no single level of zero "
            "light; give biases, a master bias (--masters), or the level (--pedestal)."
        )
        raise FrameError(msg)
    remarks = [
        remark if len(about) == len(apart) else f"amplifier {', '.join(about)}: {remark}"
        for remark, about in said.items()
    ]
    detector = Detector(amplifiers=tuple(amplifiers), name=profile.name)
    return NightDetector(detector, tuple(numbers), tuple(remarks), pedestal=next(iter(pedestals)))


def short_names(amplifiers: Sequence[MosaicAmplifier]) -> list[str]:
    """
    Return what a summary calls each of several amplifiers: what is in brackets in its name, if that tells them apart.

    >>> from types import SimpleNamespace
    >>> from astro_calib.night.detector.detector import short_names
    >>> short_names(
    ...     [
    ...         SimpleNamespace(name="extension 1 (A)"),
    ...         SimpleNamespace(name="extension 2 (B)"),
    ...     ]
    ... )
    ['A', 'B']
    """
    names = [one.name for one in amplifiers]
    short = [name[name.rfind("(") + 1 : -1] if name.endswith(")") else name for name in names]
    return short if len(set(short)) == len(short) else names


def _standing_in(frames: Sequence[RawFrame]) -> Sequence[RawFrame]:
    """The frames with the shortest darks in the place of biases, where there are neither these nor an overscan."""
    if frames[0].overscan is not None or any(frame.kind == "bias" for frame in frames):
        return frames
    shortest = {frame.path for group in list(darks_of(frames).values())[:1] for frame in group}
    return [replace(frame, kind="bias") if frame.path in shortest else frame for frame in frames]


def _pedestal(
    frames: Sequence[RawFrame],
    profile: Profile,
    numbers: tuple[Number, ...],
    measurement: Measurement,
    sampler: Sampler,
) -> float | None:
    """
    The level of zero light in adu, where neither overscan nor biases tell it; None where they do.

    It is where the noise of the darks that stand in for biases is the read noise: what is above is their dark current.
    """
    from astro_calib.night.files.sample import raw_pieces

    biases = [frame for frame in frames if frame.kind == "bias"]
    if frames[0].overscan is not None or (biases and biases[0].exposure_time == 0):
        return None
    if profile.pedestal is not None or not biases:
        return profile.pedestal
    pieces = measurement.biases or raw_pieces(biases, sampler, FEW, {})
    if not pieces:
        names = ", ".join(frame.path.name for frame in biases)
        msg = f"there is no bias, and no dark that can be read in its place ({names}); give biases."
        raise FrameError(msg)
    level = float(np.median([np.median(piece.pixels) for _, piece in pieces]))
    gain, noise = (number.value or 0.0 for number in numbers)
    scatter = measurement.read_noise.value if measurement.read_noise is not None else _scatter(pieces)
    dark_signal = (scatter * gain) ** 2 - noise**2
    return level - max(0.0, dark_signal) / gain if gain else level


def _scatter(pieces: Sequence[tuple[RawFrame, Piece]]) -> float:
    """How a pixel of some darks scatters from frame to frame, in adu; 0 for a single one, which does not tell."""
    from astro_calib.characterize.read_noise import robust_width

    if len(pieces) < 2:
        return 0.0
    first, second = (np.asarray(piece.pixels, dtype=np.float64) for _, piece in pieces[:2])
    difference = (first - second).ravel()
    # A level that drifts from frame to frame is none of a pixel's noise.
    return float(robust_width(difference - np.median(difference)) / np.sqrt(2))


def _numbers(
    frames: Sequence[RawFrame],
    profile: Profile,
    mode: str,
    options: Collection[str],
    top: float | None,
    sampler: Sampler,
    header_gain: float | None,
    lent: Mapping[str, tuple[float, float | None]],
) -> tuple[tuple[Number, ...], Measurement]:
    """Gain and read noise, and what was measured."""
    from astro_calib.night.detector.measure import Measurement

    known: dict[str, dict[str, Any]] = {}
    for role in ROLES:
        noises = [frame.in_header["read_noise"] for frame in frames if "read_noise" in frame.in_header]
        stated = getattr(profile, role)
        by = f"--{role.replace('_', '-')}" if role in options else f"profile {profile.name}"
        known[role] = {
            "header": header_gain if role == "gain" else median_low(noises) if noises else None,
            "stated": stated,
            "by": by,
            "stated_uncertainty": profile.gain_uncertainty if role == "gain" else None,
            "lent": lent.get(role),
            "top": top or 65535.0,
        }
    if mode in ("header", "profile"):
        return tuple(decide(role, mode, evidence=Evidence(), **known[role]) for role in ROLES), Measurement()
    measurement, of_gain = _evidence_of_gain(frames, known["gain"], top, sampler)
    gain = decide("gain", mode, evidence=of_gain, **known["gain"])
    of_noise = _evidence_of_noise(measurement, gain)
    return (gain, decide("read_noise", mode, evidence=of_noise, **known["read_noise"])), measurement


def _evidence_of_gain(
    frames: Sequence[RawFrame], known: dict[str, Any], top: float | None, sampler: Sampler
) -> tuple[Measurement, Evidence]:
    """What flats and biases say of the gain, and the sky against the headers'."""
    from astro_calib.night.detector.measure import measure
    from astro_calib.night.detector.sky_check import check_sky

    measurement = measure(frames, sampler, top)
    evidence = Evidence(
        measured=measurement.gain,
        why_not=measurement.why_not,
        doubts=measurement.doubts,
        unconfirmed=measurement.unconfirmed,
        processed=measurement.processed,
    )
    if measurement.gain is not None and known["stated"] is None:
        gains = [value for value in (measurement.gain.value, known["header"]) if value is not None]
        sky = check_sky(frames, measurement, sampler, tuple(gains))
        doubts = (sky.contradiction,) if sky.contradiction and known["header"] is None else ()
        evidence = replace(evidence, sky=sky.verdict, doubts=(*evidence.doubts, *doubts))
    return measurement, evidence


def _evidence_of_noise(measurement: Measurement, gain: Number) -> Evidence:
    """What the biases say of the read noise, in electrons of the gain that was taken."""
    noise = measurement.read_noise
    measured = None
    if noise is not None and gain.value is None:
        return Evidence(why_not=IN_ADU, doubts=measurement.noise_doubts)
    if noise is not None and gain.value is not None:
        # The gain's own error is in all electrons alike, and a read noise is compared in adu.
        measured = Estimate(noise.value * gain.value, noise.error * gain.value)
    return Evidence(measured=measured, why_not=measurement.why_no_noise, doubts=measurement.noise_doubts)


def _of_masters(unknown: Sequence[Number], not_raw: str) -> str:
    """What to do where masters stand in the place of the raw frames that would tell the numbers."""
    names = " and ".join(number.name for number in unknown)
    options = " and ".join("--" + number.role.replace("_", "-") for number in unknown)
    return (
        f"{names} can only be measured from raw biases and flats, and these are none: {not_raw}. Give the raw frames "
        f"that they were made of, or {options}."
    )


def _missing(number: Number, frames: Sequence[RawFrame], profile: Profile, mode: str) -> str:
    """Why a number is not known, and what to do."""
    option = "--" + number.role.replace("_", "-")
    give = f"Give {option}, or detector.{number.role} in a profile"
    if mode == "profile":
        return f"the {COMMON[number.role]} is not known: {number.why}. {give}."
    keywords = ", ".join(profile.keywords[number.role]) or "the keywords for it (the profile names none)"
    of_header = f"the {COMMON[number.role]} of {frames[0].path.name} is not known: its header has none of {keywords}"
    passed_over = next((frame.unusable[number.role] for frame in frames if number.role in frame.unusable), "")
    if passed_over:
        of_header = f"the {COMMON[number.role]} is not known: {passed_over}"
    if mode == "header":
        return f"{of_header}. {give}; astro-calib ptc measures it from flats and biases."
    from astro_calib.night.detector.measure import NEEDED

    start = f"the {COMMON[number.role]}" if mode == "measure" else f"{of_header}, and it"
    if number.why == IN_ADU:
        return f"{start} cannot be measured: {IN_ADU}. {give}; or the gain, with which it is known."
    needed = NEEDED if number.role == "gain" else "two raw biases"
    return f"{start} cannot be measured: {number.why}. {give}; or add {needed}, which astro-calib ptc measures as well."
