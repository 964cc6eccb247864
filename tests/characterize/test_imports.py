"""What a measurement of a detector loads: parts of scipy that take longer to load than to measure are not among it."""

from __future__ import annotations

import subprocess
import sys

MEASURED = """
import sys
import numpy as np
from astro_calib.characterize import photon_transfer

rng = np.random.default_rng(1)
frames = [np.rint(1000 + (rng.poisson(level, (64, 96)) + rng.normal(0, 8, (64, 96))) / 1.5) for level in (0, 3e4) * 2]
photon_transfer([frame.astype(np.uint16) for frame in frames[1::2]], [frame.astype(np.uint16) for frame in frames[::2]])
print(*(name for name in ("scipy.optimize", "scipy.signal", "scipy.stats") if name in sys.modules))
"""


def test_a_photon_transfer_loads_no_heavy_part_of_scipy():
    run = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
