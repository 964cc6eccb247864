"""
The width of noise that is about as small as the step of the digitiser.

Below six tenths of a step the variance of rounded numbers depends on where the level lies between two steps. The
numbers that two biases have at the same pixel tell width and place: their joint likelihood is maximised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["rounded_width"]

#: Wider histograms than this, in steps, are cut.
WIDEST = 12
#: Pixels of a pair that are used at most.
PIXELS = 400_000


def rounded_width(frames: Sequence[NDArray[Any]], good: NDArray[np.bool_], step: float) -> tuple[float, float]:
    """
    The standard deviation of the noise of frames before they were rounded, and its standard uncertainty.

    Parameters
    ----------
    frames : sequence of ndarray, shape (ny, nx)
        Two or more biases.
    good : ndarray of bool, shape (ny, nx)
        The pixels that count.
    step : float
        The step, in the unit of the frames.

    Returns
    -------
    (float, float)
        In the unit of the frames.

    Notes
    -----
    The level of the pixels is taken for normally distributed, about a level of each frame; pairs of frames that have no
    frame in common are taken one by one.
    """
    every = max(1, int(good.sum()) // PIXELS)
    found = []
    for one, other in zip(frames[::2], frames[1::2], strict=False):
        numbers = [
            np.rint((frame[good][::every] - np.median(frame[good])) / step).astype(int) for frame in (one, other)
        ]
        near = (np.abs(numbers[0]) <= WIDEST) & (np.abs(numbers[1]) <= WIDEST)
        counts = np.zeros((2 * WIDEST + 1,) * 2)
        np.add.at(counts, (numbers[0][near] + WIDEST, numbers[1][near] + WIDEST), 1)
        found.append(_fit(counts))
    widths, errors = np.array(found).T
    weights = 1 / errors**2
    return float(step * np.average(widths, weights=weights)), float(step / np.sqrt(weights.sum()))


def _fit(counts: NDArray[np.float64]) -> tuple[float, float]:
    """The width, in steps, and its error, from how often two numbers came together."""
    from scipy.optimize import minimize
    from scipy.special import ndtr

    used = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    low, high = max(used.min() - 1, 0), min(used.max() + 2, len(counts))
    counts = counts[low:high, low:high]
    edges = np.arange(low, high + 1) - WIDEST - 0.5
    nodes = np.linspace(-4, 4, 161)
    density = np.exp(-(nodes**2) / 2)
    density /= density.sum()

    def surprise(parameters: NDArray[np.float64]) -> float:
        width, structure = np.exp(parameters[:2])
        chances = [
            np.diff(ndtr((edges - place - structure * nodes[:, None]) / width), axis=1) for place in parameters[2:]
        ]
        together = np.einsum("b,bi,bj->ij", density, *chances)
        return -float(np.sum(counts * np.log(np.maximum(together, 1e-300))))

    centre = [float(np.average(edges[:-1] + 0.5, weights=counts.sum(axis=axis))) for axis in (1, 0)]
    best = None
    for width, structure in ((0.4, 0.3), (0.2, 0.1), (0.3, 1.0)):
        start = np.array([np.log(width), np.log(structure), *centre])
        now = minimize(surprise, start, method="Nelder-Mead", options={"maxiter": 3000, "xatol": 1e-4, "fatol": 1e-3})
        best = now if best is None or now.fun < best.fun else best
    assert best is not None
    # The curvature, with all parameters free.
    small = 0.01
    curvature = np.empty((4, 4))
    units = small * np.eye(4)
    for i in range(4):
        for j in range(4):
            signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
            terms = [p * q * surprise(best.x + p * units[i] + q * units[j]) for p, q in signs]
            curvature[i, j] = sum(terms) / (4 * small**2)
    variance = float(np.linalg.pinv(curvature, hermitian=True)[0, 0])
    width = float(np.exp(best.x[0]))
    return width, width * np.sqrt(variance) if variance > 0 else width
