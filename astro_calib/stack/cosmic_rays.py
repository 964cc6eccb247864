"""Cosmic rays that frames of one field show when they are compared with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import check_count, check_number, check_positive, described
from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import with_quality
from astro_calib.stack.field import field_of, offsets_of
from astro_calib.stack.inputs import load_inputs, warn_of_repetition
from astro_calib.stack.noise import PrivateNoise, private_terms
from astro_calib.stack.overflow import Overflow
from astro_calib.stack.values import gathered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.stack.field import Field

__all__ = ["find_cosmic_rays"]

#: Rows, and columns, in which the frames' skies are compared.
BOX = 64
#: Up to so many frames the median of the others is found for each, so that a hit does not move it.
FEW = 4
#: The variance of a median, in units of that of the mean.
OF_MEDIAN = 1.5
#: The brightest of the pixels in a box, less the faintest, by noise alone, standard deviations.
RANGE_OF_NOISE = 5.0
#: Beside a hit, pixels that are beyond this part of the threshold are hit as well.
BESIDE = 0.5


def find_cosmic_rays(
    frames: Iterable[CCDFrame],
    *,
    sigma: float = 5.0,
    structure: float = 0.25,
    reach: int = 3,
    exposure_time: str = "EXPTIME",
) -> list[CCDFrame]:
    r"""
    Flag and mask the pixels that cosmic rays have hit, by comparing frames of one field.

    Parameters
    ----------
    frames : iterable of CCDFrame, each of shape (ny, nx)
        Two or more calibrated frames, with their noise, that show the same stars at the same pixels, as consecutive
        exposures do. Their skies and exposures may differ.
    sigma : float
        How many standard deviations a hit is above the median of the other frames.
    structure : float
        How far the light of a pixel may differ from frame to frame by seeing and guiding, in parts of the range that
        there is within ``reach``, as a standard deviation. 0 trusts that stars do not change.
    reach : int
        How many pixels the light of a star moves by that; half of the width of the stars is enough.
    exposure_time : str
        Header keyword of the exposure time, which is the scale of the frames where there are too few stars to tell it.

    Returns
    -------
    list of CCDFrame
        The frames with hit pixels flagged `DataQuality.COSMIC_RAY` and masked. Values and noise are as they were:
        `combine` leaves masked pixels out, with the right error.

    Raises
    ------
    FrameError
        If there are fewer than two frames, or one has no noise yet.
    ShapeMismatchError
        If shapes differ.
    astropy.units.UnitConversionError
        If units differ.
    TypeError
        If no list of frames is given.
    ValueError
        If an argument is out of range.

    Notes
    -----
    With the sky b of a frame and the scale s of its stars, :math:`u = (z - b)/s` is compared with the median m of the
    others; a hit has

    .. math:: u - m > n \sqrt{V(m)/s^2 + V_m + (a\,G)^2},

    with the variance V of the noise that the frame has for itself, its shot noise at the median, the variance
    :math:`V_m` of the median, and the range G of the median within ``reach``, above that of noise. Only what is too
    bright is a hit. Pixels next to one are hit if they are beyond half of the threshold. The sky may differ from frame
    to frame by a gradient: it is compared in boxes of 64 x 64 pixels.

    Two hits at the same pixel are found among five frames or more. How many hits are found, and how many pixels are
    taken for hits that are none, is in :doc:`/approximations`.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, combine, find_cosmic_rays
    >>> rng = np.random.default_rng(1)
    >>> def frame(sky):
    ...     pixels = rng.normal(sky, 10.0, (64, 64))
    ...     return CCDFrame(
    ...         pixels,
    ...         unit="electron",
    ...         uncertainty=StdDevUncertainty(np.full((64, 64), 10.0)),
    ...     )
    >>> frames = [frame(100.0), frame(150.0), frame(120.0)]
    >>> frames[1].data[20, 30] += 1000
    >>> frames[1].uncertainty = StdDevUncertainty(np.full((64, 64), 10.0))
    >>> found = find_cosmic_rays(frames)
    >>> [int(image.mask.sum()) for image in found], int(found[1].flags[20, 30])
    ([0, 1, 0], 8)
    >>> int(combine(found).n_used[20, 30])
    2
    """
    sigma, reach = check_positive("sigma", sigma), check_count("reach", reach)
    structure = check_number("structure", structure, minimum=0.0)
    if isinstance(frames, (str, bytes)) or not hasattr(frames, "__iter__"):
        msg = (
            f"find_cosmic_rays takes a list of frames, not {described(frames)}: write find_cosmic_rays([frame, frame])."
        )
        raise TypeError(msg)
    loaded = load_inputs(frames, None, np.inf, by_rows=False, overflow=Overflow(np.inf))
    if len(loaded) < 2:
        msg = f"there is 1 frame ({loaded[0].name}); cosmic rays are found by comparing two or more of one field."
        raise FrameError(msg)
    exact = next((frame for frame in loaded if frame.known_budget is None), None)
    if exact is not None:
        msg = f"{exact.name} has no noise yet, which hits are compared with; calibrate it, or call create_deviation."
        raise FrameError(msg)
    warn_of_repetition(loaded)
    own = PrivateNoise(loaded, private_terms(loaded))
    search = _Search(loaded, own, field_of(loaded, exposure_time), sigma, structure, reach)
    return [with_quality(frame, hit, DataQuality.COSMIC_RAY) for frame, hit in zip(loaded, search.hits(), strict=True)]


class _Search:
    """The search for hits in frames that have the same pixels, some rows at a time."""

    def __init__(
        self, frames: Sequence[CCDFrame], own: PrivateNoise, field: Field, sigma: float, structure: float, reach: int
    ) -> None:
        self._frames, self._own, self._field = frames, own, field
        self._sigma, self._structure, self._reach = sigma, structure, reach

    def hits(self) -> NDArray[np.bool_]:
        """Which pixels are hit, shape (n, ny, nx)."""
        from astro_calib.kernels.threads import over_rows

        shape = self._frames[0].shape
        hits = np.zeros((len(self._frames), *shape), dtype=np.bool_)

        def find(rows: slice) -> None:
            # What is beside these rows shows how much light there is within reach, and hits next to them.
            first = max(rows.start - self._reach - 1, 0)
            around = slice(first, min(rows.stop + self._reach + 1, shape[0]))
            inside = slice(rows.start - first, rows.stop - first)
            hits[:, rows] = self._in_rows(around)[:, inside]

        over_rows(find, shape[0], hits.size, BOX, BOX)
        return hits

    def _in_rows(self, rows: slice) -> NDArray[np.bool_]:
        from scipy.ndimage import binary_dilation

        item = (rows, slice(None))
        values, used, _ = gathered(self._frames, item)
        used &= np.isfinite(values)
        alike = self._field.alike(values)
        offsets = offsets_of(alike - _median(alike, used), used, BOX)
        alike -= offsets
        middle = _median(alike, used)
        own, of_median = self._variances(item, values, middle + offsets, used)
        others = middle if len(values) > FEW else _medians_of_others(alike, used)
        alike -= others
        # What a frame is compared with has a seeing of its own.
        spread = self._structure**2 * len(values) / (len(values) - 1)
        own += of_median + spread * self._range(middle, of_median) ** 2
        with np.errstate(invalid="ignore"):
            far = alike / np.sqrt(own)
            hits = used & (far > self._sigma)
            for index, beside in enumerate(used & (far > BESIDE * self._sigma)):
                if hits[index].any():
                    hits[index] |= binary_dilation(hits[index], np.ones((3, 3))) & beside
        return hits

    def _variances(
        self, item: tuple[slice, slice], values: NDArray[Any], middle: NDArray[Any], used: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """The variances of each frame's own noise, were all values the median, and of the median of the others."""
        kind = values.dtype.type
        scales, skies = (kind(one)[:, np.newaxis, np.newaxis] for one in (self._field.scales, self._field.skies))
        center = middle * scales + skies
        own = np.empty_like(values)
        for one, variance in zip(own, self._own.at_center(item, values, center), strict=True):
            one[...] = variance
        own /= scales**2
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = np.where(used, 1 / np.sqrt(own), 0)
            others = np.count_nonzero(used, axis=0) - 1
            # The mean of one or two is their median. One that has no other to be compared with is no hit.
            factor = np.where(others < 1, np.inf, np.where(others > 2, OF_MEDIAN, 1.0) * others)
            of_median = factor.astype(values.dtype) / (inverse.sum(axis=0) - inverse) ** 2
        return own, of_median

    def _range(self, middle: NDArray[Any], of_median: NDArray[Any]) -> NDArray[Any]:
        """How much brighter the brightest pixel within reach is than the faintest, by more than noise."""
        from scipy.ndimage import maximum_filter, minimum_filter

        if self._structure == 0:
            return np.zeros_like(middle)
        side = 2 * self._reach + 1
        filled = np.where(np.isfinite(middle), middle, 0)
        found = maximum_filter(filled, side) - minimum_filter(filled, side)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.maximum(found - RANGE_OF_NOISE * np.sqrt(of_median.min(axis=0)), 0))


def _median(values: NDArray[Any], used: NDArray[np.bool_]) -> NDArray[Any]:
    from astro_calib.kernels.stack import masked_median

    return masked_median(values, used)


def _medians_of_others(values: NDArray[Any], used: NDArray[np.bool_]) -> NDArray[Any]:
    """For each frame the median of the others."""
    result = np.empty_like(values)
    for index in range(len(values)):
        rest = np.arange(len(values)) != index
        result[index] = _median(values[rest], used[rest])
    return result
