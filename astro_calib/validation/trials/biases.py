"""Trials of stacks of biases, whose overscan brings noise that is common to a frame, or to a row."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.stack.combination import combine
from astro_calib.steps import create_deviation, gain_correct, subtract_overscan, trim_image
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw
from astro_calib.validation.trials.boxes import Drawn, box_errors, box_errors_of_ccddata
from astro_calib.validation.trials.combiner import combined_by_ccdproc

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TRIALS"]


class Layout(NamedTuple):
    """Rows, columns that see the sky, columns of overscan, and the axes over which the overscan is averaged."""

    rows: int
    light: int
    overscan: int
    axes: int | tuple[int, int]

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of subtract_overscan."""
        columns = (self.light, self.light + self.overscan)
        return {"fits_section": raw.section((0, self.rows), columns), "overscan_axis": self.axes}

    @property
    def trim(self) -> str:
        """The section to be kept."""
        return raw.section((0, self.rows), (0, self.light))


#: The error of the level has a quarter of the variance that the sum over 8 x 4 pixels has for itself.
ONE_LEVEL = Layout(rows=128, light=16, overscan=1, axes=(0, 1))
#: The error of the level has twice the variance that the sum over a row has for itself.
LEVEL_A_ROW = Layout(rows=256, light=16, overscan=8, axes=1)


def _draw(rng: np.random.Generator, number: int, layout: Layout) -> Drawn:
    """Raw biases, each with a level of its own."""
    shape = (layout.rows, layout.light + layout.overscan)
    biases = [raw.digitised(rng, 0.0, shape, pedestal=rng.normal(raw.PEDESTAL, 3.0)) for _ in range(number)]
    return Drawn.at_random(rng, biases)


def _stack(drawn: Drawn, layout: Layout, box: tuple[int, int], method: str) -> Errors:
    camera = raw.detector()
    biases = []
    for pixels in drawn.frames:
        bias = trim_image(subtract_overscan(raw.frame(pixels), **layout.arguments), layout.trim)
        biases.append(create_deviation(gain_correct(bias, camera), camera, shot_noise=0))
    return box_errors(combine(biases, method=method), box, 0.0, drawn.place)


def _stack_by_ccdproc(drawn: Drawn, layout: Layout, box: tuple[int, int], method: str) -> Errors:
    options: dict[str, Any] = {"overscan": layout.arguments, "trim": layout.trim, "light": False}
    biases = [ccdproc_way.in_electrons(ccdproc_way.frame(pixels), **options) for pixels in drawn.frames]
    return box_errors_of_ccddata(combined_by_ccdproc(biases, method=method), box, 0.0)


def _trial(
    method: str, number: int, layout: Layout, box: tuple[int, int], what: str, realisations: int, tolerance: float
) -> Trial:
    level = "row" if layout.axes == 1 else "frame"
    options: dict[str, Any] = {"layout": layout, "box": box, "method": method}
    return Trial(
        step="combine",
        what=f"{method} of {number} biases, overscan level of the {level}: {what}",
        draw=partial(_draw, number=number, layout=layout),
        reduce=partial(_stack, **options),
        # ccdproc takes no level of the whole frame.
        with_ccdproc=partial(_stack_by_ccdproc, **options) if layout.axes == 1 else None,
        realisations=realisations,
        tolerance=tolerance,
    )


TRIALS = (
    _trial("mean", 2, ONE_LEVEL, (1, 1), "pixel", 60, 0.01),
    _trial("mean", 2, ONE_LEVEL, (8, 4), "sum over 8 x 4 pixels", 4300, 0.01),
    _trial("median", 3, ONE_LEVEL, (1, 1), "pixel", 40, 0.02),
    _trial("median", 3, ONE_LEVEL, (8, 4), "sum over 8 x 4 pixels", 800, 0.02),
    _trial("mean", 3, LEVEL_A_ROW, (1, 1), "pixel", 60, 0.01),
    _trial("mean", 3, LEVEL_A_ROW, (1, 16), "sum over a row", 290, 0.01),
    _trial("median", 3, LEVEL_A_ROW, (1, 1), "pixel", 40, 0.02),
    _trial("median", 3, LEVEL_A_ROW, (1, 16), "sum over a row", 100, 0.02),
    _trial("median", 3, LEVEL_A_ROW, (16, 16), "sum over 16 rows", 1300, 0.02),
)
