"""Trials of what `astro_calib.combine` predicts for a stack."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.validation.trials import draws
from astro_calib.validation.trials.draws import LEVEL, Drawn, Frames, Layout
from astro_calib.validation.trials.packages import Package, detector
from astro_calib.validation.trials.rows import box, row

if TYPE_CHECKING:
    from astro_calib.validation.trial import Trial

__all__ = ["LINEAR", "OWN", "REALISATIONS", "ROBUST", "TRIALS", "as_frames"]

#: Standard deviation of the noise that each frame has for itself, where they are alike.
OWN = 5.0
#: Largest difference of observed and predicted for linear steps, for the median and rejection, and for the median of
#: very unlike frames.
LINEAR, ROBUST, UNLIKE = 0.01, 0.02, 0.05
#: As many frames of 40 x 40 pixels as give the ratio a standard error of 0.2%, or of 0.3%.
REALISATIONS = {LINEAR: 110, ROBUST: 50, UNLIKE: 50}


# -- frames of Gaussian noise, in electrons --------------------------------------------------------------------------


def as_frames(package: Package, drawn: Frames, *, known: bool = True) -> list[Any]:
    """The frames less their master; without uncertainty if the sigma of their noise is not known."""
    masks = [None] * len(drawn.values) if drawn.masks is None else drawn.masks
    frames = [
        package.of_sigma(data, sigma if known else None, mask)
        for data, sigma, mask in zip(drawn.values, drawn.sigmas, masks, strict=True)
    ]
    if drawn.master is None:
        return frames
    master = package.of_sigma(drawn.master, drawn.master_sigma)
    if drawn.ratios is None:
        return [package.functions.subtract_bias(frame, master) for frame in frames]
    exposure = 60 * u.s
    return [
        package.functions.subtract_dark(
            frame, master, scale=True, data_exposure=ratio * exposure, dark_exposure=exposure
        )
        for frame, ratio in zip(frames, drawn.ratios, strict=True)
    ]


def stack(package: Package, drawn: Frames, **options: Any) -> Any:
    """The stack of the frames."""
    return package.combine(as_frames(package, drawn), **options)


def by_scatter(package: Package, drawn: Frames, **options: Any) -> Any:
    """The stack of frames without variance: their noise is known from their scatter alone."""
    return package.combine(as_frames(package, drawn, known=False), **options)


def difference(package: Package, drawn: Frames, **options: Any) -> Any:
    """One stack less another of the same kind: the shift by leaving out more values on one side cancels."""
    frames, half = as_frames(package, drawn), len(drawn.values) // 2
    one, other = (package.combine(part, **options) for part in (frames[:half], frames[half:]))
    return one.subtract(other)


def trial(
    what: str,
    drawn: dict[str, Any] | int,
    options: dict[str, Any],
    tolerance: float,
    *,
    reduce: Any = stack,
    truth: float = LEVEL,
    **others: Any,
) -> Trial:
    """Frames drawn with these arguments, or so many that are alike, combined with the options."""
    arguments = {"sigmas": (OWN,) * drawn, **others} if isinstance(drawn, int) else drawn
    return row(
        "combine",
        what,
        partial(draws.gaussian, **arguments),
        partial(reduce, **options),
        truth,
        realisations=REALISATIONS[tolerance],
        tolerance=tolerance,
    )


def clip(sigma: float | tuple[float, float]) -> dict[str, Any]:
    """Rejection beyond so many sigma."""
    return {"clip": "sigma", "sigma": sigma}


MEAN: dict[str, Any] = {}
MEDIAN: dict[str, Any] = {"method": "median"}
SCATTER, EXTREMES = {"clip": "scatter"}, {"clip": "minmax"}

ESTIMATORS = (
    *(trial(f"mean of {number}", number, MEAN, LINEAR) for number in (2, 5, 25)),
    *(trial(f"median of {number}", number, MEDIAN, ROBUST) for number in (2, 3, 4, 10, 25)),
    trial("sum of 5", 5, {"method": "sum"}, LINEAR, truth=5 * LEVEL),
    trial("weighted mean of 3, weights 4, 2, 1", 3, {"weights": (4, 2, 1)}, LINEAR),
)

#: The number of values differs from pixel to pixel.
MASKED = tuple(
    trial(f"{name} of 7, {masked:.0%} masked", 7, {"method": name}, tolerance, masked=masked)
    for name, tolerance in (("mean", LINEAR), ("median", ROBUST))
    for masked in (0.05, 0.4)
)

REJECTION = (
    *(
        trial(f"mean of {number}, rejection beyond {k:g} sigma", number, clip(k), ROBUST)
        for number in (5, 10, 20)
        for k in (2.0, 2.5, 3.0, 4.0)
    ),
    *(
        trial(
            f"difference of means of 10, rejection beyond -{lower:g} and +{upper:g} sigma",
            20,
            clip((lower, upper)),
            ROBUST,
            reduce=difference,
            truth=0.0,
        )
        for lower, upper in ((2.0, 4.0), (np.inf, 2.5))
    ),
    *(trial(f"mean of {number}, rejection by scatter", number, SCATTER, ROBUST) for number in (10, 25)),
    *(trial(f"mean of {number} less the extremes", number, EXTREMES, ROBUST) for number in (5, 10)),
    trial(
        "difference of means of 10 less the highest two",
        20,
        {**EXTREMES, "extremes": (0, 2)},
        ROBUST,
        reduce=difference,
        truth=0.0,
    ),
    trial("median of 10, rejection beyond 2.5 sigma", 10, {**MEDIAN, **clip(2.5)}, ROBUST),
    trial("mean of 7, 20% masked, rejection beyond 2.5 sigma", 7, clip(2.5), ROBUST, masked=0.2),
)

#: Standard deviations of frames that are unlike each other.
UNEQUAL = {
    "sigmas 1, 1, 3": (1.0, 1.0, 3.0),
    "sigmas 1, 2, 3, 4, 5": (1.0, 2.0, 3.0, 4.0, 5.0),
    "5 of sigma 1 and 5 of sigma 5": (1.0,) * 5 + (5.0,) * 5,
}
UNLIKE_FRAMES = tuple(
    trial(f"{name}: {which}", {"sigmas": sigmas}, options, tolerance)
    for name, options, tolerance in (
        ("mean", MEAN, LINEAR),
        ("median", MEDIAN, UNLIKE),
        ("mean, rejection beyond 3 sigma", clip(3.0), ROBUST),
    )
    for which, sigmas in UNEQUAL.items()
)

BY_SCATTER = tuple(
    trial(f"{what}, noise from their scatter", number, options, tolerance, reduce=by_scatter)
    for what, number, options, tolerance in (
        ("mean of 2", 2, MEAN, LINEAR),
        ("mean of 10", 10, MEAN, LINEAR),
        ("median of 5", 5, MEDIAN, ROBUST),
        ("median of 10", 10, MEDIAN, ROBUST),
        ("mean of 10, rejection beyond 3 sigma", 10, clip(3.0), ROBUST),
        ("mean of 10, rejection by scatter", 10, SCATTER, ROBUST),
        ("mean of 10 less the extremes", 10, EXTREMES, ROBUST),
    )
)

#: Frames from all of which one master was subtracted, of so many sigma.
ONE_MASTER = tuple(
    trial(f"{name} of {number} under one master of sigma {sigma:g}", number, options, tolerance, master_sigma=sigma)
    for number, sigma, name, options, tolerance in (
        *(
            (25, sigma, *way)
            for sigma in (5.0, 1.0)
            for way in (
                ("mean", MEAN, LINEAR),
                ("median", MEDIAN, ROBUST),
                ("mean after rejection", clip(3.0), ROBUST),
            )
        ),
        (2, 5.0, "mean", MEAN, LINEAR),
        (5, 5.0, "mean", MEAN, LINEAR),
        (5, 5.0, "median", MEDIAN, ROBUST),
        (5, 5.0, "mean after rejection", clip(3.0), ROBUST),
    )
)

#: Frames of different exposure times, the longer of which have more noise, and more of that of one dark.
ONE_DARK = tuple(
    trial(
        f"{name} of 5 less one dark, t/td from 0.5 to 1.3",
        {"sigmas": (3.0, 4.0, 5.0, 6.0, 7.0), "ratios": (0.5, 0.7, 0.9, 1.1, 1.3), "master_sigma": 1.8},
        options,
        tolerance,
    )
    for name, options, tolerance in (
        ("mean", MEAN, LINEAR),
        ("median", MEDIAN, ROBUST),
        ("mean after rejection", clip(2.5), ROBUST),
    )
)


# -- biases, whose overscan brings noise that is common to a frame, or to a row --------------------------------------

#: The error of the level has a quarter of the variance that the sum over 8 x 4 pixels has for itself.
ONE_LEVEL = Layout(128, 16, 1, (0, 1))
#: The error of the level has twice the variance that the sum over a row has for itself.
LEVEL_A_ROW = Layout(256, 16, 8, 1)


def stack_of_biases(package: Package, drawn: Drawn, layout: Layout, method: str) -> Any:
    """The stack of biases less their overscan."""
    biases = [package.in_electrons(package.raw(pixels), detector(), layout, shot_noise=0) for pixels in drawn.frames]
    return package.combine(biases, method=method)


BIASES = tuple(
    row(
        "combine",
        f"{method} of {number} biases, overscan level of the {'row' if layout.axes == 1 else 'frame'}: {what}",
        partial(draws.with_overscan, layout=layout, number=number),
        partial(stack_of_biases, layout=layout, method=method),
        0.0,
        of=of,
        # ccdproc takes no level of the whole frame.
        ccdproc=layout.axes == 1,
        realisations=realisations,
        tolerance=ROBUST if method == "median" else LINEAR,
    )
    for layout, method, number, what, of, realisations in (
        (ONE_LEVEL, "mean", 2, "pixel", None, 60),
        (ONE_LEVEL, "mean", 2, "sum over 8 x 4 pixels", box(8, 4), 4300),
        (ONE_LEVEL, "median", 3, "pixel", None, 40),
        (ONE_LEVEL, "median", 3, "sum over 8 x 4 pixels", box(8, 4), 800),
        (LEVEL_A_ROW, "mean", 3, "pixel", None, 60),
        (LEVEL_A_ROW, "mean", 3, "sum over a row", box(1, 16), 290),
        (LEVEL_A_ROW, "median", 3, "pixel", None, 40),
        (LEVEL_A_ROW, "median", 3, "sum over a row", box(1, 16), 100),
        (LEVEL_A_ROW, "median", 3, "sum over 16 rows", box(16, 16), 1300),
    )
)


# -- flats of different exposure that are scaled to each other -------------------------------------------------------

#: Electrons in each pixel of the flats: the faintest is multiplied by 7, and with it the error of its level.
LIGHTS = (1000.0, 4000.0, 16000.0)


def stack_of_flats(package: Package, drawn: Drawn, **options: Any) -> Any:
    """The stack of flats that are scaled."""
    return package.combine([package.of_light(electrons) for electrons in drawn.frames], **options)


SCALED = tuple(
    row(
        "combine",
        f"{method} of 3 unequal flats scaled by their {scale}s: {what}",
        # So few pixels that the error of a flat's level is a twelfth of that of a pixel, and moves with it.
        partial(draws.unequal_flats, lights=LIGHTS, shape=(12, 12)),
        partial(stack_of_flats, method=method, scale=scale),
        float(np.mean(LIGHTS)),
        of=of,
        realisations=realisations,
        tolerance=tolerance,
    )
    # The level is a median of like values, and known to 2%; a median of the flats is one of very unlike frames.
    for method, scale, what, of, realisations, tolerance in (
        ("mean", "mean", "pixel", None, 600, LINEAR),
        ("mean", "mean", "sum over 4 x 4 pixels", box(4, 4), 9500, LINEAR),
        ("mean", "median", "pixel", None, 200, ROBUST),
        ("mean", "median", "sum over 4 x 4 pixels", box(4, 4), 2300, ROBUST),
        ("median", "median", "pixel", None, 60, UNLIKE),
        ("median", "median", "sum over 4 x 4 pixels", box(4, 4), 400, UNLIKE),
    )
)

TRIALS = (
    *ESTIMATORS,
    *MASKED,
    *REJECTION,
    *UNLIKE_FRAMES,
    *BY_SCATTER,
    *ONE_MASTER,
    *ONE_DARK,
    *BIASES,
    *SCALED,
)
