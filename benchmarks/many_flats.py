"""
Peak memory of `astro-calib reduce --memory-limit` for a night of many flats: that of the process, as the system counts.

    python benchmarks/many_flats.py
    python benchmarks/many_flats.py --flats 40 --size 1024 --limit 300MB --compare

With ``--compare`` the master of a run without a limit has to be the same, pixel by pixel.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

#: So many flats are simulated; the others are copies of them with other noise in one column.
DIFFERENT = 8


def many_flats(directory: Path, number: int, size: int) -> None:
    """Write a night of biases and flats, no two of which have the same pixels."""
    from astro_calib import simulate

    camera = simulate.camera((size, size), seed=20, filters=["V"])
    flats = min(number, DIFFERENT)
    simulate.night(directory, seed=20, camera=camera, biases=5, darks=3, flats=flats, science=1, progress=False)
    models = [(*fits.getdata(path, header=True), path) for path in sorted(directory.glob("flat-*.fits"))]
    for index in range(number - len(models)):
        data, header, path = models[index % len(models)]
        changed = data.copy()
        rng = np.random.default_rng(index)
        changed[:, index % size] += rng.integers(0, 2, len(data)).astype(data.dtype)
        fits.writeto(directory / f"{path.stem}-{index:04d}.fits", changed, header)


def reduced(raw: Path, out: Path, limit: str) -> None:
    """Reduce the night, and print what that took."""
    command = [sys.executable, "-m", "astro_calib", "reduce", str(raw), "-o", str(out), "--no-stars", "--no-pictures"]
    started = time.monotonic()
    process = subprocess.Popen([*command, "--quiet", "--memory-limit", limit])
    _, status, used = os.wait4(process.pid, 0)
    print(
        f"--memory-limit {limit}: {used.ru_maxrss / 1e6:.2f} GB at most, {time.monotonic() - started:.0f} s, of which "
        f"{used.ru_utime + used.ru_stime:.0f} s of processors",
        flush=True,
    )
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))


def same(one: Path, other: Path) -> bool:
    """Whether the master flats in two directories hold the same pixels, flags and noise of each source."""
    from astro_calib import CCDFrame

    names = sorted(path.name for path in one.glob("masters/*flat*.fits"))
    for name in names:
        a, b = (CCDFrame.read(directory / "masters" / name) for directory in (one, other))
        parts, others = ({"pixels": x.pixels, "flags": x.flags, **x.budget.variances()} for x in (a, b))
        if parts.keys() != others.keys() or not all(np.array_equal(parts[key], others[key]) for key in parts):
            return False
    return bool(names)


def main() -> None:
    """Make the night and reduce it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flats", type=int, default=200)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--limit", default="2GB")
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        many_flats(directory / "raw", options.flats, options.size)
        reduced(directory / "raw", directory / "out", options.limit)
        if options.compare:
            reduced(directory / "raw", directory / "whole", "1000GB")
            if not same(directory / "out", directory / "whole"):
                sys.exit("the master flats differ")
            print("the master flats are the same")


if __name__ == "__main__":
    main()
