"""The light that falls on the detector: sky and stars, in electrons per second at a sensitivity of 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_count, check_number, check_shape, quantity_values
from astro_calib.simulate.components import ELECTRON_RATE, check_range

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from numpy.typing import NDArray

__all__ = ["random_stars", "sky_background", "stars"]


def sky_background(
    shape: tuple[int, int], rate: float | u.Quantity, *, gradient: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """
    Expected rate of the sky in each pixel.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx).
    rate : float or Quantity
        Mean over the frame, electron / s for each pixel.
    gradient : (float, float)
        Relative change from the first row to the last, and from the first column to the last.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        electron / s.

    Raises
    ------
    ValueError
        If the rate is negative, or the gradient makes it so in a corner.

    Examples
    --------
    >>> from astro_calib import simulate
    >>> sky = simulate.sky_background((101, 201), 20.0, gradient=(0.0, 0.1))
    >>> print(round(sky[0, 0], 3), round(sky[0, -1], 3), round(sky.mean(), 3))
    19.0 21.0 20.0
    """
    ny, nx = check_shape(shape)
    rate = check_number("rate", rate, ELECTRON_RATE)
    along_y, along_x = (check_number("gradient", value, minimum=-2.0, maximum=2.0) for value in gradient)
    if abs(along_y) + abs(along_x) > 2:
        msg = f"gradient is {gradient}; above 2 in sum, the sky of a corner would be negative."
        raise ValueError(msg)
    rows, columns = (np.linspace(-0.5, 0.5, size) if size > 1 else np.zeros(1) for size in (ny, nx))
    return rate * (1 + along_y * rows[:, np.newaxis] + along_x * columns)


def random_stars(
    shape: tuple[int, int],
    number: int,
    rng: np.random.Generator | int,
    *,
    flux_range: tuple[float, float] = (15.0, 40000.0),
    margin: float = 0.0,
) -> QTable:
    """
    Draw stars that are evenly spread over the frame, faint ones more often than bright ones.

    The number of stars brighter than a flux goes as its power -0.3, flatter than in the sky, so that a single
    frame has stars from the limit of detection to saturation.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the frame.
    number : int
        How many.
    rng : numpy.random.Generator or int
        Source of randomness.
    flux_range : (float, float)
        The least and the greatest flux, electron / s; positive.
    margin : float
        How far outside of the frame stars may be, pixels: their wings reach into it, and a shifted frame
        has stars up to its edge.

    Returns
    -------
    QTable
        Columns ``id`` (from 1), ``x`` and ``y`` (pixels, the centre of the first pixel is 0, 0) and
        ``flux`` (electron / s).

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from astro_calib import simulate
    >>> table = simulate.random_stars((100, 300), 20, 1)
    >>> print(table.colnames, len(table), table["flux"].unit)
    ['id', 'x', 'y', 'flux'] 20 electron / s
    """
    from astropy.table import QTable

    ny, nx = check_shape(shape)
    number = check_count("number", number)
    margin = check_number("margin", margin)
    low, high = check_range("flux_range", flux_range, "flux")
    rng = np.random.default_rng(rng)
    table = QTable()
    table["id"] = np.arange(1, number + 1)
    table["x"] = rng.uniform(-0.5 - margin, nx - 0.5 + margin, size=number)
    table["y"] = rng.uniform(-0.5 - margin, ny - 0.5 + margin, size=number)
    power = -0.3
    table["flux"] = rng.uniform(high**power, low**power, size=number) ** (1 / power) * ELECTRON_RATE
    return table


def stars(shape: tuple[int, int], table: Table, fwhm: float = 3.5) -> NDArray[np.float64]:
    r"""
    Expected rate of the light of stars in each pixel.

    A star is a circular Gaussian, integrated over each pixel, so that the sum over the pixels is its flux
    wherever in a pixel its centre is.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx).
    table : Table or QTable
        Columns ``x`` and ``y`` (pixels, the centre of the first pixel is 0, 0; inside or outside of the
        frame) and ``flux`` (electron / s, zero or positive); others are ignored.
    fwhm : float
        Full width at half maximum before integration over pixels, :math:`2 \sqrt{2 \ln 2}\,\sigma`; pixels,
        at least 0.5.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        electron / s.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a value is not finite, or a flux is negative.

    Notes
    -----
    The images are made by `photutils.psf.CircularGaussianPRF`, out to 4 ``fwhm`` (9.4 standard deviations).

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astro_calib import simulate
    >>> image = simulate.stars(
    ...     (40, 60),
    ...     Table({"x": [41.3], "y": [18.8], "flux": [1000.0]}),
    ...     fwhm=3,
    ... )
    >>> print(image.shape, round(image.sum(), 3))
    (40, 60) 1000.0
    """
    from astropy.table import Table
    from photutils.datasets import make_model_image
    from photutils.psf import CircularGaussianPRF

    shape = check_shape(shape)
    fwhm = check_number("fwhm", fwhm, u.pixel, minimum=0.5)
    missing = [name for name in ("x", "y", "flux") if name not in table.colnames]
    if missing:
        msg = f"the table of stars has no column {', '.join(missing)}; it has {', '.join(table.colnames)}."
        raise KeyError(msg)
    parameters = Table(
        {
            "x_0": quantity_values("column x of the stars", table["x"], u.pixel),
            "y_0": quantity_values("column y of the stars", table["y"], u.pixel),
            "flux": quantity_values("column flux of the stars", table["flux"], ELECTRON_RATE),
        }
    )
    for name in parameters.colnames:
        bad = ~np.isfinite(parameters[name]) | ((name == "flux") & (parameters[name] < 0))
        if bad.any():
            msg = f"row {np.flatnonzero(bad)[0]} of the stars has {name} = {parameters[name][bad][0]}."
            raise ValueError(msg)
    size = 2 * int(np.ceil(4 * fwhm)) + 1
    # photutils 3.0 fails instead of leaving out a star whose image ends just before the first pixel.
    reaches = [
        (parameters[name] > -size / 2) & (parameters[name] < length + size / 2)
        for name, length in zip(("y_0", "x_0"), shape, strict=True)
    ]
    parameters = parameters[reaches[0] & reaches[1]]
    image = make_model_image(shape, CircularGaussianPRF(fwhm=fwhm), parameters, model_shape=(size, size))
    return np.asarray(image)
