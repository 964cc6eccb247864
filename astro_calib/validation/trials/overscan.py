"""Trials of `subtract_overscan`: the error of a level, in pixels and in the sums over which it is common."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.modeling.models import Polynomial1D

from astro_calib.detector.detector import GAIN_UNIT, Amplifier, Detector
from astro_calib.steps import create_deviation, gain_correct, subtract_overscan
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw
from astro_calib.validation.trials.boxes import Drawn, box_errors, box_errors_of_ccddata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

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


class Exposed(NamedTuple):
    """A raw frame, its pedestal (adu), and the place of `boxes.Drawn`."""

    pixels: NDArray[np.uint16]
    pedestal: float
    place: NDArray[np.float64]


#: A level with half as much noise in the sum over a column as the column's own.
FRAME = Layout(256, 24, 1, (0, 1))
ROWS = Layout(256, 24, 8, 1)
COLUMNS = Layout(256, 24, 8, 0)
#: A line with a quarter as much noise in the sum over half a column as the column's own.
LINE = Layout(32, 48, 2, 1)
#: Many levels, each of many pixels.
LEVELS = Layout(64, 1, 256, 0)

#: Of two amplifiers, each with an overscan on its side of the frame: rows, columns, overscan columns of each.
HALF = Layout(64, 24, 2, (0, 1))
GAINS, READ_NOISES = (1.2, 2.0), (5.0, 8.0)
WIDTH = HALF.light + HALF.overscan
AMPLIFIERS = Detector(
    amplifiers=tuple(
        Amplifier(
            gain=gain * GAIN_UNIT,
            read_noise=read_noise * u.electron,
            data_section=raw.section((0, HALF.lines), (index * WIDTH, (index + 1) * WIDTH)),
        )
        for index, (gain, read_noise) in enumerate(zip(GAINS, READ_NOISES, strict=True))
    )
)


def draw(rng: np.random.Generator, layout: Layout) -> Exposed:
    """A raw frame of a sky; its pedestal is another each time, and no whole number."""
    electrons = np.where(np.arange(layout.light + layout.overscan) < layout.light, SKY, 0.0)
    shape = (layout.lines, layout.light + layout.overscan)
    pedestal = rng.normal(raw.PEDESTAL, 3.0)
    pixels = raw.digitised(rng, electrons, shape, pedestal=pedestal)
    return Exposed(np.ascontiguousarray(pixels.T) if layout.turned else pixels, pedestal, rng.random(2))


def draw_of_amplifiers(rng: np.random.Generator) -> Drawn:
    """A raw frame of a sky, side by side by two amplifiers, the second of which reads towards the other side."""
    electrons = np.where(np.arange(WIDTH) < HALF.overscan, 0.0, SKY)
    halves = [
        raw.digitised(
            rng,
            electrons,
            (HALF.lines, WIDTH),
            gain=gain,
            read_noise=read_noise,
            pedestal=rng.normal(raw.PEDESTAL, 3.0),
        )
        for gain, read_noise in zip(GAINS, READ_NOISES, strict=True)
    ]
    return Drawn.at_random(rng, [np.hstack([halves[0], halves[1][:, ::-1]])])


def corrected(exposed: Exposed, layout: Layout, **options: Any) -> CCDFrame:
    """The frame in electrons with its noise, step by step."""
    ccd = subtract_overscan(raw.frame(exposed.pixels), **layout.arguments(**options))
    return create_deviation(gain_correct(ccd[layout.lit], CAMERA), CAMERA)


def corrected_by_ccdproc(exposed: Exposed, layout: Layout, **options: Any) -> Any:
    """The same, with what ccdproc has: a level a row or a column."""
    return ccdproc_way.in_electrons(ccdproc_way.frame(exposed.pixels), overscan=layout.arguments(**options))[layout.lit]


def pixels_of(exposed: Exposed, layout: Layout, **options: Any) -> Errors:
    """Errors of the pixels."""
    return raw.errors(corrected(exposed, layout, **options), SKY)


def pixels_by_ccdproc(exposed: Exposed, layout: Layout, **options: Any) -> Errors:
    return ccdproc_way.errors(corrected_by_ccdproc(exposed, layout, **options), SKY)


def lines_of(exposed: Exposed, layout: Layout, **options: Any) -> Errors:
    """Errors of the sum over each row, or column."""
    return raw.sums(corrected(exposed, layout, **options), 0 if layout.turned else 1, layout.light * SKY)


def lines_by_ccdproc(exposed: Exposed, layout: Layout, **options: Any) -> Errors:
    ccd = corrected_by_ccdproc(exposed, layout, **options)
    return ccdproc_way.sums(ccd, 0 if layout.turned else 1, layout.light * SKY)


def across(exposed: Exposed, layout: Layout, *, part: int = 1, **options: Any) -> Errors:
    """Errors of the sums over the pixels that the lines, or the first part of them, have side by side."""
    lines = layout.lines // part
    ccd = corrected(exposed, layout, **options)[:lines]
    return box_errors(ccd, (lines, 1), SKY, exposed.place)


def across_by_ccdproc(exposed: Exposed, layout: Layout, *, part: int = 1, **options: Any) -> Errors:
    lines = layout.lines // part
    return box_errors_of_ccddata(corrected_by_ccdproc(exposed, layout, **options)[:lines], (lines, 1), SKY)


def levels_of(exposed: Exposed, layout: Layout, **options: Any) -> Errors:
    """Errors of the levels of columns alone, in adu: as yet the frame has no other noise."""
    ccd = subtract_overscan(raw.frame(exposed.pixels), **layout.arguments(**options))
    assert ccd.variance is not None
    return exposed.pixels[0] - np.asarray(ccd.data[0], dtype=np.float64) - exposed.pedestal, ccd.variance[0]


def between_amplifiers(drawn: Drawn) -> Errors:
    """Errors of the sums over the columns of one amplifier less those of the other, each with a level of its own."""
    ccd, ends = raw.frame(drawn.frames[0]), HALF.overscan
    sides = ((ccd[:, :WIDTH], ccd[:, :ends]), (ccd[:, WIDTH:], ccd[:, -ends:]))
    left, right = (subtract_overscan(side, overscan=cut, overscan_axis=HALF.axis) for side, cut in sides)
    left, right = (
        create_deviation(gain_correct(light, AMPLIFIERS), AMPLIFIERS) for light in (left[:, ends:], right[:, :-ends])
    )
    return box_errors(left - right, (HALF.lines, 1), 0.0, drawn.place)


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
    trial("mean of the frame: sum over a column", FRAME, across, None, 13000),
    trial("median of the frame: sum over a column", FRAME, across, None, 4800, median=True),
    trial("mean of each row: pixel", ROWS, pixels_of, pixels_by_ccdproc, 30),
    trial("mean of each row: sum over a row", ROWS, lines_of, lines_by_ccdproc, 380),
    trial("median of each column: sum over a column", COLUMNS, lines_of, lines_by_ccdproc, 110, median=True),
    trial("median of each column of 256: level, in adu", LEVELS, levels_of, None, 400, median=True),
    trial(
        "line through the rows: sum over half a column",
        LINE,
        across,
        across_by_ccdproc,
        5000,
        part=2,
        model=Polynomial1D(1),
    ),
    Trial(
        step="overscan",
        what="mean for each of two amplifiers: difference of sums over columns",
        draw=draw_of_amplifiers,
        reduce=between_amplifiers,
        realisations=7500,
    ),
)
