r"""
How unevenly the sky lights a detector once a flat has been divided by: a smooth surface with the error of its numbers.

The surface is fitted to the logarithm, :math:`\log L = \sum_k \beta_k B_k`, so that its relative error is a sum of the
same polynomials, wherever the light is: :math:`dL = L \sum_k d\beta_k B_k`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.characterize.dark_frames import as_frames
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.frame.frame import CCDFrame
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.surface import SurfaceArray, along_axis, matrix_of, powers_of
from astro_calib.stack.combination import combine
from astro_calib.steps.flat import flat_correct
from astro_calib.steps.surface import FittedSurface, check_block, check_degree, fit_surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["illumination"]

#: How often the surface is fitted to what the last one leaves.
ROUNDS = 3


def illumination(
    frames: Sequence[CCDFrame], flat: CCDFrame | None = None, degree: int = 4, block: int | None = None
) -> CCDFrame:
    r"""
    Make the correction of a flat's illumination from flats of the twilight sky, or from frames of the night sky.

    The frames, divided by the flat, are averaged without stars, and a polynomial in row and column is fitted to the
    logarithm of what is left. The flat keeps its small scales, and gets the large ones of the sky.

    Parameters
    ----------
    frames : sequence of CCDFrame, each of shape (ny, nx)
        Calibrated, of one filter; of the night sky, some between which the telescope was moved.
    flat : CCDFrame, optional
        The master flat that the frames are divided by; without one, they were divided by it.
    degree : int
        The degrees along rows and columns add up to this at most.
    block : int, optional
        Pixels of a block on a side, as in `~astro_calib.subtract_sky`.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        Of mean one and without unit, for `~astro_calib.illumination_correct` or `~astro_calib.illuminated_flat`. Each
        number of the polynomial brings a source of noise ("illumination"), of which a file holds a few numbers.

    Raises
    ------
    FrameError
        If a frame has no noise, or no light in it, or too few good pixels.
    ShapeMismatchError
        If the shapes differ.
    astropy.units.UnitConversionError
        If the units differ.
    ValueError
        If the degree is 0 or above 8, or a block has less than 4 pixels on a side.

    Notes
    -----
    A gradient of the sky itself looks like one of the illumination. That of twilight is smallest toward the zenith, a
    little away from it opposite to the sun; frames at several angles of the instrument average it out.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.characterize import illumination
    >>> rng = np.random.default_rng(3)
    >>> light = 1 + 0.1 * np.linspace(-1, 1, 96) * np.ones((96, 1))
    >>> def sky(level):
    ...     pixels = rng.normal(level * light, np.sqrt(level))
    ...     return CCDFrame(
    ...         pixels,
    ...         unit="electron",
    ...         uncertainty=StdDevUncertainty(np.sqrt(pixels)),
    ...     )
    >>> correction = illumination(
    ...     [sky(level) for level in (1e4, 2e4, 3e4)], degree=2
    ... )
    >>> bool(np.all(np.abs(correction.pixels - light) < 0.002))
    True
    """
    given = as_frames("illumination", "flats of the sky", frames)
    degree, block = check_degree(degree, lowest=1), check_block(block)
    if flat is not None:
        given = [flat_correct(frame, flat) for frame in given]
    clip = "sigma" if len(given) > 2 else None
    stack = combine(given, scale="median", clip=clip) if len(given) > 1 else given[0]
    fit, surface = _fitted(stack, degree, block)
    return _frame_of(stack, fit, surface, len(given))


def _fitted(stack: CCDFrame, degree: int, block: int | None) -> tuple[FittedSurface, NDArray[np.float64]]:
    """The fit to what the surface of the logarithm leaves, and the numbers of that surface."""
    pixels = floating(stack.pixels)
    # A median, so that stars do not matter.
    level = float(np.nanmedian(pixels if stack.mask is None else pixels[~stack.mask]))
    if not level > 0:
        msg = f"{stack.name} has a level of {level:.6g}; there must be light in a flat of the sky."
        raise FrameError(msg)
    numbers = np.zeros(len(powers_of(degree)))
    numbers[0] = np.log(level)
    for _ in range(ROUNDS):
        model = np.exp(SurfaceArray(matrix_of(numbers, degree), stack.shape).array).astype(pixels.dtype)
        # What the flat has too much is too little here: the noise of its pixels cancels in the frames.
        fit = fit_surface(stack.divide(model), degree, block, without=("flat",))
        numbers = numbers + fit.numbers
        numbers[0] -= 1
    return fit, numbers


def _frame_of(stack: CCDFrame, fit: FittedSurface, numbers: NDArray[np.float64], frames: int) -> CCDFrame:
    """The illumination, normalised to a mean of one, with the errors of its numbers."""
    degree, dtype = fit.degree, floating(stack.pixels).dtype
    light = np.exp(SurfaceArray(matrix_of(numbers, degree), stack.shape).array)
    rows, columns = (along_axis(degree, length) for length in stack.shape)
    means = (rows.T @ light @ columns) / light.sum()
    # What all numbers together do to the mean is taken off the first, which is the mean level and has no error left.
    project = np.eye(numbers.size)
    project[0] = [-means[power] for power in powers_of(degree)]
    project[0, 0] = 0.0
    of_sky = dataclasses.replace(fit, numbers=numbers, covariance=project @ fit.covariance @ project.T)
    data = (light / light.mean()).astype(dtype)
    terms = [(source, coefficient.times(SELF_DATA)) for source, coefficient in of_sky.terms("illumination", dtype)]
    terms += _common(stack, fit, project, dtype)
    terms = [(source, coefficient) for source, coefficient in terms if (source.variance.number or 1.0) > 0]
    budget = UncertaintyBudget(stack.shape, terms, dtype, data)
    return CCDFrame(data, unit="", budget=budget, name=f"the illumination of {frames} frames from {stack.name}")


def _common(
    stack: CCDFrame, fit: FittedSurface, project: NDArray[np.float64], dtype: Any
) -> list[tuple[Any, Coefficient]]:
    """The sources that are common to the stack, with what they did to the surface."""
    budget = stack.known_budget
    assert budget is not None
    own = Coefficient(1.0).times(SELF_DATA)
    result = []
    for source, coefficient in budget.terms:
        if source.axes or coefficient.ratio_to(own) is not None:
            # One factor for all pixels is gone with the mean.
            continue
        relative = np.asarray(coefficient.evaluate(budget.data)) / floating(stack.pixels)
        numbers = project @ fit.numbers_of(relative)
        surface = SurfaceArray(matrix_of(numbers, fit.degree), stack.shape, dtype=dtype)
        result.append((source, Coefficient(1.0).times(surface).times(SELF_DATA)))
    return result
