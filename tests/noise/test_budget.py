"""The uncertainty budget, against sums worked out by hand and against draws of random numbers."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_calib import NoiseSource, UncertaintyBudget
from astro_calib.errors import NoiseWarning, ShapeMismatchError
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import MAX_SOURCES
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.merge import MAX_CONSTITUENTS, merge_sources
from tests.noise_checks import assert_scatters_as_predicted

SHAPE = (4, 6)
AXES = {"pixel": (0, 1), "row": (0,), "column": (1,), "frame": ()}
EVERYWHERE = (slice(None), slice(None))


def budget(*terms, shape=SHAPE, **kwargs):
    return UncertaintyBudget(shape, terms, **kwargs)


def of_one(kind, variance=4.0, coefficient=1.0, shape=SHAPE, name=None):
    return budget((NoiseSource(name or kind, variance, axes=AXES[kind]), coefficient), shape=shape)


def total(*parts):
    """The budget of a sum of (budget, coefficient), or of plain budgets."""
    return UncertaintyBudget.linear([part if isinstance(part, tuple) else (part, 1.0) for part in parts])


def cells(kind, shape=SHAPE):
    """Shape of an array that has one element for each draw of a kind of noise."""
    return tuple(n if axis in AXES[kind] else 1 for axis, n in enumerate(shape))


# -- what a source is ---------------------------------------------------------------------------------------------


def test_identity_is_drawn_where_none_is_given():
    one, other = NoiseSource("read noise", 25.0), NoiseSource("read noise", 25.0)
    assert one.identity != other.identity
    assert one.axes == (0, 1)
    assert one.window == ((0, 1), (0, 1))
    assert copy.copy(one) is one
    assert copy.deepcopy(one) is one
    assert pickle.loads(pickle.dumps(one)).key == one.key  # noqa: S301  our own bytes


@pytest.mark.parametrize("variance", [np.ones((4, 5)), np.ones((6, 4)), np.ones((2, 4, 6))])
def test_what_does_not_broadcast_to_the_frame_is_refused_by_name(variance):
    source = NoiseSource("read noise", variance)
    with pytest.raises(ShapeMismatchError, match=r"variance of source 'read noise' has shape .* \(4, 6\)"):
        budget((source, 1.0))
    with pytest.raises(ShapeMismatchError, match=r"coefficient of source 'bias'"):
        budget((NoiseSource("bias", 1.0), variance))


def test_frames_of_different_shapes_are_not_added_nor_compared():
    one, other = of_one("pixel"), of_one("pixel", shape=(4, 5))
    with pytest.raises(ShapeMismatchError, match=r"\(4, 6\) and \(4, 5\)"):
        total(one, other)
    with pytest.raises(ShapeMismatchError, match=r"\(4, 6\) and \(4, 5\)"):
        one.covariance(other)
    with pytest.raises(ShapeMismatchError, match=r"\(4, 5\).*\(4, 6\)"):
        one.variance_of_sum(np.ones((4, 5)))


# -- variance and covariance of pixels ----------------------------------------------------------------------------


def test_variance_is_the_sum_of_squares_over_independent_sources():
    pattern = np.arange(24.0).reshape(SHAPE)
    rows = np.arange(1.0, 5)[:, None]
    result = budget(
        (NoiseSource("read noise", 25.0), 1.0),
        (NoiseSource("flat", pattern), -2.0),
        (NoiseSource("overscan", rows, axes=(0,)), pattern),
        (NoiseSource("gain", 0.01, axes=()), 10.0),
    )
    expected = {"read noise": np.full(SHAPE, 25.0), "flat": 4 * pattern, "overscan": pattern**2 * rows, "gain": 1.0}
    np.testing.assert_allclose(result.variance(), sum(expected.values()), rtol=1e-14)
    parts = result.variances()
    assert list(parts) == list(expected) == list(result.names)
    for name, part in parts.items():
        np.testing.assert_allclose(part, np.broadcast_to(expected[name], SHAPE), rtol=1e-14)


def test_terms_of_one_source_are_added_before_they_are_squared():
    source = NoiseSource("bias", 9.0)
    assert budget((source, 2.0), (source, -0.5)).variance()[0, 0] == 9 * 1.5**2
    gone = budget((source, 2.0), (source, -2.0))
    assert gone.terms == ()
    assert not gone.variance().any()
    assert "exact" in repr(gone)


def test_covariance_is_that_of_the_shared_sources():
    shared, own_a, own_b = (NoiseSource(name, v) for name, v in (("bias", 9.0), ("a", 4.0), ("b", 1.0)))
    weight = np.linspace(-1, 1, 24).reshape(SHAPE)
    a, b = budget((own_a, 1.0), (shared, -1.0)), budget((own_b, 1.0), (shared, weight))
    np.testing.assert_allclose(a.covariance(b), -9 * weight, rtol=1e-14)
    np.testing.assert_allclose(a.covariance(b), b.covariance(a), rtol=0)
    np.testing.assert_allclose(a.covariance(a), a.variance(), rtol=0)
    # Var(a + b) = Var a + Var b + 2 Cov(a, b)
    np.testing.assert_allclose(total(a, b).variance(), a.variance() + b.variance() + 2 * a.covariance(b), rtol=1e-14)
    np.testing.assert_array_equal(a.covariance(of_one("pixel")), 0)


def test_parts_of_related_sources_still_add_up_to_the_variance():
    a, b, c = (of_one("pixel", name=name) for name in "abc")
    mean = budget(merge_sources([(x.terms[0][0], Coefficient(1 / 3)) for x in (a, b, c)], SHAPE, "stack"))
    difference = total(mean, (a, -1.0))
    # (a + b + c)/3 - a: 4 (4/9 + 1/9 + 1/9)
    np.testing.assert_allclose(difference.variance(), 4 * 6 / 9, rtol=1e-14)
    np.testing.assert_allclose(sum(difference.variances().values()), difference.variance(), rtol=1e-14)
    weights = np.ones(SHAPE)
    assert difference.variance_of_sum(weights) == pytest.approx(24 * 4 * 6 / 9)
    assert sum(difference.variances_of_sum(weights).values()) == pytest.approx(24 * 4 * 6 / 9)


def test_same_row_noise_under_the_same_row_and_not_under_another():
    source = NoiseSource("overscan", np.arange(1.0, 5)[:, None], axes=(0,))
    frame = budget((source, 1.0))
    same_rows = total((frame[1:3, :2], 1.0), (frame[1:3, 2:4], -1.0))
    assert not same_rows.variance().any()
    other_rows = total((frame[1:3, :2], 1.0), (frame[2:4, :2], -1.0))
    np.testing.assert_allclose(other_rows.variance(), [[2.0 + 3] * 2, [3.0 + 4] * 2])


def test_frame_noise_is_the_same_in_every_cut():
    frame = of_one("frame")
    assert not total((frame[:2, :2], 1.0), (frame[2:, 3:5], -1.0)).variance().any()


def test_variance_is_of_the_asked_type_and_read_only():
    frame = of_one("pixel", np.full(SHAPE, 4.0), coefficient=np.ones(SHAPE))
    assert frame.variance().dtype == np.float64
    assert frame.astype(np.float32).variance().dtype == np.float32
    assert budget(*frame.terms, dtype=np.float32).variance().dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        frame.variance()[0, 0] = 0


def test_making_another_budget_leaves_the_first_as_it_was():
    frame = of_one("pixel")
    data = np.full(SHAPE, 3.0)
    frame.with_terms([(NoiseSource("gain", 1.0, axes=()), 1.0)])
    frame.scaled(5.0, 1, data)
    frame.shifted(5.0, data)
    frame.named("bias", ["pixel"])
    _ = frame[:2, :2]
    total(frame, frame)
    assert frame.names == ("pixel",)
    np.testing.assert_array_equal(frame.variance(), 4)


@pytest.mark.parametrize("power", [1, -1])
@pytest.mark.parametrize("factor", [3.0, np.linspace(0.5, 2, 24).reshape(SHAPE)])
def test_scaling_scales_the_sigma(factor, power):
    data = np.linspace(50, 100, 24).reshape(SHAPE)
    flat = NoiseSource("flat", 1e-4)
    frame = budget((NoiseSource("read noise", 4.0), 1.0), (flat, Coefficient(-1.0).times(SELF_DATA)), data=data)
    scaled = frame.scaled(factor, power, data * factor**power)
    np.testing.assert_allclose(scaled.variance(), (4 + 1e-4 * data**2) * factor ** (2 * power), rtol=1e-13)


def test_adding_a_number_changes_no_variance():
    data = np.linspace(50, 100, 24).reshape(SHAPE)
    frame = budget((NoiseSource("flat", 1e-4), Coefficient(-1.0).times(SELF_DATA)), data=data)
    shifted = frame.shifted(40.0, data + 40)
    np.testing.assert_allclose(shifted.variance(), 1e-4 * data**2, rtol=1e-13)
    # A second step must start from what the first one left.
    np.testing.assert_allclose(shifted.scaled(2.0, 1, 2 * data + 80).variance(), 4e-4 * data**2, rtol=1e-13)


def test_sources_can_be_named_after_what_they_became():
    frame = budget((NoiseSource("read noise", 4.0), 1.0), (NoiseSource("gain", 1.0, axes=()), 1.0))
    bias = frame.named("bias", ["read noise"])
    assert bias.names == ("bias", "gain")
    assert not total(frame, (bias, -1.0)).variance().any()


# -- cuts ---------------------------------------------------------------------------------------------------------

any_slice = st.builds(slice, *[st.none() | st.integers(-7, 7)] * 2, st.sampled_from([None, 1, 2, 3, -1, -2]))


@given(rows=any_slice, columns=any_slice, inner=any_slice)
def test_cut_of_a_budget_has_the_cut_of_its_variance(rows, columns, inner):
    data = np.linspace(50, 100, 24).reshape(SHAPE)
    frame = budget(
        (NoiseSource("read noise", data / 7), data),
        (NoiseSource("overscan", data[:, :1], axes=(0,)), -1.0),
        (NoiseSource("level", data[:1], axes=(1,)), data[:, :1]),
        (NoiseSource("gain", 2.0, axes=()), Coefficient(1.0).times(SELF_DATA)),
        data=data,
    )
    expected = frame.variance()[rows, columns][inner]
    fresh = budget(*frame.terms, data=data)
    np.testing.assert_allclose(fresh[rows, columns][inner, :].variance(), expected, rtol=1e-13)


@pytest.mark.parametrize("what", ["variance", "coefficient"])
def test_array_of_fewer_axes_broadcasts_and_is_cut_as_numpy_does(what):
    row = np.arange(1.0, 7)
    frame = (
        budget((NoiseSource("x", row), 1.0)) if what == "variance" else budget((NoiseSource("x", 1.0), np.sqrt(row)))
    )
    np.testing.assert_allclose(frame.variance(), np.broadcast_to(row, SHAPE))
    np.testing.assert_allclose(frame[1:3, 2:5].variance(), [[3, 4, 5]] * 2)


# -- weighted sums over pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    # 24 pixels of variance 4; 4 rows of 6; 6 columns of 4; all together.
    [("pixel", 24 * 4), ("row", 4 * 4 * 36), ("column", 4 * 6 * 16), ("frame", 4 * 24**2)],
)
def test_noise_adds_coherently_where_it_is_one_draw(kind, expected):
    frame = of_one(kind)
    assert frame.variance_of_sum(np.ones(SHAPE)) == pytest.approx(expected)
    assert frame.variances_of_sum(np.ones(SHAPE)) == {kind: pytest.approx(expected)}


def test_what_aperture_and_annulus_share_cancels():
    # Aperture: columns 0 and 1 of rows 0 and 1, 4 pixels. Annulus: the other 20, weighed to a sky of the same area.
    weights = np.full(SHAPE, -4 / 20)
    weights[:2, :2] = 1
    assert of_one("frame").variance_of_sum(weights) == pytest.approx(0, abs=1e-12)
    assert of_one("pixel").variance_of_sum(weights) == pytest.approx(4 * (4 + 20 / 25))
    # Rows 0, 1 hold 2 - 4/5 = 1.2, rows 2, 3 hold -6/5 = -1.2.
    assert of_one("row").variance_of_sum(weights) == pytest.approx(4 * 4 * 1.2**2)
    # Columns 0, 1: 2 - 2/5 = 1.6; columns 2 to 5: -4/5.
    assert of_one("column").variance_of_sum(weights) == pytest.approx(4 * (2 * 1.6**2 + 4 * 0.8**2))


def test_annulus_within_the_rows_of_the_aperture_takes_their_overscan_away():
    weights = np.zeros(SHAPE)
    weights[1, 2:4] = 1
    weights[1, [0, 5]] = -1
    assert of_one("row").variance_of_sum(weights) == 0
    assert of_one("pixel").variance_of_sum(weights) == 16


def test_pixels_without_weight_do_not_count_whatever_is_in_them():
    variance, coefficient = np.full(SHAPE, 4.0), np.ones(SHAPE)
    variance[0, 0] = np.nan
    coefficient[1, 1] = np.inf
    frame = budget((NoiseSource("x", variance), coefficient))
    weights = np.ones(SHAPE)
    weights[0, 0] = weights[1, 1] = 0
    assert frame.variance_of_sum(weights) == pytest.approx(22 * 4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["variance", "coefficient"])
def test_sum_over_a_pixel_of_unknown_error_has_an_unknown_error(what, value):
    # Not that of the other pixels, and not zero, which would be an exact sum.
    array = np.ones(SHAPE)
    array[1, 1] = value
    term = (NoiseSource("x", array), 1.0) if what == "variance" else (NoiseSource("x", 1.0), array)
    assert not np.isfinite(budget(term, (NoiseSource("y", 4.0), 1.0)).variance_of_sum(np.ones(SHAPE)))


@pytest.mark.parametrize("kind", AXES)
def test_weighted_sum_scatters_as_predicted(kind):
    rng = np.random.default_rng(9)
    variance, coefficient = rng.uniform(1, 4, cells(kind)), rng.uniform(-2, 2, SHAPE)
    weights = rng.uniform(-1, 1, SHAPE) * (rng.random(SHAPE) > 0.3)
    draws = rng.normal(0, np.sqrt(variance), (100_000, *cells(kind)))
    sums = np.einsum("nij,ij->n", np.broadcast_to(draws, (len(draws), *SHAPE)), coefficient * weights)
    frame = budget((NoiseSource(kind, variance, axes=AXES[kind]), coefficient))
    assert_scatters_as_predicted(sums, frame.variance_of_sum(weights), tolerance=0.008)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((slice(None), slice(0, 5)), (slice(None), slice(1, 6))),
        ((slice(0, 3), slice(0, 4)), (slice(1, 4), slice(2, 6))),
        ((slice(None), slice(None)), (slice(None), slice(None, None, -1))),
        ((slice(None), slice(0, 6, 2)), (slice(None), slice(1, 4))),
        ((slice(None), slice(0, 6, 2)), (slice(None), slice(5, None, -2))),
        ((slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6))),
    ],
    ids=["shifted", "dithered", "mirrored", "strided", "strided, mirrored", "apart"],
)
@pytest.mark.parametrize("kind", AXES)
def test_two_regions_of_one_source_in_one_sum(kind, first, second):
    """The truth: the weights that each draw gets, added up on the source's own grid, then squared."""
    rng = np.random.default_rng(10)
    variance = rng.uniform(1, 4, cells(kind))
    source = budget((NoiseSource(kind, variance, axes=AXES[kind]), 1.0))
    frame = total((source[first], 2.0), (source[second], -1.0))
    weights = rng.uniform(-1, 1, frame.shape)
    on_grid = np.zeros(SHAPE)
    on_grid[first] += 2 * weights
    on_grid[second] -= weights
    collapsed = tuple(axis for axis in (0, 1) if axis not in AXES[kind])
    expected = np.sum(variance * on_grid.sum(axis=collapsed, keepdims=True) ** 2)
    assert frame.variance_of_sum(weights) == pytest.approx(expected, rel=1e-12)
    # One pixel alone is an aperture, too.
    single = [np.zeros(frame.shape) for _ in range(frame.variance().size)]
    for index, weight in enumerate(single):
        weight.flat[index] = 1
    by_pixel = np.reshape([frame.variance_of_sum(weight) for weight in single], frame.shape)
    np.testing.assert_allclose(frame.variance(), by_pixel, rtol=1e-12)


# -- merging ------------------------------------------------------------------------------------------------------


def sources(number, kind="pixel", variance=4.0):
    return [NoiseSource(f"frame {i}", variance, axes=AXES[kind]) for i in range(number)]


@pytest.mark.parametrize("kind", AXES)
def test_merged_source_has_the_variance_of_the_sum_and_remembers_its_parts(kind):
    parts = sources(3, kind)
    terms = [(source, Coefficient(1 / 3)) for source in parts]
    stack = budget(merge_sources(terms, SHAPE, "stack"))
    np.testing.assert_allclose(stack.variance(), 4 / 3, rtol=1e-14)
    mean = budget(*terms)
    np.testing.assert_allclose(stack.covariance(mean), 4 / 3, rtol=1e-14)
    np.testing.assert_allclose(total(stack, (mean, -1.0)).variance(), 0, atol=1e-14)
    weights = np.random.default_rng(1).uniform(-1, 1, SHAPE)
    assert stack.variance_of_sum(weights) == pytest.approx(mean.variance_of_sum(weights))
    assert total(stack, (mean, -1.0)).variance_of_sum(weights) == pytest.approx(0, abs=1e-12)
    left_out = total(stack, (budget((parts[0], 1.0)), -1.0))
    np.testing.assert_allclose(left_out.variance(), 4 * (4 / 9 + 2 / 9), rtol=1e-14)


def test_stacks_of_overlapping_frames_have_the_covariance_of_their_common_frames():
    parts = sources(10, variance=25.0)
    few, all_of_them = (
        budget(merge_sources([(source, Coefficient(1 / n)) for source in parts[:n]], SHAPE, f"mean of {n}"))
        for n in (5, 10)
    )
    # noise-model.md section 5, number 4: sqrt(0.1) sigma.
    np.testing.assert_allclose(np.sqrt(total(few, (all_of_them, -1.0)).variance()), np.sqrt(0.1) * 5, rtol=1e-12)
    apart = budget(merge_sources([(source, Coefficient(0.2)) for source in parts[5:]], SHAPE, "the others"))
    np.testing.assert_array_equal(few.covariance(apart), 0)


def test_same_stack_made_twice_is_the_same_noise_in_whatever_order():
    parts = [(source, Coefficient(0.25)) for source in sources(4)]
    one, other = (merge_sources(terms, SHAPE, "stack") for terms in (parts, parts[::-1]))
    assert one[0].identity == other[0].identity
    unequal = merge_sources([(parts[0][0], Coefficient(0.3)), *parts[1:]], SHAPE, "stack")
    assert unequal[0].identity != one[0].identity


def test_cut_of_a_stack_is_the_stack_of_the_cuts():
    parts = sources(3)
    terms = [(source, Coefficient(1 / 3)) for source in parts]
    item = (slice(1, 3), slice(None, None, -2))
    stack = budget(merge_sources(terms, SHAPE, "stack"))[item]
    first = budget((parts[0], 1.0))
    np.testing.assert_allclose(stack.covariance(first[item]), 4 / 3, rtol=1e-14)
    np.testing.assert_array_equal(stack.covariance(first[2:4, :3]), 0)
    of_cuts = merge_sources([budget(term)[item].terms[0] for term in terms], (2, 3), "stack")
    np.testing.assert_allclose(budget(of_cuts, shape=(2, 3)).covariance(first[item]), 4 / 3, rtol=1e-14)


@pytest.mark.parametrize("kind", AXES)
def test_merged_source_keeps_each_pixel_where_coefficients_vary(kind):
    rng = np.random.default_rng(2)
    terms = [(source, Coefficient(rng.uniform(0.5, 1.5, SHAPE))) for source in sources(3, kind)]
    merged = budget(merge_sources(terms, SHAPE, "stack"))
    np.testing.assert_allclose(merged.variance(), budget(*terms).variance(), rtol=1e-12)


def test_inflation_is_that_of_the_variance():
    terms = [(source, Coefficient(0.2)) for source in sources(5)]
    # The variance of a median of 5, noise-model.md section 4.
    source, coefficient = merge_sources(terms, SHAPE, "median", variance_factor=1.4342)
    median = budget((source, coefficient))
    np.testing.assert_allclose(median.variance(), 1.4342 * 4 / 5, rtol=1e-14)
    # The inflated part is none of the constituents': the median goes with each of them as the mean does.
    np.testing.assert_allclose(median.covariance(budget((terms[0][0], 1.0))), 4 / 5, rtol=1e-14)


def test_stack_remembers_a_bounded_number_of_frames_and_says_so():
    terms = [(source, Coefficient(1.0)) for source in sources(MAX_CONSTITUENTS + 10)]
    with pytest.warns(NoiseWarning, match=f"remembers {MAX_CONSTITUENTS} of its {MAX_CONSTITUENTS + 10}"):
        source, _ = merge_sources(terms, (1, 1), "stack")
    assert len(source.constituents) == MAX_CONSTITUENTS


def test_sources_beyond_what_can_be_kept_apart_are_merged_with_a_warning():
    parts = sources(MAX_SOURCES)
    kept = budget(*((source, 1.0) for source in parts))
    assert len(kept.terms) == MAX_SOURCES
    with pytest.warns(NoiseWarning, match=f"more than {MAX_SOURCES} sources"):
        merged = total(kept, of_one("pixel"))
    assert len(merged.terms) <= MAX_SOURCES
    np.testing.assert_allclose(merged.variance(), 4 * (MAX_SOURCES + 1), rtol=1e-13)
    first = budget((parts[0], 1.0))
    np.testing.assert_allclose(merged.covariance(first), 4, rtol=1e-13)
    np.testing.assert_allclose(total(merged, (first, -1.0)).variance(), 4 * MAX_SOURCES, rtol=1e-13)


@pytest.mark.parametrize(
    "kind", ["pixel", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("row", "column", "frame"))]
)
def test_chain_of_a_thousand_additions_stays_small_and_exact(kind):
    shape = (50, 60)
    chain = of_one("pixel", np.full(shape, 1.0), shape=shape)
    start = chain
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseWarning)
        for _ in range(1000):
            source = NoiseSource("x", np.full(cells(kind, shape), 2.0), axes=AXES[kind])
            chain = total(chain, budget((source, 1.0), shape=shape))
            assert len(chain.terms) <= MAX_SOURCES
    np.testing.assert_allclose(chain.variance(), 2001, rtol=1e-9)
    np.testing.assert_allclose(chain.covariance(start), 1, rtol=1e-9)
    assert len(pickle.dumps(chain)) < 1.2 * MAX_SOURCES * 8 * 50 * 60


def test_variance_stays_exact_when_a_stack_is_merged_with_its_own_constituents():
    first, second = sources(2)
    stack = budget(merge_sources([(first, Coefficient(0.5)), (second, Coefficient(0.5))], SHAPE, "stack"))
    # The stack less its constituents is exactly zero; 70 more independent frames of variance 4 are added.
    chain = total(stack, (budget((first, 1.0)), -0.5), (budget((second, 1.0)), -0.5))
    np.testing.assert_allclose(chain.variance(), 0, atol=1e-14)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseWarning)
        for source in sources(70):
            chain = total(chain, budget((source, 1.0)))
    np.testing.assert_allclose(chain.variance(), 280, rtol=1e-12)


def test_covariance_with_a_stack_that_was_merged_with_its_own_constituent():
    first, second = sources(2)
    pair = merge_sources([(first, Coefficient(0.5)), (second, Coefficient(0.5))], SHAPE, "pair")
    # 0.5 a + 0.5 pair = 0.75 a + 0.25 b, and 70 frames more.
    chain = budget((first, 0.5), (pair[0], pair[1] * 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseWarning)
        for source in sources(70):
            chain = total(chain, budget((source, 1.0)))
    np.testing.assert_allclose(chain.covariance(budget((first, 1.0))), 4 * 0.75, rtol=1e-12)
    np.testing.assert_allclose(chain.covariance(budget(pair)), 4 * (0.75 + 0.25) / 2, rtol=1e-12)


def test_frame_that_holds_a_stack_and_one_of_its_constituents():
    first, second = sources(2)
    pair = merge_sources([(first, Coefficient(0.5)), (second, Coefficient(0.5))], SHAPE, "pair")
    mixed = budget((first, 0.5), (pair[0], pair[1] * 0.5))
    # 0.5 a + 0.25 (a + b) = 0.75 a + 0.25 b, with variances of 4.
    np.testing.assert_allclose(mixed.variance(), 4 * (0.5625 + 0.0625), rtol=1e-13)
    np.testing.assert_allclose(mixed.covariance(budget((first, 1.0))), 4 * 0.75, rtol=1e-13)
    np.testing.assert_allclose(mixed.covariance(budget((second, 1.0))), 4 * 0.25, rtol=1e-13)
    np.testing.assert_allclose(mixed.covariance(budget(pair)), 4 * (0.75 + 0.25) / 2, rtol=1e-13)
