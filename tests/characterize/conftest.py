"""Real frames for the tests of what is made from many."""

from __future__ import annotations

from pathlib import Path

import pytest

NICKEL = Path(__file__).parents[3] / "shared" / "data" / "nickel"


@pytest.fixture(scope="session")
def nickel():
    """The directory of a real night at the Nickel telescope."""
    if not NICKEL.is_dir():
        pytest.skip("the real frames in ../shared/data/nickel are not part of a checkout")
    return NICKEL
