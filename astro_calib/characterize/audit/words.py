"""The verdict of an audit in words: the culprit, or those that the frames cannot tell apart, and what would decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from astro_calib.characterize.audit.model import Wave
    from astro_calib.characterize.audit.samples import Evidence
    from astro_calib.characterize.audit.search import Found

__all__ = ["Stated", "all_right", "named", "no_fault_fits"]

#: With fewer biases a level that drifts and one odd frame look alike.
ENOUGH_BIASES = 6
#: Radians a pixel below which a tone hardly changes along a row.
SLOW = 0.05
#: What is wrong with noise that is not white: there is no such part, or it was taken for white.
MISSING = ("which the budget does not have", "which the budget takes for white noise")
BESIDE = ("beside what was stated", "which was stated as white noise")
#: What tells two faults apart.
DECIDE = {
    frozenset({"gain", "read noise"}): "two flats of 5 to 60% of the range",
    frozenset({"gain", "flat"}): "two flats, or science frames at a sky level that is several times higher,",
    frozenset({"read noise", "flat"}): "two biases, or science frames at a sky level that is several times higher,",
    frozenset({"gain", "brighter-fatter"}): "two flats at a third of the level",
    frozenset({"brighter-fatter", "flat"}): "two flats at a third of the level",
    frozenset({"rows", "tone"}): "more biases, or wider ones,",
    frozenset({"read noise", "rows"}): "more biases",
    frozenset({"read noise", "tone"}): "more biases",
    frozenset({"dark", "dark's temperature"}): "a dark of the exposure and temperature of the science frames",
    frozenset({"gain", "clamp"}): "darks of two exposures and two flats",
    frozenset({"read noise", "clamp"}): "biases, and darks of two exposures,",
}


class Stated(NamedTuple):
    """What was stated of an amplifier, electron / adu and electron; None where it is not known."""

    gain: float | None
    read_noise: float | None


def named(group: tuple[Found, ...], evidence: Evidence, stated: Stated) -> str:
    """One sentence for a fault, or for those that cannot be told apart."""
    sentences = [_sentence(one, evidence, stated) for one in group]
    keys = [one.fault.key for one in group]
    if evidence.kinds == {"bias"} and set(keys) <= {"gain", "read noise"}:
        ratio = next(sample.ratio for sample in evidence.samples)
        size = _percent(ratio - 1, "larger", "smaller")
        other = "spurious charge" if evidence.whole else "quantisation or spurious charge"
        first = next((text for text, key in zip(sentences, keys, strict=True) if key == "read noise"), sentences[0])
        return (
            f"the noise of the biases is {size} than predicted: {first}; or it is a wrong gain, or {other}. "
            "Biases alone cannot tell which: two flats of 5 to 60% of the range would decide on the gain, the overscan "
            "of the same frames on spurious charge"
        )
    if keys in (["level drift"], ["overscan drift"]) and evidence.biases < ENOUGH_BIASES:
        return f"{sentences[0]}, or one of {evidence.biases} biases is odd; {ENOUGH_BIASES} or more would decide"
    if len(group) == 1:
        return sentences[0]
    decides = DECIDE.get(frozenset(keys[:2]), "more frames of the same kind")
    return f"{'; or '.join(sentences)}. These frames cannot tell which: {decides} would decide"


def all_right(ratios: list[tuple[float, float]]) -> str:
    """The sentence for error bars that are right, from the noise over its prediction in each sample, and its error."""
    limit = max((max(abs(ratio - 1), 3 * error) for ratio, error in ratios), default=0.0)
    return f"all right: no noise differs from its prediction by more than {100 * limit:.1f}%, 3 standard errors"


def no_fault_fits(ratio: float, error: float) -> str:
    """The sentence for noise that is off, and that none of the faults explains."""
    off = _percent(ratio - 1, "larger", "smaller")
    return (
        f"the noise is {off} than predicted ({ratio:.3f} +- {error:.3f} times), and no fault that is known explains it"
    )


def _sentence(one: Found, evidence: Evidence, stated: Stated) -> str:
    name, _, within = one.fault.name.partition(", ")
    if name == "gain":
        return _gain(one, stated)
    if name == "read noise":
        text = f"the read noise is {_percent(-one.size / (1 + one.size), 'too large', 'too small')}"
        if stated.read_noise:
            now, error = (1 + one.size) * stated.read_noise, one.uncertainty * stated.read_noise
            text += f": {stated.read_noise:.4g}, should be {_with_error(now, error)} electron"
        return text
    if name == "error":
        size = _percent(-one.size / (1 + one.size), "too large", "too small")
        return f"the errors of the frames are {size}; their budgets do not say what they are made of"
    value = _with_error(one.size, one.uncertainty)
    several = any(sample.correlation is not None for sample in evidence.samples)
    missing = (BESIDE if several else MISSING)[bool(within)]
    if name == "rows":
        return f"the pixels of a row share a noise of {value} electron, {missing}"
    if name == "tone":
        return f"the read-out has a tone of {value} electron, {_period(one.state.tones[-1])}, {missing}"
    if name == "stated rows and tones":
        rest = ", and the rest of it is white" if within else ""
        return f"the rows and tones that were stated are {_percent(one.size, 'too weak', 'too strong')}{rest}"
    if name == "level drift":
        return f"the level drifts by {value} electron from frame to frame, and no overscan takes that off"
    if name == "overscan drift":
        return f"the level of the image drifts by {value} electron against its overscan"
    if name == "brighter-fatter":
        a_00 = f"{one.size:.2g} +- {one.uncertainty:.1g}"
        return f"charge repels charge: a_00 is {a_00} / electron, so that the noise of flats is smaller, and correlated"
    if name == "flat":
        size = f"{100 * one.size:.2g} +- {100 * one.uncertainty:.1g}%"
        return (
            f"the flat leaves a pattern of {size} of the light in the frames: it is not the right one, or has changed"
        )
    if name == "dark":
        return f"the dark takes off {_left(one)}: exposure time, scaling, or bias of the dark are wrong"
    if name == "dark's temperature":
        spread = f"{100 * one.state.temperature:.2g}% differently from one hot pixel to the next"
        return f"the dark takes off {_left(one)}, and {spread}: it was taken at another temperature"
    if name == "clamp":
        pile = evidence.clamp
        seen = pile.words if pile is not None else "the noise of the darks grows with the exposure, but not their level"
        return f"the level is clamped: {seen}"
    return f"{name}: {value} {one.fault.unit}"


def _period(wave: Wave) -> str:
    """How a tone goes along and across the rows."""
    if wave.wx < SLOW:
        return f"the same along each row, with a period of {2 * np.pi / wave.wy:.3g} rows"
    across = "whose phase goes on from row to row" if wave.coherent else "whose phase each row has of its own"
    return f"period {2 * np.pi / wave.wx:.3g} pixels along the rows, {across}"


def _gain(one: Found, stated: Stated) -> str:
    # Shot noise in adu goes with one over the gain.
    text = f"the gain is {_percent(one.size, 'too large', 'too small')}"
    if stated.gain:
        now = stated.gain / (1 + one.size)
        error = now * one.uncertainty / (1 + one.size)
        text += f": {stated.gain:.4g}, should be {_with_error(now, error)} electron/adu"
    if one.fault.name != "gain" and stated.read_noise:
        text += f", and the read noise {stated.read_noise / (1 + one.size):.3g} electron with it"
    return text


def _left(one: Found) -> str:
    return f"{100 * abs(one.size):.3g}% too {'little' if one.size > 0 else 'much'} in hot pixels"


def _percent(part: float, more: str, less: str) -> str:
    return f"{100 * abs(part):.2g}% {more if part > 0 else less}"


def _with_error(value: float, error: float) -> str:
    if not np.isfinite(error) or error <= 0:
        return f"{value:.3g}"
    digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 6))
    return f"{value:.{digits}f} +- {error:.{digits}f}"
