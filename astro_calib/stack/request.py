"""What is asked of a combination."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CombineOptions"]


class CombineOptions(NamedTuple):
    """What is done to the values at each pixel; the arguments of `astro_calib.combine`."""

    method: str
    clip: str | None
    lower: float
    upper: float
    extremes: tuple[int, int]
