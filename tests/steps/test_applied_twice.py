"""A master that is applied a second time: refused, or said where somebody may mean it."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib import CCDFrame, Detector, calibrate, combine, flat_correct, gain_correct, subtract_bias, subtract_dark
from astro_calib.errors import FrameError
from tests.noise_checks import make_frame

TIMES = {"data_exposure": 60 * u.s, "dark_exposure": 30 * u.s, "scale": True}
CAMERA = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)
STEPS = {
    "bias": subtract_bias,
    "dark": subtract_dark,
    "dark, scaled": lambda ccd, master: subtract_dark(ccd, master, **TIMES),
    "flat": flat_correct,
}


@pytest.fixture
def frames(rng):
    return tuple(make_frame(rng, level, 3.0, (6, 7)) for level in (1500.0, 100.0, 101.0))


@pytest.mark.parametrize("step", STEPS)
def test_the_same_master_is_refused(frames, step):
    ccd, master, _ = frames
    once = STEPS[step](ccd, master)
    with pytest.raises(FrameError, match=r"already\. Leave it out"):
        STEPS[step](once, master)


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", STEPS)
def test_the_same_master_is_refused_as_another_kind(frames, first, second):
    ccd, master, _ = frames
    kind = first.partition(",")[0]
    with pytest.raises(FrameError, match=rf"this master {kind} .* already\. Leave it out"):
        STEPS[second](STEPS[first](ccd, master), master)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "then",
    [lambda ccd: ccd.copy(), CCDFrame, lambda ccd: 1 * u.electron + ccd * 2.0],
    ids=["copy", "frame of it", "arithmetic"],
)
def test_it_is_remembered(frames, step, then):
    ccd, master, _ = frames
    with pytest.raises(FrameError, match="already"):
        STEPS[step](then(STEPS[step](ccd, master)), master)


@pytest.mark.parametrize("step", STEPS)
def test_a_stack_remembers_what_was_applied_to_all_its_frames(frames, step):
    first, master, second = frames
    with pytest.raises(FrameError, match="already"):
        STEPS[step](combine([STEPS[step](one, master) for one in (first, second)]), master)
    STEPS[step](combine([STEPS[step](first, master), second]), master)


@pytest.mark.parametrize("step", STEPS)
def test_a_cut_remembers_what_was_applied_to_the_whole(frames, step):
    ccd, master, _ = frames
    # The cut of the master is another frame than the master.
    with pytest.warns(AstropyUserWarning, match="another master"):
        STEPS[step](STEPS[step](ccd, master)[:3], master[:3])


@pytest.mark.parametrize("step", STEPS)
def test_another_master_of_the_kind_is_said(frames, step):
    ccd, first, second = frames
    with pytest.warns(AstropyUserWarning, match="another master"):
        result = STEPS[step](STEPS[step](ccd, first), second)
    assert len(result.history.applied) == 2


@pytest.mark.parametrize("step", STEPS)
def test_an_exact_master_is_refused_as_well(frames, step):
    ccd, *_ = frames
    master = CCDData(np.full((6, 7), 100.0), unit="electron")
    with pytest.raises(FrameError, match="already"):
        STEPS[step](STEPS[step](ccd, master), master)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_exact_masters_of_two_kinds_may_have_equal_pixels(value):
    raw = CCDFrame(np.full((6, 7), 1500, np.uint16), unit="adu", meta={"EXPTIME": 60.0})
    bias, dark = (CCDFrame(np.full((6, 7), value), unit="electron", meta={"EXPTIME": 60.0}) for _ in range(2))
    image = calibrate(raw, CAMERA, bias=bias, dark=dark)
    np.testing.assert_allclose(image.data, 1500 - 2 * value)
    # Variance 5**2 + 1 / 12 of digitisation + the light that was collected.
    np.testing.assert_allclose(image.variance, 25 + 1 / 12 + 1500 - value, rtol=1e-6)
    np.testing.assert_allclose(
        subtract_dark(subtract_bias(gain_correct(raw, CAMERA), bias), dark).data, 1500 - 2 * value
    )
    assert [kind for kind, _ in image.history.applied] == ["bias", "dark"]
    with pytest.raises(FrameError, match="this master dark"):
        subtract_dark(image, CCDFrame(np.full((6, 7), value), unit="electron", meta={"EXPTIME": 60.0}))


def test_an_exact_image_that_is_given_as_two_kinds_is_said(rng):
    raw = CCDFrame(np.full((6, 7), 1500.0), unit="adu", meta={"EXPTIME": 60.0})
    image = CCDFrame(rng.normal(100, 3, (6, 7)), unit="electron", meta={"EXPTIME": 60.0}, name="bias.fits")
    with pytest.warns(AstropyUserWarning, match=r"master bias of the same pixels as the master flat \(bias.fits\)"):
        result = calibrate(raw, CAMERA, bias=image, flat=image)
    flat = image.pixels / image.pixels.mean()
    np.testing.assert_allclose(result.data, (1500 - image.pixels) / flat)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
@pytest.mark.parametrize("step", STEPS)
def test_files_remember_it(frames, step, suffix, tmp_path):
    ccd, master, _ = frames
    paths = [tmp_path / f"{name}.{suffix}" for name in ("master", "image")]
    master.write(paths[0])
    STEPS[step](ccd, CCDFrame.read(paths[0])).write(paths[1])
    with pytest.raises(FrameError, match="already"):
        STEPS[step](CCDFrame.read(paths[1]), CCDFrame.read(paths[0]))


def test_a_calibrated_frame_remembers_all_masters(rng):
    def raw(level):
        return CCDFrame(rng.normal(level, 5, (6, 7)), unit="adu", meta={"EXPTIME": 60.0})

    bias = combine([calibrate(raw(1000), CAMERA, pedestal=0, shot_noise=0) for _ in range(3)])
    dark = combine([calibrate(raw(1060), CAMERA, bias=bias) for _ in range(3)])
    flat = combine([calibrate(raw(9000), CAMERA, bias=bias, dark=dark) for _ in range(3)])
    image = calibrate(raw(1500), CAMERA, bias=bias, dark=dark, flat=flat)
    # At equal exposures the noise of the bias cancels, so that the budget would not know.
    assert "bias" not in calibrate(raw(1500), CAMERA, bias=bias, dark=dark).budget.names
    for kind, master in (("bias", bias), ("dark", dark), ("flat", flat)):
        with pytest.raises(FrameError, match=f"this master {kind}"):
            STEPS[kind](image, master)


@pytest.mark.parametrize("order", ["bias first", "dark first", "bias left in the dark", "other unit"])
def test_what_is_meant_is_not_refused(rng, order):
    ccd, dark, bias = (make_frame(rng, level, 3.0, (6, 7)) for level in (150.0, 60.0, 50.0))
    if order == "bias first":
        result = subtract_dark(subtract_bias(ccd, bias), subtract_bias(dark, bias))
    elif order == "dark first":
        result = subtract_bias(subtract_dark(ccd, subtract_bias(dark, bias)), bias)
    elif order == "bias left in the dark":
        result = subtract_dark(ccd, dark)
    else:
        result = subtract_dark(ccd, dark.convert_unit_to("electron"))
    assert np.isfinite(result.variance).all()
    # Twice on purpose is plain arithmetic: 9 + 4 x 9.
    np.testing.assert_allclose((subtract_bias(ccd, bias) - bias).variance, 45.0)
