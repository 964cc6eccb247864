"""The noise of empty apertures in differences, which sees what correlates far away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.characterize.audit.samples import Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.characterize.audit.model import State, Wave

__all__ = ["RADII", "sums_of", "variance_of_sums", "weights_of"]

#: Radii of the apertures, pixels.
RADII = (2.0, 3.0, 5.0, 8.0, 11.0, 15.0)
#: The sky is taken in a ring whose radii are larger than that of the aperture by these, pixels.
RING = (3.0, 8.0)
#: Fewer independent numbers tell no error.
FEWEST_BANDS = 4


def weights_of(radius: float) -> NDArray[np.float64]:
    """Weights of the pixels: 1 in the aperture, and such in the ring that all together are zero."""
    outer = radius + RING[1]
    half = int(np.ceil(outer))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    distance = np.hypot(y, x)
    inside = (distance <= radius).astype(float)
    ring = (distance > radius + RING[0]) & (distance <= outer)
    return np.asarray(inside - ring * inside.sum() / ring.sum())


def sums_of(frames: Sequence[NDArray[Any]], good: NDArray[np.bool_], gain: float) -> tuple[Sums, ...]:
    """The sums in the differences of consecutive frames, at all places where no more than a tenth is bad."""
    from scipy.signal import fftconvolve

    found = []
    for radius in RADII:
        weights = weights_of(radius)
        if min(good.shape) < 2 * len(weights):
            break
        usable = fftconvolve(~good, weights != 0, "valid") < 0.1 * np.count_nonzero(weights)
        means, numbers = [], []
        # Apertures that overlap, or lie in the same rows, are not independent; bands of rows are.
        bands = np.arange(usable.shape[0]) // int(np.ceil(2 * radius))
        for one, other in zip(frames[1::2], frames[::2], strict=False):
            difference = gain * np.subtract(one, other, dtype=float) / np.sqrt(2)
            difference = np.where(good, difference - difference[good].mean(), 0.0)
            squares = np.where(usable, fftconvolve(difference, weights, "valid"), 0.0) ** 2
            numbers.append(np.bincount(bands, usable.sum(axis=1)))
            means.append(np.bincount(bands, squares.sum(axis=1)) / np.maximum(numbers[-1], 1))
        mean, number = np.concatenate(means), np.concatenate(numbers)
        if np.count_nonzero(number) < FEWEST_BANDS:
            continue
        variance = float(np.average(mean, weights=number))
        error = np.sqrt(np.sum((number * (mean - variance)) ** 2)) / number.sum()
        found.append(Sums(radius=radius, variance=variance, uncertainty=float(error)))
    return tuple(found)


def variance_of_sums(radius: float, white: float, state: State, stated: Iterable[Wave] = ()) -> float:
    """The predicted variance of a sum: of white noise with this variance, of rows and tones, and stated ones."""
    weights = weights_of(radius)
    result = white * float(np.sum(weights**2)) + state.all_rows * float(np.sum(weights.sum(axis=1) ** 2))
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    for wave in (*state.tones, *stated):
        waves = weights * np.exp(1j * wave.wx * x)
        if wave.coherent:
            result += wave.power * float(np.abs(np.sum(waves * np.exp(1j * wave.wy * y))) ** 2)
        else:
            result += wave.power * float(np.sum(np.abs(waves.sum(axis=1)) ** 2))
    return result
