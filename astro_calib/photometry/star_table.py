"""The table of measured stars."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.flags import DataQuality
from astro_calib.photometry.fluxes import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import QTable
    from numpy.typing import NDArray

    from astro_calib.kernels.apertures import Listed
    from astro_calib.photometry.fluxes import Fluxes

__all__ = ["EmptyNoise", "star_table"]

DESCRIPTIONS = {
    "id": "number of the star",
    "x": "column, from 0 at the centre of the first pixel",
    "y": "row, from 0 at the centre of the first pixel",
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
    "flags": "DataQuality bits set in the aperture, REJECTED left out",
}


class EmptyNoise(NamedTuple):
    """
    What empty apertures say of the noise.

    Attributes
    ----------
    scatter : float
        Robust scatter of their sums.
    predicted : float
        Median of their predicted errors.
    """

    scatter: float
    predicted: float


def star_table(
    places: NDArray[np.float64],
    listed: Listed,
    measured: Sequence[Fluxes],
    noise: Sequence[EmptyNoise],
    unit: u.UnitBase,
) -> QTable:
    """
    Put measured stars into a table.

    Parameters
    ----------
    places : ndarray of float64, shape (n, 2)
        x and y.
    listed : Listed
        What was measured.
    measured : sequence of Fluxes
        Of the frame, and of that before calibration if there is one.
    noise : sequence of EmptyNoise
        Of the same frames.
    unit : unit
        Of the fluxes.

    Returns
    -------
    QTable
        As `~astro_calib.measure_snr` describes it.
    """
    from astropy.table import QTable

    table = QTable()
    table["id"] = np.arange(1, len(places) + 1)
    table["x"], table["y"] = places[:, 0] * u.pixel, places[:, 1] * u.pixel
    for suffix, result, empty in zip(("", "_before"), measured, noise, strict=False):
        table[f"flux{suffix}"] = result.flux * unit
        table[f"flux_err{suffix}"] = result.error * unit
        with np.errstate(divide="ignore", invalid="ignore"):
            table[f"snr{suffix}"] = result.flux / result.error
            table[f"snr_empirical{suffix}"] = result.flux / empty.scatter
    for component in COMPONENTS:
        table[f"err_{component}"] = np.sqrt(measured[0].variances[component]) * unit
    table["n_missing"], table["n_saturated"] = listed.n_missing, listed.n_saturated
    # Of a mean of many frames nearly each aperture has a pixel at which a value was rejected: that tells nothing.
    table["flags"] = listed.flags & ~np.uint16(DataQuality.REJECTED)
    for name in table.colnames:
        before = name.endswith("_before")
        table[name].info.description = DESCRIPTIONS[name.removesuffix("_before")] + before * ", before calibration"
    return table
