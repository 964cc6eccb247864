"""What a summary says of a master."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MasterSummary"]

#: Observed over predicted noise of the frames of a master, and the share of rejected values: beyond these a remark.
MASTER_RATIO, REJECTED = (0.93, 1.08), 0.02
#: No dark is below zero by so many standard deviations of a pixel; flats of a larger relative error are too faint.
BELOW, FAINT = 2.0, 0.03
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
    >>> made = MasterSummary(path=Path("master-bias.fits"), title="bias", number=25, level=0.1, sigma=1.8)
    >>> print(f"{made.title} of {made.number} frames, noise {made.sigma} electron")
    bias of 25 frames, noise 1.8 electron
    """

    path: Path
    title: str
    number: int
    level: float
    sigma: float
    kind: str = ""
    noise_ratio: float = np.nan
    rejected: float = np.nan
    setup: str = ""

    def remarks(self) -> list[str]:
        """
        What is to be looked into.

        Returns
        -------
        list of str
            Empty if nothing is.
        """
        low, high = MASTER_RATIO
        culprits = CULPRITS.get(self.kind, "gain and read noise that are off")
        if np.isfinite(self.noise_ratio) and not low <= self.noise_ratio <= high:
            return [f"{self.path.name}: its frames scatter by {self.noise_ratio:.3g} of what is predicted: {culprits}"]
        if self.kind == "dark" and self.level < -BELOW * self.sigma:
            culprit = "bias, overscan or --pedestal are not those of the darks"
            found = f"{self.path.name}: its median is {self.level:.3g} electron"
            return [f"{found}: more was subtracted than is in it; {culprit}"]
        if self.kind == "flat" and self.sigma > FAINT * abs(self.level):
            known = f"{self.path.name}: its pixels are known to {100 * self.sigma / abs(self.level):.2g}%"
            return [f"{known}, which is in the error of all that is divided by it; take more flats, or brighter ones"]
        if self.rejected > REJECTED:
            return [
                f"{self.path.name}: {100 * self.rejected:.2g}% of the values of its frames were rejected: {culprits}"
            ]
        return []
