"""
Trials from end to end: raw biases, darks, flats and science frames to masters, to a stack, to the fluxes of its stars.

The level of each frame's overscan is taken row by row, so that its error adds up along the rows of an aperture.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.photometry import measure_snr
from astro_calib.validation.trials import draws
from astro_calib.validation.trials.draws import FIELD, FIELD_LIGHT, FIELD_OVERSCAN, PLACES, STEP, WIDTH, Layout, Night
from astro_calib.validation.trials.masters import calibrated
from astro_calib.validation.trials.packages import CCDPROC, Package, detector
from astro_calib.validation.trials.rows import row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors

__all__ = ["TRIALS", "true_fluxes"]

CAMERA = detector(read_noise=draws.FIELD_READ_NOISE)
LAYOUT = Layout(*FIELD, FIELD_OVERSCAN, 1)
#: How many frames of each kind; radii of aperture and annulus, pixels.
NUMBER, RADIUS, ANNULUS = 5, 3.0, (5.0, 7.0)


def stack(package: Package, night: Night, method: str) -> Any:
    """The stack of the science frames, under masters that are averages."""
    return package.combine(calibrated(package, night, CAMERA, layout=LAYOUT), method=method)


def weights(annulus: bool) -> NDArray[np.float64]:
    """The weights of the pixels around a star in its flux: those of the aperture, less those of the annulus."""
    from photutils.aperture import CircularAnnulus, CircularAperture

    middle, shape = (STEP // 2, STEP // 2), (STEP, STEP)
    inside: NDArray[np.float64] = CircularAperture(middle, RADIUS).to_mask(method="exact").to_image(shape)
    if not annulus:
        return inside
    ring = CircularAnnulus(middle, *ANNULUS).to_mask(method="center").to_image(shape)
    return inside - inside.sum() / ring.sum() * ring


def sums(image: NDArray[Any], weighted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sums over the pixels around each star, in the order of ``PLACES``."""
    across = image.reshape(-1, STEP, FIELD[1] // STEP, STEP).swapaxes(1, 2)
    return np.asarray(np.sum(weighted * across.reshape(-1, STEP, STEP), axis=(1, 2)))


def true_fluxes(annulus: bool) -> NDArray[np.float64]:
    """What a perfect measurement gives."""
    return sums(FIELD_LIGHT, weights(annulus))


def by_quadrature(package: Package, frame: Any, annulus: bool) -> Errors:
    """Errors of the fluxes from the variances of the pixels."""
    weighted = weights(annulus)
    variances = sums(package.variance(frame), weighted**2)
    return sums(frame.data, weighted) - true_fluxes(annulus), variances


def in_apertures(package: Package, frame: Any, _: Any, night: Night) -> Errors:
    """
    Errors of the sums over apertures around the stars.

    All stars have the same flux, so that the variances of one row of them stand for those of all.
    """
    if package is CCDPROC:
        return by_quadrature(package, frame, annulus=False)
    inside, rows = weights(annulus=False), FIELD[0] // STEP
    top = int(night.place * rows) * STEP
    strip = frame[top : top + STEP].known_budget
    variances = []
    for left in range(0, FIELD[1], STEP):
        aperture = np.zeros((STEP, FIELD[1]))
        aperture[:, left : left + STEP] = inside
        variances.append(strip.variance_of_sum(aperture))
    return sums(frame.data, inside) - true_fluxes(annulus=False), np.tile(variances, rows)


def measured(package: Package, frame: Any, _: Any, __: Any) -> Errors:
    """Errors of the fluxes that `measure_snr` gives."""
    if package is CCDPROC:
        return by_quadrature(package, frame, annulus=True)
    table = measure_snr(frame, positions=PLACES, fwhm=2.355 * WIDTH, radius=RADIUS, annulus=ANNULUS, n_empty=0)
    return table["flux"].value - true_fluxes(annulus=True), table["flux_err"].value ** 2


# The median is known to 2%, and so is a sky level from an annulus from which stars are rejected.
TRIALS = tuple(
    row(
        "chain",
        f"{method} of {NUMBER}: {what}",
        partial(draws.field_night, number=NUMBER),
        partial(stack, method=method),
        FIELD_LIGHT,
        of=of,
        realisations=realisations,
        tolerance=tolerance,
    )
    for method, what, of, realisations, tolerance in (
        ("mean", "pixel", None, 20, 0.01),
        ("mean", "sum over an aperture", in_apertures, 1300, 0.01),
        ("mean", "flux of a star by measure_snr", measured, 340, 0.02),
        ("median", "pixel", None, 20, 0.02),
        ("median", "flux of a star by measure_snr", measured, 340, 0.02),
    )
)
