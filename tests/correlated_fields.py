"""Noise whose neighbours go together, in plain NumPy: drawn, and by its matrix of covariances."""

from __future__ import annotations

import numpy as np

from astro_calib import Correlation
from astro_calib.detector.waves import Level

#: What rows share, and tones: part of the variance, radians along the row, and from row to row; None is no coherence.
CASES = {
    "coherent tone": (0.0, [(0.5, 0.8, 0.35)]),
    "tone of each row": (0.0, [(0.5, 0.8, None)]),
    "rows": (0.3, []),
    "all": (0.1, [(0.3, 0.8, 0.35), (0.2, 2.2, None), (0.1, 1.7, -1.1)]),
}


def autocovariance(row, tones, dy, dx):
    """In parts of the variance."""
    same_row = dy == 0
    total = (1 - row - sum(tone[0] for tone in tones)) * (same_row & (dx == 0)) + row * same_row
    for part, wx, wy in tones:
        total = total + part * (same_row * np.cos(wx * dx) if wy is None else np.cos(wx * dx + wy * dy))
    return total


def covariance_matrix(row, tones, rows, columns):
    """Of pixels at these rows and columns, in parts of the variance."""
    return autocovariance(row, tones, np.subtract.outer(rows, rows), np.subtract.outer(columns, columns))


def variance_of_map(row, tones, rows, columns, amplitudes):
    """The variance of a sum over listed pixels, from the autocorrelation of the map of their amplitudes."""
    image = np.zeros((np.ptp(rows) + 1, np.ptp(columns) + 1))
    image[rows - rows.min(), columns - columns.min()] = amplitudes
    ny, nx = (2 * length - 1 for length in image.shape)
    overlap = np.fft.irfft2(np.abs(np.fft.rfft2(image, (ny, nx))) ** 2, (ny, nx))
    dy, dx = np.meshgrid(*(np.rint(np.fft.fftfreq(n, 1 / n)) for n in (ny, nx)), indexing="ij")
    return np.sum(overlap * autocovariance(row, tones, dy, dx))


def places(shape):
    """Rows and columns of all pixels, one after the other."""
    return tuple(along.ravel() for along in np.indices(shape))


def draw(rng, number, shape, row, tones, sigma=1.0):
    """Fields of noise, shape (number, ny, nx)."""
    y, x = np.indices(shape)
    field = np.sqrt(1 - row - sum(tone[0] for tone in tones)) * rng.standard_normal((number, *shape))
    field += np.sqrt(row) * rng.standard_normal((number, shape[0], 1))
    for part, wx, wy in tones:
        phase, draws = (wx * x, (number, shape[0], 1)) if wy is None else (wx * x + wy * y, (number, 1, 1))
        field += np.sqrt(part) * (
            rng.standard_normal(draws) * np.cos(phase) + rng.standard_normal(draws) * np.sin(phase)
        )
    return sigma * field


def aperture_less_annulus(shape, radius, center):
    """Weights of a disk with soft edges, less the mean of a ring around it."""
    y, x = np.indices(shape)
    distance = np.hypot(y - center[0], x - center[1])
    disk = np.clip(radius + 0.5 - distance, 0, 1)
    ring = (distance >= radius + 4) & (distance < np.hypot(radius + 4, 2 * radius))
    return disk - ring * (disk.sum() / ring.sum())


def level_of(case, axes, shape, overscan):
    """K and its square for the mean over overscan columns (or rows, for a level of each column) beside the image."""
    row, tones = CASES[case]
    ny, nx = shape
    along = (ny if axes == (1,) else nx) + np.arange(overscan)
    amplitudes, squares = [], []
    # The waves in their order, that of rows first.
    for _, wx, wy in Correlation(row, tones).waves:
        if axes == (1,):
            coherent = not np.isnan(wy)
            amplitudes.append(np.exp(1j * wy * along).mean() if coherent else 0)
            squares.append(abs(amplitudes[-1]) ** 2 if coherent else 1 / overscan)
        else:
            in_row = np.exp(1j * wx * along).mean()
            if axes == (0,):
                amplitudes.append(in_row)
                squares.append(abs(in_row) ** 2)
            elif np.isnan(wy):
                amplitudes.append(in_row / ny)
                squares.append(abs(in_row) ** 2 / ny)
            else:
                amplitudes.append(in_row * np.exp(1j * wy * np.arange(ny)).mean())
                squares.append(abs(amplitudes[-1]) ** 2)
    return Level(axes, np.array(amplitudes), np.array(squares))
