from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from astro_calib.estimators import clipped, clipped_mean_variance_factor


@pytest.mark.parametrize(
    ("k", "number", "published"),
    [
        (2, 5, 1.275), (2, 10, 1.248), (2, 20, 1.243), (2.5, 5, 1.130), (2.5, 10, 1.106), (2.5, 20, 1.103),
        (3, 5, 1.050), (3, 10, 1.038), (3, 20, 1.030), (4, 5, 1.004), (4, 10, 1.002), (4, 20, 1.00),
    ],
)  # fmt: skip
def test_clipped_mean_has_the_published_factors(k, number, published):
    assert clipped_mean_variance_factor(number, k) == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize(
    ("number", "lower", "upper"),
    [
        (2, 1, 1), (3, 2, 2), (4, 2, 2), (4, 0.5, 0.5), (5, 1.5, 1.5), (6, 0.7, 0.7), (9, 2.5, 2.5), (12, 3, 3),
        (101, 2, 2),
        (3, 2, 1), (3, 1, math.inf), (4, 0.5, 1.2), (4, 1.2, 0.5), (6, 0.2, 0.7), (9, 1.5, 3),
        (20, 4, 2), (50, 1, 2),
    ],
)  # fmt: skip
def test_clipped_mean_scatters_as_predicted(number, lower, upper, scatter_of_blocks, assert_agrees):
    def factor(generator):
        sample = generator.normal(size=(max(50_000 // number, 4000), number))
        deviation = sample - np.median(sample, axis=1, keepdims=True)
        used = (deviation >= -lower) & (deviation <= upper)
        if number == 2:
            used |= deviation < 0
        used |= ~used.any(axis=1, keepdims=True) & (deviation < 0)
        survivors = used.sum(axis=1)
        mean = np.sum(sample, axis=1, where=used) / survivors
        return mean.var(ddof=1) / np.mean(1 / survivors)

    assert_agrees(scatter_of_blocks(factor), clipped_mean_variance_factor(number, lower, upper), 0.02)


@pytest.mark.parametrize("k", [0.3, 1, 2])
def test_clipped_mean_of_two_loses_only_the_higher(k):
    # The mean m and half the distance t, which is half normal, are independent; where t > k, m - t is left.
    distance = stats.halfnorm(scale=math.sqrt(0.5))
    lost = distance.sf(k)
    shift, shift_squared = (distance.expect(lambda t, power=power: t**power, lb=k) for power in (1, 2))
    expected = (0.5 + shift_squared - shift**2) / (0.5 * (1 - lost) + lost)
    assert clipped_mean_variance_factor(2, k) == pytest.approx(expected, abs=1e-7)
    for lower in (0.1, 1.5, math.inf):
        assert clipped_mean_variance_factor(2, lower, k) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("number", [3, 4, 25, 40, 1000])
def test_thresholds_can_be_exchanged(number):
    # The values could as well be counted from the top, where the middle two of an even number are never both rejected.
    assert clipped_mean_variance_factor(number, 6, 1.7) == pytest.approx(
        clipped_mean_variance_factor(number, 1.7, 6), abs=1e-9
    )


def test_clipped_mean_of_three_without_the_highest():
    # With the lower k infinite and a k so small that the highest of three always goes, the lower two are left. By the
    # covariances of order statistics (Jones 1948, Ann. Math. Statist. 19, 270), cov(x_i, x_1 + x_2 + x_3) = 1 and
    # var(x_3) = 1 - (9 - 2 sqrt 3) / 4 pi, so that var(x_1 + x_2) = 3 - 2 + var(x_3).
    expected = (2 - (9 - 2 * math.sqrt(3)) / (4 * math.pi)) / 2
    assert clipped_mean_variance_factor(3, math.inf, 1e-7) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("lower", "upper"), [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (1.0, 2.0), (3.0, 1.5), (0.5, 8.0)])
def test_clipped_mean_of_many_has_the_variance_of_its_influence_function(lower, upper):
    def inside(center):
        return stats.truncnorm(center - lower, center + upper)

    kept = stats.norm.cdf(upper) - stats.norm.cdf(-lower)
    mean = inside(0).mean()
    # By this much the mean of what is inside moves with the centre; x moves the median by sqrt(pi / 2).
    step = 1e-4
    moved = (inside(step).mean() - inside(-step).mean()) / (2 * step)

    def squared_influence(x):
        influence = (x - mean) / kept * (-lower <= x <= upper)
        influence += moved * math.copysign(math.sqrt(math.pi / 2), x)
        return influence**2 * stats.norm.pdf(x)

    ends = [-12, -lower, 0, upper, 12]
    variance = sum(integrate.quad(squared_influence, *panel)[0] for panel in itertools.pairwise(ends))
    assert clipped_mean_variance_factor(10**8, lower, upper) == pytest.approx(kept * variance, abs=1e-6)


@pytest.mark.parametrize("upper", [1.5, 2.5])
@pytest.mark.parametrize("number", [161, 300])
def test_clipped_mean_of_many_continues_what_is_summed(number, upper, monkeypatch):
    carried = clipped_mean_variance_factor(number, 1.5, upper)
    monkeypatch.setattr(clipped, "LARGEST_SUMMED", 400)
    # Not one of the thresholds asked for elsewhere: results are kept.
    assert clipped_mean_variance_factor(number, 1.5 + 1e-9, upper) == pytest.approx(carried, abs=2e-5)


@pytest.mark.parametrize("number", [1, 2, 3, 10, 25, 1000])
def test_rejection_that_never_rejects_is_the_mean(number):
    assert clipped_mean_variance_factor(number, 9.0) == pytest.approx(1, abs=1e-10)
    assert clipped_mean_variance_factor(number, 9.0, 9.5) == pytest.approx(1, abs=1e-10)
    assert clipped_mean_variance_factor(number, math.inf) == 1
    assert clipped_mean_variance_factor(number, math.inf, 20.0) == 1


@pytest.mark.parametrize("thresholds", [(0.5,), (3,), (0.5, 3)])
def test_single_value_is_never_rejected(thresholds):
    assert clipped_mean_variance_factor(1, *thresholds) == 1


@pytest.mark.parametrize("number", [0, -3, 2.5, "3", None])
def test_number_of_values_must_be_a_positive_integer(number):
    with pytest.raises(ValueError, match=r"number of values is .*; expected an integer of at least 1"):
        clipped_mean_variance_factor(number, 3)


@pytest.mark.parametrize("k", [0, -1.0, math.nan])
def test_thresholds_must_be_positive(k):
    with pytest.raises(ValueError, match=r"threshold k is .*; expected a positive number"):
        clipped_mean_variance_factor(5, k)
    with pytest.raises(ValueError, match=r"threshold k_upper is .*; expected a positive number"):
        clipped_mean_variance_factor(5, 3, k)
