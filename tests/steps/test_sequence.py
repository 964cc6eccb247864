"""All steps at once, against the steps one at a time and against simulated frames whose truth is known."""

from __future__ import annotations

import inspect
import sys

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.modeling.models import Polynomial1D
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib import (
    Amplifier,
    CCDFrame,
    DataQuality,
    Detector,
    LinearityPolynomial,
    calibrate,
    ccd_process,
    combine,
    correct_linearity,
    cosmicray_lacosmic,
    create_deviation,
    flag_bad_pixels,
    flag_saturated,
    flat_correct,
    gain_correct,
    simulate,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim_image,
)
from astro_calib.errors import FrameError, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted

E_PER_ADU = u.electron / u.adu
SHAPE = (240, 220)
DETECTOR = Detector(
    gain=1.5 * E_PER_ADU, read_noise=8 * u.electron, saturation=60000 * u.adu, gain_uncertainty=0.01 * E_PER_ADU
)
OVERSCAN = f"[{SHAPE[1] + 1}:{SHAPE[1] + 32},1:{SHAPE[0]}]"
TRIM = f"[1:{SHAPE[1]},1:{SHAPE[0]}]"
SECTIONS = {"overscan": OVERSCAN, "trim": TRIM, "overscan_median": False}
#: 10% low at 50000 adu, known to a percent of that.
NONLINEAR = Detector(
    gain=1.5 * E_PER_ADU,
    read_noise=8 * u.electron,
    saturation=60000 * u.adu,
    linearity=LinearityPolynomial([2e-6], limit=60000 * u.adu, uncertainties=[2e-8]),
)


class Observatory:
    """Raw frames of one camera and the masters made of them."""

    def __init__(self, *, integer=True, detector=DETECTOR):
        self.rng = np.random.default_rng(42)
        self.integer = integer
        self.detector = detector
        self.camera = simulate.camera(SHAPE, seed=7, detector=detector)
        biases = [self.calibrated("bias", 0, shot_noise=0) for _ in range(5)]
        self.bias = combine(biases)
        self.dark = combine([self.calibrated("dark", 120, bias=self.bias) for _ in range(3)])
        flats = [
            self.calibrated("flat", time, light={"filter": "V", "sky": 5000.0}, bias=self.bias, dark=self.dark)
            for time in (4, 5, 6)
        ]
        self.flat = combine(flats, scale="mean")
        self.masters = {"bias": self.bias, "dark": self.dark, "flat": self.flat}

    def raw(self, kind, time, light=None):
        return self.camera.expose(kind, time, rng=self.rng, integer=self.integer, **(light or {}))

    def calibrated(self, kind, time, light=None, **masters):
        raw, _ = self.raw(kind, time, light)
        return calibrate(raw, self.detector, **SECTIONS, **masters)

    def science(self, **light):
        return self.raw("science", 60, {"filter": "V", "sky": 10.0, **light})


@pytest.fixture(scope="module")
def observatory():
    return Observatory()


@pytest.fixture(scope="module")
def nonlinear():
    return Observatory(detector=NONLINEAR)


def without_gain(frame):
    """The variance that is not common to all frames and pixels."""
    parts = frame.budget.variances()
    return frame.variance - parts["gain"] - parts["overscan"]


# ---- truth


def test_masters_scatter_about_the_truth_as_predicted(observatory):
    camera = observatory.camera
    assert_scatters_as_predicted(observatory.bias.data - camera.bias_structure * 1.5, without_gain(observatory.bias))
    cold = camera.dark_rate < 1
    dark = (observatory.dark.data - 120 * camera.dark_rate)[cold]
    assert_scatters_as_predicted(dark, without_gain(observatory.dark)[cold], tolerance=0.012)


def test_a_science_frame_scatters_about_the_truth_as_predicted(observatory):
    raw, truth = observatory.science()
    result = calibrate(raw, DETECTOR, **SECTIONS, **observatory.masters)
    cold = observatory.camera.dark_rate < 1
    light = truth.light / truth.sensitivity
    assert result.unit == u.electron
    assert_scatters_as_predicted((result.data - light)[cold], without_gain(result)[cold], tolerance=0.012)
    assert np.mean((result.data - light)[cold]) == pytest.approx(0, abs=4 * 30 / SHAPE[0] + 0.2)


def test_a_nonlinear_detector_is_corrected_in_frames_and_masters(nonlinear):
    # Flats of 22000 adu and a sky of 40000 adu, which the response compresses by 4% and 7%.
    raw, truth = nonlinear.science(sky=1000.0)
    result = calibrate(raw, NONLINEAR, **SECTIONS, **nonlinear.masters)
    cold = nonlinear.camera.dark_rate < 1
    light = truth.light / truth.sensitivity
    # What is common to the frame is one draw: its part of the error is that of the mean, not of the scatter.
    errors = (result.data - light)[cold]
    common = result.budget.variances()
    own = (result.variance - common["linearity"] - common["overscan"])[cold]
    assert_scatters_as_predicted(errors - errors.mean(dtype=float), own, tolerance=0.012)
    # The camera has just the coefficient of its description. Without the correction this were -4000.
    assert errors.mean(dtype=float) == pytest.approx(0, abs=4 * 330 / SHAPE[0] + 2)


def test_what_the_error_is_made_of(observatory):
    raw, truth = observatory.science()
    parts = calibrate(raw, DETECTOR, **SECTIONS, **observatory.masters).budget.variances()
    inverse = np.mean(1 / truth.sensitivity**2)
    electrons = truth.light + truth.dark
    assert np.median(parts["read noise"]) == pytest.approx((64 + 1.5**2 / 12) * inverse, rel=0.01)
    assert np.median(parts["shot noise"]) == pytest.approx(np.median(electrons) * inverse, rel=0.02)
    # Half of the bias is taken back with the scaled dark (60 s of 120 s), and a little with the flats of 25000
    # electrons and 5 s, from which it was subtracted too.
    coefficient = 1 - 60 / 120 - 600 / 25000 * (1 - 5 / 120)
    assert np.median(parts["bias"]) == pytest.approx(coefficient**2 * (64 + 1.5**2 / 12) / 5 * inverse, rel=0.01)
    # A quarter of that of a mean of 3 darks with a signal of 12 electrons.
    assert np.median(parts["dark"]) == pytest.approx((64 + 1.5**2 / 12 + 12) / 3 / 4 * inverse, rel=0.1)
    # 3 flats of 75000 electrons together: 1 / sqrt(75000) of 600 electrons.
    assert np.median(parts["flat"]) == pytest.approx(600**2 / 75000, rel=0.1)


# ---- one at a time and all at once


def one_at_a_time(raw, bad, masters, model=None):
    frame = flag_saturated(raw, DETECTOR)
    frame = subtract_overscan(frame, fits_section=OVERSCAN, overscan_axis=(0, 1) if model is None else 1, model=model)
    frame = flag_bad_pixels(trim_image(frame, TRIM), bad)
    frame = subtract_bias(gain_correct(frame, DETECTOR), masters["bias"])
    frame = create_deviation(frame, DETECTOR)
    frame = subtract_dark(frame, masters["dark"], exposure_time="EXPTIME", scale=True)
    return cosmicray_lacosmic(flat_correct(frame, masters["flat"]))


def assert_same_frame(one, other):
    np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-5)
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.flags, other.flags)
    assert one.unit == other.unit
    assert dict(one.meta) == dict(other.meta)


@pytest.mark.parametrize("model", [None, Polynomial1D(1)])
def test_one_step_at_a_time_gives_the_same_numbers(observatory, model):
    raw, _ = observatory.science(cosmic_rays=20)
    raw.data[5, 6] = 65535
    bad = np.zeros(SHAPE, dtype=bool)
    bad[:, 100] = True
    all_at_once = calibrate(
        raw,
        DETECTOR,
        **SECTIONS,
        overscan_axis=(0, 1) if model is None else 1,
        overscan_model=model,
        bad_pixels=bad,
        cosmic_rays=True,
        **observatory.masters,
    )
    stepwise = one_at_a_time(raw, bad, observatory.masters, model)
    assert_same_frame(all_at_once, stepwise)
    # Not only as much noise, but the same.
    untouched = (all_at_once.flags & DataQuality.COSMIC_RAY) == 0
    difference = (all_at_once - stepwise).variance
    assert np.all(difference[untouched] <= 1e-5 * all_at_once.variance[untouched])


def test_one_step_at_a_time_gives_the_same_numbers_for_a_nonlinear_detector(nonlinear):
    raw, _ = nonlinear.science(sky=1000.0)
    raw.data[5, 6] = 65535
    all_at_once = calibrate(raw, NONLINEAR, **SECTIONS, **nonlinear.masters)
    frame = subtract_overscan(flag_saturated(raw, NONLINEAR), fits_section=OVERSCAN, overscan_axis=(0, 1))
    frame = subtract_bias(gain_correct(trim_image(frame, TRIM), NONLINEAR), nonlinear.bias)
    frame = correct_linearity(create_deviation(frame, NONLINEAR), NONLINEAR)
    frame = subtract_dark(frame, nonlinear.dark, exposure_time="EXPTIME", scale=True)
    frame = flat_correct(frame, nonlinear.flat)
    assert_same_frame(all_at_once, frame)
    assert np.all((all_at_once - frame).variance <= 1e-5 * all_at_once.variance)
    assert all_at_once.flags[5, 6] == DataQuality.SATURATED | DataQuality.NONLINEAR
    assert "linearity" in all_at_once.budget.names


def test_a_bias_frame_has_no_signal_to_be_corrected():
    # Without an overscan the pedestal stays in the bias frames, and is subtracted with their mean.
    raw = CCDFrame(np.full((4, 5), 20000, dtype=np.uint16), unit="adu")
    np.testing.assert_array_equal(calibrate(raw, NONLINEAR, shot_noise=0).data, 30000.0)


def test_a_pedestal_is_no_signal_to_be_corrected(raw):
    with pytest.raises(FrameError, match=r"d1048\.fits.*overscan.*bias.*pedestal=0"):
        calibrate(raw, NONLINEAR, shot_noise=np.full((20, 26), 70.0))


def test_an_overscan_can_be_given_as_a_cut_of_the_frame(observatory):
    raw, _ = observatory.science()
    cut = raw[:, SHAPE[1] : SHAPE[1] + 32]
    expected = calibrate(raw, DETECTOR, **SECTIONS)
    assert_same_frame(calibrate(raw, DETECTOR, **(SECTIONS | {"overscan": cut})), expected)


# ---- ccd_process


def test_ccd_process_is_calibrate_with_the_overscan_row_by_row(observatory):
    raw, _ = observatory.science()
    plain = Detector(gain=DETECTOR.gain, read_noise=DETECTOR.read_noise)
    expected = calibrate(
        raw, plain, overscan=OVERSCAN, overscan_axis=1, overscan_median=True, trim=TRIM, **observatory.masters
    )
    result = ccd_process(
        raw,
        oscan=OVERSCAN,
        trim=TRIM,
        error=True,
        master_bias=observatory.bias,
        dark_frame=observatory.dark,
        master_flat=observatory.flat,
        gain=DETECTOR.gain,
        readnoise=DETECTOR.read_noise,
        exposure_key="EXPTIME",
        dark_scale=True,
    )
    assert_same_frame(result, expected)


def test_ccd_process_takes_the_steps_of_calibrate_in_their_order(observatory, monkeypatch):
    sequence, taken = sys.modules["astro_calib.steps.sequence"], []
    monkeypatch.setattr(sequence, "apply_steps", lambda _, steps: taken.append([step.name for step in steps]))
    raw = CCDFrame(np.ones(SHAPE), unit="adu")
    bias, dark, flat = observatory.bias, observatory.dark, observatory.flat
    calibrate(raw, DETECTOR, overscan=OVERSCAN, trim=TRIM, bad_pixels=[0], bias=bias, dark=dark, flat=flat)
    ccd_process(
        raw,
        OVERSCAN,
        TRIM,
        error=True,
        gain=DETECTOR.gain,
        readnoise=DETECTOR.read_noise,
        bad_pixel_mask=[0],
        master_bias=bias,
        dark_frame=dark,
        master_flat=flat,
    )
    assert taken[0] == taken[1]
    assert taken[0][-2:] == ["dark", "flat"]


def test_ccd_process_has_the_arguments_of_ccdproc_in_their_order():
    theirs = inspect.signature(ccdproc.ccd_process).parameters
    # ccdproc's decorator adds a keyword argument for its log.
    assert list(inspect.signature(ccd_process).parameters) == [name for name in theirs if name != "add_keyword"]


@pytest.mark.parametrize("gain_corrected", [True, False])
@pytest.mark.parametrize(
    "times",
    [
        {},
        {"exposure_key": "EXPTIME", "exposure_unit": u.s, "dark_scale": False},
        {"exposure_key": "EXPTIME", "exposure_unit": u.s, "dark_scale": True},
        {"exposure_key": ccdproc.Keyword("EXPTIME", unit=u.s), "dark_scale": True},
        {"dark_exposure": 2 * u.min, "data_exposure": 30 * u.s, "dark_scale": True},
    ],
)
def test_ccd_process_gives_the_values_that_ccdproc_gives(observatory, gain_corrected, times):
    raw, _ = observatory.science()
    masters = {"master_bias": observatory.bias, "dark_frame": observatory.dark, "master_flat": observatory.flat}
    if not gain_corrected:
        per_electron = 1 / DETECTOR.gain
        masters = {kind: gain_correct(frame, per_electron) for kind, frame in masters.items()}
    # The means of the overscan, because our median is interpolated within the digital step.
    arguments = {"oscan": OVERSCAN, "oscan_median": False, "trim": TRIM, "gain": DETECTOR.gain, **times}
    arguments |= {"readnoise": DETECTOR.read_noise, "gain_corrected": gain_corrected}
    result = ccd_process(raw, error=True, **masters, **arguments)
    if not times:
        # ccdproc wants to know the times of a dark that it does not scale.
        arguments["exposure_key"], arguments["exposure_unit"] = "EXPTIME", u.s
    plain = {kind: CCDData(frame.data, unit=frame.unit, meta=frame.meta) for kind, frame in masters.items()}
    theirs = ccdproc.ccd_process(CCDData(raw.data.astype(float), unit="adu", meta=raw.meta), **plain, **arguments)
    assert result.unit == theirs.unit == u.electron
    np.testing.assert_allclose(result.data, theirs.data, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("gain_corrected", [True, False])
@pytest.mark.parametrize("kind", ["bias", "dark"])
def test_ccd_process_says_which_master_is_in_another_unit(raw, kind, gain_corrected):
    unit = "adu" if gain_corrected else "electron"
    frame = CCDFrame(np.full((20, 26), 3.0), unit=unit, meta={"EXPTIME": 60.0})
    arguments = {"error": True, "gain": 2 * E_PER_ADU, "readnoise": 5 * u.electron, "oscan": "[21:26,1:20]"}
    arguments |= {"master_bias" if kind == "bias" else "dark_frame": frame}
    with pytest.raises(u.UnitConversionError, match=f"master {kind} is in {unit}, but gain_corrected={gain_corrected}"):
        ccd_process(raw, **arguments, gain_corrected=gain_corrected)


def test_ccd_process_takes_the_overscan_as_a_cut(raw):
    arguments = {"error": True, "gain": 2 * E_PER_ADU, "readnoise": 5 * u.electron}
    one, other = (ccd_process(raw, oscan=oscan, **arguments) for oscan in ("[21:26,1:20]", raw[:, 20:26]))
    assert_same_frame(one, other)


def test_ccd_process_needs_the_times_of_a_dark_that_it_scales(raw):
    arguments = {"error": True, "gain": 2 * E_PER_ADU, "readnoise": 5 * u.electron, "oscan": "[21:26,1:20]"}
    arguments |= {"dark_frame": master(meta={"EXPTIME": 60.0}), "dark_scale": True}
    with pytest.raises(TypeError, match="exposure_time"):
        ccd_process(raw, **arguments)
    with pytest.raises(TypeError, match="both dark_exposure and data_exposure"):
        ccd_process(raw, **arguments, dark_exposure=30 * u.s)


# ---- identity


def test_the_same_raw_file_is_the_same_noise(observatory):
    raw, _ = observatory.science()
    again = CCDFrame(raw.data.copy(), unit="adu", meta=raw.meta.copy())
    other, _ = observatory.science()
    first, second, third = (
        calibrate(frame, DETECTOR, **SECTIONS, **observatory.masters) for frame in (raw, again, other)
    )
    assert np.all((first - second).variance < 1e-4 * first.variance)
    own = first.budget.variances()
    floor = own["read noise"] + own["shot noise"]
    assert np.all((first - third).variance > 1.5 * floor)


def test_what_two_frames_share_cancels_in_their_difference(observatory):
    (raw_a, _), (raw_b, _) = observatory.science(), observatory.science()
    a, b = (calibrate(raw, DETECTOR, **SECTIONS, **observatory.masters) for raw in (raw_a, raw_b))
    difference = a - b
    cold = observatory.camera.dark_rate < 1
    errors = (difference.data - np.mean(difference.data))[cold]
    assert_scatters_as_predicted(errors, difference.variance[cold], tolerance=0.012)
    naive = a.variance + b.variance
    assert np.mean(difference.variance[cold]) < 0.97 * np.mean(naive[cold])


# ---- flags, types, header


def test_saturated_and_bad_pixels_are_flagged_and_masked(observatory):
    raw, _ = observatory.science()
    raw.data[5, 6] = 65535
    raw.data[8, 9] = 60000
    bad = np.zeros(SHAPE, dtype=bool)
    bad[:, 100] = True
    result = calibrate(raw, DETECTOR, **SECTIONS, bad_pixels=bad, **observatory.masters)
    assert result.flags.dtype == np.uint16
    assert result.flags[5, 6] & DataQuality.SATURATED
    assert result.flags[8, 9] & DataQuality.SATURATED
    assert np.all(result.flags[:, 100] & DataQuality.BAD)
    assert result.mask[5, 6]
    assert result.mask[8, 9]
    assert result.mask[:, 100].all()
    assert result.mask.sum() == SHAPE[0] + 2
    assert np.isfinite(result.variance).all()


def test_the_result_is_float32_with_the_header_of_the_raw_frame(observatory):
    raw, _ = observatory.science()
    result = calibrate(raw, DETECTOR, **SECTIONS, **observatory.masters)
    assert result.data.dtype == result.variance.dtype == np.float32
    assert result.meta["EXPTIME"] == 60
    assert result.meta["IMAGETYP"] == "LIGHT"
    assert result.shape == SHAPE


def test_nothing_that_is_given_is_changed(observatory):
    raw, _ = observatory.science()
    frames = [raw, *observatory.masters.values()]
    before = [(f.data.copy(), None if f.variance is None else f.variance.copy(), dict(f.meta), f.unit) for f in frames]
    masks = [None if f.mask is None else f.mask.copy() for f in frames]
    calibrate(raw, DETECTOR, **SECTIONS, cosmic_rays=True, **observatory.masters)
    for frame, (data, variance, meta, unit), mask in zip(frames, before, masks, strict=True):
        np.testing.assert_array_equal(frame.data, data)
        assert frame.data.dtype == data.dtype
        assert frame.unit == unit
        assert dict(frame.meta) == meta
        if variance is not None:
            np.testing.assert_array_equal(frame.variance, variance)
        assert (frame.mask is None) == (mask is None)


def test_the_pedestal_is_subtracted_and_is_no_signal():
    raw = CCDFrame(np.full((2, 3), 1050, dtype=np.uint16), unit="adu")
    detector = Detector(gain=2 * E_PER_ADU, read_noise=5 * u.electron)
    for pedestal in (1000, 1000 * u.adu):
        result = calibrate(raw, detector, pedestal=pedestal)
        np.testing.assert_allclose(result.data, 100.0)
        np.testing.assert_allclose(result.variance, 25 + 4 / 12 + 100, rtol=1e-6)


def test_saturation_is_judged_before_the_pedestal_is_subtracted():
    raw = CCDFrame(np.array([[60000, 59999]], dtype=np.uint16), unit="adu")
    np.testing.assert_array_equal(calibrate(raw, DETECTOR, pedestal=1000).mask, [[True, False]])


def test_a_model_of_the_shot_noise_is_in_electrons():
    raw = CCDFrame(np.full((2, 3), 1050.0), unit="adu")
    detector = Detector(gain=2 * E_PER_ADU, read_noise=5 * u.electron)
    result = calibrate(raw, detector, pedestal=1000, shot_noise=np.full((2, 3), 70.0))
    np.testing.assert_allclose(result.variance, 25 + 70.0)
    np.testing.assert_allclose(calibrate(raw, detector, shot_noise=0).variance, 25.0)


def test_the_electrons_of_the_dark_bring_shot_noise_although_they_are_subtracted():
    detector = Detector(gain=1 * E_PER_ADU, read_noise=5 * u.electron)
    raw = CCDFrame(np.full((2, 3), 500.0), unit="adu", meta={"EXPTIME": 60.0})
    dark = CCDFrame(np.full((2, 3), 400.0), unit="electron", meta={"EXPTIME": 60.0})
    result = calibrate(raw, detector, pedestal=0, dark=dark)
    np.testing.assert_allclose(result.data, 100.0)
    np.testing.assert_allclose(result.variance, 25 + 500.0)


def test_two_amplifiers_keep_their_gain_and_read_noise(observatory):
    halves = [
        Amplifier(gain=1 * E_PER_ADU, read_noise=3 * u.electron, data_section=f"[1:110,1:{SHAPE[0]}]"),
        Amplifier(gain=3 * E_PER_ADU, read_noise=6 * u.electron, data_section=f"[111:220,1:{SHAPE[0]}]"),
    ]
    raw, _ = observatory.raw("bias", 0)
    result = calibrate(raw, Detector(amplifiers=halves), **SECTIONS, shot_noise=0)
    noise = result.budget.variances()["read noise"]
    np.testing.assert_allclose(noise[:, :110], 9 + 1 / 12, rtol=1e-6)
    np.testing.assert_allclose(noise[:, 110:], 36 + 9 / 12, rtol=1e-6)


# ---- errors


@pytest.fixture
def raw():
    pixels = np.random.default_rng(1).poisson(1000, (20, 26)).astype(np.uint16)
    return CCDFrame(pixels, unit="adu", meta={"EXPTIME": 60.0}, name="d1048.fits")


def master(value=10.0, shape=(20, 26), **kwargs):
    return CCDFrame(np.full(shape, value), unit="electron", name="master.fits", **kwargs)


def test_without_pedestal_the_signal_is_not_known(raw):
    with pytest.raises(FrameError, match=r"d1048\.fits.*overscan.*bias.*pedestal=0"):
        calibrate(raw, DETECTOR)


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_a_master_of_another_shape_is_named(raw, kind):
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits.*\(20, 26\).*master\.fits.*\(20, 20\)"):
        calibrate(raw, DETECTOR, pedestal=1000, **{kind: master(shape=(20, 20), meta={"EXPTIME": 60.0})})


@pytest.mark.parametrize("kind", ["bias", "dark"])
def test_a_master_in_adu_is_the_same_as_one_in_electrons(raw, kind):
    adu = CCDFrame(np.full((20, 26), 3.0), unit="adu", meta={"EXPTIME": 60.0}, uncertainty=np.full((20, 26), 2.0))
    gain = DETECTOR.gain.value
    electrons = CCDFrame(
        np.full((20, 26), 3.0 * gain), unit="electron", meta=adu.meta, uncertainty=np.full((20, 26), 2.0 * gain)
    )
    one, other = (calibrate(raw, DETECTOR, pedestal=1000, **{kind: master}) for master in (adu, electrons))
    np.testing.assert_allclose(one.data, other.data, rtol=1e-6)
    parts, others = one.budget.variances(), other.budget.variances()
    # Of an adu master it is known that its gain is that of the frame, whose error it shares.
    for source in parts.keys() - {"gain"}:
        np.testing.assert_allclose(parts[source], others[source], rtol=1e-5)


def test_a_dark_without_exposure_time_is_named(raw):
    with pytest.raises(FrameError, match=r"master\.fits.*EXPTIME"):
        calibrate(raw, DETECTOR, pedestal=1000, dark=master())
    del raw.meta["EXPTIME"]
    with pytest.raises(FrameError, match=r"d1048\.fits.*EXPTIME"):
        calibrate(raw, DETECTOR, pedestal=1000, dark=master(meta={"EXPTIME": 60.0}))


@pytest.mark.parametrize("what", ["overscan", "trim"])
def test_a_section_outside_the_frame_is_named(raw, what):
    with pytest.raises(FrameError, match=r"d1048\.fits.*\[21:27,1:20\]"):
        calibrate(raw, DETECTOR, pedestal=0, **{what: "[21:27,1:20]"})


def test_a_flat_of_zeros_is_an_error(raw):
    with pytest.raises(FrameError, match=r"master\.fits.*mean"):
        calibrate(raw, DETECTOR, pedestal=1000, flat=master(0.0))


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_a_master_of_nans_is_an_error(raw, kind):
    with pytest.raises(FrameError, match=r"master\.fits.*finite"):
        calibrate(raw, DETECTOR, pedestal=1000, **{kind: master(np.nan, meta={"EXPTIME": 60.0})})


def test_a_frame_of_nans_is_an_error():
    frame = CCDFrame(np.full((4, 5), np.nan), unit="adu", name="d1048.fits")
    with pytest.raises(FrameError, match=r"d1048\.fits"):
        calibrate(frame, DETECTOR, pedestal=0)


def test_a_map_of_bad_pixels_is_that_of_the_trimmed_frame(raw):
    with pytest.raises(ShapeMismatchError, match=r"\(20, 20\).*\(20, 26\).*trimmed"):
        calibrate(raw, DETECTOR, pedestal=0, trim="[1:20,1:20]", bad_pixels=np.zeros((20, 26), dtype=bool))


def test_a_frame_in_electrons_is_not_raw():
    with pytest.raises(u.UnitConversionError):
        calibrate(CCDFrame(np.ones((4, 5)), unit="electron"), DETECTOR, pedestal=0)


@pytest.mark.parametrize("missing", ["error", "gain", "readnoise"])
def test_ccd_process_says_what_it_needs(raw, missing):
    arguments = {"error": True, "gain": 2 * E_PER_ADU, "readnoise": 5 * u.electron, "oscan": "[21:26,1:20]"}
    del arguments[missing]
    with pytest.raises(ValueError, match=missing):
        ccd_process(raw, **arguments)


def test_a_master_in_adu_counts_as_it_is_now_not_as_it_was_for_another_frame():
    shape = (4, 5)
    sigmas = StdDevUncertainty(np.full(shape, 1.0))
    dark = CCDFrame(np.full(shape, 10.0), unit="adu", uncertainty=sigmas, meta={"EXPTIME": 10.0})
    raw = CCDFrame(np.full(shape, 100, dtype=np.uint16), unit="adu", meta={"EXPTIME": 10.0})

    def calibrated(gain):
        camera = Detector(gain=gain * u.electron / u.adu, read_noise=1 * u.electron)
        return calibrate(raw, camera, dark=dark, pedestal=0)

    np.testing.assert_allclose(calibrated(1).data, 100 - 10)
    np.testing.assert_allclose(calibrated(2).data, 200 - 20)
    np.testing.assert_allclose(calibrated(2).variance, 200 + 1 + 4 * 1 + 4 / 12, rtol=1e-6)
    dark.meta["EXPTIME"] = 20.0
    np.testing.assert_allclose(calibrated(2).data, 200 - 10)
    dark.mask = np.eye(*shape, dtype=bool)
    np.testing.assert_array_equal(calibrated(2).mask, dark.mask)
    dark.data[...] = 20.0
    np.testing.assert_allclose(calibrated(2).data, 200 - 20)


COMPLEX = CCDData(np.ones((3, 4), complex), unit="adu", meta={"EXPTIME": 5.0})


@pytest.mark.parametrize(
    "step",
    [
        lambda ccd, camera: calibrate(ccd, camera, pedestal=10),
        lambda ccd, camera: ccd_process(ccd, error=True, gain=camera.gain, readnoise=camera.read_noise),
        create_deviation,
        gain_correct,
        flag_saturated,
        lambda ccd, _: cosmicray_lacosmic(ccd),
        lambda ccd, _: flag_bad_pixels(ccd, np.zeros(ccd.shape, bool)),
        lambda ccd, _: flat_correct(ccd, ccd),
        lambda ccd, _: subtract_bias(ccd, ccd),
        lambda ccd, _: subtract_dark(ccd, ccd, exposure_time="EXPTIME", exposure_unit=u.s),
        lambda ccd, _: subtract_overscan(ccd, fits_section="[1:2, 1:3]"),
        lambda ccd, _: trim_image(ccd, "[1:2, 1:3]"),
    ],
)
def test_no_step_takes_complex_pixels(step):
    camera = Detector(gain=2 * E_PER_ADU, read_noise=5 * u.electron)
    with pytest.raises(FrameError, match="the frame: its pixels are of type complex128; expected real numbers"):
        step(COMPLEX, camera)


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_a_master_of_complex_pixels_is_named(kind):
    camera = Detector(gain=2 * E_PER_ADU, read_noise=5 * u.electron)
    raw = CCDFrame(np.arange(12.0).reshape(3, 4), unit="adu", meta={"EXPTIME": 5.0})
    with pytest.raises(FrameError, match=f"the master {kind}: .*complex128"):
        calibrate(raw, camera, pedestal=0, **{kind: COMPLEX})
