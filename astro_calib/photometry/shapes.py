"""
How wide stars are, along and across, and where their light is centred, by moments under a Gaussian weight.

A weight as wide as the star itself makes the moments those of the Gaussian that fits it best, whatever its profile: a
disc with a hole, a trail.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["SIGMA_TO_FWHM", "Moments", "Shape", "adapted", "cutouts", "densest", "significances", "weighted"]

#: Full width at half maximum of a Gaussian in its standard deviations.
SIGMA_TO_FWHM = 2 * math.sqrt(2 * math.log(2))
#: The variance of a pixel's width, by which it widens what it samples.
PIXEL = 1 / 12
#: Steps until a weight fits, from a start that is off by a factor of three, and until a centre is found.
FITTING_STEPS, CENTRING_STEPS = 25, 4
#: A weight that finds nothing to end it grows by this factor in variance; none is narrower than this variance, below
#: which a sum over pixels is no integral.
GROWTH, NARROWEST = 2.0, 0.8
#: How many pixels of cutouts are worked on together.
PIXELS = 1 << 20


class Shape(NamedTuple):
    """
    The width of a star: full widths at half maximum of the longer and the shorter axis, in pixels.

    ``angle`` is that from the x axis to the longer one, counter-clockwise, in radians.
    """

    along: float
    across: float
    angle: float

    @classmethod
    def of(cls, covariance: NDArray[np.float64]) -> Shape:
        """The shape of a Gaussian that pixels have sampled, with this covariance (xx, xy, yy)."""
        xx, xy, yy = covariance
        mean, difference = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
        along, across = (SIGMA_TO_FWHM * math.sqrt(max(mean + part - PIXEL, 0.0)) for part in (difference, -difference))
        return cls(along, across, math.atan2(2 * xy, xx - yy) / 2)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """The covariance (xx, xy, yy) of a Gaussian of this shape that pixels have sampled."""
        major, minor = ((width / SIGMA_TO_FWHM) ** 2 + PIXEL for width in (self.along, self.across))
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([major * cos**2 + minor * sin**2, (major - minor) * cos * sin, major * sin**2 + minor * cos**2])

    @property
    def reach(self) -> int:
        """How many pixels to look to each side: 3 standard deviations, and the step from a place to its pixel."""
        return math.ceil(3 * math.sqrt(max(self.covariance[0], self.covariance[2]))) + 1

    def light(self, offsets: NDArray[np.float64], reach: int, most: float = math.inf) -> NDArray[np.float64]:
        """Squares of pixels around stars that are off the middle by ``offsets``: 1 at a centre, 0 beyond ``most``."""
        steps = np.arange(-reach, reach + 1)
        x, y = (steps - offsets[:, :1])[:, np.newaxis, :], (steps - offsets[:, 1:])[:, :, np.newaxis]
        xx, xy, yy = self.covariance
        light: NDArray[np.float64] = np.exp(-0.5 * (yy * x * x - 2 * xy * x * y + xx * y * y) / (xx * yy - xy**2))
        return light if most == math.inf else light * (x**2 + y**2 <= most**2)


class Moments(NamedTuple):
    """
    Where the light is under a weight: the centres (x, y), shape (n, 2), and covariances (xx, xy, yy), shape (n, 3).

    The covariance is NaN where there is less light than none.
    """

    centers: NDArray[np.float64]
    covariances: NDArray[np.float64]


def cutouts(
    image: NDArray[Any], pixels: NDArray[np.intp], reach: tuple[int, int], *, outside: float = 0
) -> NDArray[Any]:
    """
    Return squares around pixels (column, row) that reach so far up and down, and so far to each side.

    ``outside`` is what is outside of the image.
    """
    along = [pixels[:, axis, np.newaxis] + np.arange(-far, far + 1) for axis, far in zip((1, 0), reach, strict=True)]
    inside = [(where >= 0) & (where < length) for where, length in zip(along, image.shape, strict=True)]
    rows, columns = (np.clip(where, 0, length - 1) for where, length in zip(along, image.shape, strict=True))
    cut = image[rows[:, :, np.newaxis], columns[:, np.newaxis, :]]
    cut[~(inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis, :])] = outside
    return cut


def adapted(
    image: NDArray[Any], missing: NDArray[np.bool_], pixels: NDArray[np.intp], reach: int, start: float
) -> Moments:
    """
    Return the moments of the stars at pixels (column, row), each under a weight that is as wide as the star.

    The weight begins with ``start`` as its standard deviation, and looks no further than ``reach`` pixels.
    """
    cut = cutouts(image, pixels, (reach, reach)).astype(np.float64)
    cut[cutouts(missing, pixels, (reach, reach))] = 0.0
    centers = np.zeros((len(pixels), 2))
    weights = np.tile([start**2, 0.0, start**2], (len(pixels), 1))
    widest = (reach / 2.0) ** 2
    for _ in range(FITTING_STEPS):
        shift, found = _under(cut, centers, weights)
        centers = np.clip(np.nan_to_num(centers + 2 * shift), -reach / 2, reach / 2)
        inverse = _inverse(found) - _inverse(weights)
        fitting = np.isfinite(inverse).all(axis=1) & (inverse[:, 0] > 0) & (_determinant(inverse) > 0)
        # Take the weight out of the product of light and weight.
        alone = np.where(fitting[:, np.newaxis], _inverse(inverse), GROWTH * weights)
        weights = _between(alone, NARROWEST, widest)
    alone[~np.isfinite(found).all(axis=1)] = np.nan
    return Moments(pixels + centers, alone)


def weighted(image: NDArray[Any], places: NDArray[np.float64], shape: Shape, steps: int = CENTRING_STEPS) -> Moments:
    """
    Return the moments of the stars at places (x, y) under one weight, centred anew ``steps`` times.

    A star of this shape has half of the weight's covariance. The image is 0 where nothing is known.
    """
    parts = [_weighted(image, part, shape, steps) for part in _some(places, (2 * shape.reach + 1) ** 2)]
    return Moments(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def significances(
    image: NDArray[Any], sigma: NDArray[Any], places: NDArray[np.float64], shape: Shape
) -> NDArray[np.float64]:
    """Return how many of its standard deviations the light at places (x, y) is, under a weight of a star's shape."""
    reach = shape.reach
    pixels = np.rint(places).astype(np.intp)
    light, noise = (cutouts(each, pixels, (reach, reach)).astype(np.float64) for each in (image, sigma))
    weight = shape.light(places - pixels, reach)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.float64] = np.sum(weight * light, axis=(1, 2)) / np.sqrt(
            np.sum(np.square(weight * noise), axis=(1, 2))
        )
    return found


def _some(places: NDArray[np.float64], each: int) -> Iterator[NDArray[np.float64]]:
    """So many places at a time that what is worked out for their pixels takes little memory."""
    step = max(1, PIXELS // each)
    for first in range(0, max(1, len(places)), step):
        yield places[first : first + step]


def _weighted(image: NDArray[Any], places: NDArray[np.float64], shape: Shape, steps: int) -> Moments:
    reach = shape.reach
    pixels = np.rint(places).astype(np.intp)
    cut = cutouts(image, pixels, (reach, reach)).astype(np.float64)
    centers = places - pixels
    weights = np.broadcast_to(shape.covariance, (len(places), 3))
    shift, found = _under(cut, centers, weights)
    for _ in range(steps):
        centers = np.clip(centers + np.nan_to_num(2 * shift), -reach, reach)
        shift, found = _under(cut, centers, weights)
    return Moments(pixels + centers, found)


def _under(
    cut: NDArray[np.float64], centers: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the step from the centre of a weight to that of the light under it, and the covariance of that light."""
    x, y = (
        np.arange(length) - length // 2 - centers[:, axis, np.newaxis]
        for length, axis in ((cut.shape[2], 0), (cut.shape[1], 1))
    )
    xx, xy, yy = (part[:, np.newaxis] for part in _inverse(weights).T)
    cross = y[:, :, np.newaxis] * (xy[:, :, np.newaxis] * x[:, np.newaxis, :])
    light = np.exp(-cross)
    light *= cut
    # The rest of the Gaussian is a product of one along x and one along y.
    light *= np.exp(-0.5 * yy * y * y)[:, :, np.newaxis]
    light *= np.exp(-0.5 * xx * x * x)[:, np.newaxis, :]
    across, down = light.sum(axis=1), light.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = across.sum(axis=1)
        total[total <= 0] = np.nan
        mean_x, mean_y = (across * x).sum(axis=1) / total, (down * y).sum(axis=1) / total
        found = np.stack(
            [
                (across * x * x).sum(axis=1) / total - mean_x**2,
                np.einsum("nyx,ny,nx->n", light, y, x, optimize=True) / total - mean_x * mean_y,
                (down * y * y).sum(axis=1) / total - mean_y**2,
            ],
            axis=1,
        )
    return np.stack([mean_x, mean_y], axis=1), found


def _determinant(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The determinants of symmetric matrices (xx, xy, yy)."""
    determinant: NDArray[np.float64] = matrices[:, 0] * matrices[:, 2] - matrices[:, 1] ** 2
    return determinant


def _inverse(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverses of symmetric matrices (xx, xy, yy)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        inverse: NDArray[np.float64] = matrices[:, ::-1] * [1, -1, 1] / _determinant(matrices)[:, np.newaxis]
    return inverse


def _between(matrices: NDArray[np.float64], least: float, most: float) -> NDArray[np.float64]:
    """Symmetric matrices with eigenvalues no smaller and no larger than these."""
    xx, xy, yy = matrices.T
    mean, difference = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    major, minor = (np.clip(mean + part, least, most) for part in (difference, -difference))
    scale = np.divide(major - minor, 2 * difference, where=difference > 0, out=np.zeros_like(difference))
    half = (xx - yy) / 2 * scale
    return np.stack([(major + minor) / 2 + half, xy * scale, (major + minor) / 2 - half], axis=1)


def densest(covariances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance where covariances are densest: the median of the half that is nearest to one of them."""
    xx, xy, yy = covariances.T
    size = np.sqrt(_determinant(covariances))
    # Sizes as their logarithm, shapes by size: a tenth of the one counts as a tenth of the other.
    points = np.stack([np.log(size), (xx - yy) / 2 / size, xy / size], axis=1)
    apart = np.linalg.norm(points[:, np.newaxis] - points, axis=2)
    half = len(points) // 2 + 1
    ordered = np.sort(apart, axis=1)[:, half - 1]
    near = np.argsort(apart[np.argmin(ordered)], kind="stable")[:half]
    middle: NDArray[np.float64] = np.median(covariances[near], axis=0)
    return middle
