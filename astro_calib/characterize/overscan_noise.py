"""
The parts that the noise of a few columns of overscan has: white, rows and tones.

What is sharp from row to row are tones that go on through the frame. The rest has a phase of its own in each row, and
is found as cosines, none of them negative, that explain the covariances of pixels in a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.characterize.read_noise import robust_width
from astro_calib.kernels.medians import median_of_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["NoiseParts", "noise_of", "parts_of"]

#: A pixel that is so many standard deviations off is none of the noise.
CLIP = 5.0
#: An axis along which so many pixels are averaged shows a profile that is none of the noise.
MANY = 200
#: Largest degree of the drift of the level, and how many rows it takes to see one degree more.
DRIFT, ROWS_A_DEGREE = 8, 64
#: How often a sharp tone may be found where there is none.
FALSE_ALARMS = 1e-3
#: Searches for tones, and the weakest that is taken with the strongest.
SEARCHES, WITH_STRONGEST = 12, 0.3
#: The largest distance along a row, and how many frequencies are tried.
REACH, FREQUENCIES = 20, 161
#: The largest distance across rows that is looked at.
ROWS = 4
#: A known tone of so much of the variance may be stronger or weaker.
STRONG = 0.005
#: So much of the variance in tones costs the fit as much as one error of a covariance.
COMB = 0.15


class NoiseParts(NamedTuple):
    """
    The parts of noise, in the square of its unit.

    Attributes
    ----------
    white, row : float
        Of each pixel, and what the pixels of a row have in common.
    tones : ndarray, shape (n, 3)
        Power, and radians from pixel to pixel along a row and from row to row, NaN where each row has a phase of its
        own.
    """

    white: float
    row: float
    tones: NDArray[np.float64]


def noise_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values less their level, its drift and profiles that all rows or columns have; 0 where one is far off."""
    values = np.where(np.isfinite(values), values, np.nan)
    values = values - np.nanmedian(values)
    for _ in range(2):
        # Whole numbers may be one off whatever their noise.
        width = max(robust_width(values[np.isfinite(values)]), 0.5)
        values[np.abs(values) > CLIP * width] = np.nan
        for axis in (0, 1):
            values -= _profile(values, axis)
    return np.nan_to_num(values)


def _profile(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The means over an axis: all of them if they are known well, else their drift; broadcasts to the values."""
    number = np.isfinite(values).sum(axis=axis)
    means = np.nansum(values, axis=axis) / np.maximum(number, 1)
    # What rows have in common is noise: off is taken only how the level drifts.
    if axis == 1 or values.shape[axis] < MANY:
        place, degree = np.linspace(-1, 1, means.size), min(means.size // ROWS_A_DEGREE, DRIFT)
        means = np.polynomial.legendre.legval(place, np.polynomial.legendre.legfit(place, means, degree, w=number > 0))
    return np.expand_dims(means, axis)


def _sharp_tones(noise: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tones that are sharp from row to row, as a table of power and both frequencies, and the noise without them."""
    from scipy.fft import next_fast_len, rfft2

    ny, nx = noise.shape
    # Twice as fine as the rows resolve, and finer along the columns, of which there are few.
    shape = (next_fast_len(2 * ny, real=True), next_fast_len(4 * nx, real=True))
    limit = np.log(noise.size / FALSE_ALARMS)
    found: list[tuple[float, float, float]] = []
    rest = noise
    for _ in range(SEARCHES):
        power = np.square(np.abs(rfft2(rest, shape))) / noise.size
        floor = median_of_rows(power.T) / np.log(2)
        high = np.argwhere(power > np.maximum(limit * floor, WITH_STRONGEST * power.max() * (power > limit * floor)))
        if not high.size:
            break
        high = high[np.argsort(-power[tuple(high.T)])]
        chosen: list[tuple[float, float]] = []
        for row, column in high:
            wx, wy = (
                2 * np.pi * _peak(power, (row, column), axis) / length
                for axis, length in ((1, shape[1]), (0, shape[0]))
            )
            within = (4 * np.pi / ny, 4 * np.pi / nx)
            if not _is_among((wx, wy), chosen, within):
                chosen.append((wx, wy))
        if not chosen:
            break
        sizes, waves = _fitted_waves(rest, np.array(chosen))
        rest = rest - waves
        found += [(float(pair @ pair) / 2, *place) for pair, place in zip(sizes, chosen, strict=True)]
    return np.array(found).reshape(-1, 3), rest


def _fitted_waves(
    values: NDArray[np.float64], places: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Fit plane waves to an image; return the sizes of the cosine and the sine of each, and the sum of all.

    A wave is a product of one along a row and one along a column, and so is the sum of the products of two waves.
    """
    along, down = (np.exp(1j * np.outer(w, np.arange(n))) for w, n in zip(places.T, values.shape[::-1], strict=True))
    more, less = (down @ down.T) * (along @ along.T), (down @ down.conj().T) * (along @ along.conj().T)
    products = np.block([[(less + more).real, (more - less).imag], [(more + less).imag, (less - more).real]]) / 2
    # NumPy's own loops: the threads of a library of matrices wait for each other longer than such a product takes.
    with_values = np.einsum("ky,yx,kx->k", down, values, along)
    sizes = np.linalg.lstsq(products, np.concatenate([with_values.real, with_values.imag]), rcond=None)[0].reshape(
        2, -1
    )
    waves = np.einsum("k,ky,kx->yx", sizes[0] - 1j * sizes[1], down, along).real
    return sizes.T, waves


def _peak(power: NDArray[np.float64], at: tuple[int, int], axis: int) -> float:
    """The place of a peak along an axis, by the parabola through it and its neighbours."""
    line = power[:, at[1]] if axis == 0 else power[at[0]]
    place = at[axis]
    if axis == 1 and not 0 < place < len(line) - 1:
        return float(place)
    before, here, after = (float(line[(place + step) % len(line)]) for step in (-1, 0, 1))
    curvature = before - 2 * here + after
    return place + (float(np.clip((before - after) / (2 * curvature), -0.5, 0.5)) if curvature < 0 else 0.0)


def _is_among(place: tuple[float, float], others: Sequence[tuple[float, float]], within: tuple[float, float]) -> bool:
    """Whether a frequency along and across the rows is one of the others, within so much across and along."""
    wx, wy = place
    # A wave that goes the other way is the same.
    return any(
        np.hypot(_turn(wy - sign * one[1]) / within[0], _turn(wx - sign * one[0]) / within[1]) < 1
        for one in others
        for sign in (1, -1)
    )


def _turn(angle: float) -> float:
    """The same angle from -pi to pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def parts_of(noise: NDArray[np.float64], known: NDArray[np.float64]) -> NoiseParts:
    """
    Find white part, rows and tones of noise, none of them negative.

    Parameters
    ----------
    noise : ndarray, shape (ny, nx)
        As `noise_of` returns it.
    known : ndarray, shape (n, 3)
        Power and both frequencies of tones that others had. Strong ones may be stronger or weaker here; few columns do
        not tell the others, which are taken as they are.

    Returns
    -------
    NoiseParts
        Whose sum is the variance of the noise, unless the known tones have more.
    """
    from scipy.optimize import nnls

    sharp, noise = _sharp_tones(noise)
    nx = noise.shape[1]
    reach = min(nx - 2, REACH)
    lags = [(0, dx) for dx in range(reach + 1)]
    if len(known):
        lags += [(dy, dx) for dy in range(1, ROWS + 1) for dx in range(-reach // 2, reach // 2 + 1)]
    dy, dx = np.array(lags).T
    found = np.array([_covariance(noise, *lag) for lag in lags])
    variance = max(float(found[0]), 1e-12)
    frequencies = np.linspace(0, np.pi, FREQUENCIES)
    same_row, here = dy == 0, (dy == 0) & (dx == 0)
    changing = same_row[:, None] * np.cos(np.multiply.outer(dx, frequencies))
    strong = known[:, 0] > STRONG * variance
    found = found - _on_lags(known[~strong], dx, dy)
    model = np.column_stack([here, changing, _on_lags(known[strong], dx, dy)])
    # In units of the errors; the variance is to be met.
    weight = np.sqrt(noise.size * (1 - np.abs(dx) / nx)) / variance * np.where(here, 10.0, 1.0)
    # A comb of tones is white, too, as far as these lags reach: white comes first.
    comb = np.zeros(model.shape[1])
    comb[1 : 1 + FREQUENCIES] = 1 / (COMB * variance)
    parts, _ = nnls(np.vstack([model * weight[:, None], comb]), np.append(found * weight, 0.0))
    each_row = np.column_stack([parts[2 : 1 + FREQUENCIES], frequencies[1:], np.full(FREQUENCIES - 1, np.nan)])
    table = np.concatenate([sharp, each_row, known[strong] * [parts[-1], 1, 1], known[~strong]])
    return NoiseParts(float(parts[0]), float(parts[1]), table[table[:, 0] > 0])


def _on_lags(tones: NDArray[np.float64], dx: NDArray[np.intp], dy: NDArray[np.intp]) -> NDArray[np.float64]:
    """The covariances of tones at distances."""
    return np.sum([part * np.cos(wx * dx + wy * dy) for part, wx, wy in tones], axis=0) + np.zeros(dx.shape)


def _covariance(noise: NDArray[np.float64], dy: int, dx: int) -> float:
    """The mean product of pixels at a distance."""
    ny, nx = noise.shape
    first = noise[dy:, max(dx, 0) : nx + min(dx, 0)]
    return float(np.mean(first * noise[: ny - dy, max(-dx, 0) : nx - max(dx, 0)]))
