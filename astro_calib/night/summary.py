"""What a reduction made of a night, in numbers and as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.arguments import printable
from astro_calib.night.detector_text import alarm_lines, number_lines
from astro_calib.night.error_shares import shares_text
from astro_calib.night.frames import by_reason
from astro_calib.night.sky_doubt import sky_doubt
from astro_calib.night.text import columns, number_text
from astro_calib.photometry.sky_noise import SkyNoise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from astro_calib.night.frames import UnusedFile
    from astro_calib.night.master_summary import MasterSummary
    from astro_calib.night.night_plan import NightPlan

__all__ = ["FrameSummary", "NightSummary"]

#: Observed over predicted noise of the sky: outside of this range a remark says so.
SKY_RATIO = (0.95, 1.12)
#: Observed over predicted scatter of empty apertures: above this a remark says so.
EMPTY_RATIO = 1.2
#: A remark says so if stars are longer than wide by more than this factor.
ELONGATED = 1.5
#: An aperture with a radius of less than this part of the stars' width holds less than 80% of a Gaussian's light.
HOLDING = 0.75
NOT_MEASURED = SkyNoise(np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True, kw_only=True)
class FrameSummary:
    """
    A science frame that was calibrated.

    Parameters
    ----------
    path : Path
        The calibrated frame.
    object, filter : str
        What its header says.
    exposure_time : float
        In seconds.
    saturated : int
        How many pixels are saturated that are not bad anyway.
    bad : int
        How many pixels are bad.
    table : Path, optional
        Its stars; None if they were not measured, as all that follows.
    sky : SkyNoise
        Level and noise of the sky, in electron.
    stars, stars_found : int
        How many stars were measured, and found.
    snr_before, snr_after : float
        Median over the stars of flux over its predicted error; NaN without stars.
    snr_empirical_before, snr_empirical_after : float
        Median over the stars of flux over the scatter of empty apertures, which knows fixed pattern as well.
    empty_ratio : float
        Scatter of empty apertures over their predicted error; NaN if there is no room for them.
    fwhm, fwhm_across : float
        Full widths at half maximum of the stars, along their longer axis and across, in pixels; NaN if too few show it.
    aperture : float
        Radius of the apertures, in pixels.
    left_out : dict of str to int
        How many peaks were left out that may have been stars, by reason.
    shares : dict of str to float
        What the variance of a pixel of the sky is made of: the share of each source of noise.
    setup : str
        The name of the setup that it is of; empty if the night has one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night import FrameSummary, SkyNoise
    >>> frame = FrameSummary(
    ...     path=Path("m13.fits"), table=Path("m13-stars.ecsv"), object="M 13", filter="V", exposure_time=60.0,
    ...     sky=SkyNoise(level=212.0, observed=18.4, predicted=18.3, ratio=1.005), stars=120, stars_found=131,
    ...     snr_before=31.0, snr_after=38.0, snr_empirical_before=22.0, snr_empirical_after=37.0, empty_ratio=1.6,
    ...     saturated=3, bad=2048)
    >>> frame.remarks()
    ['m13.fits: empty apertures scatter by 1.60 of what is predicted: crowded or structured field']
    """

    path: Path
    object: str
    filter: str
    exposure_time: float
    saturated: int
    bad: int
    table: Path | None = None
    sky: SkyNoise = NOT_MEASURED
    stars: int = 0
    stars_found: int = 0
    snr_before: float = np.nan
    snr_after: float = np.nan
    snr_empirical_before: float = np.nan
    snr_empirical_after: float = np.nan
    empty_ratio: float = np.nan
    fwhm: float = np.nan
    fwhm_across: float = np.nan
    aperture: float = np.nan
    left_out: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    setup: str = ""

    def remarks(self) -> list[str]:
        """
        What is to be looked into.

        Returns
        -------
        list of str
            Empty if nothing is.
        """
        remarks = []
        low, high = SKY_RATIO
        if np.isfinite(self.sky.ratio) and not low <= self.sky.ratio <= high:
            remarks.append(
                f"the noise of the sky is {self.sky.ratio:.3f} of what is predicted{self._from_blocks()}; look into it:"
                " unmasked objects, pattern noise, or gain and read noise that are off"
            )
        if self.sky.why:
            remarks.append(f"whether the noise of the sky is as predicted is not known: {self.sky.why}")
        if self.fwhm > ELONGATED * self.fwhm_across:
            remarks.append(f"stars are {self.fwhm:.1f} by {self.fwhm_across:.1f} pixels: trailed or out of focus")
        if self.aperture < HOLDING * self.fwhm:
            remarks.append(
                f"apertures of radius {self.aperture:g} pixels, and stars {self.fwhm:.1f} wide: "
                "their fluxes still follow the width; give a larger aperture"
            )
        if self.empty_ratio > EMPTY_RATIO:
            remarks.append(
                f"empty apertures scatter by {self.empty_ratio:.2f} of what is predicted: crowded or structured field"
            )
        return [f"{self.path.name}: {remark}" for remark in remarks]

    def _from_blocks(self) -> str:
        """Which part of the frame the noise of the sky is from."""
        return f", in {self.sky.blocks} of {self.sky.all_blocks} blocks of pixels" if self.sky.all_blocks else ""


@dataclass(frozen=True, kw_only=True)
class NightSummary:
    """
    What a reduction made of a night. Its ``str`` is the text of ``summary.txt``.

    Parameters
    ----------
    out : Path
        The directory of the results.
    plan : NightPlan
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
    pictures : bool
        Whether pictures were drawn.
    aperture : float or None
        Radius of the apertures on all frames, in pixels; None if it follows the width of each frame's stars.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import reduce_night, simulate
    >>> camera = simulate.camera((96, 128), seed=1, filters=["V"])
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(f"{directory}/raw", seed=1, camera=camera, science=1)
    ...     summary = reduce_night(f"{directory}/raw", f"{directory}/reduced", pictures=False, progress=False)
    >>> [(master.title, master.number) for master in summary.masters]
    [('master bias', 10), ('master dark, 120 s', 10), ('master flat, V', 5)]
    >>> len(summary.frames), len(summary.failures), len(summary.unused)
    (1, 0, 0)
    """

    out: Path
    plan: NightPlan
    masters: tuple[MasterSummary, ...]
    frames: tuple[FrameSummary, ...]
    failures: tuple[UnusedFile, ...] = ()
    unused: tuple[UnusedFile, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0
    pictures: bool = True
    aperture: float | None = None

    def __str__(self) -> str:
        lines = []
        for setup in self.plan.setups:
            sky = [(frame.sky, frame.shares) for frame in self.frames if frame.setup == setup.name]
            lines += alarm_lines(setup.numbers, sky_doubt(setup.numbers, sky))
        for setup in self.plan.setups:
            lines += [setup.table(), *number_lines(setup.numbers)]
            if setup.image_excess is not None:
                lines.append("  each frame's read noise is that of its own overscan")
        lines += [
            "",
            "masters (in electron)",
            *self._master_lines(),
        ]
        if self.frames:
            lines += ["", "science frames"]
            lines += self._frame_lines()
        if self._with_stars:
            lines += [
                "  sky, noise: level and pixel-to-pixel noise of the sky in electron. ratio: noise over predicted",
                "  noise, 1 if the error bars are right; blocks: in how many blocks of 32 x 32 pixels, of all.",
                "  SNR: median over the stars of flux over its predicted error. empirical: flux over the scatter of",
                "  empty apertures, which also see the fixed pattern that calibration removes: this is the SNR that",
                "  should rise.",
                "  saturated, bad: pixels; those that are both count as bad.",
                *self._aperture_lines(),
            ]
        shares = [(frame.path.name, shares_text(frame.shares)) for frame in self.frames if frame.shares]
        if shares:
            lines += ["", "what the variance of a pixel of the sky is made of", *columns(shares, "<<")]
        for title, files in (
            ("FAILED: these science frames could not be reduced", self.failures),
            ("not used", self.unused),
        ):
            if files:
                lines += ["", f"{title} ({len(files)})", *(f"  {line}" for line in by_reason(files))]
        if self.remarks:
            lines += ["", "remarks", *(f"  {remark}" for remark in self.remarks)]
        made = f"{len(self.masters)} masters and {len(self.frames)} science frames in {self.seconds:.1f} s"
        lines += ["", f"{made}, written to {self.out}", *self._places()]
        # Names of files may hold commands to a terminal, and bytes that are no text.
        return "\n".join(printable(line) for text in lines for line in text.split("\n"))

    @property
    def _with_stars(self) -> bool:
        return any(frame.table is not None for frame in self.frames)

    def _aperture_lines(self) -> list[str]:
        """The radius of all frames, if it is the same, and what was left out of each."""
        measured = [frame for frame in self.frames if frame.table is not None]
        radii = {frame.aperture for frame in measured}
        if self.aperture is not None:
            lines = [f"  apertures: a radius of {self.aperture:g} pixels on every frame."]
        else:
            lines = [
                f"  apertures: one width of each frame's stars in radius, {min(radii):.1f} to {max(radii):.1f} pixels;",
                "  to compare fluxes from frame to frame, give one radius for all (--aperture).",
            ]
        lines.append("  left out: peaks that do not look like stars of the frame, or cannot be measured, and why.")
        rows = [
            (frame.path.name, ", ".join(f"{number} {reason}" for reason, number in frame.left_out.items()))
            for frame in measured
            if frame.left_out
        ]
        return lines + ["  " + line for line in columns(rows, "<<")] if rows else lines

    def _places(self) -> list[str]:
        places = [("masters", "masters")]
        if self.frames:
            places.append(("calibrated frames", "calibrated"))
        if self._with_stars:
            places.append(("star tables", "tables"))
        if self.pictures:
            places.append(("pictures", "pictures"))
        places.append(("this summary", "summary.txt"))
        return columns([(what, str(self.out / where)) for what, where in places], "<<")

    def _master_lines(self) -> list[str]:
        rows = [("file", "frames", "median", "sigma", "noise / predicted", "rejected")]
        for master in self.masters:
            numbers = (
                f"{master.level:.5g}",
                number_text(master.sigma, ".3g"),
                number_text(master.noise_ratio, ".3f"),
                number_text(master.rejected, ".2%"),
            )
            rows.append((master.path.name, str(master.number or "-"), *numbers))
        return columns(rows, "<>>>>>")

    def _frame_lines(self) -> list[str]:
        shown = [column for column in FRAME_COLUMNS if self._with_stars or not column.of_stars]
        rows = [tuple(column.title for column in shown)]
        rows += [tuple(column.cell(frame) for column in shown) for frame in self.frames]
        return columns(rows, "".join(column.side for column in shown))


def _of(measured: int, found: int) -> str:
    return str(measured) if measured == found else f"{measured} of {found}"


def _blocks(sky: SkyNoise) -> str:
    return f"{sky.blocks} of {sky.all_blocks}" if sky.all_blocks else "-"


def _before_after(before: float, after: float) -> str:
    return f"{number_text(before, '.1f')} / {number_text(after, '.1f')}"


class _Column(NamedTuple):
    """A column of the table of the science frames: its title, the side its cells are pushed to, what is in them."""

    title: str
    side: str
    cell: Callable[[FrameSummary], str]
    of_stars: bool = False


FRAME_COLUMNS = (
    _Column("file", "<", lambda frame: frame.path.name),
    _Column("object", "<", lambda frame: frame.object or "-"),
    _Column("filter", "<", lambda frame: frame.filter or "-"),
    _Column("time / s", ">", lambda frame: f"{frame.exposure_time:g}"),
    _Column("sky", ">", lambda frame: number_text(frame.sky.level, ".1f"), of_stars=True),
    _Column("noise", ">", lambda frame: number_text(frame.sky.observed, ".2f"), of_stars=True),
    _Column("ratio", ">", lambda frame: number_text(frame.sky.ratio, ".3f"), of_stars=True),
    _Column("blocks", ">", lambda frame: _blocks(frame.sky), of_stars=True),
    _Column("stars", ">", lambda frame: _of(frame.stars, frame.stars_found), of_stars=True),
    _Column("fwhm", ">", lambda frame: number_text(frame.fwhm, ".1f"), of_stars=True),
    _Column("left out", ">", lambda frame: str(sum(frame.left_out.values())), of_stars=True),
    _Column("SNR before / after", ">", lambda frame: _before_after(frame.snr_before, frame.snr_after), of_stars=True),
    _Column(
        "empirical before / after",
        ">",
        lambda frame: _before_after(frame.snr_empirical_before, frame.snr_empirical_after),
        of_stars=True,
    ),
    _Column("saturated", ">", lambda frame: str(frame.saturated)),
    _Column("bad", ">", lambda frame: str(frame.bad)),
)
