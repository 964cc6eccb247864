"""Places without stars."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.photometry.empty import empty_positions, robust_scatter


def test_places_are_free_and_do_not_overlap():
    rng = np.random.default_rng(1)
    occupied = rng.random((200, 250)) < 0.002
    radius, margin = 4.0, 3.0
    places = empty_positions(occupied, radius, margin, 100, seed=0)
    assert len(places) > 50
    y, x = np.nonzero(occupied)
    to_occupied = np.hypot(x - places[:, :1], y - places[:, 1:])
    # The nearest corner of a pixel is at most root 1/2 nearer than its centre.
    assert to_occupied.min() > radius + margin
    between = np.hypot(*(places[:, np.newaxis] - places).transpose(2, 0, 1))
    assert between[np.triu_indices(len(places), 1)].min() >= 2 * radius
    assert (places.min(axis=0) > radius + margin - 0.5).all()
    assert (places.max(axis=0) < np.array([250, 200]) - 0.5 - radius - margin).all()


def test_places_are_spread_over_the_frame():
    places = empty_positions(np.zeros((400, 300), dtype=bool), 3.0, 0.0, 400, seed=3)
    assert len(places) == 400
    for axis, length in ((0, 300), (1, 400)):
        # A uniform distribution has this mean and standard deviation.
        assert places[:, axis].mean() == pytest.approx((length - 1) / 2, abs=4 * length / np.sqrt(12 * 400))
        assert places[:, axis].std() == pytest.approx(length / np.sqrt(12), rel=0.1)
        # Not on pixel centres: fractions are uniform.
        assert (places[:, axis] % 1).std() == pytest.approx(1 / np.sqrt(12), rel=0.1)


def test_the_seed_says_where():
    free = np.zeros((100, 100), dtype=bool)
    one, same, other = (empty_positions(free, 3.0, 1.0, 20, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_there_may_be_no_room():
    assert empty_positions(np.ones((50, 50), dtype=bool), 3.0, 1.0, 20, seed=0).shape == (0, 2)
    assert empty_positions(np.zeros((8, 8), dtype=bool), 3.0, 1.0, 20, seed=0).shape == (0, 2)


def test_robust_scatter_is_the_standard_deviation_of_gaussian_values_and_does_not_mind_some_others():
    values = np.random.default_rng(2).normal(50, 7, 20000)
    assert robust_scatter(values) == pytest.approx(7, rel=4 * 1.17 / np.sqrt(20000))
    values[:400] = 1e9
    assert robust_scatter(values) == pytest.approx(7, rel=0.06)
