"""Autocovariances and their errors, against plain NumPy and many draws."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.characterize.lags import REACH, autocovariance, covariance_of_lags, folded, less_ring


def test_products_of_good_pixels():
    rng = np.random.default_rng(1)
    image = rng.standard_normal((30, 41))
    good = rng.random(image.shape) > 0.2
    lags = autocovariance([image], good, reach=3)
    for dy, dx in [(0, 0), (0, 2), (1, -3), (3, 1)]:
        rows = slice(dy, None), slice(None, 30 - dy)
        columns = (slice(dx, None), slice(None, 41 - dx)) if dx >= 0 else (slice(None, 41 + dx), slice(-dx, None))
        both = good[rows[0], columns[0]] & good[rows[1], columns[1]]
        products = (image[rows[0], columns[0]] * image[rows[1], columns[1]])[both]
        assert lags.pairs[dy, dx + 3] == both.sum()
        assert lags.values[dy, dx + 3] == pytest.approx(products.mean())


def test_covariance_of_the_lags_is_that_over_many_draws():
    # Each pixel holds a part of its neighbour in the row: covariances (1 + f^2, f) times the variance.
    rng = np.random.default_rng(2)
    f, shape, draws = 0.6, (40, 50), 1500
    found = []
    for _ in range(draws):
        white = rng.standard_normal((shape[0], shape[1] + 1))
        image = white[:, 1:] + f * white[:, :-1]
        found.append(folded(autocovariance([image], np.ones(shape, bool)).values)[:2, :3].ravel())
    power = np.zeros((2 * REACH + 1,) * 2)
    # (f, 1 + f^2, f) convolved with itself.
    power[0, :3] = (1 + f**2) ** 2 + 2 * f**2, 2 * f * (1 + f**2), f**2
    predicted = covariance_of_lags(power) / np.prod(shape)
    kept = [dy * (REACH + 1) + dx for dy in range(2) for dx in range(3)]
    predicted = predicted[np.ix_(kept, kept)]
    observed = np.cov(np.array(found).T)
    scale = np.sqrt(np.outer(np.diag(predicted), np.diag(predicted)))
    # At the edges there are fewer pairs: two per cent a lag.
    np.testing.assert_allclose(observed / scale, predicted / scale, atol=0.12)


def test_what_all_lags_share_is_taken_off():
    values = np.full((REACH + 1) ** 2, 3.0)
    np.testing.assert_allclose(less_ring() @ values, 0, atol=1e-12)
