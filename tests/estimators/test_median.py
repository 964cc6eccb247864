from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special

from astro_calib.estimators import (
    median_probabilities,
    median_variance,
    median_variance_exact,
    median_variance_factor,
    median_variance_factors,
)

# ---- median of equal sigmas


@pytest.mark.parametrize(
    ("number", "published"),
    [
        (2, 1), (3, 1.3460), (4, 1.1928), (5, 1.4342), (6, 1.2885), (7, 1.4731), (8, 1.3455), (9, 1.4949),
        (10, 1.3833), (15, 1.5254), (25, 1.5437),
    ],
)  # fmt: skip
def test_median_has_the_published_factors(number, published):
    assert median_variance_factor(number) == pytest.approx(published, abs=1e-4)


def test_median_of_three_has_its_analytic_variance():
    assert median_variance_factor(3) == pytest.approx(3 * (1 - math.sqrt(3) / math.pi), abs=1e-10)


@pytest.mark.parametrize("number", [1, 2])
def test_median_of_one_or_two_is_the_mean(number):
    assert median_variance_factor(number) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("number", [20, 50, 100])
def test_median_of_an_even_number_by_the_order_statistics_of_uniform_values(number):
    half = number // 2

    def integrand(upper, lower):
        median = (special.ndtri(lower) + special.ndtri(upper)) / 2
        ends = (half - 1) * (math.log(lower) + math.log1p(-upper))
        return median**2 * math.exp(special.gammaln(number + 1) - 2 * special.gammaln(half) + ends)

    reach = 3.2 / math.sqrt(number)  # more than six standard deviations of the median
    low, high = max(0.5 - reach, 1e-6), min(0.5 + reach, 1 - 1e-6)
    variance, _ = integrate.dblquad(integrand, low, high, lambda lower: lower, lambda _: high, epsabs=1e-7, epsrel=1e-6)
    assert median_variance_factor(number) == pytest.approx(number * variance, abs=1e-5)


@pytest.mark.parametrize("number", [4, 5, 30, 75])
def test_median_scatters_as_predicted(number, scatter_of_blocks, assert_agrees):
    def variance_of_medians(generator):
        return number * np.median(generator.normal(size=(4000, number)), axis=1).var(ddof=1)

    assert_agrees(scatter_of_blocks(variance_of_medians), median_variance_factor(number), 0.02)


def test_median_of_many_tends_to_half_pi():
    # pi / 2 (1 - (4 - pi) / 2N) for odd N; that of N - 1 is as good (Hodges & Lehmann 1967, JASA 62, 926).
    number = 10_001
    second_order = math.pi / 2 * (1 - (4 - math.pi) / (2 * number))
    assert median_variance_factor(number) == pytest.approx(second_order, abs=1e-7)
    even = median_variance_factor(number - 1) / (number - 1)
    assert even == pytest.approx(second_order / number, rel=1e-7)
    assert median_variance_factor(10**6) == pytest.approx(math.pi / 2, abs=1e-5)


def test_factors_are_looked_up_by_number():
    factors = median_variance_factors(30)
    assert factors.shape == (31,)
    assert factors.dtype == np.float64
    assert np.isnan(factors[0])
    np.testing.assert_allclose(factors[[1, 2, 3, 10, 25]], [1, 1, 1.3460, 1.3833, 1.5437], atol=1e-4)


def test_factor_times_sample_scatter_estimates_the_variance(scatter_of_blocks, assert_agrees):
    def variance_and_estimate(generator):
        sample = generator.normal(size=(20000, 5))
        estimate = median_variance_factor(5) * sample.var(axis=1, ddof=1) / 5
        return np.median(sample, axis=1).var(ddof=1) / estimate.mean()

    assert_agrees(scatter_of_blocks(variance_and_estimate), 1, 0.01)


# ---- median of unequal sigmas


@pytest.fixture
def simulated_median(scatter_of_blocks):
    """Function: variance of the median, and how often each value is in the middle, with standard errors."""

    def simulated(sigmas):
        number = len(sigmas)

        def statistic(generator):
            sample = generator.normal(size=(20000, number)) * sigmas
            order = np.argsort(sample, axis=1)
            middle = np.concatenate([order[:, (number - 1) // 2], order[:, number // 2]])
            variance = np.median(sample, axis=1).var(ddof=1)
            return np.array([variance, *np.bincount(middle, minlength=number) / len(middle)])

        mean, error = scatter_of_blocks(statistic)
        return (mean[0], error[0]), (mean[1:], error[1:])

    return simulated


def test_one_one_three_has_the_published_variances():
    assert median_variance([1, 1, 3]) == pytest.approx(0.742, abs=5e-4)
    assert median_variance_exact([1, 1, 3])[0] == pytest.approx(0.761, abs=5e-4)


@pytest.mark.parametrize("sigmas", [[1, 1, 3], [1, 1, 1, 5], [1, 2, 3, 4, 5], [0.1, 1, 2, 3, 4, 10]])
def test_exact_variance_and_probabilities_agree_with_simulation(sigmas, simulated_median, assert_agrees):
    simulated_variance, simulated_probabilities = simulated_median(sigmas)
    variance, probabilities = median_variance_exact(sigmas)
    assert_agrees(simulated_variance, variance, 0.02)
    assert_agrees(simulated_probabilities, probabilities, 0.03)
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("number", [1, 2, 3, 8, 25, 60])
def test_exact_variance_of_equal_sigmas_is_that_of_the_order_statistics(number):
    variance, probabilities = median_variance_exact([2.0] * number)
    assert variance == pytest.approx(4 * median_variance_factor(number) / number, rel=1e-9)
    np.testing.assert_allclose(probabilities, 1 / number, rtol=1e-9)


def test_exact_variance_of_two_is_that_of_their_mean():
    variance, probabilities = median_variance_exact([0.01, 100.0])
    assert variance == pytest.approx((0.01**2 + 100**2) / 4, rel=1e-9)
    np.testing.assert_allclose(probabilities, 0.5, rtol=1e-9)


def test_exact_variance_with_a_useless_value():
    # It is at one end, so that the median is the lower or the higher of the others: E[x^2] = 1.
    variance, probabilities = median_variance_exact([1.0, 1.0, 1e7])
    assert variance == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(probabilities, [0.5, 0.5, 0], atol=1e-6)


def test_exact_variance_with_an_exact_value():
    # Half of the time it is in the middle, and else the one nearer to it: E[min(x^2, y^2)] = 1 - 2 / pi.
    variance, probabilities = median_variance_exact([1e-7, 1.0, 1.0])
    assert variance == pytest.approx((1 - 2 / math.pi) / 2, abs=1e-6)
    np.testing.assert_allclose(probabilities, [0.5, 0.25, 0.25], atol=1e-6)


@pytest.mark.parametrize(
    "sigmas",
    [[1, 1, 1.5], [1, 1.5, 1.5], [1, 1, 1, 1.5], [1, 1, 1.5, 1.5], [1, 1.5, 1.5, 1.5], [1] * 5 + [1.5] * 5],
)
def test_formula_at_a_ratio_of_one_and_a_half_is_as_good_as_documented(sigmas, simulated_median, assert_agrees):
    simulated_variance, simulated_probabilities = simulated_median(sigmas)
    exact, probabilities = median_variance_exact(sigmas)
    assert_agrees(simulated_variance, exact, 0.02)
    assert_agrees(simulated_probabilities, probabilities, 0.03)
    assert -0.034 < median_variance(sigmas) / exact - 1 < 0
    np.testing.assert_allclose(median_probabilities(sigmas), probabilities, rtol=0.11)


@pytest.mark.parametrize(
    ("number", "sharpest", "ratio"),
    [(3, 1, 1.6), (4, 2, 1.6), (6, 2, 1.8), (8, 2, 2.0), (10, 2, 2.1), (15, 3, 2.6)],
)
def test_formula_errs_by_nearly_five_percent_at_the_documented_ratios(number, sharpest, ratio):
    # The mixtures that are worst at these ratios.
    sigmas = [1.0] * sharpest + [ratio] * (number - sharpest)
    assert 0.04 < 1 - median_variance(sigmas) / median_variance_exact(sigmas)[0] < 0.05


def test_median_variance_of_two_frames_is_that_of_their_mean():
    # The general formula would give 1.125.
    assert median_variance([1.0, 3.0]) == pytest.approx((1 + 9) / 4)
    np.testing.assert_allclose(median_probabilities([1.0, 3.0]), [0.5, 0.5])


def test_median_variance_leaves_out_masked_values_and_nan():
    sigmas = np.array([[2.0, 2.0, np.nan, 1.0], [2.0, 2.0, 3.0, 1.0], [2.0, 0.0, np.nan, 1.0]])
    mask = np.zeros(sigmas.shape, dtype=bool)
    mask[2, 1] = True
    mask[:, 3] = True
    before = sigmas.copy()
    np.testing.assert_allclose(median_variance(sigmas, mask), [4 * 1.3460 / 3, 2, 9, np.nan], rtol=1e-4)
    probabilities = median_probabilities(sigmas, mask)
    third = 1 / 3
    np.testing.assert_allclose(probabilities, [[third, 0.5, 0, 0], [third, 0.5, 1, 0], [third, 0, 0, 0]], rtol=1e-12)
    np.testing.assert_array_equal(sigmas, before)


def test_one_sigma_a_frame_is_broadcast_against_a_mask():
    mask = np.zeros((3, 2, 4), dtype=bool)
    mask[2, 0, 0] = True
    variance = median_variance(np.ones((3, 1, 1)), mask)
    assert variance.shape == (2, 4)
    assert variance[0, 0] == pytest.approx(0.5)
    np.testing.assert_allclose(variance[1], 1 - math.sqrt(3) / math.pi, rtol=1e-9)
    assert median_probabilities(np.ones((3, 1, 1)), mask).shape == (3, 2, 4)


@pytest.mark.parametrize(("given", "expected"), [("f4", "f4"), ("f8", "f8"), ("i4", "f8")])
def test_dtype_of_sigmas_is_kept(given, expected):
    sigmas = np.array([[1, 2], [1, 2], [1, 2]], dtype=given)
    assert median_variance(sigmas).dtype == np.dtype(expected)
    assert median_probabilities(sigmas).dtype == np.dtype(expected)


# ---- what is refused


@pytest.mark.parametrize("number", [0, -3, 2.5, "3", None])
@pytest.mark.parametrize("function", [median_variance_factor, median_variance_factors])
def test_number_of_values_must_be_a_positive_integer(function, number):
    with pytest.raises(ValueError, match=r"number of values is .*; expected an integer of at least 1"):
        function(number)


@pytest.mark.parametrize("function", [median_variance, median_probabilities])
def test_sigmas_must_be_positive_and_finite(function):
    for wrong in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match=rf"frame 1 has a sigma of {wrong}; expected a positive, finite number"):
            function([[1.0, 1.0], [1.0, wrong]])
    for empty in (3.0, []):
        with pytest.raises(ValueError, match=r"expected \(n, \.\.\.\), with the frames along the first axis"):
            function(empty)


@pytest.mark.parametrize("sigmas", [[], [1.0, 0.0], [1.0, math.nan], [[1.0, 2.0]], 3.0])
def test_exact_variance_takes_a_list_of_positive_numbers(sigmas):
    with pytest.raises(ValueError, match="expected a list of positive, finite numbers"):
        median_variance_exact(sigmas)
