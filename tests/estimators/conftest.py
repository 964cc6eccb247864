"""Comparison with simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest


@pytest.fixture
def scatter_of_blocks():
    """Function: mean and standard error of a statistic of `blocks` independent samples."""

    def scatter(statistic, blocks=25, seed=1):
        generators = np.random.default_rng(seed).spawn(blocks)
        results = np.array([statistic(generator) for generator in generators])
        return results.mean(axis=0), results.std(axis=0, ddof=1) / math.sqrt(blocks)

    return scatter


@pytest.fixture
def assert_agrees():
    """Function: agreement within four standard errors, small enough for the comparison to mean something."""

    def agrees(simulated, expected, tolerance):
        mean, error = simulated
        assert np.all(3 * error < tolerance * np.abs(expected))
        assert np.all(np.abs(mean - expected) < 4 * error)

    return agrees
