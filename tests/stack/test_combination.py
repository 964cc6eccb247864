"""Stacks, against Monte Carlo, analytic factors and the numbers of noise-model.md, section 4."""

from __future__ import annotations

import importlib
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty

from astro_calib import (
    CCDFrame,
    DataQuality,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
    covariance,
    create_deviation,
)
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError
from astro_calib.kernels.threads import over_rows
from astro_calib.stack.noise import sampled
from astro_calib.stack.values import BLOCK
from tests.noise_checks import assert_scatters_as_predicted, make_frame

E_PER_ADU = u.electron / u.adu
LARGE = (300, 300)
SMALL = (4, 5)

#: Noise-model.md, section 4: N Var / sigma^2 of the median of N.
MEDIAN = {2: 1, 3: 1.3460, 4: 1.1928, 5: 1.4342, 6: 1.2885, 7: 1.4731, 8: 1.3455, 9: 1.4949, 10: 1.3833, 25: 1.5437}
#: The same: Var / E[sigma^2 / survivors] of the mean after rejection beyond k sigma about the median of N.
CLIPPED = {
    (5, 2): 1.275, (10, 2): 1.248, (20, 2): 1.243,
    (5, 2.5): 1.130, (10, 2.5): 1.106, (20, 2.5): 1.103,
    (5, 3): 1.050, (10, 3): 1.038, (20, 3): 1.030,
    (5, 4): 1.004, (10, 4): 1.002, (20, 4): 1.00,
}  # fmt: skip


@pytest.fixture
def rng():
    return np.random.default_rng(20240513)


def frames_of(rng, sigmas, shape=LARGE, value=100.0, **kwargs):
    return [make_frame(rng, value, sigma, shape, **kwargs) for sigma in sigmas]


# ---- estimators without rejection


def test_a_mean(rng):
    frames = frames_of(rng, [1.0, 2.0, 3.0, 4.0], SMALL)
    stack = combine(frames)
    np.testing.assert_allclose(stack.data, np.mean([f.data for f in frames], axis=0))
    np.testing.assert_allclose(stack.variance, (1 + 4 + 9 + 16) / 16)
    assert stack.unit == u.electron
    np.testing.assert_array_equal(stack.n_used, 4)


def test_a_sum(rng):
    frames = frames_of(rng, [1.0, 2.0, 3.0, 4.0], SMALL)
    stack = combine(frames, method="sum")
    np.testing.assert_allclose(stack.data, np.sum([f.data for f in frames], axis=0))
    np.testing.assert_allclose(stack.variance, 1 + 4 + 9 + 16)
    np.testing.assert_array_equal(stack.n_used, 4)
    assert stack.meta["NCOMBINE"] == 4


def test_a_weighted_mean(rng):
    frames = frames_of(rng, [1.0, 2.0, 3.0], SMALL)
    stack = combine(frames, weights=[4, 2, 2])
    np.testing.assert_allclose(stack.data, np.average([f.data for f in frames], axis=0, weights=[4, 2, 2]))
    np.testing.assert_allclose(stack.variance, 0.25 * 1 + 4 / 16 + 9 / 16)


@pytest.mark.parametrize("number", MEDIAN)
def test_a_median_has_the_published_factor(rng, number):
    frames = frames_of(rng, [5.0] * number, SMALL)
    stack = combine(frames, method="median")
    np.testing.assert_allclose(stack.data, np.median([f.data for f in frames], axis=0))
    np.testing.assert_allclose(stack.variance, MEDIAN[number] * 25 / number, rtol=1e-4)


@pytest.mark.parametrize("number", [3, 4, 9])
def test_a_median_scatters_as_predicted(rng, number):
    stack = combine(frames_of(rng, [5.0] * number), method="median")
    assert_scatters_as_predicted(stack.data - 100, stack.variance)


@pytest.mark.parametrize(
    ("sigmas", "published", "tolerance"),
    [
        ((1, 1, 3), 0.761, 0.02),
        ((1, 2, 3, 4, 5), None, 0.02),
        ((1, 1, 1, 1.3, 1.3), None, 0.02),
        ((1, 4), 17 / 4, 0.01),
    ],
)
def test_a_median_of_unequal_frames_scatters_as_predicted(rng, sigmas, published, tolerance):
    stack = combine(frames_of(rng, sigmas), method="median")
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance)
    if published is not None:
        np.testing.assert_allclose(stack.variance, published, rtol=0.01)


def test_the_median_of_unequal_frames_with_masked_values(rng):
    frames = frames_of(rng, (1, 1, 1.4, 1.4, 1.4))
    masked = [CCDFrame(f, mask=rng.random(LARGE) < 0.3) for f in frames]
    stack = combine(masked, method="median")
    good = ~stack.mask
    assert_scatters_as_predicted(stack.data[good] - 100, stack.variance[good], tolerance=0.02)


def test_sigmas_that_differ_over_the_frame(rng):
    # Two of five frames are four times as noisy in one half: the sigma of a frame is not one number.
    sigmas = np.ones((5, 1, 300))
    sigmas[:2, :, :150] = 4
    stack = combine(frames_of(rng, sigmas), method="median")
    for half in (np.s_[:, :150], np.s_[:, 150:]):
        assert_scatters_as_predicted(stack.data[half] - 100, stack.variance[half], tolerance=0.03)


# ---- rejection


@pytest.mark.parametrize(("number", "k"), CLIPPED)
def test_a_clipped_mean_has_the_published_factor(rng, number, k):
    stack = combine(frames_of(rng, [5.0] * number, (60, 60)), clip="sigma", sigma=k)
    factor = np.mean(stack.variance) / np.mean(25 / stack.n_used)
    assert factor == pytest.approx(CLIPPED[number, k], abs=0.005)


@pytest.mark.parametrize("clip", ["sigma", "scatter"])
@pytest.mark.parametrize(("number", "k"), [(5, 3), (10, 2), (10, 3), (20, 2.5)])
def test_a_clipped_mean_scatters_as_predicted(rng, clip, number, k):
    tolerance = 0.01 if clip == "sigma" else 0.05
    stack = combine(frames_of(rng, [5.0] * number), clip=clip, sigma=k)
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance)


@pytest.mark.parametrize("number", [5, 10])
@pytest.mark.parametrize("extremes", [(1, 1), (2, 2), (0, 1)])
def test_a_mean_without_the_extremes_scatters_as_predicted(rng, number, extremes):
    stack = combine(frames_of(rng, [5.0] * number), clip="minmax", extremes=extremes)
    np.testing.assert_array_equal(stack.n_used, number - sum(extremes))
    if extremes[0] == extremes[1]:
        assert_scatters_as_predicted(stack.data - 100, stack.variance)
    else:
        # Leaving out more on one side shifts the mean; the error is the scatter about that.
        assert_scatters_as_predicted(stack.data - stack.data.mean(), stack.variance)


@pytest.mark.parametrize("number", [5, 10])
@pytest.mark.parametrize(
    ("options", "tolerance"), [({"clip": "minmax"}, 0.01), ({"clip": "sigma", "sigma": 2.5}, 0.01)]
)
def test_a_median_after_rejection_scatters_as_predicted(rng, options, tolerance, number):
    # Of N values without the lowest and the highest the median is that of N, and so is its factor.
    stack = combine(frames_of(rng, [5.0] * number), method="median", **options)
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance)


@pytest.mark.parametrize(
    ("extremes", "variance"),
    # Of 5 values the second, and the mean of the second and third, with the variances 0.31152 and 0.28683 and the
    # covariance 0.20843 (Sarhan & Greenberg 1956, Ann. Math. Stat. 27, 427, table 1).
    [((0, 2), 0.31152), ((2, 0), 0.31152), ((0, 1), (0.31152 + 0.28683 + 2 * 0.20843) / 4), ((1, 1), 0.28683)],
)
def test_a_median_without_unequal_extremes_scatters_as_order_statistics_do(rng, extremes, variance):
    stack = combine(frames_of(rng, [5.0] * 5), method="median", clip="minmax", extremes=extremes)
    np.testing.assert_allclose(stack.variance, 25 * variance, rtol=0.015)
    assert_scatters_as_predicted(stack.data - stack.data.mean(), stack.variance, tolerance=0.02)


def test_a_median_without_unequal_extremes_of_unlike_frames_scatters_as_predicted(rng):
    stack = combine(frames_of(rng, (1, 1, 1, 1.3, 1.3)), method="median", clip="minmax", extremes=(0, 2))
    assert_scatters_as_predicted(stack.data - stack.data.mean(), stack.variance, tolerance=0.05)


@pytest.mark.parametrize("sigmas", [(1, 1, 1, 1, 3), (1, 2, 3, 4, 5)])
def test_a_clipped_mean_of_unequal_frames_scatters_as_predicted(rng, sigmas):
    stack = combine(frames_of(rng, sigmas), clip="sigma", sigma=3)
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.05)


def test_thresholds_below_and_above_may_differ(rng):
    frames = frames_of(rng, [5.0] * 10)
    assert combine(frames, clip="sigma", sigma=(100.0, 2.0)).data.mean() < 99.9
    assert combine(frames, clip="sigma", sigma=(2.0, 100.0)).data.mean() > 100.1


@pytest.mark.parametrize("sigma", [(2.0, 4.0), (np.inf, 2.5)])
def test_unequal_thresholds_scatter_as_predicted(rng, sigma):
    stack = combine(frames_of(rng, [5.0] * 10), clip="sigma", sigma=sigma)
    assert_scatters_as_predicted(stack.data - stack.data.mean(), stack.variance, tolerance=0.03)


@pytest.mark.parametrize("clip", ["sigma", "scatter", "minmax"])
def test_a_hit_is_left_out_counted_and_remarked(rng, clip):
    frames = frames_of(rng, [5.0] * 10, SMALL)
    data = frames[3].data.copy()
    data[1, 2] += 1000
    frames[3] = CCDFrame(data, unit="electron", uncertainty=np.full(SMALL, 5.0))
    stack = combine(frames, clip=clip)
    assert abs(stack.data[1, 2] - 100) < 10
    assert stack.n_used[1, 2] <= 9
    assert stack.flags[1, 2] & DataQuality.REJECTED
    assert not (stack.mask is not None and stack.mask[1, 2])
    assert 0.5 * 2.5 < stack.variance[1, 2] < 2 * 2.5 * 10 / 9


@pytest.mark.parametrize("clip", ["sigma", "scatter", "minmax"])
def test_a_hit_that_was_rejected_does_not_count_in_the_scatter_of_exact_frames(rng, clip):
    data = rng.normal(100, 5, (10, 30, 40))
    data[3, 1, 2] += 10000
    stack = combine([CCDFrame(plane, unit="adu") for plane in data], clip=clip)
    assert abs(stack.data[1, 2] - 100) < 10
    assert stack.variance[1, 2] < 5 * np.median(stack.variance)


def test_of_two_values_the_lower_is_believed(rng):
    frames = frames_of(rng, [5.0] * 2, SMALL)
    data = frames[0].data.copy()
    data[1, 2] += 1000
    stack = combine([CCDFrame(data, unit="electron", uncertainty=np.full(SMALL, 5.0)), frames[1]], clip="sigma")
    assert stack.data[1, 2] == frames[1].data[1, 2]
    assert stack.n_used[1, 2] == 1
    assert stack.variance[1, 2] >= 25.0


@pytest.mark.parametrize(("mean", "read_noise", "number", "k"), [(20, 5, 10, 3.0), (100, 5, 10, 3.0), (10, 3, 20, 2.5)])
def test_clipping_does_not_bias_the_mean_of_photons(rng, mean, read_noise, number, k):
    # A threshold from each value's own count lets high values stay and low ones go: 0.09 to 0.25 electrons too much.
    # A threshold from the true variance, the same for all, leaves the small bias of clipping a skewed distribution.
    camera = Detector(gain=1 * E_PER_ADU, read_noise=read_noise * u.electron)
    values = rng.poisson(mean, (number, *LARGE)) + rng.normal(0, read_noise, (number, *LARGE))
    stack = combine(
        [create_deviation(CCDFrame(plane, unit="electron"), camera) for plane in values], clip="sigma", sigma=k
    )
    center = np.median(values, axis=0)
    kept = np.abs(values - center) <= k * np.sqrt(mean + read_noise**2)
    unavoidable = np.mean(values, axis=0, where=kept) - mean
    assert abs(np.mean(stack.data - mean) - unavoidable.mean()) < 0.03
    own = np.abs(values - center) <= k * np.sqrt(np.maximum(values + read_noise**2, read_noise**2 / 4))
    assert np.mean(np.mean(values, axis=0, where=own)) - mean > 0.07
    assert_scatters_as_predicted(stack.data - stack.data.mean(), stack.variance, tolerance=0.015)


# ---- what frames share


def calibrated_with_one_master(rng, number, own=5.0, master=5.0, shape=LARGE):
    bias = make_frame(rng, 0.0, master, shape)
    return [make_frame(rng, 100.0, own, shape) - bias for _ in range(number)]


@pytest.mark.parametrize(
    ("options", "factor"),
    [({}, 1.0), ({"method": "median"}, MEDIAN[25]), ({"clip": "sigma"}, None), ({"weights": [1] * 5 + [2] * 20}, None)],
)
def test_a_shared_master_does_not_average_down(rng, options, factor):
    stack = combine(calibrated_with_one_master(rng, 25), **options)
    assert_scatters_as_predicted(stack.data - 100, stack.variance)
    if factor is not None:
        np.testing.assert_allclose(stack.variance, 25 + factor * 25 / 25, rtol=1e-3)


def test_a_sum_of_frames_with_a_shared_master(rng):
    stack = combine(calibrated_with_one_master(rng, 9, 5.0, 2.0), method="sum")
    np.testing.assert_allclose(stack.variance, 9 * 25 + 81 * 4)
    assert_scatters_as_predicted(stack.data - 900, stack.variance)


def test_a_hit_is_rejected_as_often_with_a_shared_master_as_without():
    # What all frames share cancels in a difference from their median, and does not widen the threshold.
    def rejected(master):
        generator = np.random.default_rng(3)
        frames = calibrated_with_one_master(generator, 25, 5.0, master, (100, 100))
        hit = frames[0].data + 4 * 5.0
        frames[0] = CCDFrame(hit, unit="electron", budget=frames[0].budget)
        return np.mean(combine(frames, clip="sigma", sigma=3).n_used)

    alone, shared = rejected(1e-9), rejected(5.0)
    assert alone == pytest.approx(shared, abs=0.01)
    # A value 4 sigma high is beyond 3 sigma in 84% of the draws, less a little for the noise of the median.
    assert 25 - alone == pytest.approx(0.82 + 24 * 0.0027, abs=0.03)


def test_masters_that_only_some_frames_share(rng):
    # Two nights, each with a bias of its own: within a night it cancels, from night to night it does not.
    nights = [calibrated_with_one_master(rng, 5) for _ in range(2)]
    stack = combine([*nights[0], *nights[1]])
    np.testing.assert_allclose(stack.variance, 25 / 2 + 25 / 10)
    assert_scatters_as_predicted(stack.data - 100, stack.variance)


def test_clipping_across_masters_that_only_some_frames_share(rng):
    # Var(z_i - median) holds the noise of the masters, which differ: hardly anything is to be rejected beyond 3 sigma.
    nights = [calibrated_with_one_master(rng, 5) for _ in range(2)]
    stack = combine([*nights[0], *nights[1]], clip="sigma", sigma=3)
    assert 1 - stack.n_used.mean() / 10 < 0.005
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.02)


def test_row_wise_noise_stays_row_wise(rng):
    def with_row_noise():
        pixels = rng.normal(1000, 3, (50, 60)).astype(np.float32)
        return calibrate(
            CCDFrame(pixels, unit="adu"),
            Detector(gain=1 * E_PER_ADU, read_noise=3 * u.electron),
            overscan="[51:60,1:50]",
            trim="[1:50,1:50]",
            overscan_axis=1,
            overscan_median=False,
            shot_noise=0,
        )

    frames = [with_row_noise() for _ in range(4)]
    stack = combine(frames)
    weights = np.zeros((50, 50))
    weights[7] = 1
    mean_level = np.mean([f.budget.variances()["overscan"][7, 0] for f in frames]) / 4
    assert stack.budget.variance_of_sum(weights) == pytest.approx(50 * 9 / 4 + 50**2 * mean_level, rel=1e-4)


# ---- memory of the constituents


def test_a_stack_less_the_mean_of_its_frames_is_zero(rng):
    a, b, c = frames_of(rng, [1.0, 2.0, 3.0], SMALL)
    difference = combine([a, b, c]) - (a + b + c) / 3
    np.testing.assert_allclose(difference.data, 0, atol=1e-12)
    np.testing.assert_allclose(difference.variance, 0, atol=1e-12)


@pytest.mark.parametrize("number", [2, 5])
def test_a_frame_less_the_stack_that_contains_it(rng, number):
    frames = frames_of(rng, [5.0] * number)
    residual = frames[0] - combine(frames)
    np.testing.assert_allclose(residual.variance, 25 * (1 - 1 / number))
    assert_scatters_as_predicted(residual.data, residual.variance)


def test_a_frame_less_the_stack_of_the_others(rng):
    frames = frames_of(rng, [5.0] * 5, SMALL)
    np.testing.assert_allclose((frames[0] - combine(frames[1:])).variance, 25 * (1 + 1 / 4))


@pytest.mark.parametrize("options", [{"method": "median"}, {"clip": "sigma", "sigma": 2.5}])
def test_a_frame_less_the_robust_stack_that_contains_it(rng, options):
    # By symmetry the covariance of the stack with each of its frames is sigma^2 / N.
    frames = frames_of(rng, [5.0] * 5)
    stack = combine(frames, **options)
    np.testing.assert_allclose(np.mean(covariance(stack, frames[0])), 5.0, rtol=0.01)
    residual = frames[0] - stack
    assert_scatters_as_predicted(residual.data, residual.variance, tolerance=0.015)


def test_a_frame_less_a_stack_with_masked_values(rng):
    # Of two values the mean has more of each than of four: 1 - 1/2 of the variance remains, not 1 - 1/4. A value that
    # was left out is independent of the mean of the others: 1 + 1/n.
    frames = [CCDFrame(f, mask=rng.random(LARGE) < 0.2) for f in frames_of(rng, [5.0] * 4)]
    stack = combine(frames)
    residual = CCDFrame(frames[0], mask=np.zeros(LARGE, dtype=bool)) - stack
    for used in (1, 2, 3, 4):
        inside = ~frames[0].mask & (stack.n_used == used)
        np.testing.assert_allclose(residual.variance[inside], 25 * (1 - 1 / used), atol=1e-10)
    for used in (1, 2, 3):
        outside = frames[0].mask & (stack.n_used == used)
        np.testing.assert_allclose(residual.variance[outside], 25 * (1 + 1 / used))
    known = stack.n_used > 0
    assert_scatters_as_predicted(residual.data[known], residual.variance[known])


def test_a_cut_of_a_stack_with_masked_values_remembers_its_own_pixels(rng):
    frames = [CCDFrame(f, mask=rng.random(SMALL) < 0.4) for f in frames_of(rng, [5.0] * 4, SMALL)]
    residual = frames[0] - combine(frames)
    item = (slice(1, None), slice(0, -1))
    first_cut = frames[0][item] - combine(frames)[item]
    np.testing.assert_allclose(first_cut.variance, residual.variance[item])


@pytest.mark.parametrize(
    ("options", "tolerance"), [({"method": "median"}, 0.02), ({"clip": "sigma", "sigma": 2.5}, 0.01)]
)
@pytest.mark.parametrize(("few", "many"), [(5, 10), (3, 9)])
def test_robust_stacks_of_which_one_contains_the_other(rng, options, tolerance, few, many):
    frames = frames_of(rng, [5.0] * many)
    difference = combine(frames[:few], **options) - combine(frames, **options)
    assert_scatters_as_predicted(difference.data, difference.variance, tolerance)


def test_two_stacks_with_common_frames(rng):
    frames = frames_of(rng, [5.0] * 6)
    difference = combine(frames[:4]) - combine(frames[2:])
    # Of the six frames the middle two cancel; four remain with a weight of a quarter.
    np.testing.assert_allclose(difference.variance, 25 * 4 / 16)
    assert_scatters_as_predicted(difference.data, difference.variance)


def test_a_stack_of_stacks_is_the_stack_of_all(rng):
    frames = frames_of(rng, [5.0] * 6, SMALL)
    nested = combine([combine(frames[:3]), combine(frames[3:])])
    np.testing.assert_allclose(nested.variance, 25 / 6)
    np.testing.assert_allclose((nested - combine(frames)).variance, 0, atol=1e-10)


# ---- masks and flags


def test_masked_values_are_left_out_and_counted(rng):
    frames = frames_of(rng, [1.0, 2.0, 3.0], SMALL)
    mask = np.zeros(SMALL, dtype=bool)
    mask[1, 2] = True
    frames[0] = CCDFrame(frames[0], mask=mask)
    stack = combine(frames)
    assert stack.data[1, 2] == pytest.approx((frames[1].data[1, 2] + frames[2].data[1, 2]) / 2)
    assert stack.variance[1, 2] == pytest.approx((4 + 9) / 4, rel=1e-6)
    np.testing.assert_array_equal(stack.n_used, 3 - mask)
    assert not stack.mask.any()
    assert not stack.flags[1, 2] & DataQuality.REJECTED


@pytest.mark.parametrize("options", [{}, {"method": "median"}, {"clip": "sigma"}, {"method": "sum"}])
@pytest.mark.parametrize("wild", [1e9, np.nan, np.inf])
def test_a_masked_value_may_be_anything(rng, options, wild):
    frames = frames_of(rng, [5.0] * 4, SMALL)
    data, mask, sigma = frames[0].data.copy(), np.zeros(SMALL, dtype=bool), np.full(SMALL, 5.0)
    data[1, 2], mask[1, 2], sigma[1, 2] = wild, True, wild
    frames[0] = CCDFrame(data, unit="electron", uncertainty=StdDevUncertainty(sigma), mask=mask)
    stack = combine(frames, **options)
    others = combine(frames[1:], **options)
    factor = 4 / 3 if options.get("method") == "sum" else 1.0
    assert stack.data[1, 2] == pytest.approx(factor * others.data[1, 2])
    assert stack.variance[1, 2] == pytest.approx(factor**2 * others.variance[1, 2], rel=1e-5)
    assert np.isfinite(stack.variance).all()
    assert stack.n_used[1, 2] == 3


@pytest.mark.parametrize("options", [{}, {"method": "median"}, {"clip": "sigma"}])
def test_a_pixel_that_is_no_number_in_one_of_the_calibrated_frames(rng, options):
    camera = Detector(gain=1 * E_PER_ADU, read_noise=5 * u.electron, gain_uncertainty=0.01 * E_PER_ADU)
    flat = make_frame(rng, 1000.0, 10.0, SMALL)
    raws = rng.normal(100, 5, (4, *SMALL))
    raws[0, 1, 2] = np.nan
    frames = [calibrate(CCDFrame(raw, unit="adu"), camera, pedestal=0, flat=flat) for raw in raws]
    stack = combine(frames, **options)
    assert np.isfinite(stack.data).all()
    assert stack.n_used[1, 2] == 3
    assert stack.variance[1, 2] == pytest.approx(np.median(stack.variance) * 4 / 3, rel=0.5)


@pytest.mark.parametrize("flag", [f for f in DataQuality if f & DataQuality.UNUSABLE])
def test_values_that_are_flagged_as_unfit_are_left_out(rng, flag):
    frames = frames_of(rng, [5.0] * 3, SMALL)
    flags = np.zeros(SMALL, dtype=np.uint16)
    flags[1, 2] = flag
    frames[0] = CCDFrame(frames[0], flags=flags)
    stack = combine(frames)
    assert stack.n_used[1, 2] == 2
    assert stack.flags[1, 2] == 0


def test_remarks_on_values_that_are_used_are_passed_on(rng):
    frames = frames_of(rng, [5.0] * 3, SMALL)
    flags = np.zeros(SMALL, dtype=np.uint16)
    flags[1, 2] = DataQuality.NONLINEAR
    frames[0] = CCDFrame(frames[0], flags=flags)
    stack = combine(frames)
    assert stack.n_used[1, 2] == 3
    assert stack.flags[1, 2] == DataQuality.NONLINEAR
    assert stack.flags.dtype == np.uint16


def test_where_no_value_is_fit_the_stack_is_masked(rng):
    mask = np.zeros(SMALL, dtype=bool)
    mask[1, 2] = True
    frames = [CCDFrame(f, mask=mask, flags=mask * np.uint16(DataQuality.BAD)) for f in frames_of(rng, [5.0] * 3, SMALL)]
    stack = combine(frames)
    np.testing.assert_array_equal(stack.mask, mask)
    np.testing.assert_array_equal(stack.n_used, 3 * ~mask)
    assert stack.flags[1, 2] & DataQuality.BAD
    assert np.isfinite(stack.data).all()
    assert np.isfinite(stack.variance).all()


@pytest.mark.parametrize("options", [{}, {"method": "median"}, {"clip": "sigma"}])
def test_where_no_value_is_a_number_there_is_no_data(rng, options):
    frames = []
    for frame in frames_of(rng, [5.0] * 3, SMALL):
        data = frame.data.copy()
        data[1, 2] = np.nan
        frames.append(CCDFrame(data, unit="electron", uncertainty=np.full(SMALL, 5.0)))
    stack = combine(frames, **options)
    assert stack.mask[1, 2]
    assert stack.mask.sum() == 1
    assert stack.flags[1, 2] & DataQuality.NO_DATA
    assert stack.n_used[1, 2] == 0


@pytest.mark.parametrize("method", ["mean", "median"])
def test_the_number_of_values_may_differ_from_pixel_to_pixel(rng, method):
    frames = [CCDFrame(f, mask=rng.random(LARGE) < 0.4) for f in frames_of(rng, [5.0] * 7)]
    stack = combine(frames, method=method)
    for used in (3, 4, 5):
        chosen = stack.n_used == used
        factor = MEDIAN[used] if method == "median" else 1.0
        np.testing.assert_allclose(stack.variance[chosen], factor * 25 / used, rtol=1e-4)
        assert_scatters_as_predicted(stack.data[chosen] - 100, stack.variance[chosen], tolerance=0.025)


def test_a_sum_is_not_darker_where_a_value_is_left_out(rng):
    frames = frames_of(rng, [5.0] * 4, SMALL)
    mask = np.zeros(SMALL, dtype=bool)
    mask[1, 2] = True
    frames[0] = CCDFrame(frames[0], mask=mask)
    stack = combine(frames, method="sum")
    assert stack.data[1, 2] == pytest.approx(4 / 3 * sum(f.data[1, 2] for f in frames[1:]))
    assert stack.variance[1, 2] == pytest.approx(16 * 25 / 3, rel=1e-6)


def test_a_pixel_that_only_frames_without_weight_have_is_not_exact(rng):
    a, b = frames_of(rng, [5.0, 5.0], SMALL)
    mask = np.zeros(SMALL, dtype=bool)
    mask[1, 2] = True
    stack = combine([a, CCDFrame(b, mask=mask)], weights=[0, 1])
    assert stack.variance[1, 2] > 0 or stack.mask[1, 2]


# ---- scaling


def flats(rng, times=(4.0, 6.0, 7.0), shape=LARGE):
    camera = Detector(gain=1 * E_PER_ADU, read_noise=5 * u.electron)
    pattern = np.linspace(0.8, 1.2, shape[1]) * np.ones(shape)
    raws = [rng.poisson(5000 * time * pattern) + rng.normal(0, 5, shape) for time in times]
    return pattern, [create_deviation(CCDFrame(raw, unit="electron"), camera) for raw in raws]


@pytest.mark.parametrize("scale", ["mean", "median"])
@pytest.mark.parametrize("options", [{}, {"method": "median"}, {"clip": "sigma"}])
def test_flats_of_different_exposure_are_brought_to_one_level(rng, scale, options):
    pattern, frames = flats(rng)
    stack = combine(frames, scale=scale, **options)
    level = 5000 * np.mean([4.0, 6.0, 7.0])
    assert_scatters_as_predicted(stack.data - level * pattern, stack.variance, tolerance=0.02)
    if options.get("clip"):
        assert stack.n_used.mean() > 2.98


def test_flats_of_very_different_exposure(rng):
    pattern, frames = flats(rng, (1.0, 4.0, 16.0))
    stack = combine(frames, method="median", scale="mean")
    assert_scatters_as_predicted(stack.data - 35000 * pattern, stack.variance, tolerance=0.02)


def test_levels_are_those_of_the_good_pixels(rng):
    _, frames = flats(rng, shape=(20, 30))
    expected = combine(frames, scale="mean")
    data = frames[0].data.copy()
    data[3, 4] = 1e9
    mask = data == 1e9
    spoilt = CCDFrame(data, unit="electron", uncertainty=np.sqrt(frames[0].variance), mask=mask)
    stack = combine([spoilt, *frames[1:]], scale="mean")
    np.testing.assert_allclose(stack.data[~mask], expected.data[~mask], rtol=1e-3)


def test_a_function_or_numbers_as_scale(rng):
    frames = [make_frame(rng, value, 1.0, SMALL) for value in (10.0, 20.0)]
    by_function = combine(frames, scale=lambda data: 1 / np.median(data))
    np.testing.assert_allclose(
        by_function.data, np.mean([f.data / np.median(f.data) for f in frames], axis=0), rtol=1e-12
    )
    by_numbers = combine(frames, scale=[2.0, 1.0])
    np.testing.assert_allclose(by_numbers.data, frames[0].data + frames[1].data / 2)
    np.testing.assert_allclose(by_numbers.variance, (4 + 1) / 4)


def test_exact_frames_are_scaled_before_their_scatter_is_taken(rng):
    exact = [CCDFrame(rng.normal(level, level / 100, LARGE), unit="adu") for level in (1000.0, 2000.0, 3000.0)]
    stack = combine(exact, scale="mean")
    np.testing.assert_allclose(np.mean(stack.variance), 20.0**2 / 3, rtol=0.02)


def test_a_frame_without_light_cannot_be_scaled(rng):
    frames = [*frames_of(rng, [5.0], SMALL), make_frame(rng, -50.0, 1.0, SMALL, name="dark.fits")]
    with pytest.raises(FrameError, match=r"dark\.fits.*median"):
        combine(frames, scale="median")


@pytest.mark.parametrize("scale", ["mode", [1.0], [1.0, np.nan], [1.0, np.inf], lambda data: np.nan * data.mean()])
def test_scales_that_make_no_sense(rng, scale):
    with pytest.raises(ValueError, match="scale"):
        combine(frames_of(rng, [5.0, 5.0], SMALL), scale=scale)


# ---- frames without variance, and one frame


@pytest.mark.parametrize(("method", "number"), [("mean", 2), ("mean", 10), ("median", 5)])
def test_exact_frames_show_their_noise_by_their_scatter(rng, method, number):
    exact = [CCDFrame(rng.normal(100, 5, LARGE), unit="adu") for _ in range(number)]
    stack = combine(exact, method=method)
    factor = MEDIAN[number] if method == "median" else 1.0
    assert np.mean(stack.variance) == pytest.approx(factor * 25 / number, rel=0.02)
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.02)


def test_exact_frames_with_masked_values(rng):
    exact = [CCDFrame(rng.normal(100, 5, LARGE), unit="adu", mask=rng.random(LARGE) < 0.4) for _ in range(4)]
    stack = combine(exact)
    for used in (1, 2, 3):
        chosen = stack.n_used == used
        assert np.mean(stack.variance[chosen]) == pytest.approx(25 / used, rel=0.06)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32])
def test_whole_numbers_do_not_wrap(dtype):
    exact = [CCDFrame(np.full(SMALL, value, dtype=dtype), unit="adu") for value in (30000, 30010, 30020)]
    stack = combine(exact)
    np.testing.assert_array_equal(stack.data, 30010)
    np.testing.assert_allclose(stack.variance, 100 / 3, rtol=1e-6)


def test_the_noise_of_exact_frames_comes_from_a_detector_if_given(rng):
    camera = Detector(gain=2 * E_PER_ADU, read_noise=6 * u.electron)
    exact = [CCDFrame(rng.normal(0, 3, SMALL), unit="adu") for _ in range(4)]
    stack = combine(exact, detector=camera)
    expected = np.mean([create_deviation(f, camera).variance for f in exact], axis=0) / 4
    np.testing.assert_allclose(stack.variance, expected)


def test_one_frame_with_variance_is_itself(rng):
    frame = make_frame(rng, 100.0, 5.0, SMALL)
    for options in ({}, {"method": "median"}, {"clip": "sigma"}, {"clip": "minmax"}):
        stack = combine([frame], **options)
        np.testing.assert_allclose(stack.data, frame.data)
        np.testing.assert_allclose(stack.variance, 25.0)
        np.testing.assert_allclose((stack - frame).variance, 0, atol=1e-10)
        assert stack.meta["NCOMBINE"] == 1


def test_one_frame_without_variance_makes_no_master():
    with pytest.raises(FrameError, match=r"d1001\.fits.*detector="):
        combine([CCDFrame(np.ones(SMALL), unit="adu", name="d1001.fits")])


def test_frames_with_and_without_variance_are_not_mixed(rng):
    exact = CCDFrame(np.ones(SMALL), unit="electron", name="d1001.fits")
    with pytest.raises(FrameError, match=r"d1001\.fits.*variance"):
        combine([make_frame(rng, 1.0, 1.0, SMALL), exact])


# ---- the same frame twice


def test_the_same_frame_twice_does_not_average_down(rng):
    frame, other = frames_of(rng, [5.0, 5.0], SMALL)
    with pytest.warns(NoiseWarning, match="same exposure"):
        stack = combine([frame, frame.copy()])
    np.testing.assert_allclose(stack.variance, 25.0)
    with pytest.warns(NoiseWarning, match="frames 0 .* and 2"):
        stack = combine([frame, other, frame])
    np.testing.assert_allclose(stack.variance, 25 * (4 + 1) / 9)


def test_the_same_raw_file_twice_is_noticed(rng):
    camera = Detector(gain=2 * E_PER_ADU, read_noise=6 * u.electron)
    pixels = rng.poisson(1000, SMALL).astype(np.uint16)
    raws = [CCDFrame(pixels.copy(), unit="adu", name=name) for name in ("a.fits", "copy_of_a.fits")]
    with pytest.warns(NoiseWarning, match=r"a\.fits.*copy_of_a\.fits"):
        stack = combine([calibrate(raw, camera, pedestal=0) for raw in raws])
    np.testing.assert_allclose(stack.variance, 36 + 4 / 12 + 2.0 * pixels, rtol=1e-5)


def test_exact_frames_given_twice_are_noticed(rng):
    pixels = rng.normal(100, 5, SMALL)
    other = rng.normal(100, 5, SMALL)
    with pytest.warns(NoiseWarning, match="same exposure"):
        combine([CCDFrame(p.copy(), unit="adu") for p in (pixels, other, pixels)])


def test_an_exact_master_is_never_made_of_one_exposure(rng):
    pixels = rng.normal(100, 5, SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseWarning)
        try:
            stack = combine([CCDFrame(pixels.copy(), unit="adu") for _ in range(2)])
        except FrameError:
            return
    assert np.all(stack.variance > 0)


def test_different_frames_with_one_master_give_no_warning(rng):
    combine(calibrated_with_one_master(rng, 3, shape=SMALL))
    constant = [CCDFrame(np.full(SMALL, 100.0), unit="electron", uncertainty=np.full(SMALL, 5.0)) for _ in range(3)]
    bias = make_frame(rng, 0.0, 5.0, SMALL)
    stack = combine([frame - bias for frame in constant])
    np.testing.assert_allclose(stack.variance, 25 + 25 / 3)


# ---- inputs and outputs


def test_header_type_and_name(rng):
    frames = [make_frame(rng, 100.0, 5.0, SMALL, dtype=np.float32, meta={"FRAME": i}) for i in range(3)]
    for options in ({}, {"method": "median"}, {"clip": "sigma"}, {"method": "sum"}, {"weights": [1, 2, 3]}):
        stack = combine(frames, **options)
        assert stack.data.dtype == stack.variance.dtype == np.float32
        assert stack.meta["FRAME"] == 0
        assert stack.meta["NCOMBINE"] == 3
        assert stack.n_used.dtype == np.uint16
    assert "NCOMBINE" not in frames[0].meta
    mask = np.zeros(SMALL, dtype=bool)
    mask[0, 0] = True
    stack = combine([CCDFrame(frames[0], mask=mask), *frames[1:]])
    assert stack.data.dtype == stack.variance.dtype == np.float32


def test_a_generator_of_frames(rng):
    frames = frames_of(rng, [5.0] * 3, SMALL)
    np.testing.assert_array_equal(combine(f for f in frames).data, combine(frames).data)


def test_plain_ccddata(rng):
    plain = [
        CCDData(rng.normal(100, 5, SMALL), unit="electron", uncertainty=StdDevUncertainty(np.full(SMALL, 5.0)))
        for _ in range(3)
    ]
    stack = combine(plain)
    assert isinstance(stack, CCDFrame)
    np.testing.assert_allclose(stack.variance, 25 / 3)


def test_paths(rng, tmp_path):
    frames = frames_of(rng, [5.0] * 3, SMALL)
    paths = [tmp_path / f"{i}.fits" for i in range(3)]
    for frame, path in zip(frames, paths, strict=True):
        frame.write(path)
    stack = combine([paths[0], str(paths[1]), paths[2]])
    np.testing.assert_allclose(stack.data, combine(frames).data)
    np.testing.assert_allclose(stack.variance, 25 / 3)


def test_paths_of_files_without_unit(tmp_path):
    from astropy.io import fits

    for value in (1, 2, 3):
        fits.PrimaryHDU(np.full(SMALL, value, dtype=np.int16)).writeto(tmp_path / f"{value}.fits")
    paths = sorted(tmp_path.iterdir())
    assert combine(paths, unit="adu").unit == u.adu
    with pytest.raises(FrameError, match=r"1\.fits.*unit"):
        combine(paths)


def test_the_inputs_are_not_changed(rng):
    frames = frames_of(rng, [5.0] * 3, SMALL, meta={"A": 1})
    before = [f.data.copy() for f in frames]
    combine(frames, clip="sigma", scale="mean")
    for frame, data in zip(frames, before, strict=True):
        np.testing.assert_array_equal(frame.data, data)
        np.testing.assert_allclose(frame.variance, 25.0)
        assert frame.mask is None
        assert dict(frame.meta) == {"A": 1}


def test_units_are_converted(rng):
    frames = frames_of(rng, [5.0] * 2, SMALL)
    kilo = CCDFrame(frames[1].data / 1000, unit=1000 * u.electron, uncertainty=np.full(SMALL, 0.005))
    stack = combine([frames[0], kilo])
    np.testing.assert_allclose(stack.data, combine(frames).data)
    np.testing.assert_allclose(stack.variance, 12.5)


def test_no_frames():
    with pytest.raises(FrameError, match="no frames"):
        combine([])
    with pytest.raises(FrameError, match="no frames"):
        combine(iter(()))


def test_a_frame_alone_is_not_a_list(rng):
    with pytest.raises(TypeError, match="list"):
        combine(make_frame(rng, 1.0, 1.0, SMALL))
    with pytest.raises(TypeError, match="list"):
        combine("d1001.fits")


def test_different_shapes_name_the_frames(rng):
    frames = [make_frame(rng, 1.0, 1.0, SMALL, name="a.fits"), make_frame(rng, 1.0, 1.0, (3, 3), name="b.fits")]
    with pytest.raises(ShapeMismatchError, match=r"a\.fits.*\(4, 5\).*b\.fits.*\(3, 3\)"):
        combine(frames)


def test_a_frame_that_is_no_image_is_named_by_its_place(rng):
    frames = [*frames_of(rng, [5.0, 5.0], SMALL), CCDData(np.ones(SMALL, complex), unit="electron")]
    with pytest.raises(FrameError, match=r"frame 2: .*complex128; expected real numbers"):
        combine(frames)


def test_different_units_name_the_frames(rng):
    frames = [
        make_frame(rng, 1.0, 1.0, SMALL, name="a.fits"),
        make_frame(rng, 1.0, 1.0, SMALL, name="b.fits", unit="adu"),
    ]
    with pytest.raises(u.UnitConversionError, match=r"a\.fits.*b\.fits"):
        combine(frames)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"d1001\.fits"):
        combine([tmp_path / "d1001.fits"], unit="adu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mode"}, "method"),
        ({"clip": "extrema"}, "clip"),
        ({"clip": "sigma", "sigma": 0}, "sigma"),
        ({"clip": "sigma", "sigma": (3.0, -1.0)}, "sigma"),
        ({"clip": "sigma", "sigma": np.nan}, "sigma"),
        ({"clip": "minmax", "extremes": (-1, 1)}, "extremes"),
        ({"weights": [1.0]}, "weights"),
        ({"weights": [1.0, -1.0]}, "weights"),
        ({"weights": [0.0, 0.0]}, "weights"),
        ({"weights": [1.0, np.nan]}, "weights"),
        ({"weights": [1.0, 1.0], "method": "median"}, "weights"),
        ({"memory_limit": None}, "memory_limit is None; expected a positive number of bytes.*inf for no limit"),
        ({"memory_limit": "1GB"}, "memory_limit is '1GB'"),
        ({"memory_limit": 1 * u.Gbyte}, "memory_limit"),
        ({"memory_limit": 0}, "memory_limit is 0"),
        ({"memory_limit": -1.0}, "memory_limit is -1"),
        ({"memory_limit": np.nan}, "memory_limit is nan"),
    ],
)
def test_arguments_without_meaning(rng, options, message):
    with pytest.raises(ValueError, match=message):
        combine(frames_of(rng, [5.0, 5.0], SMALL), **options)


@pytest.mark.parametrize("sigma", [3, np.int64(3), np.float32(3), [3.0, 3.0], np.array([3.0, 3.0])])
def test_any_number_serves_as_threshold(rng, sigma):
    frames = frames_of(rng, [5.0] * 5, SMALL)
    np.testing.assert_array_equal(
        combine(frames, clip="sigma", sigma=sigma).data, combine(frames, clip="sigma", sigma=3.0).data
    )


def test_the_median_of_frames_that_share_noise_unequally_warns(rng):
    shared = make_frame(rng, 0.0, 5.0, SMALL)
    frames = [make_frame(rng, 100.0, 5.0, SMALL) - amount * shared for amount in (0.0, 0.5, 1.0)]
    with pytest.warns(NoiseWarning, match="first order"):
        combine(frames, method="median")


def test_the_median_of_whole_numbers_with_little_noise_warns(rng):
    frames = [CCDFrame(np.rint(rng.normal(1000, 1, (50, 50))).astype(np.uint16), unit="adu") for _ in range(5)]
    with pytest.warns(NoiseWarning, match="rounding"):
        combine(frames, method="median")


@pytest.mark.parametrize("number", [3, 5, 25])
def test_the_uncertain_threshold_of_a_clip_by_scatter_counts(rng, number):
    # With the factor of a known threshold the error would be 2 to 4% too small.
    stack = combine(frames_of(rng, [5.0] * number), clip="scatter")
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.015)


@pytest.mark.parametrize("sigmas", [(1, 1, 3), (1, 1, 1, 1, 5, 5), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize(
    "options", [{"clip": "sigma", "sigma": 2.0}, {"clip": "sigma", "sigma": 3.0}, {"clip": "minmax"}]
)
def test_rejection_from_a_mean_of_unlike_frames(rng, sigmas, options):
    stack = combine(frames_of(rng, [float(sigma) for sigma in sigmas]), **options)
    assert_scatters_as_predicted(stack.data - 100, stack.variance, 0.02)


@pytest.mark.parametrize("number", [3, 5, 10])
@pytest.mark.parametrize("method", ["mean", "median"])
def test_rejection_from_frames_whose_noise_is_not_known(rng, number, method):
    frames = [CCDFrame(rng.normal(100, 5, LARGE), unit="adu") for _ in range(number)]
    stack = combine(frames, method=method, clip="sigma")
    assert_scatters_as_predicted(stack.data - 100, stack.variance, 0.02)


def test_a_median_after_rejection_with_masked_values(rng):
    frames = [CCDFrame(f, mask=rng.random(LARGE) < 0.5) for f in frames_of(rng, [5.0] * 5)]
    stack = combine(frames, method="median", clip="sigma", sigma=2.0)
    good = stack.n_used > 0
    assert_scatters_as_predicted((stack.data - 100)[good], stack.variance[good], 0.015)


def test_weights_with_rejection_from_frames_whose_noise_is_not_known(rng):
    frames = [CCDFrame(rng.normal(100, 5, LARGE), unit="adu") for _ in range(5)]
    stack = combine(frames, clip="scatter", sigma=2.5, weights=[1, 1, 1, 4, 4])
    assert_scatters_as_predicted(stack.data - 100, stack.variance, 0.02)


def test_stacks_of_stacks_of_scaled_frames_have_a_variance(rng):
    pairs = [frames_of(rng, [30.0, 50.0], SMALL, value=1000.0) for _ in range(3)]
    x, y, z = (combine([pair[0], 3 * pair[1]], scale="median") for pair in pairs)
    assert np.isfinite((combine([x, y]) - combine([y, z])).variance).all()
    assert np.isfinite(combine([combine([x, y]), combine([y, z])]).variance).all()


def test_relatives_that_cancel_on_the_way_to_a_sum(rng):
    # b - (a + b)/4 - (b + 0.05 c)/2.1: the variance of a pixel is that of a sum over it.
    a, b, c = frames_of(rng, [5.0] * 3, SMALL)
    difference = b - (combine([a, b]) + combine([b, c], weights=[1, 0.05])) * 0.5
    truth = 25 * ((1 / 4) ** 2 + (1 - 1 / 4 - 1 / 2.1) ** 2 + (0.05 / 2.1) ** 2)
    np.testing.assert_allclose(difference.variance, truth, rtol=1e-6)


def test_scale_factors_of_frames_without_weight_are_left_out(rng):
    frames = frames_of(rng, [5.0] * 3, SMALL)
    stack = combine(frames, weights=[1, 0, 1], scale=[1, 100, 3])
    np.testing.assert_allclose(stack.data, (frames[0].data + 3 * frames[2].data) / 2)


def test_frames_without_pixels_are_refused():
    with pytest.raises(FrameError, match="no pixels"):
        combine([CCDFrame(np.zeros((0, 3)), unit="adu")] * 2, detector=None)


# ---- odd input


@pytest.mark.parametrize("options", [{"method": "median"}, {"method": "mean"}, {"method": "median", "clip": "sigma"}])
@pytest.mark.parametrize("spoiled", [np.inf, np.nan])
def test_a_masked_value_has_no_part_in_the_variance_whatever_its_own_is(options, spoiled):
    def stack(variance):
        frames = []
        for sigma in (1.0, 1.0, 1.0, 3.0, 3.0):
            variances = np.full((4, 5), sigma**2)
            values = np.full((4, 5), 100.0) + len(frames)
            frames.append(CCDFrame(values, unit="adu", uncertainty=VarianceUncertainty(variances)))
        frames[0].mask = np.zeros((4, 5), dtype=bool)
        frames[0].mask[1, 1] = True
        variances = np.ones((4, 5))
        variances[1, 1] = variance
        frames[0].uncertainty = VarianceUncertainty(variances)
        return combine(frames, **options)

    np.testing.assert_allclose(stack(spoiled).variance, stack(1.0).variance)


def test_a_stack_is_known_by_its_frames_not_by_the_order_in_which_threads_finish(rng):
    shape = (900, 700)
    frames = []
    for _ in range(4):
        sigmas = StdDevUncertainty(rng.uniform(4, 6, shape))
        frames.append(CCDFrame(rng.normal(100, 5, shape), unit="adu", uncertainty=sigmas).copy())
    stacks = [combine(frames, clip="sigma") for _ in range(6)]
    assert len({source.identity for stack in stacks for source, _ in stack.budget.terms}) == 1
    assert np.all(covariance(stacks[0], stacks[5]) == stacks[0].variance)


@pytest.mark.parametrize("options", [{}, {"clip": "scatter"}, {"method": "median", "clip": "sigma"}])
def test_raw_cubes_and_single_rows_can_be_combined(rng, options):
    for shape in ((3, 4, 5), (60,)):
        values = rng.normal(1000, 5, (5, *shape))
        stack = combine([CCDFrame(one, unit="adu") for one in values], **options)
        assert stack.shape == stack.variance.shape == shape
        np.testing.assert_allclose(stack.data, values.mean(axis=0), atol=15)


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_arrays_in_the_byte_order_of_files_can_be_combined(rng, dtype):
    values = rng.integers(90, 110, (5, 6, 7))
    frames = [
        CCDFrame(
            one.astype(dtype),
            unit="adu",
            budget=UncertaintyBudget((6, 7), [(NoiseSource("read noise", np.full((6, 7), 4.0).astype(dtype)), 1.0)]),
        )
        for one in values
    ]
    stack = combine(frames)
    np.testing.assert_allclose(stack.data, values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stack.variance, 4 / 5)
    weights = np.ones((6, 7)).astype(dtype)
    assert stack.budget.variance_of_sum(weights) == pytest.approx(42 * 4 / 5)


def test_the_median_of_unlike_frames_of_whole_numbers_is_that_of_the_same_numbers(rng):
    values = rng.normal(1000, 10, (4, 50, 60)).astype(np.uint16)

    def stack(dtype):
        sigmas = [StdDevUncertainty(np.full((50, 60), sigma)) for sigma in (5.0, 10.0, 10.0, 20.0)]
        frames = [
            CCDFrame(one.astype(dtype), unit="adu", uncertainty=sigma)
            for one, sigma in zip(values, sigmas, strict=True)
        ]
        return combine(frames, method="median")

    np.testing.assert_array_equal(stack(np.uint16).data, np.median(values, axis=0))
    np.testing.assert_allclose(stack(np.uint16).variance, stack(np.float32).variance, rtol=1e-6)


@pytest.mark.parametrize("sigmas", [(5.0, 5.0, 5.0), (5.0, 8.0, 8.0)])
@pytest.mark.parametrize(("sigma", "variance"), [(np.nan, np.nan), (np.inf, np.inf)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_median_with_a_value_of_unknown_noise_has_unknown_noise_unless_it_is_masked(
    sigmas, sigma, variance, masked
):
    frames = []
    for value, own in zip((95.0, 90.0, 100.0), sigmas, strict=True):
        uncertainty, mask = np.full((40, 50), own), np.zeros((40, 50), dtype=bool)
        if not frames:
            uncertainty[3, 4], mask[3, 4] = sigma, masked
        frames.append(CCDFrame(np.full((40, 50), value), unit="adu", uncertainty=uncertainty, mask=mask))
    stack = combine(frames, method="median")
    assert stack.data[3, 4] == 95.0
    # The median of two is their mean.
    expected = (sigmas[1] ** 2 + sigmas[2] ** 2) / 4 if masked else variance
    np.testing.assert_allclose(stack.variance[3, 4], expected, rtol=0.05)
    assert np.isfinite(np.delete(stack.variance.ravel(), 3 * 50 + 4)).all()


@pytest.mark.parametrize("sigmas", [(5.0, 5.0, 5.0), (5.0, 8.0, 8.0)])
def test_a_value_without_noise_adds_none_to_the_median(sigmas):
    frames = []
    for own in sigmas:
        uncertainty = np.full((40, 50), own)
        if not frames:
            uncertainty[3, 4] = 0
        frames.append(CCDFrame(np.zeros((40, 50)), unit="adu", uncertainty=uncertainty))
    variance = combine(frames, method="median").variance
    # What the others bring to it elsewhere.
    weights = 1 / np.array(sigmas)
    others = 1 - (weights[0] * sigmas[0]) ** 2 / np.sum((weights * sigmas) ** 2)
    assert variance[3, 4] == pytest.approx(others * variance[0, 0], rel=1e-3)


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [((3, np.inf), [10, 10, 10, 10, 10, 11, 30]), ((np.inf, 3), [10, 10, 10, 10, 10, 9])],
)
@pytest.mark.parametrize("clip", ["sigma", "scatter"])
def test_an_infinite_threshold_leaves_nothing_out_where_the_noise_is_nothing(clip, thresholds, expected):
    # The median absolute deviation of these is 0, too.
    values = np.array([10, 10, 10, 10, 10, 11, 30, 9], dtype=float)
    for sigmas in (np.zeros((2, 3)), np.where(np.arange(3) == 1, 1e3, np.zeros((2, 3)))):
        frames = [CCDFrame(np.full((2, 3), one), unit="adu", uncertainty=StdDevUncertainty(sigmas)) for one in values]
        stack = combine(frames, clip=clip, sigma=thresholds)
        assert stack.n_used[0, 0] == len(expected)
        assert stack.data[0, 0] == pytest.approx(np.mean(expected))


def test_more_frames_than_can_be_counted_are_refused(monkeypatch):
    module = importlib.import_module("astro_calib.stack.inputs")
    assert np.full((), module.MAX_FRAMES).astype(np.uint16) == module.MAX_FRAMES
    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    frames = [make_frame(np.random.default_rng(number), 1.0, 1.0, SMALL) for number in range(4)]
    combine(frames[:3])
    with pytest.raises(FrameError, match="there are 4 frames to combine; expected 3 at most"):
        combine(frames)


@pytest.mark.parametrize("options", [{}, {"weights": [1, 2, 3, 1, 2, 3, 1]}, {"method": "median"}, {"clip": "sigma"}])
def test_a_stack_does_not_depend_on_how_the_rows_are_shared_out(rng, options, monkeypatch):
    # Some rows are without gaps, so that there are parts of which every value counts.
    values = rng.normal(100, 5, (7, 40, 30))
    values[:, 20:][rng.random((7, 20, 30)) < 0.3] = np.nan
    frames = [CCDFrame(one, unit="adu", uncertainty=StdDevUncertainty(np.full((40, 30), 5.0))) for one in values]

    def stack(step):
        def shared_out(work, rows, *others, **fixed):
            # Sums over pixels are taken over parts that are always the same.
            if fixed:
                over_rows(work, rows, *others, **fixed)
                return
            for start in range(0, rows, step):
                work(slice(start, min(start + step, rows)))

        monkeypatch.setattr("astro_calib.kernels.threads.over_rows", shared_out)
        return combine(frames, **options)

    whole = stack(40)
    for step in (1, 10, 13, 20):
        np.testing.assert_array_equal(stack(step).data, whole.data)
        np.testing.assert_array_equal(stack(step).variance, whole.variance)


@pytest.mark.parametrize("shape", [(2048, 2048), (100, 4), (5, 1000000), (1, 1), (70,)])
def test_a_sample_of_many_frames_is_not_larger_than_a_slab_of_them(shape):
    for number in (1, 10, 1000, 65535):
        rows = np.empty(shape[0])[sampled(shape, number)[0]]
        assert len(rows) >= min(8, shape[0])
        assert len(rows) <= 15 or number * len(rows) * np.prod(shape[1:]) <= 2 * BLOCK


def test_noise_that_is_shared_in_a_few_rows_only_does_not_reject_what_is_good_there():
    # A dark that is exact but for three rows, in frames of unlike exposure.
    rng = np.random.default_rng(7)
    shape = (1024, 128)
    sigma = np.full(shape, 0.002)
    sigma[501:504] = 60.0
    dark = NoiseSource("dark", sigma**2)
    error = rng.normal(0, sigma)
    frames = []
    for ratio in (*[0.2] * 9, 5.0):
        budget = UncertaintyBudget(shape, [(NoiseSource("read noise", 36.0), 1.0), (dark, -ratio)])
        frames.append(CCDFrame(rng.normal(1000, 6, shape) - ratio * error, unit="electron", budget=budget))
    stack = combine(frames, clip="sigma")
    assert stack.n_used[501:504].mean() > 9.9
    band = stack.data[501:504] - 1000
    assert band.std() == pytest.approx(np.sqrt(stack.variance[501:504].mean()), rel=0.15)
