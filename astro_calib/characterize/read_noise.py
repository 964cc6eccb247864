"""Biases: their mean, what differs from one to the next, and the robust widths that tell hits from noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.characterize.lags import autocovariance, power_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["TAPER", "Biases", "bias_level", "biases_of", "faded", "grown", "robust_width", "thinned"]

#: A pixel that is so many standard deviations off is none of the noise.
CLIP = 5.0
#: As many values as this tell a width well enough to clip at it.
SAMPLE = 60_000
#: The part of each axis over which differences fade.
TAPER = 0.5


class Biases(NamedTuple):
    """
    What biases have in common, and how they differ.

    Attributes
    ----------
    frames : sequence of ndarray, shape (ny, nx)
        The biases themselves, adu.
    mean : ndarray, shape (ny, nx)
        Their mean, adu.
    good : ndarray of bool, shape (ny, nx)
        The pixels that are nowhere hit or bad.
    levels : ndarray, shape (n,)
        The level of each, relative to the first, adu.
    periodogram : ndarray, shape (ny, nx // 2 + 1)
        The mean over n - 1 independent differences; its mean over all frequencies is a bias's variance, adu^2.
    lags : ndarray, shape (REACH + 1, 2 REACH + 1)
        The autocovariance of a bias, adu^2.
    pixels : int
        How many are good.
    """

    frames: Sequence[NDArray[Any]]
    mean: NDArray[np.float64]
    good: NDArray[np.bool_]
    levels: NDArray[np.float64]
    periodogram: NDArray[np.float64]
    lags: NDArray[np.float64]
    pixels: int

    @property
    def differences(self) -> int:
        """How many independent differences there are."""
        return len(self.levels) - 1

    def tapered(self) -> NDArray[np.float64]:
        """The periodogram of differences without the means of their rows that fade to the edges: tones stay narrow."""
        window = np.outer(*(faded(length) for length in self.good.shape)) * self.good
        number = np.maximum(self.good.sum(axis=1, keepdims=True), 1)
        power = np.zeros_like(self.periodogram)
        for residual in _residuals(self.frames, self.good):
            power += power_of((residual - residual.sum(axis=1, keepdims=True) / number) * window)
        return power / max(np.sum(window**2), 1.0) / self.differences


def thinned(values: NDArray[Any]) -> NDArray[Any]:
    """Enough of the values to tell where their middle is."""
    # An odd distance does not stay in even columns.
    return values[:: values.size // SAMPLE | 1]


def robust_width(values: NDArray[np.float64]) -> float:
    """
    The standard deviation of most of the values: 1.4826 median absolute deviations, then without what is far off.

    Whole numbers have a median absolute deviation that is wrong by half a step; the second look is at all of them.
    """
    values = thinned(values)
    centre = float(np.median(values))
    width = 1.4826 * float(np.median(np.abs(values - centre)))
    if width == 0:
        width = 0.7413 * float(np.subtract(*np.percentile(values, (99, 1)))) / 1.7256 or float(np.std(values))
    for _ in range(3):
        kept = values[np.abs(values - centre) <= CLIP * max(width, 1e-12)]
        centre, width = float(np.mean(kept)), float(np.std(kept))
    return width


def faded(length: int) -> NDArray[np.float64]:
    """Weights along an axis that fade towards both ends over `TAPER` of it in all, as a cosine (Tukey's window)."""
    from_end = np.minimum(np.arange(length), np.arange(length)[::-1])
    return np.asarray((1 - np.cos(np.pi * np.minimum(2 * from_end / (TAPER * (length - 1)), 1))) / 2)


def grown(bad: NDArray[np.bool_], by: int = 1) -> NDArray[np.bool_]:
    """``bad`` and all pixels up to ``by`` away."""
    if not bad.any():
        return bad
    # A square is made along one axis after the other, in a tenth of the time that a general shape takes.
    for axis in [0, 1] * by:
        wide = bad.copy()
        ahead, behind = np.moveaxis(wide, axis, 0), np.moveaxis(bad, axis, 0)
        ahead[1:] |= behind[:-1]
        ahead[:-1] |= behind[1:]
        bad = wide
    return bad


def bias_level(difference: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The level of a difference of biases, and its slope along an axis where that is certain; broadcasts to it."""
    number = np.maximum(good.sum(), 1)
    filled = np.where(good, difference, 0.0)
    level = filled.sum() / number * np.ones((1, 1))
    for axis in (0, 1):
        along = 1 - axis
        count = good.sum(axis=along)
        profile = (filled.sum(axis=along) / np.maximum(count, 1) - level.mean())[count > 0]
        place = np.arange(len(count), dtype=float)
        place -= place.mean()
        x = place[count > 0]
        if len(x) < 8:
            continue
        slope = (x @ profile) / (x @ x)
        error = np.sqrt(np.mean((profile - slope * x) ** 2) / (x @ x))
        if abs(slope) > CLIP * error:
            level = level + slope * (place[:, None] if axis == 0 else place[None, :])
    return level


def biases_of(frames: Sequence[NDArray[Any]], good: NDArray[np.bool_]) -> Biases:
    """
    Look at the differences of biases.

    Each bias is compared with the mean of those before it: n biases make n - 1 differences that are independent.

    Parameters
    ----------
    frames : sequence of ndarray, shape (ny, nx)
        Two or more, adu.
    good : ndarray of bool, shape (ny, nx)
        Pixels that are known to be good.

    Returns
    -------
    Biases
        Their mean, levels and autocovariance.
    """
    first = np.asarray(frames[0], dtype=float)
    good = good.copy()
    levels = [0.0]
    for difference in _differences(frames):
        sample = thinned(difference[good])
        centre = np.median(sample)
        off = np.abs(difference - centre) > CLIP * max(robust_width(sample - centre), 0.5)
        good &= ~grown(off)
    levels += [float(np.mean(frame - first, where=good)) for frame in frames[1:]]
    pixels = int(good.sum())
    periodogram = np.zeros((good.shape[0], good.shape[1] // 2 + 1))

    def residuals() -> Iterator[NDArray[np.float64]]:
        # Each is made once, and looked at twice.
        for residual in _residuals(frames, good):
            np.add(periodogram, power_of(residual), out=periodogram)
            yield residual

    lags = autocovariance(residuals(), good).values
    total = first.copy()
    for frame in frames[1:]:
        total += frame
    number = len(frames)
    return Biases(
        frames, total / number, good, np.array(levels), periodogram / max(pixels, 1) / (number - 1), lags, pixels
    )


def _residuals(frames: Sequence[NDArray[Any]], good: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
    """The differences without their levels, 0 where they are not good."""
    for difference in _differences(frames):
        yield np.where(good, difference - bias_level(difference, good), 0.0)


def _differences(frames: Sequence[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
    """Each frame less the mean of those before it, with the noise of one frame."""
    mean = frames[0].astype(float)
    for number, frame in enumerate(frames[1:], start=1):
        difference = frame - mean
        mean += difference / (number + 1)
        difference *= np.sqrt(number / (number + 1))
        yield difference
