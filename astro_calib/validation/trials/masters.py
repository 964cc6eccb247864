"""
Trials of bias, dark, flat and the repair of cosmic rays.

Masters are made in each realisation from raw frames of its own, and frames and masters share them.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.frame.frame import CCDFrame
from astro_calib.stack.combination import combine
from astro_calib.stack.cosmic_rays import find_cosmic_rays
from astro_calib.validation.trials import draws
from astro_calib.validation.trials.draws import BRIGHT, DARK_TIME, FAINT, LAMP, SENSITIVITY, STUCK, VIGNETTED
from astro_calib.validation.trials.packages import detector
from astro_calib.validation.trials.rows import box, pixel, row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astro_calib.detector.detector import Detector
    from astro_calib.validation.trial import Trial
    from astro_calib.validation.trials.draws import Drawn, Layout, Night
    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS", "calibrated"]

CAMERA = detector()
NOTHING: Mapping[str, Any] = MappingProxyType({})


def calibrated(
    package: Package,
    night: Night,
    camera: Detector = CAMERA,
    *,
    layout: Layout | None = None,
    masters: Mapping[str, Any] = NOTHING,
    of_flats: Mapping[str, Any] = NOTHING,
    **options: Any,
) -> list[Any]:
    """
    The science frames, calibrated with masters from the other frames, which share them in turn.

    All masters are combined with the options ``masters``, the flats with ``of_flats`` besides; the other options are
    those of the flat's division.
    """

    def one(pixels: Any, exposure: float, *, mask: Any = None, **given: Any) -> Any:
        return package.calibrated(package.raw(pixels, exposure, mask=mask), camera, layout, **given)

    dark_time, flat_time, time = night.times
    bias = dark = flat = None
    bias = package.combine([one(pixels, 0.0, light=False) for pixels in night.biases], **masters)
    if night.darks:
        dark = package.combine([one(pixels, dark_time, bias=bias) for pixels in night.darks], **masters)
    if night.flats:
        flats = [one(pixels, flat_time, mask=night.mask, bias=bias, dark=dark) for pixels in night.flats]
        flat = package.combine(flats, **masters, **of_flats)
    return [one(pixels, time, bias=bias, dark=dark, flat=flat, **options) for pixels in night.science]


def first(package: Package, night: Night, **options: Any) -> Any:
    """The only science frame."""
    return calibrated(package, night, **options)[0]


def with_bias_in_dark(package: Package, night: Night, masters: Mapping[str, Any]) -> Any:
    """The science frame less a dark of the same exposure time that holds the bias, too."""
    darks = [package.calibrated(package.raw(pixels, DARK_TIME), CAMERA) for pixels in night.darks]
    dark = package.combine(darks, **masters)
    return package.calibrated(package.raw(night.science[0], DARK_TIME), CAMERA, dark=dark)


def trial(
    step: str,
    what: str,
    drawn: Mapping[str, Any],
    truth: Any,
    *,
    reduce: Any = first,
    method: str = "mean",
    clip: str | None = None,
    where: Any = None,
    **options: Any,
) -> Trial:
    """A trial of the pixels of one frame; a median, or a mean after rejection, is off by up to 2%."""
    masters = {"method": method} if clip is None else {"method": method, "clip": clip}
    return row(
        step,
        what,
        partial(draws.small_night, **drawn),
        partial(reduce, masters=masters, **options),
        truth,
        of=pixel(where),
        # Its rejection goes by the scatter alone.
        ccdproc=clip is None,
        realisations=100,
        tolerance=0.02 if method == "median" or clip else 0.01,
    )


MEANS = {"biases": 5, "darks": 5}
DIM, LIT = FAINT * SENSITIVITY, BRIGHT * SENSITIVITY.mean()
LOW = 0.5 * LAMP * VIGNETTED.max()

PIXELS = (
    trial("bias", "mean of 5: pixel", {"biases": 5}, DIM),
    trial("bias", "median of 5: pixel", {"biases": 5}, DIM, method="median"),
    *(
        trial("dark", f"one bias in frame and dark, t/td = {name}: pixel", {"darks": 1, "time": DARK_TIME * ratio}, DIM)
        for name, ratio in (("1/3", 1 / 3), ("1", 1), ("2", 2))
    ),
    trial("dark", "means of 5 biases and darks, t/td = 2: pixel", {**MEANS, "time": 2 * DARK_TIME}, DIM),
    trial("dark", "mean of 5 with the bias in it: pixel", MEANS, DIM, reduce=with_bias_in_dark),
    # A flat is normalised by the mean of its good pixels.
    trial("flat", "one bias, dark and flat: pixel", {"darks": 1, "flats": 1, "sky": BRIGHT}, LIT),
    trial("flat", "means of 5 biases, darks and flats: pixel", {**MEANS, "flats": 5, "sky": BRIGHT}, LIT),
    trial(
        "flat",
        "means of 5 after rejection, fading flats scaled by their medians: pixel",
        {**MEANS, "flats": 5, "sky": BRIGHT, "fading": 0.1},
        LIT,
        clip="sigma",
        of_flats={"scale": "median"},
    ),
    trial(
        "flat",
        "masked pixels: pixel",
        {"flats": 3, "stuck": True, "sky": BRIGHT},
        BRIGHT * SENSITIVITY[~STUCK].mean(),
        where=~STUCK,
    ),
    # This package leaves the pixels below the least value alone, ccdproc divides them by that.
    trial(
        "flat",
        "least value: pixel above it",
        {"flats": 3, "sky": BRIGHT, "sensitivity": VIGNETTED},
        BRIGHT * VIGNETTED.mean(),
        where=VIGNETTED * LAMP >= LOW,
        min_value=LOW,
    ),
)


# -- a flat so small that its noise, and that of its mean, matter in sums over the frame -----------------------------

#: Light of the sky and of the lamp: the flat brings a fifth of the variance of a pixel.
SMALL, LIGHTS = (6, 6), (BRIGHT, LAMP)


def flattened(package: Package, drawn: Drawn, norm_value: float | None) -> Any:
    """The frame divided by the flat."""
    ccd, flat = (package.calibrated(package.raw(pixels), CAMERA) for pixels in drawn.frames)
    return package.functions.flat_correct(ccd, flat, norm_value=norm_value)


# A frame is one number, and 1% would take four times as many of them. The mean that a flat is divided by is taken as
# independent of its pixels, which only adds to the error of a sum.
NORMALISED: tuple[tuple[str, float | None, dict[str, Any]], ...] = (
    ("norm_value given: sum over the frame", LAMP, {"realisations": 19000, "tolerance": 0.02}),
    (
        "divided by their mean: sum over the frame, an upper limit",
        None,
        {"realisations": 1000, "tolerance": 0.1, "limit": True},
    ),
)
SMALL_FLATS = tuple(
    row(
        "flat",
        f"6 x 6 pixels, {what}",
        partial(draws.raw_frames, light=LIGHTS, shape=SMALL),
        partial(flattened, norm_value=norm_value),
        BRIGHT,
        of=box(*SMALL),
        **attributes,
    )
    for what, norm_value, attributes in NORMALISED
)


#: Noise of frames that are compared, electrons.
SIGMA = 12.0


# -- cosmic rays, whose error is a limit: nobody can know what was under a hit ---------------------------------------


def repaired(package: Package, drawn: Drawn) -> Any:
    """The frame, repaired: the variance is the scatter of the pixels around, on a smooth sky more than the error."""
    return package.repaired(package.calibrated(package.raw(drawn.frames[0]), CAMERA))


def at_hits(package: Package, frame: Any, truth: Any, drawn: Drawn) -> Any:
    """Errors of the pixels that were hit and repaired."""
    return package.errors(frame, truth, drawn.known["hit"] & frame.mask)


COSMIC_RAYS = tuple(
    row(
        "cosmic rays",
        f"repaired pixel {where}, an upper limit",
        partial(draws.hit_sky, peak=peak),
        repaired,
        lambda drawn: drawn.known["light"],
        of=at_hits,
        realisations=200,
        tolerance=0.1,
        limit=True,
    )
    for where, peak in (("of a smooth sky", 0.0), ("among stars of 4.7 pixels", 1000.0))
)


def compared(_package: Package, drawn: Drawn) -> Any:
    """The stack of frames of one field, in which hits were found by comparing them."""
    frames = [CCDFrame(one, unit="electron", uncertainty=np.full(one.shape, SIGMA)) for one in drawn.frames]
    return combine(find_cosmic_rays(frames))


COMPARED = row(
    "cosmic rays",
    "found by comparing 5 frames: pixel of their stack",
    partial(draws.hit_frames, number=5, sigma=SIGMA),
    compared,
    draws.LEVEL,
    ccdproc=False,
    realisations=60,
    tolerance=0.01,
)

TRIALS = (*PIXELS, *SMALL_FLATS, *COSMIC_RAYS, COMPARED)
