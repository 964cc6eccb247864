"""Frames that several amplifiers have read, each with its overscan."""

import astropy.units as u
import numpy as np
import pytest

from astro_calib import (
    Amplifier,
    CCDFrame,
    Correlation,
    DataQuality,
    Detector,
    calibrate,
    combine,
    flag_saturated,
    subtract_overscan,
)
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.steps import apply_steps
from astro_calib.steps.sequence import calibration_steps

E_PER_ADU = u.electron / u.adu
NY, NX, NO = 40, 60, 12
CORNERS = ["lower left", "lower right", "upper left", "upper right"]
#: Four amplifiers, one a corner.
QUADRANTS = ["[1:30,1:20]", "[31:60,1:20]", "[1:30,21:40]", "[31:60,21:40]"]
#: The same in a frame with overscan to the left and to the right.
WITH_OVERSCAN = ["[13:42,1:20]", "[43:72,1:20]", "[13:42,21:40]", "[43:72,21:40]"]
OVERSCANS = ["[1:12,1:20]", "[73:84,1:20]", "[1:12,21:40]", "[73:84,21:40]"]
#: Odd and even columns.
INTERLEAVED = ["[1:59:2,1:40]", "[2:60:2,1:40]"]


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def camera(sections, overscans=None, corners=CORNERS, *, correlated=False, uncertain=0.0, **options):
    """Amplifiers of different gains, read noises and tones."""
    amplifiers = [
        Amplifier(
            gain=(1 + 0.3 * k) * E_PER_ADU,
            read_noise=(4 + k) * u.electron,
            gain_uncertainty=uncertain * (k + 1) * E_PER_ADU if uncertain else None,
            data_section=section,
            overscan_section=None if overscans is None else overscans[k],
            corner=corners[k],
            correlation=Correlation(0.1 * k, [(0.3, 0.7 + 0.5 * k, 0.4)]) if correlated else None,
        )
        for k, section in enumerate(sections)
    ]
    return Detector(amplifiers=amplifiers, **options)


def raw_values(rng, shape=(NY, NX)):
    return np.rint(1100 + 5 * rng.standard_normal(shape)).astype(np.uint16)


def strips_of(rng, number=4, shape=(NY // 2, NO)):
    """Overscans in frames of their own, at levels of their own."""
    return [CCDFrame(raw_values(rng, shape) - np.uint16(90 - 7 * k), unit="adu") for k in range(number)]


def in_one_pass(raw, detector, **how):
    """The calibrated frame, which is the same with one pass a step."""
    steps = calibration_steps(detector, **how)
    one, other = (apply_steps(raw, steps, fused=fused) for fused in (True, False))
    np.testing.assert_allclose(one.data, other.data, rtol=1e-6)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-5)
    fresh = one.budget.combined(np.add, lambda: 0.0, 1.0, one.data).astype(np.float64)
    np.testing.assert_allclose(one.variance, fresh.variance(), rtol=1e-5)
    return one


def compared_with_frames_apart(whole, data, detector, strips, axis, rng):
    """Compare an image with those of its amplifiers by themselves; yield these, with random weights for all pixels."""
    for k, amplifier in enumerate(detector.amplifiers):
        part = amplifier.slices()
        apart = calibrate(CCDFrame(data[part], unit="adu"), detector.alone(k), overscan=[strips[k]], overscan_axis=axis)
        np.testing.assert_array_equal(whole.data[part], apart.data)
        np.testing.assert_allclose(whole.variance[part], apart.variance, rtol=1e-5)
        weights = np.zeros(whole.shape)
        weights[part] = rng.standard_normal(apart.shape)
        yield apart, weights, weights[part]


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("axis", [(0, 1), 1])
def test_amplifiers_are_calibrated_like_frames_of_their_own(rng, axis, correlated):
    detector = camera(QUADRANTS, correlated=correlated, uncertain=0.02)
    data, strips = raw_values(rng), strips_of(rng)
    whole = in_one_pass(CCDFrame(data, unit="adu"), detector, overscan=strips, overscan_axis=axis)
    for apart, weights, own in compared_with_frames_apart(whole, data, detector, strips, axis, rng):
        parts, expected = (frame.budget.variances_of_sum(one) for frame, one in ((whole, weights), (apart, own)))
        for name, variance in expected.items():
            assert parts[name] == pytest.approx(variance, rel=1e-4), name


@pytest.mark.parametrize("axis", [(0, 1), 1, 0])
def test_overscans_in_the_frame(rng, axis):
    overscans = OVERSCANS if axis != 0 else ["[13:42,1:2]", "[43:72,1:2]", "[13:42,39:40]", "[43:72,39:40]"]
    detector = camera(WITH_OVERSCAN, overscans)
    data = raw_values(rng, (NY, NX + 2 * NO))
    data[:, :NO] += np.uint16(30)
    raw = CCDFrame(data, unit="adu")
    how = {"overscan": detector.overscan_sections(), "overscan_axis": axis, "overscan_median": False}
    image = in_one_pass(raw, detector, trim="[13:72,1:40]", **how)
    for amplifier in detector.amplifiers:
        gain, (rows, columns) = amplifier.gain.value, amplifier.slices()
        strip = camera([amplifier.overscan_section]).amplifiers[0].slices()
        level = data[strip].mean(axis=axis, keepdims=True)
        expected = gain * (data[rows, columns] - level)
        got = image.data[rows, slice(columns.start - NO, columns.stop - NO)]
        np.testing.assert_allclose(got, expected, atol=1e-3)


@pytest.mark.parametrize("axis", [(0, 1), 1])
def test_columns_of_two_amplifiers_in_turn(rng, axis):
    detector = camera(INTERLEAVED, correlated=True, uncertain=0.02)
    data, strips = raw_values(rng), strips_of(rng, 2, (NY, NO))
    whole = in_one_pass(CCDFrame(data, unit="adu"), detector, overscan=strips, overscan_axis=axis)
    for apart, weights, own in compared_with_frames_apart(whole, data, detector, strips, axis, rng):
        found, expected = (frame.budget.variance_of_sum(one) for frame, one in ((whole, weights), (apart, own)))
        assert found == pytest.approx(expected, rel=1e-4)


def test_columns_in_turn_with_their_overscans_in_the_frame(rng):
    detector = camera(["[1:59:2,3:40]", "[2:60:2,3:40]"], ["[61:71:2,3:40]", "[62:72:2,3:40]"], uncertain=0.02)
    data = raw_values(rng, (NY, NX + NO))
    data[:, 1::2] += np.uint16(200)
    how = {"overscan": detector.overscan_sections(), "overscan_axis": 1, "overscan_median": False}
    image = in_one_pass(CCDFrame(data, unit="adu"), detector, trim="[1:60,3:40]", **how)
    for k, gain in enumerate((1.0, 1.3)):
        level = data[2:, NX + k :: 2].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(image.data[:, k::2], gain * (data[2:, k:NX:2] - level), atol=1e-3)


def test_each_amplifier_has_its_own_saturation(rng):
    first, *others = camera(QUADRANTS).amplifiers
    own = Amplifier(
        gain=first.gain, read_noise=first.read_noise, data_section=first.data_section, saturation=1101 * u.adu
    )
    data = raw_values(rng)
    frame = CCDFrame(data, unit="adu")
    for of_all in (None, 1103):
        level = None if of_all is None else of_all * u.adu
        flags = flag_saturated(frame, Detector(amplifiers=[own, *others], saturation=level)).flags
        expected = data >= (np.inf if of_all is None else of_all)
        expected[:20, :30] = data[:20, :30] >= 1101
        np.testing.assert_array_equal((flags & int(DataQuality.SATURATED)) > 0, expected)
    columns = [
        Amplifier(gain=1 * E_PER_ADU, read_noise=3 * u.electron, data_section=section, saturation=level * u.adu)
        for section, level in zip(INTERLEAVED, (1100, 1104), strict=True)
    ]
    flags = flag_saturated(frame, Detector(amplifiers=columns)).flags
    expected = np.where(np.arange(NX) % 2, data >= 1104, data >= 1100)
    np.testing.assert_array_equal((flags & int(DataQuality.SATURATED)) > 0, expected)


def test_rows_without_overscan_are_lost_for_their_amplifier_only(rng):
    strips = strips_of(rng)
    strips[1].mask = np.zeros(strips[1].shape, bool)
    strips[1].mask[3] = True
    frame = CCDFrame(raw_values(rng), unit="adu")
    with pytest.warns(match=r"1 of 20 rows have no good pixel in the overscan of amplifier 1"):
        image = subtract_overscan(frame, strips, detector=camera(QUADRANTS))
    expected = np.zeros((NY, NX), bool)
    expected[3, 30:] = True
    np.testing.assert_array_equal(image.mask, expected)


def test_wrong_overscans_are_refused(rng):
    frame, detector, strips = CCDFrame(raw_values(rng), unit="adu"), camera(QUADRANTS), strips_of(rng)
    with pytest.raises(FrameError, match="3 overscans are given, and the detector has 4 amplifiers"):
        calibrate(frame, detector, overscan=strips[:3])
    with pytest.raises(ShapeMismatchError, match=r"amplifier 0 has read \(20, 30\) pixels, .* has \(40, 12\)"):
        calibrate(frame, detector, overscan=strips_of(rng, shape=(NY, NO)), overscan_axis=1)
    with pytest.raises(TypeError, match="needs a Detector"):
        subtract_overscan(frame, strips)
    with pytest.raises(ValueError, match="4 of 4 amplifiers have no overscan_section"):
        detector.overscan_sections()


@pytest.mark.parametrize("clip", [None, "sigma"])
def test_the_levels_of_amplifiers_stay_apart_in_a_stack(rng, clip):
    detector = camera(QUADRANTS)
    values, strips = [raw_values(rng) for _ in range(3)], [strips_of(rng) for _ in range(3)]
    how = {"shot_noise": 0, "overscan_axis": 1}
    stack = combine(
        [
            calibrate(CCDFrame(data, unit="adu"), detector, overscan=one, **how)
            for data, one in zip(values, strips, strict=True)
        ],
        clip=clip,
    )
    weights = rng.standard_normal((NY, NX)) + 1
    expected = 0.0
    for k, amplifier in enumerate(detector.amplifiers):
        part = amplifier.slices()
        frames = [
            calibrate(CCDFrame(data[part], unit="adu"), detector.alone(k), overscan=one[k], **how)
            for data, one in zip(values, strips, strict=True)
        ]
        expected += combine(frames, clip=clip).budget.variances_of_sum(weights[part])["overscan"]
    assert stack.budget.variances_of_sum(weights)["overscan"] == pytest.approx(expected, rel=1e-4)
