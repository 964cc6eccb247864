"""Cosmic rays that are found by comparing frames of one field: how many are, and what is taken for one that is none."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty
from scipy.ndimage import binary_dilation

from astro_calib import CCDFrame, DataQuality, Detector, combine, create_deviation, find_cosmic_rays
from astro_calib.errors import FrameError, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted

CAMERA = Detector(gain=1 * u.electron / u.adu, read_noise=6 * u.electron)
SIDE = 384


def moffat(side, y, x, width):
    """The light of a star of one electron, of this full width at half maximum, and the pixels it is on."""
    rows, columns = (np.arange(max(int(at) - 25, 0), min(int(at) + 26, side)) for at in (y, x))
    radius = width / 2 / np.sqrt(2 ** (1 / 2.5) - 1)
    off = ((rows[:, np.newaxis] - y) ** 2 + (columns - x) ** 2) / radius**2
    return np.ix_(rows, columns), 1.5 / (np.pi * radius**2) * (1 + off) ** -2.5


def field(rng, number, width, *, seeing=0.2, exposures=None, hits=0, side=SIDE, stars=100):
    """Frames of one field under other skies and seeings, and where how strong hits are, in standard deviations."""
    places = rng.uniform(0, side, (stars, 2))
    fluxes = 10 ** rng.uniform(2.5, 6, stars)
    frames, strengths = [], []
    for index in range(number):
        exposure = 1.0 if exposures is None else exposures[index]
        light = exposure * rng.uniform(80, 300) + rng.normal(0, 6) * np.linspace(-1, 1, side)[:, np.newaxis]
        light = light * np.ones((side, side))
        own, moved = width * (1 + seeing * rng.uniform(-1, 1)), rng.normal(0, 0.15, 2)
        for place, flux in zip(places, fluxes, strict=True):
            where, profile = moffat(side, *(place + moved), own)
            light[where] += exposure * flux * profile
        pixels = rng.poisson(light) + rng.normal(0, 6, light.shape)
        strength = np.zeros(light.shape)
        strength.flat[rng.choice(light.size, hits, replace=False)] = rng.uniform(6, 20, hits)
        pixels += strength * np.sqrt(light + 36)
        frame = CCDFrame(pixels.astype(np.float32), unit="electron", meta={"EXPTIME": 60 * exposure})
        frames.append(create_deviation(frame, CAMERA))
        strengths.append(strength)
    return frames, np.array(strengths)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


@pytest.mark.parametrize("number", [3, 5, 10])
@pytest.mark.parametrize("width", [2.0, 3.5, 5.0])
def test_stars_in_changing_seeing_are_no_hits(number, width):
    rng = np.random.default_rng(int(10 * width) + number)
    frames, _ = field(rng, number, width)
    found = find_cosmic_rays(frames)
    assert sum(int(frame.mask.sum()) for frame in found) <= 1e-5 * number * SIDE**2


def false_ones(masks, strengths):
    """How many pixels were taken for hits that are neither one nor beside one."""
    near = binary_dilation(strengths > 0, np.ones((1, 3, 3)))
    return np.count_nonzero(masks & ~near)


@pytest.mark.parametrize(("number", "expected"), [(2, 0.7), (3, 0.85), (5, 0.85), (10, 0.85)])
def test_most_hits_are_found(rng, number, expected):
    frames, strengths = field(rng, number, 3.5, hits=400)
    masks = np.array([frame.mask for frame in find_cosmic_rays(frames)])
    assert masks[strengths > 10].mean() > expected
    assert masks[strengths > 0].mean() > expected - 0.2
    # Without stars nothing but the noise limits it: a hit of 8 sigma is above 5 of its own and the median's noise.
    empty, strengths = field(rng, max(number, 3), 3.5, hits=400, stars=0)
    masks = np.array([frame.mask for frame in find_cosmic_rays(empty)])
    assert masks[strengths > 9].mean() > 0.98
    assert false_ones(masks, strengths) < 5


def test_exposures_and_thin_clouds_are_allowed_for(rng):
    exposures = [1.0, 2.0, 4.0, 1.4, 0.8]
    frames, strengths = field(rng, 5, 3.5, exposures=exposures, hits=200, stars=150)
    # The header knows nothing of the clouds in two of them.
    frames[3].meta["EXPTIME"] = frames[4].meta["EXPTIME"] = 60.0
    masks = np.array([frame.mask for frame in find_cosmic_rays(frames)])
    assert false_ones(masks, strengths) < 12
    assert masks[strengths > 12].mean() > 0.8


def test_values_and_noise_stay_and_flags_say_it(rng):
    frames, _ = field(rng, 4, 3.0, hits=50)
    before = [frame.pixels.copy() for frame in frames]
    frames[0].meta["OBJECT"] = "M 31"
    found = find_cosmic_rays(frames)
    for frame, one, data in zip(frames, found, before, strict=True):
        np.testing.assert_array_equal(frame.pixels, data)
        np.testing.assert_array_equal(one.pixels, data)
        np.testing.assert_array_equal(one.variance, frame.variance)
        np.testing.assert_array_equal((one.flags & DataQuality.COSMIC_RAY) != 0, one.mask)
        assert frame.mask is None
    assert found[0].meta["OBJECT"] == "M 31"
    assert found[0].dtype == np.float32


def test_a_stack_of_what_is_left_has_the_right_noise():
    rng = np.random.default_rng(9)
    made, predicted = [], []
    for _ in range(6):
        data = rng.normal(100, 10, (5, 128, 128))
        hit = rng.random(data.shape) < 0.01
        data += hit * rng.uniform(100, 2000, data.shape)
        sigmas = StdDevUncertainty(np.full((128, 128), 10.0))
        frames = [CCDFrame(one, unit="electron", uncertainty=sigmas) for one in data]
        stack = combine(find_cosmic_rays(frames))
        made.append(stack.data - 100)
        predicted.append(stack.variance)
        assert np.mean(stack.n_used > 5 - hit.sum(axis=0)) < 1e-3
    assert_scatters_as_predicted(np.array(made), np.array(predicted))


def test_blocks_of_rows_do_not_show(rng):
    frames, _ = field(rng, 5, 3.5, hits=300, side=256, stars=30)
    whole = find_cosmic_rays(frames)
    parts = find_cosmic_rays([frame[64:192] for frame in frames])
    inner = np.s_[10:118]
    # The scales are those of other stars, and a hit at the very threshold may be on the other side of it.
    other = sum(np.count_nonzero(a.mask[64:192][inner] != b.mask[inner]) for a, b in zip(whole, parts, strict=True))
    assert other <= 6
    again = find_cosmic_rays(frames)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(whole, again, strict=True))


def test_masked_pixels_and_dead_ones_are_left_alone(rng):
    frames, _ = field(rng, 3, 3.0, stars=0, side=96)
    data = frames[0].data.copy()
    data[20, 20], data[30, 30] = 1e5, np.nan
    mask = np.zeros(data.shape, bool)
    mask[20, 20] = True
    frames[0] = CCDFrame(data, unit="electron", uncertainty=StdDevUncertainty(np.full(data.shape, 15.0)), mask=mask)
    found = find_cosmic_rays(frames)
    assert found[0].mask[20, 20]
    assert not found[0].flags[20, 20]
    assert not found[0].flags[30, 30]
    # Where no other frame has a value, nothing can be said.
    everywhere = [frame[:40, :40] for frame in frames]
    for frame in everywhere[1:]:
        frame.mask = np.ones(frame.shape, bool)
    assert not find_cosmic_rays(everywhere)[0].flags.any()


def test_what_cannot_be_compared_is_refused(rng):
    frames, _ = field(rng, 2, 3.0, stars=0, side=64)
    with pytest.raises(FrameError, match="there is 1 frame"):
        find_cosmic_rays(frames[:1])
    with pytest.raises(ShapeMismatchError, match="only frames of one shape"):
        find_cosmic_rays([frames[0], frames[1][:20]])
    with pytest.raises(FrameError, match=r"m31\.fits has no noise yet"):
        find_cosmic_rays([frames[0], CCDFrame(frames[1].data, unit="electron", name="m31.fits")])
    with pytest.raises(ValueError, match="sigma"):
        find_cosmic_rays(frames, sigma=-1)
    with pytest.raises(TypeError, match="a list of frames"):
        find_cosmic_rays(7)
