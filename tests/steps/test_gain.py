from __future__ import annotations

import astropy.units as u
import ccdproc
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, Detector, calibrate, combine, covariance, gain_correct, trim_image
from astro_calib.errors import FrameError
from tests.noise_checks import make_frame

E_PER_ADU = u.electron / u.adu


def camera(gain=2.0, uncertainty=0.1, name="camera"):
    return Detector(
        gain=gain * E_PER_ADU,
        read_noise=5 * u.electron,
        gain_uncertainty=None if uncertainty is None else uncertainty * E_PER_ADU,
        name=name,
    )


def two_amplifiers():
    return Detector(
        amplifiers=[
            Amplifier(
                gain=1 * E_PER_ADU,
                read_noise=3 * u.electron,
                gain_uncertainty=0.01 * E_PER_ADU,
                data_section="[1:20,1:30]",
            ),
            Amplifier(
                gain=3 * E_PER_ADU,
                read_noise=6 * u.electron,
                gain_uncertainty=0.02 * E_PER_ADU,
                data_section="[21:40,1:30]",
            ),
        ]
    )


@pytest.mark.parametrize("gain", [camera(1.5, None), 1.5 * E_PER_ADU, 1.5 * u.electron / u.adu])
def test_adu_become_electrons(gain):
    raw = CCDFrame(np.array([[10.0, 20.0]]), unit="adu", uncertainty=np.array([[2.0, 4.0]]), meta={"EXPTIME": 3.0})
    result = gain_correct(raw, gain)
    np.testing.assert_allclose(result.data, [[15.0, 30.0]])
    np.testing.assert_allclose(result.variance, [[9.0, 36.0]])
    assert result.unit == u.electron
    assert result.meta["EXPTIME"] == 3.0
    np.testing.assert_array_equal(raw.data, [[10.0, 20.0]])


@pytest.mark.parametrize("gain", [camera(1.5, 0.1), 1.5 * E_PER_ADU])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_the_result_is_float32(gain, dtype):
    result = gain_correct(CCDFrame(np.array([[10, 20]], dtype=dtype), unit="adu"), gain)
    assert result.data.dtype == np.float32


def test_a_gain_from_the_header():
    raw = CCDFrame([[10.0]], unit="adu", meta={"EGAIN": 1.5})
    np.testing.assert_allclose(gain_correct(raw, ccdproc.Keyword("EGAIN", unit=E_PER_ADU)).data, 15.0)


def test_a_number_gets_its_unit_from_gain_unit():
    result = gain_correct(CCDFrame([[10.0]], unit="adu"), 1.5, gain_unit=E_PER_ADU)
    assert result.unit == u.electron
    np.testing.assert_allclose(result.data, 15.0)


def test_an_uncertain_gain_scales_with_the_signal():
    # JCGM 100:2008, eq. 10: z = G a has the variance G^2 u(a)^2 + a^2 u(G)^2.
    raw = CCDFrame(np.array([[0.0, 100.0, -50.0]]), unit="adu", uncertainty=np.full((1, 3), 3.0))
    result = gain_correct(raw, camera(2.0, 0.1))
    np.testing.assert_allclose(result.variance, [[36.0, 36.0 + 100.0, 36.0 + 25.0]])
    np.testing.assert_allclose(result.budget.variances()["gain"], [[0.0, 100.0, 25.0]], atol=1e-12)


def test_the_gain_is_common_to_the_frames_of_a_detector(rng):
    first, second = make_frame(rng, 1000.0, 5.0, (3, 4), unit="adu"), make_frame(rng, 500.0, 5.0, (3, 4), unit="adu")
    shared = covariance(gain_correct(first, camera()), gain_correct(second, camera()))
    np.testing.assert_allclose(shared, first.data * second.data * 0.1**2)
    assert not covariance(gain_correct(first, camera()), gain_correct(second, camera(name="other"))).any()


def test_the_gain_does_not_average_down(rng):
    frames = [gain_correct(make_frame(rng, 1000.0, 5.0, (3, 4), unit="adu"), camera()) for _ in range(100)]
    stack = combine(frames)
    np.testing.assert_allclose(stack.budget.variances()["gain"], (stack.data / 2 * 0.1) ** 2)
    np.testing.assert_allclose(stack.variance, (stack.data / 2 * 0.1) ** 2 + 100.0 / 100)


def test_the_gain_adds_up_coherently_over_an_aperture(rng):
    result = gain_correct(make_frame(rng, 1000.0, 5.0, (3, 4), unit="adu"), camera())
    expected = 12 * 100.0 + (0.1 * result.data.sum() / 2) ** 2
    assert result.budget.variance_of_sum(np.ones((3, 4))) == pytest.approx(expected)


def test_the_gain_cancels_in_a_ratio():
    first, second = (gain_correct(CCDFrame(np.full((2, 2), a), unit="adu"), camera()) for a in (1000.0, 500.0))
    assert np.all((first / second).variance < 1e-20)


def test_each_amplifier_has_its_gain_and_its_gains_noise():
    raw = CCDFrame(np.full((30, 40), 100.0), unit="adu")
    result = gain_correct(raw, two_amplifiers())
    np.testing.assert_allclose(result.data[:, :20], 100.0)
    np.testing.assert_allclose(result.data[:, 20:], 300.0)
    np.testing.assert_allclose(result.variance[:, :20], (100 * 0.01) ** 2)
    np.testing.assert_allclose(result.variance[:, 20:], (100 * 0.02) ** 2)
    # One pixel of each: the two gains are independent, so that a sum is a sum in quadrature.
    weights = np.zeros((30, 40))
    weights[0, [19, 20]] = 1
    assert result.budget.variance_of_sum(weights) == pytest.approx(1.0**2 + 2.0**2)
    weights[0, [18, 19, 20]] = 1, 1, 0
    assert result.budget.variance_of_sum(weights) == pytest.approx(2.0**2)


def test_a_trimmed_frame_knows_its_amplifiers():
    raw = CCDFrame(np.full((30, 50), 100, dtype=np.uint16), unit="adu")
    result = gain_correct(trim_image(raw, "[16:25,11:30]"), two_amplifiers())
    np.testing.assert_allclose(result.data[0], [100.0] * 5 + [300.0] * 5)
    np.testing.assert_allclose(np.sqrt(result.variance[0]), [1.0] * 5 + [2.0] * 5, rtol=1e-6)


def test_pixels_that_no_amplifier_reads_are_an_error():
    raw = CCDFrame(np.full((30, 50), 100, dtype=np.uint16), unit="adu", name="d1048.fits")
    with pytest.raises(FrameError, match=r"d1048\.fits.*trim"):
        gain_correct(raw, two_amplifiers())


def test_amplifiers_that_read_every_other_column():
    sections = {"[2:20:2, 1:10]": 2.0, "[22:40:2, 1:10]": 3.0}
    detector = Detector(
        amplifiers=[
            Amplifier(gain=gain * E_PER_ADU, read_noise=5 * u.electron, data_section=section)
            for section, gain in sections.items()
        ]
    )
    raw = CCDFrame(np.ones((10, 40)), unit="adu")
    with pytest.raises(FrameError, match="none of the amplifiers"):
        gain_correct(raw, detector)
    turned = raw[::-1, ::-2]
    for frame in (gain_correct(turned, detector), calibrate(turned, detector, pedestal=0)):
        np.testing.assert_array_equal(frame.data, [[3.0] * 10 + [2.0] * 10] * 10)


def test_an_amplifier_outside_the_frame_is_an_error():
    with pytest.raises(FrameError, match=r"\[21:40,1:30\].*outside"):
        gain_correct(CCDFrame(np.ones((30, 30)), unit="adu"), two_amplifiers())


def test_a_frame_that_is_no_raw_one_cannot_be_told_apart_by_amplifier(rng):
    stack = combine([make_frame(rng, 100.0, 3.0, (30, 40), unit="adu") for _ in range(3)])
    with pytest.raises(FrameError, match="amplifier"):
        gain_correct(stack, two_amplifiers())


@pytest.mark.parametrize("value", [0.0, -1.5, np.nan, np.inf])
def test_a_gain_is_positive_and_finite(value):
    raw = CCDFrame(np.ones((1, 2)), unit="adu", name="d1048.fits")
    with pytest.raises(ValueError, match=r"d1048\.fits.*gain.*positive"):
        gain_correct(raw, value * E_PER_ADU)
    with pytest.raises(ValueError, match=r"gain.*positive"):
        camera(value)


def test_a_detectors_gain_is_for_adu():
    with pytest.raises(u.UnitConversionError, match=r"d1048\.fits.*electron"):
        gain_correct(CCDFrame(np.ones((1, 2)), unit="electron", name="d1048.fits"), camera())


def test_mask_and_flags_stay():
    raw = CCDFrame([[1.0, 2.0]], unit="adu", mask=[[True, False]], flags=np.array([[4, 0]]))
    for gain in (camera(), 2.0 * E_PER_ADU):
        result = gain_correct(raw, gain)
        np.testing.assert_array_equal(result.mask, raw.mask)
        np.testing.assert_array_equal(result.flags, raw.flags)
