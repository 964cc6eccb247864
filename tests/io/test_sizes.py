"""Files and pickles hold what is equal once."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from astro_calib import CCDFrame, calibrate, combine, covariance
from tests.io.frames import Night, forget

SHAPE = (256, 256)
#: Bytes of one image of such frames.
IMAGE = 4 * SHAPE[0] * SHAPE[1]
KINDS = ("bias", "dark", "flat")


@pytest.fixture(scope="module", params=["fits", "asdf"])
def written(request, tmp_path_factory):
    """A folder with three masters and ten frames, and the masters' night."""
    directory = tmp_path_factory.mktemp("sizes")
    night = Night(shape=SHAPE)
    night.write_masters(directory, request.param)
    for number in range(10):
        night.science().write(directory / f"frame{number}.{request.param}")
    forget()
    return directory, request.param


def size_of(directory, *names):
    return sum((directory / name).stat().st_size for name in names)


def test_a_frame_takes_no_more_in_a_pickle_than_its_file_and_those_of_its_masters(written):
    directory, ending = written
    frame, other = (CCDFrame.read(directory / f"frame{number}.{ending}") for number in (0, 1))
    # Data and variance of each master, in single precision.
    limit = 1.3 * (size_of(directory, f"frame0.{ending}") + 8 * frame.size * len(KINDS))
    assert len(pickle.dumps(frame)) < limit
    # What was found from the sources meanwhile is not in it.
    covariance(frame, other)
    frame.budget.variances()
    assert len(pickle.dumps(frame)) < limit


def test_ten_frames_under_the_same_masters_are_pickled_with_the_masters_once(written):
    directory, ending = written
    names = [f"frame{number}.{ending}" for number in range(10)]
    frames = [CCDFrame.read(directory / name) for name in names]
    alone, together = len(pickle.dumps(frames[0])), len(pickle.dumps(frames))
    assert together < 1.3 * (size_of(directory, *names) + 8 * frames[0].size * len(KINDS))
    own = size_of(directory, names[0])
    # A frame's own arrays and its shot noise ten times, what it has of its masters once.
    assert together < alone + 9 * (own + IMAGE + 100000)


def test_frames_from_pickles_share_their_masters_with_each_other_and_with_those_that_are_here(written):
    directory, ending = written
    one, other = (CCDFrame.read(directory / f"frame{number}.{ending}") for number in (0, 1))
    expected, sigma2 = covariance(one, other), one.variance
    together = pickle.loads(pickle.dumps([one, other]))  # noqa: S301  our own bytes
    apart = [pickle.loads(pickle.dumps(frame)) for frame in (one, other)]  # noqa: S301  our own bytes
    copied = [copy.deepcopy(frame) for frame in (one, other)]
    for first, second in (together, apart, copied):
        np.testing.assert_allclose(covariance(first, second), expected, rtol=1e-5)
        np.testing.assert_allclose((first - second).variance, sigma2 + other.variance - 2 * expected, rtol=1e-4)
        np.testing.assert_allclose((first - one).variance, 0, atol=1e-4)
    # The arrays of the flat are in memory once, whichever way a frame has come.
    flats = {id(array) for frame in (one, other, *together, *apart) for array in of_flat(frame)}
    assert len(flats) == 1


def of_flat(frame):
    """The references to the normalised flat that are in a frame."""
    arrays = [array for _, coefficient in frame.budget.terms for array in coefficient.arrays]
    return [array for array in arrays if array.place is not None and ("array", "normalised") in array.place.role]


def test_a_frame_that_is_written_into_after_it_was_unpickled_leaves_others_as_they_are(written):
    directory, ending = written
    one, other = (CCDFrame.read(directory / f"frame{number}.{ending}") for number in (0, 1))
    quotient = one / other
    first, second, ratio = pickle.loads(pickle.dumps([one, other, quotient]))  # noqa: S301  our own bytes
    expected = covariance(ratio, first)
    second.data[...] = 1.0
    np.testing.assert_array_equal(covariance(ratio, first), expected)
    np.testing.assert_allclose(ratio.variance, quotient.variance, rtol=1e-6)


@pytest.mark.parametrize("ending", ["fits", "asdf"])
@pytest.mark.parametrize("unequal", [0.0, 0.03])
def test_a_master_flat_of_ten_flats_takes_six_images(tmp_path, ending, unequal):
    night = Night(shape=SHAPE)
    flats = [
        calibrate(night.raw(20000 * (1 + unequal * number)), night.camera, bias=night.bias, dark=night.dark)
        for number in range(10)
    ]
    flat = combine(flats, clip="sigma", scale="median")
    flat.write(tmp_path / f"ten.{ending}")
    # And the text of its budget.
    assert (tmp_path / f"ten.{ending}").stat().st_size < 6 * IMAGE
    expected = [covariance(flat, one) for one in (flat, flats[0], night.dark)]
    forget()
    with pytest.warns(Warning, match="not found"):
        alone = CCDFrame.read(tmp_path / f"ten.{ending}")
    np.testing.assert_array_equal(alone.variance, flat.variance)
    night.write_masters(tmp_path, ending)
    flat.write(tmp_path / f"ten.{ending}", overwrite=True)
    again = CCDFrame.read(tmp_path / f"ten.{ending}")
    for one, known in zip((again, flats[0], night.dark), expected, strict=True):
        np.testing.assert_allclose(covariance(again, one), known, rtol=1e-5)
    # What is written anew, and cut, is as small.
    again[:, :200].write(tmp_path / f"part.{ending}")
    assert (tmp_path / f"part.{ending}").stat().st_size < 6 * IMAGE * 200 / 256
