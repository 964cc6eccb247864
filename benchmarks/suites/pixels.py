"""Calibrating and combining frames in memory: the operations of ``compare.py``, by this package only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from calibration import Calibration
from stacks import Stack

STACKS: dict[str, dict[str, Any]] = {
    "median": {"method": "median"},
    "mean": {"method": "mean"},
    "mean after 3 sigma": {"method": "mean", "clip": "sigma"},
}


class Calibrate:
    """Deviation, gain, bias, scaled dark and flat, with variances and flags."""

    params = (512, 2048, 4096)
    param_names = ("size",)

    def setup(self, size: int) -> None:
        """Make the frames, and compile."""
        self.run = Calibration(size).ours()
        self.run()

    def time_calibrate(self, size: int) -> None:
        """Seconds."""
        self.run()

    def peakmem_calibrate(self, size: int) -> None:
        """Memory, the inputs included."""
        self.run()


class Combine:
    """Stacks of 20 frames of 1024 x 1024 pixels with variances."""

    params = (tuple(STACKS), (0.0, 0.05))
    param_names = ("stack", "masked")

    def setup(self, stack: str, masked: float) -> None:
        """Make the frames, and compile."""
        self.run = Stack(1024, 20, masked=masked, **STACKS[stack]).ours()
        self.run()

    def time_combine(self, stack: str, masked: float) -> None:
        """Seconds."""
        self.run()

    def peakmem_combine(self, stack: str, masked: float) -> None:
        """Memory, the inputs included."""
        self.run()
