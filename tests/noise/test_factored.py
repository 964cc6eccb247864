"""Coefficients, against the same expressions written out with NumPy."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_calib.noise.arrays import SELF_DATA, ArrayRef
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.propagation import of_first

RNG = np.random.default_rng(20)
SHAPE = (3, 4)
FLAT, SKY, ROWS, COLUMNS = (RNG.uniform(0.5, 2, shape) for shape in (SHAPE, SHAPE, (3, 1), (1, 4)))


def data_of_frame():
    return RNG.uniform(50, 150, SHAPE)


@pytest.mark.parametrize("number", [0.0, 1.0, -2.5])
def test_number_stays_a_number(number):
    value = Coefficient(number)
    assert value.number == number
    assert np.ndim(value.evaluate()) == 0
    assert value.evaluate() == number
    assert value.is_zero == (number == 0)


def test_array_is_referenced_and_cannot_be_written_through():
    array = np.ones(SHAPE)
    result = Coefficient(array).evaluate()
    assert np.shares_memory(result, array)
    assert not result.flags.writeable
    assert array.flags.writeable
    assert Coefficient(array).number is None


def test_product_of_sums_is_that_of_numpy():
    left = Coefficient(3.0).times(FLAT, -1) + Coefficient(2.0).times(SKY)
    right = Coefficient(0.5).times(ROWS, 2) + Coefficient(-1.0)
    expected = (3 / FLAT + 2 * SKY) * (0.5 * ROWS**2 - 1)
    np.testing.assert_allclose(left.product(right).evaluate(), expected, rtol=1e-12)
    np.testing.assert_allclose(right.product(left).evaluate(), expected, rtol=1e-12)


@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), min_size=0, max_size=7)),
        max_size=9,
    )
)
def test_any_sum_of_products_is_that_of_numpy(terms):
    arrays = [FLAT, SKY, ROWS, COLUMNS]
    total, expected = Coefficient(0.0), np.zeros(SHAPE)
    for number, factors in terms:
        product, value = Coefficient(number), np.full(SHAPE, number)
        for index, power in factors:
            product = product.times(arrays[index], power)
            value = value * arrays[index] ** power
        total = total + product
        expected = expected + value
    np.testing.assert_allclose(np.broadcast_to(total.evaluate(), SHAPE), expected, rtol=1e-9, atol=1e-9)


def test_equal_products_cancel_to_exactly_zero_whatever_their_order():
    one = Coefficient(0.1).times(FLAT, -1).times(SKY)
    other = Coefficient(0.1).times(SKY).times(FLAT, -1)
    assert one == other
    assert hash(one) == hash(other)
    assert (one + other * -1).is_zero
    assert (one + other * -1).evaluate() == 0
    assert Coefficient(1.0).times(FLAT).times(FLAT, -1).number == 1


def test_slices_of_one_region_are_one_field_and_of_two_regions_two():
    assert ArrayRef(FLAT[1:, :2]) == ArrayRef(FLAT[1:, :2])
    assert hash(ArrayRef(FLAT[1:, :2])) == hash(ArrayRef(FLAT[1:, :2]))
    assert ArrayRef(FLAT[1:, :2]) != ArrayRef(FLAT[:2, :2])
    assert ArrayRef(FLAT[:, ::-1]) != ArrayRef(FLAT)
    assert ArrayRef(FLAT) != ArrayRef(FLAT.copy())
    assert ArrayRef(FLAT) != ArrayRef(FLAT.view(np.int64))


def test_ratio_is_found_where_there_is_one():
    base = Coefficient(2.0).times(FLAT, -1) + Coefficient(4.0)
    assert (base * -3).ratio_to(base) == -3
    assert Coefficient(6.0).ratio_to(Coefficient(4.0)) == 1.5
    assert (base + Coefficient(1.0)).ratio_to(base) is None
    assert Coefficient(1.0).times(SKY).ratio_to(Coefficient(1.0).times(FLAT)) is None


@pytest.mark.parametrize("power", [1, -1])
@pytest.mark.parametrize("scale", [3.0, FLAT, ROWS])
def test_own_data_follow_a_frame_that_is_scaled(scale, power):
    # dz/de = -z/f + 2: after z' = z b it is b times that.
    data = data_of_frame()
    coefficient = Coefficient(-1.0).times(SELF_DATA).times(SKY, -1) + Coefficient(2.0)
    scaled = of_first(np.multiply if power == 1 else np.true_divide, coefficient, lambda: scale)
    factor = scale**power
    np.testing.assert_allclose(scaled.evaluate(data * factor), (2 - data / SKY) * factor, rtol=1e-13)


def test_own_data_follow_a_frame_to_which_a_number_is_added():
    # dz/de does not change when a constant is added to z.
    data = data_of_frame()
    coefficient = Coefficient(-1.0).times(SELF_DATA).times(SKY, -1) + Coefficient(2.0)
    np.testing.assert_allclose(
        of_first(np.add, coefficient, lambda: 40.0).evaluate(data + 40), 2 - data / SKY, rtol=1e-12
    )


def test_own_data_can_be_written_out():
    data = data_of_frame()
    coefficient = Coefficient(-1.0).times(SELF_DATA).times(SKY, -1) + Coefficient(2.0)
    assert coefficient.depends_on_own
    bound = coefficient.with_data(data)
    assert not bound.depends_on_own
    np.testing.assert_allclose(bound.evaluate(), 2 - data / SKY, rtol=1e-14)
    independent = Coefficient(2.0).times(SKY)
    assert independent.with_data(data) is independent


def test_own_data_must_be_given():
    with pytest.raises(ValueError, match="depends on the data of its frame"):
        Coefficient(1.0).times(SELF_DATA).evaluate()


@pytest.mark.parametrize(
    "item",
    [
        (slice(1, 3), slice(0, 2)),
        (slice(None), slice(1, None)),
        (slice(None, None, -1), slice(None, None, 2)),
        (slice(0, 1), slice(3, 4)),
    ],
)
def test_cut_of_the_coefficient_is_the_cut_of_its_value(item):
    data = data_of_frame()
    coefficient = (
        Coefficient(3.0).times(FLAT, -1).times(ROWS)
        + Coefficient(2.0).times(COLUMNS)
        + Coefficient(1.0).times(SELF_DATA)
    )
    expected = (3 / FLAT * ROWS + 2 * COLUMNS + data)[item]
    np.testing.assert_allclose(coefficient.cut(item, SHAPE).evaluate(data[item]), expected, rtol=1e-14)
    assert Coefficient(5.0).cut(item, SHAPE).number == 5


def test_array_of_fewer_axes_is_cut_as_it_broadcasts():
    array = np.arange(4.0)
    item = (slice(1, 3), slice(2, 4))
    cut = Coefficient(array).cut(item, SHAPE)
    np.testing.assert_array_equal(np.broadcast_to(cut.evaluate(), (2, 2)), np.broadcast_to(array, SHAPE)[item])


def test_the_same_cut_of_two_coefficients_still_cancels():
    item = (slice(1, 3), slice(0, 2))
    one, other = (Coefficient(2.0).times(FLAT, -1).cut(item, SHAPE) for _ in range(2))
    assert (one + other * -1).is_zero


def test_long_sums_and_products_hold_a_bounded_number_of_arrays():
    size = 10_000
    arrays = [RNG.uniform(0.9, 1.1, size) for _ in range(60)]
    total, product = Coefficient(0.0), Coefficient(1.0)
    for array in arrays:
        total = total + Coefficient(0.5).times(array)
        product = product.times(array)
    np.testing.assert_allclose(total.evaluate(), 0.5 * np.sum(arrays, axis=0), rtol=1e-12)
    np.testing.assert_allclose(product.evaluate(), np.prod(arrays, axis=0), rtol=1e-12)
    for value in (total, product):
        assert len(pickle.dumps(value)) < 8 * 8 * size


def test_copies_and_pickles_keep_the_value():
    data = data_of_frame()
    coefficient = Coefficient(-1.0).times(SELF_DATA).times(SKY, -1) + Coefficient(2.0)
    assert copy.copy(coefficient) is coefficient
    assert copy.deepcopy(coefficient) is coefficient
    again = pickle.loads(pickle.dumps(coefficient))  # noqa: S301  our own bytes
    assert again.depends_on_own
    np.testing.assert_array_equal(again.evaluate(data), coefficient.evaluate(data))
    # `SELF_DATA` is one object in all processes: coefficients of it still find each other.
    assert (Coefficient(1.0).times(SELF_DATA) + pickle.loads(pickle.dumps(Coefficient(-1.0).times(SELF_DATA)))).is_zero  # noqa: S301  our own bytes


def test_float32_arrays_give_float32():
    flat, sky = FLAT.astype(np.float32), SKY.astype(np.float32)
    coefficient = Coefficient(2.0).times(flat, -1).times(sky, 2) + Coefficient(0.5)
    assert coefficient.evaluate().dtype == np.float32


def test_division_by_zero_is_infinite_without_a_warning():
    np.testing.assert_array_equal(Coefficient(1.0).times(np.array([0.0, 2.0]), -1).evaluate(), [np.inf, 0.5])
