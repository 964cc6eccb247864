"""
Where the stars are, how wide, and where no star is.

Arrays in, arrays out; photutils does the searching. The threshold comes from the frame's own variance, pixel by pixel.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.kernels.medians import median
from astro_calib.photometry.background import background_of
from astro_calib.photometry.growth import within_square
from astro_calib.photometry.shapes import Shape, adapted, cutouts, densest, significances, weighted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REASONS", "Scene", "find_stars", "measure_shape", "recentred", "survey"]

#: Why a peak that may be a star is left out.
REASONS = ("masked", "too sharp", "too elongated", "too flat", "blended", "edge")

#: If the noise is less than this many digital steps, the median of a box lies on a step.
COARSE = 2.0
#: Standard deviation in pixels of the smoothing that faint objects are looked for with.
SMOOTHING = 1.5
#: What rises this many sigma of the smoothed noise above the background over this many connected pixels is an object.
OBJECT_SIGMA, OBJECT_PIXELS = 3.0, 5

#: Radius of the kernel that stars are found with, in its standard deviations. At 2 a peak of 5 sigma is a star of
#: 8 sigma in an aperture, for any width; at the 1.5 of DAOFIND wide stars would have to be twice as bright.
KERNEL_RADIUS = 2.0
#: The central pixel of a star stands out from those around it by 0.6 of the star's height, 0.4 more or less; a cosmic
#: ray's by more than all of it. The noise of one pixel makes that uncertain: 1.5 of its sigma are allowed.
SHARPNESS, SHARPNESS_RANGE, SHARPNESS_SIGMA = 0.6, 0.4, 1.5
#: The kernel looks at differences: the end of a cosmic ray's track stands out, and what lies beside a dark column. A
#: star has light as well, this many sigma of it within the kernel.
LIGHT_SIGMA = 4.0
#: Under a weight of the frame's star, a star has the same covariance along and across, in units of its own. What is
#: longer by a factor of three differs by 0.8 of it, a trail without end by 1, the track of a cosmic ray by up to 2.
#: Noise adds about 3 over the signal-to-noise ratio.
STRETCH, STRETCH_SIGMA = 0.8, 3.0

#: A bright star stands this many sigma above the background; where there are too few, what stands half as many does.
BRIGHT_SIGMA, FAIR_SIGMA = 20.0, 10.0
#: The width is measured on this many bright stars, each the brightest within a square of this side. A weight of this
#: standard deviation begins, and may look this far for the star's light.
WIDTH_STARS, WIDTH_BOX, WIDTH_START, WIDTH_REACH = 25, 45, 2.5, 20
#: A width is measured on stars that miss no pixel within this distance.
WIDTH_WHOLE = 5
#: Narrower than any focused star on a detector that samples it: cosmic rays and hot pixels.
NARROWEST = 1.3
#: Wider than this a weight sees a slope and no star.
WIDEST = 22.0
#: A place that was given may be some way from its star.
RECENTRING_STEPS = 15
#: Fewer stars than this do not give a width.
FEWEST = 3


class Scene(NamedTuple):
    """
    A frame prepared for searching it; all arrays have its shape.

    ``residual`` is the data less the background, ``sigma`` its standard deviation, ``significance`` the smoothed
    residual over the standard deviation of its noise; where there is nothing to search they are 0, 1 (a weight like any
    other), 0. ``blind`` is True there, ``missing`` where no pixel can be measured: saturated pixels are missing, but
    not blind. ``objects`` is True where something is brighter than the background, ``overexposed`` where there was too
    much light.
    """

    residual: NDArray[Any]
    sigma: NDArray[Any]
    significance: NDArray[Any]
    blind: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    objects: NDArray[np.bool_]
    overexposed: NDArray[np.bool_]


def survey(
    data: NDArray[Any],
    variance: NDArray[Any],
    missing: NDArray[np.bool_],
    saturated: NDArray[np.bool_],
    step: float = 0.0,
) -> Scene:
    """
    Take off the background and look for objects.

    At least one pixel is not ``missing``. In those of the missing pixels that are ``saturated`` there is too much light
    rather than none: a star is searched for there, so that it is found as one, not as the rim of a hole. ``step`` is
    the digital step in the unit of the data; 0 if they do not come in steps.
    """
    from astro_calib.kernels.plain import plain
    from astro_calib.kernels.survey import searchable, significance

    variance = plain(variance)
    values, blind, unfit = searchable(plain(data), variance, missing, saturated)
    residual, sigma, significant = significance(
        values, variance, blind, background_of(_between_steps(values, variance, unfit, step), unfit), SMOOTHING
    )
    overexposed = saturated & ~blind
    # A pixel that was saturated only in a flat is flagged, but not bright here.
    where = np.flatnonzero(overexposed)
    bright = residual.take(where) > BRIGHT_SIGMA * sigma.take(where)
    overexposed.put(where, bright)
    return Scene(residual, sigma, significant, blind, missing, _objects(significant) | overexposed, overexposed)


def _between_steps(values: NDArray[Any], variance: NDArray[Any], unfit: NDArray[np.bool_], step: float) -> NDArray[Any]:
    """Values whose median is not a whole number of digital steps, where these are wide."""
    usable = ~unfit
    if step <= 0 or not usable.any() or median(variance[usable]) > (COARSE * step) ** 2:
        return values
    spread = np.random.default_rng(0).random(values.shape, dtype=np.float32) - np.float32(0.5)
    return np.asarray(values + spread * values.dtype.type(step))


def _objects(significance: NDArray[Any]) -> NDArray[np.bool_]:
    """Where enough pixels that touch each other, be it at a corner, stand out."""
    from scipy.ndimage import label

    groups, number = label(significance > OBJECT_SIGMA, structure=np.ones((3, 3)))
    large = np.bincount(groups.ravel(), minlength=number + 1) >= OBJECT_PIXELS
    large[0] = False
    return np.asarray(large[groups])


def measure_shape(scene: Scene) -> Shape | None:
    """
    Return how wide the frame's stars are along their longer axis, and across; None with fewer than three to measure.

    It is the shape of the Gaussian that fits a star best, for the most significant peaks that are not saturated. Of
    these, the shape is taken where they are densest, so that neither galaxies nor cosmic rays nor close pairs count.
    """
    from astro_calib.kernels.peaks import local_maxima
    from astro_calib.kernels.survey import reach

    # The middle of the star must be there, and each of its pixels have a weight; smoothing takes the significance of
    # one without noise a little further.
    around = max(WIDTH_WHOLE, reach(SMOOTHING))
    unfit = within_square(scene.missing | scene.blind | (scene.sigma == 0), around, outside=True)
    square = np.ones((WIDTH_BOX, WIDTH_BOX), dtype=bool)
    pixels = local_maxima(scene.significance, FAIR_SIGMA, square, unfit)
    if len(pixels) > WIDTH_STARS:
        pixels = pixels[np.argsort(scene.significance[pixels[:, 1], pixels[:, 0]])[::-1][:WIDTH_STARS]]
    if len(pixels) < FEWEST:
        return None
    bright = scene.significance[pixels[:, 1], pixels[:, 0]] > BRIGHT_SIGMA
    pixels = pixels[bright] if np.count_nonzero(bright) >= FEWEST else pixels
    found = adapted(scene.residual, scene.missing, pixels, WIDTH_REACH, WIDTH_START).covariances
    shapes = [Shape.of(covariance) for covariance in found]
    fit = [shape.across > NARROWEST and shape.along < WIDEST for shape in shapes]
    if np.count_nonzero(fit) < FEWEST:
        return None
    return Shape.of(densest(found[fit]))


def find_stars(
    scene: Scene,
    width: float | Shape,
    threshold: float,
    min_separation: float,
    left_out: Counter[str] | None = None,
) -> NDArray[np.float64]:
    """
    Return the positions (x, y) of stars, brightest first.

    The peak of a star has ``threshold`` standard deviations of a pixel; of stars closer than ``min_separation``, the
    brightest is kept. ``left_out`` gets the number of peaks that may be stars and are left out, by `REASONS`. The
    kernel is that of `photutils.detection.DAOStarFinder`, and so is the sharpness (Stetson 1987, PASP 99, 191,
    doi:10.1086/131977).
    """
    shape = width if isinstance(width, Shape) else Shape(width, width, 0.0)
    left_out = Counter() if left_out is None else left_out
    # The kernel finds the rim of a flat top; what is overexposed is a star wherever its rim is.
    overexposed = _centers(scene.overexposed)
    found = _alike(scene, shape, threshold, left_out)
    positions = np.concatenate([overexposed, found])
    keeper = _keepers(positions, min_separation)
    kept = keeper == np.arange(len(positions))
    # The rim of an overexposed star is no other star.
    left_out["blended"] += int(np.count_nonzero(keeper[~kept] >= len(overexposed)))
    return positions[kept]


def _alike(scene: Scene, shape: Shape, threshold: float, left_out: Counter[str]) -> NDArray[np.float64]:
    """The positions of what is as sharp, as long and as wide as a star, brightest first."""
    from photutils.detection import DAOStarFinder

    from astro_calib.kernels.peaks import convolved, local_maxima

    finder = DAOStarFinder(
        threshold * scene.sigma,
        shape.along,
        ratio=shape.across / shape.along,
        theta=np.degrees(shape.angle),
        sigma_radius=KERNEL_RADIUS,
    )
    kernel = finder.kernel
    heights = convolved(scene.residual, kernel.data)
    # The neighbourhood of a peak is that of the kernel: a wide one would let a cosmic ray hide the star beside it.
    pixels = local_maxima(heights, finder.threshold_eff, kernel.mask.astype(bool), scene.blind)
    if not len(pixels):
        return np.empty((0, 2))
    columns, rows = pixels.T
    height, sigma, peak = (each[rows, columns].astype(np.float64) for each in (heights, scene.sigma, scene.residual))
    light = np.sum(cutouts(scene.residual, pixels, (kernel.y_radius, kernel.x_radius)) * kernel.mask, axis=(1, 2))
    bright = light > LIGHT_SIGMA * sigma * np.sqrt(kernel.n_pixels)
    sharpness = (peak - (light - peak) / (kernel.n_pixels - 1)) / height
    found = weighted(scene.residual, pixels.astype(np.float64), shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = sigma / height
        stretch = _stretch(found.covariances, shape)
    long = ~(stretch < STRETCH + STRETCH_SIGMA * noise * kernel.rel_err)
    good = bright & ~long
    # A star that is out of focus has a hole: what is usual on the frame is no fault.
    brightest = np.argsort(-np.where(good & (sharpness < SHARPNESS + SHARPNESS_RANGE), height, 0))[:WIDTH_STARS]
    usual = min(float(np.median(sharpness[brightest])), SHARPNESS) if good.any() else SHARPNESS
    sharp = sharpness > SHARPNESS + SHARPNESS_RANGE + SHARPNESS_SIGMA * noise
    flat = sharpness < usual - SHARPNESS_RANGE - SHARPNESS_SIGMA * noise
    columns, rows = np.clip(np.rint(found.centers).astype(int), 0, np.array(scene.sigma.shape[::-1]) - 1).T
    masked = scene.blind[rows, columns]
    # What has no light is no star, whatever its form.
    for reason, faulty in zip(REASONS, (masked, sharp, long, flat), strict=False):
        left_out[reason] += int(np.count_nonzero(bright & faulty))
        bright &= ~faulty
    order = np.argsort(-light[bright], kind="stable")
    return found.centers[bright][order]


def recentred(
    scene: Scene, places: NDArray[np.float64], shape: Shape, threshold: float, furthest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Move places to the centres of the stars that are there; return them, and how far each was moved, in pixels.

    The light of a star has ``threshold`` standard deviations under a weight of its shape. A place that has no such star
    within ``furthest`` pixels stays as given, and its shift is NaN.
    """
    ny, nx = scene.sigma.shape
    onto = np.all((places > -0.5) & (places < np.array([nx, ny]) - 0.5), axis=1)
    centers, shift = places.copy(), np.full(len(places), np.nan)
    centers[onto] = weighted(scene.residual, places[onto], shape, steps=RECENTRING_STEPS).centers
    onto &= np.all((centers > -0.5) & (centers < np.array([nx, ny]) - 0.5), axis=1)
    moved = np.hypot(*(centers - places).T)
    bright = np.zeros(len(places), dtype=bool)
    bright[onto] = significances(scene.residual, scene.sigma, centers[onto], shape) > threshold
    good = onto & bright & (moved <= furthest)
    shift[good] = moved[good]
    return np.where(good[:, np.newaxis], centers, places), shift


def _stretch(covariances: NDArray[np.float64], shape: Shape) -> NDArray[np.float64]:
    """How much covariances under a weight of this shape differ along and across; 0 for a star of the shape."""
    xx, xy, yy = shape.covariance / 2
    # In the coordinates in which the star is round.
    lower = np.linalg.inv(np.linalg.cholesky([[xx, xy], [xy, yy]]))
    matrices = covariances[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    round_ones = lower @ matrices @ lower.T
    difference: NDArray[np.float64] = 2 * np.hypot((round_ones[:, 0, 0] - round_ones[:, 1, 1]) / 2, round_ones[:, 0, 1])
    return difference


def _centers(where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Positions (x, y) of the centres of connected pixels, the largest groups first."""
    from scipy.ndimage import binary_dilation, label

    if not where.any():
        return np.empty((0, 2))
    # Rows and columns in which nothing is separate what is on their sides: one of them does that as well as many.
    rows, columns = (np.flatnonzero(binary_dilation(where.any(axis=along))) for along in (1, 0))
    part = where[np.ix_(rows, columns)]
    groups, number = label(part, structure=np.ones((3, 3)))
    row, column = np.nonzero(part)
    group = groups[row, column] - 1
    sizes = np.bincount(group, minlength=number)
    places = columns[column], rows[row]
    centers = [np.bincount(group, weights=along, minlength=number) / sizes for along in places]
    return np.stack(centers, axis=1)[np.argsort(-sizes, kind="stable")]


def _keepers(positions: NDArray[np.float64], distance: float) -> NDArray[np.intp]:
    """The index of the star that each position belongs to: the first one kept within ``distance``, or itself."""
    from scipy.spatial import KDTree

    keeper = np.arange(len(positions))
    if len(positions) == 0:
        return keeper
    taken = np.zeros(len(positions), dtype=bool)
    for index, close in enumerate(KDTree(positions).query_ball_point(positions, distance)):
        if not taken[index]:
            others = [other for other in close if other > index and not taken[other]]
            taken[others] = True
            keeper[others] = index
    return keeper
