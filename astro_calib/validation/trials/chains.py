"""
Trials from end to end: raw biases, darks, flats and science frames to masters, to a stack, to the fluxes of its stars.

The level of each frame's overscan is taken row by row, so that its error adds up along the rows of an aperture.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.photometry import measure_snr
from astro_calib.stack.combination import combine
from astro_calib.steps.sequence import calibrate
from astro_calib.validation.trial import Errors, Trial
from astro_calib.validation.trials import ccdproc_way, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["TRIALS"]

#: Pixels that see light, and columns of overscan.
SHAPE, OVERSCAN = (90, 150), 16
READ_NOISE = 8.0
CAMERA = raw.detector(read_noise=READ_NOISE)
SECTIONS: dict[str, Any] = {
    "overscan": raw.section((0, SHAPE[0]), (SHAPE[1], SHAPE[1] + OVERSCAN)),
    "trim": raw.section((0, SHAPE[0]), (0, SHAPE[1])),
}
#: How many frames of each kind.
NUMBER = 5
#: Exposure times, seconds; dark current, electron / s; light of the sky and of the lamp, electron.
SCIENCE_TIME, DARK_TIME, FLAT_TIME, DARK_RATE, SKY, LAMP = 120.0, 240.0, 10.0, 0.1, 60.0, 5000.0
PATTERN = np.random.default_rng(3).normal(0, 2.0, SHAPE)
SENSITIVITY = np.random.default_rng(4).normal(1, 0.02, SHAPE)
SENSITIVITY /= SENSITIVITY.mean()

#: Stars: where, how wide (standard deviation), and of how many electrons; radii of aperture and annulus; pixels.
#: They stand in a grid.
STEP = 15
PLACES = np.array([(x, y) for y in range(STEP // 2, SHAPE[0], STEP) for x in range(STEP // 2, SHAPE[1], STEP)], float)
WIDTH, FLUX = 1.0, 1000.0
RADIUS, ANNULUS = 3.0, (5.0, 7.0)


def starlight() -> NDArray[np.float64]:
    """Expected electrons of the stars on each pixel: Gaussians, sampled in its middle."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    profiles = [np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * WIDTH**2)) for x0, y0 in PLACES]
    return FLUX / (2 * np.pi * WIDTH**2) * np.sum(profiles, axis=0)


#: What a perfect calibration makes of a science frame.
TRUTH = SKY + starlight()


class Night(NamedTuple):
    """Raw frames of each kind; and of which row of stars the variances are asked for: a number between 0 and 1."""

    biases: Sequence[NDArray[np.uint16]]
    darks: Sequence[NDArray[np.uint16]]
    flats: Sequence[NDArray[np.uint16]]
    science: Sequence[NDArray[np.uint16]]
    place: float


def draw(rng: np.random.Generator) -> Night:
    """A night; each frame has a pedestal of its own."""

    def exposed(number: int, light: NDArray[np.float64] | float, seconds: float) -> list[NDArray[np.uint16]]:
        whole = (SHAPE[0], SHAPE[1] + OVERSCAN)
        expected, pattern = np.zeros(whole), np.zeros(whole)
        expected[:, : SHAPE[1]] = light * SENSITIVITY + DARK_RATE * seconds
        pattern[:, : SHAPE[1]] = PATTERN
        levels = rng.normal(raw.PEDESTAL, 3.0, number)
        return [raw.digitised(rng, expected, whole, read_noise=READ_NOISE, pedestal=at + pattern) for at in levels]

    return Night(
        exposed(NUMBER, 0.0, 0.0),
        exposed(NUMBER, 0.0, DARK_TIME),
        exposed(NUMBER, LAMP, FLAT_TIME),
        exposed(NUMBER, TRUTH, SCIENCE_TIME),
        rng.random(),
    )


def calibrated(pixels: NDArray[np.uint16], seconds: float, light: bool = True, **masters: Any) -> Any:
    """One frame."""
    shot_noise: dict[str, Any] = {} if light else {"shot_noise": 0}
    ccd = raw.frame(pixels, seconds)
    return calibrate(ccd, CAMERA, **SECTIONS, overscan_axis=1, overscan_median=False, **masters, **shot_noise)


def calibrated_by_ccdproc(
    pixels: NDArray[np.uint16], seconds: float, light: bool = True, bias: Any = None, dark: Any = None, flat: Any = None
) -> Any:
    ccd = ccdproc_way.in_electrons(
        ccdproc_way.frame(pixels, seconds),
        overscan={"fits_section": SECTIONS["overscan"], "overscan_axis": 1},
        trim=SECTIONS["trim"],
        read_noise=READ_NOISE,
        light=light,
    )
    if bias is not None:
        ccd = ccdproc_way.less_bias(ccd, bias)
    if dark is not None:
        ccd = ccdproc_way.less_dark(ccd, dark)
    return ccd if flat is None else ccdproc_way.flattened(ccd, flat)


def reduced(night: Night, calibrate_one: Callable[..., Any], average: Callable[..., Any], stack: Any) -> Any:
    """The stack of the science frames, under masters that are averages."""
    bias = average([calibrate_one(one, 0.0, light=False) for one in night.biases])
    dark = average([calibrate_one(one, DARK_TIME, bias=bias) for one in night.darks])
    flat = average([calibrate_one(one, FLAT_TIME, bias=bias, dark=dark) for one in night.flats])
    return stack([calibrate_one(one, SCIENCE_TIME, bias=bias, dark=dark, flat=flat) for one in night.science])


def stacked(night: Night, method: str) -> Any:
    return reduced(night, calibrated, combine, partial(combine, method=method))


def stacked_by_ccdproc(night: Night, method: str) -> Any:
    combined = ccdproc_way.combined
    ways = {"mean": "average", "median": "median"}
    return reduced(night, calibrated_by_ccdproc, combined, partial(combined, method=ways[method]))


def pixels(night: Night, method: str) -> Errors:
    """Errors of the pixels of the stack."""
    return raw.errors(stacked(night, method), TRUTH)


def pixels_by_ccdproc(night: Night, method: str) -> Errors:
    return ccdproc_way.errors(stacked_by_ccdproc(night, method), TRUTH)


def weights(annulus: bool) -> NDArray[np.float64]:
    """The weights of the pixels around a star in its flux: those of the aperture, less those of the annulus."""
    from photutils.aperture import CircularAnnulus, CircularAperture

    middle, shape = (STEP // 2, STEP // 2), (STEP, STEP)
    inside: NDArray[np.float64] = CircularAperture(middle, RADIUS).to_mask(method="exact").to_image(shape)
    if not annulus:
        return inside
    ring = CircularAnnulus(middle, *ANNULUS).to_mask(method="center").to_image(shape)
    return inside - inside.sum() / ring.sum() * ring


def by_star(image: NDArray[Any]) -> NDArray[Any]:
    """The pixels around each star, shape (stars, ny, nx), in the order of ``PLACES``."""
    across = image.reshape(-1, STEP, SHAPE[1] // STEP, STEP).swapaxes(1, 2)
    return across.reshape(-1, STEP, STEP)


def true_fluxes(annulus: bool) -> NDArray[np.float64]:
    """What a perfect measurement gives."""
    return np.sum(weights(annulus) * by_star(TRUTH), axis=(1, 2))


def fluxes(night: Night, method: str) -> Errors:
    """
    Errors of the sums over apertures around the stars.

    All stars have the same flux, so that the variances of one row of them stand for those of all.
    """
    stack = stacked(night, method)
    inside = weights(annulus=False)
    found = np.sum(inside * by_star(stack.data), axis=(1, 2))
    rows = SHAPE[0] // STEP
    top = int(night.place * rows) * STEP
    strip = stack[top : top + STEP]
    variances = []
    for left in range(0, SHAPE[1], STEP):
        aperture = np.zeros(strip.shape)
        aperture[:, left : left + STEP] = inside
        variances.append(raw.sum_of(strip, aperture, 0.0)[1])
    return found - true_fluxes(annulus=False), np.tile(variances, rows)


def fluxes_by_ccdproc(night: Night, method: str, annulus: bool = False) -> Errors:
    stack = stacked_by_ccdproc(night, method)
    weighted, squared = weights(annulus), weights(annulus) ** 2
    found = np.sum(weighted * by_star(stack.data), axis=(1, 2))
    return found - true_fluxes(annulus), np.sum(squared * by_star(ccdproc_way.variance(stack)), axis=(1, 2))


def measured(night: Night, method: str) -> Errors:
    """Errors of the fluxes that `measure_snr` gives."""
    stack = stacked(night, method)
    table = measure_snr(stack, positions=PLACES, fwhm=2.355 * WIDTH, radius=RADIUS, annulus=ANNULUS, n_empty=0)
    return table["flux"].value - true_fluxes(annulus=True), table["flux_err"].value ** 2


def trial(what: str, method: str, reduce: Any, with_ccdproc: Any, realisations: int, tolerance: float) -> Trial:
    """A trial of the chain."""
    return Trial(
        step="chain",
        what=f"{method} of {NUMBER}: {what}",
        draw=draw,
        reduce=partial(reduce, method=method),
        with_ccdproc=partial(with_ccdproc, method=method),
        realisations=realisations,
        tolerance=tolerance,
    )


LESS_ANNULUS = partial(fluxes_by_ccdproc, annulus=True)
# The median is known to 2%, and so is a sky level from an annulus from which stars are rejected.
TRIALS = (
    trial("pixel", "mean", pixels, pixels_by_ccdproc, 20, 0.01),
    trial("sum over an aperture", "mean", fluxes, fluxes_by_ccdproc, 1300, 0.01),
    trial("flux of a star by measure_snr", "mean", measured, LESS_ANNULUS, 340, 0.02),
    trial("pixel", "median", pixels, pixels_by_ccdproc, 20, 0.02),
    trial("flux of a star by measure_snr", "median", measured, LESS_ANNULUS, 340, 0.02),
)
