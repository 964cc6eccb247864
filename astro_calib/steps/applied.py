"""What was done to a frame already, and is right only once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError, warn

if TYPE_CHECKING:
    from astro_calib.steps.facts import FrameFacts

__all__ = ["check_not_done", "note_done", "was_done"]


def was_done(ccd: FrameFacts, kind: str) -> bool:
    """Whether a frame remembers that something of a kind was done to it."""
    return any(of_kind == kind for of_kind, _ in ccd.history.applied)


def check_not_done(ccd: FrameFacts, kind: str, identity: str, what: str) -> None:
    """
    Raise a FrameError if the same correction was made before, and warn if another one of its kind was.

    ``what`` begins the sentence after the name of the frame, such as ``"this crosstalk was subtracted"``.
    """
    if (kind, identity) in ccd.history.applied:
        msg = f"{ccd.name}: {what} already. Leave it out here."
        raise FrameError(msg)
    if was_done(ccd, kind):
        warn(f"{ccd.name}: another {kind} was corrected before. This is right only for one that is there beside it.")


def note_done(result: Any, kind: str, identity: str) -> None:
    """Let a frame remember what was done to it, in its files as well."""
    applied = (*result.history.applied, (kind, identity))
    result.history = dataclasses.replace(result.history, applied=applied)
