"""The mean of values near the centre, and sums of many arrays, against NumPy in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest

from astro_calib.kernels.clipped import clipped_mean
from astro_calib.kernels.stack import weighted_sums
from astro_calib.kernels.sums import add_many

SHAPE = (23, 91)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def found_by(values, used, variances, center, thresholds, weights):
    """Mean, sum of weights, numbers after and before, which values are taken, and what is returned."""
    planes = np.empty((-(-len(values) // 32), *center.shape), dtype=np.uint32)
    numbers = np.empty((2, *center.shape), dtype=np.uint16)
    mean, weight = np.empty_like(center), np.empty_like(center)
    results = mean, weight, *numbers, planes
    said = clipped_mean(values, used, bool(used.all()), variances, center, thresholds, weights, results)
    taken = np.array([planes[index // 32] >> np.uint32(index % 32) & 1 for index in range(len(values))], dtype=bool)
    return mean, weight, *numbers, taken, said


@pytest.mark.parametrize("number", [3, 4, 7, 20, 45])
@pytest.mark.parametrize("masked", [0.0, 0.2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("thresholds", [(3.0, 3.0), (1.5, 2.5), (np.inf, 2.0)])
def test_the_mean_is_over_the_values_within_the_thresholds(rng, number, masked, dtype, thresholds):
    sigma = rng.uniform(5, 20, (number, *SHAPE))
    values = (1000 + sigma * rng.standard_t(3, sigma.shape)).astype(dtype)
    used = rng.random(values.shape) >= masked
    values[~used] = rng.choice([np.nan, np.inf, -np.inf, 1e30], (~used).sum())
    variances = [*np.square(sigma[:-1]).astype(dtype), 100.0]
    center = np.ma.median(np.ma.array(values, mask=~used), axis=0).filled(np.nan).astype(dtype)
    weights = rng.uniform(0.5, 2, number) / number
    mean, weight, after, before, taken, said = found_by(values, used, variances, center, thresholds, weights)
    enough = used.sum(axis=0) > 2
    with np.errstate(invalid="ignore"):
        off = (values - center) / np.sqrt([np.broadcast_to(one, SHAPE) for one in variances])
        near = used & (off >= -thresholds[0]) & (off <= thresholds[1])
    enough &= near.any(axis=0)
    # But for what lies on a threshold, to the last digit.
    assert np.mean((taken != near)[:, enough]) < 1e-4
    sums = np.sum(np.where(taken, values, 0) * weights[:, np.newaxis, np.newaxis], axis=0, dtype=float)
    expected = (sums / np.where(after > 0, np.tensordot(weights, taken, 1), 1)).astype(dtype)
    np.testing.assert_allclose(mean[enough], expected[enough], rtol=0 if dtype == np.float32 else 1e-14)
    np.testing.assert_allclose(weight, np.where(after > 0, np.tensordot(weights, taken, 1), 1), rtol=1e-6)
    np.testing.assert_array_equal(after, taken.sum(axis=0))
    np.testing.assert_array_equal(before, used.sum(axis=0))
    assert said == (bool(taken.all()), bool((before == 0).any()))


def test_of_two_values_only_the_higher_goes_and_without_any_all_finite_ones_are_taken():
    values = np.array([[10.0, 1.0, np.inf], [0.0, 2.0, np.nan], [5.0, 6.0, np.nan]]).reshape(3, 1, 3)
    used = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=bool).reshape(3, 1, 3)
    center = np.array([[5.0, np.nan, np.nan]])
    mean, weight, after, before, taken, said = found_by(values, used, [1.0] * 3, center, (1.0, 1.0), [1 / 3] * 3)
    assert mean.tolist() == [[0.0, 3.0, 0.0]]
    assert after.tolist() == [[1, 3, 0]]
    assert before.tolist() == [[2, 0, 0]]
    assert taken.reshape(3, 3).tolist() == [[False, True, False], [True, True, False], [False, True, False]]
    np.testing.assert_allclose(weight, [[1 / 3, 1.0, 1.0]])
    assert said == (False, True)


def test_high_values_of_many_frames_lose_no_digit_of_float32(rng):
    values = rng.normal(60000, 100, (201, *SHAPE)).astype(np.float32)
    used = rng.random(values.shape) < 0.9
    exact = [math.fsum(one) for one in values.reshape(201, -1).T.tolist()]
    total, weight, _ = weighted_sums(values, used, [1.0] * 201, complete=True)
    np.testing.assert_array_equal(
        (total / weight).ravel().astype(np.float32), (np.array(exact) / 201).astype(np.float32)
    )
    kept = [math.fsum(one) for one in np.where(used, values, 0).reshape(201, -1).T.tolist()]
    total, weight, number = weighted_sums(values, used, [1.0] * 201)
    np.testing.assert_array_equal(number, used.sum(axis=0))
    expected = (np.array(kept).reshape(SHAPE) / number).astype(np.float32)
    np.testing.assert_array_equal((total / weight).astype(np.float32), expected)
    center = np.median(values, axis=0)
    mean = found_by(values, used, [1e6] * 201, center, (3.0, 3.0), [1.0] * 201)[0]
    np.testing.assert_array_equal(mean, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("marked", [False, True])
def test_sums_of_many_arrays_and_the_means_over_their_finite_values(rng, dtype, marked):
    values = [rng.uniform(90, 110, SHAPE).astype(dtype) for _ in range(3)]
    values[1][3, 5:8] = np.nan, np.inf, -np.inf
    # Finite, with a sum that float32 cannot hold.
    values[2][:] = 3e37
    plane = rng.integers(0, 8, (1, *SHAPE)).astype(np.uint32)
    kept = [(plane[0] >> np.uint32(bit) & 1).astype(bool) | (not marked) for bit in range(3)]
    total = np.zeros(SHAPE)
    sums, numbers = add_many(total, values, [1.0, 2.0, 0.5], [0, 1, 2] if marked else [-1] * 3, plane)
    finite = [one[np.isfinite(one)].astype(float) for one in values]
    np.testing.assert_allclose(sums, [math.fsum(one) for one in finite], rtol=3e-7 if dtype == np.float32 else 1e-14)
    assert numbers.tolist() == [one.size for one in finite]
    parts = [
        np.where(here, factor * one.astype(float), 0)
        for here, factor, one in zip(kept, (1, 2, 0.5), values, strict=True)
    ]
    np.testing.assert_allclose(total, sum(parts), rtol=1e-14)
