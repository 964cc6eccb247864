"""Where on the sky positions on a frame are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SkyPlaces", "sky_places"]


class SkyPlaces(NamedTuple):
    """
    Positions on the sky, ICRS.

    Attributes
    ----------
    ra, dec : Quantity, shape (n,)
        Degrees; NaN where the projection knows no place.
    """

    ra: u.Quantity
    dec: u.Quantity


def sky_places(wcs: Any, places: NDArray[np.float64]) -> SkyPlaces | None:
    """
    Right ascension and declination of positions on a frame.

    Parameters
    ----------
    wcs : object with astropy's interface for world coordinates, or None
        That of the frame.
    places : ndarray of float64, shape (n, 2)
        x and y, from 0 at the centre of the first pixel.

    Returns
    -------
    SkyPlaces or None
        None if there is no WCS, or one that has nothing to do with the sky.

    Raises
    ------
    Exception
        Whatever a WCS does that cannot be used.
    """
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    if wcs is None:
        return None
    if isinstance(wcs, WCS):
        if not wcs.has_celestial:
            return None
        # Of more axes than the image has, such as wavelength or polarisation, those of the sky count.
        wcs = wcs if wcs.naxis == 2 else wcs.celestial
    found = wcs.pixel_to_world(*places.T)
    coordinates = [
        part for part in (found if isinstance(found, (list, tuple)) else [found]) if isinstance(part, SkyCoord)
    ]
    if not coordinates:
        return None
    sky = coordinates[0].icrs
    return SkyPlaces(*(np.atleast_1d(angle.to(u.deg)).view(u.Quantity) for angle in (sky.ra, sky.dec)))
