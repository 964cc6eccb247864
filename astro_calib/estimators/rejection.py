"""Which values `astro_calib.combine` leaves out at each pixel, and what that does to the variance of their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.estimators.clipped import clipped_mean_variance_factor
from astro_calib.estimators.trimmed import trimmed_mean_variance_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["MinMax", "Rejection", "ScatterClip", "SigmaClip"]


@dataclass(frozen=True)
class Rejection:
    """Nothing is left out; the base of those that leave values out. Thresholds are in standard deviations."""

    lower: float = np.inf
    upper: float = np.inf

    rejects = False
    #: Whether `keep` needs the median of all values, and the known noise of each.
    needs_center = False
    by_noise = False
    #: Whether what is left has the median of all.
    keeps_median = True

    def check(self, number: int) -> None:
        """Raise a ValueError if nothing would be left of so many values."""

    def keep(self, values: Array, used: Array, center: Array | None, variances: Any, usual: float = 0.0) -> Array:
        """
        Which values remain.

        Parameters
        ----------
        values, used : ndarray, shape (n, ...)
            The values, and which are fit for use.
        center : ndarray, shape (...)
            Their median, if it is needed.
        variances : sequence of n numbers or arrays of shape (...), or None
            Those of the frames' noise at the centre, if it is known.
        usual : float
            Where the noise is not known: the usual scatter of a sample.
        """
        del values, center, variances, usual
        return used

    def variance_factor_of_mean(self, number: int) -> float | None:
        """By how much Var(mean of the n values left) exceeds E[sigma^2 / n]; None if no formula says it."""
        del number
        return 1.0


@dataclass(frozen=True)
class ScatterClip(Rejection):
    """Values too far from the median are left out, in units of the robust scatter of the values at the pixel."""

    rejects = needs_center = True
    keeps_median = False

    def keep(self, values: Array, used: Array, center: Array | None, variances: Any, usual: float = 0.0) -> Array:
        """Which values remain; the known noise is not looked at."""
        from astro_calib.kernels.reject import reject_deviant
        from astro_calib.kernels.stack import masked_median

        assert center is not None
        if variances is None or not self.by_noise:
            with np.errstate(invalid="ignore"):
                deviation = 1.4826 * masked_median(np.abs(values - center), used)
            if self.by_noise:
                # The scatter of a few values is no threshold: it is often far too small. It is not less than usual.
                deviation = np.maximum(deviation, values.dtype.type(usual))
            variances = [np.square(deviation)] * len(values)
        return reject_deviant(values, variances, used, center, self.lower, self.upper)

    def variance_factor_of_mean(self, number: int) -> float | None:
        """None: the threshold is itself uncertain, which no formula counts."""
        del number
        return None


@dataclass(frozen=True)
class SigmaClip(ScatterClip):
    """Values too far from the median are left out, in units of their known noise; without it, of their scatter."""

    by_noise = True

    def variance_factor_of_mean(self, number: int) -> float | None:
        """As for a known threshold."""
        return clipped_mean_variance_factor(number, self.lower, self.upper)


@dataclass(frozen=True)
class MinMax(Rejection):
    """The lowest and the highest values are left out, where there are more than these."""

    extremes: tuple[int, int] = (1, 1)

    rejects = True

    def check(self, number: int) -> None:
        """Raise a ValueError if nothing would be left of so many values."""
        if sum(self.extremes) >= number > 1:
            msg = (
                f"extremes is {self.extremes}, which would leave none of {number} values; leave out fewer, or combine "
                "more frames."
            )
            raise ValueError(msg)

    def keep(self, values: Array, used: Array, center: Array | None, variances: Any, usual: float = 0.0) -> Array:
        """Which values remain."""
        from astro_calib.kernels.reject import reject_extremes

        del center, variances, usual
        return reject_extremes(values, used, *self.extremes)

    def variance_factor_of_mean(self, number: int) -> float | None:
        """That of the trimmed mean; 1 where there are too few values to leave any out."""
        return trimmed_mean_variance_factor(number, *self.extremes) if number > sum(self.extremes) else 1.0
