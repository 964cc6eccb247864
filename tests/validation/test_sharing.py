"""What the trials of shared noise predict, against the published figures and sums worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.validation.trials import sharing
from tests.validation.realisations import compare

TRIALS = {trial.what: trial for trial in sharing.TRIALS}
SELF_DATA = 5.0


def predicted(what, draws=2):
    """The root of the mean variance, which is the same in every draw unless its dithers are others."""
    trial = TRIALS[what]
    rng = np.random.default_rng(4)
    return compare([trial.reduce(trial.draw(rng)) for _ in range(draws)]).predicted


def test_each_trial_has_a_name_of_its_own():
    assert len(TRIALS) == len(sharing.TRIALS)


@pytest.mark.parametrize(
    ("what", "sigma"),
    [
        # Noise-model.md, section 5, numbers 1, 3 and 4.
        ("frame and dark less one bias, exposure ratio 1/3", 5.43),
        ("frame and dark less one bias, exposure ratio 1", 5.39),
        ("frame and dark less one bias, exposure ratio 2", 7.07),
        ("mean of 25 under one master, without dithers: pixel", 5.10),
        ("mean of frames 1 to 5 less that of 1 to 10", np.sqrt(0.1) * SELF_DATA),
        # 1 - 1/N; 1 + 1/n; two pixels of the frame and two of the master; 1% of the light, and a mean of 25.
        ("a frame less the mean of 5 that contains it", SELF_DATA * np.sqrt(1 - 1 / 5)),
        ("a frame under a master less itself, shifted by a pixel", np.sqrt(2 * (25 + 25))),
        ("mean of 25 under one flat", np.sqrt(1.0 + 1.0)),
    ],
)
def test_predicted_sigmas_are_the_published_ones(what, sigma):
    assert predicted(what) == pytest.approx(sigma, rel=2e-3)


def test_a_stack_counts_the_same_exposure_once():
    # Electrons of variance 2000 + 6^2 + 1.5^2 / 12, with weights of 2/3 and 1/3.
    expected = np.sqrt((2000 + 36 + 1.5**2 / 12) * 5 / 9)
    assert predicted("mean of 3, two of which are one exposure", 30) == pytest.approx(expected, rel=2e-3)


@pytest.mark.long
@pytest.mark.parametrize(("dither", "name"), [(1, "1 pixel"), (5, "5 pixels"), (15, "15 pixels")])
def test_dithered_frames_meet_the_same_cell_by_chance(dither, name):
    # Two of 25 frames have the same offset with a chance of one in (2 dither + 1)^2.
    shared = 1 / 25 + (1 - 1 / 25) / (2 * dither + 1) ** 2
    found = predicted(f"mean of 25 under one master, dithered by up to {name}: pixel", 60)
    assert found == pytest.approx(np.sqrt(25 / 25 + 25 * shared), rel=0.03)


def test_an_aperture_of_radius_5_has_81_pixels():
    assert sharing.aperture(5).sum() == 81
