"""
Differences of flats, without what the light did: lamps that fade, vignetting, dust, stars, hits, full pixels.

Each flat is compared with the sum of those before it of about the same level, times a smooth ratio, so that n flats
make n - 1 differences that are independent. The pixels are sorted by level, in tiles, because the variance and the
covariances are linear in the levels of the flats and in their squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.characterize.lags import autocovariance, folded
from astro_calib.characterize.read_noise import CLIP, grown, robust_width, thinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from astro_calib.characterize.read_noise import Biases

__all__ = ["Contrast", "Part", "contrasts", "groups_of_levels"]

#: Side of a tile, pixels.
TILE = 32
#: Levels that differ by less than this factor are taken together, of flats and of the tiles of a flat.
NEAR, NEAR_TILES = 1.5, 1.3
#: Tiles that are darker than this part of the brightest are unlit.
UNLIT = 0.1
#: Objects are looked for again until fewer pixels than this part change.
SETTLED = 0.003
#: Objects in more than this part of the pixels are stars, not hits alone.
STARRY = 0.005
#: Among stars, smoothed pixels that are so many standard deviations off belong to others.
FAINT = 3.5
#: Where less than this part of the pixels is free of objects the sum of flats begins again.
FULL_OF_OBJECTS = 0.5
#: A part with fewer pixels than this, or than this share of the largest, is no part of its own.
FEWEST, SHARE = 500, 0.05


class Part(NamedTuple):
    """
    The pixels of a difference that have about the same level.

    Attributes
    ----------
    lags : ndarray, shape (REACH + 1, REACH + 1)
        The folded autocovariance of the difference, adu^2.
    pixels : float
        How many pixels that is from, corrected for levels that are not all the same.
    weights : ndarray, shape (n,)
        The factor of each flat in the difference.
    levels, squares : ndarray, shape (n,)
        The mean level of each flat, adu above the bias, and the mean of its square.
    bias : float
        The mean square of the factor of the mean bias.
    starry : bool
        Whether stars, or the like, were found in the difference: there may be others, too faint to be found.
    """

    lags: NDArray[np.float64]
    pixels: float
    weights: NDArray[np.float64]
    levels: NDArray[np.float64]
    squares: NDArray[np.float64]
    bias: float
    starry: bool


@dataclass(frozen=True)
class Contrast:
    """A flat against those before it: which flats these are, and the parts of the difference by level."""

    flats: tuple[int, ...]
    parts: tuple[Part, ...]
    excluded: float


def groups_of_levels(levels: Sequence[float]) -> list[list[int]]:
    """Which flats to compare with each other: those of about the same level, in the order in which they were given."""
    order = sorted(range(len(levels)), key=lambda index: levels[index])
    groups: list[list[int]] = []
    for index in order:
        if groups and levels[index] < NEAR * levels[groups[-1][0]]:
            groups[-1].append(index)
        else:
            groups.append([index])
    while len(groups) > 1 and any(len(group) == 1 for group in groups):
        place = next(number for number, group in enumerate(groups) if len(group) == 1)

        def ratio(other: int, place: int = place) -> float:
            return abs(np.log(levels[groups[other][0]] / levels[groups[place][0]]))

        nearest = min((other for other in (place - 1, place + 1) if 0 <= other < len(groups)), key=ratio)
        groups[nearest] = sorted([*groups[nearest], *groups[place]], key=lambda index: levels[index])
        del groups[place]
    return [sorted(group) for group in groups]


def contrasts(
    flats: Sequence[NDArray[Any]],
    biases: Biases,
    group: Sequence[int],
    full: float,
    noise: float,
) -> Iterator[Contrast]:
    """
    The independent differences of a group of flats.

    Parameters
    ----------
    flats : sequence of ndarray, shape (ny, nx)
        All flats, adu.
    biases : Biases
        What is known of the biases.
    group : sequence of int
        Which flats to compare.
    full : float
        The raw value from which pixels are left out, adu.
    noise : float
        The variance of a bias, adu^2.

    Yields
    ------
    Contrast
        One fewer than there are flats.
    """
    shape = biases.good.shape
    total = np.zeros(shape)
    before: list[int] = []
    sums: list[NDArray[np.float64]] = []
    never_full = biases.good.copy()
    for index in group:
        never_full &= ~grown(flats[index] >= full, 2)
    good = never_full.copy()
    starry = False
    for index in group:
        net = flats[index] - biases.mean
        if good.sum() < FULL_OF_OBJECTS * never_full.sum():
            # Stars of many twilight flats leave nothing: begin again with this flat, at the cost of one difference.
            total[:] = 0
            before, sums = [], []
            good = never_full.copy()
        if before and good.any():
            contrast, bad = _contrast(net, total, sums, (index, *before), good, noise, len(biases.levels), starry)
            starry = starry or any(one.starry for one in contrast.parts)
            # What was hit in one flat stays in the sum, where it is too faint to be seen.
            good &= ~bad
            yield contrast
        total += net
        before.append(index)
        sums.append(_of_tiles(net, good, np.mean))


def _contrast(
    net: NDArray[np.float64],
    total: NDArray[np.float64],
    sums: list[NDArray[np.float64]],
    flats: tuple[int, ...],
    good: NDArray[np.bool_],
    noise: float,
    biases: int,
    starry: bool,
) -> tuple[Contrast, NDArray[np.bool_]]:
    number = len(flats) - 1
    light_of_both = net + total
    lit = _lit(light_of_both, good)
    if not lit.any():
        return Contrast(flats, (), 1.0), ~lit
    used = lit
    # Stars spoil the ratio until they are found.
    for _ in range(4):
        ratio = smooth_ratio(net, total, used)
        difference = net - ratio * total
        squared = np.square(ratio)
        factor_of_bias = number * ratio - 1
        read = noise * (1 + number * squared + np.square(factor_of_bias) / biases)
        light = np.maximum(net + squared * total, 0)
        # The gain that makes the noise one, from most pixels: a robust first look.
        some = thinned(np.flatnonzero(used))
        squares, read_there, light_there = (one.reshape(-1)[some] for one in (difference, read, light))
        inverse_gain = max(float(np.median(squares**2) / 0.4549 - np.median(read_there)), 0.0)
        inverse_gain /= max(float(np.median(light_there)), 1e-9)
        scaled = difference / np.sqrt(read + inverse_gain * light)
        bad = lit & grown(lit & (np.abs(scaled) > CLIP * max(robust_width(scaled.reshape(-1)[some]), 0.2)))
        objects = _objects(scaled, lit)
        starry = starry or bool(np.count_nonzero(objects & lit) > STARRY * np.count_nonzero(lit))
        if starry:
            # Where some are, there are more. Without stars this would find the highest of the noise alone.
            objects = _objects(scaled, lit, FAINT)
        bad |= objects
        before, used = used, lit & ~bad
        if not used.any() or np.count_nonzero(before != used) < SETTLED * np.count_nonzero(lit):
            break
    used &= ~_odd_tiles(scaled, used)
    parts = []
    means = _of_tiles(light_of_both, used, np.mean)
    for tiles in _by_level(means, _of_tiles(used.astype(float), used, np.sum)):
        here = used & _on_pixels(tiles, used.shape)
        pixels = float(here.sum())
        if pixels < FEWEST:
            continue
        both = light_of_both[here]
        share = float(total[here].mean())
        # The flats before this one have the same shape, and levels of their own.
        each = np.array([float(one[tiles].sum()) for one in sums])
        own = np.array([net[here].mean(), *(share * each / each.sum())])
        # Mean square of the level over the squared mean: pixels differ, and the noise is no part of that.
        noise_of_both = float(np.mean((read + inverse_gain * light)[here]))
        spread = max((float(np.mean(np.square(both))) - noise_of_both) / float(both.mean()) ** 2, 1.0)
        rms_ratio = float(np.sqrt(np.mean(squared[here] * total[here]) / share))
        parts.append(
            Part(
                folded(autocovariance([difference], here).values),
                pixels / spread,
                np.array([1.0, *[rms_ratio] * number]),
                own,
                np.square(own) * spread,
                float(np.mean(np.square(factor_of_bias[here]))),
                starry,
            )
        )
    return Contrast(flats, tuple(parts), 1 - used.sum() / used.size), bad


def smooth_ratio(
    net: NDArray[np.float64], total: NDArray[np.float64], good: NDArray[np.bool_], degree: int = 3
) -> NDArray[np.float64]:
    """The ratio of two images as a polynomial, fitted to the sums over tiles."""
    ny, nx = net.shape
    weight = _of_tiles(total, good, np.sum)
    filled = weight > 0
    # Stars would pull the fit: tiles far from most are left out.
    values = np.where(filled, _of_tiles(net, good, np.sum) / np.where(filled, weight, 1), 0)
    y, x = (
        (np.minimum((np.arange(count) + 0.5) * TILE, (np.arange(count) * TILE + length) / 2) / length * 2 - 1)
        for count, length in zip(values.shape, (ny, nx), strict=True)
    )
    ranks = [min(degree, max(count - 1, 0)) for count in values.shape]
    powers = [(i, j) for i in range(ranks[0] + 1) for j in range(ranks[1] + 1) if i + j <= degree]
    on_tiles = np.stack([np.outer(y**i, x**j)[filled] for i, j in powers], axis=1)
    root = np.sqrt(weight[filled])
    kept = np.ones(root.size, bool)
    for _ in range(4):
        coefficients, *_ = np.linalg.lstsq(on_tiles[kept] * root[kept, None], values[filled][kept] * root[kept])
        off = (values[filled] - on_tiles @ coefficients) * root
        now = np.abs(off - np.median(off)) < CLIP * max(1.4826 * float(np.median(np.abs(off - np.median(off)))), 1e-12)
        if (now == kept).all() or now.sum() < 2 * len(powers):
            break
        kept = now
    yy, xx = ((np.arange(length) + 0.5) / length * 2 - 1 for length in (ny, nx))
    by_row = np.zeros((ny, degree + 1))
    for (i, j), coefficient in zip(powers, coefficients, strict=True):
        by_row[:, j] += coefficient * yy**i
    return np.asarray(by_row @ np.vander(xx, degree + 1, increasing=True).T)


def _lit(light: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The good pixels in tiles that have light, and that are no dead or dusty spots."""
    means = _of_tiles(light, good, np.mean)
    bright = np.percentile(means[means > 0], 98) if (means > 0).any() else 0.0
    return good & _on_pixels(means > UNLIT * bright, light.shape) & (light > UNLIT * bright / 2)


def _objects(scaled: NDArray[np.float64], used: NDArray[np.bool_], threshold: float = CLIP) -> NDArray[np.bool_]:
    """Pixels in and about stars and other things that are in one flat and not in the other."""
    from scipy.ndimage import gaussian_filter

    # Bright middles count, for the faint outskirts alone would not be seen; but not so much that a hit becomes a star.
    smooth = gaussian_filter(np.where(used, np.clip(scaled, -CLIP, CLIP), 0.0), 2)
    found = np.zeros(used.shape, bool)
    # Many stars widen the first look at the noise, but not the next.
    for _ in range(4):
        rest = used & ~found
        if not rest.any():
            break
        now = grown(np.abs(smooth) > threshold * robust_width(smooth[rest]), 5)
        if (now == found).all():
            break
        found = now
    return found


def _odd_tiles(scaled: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tiles whose mean is not that of noise: light that changed there."""
    number = np.maximum(_of_tiles(used.astype(float), used, np.sum), 1)
    means = _of_tiles(scaled, used, np.sum) / np.sqrt(number)
    width = max(robust_width(means.ravel()), robust_width(scaled[used]) if used.any() else 1.0)
    return _on_pixels(np.abs(means) > CLIP * width, used.shape)


def _of_tiles(image: NDArray[np.float64], good: NDArray[np.bool_], what: object) -> NDArray[np.float64]:
    """The sum, or the mean, over the good pixels of each tile."""
    edges = [np.arange(0, length, TILE) for length in image.shape]

    def added(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        # Along the rows first: the other way takes several times as long.
        return np.asarray(np.add.reduceat(np.add.reduceat(plane, edges[1], axis=1), edges[0], axis=0))

    sums = added(np.where(good, image, 0.0))
    return sums if what is np.sum else sums / np.maximum(added(good.astype(float)), 1)


def _on_pixels(tiles: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return tiles.repeat(TILE, 0).repeat(TILE, 1)[: shape[0], : shape[1]]


def _by_level(means: NDArray[np.float64], pixels: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Tiles of about the same level, taken together; small sets go with the next ones."""
    usable = (pixels > 0) & (means > 0)
    if not usable.any():
        return []
    number = np.zeros(means.shape, int)
    number[usable] = np.floor(np.log(means[usable].max() / means[usable]) / np.log(NEAR_TILES)).astype(int)
    enough = max(FEWEST, SHARE * pixels[usable].sum())
    sets: list[NDArray[np.bool_]] = []
    for one in np.unique(number[usable]):
        tiles = usable & (number == one)
        if sets and (pixels[tiles].sum() < enough or pixels[sets[-1]].sum() < enough):
            sets[-1] = sets[-1] | tiles
        else:
            sets.append(tiles)
    return sets
