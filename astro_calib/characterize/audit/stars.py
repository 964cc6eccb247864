"""The stars of a series of one field: how much each scatters from frame to frame, and how much its errors say."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from astropy.table import Table
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["SHORTEST", "Series", "StarSeries"]

#: Fewer frames are no series, and fewer stars tell little.
SHORTEST, FEWEST_STARS = 5, 8
#: The stars that are measured, at most.
STARS = 200
#: A star that scatters more than this, in errors, is variable, or was hit.
VARIABLE = 5.0
#: What the noise of a star is made of that is new in each frame.
OWN = ("err_source", "err_sky", "err_read_noise", "err_other")
#: The stars' scatter over their errors may differ from 1 by this, because seeing and clouds change.
TOLERATED = 0.1
#: A ratio is off if it is that far from 1, and so many of its standard errors.
CERTAIN = 3.5


@dataclass(frozen=True, kw_only=True)
class Series:
    """
    Stars that were measured in several frames.

    Attributes
    ----------
    x, y, flux : ndarray, shape (n,)
        Place in the first frame, and mean flux in the unit of the frames.
    scatter, error : ndarray, shape (n,)
        Standard deviation of the flux from frame to frame, and what the errors say of it.
    frames : int
        How many frames there are.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    scatter: NDArray[np.float64]
    error: NDArray[np.float64]
    frames: int

    @property
    def ratio(self) -> tuple[float, float]:
        """Scatter over error of most stars, with its standard error."""
        squares = np.square(self.scatter / self.error)
        squares = squares[squares < VARIABLE**2 * np.median(squares)]
        ratio = float(np.sqrt(np.mean(squares)))
        return ratio, ratio / float(np.sqrt(2 * (self.frames - 1) * len(squares)))

    @property
    def off(self) -> bool:
        """Whether the errors are not those that the stars have."""
        ratio, error = self.ratio
        return abs(ratio - 1) > max(TOLERATED, CERTAIN * error)

    @property
    def words(self) -> str:
        """What was seen, with bright and faint stars apart, which have different causes."""
        ratio, error = self.ratio
        squares = np.square(self.scatter / self.error)
        faint, bright = (np.sqrt(np.median(part)) for part in np.array_split(squares[np.argsort(self.flux)], 2))
        cause = (
            "bright ones more: scintillation, clouds, or the flat under stars that move"
            if bright > 1.2 * faint
            else "bright ones and faint ones alike"
        )
        return f"the stars of the series scatter {ratio:.2f} +- {error:.2f} times their errors, {cause}"


class StarSeries:
    """Measures the stars of the first frame in all that follow."""

    def __init__(self) -> None:
        self.first: Table | None = None
        self.wcs: object | None = None
        self.fluxes: list[NDArray[np.float64]] = []
        self.errors: list[NDArray[np.float64]] = []

    def add(self, frame: CCDFrame) -> None:
        """Measure one frame; one without stars, or of another shape, is left out."""
        from astro_calib.photometry.snr import measure_snr

        with warnings.catch_warnings():
            # Stars that are left out of a table do not concern the scatter of those that are in it.
            warnings.simplefilter("ignore", AstropyUserWarning)
            try:
                if self.first is None:
                    table = measure_snr(frame, max_stars=STARS, n_empty=0)
                    if len(table) < FEWEST_STARS:
                        return
                    self.first, self.wcs = table, frame.wcs
                else:
                    radius, fwhm = (float(self.first.meta[name]) for name in ("radius", "fwhm"))
                    places = self._places_in(frame)
                    table = measure_snr(frame, positions=places, recenter=True, radius=radius, fwhm=fwhm, n_empty=0)
            except FrameError:
                return
        whole = ~np.asarray(table["partial"], bool)
        error = np.sqrt(sum(np.asarray(table[name], dtype=float) ** 2 for name in OWN))
        self.fluxes.append(np.where(whole, np.asarray(table["flux"], dtype=float), np.nan))
        self.errors.append(error)

    def _places_in(self, frame: CCDFrame) -> NDArray[np.float64]:
        assert self.first is not None
        if "ra" in self.first.colnames and frame.wcs is not None:
            x, y = frame.wcs.all_world2pix(self.first["ra"].value, self.first["dec"].value, 0, quiet=True)
            if np.isfinite(x).all():
                return np.transpose([x, y])
        return np.transpose([self.first["x"], self.first["y"]]).astype(float)

    def series(self) -> Series | None:
        """The stars that were measured in all frames, if there are enough of both."""
        if self.first is None or len(self.fluxes) < SHORTEST:
            return None
        flux, error = np.array(self.fluxes), np.array(self.errors)
        good = np.isfinite(flux).all(axis=0) & np.isfinite(error).all(axis=0) & (flux > 3 * error).all(axis=0)
        if good.sum() < FEWEST_STARS:
            return None
        flux, error = flux[:, good], error[:, good]
        # Clouds, air mass and exposure take the same part of all stars.
        for _ in range(3):
            mean = np.average(flux, axis=0, weights=1 / error.mean(axis=1) ** 2)
            weight = (mean / error.mean(axis=0)) ** 2
            part = np.average(flux / mean, axis=1, weights=np.minimum(weight, np.percentile(weight, 80)))
            flux, error = flux / part[:, None], error / part[:, None]
        return Series(
            x=np.asarray(self.first["x"], dtype=float)[good],
            y=np.asarray(self.first["y"], dtype=float)[good],
            flux=flux.mean(axis=0),
            scatter=flux.std(axis=0, ddof=1),
            error=np.sqrt(np.mean(error**2, axis=0)),
            frames=len(flux),
        )
