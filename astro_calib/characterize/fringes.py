"""The pattern of fringes, from frames of the night sky that were dithered."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.characterize.dark_frames import as_frames
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.frame.rebuild import measured
from astro_calib.stack.combination import combine
from astro_calib.steps.empty_sky import objects_on
from astro_calib.steps.sky import less_surface
from astro_calib.steps.surface import FittedSurface, check_block, check_degree, fit_surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["fringe_map"]

#: Fewer frames leave stars in the pattern.
FEWEST = 5
#: How far a pixel may be from the others at its place, in sigmas.
CLIP = 3.0


def fringe_map(frames: Sequence[CCDFrame], degree: int = 3, block: int | None = None) -> CCDFrame:
    r"""
    Make a master of the fringes from frames of the night sky, between which the telescope was moved.

    The sky of each frame is fitted and subtracted, and the rest, scaled to a common level of the sky, is averaged with
    weights from the noise; stars are left out. What varies smoothly over the average is taken off.

    Parameters
    ----------
    frames : sequence of CCDFrame, each of shape (ny, nx)
        Calibrated and flat-fielded, of one filter; the stars must fall on other pixels in each.
    degree : int
        Of the surface that is the sky of a frame, see `~astro_calib.subtract_sky`.
    block : int, optional
        Pixels of a block on a side, for the fit of the sky: more than one fringe. As in `~astro_calib.subtract_sky`.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        The fringes at the mean level of the skies, in the unit of the frames, with the noise of the frames in its
        budget. `~astro_calib.subtract_fringe` finds how strong they are in another frame.

    Raises
    ------
    FrameError
        If a frame has no noise, no good pixel, or a sky that is not positive.
    ShapeMismatchError
        If the shapes differ.
    astropy.units.UnitConversionError
        If the units differ.
    ValueError
        If the degree is above 8, or a block has less than 4 pixels on a side.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.characterize import fringe_map
    >>> rng = np.random.default_rng(3)
    >>> fringes = np.sin(np.arange(96) / 2) * np.ones((96, 1))
    >>> def sky(level):
    ...     pixels = level * (1 + 0.02 * fringes) + rng.normal(0, 5, (96, 96))
    ...     return CCDFrame(
    ...         pixels,
    ...         unit="electron",
    ...         uncertainty=StdDevUncertainty(np.full((96, 96), 5.0)),
    ...     )
    >>> master = fringe_map([sky(level) for level in (300, 400, 500, 600, 700)])
    >>> float(
    ...     np.polyfit(fringes.ravel(), master.pixels.ravel(), 1)[0].round(0)
    ... )  # 2% of 500
    10.0
    """
    given = as_frames("fringe_map", "frames of the sky", frames)
    degree, block = check_degree(degree), check_block(block)
    if len(given) < FEWEST:
        msg = (
            f"fringe_map was given {len(given)} frames; stars can only be told from fringes with {FEWEST} or more, "
            "between which the telescope was moved."
        )
        warn(msg, NoiseWarning)
    given = [frame.snapshot() for frame in given]
    fits = [fit_surface(frame, degree, block) for frame in given]
    levels = np.array([_level(frame, fit) for frame, fit in zip(given, fits, strict=True)])
    skyless = [_starless(frame, fit) for frame, fit in zip(given, fits, strict=True)]
    variances = np.array([_typical_variance(frame) for frame in given])
    factors = levels.mean() / levels
    stack = combine(
        skyless,
        scale=factors.tolist(),
        weights=(1 / (factors**2 * variances)).tolist(),
        clip="sigma" if len(skyless) > 2 else None,
        sigma=CLIP,
    )
    result = _less_smooth(stack, fit_surface(stack, degree, block), "fringe")
    result.name = f"the fringes of {len(given)} frames from {given[0].name}"
    return result


def _level(frame: CCDFrame, fit: FittedSurface) -> float:
    """The mean of the sky of a frame."""
    level = float(fit.array().array.mean())
    if not level > 0:
        msg = f"{frame.name} has a sky of {level:.6g}; fringes are scaled by the level of the sky, which is positive."
        raise FrameError(msg)
    return level


def _starless(frame: CCDFrame, fit: FittedSurface) -> CCDFrame:
    """A frame less its sky, with its stars masked."""
    result = _less_smooth(frame, fit, "fringe")
    good = measured(result)
    stars: NDArray[np.bool_] = objects_on(floating(result.pixels), good)
    result.mask = stars if result.mask is None else result.mask | stars
    return result


def _less_smooth(frame: CCDFrame, fit: FittedSurface, name: str) -> CCDFrame:
    """A frame less a surface, about which its blocks scatter because of the fringes only."""
    budget = frame.known_budget
    assert budget is not None
    return less_surface(frame, budget, dataclasses.replace(fit, excess=1.0), name)


def _typical_variance(frame: CCDFrame) -> float:
    variance: Any = frame.variance
    return float(np.median(variance[measured(frame)]))
