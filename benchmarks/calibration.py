"""Calibration of a frame in memory, by this package, by ccdproc and by NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
from agreement import ROWS, Expected
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    import astro_calib as ac

__all__ = ["Calibration", "Formula", "calibrated_pixels", "detector", "frames_of_masters", "raw_frame"]

#: Electrons per adu, and electrons.
GAIN, READ_NOISE = 1.5, 6.0
#: Level and sigma of a pixel, in electrons.
MASTERS = {"bias": (300.0, 2.0), "dark": (5.0, 1.0), "flat": (20000.0, 50.0)}
#: Seconds, of a science frame and of the dark.
EXPOSURE, EXPOSURE_OF_DARK = 50.0, 100.0
RATIO = EXPOSURE / EXPOSURE_OF_DARK
#: Electrons collected in a science frame.
SIGNAL = 300


def detector() -> ac.Detector:
    """The camera."""
    import astro_calib as ac

    return ac.Detector(gain=GAIN * u.electron / u.adu, read_noise=READ_NOISE * u.electron, saturation=60000 * u.adu)


def masters(size: int) -> Iterator[tuple[str, NDArray[np.float32], float]]:
    """Name, values and variance, one after another."""
    rng = np.random.default_rng(1)
    for name, (level, sigma) in MASTERS.items():
        data = rng.standard_normal((size, size), dtype=np.float32)
        data *= sigma
        data += level
        yield name, data, sigma**2


def frames_of_masters(size: int) -> dict[str, Any]:
    """The masters as frames of this package, with variances and flags."""
    import astro_calib as ac

    return {
        name: ac.CCDFrame(
            data,
            unit="electron",
            uncertainty=VarianceUncertainty(np.full_like(data, variance)),
            flags=np.zeros(data.shape, dtype=np.uint16),
            meta={"EXPTIME": EXPOSURE_OF_DARK},
        ).copy()
        for name, data, variance in masters(size)
    }


def raw_pixels(size: int, seed: int) -> NDArray[np.uint16]:
    """Whole numbers, adu."""
    electrons = MASTERS["bias"][0] + np.random.default_rng(seed).poisson(SIGNAL, (size, size))
    return np.rint(electrons / GAIN).astype(np.uint16)


def raw_frame(size: int, seed: int) -> ac.CCDFrame:
    """A science frame of this package, with flags."""
    import astro_calib as ac

    return ac.CCDFrame(
        raw_pixels(size, seed),
        unit="adu",
        meta={"EXPTIME": EXPOSURE},
        flags=np.zeros((size, size), dtype=np.uint16),
    )


def calibrated_pixels(size: int, seeds: Iterable[int]) -> Iterator[NDArray[np.float32]]:
    """Calibrated frames as plain arrays, in single precision."""
    bias, dark, flat = (data for _, data, _ in masters(size))
    flat /= flat.mean(dtype=np.float64)
    for seed in seeds:
        data = np.float32(GAIN) * raw_pixels(size, seed)
        data -= bias
        data -= np.float32(RATIO) * dark
        data /= flat
        yield data


class Formula(NamedTuple):
    """
    The formula of a calibrated value z and its variance, in double precision.

    ``z = (gain raw - bias - t dark) / flat``, with the flat of mean one. ``own`` is the variance of the noise that a
    frame has for itself, ``shared`` of that which comes from the masters.
    """

    bias: NDArray[np.float64]
    dark: NDArray[np.float64]
    flat: NDArray[np.float64]
    mean_of_flat: float

    @classmethod
    def of(cls, size: int) -> Formula:
        """For some rows."""
        means, rows = {}, {}
        for name, data, _ in masters(size):
            means[name], rows[name] = float(data.mean(dtype=np.float64)), data[ROWS].astype(np.float64)
        return cls(rows["bias"], rows["dark"], rows["flat"] / means["flat"], means["flat"])

    def value(self, raw: NDArray[np.uint16]) -> NDArray[np.float64]:
        """From raw pixels in adu."""
        return np.asarray((GAIN * raw - self.bias - RATIO * self.dark) / self.flat)

    def own(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shot noise of all electrons but the bias, read noise and digitisation."""
        collected = value * self.flat + RATIO * self.dark
        return np.asarray((collected + READ_NOISE**2 + GAIN**2 / 12) / self.flat**2)

    def shared(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """From bias, dark and flat, which are independent of each other."""
        of_bias, of_dark, of_flat = (sigma**2 for _, sigma in MASTERS.values())
        relative = of_flat / self.mean_of_flat**2
        return np.asarray((of_bias + RATIO**2 * of_dark + value**2 * relative) / self.flat**2)


class Calibration:
    """Deviation, gain, bias, scaled dark and flat, with variances and flags."""

    agreeing = 1.0

    def __init__(self, size: int) -> None:
        self.size = size
        # In: raw frame, three masters and the variance of each (bias and dark share no noise, so that theirs are two
        # arrays), flags of all four. Out: data, variance, flags, mask.
        self.traffic = size**2 * (2 + 3 * 4 + 3 * 4 + 4 * 2 + 2 * 4 + 2 + 1)

    def ours(self) -> Callable[[], ac.CCDFrame]:
        """The inputs made, and what this package does with them."""
        import astro_calib as ac

        raw, camera, frames = raw_frame(self.size, 0), detector(), frames_of_masters(self.size)

        def run() -> ac.CCDFrame:
            image = ac.calibrate(raw, camera, **frames)
            assert image.variance is not None
            return image

        return run

    def theirs(self) -> Callable[[], CCDData]:
        """The inputs made, and what ccdproc does with them."""
        import ccdproc

        pixels = raw_pixels(self.size, 0)
        gain, read_noise = GAIN * u.electron / u.adu, READ_NOISE * u.electron
        plain = {
            name: CCDData(
                data,
                unit="electron",
                uncertainty=StdDevUncertainty(np.full_like(data, np.sqrt(variance))),
                meta={"EXPTIME": EXPOSURE_OF_DARK},
            )
            for name, data, variance in masters(self.size)
        }

        def run() -> CCDData:
            ccd = CCDData(pixels, unit="adu", meta={"EXPTIME": EXPOSURE})
            ccd = ccdproc.create_deviation(ccd, gain=gain, readnoise=read_noise)
            ccd = ccdproc.gain_correct(ccd, gain)
            ccd = ccdproc.subtract_bias(ccd, plain["bias"])
            ccd = ccdproc.subtract_dark(ccd, plain["dark"], exposure_time="EXPTIME", exposure_unit=u.s, scale=True)
            return ccdproc.flat_correct(ccd, plain["flat"])

        return run

    def expected(self) -> Expected:
        """By the formula."""
        formula = Formula.of(self.size)
        value = formula.value(raw_pixels(self.size, 0)[ROWS])
        return Expected(value, formula.own(value) + formula.shared(value), np.ones(value.shape, dtype=bool))
