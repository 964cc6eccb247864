"""Observed over predicted noise: which ratios are right, and where they stand on a dial."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["MASTER_RATIO", "SKY_RATIO", "gauge"]

#: The noise of the sky over what was predicted: beyond these a remark says so.
SKY_RATIO = (0.95, 1.12)
#: The same of the frames of a master.
MASTER_RATIO = (0.93, 1.08)


def gauge(ratio: float, right: tuple[float, float]) -> dict[str, Any] | None:
    """
    Return where a ratio stands between 0.8 and 1.25, on a logarithmic scale from 0 to 100; None if not known.

    It is far if it is not within what is ``right``.
    """
    if not ratio > 0 or not math.isfinite(ratio):
        return None
    place = round(min(100.0, max(0.0, 50 + 50 * math.log(ratio) / math.log(1.25))), 1)
    return {"place": place, "far": not right[0] <= ratio <= right[1]}
