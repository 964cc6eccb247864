"""Operands of the four operations: their kinds, units and types, with the noise that each brings."""

from __future__ import annotations

from functools import partial

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty

from astro_calib import CCDFrame
from tests.noise_checks import varied_frame

SHAPE = (3, 4)
RNG = np.random.default_rng(40)


frame = partial(varied_frame, RNG)


@pytest.fixture
def a():
    return frame(100, 5)


@pytest.fixture
def b():
    return frame(30, 3)


@pytest.fixture
def flat():
    return frame(1, 0.02, unit="")


# -- operands of any kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_plain_ccddata_on_either_side(a, kind):
    values = np.random.default_rng(1).uniform(20, 40, SHAPE)
    plain = CCDData(values, unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, 3.0)).represent_as(kind))
    expected = {
        "a - plain": (a - plain, a.data - values, 34.0),
        "plain - a": (plain - a, values - a.data, 34.0),
        "a + plain": (a + plain, a.data + values, 34.0),
        "plain + a": (plain + a, a.data + values, 34.0),
        "a * plain": (a * plain, a.data * values, 25 * values**2 + 9 * a.data**2),
        "plain * a": (plain * a, a.data * values, 25 * values**2 + 9 * a.data**2),
        "a / plain": (a / plain, a.data / values, 25 / values**2 + 9 * a.data**2 / values**4),
        "plain / a": (plain / a, values / a.data, 9 / a.data**2 + 25 * values**2 / a.data**4),
        "subtract": (a.subtract(plain), a.data - values, 34.0),
        "of the class": (CCDFrame.subtract(plain, a), values - a.data, 34.0),
    }
    for what, (result, data, variance) in expected.items():
        assert type(result) is CCDFrame, what
        np.testing.assert_allclose(result.data, data, rtol=1e-14, err_msg=what)
        np.testing.assert_allclose(result.variance, np.broadcast_to(variance, SHAPE), rtol=1e-12, err_msg=what)


@pytest.mark.parametrize("number", [4, 4.0, np.float32(4), np.float64(4), np.int16(4), np.uint16(4)])
def test_number_on_either_side(flat, number):
    data, variance = flat.data, 0.0004
    for result, value, scale in (
        (flat + number, data + 4, 1),
        (number + flat, data + 4, 1),
        (flat - number, data - 4, 1),
        (number - flat, 4 - data, 1),
        (flat * number, data * 4, 16),
        (number * flat, data * 4, 16),
        (flat / number, data / 4, 1 / 16),
        (number / flat, 4 / data, 16 / data**4),
    ):
        assert type(result) is CCDFrame
        np.testing.assert_allclose(result.data, value, rtol=1e-14)
        np.testing.assert_allclose(result.variance, np.broadcast_to(variance * scale, SHAPE), rtol=1e-12)


def test_quantity_on_either_side(a):
    level, rate, time = 40 * u.electron, np.full(SHAPE, 2.0) * u.electron, 5 * u.s
    for result, unit, value, variance in (
        (a + level, "electron", a.data + 40, 25),
        (level + a, "electron", a.data + 40, 25),
        (a - level, "electron", a.data - 40, 25),
        (level - a, "electron", 40 - a.data, 25),
        (a - rate, "electron", a.data - 2, 25),
        (rate - a, "electron", 2 - a.data, 25),
        (a * time, "electron s", a.data * 5, 625),
        (time * a, "electron s", a.data * 5, 625),
        (a / time, "electron / s", a.data / 5, 1),
        (time / a, "s / electron", 5 / a.data, 625 / a.data**4),
        (rate / a, "", 2 / a.data, 100 / a.data**4),
        (a / rate, "", a.data / 2, 25 / 4),
        (rate * a, "electron2", a.data * 2, 100),
    ):
        assert type(result) is CCDFrame
        assert result.unit == u.Unit(unit)
        np.testing.assert_allclose(result.data, value, rtol=1e-14)
        np.testing.assert_allclose(result.variance, np.broadcast_to(variance, SHAPE), rtol=1e-12)


def test_array_on_either_side(flat):
    array = np.random.default_rng(2).uniform(1, 2, SHAPE)
    for result, value, variance in (
        (flat + array, flat.data + array, 0.0004),
        (array + flat, flat.data + array, 0.0004),
        (flat - array, flat.data - array, 0.0004),
        (array - flat, array - flat.data, 0.0004),
        (flat * array, flat.data * array, 0.0004 * array**2),
        (array * flat, flat.data * array, 0.0004 * array**2),
        (flat / array, flat.data / array, 0.0004 / array**2),
        (array / flat, array / flat.data, 0.0004 * array**2 / flat.data**4),
        (flat.add(array.tolist()), flat.data + array, 0.0004),
    ):
        assert type(result) is CCDFrame
        np.testing.assert_allclose(result.data, value, rtol=1e-14)
        np.testing.assert_allclose(result.variance, np.broadcast_to(variance, SHAPE), rtol=1e-12)


@pytest.mark.parametrize("shape", [(4,), (3, 1), (1, 4)])
def test_exact_array_broadcasts_as_for_any_ccddata(flat, shape):
    array = np.random.default_rng(3).uniform(1, 2, shape)
    plain = CCDData(flat.data, unit="")
    for method in ("add", "subtract", "multiply", "divide"):
        np.testing.assert_allclose(getattr(flat, method)(array).data, getattr(plain, method)(array).data, rtol=1e-14)
    np.testing.assert_allclose((flat - array).variance, 0.0004, rtol=1e-13)
    np.testing.assert_allclose((flat / array).variance, np.broadcast_to(0.0004 / array**2, SHAPE), rtol=1e-13)


def test_masked_array_brings_its_mask(flat):
    mask = np.eye(3, 4, dtype=bool)
    np.testing.assert_array_equal((flat * np.ma.array(np.ones(SHAPE), mask=mask)).mask, mask)


def test_class_takes_both_operands_in_either_order(a):
    np.testing.assert_allclose(CCDFrame.subtract(a, 40 * u.electron).data, a.data - 40)
    np.testing.assert_allclose(CCDFrame.subtract(40 * u.electron, a).data, 40 - a.data)
    np.testing.assert_allclose(CCDFrame.divide(2.0, a).variance, 100 / a.data**4, rtol=1e-12)


def test_operand_without_uncertainty_is_exact(a, b):
    exact = CCDFrame(b.data, unit=b.unit)
    assert exact.variance is None
    np.testing.assert_allclose((a - exact).variance, 25)
    np.testing.assert_allclose((exact - a).variance, 25)
    np.testing.assert_allclose((a * exact).variance, 25 * b.data**2)
    np.testing.assert_allclose((exact / a).variance, 25 * b.data**2 / a.data**4)
    assert (exact - exact).variance is None
    assert not (exact * 2).budget
    assert (exact * 2).budget.terms == ()


def test_number_with_an_uncertainty_is_one_draw_for_the_whole_frame(a):
    # noise-model.md section 2: s a, with a source of shape () and coefficient a.
    scale = CCDData(2.0, unit="", uncertainty=StdDevUncertainty(np.array(0.1)))
    level = CCDData(40.0, unit="electron", uncertainty=StdDevUncertainty(np.array(2.0)))
    pixels = a.data.sum()
    for result, pixel_by_pixel, together in (
        (a * scale, 4 * 25 + 0.01 * a.data**2, 12 * 100 + 0.01 * pixels**2),
        (a / scale, 25 / 4 + (0.1 / 4) ** 2 * a.data**2, 12 * 25 / 4 + (0.1 / 4) ** 2 * pixels**2),
        (a - level, 25 + 4, 12 * 25 + 144 * 4),
        (a + level, 25 + 4, 12 * 25 + 144 * 4),
    ):
        np.testing.assert_allclose(result.variance, np.broadcast_to(pixel_by_pixel, SHAPE), rtol=1e-12)
        assert result.budget.variance_of_sum(np.ones(SHAPE)) == pytest.approx(together)


def test_result_of_a_sum_can_be_calculated_with(a, b):
    total, other = a.sum(), b.sum()
    for result, value, variance in (
        (total / 12, a.data.mean(), 25 / 12),
        (total - other, a.data.sum() - b.data.sum(), 12 * 34),
        (total - 1 * u.electron, a.data.sum() - 1, 300),
        (CCDFrame(5.0, unit="adu") * 2, 10, None),
    ):
        assert float(result.data) == pytest.approx(value)
        assert result.variance == (None if variance is None else pytest.approx(variance))


# -- units --------------------------------------------------------------------------------------------------------

KILO = u.Unit(1000 * u.electron)


def test_operands_of_sums_are_converted_to_the_unit_of_the_first(a):
    other = frame(0.03, 0.003, unit=KILO)
    for result in (a + other, CCDFrame.add(a, other)):
        assert result.unit == u.electron
        np.testing.assert_allclose(result.data, a.data + 1000 * other.data)
        np.testing.assert_allclose(result.variance, 34)
    np.testing.assert_allclose((other - a).variance, 34e-6)
    assert (other - a).unit == KILO
    np.testing.assert_allclose((a - other + other).variance, 25)
    np.testing.assert_allclose((a - 0.04 * KILO).data, a.data - 40)
    np.testing.assert_allclose((0.04 * KILO - a).convert_unit_to("electron").data, 40 - a.data)


def test_products_of_convertible_units_keep_their_meaning(a):
    other = frame(0.03, 0.003, unit=KILO)
    ratio = (a / other).convert_unit_to("")
    np.testing.assert_allclose(ratio.data, a.data / (1000 * other.data))
    np.testing.assert_allclose(
        ratio.variance, 25 / (1000 * other.data) ** 2 + 9 * a.data**2 / (1000 * other.data) ** 4, rtol=1e-12
    )


def test_conversion_is_that_of_a_sigma_and_keeps_the_noise(a):
    converted = a.convert_unit_to(KILO)
    assert converted.unit == KILO
    assert converted.uncertainty.unit == KILO**2
    np.testing.assert_allclose(converted.variance, 25e-6, rtol=1e-13)
    np.testing.assert_allclose((converted - a).variance, 0, atol=1e-20)


def test_percent_and_plain_numbers_add_up(flat):
    result = flat + 50 * u.percent
    assert result.unit == u.dimensionless_unscaled
    np.testing.assert_allclose(result.data, flat.data + 0.5)
    np.testing.assert_allclose((flat * (50 * u.percent)).convert_unit_to("").variance, 0.0001)


def test_conversion_that_is_no_factor_is_refused():
    warm = CCDFrame(np.ones(SHAPE), unit="deg_C", uncertainty=np.ones(SHAPE))
    with pytest.raises(u.UnitConversionError, match="by more than a factor"):
        warm.convert_unit_to("K", u.temperature())


# -- types --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        2,
        2.5,
        np.float64(2.5),
        2.5 * u.dimensionless_unscaled,
        np.ones(SHAPE, np.float32),
        CCDFrame(np.ones(SHAPE, np.uint16), unit=""),
        CCDFrame(np.ones(SHAPE, np.float32), unit="", uncertainty=np.ones(SHAPE)),
    ],
    ids=["int", "float", "float64 scalar", "quantity", "float32 array", "raw frame", "frame"],
)
def test_float32_stays_float32(other):
    flat = frame(1, 0.02, unit="", dtype=np.float32)
    for result in (flat + other, flat - other, flat * other, flat / other, other - flat, other * flat, other / flat):
        assert result.dtype == np.float32
        assert result.variance.dtype == np.float32
        assert result.uncertainty.array.dtype == np.float32


@pytest.mark.parametrize("unit", ["electron", KILO])
def test_float32_stays_float32_through_units_gain_sums_and_copies(unit):
    a = frame(100, 5, dtype=np.float32)
    for result in (
        a - 3 * u.Unit(unit),
        3.0 * u.Unit(unit) - a,
        a * (1.5 * u.adu / u.electron),
        a.convert_unit_to(KILO),
        a - frame(0.1, 0.01, unit=unit, dtype=np.float32),
        a.copy(),
        a[1:, ::-1],
        -a,
        CCDFrame(a),
    ):
        assert result.dtype == np.float32
        assert result.variance.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32])
def test_integers_never_wrap(dtype):
    largest = float(np.iinfo(dtype).max)
    low, high = (CCDFrame(np.full(SHAPE, value, dtype), unit="adu") for value in (1, np.iinfo(dtype).max))
    one, adu = dtype(1), u.adu
    for result, value in (
        (low - high, 1 - largest),
        (high + high, 2 * largest),
        (high * high, largest**2),
        (low / high, 1 / largest),
        (-high, -largest),
        (low - largest * adu, 1 - largest),
        (low * 3 - high, 3 - largest),
        (0 * adu - high, -largest),
        (high * 2, 2 * largest),
        (one * high + high, 2 * largest),
        (np.full(SHAPE, 2, dtype) * high, 2 * largest),
        (np.full(SHAPE, 1, dtype) * adu - high, 1 - largest),
    ):
        assert result.dtype.kind == "f"
        np.testing.assert_allclose(result.data, value, rtol=1e-6)
    np.testing.assert_array_equal(high.data, np.iinfo(dtype).max)


def test_16_bits_become_float32_and_32_bits_float64():
    for dtype, expected in ((np.uint16, np.float32), (np.int16, np.float32), (np.uint32, np.float64)):
        raw = CCDFrame(np.arange(12, dtype=dtype).reshape(SHAPE), unit="adu")
        assert (raw - raw).dtype == expected
        assert (raw - 1.0 * u.adu).dtype == expected


def test_operands_are_left_as_they_were(a, flat):
    before = a.data.copy(), a.variance.copy(), flat.data.copy(), flat.variance.copy()
    _ = (a - a / flat) * flat + 3 * a - a[:, :] / 7
    for array, old in zip((a.data, a.variance, flat.data, flat.variance), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("hand_over", [np.asarray, CCDFrame, CCDData])
def test_result_does_not_change_with_what_happens_to_the_divisor_later(a, hand_over):
    unit = {} if hand_over is np.asarray else {"unit": ""}
    divisor = np.full(SHAPE, 2.0)
    result = a / hand_over(divisor, **unit)
    divisor[...] = 4
    np.testing.assert_array_equal(result.data, a.data / 2)
    np.testing.assert_allclose(result.variance, 25 / 4)


def test_writing_into_a_flat_does_not_change_what_it_was_divided_by(a):
    flat = CCDFrame(np.full(SHAPE, 2.0), unit="")
    result = a / flat
    flat.data[0, 0] = 4
    np.testing.assert_allclose(result.variance, 25 / 4)
