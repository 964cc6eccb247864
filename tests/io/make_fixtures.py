"""
Make the files in ``data`` that this version and all later ones must read.

Run once for a version of the formats: ``python -m tests.io.make_fixtures 1``. Files of earlier versions are kept as
they are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from astro_calib import CCDFrame, DataQuality, covariance
from astro_calib.masters.provenance import record
from tests.io.frames import Night

DATA = Path(__file__).parent / "data"


def main(version: str) -> None:
    """Write masters and two science frames in both formats, and the numbers that must come out of them."""
    night = Night(seed=11, shape=(16, 20))
    frames: list[CCDFrame] = []
    for number in range(2):
        frame = night.science()
        frame.meta["OBJECT"] = f"target {number}"
        frame.flags = np.full(frame.shape, DataQuality.NONLINEAR, np.uint16)
        frames.append(frame)
    for ending in ("fits", "asdf"):
        directory = DATA / f"version-{version}-{ending}"
        directory.mkdir(parents=True)
        night.write_masters(directory, ending)
        for number, frame in enumerate(frames):
            told = frame.copy()
            masters = {"bias": night.bias, "dark": night.dark, "flat": night.flat}
            record(told, "calibrate", masters=masters, parameters={"read_noise": 5.0})
            told.write(directory / f"science{number}.{ending}")
    expected = {
        "data": frames[0].data.tolist(),
        "variance": frames[0].variance.tolist(),
        "covariance": covariance(*frames).tolist(),
        "variances": {name: part.tolist() for name, part in frames[0].budget.variances().items()},
        "keys": [repr(source.key) for source, _ in frames[0].budget.terms],
    }
    (DATA / f"version-{version}.json").write_text(json.dumps(expected), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
