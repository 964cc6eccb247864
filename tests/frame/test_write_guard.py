"""Who writes into the pixels of a frame is noticed: by its digest, its origin, its noise, however the frame came."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib import CCDFrame, Detector, calibrate, covariance
from astro_calib.frame import kept

SHAPE = (8, 10)
CAMERA = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)


def pixels(seed=1):
    return np.random.default_rng(seed).integers(900, 1100, SHAPE).astype(np.uint16)


def of_array(_):
    return CCDFrame(pixels(), unit="adu")


def of_file(tmp_path):
    fits.PrimaryHDU(pixels()).writeto(tmp_path / "raw.fits", overwrite=True)
    return CCDFrame.read(tmp_path / "raw.fits", unit="adu")


def of_arithmetic(_):
    return CCDFrame(pixels(), unit="adu") + 0 * u.adu


MADE = pytest.mark.parametrize("made", [of_array, of_file, of_arithmetic])


def digest_of(values):
    """That of a frame that has nothing but these values."""
    return CCDFrame(values.copy(), unit="electron").pixel_digest()


@MADE
def test_the_digest_is_that_of_equal_pixels(tmp_path, made):
    frame = made(tmp_path)
    expected = digest_of(frame.pixels)
    for same in (frame, frame.copy(), frame.snapshot(), CCDFrame(frame), frame[:, :]):
        assert same.pixel_digest() == expected
        assert same.pixel_digest() == expected
    assert frame[1:].pixel_digest() == digest_of(frame.pixels[1:])
    assert digest_of(frame.pixels.reshape(SHAPE[::-1])) != expected
    assert len({expected, digest_of(pixels(2)), digest_of(frame.pixels[::-1])}) == 3


@MADE
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_digest_follows_what_is_written_into_the_data(tmp_path, made, when):
    frame = made(tmp_path)
    array = frame.data if when == "before" else None
    old = frame.pixel_digest()
    array = frame.data if array is None else array
    before, cut, copied = frame.snapshot(), frame[2:], frame.copy()
    assert before.pixel_digest() == frame.pixel_digest() == old
    for row, value in ((3, 7), (5, 9)):
        array[row, 4] = value
        for one in (frame, frame.snapshot(), cut, cut.snapshot()):
            expected = frame.pixels if one.shape == SHAPE else frame.pixels[2:]
            assert one.pixel_digest() == digest_of(expected)
            assert one.pixel_digest() != old
    assert copied.pixel_digest() == old
    # As it was, it is what it was.
    array[...] = copied.pixels
    assert frame.pixel_digest() == old


def test_the_digest_is_found_once_until_somebody_may_write_into_the_data(tmp_path, monkeypatch):
    found = []
    digest = kept.content_digest
    monkeypatch.setattr(kept, "content_digest", lambda array: found.append(array.shape) or digest(array))
    frame = of_file(tmp_path)
    for one in (frame, frame, CCDFrame(frame), frame.snapshot()):
        one.pixel_digest()
    assert len(found) == 1
    assert frame.data.shape == SHAPE
    for number in (2, 3):
        frame.pixel_digest()
        assert len(found) == number


def raw_files(tmp_path, uncertainty=None):
    """The frame of a file of another program, read twice."""
    path = tmp_path / "raw.fits"
    if uncertainty is None:
        fits.PrimaryHDU(pixels()).writeto(path)
        return [CCDFrame.read(path, unit="adu") for _ in range(2)]
    CCDData(pixels().astype(np.float32), unit="adu", uncertainty=StdDevUncertainty(uncertainty)).write(path)
    return [CCDFrame.read(path) for _ in range(2)]


@pytest.mark.parametrize("asked", [True, False], ids=["its origin was asked for", "nothing was asked"])
def test_writing_into_the_frame_of_a_foreign_file_makes_another_raw_frame_of_it(tmp_path, asked):
    frame, again = raw_files(tmp_path)
    if asked:
        assert frame.origin.raw.identity() == again.origin.raw.identity()
        assert not frame.budget
    frame.data[3, 4] += 50
    changed = CCDFrame(frame.pixels.copy(), unit="adu")
    assert frame.origin.raw.identity() == changed.origin.raw.identity() != again.origin.raw.identity()
    assert not frame.budget
    # Each time that somebody writes.
    frame.data[5, 5] += 50
    assert frame.origin.raw.identity() not in (changed.origin.raw.identity(), again.origin.raw.identity())


def test_the_noise_of_a_foreign_file_is_its_own_again_after_somebody_wrote_into_it(tmp_path):
    frame, again = raw_files(tmp_path)
    first, second = (calibrate(one, CAMERA, pedestal=0) for one in (frame, again))
    np.testing.assert_allclose(covariance(first, second), first.variance, rtol=1e-6)
    frame.data[3, 4] += 50
    third = calibrate(frame, CAMERA, pedestal=0)
    assert not covariance(third, second).any()
    # Read noise, digital step and photons of what was written.
    assert third.variance[3, 4] == pytest.approx(25 + 4 / 12 + 2 * frame.pixels[3, 4], rel=1e-5)
    # What was calibrated before stays.
    np.testing.assert_allclose(covariance(first, second), first.variance, rtol=1e-6)


def test_the_error_bars_of_a_foreign_file_stay_and_lose_their_sources_when_somebody_writes_into_it(tmp_path):
    sigmas = np.linspace(1, 2, 80, dtype=np.float32).reshape(SHAPE)
    frame, again = raw_files(tmp_path, sigmas)
    np.testing.assert_allclose(covariance(frame, again), sigmas**2, rtol=1e-6)
    frame.data[3, 4] += 50
    np.testing.assert_allclose(frame.variance, sigmas**2, rtol=1e-6)
    assert not covariance(frame, again).any()
    np.testing.assert_allclose((frame - again).variance, 2 * sigmas**2, rtol=1e-6)


def test_the_data_of_a_users_own_array_are_compared_and_never_digested_for_being_asked_for(monkeypatch):
    from astro_calib.frame import write_guard

    frame = of_array(None)
    monkeypatch.setattr(write_guard, "content_digest", lambda _: pytest.fail("the data were digested"))
    monkeypatch.setattr(kept, "content_digest", lambda _: pytest.fail("the data were digested"))
    assert frame.data is frame.data
