"""What is known of a night in plain dictionaries, lists, numbers and texts, as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.night.plan.plan import numbers_of

if TYPE_CHECKING:
    from astro_calib.night.common.frames import RawFrame, UnusedFile
    from astro_calib.night.matching.matching import Match
    from astro_calib.night.plan.plan import Plan

__all__ = ["plain", "plain_setup", "plain_unused"]

#: What is told of a raw frame; the rest is of use within the package only.
OF_FRAME = ("path", "kind", "why", "filter", "exposure_time", "object", "shape", "overscan", "trim", "settings")


def plain(value: Any) -> Any:
    """
    Return a value as JSON has it: None for numbers that are not finite, text for paths, dictionaries for dataclasses.

    >>> from pathlib import Path
    >>> from astro_calib.night.summary.plain import plain
    >>> plain(
    ...     {"path": Path("a.fits"), "ratio": float("nan"), "shape": (16, 20)}
    ... )
    {'path': 'a.fits', 'ratio': None, 'shape': [16, 20]}
    """
    if value is None or isinstance(value, bool | int | str | Path):
        return str(value) if isinstance(value, str | Path) else value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, Iterable) else str(value)


def plain_setup(plan: Plan) -> dict[str, Any]:
    """Return what a setup of the camera has: its detector, its raw frames, and what was planned for each of science."""
    told = {
        role: [] if plan.detector is None else numbers_of(plan.detector, role)
        for role in ("gain", "read_noise", "saturation")
    }
    return {
        "title": plan.title,
        "name": plan.name,
        "profile": plan.profile.name,
        "problem": plan.problem,
        # A list for several amplifiers.
        **{role: plain(values if len(values) > 1 else next(iter(values), None)) for role, values in told.items()},
        "numbers": plain(plan.numbers),
        "overscan": plan.overscan,
        "trim": plan.trim,
        "steps": list(plan.profile.steps.words()),
        "frames": [_plain_frame(frame) for frame in plan.frames],
        "planned": [_plain_match(match) for match in plan.matches()],
    }


def plain_unused(files: Iterable[UnusedFile]) -> list[dict[str, Any]]:
    """Return which files are left out, and why."""
    return [{"path": str(file.path), "kind": file.kind, "reason": file.reason} for file in files]


def _plain_match(match: Match) -> dict[str, Any]:
    choices = {"bias": match.bias, "dark": match.dark, "flat": match.flat}
    with_what = {kind: {"master": one.name, "why": one.why, "mend": one.mend} for kind, one in choices.items()}
    return {"path": str(match.frame.path), **with_what}


def _plain_frame(frame: RawFrame) -> dict[str, Any]:
    return {name: plain(getattr(frame, name)) for name in OF_FRAME}
