"""Noise that is the same stays the same: rejection, files read twice, dithers, long chains, and apertures on stars."""

from __future__ import annotations

import pickle
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from photutils.aperture import CircularAnnulus, CircularAperture

from astro_calib import (
    CCDFrame,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
    covariance,
    measure_snr,
)
from astro_calib.errors import NoiseWarning
from astro_calib.noise.budget import MAX_SOURCES
from tests.noise_checks import make_frame

SHAPE = (60, 70)
CAMERA = Detector(gain=2 * u.electron / u.adu, read_noise=6 * u.electron)


@pytest.fixture
def rng():
    return np.random.default_rng(20240513)


# ---- a threshold leaves out what frames share


def rate_of_rejection(rng, master_sigma, shape=(200, 200)):
    """How often a hit of 4 sigma in one of 25 frames is rejected beyond 3 sigma, and the rate's standard error."""
    frames = [make_frame(rng, 100.0, 5.0, shape) for _ in range(25)]
    hit = CCDFrame(frames[0].data + 4 * 5.0, unit="electron", budget=frames[0].budget)
    if master_sigma:
        master = make_frame(rng, 0.0, master_sigma, shape)
        calibrated = [hit - master, *(frame - master for frame in frames[1:])]
    else:
        calibrated = [hit, *frames[1:]]
    # Where the frame is left out, the stack has none of its own noise.
    in_stack = covariance(combine(calibrated, clip="sigma", sigma=3.0), hit) > 0
    rate = 1 - np.mean(in_stack)
    return rate, np.sqrt(rate * (1 - rate) / in_stack.size)


def test_a_hit_is_found_as_often_with_a_shared_master_as_without(rng):
    # Noise-model.md, section 4: 82%; 39% with a threshold that counts the master's noise.
    (alone, error_alone), (shared, error_shared) = (rate_of_rejection(rng, sigma) for sigma in (0.0, 5.0))
    assert alone == pytest.approx(0.82, abs=0.01)
    assert shared == pytest.approx(alone, abs=3.5 * np.hypot(error_alone, error_shared))


# ---- one file, read twice


def test_a_file_read_twice_is_the_same_noise(rng, tmp_path):
    pixels = rng.poisson(1000, SHAPE).astype(np.uint16)
    paths = [tmp_path / "d1001.fits", tmp_path / "copy.fits"]
    for path in paths:
        fits.PrimaryHDU(pixels).writeto(path)
    one, again, copied = (
        calibrate(CCDFrame.read(path, unit="adu"), CAMERA, pedestal=0) for path in (paths[0], paths[0], paths[1])
    )
    for other in (again, copied):
        np.testing.assert_allclose((one - other).variance, 0, atol=1e-4)
    with pytest.warns(NoiseWarning, match=r"d1001\.fits.*copy\.fits.*same exposure"):
        stack = combine([one, copied])
    np.testing.assert_allclose(stack.variance, one.variance, rtol=1e-5)
    with pytest.warns(NoiseWarning, match="same exposure"):
        combine(paths, unit="adu", detector=CAMERA, pedestal=0)


# ---- whole-pixel dithers, against the number of frames that hold each cell of the master

SELF_DATA, MASTER, NUMBER = 5.0, 5.0, 25


def under_one_master(rng, length):
    master = make_frame(rng, 0.0, MASTER, (length, length))
    return [make_frame(rng, 100.0, SELF_DATA, (length, length)) - master for _ in range(NUMBER)]


def stack_of_dithered(frames, offsets, side):
    return combine([frame[y : y + side, x : x + side] for frame, (y, x) in zip(frames, offsets, strict=True)])


def variance_by_overlap(weights, offsets):
    """Of a weighted sum over the mean of dithered frames: the weights that each cell of the master gets, squared."""
    rows, columns = np.add(weights.shape, np.max(offsets, axis=0))
    on_detector = np.zeros((rows, columns))
    for y, x in offsets:
        on_detector[y : y + weights.shape[0], x : x + weights.shape[1]] += weights / len(offsets)
    return SELF_DATA**2 * np.sum(weights**2) / len(offsets) + MASTER**2 * np.sum(on_detector**2)


@pytest.mark.parametrize("dither", [0, 1, 5, 15])
def test_dithers_leave_the_variance_that_their_overlaps_say(rng, dither):
    side = 31
    offsets = rng.integers(0, 2 * dither + 1, (NUMBER, 2))
    stack = stack_of_dithered(under_one_master(rng, side + 2 * dither), offsets, side)
    counts = np.unique(offsets, axis=0, return_counts=True)[1]
    pixel = SELF_DATA**2 / NUMBER + MASTER**2 * np.sum((counts / NUMBER) ** 2)
    np.testing.assert_allclose(stack.variance, pixel, rtol=1e-10)
    aperture = (np.hypot(*np.mgrid[-15:16, -15:16]) <= 5).astype(float)
    assert stack.budget.variance_of_sum(aperture) == pytest.approx(variance_by_overlap(aperture, offsets))
    sky = aperture - aperture.sum() / (aperture.size - aperture.sum()) * (1 - aperture)
    assert stack.budget.variance_of_sum(sky) == pytest.approx(variance_by_overlap(sky, offsets))


@pytest.mark.parametrize(
    ("dither", "pixel", "aperture"), [(0, 5.10, 5.1), (1, 2.2, 4.6), (5, 1.46, 3.2), (15, 1.46, 1.95)]
)
def test_dithers_have_the_published_sigmas(rng, dither, pixel, aperture):
    # Those of one set of random dithers of up to so many pixels either way; sets differ by some percent.
    weights = (np.hypot(*np.mgrid[-5:6, -5:6]) <= 5).astype(float)
    frames = under_one_master(rng, 11 + 2 * dither)
    variances = []
    for _ in range(1 if dither == 0 else 30):
        stack = stack_of_dithered(frames, rng.integers(0, 2 * dither + 1, (NUMBER, 2)), 11)
        variances.append([np.mean(stack.variance), stack.budget.variance_of_sum(weights) / weights.sum()])
    np.testing.assert_allclose(np.sqrt(np.mean(variances, axis=0)), [pixel, aperture], rtol=0.05)


# ---- long chains


def arrays_held(frame):
    """How many arrays of its own size a frame holds, its sources and all that they refer to included."""
    return len(pickle.dumps(frame)) / frame.data.nbytes


@pytest.mark.parametrize("scaled", [lambda frame: frame * 0.98, lambda frame: 0.98 * frame], ids=["right", "left"])
def test_a_chain_of_scaled_sums_stays_small_and_exact(rng, scaled):
    total, expected = make_frame(rng, 0.0, 1.0, SHAPE), 1.0
    with warnings.catch_warnings():
        # Beyond what is kept apart, the oldest sources are merged, and it says so.
        warnings.simplefilter("ignore", NoiseWarning)
        for step in range(200):
            total = scaled(total)
            other = make_frame(rng, 1.0, 2.0, SHAPE)
            total = total + other if step % 2 else total - other
            expected = 0.98**2 * expected + 4
    np.testing.assert_allclose(total.variance, expected, rtol=1e-9)
    assert len(total.budget.terms) <= MAX_SOURCES
    # One variance a source.
    assert arrays_held(total) < 1.5 * MAX_SOURCES


def test_a_chain_of_divisions_stays_small_and_exact(rng):
    result, expected = make_frame(rng, 1000.0, 1.0, SHAPE), 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseWarning)
        for _ in range(200):
            divisor = make_frame(rng, 1.0, 1e-3, SHAPE, unit="")
            result = result / divisor
            expected = (expected + result.data**2 * 1e-6) / divisor.data**2
    np.testing.assert_allclose(result.variance, expected, rtol=1e-9)
    assert len(result.budget.terms) <= MAX_SOURCES
    # One variance a source, its coefficient, and the divisor that this may refer to.
    assert arrays_held(result) < 3 * MAX_SOURCES


def test_what_was_added_long_ago_is_still_taken_off(rng):
    first = make_frame(rng, 0.0, 3.0, SHAPE)
    total = first
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseWarning)
        for _ in range(200):
            total = total + make_frame(rng, 0.0, 1.0, SHAPE)
        np.testing.assert_allclose((total - first).variance, 200, rtol=1e-9)
    np.testing.assert_allclose(covariance(total, first), 9, rtol=1e-9)


# ---- apertures on stars

RADIUS, ANNULUS, CENTER = 6.0, (15.0, 24.0), (34.3, 29.8)


def aperture_less_annulus(shape, center=CENTER):
    """By photutils."""
    inside = CircularAperture(center, RADIUS).to_mask(method="exact").to_image(shape)
    around = CircularAnnulus(center, *ANNULUS).to_mask(method="center").to_image(shape)
    return inside - inside.sum() / around.sum() * around


def measured_error(frame):
    return measure_snr(frame, positions=[CENTER], radius=RADIUS, annulus=ANNULUS, n_empty=0)["flux_err"][0].value


def test_a_star_table_adds_up_the_noise_of_rows_and_cancels_that_of_the_frame():
    # Uniform values, of which none is rejected in the annulus.
    data = np.random.default_rng(2).uniform(0, 1, SHAPE)
    pixels, rows, columns, level = 25.0, 0.5, 0.3, 100.0
    sources = [
        NoiseSource("read noise", pixels),
        NoiseSource("overscan", rows, axes=(0,)),
        NoiseSource("overscan", columns, axes=(1,)),
        NoiseSource("overscan", level, axes=()),
    ]
    frame = CCDFrame(data, unit="electron", budget=UncertaintyBudget(SHAPE, [(source, 1.0) for source in sources]))
    weights = aperture_less_annulus(SHAPE)
    expected = (
        pixels * np.sum(weights**2)
        + rows * np.sum(weights.sum(axis=1) ** 2)
        + columns * np.sum(weights.sum(axis=0) ** 2)
    )
    assert measured_error(frame) == pytest.approx(np.sqrt(expected), rel=1e-6)
    # In quadrature over pixels the level would count, and the rows hardly.
    assert np.sqrt(np.sum(weights**2 * frame.variance)) > 1.3 * measured_error(frame)


def test_a_star_table_of_dithered_frames_knows_the_master_under_them(rng):
    side, dither = 60, 4
    offsets = rng.integers(0, 2 * dither + 1, (NUMBER, 2))
    stack = stack_of_dithered(under_one_master(rng, side + 2 * dither), offsets, side)
    # The same noise on values of which none is rejected in the annulus.
    stack = CCDFrame(rng.uniform(0, 1, stack.shape), unit="electron", budget=stack.budget)
    weights = aperture_less_annulus(stack.shape)
    assert measured_error(stack) == pytest.approx(np.sqrt(variance_by_overlap(weights, offsets)), rel=1e-6)
    assert measured_error(stack) > 2 * np.sqrt(np.sum(weights**2 * stack.variance))


# ---- writing into memory that frames share


def made_here(rng):
    """A frame whose array nobody else has."""
    values = rng.normal(100, 5, (6, 8))
    return CCDFrame(values, unit="electron", uncertainty=StdDevUncertainty(np.full((6, 8), 5.0))).copy()


def test_writing_into_a_cut_is_noticed_by_the_frame_and_the_other_way_round(rng):
    whole = made_here(rng)
    other = whole.copy()
    part = whole[2:5, 1:]
    assert np.all(covariance(part, other[2:5, 1:]) == 25)
    part.data[0, 0] = 0
    assert np.all(covariance(whole, other) == 0)
    assert np.all(covariance(part, other[2:5, 1:]) == 0)
    whole = other.copy()
    part = whole[2:5, 1:]
    whole.data[2:5] += 1
    assert np.all(covariance(part, other[2:5, 1:]) == 0)


def test_cuts_that_nobody_writes_into_keep_their_sources(rng):
    whole = made_here(rng)
    part = whole[2:5, 1:][1:, ::2]
    whole.data[0, 0] = 0
    assert np.all(covariance(part, part.copy()) == 25)


def test_masks_do_not_count_as_getting_hold_of_the_data(rng):
    frame = made_here(rng)
    frame.mask = frame.shape[0] * [[True] * frame.shape[1]]
    assert frame[1:, 1:].parts()["guard"].checksum is None
