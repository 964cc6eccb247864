from __future__ import annotations

import copy
import math
import pickle

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Correlation, NoiseSource
from astro_calib.detector.correlation import averaged
from astro_calib.detector.waves import Level
from tests.correlated_fields import CASES, aperture_less_annulus, autocovariance, places

AS_IT_IS = ((0, 1), (0, 1))


@pytest.mark.parametrize("case", CASES)
def test_the_correlation_of_two_pixels(case):
    dy, dx = np.mgrid[-3:4, -5:6]
    np.testing.assert_allclose(Correlation(*CASES[case]).rho(dx, dy), autocovariance(*CASES[case], dy, dx), atol=1e-12)


def test_tones_of_one_frequency_are_one():
    # A wave and the one that goes the other way are the same, and whole pixels cannot tell w from w + 2 pi.
    given = Correlation(tones=[(0.1, 0.5, 0.2), (0.2, -0.5, -0.2), (0.1, 0.5 + 2 * math.pi, 0.2), (0.1, 0.5, None)])
    np.testing.assert_allclose(given.tones, [[0.4, 0.5, 0.2], [0.1, 0.5, np.nan]])
    assert Correlation(tones=[(0.1, 0.0, None)]) == Correlation(row=0.1)


def test_frequencies_may_have_their_unit():
    given = Correlation(tones=[(0.1 * u.one, 0.5 * u.rad, 90 * u.deg), (0.2, 1.0 * u.one, None)])
    np.testing.assert_allclose(given.tones, [[0.2, 1.0, np.nan], [0.1, 0.5, np.pi / 2]])


def test_equal_correlations_are_equal_whatever_the_order():
    tones = [(0.2, 0.5, 0.2), (0.1, 1.5, None), (0.3, 2.5, -0.7)]
    one, other = Correlation(0.1, tones), Correlation(0.1, tones[::-1])
    assert one == other
    assert hash(one) == hash(other)
    assert one != Correlation(0.1, tones[1:])
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301  our own bytes


def test_many_tones_are_merged_without_a_change_of_their_sum():
    rng = np.random.default_rng(1)
    tones = [(0.8 / 300, *rng.uniform(-3, 3, 2)) for _ in range(150)]
    tones += [(0.8 / 300, rng.uniform(0, 3), None) for _ in range(150)]
    merged = Correlation(0.1, tones)
    assert len(merged.tones) == 256
    np.testing.assert_allclose([merged.white, merged.row, merged.tones[:, 0].sum()], [0.1, 0.1, 0.8])


def test_a_hundred_tones_stay_what_they_are():
    # Merged, tones that go on from row to row made sums over apertures wrong by up to 15%.
    rng = np.random.default_rng(2)
    tones = np.stack([np.full(100, 0.006), rng.uniform(0, np.pi, 100), rng.uniform(-np.pi, np.pi, 100)], axis=1)
    correlation = Correlation(tones=tones)
    rows, columns = places((21, 22))
    weights = aperture_less_annulus((21, 22), 3, (10, 10.5)).ravel()
    phases = np.outer(columns, tones[:, 1]) + np.outer(rows, tones[:, 2])
    expected = 0.4 * np.sum(weights**2) + 0.006 * np.sum(np.abs(weights @ np.exp(1j * phases)) ** 2)
    lags = np.subtract.outer(columns, columns), np.subtract.outer(rows, rows)
    assert weights @ correlation.rho(*lags) @ weights == pytest.approx(expected, rel=1e-9)


def test_tones_are_neighbours_across_the_highest_frequency():
    # Whole pixels cannot tell pi + 0.01 from -pi + 0.01.
    tones = [(0.1, np.pi - 0.01, 0.5), (0.1, 0.01 - np.pi, 0.5), (0.1, 1.0, np.pi - 0.02), (0.1, 1.0, 0.02 - np.pi)]
    merged = Correlation(tones=tones).with_fewer(2)
    np.testing.assert_allclose(np.sort(merged.tones, axis=0), [[0.2, 1.0, 0.5], [0.2, np.pi, np.pi]])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"row": -0.1}, ValueError, "the part that rows share is -0.1; it must be finite and from 0 to 1"),
        ({"row": "much"}, TypeError, "the part that rows share"),
        ({"tones": 0.5}, TypeError, "the tones are 0.5; expected a list"),
        ({"tones": [(0.5, 1.0)]}, TypeError, "part of the variance, radians from pixel to pixel"),
        ({"tones": [(-0.5, 1.0, 0.0)]}, ValueError, "part of the variance is -0.5"),
        ({"tones": [(0.5, math.inf, 0.0)]}, ValueError, "a tone's frequency is inf"),
        ({"tones": [(0.5, math.nan, 0.0)]}, ValueError, "a tone's frequency is nan"),
        ({"tones": "abc"}, TypeError, "the tones are 'abc'; expected a list"),
        ({"tones": [(0.1, 1.0, 0.0), (0.5, 1.0)]}, TypeError, r"tones\[1\] is \(0.5, 1.0\); expected \(part of the"),
        ({"tones": [(0.1, 1.0, 0.0), 0.7]}, TypeError, r"tones\[1\] is 0.7; expected \(part of the"),
        ({"tones": [(0.1, 1.0, 0.0), (0.5, "x", 0)]}, TypeError, r"tones\[1\]: a tone's frequency .* not 'x'"),
        ({"tones": [(0.1, 1.0, 0.0), (1.5, 1, 0)]}, ValueError, r"tones\[1\]: a tone's part of the variance is 1.5"),
        ({"tones": [(0.1, 1.0 * u.m, 0.0)]}, u.UnitConversionError, r"tones\[0\]: a tone's frequency is in m"),
        ({"row": 0.6, "tones": [(0.5, 1.0, 0.0)]}, ValueError, "add up to 1.1; expected 1 at most"),
    ],
)
def test_what_is_no_correlation_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Correlation(**arguments)


def test_a_source_takes_only_a_correlation_and_only_from_pixel_to_pixel():
    correlation = Correlation(0.5)
    assert NoiseSource("read noise", 4.0, correlation=correlation).correlation == correlation
    with pytest.raises(TypeError, match=r"source 'overscan' .* for axes \(0,\); expected a Correlation"):
        NoiseSource("overscan", 4.0, axes=(0,), correlation=correlation)
    with pytest.raises(TypeError, match=r"the correlation of source 'read noise' is 0\.5"):
        NoiseSource("read noise", 4.0, correlation=0.5)


def test_the_correlation_of_a_sum_is_the_average():
    one, other = Correlation(0.4, [(0.2, 1.0, 0.5)]), Correlation(0.0, [(0.6, 1.0, 0.5), (0.1, 2.0, None)])
    both = averaged([(3.0, one, AS_IT_IS), (1.0, other, AS_IT_IS), (4.0, None, AS_IT_IS)])
    np.testing.assert_allclose(both.row, 0.4 * 3 / 8)
    np.testing.assert_allclose(both.tones, [[(0.2 * 3 + 0.6) / 8, 1.0, 0.5], [0.1 / 8, 2.0, np.nan]])
    assert averaged([(3.0, None, AS_IT_IS)]) is None


def test_steps_multiply_frequencies():
    seen = Correlation(tones=[(0.5, 1.0, 0.5)]).seen_through(((7, -2), (3, 2)))
    np.testing.assert_allclose(seen.tones, [[0.5, 2.0, -1.0]])


def test_the_level_of_each_row_takes_off_what_rows_share():
    correlation, factor = Correlation(0.9).less_level(Level((0,), np.ones(1), np.ones(1)))
    assert factor == pytest.approx(0.1)
    np.testing.assert_allclose(correlation.white, 1.0)
    np.testing.assert_allclose(correlation.rho([0, 1], 0), [1, 0], atol=1e-12)


def test_a_second_level_is_refused():
    level = Level((0,), np.full(1, 0.5), np.full(1, 0.25))
    correlation, _ = Correlation(0.5).less_level(level)
    with pytest.raises(ValueError, match="was subtracted from this noise before"):
        correlation.less_level(level)
