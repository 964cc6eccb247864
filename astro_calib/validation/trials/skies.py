"""What the trials of sky, fringes and illumination simulate, in plain NumPy: frames in electrons, with known noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "AMPLITUDE",
    "APERTURES",
    "FRINGES",
    "LIT",
    "NOISE",
    "OFFSETS",
    "OVERSCAN",
    "PATTERN_NOISE",
    "PLACES",
    "SHAPE",
    "SIDE",
    "SIGNAL",
    "SMALL",
    "Skies",
    "fringed",
    "illuminated",
    "series",
    "sloping",
]

#: The frames of the fits, and where the sums over apertures are taken: so many pixels on a side, one in each cell.
SHAPE, CELL, SIDE = (128, 128), 16, 6
PLACES = [(row, column) for row in range(5, SHAPE[0], CELL) for column in range(5, SHAPE[1], CELL)]
APERTURES = np.zeros(SHAPE, dtype=bool)
for _row, _column in PLACES:
    APERTURES[_row : _row + SIDE, _column : _column + SIDE] = True
#: Noise of a pixel, and of the level of the overscan, which all pixels of a frame share.
NOISE, OVERSCAN = 8.0, 1.5
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
#: A pattern of fringes, how strong it is in the frames, and the noise of its master.
FRINGES = np.sin(X / 4 + Y / 9) + 0.5 * np.sin(Y / 5)
AMPLITUDE, PATTERN_NOISE = 12.0, 0.15
U, V = 2 * X / (SHAPE[1] - 1) - 1, 2 * Y / (SHAPE[0] - 1) - 1
#: What the sky lights more than the lamp of the flat.
LIT = np.exp(0.05 * U - 0.08 * V**2 + 0.03 * U * V)
LIT = LIT / LIT.mean()
#: Light of the flat, which is the mean of many; of each sky flat; and of the frames.
LAMP, TWILIGHT, SIGNAL = 4e6, 400.0, 2e4
#: The frames of a series, which the telescope moves between: what all have in common is ``SMALL``.
NUMBER, SERIES, SMALL = 10, (72, 72), (64, 64)
OFFSETS = [(0, 0), (3, 7), (8, 2), (5, 5), (1, 8), (7, 0), (2, 4), (6, 8), (4, 1), (8, 6)]
FLAT_SKY = 1 + 0.03 * np.sin(X / 4) * np.cos(Y / 9)


class Skies(NamedTuple):
    """Frames to be reduced, and those of which a master is made, or the pixels of the master."""

    frames: list[NDArray[np.float64]]
    masters: list[NDArray[np.float64]]


def sloping(rng: np.random.Generator, number: int) -> Skies:
    """Frames of a sky with a slope and a curve, and a level of the overscan that is off, each in its own way."""
    frames = []
    for _ in range(number):
        slopes = rng.normal(0, 20, 3)
        sky = 300 + slopes[0] * U + slopes[1] * V + slopes[2] * U * V
        frames.append(rng.normal(sky + rng.normal(0, OVERSCAN), NOISE))
    return Skies(frames, [])


def fringed(rng: np.random.Generator, number: int) -> Skies:
    """Frames of a sky with fringes, and the master of these."""
    frames = [rng.normal(300 + 20 * U + AMPLITUDE * FRINGES, NOISE) for _ in range(number)]
    return Skies(frames, [rng.normal(FRINGES, PATTERN_NOISE)])


def illuminated(rng: np.random.Generator, number: int) -> Skies:
    """Evenly lit frames, three flats of the sky, and last the flat of a lamp."""
    skies = [_light(rng, TWILIGHT * LIT) for _ in range(3)]
    frames = [_light(rng, SIGNAL * LIT) for _ in range(number)]
    return Skies(frames, [*skies, _light(rng, np.full(SHAPE, LAMP))])


def series(rng: np.random.Generator, number: int = NUMBER) -> Skies:
    """Frames of a sky that gets brighter, and shows a pattern that the flat left, in electrons."""
    pattern = FLAT_SKY[: SERIES[0], : SERIES[1]]
    levels = 300 + 10 * np.arange(number)
    return Skies([rng.normal(level * pattern + rng.normal(0, OVERSCAN), NOISE) for level in levels], [])


def _light(rng: np.random.Generator, electrons: NDArray[np.float64]) -> NDArray[np.float64]:
    """Electrons with their shot noise."""
    return np.asarray(rng.normal(electrons, np.sqrt(electrons)))
