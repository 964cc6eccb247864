"""Subtract a smooth sky that is fitted to the frame itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from astro_calib.arguments import as_mask
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame.rebuild import as_frame
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.steps.step import NamedStep
from astro_calib.steps.surface import FittedSurface, check_block, check_degree, fit_surface

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from astro_calib.frame.frame import CCDFrame

__all__ = ["less_surface", "sky_step", "subtract_sky"]


def subtract_sky(
    ccd: CCDFrame, degree: int = 2, block: int | None = None, objects: ArrayLike | None = None, name: str = "sky"
) -> CCDFrame:
    r"""
    Subtract a smooth sky, or scattered light, that is fitted to the frame itself.

    The frame is averaged in blocks without stars and outliers, and a polynomial in row and column is fitted to the
    means. The error of the fit is common to the frame, and each of the polynomials brings a source of noise ("sky") of
    which the frame's file holds a few numbers.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame with noise; flat-fielded, if what is to be subtracted is the sky.
    degree : int
        The degrees along rows and columns add up to this at most: 0 for a level, 1 for a plane, 2 by default.
    block : int, optional
        Pixels of a block on a side: more than a star has, and fewer than what the surface is to follow. A sixteenth of
        the shorter side of the frame, 8 to 64, by default.
    objects : array_like of bool, shape (ny, nx), optional
        True where pixels are left out of the fit, as those that are masked, and those of stars that it finds itself.
    name : str
        What the noise is called in the budget.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        In the unit and the type of ``ccd``.

    Raises
    ------
    FrameError
        If the frame has no noise, or too few good pixels for the degree.
    ShapeMismatchError
        If ``objects`` has another shape than the frame.
    ValueError
        If the degree is above 8, or a block has less than 4 pixels on a side.

    Notes
    -----
    Noise that is common to the frame, such as that of an overscan level, has acted on the fit as well: the surface that
    is fitted to its coefficient is subtracted from that, so that a constant one is gone. If the blocks scatter more
    about the surface than their noise makes them, the covariance is multiplied by their chi square.

    The noise of a pixel that went into the fit counts as independent of the fit. For the sum over n such pixels of N
    the variance is too high by the part :math:`2 p n / N` for a surface of p numbers: 0.4% for 300 pixels of a million
    and degree 2. A star is left out of the fit, and the error of its sum has no such part.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, subtract_sky
    >>> noise = np.random.default_rng(1).normal(0, 5, (96, 96))
    >>> sky = 200 + 0.5 * np.arange(96)
    >>> frame = CCDFrame(
    ...     sky + noise,
    ...     unit="electron",
    ...     uncertainty=StdDevUncertainty(np.full((96, 96), 5.0)),
    ... )
    >>> image = subtract_sky(frame)
    >>> bool(abs(image.pixels.mean()) < 0.1)
    True
    >>> float(
    ...     np.sqrt(image.budget.variances()["sky"][48, 48]).round(2)
    ... )  # the error of the sky in the middle
    0.1
    """
    frame = as_frame(ccd).snapshot()
    degree, block = check_degree(degree), check_block(block)
    left_out = None if objects is None else as_mask("objects", objects)
    if left_out is not None and left_out.shape != frame.shape:
        msg = f"{frame.name} has shape {frame.shape}, objects has {left_out.shape}; expected the same shape."
        raise ShapeMismatchError(msg)
    budget = frame.known_budget
    if budget is None:
        msg = f"{frame.name} has no noise yet, so that its sky has no error. Apply create_deviation, or calibrate."
        raise FrameError(msg)
    return less_surface(frame, budget, fit_surface(frame, degree, block, left_out), name)


def less_surface(frame: CCDFrame, budget: UncertaintyBudget, fitted: FittedSurface, name: str) -> CCDFrame:
    """A frame less the surface that was fitted to it, with what the noise of the frame becomes."""
    before, dtype = frame.pixels, budget.dtype
    data = before - fitted.array(before.dtype if before.dtype.kind == "f" else dtype).array
    terms = [fitted.after_subtraction(term, before, dtype) for term in budget.terms]
    kept = [term for term in terms if term is not None] + fitted.terms(name, dtype)
    return frame.replace(data, UncertaintyBudget(frame.shape, kept, dtype, data))


def sky_step(degree: int) -> NamedStep:
    """The step of `calibrate`: a sky of a degree."""
    return NamedStep("sky", partial(subtract_sky, degree=degree))
