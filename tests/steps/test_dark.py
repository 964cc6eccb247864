from __future__ import annotations

from contextlib import nullcontext

import astropy.units as u
import ccdproc
import numpy as np
import pytest

from astro_calib import CCDFrame, Detector, calibrate, combine, subtract_bias, subtract_dark
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted, make_frame

# Noise-model.md, section 5, item 1: sigmas of 5, 2 and 3 of frame, dark and bias.
PUBLISHED = [(1.0, 5.39), (2.0, 7.07), (1 / 3, 5.43)]


@pytest.mark.parametrize(("ratio", "published"), PUBLISHED)
def test_frame_and_dark_share_the_noise_of_the_bias(rng, ratio, published):
    raw, dark, bias = make_frame(rng, 150.0, 5.0), make_frame(rng, 60.0, 2.0), make_frame(rng, 50.0, 3.0)
    result = subtract_dark(
        subtract_bias(raw, bias),
        subtract_bias(dark, bias),
        data_exposure=ratio * 60 * u.s,
        dark_exposure=1 * u.min,
        scale=True,
    )
    np.testing.assert_allclose(np.sqrt(result.variance), published, atol=0.005)
    np.testing.assert_allclose(result.data, raw.data - bias.data - ratio * (dark.data - bias.data))
    assert_scatters_as_predicted(result.data - (100.0 - 10 * ratio), result.variance)


def test_the_noise_of_the_dark_goes_by_that_name(rng):
    result = subtract_dark(make_frame(rng, 150.0, 5.0, (2, 2)), make_frame(rng, 50.0, 3.0, (2, 2)))
    np.testing.assert_allclose(result.budget.variances()["dark"], 9.0)


def pair(data_time=30.0, dark_time=60.0):
    frame = CCDFrame([[100.0]], unit="electron", meta={"EXPTIME": data_time}, name="d1048.fits")
    dark = CCDFrame([[10.0]], unit="electron", meta={"EXPTIME": dark_time}, name="dark.fits")
    return frame, dark


@pytest.mark.parametrize("keyword", ["EXPTIME", ccdproc.Keyword("EXPTIME", unit=u.s)])
def test_exposure_times_come_from_the_headers(keyword):
    result = subtract_dark(*pair(), exposure_time=keyword, scale=True)
    np.testing.assert_allclose(result.data, 95.0)
    assert result.meta["EXPTIME"] == 30.0


def test_without_scale_the_dark_is_taken_as_it_is():
    np.testing.assert_allclose(subtract_dark(*pair(), exposure_time="EXPTIME").data, 90.0)


@pytest.mark.parametrize(
    ("data_time", "dark_time", "ratio"),
    [
        ("30 s", 60.0, 0.5),
        ("30,5", "61", 0.5),
        ("1/4", "0.5 s", 0.5),
        ("500 ms", 1, 0.5),
        ("1 min", "60.", 1),
        (3, "6D0", 0.5),
    ],
)
def test_exposure_times_are_read_as_a_night_reads_them(data_time, dark_time, ratio):
    frames = pair(data_time=data_time, dark_time=dark_time)
    result = subtract_dark(*frames, exposure_time="EXPTIME", scale=True)
    np.testing.assert_allclose(result.data, 100.0 - ratio * 10.0, rtol=1e-14)
    # A unit in the header counts, not the one that is given for numbers.
    same = subtract_dark(*pair("30 s", "1 min"), exposure_time="EXPTIME", exposure_unit=u.hour, scale=True)
    np.testing.assert_allclose(same.data, 95.0)


def test_a_ratio_has_no_unit_of_time():
    result = subtract_dark(*pair(), exposure_time="EXPTIME", exposure_unit=u.hour, scale=True)
    np.testing.assert_allclose(result.data, 95.0)


def test_a_dark_of_no_effect_for_no_exposure(rng):
    frame, dark = make_frame(rng, 100.0, 5.0, (2, 2)), make_frame(rng, 10.0, 2.0, (2, 2))
    result = subtract_dark(frame, dark, data_exposure=0 * u.s, dark_exposure=60 * u.s, scale=True)
    np.testing.assert_allclose(result.data, frame.data)
    np.testing.assert_allclose(result.variance, 25.0)


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_exposure_time_names_the_frame(which):
    frames = pair()
    del frames[which].meta["EXPTIME"]
    with pytest.raises(FrameError, match=rf"{frames[which].name}.*EXPTIME"):
        subtract_dark(*frames, exposure_time="EXPTIME", scale=True)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "long", ""])
def test_an_exposure_time_must_be_a_number_that_is_not_negative(value):
    with pytest.raises(FrameError, match=r"d1048\.fits.*EXPTIME"):
        subtract_dark(*pair(data_time=value), exposure_time="EXPTIME", scale=True)


def test_a_dark_without_exposure_cannot_be_scaled():
    with pytest.raises(FrameError, match=r"dark\.fits.*0.0 s"):
        subtract_dark(*pair(dark_time=0.0), exposure_time="EXPTIME", scale=True)


@pytest.mark.parametrize(("data", "dark"), [(-5, 10), (5, -10), (5, 0), (np.nan, 10), (5, np.nan), (np.inf, 10)])
def test_exposures_given_as_quantities_are_checked_too(data, dark):
    with pytest.raises(FrameError, match="exposure"):
        subtract_dark(*pair(), data_exposure=data * u.s, dark_exposure=dark * u.s, scale=True)


@pytest.mark.parametrize("given", ["data_exposure", "dark_exposure"])
def test_one_exposure_alone_is_an_error(given):
    with pytest.raises(TypeError, match="both"):
        subtract_dark(*pair(), **{given: 30 * u.s})


def test_scaling_needs_exposures():
    with pytest.raises(TypeError, match="exposure_time"):
        subtract_dark(*pair(), scale=True)


def test_an_exposure_is_a_time():
    with pytest.raises(u.UnitConversionError):
        subtract_dark(*pair(), data_exposure=30 * u.m, dark_exposure=60 * u.s, scale=True)


def test_shapes_that_differ_name_both_frames():
    frame, _ = pair()
    dark = CCDFrame(np.ones((2, 4)), unit="electron", name="dark.fits")
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits.*\(1, 1\).*dark\.fits.*\(2, 4\)"):
        subtract_dark(frame, dark)


def test_a_dark_in_adu_is_not_subtracted_from_electrons():
    frame, _ = pair()
    with pytest.raises(u.UnitConversionError):
        subtract_dark(frame, CCDFrame([[10.0]], unit="adu"))


@pytest.mark.parametrize("dark_type", [np.float32, np.float64])
def test_float32_stays_with_a_scaled_dark(rng, dark_type):
    frame = make_frame(rng, 100.0, 5.0, (2, 2), dtype=np.float32)
    dark = make_frame(rng, 10.0, 2.0, (2, 2), dtype=dark_type)
    result = subtract_dark(frame, dark, data_exposure=30 * u.s, dark_exposure=60 * u.s, scale=True)
    assert result.data.dtype == np.float32
    assert result.variance.dtype == np.float32
    np.testing.assert_allclose(result.variance, 26.0, rtol=1e-6)


def test_masks_and_flags_are_united():
    frame = CCDFrame([[1.0, 2.0]], unit="adu", mask=[[True, False]], flags=np.array([[4, 2]]))
    dark = CCDFrame([[1.0, 1.0]], unit="adu", mask=[[False, True]], flags=np.array([[0, 1]]))
    result = subtract_dark(frame, dark, data_exposure=30 * u.s, dark_exposure=60 * u.s, scale=True)
    np.testing.assert_array_equal(result.mask, [[True, True]])
    np.testing.assert_array_equal(result.flags, [[4, 3]])


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("seconds", "less_bias", "said"), [(30, False, True), (60, False, False), (30, True, False)])
def test_a_bias_that_is_scaled_with_the_dark_is_said(rng, at_once, seconds, less_bias, said):
    camera = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)

    def raw(level, time):
        return CCDFrame(rng.normal(level, 5, (8, 9)), unit="adu", meta={"EXPTIME": time})

    bias = combine([calibrate(raw(1000, 0), camera, pedestal=0, shot_noise=0) for _ in range(3)])
    options = {"bias": bias} if less_bias else {"pedestal": 1000}
    dark = combine([calibrate(raw(1060, 60.0), camera, **options) for _ in range(3)])
    dark.meta["EXPTIME"] = 60.0
    science = raw(1100, float(seconds))
    with pytest.warns(NoiseWarning, match="no bias was subtracted") if said else nullcontext():
        if at_once:
            calibrate(science, camera, bias=bias, dark=dark)
        else:
            frame = calibrate(science, camera, bias=bias)
            subtract_dark(frame, dark, exposure_time="EXPTIME", scale=True)
