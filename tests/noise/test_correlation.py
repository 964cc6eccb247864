"""Sums over pixels of correlated noise, against the whole matrix of covariances."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import Correlation, NoiseSource, UncertaintyBudget
from astro_calib.errors import NoiseWarning
from tests.correlated_fields import (
    CASES,
    aperture_less_annulus,
    autocovariance,
    covariance_matrix,
    level_of,
    places,
    variance_of_map,
)

SHAPE = (9, 12)


def budget_of(case, coefficient=1.0, variance=4.0, shape=SHAPE):
    source = NoiseSource("read noise", variance, correlation=Correlation(*CASES[case]))
    return UncertaintyBudget(shape, [(source, coefficient)])


def form(case, weights, rows=None, columns=None):
    """The variance of a sum of noise of sigma 2 by its matrix."""
    rows, columns = places(weights.shape) if rows is None else (rows, columns)
    return 4 * weights.ravel() @ covariance_matrix(*CASES[case], rows.ravel(), columns.ravel()) @ weights.ravel()


@pytest.fixture
def weights():
    values = np.random.default_rng(4).normal(0.2, 1, SHAPE)
    values[2:4, 3:7] = 0
    return values


@pytest.mark.parametrize("case", CASES)
def test_a_weighted_sum(case, weights):
    assert budget_of(case).variance_of_sum(weights) == pytest.approx(form(case, weights), rel=1e-10)
    np.testing.assert_array_equal(budget_of(case).variance(), np.full(SHAPE, 4.0))


@pytest.mark.parametrize("case", CASES)
def test_varying_coefficients_and_unknown_pixels_without_weight(case, weights):
    coefficient = np.random.default_rng(5).uniform(0.5, 2, SHAPE)
    unknown = np.where(weights == 0, np.nan, coefficient)
    found = budget_of(case, unknown).variance_of_sum(weights)
    assert found == pytest.approx(form(case, weights * coefficient), rel=1e-10)
    variance = np.where(weights == 0, np.inf, 4 * coefficient**2)
    found = budget_of(case, variance=variance).variance_of_sum(weights)
    assert found == pytest.approx(form(case, weights * coefficient), rel=1e-10)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[2:, 3:], np.s_[:-2, :-3]),
        (np.s_[:, ::-1], np.s_[:, :]),
        (np.s_[::-2, 1::3], np.s_[:5, :4]),
    ],
    ids=["rows", "columns", "both", "mirrored", "steps"],
)
def test_the_difference_of_two_cuts(case, first, second):
    budget = budget_of(case)
    difference = UncertaintyBudget.linear([(budget[first], 1.0), (budget[second], -1.0)])
    rows, columns = np.indices(SHAPE)
    (y1, x1), (y2, x2) = ((rows[cut], columns[cut]) for cut in (first, second))
    expected = 8 * (1 - autocovariance(*CASES[case], y1 - y2, x1 - x2))
    np.testing.assert_allclose(difference.variance(), expected, atol=1e-12)
    np.testing.assert_allclose(sum(difference.variances().values()), expected, atol=1e-12)
    weights = np.random.default_rng(6).normal(0.3, 1, difference.shape)
    whole = np.zeros(SHAPE)
    whole[first] += weights
    whole[second] -= weights
    assert difference.variance_of_sum(weights) == pytest.approx(form(case, whole), rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_a_cut_with_steps(case):
    cut = np.s_[7:0:-2, 1::3]
    budget = budget_of(case)[cut]
    weights = np.random.default_rng(7).normal(0.3, 1, budget.shape)
    whole = np.zeros(SHAPE)
    whole[cut] = weights
    assert budget.variance_of_sum(weights) == pytest.approx(form(case, whole), rel=1e-10)


def test_the_covariance_of_two_cuts():
    budget = budget_of("all")
    found = budget[np.s_[1:, 2:]].covariance(budget[np.s_[:-1, :-2]])
    np.testing.assert_allclose(found, np.full((8, 10), 4 * autocovariance(*CASES["all"], 1, 2)))


def test_two_sources_do_not_meet():
    weights = np.random.default_rng(8).normal(0.3, 1, SHAPE)
    both = UncertaintyBudget.linear([(budget_of("all"), 1.0), (budget_of("rows"), -2.0)])
    assert both.variance_of_sum(weights) == pytest.approx(form("all", weights) + 4 * form("rows", weights), rel=1e-10)


@pytest.mark.parametrize("cut", [np.s_[:, :], np.s_[1:7:2, ::-1]], ids=["whole", "cut"])
@pytest.mark.parametrize("axes", [(), (0,), (1,)], ids=["frame", "row", "column"])
@pytest.mark.parametrize("case", CASES)
def test_a_subtracted_overscan_level(case, axes, cut):
    row, tones = CASES[case]
    overscan = 3
    ny, nx = SHAPE
    correlation, factor = Correlation(row, tones).less_level(level_of(case, axes, SHAPE, overscan))
    source = NoiseSource("read noise", 4.0 * factor, correlation=correlation)
    budget = UncertaintyBudget(SHAPE, [(source, 1.0)])[cut]
    weights = np.random.default_rng(9).normal(0.3, 1, budget.shape)
    image = np.zeros(SHAPE)
    image[cut] = weights
    # Image and overscan are one field; the level's pixels have the weights that it has in them.
    whole = np.zeros((ny + overscan, nx) if axes == (1,) else (ny, nx + overscan))
    whole[:ny, :nx] = image
    if axes == ():
        whole[:, nx:] -= image.sum() / (ny * overscan)
    elif axes == (0,):
        whole[:, nx:] -= image.sum(axis=1, keepdims=True) / overscan
    else:
        whole[ny:] -= image.sum(axis=0) / overscan
    white = 1 - row - sum(tone[0] for tone in tones)
    # The white noise of the level is a source of its own.
    of_level = np.square(whole).sum() - np.square(image).sum()
    expected = form(case, whole) - 4 * white * of_level
    assert budget.variance_of_sum(weights) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "axes",
    [None, (), pytest.param((0,), marks=pytest.mark.long), pytest.param((1,), marks=pytest.mark.long)],
    ids=["none", "frame", "row", "column"],
)
def test_no_sum_has_a_negative_variance(axes):
    rng = np.random.default_rng(10)
    shape = (6, 7)
    row, tones = CASES["all"]
    correlation = Correlation(row, tones)
    if axes is not None:
        correlation, _ = correlation.less_level(level_of("all", axes, shape, 2))
    budget = UncertaintyBudget(shape, [(NoiseSource("read noise", 4.0, correlation=correlation), 1.0)])
    least = min(
        sum(budget.variances_of_sum(weights).values())
        for weights in (rng.normal(rng.uniform(-1, 1), 1, shape) for _ in range(2500))
    )
    assert least > 0
    # Waves by themselves, without weight on what is white.
    for _, wx, wy in tones:
        wave = np.cos(wx * np.arange(7) + (wy or 0) * np.arange(6)[:, np.newaxis])
        assert budget.variance_of_sum(wave - wave.mean()) > 0


def test_more_sources_than_a_budget_keeps_apart():
    weights = np.random.default_rng(11).normal(0.3, 1, SHAPE)
    with pytest.warns(NoiseWarning, match="more than 64 sources"):
        total = UncertaintyBudget.linear([(budget_of("all"), 1.0 + 0.01 * number) for number in range(80)])
    squares = sum((1 + 0.01 * number) ** 2 for number in range(80))
    assert total.variance_of_sum(weights) == pytest.approx(squares * form("all", weights), rel=1e-9)


@pytest.mark.parametrize("spread", ["both ways", "each row", "steep"])
def test_many_tones_in_apertures_and_differences(spread):
    rng = np.random.default_rng(12)
    parts = rng.exponential(size=300) ** (4 if spread == "steep" else 1)
    parts *= 0.8 / parts.sum()
    along, across = rng.uniform(0, np.pi, 300), rng.uniform(-np.pi, np.pi, 300)
    tones = [(p, x, None if spread == "each row" else y) for p, x, y in zip(parts, along, across, strict=True)]
    correlation = Correlation(0.1, tones).with_fewer(64)
    assert len(correlation.tones) == 64
    shape = (64, 66)
    budget = UncertaintyBudget(shape, [(NoiseSource("read noise", 1.0, correlation=correlation), 1.0)])
    for radius in (2, 5, 8):
        weights = aperture_less_annulus(shape, radius, (31.6, 32.2))
        rows, columns = np.nonzero(weights)
        expected = variance_of_map(0.1, tones, rows, columns, weights[rows, columns])
        assert np.sqrt(budget.variance_of_sum(weights) / expected) == pytest.approx(1, abs=0.04), f"radius {radius}"
    for dy, dx in ((0, 1), (0, 2), (0, 5), (0, 10), (1, 0)):
        expected = 1 - autocovariance(0.1, tones, dy, dx)
        assert np.sqrt((1 - correlation.rho(dx, dy)) / expected) == pytest.approx(1, abs=0.04), f"{dy}, {dx}"
