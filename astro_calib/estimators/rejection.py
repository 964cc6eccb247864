"""Which values `astro_calib.combine` leaves out at each pixel, and what that does to the variance of their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from astro_calib.estimators.clipped import clipped_mean_variance_factor
from astro_calib.estimators.trimmed import trimmed_mean_variance_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["MinMax", "Rejection", "ScatterClip", "SigmaClip"]


@dataclass(frozen=True)
class Rejection:
    """Nothing is left out; the base of those that leave values out."""

    #: Thresholds below and above the median, in standard deviations.
    lower: float = np.inf
    upper: float = np.inf

    rejects = False
    #: Whether the median of all is needed, and the known noise of each.
    needs_center = by_noise = False
    #: By how much Var(mean of the n values left) exceeds E[sigma^2 / n], by the number before; None without a formula.
    factor_of_mean: ClassVar[Any] = None

    @property
    def keeps_median(self) -> bool:
        """Whether what is left has the median of all."""
        return not self.rejects

    def check(self, number: int) -> None:
        """Raise a ValueError if nothing would be left of so many values."""

    def keep(self, values: Array, used: Array, center: Array | None, variances: Any, usual: float = 0.0) -> Array:
        """
        Which of the used values, shape (n, ...), remain.

        ``center`` is their median. ``variances``, n numbers or arrays, are those of the frames' noise, or None if it is
        not known; ``usual`` is the usual scatter then.
        """
        del values, center, variances, usual
        return used


class ScatterClip(Rejection):
    """Values too far from the median are left out, in units of the robust scatter of the values at the pixel."""

    rejects = needs_center = True

    def keep(self, values: Array, used: Array, center: Array | None, variances: Any, usual: float = 0.0) -> Array:
        """Which remain; only `SigmaClip` looks at the known noise."""
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


class SigmaClip(ScatterClip):
    """Values too far from the median are left out, in units of their known noise; without it, of their scatter."""

    by_noise = True

    def factor_of_mean(self, number: int) -> float:
        """For a known threshold."""
        return clipped_mean_variance_factor(number, self.lower, self.upper)


@dataclass(frozen=True)
class MinMax(Rejection):
    """The lowest and the highest values are left out, where there are more than these."""

    extremes: tuple[int, int] = (1, 1)

    rejects = True

    @property
    def keeps_median(self) -> bool:
        """Whether as many are left out at either end."""
        return self.extremes[0] == self.extremes[1]

    def check(self, number: int) -> None:
        """Raise a ValueError if nothing would be left of so many values."""
        if sum(self.extremes) >= number > 1:
            msg = (
                f"extremes is {self.extremes}, which would leave none of {number} values; leave out fewer, or combine "
                "more frames."
            )
            raise ValueError(msg)

    def keep(self, values: Array, used: Array, center: Array | None, variances: Any, usual: float = 0.0) -> Array:
        """Which remain."""
        from astro_calib.kernels.reject import reject_extremes

        del center, variances, usual
        return reject_extremes(values, used, *self.extremes)

    def factor_of_mean(self, number: int) -> float:
        """1 where there are too few values to leave any out."""
        return trimmed_mean_variance_factor(number, *self.extremes) if number > sum(self.extremes) else 1.0
