"""The pass over the pixels against the formulas in double precision, where numbers are finite and where not."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import DataQuality
from astro_calib.kernels.fused import run
from astro_calib.kernels.program import (
    ADD,
    ADD_OF_DIVISOR,
    ADD_SHARED,
    ADD_SHOT,
    ADD_VARIANCE,
    DIVIDE,
    FLAG_FROM,
    FLAG_LOST,
    MULTIPLY,
    Instruction,
    undone,
)
from astro_calib.noise.shot_variance import clamped

#: More columns than are taken through all steps at once, and pixels for more than one thread.
SHAPE = (251, 1061)
GAIN, RATIO, FIXED, FLOOR = 1.5, 0.5, 36.25, -27.25
MASTERS = ("bias", "of_bias", "dark", "of_dark", "flat", "of_flat", "shared")
#: What is done with each.
USES = {
    "bias": (ADD, -1.0),
    "of_bias": (ADD_VARIANCE, 1.0),
    "dark": (ADD, -RATIO),
    "of_dark": (ADD_VARIANCE, RATIO**2),
    "flat": (DIVIDE, 1.0),
    "of_flat": (ADD_OF_DIVISOR, 1.0),
    "shared": (ADD_SHARED, 2.0),
}
CHOICES = [
    (),
    ("bias",),
    ("bias", "of_bias"),
    ("dark",),
    ("dark", "of_dark"),
    ("flat",),
    ("flat", "of_flat"),
    ("bias", "of_bias", "flat"),
    ("bias", "of_bias", "dark", "of_dark"),
    ("bias", "of_bias", "dark", "flat", "shared"),
    ("bias", "dark", "of_dark", "flat", "of_flat"),
    MASTERS,
]


@pytest.fixture
def rng():
    return np.random.default_rng(41)


def sprinkled(rng, values, *specials):
    """The values with some hundred pixels of each special kind, in places that have to do with nothing else."""
    for special in specials:
        values[rng.random(SHAPE) < 0.01] = special
    return values


def raw_pixels(rng, dtype):
    """All that a converter gives, and in floating point what a file may hold besides."""
    values = rng.integers(0, 65536, SHAPE).astype(dtype)
    values[rng.random(SHAPE) < 0.3] = 1000  # about the pedestal, where the shot noise has its floor
    values += rng.integers(0, 8, SHAPE).astype(dtype)
    return values if dtype == np.uint16 else sprinkled(rng, values, np.nan, np.inf, -np.inf)


def master_pixels(rng, names):
    """Values of few digits, of which single precision makes exact differences, but for flats and variances."""
    everything = 0.0, np.nan, np.inf
    made = {
        "bias": sprinkled(rng, rng.integers(0, 80, SHAPE) / 4, *everything, -np.inf),
        "of_bias": sprinkled(rng, rng.uniform(1, 5, SHAPE), *everything),
        "dark": sprinkled(rng, rng.integers(0, 800, SHAPE) / 4, *everything, -np.inf),
        "of_dark": sprinkled(rng, rng.uniform(1, 5, SHAPE), *everything),
        "flat": sprinkled(rng, rng.uniform(0.5, 2, SHAPE), *everything, -1.0),
        "of_flat": sprinkled(rng, rng.uniform(1e-4, 1e-3, SHAPE), *everything),
        "shared": sprinkled(rng, rng.uniform(-5e-6, 5e-6, SHAPE), *everything, -np.inf),
    }
    return {name: made[name].astype(np.float32) for name in names}


def by_formula(raw, level, of_level, masters, *, shot_noise=True):
    """Signal, calibrated value and variance as written in the documentation of the pass; absent masters do nothing."""
    raw, level = raw.astype(np.float64), np.asarray(level, dtype=np.float64)
    given = {name: values.astype(np.float64) for name, values in masters.items()}
    bias, of_bias, dark, of_dark, of_flat, shared = (given.get(name, 0.0) for name in MASTERS if name != "flat")
    flat = given.get("flat", 1.0)
    with np.errstate(all="ignore"):
        signal = GAIN * (raw - level) - bias
        # No photons are counted in a pixel that is no number.
        shot = np.where(np.isfinite(signal), np.where(signal > FLOOR, signal, FLOOR), 0.0) if shot_noise else 0.0
        data = (signal - RATIO * dark) / flat
        variance = (shot + FIXED + GAIN**2 * of_level + of_bias + RATIO**2 * of_dark) / flat**2
        if "of_flat" in given:
            variance = variance + data**2 / flat**2 * of_flat
        if "shared" in given:
            variance = variance + 2 * data / flat**2 * shared
    return shot, data, variance


def program(masters, *, shot_noise=True):
    """The steps of a calibration; of masters that are not there nothing."""

    def of(*names):
        return [Instruction(*USES[name], masters[name]) for name in names if name in masters]

    shot = [Instruction(ADD_SHOT, FLOOR)] if shot_noise else []
    rest = of("of_bias", "dark", "of_dark", "flat", "of_flat", "shared")
    return [Instruction(MULTIPLY, GAIN), *of("bias"), *shot, Instruction(ADD_VARIANCE, FIXED), *rest]


def calibrated(raw, level, of_level, *, shot_noise=True, saturation=None, masks=(), quality=(), **masters):
    flags = [Instruction(FLAG_LOST, bits=int(DataQuality.NO_DATA))] if raw.dtype.kind == "f" else []
    if saturation is not None:
        flags.append(Instruction(FLAG_FROM, saturation, bits=int(DataQuality.SATURATED)))
    level = Instruction(ADD, -1.0, np.atleast_2d(level)), Instruction(ADD_VARIANCE, 1.0, np.atleast_2d(of_level))
    steps = [*flags, *level, *program(masters, shot_noise=shot_noise)]
    return run(steps, raw, dtype=np.dtype(np.float32), with_variance=True, masks=list(masks), quality=list(quality))


def assert_is(found, expected, rtol=1e-6):
    """Equal to the rounding of single precision, and infinite or no number in the same places."""
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to(expected, SHAPE), rtol=rtol)


@pytest.mark.parametrize("names", CHOICES, ids="+".join)
@pytest.mark.parametrize("shot_noise", [True, False])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_data_and_variance(rng, dtype, shot_noise, names):
    raw, masters = raw_pixels(rng, dtype), master_pixels(rng, names)
    found = calibrated(raw, 1000.25, 0.5, shot_noise=shot_noise, **masters)
    _, data, variance = by_formula(raw, 1000.25, 0.5, masters, shot_noise=shot_noise)
    assert_is(found.data, data)
    assert_is(found.variance, variance)


def test_the_pixels_are_of_all_kinds(rng):
    # What the tests above rest on: each combination of what is special in the raw frame and in the masters is there.
    raw, masters = raw_pixels(rng, np.float32), master_pixels(rng, MASTERS)
    shot, data, variance = by_formula(raw, 1000.25, 0.5, masters)
    for values in (raw, data, variance):
        kinds = (np.isfinite(values), np.isnan(values), values == np.inf)
        assert min(np.count_nonzero(kind) for kind in kinds) > 500
    assert np.count_nonzero(shot == FLOOR) > 500
    assert np.count_nonzero((shot > FLOOR) & (shot < 0)) > 500
    assert np.count_nonzero(np.isinf(data) & (masters["flat"] == 0)) > 500
    assert np.count_nonzero(np.isfinite(data) & (variance == np.inf)) > 500
    assert np.count_nonzero(np.isfinite(data) & np.isnan(variance)) > 500


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("along", ["rows", "columns"])
def test_a_level_for_each_row_or_column(rng, dtype, along):
    shape = (SHAPE[0], 1) if along == "rows" else (1, SHAPE[1])
    raw, masters, level = raw_pixels(rng, dtype), master_pixels(rng, MASTERS), 1000 + rng.integers(0, 40, shape) / 4
    of_level = rng.uniform(0.5, 20, (SHAPE[0], 1)) if along == "rows" else 0.5
    found = calibrated(raw, level, of_level, **masters)
    _, data, variance = by_formula(raw, level, of_level, masters)
    assert_is(found.data, data)
    assert_is(found.variance, variance)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("saturation", [None, -5.0, 0.0, 1003.0, 59999.5, 65535.0, 65536.0])
def test_flags_and_mask(rng, dtype, saturation):
    raw = raw_pixels(rng, dtype)
    found = calibrated(raw, 1000.25, 0.5, saturation=saturation)
    over = np.zeros(SHAPE, bool) if saturation is None else raw >= saturation
    lost = ~np.isfinite(raw)
    flags = over * int(DataQuality.SATURATED) + lost * int(DataQuality.NO_DATA)
    np.testing.assert_array_equal(found.flags, flags)
    np.testing.assert_array_equal(found.mask, over | lost)
    assert (found.flags.dtype, found.mask.dtype) == (np.uint16, np.bool_)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_masks_and_flags_of_all_frames_are_merged(rng, dtype, number):
    raw, masters = raw_pixels(rng, dtype), master_pixels(rng, MASTERS)
    masks = [rng.random(SHAPE) < 0.1 for _ in range(number)]
    quality = [np.uint16(1) << rng.integers(0, 16, SHAPE).astype(np.uint16) for _ in range(number)]
    before = [plane.copy() for plane in (*masks, *quality)]
    found = calibrated(raw, 1000.25, 0.5, saturation=60000.0, masks=masks, quality=quality, **masters)
    lost = ~np.isfinite(raw)
    expected = (raw >= 60000) * np.uint16(DataQuality.SATURATED) | lost * np.uint16(DataQuality.NO_DATA)
    np.testing.assert_array_equal(found.flags, np.bitwise_or.reduce([expected, *quality]))
    np.testing.assert_array_equal(found.mask, np.any([raw >= 60000, lost, *masks], axis=0))
    # A pixel that is masked has its value and its variance all the same, and nobody's mask is written into.
    _, data, variance = by_formula(raw, 1000.25, 0.5, masters)
    assert_is(found.data, data)
    assert_is(found.variance, variance)
    for plane, old in zip((*masks, *quality), before, strict=True):
        np.testing.assert_array_equal(plane, old)


@pytest.mark.parametrize("names", [(), ("dark",), ("flat",), ("dark", "flat")], ids="+".join)
def test_shot_noise_from_calibrated_pixels(rng, names):
    # Where the flat or the dark is not finite the signal is lost; everywhere else it is found again.
    raw, masters = raw_pixels(rng, np.float32), master_pixels(rng, names)
    shot, data, _ = by_formula(raw, 1000.25, 0.5, masters)
    undo = undone([one for one in program(masters) if one.code in (ADD, DIVIDE)])
    found = clamped(data.astype(np.float32), undo, FLOOR)
    with np.errstate(all="ignore"):
        again = data * masters.get("flat", 1.0) + RATIO * masters.get("dark", 0.0)
    # A difference of numbers of that size is rounded to so much.
    atol = 4e-7 * np.nanmax(np.where(np.isfinite(shot), np.abs(shot), 0))
    np.testing.assert_allclose(found, np.where(np.isfinite(again), shot, 0.0), rtol=1e-6, atol=atol)
