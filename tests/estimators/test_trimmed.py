from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from astro_calib.estimators import median_variance_factor, trimmed_mean_variance_factor

# Covariances of the order statistics of five standard normal values (Sarhan & Greenberg 1956, Ann. Math. Statist. 27,
# 427).
COVARIANCES_OF_FIVE = np.array(
    [
        [0.44753, 0.22433, 0.14815, 0.10577, 0.07422],
        [0.22433, 0.31152, 0.20844, 0.14994, 0.10577],
        [0.14815, 0.20844, 0.28683, 0.20844, 0.14815],
        [0.10577, 0.14994, 0.20844, 0.31152, 0.22433],
        [0.07422, 0.10577, 0.14815, 0.22433, 0.44753],
    ]
)


@pytest.mark.parametrize(("lowest", "highest"), [(low, high) for low in range(5) for high in range(5 - low)])
def test_trimmed_mean_of_five_by_published_covariances(lowest, highest):
    left = COVARIANCES_OF_FIVE[lowest : 5 - highest, lowest : 5 - highest]
    expected = left.sum() / len(left)
    assert trimmed_mean_variance_factor(5, lowest, highest) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("number", "lowest", "highest", "mean", "mean_square"),
    [
        (2, 1, 0, 1 / math.sqrt(math.pi), 1),
        (3, 2, 0, 1.5 / math.sqrt(math.pi), 1 + math.sqrt(3) / (2 * math.pi)),
        (3, 1, 1, 0, 1 - math.sqrt(3) / math.pi),
        (4, 3, 0, 6 * math.atan(math.sqrt(2)) / math.pi**1.5, 1 + math.sqrt(3) / math.pi),
        (4, 2, 1, (6 - 18 * math.atan(math.sqrt(2)) / math.pi) / math.sqrt(math.pi), 1 - math.sqrt(3) / math.pi),
    ],
)
def test_one_that_is_left_has_its_analytic_variance(number, lowest, highest, mean, mean_square):
    # Jones 1948, Ann. Math. Statist. 19, 270.
    expected = mean_square - mean**2
    assert trimmed_mean_variance_factor(number, lowest, highest) == pytest.approx(expected, abs=1e-9)
    assert trimmed_mean_variance_factor(number, highest, lowest) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("number", [3, 4, 9, 10, 101, 200, 100_001])
def test_the_middle_that_is_left_is_the_median(number):
    trimmed = (number - 1) // 2
    of_the_mean = number / (number - 2 * trimmed)
    factor = of_the_mean * trimmed_mean_variance_factor(number, trimmed, trimmed)
    assert factor == pytest.approx(median_variance_factor(number), abs=1e-9)


def test_median_of_three_has_its_published_factor():
    assert 3 * trimmed_mean_variance_factor(3, 1, 1) == pytest.approx(1.34601, abs=5e-6)


def variance_of_order_statistic(number, below):
    """By adaptive integration over its density."""
    scale = special.beta(below + 1, number - below)

    def moment(power):
        def integrand(x):
            density = special.ndtr(x) ** below * special.ndtr(-x) ** (number - below - 1) / scale
            return x**power * density * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

        return integrate.quad(integrand, -9, 9, points=[special.ndtri((below + 1) / (number + 1))], epsabs=1e-12)[0]

    assert moment(0) == pytest.approx(1, abs=1e-10)
    return moment(2) - moment(1) ** 2


@pytest.mark.parametrize(("number", "lowest"), [(12, 3), (40, 0), (200, 150), (200, 198)])
def test_one_that_is_left_is_an_order_statistic(number, lowest):
    factor = trimmed_mean_variance_factor(number, lowest, number - lowest - 1)
    assert factor == pytest.approx(variance_of_order_statistic(number, lowest), abs=1e-8)


@pytest.mark.parametrize("number", [2, 10, 50, 200])
def test_leaving_out_the_highest(number):
    # The covariance of an order statistic with the sum is 1: var(sum - x_N) = N - 2 + var(x_N).
    expected = (number - 2 + variance_of_order_statistic(number, number - 1)) / (number - 1)
    assert trimmed_mean_variance_factor(number, 0, 1) == pytest.approx(expected, abs=1e-8)
    assert trimmed_mean_variance_factor(number, 1, 0) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("number", "lowest", "highest"),
    [(4, 1, 0), (6, 1, 2), (10, 1, 1), (10, 0, 4), (25, 3, 7), (30, 27, 1), (60, 2, 5), (80, 20, 0), (120, 30, 60)],
)
def test_trimmed_mean_scatters_as_predicted(number, lowest, highest, scatter_of_blocks, assert_agrees):
    def factor(generator):
        sample = np.sort(generator.normal(size=(max(50_000 // number, 4000), number)), axis=1)
        left = sample[:, lowest : number - highest]
        return left.shape[1] * left.mean(axis=1).var(ddof=1)

    assert_agrees(scatter_of_blocks(factor), trimmed_mean_variance_factor(number, lowest, highest), 0.02)


@pytest.mark.parametrize(("lowest", "highest"), [(0.1, 0.1), (0.25, 0.25), (0, 0.2), (0.05, 0.6)])
def test_trimmed_mean_of_many_has_the_variance_of_its_influence_function(lowest, highest):
    # That of the Winsorised value, over the fraction left (Huber 1981, Robust Statistics, section 3.3).
    a, b = stats.norm.ppf(lowest), stats.norm.isf(highest)
    inside = stats.norm.expect(lambda x: x, lb=a, ub=b), stats.norm.expect(lambda x: x**2, lb=a, ub=b)
    ends = [(fraction, end) for fraction, end in ((lowest, a), (highest, b)) if fraction > 0]
    first, second = (inside[power - 1] + sum(fraction * end**power for fraction, end in ends) for power in (1, 2))
    expected = (second - first**2) / (1 - lowest - highest)
    number = 10**6
    factor = trimmed_mean_variance_factor(number, round(lowest * number), round(highest * number))
    assert factor == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("number", "lowest", "highest"), [(7, 1, 3), (50, 0, 9), (200, 12, 100), (1000, 1, 998)])
def test_ends_can_be_exchanged(number, lowest, highest):
    factor = trimmed_mean_variance_factor(number, lowest, highest)
    assert factor == pytest.approx(trimmed_mean_variance_factor(number, highest, lowest), abs=1e-8)


@pytest.mark.parametrize("number", [1, 2, 10, 1000])
def test_nothing_left_out_is_the_mean(number):
    assert trimmed_mean_variance_factor(number, 0, 0) == 1


@pytest.mark.parametrize(("number", "lowest", "highest"), [(1, 1, 0), (2, 1, 1), (5, 0, 5), (5, 4, 3)])
def test_one_value_must_be_left(number, lowest, highest):
    with pytest.raises(
        ValueError, match=rf"of {number} values the {lowest} lowest and {highest} highest .*; expected one or more left"
    ):
        trimmed_mean_variance_factor(number, lowest, highest)


@pytest.mark.parametrize("wrong", [-1, 1.5, "1", None])
def test_numbers_must_be_integers(wrong):
    for arguments, name in (
        ((wrong, 0, 0), "values is .* at least 1"),
        ((9, wrong, 0), "lowest values left out is .* at least 0"),
        ((9, 0, wrong), "highest values left out is .* at least 0"),
    ):
        with pytest.raises(ValueError, match=f"number of {name}"):
            trimmed_mean_variance_factor(*arguments)
