"""The overscan level that was subtracted from a frame: which pixels it is of, and what it has of their noise."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.detector.correlation import Correlation, Level
from astro_calib.estimators import median_variance_factor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.noise.origin import Origin
    from astro_calib.noise.propagation import Term
    from astro_calib.steps.run import FrameSoFar

__all__ = ["OVERSCAN", "SubtractedLevel", "has_level_of", "interpolated_median_factor", "rows_apart", "without_level"]

#: What the noise of a level is called.
OVERSCAN = "overscan"
#: Fewer values than this are too few for what many of them gain by the interpolation of their median.
MANY = 10
#: Digital steps wider than this, in units of sigma, leave nothing to interpolate: all but a few values are the same.
WIDEST = 2.0
#: Rows and columns from which it is told how much noise a level has.
SAMPLED_LINES = 64
#: Smaller phases, in radians, are none.
SAME_PHASE = 1e-9


def rows_apart(identity: str) -> str:
    """The identity of what the rows of the overscan have in common and those of the image have not."""
    return f"{identity}:rows"


def has_level_of(terms: Iterable[Term], raw: str) -> bool:
    """Whether there is the noise of a level of a raw frame among some terms."""
    return any(source.identity.startswith(f"{raw}:{OVERSCAN}") for source, _ in terms)


class SubtractedLevel(NamedTuple):
    """
    A level that is the mean or the median of pixels of a raw frame.

    Attributes
    ----------
    axes : tuple of int
        Those over which the pixels were averaged: 1 for a level a row, 0 a column, both for one of the frame.
    pixels : tuple of (int, int, int)
        For each of them the first cell of the raw frame, the step, and the number.
    how : str
        How they were averaged, and what was left out.
    amplifier : int or None
        Which one's level it is; None for one of the whole frame.
    """

    axes: tuple[int, ...]
    pixels: tuple[tuple[int, int, int], ...]
    how: str
    amplifier: int | None = None

    def identity(self, raw: str) -> str:
        """The identity of its noise: the same pixels of one raw frame, averaged in the same way, are the same noise."""
        number = "" if self.amplifier is None else f" {self.amplifier}"
        return f"{raw}:{OVERSCAN}{number}:{self.axes}:{[*self.pixels]}:{self.how}"

    @classmethod
    def of_identity(cls, identity: str, raw: str) -> SubtractedLevel | None:
        """The level whose noise has this identity; None if it is none of this raw frame, or a model."""
        start = f"{raw}:{OVERSCAN}"
        if not identity.startswith(start):
            return None
        try:
            number, axes, pixels, how = identity.removeprefix(start).split(":", 3)
            amplifier = int(number) if number else None
            result = cls(tuple(ast.literal_eval(axes)), tuple(map(tuple, ast.literal_eval(pixels))), how, amplifier)
        except (ValueError, SyntaxError):
            return None
        return result if how.endswith(", None") else None

    def is_of(self, amplifier: int, section: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
        """Whether an amplifier, which has read this section of a raw frame of this shape, has read its pixels, too."""
        if self.amplifier is not None:
            return self.amplifier == amplifier
        return all(
            first in (cells := range(*section[axis].indices(shape[axis]))) and first + step * (number - 1) in cells
            for axis, (first, step, number) in zip(self.axes, self.pixels, strict=True)
        )

    @property
    def number(self) -> int:
        """How many pixels it is the mean of."""
        return int(np.prod([number for _, _, number in self.pixels]))

    def of_waves(
        self, waves: NDArray[np.float64], image: Sequence[NDArray[np.intp]], *, rows_in_overscan: bool
    ) -> Level:
        """
        What the level has of each wave of a correlation, for `Correlation.less_level`.

        Parameters
        ----------
        waves : ndarray, shape (n_waves, 3)
            As `Correlation.waves` returns them; the first is what a row has in common.
        image : sequence of ndarray of int
            The rows and the columns of the raw frame from which it was subtracted.
        rows_in_overscan : bool
            Whether that is the same in image and overscan.

        Returns
        -------
        Level
            With the phase of the pixels' places in the raw frame.
        """
        rows_apart = np.isnan(waves[:, 2])
        along = {
            axis: _mean_wave(waves[:, 2 - axis], *cells) for axis, cells in zip(self.axes, self.pixels, strict=True)
        }
        # Of a wave whose phase is another one in each row, every row has the same.
        in_row = along.get(1, np.ones(len(waves), complex))
        amplitudes = in_row * np.where(rows_apart, 1.0, along.get(0, 1.0))
        squares = np.square(np.abs(amplitudes))
        if 0 in self.axes:
            rows = self.pixels[self.axes.index(0)][2]
            squares = np.where(rows_apart, squares / rows, squares)
            amplitudes = np.where(rows_apart, amplitudes / rows if 1 in self.axes else 0.0, amplitudes)
        if not rows_in_overscan:
            amplitudes[0] = 0.0
        kept = tuple(axis for axis in (0, 1) if axis not in self.axes)
        in_image = (amplitudes.conj() * self._mean_over_image(waves, image)).real
        return Level(kept, amplitudes, squares, in_image)

    def _mean_over_image(self, waves: NDArray[np.float64], image: Sequence[NDArray[np.intp]]) -> NDArray[np.complex128]:
        """The mean of each wave over the image, without those of its pixels that the level is of."""
        whole, of_level = np.ones(len(waves), np.complex128), np.ones(len(waves), np.complex128)
        number, number_of_level = 1, 1
        for axis, cells in enumerate(image):
            # A level a row goes along with the wave from row to row.
            frequency = waves[:, 2 - axis] if axis in self.axes else np.zeros(len(waves))
            frequency = np.nan_to_num(frequency)
            held = cells
            if axis in self.axes:
                first, step, length = self.pixels[self.axes.index(axis)]
                held = np.intersect1d(cells, first + step * np.arange(length))
            whole, number = whole * _sum_of_wave(frequency, cells), number * len(cells)
            of_level, number_of_level = of_level * _sum_of_wave(frequency, held), number_of_level * len(held)
        if number == number_of_level:
            return whole / max(number, 1)
        return (whole - of_level) / (number - number_of_level)

    def white_variance(self, correlation: Correlation, level: Level, variance: float, step: float) -> float:
        """
        The variance of the level from white noise of its pixels, and what a median adds.

        Parameters
        ----------
        correlation : Correlation
            Of the pixels.
        level : Level
            What the level has of its waves.
        variance : float
            Of a pixel.
        step : float
            The digital step.

        Notes
        -----
        The scatter of the pixels says less: a tone has one amplitude a frame, that of this frame.
        """
        if not self.how.startswith("median"):
            return variance * correlation.white / self.number
        # A median has more noise by what pixels scatter about it, tones included.
        left = float((correlation.waves[:, 0] * np.maximum(1 - level.squares, 0.0)).sum())
        scatter = variance * (correlation.white + left)
        excess = interpolated_median_factor(self.number, step, scatter) - 1
        return (variance * correlation.white + excess * scatter) / self.number


def interpolated_median_factor(number: int, step: float, variance: float) -> float:
    r"""
    Variance of a median of an overscan, in units of that of the mean of values of so much variance.

    Between the edges of a step, at distances u and v from the truth in units of sigma, the median is interpolated from
    the parts of the values that lie below them, P(u) and P(v). First-order propagation of the binomial errors of these
    two, averaged over where in the step the truth may lie, gives less than for the plain median of values that are not
    rounded. What the average of the middle two of an even number gains is lost; the plain median's factor is a bound.
    """
    from scipy.special import ndtr

    plain = median_variance_factor(number)
    # Of the scatter, step^2 / 12 is rounding.
    own = variance - step**2 / 12
    if number < MANY or step <= 0 or own < (step / WIDEST) ** 2:
        return plain
    width = step / np.sqrt(own)
    nodes, weights = _gauss_legendre()
    u = width * (nodes + 1) / 2
    v = width - u
    below, above = ndtr(-u), ndtr(-v)
    density_u, density_v = (np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) for x in (u, v))
    terms = (
        (v / density_u) ** 2 * below * (1 - below)
        + (u / density_v) ** 2 * above * (1 - above)
        + 2 * u * v / (density_u * density_v) * below * above
    )
    gain = float(weights @ terms) / (2 * width**2) / (np.pi / 2)
    odd = median_variance_factor(number + 1 - number % 2)
    return min(plain, odd * gain * own / variance)


@cache
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(16)
    return nodes, weights


def _mean_wave(frequency: NDArray[np.float64], first: int, step: int, number: int) -> NDArray[np.complex128]:
    """The mean of exp(i w x) over cells, for each frequency; NaN for those that are none."""
    mean: NDArray[np.complex128] = _sum_of_wave(frequency, first + step * np.arange(number)) / number
    return mean


def _sum_of_wave(frequency: NDArray[np.float64], cells: NDArray[np.intp]) -> NDArray[np.complex128]:
    """The sum of exp(i w x) over cells in even steps, for each frequency: a geometric series."""
    if not len(cells):
        return np.zeros(len(frequency), np.complex128)
    number, first, last = len(cells), int(cells[0]), int(cells[-1])
    half = frequency * (last - first) / (2 * max(number - 1, 1))
    # Where the wave is the same in all cells, or changes its sign from cell to cell, the sines are rounding.
    turns = np.round(half / np.pi)
    same = np.abs(half - turns * np.pi) < SAME_PHASE
    limit = number * np.where(turns * (number - 1) % 2, -1.0, 1.0)
    ratio = np.divide(np.sin(number * half), np.sin(half), where=~same, out=limit)
    found: NDArray[np.complex128] = ratio * np.exp(0.5j * frequency * (first + last))
    return found


def without_level(
    frame: FrameSoFar,
    origin: Origin,
    detector: Detector,
    variances: Sequence[float],
    electrons_per_unit: Sequence[float],
    held: Sequence[tuple[slice, slice]],
) -> tuple[list[Correlation], tuple[float, ...]]:
    """
    How the read noise of each amplifier's pixels goes together after a level of the same noise was subtracted.

    The noise of the level itself is then the white noise of its pixels, as the detector states it.

    Parameters
    ----------
    frame : FrameSoFar
        The frame.
    origin : Origin
        Which pixels of a raw frame it holds.
    detector : Detector
        With a correlation for one amplifier or more.
    variances : sequence of float
        Of read noise and rounding, electron^2, for each amplifier.
    electrons_per_unit : sequence of float
        Of the frame's unit, for each amplifier.
    held : sequence of (slice, slice)
        The rows and columns of the frame that each has read.

    Returns
    -------
    correlations : list of Correlation
        In parts of what is left of the variances.
    left : tuple of float
        What each variance is multiplied by.
    """
    raw = origin.raw.identity()
    levels = _levels_of(frame.terms or (), raw)
    sections = detector.sections(origin.raw.shape)
    image = [first + step * np.arange(n) for (first, step), n in zip(origin.window, frame.shape, strict=True)]
    correlations, left = [], []
    of_each = zip(detector.amplifiers, sections, held, variances, electrons_per_unit, strict=True)
    for index, (amplifier, section, part_of_frame, variance, electrons) in enumerate(of_each):
        correlation, factor = amplifier.correlation_in_frame or Correlation(), 1.0
        own = [
            one
            for one in levels
            if (len(sections) == 1 and one[1].amplifier is None) or one[1].is_of(index, section, origin.raw.shape)
        ]
        # What rounding adds is white.
        square = float(amplifier.read_noise.value) ** 2
        share = min(square / variance, 1.0) if variance else 0.0
        correlation = Correlation.of_waves(correlation.waves * [share, 1, 1])
        if amplifier.correlation is not None and own:
            # The last one is that of noise which was not subtracted before.
            found = own[-1]
            cells = [along[part] for along, part in zip(image, part_of_frame, strict=True)]
            level = found[1].of_waves(correlation.waves, cells, rows_in_overscan=amplifier.rows_in_overscan)
            if correlation.waves[:, 0].any():
                step = float(np.sqrt(12 * max(variance - square, 0.0)))
                white = found[1].white_variance(correlation, level, variance, step)
                seen = electrons**2 * _typical_variance(frame, found[0], part_of_frame)
                frame.scale_noise(found[0], white / seen if seen > 0 else 1.0)
            frame.scale_noise(rows_apart(found[0]), 0.0)
            correlation, factor = correlation.less_level(level)
        correlations.append(correlation)
        left.append(factor)
    return correlations, tuple(left)


def _typical_variance(frame: FrameSoFar, identity: str, part: tuple[slice, slice]) -> float:
    """The median of what a source adds to the variance of the pixels of a part of the frame."""
    cells = [range(n)[along] for n, along in zip(frame.shape, part, strict=True)]
    if not all(cells):
        return 0.0
    rows, columns = (slice(one[0], one[-1] + 1, one.step * max(len(one) // SAMPLED_LINES, 1)) for one in cells)
    item, total = (rows, columns), 0.0
    for source, coefficient in frame.terms or ():
        if source.identity == identity:
            own = frame.values(item) if coefficient.depends_on_own else None
            factor = coefficient.part(item, frame.shape, own)
            total += float(np.nanmedian(np.square(factor) * source.variance.part(item, frame.shape)))
    return total


def _levels_of(terms: Iterable[Term], raw: str) -> list[tuple[str, SubtractedLevel]]:
    """The levels that were subtracted from a frame with these sources, with the identities of their noise."""
    found = [(source.identity, SubtractedLevel.of_identity(source.identity, raw)) for source, _ in terms]
    return [(identity, level) for identity, level in found if level is not None]
