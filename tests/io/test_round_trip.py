"""Any frame comes back from a file as it was, in both formats."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from astro_calib import CCDFrame, covariance
from astro_calib.errors import NoiseWarning
from tests.io.frames import Night, assert_same, forget, frames, reductions

ENDINGS = ["fits", "asdf"]


def round_trip(frame, ending, **options):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"frame.{ending}"
        frame.write(path, **options)
        return CCDFrame.read(path)


@pytest.fixture(scope="module")
def night():
    return Night()


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(made=frames())
def test_any_frame_comes_back_equal(ending, made):
    assert_same(round_trip(made, ending), made)


@pytest.mark.long
@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=reductions())
def test_any_reduction_comes_back_equal_from_files_alone(ending, made):
    masters, frames = made
    covariances = [covariance(*pair) for pair in pairs(frames)]
    sigmas = [np.sqrt(one.variance * other.variance) for one, other in pairs(frames)]
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        # A master that is not found is none.
        warnings.simplefilter("error", NoiseWarning)
        for number, frame in enumerate(frames):
            frame.write(Path(directory) / f"{number}.{ending}")
        for kind, master in masters.items():
            master.write(Path(directory) / f"{kind}.{ending}")
        forget()
        again = [CCDFrame.read(Path(directory) / f"{number}.{ending}") for number in range(len(frames))]
        for one, frame in zip(again, frames, strict=True):
            for attribute in ("data", "variance", "mask", "flags", "n_used"):
                np.testing.assert_array_equal(getattr(one, attribute), getattr(frame, attribute), err_msg=attribute)
            assert one.budget.names == frame.budget.names
            parts = one.budget.variances()
            for name, part in frame.budget.variances().items():
                assert np.all(np.abs(parts[name] - part) <= 3e-5 * frame.variance), name
        # What was shared in memory is shared.
        for pair, expected, sigma in zip(pairs(again), covariances, sigmas, strict=True):
            assert np.all(np.abs(covariance(*pair) - expected) <= 3e-5 * sigma)


def pairs(frames):
    """Those of the first with the others."""
    return [(frames[0], other) for other in frames[1:]]


@pytest.mark.parametrize("ending", ["fits", "fits.gz", "fits.fz", "asdf"])
@pytest.mark.parametrize("kind", ["raw", "bias", "dark", "flat", "science"])
def test_frames_of_a_night_come_back_equal(night, ending, kind):
    frame = {"raw": lambda: night.raw(100), "science": night.science}.get(kind, lambda: getattr(night, kind))()
    assert_same(round_trip(frame, ending), frame)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cut_of_a_calibrated_frame_comes_back_equal(night, ending):
    frame = night.science()[3:20, 4:24:2]
    assert_same(round_trip(frame, ending), frame)


@pytest.mark.parametrize("compression", ["zlib", "bzp2"])
def test_compressed_asdf_comes_back_equal(night, compression):
    frame = night.science()
    assert_same(round_trip(frame, "asdf", compression=compression), frame)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_second_round_trip_changes_nothing(night, ending):
    once = round_trip(night.science(), ending)
    twice = round_trip(once, ending)
    assert_same(twice, once)
    assert len(twice.meta) == len(once.meta)


@pytest.mark.parametrize("ending", ENDINGS)
def test_frame_less_its_own_copy_from_a_file_is_exact(night, ending):
    frame = night.science()
    assert (round_trip(frame, ending) - frame).variance.max() == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_pixels_that_are_no_numbers_come_back(ending):
    data = np.array([[1.0, np.nan], [np.inf, -np.inf]])
    frame = CCDFrame(data, unit="adu", uncertainty=np.array([[1.0, np.nan], [2.0, 3.0]]))
    again = round_trip(frame, ending)
    np.testing.assert_array_equal(again.data, data)
    np.testing.assert_array_equal(again.variance, frame.variance)
