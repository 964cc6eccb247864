"""The sky of a frame from its neighbours: NumPy says what it is, and chance what its error is."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget, combine
from astro_calib.characterize import running_sky
from astro_calib.errors import FrameError

SHAPE = (64, 64)
Y, X = np.mgrid[:64, :64]
PATTERN = 1 + 0.03 * np.sin(X / 4) * np.cos(Y / 9)
NOISE = 8.0


def series(rng, number=8, overscan=1.5, light=0.0):
    frames = []
    for level in 300 + 10 * np.arange(number):
        data = (level * PATTERN + light + rng.normal(0, NOISE, SHAPE) + rng.normal(0, overscan)).astype(np.float32)
        terms = [(NoiseSource("read noise", NOISE**2), 1.0), (NoiseSource("overscan", overscan**2, axes=()), 1.0)]
        frames.append(CCDFrame(data, unit="electron", budget=UncertaintyBudget(SHAPE, terms, np.float32, data)))
    return frames


def test_it_is_the_mean_of_the_others_at_the_level_of_the_frame():
    frames = series(np.random.default_rng(1))
    sky = running_sky(frames, 3)
    expected = np.mean([one.pixels / one.pixels.mean() for place, one in enumerate(frames) if place != 3], axis=0)
    difference = sky.pixels - expected * frames[3].pixels.mean()
    # Outliers are left out of the one.
    assert np.abs(np.median(difference)) < 0.1
    assert np.std(difference) < 0.3 * np.sqrt(sky.variance.mean())
    chosen = running_sky(frames, 3, neighbours=1)
    near = [frames[place].pixels * (frames[3].pixels.mean() / frames[place].pixels.mean()) for place in (2, 4)]
    np.testing.assert_allclose(chosen.pixels, np.mean(near, axis=0), atol=3.0)


def test_the_level_of_the_overscan_goes_with_the_sky():
    frames = series(np.random.default_rng(2), overscan=5.0)
    image = frames[2] - running_sky(frames, 2)
    assert image.budget.names == ("read noise", "sky")
    assert image.budget.variances()["sky"].mean() == pytest.approx(NOISE**2 / 64**2, rel=0.1)


@pytest.mark.parametrize("leave_out", [True, False])
def test_what_a_frame_and_its_sky_share_is_followed(leave_out):
    rng = np.random.default_rng(3)
    made, predicted = [], []
    for _ in range(6):
        frames = series(rng, 5)
        image = frames[2] - running_sky(frames, 2, leave_out=leave_out)
        made.append(float(np.var(image.pixels, dtype=float)))
        predicted.append(float(image.variance.mean()))
    # 1 + 1/4 if it is left out, and 1 - 1/5 if not, but for the outliers.
    assert np.mean(predicted) / NOISE**2 == pytest.approx(1.25 if leave_out else 0.8, rel=0.05)
    assert np.mean(made) == pytest.approx(np.mean(predicted), rel=4 * np.sqrt(2 / 6 / 64**2))


def test_shifted_frames_and_their_stack():
    rng = np.random.default_rng(4)
    shifts = [(0, 0), (3, 7), (8, 2), (5, 5), (1, 8), (7, 0), (2, 4), (6, 8)]
    made, sums, predicted, of_sums = [], [], [], []
    ones = np.ones((6, 6))
    for number in range(6):
        frames = series(rng)
        less = [one - running_sky(frames, place) for place, one in enumerate(frames)]
        stack = combine([one[y : y + 54, x : x + 54] for one, (y, x) in zip(less, shifts, strict=True)])
        made.append(float(np.mean(np.square(stack.pixels, dtype=float))))
        sums.append(stack.pixels.reshape(9, 6, 9, 6).sum(axis=(1, 3), dtype=float))
        predicted.append(float(stack.variance.mean()))
        if number < 2:
            of_sums += [stack[part].budget.variance_of_sum(ones) for part in (np.s_[:6, :6], np.s_[24:30, 36:42])]
    assert np.mean(made) == pytest.approx(np.mean(predicted), rel=0.04)
    assert np.mean(np.square(sums)) == pytest.approx(np.mean(of_sums), rel=4 * np.sqrt(2 / (6 * 81)))


def test_stars_of_the_neighbours_are_left_out():
    rng = np.random.default_rng(5)
    frames = []
    for place, one in enumerate(series(rng, 6)):
        star = 3000 * np.exp(-((X - 8 * place - 8) ** 2 + (Y - 30) ** 2) / (2 * 1.5**2))
        frames.append(one.replace((one.pixels + star).astype(np.float32), one.known_budget))
    sky = running_sky(frames, 3)
    left = (sky.pixels - 330 * PATTERN) / np.sqrt(sky.variance)
    assert np.abs(left - np.median(left)).max() < 6


def test_what_cannot_be_is_refused():
    frames = series(np.random.default_rng(6), 3)
    with pytest.raises(FrameError, match="no neighbours"):
        running_sky(frames, 0, neighbours=0)
    with pytest.raises(IndexError, match="from 0 to 2"):
        running_sky(frames, 3)
    with pytest.raises(TypeError, match="expected the number of a frame"):
        running_sky(frames, "first")
    with pytest.raises(FrameError, match="same pixels"):
        running_sky([*frames, frames[0]], 0)
    dark = frames[0].replace(frames[0].pixels - 400, frames[0].known_budget)
    with pytest.raises(FrameError, match="must be positive"):
        running_sky([dark, *frames[1:]], 1)
