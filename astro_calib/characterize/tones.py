"""
Tones in the spectrum of biases: sharp frequencies that stand above the noise, and how well their power is known.

A tone that goes through a whole frame is one draw of its amplitude and phase, however many pixels the frame has. A tone
whose phase each row draws anew extends over many frequencies, and is known far better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.characterize.read_noise import faded, grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.characterize.read_noise import Biases

__all__ = [
    "CELLS",
    "FEW",
    "Tone",
    "above_their_strips",
    "cautious_error",
    "draws",
    "groups",
    "median_of_mean",
    "relative_error",
    "sharp_frequencies",
    "tones_in",
    "whole_strips",
]

#: The spectrum's cells, in cycles a pixel, are not narrower than one part in so many.
CELLS = 32
#: One sharp tone extends over no more frequencies than this.
COMPACT = 9
#: So many parts of a spectrum at one frequency along the row are one tone.
MANY = 4
#: How often a sharp tone may be found where there is none, per spectrum.
FALSE_ALARMS = 1e-3
#: A tone that fades towards the edges fills about so many frequencies.
FILLED = 4
#: What is spread over more is no tone that goes through a whole frame.
FEW = 2.0
#: A tone has hardly more power than so many times all other noise.
STRONGEST = 3.0
#: Only tones that are at least such a part of all other noise are worth a look at each bias.
STRONG = 0.05
#: The amplitude is the same in all frames if it scatters by less than this part; its square is not known better than
#: to the second one.
STEADY, CERTAIN = 0.1, 0.005
#: The fewest frames whose amplitudes may show a circle, which three make in any case.
FEWEST = 5
#: Few amplitudes, drawn anew for each frame, may lie on a circle by chance: of five, six, ... frames one set in 10,000
#: scatters by less than this part (Monte Carlo).
BY_CHANCE = (0.0035, 0.0155, 0.0315, 0.0498, 0.0680, 0.0845)


class Tone(NamedTuple):
    """
    A part ``power * cos(wx dx + wy dy)`` of the autocovariance.

    Parameters
    ----------
    power, uncertainty : float
        Its variance and the standard uncertainty of that.
    wx, wy : float
        Radians a pixel along the row and from row to row.

    Examples
    --------
    >>> from astro_calib.characterize import Tone
    >>> Tone(power=9.0, uncertainty=1.0, wx=2.2, wy=0.0).power
    9.0
    """

    power: float
    uncertainty: float
    wx: float
    wy: float


def sharp_frequencies(
    found: NDArray[np.float64], floor: float, differences: int, used: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Single frequencies that chance does not lift so high."""
    from scipy.special import gammainccinv

    limit = gammainccinv(differences, FALSE_ALARMS / found.size) / differences
    high = used & (found > limit * floor)
    if not high.any():
        return high
    # What leaks from a tone stands beside it.
    beside = gammainccinv(differences, 1e-2) / differences
    return high | (used & grown(high, 2) & (found > beside * floor))


def whole_strips(sharp: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """
    All frequencies of the strips in which many stand out.

    A tone whose phase each row draws anew has one frequency along the row, and all from row to row, of which some stand
    out only by chance.
    """
    from scipy.ndimage import label

    strips, number = label(sharp.any(axis=0))
    for strip in range(1, number + 1):
        columns = strips == strip
        if label(sharp[:, columns], np.ones((3, 3)))[1] >= MANY:
            sharp = sharp | columns
    return sharp


def above_their_strips(
    found: NDArray[np.float64], sharp: NDArray[np.bool_], differences: int, used: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """
    Single frequencies that stand above the others of a strip that is sharp as a whole.

    A tone that goes through whole frames may have the frequency of one whose phase each row draws anew. It was drawn
    far more seldom.
    """
    sharp = sharp & used
    strips = sharp.any(axis=0) & (sharp | ~used).all(axis=0)
    level = np.ones(found.shape[1])
    level[strips] = np.median(found[:, strips], axis=0) / median_of_mean(differences)
    return sharp_frequencies(found / level, 1.0, differences, sharp & strips)


def median_of_mean(number: int) -> float:
    """The median of a mean over so many exponentially distributed numbers, for a mean of 1."""
    from scipy.special import gammaincinv

    return float(gammaincinv(number, 0.5)) / number


def groups(sharp: NDArray[np.bool_]) -> list[list[NDArray[np.intp]]]:
    """
    Places of frequencies that touch each other, taken together.

    What extends over many frequencies, as a tone does whose phase each row draws anew, is cut into pieces.
    """
    from scipy.ndimage import find_objects, label

    names, number = label(sharp, np.ones((3, 3)))
    if not number:
        return []
    places = np.flatnonzero(names)
    name = names.reshape(-1)[places].astype(np.int64)
    extents = [max(part.stop - part.start for part in found) for found in find_objects(names)]
    row, column = np.divmod(places, sharp.shape[1])
    pieces = [at // max(-(-length // CELLS), 2) for at, length in ((row, len(sharp)), (column, 2 * sharp.shape[1]))]
    key = np.where(np.array([0, *extents])[name] > COMPACT, 1 + pieces[0] * len(sharp) * 2 + pieces[1], 0)
    found = []
    order = np.argsort(name, kind="stable")
    for one in np.split(order, np.cumsum(np.bincount(name)[1:])[:-1]):
        within = one[np.argsort(key[one], kind="stable")]
        found.append(np.split(places[within], np.flatnonzero(np.diff(key[within])) + 1))
    return found


def tones_in(power: NDArray[np.float64]) -> float:
    """Over how many independent frequencies a power is spread."""
    return float(np.sum(power)) ** 2 / max(float(np.sum(power**2)), 1e-300) / FILLED


def draws(biases: Biases, power: NDArray[np.float64], wx: float, wy: float, floor: float) -> tuple[float, float]:
    """
    How many independent draws a power comes from, and by which factor it is too small.

    Parameters
    ----------
    biases : Biases
        The biases.
    power : ndarray
        The power at each of the frequencies that belong together.
    wx, wy : float
        Their mean frequency.
    floor : float
        The variance of all other noise.

    Returns
    -------
    (float, float)
        The factor is 1 unless a tone is found to have the same amplitude in all biases.
    """
    number = tones_in(power)
    if number > FEW:
        # Powers that were drawn seldom scatter, and fill fewer frequencies than there are.
        return (biases.differences + 1) * number, 1.0
    steady = _steady(biases, wx, wy, floor) if power.sum() > STRONG * floor else None
    return (biases.differences * max(number, 1.0), 1.0) if steady is None else steady


def _steady(biases: Biases, wx: float, wy: float, floor: float) -> tuple[float, float] | None:
    """
    What `draws` returns of a tone that has the same amplitude in all biases; else None.

    In the complex plane such amplitudes lie on a circle, whose radius is known better than the scatter of its points.
    """
    number = len(biases.frames)
    if number < FEWEST:
        return None
    along_y, along_x = (
        faded(length) * np.exp(-1j * w * np.arange(length))
        for length, w in zip(biases.good.shape, (wy, wx), strict=True)
    )
    levels = biases.levels - biases.levels.mean()
    z = np.array(
        [
            along_y @ (np.where(biases.good, frame - biases.mean - level, 0.0) @ along_x)
            for frame, level in zip(biases.frames, levels, strict=True)
        ]
    )
    # A circle through the points, by linear least squares.
    matrix = np.stack([2 * z.real, 2 * z.imag, np.ones(number)], axis=1)
    (x, y, rest), *_ = np.linalg.lstsq(matrix, np.abs(z) ** 2)
    radius = np.sqrt(max(rest + x**2 + y**2, 0.0))
    scatter = np.sqrt(np.sum((np.abs(z - x - 1j * y) - radius) ** 2) / (number - 3))
    spread = np.sqrt(np.sum(np.abs(z - z.mean()) ** 2) / (number - 1))
    limit = dict(enumerate(BY_CHANCE, start=FEWEST)).get(number, STEADY)
    if radius > 2 * spread or scatter > limit * radius:
        return None
    # White noise alone scatters the points by so much along the radius.
    scatter = max(scatter, np.sqrt(floor * np.sum(np.abs(along_y) ** 2) * np.sum(np.abs(along_x) ** 2) / 2))
    slope = np.array([2 * x, 2 * y, 1.0])
    error = 2 * radius * scatter * np.sqrt(slope @ np.linalg.inv(matrix.T @ matrix) @ slope) / radius**2
    return 1 / float(CERTAIN + error) ** 2, float((radius / spread) ** 2)


def relative_error(draws: float, power: float, floor: float) -> float:
    """
    The relative standard uncertainty of a power that was drawn so many times.

    Parameters
    ----------
    draws : float
        How often; the mean of so many exponentially distributed numbers was measured.
    power, floor : float
        What was measured, and the variance of all other noise.

    Notes
    -----
    The root mean square of true less measured power. True powers of all sizes are equally likely before, up to
    `STRONGEST` times the other noise: two frames whose phases happen to agree hide nearly all of a tone.
    """
    if draws > 100:
        return 1 / float(np.sqrt(draws))
    # True over measured power.
    true = np.geomspace(1e-2, max(STRONGEST * floor / power, STRONGEST), 400)
    chance = -draws * (np.log(true) + 1 / true)
    weight = np.exp(chance - chance.max())
    return float(np.sqrt(np.sum(weight * (true - 1) ** 2) / weight.sum()))


def cautious_error(draws: float) -> float:
    """
    The relative uncertainty of a power that was drawn so many times, of which next to nothing is beyond three times it.

    Few draws are often far too small, and a power that they make too small must still be within two errors of the truth
    as often as it would be if it were normally distributed.
    """
    from scipy.special import gammaincinv, ndtr

    low = float(gammaincinv(draws, ndtr(-2))) / draws
    return (1 / low - 1) / 2 if low else float("inf")
