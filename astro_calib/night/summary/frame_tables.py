"""What a summary says of the science frames, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.common.text import columns, glued, listed, number_text, paragraph
from astro_calib.noise.shown import shares_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astro_calib.night.summary.frame_summary import FrameSummary
    from astro_calib.photometry.sky_noise import SkyNoise

__all__ = ["FRAME_COLUMNS", "frame_lines", "short_frame_lines"]

#: So many letters of a name, of what was observed or of a filter, are shown as there is room for.
LONGEST = (24, 16, 12, 8)
OF_SKY = (
    "level, noise: of the sky, in electron, and from pixel to pixel. ratio: noise over predicted noise, 1 if the error "
    "bars are right. blocks: in how many blocks of 32 x 32 pixels, of all."
)
OF_STARS = (
    "SNR before / after: median over the stars of flux over its predicted error, without and with calibration. "
    "empirical: flux over the scatter of empty apertures, which also see the fixed pattern that calibration removes: "
    "this is the SNR that should rise. left out: peaks that do not look like stars of the frame, or cannot be measured."
)


def frame_lines(frames: Sequence[FrameSummary], aperture: float | None, width: int) -> list[str]:
    """
    Return all that is to be said of science frames: a table of them, one of their skies, one of their stars.

    ``aperture`` is the radius of the apertures if it is the same for all.
    """
    measured = [frame for frame in frames if frame.table is not None]
    lines = ["science frames", *_table(COLUMNS, frames, width)]
    lines += paragraph("saturated, bad: pixels; those that are both count as bad.", width)
    if measured:
        lines += ["", "their sky", *_table(SKY_COLUMNS, measured, width), *paragraph(OF_SKY, width)]
    shares = [(glued(one.raw_name), listed(shares_text(one.shares).split(", "))) for one in frames if one.shares]
    if shares:
        lines += ["", "what the variance of a pixel of the sky is made of", *columns(shares, "<<", width)]
    if measured:
        lines += ["", "their stars", *_table(STAR_COLUMNS, measured, width), *paragraph(OF_STARS, width)]
        reasons = [
            (glued(frame.raw_name), listed(f"{number} {reason}" for reason, number in frame.left_out.items()))
            for frame in measured
            if frame.left_out
        ]
        lines += columns(reasons, "<<", width) if reasons else []
        lines += _aperture_lines([frame.aperture for frame in measured], aperture, width)
    return lines


def short_frame_lines(frames: Sequence[FrameSummary], width: int) -> list[str]:
    """Return one table of science frames, with what matters most."""
    if all(frame.table is None for frame in frames):
        return ["science frames", *_table(COLUMNS, frames, width)]
    title = "science frames (sky in electron; ratio: its noise over the predicted noise)"
    return [title, *_table(SHORT_COLUMNS, frames, width)]


def _table(shown: Sequence[_Column], frames: Sequence[FrameSummary], width: int) -> list[str]:
    """A table of frames; names of objects and filters are cut where that gives each frame one line."""
    alignment = "<" + "".join(column.side for column in shown)
    for longest in LONGEST:
        lines = columns(_rows(shown, frames, longest), alignment)
        if max(map(len, lines)) <= width:
            return lines
    return columns(_rows(shown, frames, LONGEST[0]), alignment, width)


def _rows(shown: Sequence[_Column], frames: Sequence[FrameSummary], longest: int) -> list[tuple[str, ...]]:
    heading = ("file", *(column.title for column in shown))
    return [
        heading,
        *((glued(one.raw_name), *(glued(column.shown(one, longest)) for column in shown)) for one in frames),
    ]


def _aperture_lines(radii: Sequence[float], aperture: float | None, width: int) -> list[str]:
    if aperture is not None:
        return paragraph(f"apertures: a radius of {aperture:g} pixels on every frame.", width)
    smallest, largest = f"{min(radii):.1f}", f"{max(radii):.1f}"
    between = smallest if smallest == largest else f"{smallest} to {largest}"
    return paragraph(
        f"apertures: one width of each frame's stars in radius, {between} pixels; "
        "to compare fluxes from frame to frame, give one radius for all (--aperture).",
        width,
    )


def _of(measured: int, found: int) -> str:
    return str(measured) if measured == found else f"{measured} of {found}"


def _blocks(sky: SkyNoise) -> str:
    return f"{sky.blocks} of {sky.all_blocks}" if sky.all_blocks else "-"


def _before_after(before: float, after: float) -> str:
    return f"{number_text(before, '.1f')} / {number_text(after, '.1f')}"


class _Column(NamedTuple):
    """A column of a table of science frames: its title, the side its cells are pushed to, what is in them."""

    title: str
    side: str
    cell: Callable[[FrameSummary], str]

    def shown(self, frame: FrameSummary, longest: int) -> str:
        """What is shown of a frame; a text of at most so many letters."""
        text = self.cell(frame)
        return text if self.side == ">" or len(text) <= longest else f"{text[: longest - 3]}..."


OBJECT = _Column("object", "<", lambda frame: frame.object or "-")
FILTER = _Column("filter", "<", lambda frame: frame.filter or "-")
TIME = _Column("time / s", ">", lambda frame: f"{frame.exposure_time:g}")
LEVEL = _Column("level", ">", lambda frame: number_text(frame.sky.level, ".1f"))
RATIO = _Column("ratio", ">", lambda frame: number_text(frame.sky.ratio, ".3f"))
STARS = _Column("stars", ">", lambda frame: _of(frame.stars, frame.stars_found))
FWHM = _Column("fwhm", ">", lambda frame: number_text(frame.fwhm, ".1f"))
COLUMNS = (
    OBJECT,
    FILTER,
    TIME,
    _Column("saturated", ">", lambda frame: str(frame.saturated)),
    _Column("bad", ">", lambda frame: str(frame.bad)),
)
SKY_COLUMNS = (
    LEVEL,
    _Column("noise", ">", lambda frame: number_text(frame.sky.observed, ".2f")),
    RATIO,
    _Column("blocks", ">", lambda frame: _blocks(frame.sky)),
)
STAR_COLUMNS = (
    STARS,
    FWHM,
    _Column("left out", ">", lambda frame: str(sum(frame.left_out.values()))),
    _Column("SNR\nbefore / after", ">", lambda frame: _before_after(frame.snr_before, frame.snr_after)),
    _Column(
        "empirical\nbefore / after",
        ">",
        lambda frame: _before_after(frame.snr_empirical_before, frame.snr_empirical_after),
    ),
)
SHORT_COLUMNS = (
    OBJECT,
    FILTER,
    TIME,
    LEVEL._replace(title="sky"),
    RATIO,
    STARS._replace(cell=lambda frame: str(frame.stars)),
    _Column("SNR", ">", lambda frame: number_text(frame.snr_after, ".1f")),
)
#: All columns of the full tables.
FRAME_COLUMNS = COLUMNS + SKY_COLUMNS + STAR_COLUMNS
