"""What headers say after each step is true of what the step has made."""

from __future__ import annotations

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from astro_calib import (
    CCDFrame,
    Detector,
    calibrate,
    ccd_process,
    combine,
    gain_correct,
    subtract_bias,
    subtract_overscan,
    trim_image,
)

PER_ADU = u.electron / u.adu
OVERSCAN, DATA = "[17:20,1:16]", "[1:16,1:16]"
SECTIONS = {
    "BIASSEC": OVERSCAN,
    "TRIMSEC": DATA,
    "DATASEC": DATA,
    "CCDSEC": "[1:20,1:16]",
    "DETSEC": "[101:120,1:16]",
    "AMPSEC": "[1:20,1:16]",
    "LTV1": -100.0,
    "PRESCAN": 4,
}
LEVELS = {"SATURATE": 60000, "MAXLIN": 50000.0, "DATAMAX": 64000.0, "DATAMIN": 900.0, "PEDESTAL": -100}
FILE = {"BLANK": 0}
KEPT = {"OBJECT": "M 13", "EXPTIME": 30.0, "RDNOISE": 8.0, "XBINNING": 1}


def camera(gain=1.5):
    return Detector(gain=gain * PER_ADU, read_noise=8 * u.electron, saturation=60000 * u.adu)


def raw(kind=fits.Header, seed=1, **gains):
    cards = {**KEPT, **SECTIONS, **LEVELS, **FILE, **gains, "BUNIT": "ADU"}
    meta = fits.Header(cards) if kind is fits.Header else dict(cards)
    pixels = np.random.default_rng(seed).normal(1000, 5, (16, 20)).round().astype(np.uint16)
    return CCDFrame(pixels, unit="adu", meta=meta)


def in_electrons(frame):
    """Ways from a raw frame to electrons."""
    yield gain_correct(frame, camera())
    yield gain_correct(frame, 1.5 * PER_ADU)
    yield gain_correct(trim_image(subtract_overscan(frame, fits_section=OVERSCAN), DATA), camera())
    yield calibrate(frame, camera(), overscan=OVERSCAN, trim=DATA)
    yield calibrate(frame, camera(), pedestal=1000)
    # One step after the other.
    yield calibrate(frame, camera(), pedestal=1000, shot_noise="smooth")
    yield ccd_process(frame, oscan=OVERSCAN, trim=DATA, error=True, gain=1.5 * PER_ADU, readnoise=8 * u.electron)


@pytest.mark.parametrize("kind", [fits.Header, dict])
def test_headers_of_frames_in_electrons(kind):
    frame = raw(kind, EGAIN=1.5, GAIN=120)
    before = dict(frame.meta)
    for result in in_electrons(frame):
        assert dict(result.meta) == KEPT | {"EGAIN": 1, "GAIN": 120, "BUNIT": "electron"}
    assert dict(frame.meta) == before


@pytest.mark.parametrize(
    ("found", "applied", "expected"),
    [
        ({"GAIN": 1.5}, 1.5, {"GAIN": 1}),
        # Wrong, and no setting either.
        ({"GAIN": 1.5}, 2.337, {"GAIN": 1}),
        ({"GAIN": 2}, 2.0, {"GAIN": 1}),
        ({"GAIN": 120}, 0.25, {"GAIN": 120, "EGAIN": 1}),
        ({"GAIN": 1}, 1.8, {"GAIN": 1, "EGAIN": 1}),
        ({"GAIN": "high"}, 1.5, {"GAIN": "high", "EGAIN": 1}),
        ({"GAIN": 139, "EGAIN": 0.25}, 0.25, {"GAIN": 139, "EGAIN": 1}),
        ({"GAIN": 0.25, "EGAIN": 0.25}, 0.25, {"GAIN": 1, "EGAIN": 1}),
        ({"CCDGAIN": 1.9}, 1.9, {"CCDGAIN": 1}),
        ({"GAIN1": 1.5, "GAIN2": 1.6}, 1.5, {"GAIN1": 1, "GAIN2": 1}),
        ({"EGAIN": "0,25"}, 0.25, {"EGAIN": 1}),
        ({}, 1.5, {}),
    ],
)
def test_gains_in_electrons_per_adu_are_one_and_settings_stay(found, applied, expected):
    result = gain_correct(CCDFrame(np.ones((2, 2)), unit="adu", meta=fits.Header(found)), camera(applied))
    assert dict(result.meta) == expected


def test_comment_tells_that_a_whole_number_is_no_setting():
    header = fits.Header([("GAIN", 3, "[e-/ADU]")])
    frame = CCDFrame(np.ones((2, 2)), unit="adu", meta=header)
    assert gain_correct(frame, camera(2.8)).meta["GAIN"] == 1


def test_sections_stay_until_the_frame_is_cut():
    frame = subtract_overscan(raw(), fits_section=OVERSCAN)
    assert {name: frame.meta[name] for name in SECTIONS} == SECTIONS
    assert not {*LEVELS, *FILE} & set(frame.meta)
    cut = trim_image(frame, frame.meta["TRIMSEC"])
    assert not set(SECTIONS) & set(cut.meta)
    assert trim_image(raw()).meta["TRIMSEC"] == DATA


def test_levels_are_no_longer_true_without_the_bias():
    bias = CCDFrame(np.full((16, 20), 1000.0), unit="adu")
    result = subtract_bias(raw(), bias)
    assert not set(LEVELS) & set(result.meta)
    assert result.meta["BUNIT"] == "ADU"


@pytest.mark.parametrize("ending", ["fits", "asdf"])
def test_files_of_stacks_say_the_same_and_are_read_without_a_word(tmp_path, ending):
    # A stack of raw frames, whose header nobody has gone through.
    stack = combine([raw(seed=seed) for seed in range(3)])
    image = calibrate(raw(seed=9), camera(), bias=gain_correct(stack, camera()), overscan=None)
    for number, frame in enumerate((stack, image)):
        path = tmp_path / f"{number}.{ending}"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            frame.write(path)
            again = CCDFrame.read(path)
            if ending == "fits":
                CCDData.read(path)
        assert "BLANK" not in again.meta
        assert str(u.Unit(str(again.meta["BUNIT"]).lower())) == str(frame.unit)
