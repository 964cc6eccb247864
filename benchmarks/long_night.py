"""
Memory and time of `astro-calib reduce` over thousands of science frames, as the calibrated ones appear.

    python benchmarks/long_night.py
    python benchmarks/long_night.py --frames 300 --step 25 -- --no-pictures
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from many_frames import many_frames


def followed(raw: Path, out: Path, step: int, options: list[str]) -> int:
    """Run the command, print its memory (MB) and CPU time (s) every so many frames, and return its exit status."""
    command = [sys.executable, "-m", "astro_calib", "reduce", str(raw), "-o", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = 0
    print(f"{'frames':>8}{'memory':>10}{'highest':>10}{'CPU':>10}")
    while process.poll() is None:
        number = sum(1 for _ in (out / "calibrated").glob("[!.]*.fits"))
        if number // step > last // step:
            try:
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                status = dict(line.split(":", 1) for line in lines if ":" in line)
                times = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
                memory, highest = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
            except (OSError, KeyError):
                break
            print(f"{number:8}{memory:10.1f}{highest:10.1f}{(int(times[11]) + int(times[12])) / 100:10.2f}", flush=True)
            last = number
        time.sleep(0.05)
    return process.wait()


def main() -> None:
    """Make the night, and follow it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--step", type=int, default=100)
    parser.add_argument("options", nargs="*", default=["--no-stars", "--no-pictures"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        raw = many_frames(Path(name) / "raw", options.frames)
        sys.exit(followed(raw, Path(name) / "out", options.step, options.options))


if __name__ == "__main__":
    main()
