"""Trials of what `astro_calib.combine` predicts for a stack, from the noise that each frame has for itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.stack.combination import combine
from astro_calib.validation.trial import Trial
from astro_calib.validation.trials import biases, scaling
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
    from astro_calib.validation.trial import Errors

__all__ = ["TRIALS"]

SELF_DATA = 5.0
#: Largest difference of observed and predicted for linear steps, for the median and rejection, and for the median of
#: very unlike frames.
LINEAR, ROBUST, UNLIKE = 0.01, 0.02, 0.05
#: As many frames of 40 x 40 pixels as give the ratio a standard error of 0.2%, or of 0.3%.
REALISATIONS = {LINEAR: 110, ROBUST: 50, UNLIKE: 50}


def _stack(drawn: Frames, *, known: bool = True, truth: float = LEVEL, **options: Any) -> Errors:
    return errors_of(combine(as_frames(drawn, known=known), **options), truth)


def _stack_by_ccdproc(drawn: Frames, *, truth: float = LEVEL, **options: Any) -> Errors:
    return errors_of_ccddata(combined_by_ccdproc(as_ccddata(drawn), **options), truth)


def _difference(drawn: Frames, **options: Any) -> Errors:
    """One stack less another of the same kind: the shift by leaving out more values on one side cancels."""
    half = len(drawn.values) // 2
    frames = as_frames(drawn)
    return errors_of(combine(frames[:half], **options) - combine(frames[half:], **options), 0.0)


def _difference_by_ccdproc(drawn: Frames, **options: Any) -> Errors:
    half = len(drawn.values) // 2
    frames = as_ccddata(drawn)
    one, other = (combined_by_ccdproc(part, **options) for part in (frames[:half], frames[half:]))
    return errors_of_ccddata(one.subtract(other), 0.0)


def _trial(
    what: str,
    draw: dict[str, Any],
    options: dict[str, Any] | None = None,
    *,
    tolerance: float = LINEAR,
    reductions: tuple[Any, Any] = (_stack, _stack_by_ccdproc),
    **ours: Any,
) -> Trial:
    """Frames drawn with the arguments ``draw``, combined with ``options``; ``ours`` mean nothing to ccdproc."""
    options = options or {}
    return Trial(
        step="combine",
        what=what,
        draw=partial(simulate_frames, **draw),
        reduce=partial(reductions[0], **options, **ours),
        with_ccdproc=partial(reductions[1], **options),
        realisations=REALISATIONS[tolerance],
        tolerance=tolerance,
    )


def _like(number: int, **others: Any) -> dict[str, Any]:
    return {"sigmas": (SELF_DATA,) * number, **others}


def _clip(sigma: float | tuple[float, float]) -> dict[str, Any]:
    return {"clip": "sigma", "sigma": sigma}


MEDIAN = {"method": "median"}

ESTIMATORS = (
    *(_trial(f"mean of {number}", _like(number)) for number in (2, 5, 25)),
    *(_trial(f"median of {number}", _like(number), MEDIAN, tolerance=ROBUST) for number in (2, 3, 4, 10, 25)),
    _trial("sum of 5", _like(5), {"method": "sum", "truth": 5 * LEVEL}),
    _trial("weighted mean of 3, weights 4, 2, 1", _like(3), {"weights": (4, 2, 1)}),
)

#: The number of values differs from pixel to pixel.
MASKED = tuple(
    _trial(f"{name} of 7, {masked:.0%} masked", _like(7, masked=masked), {"method": name}, tolerance=tolerance)
    for name, tolerance in (("mean", LINEAR), ("median", ROBUST))
    for masked in (0.05, 0.4)
)

REJECTION = (
    *(
        _trial(f"mean of {number}, rejection beyond {k:g} sigma", _like(number), _clip(k), tolerance=ROBUST)
        for number in (5, 10, 20)
        for k in (2.0, 2.5, 3.0, 4.0)
    ),
    *(
        _trial(
            f"difference of means of 10, rejection beyond -{lower:g} and +{upper:g} sigma",
            _like(20),
            _clip((lower, upper)),
            tolerance=ROBUST,
            reductions=(_difference, _difference_by_ccdproc),
        )
        for lower, upper in ((2.0, 4.0), (np.inf, 2.5))
    ),
    *(
        _trial(f"mean of {number}, rejection by scatter", _like(number), {"clip": "scatter"}, tolerance=ROBUST)
        for number in (10, 25)
    ),
    *(
        _trial(f"mean of {number} less the extremes", _like(number), {"clip": "minmax"}, tolerance=ROBUST)
        for number in (5, 10)
    ),
    _trial(
        "difference of means of 10 less the highest two",
        _like(20),
        {"clip": "minmax", "extremes": (0, 2)},
        tolerance=ROBUST,
        reductions=(_difference, _difference_by_ccdproc),
    ),
    _trial("median of 10, rejection beyond 2.5 sigma", _like(10), {**MEDIAN, **_clip(2.5)}, tolerance=ROBUST),
    _trial("mean of 7, 20% masked, rejection beyond 2.5 sigma", _like(7, masked=0.2), _clip(2.5), tolerance=ROBUST),
)

#: Standard deviations of frames that are unlike each other.
UNEQUAL = {
    "sigmas 1, 1, 3": (1.0, 1.0, 3.0),
    "sigmas 1, 2, 3, 4, 5": (1.0, 2.0, 3.0, 4.0, 5.0),
    "5 of sigma 1 and 5 of sigma 5": (1.0,) * 5 + (5.0,) * 5,
}

UNLIKE_FRAMES = tuple(
    _trial(f"{name}: {which}", {"sigmas": sigmas}, options, tolerance=tolerance)
    for name, options, tolerance in (
        ("mean", {}, LINEAR),
        ("median", MEDIAN, UNLIKE),
        ("mean, rejection beyond 3 sigma", _clip(3.0), ROBUST),
    )
    for which, sigmas in UNEQUAL.items()
)

#: Frames without variance: their noise is known from their scatter alone.
BY_SCATTER = tuple(
    _trial(f"{what}, noise from their scatter", _like(number), options, tolerance=tolerance, known=False)
    for what, number, options, tolerance in (
        ("mean of 2", 2, {}, LINEAR),
        ("mean of 10", 10, {}, LINEAR),
        ("median of 5", 5, MEDIAN, ROBUST),
        ("median of 10", 10, MEDIAN, ROBUST),
        ("mean of 10, rejection beyond 3 sigma", 10, _clip(3.0), ROBUST),
        ("mean of 10, rejection by scatter", 10, {"clip": "scatter"}, ROBUST),
        ("mean of 10 less the extremes", 10, {"clip": "minmax"}, ROBUST),
    )
)

#: Frames from all of which one master was subtracted: own sigma 5, and that of the master.
ONE_MASTER = tuple(
    _trial(
        f"{name} of 25 under one master of sigma {master:g}",
        _like(25, master_sigma=master),
        options,
        tolerance=tolerance,
    )
    for master in (5.0, 1.0)
    for name, options, tolerance in (
        ("mean", {}, LINEAR),
        ("median", MEDIAN, ROBUST),
        ("mean after rejection", _clip(3.0), ROBUST),
    )
)

FEW_UNDER_ONE_MASTER = tuple(
    _trial(
        f"{name} of {number} under one master of sigma 5", _like(number, master_sigma=5.0), options, tolerance=tolerance
    )
    for number, name, options, tolerance in (
        (2, "mean", {}, LINEAR),
        (5, "mean", {}, LINEAR),
        (5, "median", MEDIAN, ROBUST),
        (5, "mean after rejection", _clip(3.0), ROBUST),
    )
)

#: Frames of different exposure times, the longer of which have more noise, and more of that of one dark, of sigma 1.8.
OF_EXPOSURES: dict[str, Any] = {
    "sigmas": (3.0, 4.0, 5.0, 6.0, 7.0),
    "ratios": (0.5, 0.7, 0.9, 1.1, 1.3),
    "master_sigma": 1.8,
}
ONE_DARK = tuple(
    _trial(
        f"{name} of 5 less one dark, t/td from 0.5 to 1.3",
        OF_EXPOSURES,
        options,
        tolerance=tolerance,
    )
    for name, options, tolerance in (
        ("mean", {}, LINEAR),
        ("median", MEDIAN, ROBUST),
        ("mean after rejection", _clip(2.5), ROBUST),
    )
)

TRIALS = (
    *ESTIMATORS,
    *MASKED,
    *REJECTION,
    *UNLIKE_FRAMES,
    *BY_SCATTER,
    *ONE_MASTER,
    *FEW_UNDER_ONE_MASTER,
    *ONE_DARK,
    *biases.TRIALS,
    *scaling.TRIALS,
)
