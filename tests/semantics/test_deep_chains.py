"""Hundreds of operations: what a frame holds stays bounded."""

from __future__ import annotations

import pickle

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame
from astro_calib.noise.budget import MAX_SOURCES
from astro_calib.noise.coefficient import MAX_MONOMIALS

pytestmark = pytest.mark.filterwarnings("ignore:(?s).*more than .* sources of noise:astro_calib.errors.NoiseWarning")


def test_a_chain_holds_a_bounded_number_of_arrays():
    rng = np.random.default_rng(1)
    shape = (60, 80)

    def new(value, sigma, unit="adu"):
        return CCDFrame(value * rng.uniform(0.8, 1.2, shape), unit=unit, uncertainty=sigma * rng.uniform(0.5, 1, shape))

    flat, chain = new(1, 0.02, ""), new(100, 3)
    operations = [
        lambda: chain + new(100, 3),
        lambda: chain - new(100, 3),
        lambda: chain * rng.uniform(0.9, 1.1),
        lambda: chain * rng.uniform(0.9, 1.1, shape),
        lambda: chain + 3 * u.adu,
        lambda: chain / flat,
        lambda: chain * flat,
    ]
    for _ in range(500):
        chain = operations[rng.integers(len(operations))]()
        assert len(chain.budget.terms) <= MAX_SOURCES
    # A source has a variance and a coefficient, which is a sum of so many products.
    assert len(pickle.dumps(chain)) < (1 + MAX_MONOMIALS) * MAX_SOURCES * chain.data.nbytes
