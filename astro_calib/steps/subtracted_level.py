"""The overscan level that was subtracted from a frame: which pixels it is of, and what it has of their noise."""

from __future__ import annotations

import ast
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

__all__ = ["OVERSCAN", "SubtractedLevel", "rows_apart", "without_level"]

#: What the noise of a level is called.
OVERSCAN = "overscan"


def rows_apart(identity: str) -> str:
    """The identity of what the rows of the overscan have in common and those of the image have not."""
    return f"{identity}:rows"


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
    """

    axes: tuple[int, ...]
    pixels: tuple[tuple[int, int, int], ...]
    how: str

    def identity(self, raw: str) -> str:
        """The identity of its noise: the same pixels of one raw frame, averaged in the same way, are the same noise."""
        return f"{raw}:{OVERSCAN}:{self.axes}:{[*self.pixels]}:{self.how}"

    @classmethod
    def of_identity(cls, identity: str, raw: str) -> SubtractedLevel | None:
        """The level whose noise has this identity; None if it is none of this raw frame, or a model."""
        start = f"{raw}:{OVERSCAN}:"
        if not identity.startswith(start):
            return None
        try:
            axes, pixels, how = identity.removeprefix(start).split(":", 2)
            result = cls(tuple(ast.literal_eval(axes)), tuple(map(tuple, ast.literal_eval(pixels))), how)
        except (ValueError, SyntaxError):
            return None
        return result if how.endswith(", None") else None

    def lies_in(self, section: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
        """Whether an amplifier that has read this section of a raw frame of this shape has read all of its pixels."""
        return all(
            first in (cells := range(*section[axis].indices(shape[axis]))) and first + step * (number - 1) in cells
            for axis, (first, step, number) in zip(self.axes, self.pixels, strict=True)
        )

    @property
    def number(self) -> int:
        """How many pixels it is the mean of."""
        return int(np.prod([number for _, _, number in self.pixels]))

    @property
    def variance_factor(self) -> float:
        """Variance in units of that of the mean of as many independent pixels."""
        return median_variance_factor(self.number) if self.how.startswith("median") else 1.0

    def of_waves(self, waves: NDArray[np.float64], *, rows_in_overscan: bool) -> Level:
        """
        What the level has of each wave of a correlation, for `Correlation.less_level`.

        Parameters
        ----------
        waves : ndarray, shape (n_waves, 3)
            As `Correlation.waves` returns them; the first is what a row has in common.
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
        return Level(kept, amplitudes, squares)

    def white_part(self, correlation: Correlation, level: Level) -> float:
        """
        The part of the level's variance that is white noise of its pixels, and what a median adds.

        The scatter of the pixels, which the variance was found from, holds all that the level does not follow: tones,
        and for one level of the frame what rows have in common.
        """
        waves, white = correlation.waves, correlation.white
        left = waves[:, 0] * np.maximum(1 - level.squares, 0.0) * self.number / max(self.number - 1, 1)
        seen = white + float(left.sum())
        share = white / seen if seen > 0 else 1.0
        factor = self.variance_factor
        return (share + factor - 1) / factor


def _mean_wave(frequency: NDArray[np.float64], first: int, step: int, number: int) -> NDArray[np.complex128]:
    """The mean of exp(i w x) over cells, for each frequency; NaN for those that are none."""
    return np.exp(1j * np.multiply.outer(frequency, first + step * np.arange(number))).mean(axis=-1)


def without_level(
    frame: FrameSoFar, origin: Origin, detector: Detector, variances: Sequence[float]
) -> tuple[list[Correlation], tuple[float, ...]]:
    """
    How the read noise of each amplifier's pixels goes together after a level of the same noise was subtracted.

    The noise of the level itself gets smaller by what it has of tones and rows.

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

    Returns
    -------
    correlations : list of Correlation
        In parts of what is left of the variances.
    left : tuple of float
        What each variance is multiplied by.
    """
    raw = origin.raw.identity()
    found = _level_of(frame.terms or (), raw)
    sections = detector.sections(origin.raw.shape)
    correlations, left = [], []
    for amplifier, section, variance in zip(detector.amplifiers, sections, variances, strict=True):
        correlation, factor = amplifier.correlation or Correlation(), 1.0
        # What rounding adds is white.
        part = min(float(amplifier.read_noise.value) ** 2 / variance, 1.0) if variance else 0.0
        correlation = Correlation.of_waves(correlation.waves * [part, 1, 1])
        if found is not None and (len(sections) == 1 or found[1].lies_in(section, origin.raw.shape)):
            level = found[1].of_waves(correlation.waves, rows_in_overscan=amplifier.rows_in_overscan)
            frame.scale_noise(found[0], found[1].white_part(correlation, level))
            frame.scale_noise(rows_apart(found[0]), 0.0)
            correlation, factor = correlation.less_level(level)
        correlations.append(correlation)
        left.append(factor)
    return correlations, tuple(left)


def _level_of(terms: Iterable[Term], raw: str) -> tuple[str, SubtractedLevel] | None:
    """The last level that was subtracted from a frame with these sources, with the identity of its noise."""
    found = [(source.identity, SubtractedLevel.of_identity(source.identity, raw)) for source, _ in terms]
    levels = [(identity, level) for identity, level in found if level is not None]
    return levels[-1] if levels else None
