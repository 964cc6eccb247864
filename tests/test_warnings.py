"""A warning points at the line of the user's own code that led to it."""

from __future__ import annotations

import inspect
import warnings

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, Detector, calibrate, combine, subtract_bias
from astro_calib.steps.bias import SubtractBias
from astro_calib.steps.step import apply_steps
from tests.noise_checks import make_frame

CAMERA = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)


@pytest.fixture
def frames():
    rng = np.random.default_rng(5)
    ccd, *masters = (make_frame(rng, level, 3.0, (6, 7)) for level in (1500.0, 100.0, 101.0))
    return subtract_bias(ccd, masters[0]), masters[1]


def overscan_without_pixels():
    raw = CCDFrame(np.full((6, 9), 1000.0), unit="adu", mask=np.zeros((6, 9), bool))
    raw.mask[2, 7:] = True
    return raw


CALLS = {
    "a step": lambda ccd, other: subtract_bias(ccd, master=other),
    "a step of a list": lambda ccd, other: apply_steps(ccd, [SubtractBias(other)]),
    "a scaled dark": lambda ccd, other: calibrate(
        CCDFrame(np.full((6, 7), 1000.0), unit="adu", meta={"EXPTIME": 10.0}),
        CAMERA,
        bias=other,
        dark=calibrate(CCDFrame(np.full((6, 7), 999.0), unit="adu", meta={"EXPTIME": 5.0}), CAMERA, pedestal=0),
    ),
    "calibrate": lambda *_: calibrate(
        overscan_without_pixels(), CAMERA, overscan="[8:9, 1:6]", overscan_axis=1, trim="[1:7, 1:6]"
    ),
    "combine": lambda ccd, _: combine([ccd, ccd]),
    "an index": lambda ccd, _: ccd[np.array([1, 2])],
    "an assignment": lambda ccd, _: np.asarray(setattr(ccd.uncertainty, "array", np.ones((6, 7))) or ccd.variance),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_warning_points_at_the_callers_line(frames, call):
    function = CALLS[call]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*frames)
    first, lines = function.__code__.co_firstlineno, inspect.getsourcelines(function)[0]
    assert caught
    for warning in caught:
        assert warning.filename == __file__
        assert first <= warning.lineno < first + len(lines)
