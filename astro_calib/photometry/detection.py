"""
Where the stars are, how wide, and where no star is.

Arrays in, arrays out; photutils does the searching. The threshold comes from the frame's own variance, pixel by pixel.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.photometry.growth import within_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scene", "find_stars", "measure_fwhm", "survey"]

#: Side of the boxes in which the background is measured; the median of 3 x 3 boxes takes out what a star left in one.
BACKGROUND_BOX = 64
#: With less noise than this many digital steps, the median of a box is a whole number of them.
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

#: A bright star stands this many sigma above the background.
BRIGHT_SIGMA = 20.0
#: The full width at half maximum is measured on this many bright stars, with a fit in a box of this side.
FWHM_STARS, FWHM_BOX = 25, 11
#: Narrower than any focused star on a detector that samples it: cosmic rays and hot pixels.
NARROWEST = 1.5
#: Wider than this a fit in the box sees a slope and no star, or noise, to which it gives widths of thousands of pixels.
WIDEST = 2 * FWHM_BOX
#: Fewer stars than this do not give a width.
FEWEST = 3


class Scene(NamedTuple):
    """
    A frame prepared for searching it.

    Attributes
    ----------
    residual : ndarray of float32 or float64
        The data less the background; 0 where there is nothing to search.
    sigma : ndarray of float32 or float64
        Standard deviation of each pixel; 1, a weight like any other, where there is nothing to search.
    significance : ndarray of float32 or float64
        The smoothed residual over the standard deviation of its noise.
    blind : ndarray of bool
        True where there is nothing to search: saturated pixels are missing, but not blind.
    missing : ndarray of bool
        True where no pixel can be measured.
    objects : ndarray of bool
        True where a star, a galaxy or anything else is that is brighter than the background.
    overexposed : ndarray of bool
        True where there was too much light.
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

    Parameters
    ----------
    data, variance : ndarray, shape (ny, nx)
        The frame.
    missing : ndarray of bool, shape (ny, nx)
        True where a pixel cannot be measured; at least one can.
    saturated : ndarray of bool, shape (ny, nx)
        Those of the missing pixels in which there is too much light rather than none: a star is searched for there, so
        that it is found as one, not as the rim of a hole.
    step : float
        The digital step in the unit of the data, 0 if they do not come in steps.

    Returns
    -------
    Scene
    """
    from astro_calib.kernels.plain import plain
    from astro_calib.kernels.survey import searchable, significance

    variance = plain(variance)
    values, blind, unfit = searchable(plain(data), variance, missing, saturated)
    residual, sigma, significant = significance(
        values, variance, blind, _background(_between_steps(values, variance, unfit, step), unfit), SMOOTHING
    )
    overexposed = saturated & ~blind
    # What is flagged because it was saturated in a flat is not bright here.
    where = np.flatnonzero(overexposed)
    bright = residual.take(where) > BRIGHT_SIGMA * sigma.take(where)
    overexposed.put(where, bright)
    return Scene(residual, sigma, significant, blind, missing, _objects(significant) | overexposed, overexposed)


def _between_steps(values: NDArray[Any], variance: NDArray[Any], unfit: NDArray[np.bool_], step: float) -> NDArray[Any]:
    """Values whose median is not a whole number of digital steps, where these are wide."""
    usable = ~unfit
    if step <= 0 or not usable.any() or float(np.median(variance[usable])) > (COARSE * step) ** 2:
        return values
    spread = np.random.default_rng(0).random(values.shape, dtype=np.float32) - np.float32(0.5)
    return np.asarray(values + spread * values.dtype.type(step))


def _background(values: NDArray[Any], unfit: NDArray[np.bool_]) -> NDArray[Any]:
    from photutils.background import Background2D, MedianBackground

    box = tuple(min(BACKGROUND_BOX, length) for length in values.shape)
    try:
        background = Background2D(
            values, box, mask=unfit, filter_size=3, bkg_estimator=MedianBackground(), exclude_percentile=80
        )
    except ValueError:
        # Not one box has enough pixels: one level for all.
        return np.full(values.shape, np.median(values[~unfit]) if not unfit.all() else 0.0, dtype=values.dtype)
    return np.ascontiguousarray(background.background, dtype=values.dtype)


def _objects(significance: NDArray[Any]) -> NDArray[np.bool_]:
    from photutils.segmentation import detect_sources
    from photutils.utils.exceptions import NoDetectionsWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = detect_sources(significance, OBJECT_SIGMA, n_pixels=OBJECT_PIXELS)
    return np.zeros(significance.shape, dtype=bool) if segments is None else np.asarray(segments.data > 0)


def measure_fwhm(scene: Scene) -> float | None:
    """
    The full width at half maximum of the stars, in pixels.

    A circular Gaussian, integrated over pixels, is fitted to the most significant peaks that are not saturated. Of the
    widths, that where they are densest is taken (the median of the shortest interval that holds half of them), so that
    neither galaxies nor close pairs count.

    Parameters
    ----------
    scene : Scene
        As ``survey`` made it.

    Returns
    -------
    float or None
        None if there are fewer than three stars to measure it on, of a width that the fit can tell.
    """
    from photutils.detection import find_peaks
    from photutils.psf import fit_fwhm
    from photutils.utils.exceptions import NoDetectionsWarning

    from astro_calib.kernels.survey import reach

    # The whole box of the fit must be there, and each of its pixels have a weight; smoothing takes the significance of
    # one without noise a little further.
    around = max(FWHM_BOX // 2, reach(SMOOTHING))
    unfit = within_square(scene.missing | scene.blind | (scene.sigma == 0), around, outside=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        # Alone in a square rather than in a disc: photutils looks for its peaks in half the time.
        peaks = find_peaks(scene.significance, BRIGHT_SIGMA, box_size=4 * FWHM_BOX + 1, mask=unfit, n_peaks=FWHM_STARS)
    if peaks is None or len(peaks) < FEWEST:
        return None
    with warnings.catch_warnings():
        # A fit that does not converge gives a width like no other, which does not count.
        warnings.simplefilter("ignore")
        widths = fit_fwhm(
            scene.residual,
            xypos=np.stack([peaks["x_peak"], peaks["y_peak"]], axis=1),
            fwhm=4.0,
            fit_shape=FWHM_BOX,
            error=scene.sigma,
        )
    widths = np.sort(widths[np.isfinite(widths) & (widths > NARROWEST) & (widths < WIDEST)])
    if widths.size < FEWEST:
        return None
    half = widths.size // 2 + 1
    start = int(np.argmin(widths[half - 1 :] - widths[: widths.size - half + 1]))
    return float(np.median(widths[start : start + half]))


def find_stars(scene: Scene, fwhm: float, threshold: float, min_separation: float) -> NDArray[np.float64]:
    """
    The positions of stars, brightest first.

    Parameters
    ----------
    scene : Scene
        As ``survey`` made it.
    fwhm : float
        Full width at half maximum of a star, pixels.
    threshold : float
        How many standard deviations of a pixel the peak of a star must have.
    min_separation : float
        Of stars that are closer than this, in pixels, the brightest is kept.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        x and y, from 0 at the centre of the first pixel.

    References
    ----------
    Stetson 1987, PASP 99, 191 (doi:10.1086/131977), as implemented in `photutils.detection.DAOStarFinder`.
    """
    from photutils.detection import DAOStarFinder
    from photutils.utils.exceptions import NoDetectionsWarning

    # The neighbourhood of a peak is that of the kernel: a wide one would let a cosmic ray hide the star beside it.
    finder = DAOStarFinder(
        threshold * scene.sigma, fwhm, sigma_radius=KERNEL_RADIUS, min_separation=0, sharpness_range=None
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        table = finder(scene.residual, mask=scene.blind)
    # The kernel finds the rim of a flat top; what is overexposed is a star wherever its rim is.
    positions = _centers(scene.overexposed)
    if table is not None:
        order = np.argsort(-np.asarray(table["flux"]), kind="stable")
        table = table[order]
        found = np.stack([table["x_centroid"], table["y_centroid"]], axis=1).astype(np.float64)
        # Height of the star in standard deviations of a pixel, as the kernel saw it.
        height = threshold * finder.kernel.rel_err * 10 ** (-0.4 * np.asarray(table["daofind_mag"]))
        sharp = np.abs(np.asarray(table["sharpness"]) - SHARPNESS) < SHARPNESS_RANGE + SHARPNESS_SIGMA / height
        columns, rows = np.clip(np.rint(found).astype(int), 0, np.array(scene.sigma.shape[::-1]) - 1).T
        noise = scene.sigma[rows, columns] * np.sqrt(table["n_pixels"])
        bright = (np.asarray(table["flux"]) > LIGHT_SIGMA * noise) & ~scene.blind[rows, columns]
        positions = np.concatenate([positions, found[sharp & bright]])
    return positions[_apart(positions, min_separation)]


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


def _apart(positions: NDArray[np.float64], distance: float) -> NDArray[np.bool_]:
    """Which positions to keep, so that of those closer than ``distance`` the first remains."""
    from scipy.spatial import KDTree

    keep = np.ones(len(positions), dtype=bool)
    if len(positions) == 0:
        return keep
    for index, close in enumerate(KDTree(positions).query_ball_point(positions, distance)):
        if keep[index]:
            keep[[other for other in close if other > index]] = False
    return keep
