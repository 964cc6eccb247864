"""Finds out whether the error bars of frames are right, and if not, which fault it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.characterize.audit import tables
from astro_calib.characterize.audit.frames import Given, frames_of, raw_of, read_frame
from astro_calib.characterize.audit.model import State
from astro_calib.characterize.audit.raw import evidence_of_raw
from astro_calib.characterize.audit.result import NoiseAudit
from astro_calib.characterize.audit.science import evidence_of_science
from astro_calib.characterize.audit.search import search
from astro_calib.characterize.audit.stars import SHORTEST
from astro_calib.characterize.audit.words import Stated, all_right, named, no_fault_fits
from astro_calib.detector.detector import as_detector
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from astro_calib.characterize.audit.samples import Evidence
    from astro_calib.detector.detector import Detector

__all__ = ["audit_noise"]

#: So many science frames are enough.
MOST = 12


def audit_noise(
    frames: Mapping[str, Sequence[Any]] | str | PathLike[str],
    detector: Detector | None = None,
    *,
    overscan: str | None = None,
    trim: str | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> NoiseAudit:
    r"""
    Find out whether the error bars of frames are right, and if not, which fault it is.

    Parameters
    ----------
    frames : dict of str: sequence, or path-like
        Frames by kind: raw ``"bias"``, ``"dark"`` and ``"flat"`` frames in adu as they were read out, darks with
        their ``EXPTIME`` and flats through one filter; ``"science"``, calibrated frames with their budgets, which may
        have stars; and the ``"master dark"`` that was subtracted from these. Each is an array, a CCDData or a file. Or
        a directory that ``astro-calib reduce`` wrote. Two biases, or one calibrated frame, are enough to begin with.
    detector : Detector, optional
        What is stated of gain and read noise; needed for raw frames.
    overscan, trim : str, optional
        FITS sections of raw frames, as for `~astro_calib.calibrate`: the overscan, and the image.
    mask : ndarray of bool, shape (ny, nx), optional
        Pixels of raw frames that are known to be bad.

    Returns
    -------
    NoiseAudit
        The verdict in words, each fault with its size, error and likelihood, and what was compared.

    Raises
    ------
    FrameError
        If the frames cannot tell: too few of them, one frame twice, flats without light or saturated, no exposure time.
    ShapeMismatchError
        If the raw frames have several shapes.
    TypeError
        If frames or detector are something else.
    ValueError
        If there is no such kind of frames.

    Notes
    -----
    At each level and lag :math:`h` the covariance of a difference of frames is linear in the sizes of the sources,

    .. math::

        C(h) = \delta_h \Big[\sum_i w_i^2 (s_i + R^2)\Big] + \sum_i w_i^2 \Big[\rho \,\delta_{h_y}
        + \sum_j p_j \cos(\omega_j \cdot h) \Big] + \ldots

    with the weights :math:`w_i` of the frames, their signals :math:`s_i` and read noise :math:`R` in electrons, the
    variance :math:`\rho` that rows share, and tones of power :math:`p_j`. A fault changes this in its own way: a gain
    that is too large by the part :math:`\epsilon` makes shot noise larger by :math:`1 + \epsilon`, and the read noise
    that was stated in electrons by :math:`(1 + \epsilon)^2`; a wrong flat leaves what two frames have in common; and so
    on. One fault at a time is fitted by its likelihood, with the full covariance of the estimated lags (Bartlett's
    formula) that the fault itself predicts. The best one is named if chance hardly makes it look like that, together
    with those that are about as likely; then the others are tried in addition.

    Examples
    --------
    The gain that is stated is too large:

    >>> import numpy as np
    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> from astro_calib.characterize import audit_noise
    >>> rng = np.random.default_rng(1)
    >>> def frame(electrons):
    ...     collected = rng.poisson(
    ...         electrons, (128, 128)
    ...     ) + 8 * rng.standard_normal((128, 128))
    ...     return np.rint(1000 + collected / 1.5).astype(np.uint16)
    >>> levels = (30_000, 29_000, 9000, 9000)
    >>> frames = {
    ...     "bias": [frame(0) for _ in range(4)],
    ...     "flat": [frame(level) for level in levels],
    ... }
    >>> stated = Detector(
    ...     gain=1.65 * u.electron / u.adu, read_noise=8 * u.electron
    ... )
    >>> result = audit_noise(frames, stated)
    >>> (
    ...     result.verdict.startswith(
    ...         "the gain is 9.5% too large: 1.65, should be 1.5"
    ...     ),
    ...     result.right,
    ... )
    (True, False)
    >>> right = Detector(
    ...     gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
    ... )
    >>> audit_noise(frames, right).verdict[:9]
    'all right'
    """
    given = frames_of(frames, mask)
    judged: list[tables.Judged] = []
    lines: list[str] = []
    for name, evidence, stated in _evidence(given, detector, overscan, trim):
        result = search(evidence)
        judged.append((name, evidence, result))
        sentences = [named(group, evidence, stated) for group in result.named]
        if evidence.clamp is not None:
            sentences.insert(0, f"the level is clamped: {evidence.clamp.words}")
        if (off := tables.unexplained(evidence, result)) is not None:
            sentences.append(no_fault_fits(*off))
        if evidence.stars is not None and evidence.stars.off:
            sentences.append(evidence.stars.words)
        if not sentences and not evidence.samples:
            msg = f"these frames tell nothing of the noise{f' in {name}' if name else ''}: " + (
                "; ".join(evidence.remarks) or "give two biases, two flats or two science frames more."
            )
            raise FrameError(msg)
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
        stars=tables.stars_table(judged),
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
        chosen = _spread_out(given.science, given.remarks)
        stated = found[0][2] if len(found) == 1 else _stated(detector, read_frame(chosen[0]))
        science = evidence_of_science(
            map(read_frame, chosen), given.dark, stated.read_noise, series=len(chosen) >= SHORTEST
        )
        if len(found) == 1:
            name, raw_evidence, stated = found[0]
            found = [(name, _together(raw_evidence, science), stated)]
        else:
            found.append(("calibrated frames" if found else "", science, stated))
    return found


def _spread_out(frames: list[Any], remarks: list[str]) -> list[Any]:
    """Neighbouring frames two by two, from the first to the last, if there are very many."""
    if len(frames) <= MOST:
        return frames
    remarks.append(f"{MOST} of {len(frames)} science frames were looked at")
    starts = np.linspace(0, len(frames) - 2, MOST // 2).astype(int)
    return [frames[start + one] for start in starts for one in (0, 1)]


def _together(one: Evidence, other: Evidence) -> Evidence:
    """What raw and calibrated frames say of one amplifier."""
    return replace(
        one,
        samples=one.samples + other.samples,
        common=other.common,
        patterns=other.patterns,
        stars=other.stars,
        remarks=one.remarks + other.remarks,
    )


def _stated(detector: Detector | None, frame: Any) -> Stated:
    """Gain and read noise that were given, or with which the frame was calibrated, as far as it remembers."""
    if detector is not None:
        amplifiers = as_detector(detector, "audit_noise").amplifiers
        if len(amplifiers) > 1:
            return Stated(None, None)
        return Stated(float(amplifiers[0].gain.value), float(amplifiers[0].read_noise.value))
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
