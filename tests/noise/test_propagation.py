"""How noise goes through chains of operations, against rules worked out by hand and draws of random numbers."""

from __future__ import annotations

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget, covariance, gain_correct
from tests.noise_checks import assert_scatters_as_predicted, varied_frame

SHAPE = (3, 4)
RNG = np.random.default_rng(40)


def frame(value, sigma, seed=None, **options):
    return varied_frame(RNG if seed is None else np.random.default_rng(seed), value, sigma, **options)


@pytest.fixture
def a():
    return frame(100, 5)


@pytest.fixture
def b():
    return frame(30, 3)


@pytest.fixture
def flat():
    return frame(1, 0.02, unit="")


# -- the two lines that are tests ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_frame_less_itself_is_exactly_zero(dtype):
    a = frame(100, 5, dtype=dtype)
    for difference in (a - a, a - a.copy(), a - 1 * a, 2 * a - a - a, (a + 5 * a.unit) - a, a / 2 - a * 0.5, -a + a):
        assert not difference.variance.any()
    assert (a / a).variance.max() < 1e-30 + 1e-12 * (dtype == np.float32)


def test_what_is_subtracted_and_added_again_leaves_no_noise(a, b, flat):
    for there_and_back in ((a - b) + b, (a + b) - b, b + (a - b), a - (b - b), a + 0 * b):
        np.testing.assert_allclose(there_and_back.variance, 25, rtol=1e-13)
    for there_and_back in ((a / flat) * flat, (a * flat) / flat, a * (flat / flat), a / (1 / flat) / flat):
        np.testing.assert_allclose(there_and_back.variance, 25, rtol=1e-12)
        assert there_and_back.unit == a.unit
        np.testing.assert_allclose(covariance(there_and_back, a), 25, rtol=1e-12)
        np.testing.assert_allclose(covariance(there_and_back, flat), 0, atol=1e-12)


# -- rules of propagation against draws ---------------------------------------------------------------------------

MEANS = {"a": 1000.0, "b": 300.0, "c": 2.0}
SIGMAS = {"a": 5.0, "b": 2.0, "c": 0.01}
CHAINS = {
    "a + b": lambda a, b, _: a + b,
    "a b": lambda a, b, _: a * b,
    "a / b": lambda a, b, _: a / b,
    "a a": lambda a, _b, _c: a * a,
    "a b / c": lambda a, b, c: a * b / c,
    "(a - b) / c": lambda a, b, c: (a - b) / c,
    "a / c - b / c": lambda a, b, c: a / c - b / c,
    "(a - b) / (a + b)": lambda a, b, _: (a - b) / (a + b),
    "(a / b) (b / a) a": lambda a, b, _: (a / b) * (b / a) * a,
    "(a / c - 0.5 b) / c + 3 b": lambda a, b, c: (a / c - 0.5 * b) / c + 3 * b,
    "2 (a - b / 3) c / (c + 1)": lambda a, b, c: 2 * (a - b / 3) * c / (c + 1),
    "7 / (a - 2 b)": lambda a, b, _: 7 / (a - 2 * b),
    "array - a": lambda a, b, _: np.full(np.shape(a), 500.0) - a + b,
    "((a / c) + 5) / c - a": lambda a, _, c: ((a / c) + 5) / c - a,
    "(a / c + array) / c": lambda a, _, c: (a / c + np.full(np.shape(a), 200.0)) / c,
    "-(a - b) c": lambda a, b, c: -(a - b) * c,
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_chain_scatters_as_predicted(chain):
    rng = np.random.default_rng(17)
    draws = {name: rng.normal(MEANS[name], SIGMAS[name], 400_000) for name in MEANS}
    scattered = chain(*draws.values())
    frames = [
        CCDFrame(np.full((1, 2), MEANS[name]), unit="", uncertainty=np.full((1, 2), SIGMAS[name])) for name in MEANS
    ]
    result = chain(*frames)
    np.testing.assert_allclose(result.data, chain(*MEANS.values()), rtol=1e-13)
    assert_scatters_as_predicted(scattered - scattered.mean(), result.variance[0, 0])


def test_quotient_is_good_to_one_percent_while_the_divisor_is_known_to_five():
    rng = np.random.default_rng(18)
    scattered = rng.normal(100, 1, 1_000_000) / rng.normal(1, 0.04, 1_000_000)
    one = CCDFrame(np.full((1, 1), 100.0), unit="", uncertainty=np.full((1, 1), 1.0))
    other = CCDFrame(np.full((1, 1), 1.0), unit="", uncertainty=np.full((1, 1), 0.04))
    assert np.sqrt((one / other).variance[0, 0]) / scattered.std() == pytest.approx(1, abs=0.01)


def test_pixels_with_zeros_are_multiplied():
    # dz/db = a and dz/da = b, also where one of them is zero and z / b is not defined.
    a = CCDFrame(np.array([[0.0, 2.0, 0.0]]), unit="", uncertainty=np.array([[0.1, 0.1, 0.1]]))
    b = CCDFrame(np.array([[5.0, 0.0, 0.0]]), unit="", uncertainty=np.array([[0.3, 0.3, 0.3]]))
    np.testing.assert_allclose((a * b).variance, [[0.01 * 25, 0.09 * 4, 0]], rtol=1e-13)
    np.testing.assert_allclose((b * a).variance, [[0.01 * 25, 0.09 * 4, 0]], rtol=1e-13)
    c = frame(3, 0.1, unit="", shape=(1, 3))
    expected = ((a * b) * c).variance
    np.testing.assert_allclose(expected, (a * (b * c)).variance, rtol=1e-13)
    np.testing.assert_allclose(expected, (c * b * a).variance, rtol=1e-13)


def test_division_by_zero_is_infinite_at_that_pixel_alone():
    a = CCDFrame(np.array([[6.0, 6.0]]), unit="", uncertainty=np.array([[1.0, 1.0]]))
    flat = CCDFrame(np.array([[0.0, 2.0]]), unit="", uncertainty=np.array([[0.1, 0.1]]))
    with np.errstate(divide="ignore"):
        result = a / flat
    assert not np.isfinite(result.variance[0, 0])
    assert result.variance[0, 1] == pytest.approx(1 / 4 + (6 * 0.1 / 4) ** 2)


# -- noise-model.md section 5, number 1 ---------------------------------------------------------------------------

EXPECTED = pytest.mark.parametrize(
    ("ratio", "shared", "independent"), [(1.0, 5.39, 6.86), (2.0, 7.07, 9.27), (1 / 3, 5.43, 5.95)]
)


@EXPECTED
def test_dark_and_frame_share_the_bias_subtracted_from_both(ratio, shared, independent):
    raw, dark, bias, other_bias = (frame(v, s) for v, s in ((1000, 5), (400, 2), (300, 3), (300, 3)))
    for result in (
        raw - bias - ratio * (dark - bias),
        raw - (bias + ratio * (dark - bias)),
        (raw - ratio * dark) - (1 - ratio) * bias,
    ):
        np.testing.assert_allclose(np.sqrt(result.variance), shared, atol=0.005)
    naive = raw - bias - ratio * (dark - other_bias)
    np.testing.assert_allclose(np.sqrt(naive.variance), independent, atol=0.005)


@EXPECTED
def test_ccdproc_as_it_is_gives_the_same(ratio, shared, independent):
    raw, dark, bias, other_bias = (frame(v, s) for v, s in ((1000, 5), (400, 2), (300, 3), (300, 3)))
    times = {"data_exposure": ratio * 30 * u.s, "dark_exposure": 30 * u.s, "scale": True}
    for master, sigma in ((bias, shared), (other_bias, independent)):
        net = ccdproc.subtract_bias(raw, bias)
        result = ccdproc.subtract_dark(net, ccdproc.subtract_bias(dark, master), **times)
        assert type(result) is CCDFrame
        np.testing.assert_allclose(np.sqrt(result.variance), sigma, atol=0.005)


@pytest.mark.parametrize("min_value", [None, 0.5])
def test_ccdproc_flat_and_gain_correction_as_they_are(a, min_value):
    gain = 1.5 * u.electron / u.adu
    raw = CCDFrame(a.data, unit="adu", uncertainty=a.uncertainty.array**0.5)
    electrons = ccdproc.gain_correct(raw, gain)
    assert electrons.unit == u.electron
    np.testing.assert_allclose(electrons.variance, 25 * 2.25, rtol=1e-13)
    assert not (electrons - gain_correct(raw, gain)).variance.any()
    flat = frame(5000, 50)
    result = ccdproc.flat_correct(electrons, flat, min_value=min_value)
    assert type(result) is CCDFrame
    divisor = flat.data / flat.data.mean()
    relative = 25 / a.data**2 + 50**2 / flat.data**2
    np.testing.assert_allclose(result.data, electrons.data / divisor, rtol=1e-13)
    np.testing.assert_allclose(result.variance, result.data**2 * relative, rtol=1e-12)


def test_stack_of_frames_under_one_bias_by_operators():
    # noise-model.md section 5, number 3: 25 frames of sigma 5 less one master of sigma 5 or 1.
    for sigma, expected in ((5, 5.10), (1, 1.414)):
        master = frame(300, sigma)
        total = sum((frame(1000, 5) - master for _ in range(24)), start=frame(1000, 5) - master)
        np.testing.assert_allclose(np.sqrt((total / 25).variance), expected, atol=0.005)


def test_whole_chain_scatters_as_predicted():
    """Independent raw frames through overscan (a row at a time), bias, scaled dark and flat; then a sum over pixels."""
    rng = np.random.default_rng(21)
    shape, number, ratio, sky = (6, 8), 12_000, 0.5, 400.0
    sensitivity = rng.uniform(0.7, 1.3, shape)
    rows = rng.normal(0, 1.5, (number, 6, 1))
    bias, dark = rng.normal(300, 1, (number, *shape)), rng.normal(20, 1.2, (number, *shape))
    flat = sensitivity * rng.normal(1, 0.01, (number, *shape))
    raw = bias * 0 + 300 + ratio * 20 + sky * sensitivity + rng.normal(0, 4, (number, *shape)) + rows
    reduced = (raw - bias - ratio * (dark - (bias - 300))) / flat
    weights = np.full(shape, -4 / 44)
    weights[2:4, 3:5] = 1
    sums = np.einsum("nij,ij->n", reduced, weights)

    def known(value, sigma, unit="electron"):
        return CCDFrame(np.broadcast_to(value, shape).copy(), unit=unit, uncertainty=np.full(shape, sigma))

    frame_ = known(300 + ratio * 20 + sky * sensitivity, 4.0)
    overscan = NoiseSource("overscan", 1.5**2, axes=(0,))
    level = CCDFrame(np.zeros(shape), unit="electron", budget=UncertaintyBudget(shape, [(overscan, 1.0)]))
    master = known(300.0, 1.0)
    divisor = CCDFrame(sensitivity, unit="", uncertainty=sensitivity * 0.01)
    image = (frame_ + level - master - ratio * (known(20.0, 1.2) - (master - 300 * u.electron))) / divisor
    assert_scatters_as_predicted(reduced - reduced.mean(axis=0), image.variance)
    assert_scatters_as_predicted(sums - sums.mean(), image.budget.variance_of_sum(weights), tolerance=0.02)
    assert sum(image.budget.variances_of_sum(weights).values()) == pytest.approx(image.budget.variance_of_sum(weights))


# -- what holds for any frames ------------------------------------------------------------------------------------

numbers = st.floats(-3, 3).filter(lambda value: abs(value) > 1e-3)
sigmas = st.floats(0.01, 10)


@given(p=numbers, q=numbers, s=sigmas, t=sigmas)
def test_linear_combinations(p, q, s, t):
    a, b = frame(100, s, seed=1), frame(50, t, seed=2)
    combined = p * a + q * b
    np.testing.assert_allclose(combined.variance, p**2 * s**2 + q**2 * t**2, rtol=1e-9)
    np.testing.assert_allclose(covariance(combined, a), p * s**2, rtol=1e-9)
    np.testing.assert_allclose((p * a + q * a).variance, ((p + q) * a).variance, rtol=1e-9, atol=1e-12 * s**2)
    np.testing.assert_allclose((combined - q * b - p * a).variance, 0, atol=1e-12)


@pytest.mark.long
@given(st.permutations(range(5)), st.lists(numbers, min_size=5, max_size=5))
def test_sums_in_any_order_are_the_same_noise(order, factors):
    frames = [factor * frame(10 * i, i + 1, seed=i) for i, factor in enumerate(factors)]
    forwards = frames[0] + frames[1] + frames[2] + frames[3] + frames[4]
    shuffled = [frames[i] for i in order]
    grouped = (shuffled[0] + (shuffled[1] + shuffled[2])) + (shuffled[3] + shuffled[4])
    np.testing.assert_allclose(grouped.variance, forwards.variance, rtol=1e-12)
    np.testing.assert_allclose((grouped - forwards).variance, 0, atol=1e-10)


any_slice = st.builds(slice, *[st.none() | st.integers(-5, 5)] * 2, st.sampled_from([None, 1, 2, -1, -2]))


@pytest.mark.long
@given(chain=st.sampled_from(sorted(CHAINS)), rows=any_slice, columns=any_slice)
def test_cut_before_or_after_is_the_same(chain, rows, columns):
    frames = [frame(MEANS[name], SIGMAS[name], unit="", seed=seed) for seed, name in enumerate(MEANS)]
    after = CHAINS[chain](*frames)[rows, columns]
    before = CHAINS[chain](*(one[rows, columns] for one in frames))
    np.testing.assert_allclose(after.data, before.data, rtol=1e-12)
    np.testing.assert_allclose(after.variance, before.variance, rtol=1e-12)
    np.testing.assert_allclose((after - before).variance, 0, atol=1e-9 * np.max(before.variance, initial=0))
    for one in frames:
        cut = one[rows, columns]
        expected = covariance(before, cut)
        np.testing.assert_allclose(covariance(after, cut), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.long
@given(
    chain=st.sampled_from(sorted(CHAINS)), factor=numbers, power=st.sampled_from([1, -1]), offset=st.floats(-100, 100)
)
def test_scaling_and_shifting_after_the_chain(chain, factor, power, offset):
    frames = [frame(MEANS[name], SIGMAS[name], unit="", seed=seed) for seed, name in enumerate(MEANS)]
    result = CHAINS[chain](*frames)
    changed = result * factor if power == 1 else result / factor
    np.testing.assert_allclose((changed + offset).variance, factor ** (2 * power) * result.variance, rtol=1e-9)
    for one in frames:
        np.testing.assert_allclose(
            covariance(offset - changed, one), -(factor**power) * covariance(result, one), rtol=1e-7, atol=1e-9
        )
