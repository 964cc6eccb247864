"""Which dark a frame gets that has none of its exposure: noise and bias count together, as darks with a truth show."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import CCDFrame
from astro_calib.night.matching.dark_for import best_combination, combined_dark

SHAPE = (96, 96)
RNG = np.random.default_rng(18)
HOT = RNG.random(SHAPE) < 0.02


def current(seconds, power):
    """The electrons of the dark current: a pixel in fifty is hot, and grows as a power of time."""
    return np.where(HOT, 20.0 * seconds**power, 0.05 * seconds)


def dark(seconds, sigma, power=1.0):
    data = RNG.normal(current(seconds, power), sigma)
    return CCDFrame(
        data, unit="electron", uncertainty=np.full(SHAPE, sigma), meta={"EXPTIME": seconds}, name=f"dark{seconds:g}"
    )


def true_error(darks, parts, wanted, power):
    """The root mean square of what a combination has too much or too little, noise and bias together."""
    return np.sqrt(np.mean((combined_dark(darks, parts).pixels - current(wanted, power)) ** 2))


@pytest.mark.parametrize(
    ("power", "sigmas", "wanted", "expected"),
    [
        # All grow steadily: the long dark, with the least noise once it is scaled.
        (1.0, {30.0: 2.0, 600.0: 2.0}, 60.0, {600.0}),
        # Hot pixels do not: the longest is not the best, and what lies between is better than either.
        (0.7, {30.0: 2.0, 200.0: 2.0}, 60.0, {30.0, 200.0}),
        # Beyond all: the nearest.
        (0.7, {100.0: 2.0, 300.0: 2.0}, 600.0, {300.0}),
        # Darks of like noise tell a rate together.
        (1.0, {50.0: 2.0, 55.0: 2.0}, 60.0, {50.0, 55.0}),
    ],
    ids=["steady", "hot", "beyond", "rate"],
)
def test_the_combination_with_the_smallest_error_is_taken(power, sigmas, wanted, expected):
    darks = {seconds: dark(seconds, sigma, power) for seconds, sigma in sigmas.items()}
    found = best_combination(darks, wanted, "EXPTIME")
    assert set(found.parts) == expected
    error = true_error(darks, found.parts, wanted, power)
    singles = [true_error(darks, {seconds: wanted / seconds}, wanted, power) for seconds in sigmas]
    assert error <= 1.02 * min(singles)
    # What is said of the error is right, or too much where nothing tells more.
    assert error < 1.1 * found.error


def test_noise_alone_would_have_picked_bias():
    darks = {600.0: dark(600.0, 2.0, 0.7), 90.0: dark(90.0, 3.0, 0.7)}
    by_noise = {600.0: 0.1}
    found = best_combination(darks, 60.0, "EXPTIME")
    assert true_error(darks, found.parts, 60.0, 0.7) < 0.5 * true_error(darks, by_noise, 60.0, 0.7)


def test_a_single_dark_is_scaled_and_said_to_be_untested():
    found = best_combination({30.0: dark(30.0, 2.0)}, 60.0, "EXPTIME")
    assert found.parts == {30.0: 2.0}
    assert not found.tested
    assert found.why == "that of 30 s, scaled by 2"


def test_exact_darks_are_taken_by_their_exposure():
    exact = {
        seconds: CCDFrame(np.full(SHAPE, seconds), unit="electron", meta={"EXPTIME": seconds})
        for seconds in (30.0, 50.0)
    }
    assert best_combination(exact, 60.0, "EXPTIME").parts == {50.0: 1.2}
