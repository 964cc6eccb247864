from __future__ import annotations

import numpy as np
import pytest

from astro_calib.validation import shot_noise_bias

# All of them take what is simulated once.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def table():
    return shot_noise_bias(frames=12, seed=5)


def test_each_model_is_measured_at_each_sky_and_read_noise(table):
    assert len(table) == 45
    assert len({(row["model"], row["read_noise"], row["sky"]) for row in table}) == 45
    assert set(table["sky"]) == {0, 1, 5, 20, 100}
    assert set(table["read_noise"]) == {3, 5, 10}


def test_the_default_is_right_to_half_a_per_cent_of_the_variance(table):
    data = table[table["model"] == "data"]
    assert np.abs(data["ratio"] - 1).max() < 0.005
    assert data["ratio_error"].max() < 0.0015


def test_a_given_array_is_exact(table):
    np.testing.assert_allclose(table["ratio"][table["model"] == "array"], 1, rtol=1e-6)


def test_the_smoothed_sky_is_low_by_the_skewness_of_its_counts(table):
    # To first order (Cornish-Fisher) the median of a sky of s electrons lies s / (6 sigma^2) below its mean.
    smooth = table[table["model"] == "smooth"]
    variance = smooth["read_noise"] ** 2 + smooth["sky"] + 1 / 12
    expected = 1 - smooth["sky"] / (6 * variance**2)
    assert np.abs(smooth["ratio"] - expected).max() < 0.002
    assert smooth["ratio"].min() < 0.9975


def test_the_same_seed_gives_the_same_frames():
    first, again, other = (shot_noise_bias(frames=2, seed=seed)["ratio"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_one_frame_does_not_tell_how_sure_the_bias_is():
    with pytest.raises(ValueError, match="frames is 1"):
        shot_noise_bias(frames=1)
