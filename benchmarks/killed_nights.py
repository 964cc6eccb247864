"""
Kill a night at random moments, let it go on each time, and compare what it ends with with an undisturbed one.

``python benchmarks/killed_nights.py --kills 20`` simulates a night, reduces it once undisturbed, and then again and
again from the beginning: each time the process is killed (SIGKILL) at a random moment, what it has left is looked at,
and the same command goes on. Printed is what was found, and how long it took. ``--raw DIR`` does that with raw files;
what follows ``--`` is given to ``astro-calib reduce``.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from astropy.io import fits

from astro_calib import simulate
from astro_calib.night.tasks.journal import JOURNAL, read_journal

#: What tells of the run and not of the night.
OF_THE_RUN = {JOURNAL, "summary.txt", "summary.json", "report.html"}


def start(raw: Path, out: Path, more: list[str]) -> subprocess.Popen[bytes]:
    """Begin to reduce a night with the command, as a user does."""
    command = [sys.executable, "-m", "astro_calib", "reduce", str(raw), "-o", str(out), "--quiet", *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def states(out: Path) -> dict[str, tuple[int, int]]:
    """Number and time of writing of each file of the results."""
    files = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        path.relative_to(out).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in files
        if path.name not in OF_THE_RUN
    }


def broken(out: Path) -> list[str]:
    """Files under their final names that are not whole."""
    found = []
    for name in states(out):
        path = out / name
        try:
            if path.suffix == ".fits":
                with fits.open(path) as hdus:
                    hdus.verify("exception")
                    whole = all(hdu.verify_datasum() == 1 and hdu.verify_checksum() == 1 for hdu in hdus)
            else:
                whole = path.read_bytes()[-8:].endswith((b"\n", b"IEND\xaeB`\x82"))
        except (OSError, fits.VerifyError):
            whole = False
        if not whole:
            found.append(name)
    return found


def different(one: Path, other: Path) -> list[str]:
    """Files whose pixels, tables or pictures are not the same in two directories."""
    names = set(states(one)) ^ set(states(other))
    for name in set(states(one)) & set(states(other)):
        if not name.endswith(".fits"):
            if (one / name).read_bytes() != (other / name).read_bytes():
                names.add(name)
            continue
        if content(one / name) != content(other / name):
            names.add(name)
    return sorted(names)


def content(path: Path) -> list[tuple[str, object]]:
    """All that is in a file: of its budget what does not tell when it was made."""
    with fits.open(path) as hdus:
        parts: list[tuple[str, object]] = [(hdu.name, hdu.data.tobytes()) for hdu in hdus if hdu.name != "BUDGET"]
        tree = json.loads(hdus["BUDGET"].data.tobytes())
    for record in tree["provenance"]:
        del record["date"]
    return [*parts, ("BUDGET", tree)]


def main() -> None:
    """Kill, go on, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--science", type=int, default=3, help="frames in each of two filters")
    parser.add_argument("--raw", type=Path, help="a night of raw files, instead of a simulated one")
    parser.add_argument("more", nargs="*", help="given to astro-calib reduce")
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311  no secret hangs on it
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        raw, whole = place / "raw", place / "whole"
        if options.raw:
            raw = options.raw
        else:
            camera = simulate.camera((options.size, options.size), seed=1, filters=["V", "R"])
            simulate.night(raw, seed=1, camera=camera, science=options.science, biases=5, darks=5, flats=5, stars=40)
        start(raw, whole, options.more).communicate()
        begun = time.monotonic()
        start(raw, place / "timed", options.more).communicate()
        took = time.monotonic() - begun
        kills = rounds = kept = half = touched = other = 0
        while kills < options.kills:
            rounds += 1
            out = place / f"killed-{rounds}"
            complete: list[dict[str, tuple[int, int]]] = []
            while True:
                process = start(raw, out, options.more)
                if kills < options.kills:
                    try:
                        process.wait(chance.uniform(0.2, 1.0) * took)
                    except subprocess.TimeoutExpired:
                        process.send_signal(signal.SIGKILL)
                        kills += 1
                _, said = process.communicate()
                if process.returncode == 0 or (out / "summary.txt").exists():
                    break
                if process.returncode != -signal.SIGKILL:
                    sys.exit(f"the command ended with {process.returncode}: {said.decode()}")
                half += len(broken(out)) if out.exists() else 0
                there = states(out)
                # What was complete stays as it is in all that follows.
                complete.append({name: there[name] for one in read_journal(out).records.values() for name in one.files})
            kept += sum(map(len, complete))
            there = states(out)
            touched += sum(there.get(name) != state for files in complete for name, state in files.items())
            other += len(different(whole, out))
        print(f"{took:.1f} s undisturbed; {kills} kills in {rounds} nights, {kept} files were complete at them")
        print(f"half-written under a final name: {half}; complete and touched: {touched}; not as undisturbed: {other}")
        if half or touched or other:
            sys.exit(1)


if __name__ == "__main__":
    main()
