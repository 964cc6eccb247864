"""Trials of the steps from raw values to electrons: overscan, gain, deviation, shot noise and linearity."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.modeling.models import Polynomial1D

from astro_calib.detector.amplifier import GAIN_UNIT
from astro_calib.detector.detector import Detector
from astro_calib.detector.linearity import LinearityPolynomial, LinearityTable
from astro_calib.steps import correct_linearity, create_deviation, gain_correct, subtract_overscan
from astro_calib.validation.trials import draws
from astro_calib.validation.trials.draws import GAIN, PEDESTAL, Drawn, Layout
from astro_calib.validation.trials.packages import OURS, Package, detector, of_amplifiers
from astro_calib.validation.trials.rows import box, line, over_sigma, row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors, Trial

__all__ = ["TRIALS"]

CAMERA = detector()


# -- overscan: the error of a level, in pixels and in the sums over which it is common -------------------------------

#: Light on each pixel, electron.
SKY = 30.0
#: A level with half as much noise in the sum over a column as the column's own.
FRAME = Layout(256, 24, 1, (0, 1))
ROWS, COLUMNS = Layout(256, 24, 8, 1), Layout(256, 24, 8, 0)
#: A line with a quarter as much noise in the sum over half a column as the column's own.
LINE, HALF_A_COLUMN = Layout(32, 48, 2, 1), 16
#: Many levels, each of many pixels.
LEVELS = Layout(64, 1, 256, 0)
#: Of two amplifiers, each with an overscan on its side of the frame.
HALF = Layout(64, 24, 2, (0, 1))
HALVES: dict[str, Any] = {"gains": (1.2, 2.0), "read_noises": (5.0, 8.0)}
WIDTH = HALF.light + HALF.overscan


def less_overscan(
    package: Package, drawn: Drawn, layout: Layout, lines: int | None = None, adu: bool = False, **options: Any
) -> Any:
    """The frame in electrons, of which only so many lines are kept; or all of it in adu, with no other noise as yet."""
    raw = package.raw(drawn.frames[0])
    if adu:
        return subtract_overscan(raw, **layout.arguments(**options))
    return package.in_electrons(raw, CAMERA, layout, **options)[:lines]


def level(package: Package, frame: Any, _: Any, drawn: Drawn) -> Errors:
    """Errors of the levels of columns: the first row less what was left of it, less the true pedestal."""
    left = np.asarray(frame.data[0], dtype=np.float64)
    return drawn.frames[0][0] - left - drawn.known["pedestals"][0], package.variance(frame)[0]


def between_amplifiers(package: Package, drawn: Drawn) -> Any:
    """The half of one amplifier less that of the other, each less a level of its own."""
    camera = of_amplifiers((HALF.lines, 2 * WIDTH), **HALVES)
    ccd, ends = package.raw(drawn.frames[0]), HALF.overscan
    sides = ((ccd[:, :WIDTH], ccd[:, :ends]), (ccd[:, WIDTH:], ccd[:, -ends:]))
    left, right = (subtract_overscan(side, overscan=cut, overscan_axis=HALF.axes) for side, cut in sides)
    left, right = (create_deviation(gain_correct(cut, camera), camera) for cut in (left[:, ends:], right[:, :-ends]))
    return left - right


def overscan(
    what: str, layout: Layout, of: Any, realisations: int, *, truth: float = SKY, ccdproc: bool = True, **options: Any
) -> Trial:
    """A trial of one way to take the level; that of a median is off by up to 2%."""
    return row(
        "overscan",
        what,
        partial(draws.with_overscan, layout=layout, light=SKY),
        partial(less_overscan, layout=layout, **options),
        truth,
        of=of,
        ccdproc=ccdproc,
        realisations=realisations,
        tolerance=0.02 if options.get("median") else 0.01,
    )


IN_A_ROW = 24 * SKY
# ccdproc takes a level for each row or column.
OVERSCAN = (
    overscan("mean of the frame: sum over a column", FRAME, box(256, 1), 13000, ccdproc=False),
    overscan("median of the frame: sum over a column", FRAME, box(256, 1), 4800, median=True, ccdproc=False),
    overscan("mean of each row: pixel", ROWS, None, 30),
    overscan("mean of each row: sum over a row", ROWS, line(1), 380, truth=IN_A_ROW),
    overscan("median of each column: sum over a column", COLUMNS, line(0), 110, truth=IN_A_ROW, median=True),
    overscan("median of each column of 256: level, in adu", LEVELS, level, 400, median=True, adu=True, ccdproc=False),
    overscan(
        "line through the rows: sum over half a column",
        LINE,
        box(HALF_A_COLUMN, 1),
        5000,
        lines=HALF_A_COLUMN,
        model=Polynomial1D(1),
    ),
    row(
        "overscan",
        "mean for each of two amplifiers: difference of sums over columns",
        partial(draws.by_two_amplifiers, half=HALF, light=SKY, **HALVES),
        between_amplifiers,
        0.0,
        of=box(HALF.lines, 1),
        ccdproc=False,
        realisations=7500,
    ),
)


# -- gain: its error is common to all pixels of an amplifier and to all frames of a detector -------------------------

#: Relative uncertainty of a gain, and light on each pixel, electron: both bring an error of 50.
UNCERTAINTY, LIGHT = 0.02, 2500.0
#: For sums, where the gain's error adds up: over columns, and over rows, which go through all amplifiers.
OF_COLUMNS, OF_ROWS = 0.0016, 0.004
#: Gains of the amplifiers of a detector: electron / adu.
GAINS = np.array([1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6])


def with_measured_gains(package: Package, drawn: Drawn) -> Any:
    """The frame, or the sum of the frames, by a detector with the gains that were measured."""
    gains, uncertainties = drawn.known["gains"], drawn.known["uncertainties"]
    if gains.size == 1:
        camera = detector(gains[0], gain_uncertainty=uncertainties[0])
    else:
        camera = of_amplifiers(drawn.frames[0].shape, gains, gain_uncertainties=uncertainties)
    first, *others = (package.in_electrons(package.raw(pixels), camera) for pixels in drawn.frames)
    return first + others[0] if others else first


def gain(what: str, gains: Any, realisations: int, *, of: Any = None, number: int = 1, **drawn: Any) -> Trial:
    """A trial of uncertain gains; ccdproc has one amplifier."""
    settings: dict[str, Any] = {"uncertainty": UNCERTAINTY, "shape": (8, 8), **drawn}
    draw = partial(draws.raw_frames_of_known_gains, light=LIGHT, gains=np.array(gains), number=number, **settings)
    truth, ccdproc = number * LIGHT, len(gains) == 1
    return row("gain", what, draw, with_measured_gains, truth, of=of, ccdproc=ccdproc, realisations=realisations)


LARGE = (32, 32)
GAIN_TRIALS = (
    gain("uncertain gain: pixel", [GAIN], 18500),
    gain("uncertain gain: sum over a column", [GAIN], 4500, of=box(32, 1), shape=LARGE, uncertainty=OF_COLUMNS),
    gain("eight amplifiers: sum over a row", GAINS, 4300, of=box(1, 32), shape=LARGE, uncertainty=OF_ROWS),
    gain("sum of two frames of eight amplifiers: pixel", GAINS, 5800, number=2),
)


# -- deviation: read noise, digitisation, and amplifiers -------------------------------------------------------------

SHAPE = (48, 48)
#: A gain so large that digitisation is a good part of the noise: electron / adu. Light, electron.
COARSE, FAINT = 8.0, 20.0
#: A converter of 12 bits whose values are stored in 16: adu. Its light goes through several steps, electron.
STEP = 16
SLOPE = np.linspace(200.0, 200.0 + 4 * STEP * GAIN, SHAPE[1], endpoint=False)
#: Of amplifiers, each with twelve columns: electron / adu, electron.
FOUR: dict[str, Any] = {"gains": (1.0, 2.0, 5.0, 8.0), "read_noises": (3.0, 12.0, 6.0, 9.0)}
AMPLIFIERS = of_amplifiers(SHAPE, **FOUR)


def with_deviation(package: Package, drawn: Drawn, camera: Detector, **options: Any) -> Any:
    """The frame with its noise."""
    return package.in_electrons(package.raw(drawn.frames[0]), camera, **options)


def in_steps(package: Package, drawn: Drawn) -> Any:
    """The frame in electrons, after a multiplication that the digital step has to follow."""
    half = (package.raw(drawn.frames[0]) - PEDESTAL * u.adu).multiply(0.5)
    camera = detector(2 * GAIN)
    return create_deviation(gain_correct(half, camera), camera)


def deviation(what: str, reduce: Any, truth: Any, *, light: Any = FAINT, of: Any = None, **camera: Any) -> Trial:
    """A trial of a camera, for which ccdproc needs a single gain."""
    draw = partial(draws.raw_frames, light=[light], shape=SHAPE, **camera)
    return row("deviation", what, draw, reduce, truth, of=of, ccdproc=camera == {"gain": COARSE}, realisations=100)


IN_ELECTRONS = partial(with_deviation, camera=detector(COARSE))
TWELVE = {name.removesuffix("s"): np.repeat(values, 12) for name, values in FOUR.items()}
DEVIATION = (
    deviation("in adu, 8 electrons a step: pixel", partial(IN_ELECTRONS, gain=False), FAINT / COARSE, gain=COARSE),
    deviation("in electrons, 8 a step: pixel", IN_ELECTRONS, FAINT, gain=COARSE),
    deviation("digital steps of 16 adu: pixel", in_steps, SLOPE, light=SLOPE, step=STEP),
    # In units of the true sigma, for the right one at the wrong amplifier is wrong.
    deviation(
        "four amplifiers: pixel over its true sigma",
        lambda package, drawn: with_deviation(package, drawn, AMPLIFIERS),
        FAINT,
        of=over_sigma(np.repeat(np.square(FOUR["read_noises"]) + np.square(FOUR["gains"]) / 12 + FAINT, 12)),
        **TWELVE,
    ),
)


# -- models of the shot noise, each where the mean of its variance is furthest from the truth ------------------------

MODELS = ("data", "smooth", "array")
SKIES, READ_NOISES = (0.0, 1.0, 5.0, 20.0, 100.0), (3.0, 5.0, 10.0)
WORST = READ_NOISES[0]
#: electron / adu. Rounding to whole numbers adds its square over 12 to the variance.
FINE = 1.0


def draw_sky(rng: np.random.Generator, sky: float, read_noise: float = WORST) -> Drawn:
    """A raw frame of a sky."""
    return draws.raw_frames(rng, [sky], (128, 128), gain=FINE, read_noise=read_noise)


def with_model(package: Package, drawn: Drawn, model: str, sky: float, read_noise: float = WORST) -> Any:
    """The frame in electrons with its noise, after a model; an array is that of the true sky."""
    shot_noise: Any = np.full(drawn.frames[0].shape, sky) if model == "array" else model
    return with_deviation(package, drawn, detector(FINE, read_noise), shot_noise=shot_noise)


def mean_variance(drawn: Drawn, model: str, sky: float, read_noise: float) -> float:
    """The mean over the pixels of the variance that a model predicts."""
    frame = with_model(OURS, drawn, model, sky, read_noise)
    return float(np.mean(OURS.variance(frame), dtype=np.float64))


SHOT_NOISE = tuple(
    row(
        "shot noise",
        f'"{model}" at {sky:g} electrons, read noise {WORST:g}: pixel',
        partial(draw_sky, sky=sky),
        partial(with_model, model=model, sky=sky),
        sky,
        ccdproc=model == "data",
        realisations=realisations,
        tolerance=tolerance,
    )
    # Within 0.5% of the variance for the default.
    for model, sky, realisations, tolerance in (
        ("data", 1.0, 100, 0.0025),
        ("smooth", 5.0, 50, 0.005),
        ("array", 1.0, 100, 0.0025),
    )
)


# -- linearity: shot noise that the detector compresses, and a correction that is itself uncertain -------------------


def linear(package: Package, drawn: Drawn) -> Any:
    """The frame in electrons, or the difference of two."""
    known = drawn.known
    linearity: LinearityPolynomial | LinearityTable
    if "nodes" in known:
        linearity = LinearityTable(*(known[name] * u.adu for name in ("nodes", "values", "sigmas")))
    else:
        options = {"limit": draws.LIMIT * u.adu, "covariance": known["covariance"]}
        linearity = LinearityPolynomial(list(known["coefficients"]), **options)
    gain, read_noise = draws.NONLINEAR_GAIN * GAIN_UNIT, draws.NONLINEAR_READ_NOISE * u.electron
    camera = Detector(gain=gain, read_noise=read_noise, linearity=linearity)
    first, *others = (
        correct_linearity(package.in_electrons(package.raw(pixels), camera), camera) for pixels in drawn.frames
    )
    return first - others[0] if others else first


def light_of(drawn: Drawn) -> NDArray[np.float64]:
    """The light of the frame, or the difference of those of two."""
    first, *others = drawn.known["light"]
    return first - others[0] if others else first


def column(package: Package, frame: Any, light: NDArray[np.float64], drawn: Drawn) -> Errors:
    """Errors of the sums over columns, in each of which are all levels of light."""
    return box(len(light), 1)(package, frame, float(light[:, 0].mean()), drawn)


#: For sums over columns: columns, rows of a level, and a part of the uncertainties for a quarter of the variance.
OF_SUMS: dict[str, Any] = {"columns": 24, "rows": 4}
PART = 0.3
THREE = (20000.0, 40000.0, 60000.0)
PAIR = [draws.levels(60000.0, 16), draws.levels(40000.0, 16)]
PIXEL = over_sigma(light_of)


def polynomial(light: list[NDArray[np.float64]], part: float = 1.0) -> Any:
    """Draws frames of such light, and a polynomial."""
    return partial(draws.by_polynomial, light=light, part=part)


def table(columns: int, **others: Any) -> Any:
    """Draws a frame, and a table."""
    return partial(draws.by_table, columns=columns, **others)


OVER_SIGMA, SUM = "pixel over sigma of its light", "sum over a column"
LINEARITY = tuple(
    row("linearity", f"{known}: {what}", draw, linear, light_of, of=of, ccdproc=False, realisations=realisations)
    for known, what, draw, of, realisations in (
        ("exact polynomial", OVER_SIGMA, polynomial([np.full(SHAPE, 60000.0)], part=0), PIXEL, 100),
        ("polynomial with covariance", OVER_SIGMA, polynomial([draws.levels(THREE, 8)]), PIXEL, 9000),
        ("polynomial with covariance", SUM, polynomial([draws.levels(THREE, **OF_SUMS)], PART), column, 9800),
        ("polynomial with covariance", "difference of two frames", polynomial(PAIR), None, 7200),
        ("uncertain table", OVER_SIGMA, table(columns=8), PIXEL, 8600),
        ("uncertain table", SUM, table(**OF_SUMS, part=PART), column, 8200),
    )
)

TRIALS = (*OVERSCAN, *GAIN_TRIALS, *DEVIATION, *SHOT_NOISE, *LINEARITY)
