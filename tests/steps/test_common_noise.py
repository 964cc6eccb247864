"""The error of a gain, which all pixels of an amplifier share, is found in the pass over the pixels."""

from functools import partial

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, Detector, UncertaintyBudget, calibrate, combine

SHAPE = (12, 16)
GAIN = u.electron / u.adu
SECTIONS = {
    "one": ["[1:16, 1:12]"],
    "quadrants": ["[1:8, 1:6]", "[9:16, 1:6]", "[1:8, 7:12]", "[9:16, 7:12]"],
    "odd and even columns": ["[1:15:2, 1:12]", "[2:16:2, 1:12]"],
}
ERROR = 0.02


def camera(sections, *, error=ERROR, changed=None):
    """A detector; the gain of one amplifier is changed by a thousandth."""
    amplifiers = [
        Amplifier(
            gain=(1.5 + 0.1 * index) * (1.001 if index == changed else 1.0) * GAIN,
            gain_uncertainty=error * GAIN,
            read_noise=5 * u.electron,
            data_section=section,
        )
        for index, section in enumerate(sections)
    ]
    return Detector(amplifiers=amplifiers)


def exposure(rng, level, seconds, dtype):
    pixels = rng.normal(1000 + level, 4, SHAPE)
    pixels[:, 4] += 3 * level
    return CCDFrame(pixels.astype(dtype), unit="adu", meta={"EXPTIME": seconds})


@pytest.fixture
def raws():
    """Makes the frames of a night."""

    def make(dtype):
        rng = np.random.default_rng(3)
        of = partial(exposure, rng, dtype=dtype)
        levels = {"bias": (0, 0.0), "dark": (40, 100.0), "flat": (8000, 2.0)}
        return {kind: [of(*what) for _ in range(3)] for kind, what in levels.items()} | {"science": [of(300, 50.0)]}

    return make


def masters(raws, detector):
    """With pedestals that are subtracted, so that the masters are in electrons and share their gain."""
    made = {}
    for kind in ("bias", "dark", "flat"):
        extra = {"shot_noise": 0} if kind == "bias" else {}
        frames = [calibrate(raw, detector, pedestal=0, **extra, **made) for raw in raws[kind]]
        made[kind] = combine(frames)
    return made


def reduced(raws, detector, of_masters=None):
    found = masters(raws, of_masters or detector)
    return calibrate(raws["science"][0], detector, pedestal=0, **found)


@pytest.mark.parametrize("sections", SECTIONS.values(), ids=SECTIONS)
def test_it_is_what_another_gain_would_have_changed(raws, sections):
    """The sensitivity coefficient, from a reduction of the whole night with another gain."""
    frames = raws(np.float64)
    image, exact = reduced(frames, camera(sections)), reduced(frames, camera(sections, error=0))
    expected = np.zeros(SHAPE)
    for index in range(len(sections)):
        other = reduced(frames, camera(sections, error=0, changed=index))
        slope = (other.pixels - exact.pixels) / (0.001 * (1.5 + 0.1 * index))
        expected += (slope * ERROR) ** 2
    np.testing.assert_allclose(image.variance - exact.variance, expected, rtol=5e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("of_masters", ["the same gain", "an exact gain"])
@pytest.mark.parametrize("sections", SECTIONS.values(), ids=SECTIONS)
def test_it_is_what_the_budget_says(raws, sections, of_masters, dtype):
    frames, detector = raws(dtype), camera(sections)
    exact = camera(sections, error=0) if of_masters == "an exact gain" else None
    if dtype == np.float64:
        frames["science"][0].data[3, 5] = np.nan
    image = reduced(frames, detector, exact)
    # The pass has found it.
    assert image.budget._total is not None
    asked = UncertaintyBudget(SHAPE, image.budget.terms, np.float64, image.pixels.astype(np.float64))
    assert "gain" in asked.names
    np.testing.assert_allclose(image.variance, asked.variance(), rtol=5e-6 if dtype == np.float32 else 1e-12)


def test_a_part_has_the_variance_of_the_whole(raws):
    """Also where no pixel of some amplifiers is left."""
    frames, detector = raws(np.float32), camera(SECTIONS["quadrants"])
    image = reduced(frames, detector)
    found = {kind: master[3:6, 2:7] for kind, master in masters(frames, detector).items()}
    part = calibrate(frames["science"][0], detector, pedestal=0, trim="[3:7, 4:6]", **found)
    assert part.budget._total is not None
    # The flat of a part has another mean.
    scale = image.pixels[3:6, 2:7] / part.pixels
    without = {name: value for name, value in part.budget.variances().items() if name != "gain"}
    gains = part.variance - sum(without.values())
    np.testing.assert_allclose(gains * scale**2, (ERROR / 1.5 * image.pixels[3:6, 2:7]) ** 2, rtol=1e-2)
