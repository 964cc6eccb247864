"""What becomes of a master of another program, or of another night: its numbers, its noise, and when it is refused."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib import CCDFrame, Detector
from astro_calib.errors import FrameError
from astro_calib.night import load_profile
from astro_calib.night.library.loan import Borrowed
from astro_calib.night.library.master_file import examine_master
from astro_calib.night.masters.lent_master import Borrower, lent_master

GENERIC = load_profile("generic")
GAIN, READ_NOISE = 2.0, 6.0
DETECTOR = Detector(gain=GAIN * u.electron / u.adu, read_noise=READ_NOISE * u.electron)
SHAPE = (30, 40)
NIGHT = Borrower(DETECTOR, SHAPE, None, None)
WITH_OVERSCAN = Borrower(DETECTOR, SHAPE, "[37:40,1:30]", "[1:36,1:30]")


@pytest.fixture
def put(tmp_path):
    """Write a master that another program has made, and return what its header says."""

    def write(kind, level, *, sigma=0.5, name="", **cards):
        pixels = np.random.default_rng(1).normal(level, sigma, SHAPE).astype(np.float32)
        header = fits.Header([("IMAGETYP", kind), ("EXPTIME", 60.0), ("FILTER", "V"), *cards.items()])
        path = tmp_path / (name or f"{kind.lower()}.fits")
        fits.writeto(path, pixels, header)
        master = examine_master(path, GENERIC)
        return pixels, Borrowed(master, 3.0)

    return write


def test_a_bias_in_adu_becomes_electrons_with_the_noise_of_a_mean(put):
    pixels, one = put("BIAS", 1000.0, NCOMBINE=25)
    frame, remarks = lent_master(one, NIGHT)
    assert frame.unit == u.electron
    np.testing.assert_allclose(frame.pixels, GAIN * pixels, rtol=1e-6)
    # The read noise over the root of 25 frames.
    np.testing.assert_allclose(np.sqrt(frame.variance), READ_NOISE / 5, rtol=1e-6)
    assert remarks == ["bias.fits: its noise is taken to be that of a mean of 25 frames"]


def test_a_bias_in_electron_is_taken_as_it_is(put):
    pixels, one = put("BIAS", 1000.0, NCOMBINE=4, BUNIT="electron")
    frame, remarks = lent_master(one, NIGHT)
    np.testing.assert_array_equal(frame.pixels, pixels)
    np.testing.assert_allclose(np.sqrt(frame.variance), READ_NOISE / 2, rtol=1e-6)
    assert any("of which gain is not known: 2 electron/adu is taken" in remark for remark in remarks)


def test_a_master_of_an_unknown_number_of_frames_is_exact_and_that_is_said(put):
    _, one = put("BIAS", 1000.0)
    frame, remarks = lent_master(one, NIGHT)
    assert frame.variance is None
    (remark,) = remarks
    assert "its noise is not known, but at most the scatter of its pixels, 0.5" in remark
    assert remark.endswith("nothing says how many frames it is of. It counts as exact")


def test_a_dark_has_the_shot_noise_of_its_signal(put):
    pixels, one = put("DARK", 50.0, NCOMBINE=10)
    bias = CCDFrame(np.full(SHAPE, 2000.0, np.float32), unit="electron")
    frame, _ = lent_master(one, NIGHT, bias)
    np.testing.assert_allclose(frame.pixels, GAIN * pixels, rtol=1e-6)
    np.testing.assert_allclose(frame.variance, (READ_NOISE**2 + GAIN * pixels) / 10, rtol=1e-5)
    assert frame.meta["EXPTIME"] == 60.0


def test_a_dark_that_holds_its_bias_is_freed_from_it(put):
    pixels, one = put("DARK", 1050.0, NCOMBINE=10)
    bias = CCDFrame(np.full(SHAPE, 2000.0, np.float32), unit="electron", uncertainty=np.full(SHAPE, 1.5))
    frame, _ = lent_master(one, NIGHT, bias)
    np.testing.assert_allclose(frame.pixels, GAIN * pixels - 2000, rtol=1e-4)
    expected = (READ_NOISE**2 + GAIN * pixels - 2000) / 10 + 1.5**2
    np.testing.assert_allclose(frame.variance, expected, rtol=1e-4)
    with pytest.raises(FrameError, match="holds its bias, and there is none to subtract"):
        lent_master(one, WITH_OVERSCAN._replace(overscan=None, trim=None))


def test_a_dark_in_the_place_of_a_bias_keeps_it(put):
    pixels, one = put("DARK", 1050.0, NCOMBINE=10)
    # Of the frames, too, a level of 1040 adu is subtracted.
    frame, _ = lent_master(one, NIGHT._replace(bias_in_darks=True, pedestal=1040.0))
    np.testing.assert_allclose(frame.pixels, GAIN * (pixels - 1040), atol=1e-3)
    np.testing.assert_allclose(frame.variance, (READ_NOISE**2 + GAIN * (pixels - 1040)) / 10, rtol=1e-4)
    _, one = put("DARK", 5.0, NCOMBINE=10, name="d2.fits", CALSTAT="B")
    with pytest.raises(FrameError, match="was subtracted, and there is none for the frames"):
        lent_master(one, NIGHT._replace(bias_in_darks=True))


def test_flats(put):
    pixels, one = put("FLAT", 20000.0, sigma=50.0, NCOMBINE=8, CALSTAT="BD")
    frame, remarks = lent_master(one, NIGHT)
    np.testing.assert_allclose(frame.variance, (GAIN * pixels + READ_NOISE**2) / 8, rtol=1e-5)
    assert remarks == ["flat.fits: its noise is taken to be that of a mean of 8 frames"]
    # A flat of mean one does not say how much light was in it.
    pixels, one = put("FLAT", 1.0, sigma=0.01, name="flat1.fits", NCOMBINE=8)
    frame, remarks = lent_master(one, NIGHT)
    assert frame.unit == u.dimensionless_unscaled
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert frame.variance is None
    assert remarks[0].endswith("nothing says how much light was in its frames. It counts as exact")


def test_a_flat_that_may_hold_its_bias_is_worth_a_remark(put):
    _, one = put("FLAT", 20000.0, sigma=50.0, NCOMBINE=8)
    assert "nothing in its header says that its bias was subtracted" in lent_master(one, NIGHT)[1][0]


@pytest.mark.parametrize(
    ("kind", "level", "night", "said"),
    [
        # Whichever way round: a thousand adu would be wrong.
        ("BIAS", 1000.0, WITH_OVERSCAN, "it holds the pedestal, which is subtracted from the frames"),
        ("BIAS", 0.2, NIGHT, "its pedestal was subtracted, and the frames of the night have no overscan"),
        ("DARK", 1050.0, WITH_OVERSCAN, "it seems to hold the pedestal"),
        ("BIAS", 0.016, NIGHT, "numbers between 0 and 1"),
    ],
)
def test_a_level_that_cannot_be_is_refused(put, kind, level, night, said):
    _, one = put(kind, level, sigma=level / 1000 if level < 0.1 else 0.5)
    with pytest.raises(FrameError, match=said):
        lent_master(one, night)


def test_a_master_of_the_whole_frame_is_cut_as_the_frames_are(put):
    pixels, one = put("BIAS", 0.2, NCOMBINE=4)
    frame, _ = lent_master(one, WITH_OVERSCAN)
    np.testing.assert_allclose(frame.pixels, GAIN * pixels[:, :36], rtol=1e-6)


@pytest.mark.parametrize(("stated", "used"), [(0.4, True), (3.0, False)])
def test_an_uncertainty_larger_than_the_scatter_is_not_believed(tmp_path, stated, used):
    pixels = np.random.default_rng(2).normal(1000, 0.5, SHAPE).astype(np.float32)
    master = CCDData(pixels, unit="adu", uncertainty=StdDevUncertainty(np.full(SHAPE, stated, np.float32)))
    master.header["IMAGETYP"], master.header["COMBINED"] = "BIAS", True
    path = tmp_path / "bias.fits"
    master.write(path)
    frame, remarks = lent_master(Borrowed(examine_master(path, GENERIC), None), NIGHT)
    if used:
        np.testing.assert_allclose(np.sqrt(frame.variance), GAIN * stated, rtol=1e-6)
        assert remarks == []
    else:
        assert frame.variance is None
        assert "the 3 adu that the file states cannot be right" in remarks[0]


def test_an_empty_master_is_refused(put):
    pixels, one = put("BIAS", np.nan)
    assert np.isnan(pixels).all()
    with pytest.raises(FrameError, match="holds no finite number"):
        lent_master(one, NIGHT)
