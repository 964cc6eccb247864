from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, Detector, calibrate, combine, simulate
from astro_calib.characterize import choose_dark
from astro_calib.errors import FrameError, ShapeMismatchError

SHAPE = (150, 150)


@pytest.fixture(scope="module")
def hot():
    """One pixel in two hundred."""
    return np.random.default_rng(1).random(SHAPE) < 0.005


def master(hot, exposure, sigma, *, power=1.0, seed=0, name=None, temperature=-20.0):
    """A master dark of 0.1 e/s whose hot pixels have 600 e in 60 s, and grow as a power of time."""
    rng = np.random.default_rng([seed, int(exposure)])
    level = np.where(hot, 600.0 * (exposure / 60) ** power, 0.1 * exposure)
    return CCDFrame(
        rng.normal(level, sigma),
        unit="electron",
        uncertainty=np.full(SHAPE, sigma),
        meta={"EXPTIME": exposure, "CCD-TEMP": temperature},
        name=name or f"dark{exposure:g}",
    )


def test_steady_long_dark_is_scaled_for_its_little_noise(hot):
    choice = choose_dark(master(hot, 60.0, 10.0, seed=9), [master(hot, 60.0, 3.0), master(hot, 600.0, 4.0)])
    assert choice.dark.name == "dark600"
    assert choice.ratio == pytest.approx(0.1)
    row = choice.table[0]
    assert row["noise"] == pytest.approx(0.4, rel=1e-6)
    assert row["tested"]
    # What is left of the bias is the error with which it is known: 9.2 e^2 over the root of the pixels, times root 2.
    assert row["bias"] < 0.5
    assert choice.table[1]["all"] == pytest.approx(3.0, rel=1e-6)


def test_dark_of_the_exposure_is_taken_where_hot_pixels_do_not_grow_steadily(hot):
    # At a power of 0.8 a tenth of the 600 s dark has 600 * 10**-0.2 = 379 e in hot pixels instead of 600.
    darks = [master(hot, 60.0, 3.0, power=0.8), master(hot, 600.0, 4.0, power=0.8)]
    choice = choose_dark(master(hot, 60.0, 10.0, seed=9), darks)
    assert choice.dark.name == "dark60"
    assert choice.ratio == 1
    row = choice.table[1]
    assert row["dark"] == "dark600"
    assert row["bias in hot"] == pytest.approx(600 - 379, rel=0.01)
    assert row["noise"] == pytest.approx(0.4)
    share = hot.mean()
    assert row["all"] == pytest.approx(np.sqrt(share * 221.4**2 + 0.4**2), rel=0.02)
    assert "has the frame's exposure" in choice.reason
    assert "as a dark of 60 s shows" in choice.reason
    assert "If the hot pixels are masked, dark600 is the better one" in choice.reason


def test_masked_hot_pixels_do_not_count(hot):
    darks = [master(hot, 60.0, 3.0, power=0.8), master(hot, 600.0, 4.0, power=0.8)]
    for dark in darks:
        dark.mask = hot
    assert choose_dark(master(hot, 60.0, 10.0, seed=9), darks).dark.name == "dark600"


def test_predicted_error_is_what_the_frame_gets(hot):
    """Against the truth, which the test knows: root mean square of the scaled dark less what it should be."""
    darks = [master(hot, 30.0, 3.0, power=0.8), master(hot, 600.0, 4.0, power=0.8)]
    choice = choose_dark(master(hot, 60.0, 10.0, seed=9), darks)
    truth = np.where(hot, 600.0, 6.0)
    for row in choice.table:
        dark = next(one for one in darks if one.name == row["dark"])
        made = np.sqrt(np.mean((dark.data * row["ratio"] - truth) ** 2))
        assert row["all"] == pytest.approx(made, rel=0.15)
    # 30 s is nearer to 60 s than 600 s is: 600 e for 521 or 379 e.
    assert choice.dark.name == "dark30"


def test_untested_scaling_comes_after_a_dark_of_the_exposure_and_is_told(hot):
    choice = choose_dark(master(hot, 60.0, 10.0, seed=9), [master(hot, 600.0, 1.0)])
    assert choice.dark.name == "dark600"
    assert "is not tested" in choice.reason
    assert "It is the only one" in choice.reason
    assert not choice.table["tested"][0]


def test_bias_that_frame_and_dark_share_counts_once():
    camera = Detector(gain=1 * u.electron / u.adu, read_noise=10 * u.electron)
    maker = simulate.Camera(shape=SHAPE, detector=camera)
    rng = np.random.default_rng(2)
    bias = calibrate(maker.expose("bias", 0, rng=rng)[0], camera, shot_noise=0)
    darks = [
        combine([calibrate(maker.expose("dark", time, rng=rng)[0], camera, bias=bias) for _ in range(4)])
        for time in (60, 120)
    ]
    frame = calibrate(maker.expose("dark", 60, rng=rng)[0], camera, bias=bias)
    for dark, name in zip(darks, ("dark60", "dark120"), strict=True):
        dark.name = name
    table = choose_dark(frame, darks).table
    variances = dict(zip(table["dark"], np.square(table["noise"]), strict=True))
    # R^2/4 from the dark; the bias cancels, or counts with a half.
    one = 10**2 + 1 / 12
    assert variances["dark60"] == pytest.approx(one / 4, rel=0.01)
    assert variances["dark120"] == pytest.approx(one / 16 + one / 4, rel=0.01)


def test_dark_of_another_temperature_is_left_out_by_name(hot):
    warm = master(hot, 60.0, 0.5, temperature=-10.0, name="warm")
    choice = choose_dark(master(hot, 60.0, 10.0, seed=9), [warm, master(hot, 60.0, 3.0)])
    assert choice.dark.name == "dark60"
    assert "their temperature is another: warm" in choice.reason
    with pytest.raises(FrameError, match=r"has -20\.0 deg C, none of the 1 darks has"):
        choose_dark(master(hot, 60.0, 10.0, seed=9), [warm])


def test_mistakes_are_told(hot):
    frame, dark = master(hot, 60.0, 10.0, seed=9), master(hot, 60.0, 3.0)
    exact = CCDFrame(np.ones(SHAPE), unit="electron", meta={"EXPTIME": 60.0}, name="exact")
    with pytest.raises(FrameError, match="exact has no error"):
        choose_dark(frame, [exact])
    with pytest.raises(ShapeMismatchError, match="trim both"):
        choose_dark(frame, [dark[:20]])
    with pytest.raises(u.UnitConversionError, match="in the unit of the frame"):
        choose_dark(frame, [CCDFrame(dark.data, unit="adu", uncertainty=np.ones(SHAPE))])
    with pytest.raises(FrameError, match="cannot be scaled"):
        choose_dark(frame, [master(hot, 0.0, 3.0)])
    with pytest.raises(TypeError, match="takes a list of darks"):
        choose_dark(frame, dark)
