"""What a summary says of a science frame that was calibrated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.night.common.remarks import Remark
from astro_calib.photometry.sky_noise import SkyNoise
from astro_calib.report.gauge import SKY_RATIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from astro_calib.report.histogram import Histogram

__all__ = ["FrameSummary"]

#: Observed over predicted scatter of empty apertures: above this a remark says so.
EMPTY_RATIO = 1.2
#: A remark says so if stars are longer than wide by more than this factor.
ELONGATED = 1.5
#: An aperture with a radius of less than this part of the stars' width holds less than 80% of a Gaussian's light.
HOLDING = 0.75
NOT_MEASURED = SkyNoise(np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True, kw_only=True)
class FrameSummary:
    """
    A science frame that was calibrated.

    Parameters
    ----------
    path : Path
        The calibrated frame.
    object, filter : str
        What its header says.
    exposure_time : float
        In seconds.
    saturated : int
        How many pixels are saturated that are not bad anyway.
    bad : int
        How many pixels are bad, or hold no number.
    table : Path, optional
        Its stars; None if they were not measured, as all that follows.
    sky : SkyNoise
        Level and noise of the sky, in electron.
    stars, stars_found : int
        How many stars were measured, and found.
    snr_before, snr_after : float
        Median over the stars of flux over its predicted error; NaN without stars.
    snr_empirical_before, snr_empirical_after : float
        Median over the stars of flux over the scatter of empty apertures, which knows fixed pattern as well.
    empty_ratio : float
        Scatter of empty apertures over their predicted error; NaN if there is no room for them.
    fwhm, fwhm_across : float
        Full widths at half maximum of the stars, along their longer axis and across, in pixels; NaN if too few show it.
    aperture : float
        Radius of the apertures, in pixels.
    left_out : dict of str to int
        How many peaks were left out that may have been stars, by reason.
    shares : dict of str to float
        What the variance of a pixel of the sky is made of: the share of each source of noise.
    below_zero : float
        How far the level of the sky is below zero, in electron; 0 if it is not.
    setup : str
        The name of the setup that it is of; empty if the night has one.
    raw : Path, optional
        The raw file that it was made of.
    raw_name : str
        What it is called in what is said about it: the name of the raw file, with its folder where several files of the
        night have the same name. By default the name of ``raw``, or of ``path``.
    histogram : Histogram, optional
        How often the pixels of its sky have which value, before and after calibration; None without stars or pictures.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night import FrameSummary, SkyNoise
    >>> frame = FrameSummary(
    ...     path=Path("m13.fits"),
    ...     table=Path("m13-stars.ecsv"),
    ...     object="M 13",
    ...     filter="V",
    ...     exposure_time=60.0,
    ...     sky=SkyNoise(
    ...         level=212.0, observed=18.4, predicted=18.3, ratio=1.005
    ...     ),
    ...     stars=120,
    ...     stars_found=131,
    ...     snr_before=31.0,
    ...     snr_after=38.0,
    ...     snr_empirical_before=22.0,
    ...     snr_empirical_after=37.0,
    ...     empty_ratio=1.6,
    ...     saturated=3,
    ...     bad=2048,
    ... )
    >>> frame.remarks()
    ['m13.fits: empty apertures scatter by 1.60 of what is predicted:
     crowded or structured field']
    """

    path: Path
    object: str
    filter: str
    exposure_time: float
    saturated: int
    bad: int
    table: Path | None = None
    sky: SkyNoise = NOT_MEASURED
    stars: int = 0
    stars_found: int = 0
    snr_before: float = np.nan
    snr_after: float = np.nan
    snr_empirical_before: float = np.nan
    snr_empirical_after: float = np.nan
    empty_ratio: float = np.nan
    fwhm: float = np.nan
    fwhm_across: float = np.nan
    aperture: float = np.nan
    left_out: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    below_zero: float = 0.0
    setup: str = ""
    raw: Path | None = None
    raw_name: str = ""
    histogram: Histogram | None = None

    def __post_init__(self) -> None:
        if not self.raw_name:
            object.__setattr__(self, "raw_name", (self.raw or self.path).name)

    def remarks(self) -> list[Remark]:
        """
        What is to be looked into.

        Returns
        -------
        list of Remark
            Empty if nothing is. Each is a text, in which the name of the raw file stands first.
        """
        remarks = []
        low, high = SKY_RATIO
        if np.isfinite(self.sky.ratio) and not low <= self.sky.ratio <= high:
            remarks.append(
                f"the noise of the sky is {self.sky.ratio:.3f} of what is predicted{self._from_blocks()}; look into it:"
                " unmasked objects, pattern noise, or gain and read noise that are off"
            )
        if self.sky.why:
            remarks.append(f"whether the noise of the sky is as predicted is not known: {self.sky.why}")
        if self.fwhm > ELONGATED * self.fwhm_across:
            remarks.append(f"stars are {self.fwhm:.1f} by {self.fwhm_across:.1f} pixels: trailed or out of focus")
        if self.aperture < HOLDING * self.fwhm:
            remarks.append(
                f"apertures of radius {self.aperture:g} pixels, and stars {self.fwhm:.1f} wide: "
                "their fluxes still follow the width; give a larger aperture"
            )
        if self.empty_ratio > EMPTY_RATIO:
            remarks.append(
                f"empty apertures scatter by {self.empty_ratio:.2f} of what is predicted: crowded or structured field"
            )
        return [Remark(remark, [self.raw_name]) for remark in remarks]

    def _from_blocks(self) -> str:
        """Which part of the frame the noise of the sky is from."""
        return f", in {self.sky.blocks} of {self.sky.all_blocks} blocks of pixels" if self.sky.all_blocks else ""
