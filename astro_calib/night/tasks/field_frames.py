"""The last calibrated frames, for those that are compared with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.comparing import Seen, seen
from astro_calib.night.matching.neighbours import MOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.common.frames import RawFrame

__all__ = ["FieldFrames"]

#: A frame, and those that it is compared with.
KEPT = 1 + MOST


class FieldFrames:
    """A few calibrated frames with their stars; those that were not asked for longest are let go."""

    def __init__(self) -> None:
        self._kept: dict[str, Seen] = {}

    def keep(self, frame: RawFrame, found: Seen) -> None:
        """Keep a frame, and let go of one if there are too many."""
        self._kept.pop(frame.name, None)
        self._kept[frame.name] = found
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    def again(self, frame: RawFrame, image: CCDFrame) -> Seen:
        """Return a frame that was calibrated once more, with its stars, which need not be searched for again."""
        known = self._kept.get(frame.name)
        found = seen(image) if known is None else Seen(image, known.stars)
        self.keep(frame, found)
        return found

    def seen(self, frame: RawFrame, calibrate: Callable[[], CCDFrame]) -> Seen:
        """Return a frame with its stars, calibrated anew if it is not kept."""
        found = self._kept.get(frame.name) or seen(calibrate())
        self.keep(frame, found)
        return found

    def clear(self) -> None:
        """Let go of all."""
        self._kept.clear()
