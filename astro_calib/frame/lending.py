"""Frames that others refer to: which master a frame is, and what it lends to the frames that it is applied to."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.place import Place, known_master

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astro_calib.noise.place import Master

__all__ = [
    "file_frame",
    "frame_in_memory",
    "is_lent",
    "lend_pixels",
    "lent",
    "lent_as",
    "lent_operand",
    "master_of",
    "reference_to",
]


def frame_identity(frame: Any, checksum: str) -> str:
    """The identity of a frame as a master: from its sources of noise, its unit, and its pixels."""
    budget = frame.known_budget
    keys = [] if budget is None else sorted(source.key for source, _ in budget.terms)
    text = f"{frame.shape}|{frame.unit}|{keys}|{checksum}"
    return "frame:" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def master_of(frame: Any) -> Master:
    """The master that a frame is; found when it is first asked for, and anew after the frame has changed."""
    master: Master = frame.cached("master", (frame.unit,), lambda: _found_master(frame))
    return master


def _found_master(frame: Any) -> Master:
    checksum = frame.pixel_digest()
    master = known_master(frame_identity(frame, checksum), frame.name, checksum)
    master.add_frame(frame)
    return master


def file_frame(frame: Any, master: Master) -> None:
    """Note that a frame is in the file of a master, and the sources that no other master has lent it."""
    if frame.cached("master", (frame.unit,), lambda: master) is master:
        master.add_frame(frame)
    if frame.known_budget is not None:
        for source, _ in frame.known_budget.terms:
            if not source.lent and (source.home is None or source.home.is_lost):
                # This changes no noise.
                source.home = master


def lent(frame: Any) -> Any:
    """
    A frame as it is applied to others: what it lends them is filed under its name.

    For the time of a calculation in which nobody writes into its pixels. What is made of it is kept with the frame.
    """
    if is_lent(frame):
        return frame
    master, budget, cache = frame.cached("lent", (frame.unit,), lambda: _what_is_lent(frame))
    result = frame.snapshot(budget, cache)
    return result if is_lent(result) else lend_pixels(result, master, {"array": "data"})


def _what_is_lent(frame: Any) -> tuple[Master, Any, dict[str, Any]]:
    """The master that a frame is, its budget as others have it, and a place for what is made of it."""
    master, budget = master_of(frame), frame.known_budget
    return master, None if budget is None else budget.lent_by(master), {}


def lend_pixels(frame: Any, master: Master, words: Mapping[str, Any] | None, variant: str = "") -> Any:
    """The frame, whose pixels are filed under a master by their role; under none if there are no words for that."""
    frame.cached("master", (frame.unit,), lambda: master)
    frame.cached("lent as", (), lambda: (master, words, variant))
    return frame


def lent_as(frame: Any) -> tuple[Master, Mapping[str, Any] | None, str] | None:
    """The master that a frame is lent by, its role there and its variant; None for a frame that is not lent."""
    # Nobody writes into the pixels of a lent frame.
    _, found = frame.cache.get("lent as", (None, None))
    return found


def is_lent(frame: Any) -> bool:
    """Whether a frame is one that others may refer to, as `lent` makes it."""
    return lent_as(frame) is not None


def reference_to(frame: Any) -> ArrayRef:
    """A reference to the pixels of a frame, filed under its master if it is lent; nobody writes into them."""
    result: ArrayRef = frame.cached("reference", (), lambda: _reference(frame))
    return result


def _reference(frame: Any) -> ArrayRef:
    master, words, variant = lent_as(frame) or (None, None, "")
    if master is None or words is None:
        return ArrayRef(frame.read_only_data())
    place = Place.of_whole(master, words, frame.shape, variant)
    known: ArrayRef | None = master.arrays.get(place.role)
    if known is None or known.key != place.key:
        known = master.arrays[place.role] = ArrayRef(frame.read_only_data(), place)
    return known


def frame_in_memory(master: Master) -> Any:
    """A frame that is that master, if somebody holds one that was not changed since."""
    return next((frame for frame in master.frames if master_of(frame) is master), None)


def lent_operand(frame: Any) -> Any:
    """An operand of arithmetic, which is lent if it is in a file."""
    _, known = frame.cache.get("master", (None, None))
    if known is None or known.path is None or frame.ndim == 0:
        return frame
    return lent(frame) if master_of(frame).path is not None else frame
