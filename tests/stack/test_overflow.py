"""Frames that do not fit into memory: the same stack, in little memory, and nothing is left behind."""

from __future__ import annotations

import errno
import gc
import os
import tracemalloc
from functools import partial
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy import log

from astro_calib import CCDFrame, Detector, LinearityPolynomial, calibrate, combine
from astro_calib.errors import FrameError
from astro_calib.io import mapped
from astro_calib.stack import overflow
from tests.noise_checks import make_frame

SHAPE = (70, 96)
#: Not one frame fits, and all is done row by row.
TIGHT = 1.0


@pytest.fixture
def rng():
    return np.random.default_rng(2020)


def raw_frame(rng, level, hot=False):
    light = np.where(np.arange(SHAPE[1]) < 80, level, 0)
    pixels = (500 + rng.poisson(light, SHAPE) + rng.normal(0, 5, SHAPE)).round()
    pixels[5, 7] = 60000 if hot else pixels[5, 7]
    return CCDFrame(pixels.astype(np.uint16), unit="adu", name=f"{level:g}")


def flats(rng, **options):
    """Calibrated flats of rising level, with a bias and an overscan, one saturated pixel and one that is bad in all."""
    detector = Detector(
        gain=options.pop("gain", 1.5 * u.electron / u.adu),
        read_noise=8 * u.electron,
        saturation=50000 * u.adu,
        **options,
    )
    sections = {"overscan": "[81:96, :]", "trim": "[1:80, :]"}
    bias = combine([calibrate(raw_frame(rng, 0), detector, shot_noise=0.0, **sections) for _ in range(5)])
    bad = np.zeros((SHAPE[0], 80), dtype=bool)
    bad[3, 4] = True
    raws = [raw_frame(rng, 1000 * (number + 3), hot=number == 2) for number in range(7)]
    return [calibrate(raw, detector, bias=bias, bad_pixels=bad, **sections) for raw in raws]


def in_arithmetic(rng):
    """Frames whose noise was written out, shared and own, and one of which is masked in a region."""
    shared = make_frame(rng, 10.0, 2.0, SHAPE)
    frames = [make_frame(rng, 100.0, 1.0 + number, SHAPE).subtract(shared) for number in range(6)]
    frames[1].mask = np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1])) < 40
    return frames


def without_noise(rng):
    return [raw_frame(rng, 300) for _ in range(6)]


def bent(rng):
    """Frames of a detector whose response is corrected, so that each has coefficients of its own."""
    return flats(rng, linearity=LinearityPolynomial([1.0, 1e-6], limit=40000 * u.adu, uncertainties=[0, 1e-8]))


CLIPPED, SCALED = {"clip": "sigma"}, {"clip": "sigma", "scale": "median"}
MEDIAN = {"method": "median", "scale": "mean"}
CASES = {
    "flats": (flats, SCALED),
    "flats, not scaled": (flats, CLIPPED),
    "a median of flats": (flats, MEDIAN),
    "a weighted mean of flats": (flats, {"clip": "scatter", "weights": [1, 2, 3, 1, 1, 2, 3]}),
    "an uncertain gain": (partial(flats, gain_uncertainty=0.02 * u.electron / u.adu), SCALED),
    "a response that is corrected": (bent, SCALED),
    "noise written out": (in_arithmetic, CLIPPED),
    "a median of unlike frames": (in_arithmetic, MEDIAN),
    "no noise": (without_noise, {"method": "sum", "clip": "minmax"}),
}


def assert_equal(one, other):
    """Equal to the last digit."""
    for what in ("pixels", "variance", "flags", "n_used", "mask"):
        np.testing.assert_array_equal(getattr(one, what), getattr(other, what), what)
    assert dict(one.meta) == dict(other.meta)
    parts, others = one.budget.variances(), other.budget.variances()
    assert list(parts) == list(others)
    for name, part in parts.items():
        np.testing.assert_array_equal(part, others[name], name)
    assert [source.identity for source, _ in one.budget.terms] == [source.identity for source, _ in other.budget.terms]


@pytest.mark.parametrize("case", CASES)
def test_the_stack_is_that_of_frames_in_memory(case, rng):
    make, how = CASES[case]
    frames = make(rng)
    assert_equal(combine(iter(frames), memory_limit=TIGHT, **how), combine(frames, **how))


def test_a_bias_that_all_share_does_not_average_down(rng):
    # Of 7 frames with read noise 8 and no light: 64 / 7 of their own, with 1 / 12 of rounding, and that of the bias.
    detector = Detector(gain=1.0 * u.electron / u.adu, read_noise=8 * u.electron)
    bias = make_frame(rng, 500.0, 3.0, SHAPE)
    raws = [CCDFrame(rng.normal(500, 8, SHAPE).round().astype(np.uint16), unit="adu") for _ in range(7)]
    made = (calibrate(raw, detector, bias=bias, shot_noise=0.0) for raw in raws)
    stack = combine(made, memory_limit=TIGHT)
    np.testing.assert_allclose(stack.variance, (64 + 1 / 12) / 7 + 9, rtol=1e-5)
    np.testing.assert_allclose(stack.pixels, np.mean([raw.pixels for raw in raws], axis=0) - bias.pixels, atol=1e-3)


@pytest.mark.long
def test_frames_are_in_memory_one_at_a_time(rng):
    # 30 frames of 1.3 MB; from a sample of 10^6 values it is told what is typical.
    raws = [CCDFrame(rng.normal(500, 8, (300, 400)).round().astype(np.uint16), unit="adu") for _ in range(30)]
    detector = Detector(gain=1.0 * u.electron / u.adu, read_noise=8 * u.electron)

    def peak(number, limit):
        made = (calibrate(raw, detector, shot_noise=0.0) for raw in raws[:number])
        tracemalloc.start()
        combine(made, clip="sigma", scale="median", memory_limit=limit)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    # First what the package reads and compiles when it is needed.
    peak(3, TIGHT)
    assert peak(30, 1e7) < 25e6
    assert peak(30, np.inf) > 40e6


@pytest.fixture
def said():
    with log.log_to_list() as entries:
        yield lambda: [entry.getMessage() for entry in entries if "temporary files" in entry.getMessage()]


def test_by_default_half_of_the_free_memory_is_taken(rng, monkeypatch, said):
    frames = [make_frame(rng, 100.0, 1.0, SHAPE) for _ in range(5)]
    combine(iter(frames))
    assert not said()
    monkeypatch.setattr(overflow, "available_memory", lambda: 4 * frames[0].pixels.nbytes)
    assert_equal(combine(iter(frames)), combine(frames))
    (once,) = said()
    assert str(mapped.roomy_directory()) in once


def test_what_somebody_holds_stays_where_it_is(rng, said):
    combine([make_frame(rng, 100.0, 1.0, SHAPE) for _ in range(5)], memory_limit=TIGHT)
    assert not said()


def test_nothing_is_left_behind(rng, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = []

    def broken():
        for _ in range(4):
            yield make_frame(rng, 100.0, 1.0, SHAPE)
            seen.append(list(tmp_path.iterdir()))
        msg = "the fifth cannot be made"
        raise FrameError(msg)

    with pytest.raises(FrameError, match="the fifth"):
        combine(broken(), memory_limit=TIGHT)
    # Not even a name while the files are there.
    assert seen == [[]] * 4
    gc.collect()
    held = [str(file.resolve()) for file in Path("/proc/self/fd").iterdir()]
    assert not [name for name in held if str(tmp_path) in name]


def test_a_full_disk_is_told_with_what_to_do(rng, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left.*Raise memory_limit, or let TMPDIR name") as caught:
        combine((make_frame(rng, 100.0, 1.0, SHAPE) for _ in range(3)), memory_limit=TIGHT)
    assert caught.value.errno == errno.ENOSPC
