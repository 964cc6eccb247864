from __future__ import annotations

import numpy as np
import pytest

from astro_calib.kernels.reject import reject_deviant, reject_extremes
from astro_calib.kernels.stack import masked_median


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def column(*values):
    return np.array(values, dtype=float).reshape(-1, 1, 1)


def used_of(*numbers):
    return np.array(numbers, dtype=bool).reshape(-1, 1, 1)


# ---- median


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 8, 10, 16, 17, 25, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_median_is_that_of_numpys_masked_arrays(rng, number, dtype):
    values = rng.normal(size=(number, 30, 40)).astype(dtype)
    used = rng.random(values.shape) < 0.6
    result = masked_median(values, used)
    expected = np.ma.median(np.ma.array(values, mask=~used), axis=0)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected.filled(np.nan), rtol=1e-6)
    np.testing.assert_array_equal(masked_median(values, np.ones_like(used)), np.median(values, axis=0))


@pytest.mark.parametrize("number", [*range(1, 14), 16, 17])
def test_the_network_sorts_what_has_two_values_and_so_everything(number):
    # All sequences of zeros and ones: a network that sorts these sorts all others (Knuth, section 5.3.4, theorem Z).
    values = ((np.arange(1 << number) >> np.arange(number)[:, np.newaxis]) & 1).astype(np.uint16)
    found = masked_median(values, np.ones((number, 1), dtype=bool))
    np.testing.assert_array_equal(found, np.median(values, axis=0))


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_left_out_may_be_anything(wild):
    assert masked_median(column(1, wild, 2, 9), used_of(1, 0, 1, 1))[0, 0] == 2.0


def test_without_any_value_there_is_no_median():
    assert np.isnan(masked_median(column(1, 2), used_of(0, 0))[0, 0])


def test_the_arguments_are_not_changed(rng):
    values, used = rng.normal(size=(5, 3, 4)), rng.random((5, 3, 4)) < 0.5
    before = values.copy(), used.copy()
    masked_median(values, used)
    reject_deviant(values, np.ones_like(values), used, np.zeros((3, 4)), 1, 1)
    reject_extremes(values, used, 1, 1)
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(used, before[1])


# ---- deviant values


def survivors(values, sigma, used=None, lower=3.0, upper=3.0):
    values = column(*values)
    used = np.ones(values.shape, dtype=bool) if used is None else used_of(*used)
    sigma = np.broadcast_to(column(*np.atleast_1d(sigma)), values.shape)
    return reject_deviant(values, np.square(sigma), used, masked_median(values, used), lower, upper).ravel().tolist()


def test_values_beyond_the_thresholds_go():
    assert survivors([0, 1, -1, 3, -3, 3.1, -3.1], 1.0) == [True, True, True, True, True, False, False]


def test_each_value_is_judged_by_its_own_sigma():
    assert survivors([0, 0, 0, 5, 5], [1, 1, 1, 1, 2]) == [True, True, True, False, True]


def test_the_two_thresholds_are_below_and_above():
    assert survivors([0, 0, 0, 3, -3], 1.0, lower=2, upper=4) == [True, True, True, True, False]
    assert survivors([0, 0, 0, 3, -3], 1.0, lower=4, upper=2) == [True, True, True, False, True]


def test_of_two_values_only_the_higher_may_go():
    # Cosmic rays only add: the lower of two that disagree is the one to believe.
    assert survivors([10, 0], 1.0) == [False, True]
    assert survivors([10, 0], [1.0, 100.0]) == [False, True]
    assert survivors([10, 0], [100.0, 1.0]) == [True, True]
    assert survivors([1, 0], 1.0) == [True, True]
    assert survivors([10, 5, 0], 1.0, used=[1, 0, 1]) == [False, False, True]


def test_all_values_never_go():
    assert survivors([0, 0, 100, 100], 1.0) == [True, True, False, False]
    assert survivors([7], 1e-3) == [True]


def test_what_was_left_out_stays_out():
    assert survivors([0, 0.5, np.nan, 0.2], 1.0, used=[1, 1, 0, 1]) == [True, True, False, True]
    assert survivors([0, 1], 1.0, used=[0, 0]) == [False, False]


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_something_remains_wherever_there_was_something(rng, number):
    values = rng.standard_cauchy((number, 50, 60))
    used = rng.random(values.shape) < 0.7
    remaining = reject_deviant(values, np.full_like(values, 1e-4), used, masked_median(values, used), 1.0, 1.0)
    np.testing.assert_array_equal(remaining.any(axis=0), used.any(axis=0))
    assert not (remaining & ~used).any()


# ---- extremes


def test_the_lowest_and_the_highest_go():
    values = column(5, 1, 4, 2, 3)
    everything = np.ones(values.shape, dtype=bool)
    assert reject_extremes(values, everything, 1, 1).ravel().tolist() == [False, False, True, True, True]
    assert reject_extremes(values, everything, 0, 2).ravel().tolist() == [False, True, False, True, True]
    assert reject_extremes(values, everything, 3, 0).ravel().tolist() == [True, False, True, False, False]


def test_equal_values_go_one_at_a_time():
    values = column(2, 2, 2, 2)
    assert reject_extremes(values, np.ones(values.shape, dtype=bool), 1, 1).sum() == 2


def test_extremes_are_those_of_the_values_that_are_used():
    values = column(np.inf, 1, 4, 2, -np.inf, 3, np.nan)
    remaining = reject_extremes(values, used_of(0, 1, 1, 1, 0, 1, 0), 1, 1)
    assert remaining.ravel().tolist() == [False, False, False, True, False, True, False]


def test_where_nothing_would_remain_nothing_goes():
    values = column(1, 2, 3)
    assert reject_extremes(values, np.ones(values.shape, dtype=bool), 2, 1).all()
    assert reject_extremes(values, used_of(1, 0, 1), 1, 1).ravel().tolist() == [True, False, True]


def test_as_many_remain_as_should(rng):
    values = rng.normal(size=(9, 30, 40))
    used = rng.random(values.shape) < 0.7
    remaining = reject_extremes(values, used, 1, 2)
    number = used.sum(axis=0)
    np.testing.assert_array_equal(remaining.sum(axis=0), np.where(number > 3, number - 3, number))
    kept = np.where(remaining, values, np.nan)
    ordered = np.sort(np.where(used, values, np.nan), axis=0)
    enough = number > 3
    np.testing.assert_array_equal(np.nanmin(kept, axis=0, where=remaining, initial=np.inf)[enough], ordered[1][enough])
