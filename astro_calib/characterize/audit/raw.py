"""What raw biases, darks and flats say: differences, levels, and signs of a level that was clamped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.characterize.audit.samples import Evidence, Levels, Pile, Sample
from astro_calib.characterize.audit.sums import sums_of
from astro_calib.characterize.flats import contrasts, groups_of_levels
from astro_calib.characterize.frames import top_of_range, usable_flats
from astro_calib.characterize.lags import folded
from astro_calib.characterize.read_noise import CLIP, Biases, biases_of, robust_width
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation

__all__ = ["WHAT_FOR", "Raw", "evidence_of_raw"]

#: What calls are for, in messages.
WHAT_FOR = "an audit"
#: The least values pile up if so many pixels have them, and so many times more than the next.
PILED, TIMES = 20, 1.5
#: A larger part of outliers is worth a remark.
MANY = 0.005
#: Noise that is smaller than this part of a digital step has not the variance that rounding adds.
HIDDEN = 0.5
#: More than this part of the pixels at zero, below which unsigned numbers cannot go, is a level that is clamped.
FLOOR = 1e-3
#: A level that falls is no chance if that had this probability.
UNLIKELY = 1e-5
#: Flats in which more pixels than this are left out say little.
FEWEST = 500


class Raw(NamedTuple):
    """
    The raw frames of one amplifier, in adu.

    Attributes
    ----------
    biases, flats : list of ndarray, shape (ny, nx)
        Images, without their overscan.
    darks : dict of float: list of ndarray
        The same by exposure time, s.
    levels : dict of str: ndarray
        The level of each frame's overscan by kind, adu; empty without one. Darks have ``"dark"`` and the exposure.
    overscan : int
        How many columns it has.
    good : ndarray of bool, shape (ny, nx)
        Pixels that may be used.
    gain, read_noise, step : float
        Stated gain (electron / adu) and read noise (electron), and the digital step (adu).
    correlation : Correlation or None
        What was stated of how the read-out noise of neighbours goes together.
    """

    biases: list[NDArray[Any]]
    flats: list[NDArray[Any]]
    darks: Mapping[float, list[NDArray[Any]]]
    levels: Mapping[Any, NDArray[np.float64]]
    overscan: int
    good: NDArray[np.bool_]
    gain: float
    read_noise: float
    step: float
    correlation: Correlation | None = None


def evidence_of_raw(raw: Raw, where: str = "") -> Evidence:
    """All that raw frames of one amplifier say."""
    if raw.good.sum() < FEWEST:
        msg = f"only {raw.good.sum()} good pixels{where}; an audit needs {FEWEST} or more."
        raise FrameError(msg)
    rounding = (raw.gain * raw.step) ** 2 / 12
    variance = raw.read_noise**2 + rounding
    biases = biases_of(raw.biases, raw.good)
    levels = [_levels(raw, biases, variance)]
    clamp = _piled(raw) or _falling(raw, biases)
    samples, remarks = [], []
    hidden = raw.read_noise < HIDDEN * raw.gain * raw.step
    if hidden:
        remarks.append(
            f"the read noise of {raw.read_noise:g} electron is less than half of a digital step of "
            f"{raw.gain * raw.step:.3g} electron, which hides it: biases and darks are left out"
        )
    if hidden or (clamp is not None and clamp.biases):
        levels = []
    else:
        samples.append(_of_biases(raw, biases, rounding))
    if clamp is None and not hidden:
        scatter = float(np.std(levels[0].values, ddof=1))
        samples += [
            one
            for time, frames in raw.darks.items()
            if len(frames) > 1 and (one := _of_darks(raw, frames, time, biases, rounding, scatter)) is not None
        ]
    if raw.flats:
        found = list(_of_flats(raw, biases, rounding, where))
        samples += found
        if not found:
            remarks.append("the flats are left out: they have too few pixels in common that are lit and not saturated")
    for kind, some in (("biases", "bias"), ("darks", "dark")):
        share = max((sample.outliers for sample in samples if sample.kind == some), default=0.0)
        if share > MANY:
            remarks.append(
                f"{100 * share:.2g}% of the pixels in differences of {kind} are five standard deviations off or more, "
                "and are left out: hits, or pixels whose noise is not that of the others"
            )
    return Evidence(
        samples=tuple(samples),
        levels=tuple(levels),
        clamp=clamp,
        biases=len(raw.biases),
        whole=raw.step > 0,
        remarks=tuple(remarks),
    )


def _levels(raw: Raw, biases: Biases, variance: float) -> Levels:
    values = biases.levels
    if raw.overscan:
        values = values - (raw.levels["bias"] - raw.levels["bias"][0])
    ny, nx = raw.good.shape
    return Levels(
        values=raw.gain * values,
        rows=ny,
        columns=nx,
        overscan=raw.overscan,
        variance=variance,
        correlation=raw.correlation,
        correlated=raw.read_noise**2,
    )


def _outliers(good: NDArray[np.bool_], kept: NDArray[np.bool_]) -> float:
    """The part of the good pixels that was not kept; their eight neighbours, which went with them, do not count."""
    return float(1 - kept.sum() / max(good.sum(), 1)) / 9


def _of_biases(raw: Raw, biases: Biases, rounding: float) -> Sample:
    squared = raw.gain**2
    return Sample(
        kind="bias",
        level=0.0,
        lags=squared * folded(biases.lags).ravel(),
        ring=False,
        pixels=biases.pixels,
        draws=biases.differences,
        shape=biases.good.shape,
        reads=1.0,
        read=raw.read_noise**2,
        shot=0.0,
        other=rounding,
        outliers=_outliers(raw.good, biases.good),
        sums=sums_of(raw.biases, biases.good, raw.gain),
        correlation=raw.correlation,
        correlated=raw.read_noise**2,
    )


def _of_darks(
    raw: Raw, frames: list[NDArray[Any]], time: float, biases: Biases, rounding: float, scatter: float
) -> Sample | None:
    """Differences of darks of one exposure, without hot pixels."""
    mean = sum(frame.astype(float) for frame in frames) / len(frames) - biases.mean
    good = raw.good & biases.good
    width = robust_width(mean[good])
    good &= ~(np.abs(mean - np.median(mean[good])) > CLIP * width)
    if good.sum() < FEWEST:
        return None
    darks = biases_of(frames, good)
    level = float(mean[darks.good].mean())
    if raw.overscan:
        level -= float(np.mean(raw.levels["dark", time]) - np.mean(raw.levels["bias"]))
    level *= raw.gain
    squared = raw.gain**2
    return Sample(
        kind="dark",
        level=level,
        lags=squared * folded(darks.lags).ravel(),
        ring=False,
        pixels=darks.pixels,
        draws=darks.differences,
        shape=good.shape,
        reads=1.0,
        read=raw.read_noise**2,
        shot=max(level, 0.0),
        other=rounding,
        exposure=time,
        doubt=0.005,
        level_doubt=scatter * np.sqrt(1 / len(frames) + 1 / len(raw.biases)),
        outliers=_outliers(good, darks.good),
        correlation=raw.correlation,
        correlated=raw.read_noise**2,
    )


def _of_flats(raw: Raw, biases: Biases, rounding: float, where: str) -> list[Sample]:
    """Differences of flats, by level."""
    top, _ = top_of_range(raw.flats, raw.flats[0].dtype, raw.step, raw.good)
    noise = float(biases.lags[0, biases.lags.shape[1] // 2])
    bias_level = float(np.mean(biases.mean[biases.good]))
    kept, levels = usable_flats(raw.flats, biases, top, bias_level, np.sqrt(max(noise, 1e-6)), where, WHAT_FOR)
    squared = raw.gain**2
    found = []
    for group in groups_of_levels([levels[index] for index in kept]):
        for contrast in contrasts(raw.flats, biases, [kept[place] for place in group], top, noise):
            for part in contrast.parts:
                weights = np.square(part.weights)
                reads = float(weights.sum() + part.bias / len(raw.biases))
                found.append(
                    Sample(
                        kind="flat",
                        level=raw.gain * float(weights @ part.levels / weights.sum()),
                        lags=squared * part.lags.ravel(),
                        ring=True,
                        pixels=part.pixels,
                        draws=1.0,
                        shape=raw.good.shape,
                        reads=reads,
                        read=reads * raw.read_noise**2,
                        shot=raw.gain * float(weights @ part.levels),
                        other=reads * rounding,
                        charge=squared * float(weights @ part.squares),
                        doubt=0.005,
                        outliers=contrast.excluded / 9,
                        correlation=raw.correlation,
                        correlated=reads * raw.read_noise**2,
                    )
                )
    return found


def _piled(raw: Raw) -> Pile | None:
    """Whether the lowest values of biases pile up, or reach the least that whole numbers can hold."""
    always_low = np.logical_and.reduce([frame == frame[raw.good].min() for frame in raw.biases])
    good = raw.good & ~always_low
    if good.sum() < FEWEST:
        words = (
            "the biases have no noise at all: their level is below what is read out, or their noise far below its step"
        )
        return Pile(likelihood=float(raw.good.sum()), size=1.0, uncertainty=0.0, unit="", words=words, biases=True)
    worst = None
    for frame in raw.biases:
        values = frame[good]
        low = float(values.min())
        width = raw.step or max(abs(low), 1.0) * 1e-6
        at = int(np.count_nonzero(values < low + width / 2))
        beyond = int(np.count_nonzero(values < low + 1.5 * width)) - at
        spread = len(np.unique(values[:: max(1, values.size // 20_000)]))
        piled = at >= PILED and at > TIMES * beyond and spread > 2
        at_floor = frame.dtype.kind == "u" and low == 0 and at > max(PILED, FLOOR * values.size)
        if (piled or at_floor) and (worst is None or at / values.size > worst.size):
            share = at / values.size
            worst = Pile(
                likelihood=(at - beyond) ** 2 / (2 * (at + beyond)) if piled else at / 2,
                size=share,
                uncertainty=float(np.sqrt(share * (1 - share) / values.size)),
                unit="",
                words=f"{100 * share:.1f}% of the pixels of a bias have its lowest value, {low:g} adu",
                biases=True,
            )
    return worst


def _falling(raw: Raw, biases: Biases) -> Pile | None:
    """Whether the level of darks is below that of biases, by more than levels scatter."""
    from scipy.stats import t as student

    def level(frame: NDArray[Any], overscan: float) -> float:
        return float(np.median((frame - biases.mean)[biases.good])) - overscan

    def levels(frames: Sequence[NDArray[Any]], key: Any) -> NDArray[np.float64]:
        overscan = raw.levels.get(key, np.zeros(len(frames)))
        return np.array([level(frame, one) for frame, one in zip(frames, overscan, strict=True)])

    dark = levels(raw.biases, "bias")
    longest = max(raw.darks, default=0.0)
    if not longest:
        return None
    lit = levels(raw.darks[longest], ("dark", longest))
    free = len(dark) + len(lit) - 2
    squares = float(np.sum((dark - dark.mean()) ** 2) + np.sum((lit - lit.mean()) ** 2))
    # Medians come in steps.
    scatter = np.hypot(np.sqrt(squares / free), 0.1 * raw.step)
    error = scatter * np.sqrt(1 / len(dark) + 1 / len(lit))
    fall = float(dark.mean() - lit.mean())
    if fall < error * float(student.isf(UNLIKELY, free)):
        return None
    return Pile(
        likelihood=(free + 1) / 2 * float(np.log1p((fall / error) ** 2 / free)),
        size=raw.gain * fall,
        uncertainty=raw.gain * float(error),
        unit="electron",
        biases=False,
        words=f"the level of darks of {longest:g} s is {fall:.3g} +- {error:.2g} adu below that of the biases",
    )
