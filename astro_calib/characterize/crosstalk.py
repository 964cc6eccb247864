"""Measuring crosstalk from the ghosts of bright stars."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.detector.crosstalk import Crosstalk
from astro_calib.detector.detector import as_detector
from astro_calib.errors import FrameError
from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.read_order import in_read_order, read_sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame

__all__ = ["measure_crosstalk"]

#: A star is bright where it has this part of what saturates.
BRIGHT = 0.1
#: So many pixels around a bright star tell the background of its ghost.
MARGIN = 5
#: Pixels of a ghost that lie further from the fit than this, in standard deviations, hold something else.
CLIP = 4.0
#: Fits of the same pixels, at most.
ROUNDS = 20
#: Standard deviation over the median of absolute deviations.
MAD = 1.482602218505602


class _Patch(NamedTuple):
    """What amplifiers have read together around a bright star."""

    #: Of the victim, shape (n,).
    victim: NDArray[np.float64]
    #: Of the others, shape (n, n_aggressors).
    aggressors: NDArray[np.float64]


def measure_crosstalk(
    frames: Sequence[CCDFrame], detector: Detector, *, threshold: float | None = None, name: str = "crosstalk"
) -> Crosstalk:
    r"""
    Measure what each amplifier has of the values that the others read at the same moment.

    Parameters
    ----------
    frames : sequence of CCDFrame, shape (ny, nx)
        Frames with bright stars, saturated ones included, in adu, less their overscan level, as they are in the file:
        what `~astro_calib.subtract_overscan` gives.
    detector : Detector
        Its amplifiers; ``corner`` says where each begins to read.
    threshold : float, optional
        Pixels above this level, in adu, are bright. A tenth of the saturation level by default, or of the largest value
        where the detector has none.
    name : str
        Of the result.

    Returns
    -------
    Crosstalk
        The matrix and its standard uncertainties.

    Raises
    ------
    FrameError
        If a frame is raw, is cut, or an amplifier has no bright star in any of them.
    ValueError
        If there are no frames, or the detector has one amplifier only.

    Notes
    -----
    The pixels of a victim at the places of bright stars of the others, and around these, are fitted by a background
    for each star and a coefficient for each other amplifier, by least squares. Pixels further than 4 standard
    deviations from the fit are left out; it begins with the medians of ratios, which stars of the victim itself do
    not move. The standard errors come from the scatter around the fit, from pixel to pixel or from star to star,
    whichever is larger.

    What counts is the value of a saturated star as it was read. Where the signal is clipped only behind the place at
    which it comes over, saturated stars give coefficients that are too large: then give frames without them.

    Examples
    --------
    The right half of a chip, read from the right, has a thousandth of the left one:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import Amplifier, CCDFrame, Detector
    >>> from astro_calib.characterize import measure_crosstalk
    >>> halves = [
    ...     Amplifier(
    ...         gain=2 * u.electron / u.adu,
    ...         read_noise=6 * u.electron,
    ...         data_section=section,
    ...         corner=corner,
    ...     )
    ...     for section, corner in (
    ...         ("[1:50, 1:60]", "lower left"),
    ...         ("[51:100, 1:60]", "lower right"),
    ...     )
    ... ]
    >>> image = np.random.default_rng(1).normal(100, 3, (60, 100))
    >>> for row, column in ((10, 20), (40, 15), (30, 75)):
    ...     image[row - 2 : row + 3, column - 2 : column + 3] += 30000
    >>> image += 1e-3 * image[:, ::-1] * (np.arange(100) >= 50)
    >>> found = measure_crosstalk(
    ...     [CCDFrame(image, unit="adu")], Detector(amplifiers=halves)
    ... )
    >>> bool(abs(found.matrix[1, 0] - 1e-3) < 4 * found.uncertainty[1, 0])
    True
    """
    detector = as_detector(detector, "measure_crosstalk")
    number = len(detector.amplifiers)
    frames = [as_frame(one, "a frame for measure_crosstalk") for one in frames]
    if not frames or number < 2:
        msg = f"{len(frames)} frames and {number} amplifiers; expected a frame or more, and two amplifiers or more."
        raise ValueError(msg)
    patches: list[list[_Patch]] = [[] for _ in range(number)]
    levels = [_threshold(frame, detector, threshold) for frame in frames]
    for frame, level in zip(frames, levels, strict=True):
        _collect(frame, detector, level, patches)
    matrix, uncertainty = np.zeros((number, number)), np.zeros((number, number))
    for victim in range(number):
        others = [other for other in range(number) if other != victim]
        for place, other in enumerate(others):
            if not any(patch.aggressors[:, place].max() > min(levels) for patch in patches[victim]):
                msg = (
                    f"amplifier {other + 1} has no star above the threshold whose ghost amplifier {victim + 1} could "
                    "show; give frames with bright stars in each amplifier, or a lower threshold."
                )
                raise FrameError(msg)
        matrix[victim, others], uncertainty[victim, others] = _fit(patches[victim])
    return Crosstalk(matrix, uncertainty, name)


def _threshold(frame: CCDFrame, detector: Detector, threshold: float | None) -> float:
    if threshold is not None:
        return float(threshold)
    levels = [level for level in detector.saturations() if level is not None]
    if levels:
        return BRIGHT * min(levels)
    return BRIGHT * float(np.nanmax(frame.pixels))


def _collect(frame: CCDFrame, detector: Detector, threshold: float, patches: list[list[_Patch]]) -> None:
    """Add what the victims have around the bright stars of each other amplifier."""
    from scipy import ndimage

    if frame.unit != u.adu or frame.pixels.dtype.kind != "f":
        msg = (
            f"{frame.name} is in {frame.unit}, of type {frame.pixels.dtype}; expected a frame in adu less its overscan "
            "level, as subtract_overscan gives it."
        )
        raise FrameError(msg)
    read = [np.asarray(in_read_order(frame.pixels, one), dtype=np.float64) for one in read_sections(frame, detector)]
    shape = tuple(min(part.shape[axis] for part in read) for axis in (0, 1))
    together = np.stack([part[: shape[0], : shape[1]] for part in read])
    finite = np.isfinite(together).all(axis=0)
    bright = (together > threshold) & finite
    near = np.stack([ndimage.binary_dilation(one, iterations=MARGIN) if one.any() else one for one in bright])
    for victim in range(len(read)):
        others = [other for other in range(len(read)) if other != victim]
        # Close to a bright star of the victim's own nothing is to be seen.
        labels, _ = ndimage.label(near[others].any(axis=0) & ~near[victim] & finite)
        for place, item in enumerate(ndimage.find_objects(labels), start=1):
            here = labels[item] == place
            patches[victim].append(
                _Patch(
                    together[victim][item][here], np.stack([together[other][item][here] for other in others], axis=1)
                )
            )


def _fit(patches: list[_Patch]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The coefficients and their standard errors."""
    owner = np.repeat(np.arange(len(patches)), [len(one.victim) for one in patches])
    y = np.concatenate([one.victim for one in patches])
    x = np.concatenate([one.aggressors for one in patches])
    found = _first_guess(patches)
    kept = np.ones(len(y), dtype=np.bool_)
    for _ in range(ROUNDS):
        residuals = np.asarray(y - x @ found, dtype=np.float64)
        residuals -= _by_patch(residuals, owner, kept, np.median)[owner]
        scatter = MAD * float(np.median(np.abs(residuals[kept])))
        new = np.abs(residuals) <= CLIP * scatter
        centred_x, centred_y = _centred(x, owner, new), _centred(y[:, None], owner, new)[:, 0]
        found = np.asarray(np.linalg.lstsq(centred_x[new], centred_y[new], rcond=None)[0], dtype=np.float64)
        if np.array_equal(new, kept):
            break
        kept = new
    x, y, owner = centred_x[kept], centred_y[kept], owner[kept]
    residuals = y - x @ found
    inverse = np.linalg.pinv(x.T @ x)
    stars = len(np.unique(owner))
    freedom = max(len(y) - stars - x.shape[1], 1)
    of_pixels = np.diag(inverse) * float(residuals @ residuals) / freedom / _left_by_clipping()
    scores = np.stack([np.bincount(owner, weights=column * residuals, minlength=1) for column in x.T], axis=1)
    of_stars = np.diag(inverse @ (scores.T @ scores) @ inverse) * stars / max(stars - x.shape[1], 1)
    return found, np.sqrt(np.maximum(of_pixels, of_stars))


def _left_by_clipping() -> float:
    """The part of a normal distribution's variance that is left within the limits."""
    from scipy.stats import truncnorm

    return float(truncnorm(-CLIP, CLIP).var())


def _first_guess(patches: list[_Patch]) -> NDArray[np.float64]:
    """For each aggressor the median of the ratios of what both have above the background."""
    guess = []
    for place in range(patches[0].aggressors.shape[1]):
        ratios, weights = [], []
        for victim, aggressors in patches:
            excess = aggressors[:, place] - np.median(aggressors[:, place])
            star = excess > 0.5 * excess.max(initial=0.0)
            if excess.max(initial=0.0) > 0 and not star.all():
                ratios.append((victim[star] - np.median(victim[~star])) / excess[star])
                weights.append(excess[star])
        guess.append(_weighted_median(np.concatenate(ratios), np.concatenate(weights)) if ratios else 0.0)
    return np.array(guess)


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _by_patch(values: NDArray[Any], owner: NDArray[np.intp], kept: NDArray[np.bool_], what: Any) -> NDArray[np.float64]:
    """A statistic of the values of each patch that are kept."""
    ends = np.searchsorted(owner, np.arange(owner[-1] + 2))
    parts = [slice(first, last) for first, last in pairwise(ends)]
    return np.array([what(values[part][kept[part]]) if kept[part].any() else 0.0 for part in parts])


def _centred(values: NDArray[np.float64], owner: NDArray[np.intp], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Less the mean of what is kept of each patch."""
    counts = np.maximum(np.bincount(owner, weights=kept), 1)
    means = np.stack([np.bincount(owner, weights=column * kept) / counts for column in values.T], axis=1)
    return np.asarray(values - means[owner])
