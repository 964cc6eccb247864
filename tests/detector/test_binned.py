"""How the noise of blocks goes together, from that of their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import Correlation
from astro_calib.detector.binned import binned_correlation

PICKUP = Correlation(row=0.2, tones=[(0.3, 0.7, 0.4), (0.1, 2.1, None), (0.1, np.pi, -1.9)])


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 1), (1, 4), (5, 6)], ids=str)
def test_the_covariance_of_blocks_is_the_sum_of_those_of_their_pixels(size):
    rows, columns = size
    found, variance = binned_correlation(PICKUP, rows, columns)
    dy, dx = (np.subtract.outer(np.arange(length), np.arange(length)).ravel() for length in size)
    for row in range(-3, 4):
        for column in range(-3, 4):
            pairs = PICKUP.rho(column * columns + dx[np.newaxis], row * rows + dy[:, np.newaxis])
            assert variance * found.rho(column, row) == pytest.approx(pairs.sum(), abs=1e-9)


def test_white_noise_stays_white():
    found, variance = binned_correlation(Correlation(), 2, 3)
    assert (found.white, variance) == (1.0, 6.0)


def test_a_tone_that_cancels_in_a_block_is_gone():
    found, variance = binned_correlation(Correlation(tones=[(0.5, np.pi, 0.0)]), 1, 2)
    assert variance == pytest.approx(1.0)
    assert found.white == pytest.approx(1.0)
