"""
How fast this is, beside ccdproc and beside a plain copy of as many bytes, and how the cost grows.

Each operation is timed in a process of its own, several times, alternating with the other package and with the copy, so
that a busy machine slows all of them; the median is told. What both find is checked pixel by pixel. Peak memory is that
of a process that makes the inputs of one package and runs its operation once. Run it alone; it takes some minutes, and
with ``--quick`` two or three:

    python benchmarks/compare.py -o docs/performance.inc
    python benchmarks/compare.py --quick
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import warnings
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from agreement import check
from calibration import Calibration
from clock import medians, timed
from stacks import CalibratedStack, Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agreement import Operation

OPERATIONS: dict[str, Callable[[int], Operation]] = {
    "calibrate": Calibration,
    "median of 20": lambda size: Stack(size, 20, method="median"),
    "median of 20, 5% masked": lambda size: Stack(size, 20, method="median", masked=0.05),
    "mean of 20": lambda size: Stack(size, 20),
    "weighted mean of 20": lambda size: Stack(size, 20, weights=np.linspace(1, 2, 20).tolist()),
    "mean of 20 after 3 sigma": lambda size: Stack(size, 20, clip="sigma"),
    "mean of 20 after 3 sigma, 5% masked": lambda size: Stack(size, 20, clip="sigma", masked=0.05),
    "mean of 10 calibrated frames, 3 sigma": lambda size: CalibratedStack(size, 10),
}

#: What makes glibc keep freed memory instead of giving it back to the system at once, as a long-running process does in
#: effect; other allocators ignore it.
KEEPS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 40), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}

#: Four tables, for the width of a telephone: the time with each allocator, beside a copy, and the memory.
HEADINGS = (
    ("operation", "seconds", "ccdproc, seconds", "times faster"),
    ("operation, freed memory kept", "seconds", "ccdproc, seconds", "times faster"),
    (
        "operation",
        "MB to move",
        "seconds of a copy",
        "times a copy",
        "seconds of a copy to new memory",
        "times that copy",
    ),
    ("operation", "peak MB", "ccdproc, peak MB"),
)


def copied(traffic: int) -> Iterator[tuple[float, float]]:
    """Seconds that NumPy takes to copy so many bytes, read and written, into an array that is there, and a new one."""
    source = np.ones(traffic // 16)
    target = np.ones_like(source)
    while True:
        yield timed(lambda: np.copyto(target, source)), timed(source.copy)


def size_of(name: str, *, quick: bool) -> int:
    """Pixels on a side."""
    if quick:
        return 512
    return 4096 if name == "calibrate" else 2048


def measure(operation: Operation, repeats: int) -> dict[str, float]:
    """Times of an operation, in seconds, medians over the repeats; ours and theirs checked against each other."""
    ours, theirs = operation.ours(), operation.theirs()
    check(operation, ours(), theirs())
    times: dict[str, list[float]] = {"ours": [], "theirs": [], "copy": [], "new copy": [], "look": []}
    copies = copied(operation.traffic)
    # Where freed memory is kept, it is that of the run before, unless the system has taken it back meanwhile.
    warm_up = all(os.environ.get(name) == value for name, value in KEEPS_MEMORY.items())
    for repeat in range(repeats):
        if warm_up:
            ours()
        times["ours"].append(timed(ours))
        made = ours()
        times["look"].append(timed(partial(getattr, made, "data")))
        if repeat < max(1, repeats // 4):
            if warm_up:
                theirs()
            times["theirs"].append(timed(theirs))
        for which, seconds in zip(("copy", "new copy"), next(copies), strict=True):
            times[which].append(seconds)
    return medians(times) | {"MB": operation.traffic / 1e6}


def peak(operation: Operation, who: str) -> dict[str, float]:
    """Peak memory of a process that runs an operation once, in MB, the inputs of this side included."""
    run = operation.ours() if who == "ours" else operation.theirs()
    run()
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


#: What is measured besides: the module, its function, and the arguments of a quick run and of a full one.
OTHERS: dict[str, tuple[str, str, tuple[int, ...], tuple[int, ...]]] = {
    "files": ("from_files", "measured", (512, 10, 3), (4096, 100, 3)),
    "growth": ("growth", "rows", (3, 1024, 1024, 256), (5, 8192, 4096, 512)),
    "night": ("whole_night", "measured", (512, 1), (2048, 3)),
    "stars": ("stars", "of_simulated", (512, 100, 3), (2048, 600, 9)),
    "imports": ("imports", "measured", (3,), (15,)),
}


def part(name: str, who: str | None, *, quick: bool) -> Any:
    """What is found in one process."""
    if name in OTHERS:
        module, function, few, many = OTHERS[name]
        return getattr(import_module(module), function)(*(few if quick else many))
    operation = OPERATIONS[name](size_of(name, quick=quick))
    return peak(operation, who) if who else measure(operation, 3 if quick else 9)


def in_a_process(name: str, *arguments: str, keeps_memory: bool = False) -> Any:
    """What this script finds in a process of its own."""
    print(name, *arguments, "(freed memory kept)" if keeps_memory else "", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--only", name, *arguments]
    environment = os.environ | (KEEPS_MEMORY if keeps_memory else {})
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> str:
    """What the figures were measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    names = ("astropy", "ccdproc", "numpy", "numba")
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in names
    )


def list_table(rows: list[list[str]]) -> str:
    """A table of reStructuredText, the first row its heading."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {' ' if place else '*'} - {cell}".rstrip() for place, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def beside(found: dict[str, float]) -> list[str]:
    """The seconds of this package and of ccdproc, and their ratio."""
    return [f"{found['ours']:.3f}", f"{found['theirs']:.2f}", f"{found['theirs'] / found['ours']:.0f}"]


def rows_of(name: str, *quick: str) -> tuple[list[list[str]], float]:
    """The row of an operation in each of the tables, and the seconds of the first look at its data."""
    found, warm = in_a_process(name, *quick), in_a_process(name, *quick, keeps_memory=True)
    memory = [in_a_process(name, "--peak", who, *quick)["peak"] for who in ("ours", "theirs")]
    rows = [
        beside(found),
        beside(warm),
        [
            f"{found['MB']:.0f}",
            f"{found['copy']:.3f}",
            f"{found['ours'] / found['copy']:.1f}",
            f"{found['new copy']:.3f}",
            f"{found['ours'] / found['new copy']:.1f}",
        ],
        [f"{one:.0f}" for one in memory],
    ]
    return [[name, *row] for row in rows], found["look"]


def sentences(look: float, *quick: str) -> list[str]:
    """What is not in the tables of operations."""
    files, night, stars, imports = (in_a_process(name, *quick) for name in ("files", "night", "stars", "imports"))
    warm = in_a_process("night", *quick, keeps_memory=True)
    which = "10 raw frames of 512 x 512" if quick else "100 raw frames of 4096 x 4096"
    size = 512 if quick else 2048
    look_at_data = (
        f"The first look at ``data`` of a calibrated frame, after which somebody may write into it, takes another "
        f"{look:.3f} s: the variance of its shot noise becomes an array, and its values get a checksum."
    )
    stack = (
        f"A median of {which} pixels in files: {files['ours']:.2f} s, {files['ours'] / files['reading']:.2f} times the "
        f"reading of them with `astropy.io.fits.getdata` ({files['reading']:.2f} s); peak memory {files['peak']:.0f} "
        f"MB."
    )
    whole_night = (
        f"A night of 10 biases, 10 darks, 10 flats and 20 science frames of {size} x {size} pixels, from files to "
        f"files: {night['ours']:.2f} s for a script, {night['ours'] / night['bare']:.2f} times the bare reading of the "
        f"inputs and writing of the outputs ({night['bare']:.2f} s); {night['reduce']:.2f} s for "
        f"`~astro_calib.reduce_night`; {night['theirs']:.1f} s for a script with ccdproc, "
        f"{night['theirs'] / night['ours']:.0f} times as long. With freed memory kept: {warm['ours']:.2f} s, "
        f"{warm['reduce']:.2f} s and {warm['theirs']:.1f} s, {warm['theirs'] / warm['ours']:.0f} times."
    )
    photometry = (
        f"The stars of such a frame, measured after and before calibration: {stars['stars']:.2f} s of the processor "
        f"for {stars['number']:.0f} of them, {stars['stars ratio']:.2f} times the bare calls of photutils in it "
        f"({stars['bare']:.2f} s); the sky's noise takes another {stars['sky']:.2f} s."
    )
    start = (
        f"``import astro_calib`` takes {imports['ours']:.2f} s, ``import astropy.nddata`` {imports['astropy']:.2f} s, "
        f"with the start of Python; in seconds of the processor {imports['ours, processor']:.2f} s and "
        f"{imports['astropy, processor']:.2f} s."
    )
    return [look_at_data, stack, whole_night, photometry, start]


def report(*quick: str) -> str:
    """The tables and sentences, as reStructuredText."""
    from growth import HEADING

    found = {name: rows_of(name, *quick) for name in OPERATIONS}
    tables = [
        list_table([list(heading), *(rows[place] for rows, _ in found.values())])
        for place, heading in enumerate(HEADINGS)
    ]
    return "\n".join(
        [
            *tables,
            *(f"{sentence}\n" for sentence in sentences(found["calibrate"][1], *quick)),
            "How the time grows, as a power of the number of pixels or of frames:\n",
            list_table([HEADING, *in_a_process("growth", *quick)]),
            f"Measured on {machine()}.\n",
        ]
    )


def main() -> None:
    """Measure all, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small frames, few repeats")
    parser.add_argument("-o", "--output", type=Path, help="also write what is printed here, as reStructuredText")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        # Standard output has the figures, and standard error is looked at if there are none.
        warnings.simplefilter("ignore")
        print(json.dumps(part(options.only, options.peak, quick=options.quick)))
        return
    text = report(*(["--quick"] if options.quick else []))
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
