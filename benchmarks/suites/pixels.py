"""Calibrating and combining frames in memory: the operations of ``compare.py``, without the other package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from compare import calibration, combination

STACKS = {
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
        self.run = calibration(size).ours
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
        self.run = combination(1024, 20, masked, **STACKS[stack]).ours
        self.run()

    def time_combine(self, stack: str, masked: float) -> None:
        """Seconds."""
        self.run()

    def peakmem_combine(self, stack: str, masked: float) -> None:
        """Memory, the inputs included."""
        self.run()
