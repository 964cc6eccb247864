"""
The pieces of which `Camera` makes frames: what a detector adds to the light, and what it does to it.

Patterns that belong to a detector (bias, dark current, sensitivity) are the same for the same ``rng``: give a number,
the detector's seed. Noise and cosmic rays are new each time: give a generator, which moves on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_count, check_number, check_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bias", "dark_current", "make_cosmic_rays", "read_noise", "sensitivity_variations"]

ELECTRON_RATE = u.electron / u.s


def check_range(what: str, pair: tuple[float, float], kind: str) -> tuple[float, float]:
    """A positive least and a greatest rate or flux, electron / s."""
    low, high = (check_number(what, value, ELECTRON_RATE) for value in pair)
    if not 0 < low <= high:
        msg = f"{what} is {pair}; it must be a positive least and a greatest {kind}."
        raise ValueError(msg)
    return low, high


def read_noise(
    shape: tuple[int, int], sigma: float | u.Quantity, rng: np.random.Generator | int
) -> NDArray[np.float64]:
    """
    Draw the noise of reading each pixel once.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx).
    sigma : float or Quantity
        Standard deviation, electron; zero or positive.
    rng : numpy.random.Generator or int
        Source of randomness.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Gaussian noise of mean 0, electron.

    Raises
    ------
    ValueError
        If ``sigma`` is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import simulate
    >>> noise = simulate.read_noise((200, 300), 5.0, np.random.default_rng(1))
    >>> print(noise.shape, round(noise.std(), 1))
    (200, 300) 5.0
    """
    sigma = check_number("sigma", sigma, u.electron)
    return sigma * np.random.default_rng(rng).standard_normal(check_shape(shape))


def bias(
    shape: tuple[int, int],
    level: float | u.Quantity,
    *,
    structure: float | u.Quantity = 0.0,
    rng: np.random.Generator | int = 0,
) -> NDArray[np.float64]:
    """
    Expected bias: a level, and a pattern that every frame of the detector has.

    The pattern is made of an offset of each column (standard deviation ``structure``), a rise towards the
    column that is read first (4 ``structure``, falling by e every eighth of the width), bright columns (one
    in 200, of 5 to 15 ``structure``) and an offset of each pixel (0.3 ``structure``).

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx).
    level : float or Quantity
        Level below the pattern, adu.
    structure : float or Quantity
        Size of the pattern, adu; zero for none.
    rng : numpy.random.Generator or int
        Source of randomness; a number stands for a detector.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        adu.

    Raises
    ------
    ValueError
        If a number is negative or not finite.

    Examples
    --------
    >>> from astro_calib import simulate
    >>> flat, striped = (
    ...     simulate.bias((100, 100), 1000),
    ...     simulate.bias((100, 100), 1000, structure=2),
    ... )
    >>> print(flat.std() == 0, striped.std() > 2)
    True True
    """
    ny, nx = check_shape(shape)
    level = check_number("level", level, u.adu)
    structure = check_number("structure", structure, u.adu)
    rng = np.random.default_rng(rng)
    columns = rng.standard_normal(nx) + 4 * np.exp(-np.arange(nx) / (nx / 8))
    columns[rng.choice(nx, size=nx // 200, replace=False)] += rng.uniform(5, 15, size=nx // 200)
    result: NDArray[np.float64] = level + structure * (columns + 0.3 * rng.standard_normal((ny, nx)))
    return result


def dark_current(
    shape: tuple[int, int],
    rate: float | u.Quantity,
    *,
    hot_pixels: float = 0.0,
    hot_rates: tuple[float, float] = (1.0, 300.0),
    glow: float | u.Quantity = 0.0,
    rng: np.random.Generator | int = 0,
) -> NDArray[np.float64]:
    """
    Expected rate of the dark current; its electrons are drawn when a frame is exposed.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx).
    rate : float or Quantity
        Dark current of an ordinary pixel, electron / s.
    hot_pixels : float
        Fraction of the pixels that are hot, from 0 to 1.
    hot_rates : (float, float)
        The least and the greatest dark current that a hot pixel has in excess of the others, electron / s;
        evenly spread in the logarithm between them.
    glow : float or Quantity
        Light of the amplifier in the corner of the last row and column, electron / s; it falls by e
        every tenth of the diagonal.
    rng : numpy.random.Generator or int
        Source of randomness; a number stands for a detector.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        electron / s.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from astro_calib import simulate
    >>> rate = simulate.dark_current(
    ...     (200, 300), 0.1, hot_pixels=0.001, hot_rates=(5, 50)
    ... )
    >>> print((rate == 0.1).sum(), (rate > 5).sum())
    59940 60
    """
    ny, nx = check_shape(shape)
    rate = check_number("rate", rate, ELECTRON_RATE)
    glow = check_number("glow", glow, ELECTRON_RATE)
    hot_pixels = check_number("hot_pixels", hot_pixels, maximum=1.0)
    low, high = check_range("hot_rates", hot_rates, "rate")
    rng = np.random.default_rng(rng)
    y, x = np.ogrid[:ny, :nx]
    distance = np.hypot(ny - 1 - y, nx - 1 - x)
    result: NDArray[np.float64] = rate + glow * np.exp(-10 * distance / np.hypot(ny, nx))
    number = round(hot_pixels * ny * nx)
    result.flat[rng.choice(ny * nx, size=number, replace=False)] += np.exp(
        rng.uniform(np.log(low), np.log(high), size=number)
    )
    return result


def sensitivity_variations(
    shape: tuple[int, int],
    *,
    vignetting: float = 0.05,
    dust: int = 8,
    pixel_scatter: float = 0.01,
    rng: np.random.Generator | int = 0,
) -> NDArray[np.float64]:
    """
    Relative sensitivity of the pixels, with a mean of 1: what a perfect flat shows.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx).
    vignetting : float
        Fraction of the light that the corners lose against the centre, from 0 to 1; the loss grows with
        the square of the distance from the centre.
    dust : int
        Number of rings, the shadows of grains of dust out of focus; each takes 1% to 4% of the light.
    pixel_scatter : float
        Standard deviation of the pixels' own sensitivities, relative, from 0 to 0.15.
    rng : numpy.random.Generator or int
        Source of randomness; a number stands for a detector and filter.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Positive, mean 1.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from astro_calib import simulate
    >>> flat = simulate.sensitivity_variations(
    ...     (101, 151), vignetting=0.05, dust=0, pixel_scatter=0
    ... )
    >>> print(round(flat[0, 0] / flat[50, 75], 3), round(flat.mean(), 3))
    0.95 1.0
    """
    ny, nx = check_shape(shape)
    vignetting = check_number("vignetting", vignetting, maximum=1.0)
    dust = check_count("dust", dust)
    pixel_scatter = check_number("pixel_scatter", pixel_scatter, maximum=0.15)
    rng = np.random.default_rng(rng)
    y, x = np.ogrid[:ny, :nx]
    squared = (y - (ny - 1) / 2) ** 2 + (x - (nx - 1) / 2) ** 2
    result: NDArray[np.float64] = 1 - vignetting * squared / max(squared[0, 0], 1)
    for _ in range(dust):
        centre_y, centre_x = rng.uniform(0, ny), rng.uniform(0, nx)
        # Grains at one distance from the detector throw shadows of one size; a few distances are in use.
        outer = min(ny, nx) * rng.choice([0.025, 0.035, 0.06])
        radius = np.hypot(y - centre_y, x - centre_x)
        ring = _edge(outer - radius) * _edge(radius - 0.4 * outer)
        result *= 1 - rng.uniform(0.01, 0.04) * ring
    # A Gaussian has no bound: a pixel of negative sensitivity cannot be, whatever the scatter.
    result *= np.maximum(1 + pixel_scatter * rng.standard_normal((ny, nx)), 0.01)
    result /= result.mean()
    return result


def _edge(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 outside and 1 inside an edge, changing over about 2 pixels."""
    return 0.5 * (1 + np.tanh(distance))


def make_cosmic_rays(
    shape: tuple[int, int],
    number: int,
    rng: np.random.Generator | int,
    *,
    charge: float | u.Quantity = 1500.0,
    length: float = 6.0,
) -> NDArray[np.float64]:
    """
    Draw hits of cosmic rays: straight tracks, one pixel wide, that start anywhere and go anywhere.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx).
    number : int
        Number of hits.
    rng : numpy.random.Generator or int
        Source of randomness.
    charge : float or Quantity
        Median over the hits of the charge that a pixel's length of track frees, electron; the scatter is
        log-normal with a standard deviation of 0.5 in the natural logarithm.
    length : float
        Mean length of a track, pixels; exponentially distributed.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Expected electrons, zero where nothing was hit. Tracks end at the edge of the frame.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import simulate
    >>> hits = simulate.make_cosmic_rays(
    ...     (100, 200), 20, np.random.default_rng(3)
    ... )
    >>> print(hits.shape, 20 <= (hits > 0).sum() < 500)
    (100, 200) True
    """
    ny, nx = check_shape(shape)
    number = check_count("number", number)
    charge = check_number("charge", charge, u.electron)
    length = check_number("length", length)
    rng = np.random.default_rng(rng)
    result = np.zeros((ny, nx))
    step = 0.2
    for _ in range(number):
        y, x, angle = rng.uniform(0, ny), rng.uniform(0, nx), rng.uniform(0, 2 * np.pi)
        along = np.arange(0, rng.exponential(length) + step, step)
        rows = np.floor(y + along * np.sin(angle)).astype(int)
        columns = np.floor(x + along * np.cos(angle)).astype(int)
        inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
        deposit = step * charge * np.exp(0.5 * rng.standard_normal())
        np.add.at(result, (rows[inside], columns[inside]), deposit)
    return result
