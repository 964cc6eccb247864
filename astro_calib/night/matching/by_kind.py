"""The frames of a plan by kind: of one setup, or of a whole night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.matching.matching import darks_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astro_calib.night.common.frames import RawFrame

__all__ = ["FramesByKind"]


def _flats_of(frames: Iterable[RawFrame]) -> dict[str, tuple[RawFrame, ...]]:
    """The flats by filter."""
    flats = [frame for frame in frames if frame.kind == "flat"]
    return {name: tuple(f for f in flats if f.filter == name) for name in sorted({frame.filter for frame in flats})}


class FramesByKind:
    """What has ``frames``, and tells them by kind."""

    if TYPE_CHECKING:

        @property
        def frames(self) -> tuple[RawFrame, ...]:
            """All frames, each once."""

    def of_kind(self, kind: str) -> tuple[RawFrame, ...]:
        """
        The frames of one kind.

        Parameters
        ----------
        kind : {"bias", "dark", "flat", "science"}
            Which one.

        Returns
        -------
        tuple of RawFrame
            In the order of ``frames``.
        """
        return tuple(frame for frame in self.frames if frame.kind == kind)

    @property
    def biases(self) -> tuple[RawFrame, ...]:
        """The biases."""
        return self.of_kind("bias")

    @property
    def science(self) -> tuple[RawFrame, ...]:
        """The science frames."""
        return self.of_kind("science")

    @property
    def darks(self) -> dict[float, tuple[RawFrame, ...]]:
        """The darks by their mean exposure time in seconds, those that differ by less than 1% together."""
        return darks_of(self.frames)

    @property
    def flats(self) -> dict[str, tuple[RawFrame, ...]]:
        """The flats by filter."""
        return _flats_of(self.frames)
