"""Which noise is the same: through cuts, copies, files of pixels, and writing into a frame."""

from __future__ import annotations

import copy
import gc
import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty
from hypothesis import given
from hypothesis import strategies as st

from astro_calib import (
    CCDFrame,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
    covariance,
    create_deviation,
)
from astro_calib.errors import FrameError, NoiseWarning
from astro_calib.noise.identity import content_identity, drawn_identity, uncertainty_identity
from astro_calib.noise.origin import Origin

SHAPE = (6, 8)
SIGMA = 5.0
RNG = np.random.default_rng(41)


def frame(seed=None, shape=SHAPE, value=100.0, **kwargs):
    rng = RNG if seed is None else np.random.default_rng(seed)
    data = rng.normal(value, SIGMA, shape)
    return CCDFrame(data, unit="electron", uncertainty=StdDevUncertainty(np.full(shape, SIGMA)), **kwargs)


def frame_of_source(axes, shape=SHAPE):
    """A frame whose only noise is common along all axes but `axes`; each draw has a variance of its own."""
    cells = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
    variance = np.random.default_rng(7).uniform(1, 9, cells)
    budget = UncertaintyBudget(shape, [(NoiseSource("level", variance, axes=axes), 1.0)])
    return CCDFrame(np.random.default_rng(8).normal(0, 1, shape), unit="electron", budget=budget)


# -- a source is a field over detector pixels ---------------------------------------------------------------------


def test_difference_of_neighbours_cancels_nothing():
    a = frame()
    for neighbours in (a[:, 1:] - a[:, :-1], a[1:] - a[:-1], a[1:, 1:] - a[:-1, :-1]):
        np.testing.assert_allclose(np.sqrt(neighbours.variance), np.sqrt(2) * SIGMA, rtol=1e-14)


@pytest.mark.parametrize(
    "item",
    [
        np.s_[2:5, 1:7],
        np.s_[2:5],
        np.s_[:, ::2],
        np.s_[1::2, ::3],
        np.s_[::-1],
        np.s_[:, ::-1],
        np.s_[::-2, 6:1:-2],
        np.s_[..., 3:],
        np.s_[2:4, ...],
        np.s_[...],
        np.s_[-3:, -5:-1],
    ],
    ids=str,
)
def test_same_cut_of_two_frames_still_shares_the_master(item):
    master, one, other = frame(), frame(), frame()
    first, second = (one - master)[item], other[item] - master[item]
    np.testing.assert_array_equal((first - first).variance, 0)
    np.testing.assert_allclose(covariance(first, second), SIGMA**2, rtol=1e-14)
    np.testing.assert_allclose((first - second).variance, 2 * SIGMA**2, rtol=1e-14)
    np.testing.assert_allclose((first + master[item]).variance, SIGMA**2, rtol=1e-14)
    np.testing.assert_array_equal(first.data, (one.data - master.data)[item])


def test_mirrored_frame_shares_only_its_axis():
    a = frame(shape=(2, 5))
    # Only the middle column lies over itself: a - a = 0 there, two independent pixels elsewhere.
    np.testing.assert_allclose((a - a[:, ::-1]).variance, 2 * SIGMA**2 * np.array([[1, 1, 0, 1, 1]] * 2))
    np.testing.assert_allclose((a + a[:, ::-1]).variance, 2 * SIGMA**2 * np.array([[1, 1, 2, 1, 1]] * 2))
    np.testing.assert_array_equal((a[:, ::-1][:, ::-1] - a).variance, 0)


def test_strided_cuts_meet_where_they_hold_the_same_pixel():
    a = frame(shape=(1, 8))
    # Columns 0 2 4 6 and 2 3 4 5 of the frame: only pixel 2 of both is the same column, 4.
    np.testing.assert_allclose((a[:, ::2] - a[:, 2:6]).variance, 2 * SIGMA**2 * np.array([[1, 1, 0, 1]]))


any_slice = st.builds(slice, *[st.none() | st.integers(-9, 9)] * 2, st.sampled_from([None, 1, 2, -1, -2]))


@given(cuts=st.lists(st.tuples(any_slice, any_slice), min_size=1, max_size=3))
def test_cut_of_a_cut_is_the_same_noise_as_the_same_pixels_cut_at_once(cuts):
    a = frame(seed=3)
    part, positions = a, np.arange(a.data.size).reshape(SHAPE)
    for item in cuts:
        part, positions = part[item], positions[item]
    # The truth from the positions: pixels of `part` covary with those of the corner of `a` that are the same ones.
    ny, nx = part.shape
    corner = np.arange(a.data.size).reshape(SHAPE)[:ny, :nx]
    np.testing.assert_array_equal(covariance(part, a[:ny, :nx]), SIGMA**2 * (positions == corner))


@pytest.mark.parametrize("axes", [(0,), (1,), ()], ids=["row", "column", "frame"])
def test_noise_of_rows_columns_and_frames_under_cuts(axes):
    a = frame_of_source(axes)
    variance = a.variance
    same_rows = a[2:4, 1:4], a[2:4, 5:8]
    same_columns = a[0:2, 1:4], a[4:6, 1:4]
    for (first, second), shared in ((same_rows, 1 not in axes), (same_columns, 0 not in axes)):
        difference = first - second
        np.testing.assert_allclose(difference.variance, 0 if shared else first.variance + second.variance, rtol=1e-14)
        np.testing.assert_allclose(covariance(first, second), first.variance if shared else 0, rtol=1e-14)
    np.testing.assert_allclose(a[::-1, ::2].variance, variance[::-1, ::2], rtol=0)
    mirrored = a - a[::-1]
    expected = variance + variance[::-1] if 0 in axes else 0
    np.testing.assert_allclose(mirrored.variance, expected, rtol=1e-14)


@pytest.mark.parametrize("item", [3, np.s_[:, 2], np.s_[[0, 2]], np.s_[:, [1, 1]], "mask", "array"])
def test_picking_pixels_in_another_way_says_that_sources_are_lost(item):
    a = frame(name="d1048.fits")
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0, :3] = True
    key = {"mask": mask, "array": np.array([1, 4])}.get(item, item) if isinstance(item, str) else item
    with pytest.warns(NoiseWarning, match=r"(?s)d1048\.fits.*treated as its own"):
        picked = a[key]
    np.testing.assert_array_equal(picked.data, a.data[key])
    np.testing.assert_array_equal(picked.variance, SIGMA**2)
    # Its own noise it is, from now on.
    assert not (picked - picked).variance.any()


def test_picking_pixels_of_an_exact_frame_loses_nothing():
    exact = CCDFrame(np.arange(12.0).reshape(3, 4), unit="adu")
    np.testing.assert_array_equal(exact[1].data, [4, 5, 6, 7])
    assert exact[[0, 2]].variance is None


# -- whole-pixel dithers in an aperture ---------------------------------------------------------------------------


def test_dithered_frames_under_one_master_in_an_aperture():
    # Two noiseless exposures less one master, aligned after a shift of one column, averaged; an aperture of 3 pixels
    # of one row then holds the master's columns with weights 1/2 (1, 2, 2, 1): variance 2.5 sigma^2 against 9 / 3 = 3
    # for no shift and 3 / 2 for masters of their own.
    shape = (1, 6)
    master = frame(shape=shape)
    one, other = (CCDFrame(np.full(shape, 10.0), unit="electron") - master for _ in range(2))
    aperture = np.array([[0, 1, 1, 1, 0.0]])
    shifted = (one[:, 1:] + other[:, :-1]) / 2
    assert shifted.budget.variance_of_sum(aperture) == pytest.approx(2.5 * SIGMA**2)
    np.testing.assert_allclose(shifted.variance, SIGMA**2 / 2)
    aligned = (one[:, 1:] + other[:, 1:]) / 2
    assert aligned.budget.variance_of_sum(aperture) == pytest.approx(3 * SIGMA**2)
    independent = (one[:, 1:] + frame(shape=shape)[:, :-1]) / 2
    assert independent.budget.variance_of_sum(aperture) == pytest.approx(1.5 * SIGMA**2)
    # Subtracting neighbours telescopes: only the two ends of the master remain.
    neighbours = one[:, 1:] - other[:, :-1]
    assert neighbours.budget.variance_of_sum(np.ones((1, 5))) == pytest.approx(2 * SIGMA**2)


def test_dithers_in_both_directions_with_an_annulus():
    master = frame()
    blank = CCDFrame(np.zeros(SHAPE), unit="electron")
    shifts = [(0, 0), (1, 2), (2, 1)]
    total = sum(((blank - master)[y : y + 4, x : x + 6] for y, x in shifts[1:]), start=(blank - master)[:4, :6])
    weights = np.full((4, 6), -4 / 20)
    weights[1:3, 2:4] = 1
    on_detector = np.zeros(SHAPE)
    for y, x in shifts:
        on_detector[y : y + 4, x : x + 6] += weights
    assert total.budget.variance_of_sum(weights) == pytest.approx(SIGMA**2 * np.sum(on_detector**2))


# -- copies -------------------------------------------------------------------------------------------------------


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301  our own bytes


@pytest.mark.parametrize(
    "again",
    [CCDFrame.copy, copy.copy, copy.deepcopy, through_pickle, CCDFrame, lambda a: CCDFrame(a, copy=True)],
    ids=["copy()", "copy", "deepcopy", "pickle", "constructor", "constructor with copy"],
)
def test_copy_is_the_same_noise(again):
    flat = CCDFrame(np.random.default_rng(4).uniform(0.9, 1.1, SHAPE), unit="", uncertainty=np.full(SHAPE, 0.01))
    master = frame()
    a = (frame() - master) / flat
    same = again(a)
    assert type(same) is CCDFrame
    np.testing.assert_array_equal(same.data, a.data)
    np.testing.assert_allclose(same.variance, a.variance, rtol=1e-14)
    np.testing.assert_allclose((same - a).variance, 0, atol=1e-12)
    for source in (master, flat):
        np.testing.assert_allclose(covariance(same, source), covariance(a, source), rtol=1e-12)
    # The same after another step, which needs the coefficients, not only their sum.
    np.testing.assert_allclose((same * flat + master).variance, SIGMA**2, rtol=1e-12)


def test_two_frames_pickled_apart_still_share_their_master():
    master, one, other = frame(), frame(), frame()
    first, second = through_pickle(one - master), through_pickle(other - master)
    np.testing.assert_allclose((first - second).variance, 2 * SIGMA**2, rtol=1e-14)


def test_copy_has_pixels_of_its_own():
    a = frame(mask=np.zeros(SHAPE, bool), flags=np.zeros(SHAPE, np.uint16))
    for same in (a.copy(), copy.deepcopy(a)):
        same.data[0, 0] = -1
        same.mask[0, 0] = True
        same.flags[0, 0] = 4
    assert a.data[0, 0] != -1
    assert not a.mask.any()
    assert not a.flags.any()
    assert not (a - a).variance.any()


# -- what cuts the link -------------------------------------------------------------------------------------------


def write_a_pixel(a):
    a.data[0, 0] += 1


def scale_in_place(a):
    a.data *= 2


def write_through_a_view(a):
    a.data[2:, 3:][...] = 0


def write_through_a_cut(a):
    a[1:3, 1:3].data[0, 0] = 0


def write_through_the_array(a):
    np.asarray(a.data).ravel()[-1] = 0


@pytest.mark.parametrize(
    "change", [write_a_pixel, scale_in_place, write_through_a_view, write_through_a_cut, write_through_the_array]
)
@pytest.mark.parametrize("look_first", [True, False])
def test_writing_into_the_data_cuts_the_link(change, look_first):
    a = frame()
    before = a.copy()
    if look_first:
        assert a.variance is not None
    change(a)
    np.testing.assert_array_equal(a.variance, SIGMA**2)
    np.testing.assert_array_equal(covariance(a, before), 0)
    np.testing.assert_allclose((a - before).variance, 2 * SIGMA**2)
    assert a.budget.names == ("uncertainty",)
    assert not (a - a).variance.any()


def test_writing_into_a_cut_cuts_the_link_of_both():
    # They share their pixels, as slices of a CCDData do.
    a = frame()
    before, part = a.copy(), a[1:3, 1:3]
    part.data[0, 0] = 0
    np.testing.assert_array_equal(covariance(part, before[1:3, 1:3]), 0)
    np.testing.assert_array_equal(covariance(a, before), 0)


@pytest.mark.parametrize(
    "assign",
    [lambda a: a.data.copy(), lambda a: a.data + 1, lambda a: a.data],
    ids=["a copy", "other values", "its own"],
)
def test_assigning_data_starts_a_new_source_of_the_same_variance(assign):
    a = frame()
    before = a.copy()
    a.data = assign(a)
    np.testing.assert_array_equal(a.variance, SIGMA**2)
    np.testing.assert_array_equal(covariance(a, before), 0)


@pytest.mark.parametrize(
    "uncertainty",
    [np.full(SHAPE, 2.0), StdDevUncertainty(np.full(SHAPE, 2.0)), VarianceUncertainty(np.full(SHAPE, 4.0))],
)
def test_assigning_an_uncertainty_starts_a_new_source(uncertainty):
    a, other = frame(), frame()
    before = a.copy()
    a.uncertainty = uncertainty
    other.uncertainty = uncertainty
    np.testing.assert_array_equal(a.variance, 4)
    np.testing.assert_array_equal(covariance(a, before), 0)
    np.testing.assert_array_equal(covariance(a, other), 0)
    assert not (a - a).variance.any()


def test_uncertainty_of_another_frame_is_taken_as_numbers():
    a, other = frame(), frame()
    other.uncertainty = a.uncertainty
    np.testing.assert_allclose((a - other).variance, 2 * SIGMA**2)
    made = CCDFrame(a.data, unit=a.unit, uncertainty=a.uncertainty)
    np.testing.assert_allclose((a - made).variance, 2 * SIGMA**2)


def test_taking_the_uncertainty_away_makes_a_frame_exact():
    a = frame()
    a.uncertainty = None
    assert a.variance is None
    assert not a.budget
    assert a.budget.terms == ()


def test_variance_cannot_be_written_into():
    a = frame()
    for array in (a.variance, a.uncertainty.array):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match=r"read-only|assign to frame\.uncertainty"):
            array[0, 0] = 0


def test_variance_and_uncertainty_never_disagree():
    # astropy lets the array of an uncertainty be replaced: the frame follows, and says so when it is next looked at.
    a = frame()
    a.uncertainty.array = np.ones(SHAPE)
    with pytest.warns(NoiseWarning, match="given another array"):
        np.testing.assert_array_equal(a.uncertainty.array, a.variance)
    np.testing.assert_array_equal(a.variance, 1)


# -- noise found from pixels --------------------------------------------------------------------------------------


def plain(data, sigma=3.0):
    return CCDData(data, unit="electron", uncertainty=StdDevUncertainty(np.full(data.shape, sigma)))


@pytest.mark.parametrize("data", [np.random.default_rng(1).normal(30, 3, SHAPE), np.full(SHAPE, 30.0)], ids=str)
def test_same_plain_object_is_the_same_noise_each_time(data):
    a, bias = frame(), plain(data)
    np.testing.assert_allclose((a - bias + bias).variance, SIGMA**2, rtol=1e-13)
    np.testing.assert_allclose((a - bias - (frame() - bias)).variance, 2 * SIGMA**2, rtol=1e-13)
    np.testing.assert_array_equal((CCDFrame(bias) - CCDFrame(bias)).variance, 0)
    np.testing.assert_array_equal((CCDFrame(bias)[2:] - CCDFrame(bias)[2:]).variance, 0)


def test_plain_frames_with_equal_pixels_are_the_same_exposure():
    data = np.random.default_rng(2).normal(30, 3, SHAPE)
    np.testing.assert_array_equal((CCDFrame(plain(data)) - plain(data.copy())).variance, 0)
    np.testing.assert_allclose((CCDFrame(plain(data)) - plain(data + 1)).variance, 18, rtol=1e-14)


def test_sum_of_two_error_bars_for_equal_pixels_does_not_depend_on_their_order():
    model = np.arange(48.0).reshape(SHAPE)
    five, three = plain(model, 5.0), plain(model, 3.0)
    np.testing.assert_allclose((CCDFrame(five) + three).variance, (CCDFrame(three) + five).variance, rtol=1e-14)


def test_constant_pixels_hold_no_noise_to_be_recognised_by():
    data = np.full(SHAPE, 30.0)
    np.testing.assert_allclose((CCDFrame(plain(data)) - plain(data)).variance, 18, rtol=1e-14)


def test_content_identity():
    pixels = np.random.default_rng(3).integers(0, 65535, SHAPE).astype(np.uint16)
    assert content_identity(pixels) == content_identity(pixels.astype(np.float32))
    changed = pixels.copy()
    changed[2, 2] ^= 1
    assert content_identity(changed) != content_identity(pixels)
    late = np.zeros((100, 100))
    late[99, 99] = 1
    assert content_identity(late) == content_identity(late.copy())
    for constant in (np.zeros(SHAPE), np.ones(1), np.full((100, 100), 7, np.uint16)):
        assert content_identity(constant) != content_identity(constant)
    assert drawn_identity() != drawn_identity()


def test_identity_of_a_plain_uncertainty_is_forgotten_with_it():
    pixels = np.zeros(SHAPE)
    uncertainty = StdDevUncertainty(np.ones(SHAPE))
    first = uncertainty_identity(pixels, uncertainty)
    assert uncertainty_identity(pixels, uncertainty) == first
    del uncertainty
    gc.collect()
    assert uncertainty_identity(pixels, StdDevUncertainty(np.ones(SHAPE))) != first


# -- raw frames, before they have a noise -------------------------------------------------------------------------

CAMERA = Detector(gain=2 * u.electron / u.adu, read_noise=6 * u.electron)


def raw(seed, dtype=np.uint16):
    pixels = np.random.default_rng(seed).normal(1000, 3, SHAPE).round().astype(dtype)
    return CCDFrame(pixels, unit="adu")


def with_noise(ccd):
    return create_deviation(ccd, CAMERA, pedestal=1000.0, shot_noise=0)


def test_same_raw_pixels_are_the_same_noise_and_others_are_not():
    # In adu: read noise 6/2, digitisation 1/12.
    expected = 9 + 1 / 12
    np.testing.assert_allclose(with_noise(raw(1)).variance, expected, rtol=1e-6)
    np.testing.assert_array_equal((with_noise(raw(1)) - with_noise(raw(1))).variance, 0)
    np.testing.assert_allclose((with_noise(raw(1)) - with_noise(raw(2))).variance, 2 * expected, rtol=1e-6)


def test_raw_pixels_are_recognised_after_trimming_and_arithmetic():
    whole = with_noise(raw(1))
    for part, same in (
        (with_noise(raw(1)[1:5, 2:]), whole[1:5, 2:]),
        (with_noise(raw(1)[1:, 1:][:4, 1:]), whole[1:5, 2:]),
        (with_noise(raw(1)[::-1, ::2]), whole[::-1, ::2]),
    ):
        np.testing.assert_array_equal((part - same).variance, 0)
    np.testing.assert_allclose((with_noise(raw(1)[:, 1:]) - whole[:, :-1]).variance, 2 * (9 + 1 / 12), rtol=1e-6)
    level = CCDFrame(np.full(SHAPE, 2.0, np.float32), unit="adu")
    less = create_deviation(raw(1) - level, CAMERA, pedestal=998.0, shot_noise=0)
    np.testing.assert_array_equal((less - whole).variance, 0)


def test_origin_follows_cuts_and_scale():
    origin = Origin.of(raw(1).data)
    assert origin.quantum == 1
    assert Origin.of(raw(1, np.float32).data).quantum == 0
    assert origin.scaled(-1.5).quantum == 1.5
    moved = origin.cut(((2, 1), (5, -1)))
    assert moved.window == ((2, 1), (5, -1))
    assert moved.raw.identity() == origin.raw.identity() == Origin.of(raw(1, np.float64).data).raw.identity()


def test_writing_into_a_raw_frame_makes_it_another_exposure():
    changed = raw(1)
    changed.data[0, 0] += 1
    np.testing.assert_allclose((with_noise(changed) - with_noise(raw(1))).variance, 2 * (9 + 1 / 12), rtol=1e-6)
    replaced = raw(1)
    replaced.data = raw(2).data
    np.testing.assert_array_equal((with_noise(replaced) - with_noise(raw(2))).variance, 0)


def test_writing_in_place_forgets_which_raw_pixels_these_were():
    rng = np.random.default_rng(3)
    raw = CCDFrame(rng.integers(900, 1100, (20, 30)).astype(np.uint16), unit="adu")
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)

    def deviation(ccd):
        return create_deviation(ccd, camera, pedestal=1000, shot_noise=0)

    part = raw[1:15, 1:15]
    whole = raw - 1000 * u.adu
    for ccd, original in ((part.copy(), part), (whole, raw - 1000 * u.adu)):
        reference = deviation(original)
        ccd.data[...] = rng.normal(0, 5, ccd.shape)
        np.testing.assert_array_equal(covariance(deviation(ccd), reference), 0)


def test_a_patched_calibrated_frame_keeps_its_variance_in_a_stack():
    rng = np.random.default_rng(4)
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)
    raws = [CCDFrame(rng.integers(1040, 1060, (20, 30)).astype(np.uint16), unit="adu") for _ in range(3)]
    frames = [calibrate(raw, camera, pedestal=1000) for raw in raws]
    expected = combine(frames).variance
    for ccd in frames:
        ccd.data[0, 0] = 50.0
    np.testing.assert_allclose(combine(frames).variance, expected, rtol=1e-5)
    with pytest.raises(FrameError, match="uncertainty already"):
        create_deviation(frames[0], camera)


def test_a_pickled_frame_over_read_only_memory_notices_writing():
    a = frame()
    a.data.flags.writeable = False
    b = pickle.loads(pickle.dumps(CCDFrame(a.data, unit="electron", uncertainty=a.uncertainty)))  # noqa: S301  our own bytes
    reference = b.copy()
    b.data[0, 0] += 1
    np.testing.assert_array_equal(covariance(b, reference), 0)
