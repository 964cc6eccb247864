"""The parts of the read-out noise are those that were simulated."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.characterize.lags import REACH
from astro_calib.characterize.read_noise import biases_of
from astro_calib.characterize.rounded import rounded_width
from astro_calib.characterize.spectrum import spectrum_of
from astro_calib.simulate.electronics import ReadOut, ReadOutTone

SHAPE = (160, 220)
INCOHERENT = ReadOutTone(power=25, wx=1.234, coherent=False)


def spectra(noise, number, trials, seed):
    rng = np.random.default_rng(seed)
    good = np.ones(SHAPE, bool)
    return [spectrum_of(biases_of([1000 + noise.draw(SHAPE, rng) for _ in range(number)], good)) for _ in range(trials)]


def test_white_noise_has_no_tones_and_its_error_is_right():
    found = spectra(ReadOut(white=5), 3, 30, 1)
    pulls = [(one.white[0] - 25) / one.white[1] for one in found]
    assert np.mean(pulls) == pytest.approx(0, abs=0.6)
    assert 0.65 < np.std(pulls) < 1.35
    assert sum(len(one.tones) for one in found) <= 1
    # Two over the number of pixels and differences.
    assert found[0].white[1] / found[0].white[0] == pytest.approx(np.sqrt(2 / np.prod(SHAPE) / 2), rel=0.02)


def test_rows():
    found = spectra(ReadOut(white=5, row=1.5), 4, 20, 2)
    for part, truth in (("row", 2.25), ("white", 25)):
        pulls = [(getattr(one, part)[0] - truth) / getattr(one, part)[1] for one in found]
        assert np.mean(pulls) == pytest.approx(0, abs=0.8)
        assert 0.6 < np.std(pulls) < 1.4


@pytest.mark.parametrize("coherent", [True, False])
def test_tones_are_found_and_the_covariance_is_theirs(coherent):
    tone = ReadOutTone(power=25, wx=1.234, wy=0.4, coherent=coherent)
    noise = ReadOut(white=5, tones=(tone,))
    (one,) = spectra(noise, 40, 1, 3)
    assert one.white[0] == pytest.approx(25, rel=0.02)
    assert sum(tone.power for tone in one.tones) == pytest.approx(25, rel=0.35 if coherent else 0.04)
    assert all(tone.power >= 0 for tone in one.tones)
    assert one.total[0] == pytest.approx(50, abs=3 * one.total[1])
    # The model's covariance, and the sum of cosines, are those of the truth.
    power = sum(tone.power for tone in one.tones)
    for dy, dx in [(0, 1), (0, 5), (1, 0), (2, 3), (8, 8)]:
        truth = power / 25 * noise.autocovariance(dx, dy)
        assert one.lags[dy, 2 * REACH + dx] == pytest.approx(truth, abs=1.0)
        cosines = sum(tone.power * np.cos(tone.wx * dx + tone.wy * dy) for tone in one.tones)
        assert cosines == pytest.approx(truth, abs=2.0)


def test_hits_and_a_level_that_drifts_are_no_noise():
    rng = np.random.default_rng(5)
    frames = [1000 + 3 * number + 4 * rng.standard_normal(SHAPE) for number in range(4)]
    frames[1][50, 20:60] += 400
    frames[3][:, 7] += 5000
    frames[2] += np.linspace(0, 3, SHAPE[0])[:, None]
    biases = biases_of(frames, np.ones(SHAPE, bool))
    assert np.sqrt(spectrum_of(biases).total[0]) == pytest.approx(4, rel=0.01)
    np.testing.assert_allclose(biases.levels, [0, 3, 7.5, 9], atol=0.15)


@pytest.mark.parametrize("sigma", [0.32, 0.4, 0.5])
@pytest.mark.parametrize("place", [0.0, 0.25, 0.5])
def test_noise_below_the_step(sigma, place):
    rng = np.random.default_rng(int(100 * (sigma + place)))
    structure = 0.1 * rng.standard_normal(SHAPE)
    frames = [np.rint(100 + place + 0.1 * k + structure + sigma * rng.standard_normal(SHAPE)) for k in range(2)]
    width, error = rounded_width(frames, np.ones(SHAPE, bool), 1.0)
    assert error < 0.03 * sigma
    assert width == pytest.approx(sigma, abs=3 * error)


@pytest.mark.parametrize("number", [2, *(pytest.param(number, marks=pytest.mark.long) for number in (4, 6, 12))])
def test_the_error_of_a_tone_holds_how_seldom_it_was_drawn(number):
    # A pick-up: always as strong, with a phase that nobody knows.
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:100, :120]
    pulls = []
    for _ in range(30):
        wx, wy = rng.uniform(0.3, 2.8), rng.uniform(-3, 3)
        phases = rng.uniform(0, 2 * np.pi, number)
        frames = [6 * np.cos(wx * x + wy * y + phase) + 5 * rng.standard_normal(x.shape) for phase in phases]
        total, error = spectrum_of(biases_of(frames, np.ones(x.shape, bool))).total
        pulls.append((total - 25 - 18) / error)
    # Two phases that nearly agree hide all of a tone, which no error can hold.
    assert np.mean(np.abs(pulls) < 2) > (0.85 if number == 2 else 0.9)
    assert abs(np.median(pulls)) < 0.8
    if number == 12:
        # With so many frames it shows that the amplitude is always the same.
        assert error < 0.05 * total


def test_a_tone_whose_phase_each_row_draws_anew_leaves_the_white_part_alone():
    rng = np.random.default_rng(8)
    x = np.arange(160)
    pulls = []
    for _ in range(20):
        wx = rng.uniform(0.3, 2.8)
        frames = [
            6 * np.cos(wx * x + rng.uniform(0, 2 * np.pi, (120, 1))) + 5 * rng.standard_normal((120, 160))
            for _ in range(2)
        ]
        white, error = spectrum_of(biases_of(frames, np.ones((120, 160), bool))).white
        pulls.append((white - 25) / error)
    assert abs(np.mean(pulls)) < 1.2
    assert np.std(pulls) < 1.5


def test_amplitudes_that_lie_on_a_circle_by_chance_are_no_steady_tone():
    # Of five amplitudes that were drawn at random, one set in fifty lies on a circle within a twentieth.
    rng = np.random.default_rng(12)
    shape = (48, 64)
    pulls = []
    for _ in range(150):
        tone = ReadOutTone(power=25, wx=rng.uniform(0.5, 2.6), wy=rng.uniform(-2.5, 2.5))
        noise = ReadOut(white=5, tones=(tone,))
        frames = [1000 + noise.draw(shape, rng) for _ in range(5)]
        total, error = spectrum_of(biases_of(frames, np.ones(shape, bool))).total
        pulls.append((total - noise.variance) / error)
    assert np.max(pulls) < 2.5
    assert np.mean(np.abs(pulls) < 2) > 0.9


def test_a_tone_at_the_frequency_of_one_whose_phase_each_row_draws_anew():
    rng = np.random.default_rng(13)
    shape = (120, 160)
    pulls = []
    for _ in range(25):
        wx = rng.uniform(0.5, 2.6)
        tones = (
            ReadOutTone(power=12, wx=wx, coherent=False),
            ReadOutTone(power=12, wx=wx + rng.uniform(-0.03, 0.03), wy=rng.uniform(-3, 3)),
        )
        noise = ReadOut(white=5, tones=tones)
        frames = [1000 + noise.draw(shape, rng) for _ in range(3)]
        total, error = spectrum_of(biases_of(frames, np.ones(shape, bool))).total
        pulls.append((total - noise.variance) / error)
    # 2.2 when both count as drawn in each row.
    assert np.sqrt(np.mean(np.square(pulls))) < 1.4
