"""Masters that were made with each other's help, all in one pass: the formula of their errors judges the variance."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import (
    CCDFrame,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    covariance,
)
from astro_calib.noise.coefficient import Coefficient
from astro_calib.steps import apply_steps, calibration_steps

SHAPE = (24, 40)
LIGHT, AMPLITUDE, READ_NOISE = 20000.0, 0.4, 4.0
SIGMA = {"bias": 3.0, "lamp": 150.0, "night": 5.0}


def master(values, made_of, unit):
    """Its errors are numbers times those of the frames that it is made of."""
    values = np.asarray(values, dtype=np.float32)
    terms = [
        (NoiseSource(name, SIGMA[name] ** 2, identity=f"raw {name}"), Coefficient(np.float64(number)))
        for name, number in made_of.items()
    ]
    return CCDFrame(values, unit=unit, budget=UncertaintyBudget(SHAPE, terms, np.float32, values))


@pytest.mark.parametrize("illuminated", [False, True])
def test_a_pattern_that_shares_bias_and_flat_with_the_frame(illuminated):
    rng = np.random.default_rng(19)
    relative = rng.uniform(0.7, 1.3, SHAPE)
    bias = master(rng.normal(10, 1, SHAPE), {"bias": 1.0}, "electron")
    flat = master(relative, {"lamp": 1 / LIGHT, "bias": -1 / LIGHT}, "")
    pattern = master(rng.normal(0, 30, SHAPE), {"night": 1.0, "bias": -1.0, "lamp": -0.01}, "electron")
    smooth = master(rng.uniform(0.8, 1.2, SHAPE), {"night": 2e-4, "bias": -1e-4}, "")
    raw = CCDFrame(rng.integers(1000, 3000, SHAPE).astype(np.uint16), unit="adu")
    camera = Detector(gain=1 * u.electron / u.adu, read_noise=READ_NOISE * u.electron)
    masters = {"bias": bias, "flat": flat, "fringe": pattern, "fringe_amplitude": AMPLITUDE}
    if illuminated:
        masters["illumination"] = smooth
    steps = calibration_steps(camera, norm_value=1.0, **masters)
    one_by_one = apply_steps(raw, steps, fused=False)
    image = apply_steps(raw, steps)
    assert image.budget._total is not None  # found in the pass
    f, p = flat.pixels.astype(float), pattern.pixels.astype(float)
    e = smooth.pixels.astype(float) if illuminated else np.ones(SHAPE)
    z = image.pixels + AMPLITUDE * p
    of_e = z / e if illuminated else 0.0
    derivatives = {
        "bias": -1 / (f * e) + z / f / LIGHT + AMPLITUDE + 1e-4 * of_e,
        "lamp": -z / f / LIGHT + 0.01 * AMPLITUDE,
        "night": -AMPLITUDE - 2e-4 * of_e,
    }
    signal = raw.pixels - bias.pixels.astype(float)
    expected = (READ_NOISE**2 + 1 / 12 + signal) / (f * e) ** 2
    expected = expected + sum((derivatives[name] * SIGMA[name]) ** 2 for name in derivatives)
    np.testing.assert_allclose(image.variance, expected, rtol=2e-4)
    np.testing.assert_allclose(covariance(image, one_by_one), expected, rtol=2e-4)
    np.testing.assert_allclose(one_by_one.variance, expected, rtol=2e-4)
