"""Right ascension and declination of positions on a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SkyPlaces", "sky_places"]


class SkyPlaces(NamedTuple):
    """Positions on the sky, ICRS, in degrees; NaN where the projection knows no place."""

    ra: u.Quantity
    dec: u.Quantity


def sky_places(wcs: Any, places: NDArray[np.float64]) -> SkyPlaces | None:
    """
    Return right ascension and declination of positions (x, y) on a frame; None without a WCS of the sky.

    A WCS that was never fitted, or whose system astropy does not know, is a ValueError; another that cannot be used may
    raise anything.
    """
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    if wcs is None:
        return None
    celestial = isinstance(wcs, WCS) and wcs.has_celestial
    if isinstance(wcs, WCS):
        if not celestial:
            return None
        # Drop axes that the image does not have, such as wavelength or polarisation.
        wcs = wcs if wcs.naxis == 2 else wcs.celestial
        _check_fitted(wcs)
    found = wcs.pixel_to_world(*places.T)
    worlds = found if isinstance(found, (list, tuple)) else [found]
    coordinates = [world for world in worlds if isinstance(world, SkyCoord)]
    if not coordinates:
        if celestial:
            msg = f"astropy does not know the system of its coordinates (RADESYS is {wcs.wcs.radesys!r})"
            raise ValueError(msg)
        return None
    sky = coordinates[0].icrs
    return SkyPlaces(*(np.atleast_1d(angle.to(u.deg)).view(u.Quantity) for angle in (sky.ra, sky.dec)))


def _check_fitted(wcs: Any) -> None:
    """A header with nothing but the names of the axes has pixels of one degree."""
    if np.array_equal(wcs.pixel_scale_matrix, np.eye(2)):
        msg = "it has no scale, so that a pixel would be one degree wide"
        raise ValueError(msg)
