"""
This package and ccdproc under the same verbs, so that each trial says once how frames are reduced.

Of this package the public functions are called. ccdproc goes alone, in the order of its documentation, with its
defaults and these choices: the pedestal is off before the deviation is created, negative pixels get the read noise
instead of NaN, a lone bias frame gets its read noise, and a flat with masked pixels is normalised by the mean of the
others. Its stacks have the error that ccdproc gives them, which for a mean is that of a standard deviation with N and
not N - 1. Errors of sums are added in quadrature, as there is nothing else to add.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib import steps
from astro_calib.detector.amplifier import GAIN_UNIT, Amplifier
from astro_calib.detector.detector import Detector
from astro_calib.frame.frame import CCDFrame
from astro_calib.stack.combination import combine
from astro_calib.steps.sequence import calibrate
from astro_calib.validation.trials.draws import GAIN, PEDESTAL, READ_NOISE, Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["CCDPROC", "OURS", "Package", "detector", "of_amplifiers"]

#: Header keyword of the exposure time, in seconds.
EXPOSURE = "EXPTIME"


def detector(gain: float = GAIN, read_noise: float = READ_NOISE, gain_uncertainty: float | None = None) -> Detector:
    """A detector with one amplifier, from electron / adu and electron."""
    uncertainty = None if gain_uncertainty is None else gain_uncertainty * GAIN_UNIT
    return Detector(gain=gain * GAIN_UNIT, read_noise=read_noise * u.electron, gain_uncertainty=uncertainty)


def of_amplifiers(
    shape: tuple[int, int],
    gains: ArrayLike,
    read_noises: ArrayLike = READ_NOISE,
    gain_uncertainties: ArrayLike | None = None,
) -> Detector:
    """A detector of amplifiers side by side, each with as many of the columns."""
    gains = np.asarray(gains)
    width = shape[1] // gains.size
    unknown = np.full(gains.size, None)
    rows = zip(
        gains,
        np.broadcast_to(read_noises, gains.size),
        unknown if gain_uncertainties is None else np.asarray(gain_uncertainties) * GAIN_UNIT,
        strict=True,
    )
    return Detector(
        amplifiers=tuple(
            Amplifier(
                gain=gain * GAIN_UNIT,
                read_noise=read_noise * u.electron,
                gain_uncertainty=uncertainty,
                data_section=f"[{index * width + 1}:{(index + 1) * width},1:{shape[0]}]",
            )
            for index, (gain, read_noise, uncertainty) in enumerate(rows)
        )
    )


class Package:
    """What the trials ask of a package; what is said here is this package's."""

    @property
    def frame_class(self) -> Any:
        """The class of its frames."""
        return CCDFrame

    @property
    def functions(self) -> Any:
        """The module of its functions, those that both packages have under the same name."""
        return steps

    def raw(self, pixels: NDArray[Any], exposure: float = 0.0, **attributes: Any) -> Any:
        """A frame that was just read."""
        return self.frame_class(pixels, unit="adu", meta={EXPOSURE: exposure}, **attributes)

    def of_sigma(self, data: NDArray[Any], sigma: float | None, mask: NDArray[np.bool_] | None = None) -> Any:
        """A frame in electrons whose noise has a known standard deviation, or an unknown one."""
        uncertainty = None if sigma is None else StdDevUncertainty(np.full(data.shape, float(sigma)))
        return self.frame_class(data, unit="electron", uncertainty=uncertainty, mask=mask)

    def of_light(self, electrons: NDArray[Any]) -> Any:
        """A frame in electrons with the noise that its light has."""
        return steps.create_deviation(CCDFrame(electrons, unit="electron"), detector())

    def in_electrons(
        self,
        raw: Any,
        camera: Detector,
        layout: Layout | None = None,
        *,
        gain: bool = True,
        shot_noise: Any = "data",
        **overscan: Any,
    ) -> Any:
        """A raw frame less its overscan, or else its pedestal, with its noise, step by step; in adu without gain."""
        if layout is None:
            return self.with_noise(raw.subtract(PEDESTAL * u.adu), camera, gain, shot_noise)
        ccd = self.functions.subtract_overscan(raw, **layout.arguments(**overscan))
        ccd = self.functions.trim_image(ccd, fits_section=layout.of_light)
        return self.with_noise(ccd, camera, gain, shot_noise)

    def with_noise(self, ccd: Any, camera: Detector, gain: bool, shot_noise: Any) -> Any:
        """The frame with its noise, and in electrons if the gain is to be applied."""
        ccd = steps.gain_correct(ccd, camera) if gain else ccd
        return steps.create_deviation(ccd, camera, shot_noise=shot_noise)

    def calibrated(
        self, raw: Any, camera: Detector, layout: Layout | None = None, *, light: bool = True, **masters: Any
    ) -> Any:
        """A raw frame less the overscan of each row, or else its pedestal, and what the masters take out."""
        given: dict[str, Any] = {} if light else {"shot_noise": 0}
        if layout is None:
            given["pedestal"] = PEDESTAL
        else:
            sections = {"overscan": layout.of_overscan, "trim": layout.of_light}
            given |= {**sections, "overscan_axis": layout.axes, "overscan_median": False}
        return calibrate(raw, camera, **masters, **given)

    def repaired(self, frame: Any) -> Any:
        """A frame in electrons without hits of cosmic rays."""
        return steps.cosmicray_lacosmic(frame)

    def combine(self, frames: Sequence[Any], **options: Any) -> Any:
        """A stack."""
        return combine(frames, **options)

    def variance(self, frame: Any) -> NDArray[Any]:
        """The variance of each pixel."""
        return np.asarray(frame.variance)

    def errors(self, frame: Any, truth: Any, where: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Errors and variances of the pixels that are asked for, or of those that are not masked."""
        if where is None:
            where = np.ones(frame.shape, dtype=bool) if frame.mask is None else ~frame.mask
        errors = np.asarray(frame.data, dtype=np.float64) - truth
        return errors[where], self.variance(frame)[where]

    def errors_of_lines(self, frame: Any, truth: float, axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Errors and variances of the sums over the rows (axis 1) or columns (axis 0)."""
        return self.errors(frame.sum(axis=axis), truth)

    def variances_of_sums(
        self, frame: Any, weights: NDArray[Any], corner: Sequence[int], sums: Callable[..., Any]
    ) -> Any:
        """
        Variances of weighted sums over pixels that all have the same noise.

        Here that of one sum, over the pixels from the corner on, which stands for those of all. A package that has but
        the variances of the pixels adds these by ``sums``.
        """
        del sums
        row, column = corner
        cut = frame[row : row + weights.shape[0], column : column + weights.shape[1]]
        return cut.known_budget.variance_of_sum(weights)


class _Ccdproc(Package):
    """Only ccdproc, which is loaded where it is needed."""

    @property
    def frame_class(self) -> Any:
        return CCDData

    @property
    def functions(self) -> Any:
        import ccdproc

        return ccdproc

    def of_light(self, electrons: NDArray[Any]) -> Any:
        # Its stacks take the scatter of the frames, whatever their errors are.
        return CCDData(electrons, unit="electron")

    def with_noise(self, ccd: Any, camera: Detector, gain: bool, shot_noise: Any) -> Any:
        (amplifier,) = camera.amplifiers
        if shot_noise == "data":
            noise = {"gain": amplifier.gain, "readnoise": amplifier.read_noise}
            ccd = self.functions.create_deviation(ccd, **noise, disregard_nan=True)
        else:
            sigma = (amplifier.read_noise / amplifier.gain).value
            ccd.uncertainty = StdDevUncertainty(np.full(ccd.shape, sigma))
        return self.functions.gain_correct(ccd, amplifier.gain) if gain else ccd

    def calibrated(
        self, raw: Any, camera: Detector, layout: Layout | None = None, *, light: bool = True, **masters: Any
    ) -> Any:
        bias, dark, flat = (masters.pop(kind, None) for kind in ("bias", "dark", "flat"))
        ccd = self.in_electrons(raw, camera, layout, shot_noise="data" if light else 0)
        ccd.meta = raw.meta.copy()
        if bias is not None:
            ccd = self.functions.subtract_bias(ccd, bias)
        if dark is not None:
            times = {"exposure_time": EXPOSURE, "exposure_unit": u.s}
            ccd = self.functions.subtract_dark(ccd, dark, **times, scale=True)
        if flat is None:
            return ccd
        # The mean that flat_correct takes itself counts masked pixels.
        mean = None if flat.mask is None else float(np.mean(flat.data[~flat.mask]))
        return self.functions.flat_correct(ccd, flat, norm_value=mean, **masters)

    def repaired(self, frame: Any) -> Any:
        return self.functions.cosmicray_lacosmic(frame, readnoise=READ_NOISE, gain_apply=False)

    def combine(  # type: ignore[override]  # ccdproc has fewer options
        self,
        frames: Sequence[Any],
        *,
        method: str = "mean",
        clip: str | None = None,
        sigma: float | tuple[float, float] = 3.0,
        extremes: tuple[int, int] = (1, 1),
        weights: Sequence[float] | None = None,
        scale: str | None = None,
    ) -> Any:
        """
        A stack by `ccdproc.Combiner`; a lone frame keeps the error that it has, for ccdproc gives a stack of one none.

        Rejection is about the median, and by the median absolute deviation of the sample, as ccdproc's guide has it:
        ccdproc knows no other sigma.
        """
        if len(frames) == 1:
            return frames[0]
        combiner = self.functions.Combiner(frames)
        if scale is not None:
            levels = getattr(np, scale)([frame.data for frame in frames], axis=(1, 2))
            combiner.scaling = levels.mean() / levels
        if weights is not None:
            combiner.weights = np.asarray(weights, dtype=float)
        if clip == "minmax":
            combiner.clip_extrema(*extremes)
        elif clip is not None:
            lower, upper = np.broadcast_to(sigma, 2)
            combiner.sigma_clipping(low_thresh=lower, high_thresh=upper, func="median", dev_func="mad_std")
        name = {"mean": "average", "median": "median", "sum": "sum"}[method]
        with warnings.catch_warnings():
            # Pixels of which no value is left are masked in the result, and numpy says so besides.
            warnings.simplefilter("ignore", RuntimeWarning)
            result = getattr(combiner, f"{name}_combine")()
        result.meta |= frames[0].meta
        return result

    def variance(self, frame: Any) -> NDArray[Any]:
        return np.square(np.asarray(frame.uncertainty.array, dtype=np.float64))

    def errors_of_lines(self, frame: Any, truth: float, axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
        sums = np.asarray(frame.data, dtype=np.float64).sum(axis=axis)
        return sums - truth, self.variance(frame).sum(axis=axis)

    def variances_of_sums(
        self, frame: Any, weights: NDArray[Any], corner: Sequence[int], sums: Callable[..., Any]
    ) -> Any:
        del weights, corner
        return sums(self.variance(frame))


OURS, CCDPROC = Package(), _Ccdproc()
