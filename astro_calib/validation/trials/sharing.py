"""Trials of noise that frames share: it cancels in their difference, and does not average down in their mean."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib.errors import NoiseWarning
from astro_calib.frame.frame import CCDFrame
from astro_calib.stack.combination import combine
from astro_calib.steps import create_deviation, flat_correct, gain_correct, subtract_bias, subtract_dark
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, dithers, raw
from astro_calib.validation.trials.combiner import combined_by_ccdproc
from astro_calib.validation.trials.gaussian import (
    LEVEL,
    Frames,
    as_ccddata,
    as_frames,
    errors_of,
    errors_of_ccddata,
    simulate_frames,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["TRIALS"]

SELF_DATA = 5.0
LINEAR, ROBUST = 0.01, 0.02
#: As many frames of 40 x 40 pixels as give the ratio a standard error of 0.2%, or of 0.3%.
REALISATIONS = {LINEAR: 110, ROBUST: 50}


def _trial(
    what: str,
    draw: Callable[[np.random.Generator], Any],
    reduce: Callable[[Any], Errors],
    with_ccdproc: Callable[[Any], Errors] | None,
    tolerance: float = LINEAR,
    realisations: int | None = None,
) -> Trial:
    return Trial(
        step="shared noise",
        what=what,
        draw=draw,
        reduce=reduce,
        with_ccdproc=with_ccdproc,
        realisations=REALISATIONS[tolerance] if realisations is None else realisations,
        tolerance=tolerance,
    )


# -- one bias under dark and science ---------------------------------------------------------------------------------

#: Standard deviations of a raw frame, a dark and the bias that is subtracted from both.
RAW, DARK, BIAS = 5.0, 2.0, 3.0
DARK_EXPOSURE = 60.0
SHAPE = (40, 40)


class Night(NamedTuple):
    """A raw frame, a dark and a bias, and how much longer the frame was exposed than the dark."""

    raw: NDArray[np.float64]
    dark: NDArray[np.float64]
    bias: NDArray[np.float64]
    ratio: float


def _draw_night(rng: np.random.Generator, ratio: float) -> Night:
    """A bias of 50, a dark current that leaves 20 in the dark, and light of `LEVEL`."""
    return Night(
        raw=rng.normal(50 + 20 * ratio + LEVEL, RAW, SHAPE),
        dark=rng.normal(50 + 20, DARK, SHAPE),
        bias=rng.normal(50, BIAS, SHAPE),
        ratio=ratio,
    )


def _calibrated(night: Night) -> Errors:
    science, dark, bias = (
        CCDFrame(data, unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, sigma)))
        for data, sigma in ((night.raw, RAW), (night.dark, DARK), (night.bias, BIAS))
    )
    return errors_of(
        subtract_dark(subtract_bias(science, bias), subtract_bias(dark, bias), scale=True, **_exposures(night))
    )


def _calibrated_by_ccdproc(night: Night) -> Errors:
    import ccdproc

    science, dark, bias = (
        CCDData(data, unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, sigma)))
        for data, sigma in ((night.raw, RAW), (night.dark, DARK), (night.bias, BIAS))
    )
    science, dark = ccdproc.subtract_bias(science, bias), ccdproc.subtract_bias(dark, bias)
    return errors_of_ccddata(ccdproc.subtract_dark(science, dark, scale=True, **_exposures(night)))


def _exposures(night: Night) -> dict[str, u.Quantity]:
    return {"data_exposure": night.ratio * DARK_EXPOSURE * u.s, "dark_exposure": DARK_EXPOSURE * u.s}


UNDER_ONE_BIAS = tuple(
    _trial(
        f"frame and dark less one bias, exposure ratio {name}",
        partial(_draw_night, ratio=ratio),
        _calibrated,
        _calibrated_by_ccdproc,
    )
    for name, ratio in (("1/3", 1 / 3), ("1", 1.0), ("2", 2.0))
)


# -- a frame less the stack that contains it -------------------------------------------------------------------------

#: A hit of a cosmic ray, far beyond any threshold.
HIT = 1000.0


def _draw_with_hits(rng: np.random.Generator, number: int) -> Frames:
    """Frames, the first of which was hit in a tenth of its pixels: they are marked in the first of the masks."""
    drawn = simulate_frames(rng, sigmas=(SELF_DATA,) * number)
    hits = np.zeros(drawn.values.shape, dtype=bool)
    hits[0] = rng.random(hits.shape[1:]) < 0.1
    return drawn._replace(values=drawn.values + HIT * hits, masks=hits)


def _residual(drawn: Frames, **options: Any) -> Errors:
    """Where the frame is in the stack."""
    frames = as_frames(drawn)
    return errors_of(frames[0] - combine(frames, **options), 0.0)


def _residual_by_ccdproc(drawn: Frames, **options: Any) -> Errors:
    frames = as_ccddata(drawn)
    return errors_of_ccddata(frames[0].subtract(combined_by_ccdproc(frames, **options)), 0.0)


def _residual_where_masked(drawn: Frames, **options: Any) -> Errors:
    """Where it is not, because its pixels are masked."""
    frames = as_frames(drawn)
    stack = combine(frames, **options)
    residual = frames[0] - stack
    chosen = frames[0].mask if stack.mask is None else frames[0].mask & ~stack.mask
    assert residual.variance is not None
    return residual.data[chosen], residual.variance[chosen]


def _residual_at_hits(drawn: Frames, **options: Any) -> Errors:
    """Where it is not, because the hits are rejected."""
    assert drawn.masks is not None
    frames = as_frames(drawn._replace(masks=None))
    residual = frames[0] - combine(frames, **options)
    assert residual.variance is not None
    hits = drawn.masks[0]
    return residual.data[hits] - HIT, residual.variance[hits]


def _of_five(masked: float = 0.0) -> Callable[[np.random.Generator], Frames]:
    return partial(simulate_frames, sigmas=(SELF_DATA,) * 5, masked=masked)


CLIPPED: dict[str, Any] = {"clip": "sigma", "sigma": 2.5}

LEAVE_ONE_OUT = (
    *(
        trial
        for name, tolerance in (("mean", LINEAR), ("median", ROBUST))
        for trial in (
            _trial(
                f"a frame less the {name} of 5 that contains it",
                _of_five(),
                partial(_residual, method=name),
                partial(_residual_by_ccdproc, method=name),
                tolerance,
            ),
            _trial(
                f"a frame less the {name} of 5 that contains it, 30% masked",
                _of_five(0.3),
                partial(_residual, method=name),
                partial(_residual_by_ccdproc, method=name),
                tolerance,
            ),
            _trial(
                f"a frame less the {name} of 5 that contains it, where it is masked",
                _of_five(0.3),
                partial(_residual_where_masked, method=name),
                None,
                tolerance,
                200,
            ),
        )
    ),
    _trial(
        "a frame less the mean of 10 that contains it, rejection beyond 2.5 sigma",
        partial(simulate_frames, sigmas=(SELF_DATA,) * 10),
        partial(_residual, **CLIPPED),
        partial(_residual_by_ccdproc, **CLIPPED),
        ROBUST,
    ),
    _trial(
        "a frame less the mean of 10 that contains it, where it is rejected",
        partial(_draw_with_hits, number=10),
        partial(_residual_at_hits, clip="sigma"),
        None,
        ROBUST,
        200,
    ),
)


# -- stacks that have frames in common -------------------------------------------------------------------------------


def _nested(drawn: Frames, **options: Any) -> Errors:
    frames = as_frames(drawn)
    return errors_of(combine(frames[:5], **options) - combine(frames, **options), 0.0)


def _nested_by_ccdproc(drawn: Frames, **options: Any) -> Errors:
    frames = as_ccddata(drawn)
    few, more = combined_by_ccdproc(frames[:5], **options), combined_by_ccdproc(frames, **options)
    return errors_of_ccddata(few.subtract(more), 0.0)


NESTED = tuple(
    _trial(
        f"{what} of frames 1 to 5 less that of 1 to 10",
        partial(simulate_frames, sigmas=(SELF_DATA,) * 10, masked=masked),
        partial(_nested, **options),
        partial(_nested_by_ccdproc, **options),
        tolerance,
    )
    for what, masked, options, tolerance in (
        ("mean", 0.0, {}, LINEAR),
        ("mean, 20% masked,", 0.2, {}, LINEAR),
        ("median", 0.0, {"method": "median"}, ROBUST),
        ("mean after rejection beyond 2.5 sigma", 0.0, CLIPPED, ROBUST),
    )
)


# -- one exposure twice, neighbouring pixels, the detector's gain, a flat --------------------------------------------


def _draw_raw(rng: np.random.Generator, signal: float, number: int, gain_uncertainty: float = 0.0) -> Any:
    """Raw frames of one detector, whose true gain is not quite the one that is known."""
    gain = rng.normal(raw.GAIN, gain_uncertainty) if gain_uncertainty else raw.GAIN
    return [raw.digitised(rng, signal, (20, 20), gain=gain) for _ in range(number)]


def _in_electrons(pixels: NDArray[np.uint16], gain_uncertainty: float | None = None) -> CCDFrame:
    camera = raw.detector(gain_uncertainty=gain_uncertainty)
    frame = gain_correct(raw.frame(pixels) - raw.PEDESTAL * u.adu, camera)
    return create_deviation(frame, camera)


SIGNAL = 2000.0


def _one_exposure_twice(drawn: list[NDArray[np.uint16]]) -> Errors:
    """As if one of two files had been given twice, under another name."""
    first, second = drawn
    frames = [_in_electrons(pixels) for pixels in (first, first.copy(), second)]
    with warnings.catch_warnings():
        # It says that it is the same exposure.
        warnings.simplefilter("ignore", NoiseWarning)
        return errors_of(combine(frames), SIGNAL)


def _one_exposure_twice_by_ccdproc(drawn: list[NDArray[np.uint16]]) -> Errors:
    first, second = drawn
    frames = [ccdproc_way.in_electrons(ccdproc_way.frame(pixels)) for pixels in (first, first, second)]
    return errors_of_ccddata(combined_by_ccdproc(frames), SIGNAL)


GAIN_UNCERTAINTY = 0.005 * raw.GAIN


def _with_uncertain_gain(drawn: list[NDArray[np.uint16]]) -> Errors:
    return errors_of(combine([_in_electrons(pixels, GAIN_UNCERTAINTY) for pixels in drawn]), SIGNAL)


def _with_uncertain_gain_by_ccdproc(drawn: list[NDArray[np.uint16]]) -> Errors:
    frames = [ccdproc_way.in_electrons(ccdproc_way.frame(pixels)) for pixels in drawn]
    return errors_of_ccddata(combined_by_ccdproc(frames), SIGNAL)


def _neighbours(drawn: Frames) -> Errors:
    (frame,) = as_frames(drawn)
    return errors_of(frame[:, 1:] - frame[:, :-1], 0.0)


def _neighbours_by_ccdproc(drawn: Frames) -> Errors:
    (frame,) = as_ccddata(drawn)
    return errors_of_ccddata(frame[:, 1:].subtract(frame[:, :-1]), 0.0)


#: Of a flat: its noise is 1% of its light, and 1% of that of a frame.
FLAT, FLAT_SIGMA = 10000.0, 100.0


def _draw_with_flat(rng: np.random.Generator) -> tuple[Frames, NDArray[np.float64]]:
    frames = simulate_frames(rng, sigmas=(SELF_DATA,) * 25)
    return frames, rng.normal(FLAT, FLAT_SIGMA, SHAPE)


def _under_one_flat(drawn: tuple[Frames, NDArray[np.float64]]) -> Errors:
    frames, data = drawn
    flat = CCDFrame(data, unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, FLAT_SIGMA)))
    return errors_of(combine([flat_correct(frame, flat) for frame in as_frames(frames)]))


def _under_one_flat_by_ccdproc(drawn: tuple[Frames, NDArray[np.float64]]) -> Errors:
    import ccdproc

    frames, data = drawn
    flat = CCDData(data, unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, FLAT_SIGMA)))
    return errors_of_ccddata(combined_by_ccdproc([ccdproc.flat_correct(frame, flat) for frame in as_ccddata(frames)]))


OTHERS = (
    _trial(
        "mean of 3, two of which are one exposure",
        partial(_draw_raw, signal=SIGNAL, number=2),
        _one_exposure_twice,
        _one_exposure_twice_by_ccdproc,
        realisations=320,
    ),
    _trial(
        "a frame under a master less itself, shifted by a pixel",
        partial(simulate_frames, sigmas=(SELF_DATA,), master_sigma=SELF_DATA),
        _neighbours,
        _neighbours_by_ccdproc,
    ),
    _trial(
        "mean of 25 under one flat",
        _draw_with_flat,
        _under_one_flat,
        _under_one_flat_by_ccdproc,
    ),
    _trial(
        "mean of 4 with a gain known to 0.5%",
        partial(_draw_raw, signal=SIGNAL, number=4, gain_uncertainty=GAIN_UNCERTAINTY),
        _with_uncertain_gain,
        _with_uncertain_gain_by_ccdproc,
        realisations=2200,
    ),
)

TRIALS = (*UNDER_ONE_BIAS, *LEAVE_ONE_OUT, *NESTED, *dithers.TRIALS, *OTHERS)
