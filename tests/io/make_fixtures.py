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

from astro_calib import CCDFrame, Correlation, DataQuality, NoiseSource, UncertaintyBudget, covariance
from astro_calib.masters.provenance import record
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.mosaic import MosaicArray
from astro_calib.noise.surface import SurfaceArray
from tests.io.frames import Night

DATA = Path(__file__).parent / "data"
PICKUP = Correlation(0.1, [(0.3, 0.8, 0.35), (0.2, 2.2, None)])


class NoisyNight(Night):
    """One with rows and tones in its read noise, which three amplifiers have read with other noise each."""

    def calibrated(self, raw, **masters):
        """A frame as of `Night`, whose read noise has a correlation, and another size for each amplifier."""
        frame = super().calibrated(raw, **masters)
        budget = frame.budget
        terms = [(s.replace(correlation=PICKUP) if s.name == "read noise" else s, c) for s, c in budget.terms]
        sections = [(slice(0, 6), slice(0, 20, 2)), (slice(0, 6), slice(1, 20, 2)), (slice(6, 16), slice(0, 20))]
        own = MosaicArray.of_sections(sections, [1.0, 1.5, 0.75], budget.shape, np.float32)
        terms = [(s, c.times(own) if s.name == "read noise" else c) for s, c in terms]
        return CCDFrame(frame, budget=UncertaintyBudget(budget.shape, terms, budget.dtype, budget.data))


def with_smooth_noise(frame):
    """A frame with an error that is smooth over it, the same in all frames."""
    smooth = Coefficient(1.0).times(SurfaceArray([[1.0, 0.5, 0.1], [0.2, 0.3, 0.0]], frame.shape, dtype=np.float32))
    budget = frame.budget.with_terms([(NoiseSource("illumination", 9.0, axes=(), identity="smooth"), smooth)])
    return CCDFrame(frame, budget=budget)


def weights(shape):
    """Of a sum over pixels whose error is stated."""
    y, x = np.indices(shape)
    return np.where(np.hypot(y - 7, x - 9) < 3, 1.0, 0.0) - np.where(np.hypot(y - 7, x - 9) > 6, 0.1, 0.0)


def main(version: str) -> None:
    """Write masters and two science frames in both formats, and the numbers that must come out of them."""
    night = NoisyNight(seed=11, shape=(16, 20))
    frames: list[CCDFrame] = []
    for number in range(2):
        frame = with_smooth_noise(night.science())
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
        "sums": frames[0].budget.variances_of_sum(weights(frames[0].shape)),
        "keys": [repr(source.key) for source, _ in frames[0].budget.terms],
    }
    (DATA / f"version-{version}.json").write_text(json.dumps(expected), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
