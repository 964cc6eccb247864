"""What a summary says of a master."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.report.gauge import MASTER_RATIO

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["REJECTED", "MasterSummary"]

#: The share of rejected values: beyond this a remark.
REJECTED = 0.02
#: No dark is below zero by so many standard deviations of a pixel; flats of a larger relative error are too faint.
BELOW, FAINT = 2.0, 0.03
#: A flat whose frames scatter by so many times what is predicted has to be looked at before anything that was divided
#: by it is used. It is used all the same: from the scatter alone nobody can tell flats of two filters from a lamp that
#: drifted or a wrong gain, with which the flat is right.
FAR = 1.5
#: What makes the frames of a master scatter by more or less than they should.
CULPRITS = {
    "bias": "the read noise is off, the level is clamped, or there are tones or frames of several setups",
    "dark": "frames of several temperatures, a clamped level, light, or gain and read noise that are off",
    "flat": "the gain is off, or there are flats of several filters, light that changed, or stars",
}


@dataclass(frozen=True, kw_only=True)
class MasterSummary:
    """
    A master that was made.

    Parameters
    ----------
    path : Path
        Its file.
    title : str
        What it is.
    number : int
        How many frames it was made of.
    level : float
        Median of its good pixels, in electron.
    sigma : float
        Median of their standard deviations, in electron.
    pixel_sigma : float
        The same without the error of the gain, which all pixels have in common; by default ``sigma``.
    kind : str
        ``"bias"``, ``"dark"`` or ``"flat"``.
    noise_ratio : float
        The noise of its frames over what was predicted, 1 if the error bars are right; NaN for a single frame.
    rejected : float
        The share of the values that were left out; NaN for a single frame.
    setup : str
        The name of the setup that it is of; empty if the night has one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night import MasterSummary
    >>> made = MasterSummary(
    ...     path=Path("master-bias.fits"),
    ...     title="bias",
    ...     number=25,
    ...     level=0.1,
    ...     sigma=1.8,
    ... )
    >>> print(
    ...     f"{made.title} of {made.number} frames, noise {made.sigma} electron"
    ... )
    bias of 25 frames, noise 1.8 electron
    """

    path: Path
    title: str
    number: int
    level: float
    sigma: float
    pixel_sigma: float = np.nan
    kind: str = ""
    noise_ratio: float = np.nan
    rejected: float = np.nan
    setup: str = ""

    def __post_init__(self) -> None:
        if not np.isfinite(self.pixel_sigma):
            object.__setattr__(self, "pixel_sigma", self.sigma)

    @property
    def alarm(self) -> str:
        """
        What has to be read before results are used: of a flat, that its frames are not alike.

        Returns
        -------
        str
            Empty if there is nothing.

        Examples
        --------
        >>> from pathlib import Path
        >>> from astro_calib.night import MasterSummary
        >>> path = Path("master-flat-V.fits")
        >>> made = MasterSummary(
        ...     path=path,
        ...     title="",
        ...     number=6,
        ...     level=1,
        ...     sigma=0.01,
        ...     kind="flat",
        ...     noise_ratio=2.84,
        ... )
        >>> made.alarm[:74]
        'master-flat-V.fits: its frames scatter by 2.84 times what is predicted: th'
        """
        if self.kind != "flat" or not self.noise_ratio > FAR:
            return ""
        return (
            f"{self.path.name}: its frames scatter by {self.noise_ratio:.3g} times what is predicted: "
            f"{CULPRITS['flat']}. Science frames were divided by it all the same: look at its frames before you use "
            "them. If they are of several filters, [keywords] filter in a profile names the card that tells them apart"
        )

    def remarks(self) -> list[str]:
        """
        What is to be looked into.

        Returns
        -------
        list of str
            Empty if nothing is, or if it is an `alarm`.
        """
        if self.alarm:
            return []
        low, high = MASTER_RATIO
        culprits = CULPRITS.get(self.kind, "gain and read noise that are off")
        if np.isfinite(self.noise_ratio) and not low <= self.noise_ratio <= high:
            return [f"{self.path.name}: its frames scatter by {self.noise_ratio:.3g} of what is predicted: {culprits}"]
        if self.kind == "dark" and self.level < -BELOW * self.sigma:
            culprit = "bias, overscan or --pedestal are not those of the darks"
            found = f"{self.path.name}: its median is {self.level:.3g} electron"
            return [f"{found}: more was subtracted than is in it; {culprit}"]
        if self.kind == "flat" and self.pixel_sigma > FAINT * abs(self.level):
            known = f"{self.path.name}: its pixels are known to {100 * self.pixel_sigma / abs(self.level):.2g}%"
            return [f"{known}, which is in the error of all that is divided by it; take more flats, or brighter ones"]
        if self.rejected > REJECTED:
            return [
                f"{self.path.name}: {100 * self.rejected:.2g}% of the values of its frames were rejected: {culprits}"
            ]
        return []
