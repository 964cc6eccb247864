"""Simulated stars with their truth, and the same frame before and after calibration."""

from __future__ import annotations

from typing import NamedTuple

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table

from astro_calib import CCDFrame, Detector, calibrate, combine, simulate
from astro_calib.photometry import before_calibration

GAIN, READ_NOISE, FWHM, EXPOSURE = 1.5, 8.0, 3.0, 60.0
SIDE = 600
OVERSCAN, TRIM = f"[{SIDE + 1}:{SIDE + 32},1:{SIDE}]", f"[1:{SIDE},1:{SIDE}]"


class Exposure(NamedTuple):
    """A calibrated frame, the same before calibration, and what is on it."""

    after: CCDFrame
    before: CCDFrame
    stars: QTable


@pytest.fixture
def detector() -> Detector:
    return Detector(
        gain=GAIN * u.electron / u.adu, read_noise=READ_NOISE * u.electron, saturation=60000 * u.adu, name="photometry"
    )


@pytest.fixture(scope="session")
def patterned() -> Exposure:
    """
    A night of a camera that has every fixed pattern: 324 stars on a grid, far enough from each other to be isolated.

    Fluxes go from 1500 to 150 000 electrons, SNR from 20 to 400.
    """
    camera = simulate.camera((SIDE, SIDE), seed=11)
    rng = np.random.default_rng(12)
    sections = {"overscan": OVERSCAN, "trim": TRIM}

    def frames(kind: str, number: int, time: float, **light: object) -> list[CCDFrame]:
        return [camera.expose(kind, time, rng=rng, **light)[0] for _ in range(number)]

    bias = combine(
        [calibrate(raw, camera.detector, shot_noise=0.0, **sections) for raw in frames("bias", 10, 0)], clip="sigma"
    )
    dark = combine(
        [calibrate(raw, camera.detector, bias=bias, **sections) for raw in frames("dark", 5, EXPOSURE)], clip="sigma"
    )
    flat = combine(
        [
            calibrate(raw, camera.detector, bias=bias, dark=dark, **sections)
            for raw in frames("flat", 5, 5, filter="V", sky=6000)
        ]
    )
    y, x = np.mgrid[30:570:30, 30:570:30] + rng.uniform(-0.5, 0.5, (2, 18, 18))
    rate = 25 * 100 ** rng.uniform(0, 1, x.size)
    stars = Table({"x": x.ravel(), "y": y.ravel(), "flux": rate})
    raw, truth = camera.expose("science", EXPOSURE, filter="V", sky=3.0, stars=stars, fwhm=FWHM, rng=rng)
    after = calibrate(raw, camera.detector, bias=bias, dark=dark, flat=flat, **sections)
    return Exposure(after, before_calibration(raw, camera.detector, **sections), truth.stars)
