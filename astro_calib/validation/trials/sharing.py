"""Trials of noise that frames share: it cancels in their difference, and does not average down in their mean."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.errors import NoiseWarning
from astro_calib.validation.trials import draws
from astro_calib.validation.trials.combining import LINEAR, OWN, REALISATIONS, ROBUST, as_frames
from astro_calib.validation.trials.draws import GAIN, HIT, LEVEL, Drawn, Frames
from astro_calib.validation.trials.packages import Package, detector
from astro_calib.validation.trials.rows import pixel, row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors, Trial

__all__ = ["TRIALS", "aperture"]


def trial(
    what: str,
    draw: Any,
    reduce: Any,
    truth: float,
    *,
    tolerance: float = LINEAR,
    realisations: int | None = None,
    **attributes: Any,
) -> Trial:
    """A trial, by default of frames of 40 x 40 pixels."""
    number = REALISATIONS[tolerance] if realisations is None else realisations
    return row("shared noise", what, draw, reduce, truth, realisations=number, tolerance=tolerance, **attributes)


def frames(number: int, **options: Any) -> Any:
    """Draws so many frames of like noise."""
    return partial(draws.gaussian, sigmas=(OWN,) * number, **options)


# -- one bias under dark and science ---------------------------------------------------------------------------------

#: Standard deviations of a raw frame, a dark and the bias that is subtracted from both.
SIGMAS = (5.0, 2.0, 3.0)


def under_one_bias(package: Package, drawn: Drawn, ratio: float) -> Any:
    """The frame less bias and dark."""
    science, dark, bias = (package.of_sigma(data, sigma) for data, sigma in zip(drawn.frames, SIGMAS, strict=True))
    less_bias = package.functions.subtract_bias
    times = {"data_exposure": ratio * 60.0 * u.s, "dark_exposure": 60.0 * u.s}
    return package.functions.subtract_dark(less_bias(science, bias), less_bias(dark, bias), scale=True, **times)


UNDER_ONE_BIAS = tuple(
    trial(
        f"frame and dark less one bias, exposure ratio {name}",
        partial(draws.with_dark, ratio=ratio, sigmas=SIGMAS),
        partial(under_one_bias, ratio=ratio),
        LEVEL,
    )
    for name, ratio in (("1/3", 1 / 3), ("1", 1.0), ("2", 2.0))
)


# -- a frame less the stack that contains it -------------------------------------------------------------------------


def residual(package: Package, drawn: Frames, **options: Any) -> Any:
    """The first frame less the stack of all."""
    stacked = as_frames(package, drawn)
    return stacked[0].subtract(package.combine(stacked, **options))


def residual_of_hit(package: Package, drawn: tuple[Frames, NDArray[np.bool_]], **options: Any) -> Any:
    """The same of frames with hits."""
    return residual(package, drawn[0], **options)


def only_first_masked(drawn: Frames) -> NDArray[np.bool_]:
    """Where the first frame is not in the stack, because its pixels are masked."""
    assert drawn.masks is not None
    return drawn.masks[0] & ~drawn.masks.all(axis=0)


CLIPPED: dict[str, Any] = {"clip": "sigma", "sigma": 2.5}
WHERE_MASKED: dict[str, Any] = {"of": pixel(only_first_masked), "ccdproc": False, "realisations": 200}
LEAVE_ONE_OUT = (
    *(
        trial(
            f"a frame less the {method} of 5 that contains it{where}",
            frames(5, masked=masked),
            partial(residual, method=method),
            0.0,
            tolerance=tolerance,
            **others,
        )
        for method, tolerance in (("mean", LINEAR), ("median", ROBUST))
        for where, masked, others in (
            ("", 0.0, {}),
            (", 30% masked", 0.3, {}),
            (", where it is masked", 0.3, WHERE_MASKED),
        )
    ),
    trial(
        "a frame less the mean of 10 that contains it, rejection beyond 2.5 sigma",
        frames(10),
        partial(residual, **CLIPPED),
        0.0,
        tolerance=ROBUST,
    ),
    trial(
        "a frame less the mean of 10 that contains it, where it is rejected",
        partial(draws.with_hits, sigmas=(OWN,) * 10),
        partial(residual_of_hit, clip="sigma"),
        HIT,
        of=pixel(lambda drawn: drawn[1]),
        ccdproc=False,
        tolerance=ROBUST,
        realisations=200,
    ),
)


# -- stacks that have frames in common -------------------------------------------------------------------------------


def nested(package: Package, drawn: Frames, **options: Any) -> Any:
    """The stack of the first five less that of all."""
    stacked = as_frames(package, drawn)
    return package.combine(stacked[:5], **options).subtract(package.combine(stacked, **options))


NESTED = tuple(
    trial(
        f"{what} of frames 1 to 5 less that of 1 to 10",
        frames(10, masked=masked),
        partial(nested, **options),
        0.0,
        tolerance=tolerance,
    )
    for what, masked, options, tolerance in (
        ("mean", 0.0, {}, LINEAR),
        ("mean, 20% masked,", 0.2, {}, LINEAR),
        ("median", 0.0, {"method": "median"}, ROBUST),
        ("mean after rejection beyond 2.5 sigma", 0.0, CLIPPED, ROBUST),
    )
)


# -- stacks under one master of frames that were shifted by whole pixels, in pixels and in apertures -----------------

NUMBER, RADIUS = 25, 5


def aperture(radius: int) -> NDArray[np.float64]:
    """1 where the centre of a pixel lies in the aperture, shape (2 radius + 1, 2 radius + 1)."""
    distance = np.hypot(*np.ogrid[-radius : radius + 1, -radius : radius + 1])
    return (distance <= radius).astype(float)


def aligned(package: Package, drawn: tuple[Frames, NDArray[np.intp], NDArray[np.float64]]) -> Any:
    """The stack of what all frames have in common, if the largest offset leaves just that."""
    shifted, offsets, _ = drawn
    side = shifted.values.shape[-1] - int(offsets.max(initial=0))
    cuts: Iterable[tuple[slice, slice]] = ((slice(y, y + side), slice(x, x + side)) for y, x in offsets.tolist())
    return package.combine([frame[cut] for frame, cut in zip(as_frames(package, shifted), cuts, strict=True)])


def in_apertures(package: Package, frame: Any, truth: float, drawn: Any) -> Errors:
    """Errors of the mean signal in apertures, times the root of their number of pixels."""
    weights = aperture(RADIUS)
    number = weights.sum()

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Over apertures three pixels apart: of more that overlap hardly anything is learned, but from fewer less."""
        from scipy.signal import fftconvolve

        return np.asarray(fftconvolve(values, weights, mode="valid")[::3, ::3])

    errors = sums(frame.data - truth) / np.sqrt(number)
    corner = (drawn[-1] * (np.array(frame.shape) - len(weights) + 1)).astype(int)
    return errors, np.full(errors.shape, package.variances_of_sums(frame, weights, corner, sums) / number)


DITHERS = tuple(
    trial(
        f"mean of 25 under one master, {dithers}: {what}",
        partial(draws.dithered, dither=dither, side=side, sigmas=(OWN,) * NUMBER, master_sigma=OWN),
        aligned,
        LEVEL,
        of=of,
        realisations=realisations,
    )
    # Neighbouring apertures have more in common if the dithers are large, so that the sides are larger, too.
    for dithers, dither, of_pixels, side_of_apertures, of_apertures in (
        ("without dithers", 0, 80, 96, 360),
        ("dithered by up to 1 pixel", 1, 150, 96, 500),
        ("dithered by up to 5 pixels", 5, 80, 160, 320),
        ("dithered by up to 15 pixels", 15, 80, 200, 320),
    )
    for what, side, of, realisations in (
        ("pixel", 40, None, of_pixels),
        ("aperture sum / sqrt(81)", side_of_apertures, in_apertures, of_apertures),
    )
)


# -- one exposure twice, neighbouring pixels, a flat, the detector's gain --------------------------------------------

SIGNAL, GAIN_ERROR = 2000.0, 0.005
#: Of a flat: its noise is 1% of its light, and 1% of that of a frame.
FLAT, FLAT_SIGMA = 10000.0, 100.0


def stack_of_raw(package: Package, drawn: Drawn, gain_uncertainty: float | None = None, twice: bool = False) -> Any:
    """The stack of raw frames, the first of which may be given twice, as a file under another name."""
    camera = detector(gain_uncertainty=gain_uncertainty)
    first, *others = drawn.frames
    pixels = [first, first.copy(), *others] if twice else drawn.frames
    with warnings.catch_warnings():
        # It says that it is the same exposure.
        warnings.simplefilter("ignore", NoiseWarning)
        return package.combine([package.in_electrons(package.raw(one), camera) for one in pixels])


def neighbours(package: Package, drawn: Frames) -> Any:
    """Each pixel less the one beside it."""
    (frame,) = as_frames(package, drawn)
    return frame[:, 1:].subtract(frame[:, :-1])


def under_one_flat(package: Package, drawn: tuple[Frames, NDArray[np.float64]]) -> Any:
    """The stack of frames divided by a flat."""
    flat = package.of_sigma(drawn[1], FLAT_SIGMA)
    return package.combine([package.functions.flat_correct(frame, flat) for frame in as_frames(package, drawn[0])])


def raw_frames(number: int, **options: Any) -> Any:
    """Draws so many raw frames of one detector."""
    return partial(draws.raw_frames, light=[SIGNAL] * number, shape=(20, 20), **options)


OTHERS = (
    trial(
        "mean of 3, two of which are one exposure",
        raw_frames(2),
        partial(stack_of_raw, twice=True),
        SIGNAL,
        realisations=320,
    ),
    trial("a frame under a master less itself, shifted by a pixel", frames(1, master_sigma=OWN), neighbours, 0.0),
    trial(
        "mean of 25 under one flat",
        partial(draws.with_flat, sigmas=(OWN,) * NUMBER, light=FLAT, sigma=FLAT_SIGMA),
        under_one_flat,
        LEVEL,
    ),
    trial(
        "mean of 4 with a gain known to 0.5%",
        raw_frames(4, gain_error=GAIN_ERROR),
        partial(stack_of_raw, gain_uncertainty=GAIN_ERROR * GAIN),
        SIGNAL,
        realisations=2200,
    ),
)

TRIALS = (*UNDER_ONE_BIAS, *LEAVE_ONE_OUT, *NESTED, *DITHERS, *OTHERS)
