"""What is done to a frame twice, and options that do nothing without another: each is refused or said in a sentence."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.modeling.models import Chebyshev1D
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib import (
    Amplifier,
    CCDFrame,
    Crosstalk,
    Detector,
    LinearityPolynomial,
    calibrate,
    ccd_process,
    correct_linearity,
    cosmicray_lacosmic,
    create_deviation,
    flag_saturated,
    flat_correct,
    gain_correct,
    illumination_correct,
    shutter_correct,
    subtract_bias,
    subtract_crosstalk,
    subtract_dark,
    subtract_fringe,
    subtract_overscan,
    subtract_sky,
    trim_image,
)
from astro_calib.errors import FrameError, NoiseWarning
from tests.noise_checks import make_frame

SHAPE = (48, 64)
NUMBERS = {"gain": 2 * u.electron / u.adu, "read_noise": 5 * u.electron}
CAMERA = Detector(**NUMBERS, saturation=60000 * u.adu, linearity=LinearityPolynomial([1e-6], limit=60000 * u.adu))
HALVES = Detector(amplifiers=[Amplifier(data_section=f"[{first}:{first + 23}, 1:48]", **NUMBERS) for first in (1, 25)])
CROSSTALK = Crosstalk([[0, 0.01], [0.02, 0]])
OVERSCAN = "[49:64, 1:48]"


@pytest.fixture(scope="module")
def raw():
    pixels = np.random.default_rng(1).normal(1000, 5, SHAPE)
    pixels[:, :48] += 500
    return CCDFrame(pixels.round().astype(np.uint16), unit="adu", meta={"EXPTIME": 10.0}, name="raw.fits")


@pytest.fixture(scope="module")
def net(raw):
    return subtract_overscan(raw, fits_section=OVERSCAN, overscan_axis=(0, 1))


@pytest.fixture(scope="module")
def image(net):
    return create_deviation(gain_correct(net, CAMERA), CAMERA)


@pytest.fixture(scope="module")
def master():
    rng = np.random.default_rng(2)
    pattern = np.sin(np.arange(SHAPE[1]) / 2)
    return {
        "any": make_frame(rng, 300.0, 3.0, SHAPE),
        "shutter": CCDFrame(np.full(SHAPE, 0.01), unit="s"),
        "illumination": CCDFrame(np.full(SHAPE, 1.01), unit=""),
        "fringe": CCDFrame(np.broadcast_to(pattern, SHAPE), unit="electron"),
    }


def cut(raw):
    return raw[:, 48:]


#: A step, the frame that it begins with, and what is said of it the second time.
REFUSED = {
    "overscan, as a cut": (lambda f, m, r: subtract_overscan(f, cut(r)), "raw", "subtracted twice. Leave it out"),
    "crosstalk": (lambda f, m, r: subtract_crosstalk(f, CROSSTALK, HALVES), "net", "already. Leave it out"),
    "linearity": (lambda f, m, r: correct_linearity(f, CAMERA), "image", "already. Leave it out"),
    "bias": (lambda f, m, r: subtract_bias(f, m["any"]), "image", "already. Leave it out"),
    "dark": (lambda f, m, r: subtract_dark(f, m["any"]), "image", "already. Leave it out"),
    "shutter": (lambda f, m, r: shutter_correct(f, m["shutter"]), "image", "already. Leave it out"),
    "flat": (lambda f, m, r: flat_correct(f, m["any"]), "image", "already. Leave it out"),
    "illumination": (lambda f, m, r: illumination_correct(f, m["illumination"]), "image", "already. Leave it out"),
    "fringe": (lambda f, m, r: subtract_fringe(f, m["fringe"], amplitude=2.0), "image", "already. Leave it out"),
    "gain": (lambda f, m, r: gain_correct(f, CAMERA), "net", "only a frame in adu can be multiplied"),
    "gain, a quantity": (lambda f, m, r: gain_correct(f, NUMBERS["gain"]), "net", "expected electrons for each adu"),
    "calibrate": (lambda f, m, r: calibrate(f, CAMERA, pedestal=1000), "raw", "found in the raw frame, in adu"),
    "trim": (lambda f, m, r: trim_image(f, "[3:48, 1:48]"), "raw", "does not lie inside the frame"),
}


@pytest.mark.parametrize("step", REFUSED)
def test_a_second_time_is_refused(step, raw, net, image, master):
    apply, start, said = REFUSED[step]
    frame = {"raw": raw, "net": net, "image": image}[start]
    once = apply(frame, master, raw)
    with pytest.raises((FrameError, u.UnitConversionError), match=said):
        apply(once, master, raw)


def test_calibrate_refuses_an_overscan_that_was_subtracted(raw):
    net = subtract_overscan(raw, cut(raw))
    with pytest.raises(FrameError, match=r"subtracted twice. Leave it out"):
        calibrate(net, CAMERA, overscan=cut(raw))


#: Steps that find nothing left to do the second time.
HARMLESS = {
    "overscan, as a section": ("raw", lambda f: subtract_overscan(f, fits_section=OVERSCAN, overscan_axis=(0, 1))),
    "saturation": ("raw", lambda f: flag_saturated(f, CAMERA)),
    "deviation": ("image", lambda f: create_deviation(f, CAMERA)),
    "sky": ("image", lambda f: subtract_sky(f[:, :48], 0)),
    "cosmic rays": ("image", cosmicray_lacosmic),
}


@pytest.mark.parametrize("step", HARMLESS)
def test_a_second_time_changes_nothing(step, raw, image):
    start, apply = HARMLESS[step]
    once = apply({"raw": raw, "image": image}[start])
    twice = apply(once)
    np.testing.assert_allclose(twice.pixels, once.pixels, atol=0.05)
    if once.variance is not None:
        np.testing.assert_allclose(twice.variance, once.variance, rtol=1e-3)


def test_another_crosstalk_is_said(net):
    once = subtract_crosstalk(net, CROSSTALK, HALVES)
    with pytest.warns(AstropyUserWarning, match="another crosstalk was corrected before"):
        subtract_crosstalk(once, Crosstalk([[0, 0.001], [0, 0]]), HALVES)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_files_remember_it(net, image, suffix, tmp_path):
    paths = [tmp_path / f"{number}.{suffix}" for number in range(2)]
    subtract_crosstalk(net, CROSSTALK, HALVES).write(paths[0])
    correct_linearity(image, CAMERA).write(paths[1])
    with pytest.raises(FrameError, match="this crosstalk was subtracted already"):
        subtract_crosstalk(CCDFrame.read(paths[0]), CROSSTALK, HALVES)
    with pytest.raises(FrameError, match="linearity was corrected already"):
        correct_linearity(CCDFrame.read(paths[1]), CAMERA)


def test_a_dark_without_error_is_seen_by_the_linearity(image):
    dark = CCDFrame(np.full(SHAPE, 10.0), unit="electron")
    with pytest.raises(FrameError, match="the dark was applied already"):
        correct_linearity(subtract_dark(image, dark), CAMERA)


@pytest.mark.parametrize("second", [2.0, NUMBERS["gain"], CAMERA], ids=["number", "quantity", "detector"])
def test_a_gain_without_unit_and_another_gain_are_said(net, second):
    once = gain_correct(net, 2.0)
    with pytest.warns(AstropyUserWarning, match="gain without a unit before.* give it once"):
        gain_correct(once, second)


def test_a_dark_before_the_deviation_is_said(net, image):
    """The shot noise is that of all electrons, 1000 e; without those of the dark it is too small by 300 e."""
    dark = CCDFrame(np.full(SHAPE, 300.0), unit="electron")
    with pytest.warns(NoiseWarning, match="Call create_deviation before subtract_dark"):
        late = create_deviation(subtract_dark(gain_correct(net, CAMERA), dark), CAMERA)
    right = subtract_dark(image, dark)
    np.testing.assert_allclose((right.variance - late.variance)[:, :48], 300, rtol=1e-4)


#: An option that says something of another one, which is not given.
ALONE = {
    "overscan_axis": (1, "overscan"),
    "overscan_median": (False, "overscan"),
    "overscan_model": (Chebyshev1D(2), "overscan"),
    "dark_amplitude": ("fit", "dark"),
    "min_value": (0.1, "flat"),
    "norm_value": (100.0, "flat"),
    "bayer": ("RGGB", "flat"),
    "fringe_amplitude": (1.5, "fringe"),
}


@pytest.mark.parametrize("option", ALONE)
def test_an_option_that_does_nothing_is_refused(option, raw):
    value, other = ALONE[option]
    with pytest.raises(ValueError, match=rf"{option}=.* does nothing without {other}=: give {other}=, too, or leave"):
        calibrate(raw, CAMERA, pedestal=1000, **{option: value})


def test_a_crosstalk_without_levels_is_refused(raw):
    with pytest.raises(ValueError, match="give overscan=, or pedestal=, too"):
        calibrate(raw, HALVES, crosstalk=CROSSTALK, bias=CCDFrame(np.full(SHAPE, 1000.0), unit="adu"))


def test_defaults_and_what_headers_mean_may_always_be_given(raw):
    plain = calibrate(raw, CAMERA, pedestal=1000)
    asked = {"overscan_axis": (0, 1), "overscan_median": True, "min_value": None, "fringe_amplitude": None}
    given = calibrate(raw, CAMERA, pedestal=1000, **asked, exposure_time="EXPOSURE", exposure_unit=u.min)
    np.testing.assert_array_equal(given.pixels, plain.pixels)
    given = calibrate(raw, CAMERA, pedestal=1000, overscan_axis=[0, 1], overscan_median=np.True_)
    np.testing.assert_array_equal(given.pixels, plain.pixels)


def test_ccd_process_says_the_same(raw):
    gain = {"error": True, "gain": NUMBERS["gain"], "readnoise": NUMBERS["read_noise"]}
    bias = CCDFrame(np.full(SHAPE, 2000.0), unit="electron")
    assert ccd_process(raw, master_bias=bias, oscan_median=False, **gain).shape == SHAPE
    with pytest.raises(ValueError, match=r"min_value=0\.1 does nothing without master_flat="):
        ccd_process(raw, master_bias=bias, min_value=0.1, **gain)
    with pytest.raises(ValueError, match=r"oscan_model=\.\.\. does nothing without oscan="):
        ccd_process(raw, master_bias=bias, oscan_model=object(), **gain)
