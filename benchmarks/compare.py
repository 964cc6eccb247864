"""
How fast this is, beside ccdproc and beside a plain copy of as many bytes.

Each operation is timed in a process of its own, several times, alternating with the other package and with the copy, so
that a busy machine slows all of them; the median is told. Run it alone:

    python benchmarks/compare.py
    python benchmarks/compare.py --quick
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty

if TYPE_CHECKING:
    from collections.abc import Callable

GAIN = 1.5 * u.electron / u.adu
READ_NOISE = 6.0 * u.electron


class Work(NamedTuple):
    """An operation as this package and as ccdproc do it, what they should agree on, and the bytes that have to move."""

    ours: Callable[[], np.ndarray]
    theirs: Callable[[], np.ndarray]
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

    def ours() -> np.ndarray:
        image = ac.calibrate(raw, camera, bias=masters["bias"], dark=masters["dark"], flat=masters["flat"])
        assert image.variance is not None
        return image.data

    def theirs() -> np.ndarray:
        ccd = CCDData(pixels, unit="adu", meta=header)
        ccd = ccdproc.create_deviation(ccd, gain=GAIN, readnoise=READ_NOISE)
        ccd = ccdproc.gain_correct(ccd, GAIN)
        ccd = ccdproc.subtract_bias(ccd, plain["bias"])
        ccd = ccdproc.subtract_dark(ccd, plain["dark"], exposure_time="EXPTIME", exposure_unit=u.s, scale=True)
        return np.asarray(ccdproc.flat_correct(ccd, plain["flat"]).data)

    # In: raw frame, three masters, the variance of bias and dark together and of the flat, flags of all four. Out:
    # data, variance, shot noise, flags, mask.
    return Work(ours, theirs, size * size * (2 + 3 * 4 + 2 * 4 + 4 * 2 + 3 * 4 + 2 + 1))


def combination(size: int, number: int, masked: float, **options: object) -> Work:
    """A stack of frames with variance; ``masked`` is the part of the values that are masked."""
    import ccdproc

    import astro_calib as ac

    rng = np.random.default_rng(0)
    frames, plain = [], []
    for _ in range(number):
        data = rng.normal(1000, 10, (size, size)).astype(np.float32)
        variance = np.full((size, size), 100, dtype=np.float32)
        mask = rng.random((size, size)) < masked if masked else None
        frames.append(ac.CCDFrame(data, unit="electron", uncertainty=VarianceUncertainty(variance), mask=mask).copy())
        plain.append(CCDData(data, unit="electron", mask=mask))
    arguments: dict[str, object] = {"method": "median" if options["method"] == "median" else "average"}
    if "clip" in options:
        arguments |= {"sigma_clip": True, "sigma_clip_low_thresh": 3, "sigma_clip_high_thresh": 3}

    def ours() -> np.ndarray:
        stack = ac.combine(frames, **options)
        assert stack.variance is not None
        return stack.data

    def theirs() -> np.ndarray:
        return np.asarray(ccdproc.combine(plain, **arguments).data)

    return Work(ours, theirs, size * size * (number * (8 + bool(masked)) + 10))


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
}


def copy_time(traffic: int) -> float:
    """Seconds that a NumPy copy takes which reads and writes so many bytes together."""
    source = np.ones(traffic // 16)
    target = np.empty_like(source)
    start = time.perf_counter()
    np.copyto(target, source)
    return time.perf_counter() - start


def measure(name: str, size: int, repeats: int) -> dict[str, float]:
    """Times of an operation, in seconds, medians over the repeats; ours and theirs checked against each other."""
    warnings.simplefilter("ignore")
    work = OPERATIONS[name][0](size)
    mine = work.ours()
    # ccdproc is not told that the median of masked values and clipping by known noise are ours: values agree closely.
    np.testing.assert_allclose(np.median(mine), np.median(work.theirs()), rtol=1e-3)
    times: dict[str, list[float]] = {"ours": [], "theirs": [], "copy": []}
    for repeat in range(repeats):
        start = time.perf_counter()
        work.ours()
        times["ours"].append(time.perf_counter() - start)
        if repeat < max(1, repeats // 3):
            start = time.perf_counter()
            work.theirs()
            times["theirs"].append(time.perf_counter() - start)
        times["copy"].append(copy_time(work.traffic))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {key: float(np.median(value)) for key, value in times.items()} | {
        "traffic": work.traffic / 1e6,
        "peak": peak,
    }


def main() -> None:
    """Time all operations, each in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small frames, few repeats")
    parser.add_argument("--only", choices=[*OPERATIONS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    repeats = 3 if options.quick else 9
    if options.only:
        size = OPERATIONS[options.only][2 if options.quick else 1]
        print(json.dumps(measure(options.only, size, repeats)))
        return
    print(f"{'operation':38}{'ours':>9}{'ccdproc':>9}{'ratio':>7}{'MB':>7}{'copy':>9}{'ratio':>7}{'peak MB':>9}")
    for name in OPERATIONS:
        command = [sys.executable, __file__, "--only", name, *(["--quick"] if options.quick else [])]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(
            f"{name:38}{found['ours']:9.4f}{found['theirs']:9.3f}{found['theirs'] / found['ours']:7.1f}"
            f"{found['traffic']:7.0f}{found['copy']:9.4f}{found['ours'] / found['copy']:7.2f}{found['peak']:9.0f}"
        )


if __name__ == "__main__":
    main()
