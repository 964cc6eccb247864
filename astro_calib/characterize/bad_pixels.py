"""A map of bad pixels, from darks and from flats of two levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_positive, check_switch
from astro_calib.characterize.dark_frames import as_frames
from astro_calib.characterize.dark_result import DarkCurrent
from astro_calib.characterize.darks import dark_current
from astro_calib.characterize.outliers import clipped, smooth
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import usable
from astro_calib.masters.provenance import record
from astro_calib.stack.combination import combine
from astro_calib.steps.bias import subtract_bias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector

__all__ = ["bad_pixel_mask"]

#: Levels of flats have to differ by this factor for their ratio to show what does not respond in proportion.
APART = 1.5
#: Hits in flats, and ratios that are off, are further from the others than this many standard deviations.
CLIP = 5.0
#: A pixel that has less or more than these parts of the light around it is bad.
LOWEST, HIGHEST = 0.5, 1.5


def bad_pixel_mask(
    darks: DarkCurrent | Iterable[CCDFrame] | None = None,
    flats: Iterable[CCDFrame] | None = None,
    *,
    bias: CCDFrame | None = None,
    detector: Detector | None = None,
    sigma: float = 9.0,
    columns: bool = False,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    **options: Any,
) -> CCDFrame:
    """
    Find bad pixels: those that are hot in darks, and those that respond otherwise than their neighbours in flats.

    Parameters
    ----------
    darks : DarkCurrent or iterable of CCDFrame, optional
        What `dark_current` returns, or the darks that it is given. Hot pixels are bad.
    flats : iterable of CCDFrame, optional
        Flats of one filter and two levels, best of two that differ by a factor of three or more. Pixels whose ratio of
        high to low is not that of the pixels around them are bad, and so are those with far less or more light. The
        flats must have had their overscan or bias subtracted, unless ``bias`` is given.
    bias : CCDFrame, optional
        A master bias that is subtracted from the flats.
    detector : Detector, optional
        For `dark_current`.
    sigma : float
        Threshold for the ratio of flats, in standard deviations of the pixels around; that of `ccdproc.ccdmask`.
    columns : bool
        Whether columns in which many pixels are bad are bad as a whole.
    lowest, highest : float
        A pixel with less or more than these parts of the median light around it is bad.
    **options
        More arguments of `dark_current`.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        One where a pixel is bad and zero elsewhere, as 8-bit numbers; bad ones are flagged ``DataQuality.BAD``. Give it
        to `~astro_calib.calibrate` as ``bad_pixels``. Its ``meta`` has how many pixels are hot (NHOT), do not respond
        in proportion (NRATIO), have too little or too much light (NLIGHT), or are not fit for use in the flats
        (NUNFIT). ``provenance`` tells the frames.

    Raises
    ------
    FrameError
        If neither darks nor flats are given, flats have no light or still have their pedestal, or the darks are not fit
        for `dark_current`.
    ShapeMismatchError
        If shapes differ.
    TypeError
        If flats are no frames.
    ValueError
        If an argument is out of range.

    Notes
    -----
    The ratio of two flats is tested by `ccdproc.ccdmask`, which follows the task of that name in IRAF. It needs frames
    that are much larger than a box of 7 x 7 pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.characterize import bad_pixel_mask
    >>> rng = np.random.default_rng(1)
    >>> def flat(level, number):
    ...     data = rng.poisson(level, (64, 64)).astype(float)
    ...     data[20, 30] = level**2 / 20000  # does not respond in proportion
    ...     data[40, 50] = 0.1 * level  # sees little light
    ...     return CCDFrame(data, unit="electron", name=f"flat{number}.fits")
    >>> mask = bad_pixel_mask(
    ...     flats=[flat(5000, 1), flat(5000, 2), flat(20000, 3), flat(20000, 4)]
    ... )
    >>> np.argwhere(mask.data)
    array([[20, 30],
           [40, 50]])
    """
    sigma, lowest, highest = (
        check_positive(name, value) for name, value in (("sigma", sigma), ("lowest", lowest), ("highest", highest))
    )
    columns = check_switch("columns", columns)
    found: dict[str, NDArray[np.bool_]] = {}
    names: dict[str, list[str]] = {}
    if darks is not None:
        if not isinstance(darks, DarkCurrent):
            darks = dark_current(darks, detector=detector, **options)
        found["NHOT"] = darks.hot
        names["darks"] = list(darks.rate.provenance[-1]["parameters"]["frames"]) if darks.rate.provenance else []
    if flats is not None:
        frames = as_frames("bad_pixel_mask", "flats", flats)
        names["flats"] = [frame.name for frame in frames]
        found |= _in_flats(frames, bias, sigma, columns=columns, lowest=lowest, highest=highest)
    if not found:
        msg = "bad_pixel_mask needs darks of two exposures, or flats of two levels, or both."
        raise FrameError(msg)
    shapes = {mask.shape for mask in found.values()}
    if len(shapes) > 1:
        both = " and ".join(map(str, sorted(shapes)))
        msg = f"darks and flats have the shapes {both}; trim them to the same section."
        raise ShapeMismatchError(msg)
    bad = np.logical_or.reduce(list(found.values()))
    mask = CCDFrame(
        bad.astype(np.uint8),
        unit=u.dimensionless_unscaled,
        name="bad pixels",
        flags=np.where(bad, np.uint16(DataQuality.BAD), np.uint16(0)),
        meta={name: int(np.count_nonzero(where)) for name, where in found.items()},
    )
    parameters = {**names, "sigma": sigma, "columns": columns, "lowest": lowest, "highest": highest}
    record(mask, "bad_pixel_mask", masters={"bias": bias}, parameters=parameters)
    return mask


def _in_flats(
    frames: Sequence[CCDFrame], bias: CCDFrame | None, sigma: float, *, columns: bool, lowest: float, highest: float
) -> dict[str, NDArray[np.bool_]]:
    """Which pixels flats show to be bad, by reason."""
    from ccdproc import ccdmask

    if bias is not None:
        frames = [subtract_bias(frame, bias) for frame in frames]
    else:
        raw = next((frame for frame in frames if frame.dtype.kind in "ui"), None)
        if raw is not None:
            msg = (
                f"{raw.name} is a raw frame of whole numbers: its pedestal would count as light. Subtract overscan or "
                "bias first, or give bias=."
            )
            raise FrameError(msg)
    levels = np.array([_level(frame) for frame in frames])
    dark = next((frame for frame, level in zip(frames, levels, strict=True) if not level > 0), None)
    if dark is not None:
        msg = f"{dark.name} has hardly any light; check that it is a flat, and that its bias was subtracted once."
        raise FrameError(msg)
    order = np.argsort(levels, kind="stable")
    # Between which two levels the step is largest: the flats below it are the low ones.
    split = int(np.argmax(levels[order][1:] / levels[order][:-1])) + 1 if len(frames) > 1 else 0
    high = _mean([frames[place] for place in order[split:]])
    unfit = ~np.logical_or.reduce([usable(frame) for frame in frames])
    fit = ~unfit
    response = high / np.where(fit, smooth(high, fit), 1)
    light = fit & ~((response >= lowest) & (response <= highest))
    found = {"NLIGHT": light, "NUNFIT": unfit}
    if split and levels[order[split]] >= APART * levels[order[split - 1]]:
        low = _mean([frames[place] for place in order[:split]])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = high / low
        # What is bad anyway must not widen the scatter of what is around it.
        ratio = np.where(fit & ~light & np.isfinite(ratio), ratio, 1.0)
        odd = ccdmask(ratio, findbadcolumns=columns, byblocks=True, lsigma=sigma, hsigma=sigma)
        # The scatter of a small box is itself uncertain: of a million good pixels some 70 are beyond nine times it.
        off = ratio - smooth(ratio, fit)
        far = np.abs(off) > CLIP * clipped(off[fit])[1]
        found["NRATIO"] = np.asarray(odd, dtype=np.bool_) & fit & (far | columns)
    return found


def _level(frame: CCDFrame) -> float:
    """The light in a flat; 0 if its pixels scatter as much."""
    good = usable(frame)
    level, scatter = clipped(frame.pixels[good]) if good.any() else (0.0, 0.0)
    return level if level > scatter else 0.0


def _mean(frames: Sequence[CCDFrame]) -> NDArray[np.float64]:
    """The mean of flats at a level of one, without hits as far as they can be told."""
    if len(frames) == 1:
        image = frames[0].pixels
    else:
        plain = [frame.replace(frame.pixels, None) for frame in frames]
        clip = "scatter" if len(frames) > 4 else None
        image = combine(plain, method="mean", clip=clip, sigma=CLIP, scale="median").pixels
    values = np.asarray(image, dtype=np.float64)
    return values / np.median(values)
