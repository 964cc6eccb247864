"""The time of one run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["timed"]


def timed(run: Callable[[], object]) -> float:
    """Seconds by the clock."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
