"""Trials of `subtract_overscan`: the error of a level, in pixels and in the sums over which it is common."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy.modeling.models import Polynomial1D

from astro_calib.characterize.trial import Errors, Trial
from astro_calib.characterize.trials import ccdproc_way, raw
from astro_calib.steps import create_deviation, gain_correct, subtract_overscan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = ["TRIALS"]

#: Light on each pixel, electron.
SKY = 30.0
CAMERA = raw.detector()


class Layout(NamedTuple):
    """How long the frame's lines are, and how many there are: a line of light, and beyond it a line of overscan."""

    lines: int
    light: int
    overscan: int
    #: Over which axis the overscan is averaged.
    axis: int | tuple[int, int]

    @property
    def turned(self) -> bool:
        """Whether the lines are columns."""
        return self.axis == 0

    @property
    def lit(self) -> tuple[slice, slice]:
        """The pixels that see light."""
        lines, along = slice(0, self.lines), slice(0, self.light)
        return (along, lines) if self.turned else (lines, along)

    def arguments(self, **options: Any) -> dict[str, Any]:
        """The arguments of subtract_overscan."""
        lines, along = (0, self.lines), (self.light, self.light + self.overscan)
        section = raw.section(along, lines) if self.turned else raw.section(lines, along)
        return {"fits_section": section, "overscan_axis": self.axis, **options}


#: A level that has as much noise in the sum over a column as the column's own.
FRAME = Layout(256, 4, 1, (0, 1))
ROWS = Layout(256, 24, 8, 1)
COLUMNS = Layout(256, 24, 8, 0)


def draw(rng: np.random.Generator, layout: Layout) -> NDArray[np.uint16]:
    """A raw frame of a sky; its pedestal is another each time, and no whole number."""
    electrons = np.where(np.arange(layout.light + layout.overscan) < layout.light, SKY, 0.0)
    shape = (layout.lines, layout.light + layout.overscan)
    pixels = raw.digitised(rng, electrons, shape, pedestal=rng.normal(raw.PEDESTAL, 3.0))
    return np.ascontiguousarray(pixels.T) if layout.turned else pixels


def corrected(pixels: NDArray[np.uint16], layout: Layout, **options: Any) -> CCDFrame:
    """The frame in electrons with its noise, step by step."""
    ccd = subtract_overscan(raw.frame(pixels), **layout.arguments(**options))
    return create_deviation(gain_correct(ccd[layout.lit], CAMERA), CAMERA)


def corrected_by_ccdproc(pixels: NDArray[np.uint16], layout: Layout, **options: Any) -> Any:
    """The same, with what ccdproc has: a level a row or a column."""
    return ccdproc_way.in_electrons(ccdproc_way.frame(pixels), overscan=layout.arguments(**options))[layout.lit]


def pixels_of(pixels: NDArray[np.uint16], layout: Layout, **options: Any) -> Errors:
    """Errors of the pixels."""
    return raw.errors(corrected(pixels, layout, **options), SKY)


def pixels_by_ccdproc(pixels: NDArray[np.uint16], layout: Layout, **options: Any) -> Errors:
    return ccdproc_way.errors(corrected_by_ccdproc(pixels, layout, **options), SKY)


def lines_of(pixels: NDArray[np.uint16], layout: Layout, **options: Any) -> Errors:
    """Errors of the sum over each row, or column."""
    return raw.sums(corrected(pixels, layout, **options), 0 if layout.turned else 1, layout.light * SKY)


def lines_by_ccdproc(pixels: NDArray[np.uint16], layout: Layout, **options: Any) -> Errors:
    ccd = corrected_by_ccdproc(pixels, layout, **options)
    return ccdproc_way.sums(ccd, 0 if layout.turned else 1, layout.light * SKY)


def across(pixels: NDArray[np.uint16], layout: Layout, **options: Any) -> Errors:
    """Errors of the sums over the pixels that the lines have side by side."""
    return raw.sums(corrected(pixels, layout, **options), 0, layout.lines * SKY)


def trial(what: str, layout: Layout, reduce: Any, with_ccdproc: Any, realisations: int, **options: Any) -> Trial:
    """A trial of one way to take the level; that of a median is off by up to 2%."""
    bound = {"layout": layout, **options}
    return Trial(
        step="overscan",
        what=what,
        draw=partial(draw, layout=layout),
        reduce=partial(reduce, **bound),
        with_ccdproc=None if with_ccdproc is None else partial(with_ccdproc, **bound),
        realisations=realisations,
        tolerance=0.02 if options.get("median") else 0.01,
    )


TRIALS = (
    trial("mean of the frame: sum over a column", FRAME, across, None, 18500),
    trial("median of the frame: sum over a column", FRAME, across, None, 6000, median=True),
    trial("mean of each row: pixel", ROWS, pixels_of, pixels_by_ccdproc, 30),
    trial("mean of each row: sum over a row", ROWS, lines_of, lines_by_ccdproc, 250),
    trial("median of each column: sum over a column", COLUMNS, lines_of, lines_by_ccdproc, 110, median=True),
    trial("line through the rows: sum over a row", ROWS, lines_of, lines_by_ccdproc, 260, model=Polynomial1D(1)),
)
