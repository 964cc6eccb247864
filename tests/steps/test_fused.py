"""One pass over the pixels gives what the steps give one at a time."""

import dataclasses
import sys
from functools import partial

import astropy.units as u
import numpy as np
import pytest
from astropy.modeling.models import Polynomial1D
from astropy.nddata import CCDData

from astro_calib import (
    Amplifier,
    CCDFrame,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
    covariance,
    create_deviation,
    flag_bad_pixels,
    flag_saturated,
    flat_correct,
    gain_correct,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim_image,
)
from astro_calib.errors import FrameError
from astro_calib.frame.rebuild import lacks_own_noise
from astro_calib.steps.step import apply_steps

SHAPE = (30, 44)
OVERSCAN, TRIM = "[41:44, 1:30]", "[3:40, 2:29]"
SECTION = {(0, 1): OVERSCAN, 1: OVERSCAN, 0: "[1:44, 30:30]"}
TRIMMED = (28, 38)
GAIN = 1.5 * u.electron / u.adu
CAMERA = Detector(gain=GAIN, read_noise=6 * u.electron, saturation=60000 * u.adu)
UNCERTAIN = Detector(
    gain=GAIN, read_noise=6 * u.electron, gain_uncertainty=0.02 * u.electron / u.adu, saturation=60000 * u.adu
)
#: Of the raw frame; the right half of the first is read towards the left.
AMPLIFIERS = {
    "left and right": ["[1:20, 1:30]", "[40:21, 1:30]"],
    "top and bottom": ["[1:40, 1:13]", "[1:40, 14:30]"],
    "quadrants": ["[1:17, 1:13]", "[18:40, 1:13]", "[1:17, 14:30]", "[18:40, 14:30]"],
    "three corners": ["[1:40, 1:13]", "[1:17, 14:30]", "[18:40, 14:30]"],
    "one trimmed off": ["[1:2, 1:30]", "[3:11, 1:30]", "[12:40, 1:30]"],
}


def several(sections, uncertainty=0.0, gain=1.5, read_noise=6.0):
    """A detector whose amplifiers differ in all they have."""
    amplifiers = [
        Amplifier(
            gain=(gain + 0.2 * index) * GAIN.unit,
            read_noise=(read_noise + 2 * index) * u.electron,
            gain_uncertainty=uncertainty * (1 + index) * GAIN.unit,
            data_section=section,
        )
        for index, section in enumerate(sections)
    ]
    return Detector(amplifiers=amplifiers, saturation=60000 * u.adu)


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def raw_frame(rng, dtype=np.uint16, value=400.0):
    pixels = rng.poisson(value, SHAPE) + rng.normal(1000, 4, SHAPE)
    pixels[5, 7] = 65535
    if np.dtype(dtype).kind == "f":
        pixels[8, 9], pixels[10, 11] = np.nan, np.inf
    return CCDFrame(pixels.astype(dtype), unit="adu", meta={"EXPTIME": 50.0})


def masters(rng, detector, dtype=np.float32, marked=False):
    """Bias, dark and flat that share the bias and the gain, as they do."""

    def of(level, exposure, **parts):
        raws = [CCDFrame((rng.normal(level, 20, TRIMMED) + 1000).astype(dtype), unit="adu") for _ in range(3)]
        for raw in raws:
            raw.meta["EXPTIME"] = exposure
        return [calibrate(raw, detector, pedestal=0, **parts) for raw in raws]

    bias = combine(of(0, 0.0, shot_noise=0))
    dark = combine(of(30, 100.0, bias=bias))
    flat = combine(of(20000, 5.0, bias=bias, dark=dark), scale="mean")
    dark.meta["EXPTIME"] = 100.0
    if marked:
        for master, where in ((bias, (1, 2)), (dark, (3, 4)), (flat, (5, 6))):
            master.mask = np.zeros(TRIMMED, dtype=bool)
            master.mask[where] = True
            master.flags = master.flags.copy()
            master.flags[where] |= 1
    return {"bias": bias, "dark": dark, "flat": flat}


def step_by_step(raw, detector, given, *, axis=(0, 1), shot_noise="data", bad=None):
    frame = flag_saturated(raw, detector)
    frame = subtract_overscan(frame, fits_section=SECTION[axis], overscan_axis=axis, median=True)
    frame = trim_image(frame, TRIM)
    if bad is not None:
        frame = flag_bad_pixels(frame, bad)
    frame = gain_correct(frame, detector)
    if "bias" in given:
        frame = subtract_bias(frame, given["bias"])
    frame = create_deviation(frame, detector, shot_noise=shot_noise)
    if "dark" in given:
        frame = subtract_dark(frame, given["dark"], exposure_time="EXPTIME", scale=True)
    return flat_correct(frame, given["flat"]) if "flat" in given else frame


@pytest.fixture
def both_ways(monkeypatch):
    """Calibrates in one pass and by the steps."""

    def run(raw, detector, **arguments):
        one = calibrate(raw, detector, **arguments)
        with monkeypatch.context() as patch:
            one_by_one = partial(apply_steps, fused=False)
            patch.setattr(sys.modules["astro_calib.steps.sequence"], "apply_steps", one_by_one)
            other = calibrate(raw, detector, **arguments)
        assert_same(one, other)
        orders = [[s.key for s, _ in frame.budget.terms if s.name != "gain"] for frame in (one, other)]
        assert orders[0] == orders[1]
        assert (one.mask is None, one.flags is None) == (other.mask is None, other.flags is None)
        assert lacks_own_noise(one) == lacks_own_noise(other)
        return one

    return run


def assert_same(one, other):
    """To the rounding of float32: the steps round in between."""
    tolerance = 2e-4 if one.dtype == np.float32 else 1e-9
    assert one.dtype == other.dtype
    assert one.unit == other.unit
    assert dict(one.meta) == dict(other.meta)
    np.testing.assert_allclose(one.data, other.data, rtol=tolerance, atol=tolerance * 400)
    numbers = np.isfinite(other.data)
    np.testing.assert_allclose(one.variance[numbers], other.variance[numbers], rtol=tolerance)
    flags = [np.zeros(one.shape, np.uint16) if frame.flags is None else frame.flags for frame in (one, other)]
    np.testing.assert_array_equal(*flags)
    masks = [np.zeros(one.shape, bool) if frame.mask is None else frame.mask for frame in (one, other)]
    np.testing.assert_array_equal(*masks)
    good = ~masks[0] & np.isfinite(other.data)
    parts, expected = one.budget.variances(), other.budget.variances()
    assert parts.keys() == expected.keys()
    scale = other.variance[good].max()
    for name in parts:
        np.testing.assert_allclose(parts[name][good], expected[name][good], rtol=1e-3, atol=tolerance * scale)
    # It is the same noise: what one is less the other has none.
    np.testing.assert_allclose(covariance(one, other)[good], other.variance[good], rtol=1e-3)
    weights = np.where(good, 1.0, 0.0)
    sums = [frame.budget.variance_of_sum(weights) for frame in (one, other)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-3)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, pytest.param(np.float64, marks=pytest.mark.long)])
@pytest.mark.parametrize("detector", [CAMERA, UNCERTAIN], ids=["exact gain", "uncertain gain"])
@pytest.mark.parametrize("axis", [(0, 1), 1, 0])
@pytest.mark.parametrize(
    "names",
    [
        (),
        pytest.param(("bias",), marks=pytest.mark.long),
        ("bias", "dark"),
        pytest.param(("flat",), marks=pytest.mark.long),
        ("bias", "dark", "flat"),
    ],
)
def test_the_same_as_the_steps(rng, dtype, detector, axis, names):
    every = masters(rng, detector, dtype=np.float64 if dtype == np.float64 else np.float32)
    given = {name: every[name] for name in names}
    raw = raw_frame(rng, dtype)
    one = calibrate(raw, detector, overscan=SECTION[axis], overscan_axis=axis, trim=TRIM, **given)
    assert_same(one, step_by_step(raw, detector, given, axis=axis))


def test_masks_and_flags_of_all_frames_are_there(rng):
    every = masters(rng, CAMERA, marked=True)
    raw = raw_frame(rng)
    raw.mask = np.zeros(SHAPE, dtype=bool)
    raw.mask[20, 20] = True
    raw.flags = raw.mask * np.uint16(8)
    bad = np.zeros(TRIMMED, dtype=bool)
    bad[9, 9] = True
    one = calibrate(raw, CAMERA, overscan=OVERSCAN, trim=TRIM, bad_pixels=bad, **every)
    assert_same(one, step_by_step(raw, CAMERA, every, bad=bad))
    for where in ((1, 2), (3, 4), (5, 6), (4, 5), (9, 9), (19, 18)):
        assert one.mask[where], where


def test_a_bias_frame_has_no_shot_noise(rng):
    raw = raw_frame(rng, value=0.0)
    one = calibrate(raw, CAMERA, overscan=OVERSCAN, trim=TRIM, shot_noise=0)
    assert_same(one, step_by_step(raw, CAMERA, {}, shot_noise=0))
    assert "shot noise" not in one.budget.names


def test_a_flat_that_is_too_uncertain_is_flagged(rng):
    flat = CCDFrame(np.full(TRIMMED, 2.0), unit="adu", uncertainty=np.full(TRIMMED, 0.02))
    flat.data[0, 0] = 0.1
    raw = raw_frame(rng)
    one = calibrate(raw, CAMERA, overscan=OVERSCAN, trim=TRIM, flat=flat, min_value=0.05)
    assert_same(one, flat_correct(step_by_step(raw, CAMERA, {}), flat, min_value=0.05))
    assert one.flags[0, 0] & 64


def test_frames_that_are_cut_the_wrong_way_round_in_memory(rng):
    raw = raw_frame(rng)
    turned = CCDFrame(np.asfortranarray(raw.data)[:, ::-1], unit="adu", meta=raw.meta)
    one = calibrate(turned, CAMERA, pedestal=1000)
    straight = CCDFrame(np.ascontiguousarray(turned.data), unit="adu", meta=raw.meta)
    np.testing.assert_array_equal(one.data, calibrate(straight, CAMERA, pedestal=1000).data)


def test_a_frame_that_is_in_its_master(rng):
    raws = [raw_frame(rng, value=0.0) for _ in range(3)]
    bias = combine([calibrate(raw, CAMERA, overscan=OVERSCAN, trim=TRIM, shot_noise=0) for raw in raws])
    one = calibrate(raws[0], CAMERA, overscan=OVERSCAN, trim=TRIM, shot_noise=0, bias=bias)
    assert_same(one, step_by_step(raws[0], CAMERA, {"bias": bias}, shot_noise=0))
    good = ~one.mask
    np.testing.assert_allclose(one.budget.variances()["read noise"][good].mean(), 36.19 * (1 - 2 / 3 / 2), rtol=0.02)


@pytest.mark.parametrize("detector", [CAMERA, UNCERTAIN], ids=["exact gain", "uncertain gain"])
def test_masters_that_were_read_from_files(rng, both_ways, tmp_path, detector):
    every = masters(rng, detector)
    for name, master in every.items():
        master.write(tmp_path / f"{name}.fits")
    # A plain CCDData has the byte order of the file.
    every = {name: CCDFrame(CCDData.read(tmp_path / f"{name}.fits")) for name in every}
    assert not all(master.dtype.isnative for master in every.values())
    both_ways(raw_frame(rng), detector, overscan=OVERSCAN, trim=TRIM, **every)


@pytest.mark.parametrize("dtype", [">u2", ">f4", "f2", "i4", "u1"])
def test_raw_frames_of_other_types(rng, both_ways, dtype):
    raw = CCDFrame(rng.integers(20, 90, SHAPE).astype(dtype), unit="adu")
    both_ways(raw, CAMERA, pedestal=10)


def test_a_frame_without_a_pixel_that_differs(both_ways):
    raw = CCDFrame(np.full(SHAPE, 1100, dtype=np.uint16), unit="adu")
    raw = CCDFrame(raw, history=dataclasses.replace(raw.history, origin=raw.origin))
    one = both_ways(raw, CAMERA, pedestal=1000)
    assert not lacks_own_noise(one)


def test_nobody_changes_the_noise_by_writing_into_a_master_afterwards(rng):
    bias = masters(rng, UNCERTAIN)["bias"]
    one = calibrate(raw_frame(rng), UNCERTAIN, overscan=OVERSCAN, trim=TRIM, bias=bias)
    before = one.budget.variances()["gain"], covariance(one, one)
    bias.data[...] = 0
    np.testing.assert_array_equal(one.budget.variances()["gain"], before[0])
    np.testing.assert_array_equal(covariance(one, one), before[1])


@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_frames_of_one_row(rng, both_ways, axis):
    raw = CCDFrame((rng.normal(1000, 4, (2, 40)) + 300).astype(np.uint16), unit="adu")
    both_ways(raw, CAMERA, overscan="[1:40, 1:1]", overscan_axis=0, trim="[1:40, 2:2]")
    both_ways(raw[1:], CAMERA, overscan="[31:40, 1:1]", overscan_axis=axis if axis != 0 else 1, trim="[1:30, 1:1]")


def test_without_a_saturation_level_nothing_is_saturated(rng, both_ways):
    raw = raw_frame(rng, np.float32)
    one = both_ways(raw, Detector(gain=GAIN, read_noise=6 * u.electron), pedestal=1000)
    assert one.flags[10, 11] == 16
    assert not np.any(one.flags & 4)


def test_a_clean_frame_has_mask_and_flags_as_any_other(rng, both_ways):
    raw = CCDFrame(rng.integers(1000, 1100, SHAPE).astype(np.uint16), unit="adu")
    assert not both_ways(raw, CAMERA, pedestal=1000).mask.any()


def test_the_flat_is_uncertain_only_where_it_is_used(rng, both_ways):
    values, sigmas = rng.normal(1000, 5, SHAPE), np.full(SHAPE, 5.0)
    sigmas[1, 1] = sigmas[2, 2] = sigmas[3, 3] = 300
    values[2, 2] = 1
    flat = CCDFrame(values, unit="electron", uncertainty=sigmas, mask=np.zeros(SHAPE, dtype=bool))
    flat.mask[1, 1] = True
    one = both_ways(raw_frame(rng), CAMERA, pedestal=1000, flat=flat)
    assert [int(one.flags[place] & 64) for place in ((1, 1), (2, 2), (3, 3))] == [0, 0, 64]


@pytest.mark.parametrize("detector", [CAMERA, UNCERTAIN], ids=["exact gain", "uncertain gain"])
def test_the_order_of_the_sources_is_that_of_the_steps(rng, both_ways, detector):
    both_ways(raw_frame(rng), detector, overscan=OVERSCAN, trim=TRIM, **masters(rng, detector))
    terms = [(NoiseSource(f"part {index}", 1.0, identity=f"part {index}"), 1.0) for index in range(62)]
    bias = CCDFrame(np.full(TRIMMED, 3.0), unit="electron", budget=UncertaintyBudget(TRIMMED, terms))
    with pytest.warns(UserWarning, match="sources of noise"):
        both_ways(raw_frame(rng), UNCERTAIN, overscan=OVERSCAN, trim=TRIM, bias=bias)


@pytest.mark.parametrize("model", [None, Polynomial1D(0)])
def test_an_overscan_that_was_cut_out_is_looked_at_for_saturation(rng, model):
    raw = raw_frame(rng)
    raw.data[:, 40:] = 1000
    raw.data[:, 41] = 65535
    how = {"overscan_model": model, "overscan_axis": 1, "overscan_median": False}
    one = calibrate(raw, CAMERA, overscan=raw[:, 40:], **how)
    np.testing.assert_allclose(one.data[:, 0], 1.5 * (raw.data[:, 0] - 1000.0), rtol=1e-6)


@pytest.mark.parametrize(
    "detector",
    [CAMERA, several(["[1:1025, 1:99]", "[1026:1031, 1:99]", "[1:3, 100:517]", "[4:1031, 100:517]"])],
    ids=["one amplifier", "four amplifiers"],
)
def test_frames_that_are_cut_up_for_threads(rng, both_ways, detector):
    shape = (517, 1031)
    raw = CCDFrame(rng.integers(900, 1100, shape).astype(np.uint16), unit="adu", meta={"EXPTIME": 50.0})
    bias, dark, flat = (
        CCDFrame(rng.normal(level, 1, shape).astype(np.float32), unit="electron", uncertainty=np.ones(shape, "f4"))
        for level in (1000, 20, 300)
    )
    dark.meta["EXPTIME"] = 100.0
    both_ways(raw, detector, bias=bias, dark=dark, flat=flat)


@pytest.mark.parametrize("pedestal", [np.nan, np.arange(30.0), np.arange(30) * u.adu])
def test_a_pedestal_is_one_number(rng, pedestal):
    with pytest.raises(FrameError, match="one finite number"):
        calibrate(raw_frame(rng), CAMERA, pedestal=pedestal)


def test_a_norm_that_is_not_positive_is_refused(rng):
    flat = CCDFrame(np.ones(SHAPE), unit="adu")
    with pytest.raises(ValueError, match="norm_value is -1"):
        calibrate(raw_frame(rng), CAMERA, pedestal=1000, flat=flat, norm_value=-1)


@pytest.mark.parametrize("uncertainty", [0.0, 0.02], ids=["exact gain", "uncertain gain"])
@pytest.mark.parametrize("sections", AMPLIFIERS.values(), ids=AMPLIFIERS)
@pytest.mark.parametrize("axis", [(0, 1), 1, pytest.param(0, marks=pytest.mark.long)])
def test_several_amplifiers(rng, both_ways, sections, uncertainty, axis):
    detector = several(sections, uncertainty)
    every = masters_of_whole_frames(rng, detector)
    raw = raw_frame(rng, np.float32)
    raw.mask = np.zeros(SHAPE, dtype=bool)
    raw.mask[20, 20] = True
    bad = np.zeros(TRIMMED, dtype=bool)
    bad[9, 9] = True
    how = {"overscan": SECTION[axis], "overscan_axis": axis, "trim": TRIM, "bad_pixels": bad}
    one = both_ways(raw, detector, **how, **every)
    assert one.mask[19, 18]
    assert one.flags[9, 9] & 1
    assert one.flags[4, 5] & 4
    both_ways(raw, detector, **how)


def masters_of_whole_frames(rng, detector):
    """Bias, dark and flat of raw frames, of which it is known what each amplifier has read."""

    def of(level, exposure, **parts):
        raws = [CCDFrame(rng.normal(level + 1000, 20, SHAPE).astype(np.float32), unit="adu") for _ in range(3)]
        for raw in raws:
            raw.meta["EXPTIME"] = exposure
        return combine([calibrate(raw, detector, trim=TRIM, pedestal=0, **parts) for raw in raws])

    bias = of(0, 0.0, shot_noise=0)
    dark = of(30, 100.0, bias=bias)
    dark.meta["EXPTIME"] = 100.0
    return {"bias": bias, "dark": dark, "flat": of(20000, 5.0, bias=bias)}


def numbers(sections):
    """Which amplifier has read a pixel of the raw frame; NaN where none has."""
    number = np.full(SHAPE, np.nan)
    for index, section in enumerate(sections):
        columns, rows = (sorted(map(int, part.split(":"))) for part in section.strip("[]").split(","))
        number[rows[0] - 1 : rows[1], columns[0] - 1 : columns[1]] = index
    return number


@pytest.mark.parametrize("sections", AMPLIFIERS.values(), ids=AMPLIFIERS)
def test_several_amplifiers_by_formula(rng, sections):
    sigma, level = 0.01, 1000.0
    detector = several(sections, sigma)
    raw = CCDFrame(rng.integers(900, 1400, SHAPE).astype(np.uint16), unit="adu")
    image = calibrate(raw, detector, pedestal=level, trim="[3:40, 1:30]")
    number = numbers(sections)
    kept = np.s_[:, 2:40]
    number, counts = number[kept], raw.data[kept] - level
    gain, read_noise = 1.5 + 0.2 * number, 6 + 2 * number
    fixed = read_noise**2 + gain**2 / 12
    own = np.maximum(fixed + gain * counts, read_noise**2 / 4)
    error_of_gain = sigma * (1 + number)
    np.testing.assert_allclose(image.data, gain * counts, rtol=1e-6)
    np.testing.assert_allclose(image.variance, own + (error_of_gain * counts) ** 2, rtol=1e-5)
    parts = image.budget.variances()
    np.testing.assert_allclose(parts["read noise"], fixed, rtol=1e-6)
    np.testing.assert_allclose(parts["shot noise"], own - fixed, rtol=1e-5, atol=1e-3)
    # Each gain's error is the same for all pixels of its amplifier, and has to do with no other.
    common = [((error_of_gain * counts)[number == index]).sum() ** 2 for index in range(len(sections))]
    found = image.budget.variance_of_sum(np.ones(image.shape))
    assert found == pytest.approx(own.sum() + np.sum(common), rel=1e-5)


def test_the_error_of_an_overscan_that_several_amplifiers_share(rng):
    detector = several(AMPLIFIERS["quadrants"])
    raw = CCDFrame(rng.normal(1000, 4, SHAPE).astype(np.float32), unit="adu")
    image = calibrate(raw, detector, overscan=OVERSCAN, overscan_median=False, trim="[1:40, 1:30]", shot_noise=0)
    scatter = np.var(raw.data[:, 40:], ddof=1, dtype=float)
    number = numbers(AMPLIFIERS["quadrants"])[:, :40]
    gain, read_noise = 1.5 + 0.2 * number, 6 + 2 * number
    of_level = scatter / 120
    np.testing.assert_allclose(image.budget.variances()["overscan"], gain**2 * of_level, rtol=1e-5)
    np.testing.assert_allclose(image.variance, read_noise**2 + gain**2 * of_level, rtol=1e-5)


def read_noise_of(frame):
    (variance,) = [source.variance for source, _ in frame.budget.terms if source.name == "read noise"]
    return variance


@pytest.mark.parametrize(
    ("name", "bytes_held"), [("left and right", 4 * 40), ("top and bottom", 4 * 30), ("quadrants", 4 * 40 * 30)]
)
def test_maps_of_amplifiers_are_small_and_there_once(rng, name, bytes_held):
    detector = several(AMPLIFIERS[name])
    one, other = (calibrate(raw_frame(rng), detector, pedestal=1000, trim="[1:40, 1:30]") for _ in range(2))
    assert read_noise_of(one).nbytes <= bytes_held
    assert read_noise_of(one) == read_noise_of(other)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_frames_of_several_amplifiers_in_files(rng, tmp_path, suffix):
    detector = several(AMPLIFIERS["quadrants"], 0.02)
    every = masters_of_whole_frames(rng, detector)
    image = calibrate(raw_frame(rng), detector, overscan=OVERSCAN, trim=TRIM, **every)
    image.write(tmp_path / f"image.{suffix}", include_masters=True)
    read = CCDFrame.read(tmp_path / f"image.{suffix}")
    good = ~image.mask
    np.testing.assert_allclose(read.variance, image.variance, rtol=1e-5)
    np.testing.assert_allclose(covariance(image, read)[good], image.variance[good], rtol=1e-4)


def test_a_stack_of_frames_of_several_amplifiers(rng):
    detector = several(AMPLIFIERS["left and right"])
    frames = [calibrate(raw_frame(rng), detector, pedestal=1000, trim="[1:40, 1:30]") for _ in range(4)]
    stack = combine(frames)
    clean = ~np.any([frame.mask for frame in frames], axis=0)
    expected = np.sum([frame.variance for frame in frames], axis=0) / 16
    np.testing.assert_allclose(stack.variance[clean], expected[clean], rtol=1e-5)
    difference = frames[0].subtract(frames[0].copy())
    assert not difference.variance[clean].any()


@pytest.mark.parametrize("name", ["left and right", "quadrants"])
def test_the_gains_of_several_amplifiers_cancel_in_a_ratio_and_scale_a_median(rng, name):
    detector = several(AMPLIFIERS[name], 0.02)
    frames = [calibrate(raw_frame(rng), detector, pedestal=1000, trim="[1:40, 1:30]") for _ in range(3)]
    assert np.all((frames[0] / frames[1]).budget.variances().get("gain", 0.0) == 0)
    median = combine(frames, method="median")
    number = numbers(AMPLIFIERS[name])[:, :40]
    expected = (0.02 * (1 + number) / (1.5 + 0.2 * number) * median.data) ** 2
    np.testing.assert_allclose(median.budget.variances()["gain"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (["[1:20, 1:30]", "[22:40, 1:30]"], "none of the amplifiers"),
        (["[1:20, 1:30]", "[21:45, 1:30]"], "lies outside a frame of 44 columns"),
    ],
)
def test_pixels_that_no_amplifier_reads_are_an_error(rng, both_ways, sections, message):
    with pytest.raises(FrameError, match=message):
        calibrate(raw_frame(rng), several(sections), pedestal=1000, trim="[1:40, 1:30]")
    both_ways(raw_frame(rng), several(sections[:1]), pedestal=1000)
