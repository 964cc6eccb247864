"""
The noise of reading out, from biases: a white part, a part that the pixels of a row share, and tones.

The differences of biases are looked at as a spectrum. White noise is the floor of it, a row's common part a ridge where
the frequency along the row is zero, tones are what stands above these: sharp ones, and broad ones in cells. In cells
the cosines of the autocovariance do not overlap, so that no part can come out negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.characterize.lags import REACH, at_lags
from astro_calib.characterize.read_noise import TAPER
from astro_calib.characterize.tones import (
    CELLS,
    FEW,
    Tone,
    above_their_strips,
    cautious_error,
    draws,
    groups,
    median_of_mean,
    relative_error,
    sharp_frequencies,
    tones_in,
    whole_strips,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.characterize.read_noise import Biases

__all__ = ["Spectrum", "spectrum_of"]

#: A cell holds so many independent frequencies or more, and stands out by so many standard deviations.
IN_CELL, STANDS_OUT = 16, 4.5
#: The part of the information that is left after the differences faded towards the edges.
LEFT_BY_TAPER = ((1 - 5 * TAPER / 8) ** 2 / (1 - 93 * TAPER / 128)) ** 2


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
    sharp = sharp_frequencies(found, white, biases.differences, rest)
    if cells or sharp.any():
        found = np.where(column, found, biases.tapered())
        own = np.where(column, own, own * LEFT_BY_TAPER)
        # The column beside the ridge lost a part of its power with the rows' means.
        rest[:, 1] = False
        white, _ = _floor(found, own, rest, wx, wy)
        sharp = whole_strips(sharp_frequencies(found, white, biases.differences, rest)) & rest
        white, cells = _floor(found, own, rest & ~sharp, wx, wy)
    ridge = max(float(np.median(found[column])) / median_of_mean(biases.differences), white)
    sharp |= sharp_frequencies(found, ridge, biases.differences, column)
    ridge = max(float(np.mean(found[column & ~sharp])), white)

    model = np.where(column, ridge, white)
    doubt, caution = np.ones((2, *found.shape))
    # Flat views, for places are numbers.
    flat = [array.reshape(-1) for array in (found, own, whole, share, wx, wy, model, doubt, caution)]
    found_at, own_at, whole_at, share_at, wx_at, wy_at, model_at, doubt_at, caution_at = flat
    tones = []
    kept = rest & ~sharp
    for cell, level in cells:
        model_at[cell] = level
        error = level * np.sqrt(np.sum(share_at[cell] ** 2 / own_at[cell]))
        place = [float(np.average(w[cell], weights=own_at[cell])) for w in (wx_at, wy_at)]
        tones.append(Tone(float((level - white) * share_at[cell].sum()), float(error), *place))
        kept.reshape(-1)[cell] = False
    single = above_their_strips(found, sharp, biases.differences, rest)
    for pieces in groups(single) + groups(sharp & ~single):
        every = np.concatenate(pieces)
        power = (found_at[every] - model_at[every]) * share_at[every]
        whole_power = float(power.sum())
        if whole_power <= 0:
            continue
        weights = np.maximum(power, 1e-300)
        along_x, along_y = (float(np.average(w[every], weights=weights)) for w in (wx_at, wy_at))
        number, factor = draws(biases, power, along_x, along_y, white)
        power, whole_power = factor * power, factor * whole_power
        relative = relative_error(number, whole_power, white)
        for piece in pieces:
            here = found_at[piece].mean() if tones_in(power) > FEW else found_at[piece]
            model_at[piece] = np.maximum(here, model_at[piece])
        plain = np.sqrt(np.sum((model_at[every] * share_at[every]) ** 2 / whole_at[every]))
        doubt_at[every] = relative * whole_power / plain
        # The lags hold what was drawn, without the factor.
        drawn = min(number, biases.differences * max(tones_in(power), 1.0))
        caution_at[every] = max(cautious_error(drawn) * whole_power / plain, 1.0)
        for piece, its in zip(pieces, np.split(power, np.cumsum([len(one) for one in pieces])[:-1]), strict=True):
            if its.sum() > 0:
                error = relative * np.sqrt(its.sum() * whole_power)
                weights = np.maximum(its, 1e-300)
                place = [float(np.average(w[piece], weights=weights)) for w in (wx_at, wy_at)]
                tones.append(Tone(float(its.sum()), float(error), *place))
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
        _on_lags((caution * model) ** 2, (ny, nx)),
    )


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
    standing_out = filled[~kept]
    if not standing_out.size:
        return white, []
    among = np.isin(np.arange(length), standing_out)[number]
    place, number = np.flatnonzero(used)[among], number[among]
    order = np.argsort(number, kind="stable")
    places = np.split(place[order], np.cumsum(np.bincount(number)[standing_out])[:-1])
    return white, [(cell, max(float(level), white)) for cell, level in zip(places, levels[~kept], strict=True)]


def _on_lags(spectrum: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """The covariance function that belongs to a spectrum, at dy from 0 and dx from -2 REACH to 2 REACH."""
    return at_lags(spectrum, shape, np.arange(2 * REACH + 1), np.arange(-2 * REACH, 2 * REACH + 1))
