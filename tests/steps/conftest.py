from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng():
    """Randomness that is the same on every run."""
    return np.random.default_rng(20240513)
