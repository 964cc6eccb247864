"""Frames that were read hold no file open: a process may have few descriptors, 256 on macOS."""

from __future__ import annotations

import pytest

from tests import processes

pytest.importorskip("resource")

#: What is done with 44 frames, in files of which format.
CASES = [
    *(("raw", "fits"), ("shared", "fits"), ("masters", "fits"), ("whole", "fits")),
    *(("shared", "asdf"), ("masters", "asdf"), ("whole", "asdf"), ("shared", "fits.gz")),
]

SCRIPT = """
import gc, resource, sys, tempfile, traceback, warnings
from pathlib import Path
import astropy.units as u
import numpy as np
from astro_calib import CCDFrame, Detector, calibrate, combine, covariance

warnings.simplefilter("error")
NUMBER, LIMIT = 44, 40  # Python and numpy need some of them, too
camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)
rng = np.random.default_rng(1)
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

def raw(level):
    return CCDFrame(rng.normal(level, 5, (6, 8)).round().astype(np.uint16), unit="adu")

def master(path):
    flat = combine([calibrate(raw(20000), camera, pedestal=1000) for _ in range(3)], scale="median")
    flat.write(path)
    return flat

def written(what, ending, directory):
    paths = [directory / f"{number}.{ending}" for number in range(NUMBER)]
    flat = expected = None
    for number, path in enumerate(paths):
        if what == "raw":
            raw(1000).write(path)
            continue
        if flat is None or what == "masters":
            flat = master(directory / f"flat{number}.{ending}")
        image = calibrate(raw(1500), camera, pedestal=1000, flat=flat)
        expected = image.budget.variances()["flat"]
        image.write(path, include_masters=what == "whole")
    return paths, expected

def tried(what, ending):
    with tempfile.TemporaryDirectory() as directory:
        paths, expected = written(what, ending, Path(directory))
        gc.collect()
        resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, hard))
        frames = [CCDFrame.read(path) for path in paths]
        assert combine(paths).meta["NCOMBINE"] == NUMBER
    if what != "raw":
        # What was not asked for before is still there, although all the files are gone, and whatever is written.
        frames[-1].data[:] = 0.0
        np.testing.assert_allclose(frames[-1].variance > 0, True)
        (frames[-2] - 1.0 * u.electron).variance
        again = frames[-2].budget.variances()
        np.testing.assert_allclose(sum(again.values()), frames[-2].variance, rtol=1e-5)
        assert covariance(frames[0], frames[1]).max() > 0 or what == "masters"

for what, ending in (case.split(":") for case in sys.argv[1:]):
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        tried(what, ending)
        print(f"{what}:{ending}")
    except BaseException:
        traceback.print_exc()
"""


@pytest.fixture(scope="module")
def done():
    """One process for all: what takes long in it is compiled or loaded once."""
    return processes.run(SCRIPT, *(":".join(case) for case in CASES))


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_more_frames_than_descriptors_are_read_and_combined(done, case):
    assert ":".join(case) in done.stdout.split(), done.stderr
