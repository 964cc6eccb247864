"""Frames that were read hold no file open: a process may have few descriptors, 256 on macOS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")

NUMBER = 60
#: Descriptors in a process, too few for one each; Python and numpy need some.
LIMIT = 48

SCRIPT = f"""
import gc, os, resource, sys
from pathlib import Path
import astropy.units as u
import numpy as np
from astro_calib import CCDFrame, Detector, calibrate, combine, covariance

what, ending, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)
rng = np.random.default_rng(1)

def raw(level):
    return CCDFrame(rng.normal(level, 5, (6, 8)).round().astype(np.uint16), unit="adu")

def master(name):
    flat = combine([calibrate(raw(20000), camera, pedestal=1000) for _ in range(3)], scale="median")
    flat.write(directory / f"{{name}}.{{ending}}")
    return flat

paths = [directory / f"{{number}}.{{ending}}" for number in range({NUMBER})]
flat = master("flat")
for number, path in enumerate(paths):
    if what == "raw":
        raw(1000).write(path)
        continue
    if what == "masters" and number:
        flat = master(f"flat{{number}}")
    image = calibrate(raw(1500), camera, pedestal=1000, flat=flat)
    expected = float(image.variance.sum()), image.budget.variances()["flat"].sum()
    image.write(path, include_masters=what == "whole")
del flat
if what != "raw":
    del image
gc.collect()
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, hard))
if what == "raw":
    stack = combine(paths)
    assert stack.meta["NCOMBINE"] == {NUMBER}
frames = [CCDFrame.read(path) for path in paths]
if what != "raw":
    stack = combine(paths[-30:])
    assert np.isfinite(stack.variance).all()
    # What was not read before is still there, although all the files are gone.
    for path in directory.iterdir():
        path.unlink()
    np.testing.assert_allclose(float(frames[-1].variance.sum()), expected[0], rtol=1e-5)
    frames[-1].data[:] = 0.0
    np.testing.assert_allclose(frames[-2].budget.variances()["flat"].sum() > 0, True)
    same = covariance(frames[0], frames[1]).max()
    assert same > 0 if what == "shared" else True
print("reached the end")
"""


@pytest.mark.parametrize(
    ("what", "ending"),
    [
        *(("raw", "fits"), ("shared", "fits"), ("masters", "fits"), ("whole", "fits")),
        *(("shared", "asdf"), ("masters", "asdf"), ("whole", "asdf"), ("shared", "fits.gz")),
    ],
)
def test_more_frames_than_descriptors_are_read_and_combined(tmp_path, what, ending):
    arguments = [sys.executable, "-W", "error", "-c", SCRIPT, what, ending, tmp_path]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout == "reached the end\n", done.stderr
