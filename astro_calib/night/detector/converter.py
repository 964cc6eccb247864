"""The converter of a camera: the step in which its values come, and a gain that headers tell for one step of it."""

from __future__ import annotations

from functools import partial
from statistics import median_low
from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.net import tried
from astro_calib.noise.digital_step import digital_step, neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.files.sample import Sampler

__all__ = ["HeaderGain", "gain_of_headers", "step_of_frames"]

#: Frames of these kinds have noise enough to show the step, the first most of all; so many are tried.
TELLING = ("flat", "science", "dark", "bias")
TRIED = 4


class HeaderGain(NamedTuple):
    """
    The gain that headers tell.

    Attributes
    ----------
    value : float or None
        electron/adu of the file; None if they tell none.
    remark : str
        What is to be said if nothing else confirms it; empty if nothing is.
    """

    value: float | None
    remark: str = ""


def step_of_frames(frames: Sequence[RawFrame], sampler: Sampler) -> float | None:
    """Return the step in which the values of some frames of one setup come; None if they do not show it."""
    telling = sorted(frames, key=lambda frame: TELLING.index(frame.kind))
    for frame in telling[:TRIED]:
        piece = tried(frame.path, frame.kind, partial(sampler.piece, frame))
        if not isinstance(piece, UnusedFile) and not piece.why_not_raw:
            found = digital_step(neighbours(piece.pixels))
            if found:
                return float(found)
    return None


def gain_of_headers(frames: Sequence[RawFrame], step: float | None) -> HeaderGain:
    """
    Return the gain in electron/adu that the headers of some frames of one setup tell.

    >>> from types import SimpleNamespace
    >>> from astro_calib.night.detector.converter import gain_of_headers
    >>> gain_of_headers(
    ...     [SimpleNamespace(in_header={"gain_per_step": 1.0})], 16.0
    ... ).value
    0.0625
    """
    steps = step is not None and step > 1
    for role in ("gain", "gain_per_step"):
        told = [frame.in_header[role] for frame in frames if role in frame.in_header]
        if not told:
            continue
        value = median_low(told)
        if role == "gain" and (step is None or not steps):
            return HeaderGain(value)
        if role == "gain":
            doubt = (
                f"the pixel values come in steps of {step:g}: if the {value:.4g} of the headers is for one step, as "
                f"the drivers of some cameras say it, the gain is {value / (step or 1):.4g} electron/adu; nothing "
                "checks it: give --gain, or two flats and two biases"
            )
            return HeaderGain(value, doubt)
        if step is None:
            doubt = (
                f"the gain of the headers, {value:.4g}, is for one step of the converter, which the pixels do not show"
            )
            return HeaderGain(None, doubt)
        doubt = (
            f"the gain of the headers, {value:.4g}, is for one step of the converter, and the pixel values come in "
            f"steps of {step:g}: {value / step:.4g} electron/adu is taken, which nothing checks (two flats and two "
            "biases would)"
        )
        return HeaderGain(value / step, doubt if steps else "")
    return HeaderGain(None)
