"""What a pass finds of the variance is what the sources of noise say, one by one and in float64."""

from __future__ import annotations

from functools import partial

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty

from astro_calib import (
    Amplifier,
    CCDFrame,
    Crosstalk,
    Detector,
    calibrate,
    combine,
    create_deviation,
    subtract_dark,
    subtract_sky,
)
from astro_calib.steps import LinearStep, NamedStep, apply_steps
from astro_calib.steps.fringe import SubtractFringe
from astro_calib.steps.weighted_sums import WeightedSum

SHAPE = (48, 64)
GAIN = u.electron / u.adu
CAMERA = Detector(gain=1.5 * GAIN, read_noise=5 * u.electron)
SECTIONS = ["[1:32, 1:24]", "[33:64, 1:24]", "[1:32, 25:48]", "[33:64, 25:48]"]
CORNERS = ["lower left", "lower right", "upper left", "upper right"]
FOUR = Detector(
    amplifiers=[
        Amplifier(gain=(1.5 + 0.1 * k) * GAIN, read_noise=5 * u.electron, data_section=section, corner=corner)
        for k, (section, corner) in enumerate(zip(SECTIONS, CORNERS, strict=True))
    ]
)


def raw(rng, level, seconds):
    pixels = rng.normal(1000 + level, 4, SHAPE)
    # Hot pixels, which are the same in all frames.
    hot = np.random.default_rng(7).choice(pixels.size, 90, replace=False)
    pixels.flat[hot] += 50 * seconds
    return CCDFrame(pixels.astype(np.float32), unit="adu", meta={"EXPTIME": seconds})


def masters(rng, detector=CAMERA):
    made = {}
    for kind, level, seconds in (("bias", 0, 0.0), ("dark", 40, 60.0), ("flat", 8000, 1.0)):
        extra = {"shot_noise": 0} if kind == "bias" else {}
        made[kind] = combine(
            [calibrate(raw(rng, level, seconds), detector, pedestal=0, **extra, **made) for _ in range(3)]
        )
    return made


def pattern(rng, given):
    """A fringe map that is made with the same masters."""
    fringes = 40 * np.sin(np.arange(SHAPE[1]) / 3)
    frames = [calibrate(raw(rng, 2000, 30.0), CAMERA, pedestal=0, **given) for _ in range(3)]
    return combine([frame * 1e-3 for frame in frames]) + CCDFrame(fringes * np.ones((SHAPE[0], 1)), unit="electron")


def assert_found(image, tolerance=5e-6):
    """The variance is there before anybody asks for it, and that of the single sources."""
    found = image.budget.known_variance
    assert found is not None
    data = image.pixels.astype(np.float64)
    expected = np.zeros(image.shape)
    for source, coefficient in image.budget.terms:
        expected += np.square(coefficient.evaluate(data)) * np.asarray(source.variance.evaluate(), dtype=np.float64)
    assert not list(image.budget.pairs())
    np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_a_fitted_amplitude_of_the_dark(rng):
    assert_found(calibrate(raw(rng, 300, 30.0), CAMERA, pedestal=0, dark_amplitude="fit", **masters(rng)))


def test_crosstalk_with_errors_between_four_amplifiers(rng):
    matrix = np.where(np.eye(4) == 1, 0, 1e-3)
    ghosts = Crosstalk(matrix, matrix / 20)
    assert_found(calibrate(raw(rng, 300, 30.0), FOUR, pedestal=1000, crosstalk=ghosts, **masters(rng, FOUR)))


@pytest.mark.parametrize("error", [0.0, 0.02])
def test_fringes_that_have_the_same_masters(rng, error):
    given = masters(rng)
    image = calibrate(raw(rng, 300, 30.0), CAMERA, pedestal=0, **given)
    step = SubtractFringe(pattern(rng, given), 0.5, error)
    assert apply_steps(image, [step]).variance.shape == SHAPE
    steps = partial(calibrate, raw(rng, 300, 30.0), CAMERA, pedestal=0, fringe=step.fringe, fringe_amplitude=0.5)
    assert_found(steps(**given))


class Less(LinearStep):
    """Subtracts twice another frame of sigma 3, and triples."""

    def __init__(self, level):
        sigmas = StdDevUncertainty(np.full(SHAPE, 3.0, np.float32))
        self.other = CCDFrame(np.full(SHAPE, level, np.float32), unit="adu", uncertainty=sigmas)

    def apply(self, frame):
        frame.add(self.other, -2.0)
        frame.multiply(3.0)


def test_a_pass_after_a_step_that_is_none(rng):
    image = create_deviation(raw(rng, 300, 30.0), CAMERA, pedestal=1000)
    before = image.variance
    result = apply_steps(image, [Less(10.0), NamedStep("as it is", lambda frame: frame), Less(20.0)])
    assert_found(result)
    # 9 z - 18 a - 6 b.
    np.testing.assert_allclose(result.variance, 81 * before + (18**2 + 6**2) * 9.0, rtol=1e-5)
    again = Less(10.0)
    twice = apply_steps(image, [again, NamedStep("as it is", lambda frame: frame), again])
    np.testing.assert_allclose(twice.variance, 81 * before + (18 + 6) ** 2 * 9.0, rtol=1e-5)


def test_exposures_in_turn_give_the_same_bits_as_one_after_the_other(rng):
    given = masters(rng)
    frames = {seconds: raw(rng, 300, seconds) for seconds in (20.0, 30.0, 45.0)}

    def variance(seconds):
        return calibrate(frames[seconds], CAMERA, pedestal=0, **given).variance.tobytes()

    in_turn = [[variance(seconds) for seconds in frames] for _ in range(3)]
    at_once = [[variance(seconds) for _ in range(3)] for seconds in frames]
    assert [list(one) for one in zip(*in_turn, strict=True)] == at_once


def test_a_sum_of_arrays_is_that_of_numpy_in_each_part(rng):
    arrays = tuple(rng.normal(size=SHAPE).astype(np.float32) for _ in range(3))
    total = WeightedSum(arrays, (0.5, 2.0, -1.0))
    expected = arrays[0] * np.float32(0.5) + arrays[1] * np.float32(2) - arrays[2]
    np.testing.assert_array_equal(total[:], expected)
    np.testing.assert_array_equal(total[3:9, ::2], expected[3:9, ::2])
    np.testing.assert_array_equal(np.asarray(total), expected)
    assert (total.shape, total.ndim) == (SHAPE, 2)


@pytest.mark.parametrize("clip", [None, "sigma"])
def test_frames_less_skies_of_their_own_share_the_noise_of_the_flat(rng, clip):
    """The derivative of a stack by the flat is minus the mean of the frames before their skies were subtracted."""
    given = masters(rng)
    frames = [calibrate(raw(rng, 300 + 200 * k, 30.0), CAMERA, pedestal=0, **given) for k in range(3)]
    stack = combine([subtract_sky(frame, degree=1, block=8) for frame in frames], clip=clip, sigma=50.0)
    ours = {source.key for source, _ in given["flat"].budget.terms if len(source.axes) == 2}
    flat_of = {source.key: coefficient for source, coefficient in frames[0].budget.terms if source.key in ours}
    first = frames[0].pixels.astype(np.float64)
    mean = np.mean([frame.pixels.astype(np.float64) for frame in frames], axis=0)
    checked = 0
    for source, coefficient in stack.budget.terms:
        alone = flat_of.get(source.key)
        if alone is not None and alone.is_proportional_to_own:
            expected = alone.evaluate(first) / first * mean
            np.testing.assert_allclose(coefficient.evaluate(stack.pixels), expected, rtol=2e-5)
            checked += 1
    assert checked


def test_the_excess_of_hot_pixels_is_the_same_in_a_frame_as_in_a_pass(rng):
    """A frame that is finished before its dark is fitted has the same amplitude as one in the middle of a pass."""
    given = masters(rng)
    science = raw(rng, 300, 30.0)
    at_once = calibrate(science, CAMERA, pedestal=0, bias=given["bias"], dark=given["dark"], dark_amplitude="fit")
    before = calibrate(science, CAMERA, pedestal=0, bias=given["bias"])
    after = subtract_dark(before, given["dark"], exposure_time="EXPTIME", scale=True, amplitude="fit")
    for key in ("DARKAMP", "DARKAERR"):
        assert at_once.meta[key] == pytest.approx(after.meta[key], rel=1e-5)
