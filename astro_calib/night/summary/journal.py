"""What is done with each file of a night, told to the log as it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import printable
from astro_calib.night.common.log import LOG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astro_calib.night.common.frames import RawFrame, UnusedFile
    from astro_calib.night.summary.frame_summary import FrameSummary
    from astro_calib.night.summary.master_summary import MasterSummary

__all__ = ["tell_frames", "tell_masters", "tell_reduced", "tell_unused"]


def tell_frames(frames: Iterable[RawFrame]) -> None:
    """Tell what each frame was taken for, and why."""
    for frame in frames:
        of_filter = f" {frame.filter}" if frame.filter else ""
        why = f" ({frame.why})" if frame.why else ""
        LOG.info(printable(f"{frame.path.name}: {frame.kind}{of_filter}, {frame.exposure_time:g} s{why}"))


def tell_unused(files: Iterable[UnusedFile]) -> None:
    """Tell which files are left out, and why."""
    for file in files:
        if file.lost:
            LOG.error("lost: %s", file)
        else:
            LOG.info("not used: %s", file)


def tell_masters(masters: Iterable[MasterSummary]) -> None:
    """Tell which masters were written."""
    for master in masters:
        LOG.info(printable(f"{master.path.name}: written, {master.title} of {master.number} frames"))


def tell_reduced(frame: FrameSummary) -> None:
    """Tell that a science frame was calibrated and written."""
    LOG.info(printable(f"{frame.raw_name}: calibrated, written to {frame.path.name}"))
