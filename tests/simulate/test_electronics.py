"""Rows, tones and charge that repels charge have the covariances that they say they have."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.simulate.electronics import BrighterFatter, ReadOut, ReadOutTone

FRAMES = 400


@pytest.mark.parametrize(
    "noise",
    [
        ReadOut(white=2, row=1.5),
        ReadOut(white=1, tones=(ReadOutTone(power=4, wx=1.1, wy=0.4),)),
        ReadOut(white=1, tones=(ReadOutTone(power=4, wx=1.1, coherent=False),)),
    ],
    ids=["rows", "coherent", "incoherent"],
)
def test_covariance_over_many_frames(noise):
    rng = np.random.default_rng(4)
    frames = np.array([noise.draw((8, 30), rng) for _ in range(FRAMES)])
    assert frames.var() == pytest.approx(noise.variance, rel=0.15)
    for dy, dx in [(0, 1), (0, 5), (1, 0), (3, 2)]:
        products = frames[:, dy:, dx:] * frames[:, : 8 - dy, : 30 - dx]
        by_frame = products.mean(axis=(1, 2))
        error = by_frame.std() / np.sqrt(FRAMES)
        assert abs(by_frame.mean() - noise.autocovariance(dx, dy)) < 4 * error


def test_charge_is_not_lost_and_variance_moves_to_the_neighbours():
    effect = BrighterFatter(a_00=-2e-6, reach=4)
    a = effect.covariances()
    assert a.sum() == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(5)
    level = 30_000.0
    charge = np.array([effect.collect(np.full((200, 200), level), rng) for _ in range(6)])
    assert charge.mean() == pytest.approx(level, rel=3e-4)
    off = charge - level
    error = 1 / np.sqrt(charge.size)
    # Second order: Astier et al. 2019, eq. 20; the sum of squares is the middle of the convolution.
    relative = a[4, 4] * level + 2 / 3 * np.sum(a**2) * level**2
    assert np.mean(off**2) / level - 1 == pytest.approx(relative, abs=4 * np.sqrt(2) * error)
    assert np.mean(off[:, 1:] * off[:, :-1]) / level == pytest.approx(a[5, 4] * level, abs=5 * error)
    assert np.mean(off[:, :, 1:] * off[:, :, :-1]) / level == pytest.approx(a[4, 5] * level, abs=5 * error)
