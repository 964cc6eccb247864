"""The time of one run, and of several."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["medians", "timed"]


def timed(run: Callable[[], object]) -> float:
    """Seconds by the clock."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each series."""
    return {what: float(np.median(found)) for what, found in times.items()}
