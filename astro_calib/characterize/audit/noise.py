"""Are the error bars of these frames right, and if not, which fault is it?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from astro_calib.characterize.audit import tables
from astro_calib.characterize.audit.frames import Given, frames_of, raw_of
from astro_calib.characterize.audit.model import State
from astro_calib.characterize.audit.raw import evidence_of_raw
from astro_calib.characterize.audit.result import NoiseAudit
from astro_calib.characterize.audit.samples import Evidence
from astro_calib.characterize.audit.science import evidence_of_science
from astro_calib.characterize.audit.search import search
from astro_calib.characterize.audit.words import Stated, all_right, named
from astro_calib.detector.detector import as_detector
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from numpy.typing import NDArray

    import numpy as np

    from astro_calib.detector.detector import Detector

__all__ = ["audit_noise"]


def audit_noise(
    frames: Mapping[str, Sequence[Any]] | str | PathLike[str],
    detector: Detector | None = None,
    *,
    overscan: str | None = None,
    trim: str | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> NoiseAudit:
    given = frames_of(frames, mask)
    judged: list[tables.Judged] = []
    lines: list[str] = []
    for name, evidence, stated in _evidence(given, detector, overscan, trim):
        result = search(evidence)
        judged.append((name, evidence, result))
        sentences = [named(group, evidence, stated) for group in result.named]
        if evidence.clamp is not None:
            sentences.insert(0, f"the level is clamped: {evidence.clamp.words}")
        if not sentences:
            sentences = [all_right([tables.ratio_of(sample, State()) for sample in evidence.samples])]
        prefix = f"{name}: " if name else ""
        lines += [prefix + sentence for sentence in sentences]
        given.remarks.extend(prefix + remark for remark in evidence.remarks)
    return NoiseAudit(
        verdict="\n".join(lines),
        faults=tables.faults_table(judged),
        noise=tables.noise_table(judged),
        lags=tables.lags_table(judged),
        apertures=tables.apertures_table(judged),
        remarks=tuple(dict.fromkeys(given.remarks)),
    )


def _evidence(
    given: Given, detector: Detector | None, overscan: str | None, trim: str | None
) -> list[tuple[str, Evidence, Stated]]:
    """What the frames of each amplifier say, and what was stated of it."""
    found: list[tuple[str, Evidence, Stated]] = []
    if given.raw:
        if detector is None:
            msg = "an audit of raw frames needs the stated detector: give Detector(gain=..., read_noise=...)."
            raise FrameError(msg)
        amplifiers = as_detector(detector, "audit_noise").amplifiers
        for amplifier in amplifiers:
            name = (amplifier.data_section or "") if len(amplifiers) > 1 else ""
            where = f" in {name}" if name else ""
            raw = raw_of(given, amplifier, overscan, trim)
            found.append((name, evidence_of_raw(raw, where), Stated(raw.gain, raw.read_noise)))
    if given.science:
        stated = found[0][2] if len(found) == 1 else _stated_in(given.science[0])
        science = evidence_of_science(given.science, given.dark, stated.read_noise)
        if len(found) == 1:
            name, raw_evidence, stated = found[0]
            found = [(name, _together(raw_evidence, science), stated)]
        else:
            found.append(("calibrated frames" if found else "", science, stated))
    return found


def _together(one: Evidence, other: Evidence) -> Evidence:
    """What raw and calibrated frames say of one amplifier."""
    return replace(
        one,
        samples=one.samples + other.samples,
        common=other.common,
        patterns=other.patterns,
        remarks=one.remarks + other.remarks,
    )


def _stated_in(frame: Any) -> Stated:
    """What the frame was calibrated with, as far as it remembers."""
    for step in getattr(frame, "provenance", ()):
        parameters = step.get("parameters", {})
        numbers = []
        for name in ("gain", "read_noise"):
            texts = parameters.get(name)
            texts = texts if isinstance(texts, (list, tuple)) else [texts]
            try:
                numbers.append(float(str(texts[0]).split()[0]) if len(texts) == 1 else None)
            except (ValueError, IndexError):
                numbers.append(None)
        if any(number is not None for number in numbers):
            return Stated(*numbers)
    return Stated(None, None)
