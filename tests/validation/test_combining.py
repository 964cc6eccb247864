"""What the trials of stacks predict, against the published factors; and that ccdproc makes the same stacks."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.validation.trials import combining
from tests.validation.realisations import compared

TRIALS = {trial.what: trial for trial in combining.TRIALS}
SELF_DATA = 5.0


def predicted(what):
    """The root of the mean variance, which is the same in every draw."""
    return compared(TRIALS[what], range(2)).predicted


def test_each_trial_has_a_name_of_its_own():
    assert len(TRIALS) == len(combining.TRIALS)


@pytest.mark.parametrize(
    ("what", "sigma"),
    [
        # Noise-model.md, section 4: N Var / sigma^2 of medians.
        ("mean of 25", SELF_DATA / 5),
        ("median of 3", SELF_DATA * np.sqrt(1.3460 / 3)),
        ("median of 4", SELF_DATA * np.sqrt(1.1928 / 4)),
        ("median of 10", SELF_DATA * np.sqrt(1.3833 / 10)),
        ("median of 25", SELF_DATA * np.sqrt(1.5437 / 25)),
        ("sum of 5", SELF_DATA * np.sqrt(5)),
        ("weighted mean of 3, weights 4, 2, 1", SELF_DATA * np.sqrt(16 + 4 + 1) / 7),
        ("median: sigmas 1, 1, 3", np.sqrt(0.761)),
        ("mean: 5 of sigma 1 and 5 of sigma 5", np.sqrt(5 + 5 * 25) / 10),
        # Section 5, number 3.
        ("mean of 25 under one master of sigma 5", 5.10),
        ("mean of 25 under one master of sigma 1", 1.414),
        ("median of 25 under one master of sigma 1", 1.595),
    ],
)
def test_predicted_sigmas_are_the_published_ones(what, sigma):
    assert predicted(what) == pytest.approx(sigma, rel=1e-3)


@pytest.mark.parametrize(
    "what",
    [
        "mean of 5",
        "median of 4",
        "sum of 5",
        "weighted mean of 3, weights 4, 2, 1",
        "median of 7, 40% masked",
        "mean of 10 less the extremes",
        "mean of 25 under one master of sigma 5",
        "mean of 3 biases, overscan level of the row: sum over a row",
        "mean of 3 unequal flats scaled by their means: pixel",
    ],
)
def test_ccdproc_makes_the_same_stack(what):
    # What is compared are the errors of one and the same result.
    trial = TRIALS[what]
    drawn = trial.draw(np.random.default_rng(3))
    ours, theirs = np.ravel(trial.reduce(drawn)[0]), np.ravel(trial.with_ccdproc(drawn)[0])
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.std(theirs))
