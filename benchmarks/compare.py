"""
How fast this is, beside ccdproc and beside a plain copy of as many bytes, and how the cost grows.

Each operation is timed in a process of its own, several times, alternating with the other package and with the copy, so
that a busy machine slows all of them; the median is told. Peak memory is that of a process that does nothing else. Run
it alone; it takes some minutes:

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
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import astro_calib as ac

GAIN = 1.5 * u.electron / u.adu
READ_NOISE = 6.0 * u.electron

#: Which columns of figures stand together.
TABLES = (slice(1, 4), slice(4, 9), slice(9, 11))


class Work(NamedTuple):
    """An operation as this package and as ccdproc do it, what they should agree on, and the bytes that have to move."""

    ours: Callable[[], CCDData]
    theirs: Callable[[], CCDData]
    traffic: int


def _masters(size: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    levels = {"bias": (300.0, 2.0), "dark": (5.0, 1.0), "flat": (20000.0, 50.0)}
    return {
        name: (
            rng.normal(level, sigma, (size, size)).astype(np.float32),
            np.full((size, size), sigma**2, dtype=np.float32),
        )
        for name, (level, sigma) in levels.items()
    }


def calibration(size: int) -> Work:
    """Deviation, gain, bias, scaled dark and flat, with variances and flags."""
    import ccdproc

    import astro_calib as ac

    rng = np.random.default_rng(0)
    pixels = rng.poisson(400, (size, size)).astype(np.uint16)
    header = {"EXPTIME": 50.0}
    masters = {
        name: ac.CCDFrame(
            data, unit="electron", uncertainty=VarianceUncertainty(variance), meta={"EXPTIME": 100.0}
        ).copy()
        for name, (data, variance) in _masters(size).items()
    }
    for master in masters.values():
        master.flags = np.zeros((size, size), dtype=np.uint16)
    camera = ac.Detector(gain=GAIN, read_noise=READ_NOISE, saturation=60000 * u.adu)
    raw = ac.CCDFrame(pixels, unit="adu", meta=header, flags=np.zeros((size, size), dtype=np.uint16))
    plain = {
        name: CCDData(data, unit="electron", uncertainty=StdDevUncertainty(np.sqrt(variance)), meta={"EXPTIME": 100.0})
        for name, (data, variance) in _masters(size).items()
    }

    def ours() -> CCDData:
        image = ac.calibrate(raw, camera, bias=masters["bias"], dark=masters["dark"], flat=masters["flat"])
        assert image.variance is not None
        return image

    def theirs() -> CCDData:
        ccd = CCDData(pixels, unit="adu", meta=header)
        ccd = ccdproc.create_deviation(ccd, gain=GAIN, readnoise=READ_NOISE)
        ccd = ccdproc.gain_correct(ccd, GAIN)
        ccd = ccdproc.subtract_bias(ccd, plain["bias"])
        ccd = ccdproc.subtract_dark(ccd, plain["dark"], exposure_time="EXPTIME", exposure_unit=u.s, scale=True)
        return ccdproc.flat_correct(ccd, plain["flat"])

    # In: raw frame, three masters, the variance of bias and dark together and of the flat, flags of all four. Out:
    # data, variance, flags, mask.
    return Work(ours, theirs, size * size * (2 + 3 * 4 + 2 * 4 + 4 * 2 + 2 * 4 + 2 + 1))


def combination(size: int, number: int, masked: float, **options: object) -> Work:
    """A stack of frames with variance; ``masked`` is the part of the values that are masked."""
    import astro_calib as ac

    rng = np.random.default_rng(0)
    frames, plain = [], []
    for _ in range(number):
        data = rng.normal(1000, 10, (size, size)).astype(np.float32)
        variance = np.full((size, size), 100, dtype=np.float32)
        mask = rng.random((size, size)) < masked if masked else None
        frames.append(ac.CCDFrame(data, unit="electron", uncertainty=VarianceUncertainty(variance), mask=mask).copy())
        plain.append(CCDData(data, unit="electron", mask=mask))
    return combined(frames, plain, size * size * (number * (8 + bool(masked)) + 10), **options)


def calibrated_combination(size: int, number: int, **options: object) -> Work:
    """A stack of frames as they come from `calibrate`, whose bias, dark and flat are the same."""
    import astro_calib as ac

    rng = np.random.default_rng(0)
    masters = {
        name: ac.CCDFrame(
            data, unit="electron", uncertainty=VarianceUncertainty(variance), meta={"EXPTIME": 100.0}
        ).copy()
        for name, (data, variance) in _masters(size).items()
    }
    camera = ac.Detector(gain=GAIN, read_noise=READ_NOISE, saturation=60000 * u.adu)
    frames = []
    for _ in range(number):
        pixels = (200 + rng.poisson(400, (size, size))).astype(np.uint16)
        raw = ac.CCDFrame(pixels, unit="adu", meta={"EXPTIME": 50.0})
        frames.append(ac.calibrate(raw, camera, **masters))
    plain = [CCDData(frame.copy().data, unit=frame.unit) for frame in frames]
    # Data, variance and flags of each frame.
    return combined(frames, plain, size * size * (number * 10 + 10), **options)


def combined(frames: list[ac.CCDFrame], plain: list[CCDData], traffic: int, **options: object) -> Work:
    """The same combination of frames and of plain images."""
    import ccdproc

    import astro_calib as ac

    arguments: dict[str, object] = {"method": "median" if options["method"] == "median" else "average"}
    if "clip" in options:
        arguments |= {"sigma_clip": True, "sigma_clip_low_thresh": 3, "sigma_clip_high_thresh": 3}

    def ours() -> CCDData:
        stack = ac.combine(frames, **options)
        assert stack.variance is not None
        return stack

    def theirs() -> CCDData:
        return ccdproc.combine(plain, **arguments)

    return Work(ours, theirs, traffic)


OPERATIONS: dict[str, tuple[Callable[[int], Work], int, int]] = {
    "calibrate": (calibration, 4096, 1024),
    "median of 20": (lambda size: combination(size, 20, 0.0, method="median"), 2048, 512),
    "median of 20, 5% masked": (lambda size: combination(size, 20, 0.05, method="median"), 2048, 512),
    "mean of 20": (lambda size: combination(size, 20, 0.0, method="mean"), 2048, 512),
    "mean of 20 after 3 sigma": (lambda size: combination(size, 20, 0.0, method="mean", clip="sigma"), 2048, 512),
    "mean of 20 after 3 sigma, 5% masked": (
        lambda size: combination(size, 20, 0.05, method="mean", clip="sigma"),
        2048,
        512,
    ),
    "mean of 10 calibrated frames, 3 sigma": (
        lambda size: calibrated_combination(size, 10, method="mean", clip="sigma"),
        2048,
        512,
    ),
}


def copied(traffic: int) -> Iterator[tuple[float, float]]:
    """Seconds that NumPy takes to copy so many bytes, read and written, into an array that is there, and a new one."""
    source = np.ones(traffic // 16)
    target = np.ones_like(source)
    while True:
        yield timed(lambda: np.copyto(target, source)), timed(source.copy)


def timed(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(name: str, size: int, repeats: int) -> dict[str, float]:
    """Times of an operation, in seconds, medians over the repeats; ours and theirs checked against each other."""
    work = OPERATIONS[name][0](size)
    # Values and not only their median agree where ccdproc does the same; it clips by another measure of the noise.
    np.testing.assert_allclose(np.median(work.ours().data), np.median(work.theirs().data), rtol=1e-3)
    times: dict[str, list[float]] = {"ours": [], "theirs": [], "copy": [], "new copy": [], "look": []}
    copies = copied(work.traffic)
    for repeat in range(repeats):
        times["ours"].append(timed(work.ours))
        made = work.ours()
        times["look"].append(timed(lambda made=made: made.data))
        if repeat < max(1, repeats // 4):
            times["theirs"].append(timed(work.theirs))
        for which, seconds in zip(("copy", "new copy"), next(copies), strict=True):
            times[which].append(seconds)
    return {key: float(np.median(value)) for key, value in times.items()} | {"MB": work.traffic / 1e6}


def peak(name: str, who: str, size: int) -> dict[str, float]:
    """Peak memory of a process that runs an operation once, in MB, its inputs included."""
    work = OPERATIONS[name][0](size)
    (work.ours if who == "ours" else work.theirs)()
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def from_files(size: int, number: int, repeats: int) -> dict[str, float]:
    """A median of raw frames in files, beside the mere reading of them with astropy.io.fits."""
    import astro_calib as ac

    with tempfile.TemporaryDirectory() as directory:
        rng = np.random.default_rng(0)
        paths = [Path(directory) / f"{index}.fits" for index in range(number)]
        pattern = rng.normal(1000, 20, (size, size)).astype(np.float32)
        for path in paths:
            noise = rng.standard_normal((size, size), dtype=np.float32)
            fits.PrimaryHDU((pattern + 5 * noise).astype(np.uint16)).writeto(path)
        del pattern, noise

        def ours() -> None:
            ac.combine(paths, method="median", unit="adu", memory_limit=1e9)

        ours()
        own, reading = [], []
        for _ in range(repeats):
            own.append(timed(ours))
            reading.append(timed(lambda: [fits.getdata(path).shape for path in paths]))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ours": float(np.median(own)), "reading": float(np.median(reading)), "peak": memory}


def growth(repeats: int, largest: int) -> dict[str, float]:
    """Exponents with which the time grows: of calibrate with pixels, of combine with frames and with pixels."""
    sizes = [size for size in (512, 1024, 2048, 4096, 8192) if size <= largest]

    def exponent(points: list[tuple[float, Callable[[], object]]]) -> float:
        seconds = []
        for _, run in points:
            run()
            seconds.append(float(np.median([timed(run) for _ in range(repeats)])))
        return float(np.polyfit(np.log([x for x, _ in points]), np.log(seconds), 1)[0])

    side = min(largest, 512)
    return {
        "calibrate, pixels": exponent([(size**2, calibration(size).ours) for size in sizes]),
        "median, frames": exponent(
            [(n, combination(side, n, 0.0, method="median").ours) for n in (3, 10, 30, 100, 200)]
        ),
        "mean, frames": exponent([(n, combination(side, n, 0.0, method="mean").ours) for n in (3, 10, 30, 100, 200)]),
        "median of 10, pixels": exponent(
            [(size**2, combination(size, 10, 0.0, method="median").ours) for size in sizes if size <= 4096]
        ),
    }


def in_a_process(*arguments: str) -> dict[str, float]:
    """What this script finds in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


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


def narrow_tables(rows: list[list[str]]) -> str:
    """Three tables for the width of a telephone: the time, beside a copy, and the memory."""
    return "\n".join(list_table([[row[0], *row[columns]] for row in rows]) for columns in TABLES)


def main() -> None:
    """Time all operations and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small frames, few repeats")
    parser.add_argument("-o", "--output", type=Path, help="also write the tables here, as reStructuredText")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    quick = ["--quick"] if options.quick else []
    repeats = 3 if options.quick else 9
    if options.only:
        if options.only == "files":
            found = from_files(512, 10, 3) if options.quick else from_files(4096, 100, 3)
        elif options.only == "growth":
            found = growth(repeats, 1024 if options.quick else 8192)
        elif options.only == "night":
            import whole_night

            found = whole_night.measured(512 if options.quick else 2048, 1 if options.quick else 5)
        elif options.only == "stars":
            import stars

            found = stars.of_simulated(512, 100, 3) if options.quick else stars.of_simulated(2048, 600, 15)
        else:
            size = OPERATIONS[options.only][2 if options.quick else 1]
            found = peak(options.only, options.peak, size) if options.peak else measure(options.only, size, repeats)
        print(json.dumps(found))
        return
    rows = [
        [
            "operation",
            "seconds",
            "ccdproc, seconds",
            "times faster",
            "MB to move",
            "seconds of a copy",
            "times a copy",
            "seconds of a copy to new memory",
            "times that copy",
            "peak MB",
            "ccdproc, peak MB",
        ]
    ]
    looks = {}
    for name in OPERATIONS:
        found = in_a_process("--only", name, *quick)
        looks[name] = found["look"]
        memory = [in_a_process("--only", name, "--peak", who, *quick)["peak"] for who in ("ours", "theirs")]
        rows.append(
            [
                name,
                f"{found['ours']:.3f}",
                f"{found['theirs']:.2f}",
                f"{found['theirs'] / found['ours']:.0f}",
                f"{found['MB']:.0f}",
                f"{found['copy']:.3f}",
                f"{found['ours'] / found['copy']:.1f}",
                f"{found['new copy']:.3f}",
                f"{found['ours'] / found['new copy']:.1f}",
                *(f"{one:.0f}" for one in memory),
            ]
        )
        print("  ".join(f"{cell:>12}" for cell in rows[-1][1:]), name, flush=True)
    files, night = in_a_process("--only", "files", *quick), in_a_process("--only", "night", *quick)
    photometry, exponents = in_a_process("--only", "stars", *quick), in_a_process("--only", "growth", *quick)
    which = "10 raw frames of 512 x 512" if options.quick else "100 raw frames of 4096 x 4096"
    times = files["ours"] / files["reading"], night["ours"] / night["bare"]
    size = 512 if options.quick else 2048
    stack = (
        f"A median of {which} pixels in files: {files['ours']:.2f} s, {times[0]:.2f} times the reading of them with "
        f"`astropy.io.fits.getdata` ({files['reading']:.2f} s); peak memory {files['peak']:.0f} MB."
    )
    whole = (
        f"A night of 10 biases, 10 darks, 10 flats and 20 science frames of {size} x {size} pixels, from files to "
        f"files: {night['ours']:.2f} s, {times[1]:.2f} times the bare reading of the inputs and writing of the outputs "
        f"({night['bare']:.2f} s); a script with ccdproc takes {night['theirs']:.1f} s."
    )
    stellar = (
        f"The stars of such a frame, measured after and before calibration: {photometry['stars']:.2f} s of the "
        f"processor for {photometry['number']:.0f} of them, {photometry['stars ratio']:.2f} times the bare calls of "
        f"photutils in it ({photometry['bare']:.2f} s); the sky's noise takes another {photometry['sky']:.2f} s."
    )
    look = (
        f"The first look at ``data`` of a calibrated frame, after which somebody may write into it, takes another "
        f"{looks['calibrate']:.3f} s: the variance of its shot noise becomes an array, and its values get a checksum."
    )
    grows = ", ".join(f"{what} {exponent:.2f}" for what, exponent in exponents.items())
    sentences = [
        look,
        stack,
        whole,
        stellar,
        f"Exponents with which the time grows: {grows}.",
        f"Measured on {machine()}.",
    ]
    print("\n".join(sentences))
    if options.output:
        options.output.write_text(narrow_tables(rows) + "".join(f"\n{sentence}\n" for sentence in sentences))


if __name__ == "__main__":
    main()
