"""Frames of a nonlinear detector: electrons are drawn, compressed, read and digitised, and then corrected."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import (
    Amplifier,
    CCDFrame,
    DataQuality,
    Detector,
    LinearityPolynomial,
    LinearityTable,
    combine,
    correct_linearity,
    covariance,
    create_deviation,
    flag_saturated,
    flat_correct,
    gain_correct,
    simulate,
    subtract_bias,
    subtract_dark,
    trim_image,
)
from astro_calib.errors import FrameError
from tests.noise_checks import assert_scatters_as_predicted, make_frame

E_PER_ADU = u.electron / u.adu
GAIN = 1.5
LIMIT = 60000 * u.adu
#: 10% at 50000 adu.
COEFFICIENTS = (2.4e-6, -8e-12)
NODES = np.array([5000.0, 20000.0, 40000.0, 60000.0])
VALUES = np.array([5000.0, 20400.0, 42400.0, 66400.0])
SHAPE = (300, 300)


def camera(linearity=None, *, read_noise=8.0, gain=GAIN, **kwargs):
    return Detector(gain=gain * E_PER_ADU, read_noise=read_noise * u.electron, linearity=linearity, **kwargs)


def polynomial(**kwargs):
    return LinearityPolynomial(COEFFICIENTS, limit=LIMIT, **kwargs)


def table(*args):
    return LinearityTable(NODES * u.adu, VALUES * u.adu, *args)


def compressed(signal, a1=COEFFICIENTS[0], a2=COEFFICIENTS[1]):
    """The x for which x (1 + a1 x + a2 x^2) is the signal, by Newton's method."""
    x = np.array(signal, dtype=float)
    for _ in range(30):
        x -= (x * (1 + a1 * x + a2 * x**2) - signal) / (1 + 2 * a1 * x + 3 * a2 * x**2)
    return x


def by_table(signal):
    return np.interp(signal, np.append(0, VALUES), np.append(0, NODES))


def expose(rng, electrons, response, *, read_noise=8.0, gain=GAIN, shape=SHAPE):
    """A raw frame of whole numbers with a pedestal of 1000."""
    collected = rng.poisson(electrons, shape) / gain
    return CCDFrame(
        np.rint(1000 + response(collected) + rng.normal(0, read_noise, shape) / gain).astype(np.uint16), unit="adu"
    )


def corrected(raw, detector, *, in_electrons=True):
    frame = raw - 1000 * u.adu
    if in_electrons:
        frame = gain_correct(frame, detector)
    return correct_linearity(create_deviation(frame, detector), detector)


# ---- truth


@pytest.mark.parametrize("in_electrons", [True, False])
@pytest.mark.parametrize(
    ("electrons", "read_noise"),
    # Low, where digitisation and read noise count; high; and high with a read noise as large as the shot noise.
    [(30, 8.0), (20000, 8.0), (80000, 8.0), (80000, 250.0)],
)
@pytest.mark.parametrize("kind", ["polynomial", "table"])
def test_a_corrected_frame_scatters_about_the_truth_as_predicted(rng, kind, electrons, read_noise, in_electrons):
    linearity, response = (polynomial(), compressed) if kind == "polynomial" else (table(), by_table)
    raw = expose(rng, electrons, response, read_noise=read_noise)
    result = corrected(raw, camera(linearity, read_noise=read_noise), in_electrons=in_electrons)
    truth = electrons if in_electrons else electrons / GAIN
    assert_scatters_as_predicted(result.data - truth, result.variance)
    # The mean is off by f'' V / 2 at most, 0.1 adu.
    assert result.data.mean() == pytest.approx(truth, abs=4 * float(result.data.std()) / 300 + 0.15)


@pytest.mark.parametrize("kind", ["polynomial", "table"])
def test_the_simulator_compresses_electrons_and_not_the_noise_of_reading(rng, kind):
    linearity, response = (polynomial(), compressed) if kind == "polynomial" else (table(), by_table)
    one = simulate.Camera(shape=(200, 200), detector=camera(linearity, read_noise=250.0), overscan_columns=50)
    raw, _ = one.expose("flat", 1, filter="V", sky=80000.0, rng=rng, integer=False)
    image = raw.data[:, :200].astype(float)
    assert image.mean() - 1000 == pytest.approx(response(np.array(80000 / GAIN)), abs=4 * image.std() / 200)
    slope = (response(np.array(80100 / GAIN)) - response(np.array(79900 / GAIN))) / (200 / GAIN)
    # 1 / sqrt(2 * 40000) = 0.35% is the standard error of the scatter.
    assert image.std() == pytest.approx(np.sqrt(80000 * slope**2 + 250**2) / GAIN, rel=0.012)
    assert raw.data[:, 200:].std() == pytest.approx(250 / GAIN, rel=0.025)


def test_shot_noise_is_that_of_the_corrected_signal_and_read_noise_grows_with_the_slope():
    result = corrected(CCDFrame(np.array([[1000, 51000]], dtype=np.uint16), unit="adu"), camera(polynomial()))
    parts = result.budget.variances()
    # 50000 (1 + 0.12 - 0.02) = 55000 adu; slope 1 + 0.24 - 0.06 = 1.18.
    np.testing.assert_allclose(result.data, [[0.0, 82500.0]], rtol=1e-6)
    np.testing.assert_allclose(parts["shot noise"], [[0.0, 82500.0]], rtol=1e-6)
    own = 64 + GAIN**2 / 12
    np.testing.assert_allclose(parts["read noise"], [[own, 1.18**2 * own]], rtol=1e-6)


@pytest.mark.parametrize("shot_noise", ["smooth", "model"])
def test_a_model_of_the_signal_is_corrected_as_well(rng, shot_noise):
    detector = camera(polynomial())
    frame = gain_correct(expose(rng, 80000, compressed) - 1000 * u.adu, detector)
    if shot_noise == "model":
        shot_noise = np.full(SHAPE, GAIN * compressed(80000 / GAIN))
    result = correct_linearity(create_deviation(frame, detector, shot_noise=shot_noise), detector)
    assert_scatters_as_predicted(result.data - 80000, result.variance)


def test_uncertain_coefficients_scatter_as_predicted(rng):
    # Each pixel stands for a detector of its own, with coefficients drawn anew.
    sigmas = np.array([2e-7, 3e-12])
    scatter = np.outer(sigmas, sigmas) * np.array([[1, -0.8], [-0.8, 1]])
    drawn = rng.multivariate_normal(COEFFICIENTS, scatter, SHAPE)
    raw = expose(rng, 75000, lambda signal: compressed(signal, drawn[..., 0], drawn[..., 1]))
    result = corrected(raw, camera(polynomial(covariance=scatter)))
    # The coefficients are the larger part.
    assert np.mean(result.budget.variances()["linearity"]) > np.mean(result.variance) / 2
    assert_scatters_as_predicted(result.data - 75000, result.variance)


def test_uncertain_values_of_a_table_scatter_as_predicted(rng):
    sigmas = np.array([50.0, 200.0, 400.0, 600.0])
    drawn = rng.normal(VALUES, sigmas, (*SHAPE, 4))

    def response(signal):
        # 45000 electrons are 30000 adu: between the second value and the third.
        part = (signal - drawn[..., 1]) / (drawn[..., 2] - drawn[..., 1])
        return NODES[1] + part * (NODES[2] - NODES[1])

    result = corrected(expose(rng, 45000, response), camera(table(sigmas * u.adu)))
    assert np.mean(result.budget.variances()["linearity"]) > np.mean(result.variance) / 2
    assert_scatters_as_predicted(result.data - 45000, result.variance)


@pytest.mark.long
@pytest.mark.parametrize("method", ["mean", "median"])
def test_a_stack_scatters_as_predicted_and_clipping_does_not_shift_it(rng, method):
    detector = camera(polynomial())
    frames = [corrected(expose(rng, 80000, compressed), detector) for _ in range(10)]
    stack = combine(frames, method=method, clip="sigma" if method == "mean" else None)
    assert_scatters_as_predicted(stack.data - 80000, stack.variance, tolerance=0.02)
    assert stack.data.mean() == pytest.approx(80000, abs=4 * float(stack.data.std()) / 300 + 0.2)


# ---- noise that frames share


def uncertain_frame(rng, electrons, detector, shape=(3, 4)):
    return corrected(expose(rng, electrons, compressed, shape=shape), detector)


def test_frames_of_a_detector_share_the_error_of_its_coefficients(rng):
    detector = camera(polynomial(uncertainties=[1e-7, 0]))
    faint, bright = (uncertain_frame(rng, electrons, detector) for electrons in (30000, 80000))
    x_faint, x_bright = (compressed(frame.data / GAIN) for frame in (faint, bright))
    np.testing.assert_allclose(covariance(faint, bright), GAIN**2 * x_faint**2 * x_bright**2 * 1e-14, rtol=1e-4)


@pytest.mark.parametrize("linearity", [polynomial(uncertainties=[1e-7, 1e-12]), table([50, 200, 400, 600] * u.adu)])
def test_the_error_of_the_coefficients_cancels_in_a_difference_and_stays_in_a_mean(rng, linearity):
    detector = camera(linearity)
    frames = [uncertain_frame(rng, 60000, detector) for _ in range(25)]
    single = [frame.budget.variances()["linearity"] for frame in frames]
    assert np.min(single) > 100**2
    difference = (frames[0] - frames[1]).budget.variances()["linearity"]
    assert np.all(difference < 2e-3 * single[0])
    np.testing.assert_allclose(combine(frames).budget.variances()["linearity"], np.mean(single, axis=0), rtol=2e-3)


def test_the_error_of_the_coefficients_adds_up_coherently_over_an_aperture():
    detector = camera(polynomial(uncertainties=[1e-7, 2e-12]), read_noise=1e-3)
    x = np.array([[10000.0, 30000.0, 50000.0]])
    frame = create_deviation(CCDFrame(x, unit="adu"), detector, shot_noise=0)
    parts = correct_linearity(frame, detector).budget.variances_of_sum(np.ones((1, 3)))
    assert parts["linearity"] == pytest.approx((1e-7 * np.sum(x**2)) ** 2 + (2e-12 * np.sum(x**3)) ** 2)


def test_other_detectors_have_errors_of_their_own(rng):
    linearity = polynomial(uncertainties=[1e-7, 0])
    one, other = (uncertain_frame(rng, 80000, camera(linearity, name=name)) for name in ("blue", "red"))
    np.testing.assert_array_equal(covariance(one, other), 0)


def test_a_flat_keeps_only_the_part_of_the_error_that_is_not_common_to_its_pixels(rng):
    detector = camera(polynomial(uncertainties=[1e-7, 0]))
    flat = uncertain_frame(rng, 60000, detector, (100, 100))
    image = flat_correct(make_frame(rng, 1000.0, 1.0, (100, 100)), flat)
    left = image.budget.variances()["linearity"]
    x = compressed(flat.data / GAIN)
    # d(F / mean(F)) = (x^2 - F mean(x^2) / mean(F)) / mean(F) times the error of the coefficient.
    mean = flat.data.mean(dtype=float)
    change = GAIN * 1e-7 * (x**2 - flat.data * np.mean(x**2) / mean) / mean
    np.testing.assert_allclose(left, (image.data / (flat.data / mean) * change) ** 2, rtol=1e-2, atol=1e-6)


def test_an_uncertain_gain_is_the_error_of_the_whole_signal(rng):
    # G f(r - b / G) is differentiated numerically for a bias b that is known in electrons.
    raw = CCDFrame(rng.normal(40000, 100, (3, 4)), unit="adu")
    bias = CCDFrame(np.full((3, 4), 6000.0), unit="electron")

    def calibrated(gain):
        detector = camera(polynomial(), gain=gain, gain_uncertainty=0.02 * E_PER_ADU)
        frame = subtract_bias(gain_correct(raw, detector), bias)
        return correct_linearity(create_deviation(frame, detector), detector)

    derivative = (calibrated(GAIN + 1e-4).data - calibrated(GAIN - 1e-4).data) / 2e-4
    found = calibrated(GAIN).budget.variances()["gain"]
    np.testing.assert_allclose(found, (0.02 * derivative) ** 2, rtol=1e-6)


def test_without_such_a_bias_it_stays_proportional_to_the_signal(rng):
    detector = camera(polynomial(), gain_uncertainty=0.02 * E_PER_ADU)
    first, second = (corrected(expose(rng, 60000, compressed, shape=(3, 4)), detector) for _ in range(2))
    np.testing.assert_allclose(first.budget.variances()["gain"], (first.data * 0.02 / GAIN) ** 2, rtol=1e-5)
    assert "gain" not in (first / second).budget.names


# ---- order and units


def test_adu_and_electrons_give_the_same_numbers(rng):
    detector = camera(polynomial(uncertainties=[1e-7, 1e-12]))
    raw = expose(rng, 60000, compressed, shape=(20, 20))
    early = corrected(raw, detector)
    late = gain_correct(corrected(raw, detector, in_electrons=False), detector)
    np.testing.assert_allclose(late.data, early.data, rtol=1e-6)
    np.testing.assert_allclose(late.variance, early.variance, rtol=1e-5)
    left = (late - early).budget.variances()["linearity"]
    assert np.all(left < 1e-5 * early.budget.variances()["linearity"])


def test_in_adu_the_linearity_alone_is_enough(rng):
    detector = camera(polynomial(uncertainties=[1e-7, 1e-12]))
    frame = create_deviation(expose(rng, 60000, compressed, shape=(20, 20)) - 1000 * u.adu, detector)
    one, other = (correct_linearity(frame, how) for how in (detector, polynomial(uncertainties=[1e-7, 1e-12])))
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-6)


def test_in_electrons_the_gain_is_needed():
    frame = create_deviation(CCDFrame([[5.0]], unit="electron", name="d1048.fits"), camera())
    with pytest.raises(u.UnitConversionError, match=r"d1048\.fits is in electron.*give the Detector"):
        correct_linearity(frame, polynomial())


def test_the_deviation_is_created_before():
    frame = gain_correct(CCDFrame([[5.0, 6.0]], unit="adu", name="d1048.fits"), camera(polynomial()))
    with pytest.raises(FrameError, match=r"d1048\.fits has no read noise.*create_deviation"):
        correct_linearity(frame, camera(polynomial()))
    uncertain_gain = camera(polynomial(), gain_uncertainty=0.1 * E_PER_ADU)
    frame = gain_correct(CCDFrame([[5.0, 6.0]], unit="adu", name="d1048.fits"), uncertain_gain)
    with pytest.raises(FrameError, match=r"d1048\.fits has no read noise.*create_deviation"):
        correct_linearity(frame, uncertain_gain)


def test_the_dark_is_subtracted_after(rng):
    detector = camera(polynomial())
    frame = create_deviation(CCDFrame(rng.normal(500, 5, (3, 4)), unit="electron", name="d1048.fits"), detector)
    frame = subtract_dark(frame, make_frame(rng, 50.0, 5.0, (3, 4)))
    with pytest.raises(FrameError, match=r"d1048\.fits: the dark was applied already.*before subtract_dark"):
        correct_linearity(frame, detector)


def test_an_uncertainty_of_unknown_origin_is_multiplied_by_the_slope():
    frame = CCDFrame(np.array([[50000.0]]), unit="adu", uncertainty=np.array([[100.0]]))
    np.testing.assert_allclose(correct_linearity(frame, polynomial()).variance, 118.0**2)


@pytest.mark.parametrize("unit", ["electron / s", ""])
def test_other_units_are_refused(unit):
    frame = CCDFrame(np.ones((2, 2)), unit=unit, uncertainty=np.ones((2, 2)), name="d1048.fits")
    with pytest.raises(u.UnitConversionError, match=r"d1048\.fits is in .* adu or in electron"):
        correct_linearity(frame, camera(polynomial()))


def test_a_detector_without_linearity_is_refused():
    frame = CCDFrame(np.ones((2, 2)), unit="adu", uncertainty=np.ones((2, 2)), name="d1048.fits")
    with pytest.raises(ValueError, match=r"d1048\.fits: the detector has no linearity"):
        correct_linearity(frame, camera())


# ---- amplifiers


def three_amplifiers():
    """Of the first two each has its own response, the third is linear; of 20 columns each."""
    third = {"gain": 1 * E_PER_ADU, "read_noise": 5 * u.electron, "data_section": "[41:60,1:30]"}
    return Detector(
        amplifiers=[
            Amplifier(
                gain=1 * E_PER_ADU,
                read_noise=5 * u.electron,
                data_section="[1:20,1:30]",
                linearity=LinearityPolynomial([1e-6], limit=LIMIT, uncertainties=[1e-7]),
            ),
            Amplifier(
                gain=2 * E_PER_ADU,
                read_noise=5 * u.electron,
                gain_uncertainty=0.02 * E_PER_ADU,
                data_section="[21:40,1:30]",
                linearity=LinearityPolynomial([2e-6], limit=20000 * u.adu, uncertainties=[3e-7]),
            ),
            Amplifier(**third),
        ]
    )


@pytest.mark.parametrize("in_electrons", [True, False])
def test_each_amplifier_has_its_response(in_electrons):
    raw = CCDFrame(np.full((30, 64), 11000, dtype=np.uint16), unit="adu")
    raw.data[0, :] = 51000
    detector = three_amplifiers()
    frame = trim_image(raw, "[11:50,1:20]")
    result = corrected(frame, detector, in_electrons=in_electrons)
    if not in_electrons:
        result = gain_correct(result, detector)
    # 10000 adu become 10100, 10200 and 10000.
    np.testing.assert_allclose(result.data[1], [10100.0] * 10 + [20400.0] * 20 + [10000.0] * 10, rtol=1e-6)
    parts = result.budget.variances()
    np.testing.assert_allclose(parts["shot noise"], result.data, rtol=1e-5)
    np.testing.assert_allclose(parts["linearity"][1], [10.0**2] * 10 + [60.0**2] * 20 + [0.0] * 10, rtol=1e-5)
    np.testing.assert_allclose(parts["gain"][1], [0.0] * 10 + [204.0**2] * 20 + [0.0] * 10, rtol=1e-5)
    # 50000 adu are beyond the limit of the second amplifier only.
    flagged = np.zeros((20, 40), dtype=bool)
    flagged[0, 10:30] = True
    np.testing.assert_array_equal((result.flags & DataQuality.NONLINEAR) != 0, flagged)
    # The errors of the two responses are independent.
    weights = np.zeros((20, 40))
    weights[1, 9:11] = 1
    assert result.budget.variances_of_sum(weights)["linearity"] == pytest.approx(10.0**2 + 60.0**2, rel=1e-5)


def test_pixels_that_cannot_be_told_apart_by_amplifier_are_an_error(rng):
    stack = combine([make_frame(rng, 100.0, 3.0, (30, 60), unit="adu") for _ in range(3)])
    with pytest.raises(FrameError, match="amplifier"):
        correct_linearity(stack, three_amplifiers())


def test_a_cut_keeps_its_noise(rng):
    detector = camera(polynomial(uncertainties=[1e-7, 1e-12]))
    raw = expose(rng, 60000, compressed, shape=(20, 20))
    before = corrected(raw[5:15, 3:9], detector)
    after = corrected(raw, detector)[5:15, 3:9]
    np.testing.assert_allclose(before.variance, after.variance, rtol=1e-6)
    assert np.all((before - after).budget.variances()["linearity"] < 1e-6 * after.variance)


# ---- flags


@pytest.mark.parametrize("linearity", [polynomial(), table()])
def test_above_the_range_the_correction_is_a_straight_line_and_flagged(linearity):
    frame = create_deviation(CCDFrame([[59000.0, 60000.0, 60001.0, 64000.0]], unit="adu"), camera())
    result = correct_linearity(frame, linearity)
    np.testing.assert_array_equal(result.flags, [[0, 0, DataQuality.NONLINEAR, DataQuality.NONLINEAR]])
    # 1 + 2 a1 x + 3 a2 x^2 at 60000 adu, and that of the last segment.
    slope = 1.2016 if linearity == polynomial() else 1.2
    assert (result.data[0, 3] - result.data[0, 1]) / 4000 == pytest.approx(slope)
    assert result.mask is None


def test_other_flags_and_the_mask_stay():
    detector = camera(polynomial(), saturation=62000 * u.adu)
    raw = CCDFrame(np.array([[62000, 61500, 50000]], dtype=np.uint16), unit="adu")
    result = corrected(flag_saturated(raw, detector), detector)
    np.testing.assert_array_equal(result.mask, [[True, False, False]])
    both = DataQuality.SATURATED | DataQuality.NONLINEAR
    np.testing.assert_array_equal(result.flags, [[both, DataQuality.NONLINEAR, 0]])


def test_pixels_that_are_not_numbers_leave_the_others_alone():
    detector = camera(polynomial(uncertainties=[1e-7, 1e-12]))
    frame = create_deviation(CCDFrame([[np.nan, np.inf, -np.inf, 50000.0]], unit="adu"), detector)
    result = correct_linearity(frame, detector)
    np.testing.assert_array_equal(result.data[0, :3], [np.nan, np.inf, -np.inf])
    assert result.data[0, 3] == pytest.approx(55000.0)
    assert np.isfinite(result.variance).all()


def test_nothing_that_is_given_is_changed_and_float32_stays():
    frame = create_deviation(CCDFrame(np.full((2, 2), 50000.0, np.float32), unit="adu"), camera())
    variance = frame.variance.copy()
    result = correct_linearity(frame, polynomial())
    assert result.dtype == result.variance.dtype == np.float32
    np.testing.assert_array_equal(frame.data, 50000.0)
    np.testing.assert_array_equal(frame.variance, variance)
    assert frame.flags is None
