"""Darks and biases of which the level was subtracted already: refused or said, and never a pedestal in the result."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.night import reduce_night
from astro_calib.night.detector.decide import Estimate, Number
from astro_calib.night.summary.sky_doubt import sky_doubt
from astro_calib.photometry.sky_noise import SkyNoise
from tests.night.synthetic import GAIN, READ_NOISE, Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}


def reduced(raw, **options):
    return reduce_night(raw, raw.parent / "out", **{**LEAN, **options})


def make_net(paths, pedestal=500.0):
    """Subtract the level of the bias, as other programs do it."""
    for path in paths:
        with fits.open(path) as hdus:
            header, data = hdus[0].header, hdus[0].data.astype(np.float32) - pedestal
        fits.writeto(path, data, header, overwrite=True)


def master_dark(camera, path, *, net, warm=0.0):
    path.parent.mkdir(exist_ok=True)
    mean = np.mean([camera.pixels("DARK", 30) for _ in range(20)], axis=0) + warm
    pixels = (mean - camera.pedestal - camera.bias / GAIN if net else mean).astype(np.float32)
    camera.write(path, "Master Dark", 30, pixels=pixels, NCOMBINE=20, BUNIT="adu")
    return path.parent


def is_right(camera, summary):
    """Whether the calibrated frame is the sky, through the flat that the night lacks."""
    pixels = fits.getdata(summary.frames[0].path)
    return np.median(pixels) == pytest.approx(np.median(camera.truth(30)), abs=20)


def test_a_master_dark_without_its_bias_does_not_tell_the_level_of_zero_light(tmp_path):
    camera = Camera(seed=71)
    raw = camera.night(tmp_path / "raw", biases=0, darks=0, flats=0)
    library = master_dark(camera, tmp_path / "library" / "md.fits", net=True)
    with pytest.raises(FrameError, match="no borrowed dark tells the level of zero light") as caught:
        reduced(raw, masters=library)
    assert "md.fits: it has a level of" in str(caught.value)
    assert "its bias was subtracted already" in str(caught.value)
    # With the level it serves.
    summary = reduced(raw, masters=library, pedestal=camera.pedestal)
    assert is_right(camera, summary)


def test_a_master_dark_with_its_bias_tells_it(tmp_path):
    camera = Camera(seed=72)
    raw = camera.night(tmp_path / "raw", biases=0, darks=0, flats=0)
    assert is_right(camera, reduced(raw, masters=master_dark(camera, tmp_path / "library" / "md.fits", net=False)))


def test_a_master_that_cannot_be_used_is_said_with_the_remarks(tmp_path):
    camera = Camera(seed=73)
    raw = camera.night(tmp_path / "raw", darks=0, flats=0)
    path = tmp_path / "library" / "md.fits"
    library = master_dark(camera, path, net=False)
    with fits.open(path, mode="update") as hdus:
        hdus[0].data /= 65535
    summary = reduced(raw, masters=library)
    (remark,) = [one for one in summary.remarks if "cannot be used" in one]
    assert remark.startswith("md.fits: the master dark of 30 s of the library cannot be used: ")


@pytest.mark.parametrize("options", [{}, {"pedestal": 500.0}], ids=["", "pedestal"])
def test_raw_darks_without_their_bias_are_not_taken_in_the_place_of_biases(tmp_path, options):
    camera = Camera(seed=74, shape=(96, 96))
    raw = camera.night(tmp_path / "raw", biases=0)
    make_net(raw.glob("dark*"))
    if not options:
        with pytest.raises(FrameError, match="the level of zero light is unknown") as caught:
            reduced(raw)
        assert "its numbers lie around zero: its bias was subtracted already" in str(caught.value)
        return
    summary = reduced(raw, **options)
    assert is_right(camera, summary)
    assert any("its bias was subtracted already" in remark for remark in summary.remarks)


def test_raw_darks_without_their_bias_are_left_out_beside_biases(tmp_path):
    camera = Camera(seed=75, shape=(96, 96))
    raw = camera.night(tmp_path / "raw")
    make_net(raw.glob("dark*"))
    summary = reduced(raw)
    assert is_right(camera, summary)
    assert any("its bias was subtracted already" in remark for remark in summary.remarks)


def test_a_night_of_which_all_frames_lost_their_level_is_right_and_quiet(tmp_path):
    camera = Camera(seed=76, shape=(96, 96))
    raw = camera.night(tmp_path / "raw")
    make_net(raw.iterdir())
    summary = reduced(raw)
    assert is_right(camera, summary)
    assert not any("around zero" in remark for remark in summary.remarks)


def test_biases_that_alone_lost_their_level_are_said(tmp_path):
    camera = Camera(seed=77, shape=(96, 96))
    raw = camera.night(tmp_path / "raw")
    make_net(raw.glob("bias*"))
    assert any("their numbers lie around zero" in remark for remark in reduced(raw).remarks)


def sky(light, pedestal):
    """The sky of a frame in which a pedestal counts as light."""
    seen, predicted = (np.sqrt(one + READ_NOISE**2) for one in (light, light + pedestal))
    return SkyNoise(light + pedestal, seen, predicted, seen / predicted, 50, 54), {"shot noise": 0.9}


@pytest.mark.parametrize("measured", [None, Estimate(1.5, 0.01)])
def test_a_sky_with_less_noise_than_light_says_that_the_darks_may_not_hold_the_bias(measured):
    numbers = [Number(role="gain", value=1.5, source="header", why="", measured=measured)]
    numbers.append(Number(role="read_noise", value=READ_NOISE, source="header", why=""))
    said = sky_doubt(numbers, [sky(480.0, 1350.0)] * 2, bias_in_darks=True)
    # The root of 505 over 1855.
    assert said.startswith("the noise of the sky is 0.52 of what its level predicts (median of 2 frames): the darks")
    assert sky_doubt(numbers, [sky(480.0, 0.0)], bias_in_darks=True) == ""
    assert "darks" not in sky_doubt(numbers, [sky(480.0, 1350.0)])


def test_a_warm_master_dark_without_its_bias_is_the_first_thing_that_is_said(tmp_path):
    # A level of 60 adu is many times the scatter: nothing but the sky tells that it is no pedestal.
    camera = Camera(seed=78, shape=(160, 160))
    camera.sky, camera.bias, camera.flats = np.full(camera.shape, 400.0), np.zeros(camera.shape), {"V": 1.0}
    raw = camera.night(tmp_path / "raw", biases=0, darks=0, flats=0)
    library = master_dark(camera, tmp_path / "library" / "md.fits", net=True, warm=60.0)
    summary = reduced(raw, masters=library, stars=True)
    assert any("the darks may not hold their bias" in line for line in summary.attention)
