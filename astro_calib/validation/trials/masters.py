"""Trials of bias, dark and flat: masters that frames share, made in each realisation from raw frames of its own."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.stack.combination import combine
from astro_calib.steps.sequence import calibrate
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["TRIALS"]

SHAPE = (48, 48)
CAMERA = raw.detector()
#: Exposure of a dark and of a flat, seconds; dark current, electron / s.
DARK_TIME, FLAT_TIME, DARK_RATE = 60.0, 6.0, 0.5
#: Light of the sky, where it matters that there is little and where there is much of it, and of the lamp, electron.
FAINT, BRIGHT, LAMP = 20.0, 400.0, 1500.0
#: The camera's bias pattern, adu, and its sensitivity, with a mean of one.
PATTERN = np.random.default_rng(1).normal(0, 2.0, SHAPE)
SENSITIVITY = np.random.default_rng(2).normal(1, 0.03, SHAPE)
SENSITIVITY /= SENSITIVITY.mean()
#: The same with rows that see little.
VIGNETTED = np.where(np.arange(SHAPE[0])[:, np.newaxis] < 6, 0.2, 1.0) * SENSITIVITY
VIGNETTED /= VIGNETTED.mean()
#: Pixels that are stuck far up, which the user has masked.
STUCK = np.zeros(SHAPE, dtype=bool)
STUCK[:, -5:] = True


class Night(NamedTuple):
    """Raw frames of each kind, and the exposure time of the science frame."""

    biases: Sequence[NDArray[np.uint16]]
    darks: Sequence[NDArray[np.uint16]]
    flats: Sequence[NDArray[np.uint16]]
    science: NDArray[np.uint16]
    time: float
    #: Of the flats.
    mask: NDArray[np.bool_] | None


class Ways(NamedTuple):
    """The functions that a package has for the steps below."""

    calibrate: Callable[..., Any]
    combine: Callable[..., Any]
    errors: Callable[[Any, Any], tuple[NDArray[Any], NDArray[Any]]]
    #: More options to combine flats with.
    of_flats: Mapping[str, Any] = MappingProxyType({})


def draw(
    rng: np.random.Generator,
    *,
    biases: int = 1,
    darks: int = 0,
    flats: int = 0,
    time: float = DARK_TIME,
    sky: float = FAINT,
    sensitivity: NDArray[np.float64] = SENSITIVITY,
    stuck: bool = False,
    fading: float = 0.0,
) -> Night:
    """So many frames of each kind; without darks there is no dark current. Each flat has less light by ``fading``."""

    def exposed(number: int, light: float, seconds: float) -> list[NDArray[np.uint16]]:
        expected = light * sensitivity + DARK_RATE * seconds * bool(darks)
        return [raw.digitised(rng, expected, SHAPE, pedestal=raw.PEDESTAL + PATTERN) for _ in range(number)]

    drawn_flats = [exposed(1, LAMP * (1 - fading) ** index, FLAT_TIME)[0] for index in range(flats)]
    for flat in drawn_flats if stuck else []:
        flat[STUCK] = 60000
    return Night(
        exposed(biases, 0.0, 0.0),
        exposed(darks, 0.0, DARK_TIME),
        drawn_flats,
        exposed(1, sky, time)[0],
        time,
        STUCK if stuck else None,
    )


def calibrated(pixels: NDArray[np.uint16], seconds: float, mask: Any = None, light: bool = True, **given: Any) -> Any:
    """One frame, less its pedestal and what else is given."""
    shot_noise: dict[str, Any] = {} if light else {"shot_noise": 0}
    return calibrate(raw.frame(pixels, seconds, mask=mask), CAMERA, pedestal=raw.PEDESTAL, **given, **shot_noise)


def calibrated_by_ccdproc(
    pixels: NDArray[np.uint16],
    seconds: float,
    mask: Any = None,
    light: bool = True,
    bias: Any = None,
    dark: Any = None,
    flat: Any = None,
    min_value: float | None = None,
) -> Any:
    ccd = ccdproc_way.in_electrons(ccdproc_way.frame(pixels, seconds, mask=mask), light=light)
    if bias is not None:
        ccd = ccdproc_way.less_bias(ccd, bias)
    if dark is not None:
        ccd = ccdproc_way.less_dark(ccd, dark)
    if flat is None:
        return ccd
    # The mean that flat_correct takes itself counts masked pixels.
    norm = None if flat.mask is None else float(np.mean(flat.data[~flat.mask]))
    return ccdproc_way.flattened(ccd, flat, min_value=min_value, norm_value=norm)


def combined_by_ccdproc(frames: Sequence[Any], **options: Any) -> Any:
    """The stack; a lone frame keeps the error that it has, for ccdproc gives the stack of one none."""
    return ccdproc_way.combined(frames, **options) if len(frames) > 1 else frames[0]


def ours(of_flats: Mapping[str, Any], **options: Any) -> Ways:
    """This package's, with options of `combine`."""
    return Ways(calibrated, partial(combine, **options), raw.errors, of_flats)


def theirs(method: str) -> Ways:
    """Those of ccdproc, with its name of a method."""
    return Ways(calibrated_by_ccdproc, partial(combined_by_ccdproc, method=method), ccdproc_way.errors)


def reduced(night: Night, ways: Ways, **options: Any) -> Any:
    """The science frame, calibrated with masters from the other frames, which share them in turn."""
    bias = ways.combine([ways.calibrate(one, 0.0, light=False) for one in night.biases])
    dark = flat = None
    if night.darks:
        dark = ways.combine([ways.calibrate(one, DARK_TIME, bias=bias) for one in night.darks])
    if night.flats:
        flats = [ways.calibrate(one, FLAT_TIME, mask=night.mask, bias=bias, dark=dark) for one in night.flats]
        flat = ways.combine(flats, **ways.of_flats)
    return ways.calibrate(night.science, night.time, bias=bias, dark=dark, flat=flat, **options)


def subtracted(night: Night, ways: Ways) -> Errors:
    """Errors of the pixels of a frame less its bias and dark."""
    return ways.errors(reduced(night, ways), FAINT * SENSITIVITY)


def subtracted_with_bias(night: Night, ways: Ways) -> Errors:
    """The same if the dark is that of the frame's exposure time and holds the bias, too."""
    dark = ways.combine([ways.calibrate(one, DARK_TIME) for one in night.darks])
    ccd = ways.calibrate(night.science, night.time, dark=dark)
    return ways.errors(ccd, FAINT * SENSITIVITY)


def flattened(
    night: Night, ways: Ways, sensitivity: NDArray[np.float64] = SENSITIVITY, min_value: float | None = None
) -> Errors:
    """Errors of the pixels of a frame divided by its flat, which is normalised by the mean of its good pixels."""
    options = {} if min_value is None else {"min_value": min_value}
    ccd = reduced(night, ways, **options)
    good = np.ones(SHAPE, dtype=bool) if night.mask is None else ~night.mask
    truth = np.full(SHAPE, BRIGHT * sensitivity[good].mean())
    if min_value is not None:
        low = sensitivity * LAMP < min_value
        # This package leaves those pixels alone, ccdproc divides them by the least value.
        good &= ~low
    errors, variances = ways.errors(ccd, truth)
    return errors[good], variances[good]


def trial(
    step: str,
    what: str,
    reduce: Callable[..., Errors],
    drawn: dict[str, Any],
    *,
    method: str = "mean",
    clip: str | None = None,
    of_flats: Mapping[str, Any] = MappingProxyType({}),
    **options: Any,
) -> Trial:
    """A trial of the pixels of one frame; a median, or a mean after rejection, is off by up to 2%."""
    of_ccdproc = theirs({"mean": "average", "median": "median"}[method])
    return Trial(
        step=step,
        what=what,
        draw=partial(draw, **drawn),
        reduce=partial(reduce, ways=ours(of_flats, method=method, clip=clip), **options),
        # Its rejection goes by the scatter alone.
        with_ccdproc=partial(reduce, ways=of_ccdproc, **options) if clip is None else None,
        realisations=100,
        tolerance=0.02 if method == "median" or clip else 0.01,
    )


LOW = 0.5 * LAMP * VIGNETTED.max()
THIRD, SAME, DOUBLE = ({"darks": 1, "time": DARK_TIME * ratio} for ratio in (1 / 3, 1, 2))
MEANS = {"biases": 5, "darks": 5}
VIGNETTE: dict[str, Any] = {"sensitivity": VIGNETTED}
TRIALS = (
    trial("bias", "mean of 5: pixel", subtracted, {"biases": 5}),
    trial("bias", "median of 5: pixel", subtracted, {"biases": 5}, method="median"),
    trial("dark", "one bias in frame and dark, t/td = 1/3: pixel", subtracted, THIRD),
    trial("dark", "one bias in frame and dark, t/td = 1: pixel", subtracted, SAME),
    trial("dark", "one bias in frame and dark, t/td = 2: pixel", subtracted, DOUBLE),
    trial("dark", "means of 5 biases and darks, t/td = 2: pixel", subtracted, {**MEANS, "time": 2 * DARK_TIME}),
    trial("dark", "mean of 5 with the bias in it: pixel", subtracted_with_bias, MEANS),
    trial("flat", "one bias, dark and flat: pixel", flattened, {"darks": 1, "flats": 1, "sky": BRIGHT}),
    trial("flat", "means of 5 biases, darks and flats: pixel", flattened, {**MEANS, "flats": 5, "sky": BRIGHT}),
    trial(
        "flat",
        "means of 5 after rejection, fading flats scaled by their medians: pixel",
        flattened,
        {**MEANS, "flats": 5, "sky": BRIGHT, "fading": 0.1},
        clip="sigma",
        of_flats={"scale": "median"},
    ),
    trial("flat", "masked pixels: pixel", flattened, {"flats": 3, "stuck": True, "sky": BRIGHT}),
    trial(
        "flat",
        "least value: pixel above it",
        flattened,
        {"flats": 3, "sky": BRIGHT, **VIGNETTE},
        min_value=LOW,
        **VIGNETTE,
    ),
)
