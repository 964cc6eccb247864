"""How long Python takes to start and to import this package, beside astropy.nddata, which it builds on."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import numpy as np

__all__ = ["measured"]

MODULES = ("astropy.nddata", "astro_calib")


def started(module: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor, of a process that imports a module and ends."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # What is installed has its bytecode beside it; a checkout gets it the first time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True, env=environment)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(repeats: int) -> dict[str, float]:
    """Medians for both modules, which take turns."""
    for module in MODULES:
        # The first time, files are compiled and read from the disk.
        started(module)
    times = [[started(module) for module in MODULES] for _ in range(repeats)]
    (astropy, astropy_processor), (ours, ours_processor) = np.median(times, axis=0).tolist()
    return {
        "astropy": astropy,
        "ours": ours,
        "astropy, processor": astropy_processor,
        "ours, processor": ours_processor,
    }
