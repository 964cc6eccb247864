"""What the trials of the steps predict, against sums worked out by hand; and that ccdproc gives the same results."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astro_calib.detector.detector import Detector
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.validation.trials import chains, draws, electrons, masters
from tests.validation.realisations import compared

TRIALS = {f"{trial.step}: {trial.what}": trial for module in (chains, electrons, masters) for trial in module.TRIALS}
#: Read noise of 6 electrons, digitised in steps of 1.5 electrons.
READ = 6.0**2 + 1.5**2 / 12


def dark_subtracted(ratio):
    """Sky 20, dark current 0.5 / s, dark of 60 s: frame, scaled dark, and what is left of the bias under both."""
    return READ + 20 + 30 * ratio + ratio**2 * (READ + 30) + (ratio - 1) ** 2 * READ


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        # Sky of 30 electrons; a row of 24 pixels whose level is a mean of 8.
        ("overscan: mean of each row: pixel", READ + 30 + READ / 8),
        ("overscan: mean of each row: sum over a row", 24 * (READ + 30) + 24**2 * READ / 8),
        # A straight line through 256 levels, each a mean of 8: two parameters.
        # A straight line through 32 levels, each a mean of 2: in the mean over the first 16, of which x is 8 less than
        # in the middle, of (32^2 - 1) / 12 on average of its square.
        (
            "overscan: line through the rows: sum over half a column",
            16 * (READ + 30) + 16**2 * READ / 2 / 32 * (1 + 8**2 / ((32**2 - 1) / 12)),
        ),
        # A column of 256 pixels, one level for all from 256.
        ("overscan: mean of the frame: sum over a column", 256 * (READ + 30) + 256**2 * READ / 256),
        # Two columns of 64 pixels, each with a level from 128, of amplifiers of read noise 5 and 8 and gain 1.2 and 2.
        (
            "overscan: mean for each of two amplifiers: difference of sums over columns",
            sum(64 * (noise + 30) + 64**2 * noise / 128 for noise in (5**2 + 1.2**2 / 12, 8**2 + 2**2 / 12)),
        ),
        ("gain: uncertain gain: pixel", READ + 2500 + (0.02 * 2500) ** 2),
        ("gain: uncertain gain: sum over a column", 32 * (READ + 2500) + (32 * 0.0016 * 2500) ** 2),
        # Rows of eight amplifiers, each with four pixels and digitised in steps of 1.2 to 2.6 electrons.
        (
            "gain: eight amplifiers: sum over a row",
            32 * (36 + np.mean(electrons.GAINS**2) / 12 + 2500) + 8 * (4 * 0.004 * 2500) ** 2,
        ),
        ("deviation: four amplifiers: pixel over its true sigma", 1.0),
        ("deviation: in electrons, 8 a step: pixel", 6**2 + 8**2 / 12 + 20),
        ("deviation: in adu, 8 electrons a step: pixel", (6**2 + 8**2 / 12 + 20) / 8**2),
        ("bias: mean of 5: pixel", READ + 20 + READ / 5),
        ("bias: median of 5: pixel", READ + 20 + 1.4342 * READ / 5),
        ("dark: one bias in frame and dark, t/td = 1/3: pixel", dark_subtracted(1 / 3)),
        ("dark: one bias in frame and dark, t/td = 1: pixel", dark_subtracted(1)),
        ("dark: one bias in frame and dark, t/td = 2: pixel", dark_subtracted(2)),
        ("dark: mean of 5 with the bias in it: pixel", READ + 50 + (READ + 30) / 5),
    ],
)
def test_predicted_variances_are_those_worked_out_by_hand(name, variance):
    assert compared(TRIALS[name], range(40)).predicted == pytest.approx(np.sqrt(variance), rel=0.005)


@pytest.mark.parametrize(
    "name",
    [
        "overscan: mean of each row: pixel",
        "overscan: mean of each row: sum over a row",
        "overscan: line through the rows: sum over half a column",
        "gain: uncertain gain: pixel",
        "gain: uncertain gain: sum over a column",
        "deviation: in adu, 8 electrons a step: pixel",
        "bias: mean of 5: pixel",
        "bias: median of 5: pixel",
        "dark: one bias in frame and dark, t/td = 2: pixel",
        "dark: mean of 5 with the bias in it: pixel",
        "flat: means of 5 biases, darks and flats: pixel",
        "flat: masked pixels: pixel",
        "flat: least value: pixel above it",
        "flat: 6 x 6 pixels, norm_value given: sum over the frame",
        "chain: mean of 5: pixel",
        "chain: mean of 5: sum over an aperture",
        "chain: median of 5: pixel",
    ],
)
def test_ccdproc_gives_the_same_result(name):
    # What is compared are the errors of one and the same result.
    trial = TRIALS[name]
    drawn = trial.draw(np.random.default_rng(3))
    ours, theirs = np.ravel(trial.reduce(drawn)[0]), np.ravel(trial.with_ccdproc(drawn)[0])
    np.testing.assert_allclose(ours, theirs, atol=2e-3 * np.sqrt(np.mean(theirs**2)))


def test_a_read_noise_at_the_wrong_amplifier_is_seen(monkeypatch):
    # The sum of the variances would be that of the right detector.
    trial = TRIALS["deviation: four amplifiers: pixel over its true sigma"]
    amplifiers = electrons.AMPLIFIERS.amplifiers
    swapped = [
        replace(one, read_noise=other.read_noise) for one, other in zip(amplifiers, amplifiers[::-1], strict=True)
    ]
    monkeypatch.setattr(electrons, "AMPLIFIERS", Detector(amplifiers=tuple(swapped)))
    assert not trial.passes(compared(trial, range(4)), quick=True)


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "overscan: line through the rows: sum over half a column",
        "overscan: mean for each of two amplifiers: difference of sums over columns",
        "gain: uncertain gain: sum over a column",
        "linearity: polynomial with covariance: sum over a column",
        "linearity: uncertain table: sum over a column",
    ],
)
def test_sums_added_in_quadrature_are_seen(monkeypatch, name):
    trial = TRIALS[name]

    def ratio():
        return compared(trial, range(250))

    assert trial.passes(ratio(), quick=True)
    monkeypatch.setattr(
        UncertaintyBudget, "variance_of_sum", lambda budget, weights: float(np.sum(weights**2 * budget.variance()))
    )
    assert not trial.passes(ratio(), quick=True)


def test_what_simulates_shares_no_code_with_what_predicts():
    tree = ast.parse(Path(draws.__file__).read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not [module for module in modules if module.startswith("astro_calib")]


def test_the_response_of_the_simulated_detector_is_what_the_true_correction_undoes():
    true = np.linspace(0, 40000, 9)
    measured = draws.response(true)
    np.testing.assert_allclose(draws.correction(measured), true, atol=1e-6)
    assert measured[-1] < 0.95 * true[-1]


def test_the_fluxes_of_a_perfect_frame_are_those_of_the_stars():
    # Of a Gaussian star the part 1 - exp(-r^2 / 2 sigma^2) is in an aperture of radius r; there is none in the annulus.
    inside = 1 - np.exp(-(chains.RADIUS**2) / (2 * draws.WIDTH**2))
    np.testing.assert_allclose(chains.true_fluxes(annulus=True), draws.FLUX * inside, rtol=0.01)
