"""What a reduction made of a night, in numbers and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from astro_calib.night.frames import UnusedFile
    from astro_calib.night.plan import Plan
    from astro_calib.night.sky_noise import SkyNoise

__all__ = ["FrameSummary", "MasterSummary", "NightSummary"]


@dataclass(frozen=True, kw_only=True)
class MasterSummary:
    """
    A master that was made.

    Parameters
    ----------
    path : Path
        Its file.
    title : str
        What it is.
    number : int
        How many frames it was made of.
    level : float
        Median of its good pixels, in electron.
    sigma : float
        Median of their standard deviations, in electron.
    """

    path: Path
    title: str
    number: int
    level: float
    sigma: float


@dataclass(frozen=True, kw_only=True)
class FrameSummary:
    """
    A science frame that was calibrated.

    Parameters
    ----------
    path, table : Path
        The calibrated frame, and its stars.
    object, filter : str
        What its header says.
    exposure_time : float
        In seconds.
    sky : SkyNoise
        Level and noise of the sky, in electron.
    stars : int
        How many stars were found.
    snr_before, snr_after : float
        Median over the stars of flux over its predicted error; NaN without stars.
    snr_empirical_before, snr_empirical_after : float
        Median over the stars of flux over the scatter of empty apertures, which knows fixed pattern as well.
    saturated, bad : int
        How many pixels are flagged so.
    """

    path: Path
    table: Path
    object: str
    filter: str
    exposure_time: float
    sky: SkyNoise
    stars: int
    snr_before: float
    snr_after: float
    snr_empirical_before: float
    snr_empirical_after: float
    saturated: int
    bad: int


@dataclass(frozen=True, kw_only=True)
class NightSummary:
    """
    What a reduction made of a night. Its ``str`` is the text of ``summary.txt``.

    Parameters
    ----------
    out : Path
        The directory of the results.
    plan : Plan
        What there was to reduce.
    masters : tuple of MasterSummary
        The masters.
    frames : tuple of FrameSummary
        The calibrated science frames.
    failures : tuple of UnusedFile
        The science frames that could not be calibrated, and why.
    unused : tuple of UnusedFile
        All other files that are not used, and why.
    remarks : tuple of str
        What should be known about the results.
    seconds : float
        How long it took.
    """

    out: Path
    plan: Plan
    masters: tuple[MasterSummary, ...]
    frames: tuple[FrameSummary, ...]
    failures: tuple[UnusedFile, ...] = ()
    unused: tuple[UnusedFile, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [self.plan.table(), "", "masters (in electron)", *self._master_lines()]
        if self.frames:
            lines += ["", "science frames"]
            lines += self._frame_lines()
            lines += [
                "  sky, noise: level and pixel-to-pixel noise of the sky in electron; ratio: noise over",
                "  predicted noise",
                "  SNR: median over the stars of flux over predicted error; empirical: over the scatter of empty",
                "  apertures, in which the pattern shows that a calibration removes",
            ]
        for title, files in (
            ("FAILED: these science frames could not be reduced", self.failures),
            ("not used", self.unused),
        ):
            if files:
                lines += ["", f"{title} ({len(files)})", *(f"  {file}" for file in files)]
        if self.remarks:
            lines += ["", "remarks", *(f"  {remark}" for remark in self.remarks)]
        made = f"{len(self.masters)} masters and {len(self.frames)} science frames in {self.seconds:.1f} s"
        return "\n".join([*lines, "", f"{made}, written to {self.out}"])

    def _master_lines(self) -> list[str]:
        rows = [("file", "frames", "median", "sigma")]
        for master in self.masters:
            numbers = (f"{master.level:.5g}", f"{master.sigma:.3g}")
            rows.append((master.path.name, str(master.number), *numbers))
        return _columns(rows, "<>>>")

    def _frame_lines(self) -> list[str]:
        rows = [tuple(title for title, _, _ in FRAME_COLUMNS)]
        rows += [tuple(cell(frame) for _, _, cell in FRAME_COLUMNS) for frame in self.frames]
        return _columns(rows, "".join(side for _, side, _ in FRAME_COLUMNS))


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"


def _columns(rows: Sequence[tuple[str, ...]], alignment: str) -> list[str]:
    """The rows of a table with columns as wide as they need to be."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, alignment, widths, strict=True))
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def _before_after(before: float, after: float) -> str:
    return f"{_number(before, '.1f')} / {_number(after, '.1f')}"


#: The table of the science frames: titles, sides to which the cells are pushed, and what is in them.
FRAME_COLUMNS: tuple[tuple[str, str, Callable[[FrameSummary], str]], ...] = (
    ("file", "<", lambda frame: frame.path.name),
    ("object", "<", lambda frame: frame.object or "-"),
    ("filter", "<", lambda frame: frame.filter or "-"),
    ("time / s", ">", lambda frame: f"{frame.exposure_time:g}"),
    ("sky", ">", lambda frame: _number(frame.sky.level, ".1f")),
    ("noise", ">", lambda frame: _number(frame.sky.observed, ".2f")),
    ("ratio", ">", lambda frame: _number(frame.sky.ratio, ".3f")),
    ("stars", ">", lambda frame: str(frame.stars)),
    ("SNR before / after", ">", lambda frame: _before_after(frame.snr_before, frame.snr_after)),
    (
        "empirical before / after",
        ">",
        lambda frame: _before_after(frame.snr_empirical_before, frame.snr_empirical_after),
    ),
    ("saturated", ">", lambda frame: str(frame.saturated)),
    ("bad", ">", lambda frame: str(frame.bad)),
)
