from __future__ import annotations

import numpy as np
import pytest

from astro_calib.validation.comparison import Comparison
from astro_calib.validation.trial import Trial
from tests.validation.realisations import compare


@pytest.fixture
def rng():
    return np.random.default_rng(20240901)


def frames(rng, number, *, own, common, predicted, pixels=30):
    """Errors that are partly each pixel's own, partly common to the frame, and the variance predicted for them."""
    return [(rng.normal(0, own, pixels) + rng.normal(0, common), np.full(pixels, predicted)) for _ in range(number)]


def found(ratio, error, realisations=1000):
    return Comparison(predicted=1.0, observed=ratio, ratio=ratio, ratio_error=error, realisations=realisations)


def trial(**attributes):
    return Trial(step="x", what="y", draw=lambda rng: rng, reduce=lambda rng: rng, realisations=1000, **attributes)


# ---- the ratio and its standard error


def test_the_ratio_is_that_of_the_scatter_to_the_root_of_the_mean_variance(rng):
    # Variances of 16 and 144, half and half: the root of their mean is sqrt(80), the scatter twice that.
    comparison = compare(
        [(rng.normal(0, np.sqrt(320), 50), np.full(50, v)) for v in (16.0, 144.0) for _ in range(4000)]
    )
    assert comparison.predicted == pytest.approx(np.sqrt(80))
    assert comparison.observed == pytest.approx(np.sqrt(320), rel=0.01)
    assert comparison.ratio == pytest.approx(2.0, rel=0.01)
    assert comparison.realisations == 8000


@pytest.mark.parametrize(
    ("own", "common"),
    [pytest.param(5.0, 0.0, marks=pytest.mark.long), pytest.param(0.0, 5.0, marks=pytest.mark.long), (4.0, 3.0)],
)
def test_the_standard_error_is_the_scatter_of_the_ratio(rng, own, common):
    comparisons = [compare(frames(rng, 100, own=own, common=common, predicted=25.0)) for _ in range(800)]
    ratios = np.array([one.ratio for one in comparisons])
    errors = np.array([one.ratio_error for one in comparisons])
    # The scatter of 800 numbers is known to 2.5%.
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(ratios.std(), rel=0.1)
    # One draw a frame counts once a frame: 1 / sqrt(2 N) for N frames, against N times 30 for pixels of their own.
    draws = 100 if common == 5.0 else 3000
    if own == 0.0 or common == 0.0:
        assert errors.mean() == pytest.approx(1 / np.sqrt(2 * draws), rel=0.1)


def test_predictions_that_follow_the_errors_count_in_the_standard_error(rng):
    # Every other frame has three times the noise, and says so: it is known how often, but not how much, it errs.
    def mixed():
        sigmas = rng.choice([1.0, 3.0], 100)
        return [(rng.normal(0, sigma, 30), np.full(30, sigma**2)) for sigma in sigmas]

    comparisons = [compare(mixed()) for _ in range(500)]
    ratios = np.array([one.ratio for one in comparisons])
    assert np.mean([one.ratio_error for one in comparisons]) == pytest.approx(ratios.std(), rel=0.12)


def test_an_offset_is_an_error_too(rng):
    offset = [(errors + 5.0, variances) for errors, variances in frames(rng, 400, own=5.0, common=0.0, predicted=25.0)]
    assert compare(offset).ratio == pytest.approx(np.sqrt(2), rel=0.02)


def test_numbers_serve_as_well_as_arrays():
    assert compare([(3.0, 4.0), (-3.0, 4.0), (3.0, 4.0)]).ratio == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("realisations", "message"),
    [
        ([], "0 realisations"),
        ([(1.0, 1.0)], "1 realisations"),
        ([(np.ones(3), np.ones(4))] * 2, r"\(3,\).*\(4,\)"),
        ([(np.ones(3), np.zeros(3))] * 2, "no error is predicted"),
        ([(np.ones(3), np.full(3, np.nan))] * 2, "not a finite number"),
        ([(np.full(3, np.inf), np.ones(3))] * 2, "not a finite number"),
    ],
)
def test_what_cannot_be_compared_is_an_error(realisations, message):
    with pytest.raises(ValueError, match=message):
        compare(realisations)


# ---- what passes


@pytest.mark.parametrize(
    ("ratio", "error", "right"),
    [
        (1.000, 0.0033, True),
        (1.0099, 0.0033, True),
        (0.9901, 0.0001, True),
        (1.011, 0.0033, False),
        (0.989, 0.0001, False),
    ],
)
def test_a_full_run_asks_for_the_tolerance(ratio, error, right):
    assert trial(tolerance=0.01).known(found(ratio, error), quick=False)
    assert trial(tolerance=0.01).passes(found(ratio, error), quick=False) is right


@pytest.mark.parametrize(("ratio", "right"), [(1.0, True), (1.012, True), (1.03, False), (0.97, False)])
def test_a_full_run_asks_for_a_ratio_known_to_a_third_of_the_tolerance(ratio, right):
    # That there are too few realisations is one thing, that the error bar is wrong another.
    vague = found(ratio, 0.0034)
    assert not trial(tolerance=0.01).known(vague, quick=False)
    assert trial(tolerance=0.01).known(vague, quick=True)
    assert trial(tolerance=0.01).passes(vague, quick=False) is right


@pytest.mark.parametrize(
    ("ratio", "error", "realisations", "right"),
    [
        (1.0099, 0.0001, 1000, True),
        (1.05, 0.02, 1000, True),
        # The normal deviate that chance exceeds once in ten thousand is 3.89, that of Student with 9 degrees 6.59.
        (1.05, 0.0130, 100_000, True),
        (1.05, 0.0126, 100_000, False),
        (0.95, 0.0077, 10, True),
        (0.95, 0.0074, 10, False),
    ],
)
def test_a_quick_run_asks_for_no_more_than_it_can_tell(ratio, error, realisations, right):
    assert trial(tolerance=0.01).passes(found(ratio, error, realisations), quick=True) is right


@pytest.mark.long
def test_chance_hardly_ever_makes_a_quick_run_fail(rng):
    alarms = sum(
        not compare(frames(rng, 10, own=5.0, common=0.0, predicted=25.0, pixels=400)).agrees(0.0) for _ in range(5000)
    )
    # 0.5 are expected; beyond four standard errors there would be 15.
    assert alarms <= 4


def test_a_limit_is_kept_by_smaller_errors_and_not_by_larger_ones():
    limit = trial(tolerance=0.1, limit=True)
    assert limit.passes(found(0.2, 0.01), quick=False)
    assert limit.passes(found(1.05, 0.03), quick=False)
    assert not limit.passes(found(1.2, 0.03), quick=False)
    # A limit ten times too large says nothing.
    assert not limit.passes(found(0.09, 0.001), quick=False)
    assert not limit.passes(found(0.09, 0.001), quick=True)
    assert not limit.passes(found(1.5, 0.03), quick=True)


def test_a_quick_run_takes_a_hundredth_but_not_too_few():
    many, few = (
        Trial(step="x", what="y", draw=id, reduce=id, realisations=number, tolerance=0.01) for number in (5000, 100)
    )
    assert (many.number(quick=False), many.number(quick=True)) == (5000, 50)
    assert (few.number(quick=False), few.number(quick=True)) == (100, 10)
