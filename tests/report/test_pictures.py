"""Pictures: what they show is in sight."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.photometry.sky_noise import SkyNoise
from astro_calib.report.histogram import histogram_of


@pytest.mark.parametrize("noise", [3.0, 11.0, 25.0])
@pytest.mark.parametrize("others", [0.0, 0.4])
def test_histogram_holds_the_pixels_whatever_the_tails(noise, others):
    rng = np.random.default_rng(1)
    gain = 1.8
    # A crowded frame has pixels up to many sigma from its median, where the Gaussian is nothing.
    light = rng.exponential(40 * noise, 40000) * (rng.uniform(size=40000) < others)
    before = np.round((rng.normal(500.0, noise, 40000) + light) / gain) * gain
    after = before + rng.normal(0, 0.3, before.size)
    good = np.ones((200, 200), dtype=bool)
    sky = SkyNoise(500.0, noise, noise, 1.0)
    histogram = histogram_of(before.reshape(200, 200), after.reshape(200, 200), good, sky, gain)
    low, high = histogram.limits
    for values in histogram.densities:
        filled = values[values > 0]
        assert low < filled.min()
        assert filled.max() < high < 10 * filled.max()
        # Counts over the number of pixels and the width of a bin.
        assert 0.2 < np.sum(values * np.diff(histogram.edges)) <= 1 + 1e-9
    assert low <= min(y for _, y in histogram.curve())
    # No edge on a value: each is half a step from the nearest.
    offset = (histogram.edges / gain) % 1
    np.testing.assert_allclose(offset, 0.5, atol=1e-6)
