"""
How long the star measurement of a science frame takes, beside the bare calls of photutils and scipy that it makes.

Frames are calibrated as ``reduce`` does it. What is called there while the stars of a frame are measured is
noted with its arguments, and called again, once each and by itself; both are timed in turn, so that a busy machine
slows both. Told are medians, in seconds of the processor, and the medians of the ratios of two timed one after the
other: a machine that is slow for a second makes one ratio wrong, not the median. Run it alone:

    python benchmarks/stars.py
    python benchmarks/stars.py --raw raw/ --profile nickel
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import tempfile
import time
import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from clock import medians

from astro_calib import simulate
from astro_calib.night import plan_night
from astro_calib.night.common.output import Output
from astro_calib.night.masters.masters import read_raw
from astro_calib.night.masters.read_out import detector_of
from astro_calib.night.science import before_calibrated, calibrated, measured
from astro_calib.night.tasks.graph import tasks_of
from astro_calib.night.tasks.make import masters_for
from astro_calib.night.tasks.serial import run_serial
from astro_calib.night.tasks.task import SCIENCE
from astro_calib.night.tasks.workplace import Workplace
from astro_calib.photometry import measure_snr
from astro_calib.photometry.search import search
from astro_calib.photometry.sky_noise import measure_sky_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from astro_calib import CCDFrame

#: What is used of photutils, and of scipy in its place: the name, its module, and what is asked of the object where it
#: is a class.
USED = {
    "Background2D": ("photutils.background", lambda made: made.background),
    "detect_sources": ("photutils.segmentation", None),
    "find_peaks": ("photutils.detection", None),
    "convolve": ("scipy.ndimage", None),
    "circular_overlap_grid": ("photutils.geometry", None),
}
#: Peaks are looked for twice: bright ones to measure the width on, and all.
TWICE = {"find_peaks"}


class Noted:
    """A function or class of photutils or scipy that takes a note of each call."""

    def __init__(self, name: str, real: Any, calls: list[tuple[str, Callable[[], Any]]]) -> None:
        self.name, self.real, self.calls = name, real, calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, and note what it was called with."""
        result = self.real(*args, **kwargs)
        then = USED[self.name][1]
        if then is None:
            self.calls.append((self.name, partial(self.real, *args, **kwargs)))
        else:
            self.calls.append((self.name, lambda: then(self.real(*args, **kwargs))))
        return result


@contextmanager
def noted() -> Iterator[list[tuple[str, Callable[[], Any]]]]:
    """The calls of photutils and scipy that are made meanwhile."""
    calls: list[tuple[str, Callable[[], Any]]] = []
    with ExitStack() as stack:
        for name, (module, _) in USED.items():
            real = getattr(importlib.import_module(module), name)
            stack.enter_context(mock.patch(f"{module}.{name}", Noted(name, real, calls)))
        yield calls


def seconds(work: Callable[[], Any]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    with warnings.catch_warnings():
        # It is timed, and what it says is known from the first run.
        warnings.simplefilter("ignore")
        work()
    return time.process_time() - start


def frames(raw: str, profile: str) -> Iterator[tuple[str, CCDFrame, CCDFrame]]:
    """The science frames of a night, calibrated and before."""
    night = plan_night(raw, profile)
    (plan,) = night.setups
    tasks = tasks_of(night)
    with tempfile.TemporaryDirectory() as out:
        place = Workplace(night, Output(out, []), {}, {"pictures": False})
        given = {task.name: done for task, done in run_serial([one for one in tasks if one.kind != SCIENCE], place, {})}
    for task in tasks:
        if task.kind != SCIENCE:
            continue
        frame, masters = plan.science[task.of], masters_for(task, place, given)
        read = read_raw(frame)
        detector = detector_of(plan, read, neighbours=True)
        image = calibrated(frame, plan, masters, read, detector)
        yield frame.name, image, before_calibrated(read, plan, masters, detector)


def compare(image: CCDFrame, before: CCDFrame, repeats: int) -> dict[str, float]:
    """Seconds for the bare calls, the stars, the sky's noise and both; the ratios; the number of stars."""
    with warnings.catch_warnings():
        # It is timed, and what it says is known from the first run.
        warnings.simplefilter("ignore")
        with noted() as calls:
            stars, _ = measured(image, before)
        objects = search(image, before).scene.objects
    numbers = Counter(called for called, _ in calls)
    # An overlap of pixels and circle belongs to each star and each empty aperture, all else to the frame.
    overlaps = numbers.pop("circular_overlap_grid", 0)
    assert overlaps <= len(stars) + stars.meta["n_empty"]
    assert all(number == 1 + (name in TWICE) for name, number in numbers.items()), f"called too often: {numbers}"

    def bare() -> None:
        for _, call in calls:
            call()

    works = {
        "bare": bare,
        "stars": lambda: measure_snr(image, before=before),
        "sky": lambda: measure_sky_noise(image, objects),
        "both": lambda: measured(image, before),
    }
    times: dict[str, list[float]] = {work: [] for work in works}
    for _ in range(repeats):
        for work, function in works.items():
            times[work].append(seconds(function))
    found = medians(times)
    for work in ("stars", "both"):
        found[f"{work} ratio"] = statistics.median(np.divide(times[work], times["bare"]))
    return {**found, "number": len(stars)}


def of_simulated(size: int, number: int, repeats: int) -> dict[str, float]:
    """The medians of `compare` for two simulated frames with so many stars."""
    with tempfile.TemporaryDirectory() as directory:
        simulated(directory, size, number)
        found = [compare(image, before, repeats) for _, image, before in frames(directory, "generic")]
    return medians({what: [one[what] for one in found] for what in found[0]})


def simulated(directory: str, size: int, number: int) -> None:
    """Write a night with two science frames."""
    camera = simulate.camera((size, size), seed=1, filters=["V"])
    simulate.night(directory, seed=1, camera=camera, biases=3, darks=3, flats=3, science=2, stars=number)


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description="Time the star measurement beside the bare calls of photutils.")
    parser.add_argument("--raw", help="directory of raw frames; a simulated night without it")
    parser.add_argument("--profile", default="generic", help="of the camera that took them")
    parser.add_argument("--size", type=int, default=2048, help="pixels on a side of a simulated frame")
    parser.add_argument("--stars", type=int, default=600, help="on a simulated frame")
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    columns = ("bare", "stars", "stars ratio", "sky", "both", "both ratio")
    print(f"{'frame':22} {'pixels':>11} {'stars':>6}", *(f"{column:>11}" for column in columns))
    ratios = []
    with tempfile.TemporaryDirectory() as directory:
        if given.raw is None:
            simulated(directory, given.size, given.stars)
        for name, image, before in frames(given.raw or directory, given.profile):
            found = compare(image, before, given.repeats)
            ratios.append(found["stars ratio"])
            size, numbers = "x".join(map(str, image.shape)), (f"{found[column]:11.3f}" for column in columns)
            print(f"{name:22} {size:>11} {found['number']:6.0f}", *numbers, flush=True)
    print(f"star measurement over bare calls, median of the frames: {np.median(ratios):.2f}")


if __name__ == "__main__":
    main()
