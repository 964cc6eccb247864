"""
The noise of reading out, from biases: a white part, a part that the pixels of a row share, and tones.

The differences of biases are looked at as a spectrum. White noise is the floor of it, a row's common part a ridge where
the frequency along the row is zero, tones are what stands above these: sharp ones, and broad ones in cells. In cells
the cosines of the autocovariance do not overlap, so that no part can come out negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.characterize.lags import REACH, autocovariance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Biases", "Spectrum", "Tone", "bias_level", "biases_of", "grown", "robust_width", "spectrum_of"]

#: A pixel that is so many standard deviations off is none of the noise.
CLIP = 5.0
#: As many values as this tell a width well enough to clip at it.
SAMPLE = 200_000
#: The spectrum's cells, in cycles a pixel, are not narrower than one part in so many.
CELLS = 32
#: A cell holds so many independent frequencies or more, and stands out by so many standard deviations.
IN_CELL, STANDS_OUT = 16, 4.5
#: The part of each axis over which differences fade, and the part of the information that is left after it.
TAPER = 0.5
LEFT_BY_TAPER = ((1 - 5 * TAPER / 8) ** 2 / (1 - 93 * TAPER / 128)) ** 2
#: One sharp tone extends over no more frequencies than this.
COMPACT = 9
#: How often a sharp tone may be found where there is none, per spectrum.
FALSE_ALARMS = 1e-3


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


class Biases(NamedTuple):
    """
    What biases have in common, and how they differ.

    Attributes
    ----------
    mean : ndarray, shape (ny, nx)
        Their mean, adu.
    good : ndarray of bool, shape (ny, nx)
        The pixels that are nowhere hit or bad.
    levels : ndarray, shape (n,)
        The level of each, relative to the first, adu.
    periodogram : ndarray, shape (ny, nx // 2 + 1)
        The mean over n - 1 independent differences; its mean over all frequencies is a bias's variance, adu^2.
    tapered : ndarray of the same shape
        The same of differences without the means of their rows that fade towards the edges: tones stay narrow.
    lags : ndarray, shape (REACH + 1, 2 REACH + 1)
        The autocovariance of a bias, adu^2.
    pixels : int
        How many are good.
    """

    mean: NDArray[np.float64]
    good: NDArray[np.bool_]
    levels: NDArray[np.float64]
    periodogram: NDArray[np.float64]
    tapered: NDArray[np.float64]
    lags: NDArray[np.float64]
    pixels: int

    @property
    def differences(self) -> int:
        """How many independent differences there are."""
        return len(self.levels) - 1


class Spectrum(NamedTuple):
    """
    The parts of the read-out noise, adu^2, each with its standard uncertainty.

    Attributes
    ----------
    white, row : (float, float)
        The part that is independent from pixel to pixel, with what rounding adds, and that of whole rows.
    tones : list of Tone
        The strongest first.
    total : (float, float)
        Sum of all.
    lags : ndarray, shape (2 REACH + 1, 4 REACH + 1)
        The autocovariance that these parts have, at dy from 0 and dx from -2 REACH.
    power : ndarray of the same shape
        The autocovariance convolved with itself, for `covariance_of_lags`.
    """

    white: tuple[float, float]
    row: tuple[float, float]
    tones: list[Tone]
    total: tuple[float, float]
    lags: NDArray[np.float64]
    power: NDArray[np.float64]


def robust_width(values: NDArray[np.float64]) -> float:
    """
    The standard deviation of most of the values: 1.4826 median absolute deviations, then without what is far off.

    Whole numbers have a median absolute deviation that is wrong by half a step; the second look is at all of them.
    """
    values = values[:: max(1, values.size // SAMPLE)]
    centre = float(np.median(values))
    width = 1.4826 * float(np.median(np.abs(values - centre)))
    if width == 0:
        width = 0.7413 * float(np.subtract(*np.percentile(values, (99, 1)))) / 1.7256 or float(np.std(values))
    for _ in range(3):
        kept = values[np.abs(values - centre) <= CLIP * max(width, 1e-12)]
        centre, width = float(np.mean(kept)), float(np.std(kept))
    return width


def grown(bad: NDArray[np.bool_], by: int = 1) -> NDArray[np.bool_]:
    """``bad`` and all pixels up to ``by`` away."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(bad, np.ones((3, 3), bool), iterations=by) if bad.any() else bad


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
    from scipy.fft import rfft2
    from scipy.signal.windows import tukey

    first = np.asarray(frames[0], dtype=float)
    good = good.copy()
    levels = [0.0]
    for difference in _differences(frames):
        centred = difference - np.median(difference[good])
        width = robust_width(centred[good])
        good &= ~grown(np.abs(centred) > CLIP * max(width, 0.5))
    levels += [float(np.mean((frame - first)[good])) for frame in frames[1:]]
    pixels = int(good.sum())

    def residuals() -> Iterator[NDArray[np.float64]]:
        for difference in _differences(frames):
            yield np.where(good, difference - bias_level(difference, good), 0.0)

    window = np.outer(*(tukey(length, TAPER) for length in good.shape)) * good
    periodogram, tapered = 0.0, 0.0
    for residual in residuals():
        periodogram = periodogram + np.square(np.abs(rfft2(residual)))
        rows = residual.sum(axis=1, keepdims=True) / np.maximum(good.sum(axis=1, keepdims=True), 1)
        tapered = tapered + np.square(np.abs(rfft2((residual - rows) * window)))
    number = len(frames) - 1
    return Biases(
        sum(frame.astype(float) for frame in frames[1:]) / len(frames) + first / len(frames),
        good,
        np.array(levels),
        np.asarray(periodogram / max(pixels, 1) / number),
        np.asarray(tapered / max(np.sum(window**2), 1.0) / number),
        autocovariance(residuals(), good).values,
        pixels,
    )


def _differences(frames: Sequence[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
    """Each frame less the mean of those before it, with the noise of one frame."""
    mean = frames[0].astype(float)
    for number, frame in enumerate(frames[1:], start=1):
        difference = frame - mean
        mean += difference / (number + 1)
        difference *= np.sqrt(number / (number + 1))
        yield difference


def spectrum_of(biases: Biases) -> Spectrum:
    """
    The white part, the row part and the tones of the noise of biases.

    Parameters
    ----------
    biases : Biases
        What `biases_of` found.

    Returns
    -------
    Spectrum
        Parts, none of them negative, whose sum is the variance.
    """
    ny, nx = biases.good.shape
    found = biases.periodogram
    wy = 2 * np.pi * np.fft.fftfreq(ny)[:, None] + np.zeros_like(found)
    wx = 2 * np.pi * np.fft.rfftfreq(nx)[None, :] + np.zeros_like(found)
    # How many independent numbers a frequency holds: the first column, and the last for an even width, come twice.
    own = np.full(found.shape, float(biases.differences))
    own[:, 0] /= 2
    if nx % 2 == 0:
        own[:, -1] /= 2
    share = 2 * own / biases.differences / (nx * ny)
    inside = np.ones(found.shape, bool)
    inside[0, 0] = False
    column = inside.copy()
    column[:, 1:] = False
    rest = inside & ~column

    whole = own
    # Where there are no tones nothing leaks, and all of the information is used.
    white, cells = _floor(found, own, rest, wx, wy)
    sharp = _sharp(found, white, biases.differences, rest)
    if cells or sharp.any():
        found = np.where(column, found, biases.tapered)
        own = np.where(column, own, own * LEFT_BY_TAPER)
        # The column beside the ridge lost a part of its power with the rows' means.
        rest[:, 1] = False
        white, _ = _floor(found, own, rest, wx, wy)
        sharp = _sharp(found, white, biases.differences, rest)
        white, cells = _floor(found, own, rest & ~sharp, wx, wy)
    ridge = max(float(np.median(found[column])) / _median_of_mean(biases.differences), white)
    sharp |= _sharp(found, ridge, biases.differences, column)
    ridge = max(float(np.mean(found[column & ~sharp])), white)

    model = np.where(column, ridge, white)
    doubt = np.ones(found.shape)
    # Flat views, for places are numbers.
    flat = [array.reshape(-1) for array in (found, own, whole, share, wx, wy, model, doubt)]
    found_at, own_at, whole_at, share_at, wx_at, wy_at, model_at, doubt_at = flat
    tones = []
    kept = rest & ~sharp
    for cell, level in cells:
        model_at[cell] = level
        error = level * np.sqrt(np.sum(share_at[cell] ** 2 / own_at[cell]))
        place = [float(np.average(w[cell], weights=own_at[cell])) for w in (wx_at, wy_at)]
        tones.append(Tone(float((level - white) * share_at[cell].sum()), float(error), *place))
        kept.reshape(-1)[cell] = False
    for group in _groups(sharp):
        power = np.maximum(found_at[group] - model_at[group], 0) * share_at[group]
        model_at[group] = np.maximum(found_at[group], model_at[group])
        # One tone that fades towards the edges fills about four frequencies.
        tones_in_it = max(power.sum() ** 2 / max(np.sum(power**2), 1e-300) / 4, 1.0)
        error = _relative_error(biases.differences * tones_in_it) * power.sum()
        plain = np.sqrt(np.sum((model_at[group] * share_at[group]) ** 2 / whole_at[group]))
        doubt_at[group] = max(error / plain, 1.0)
        place = [float(np.average(w[group], weights=np.maximum(power, 1e-300))) for w in (wx_at, wy_at)]
        tones.append(Tone(float(power.sum()), float(error), *place))
    tones.sort(key=lambda tone: -tone.power)

    white_error = white / np.sqrt(own[kept].sum())
    row_error = ridge / np.sqrt(own[column].sum()) / nx
    total = white + (ridge - white) / nx + sum(tone.power for tone in tones)
    total_error = np.sqrt(np.sum((doubt * model * share)[inside] ** 2 / whole[inside]))
    return Spectrum(
        (white, float(white_error)),
        ((ridge - white) / nx, float(row_error)),
        tones,
        (float(total), float(total_error)),
        _on_lags(model, (ny, nx)),
        _on_lags((doubt * model) ** 2, (ny, nx)),
    )


def _relative_error(draws: float) -> float:
    """
    The relative standard uncertainty of a power that was drawn so many times.

    Few draws are often far too small, and a power that they make too small must still be within two errors of the
    truth as often as it would be if it were normally distributed.
    """
    from scipy.stats import gamma, norm

    low = float(gamma.ppf(norm.cdf(-2), draws)) / draws
    return (1 / low - 1) / 2


def _median_of_mean(number: int) -> float:
    """The median of a mean over so many exponentially distributed numbers, for a mean of 1."""
    from scipy.stats import gamma

    return float(gamma.median(number, scale=1 / number))


def _floor(
    found: NDArray[np.float64],
    own: NDArray[np.float64],
    used: NDArray[np.bool_],
    wx: NDArray[np.float64],
    wy: NDArray[np.float64],
) -> tuple[float, list[tuple[NDArray[np.intp], float]]]:
    """The white floor of a spectrum, and the cells of it that stand above: places in the flat array, and the level."""
    size = int(np.clip(np.sqrt(found.size / IN_CELL), 2, CELLS))
    across = np.minimum((wx / (2 * np.pi) * size).astype(int), size // 2)
    along = np.minimum(((wy / (2 * np.pi) + 0.5) * size).astype(int), size - 1)
    number = (along * (size // 2 + 1) + across)[used]
    length = size * (size // 2 + 1)
    weight = np.bincount(number, own[used], length)
    filled = np.flatnonzero(weight)
    weight = weight[filled]
    # Strong sharp tones would lift whole cells; their place is found later.
    capped = np.minimum(found[used], 12 * np.median(found[used]) / 0.7)
    values = np.bincount(number, own[used] * capped, length)[filled] / weight
    spread = 1 / np.sqrt(weight)
    ordinary = weight > 0.5 * np.median(weight)
    white = float(np.percentile(values[ordinary], 10)) / max(1 - 1.28 * float(np.median(spread)), 0.3)
    rows, columns = np.divmod(filled, size // 2 + 1)
    levels = values.copy()
    kept = np.ones(len(values), bool)
    for _ in range(20):
        now = values < white * (1 + STANDS_OUT * spread)
        levels = values.copy()
        for strip in (rows, columns):
            # Tones whose phase does not go on leak along the rows by less than makes a single cell stand out.
            weights = np.bincount(strip, weight * now)
            means = np.bincount(strip, weight * now * values) / np.maximum(weights, 1e-9)
            high = (means > white * (1 + STANDS_OUT / np.sqrt(np.maximum(weights, 1e-9)))) & (weights > 0)
            levels = np.where(now & high[strip], means[strip], levels)
            now &= ~high[strip]
        if not now.any():
            break
        before, white = white, float(np.average(values[now], weights=weight[now]))
        if (now == kept).all() and white == before:
            break
        kept = now
    place = np.flatnonzero(used)
    return white, [(place[number == filled[cell]], max(float(levels[cell]), white)) for cell in np.flatnonzero(~kept)]


def _sharp(found: NDArray[np.float64], floor: float, differences: int, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Single frequencies that chance does not lift so high."""
    from scipy.stats import gamma

    limit = gamma.isf(FALSE_ALARMS / found.size, differences, scale=1 / differences)
    high = used & (found > limit * floor)
    if not high.any():
        return high
    # What leaks from a tone stands beside it.
    beside = gamma.isf(1e-2, differences, scale=1 / differences)
    return high | (used & grown(high, 2) & (found > beside * floor))


def _groups(sharp: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """
    Places of frequencies that touch each other, taken together.

    What extends over many frequencies, as a tone does whose phase each row draws anew, is cut into pieces.
    """
    from scipy.ndimage import find_objects, label

    names, number = label(sharp, np.ones((3, 3)))
    if not number:
        return []
    places = np.flatnonzero(names)
    row, column = np.divmod(places, sharp.shape[1])
    name = names.reshape(-1)[places].astype(np.int64)
    extents = [max(part.stop - part.start for part in found) for found in find_objects(names)]
    wide = np.array([0, *extents])[name] > COMPACT
    pieces = [
        np.where(wide, at // max(-(-length // CELLS), 2), 0)
        for at, length in ((row, len(sharp)), (column, 2 * sharp.shape[1]))
    ]
    _, key = np.unique(np.stack([name, *pieces]), axis=1, return_inverse=True)
    order = np.argsort(key.reshape(-1), kind="stable")
    return np.split(places[order], np.cumsum(np.bincount(key.reshape(-1)))[:-1])


def _on_lags(spectrum: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """The covariance function that belongs to a spectrum, at dy from 0 and dx from -2 REACH to 2 REACH."""
    from scipy.fft import irfft2

    whole = irfft2(spectrum, shape)
    return whole[np.ix_(np.arange(2 * REACH + 1) % shape[0], np.arange(-2 * REACH, 2 * REACH + 1) % shape[1])]
