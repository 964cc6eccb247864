"""The sky of a frame from its neighbours in a series between whose frames the telescope was moved."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import check_count, check_switch
from astro_calib.characterize.dark_frames import as_frames
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.frame.rebuild import usable
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.identity import content_digest
from astro_calib.noise.source import NoiseSource
from astro_calib.stack.combination import combine
from astro_calib.steps.empty_sky import objects_on
from astro_calib.steps.surface import FittedSurface, fit_surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.frame.frame import CCDFrame

__all__ = ["running_sky"]

#: Fewer values at a pixel do not tell which of them is a star.
FEWEST_CLIPPED = 3
OWN = Coefficient(1.0).times(SELF_DATA)


def running_sky(
    frames: Sequence[CCDFrame], index: int, neighbours: int | None = None, leave_out: bool = True, method: str = "mean"
) -> CCDFrame:
    r"""
    Make the sky of one frame of a series from its neighbours, at the level that the sky has in that frame.

    Parameters
    ----------
    frames : sequence of CCDFrame, each of shape (ny, nx)
        Calibrated, in the order in which they were taken, the stars on other pixels in each.
    index : int
        Which frame the sky is for; negative numbers count from the end.
    neighbours : int, optional
        So many frames before it and after it are taken; all by default.
    leave_out : bool
        Whether the frame itself is left out. With it, its own stars and noise are partly subtracted from themselves.
    method : {"mean", "median"}
        As in `~astro_calib.combine`. Stars are masked; of three frames or more, a mean leaves outliers out.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        To be subtracted: ``frames[index] - running_sky(frames, index)``.

    Raises
    ------
    FrameError
        If no frame is left to make a sky of, or one has no noise, or a sky that is not positive.
    IndexError
        If there is no such frame.
    ShapeMismatchError
        If the shapes differ.
    astropy.units.UnitConversionError
        If the units differ.

    Notes
    -----
    The level of each frame is the mean of its pixels without stars, and noise that is common to a frame is in its
    level, too: that of the neighbours is gone from the sky, and that of the frame itself is gone after the sky was
    subtracted. What the level of the frame has for an error is one source of noise ("sky").

    The sky remembers the frames that it was made of, so that the budgets of neighbouring frames know that the noise of
    the one was subtracted from the other. Shift the frames to each other before they are combined: without that, the
    sky of each takes away from the stack what the frame brought, light and noise.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.characterize import running_sky
    >>> rng = np.random.default_rng(3)
    >>> def frame(level):
    ...     pixels = rng.normal(level, 5, (64, 64))
    ...     return CCDFrame(
    ...         pixels,
    ...         unit="electron",
    ...         uncertainty=StdDevUncertainty(np.full((64, 64), 5.0)),
    ...     )
    >>> frames = [frame(level) for level in (400, 410, 420, 430, 440)]
    >>> image = frames[2] - running_sky(frames, 2)
    >>> float(np.sqrt(image.variance.mean()).round(1))  # 5 sqrt(1 + 1/4)
    5.6
    """
    given = as_frames("running_sky", "frames", frames)
    position = _position(index, len(given))
    first, last = 0, len(given)
    if neighbours is not None:
        reach = check_count("neighbours", neighbours)
        first, last = max(position - reach, 0), position + reach + 1
    out = check_switch("leave_out", leave_out)
    chosen = [place for place in range(first, min(last, len(given))) if not (out and place == position)]
    if not chosen:
        msg = f"{given[position].name} has no neighbours to make a sky of; give more frames, or neighbours=1 or more."
        raise FrameError(msg)
    found = {place: _with_level(given[place]) for place in {*chosen, position}}
    levels = {place: _level(given[place], fit) for place, (fit, _) in found.items()}
    stack = combine(
        [found[place][1] for place in chosen],
        method=method,
        scale=[levels[position] / levels[place] for place in chosen],
        clip="sigma" if len(chosen) >= FEWEST_CLIPPED and method == "mean" else None,
    )
    budget = stack.known_budget
    assert budget is not None
    result = stack.replace(stack.pixels, budget.with_terms(_of_level(given[position], found[position][0])))
    result.name = f"the sky of {given[position].name} from {len(chosen)} frames"
    return result


def _position(index: Any, number: int) -> int:
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
        msg = f"index is {index!r}; expected the number of a frame, from 0 to {number - 1}."
        raise TypeError(msg)
    if not -number <= index < number:
        msg = f"index is {index}; expected the number of one of the {number} frames, from 0 to {number - 1}."
        raise IndexError(msg)
    return int(index) % number


def _with_level(frame: CCDFrame) -> tuple[FittedSurface, CCDFrame]:
    """The level of a frame, and what of the frame is sky; found once for all the skies that it goes into."""
    planes = (None if one is None else content_digest(np.asarray(one)) for one in (frame.mask, frame.flags))

    def find() -> tuple[FittedSurface, CCDFrame]:
        fit = fit_surface(frame, 0)
        return fit, _sky_only(frame, fit)

    found: tuple[FittedSurface, CCDFrame] = frame.cached("sky and its level", tuple(planes), find)
    return found


def _level(frame: CCDFrame, fit: FittedSurface) -> float:
    level = float(fit.numbers[0])
    if not level > 0:
        msg = f"{frame.name} has a sky of {level:.6g}; skies are scaled by their levels, which must be positive."
        raise FrameError(msg)
    return level


def _is_in_level(source: NoiseSource, coefficient: Coefficient) -> bool:
    """Whether a source is one number or one factor for the frame, so that a frame over its level is free of it."""
    return not source.axes and (coefficient.number is not None or coefficient.ratio_to(OWN) is not None)


def _sky_only(frame: CCDFrame, fit: FittedSurface) -> CCDFrame:
    """A frame with its stars masked, and without the noise that its level has as well."""
    budget = frame.known_budget
    assert budget is not None
    kept = [term for term in budget.terms if not _is_in_level(*term)]
    result = frame.replace(frame.pixels, UncertaintyBudget(frame.shape, kept, budget.dtype, budget.data))
    residual = floating(frame.pixels) - floating(frame.pixels).dtype.type(fit.numbers[0])
    stars = objects_on(residual, usable(frame), fit.blocks.step)
    result.mask = stars if frame.mask is None else frame.mask | stars
    return result


def _of_level(frame: CCDFrame, fit: FittedSurface) -> list[tuple[NoiseSource, Coefficient]]:
    """What the noise of a frame does to its level, and so to all of the sky that is scaled to that."""
    budget, level = frame.known_budget, float(fit.numbers[0])
    assert budget is not None
    text = f"{frame.pixel_digest()}:{level!r}:{float(fit.covariance[0, 0])!r}"
    identity = f"level:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
    terms = [(NoiseSource("sky", float(fit.covariance[0, 0]), axes=(), identity=identity), Coefficient(1.0))]
    for source, coefficient in budget.terms:
        if source.axes:
            continue
        if _is_in_level(source, coefficient):
            terms.append((source, coefficient))
        else:
            mean = float(fit.numbers_of(coefficient.evaluate(budget.data))[0])
            terms.append((source, Coefficient(mean)))
    return terms
