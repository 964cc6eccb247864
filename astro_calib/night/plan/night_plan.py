"""What there is to reduce in a night: a plan for each setup of the camera, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from astro_calib.night.common.frames import RawFrame, UnusedFile, by_reason
from astro_calib.night.matching.by_kind import FramesByKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astro_calib.characterize.frame_noise import ImageExcess
    from astro_calib.detector.detector import Detector
    from astro_calib.night.detector.decide import Number
    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.profiles.profile import Profile

__all__ = ["NightPlan"]


@dataclass(frozen=True, kw_only=True)
class NightPlan(FramesByKind):
    """
    What there is to reduce in a night; made by `~astro_calib.night.plan_night`. Its ``str`` is a table.

    What it says of one detector, of its sections and of its numbers, is that of the first setup.

    Parameters
    ----------
    setups : tuple of Plan
        What can be reduced, by the setups of the camera: the one with the most science frames first. A bias, a dark or
        a flat may be in several.
    unused : tuple of UnusedFile
        The files that are in none of them, and why.
    profile : Profile
        The profile by which the frames were told apart.
    incomplete : tuple of Plan
        Setups with science frames that cannot be reduced: ``problem`` says what is missing. Their science frames are
        ``unused``, too.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night import plan_night
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
    ...     night = plan_night(directory)
    >>> (
    ...     len(night.setups),
    ...     len(night.biases),
    ...     list(night.flats),
    ...     len(night.science),
    ... )
    (1, 10, ['V'], 1)
    """

    setups: tuple[Plan, ...]
    unused: tuple[UnusedFile, ...]
    profile: Profile
    incomplete: tuple[Plan, ...] = ()

    @property
    def frames(self) -> tuple[RawFrame, ...]:
        """All frames that are used, each once."""
        return tuple({frame.path: frame for plan in self.setups for frame in plan.frames}.values())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What should be known about the results; what concerns one of several setups begins with its name."""
        return tuple(self._said())

    def _said(self) -> Iterator[str]:
        several = len(self.setups) > 1
        for remark in dict.fromkeys(remark for plan in self.setups for remark in plan.remarks):
            titles = [plan.title for plan in self.setups if remark in plan.remarks]
            yield f"{'; '.join(titles)}: {remark}" if several and len(titles) < len(self.setups) else remark

    @property
    def detector(self) -> Detector | None:
        """The detector in the first setup; None as long as no pixels were looked at."""
        return self.setups[0].detector

    @property
    def numbers(self) -> tuple[Number, ...]:
        """Its gain and read noise, and where these are from."""
        return self.setups[0].numbers

    @property
    def image_excess(self) -> ImageExcess | None:
        """What its image has in read-out noise and its overscan has not."""
        return self.setups[0].image_excess

    @property
    def overscan(self) -> str | None:
        """Its overscan section, in FITS convention."""
        return self.setups[0].overscan

    @property
    def trim(self) -> str | None:
        """The section that is kept, in FITS convention."""
        return self.setups[0].trim

    def table(self) -> str:
        """
        The frames by kind and filter, and what is known of the detector, as text, for each setup.

        Returns
        -------
        str
            Several lines.
        """
        return "\n".join(plan.table() for plan in self.setups)

    def __str__(self) -> str:
        lines = [self.table()]
        if self.unused:
            lines.append(f"not used ({len(self.unused)}):")
            lines += [f"  {line}" for line in by_reason(self.unused)]
        if remarks := self.remarks:
            lines.append("remarks:")
            lines += [f"  {remark}" for remark in remarks]
        return "\n".join(lines)
