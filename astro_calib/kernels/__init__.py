"""
Compiled loops over pixels: arrays in, arrays out.

They are compiled when they are first needed, and kept on disk for the next time.
"""

from __future__ import annotations

import os
from pathlib import Path

from astropy import log

__all__: list[str] = []


def _say_if_new() -> None:
    """Say what takes some seconds, in a fresh install."""
    kept = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent
    if not any(Path(kept).rglob("*.nbi")):
        log.info("astro_calib compiles its loops for this machine: some seconds, this once.")


_say_if_new()
