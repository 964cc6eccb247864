"""The variance of shot noise that a calibrated frame tells from its values: what it was when the frame was made."""

from __future__ import annotations

import copy
import gc
import pickle
import tracemalloc
import weakref

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, Detector, calibrate, combine

SHAPE = (40, 60)
GAIN, READ_NOISE = 1.5, 6.0
CAMERA = Detector(gain=GAIN * u.electron / u.adu, read_noise=READ_NOISE * u.electron)
FLOOR = READ_NOISE**2 / 4 - READ_NOISE**2 - GAIN**2 / 12


@pytest.fixture
def night():
    """Pixels of a raw frame, a bias, a dark of twice its exposure and a flat, as arrays and as exact frames."""
    rng = np.random.default_rng(5)
    raw = rng.poisson(400, SHAPE).astype(np.uint16)
    raw[0, :3] = 0
    arrays = {"bias": rng.normal(300, 2, SHAPE), "dark": rng.normal(8, 1, SHAPE), "flat": rng.uniform(0.8, 1.2, SHAPE)}
    arrays["flat"] /= arrays["flat"].mean()
    masters = {
        kind: CCDFrame(array, unit="electron", uncertainty=np.full(SHAPE, 0.01), meta={"EXPTIME": 60.0})
        for kind, array in arrays.items()
    }
    return raw, arrays, masters


def calibrated(raw, masters):
    return calibrate(CCDFrame(raw, unit="adu", meta={"EXPTIME": 30.0}), CAMERA, **masters)


def shot_noise(frame):
    (source,) = [source for source, _ in frame.budget.terms if source.name == "shot noise"]
    return source.variance


def expected(raw, arrays):
    """The electrons of the raw frame that are no bias, not less than the floor."""
    return np.maximum(GAIN * raw.astype(float) - arrays["bias"], FLOOR)


def test_it_is_the_number_of_electrons(night):
    raw, arrays, masters = night
    found = shot_noise(calibrated(raw, masters)).evaluate()
    np.testing.assert_allclose(found, expected(raw, arrays), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("kinds", [(), ("bias",), ("bias", "dark"), ("bias", "flat")])
def test_whatever_masters_there_are(night, kinds):
    raw, arrays, masters = night
    image = calibrate(
        CCDFrame(raw, unit="adu", meta={"EXPTIME": 30.0}),
        CAMERA,
        **{kind: masters[kind] for kind in kinds},
        **({} if "bias" in kinds else {"pedestal": 100}),
    )
    electrons = GAIN * (raw - (0.0 if "bias" in kinds else 100.0)) - (arrays["bias"] if "bias" in kinds else 0)
    np.testing.assert_allclose(shot_noise(image).evaluate(), np.maximum(electrons, FLOOR), rtol=1e-5, atol=1e-3)


def test_some_pixels_of_it(night):
    raw, arrays, masters = night
    variance = shot_noise(calibrated(raw, masters))
    pixels = np.array([0, 7, 2399, 61])
    found = variance.at(pixels, SHAPE, {}).evaluate()
    np.testing.assert_allclose(found, expected(raw, arrays).ravel()[pixels], rtol=1e-5, atol=1e-3)


def test_the_floor_of_each_amplifier(night):
    raw, arrays, masters = night
    gain, read_noise = np.where(np.arange(60) < 25, GAIN, 2.5), np.where(np.arange(60) < 25, READ_NOISE, 12.0)
    raw[0, 24:27] = 0
    raw[0, 30] = 90
    amplifiers = [
        Amplifier(gain=gain[at] * u.electron / u.adu, read_noise=read_noise[at] * u.electron, data_section=section)
        for at, section in ((0, "[1:25, 1:40]"), (59, "[26:60, 1:40]"))
    ]
    frame = CCDFrame(raw, unit="adu", meta={"EXPTIME": 30.0})
    image = calibrate(frame, Detector(amplifiers=amplifiers), **masters)
    floor = read_noise**2 / 4 - read_noise**2 - gain**2 / 12
    electrons = np.maximum(gain * raw.astype(float) - arrays["bias"], floor)
    assert (electrons == floor)[0, [0, 24, 25, 26]].all()
    assert floor[59] < electrons[0, 30] < floor[0]
    pixels = np.array([0, 24, 25, 26, 30, 2399, 61])
    near = {"rtol": 1e-5, "atol": 1e-3}
    np.testing.assert_allclose(shot_noise(image).at(pixels, SHAPE, {}).evaluate(), electrons.ravel()[pixels], **near)
    np.testing.assert_allclose(shot_noise(image[:9, 20:40:3]).evaluate(), electrons[:9, 20:40:3], **near)
    np.testing.assert_allclose(shot_noise(image).evaluate(), electrons, **near)
    variance = shot_noise(image)
    image.data[...] = 0
    np.testing.assert_allclose(variance.evaluate(), electrons, **near)


def test_it_takes_no_array(night):
    raw, _, masters = night
    calibrated(raw, masters)
    large = np.tile(raw, (25, 25))
    many = {kind: CCDFrame(np.tile(master.data, (25, 25)), unit="electron") for kind, master in masters.items()}
    del many["dark"]
    calibrated(large, many)
    tracemalloc.start()
    try:
        image = calibrated(large, many)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Values and variance in float32, flags and mask.
    assert taken < large.size * (4 + 4 + 2 + 1) * 1.02
    assert shot_noise(image).nbytes == 0


def test_who_writes_into_the_frame_does_not_change_the_noise_of_others(night):
    raw, arrays, masters = night
    image = calibrated(raw, masters)
    doubled = image.multiply(2.0)
    image.data[...] = 0
    np.testing.assert_allclose(shot_noise(doubled).evaluate(), expected(raw, arrays), rtol=1e-5, atol=1e-3)
    assert doubled.budget.names == calibrated(raw, masters).budget.names


def test_nor_who_had_got_hold_of_it_before(night):
    raw, arrays, masters = night
    image = calibrated(raw, masters)
    held = image.data
    doubled = image.multiply(2.0)
    held[...] = 0
    np.testing.assert_allclose(shot_noise(doubled).evaluate(), expected(raw, arrays), rtol=1e-5, atol=1e-3)


def test_nor_who_writes_into_a_part_of_it(night):
    raw, arrays, masters = night
    image = calibrated(raw, masters)
    part = image[5:20, ::2]
    derived = part.subtract(1 * u.electron)
    whole = image.multiply(3.0)
    part.data[...] = 0
    np.testing.assert_allclose(shot_noise(derived).evaluate(), expected(raw, arrays)[5:20, ::2], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(shot_noise(whole).evaluate(), expected(raw, arrays), rtol=1e-5, atol=1e-3)


def with_overscan_of_columns(raw, _):
    """Whose variance is not found with its values."""
    rows = np.vstack([np.full((4, SHAPE[1]), 100, dtype=np.uint16), raw])
    sections = {"overscan": "[1:60,1:4]", "overscan_axis": 0, "trim": "[1:60,5:44]"}
    return calibrate(CCDFrame(rows, unit="adu"), CAMERA, **sections)


def under_a_master_that_it_is_in(raw, _):
    frames = [CCDFrame(one, unit="adu") for one in (raw, raw[::-1].copy())]
    bias = combine([calibrate(frame, CAMERA, pedestal=0, shot_noise=0) for frame in frames])
    return calibrate(frames[0], CAMERA, bias=bias)


@pytest.mark.parametrize("make", [calibrated, with_overscan_of_columns, under_a_master_that_it_is_in])
@pytest.mark.parametrize("cut", [(slice(None), slice(None)), (slice(5, 20), slice(None, None, 2))])
def test_the_frame_itself_keeps_its_variance(night, make, cut):
    raw, _, masters = night
    variance = make(raw, masters)[cut].variance.copy()
    image = make(raw, masters)
    part = image[cut]
    part.data[...] = 0
    np.testing.assert_allclose(part.variance, variance, rtol=1e-6)
    np.testing.assert_allclose(image.variance[cut], variance, rtol=1e-6)
    assert "shot noise" not in part.budget.names


def test_a_budget_that_somebody_holds_stays_what_it_is(night):
    raw, arrays, masters = night
    image = calibrated(raw, {"bias": masters["bias"]})
    budget = image.budget
    image.data[...] = 0
    np.testing.assert_allclose(budget.variances()["shot noise"], expected(raw, arrays), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(sum(budget.variances().values()), budget.variance(), rtol=1e-5)
    other = CCDFrame(np.ones(SHAPE), unit="electron", budget=budget)
    np.testing.assert_allclose(other.variance, budget.variance(), rtol=1e-5)


def test_the_values_are_let_go_when_the_variance_is_kept(night):
    raw, _, masters = night
    image = calibrated(raw, masters)
    doubled = image.multiply(2.0)
    values = weakref.ref(image.data)
    del image
    gc.collect()
    assert values() is None
    assert shot_noise(doubled).nbytes == raw.size * 4


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, CCDFrame.copy, lambda f: pickle.loads(pickle.dumps(f))])  # noqa: S301  our own bytes
def test_copies(night, copied):
    raw, arrays, masters = night
    image = calibrated(raw, masters)
    other = copied(image)
    np.testing.assert_allclose(shot_noise(other).evaluate(), expected(raw, arrays), rtol=1e-5, atol=1e-3)
    # The same noise: in the difference of two it cancels.
    assert (image - other).variance.max() < 1e-3 * image.variance.min()


def test_a_stack_outlives_its_frames(night):
    _, arrays, masters = night
    rng = np.random.default_rng(8)
    raws = [rng.poisson(400 + rng.uniform(0, 9), SHAPE).astype(np.uint16) for _ in range(3)]
    frames = [calibrated(one, masters) for one in raws]
    stack = combine(frames, method="mean")
    for frame in frames:
        frame.data[...] = 1e6
    mean = np.mean([expected(one, arrays) for one in raws], axis=0) / 3
    np.testing.assert_allclose(stack.budget.variances()["shot noise"] * arrays["flat"] ** 2, mean, rtol=1e-4)


def test_pixels_that_are_no_numbers_bring_none():
    values = np.array([[np.nan, np.inf, -np.inf, 4.0]], dtype=np.float32)
    image = calibrate(CCDFrame(values, unit="adu"), CAMERA, pedestal=0)
    np.testing.assert_array_equal(shot_noise(image).evaluate(), [[0, 0, 0, 6]])
