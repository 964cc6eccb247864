"""The noise of the sky against a gain that nothing but the headers tells."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib.night.detector.decide import Estimate, Number
from astro_calib.night.summary.sky_doubt import sky_doubt
from astro_calib.photometry.sky_noise import SkyNoise

#: The true gain, electron/adu, and the read noise, adu.
TRUE, READ_NOISE = 1.8, 5.2


def frame(stated, *, sky=200.0, blocks=900, in_electrons=None):
    """A frame with so much sky, adu, as it is seen with a stated gain, and perhaps a read noise in electrons."""
    read = (READ_NOISE * stated if in_electrons is None else in_electrons) ** 2
    light = sky * stated
    true_read = (READ_NOISE if in_electrons is None else in_electrons / TRUE) ** 2
    seen = (true_read + sky / TRUE) * stated**2
    noise = SkyNoise(light, np.sqrt(seen), np.sqrt(read + light), np.sqrt(seen / (read + light)), blocks, 1024)
    shares = {"shot noise": light / (read + light), "read noise": read / (read + light)}
    return noise, shares


def numbers(gain=1.0, source="header", read_noise="measured", measured=None):
    return (
        Number(role="gain", value=gain, source=source, why="", measured=measured),
        Number(role="read_noise", value=READ_NOISE * gain, source=read_noise, why=""),
    )


@pytest.mark.parametrize(("read_noise", "electrons"), [("measured", None), ("header", 9.4)])
def test_a_wrong_gain_of_the_headers_is_said_with_the_one_that_the_sky_asks_for(read_noise, electrons):
    found = sky_doubt(numbers(read_noise=read_noise), [frame(1.0, in_electrons=electrons)] * 3)
    assert "of what gain 1 and read noise 5.2 e predict (median of 3 frames)" in found
    assert "the gain is wrong, 1.8 or more by the sky" in found
    assert "give two flats" in found


def test_a_gain_that_is_too_large_may_be_a_pattern_as_well():
    found = sky_doubt(numbers(4.0), [frame(4.0)])
    assert "(one frame): the gain is wrong, or the sky has a pattern" in found


@pytest.mark.parametrize(
    ("stated", "frames"),
    [
        (numbers(1.0, source="--gain"), [frame(1.0)]),
        (numbers(1.0, measured=Estimate(1.8, 0.2)), [frame(1.0)]),
        (numbers(TRUE), [frame(TRUE)]),
        (numbers(1.0), [frame(1.0, blocks=20)]),
        (numbers(1.0), []),
        ((), [frame(1.0)]),
    ],
    ids=["stated", "measured as well", "right", "few blocks", "no frames", "no numbers"],
)
def test_nothing_is_said_of_others(stated, frames):
    assert sky_doubt(stated, frames) == ""


def test_where_light_is_a_small_part_of_the_noise_no_gain_is_named():
    dark = (frame(1.0)[0], {"shot noise": 0.1, "read noise": 0.9})
    assert "by the sky" not in sky_doubt(numbers(), [dark])
