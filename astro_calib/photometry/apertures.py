r"""
One weight for each pixel around a star, so that flux and error are sums over one map.

.. math:: F = \sum_x w(x)\, z(x), \qquad w = a - \frac{\sum a}{n} b

with the part a of each pixel that lies in the aperture, and b = 1 for the n used pixels of the annulus, else 0.
What aperture and annulus have in common, such as the error of a level of the whole frame, cancels in w.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_positive, described
from astro_calib.flags import DataQuality
from astro_calib.photometry.shapes import cutouts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.kernels.apertures import Listed
    from astro_calib.photometry.shapes import Shape

__all__ = ["MAD_TO_SIGMA", "Aperture", "annulus_around", "aperture_for", "missing_light", "weigh"]

#: Annulus pixels further than this many robust standard deviations from the median are stars and defects. It keeps
#: 99.7% of a Gaussian.
CLIP = 3.0
#: Radius of the aperture and inner radius of the annulus, in full widths at half maximum; area of the annulus, in
#: apertures.
RADIUS, INNER, ANNULUS_AREA = 1.0, 2.5, 10.0
#: Further than any pixel of a frame.
FAR = 1e9
#: Standard deviations of Gaussian noise in its median absolute deviation: 1 / Phi^-1(3/4).
MAD_TO_SIGMA = 1.4826


class Aperture(NamedTuple):
    """
    A circular aperture with its annulus, all radii in pixels.

    A pixel on the edge of the aperture counts by the part that lies inside; in the annulus, one whose centre lies in
    it.
    """

    radius: float
    inner: float
    outer: float

    def inside(self, places: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """The places whose whole aperture is on a frame of this shape."""
        least, most = self.radius - 0.5, np.array([shape[1], shape[0]]) - 0.5 - self.radius
        return places[np.all((places >= least) & (places <= most), axis=1)]


def annulus_around(radius: float, fwhm: float | None = None) -> tuple[float, float]:
    """The radii of the annulus for an aperture; if no width is given, for stars as wide as the aperture's radius."""
    width = radius / RADIUS if fwhm is None else fwhm
    inner = max(INNER * width, radius + (INNER - RADIUS) * width)
    return inner, float(np.sqrt(inner**2 + ANNULUS_AREA * radius**2))


def aperture_for(fwhm: float, radius: float | None, annulus: tuple[float, float] | None) -> Aperture:
    """The aperture for stars of this width, or of the radius and the annulus that a caller wants."""
    if radius is None:
        radius = RADIUS * fwhm
    if annulus is None:
        annulus = annulus_around(radius, fwhm)
    inner, outer = _pair(annulus)
    if not radius <= inner < outer < np.inf:
        msg = (
            f"annulus is {annulus}; its inner radius must not be less than that of the aperture ({radius:g}), and its "
            "outer radius must be larger."
        )
        raise ValueError(msg)
    return Aperture(float(radius), inner, outer)


def _pair(annulus: Any) -> tuple[float, float]:
    """The inner and outer radius of an annulus, in pixels."""
    several = isinstance(annulus, (list, tuple)) or (isinstance(annulus, np.ndarray) and annulus.ndim == 1)
    if not several or len(annulus) != 2:
        msg = f"annulus is {described(annulus)}; expected its inner and outer radius in pixels, such as (10, 15)."
        raise ValueError(msg)
    inner, outer = (check_positive("a radius of the annulus", value, u.pixel) for value in annulus)
    return inner, outer


def weigh(
    data: NDArray[Any],
    missing: NDArray[np.bool_],
    places: NDArray[np.float64],
    aperture: Aperture,
    flags: NDArray[np.uint16] | None = None,
) -> Listed:
    """
    Weigh the pixels around positions (x, y), which may be outside of the frame.

    ``data`` is the frame in which stars in the annulus are recognised; a pixel where ``missing`` is True cannot be
    used.
    """
    from photutils.geometry import circular_overlap_grid

    from astro_calib.kernels.apertures import list_pixels
    from astro_calib.kernels.plain import plain

    # Bring places that are far off the frame nearer, where whole numbers can hold their pixels.
    places = np.clip(places, -FAR, FAR)
    # All places get as many pixels, also beyond the edges of the frame.
    side = int(np.ceil(2 * aperture.radius)) + 3
    corners = np.floor(places[:, ::-1] - aperture.radius).astype(np.int64)
    overlaps = np.empty((len(places), side, side))
    for overlap, (left, low) in zip(overlaps, corners[:, ::-1] - 0.5 - places, strict=True):
        overlap[:] = circular_overlap_grid(left, left + side, low, low + side, side, side, aperture.radius, 1, 1)
    return list_pixels(
        plain(data),
        missing,
        np.zeros(missing.shape, dtype=np.uint16) if flags is None else flags,
        int(DataQuality.SATURATED),
        places,
        corners,
        overlaps,
        aperture.inner,
        aperture.outer,
        CLIP * MAD_TO_SIGMA,
    )


def missing_light(
    missing: NDArray[np.bool_], places: NDArray[np.float64], radius: float, shape: Shape
) -> NDArray[np.float64]:
    """
    Return the part of each star's light in an aperture, 0 to 1, that falls on missing pixels, or outside of the frame.

    A pixel counts if its centre lies in the aperture.
    """
    reach = int(np.ceil(radius)) + 1
    # A place far from the frame is as far outside as its corner, of which a double holds the pixel.
    inside = np.clip(places, -2 * reach, np.array(missing.shape[::-1]) + 2 * reach)
    pixels = np.rint(inside).astype(np.intp)
    gone = cutouts(missing, pixels, (reach, reach), outside=True)
    light = shape.light(inside - pixels, reach, radius)
    with np.errstate(invalid="ignore"):
        part: NDArray[np.float64] = np.sum(light * gone, axis=(1, 2)) / np.sum(light, axis=(1, 2))
    # An aperture smaller than a pixel may hold no centre.
    return np.where(np.isfinite(part), part, gone[:, reach, reach])
