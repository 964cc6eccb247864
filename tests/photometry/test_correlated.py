"""Fluxes in apertures less annuli over read-out noise that is correlated."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, Correlation, NoiseSource, UncertaintyBudget, measure_snr
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.coefficient import Coefficient
from astro_calib.photometry.apertures import aperture_for, weigh
from astro_calib.photometry.fluxes import measure
from tests.correlated_fields import CASES, covariance_matrix, draw, variance_of_map

SHAPE = (100, 104)
PLACES = np.array([[52.3, 49.6], [47.0, 53.0], [12.2, 30.7]])


def weights_at(data, missing, radius):
    """For each place the pixels that count, and their weights."""
    listed = weigh(data, missing, PLACES, aperture_for(4.0, radius, None))
    for place in range(len(PLACES)):
        here = listed.place == place
        yield listed.row[here], listed.column[here], listed.weight[here]


@pytest.mark.parametrize("radius", [2, 5, 8, 15])
@pytest.mark.parametrize("case", CASES)
def test_the_read_noise_of_a_flux(case, radius):
    rng = np.random.default_rng(1)
    data = rng.normal(100, 10, SHAPE)
    flat = rng.uniform(0.7, 1.3, SHAPE)
    missing = rng.random(SHAPE) < 0.02
    source = NoiseSource("read noise", 25.0, window=((7, 1), (30, -1)), correlation=Correlation(*CASES[case]))
    budget = UncertaintyBudget(SHAPE, [(source, 1 / flat), (NoiseSource("shot noise", data), 1.0)], data=data)
    found = measure(data, budget, weigh(data, missing, PLACES, aperture_for(4.0, radius, None)))
    for place, (row, column, weight) in enumerate(weights_at(data, missing, radius)):
        amplitudes = 5 * weight / flat[row, column]
        # The window turns the rows around.
        expected = variance_of_map(*CASES[case], 7 + row, 30 - column, amplitudes)
        assert found.variances["read_noise"][place] == pytest.approx(expected, rel=1e-9)


def test_related_sources_give_the_same_as_a_map():
    # A frame whose flat holds the same read noise: its terms are linked, so that each place is worked out by itself.
    rng = np.random.default_rng(2)
    data = rng.normal(100, 10, SHAPE)
    source = NoiseSource("read noise", 25.0, correlation=Correlation(*CASES["all"]))
    budget = UncertaintyBudget(SHAPE, [(source, 1.0)], data=data)
    shifted = NoiseSource("read noise", 25.0, identity=source.identity, window=((1, 1), (2, 1)))
    shifted = shifted.replace(correlation=source.correlation)
    both = budget.with_terms([(shifted, -1.0)])
    found = measure(data, both, weigh(data, np.zeros(SHAPE, dtype=bool), PLACES, aperture_for(4.0, 3, None)))
    for place, (row, column, weight) in enumerate(weights_at(data, np.zeros(SHAPE, dtype=bool), 3)):
        rows, columns = np.concatenate([row, row + 1]), np.concatenate([column, column + 2])
        amplitudes = 5 * np.concatenate([weight, -weight])
        expected = amplitudes @ covariance_matrix(*CASES["all"], rows, columns) @ amplitudes
        assert found.variances["read_noise"][place] == pytest.approx(expected, rel=1e-9)


def test_stars_of_a_frame_with_its_own_data_in_a_coefficient():
    rng = np.random.default_rng(3)
    y, x = np.indices(SHAPE)
    data = rng.normal(100, 5, SHAPE)
    for px, py in PLACES:
        data += 3000 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.7**2))
    terms = [(NoiseSource("read noise", 25.0, correlation=Correlation(*CASES["rows"])), 1.0)]
    terms.append((NoiseSource("gain", 1e-4, axes=()), Coefficient(1.0).times(SELF_DATA)))
    frame = CCDFrame(data, unit=u.electron, budget=UncertaintyBudget(SHAPE, terms, data=data))
    table = measure_snr(frame, positions=PLACES, fwhm=4.0, radius=5)
    white = UncertaintyBudget(SHAPE, [(s.replace(correlation=None), c) for s, c in terms], data=data)
    of_white = measure_snr(CCDFrame(data, unit=u.electron, budget=white), positions=PLACES, fwhm=4.0, radius=5)
    # A disk of 5 pixels has rows of up to 11 pixels, a third of whose variance they share.
    ratio = np.asarray(table["err_read_noise"] / of_white["err_read_noise"])
    assert np.all((ratio > 1.3) & (ratio < 2.2))
    np.testing.assert_allclose(table["flux"].value, of_white["flux"].value)


@pytest.mark.long
@pytest.mark.parametrize("case", ["coherent tone", "tone of each row", "all"])
def test_fluxes_scatter_as_predicted(case):
    rng = np.random.default_rng(4)
    flat_field = np.full(SHAPE, 100.0)
    nothing = np.zeros(SHAPE, dtype=bool)
    budget = UncertaintyBudget(SHAPE, [(NoiseSource("read noise", 25.0, correlation=Correlation(*CASES[case])), 1.0)])
    fields = np.concatenate([draw(rng, 500, SHAPE, *CASES[case], 5.0).astype(np.float32) for _ in range(6)])
    assert np.sqrt(25 / np.mean(np.square(fields, dtype=np.float64))) == pytest.approx(1, abs=0.02)
    for radius in (2, 5, 8, 15):
        listed = weigh(flat_field, nothing, PLACES[:1], aperture_for(4.0, radius, None))
        predicted = measure(flat_field, budget, listed).error[0]
        sums = fields[:, listed.row, listed.column] @ listed.weight
        assert predicted / np.std(sums) == pytest.approx(1, abs=0.04), f"radius {radius}"
