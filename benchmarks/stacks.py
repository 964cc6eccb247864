"""Stacks of frames in memory, by this package, by ccdproc and by NumPy."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from agreement import ROWS, Expected
from astropy.nddata import CCDData, VarianceUncertainty
from calibration import Formula, calibrated_pixels, detector, frames_of_masters, raw_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    import astro_calib as ac

__all__ = ["CalibratedStack", "Stack"]

#: Of a value, in electrons.
LEVEL, SIGMA = 1000.0, 10.0
#: Of the rejection, in sigmas.
THRESHOLD = 3.0
#: Nearer than this to the threshold, rounding to single precision says whether a value is rejected.
ROUNDING = 1e-4


class Stack:
    """
    Frames with variances, combined.

    Parameters
    ----------
    size, number : int
        Pixels on a side, and frames.
    method, clip, weights
        As in ``combine``.
    masked : float
        The part of the values that are masked.
    """

    def __init__(
        self,
        size: int,
        number: int,
        *,
        method: str = "mean",
        clip: str | None = None,
        weights: Sequence[float] | None = None,
        masked: float = 0.0,
    ) -> None:
        self.size, self.number, self.masked = size, number, masked
        self.method, self.clip, self.weights = method, clip, weights
        # ccdproc takes its threshold from the scatter of the values, not from their known noise.
        self.agreeing = 1.0 if clip is None else 0.9
        # In: data, variance, mask. Out: data, variance, number of values used.
        self.traffic = size**2 * (number * (4 + 4 + bool(masked)) + 4 + 4 + 2)

    def arrays(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_] | None]]:
        """Values and mask, frame by frame."""
        rng = np.random.default_rng(0)
        for _ in range(self.number):
            data = rng.standard_normal((self.size, self.size), dtype=np.float32)
            data *= SIGMA
            data += LEVEL
            yield data, rng.random(data.shape, dtype=np.float32) < self.masked if self.masked else None

    def frames(self) -> list[ac.CCDFrame]:
        """What this package combines."""
        import astro_calib as ac

        return [
            ac.CCDFrame(
                data,
                unit="electron",
                uncertainty=VarianceUncertainty(np.full_like(data, SIGMA**2)),
                mask=mask,
            ).copy()
            for data, mask in self.arrays()
        ]

    def ours(self) -> Callable[[], ac.CCDFrame]:
        """The inputs made, and what this package does with them."""
        import astro_calib as ac

        frames = self.frames()

        def run() -> ac.CCDFrame:
            stack = ac.combine(frames, method=self.method, clip=self.clip, weights=self.weights)
            assert stack.variance is not None
            return stack

        return run

    def theirs(self) -> Callable[[], CCDData]:
        """The inputs made, and what ccdproc does with them."""
        import ccdproc

        plain = [CCDData(data, unit="electron", mask=mask) for data, mask in self.arrays()]
        options: dict[str, Any] = {"method": "median" if self.method == "median" else "average"}
        if self.clip is not None:
            options |= {"sigma_clip": True, "sigma_clip_low_thresh": THRESHOLD, "sigma_clip_high_thresh": THRESHOLD}
        if self.weights is not None:
            options["weights"] = np.array(self.weights)
        return lambda: ccdproc.combine(plain, **options)

    def expected(self) -> Expected:
        """By the formulas; the factors of the estimators have tests of their own."""
        from astro_calib.estimators import clipped_mean_variance_factor, median_variance_factor

        values = np.array(
            [
                data[ROWS].astype(np.float64) if mask is None else np.where(mask[ROWS], np.nan, data[ROWS])
                for data, mask in self.arrays()
            ]
        )
        used = np.isfinite(values)
        before = used.sum(axis=0)
        center = np.nanmedian(values, axis=0)
        sure = np.ones(center.shape, dtype=bool)
        factors = np.ones(self.number + 1)
        numbers = range(1, self.number + 1)
        if self.method == "median":
            factors[1:] = [median_variance_factor(number) for number in numbers]
        if self.clip is not None:
            # The noise that a value would have at the centre.
            distance = np.abs(values - center) / np.sqrt(self.own_variance(center))
            sure = ~(np.abs(distance - THRESHOLD) < ROUNDING).any(axis=0)
            used &= distance <= THRESHOLD
            factors[1:] = [clipped_mean_variance_factor(number, THRESHOLD) for number in numbers]
        weights = np.ones(self.number) if self.weights is None else np.array(self.weights, dtype=np.float64)
        shares = weights[:, np.newaxis, np.newaxis] * used
        shares /= shares.sum(axis=0)
        data = center if self.method == "median" else np.sum(shares * np.where(used, values, 0), axis=0)
        own = factors[before] * np.sum(shares**2 * np.where(used, self.own_variance(values), 0), axis=0)
        return Expected(data, own + self.shared_variance(data), sure)

    def own_variance(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the noise that a frame has for itself."""
        return np.full(value.shape, SIGMA**2)

    def shared_variance(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the noise that all frames have in common."""
        return np.zeros(value.shape)


class CalibratedStack(Stack):
    """Frames as they come from ``calibrate``, whose bias, dark and flat are the same, averaged after a rejection."""

    def __init__(self, size: int, number: int) -> None:
        super().__init__(size, number, clip="sigma")
        # In: data, variance and flags of each frame.
        self.traffic = size**2 * (number * (4 + 4 + 2) + 4 + 4 + 2)

    def arrays(self) -> Iterator[tuple[NDArray[np.float32], None]]:
        """Values, frame by frame."""
        return ((data, None) for data in calibrated_pixels(self.size, range(self.number)))

    def frames(self) -> list[ac.CCDFrame]:
        """What this package combines."""
        import astro_calib as ac

        camera, masters = detector(), frames_of_masters(self.size)
        return [ac.calibrate(raw_frame(self.size, seed), camera, **masters) for seed in range(self.number)]

    def own_variance(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the noise that a frame has for itself."""
        return self._formula.own(value)

    def shared_variance(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the noise that all frames have in common."""
        return self._formula.shared(value)

    @cached_property
    def _formula(self) -> Formula:
        return Formula.of(self.size)
