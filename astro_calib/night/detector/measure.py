"""Gain and read noise of a night's detector, measured from some of its flats and biases."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from astro_calib.characterize.flats import FEWEST
from astro_calib.characterize.read_noise import biases_of, thinned
from astro_calib.characterize.result import Doubt, NotBias, NotRaw
from astro_calib.characterize.rounded import rounded_width
from astro_calib.characterize.spectrum import spectrum_of
from astro_calib.characterize.transfer import Known, transfer_of
from astro_calib.night.common.names import named
from astro_calib.night.common.net import reason_of
from astro_calib.night.detector.decide import Estimate
from astro_calib.night.files.sample import raw_pieces
from astro_calib.noise.digital_step import digital_step, neighbours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from astro_calib.characterize.result import AmplifierTransfer
    from astro_calib.night.common.frames import RawFrame
from astro_calib.night.files.sample import Piece, Sampler

__all__ = ["NEEDED", "Measurement", "measure"]

#: What a message asks for where something cannot be measured.
NEEDED = "two raw flats through one filter, at 5 to 60% of the range, and two raw biases"
#: So many frames are enough.
BIASES, FLATS, FILTERS = 8, 4, 2
#: So many flats are looked through for some at a safe level.
MORE_FLATS = 16
#: A flat outside of these parts of the range is not used where others are within.
RANGE = (0.05, 0.605)
#: A bias is exposed for less than this, s.
SHORT = 0.1
#: Filters that differ by more standard errors than this contradict each other; those that differ by this factor in
#: level can tell.
CONTRADICTION, DIFFERENT = 4.0, 1.25
#: Below this part of a step rounding hides the noise, and below that one it hides nearly all of it.
SMALL, SMALLEST = 0.6, 0.3
T = TypeVar("T")
#: What is said where a measurement comes to nothing.
NO_NUMBER = "give no number that makes sense, so that some of them are not what they seem to be"


class Measurement(NamedTuple):
    """
    What the frames of a night say of their detector.

    Attributes
    ----------
    gain : Estimate or None
        electron/adu.
    read_noise : Estimate or None
        adu.
    doubts, noise_doubts : tuple of str
        What speaks against the gain, and against the read noise.
    processed : bool
        Whether the doubts are that the flats are not raw.
    unconfirmed : str
        Why nothing checks the gain; empty if levels, or parts, or filters agree.
    why_not, why_no_noise : str
        What is missing for a measurement of either.
    notes : tuple of str
        What was left out of the measurement.
    not_raw : str
        Which of the frames are no raw ones, where these leave too few; empty if there are enough.
    flats : mapping of str to list of (RawFrame, Piece)
        The flats that were used, by filter.
    biases : list of (RawFrame, Piece)
        The biases that were used.
    """

    gain: Estimate | None = None
    read_noise: Estimate | None = None
    doubts: tuple[str, ...] = ()
    noise_doubts: tuple[str, ...] = ()
    processed: bool = False
    unconfirmed: str = ""
    why_not: str = ""
    why_no_noise: str = ""
    notes: tuple[str, ...] = ()
    not_raw: str = ""
    flats: Mapping[str, list[tuple[RawFrame, Piece]]] = {}
    biases: Sequence[tuple[RawFrame, Piece]] = ()


def measure(frames: Sequence[RawFrame], sampler: Sampler, top: float | None) -> Measurement:
    """
    Measure gain and read noise from flats and biases of one setup.

    Parameters
    ----------
    frames : sequence of RawFrame
        All frames of the setup.
    sampler : Sampler
        Reads pieces of them.
    top : float or None
        The largest number in a raw frame, adu, if it is known.
    """
    notes: dict[str, list[str]] = {}
    biases = raw_pieces((frame for frame in frames if frame.kind == "bias"), sampler, BIASES, notes)
    by_filter: dict[str, list[RawFrame]] = {}
    for frame in frames:
        if frame.kind == "flat":
            by_filter.setdefault(frame.filter, []).append(frame)
    if len(biases) < 2:
        for group in by_filter.values():
            raw_pieces(group, sampler, FLATS, notes)
        missing = f"there {_are(len(biases), 'raw bias', 'biases')}"
        not_raw = "; ".join(
            f"{'each of ' if len(names) > 1 else ''}{named(names)} {reason}" for reason, names in notes.items()
        )
        return Measurement(why_not=missing, why_no_noise=missing, notes=_told(notes), not_raw=not_raw, biases=biases)
    results: dict[str, AmplifierTransfer] = {}
    used: dict[str, list[tuple[RawFrame, Piece]]] = {}
    failures: list[str] = []
    known: Known = {}
    for name in sorted(by_filter, key=lambda name: -len(by_filter[name])):
        # A second filter is there to contradict the first, for which two flats are enough.
        flats = _flats(by_filter[name], biases, sampler, top, notes)[: 2 if results else FLATS]
        if len(flats) < 2:
            continue
        of_flats, of_biases = ([piece.pixels for _, piece in some] for some in (flats, biases))
        found = _tried(partial(transfer_of, of_flats, of_biases, known))
        if isinstance(found, str):
            failures.append(found)
            continue
        gain = found.amplifiers[0].gain
        if not _is_number(Estimate(float(gain.value.value), float(gain.uncertainty.value))):
            failures.append(f"flats and biases {NO_NUMBER}")
            continue
        results[name], used[name] = found.amplifiers[0], flats
        if len(results) == FILTERS or _checked(results[name]):
            break
    if not results:
        fewer = f"there {_are(max(map(len, by_filter.values()), default=0), 'flat', 'flats')} through one filter"
        noise = _tried(partial(_of_biases, biases))
        if isinstance(noise, str):
            noise = Measurement(why_no_noise=f"the biases {NO_NUMBER} ({noise})")
        return noise._replace(why_not=(failures or [fewer])[0], notes=_told(notes), biases=biases)
    return _together(results, biases)._replace(notes=_told(notes), flats=used, biases=biases)


def _tried(measurement: Callable[[], T]) -> T | str:
    """What a measurement gives, or why it fails: that costs the measurement, and not the night."""
    try:
        # What comes of numbers that are none is looked at.
        with np.errstate(all="ignore"):
            return measurement()
    except Exception as error:  # noqa: BLE001  whatever it is
        return reason_of(error).rstrip(".")


def _is_number(one: Estimate) -> bool:
    """Whether a measurement gave one."""
    return bool(np.all(np.isfinite(one)) and one.value > 0)


def _flats(
    group: Sequence[RawFrame],
    biases: Sequence[tuple[RawFrame, Piece]],
    sampler: Sampler,
    top: float | None,
    notes: dict[str, list[str]],
) -> list[tuple[RawFrame, Piece]]:
    """The flats of a filter to measure with: those within the safe part of the range, if there are two."""
    flats = raw_pieces(group, sampler, FLATS, notes)
    level = _middle(biases[0][1])
    if top is None or top <= level:
        return flats

    def safe(some: list[tuple[RawFrame, Piece]]) -> list[tuple[RawFrame, Piece]]:
        shares = [(_middle(piece) - level) / (top - level) for _, piece in some]
        return [one for one, share in zip(some, shares, strict=True) if RANGE[0] <= share <= RANGE[1]]

    for number in (FLATS, MORE_FLATS):
        flats = raw_pieces(group, sampler, number, {})
        if len(found := safe(flats)) > 1:
            return found[:FLATS]
    return flats[:FLATS]


def _middle(piece: Piece) -> float:
    """About the median of a piece."""
    return float(np.median(thinned(piece.pixels.reshape(-1))))


def _checked(one: AmplifierTransfer) -> bool:
    """Whether flats of one filter have levels that check each other, and nothing speaks against the gain."""
    return bool(one.consistent) and not any(isinstance(remark, Doubt) for remark in one.remarks)


def _are(number: int, one: str, several: str) -> str:
    return f"is only one {one}" if number == 1 else f"are no two raw {several}" if number else f"are no {several}"


def _told(notes: dict[str, list[str]]) -> tuple[str, ...]:
    """Sentences on what was not used to measure."""
    return tuple(f"{named(names)}: not used to measure the detector: it {reason}" for reason, names in notes.items())


def _of_biases(biases: Sequence[tuple[RawFrame, Piece]]) -> Measurement:
    """The read noise in adu, from biases alone."""
    arrays = [piece.pixels for _, piece in biases]
    good = np.ones(arrays[0].shape, bool)
    looked_at = biases_of(arrays, good)
    if looked_at.pixels < FEWEST:
        return Measurement(why_no_noise=f"the biases have only {looked_at.pixels} good pixels in common")
    if looked_at.pixels < good.size / 2:
        return Measurement(why_no_noise="the biases differ in most of their pixels, as those of several setups do")
    doubts = _exposed(biases)
    if looked_at.pixels < 0.98 * good.size:
        part = 100 * (1 - looked_at.pixels / good.size)
        doubts.append(f"{part:.1f}% of the pixels differ from bias to bias by far more than the others, as in darks")
    step = digital_step(neighbours(arrays[0])) or 0.0
    variance, error = spectrum_of(looked_at).total
    if not np.all(np.isfinite((variance, error))):
        return Measurement(why_no_noise=f"the biases {NO_NUMBER}")
    if variance < 1e-9 * max(step, 1.0) ** 2:
        return Measurement(why_no_noise="the biases have no noise at all: their level is clamped")
    if np.sqrt(variance) > np.hypot(SMALL, 0.2887) * step:
        variance -= step**2 / 12
        width = float(np.sqrt(variance))
        return Measurement(read_noise=Estimate(width, error / (2 * width)), noise_doubts=tuple(doubts))
    width, width_error = rounded_width(arrays, looked_at.good, step)
    if width < SMALLEST * step:
        # An upper limit, for too much noise harms less than too little.
        limit = max(width + 2 * width_error, SMALLEST * step)
        doubts.append(f"it is below {limit:.2g} adu, hidden in the digital step")
        return Measurement(read_noise=Estimate(limit, limit / 2), noise_doubts=tuple(doubts))
    return Measurement(read_noise=Estimate(width, width_error), noise_doubts=tuple(doubts))


def _exposed(biases: Sequence[tuple[RawFrame, Piece]]) -> list[str]:
    """What speaks against biases that have an exposure time."""
    names = [frame.path.name for frame, piece in biases if piece.exposed > SHORT]
    return [f"{named(names)} were exposed: dark current adds to the noise"] if names else []


def _together(results: Mapping[str, AmplifierTransfer], biases: Sequence[tuple[RawFrame, Piece]]) -> Measurement:
    """One gain of those of all filters, the read noise, and what speaks against them."""
    gains = [(one.gain.value.value, one.gain.uncertainty.value) for one in results.values()]
    values, errors = np.array(gains).T
    doubts: list[str] = [remark for one in results.values() for remark in one.remarks if isinstance(remark, Doubt)]
    processed = any(isinstance(doubt, NotRaw) for doubt in doubts)
    agree = [one.consistent for one in results.values()]
    if len(values) > 1:
        apart = abs(values[0] - values[1]) / float(np.hypot(*errors))
        if apart > CONTRADICTION:
            names = " and ".join(name or "none" for name in results)
            said = " and ".join(f"{value:.4g}" for value in values)
            doubts.append(f"the flats of the filters {names} say {said}")
        levels = [_level(one) for one in results.values()]
        if max(levels) > DIFFERENT * min(levels):
            agree.append(True)
    weights = 1 / np.square(errors)
    # What they have in common, such as the shape of charge that repels charge, is not averaged down.
    gain = Estimate(float(weights @ values / weights.sum()), float(errors.min()))
    unconfirmed = "" if True in agree else "all flats have one level, so that a response that bends would not be seen"
    one = next(iter(results.values()))
    found = one.read_noise_adu
    noise = Estimate(float(found.value.value), float(found.uncertainty.value))
    noise_doubts = [*_exposed(biases), *(str(remark) for remark in one.remarks if isinstance(remark, NotBias))]
    if noise.error > noise.value / 4:
        noise_doubts.append("rounding hides it")
        # An upper limit, for too much noise harms less than too little.
        noise = Estimate(noise.value + 2 * noise.error, noise.error)
    clamped = "the biases have no noise at all: their level is clamped"
    return Measurement(
        gain=gain,
        read_noise=noise if _is_number(noise) else None,
        why_no_noise="" if _is_number(noise) else clamped if noise.value <= 0 else f"the biases {NO_NUMBER}",
        doubts=tuple(dict.fromkeys(map(str, doubts))),
        noise_doubts=tuple(noise_doubts),
        processed=processed,
        unconfirmed=unconfirmed,
    )


def _level(one: AmplifierTransfer) -> float:
    points: NDArray[Any] = np.array([point.level for point in one.points])
    return float(points.max())
