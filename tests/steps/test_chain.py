"""All steps of a camera of several amplifiers together: what holds of each by itself holds of all of them."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty

from astro_calib import Amplifier, CCDFrame, Crosstalk, Detector, block_sum, calibrate, combine
from astro_calib.characterize import illumination
from astro_calib.steps import apply_steps, calibration_steps

SIDE, STRIP = 64, 8
HALF = SIDE // 2
GAIN = u.electron / u.adu
GAINS, READ_NOISES = (1.1, 1.6, 2.0, 1.3), (4.0, 7.0, 5.0, 9.0)
Y, X = np.mgrid[:SIDE, :SIDE]
FLAT = 1 + 0.02 * np.sin(X * Y)
LIT = np.exp(0.05 * (X - 31.5) / 32)
FRINGES = np.sin(X / 1.7 + Y / 2.3)
CROSSTALK = Crosstalk(1e-3 * (1 - np.eye(4)), 1e-4 * (1 - np.eye(4)))


def camera():
    amplifiers = []
    for index, (gain, read_noise) in enumerate(zip(GAINS, READ_NOISES, strict=True)):
        upper, right = divmod(index, 2)
        rows = f"{1 + upper * HALF}:{(1 + upper) * HALF}"
        amplifiers.append(
            Amplifier(
                gain=gain * GAIN,
                gain_uncertainty=0.004 * gain * GAIN,
                read_noise=read_noise * u.electron,
                data_section=f"[{1 + right * HALF}:{(1 + right) * HALF}, {rows}]",
                overscan_section=f"[{1 + SIDE + right * STRIP}:{SIDE + (1 + right) * STRIP}, {rows}]",
                corner=f"{('lower', 'upper')[upper]} {('left', 'right')[right]}",
            )
        )
    return Detector(amplifiers=amplifiers)


def raw_frame(rng, level):
    image = np.zeros((SIDE, SIDE + 2 * STRIP))
    image[:, :SIDE] = rng.poisson(level * LIT * FLAT + 20 * FRINGES)
    for index, (gain, read_noise) in enumerate(zip(GAINS, READ_NOISES, strict=True)):
        upper, right = divmod(index, 2)
        rows = slice(upper * HALF, (1 + upper) * HALF)
        for columns in (
            slice(right * HALF, (1 + right) * HALF),
            slice(SIDE + right * STRIP, SIDE + (1 + right) * STRIP),
        ):
            part = image[rows, columns]
            part[...] = (part + rng.normal(0, read_noise, part.shape)) / gain + 300 + 20 * index
    return CCDFrame(np.round(image).astype(np.uint16), unit="adu", meta={"EXPTIME": 20.0})


def master(rng, values, sigma, unit, **meta):
    pixels = (values + rng.normal(0, sigma, (SIDE, SIDE))).astype(np.float32)
    return CCDFrame(
        pixels, unit=unit, uncertainty=StdDevUncertainty(np.full_like(pixels, sigma)), meta={"EXPTIME": 60.0, **meta}
    )


@pytest.fixture(scope="module")
def chain():
    """Detector, raw frames, and everything that they are calibrated with."""
    rng = np.random.default_rng(1)
    detector, flat = camera(), master(rng, FLAT, 0.004, "")
    skies = [master(rng, 3e4 * FLAT * LIT, 300, "electron") for _ in range(2)]
    options = {
        "overscan": detector.overscan_sections(),
        "trim": f"[1:{SIDE}, 1:{SIDE}]",
        "crosstalk": CROSSTALK,
        "bias": master(rng, 0, 1.5, "electron"),
        "dark": master(rng, 20, 4, "electron"),
        "shutter": master(rng, 0.1, 0.05, "s"),
        "flat": flat,
        "norm_value": 1.0,
        "illumination": illumination(skies, flat, degree=2, block=8),
        "fringe": master(rng, FRINGES, 0.1, "electron"),
        "sky": 1,
    }
    return detector, [raw_frame(rng, 900 + 20 * number) for number in range(3)], options


@pytest.fixture(scope="module")
def stack(chain):
    detector, raws, options = chain
    return combine([calibrate(raw, detector, **options) for raw in raws])


def test_one_pass_gives_what_the_steps_give_one_by_one(chain):
    detector, raws, options = chain
    weights = np.random.default_rng(2).normal(size=(SIDE, SIDE))
    together, apart = (
        apply_steps(raws[0], calibration_steps(detector, **options), fused=fused) for fused in (True, False)
    )
    assert together.dtype == apart.dtype == np.float32
    np.testing.assert_allclose(together.pixels, apart.pixels, atol=1e-3)
    np.testing.assert_allclose(together.variance, apart.variance, rtol=1e-5)
    assert together.budget.variance_of_sum(weights) == pytest.approx(apart.budget.variance_of_sum(weights), rel=1e-6)


def test_a_sum_of_blocks_of_the_stack_is_a_sum_of_its_pixels(stack):
    binned = block_sum(stack, (2, 4))
    weights = np.random.default_rng(3).normal(size=binned.shape)
    of_pixels = np.repeat(np.repeat(weights, 2, axis=0), 4, axis=1)
    found, expected = binned.budget.variance_of_sum(weights), stack.budget.variance_of_sum(of_pixels)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
@pytest.mark.parametrize(
    "made",
    [lambda stack: stack, lambda stack: block_sum(stack, 2), lambda stack: stack[40:3:-2, 1::3]],
    ids=["stack", "blocks", "cut"],
)
def test_files_hold_all_of_it(stack, made, suffix, tmp_path):
    frame = made(stack)
    frame.write(tmp_path / f"frame.{suffix}")
    again = CCDFrame.read(tmp_path / f"frame.{suffix}")
    weights = np.random.default_rng(4).normal(size=frame.shape)
    np.testing.assert_array_equal(again.pixels, frame.pixels)
    np.testing.assert_allclose(again.variance, frame.variance, rtol=1e-6)
    assert again.budget.variance_of_sum(weights) == pytest.approx(frame.budget.variance_of_sum(weights), rel=1e-6)
    # The same noise: nothing of it is in their difference.
    assert (again - frame).budget.variance_of_sum(weights) < 1e-6 * frame.budget.variance_of_sum(weights)
