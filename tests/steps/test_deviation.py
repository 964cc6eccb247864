from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import (
    Amplifier,
    CCDFrame,
    Detector,
    create_deviation,
    gain_correct,
    simulate,
    subtract_bias,
    subtract_overscan,
    trim_image,
)
from astro_calib.errors import FrameError, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted

E_PER_ADU = u.electron / u.adu
CAMERA = Detector(gain=2 * E_PER_ADU, read_noise=6 * u.electron)
TWO = Detector(
    amplifiers=[
        Amplifier(gain=1 * E_PER_ADU, read_noise=3 * u.electron, data_section="[1:20,1:30]"),
        Amplifier(gain=3 * E_PER_ADU, read_noise=6 * u.electron, data_section="[21:40,1:30]"),
    ]
)


def electrons(*values, **kwargs):
    return CCDFrame(np.array([values], dtype=float), unit="electron", **kwargs)


# ---- the formula of noise-model.md, section 3: V = max(R^2 + q^2 / 12 + s, R^2 / 4)


def test_read_noise_and_shot_noise_of_electrons():
    np.testing.assert_allclose(create_deviation(electrons(0.0, 100.0), CAMERA).variance, [[36.0, 136.0]])


def test_in_digital_units_both_are_divided_by_the_gain():
    frame = CCDFrame([[0.0, 50.0]], unit="adu")
    np.testing.assert_allclose(create_deviation(frame, CAMERA).variance, [[9.0, 9.0 + 100.0 / 4]])


def test_a_negative_signal_lowers_the_variance_down_to_a_quarter_of_the_read_noise_squared():
    result = create_deviation(electrons(-10.0, -27.0, -28.0, -1000.0), CAMERA)
    np.testing.assert_allclose(result.variance, [[26.0, 9.0, 9.0, 9.0]])


@pytest.mark.parametrize("read_noise", [3.0, 5.0, 9.4])
def test_the_variance_of_a_dark_sky_is_right_on_average(rng, read_noise):
    camera = Detector(gain=1 * E_PER_ADU, read_noise=read_noise * u.electron)
    dark = CCDFrame(rng.normal(0, read_noise, (1000, 1000)), unit="electron")
    # Published: clipped at zero it would be 13%, 8%, 4% too large; with the floor it is right to about 0.1%.
    assert create_deviation(dark, camera).variance.mean() == pytest.approx(read_noise**2, rel=0.003)


@pytest.mark.parametrize("unit", ["adu", "electron"])
def test_whole_numbers_have_digitisation_noise(unit):
    raw = CCDFrame(np.array([[1000, 1000]], dtype=np.uint16), unit="adu")
    frame = raw - 1000 * u.adu
    if unit == "electron":
        frame = gain_correct(frame, CAMERA)
    step = 1.0 if unit == "adu" else 2.0
    noise = 3.0 if unit == "adu" else 6.0
    np.testing.assert_allclose(create_deviation(frame, CAMERA).variance, noise**2 + step**2 / 12, rtol=1e-6)


def test_digitisation_is_remembered_through_the_steps():
    raw = CCDFrame(np.full((6, 10), 1000, dtype=np.uint16), unit="adu")
    frame = gain_correct(trim_image(subtract_overscan(raw, fits_section="[7:10,1:6]"), "[1:6,1:6]"), CAMERA)
    frame = subtract_bias(frame, CCDFrame(np.zeros((6, 6)), unit="electron"))
    np.testing.assert_allclose(create_deviation(frame, CAMERA).variance, 36.0 + 4.0 / 12, rtol=1e-6)


def test_numbers_that_were_never_digitised_have_none():
    raw = CCDFrame(np.full((6, 10), 1000.0, dtype=np.float32), unit="adu")
    frame = gain_correct(subtract_overscan(raw, fits_section="[7:10,1:6]"), CAMERA)
    np.testing.assert_allclose(create_deviation(frame, CAMERA).variance, 36.0, rtol=1e-6)


@pytest.mark.parametrize("in_electrons", [False, True])
@pytest.mark.parametrize(("read_noise", "gain", "sky"), [(3.0, 3.0, 20.0), (8.0, 1.5, 300.0)])
def test_simulated_frames_scatter_as_predicted(rng, read_noise, gain, sky, in_electrons):
    camera = Detector(gain=gain * E_PER_ADU, read_noise=read_noise * u.electron)
    raw, truth = simulate.Camera(shape=(300, 300), detector=camera).expose("science", 1, filter="V", sky=sky, rng=rng)
    frame = raw - 1000 * u.adu
    if in_electrons:
        frame = gain_correct(frame, camera)
    result = create_deviation(frame, camera)
    expected = truth.light if in_electrons else truth.light / gain
    assert_scatters_as_predicted(result.data - expected, result.variance)


# ---- what is signal


@pytest.mark.parametrize("pedestal", [1000, 1000 * u.adu, np.full((1, 2), 1000.0)])
def test_the_pedestal_is_not_signal_and_stays_in_the_data(pedestal):
    raw = CCDFrame(np.array([[1000, 1050]], dtype=np.uint16), unit="adu")
    result = create_deviation(raw, CAMERA, pedestal=pedestal)
    np.testing.assert_allclose(result.variance, [[9.0 + 1 / 12, 9.0 + 1 / 12 + 25.0]], rtol=1e-6)
    np.testing.assert_array_equal(result.data, [[1000, 1050]])


def test_a_raw_frame_needs_a_pedestal():
    raw = CCDFrame(np.array([[1000, 1050]], dtype=np.uint16), unit="adu", name="d1048.fits")
    with pytest.raises(FrameError, match=r"d1048\.fits.*pedestal"):
        create_deviation(raw, CAMERA)
    assert create_deviation(raw, CAMERA, pedestal=0).variance[0, 0] > 500


def test_a_bias_frame_has_no_shot_noise():
    result = create_deviation(electrons(-20.0, 30.0), CAMERA, shot_noise=0)
    np.testing.assert_allclose(result.variance, 36.0)
    assert result.budget.names == ("read noise",)


def test_a_model_of_the_signal_replaces_the_pixels_own_count():
    result = create_deviation(electrons(80.0, 120.0), CAMERA, shot_noise=np.array([[100.0, 50.0]]))
    np.testing.assert_allclose(result.variance, [[136.0, 86.0]])


def test_the_smoothed_signal_scatters_less_and_is_right_on_average(rng):
    frame = CCDFrame((rng.poisson(100, (300, 300)) + rng.normal(0, 6, (300, 300))), unit="electron")
    by_data = create_deviation(frame, CAMERA).variance
    smooth = create_deviation(frame, CAMERA, shot_noise="smooth").variance
    assert smooth.mean() == pytest.approx(136.0, rel=0.01)
    # The median of 49 scatters by 1.25 / 7 of the pixels' own scatter.
    assert smooth.std() < 0.25 * by_data.std()
    assert_scatters_as_predicted(frame.data - 100.0, smooth)


def test_a_cosmic_ray_does_not_raise_the_smoothed_variance():
    data = np.full((20, 20), 100.0)
    data[10, 10] = 1e5
    variance = create_deviation(CCDFrame(data, unit="electron"), CAMERA, shot_noise="smooth").variance
    np.testing.assert_allclose(variance, 136.0)


@pytest.mark.parametrize("shot_noise", ["data", "smooth"])
def test_pixels_that_are_not_numbers_leave_the_others_alone(shot_noise):
    data = np.full((20, 20), 100.0)
    data[10, 10] = np.nan
    variance = create_deviation(CCDFrame(data, unit="electron"), CAMERA, shot_noise=shot_noise).variance
    good = np.isfinite(data)
    np.testing.assert_allclose(variance[good], 136.0)
    assert np.isfinite(variance).all()


# ---- amplifiers


def trimmed():
    raw = CCDFrame(np.full((30, 50), 1000, dtype=np.uint16), unit="adu")
    return trim_image(raw - 1000 * u.adu, "[16:25,11:30]")


def test_each_amplifier_has_its_read_noise_after_trimming():
    in_adu = create_deviation(trimmed(), TWO).variance[0]
    np.testing.assert_allclose(in_adu, [9.0 + 1 / 12] * 5 + [4.0 + 1 / 12] * 5, rtol=1e-6)
    in_electrons = create_deviation(gain_correct(trimmed(), TWO), TWO).variance[0]
    np.testing.assert_allclose(in_electrons, [9.0 + 1 / 12] * 5 + [36.0 + 9 / 12] * 5, rtol=1e-6)


def test_gain_and_deviation_commute():
    rng = np.random.default_rng(3)
    raw = CCDFrame(rng.poisson(1100, (30, 50)).astype(np.uint16), unit="adu")
    frame = trim_image(raw - 1000 * u.adu, "[1:40,1:30]")
    first = gain_correct(create_deviation(frame, CAMERA), CAMERA)
    second = create_deviation(gain_correct(frame, CAMERA), CAMERA)
    np.testing.assert_allclose(first.variance, second.variance, rtol=1e-5)


# ---- identity


def test_the_same_file_read_twice_is_the_same_noise(rng):
    pixels = rng.poisson(100, (20, 30)).astype(np.uint16)
    first = create_deviation(CCDFrame(pixels, unit="adu"), CAMERA, pedestal=0)
    again = create_deviation(CCDFrame(pixels.astype(np.float32), unit="adu"), CAMERA, pedestal=0)
    other = create_deviation(CCDFrame(rng.permuted(pixels), unit="adu"), CAMERA, pedestal=0)
    assert np.all((first - first.copy()).variance == 0)
    # Read as floating-point numbers it has lost its digitisation noise of 1/12; the rest is the same.
    assert np.all((first - again).variance < 0.1)
    np.testing.assert_allclose((first - other).variance, first.variance + other.variance, rtol=1e-6)


def test_cuts_of_one_frame_share_the_noise_of_their_common_pixels(rng):
    raw = CCDFrame(rng.poisson(100, (20, 30)).astype(np.uint16), unit="adu")
    whole = create_deviation(raw, CAMERA, pedestal=0)
    cut = create_deviation(trim_image(raw, "[11:20,6:15]"), CAMERA, pedestal=0)
    assert np.all((whole[5:15, 10:20] - cut).variance == 0)
    shifted = whole[5:15, 11:21]
    np.testing.assert_allclose((shifted - cut).variance, shifted.variance + cut.variance, rtol=1e-6)


def test_noise_that_is_there_already_is_kept(rng):
    raw = CCDFrame(rng.normal(1000, 3, (20, 30)), unit="adu")
    frame = subtract_overscan(raw, fits_section="[21:30,1:20]")
    level = frame.variance
    result = create_deviation(frame, CAMERA, shot_noise=0)
    np.testing.assert_allclose(result.variance, level + 9.0)
    assert set(result.budget.names) == {"overscan", "read noise"}


def test_a_deviation_created_twice_is_the_same(rng):
    raw = CCDFrame(rng.normal(1000, 3, (20, 30)), unit="adu")
    once = create_deviation(subtract_overscan(raw, fits_section="[21:30,1:20]"), CAMERA)
    np.testing.assert_allclose(create_deviation(once, CAMERA).variance, once.variance)


# ---- the rest


def test_the_frame_stays_what_it_is():
    frame = CCDFrame(
        np.ones((2, 2), dtype=np.float32),
        unit="electron",
        mask=[[True, False], [False, False]],
        flags=np.full((2, 2), 2),
        meta={"EXPTIME": 3.0},
    )
    result = create_deviation(frame, CAMERA)
    np.testing.assert_array_equal(result.data, frame.data)
    np.testing.assert_array_equal(result.mask, frame.mask)
    np.testing.assert_array_equal(result.flags, frame.flags)
    assert result.meta["EXPTIME"] == 3.0
    assert result.data.dtype == result.variance.dtype == np.float32
    assert frame.variance is None


def test_a_frame_of_nans_is_an_error():
    with pytest.raises(FrameError, match=r"d1048\.fits"):
        create_deviation(electrons(np.nan, np.nan, name="d1048.fits"), CAMERA)


@pytest.mark.parametrize("argument", ["pedestal", "shot_noise"])
def test_an_array_of_another_shape_is_an_error(argument):
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits.*\(1, 2\).*\(3, 2\)"):
        create_deviation(electrons(1.0, 2.0, name="d1048.fits"), CAMERA, **{argument: np.ones((3, 2))})


def test_noise_is_known_in_adu_and_electrons_only():
    with pytest.raises(u.UnitConversionError, match=r"d1048\.fits.*Jy"):
        create_deviation(CCDFrame(np.ones((1, 2)), unit="Jy", name="d1048.fits"), CAMERA)


def test_a_pedestal_has_the_unit_of_the_frame():
    with pytest.raises(u.UnitConversionError):
        create_deviation(electrons(1.0, 2.0), CAMERA, pedestal=1000 * u.adu)


def test_an_unknown_kind_of_shot_noise_is_an_error():
    with pytest.raises(ValueError, match=r"median.*smooth"):
        create_deviation(electrons(1.0, 2.0), CAMERA, shot_noise="median")
