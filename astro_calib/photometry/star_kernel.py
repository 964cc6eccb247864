"""The kernel under which stars are searched for: a Gaussian as wide as they are, less its mean (Stetson 1987)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.photometry.shapes import Shape

__all__ = ["StarKernel", "star_kernel"]

#: Radius of the kernel in standard deviations of a star. At 2 a peak of 5 sigma is a star of 8 sigma in an aperture,
#: for any width; at the 1.5 of DAOFIND wide stars would have to be twice as bright.
RADIUS = 2.0
#: It reaches at least so many pixels to each side.
SMALLEST = 2


class StarKernel(NamedTuple):
    """
    A kernel for stars of a shape.

    Attributes
    ----------
    weights : ndarray, shape (ny, nx)
        Their sum is zero; the height of a star is the sum of its pixels times these.
    inside : ndarray of int of the same shape
        1 where the kernel has weights, 0 where it has none.
    number : int
        How many pixels that are.
    relative_error : float
        The error of a height over that of a pixel.
    """

    weights: NDArray[np.float64]
    inside: NDArray[np.int_]
    number: int
    relative_error: float

    @property
    def radii(self) -> tuple[int, int]:
        """How many pixels there are above and to the right of the middle."""
        return self.inside.shape[0] // 2, self.inside.shape[1] // 2


def star_kernel(shape: Shape) -> StarKernel:
    """The kernel for stars of a shape; that of `photutils.detection.DAOStarFinder`, whose import takes much longer."""
    x_squared, y_squared = ((width * gaussian_fwhm_to_sigma) ** 2 for width in (shape.along, shape.across))
    cosine, sine = np.cos(shape.angle), np.sin(shape.angle)
    xx = cosine**2 / (2 * x_squared) + sine**2 / (2 * y_squared)
    xy = 0.5 * cosine * sine * (1 / x_squared - 1 / y_squared)
    yy = sine**2 / (2 * x_squared) + cosine**2 / (2 * y_squared)
    end = RADIUS**2 / 2
    reach = [int(max(SMALLEST, np.sqrt(part * end / (xx * yy - xy**2)))) for part in (xx, yy)]
    y, x = np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    exponent: NDArray[Any] = xx * x**2 + 2 * xy * x * y + yy * y**2
    inside = ((exponent <= end) | (np.hypot(x, y) <= SMALLEST)).astype(int)
    number = int(inside.sum())
    gaussian = np.exp(-exponent) * inside
    squares = (gaussian**2).sum() - gaussian.sum() ** 2 / number
    weights = (gaussian - gaussian.sum() / number) / squares * inside
    return StarKernel(weights, inside, number, float(1 / np.sqrt(squares)))
