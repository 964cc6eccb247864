from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, DataQuality, Detector, calibrate, combine, simulate, subtract_bias
from astro_calib.characterize import dark_current
from astro_calib.errors import FrameError, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted

CAMERA = Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron)
READ_VARIANCE = 8**2 + 1.5**2 / 12
SHAPE = (220, 220)


def rates_of(shape=SHAPE, seed=5):
    """Ordinary pixels of 0.3 electron / s, 40 hot ones of 5 to 50, and their map."""
    rng = np.random.default_rng(seed)
    hot = np.zeros(shape, bool)
    hot.flat[rng.choice(hot.size, 40, replace=False)] = True
    return np.where(hot, rng.uniform(5, 50, shape), 0.3), hot


def darks_of(rates, times, seed=1, shape=SHAPE, headers=None, **camera):
    rates = rates if np.ndim(rates) else np.full(shape, rates)
    maker = simulate.Camera(shape=shape, detector=CAMERA, dark_rate=rates, **camera)
    rng = np.random.default_rng(seed)
    headers = headers or [{"CCD-TEMP": -20.0}] * len(times)
    return [
        maker.expose("bias" if time == 0 else "dark", time, rng=rng, header=header)[0]
        for time, header in zip(times, headers, strict=True)
    ]


def named(frames):
    for number, frame in enumerate(frames):
        frame.name = f"dark{number}.fits"
    return frames


def test_rate_of_each_pixel_scatters_as_its_error_says_and_as_a_straight_line_does():
    rates, hot = rates_of()
    measured = dark_current(darks_of(rates, [60] * 3 + [600] * 3), detector=CAMERA)
    # Two exposures: the difference of two means of three, over the time between them.
    expected = (READ_VARIANCE + 0.3 * 60 + READ_VARIANCE + 0.3 * 600) / 3 / 540**2
    np.testing.assert_allclose(np.median(measured.rate.variance), expected, rtol=0.01)
    errors = measured.rate.data - rates
    assert_scatters_as_predicted(errors[~hot], measured.rate.variance[~hot])
    pulls = errors[hot] / np.sqrt(measured.rate.variance[hot])
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1, abs=3 / np.sqrt(80))
    assert measured.rate.unit == u.electron / u.s
    assert not measured.clamped
    assert measured.remarks == ()


def test_hot_pixels_are_found_flagged_and_masked_and_others_are_not():
    rates, hot = rates_of()
    measured = dark_current(darks_of(rates, [60] * 3 + [600] * 3), detector=CAMERA)
    np.testing.assert_array_equal(measured.hot, hot)
    np.testing.assert_array_equal((measured.rate.flags & DataQuality.BAD) != 0, hot)
    np.testing.assert_array_equal(measured.rate.mask, hot)
    assert "40 hot pixels" in str(measured)


def test_glow_of_an_amplifier_is_not_hot():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    glow = 0.3 + 5 * np.exp(-np.hypot(x, y) / 60)
    measured = dark_current(darks_of(glow, [60] * 3 + [600] * 3), detector=CAMERA)
    assert np.count_nonzero(measured.hot) <= 2
    assert np.corrcoef(measured.rate.data.ravel(), glow.ravel())[0, 1] > 0.98


def test_pixel_that_saturates_in_long_darks_is_hot():
    full = Detector(gain=CAMERA.gain, read_noise=CAMERA.read_noise, saturation=20000 * u.adu)
    rates = np.full(SHAPE, 0.3)
    rates[7, 9] = 1000.0
    camera = simulate.Camera(shape=SHAPE, detector=full, dark_rate=rates)
    rng = np.random.default_rng(3)
    darks = [camera.expose("dark", time, rng=rng)[0] for time in [10, 10, 600, 600]]
    bias = CCDFrame(np.full(SHAPE, 1000.0), unit="adu")
    measured = dark_current([calibrate(dark, full, bias=bias) for dark in darks])
    np.testing.assert_array_equal(np.argwhere(measured.hot), [[7, 9]])
    assert measured.rate.mask[7, 9]
    assert "1 pixels saturate" in measured.remarks[-1]


def test_noise_of_a_bias_that_all_darks_share_cancels_in_the_rate_and_stays_in_the_offset():
    rng = np.random.default_rng(8)
    raw = darks_of(np.full(SHAPE, 0.3), [0, 0] + [60] * 3 + [600] * 3)
    bias = combine([calibrate(frame, CAMERA, shot_noise=0) for frame in raw[:2]])
    measured = dark_current([calibrate(frame, CAMERA, bias=bias) for frame in raw[2:]])
    expected = (2 * READ_VARIANCE + 0.3 * 660) / 3 / 540**2
    np.testing.assert_allclose(np.mean(measured.rate.variance), expected, rtol=0.01)
    assert_scatters_as_predicted(measured.rate.data - 0.3, measured.rate.variance)
    # At zero time the line of the darks less the bias: 600/540 of the one mean, -60/540 of the other, and the bias.
    own = ((10 / 9) ** 2 * (READ_VARIANCE + 18) + (1 / 9) ** 2 * (READ_VARIANCE + 180)) / 3
    np.testing.assert_allclose(np.mean(measured.offset.variance), own + READ_VARIANCE / 2, rtol=0.01)
    assert_scatters_as_predicted(measured.offset.data, measured.offset.variance)
    assert measured.remarks == ()
    wrong = subtract_bias(bias * 1.0, CCDFrame(np.full(SHAPE, 30.0) + rng.normal(0, 0.01, SHAPE), unit="electron"))
    shifted = dark_current([calibrate(frame, CAMERA, bias=wrong) for frame in raw[2:]])
    assert "At zero time 30" in shifted.remarks[0]
    assert "is not that of the darks" in shifted.remarks[0]


def test_without_detector_the_error_is_that_of_the_scatter():
    measured = dark_current(darks_of(np.full(SHAPE, 0.3), [60] * 6 + [600] * 6))
    assert measured.rate.unit == u.adu / u.s
    expected = (2 * READ_VARIANCE + 0.3 * 660) / 6 / 540**2 / 1.5**2
    # Six values are few to see a hit by, which costs some percent more.
    np.testing.assert_allclose(np.mean(measured.rate.variance), expected, rtol=0.06)
    assert_scatters_as_predicted(measured.rate.data - 0.2, measured.rate.variance)
    assert measured.level.value == pytest.approx(0.2, abs=4 * measured.level_uncertainty.value)


def test_hits_are_left_out():
    rng = np.random.default_rng(4)
    camera = simulate.Camera(shape=SHAPE, detector=CAMERA, dark_rate=0.3)
    darks = [camera.expose("dark", time, rng=rng, cosmic_rays=40)[0] for time in [60] * 4 + [600] * 4]
    measured = dark_current(darks, detector=CAMERA)
    errors = measured.rate.data - 0.3
    # One in a few thousand hits is shared by two of the darks; the tails of the others are below the threshold.
    assert np.mean(np.abs(errors) > 6 * np.sqrt(measured.rate.variance)) < 2e-4
    assert np.count_nonzero(measured.hot) < 5


@pytest.mark.long
def test_level_and_its_uncertainty_hold_the_drift_between_frames():
    errors, stated = [], []
    for seed in range(40):
        darks = darks_of(0.3, [60] * 8 + [600] * 8, seed=seed, shape=(40, 40), bias_drift=3.0)
        measured = dark_current(darks, detector=CAMERA)
        errors.append(measured.level.value - 0.3)
        stated.append(measured.level_uncertainty.value)
    # Drift of 3 adu = 4.5 e over the root of 4, over 540 s.
    assert np.sqrt(np.mean(np.square(stated))) == pytest.approx(4.5 / 2 / 540, rel=0.1)
    assert np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(stated))) == pytest.approx(1, abs=3 / np.sqrt(80))


def clamped_darks(seed=1, number=6):
    """A level that falls by 0.02 adu / s while the noise doubles."""
    rng = np.random.default_rng(seed)
    frames = []
    for time, sigma in [(1.0, 4.0)] * number + [(50.0, 6.0)] * number + [(100.0, 8.0)] * number:
        level = 500 - 0.02 * time + rng.normal(0, 0.1)
        data = np.rint(rng.normal(level, sigma, SHAPE)).astype(np.uint16)
        frames.append(CCDFrame(data, unit="adu", meta={"EXPTIME": time, "CCD-TEMP": -10.0}))
    return frames


def test_clamped_level_is_named_and_the_noise_is_that_of_the_scatter():
    with pytest.warns(UserWarning, match="clamps its black level"):
        measured = dark_current(clamped_darks(), detector=Detector(gain=CAMERA.gain, read_noise=3 * u.electron))
    assert measured.clamped
    assert "from 749.9" in measured.remarks[0]
    assert measured.level.value == pytest.approx(-0.03, abs=4 * measured.level_uncertainty.value)
    truth = -0.03
    assert_scatters_as_predicted(measured.rate.data - truth, measured.rate.variance, tolerance=0.02)


@pytest.mark.parametrize("seed", range(10))
def test_drift_without_dark_current_is_no_clamp(seed):
    darks = darks_of(0.0, [0] * 3 + [60] * 3 + [600] * 3, seed=seed, shape=(40, 40), bias_drift=2.0)
    assert not dark_current(darks, detector=CAMERA).clamped


def test_clamped_darks_of_which_there_is_one_each_are_not_enough():
    several = clamped_darks()
    with pytest.warns(UserWarning, match="clamps"), pytest.raises(FrameError, match="two darks or more of each"):
        dark_current(several[5:7] + several[12:])


def test_hot_pixels_that_do_not_grow_steadily_are_remarked():
    rates, hot = rates_of()
    darks = darks_of(rates, [60] * 4 + [300] * 4 + [600] * 4)
    places = np.argwhere(hot)[:10]
    for dark in darks[4:8]:
        data = dark.data.copy()
        data[tuple(places.T)] += 800
        dark.data = data
    measured = dark_current(darks, detector=CAMERA)
    assert len(measured.remarks) == 1
    assert measured.remarks[0].startswith("10 of 40 hot pixels do not grow steadily with exposure")


def test_other_temperature_is_refused_by_name():
    headers = [{"CCD-TEMP": value} for value in (-20.1, -20.0, -15.0, -19.9)]
    darks = named(darks_of(0.3, [60, 60, 600, 600], headers=headers, shape=(40, 40)))
    with pytest.raises(FrameError, match=r"dark2\.fits has -15 deg C; the others have -20 deg C"):
        dark_current(darks, detector=CAMERA)
    measured = dark_current(darks, detector=CAMERA, tolerance=6)
    assert measured.temperature.value == pytest.approx(-18.75)


def test_glow_does_not_make_the_noise_look_wrong():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    measured = dark_current(darks_of(0.3 + 5 * np.exp(-np.hypot(x, y) / 60), [60] * 3 + [600] * 3), detector=CAMERA)
    np.testing.assert_allclose(measured.table["observed"] / measured.table["predicted"], 1, atol=0.02)
    assert measured.remarks == ()


def test_two_darks_do_not_show_how_the_level_drifts():
    measured = dark_current(darks_of(0.3, [60, 600]), detector=CAMERA)
    assert "Two darks do not show" in measured.remarks[0]
    assert_scatters_as_predicted(measured.rate.data - 0.3, measured.rate.variance)


def test_unknown_temperature_is_remarked():
    darks = darks_of(0.3, [60, 60, 600, 600], headers=[{}] * 4, shape=(40, 40))
    measured = dark_current(darks, detector=CAMERA)
    assert measured.temperature is None
    assert "tell no temperature" in measured.remarks[0]


def test_wrong_read_noise_shows_in_the_table_and_is_remarked():
    wrong = Detector(gain=CAMERA.gain, read_noise=16 * u.electron)
    measured = dark_current(darks_of(0.3, [60] * 3 + [600] * 3), detector=wrong)
    row = measured.table[0]
    assert row["observed"] == pytest.approx(np.sqrt(READ_VARIANCE + 18), rel=0.02)
    assert row["predicted"] == pytest.approx(np.sqrt(16**2 + 1.5**2 / 12 + 18), rel=0.02)
    assert "of what is predicted" in measured.remarks[0]


def test_result_remembers_how_it_was_made_and_can_be_written_and_read(tmp_path):
    darks = named(darks_of(0.3, [60, 60, 600, 600], shape=(40, 40)))
    measured = dark_current(darks, detector=CAMERA)
    step = measured.rate.provenance[-1]
    assert step["step"] == "dark_current"
    assert step["parameters"]["frames"] == [f"dark{number}.fits" for number in range(4)]
    for name in ("rate.fits", "rate.asdf"):
        measured.rate.write(tmp_path / name)
        again = CCDFrame.read(tmp_path / name)
        np.testing.assert_array_equal(again.data, measured.rate.data)
        np.testing.assert_allclose(again.variance, measured.rate.variance, rtol=1e-6)
        assert again.unit == measured.rate.unit


def test_darks_are_not_changed():
    darks = darks_of(0.3, [60, 60, 600, 600], shape=(40, 40))
    before = [dark.data.copy() for dark in darks]
    dark_current(darks, detector=CAMERA)
    for dark, data in zip(darks, before, strict=True):
        np.testing.assert_array_equal(dark.data, data)
        assert not dark.budget


def test_mistakes_are_told():
    darks = named(darks_of(0.3, [60, 60, 600, 600], shape=(40, 40)))
    with pytest.raises(FrameError, match="all 2 darks are exposed for 60 s; two exposures are needed"):
        dark_current(darks[:2], detector=CAMERA)
    with pytest.raises(FrameError, match=r"dark0\.fits has the same pixels as dark0\.fits"):
        dark_current([darks[0], *darks], detector=CAMERA)
    with pytest.raises(FrameError, match="shows nothing of it"):
        dark_current([darks[0], darks[2]])
    with pytest.raises(ShapeMismatchError, match="of one size"):
        dark_current([darks[0], darks[2][:20]], detector=CAMERA)
    with pytest.raises(TypeError, match="write dark_current"):
        dark_current(darks[0], detector=CAMERA)
    with pytest.raises(TypeError, match=r"found 'dark\.fits'. Read the file first: CCDFrame.read"):
        dark_current(["dark.fits"], detector=CAMERA)
    with pytest.raises(u.UnitConversionError, match="of one unit"):
        dark_current([darks[0], calibrate(darks[2], CAMERA, pedestal=1000)], detector=CAMERA)


def test_level_is_right_under_a_glow():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    glow = 0.1 + 3 * np.exp(-np.hypot(x, y) / 30)
    darks = darks_of(glow, [60] * 4 + [300] * 4 + [600] * 4)
    measured = dark_current([calibrate(dark, CAMERA, pedestal=1000, shot_noise=0) for dark in darks])
    # The same pixels at all exposures: their levels are on a line through zero.
    times, levels = np.array(measured.table["exposure"]), np.array(measured.table["level"])
    np.testing.assert_allclose(levels, measured.level.value * times, atol=0.15)


def test_rate_is_no_dark_of_the_exposure_of_the_first():
    measured = dark_current(darks_of(0.3, [60, 60, 600, 600], shape=(40, 40)), detector=CAMERA)
    for frame in (measured.rate, measured.offset):
        assert "EXPTIME" not in frame.meta
        assert frame.meta["INSTRUME"] == "detector"
