"""The table of measured stars."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.flags import DataQuality
from astro_calib.photometry.fluxes import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.kernels.apertures import Listed
    from astro_calib.photometry.fluxes import Fluxes
    from astro_calib.photometry.portable_table import StarTable
    from astro_calib.photometry.sky_places import SkyPlaces

__all__ = ["EmptyNoise", "star_table"]

DESCRIPTIONS = {
    "id": "number of the star",
    "x": "column, from 0 at the centre of the first pixel",
    "y": "row, from 0 at the centre of the first pixel",
    "shift": "how far the position was moved; NaN where it stays as given",
    "ra": "right ascension, ICRS",
    "dec": "declination, ICRS",
    "aperture_radius": "radius of the aperture",
    "flux": "aperture less annulus",
    "flux_err": "standard deviation of the flux",
    "snr": "flux over its standard deviation",
    "snr_empirical": "flux over scatter of empty apertures",
    "err_source": "part of flux_err: shot noise of the star",
    "err_sky": "part of flux_err: shot noise of sky and dark current",
    "err_read_noise": "part of flux_err: read noise",
    "err_dark": "part of flux_err: master dark",
    "err_bias": "part of flux_err: master bias",
    "err_flat": "part of flux_err: master flat",
    "err_other": "part of flux_err: the rest",
    "n_missing": "pixels of the aperture that are masked or outside of the frame",
    "n_saturated": "pixels of the aperture that are saturated",
    "missing_light": "part of a star's light that falls on missing pixels",
    "partial": "whether light of the star is missing in the flux",
    "flags": "DataQuality bits set in the aperture, REJECTED left out",
}


#: A flux from which more than this part of the star's light is missing is partial.
PARTIAL = 0.01


class EmptyNoise(NamedTuple):
    """The robust scatter of the sums of empty apertures, and the median of their predicted errors."""

    scatter: float
    predicted: float


def star_table(
    places: NDArray[np.float64],
    listed: Listed,
    measured: Sequence[Fluxes],
    noise: Sequence[EmptyNoise],
    unit: u.UnitBase,
    *,
    radius: float,
    missing_light: NDArray[np.float64],
    sky: SkyPlaces | None = None,
    shift: NDArray[np.float64] | None = None,
) -> StarTable:
    """
    Put measured stars into a table as `~astro_calib.measure_snr` describes it.

    ``measured`` and ``noise`` are those of the frame, and of the one before calibration if there is one.
    ``missing_light`` is the part of each star's light that falls on missing pixels, ``shift`` how far the places were
    moved.
    """
    from astro_calib.photometry.portable_table import StarTable

    table = StarTable()
    table["id"] = np.arange(1, len(places) + 1)
    table["x"], table["y"] = places[:, 0] * u.pixel, places[:, 1] * u.pixel
    if shift is not None:
        table["shift"] = shift * u.pixel
    if sky is not None:
        table["ra"], table["dec"] = sky
    table["aperture_radius"] = np.full(len(places), radius) * u.pixel
    for suffix, result, empty in zip(("", "_before"), measured, noise, strict=False):
        table[f"flux{suffix}"] = result.flux * unit
        table[f"flux_err{suffix}"] = result.error * unit
        with np.errstate(divide="ignore", invalid="ignore"):
            table[f"snr{suffix}"] = result.flux / result.error
            table[f"snr_empirical{suffix}"] = result.flux / empty.scatter
    for component in COMPONENTS:
        table[f"err_{component}"] = np.sqrt(measured[0].variances[component]) * unit
    table["n_missing"], table["n_saturated"] = listed.n_missing, listed.n_saturated
    table["missing_light"] = missing_light
    table["partial"] = (missing_light > PARTIAL) | (listed.n_saturated > 0)
    # In a mean of many frames nearly every aperture has a pixel at which a value was rejected, which tells nothing.
    # VOTables know no unsigned integers.
    table["flags"] = (listed.flags & ~np.uint16(DataQuality.REJECTED)).astype(np.int32)
    for name in table.colnames:
        before = name.endswith("_before")
        table[name].info.description = DESCRIPTIONS[name.removesuffix("_before")] + before * ", before calibration"
    return table
