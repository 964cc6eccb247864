"""Descriptions of a nonlinear response, against the formulas that camera documents use and against what is refused."""

from __future__ import annotations

import pickle

import astropy.units as u
import numpy as np
import pytest

from astro_calib import LinearityPolynomial, LinearityTable

CUBIC = LinearityPolynomial([1e-6, -4e-12], limit=50000 * u.adu)
TABLE = LinearityTable([10000, 30000, 60000] * u.adu, [10000, 31000, 64000] * u.adu)


# ---- the correction


def test_a_polynomial_is_that_of_the_formula():
    # x (1 + a1 x + a2 x^2) by hand.
    np.testing.assert_allclose(
        CUBIC.correct(np.array([0.0, 10000.0, 50000.0])), [0.0, 10000 * (1 + 0.01 - 0.0004), 50000 * (1 + 0.05 - 0.01)]
    )


def test_other_forms_of_the_same_polynomial():
    x = np.linspace(0, 30000, 7)
    # IRAF irlincor: ADU' = ADU (c1 + c2 ADU / 32767 + c3 (ADU / 32767)^2); its own example.
    iraf = x * (1.0 + 0.1 * (x / 32767) + 0.01 * (x / 32767) ** 2)
    np.testing.assert_allclose(
        LinearityPolynomial([0.1 / 32767, 0.01 / 32767**2], limit=32767 * u.adu).correct(x), iraf
    )
    # JWST and Roman: sum c_k F^k.
    sums = np.polynomial.polynomial.polyval(x, [0.0, 0.98, 2e-6, 3e-11])
    divided = LinearityPolynomial([2e-6 / 0.98, 3e-11 / 0.98], limit=32767 * u.adu)
    np.testing.assert_allclose(0.98 * divided.correct(x), sums)


def test_a_table_is_interpolated_and_begins_at_zero():
    signal = np.array([0.0, 4000.0, 10000.0, 20000.0, 45000.0, 60000.0])
    np.testing.assert_allclose(TABLE.correct(signal), [0.0, 4000.0, 10000.0, 20500.0, 47500.0, 64000.0])
    with_zero = LinearityTable([0, 10000, 30000, 60000] * u.adu, [0, 10000, 31000, 64000] * u.adu)
    assert with_zero == TABLE


@pytest.mark.parametrize("linearity", [CUBIC, TABLE])
def test_below_zero_and_above_the_limit_the_correction_goes_on_as_a_straight_line(linearity):
    limit = linearity.limit.value
    for edge, outward in ((0.0, -1000.0), (limit, 1000.0)):
        at_edge = linearity.correct(np.array([edge, edge + outward, edge + 5 * outward]))
        slopes = np.diff(at_edge) / (np.array([1, 4]) * outward)
        np.testing.assert_allclose(slopes, linearity.slope(np.array([edge])).item(), rtol=1e-9)


@pytest.mark.parametrize("linearity", [CUBIC, TABLE])
def test_the_slope_is_the_derivative(linearity):
    x = np.array([-500.0, 100.0, 9000.0, 25000.0, 49000.0, 70000.0])
    numerical = (linearity.correct(x + 1) - linearity.correct(x - 1)) / 2
    np.testing.assert_allclose(linearity.slope(x), numerical, rtol=1e-7)


@pytest.mark.parametrize("linearity", [CUBIC, TABLE])
def test_the_response_is_the_inverse_of_the_correction(linearity):
    x = np.linspace(-2000, 80000, 1001)
    np.testing.assert_allclose(linearity.response(linearity.correct(x)), x, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("linearity", [CUBIC, TABLE])
def test_the_type_stays(linearity, dtype):
    x = np.array([-5.0, 20000.0, 90000.0], dtype=dtype)
    assert linearity.correct(x).dtype == linearity.slope(x).dtype == dtype
    assert linearity.response(x).dtype == dtype
    uncertain = [
        LinearityPolynomial([1e-6], limit=50000 * u.adu, uncertainties=[1e-7]),
        LinearityTable([10000, 60000] * u.adu, [10000, 64000] * u.adu, [10, 20] * u.adu),
    ]
    assert all(part.dtype == dtype for one in uncertain for part in one.error_components(x))


# ---- its uncertainty


def variance(linearity, x):
    return sum(np.square(part) for part in linearity.error_components(x))


def test_the_variance_of_a_polynomial_is_that_of_its_coefficients():
    # JCGM 100:2008, eq. 13: g^T C g with g = (x^2, x^3).
    x = np.array([0.0, 1000.0, 30000.0, 50000.0])
    sigmas = np.array([2e-7, 4e-12])
    covariance = np.outer(sigmas, sigmas) * np.array([[1, -0.9], [-0.9, 1]])
    gradient = np.stack([x**2, x**3])
    correlated = LinearityPolynomial([1e-6, -4e-12], limit=50000 * u.adu, covariance=covariance)
    np.testing.assert_allclose(variance(correlated, x), np.einsum("ix,ij,jx->x", gradient, covariance, gradient))
    independent = LinearityPolynomial([1e-6, -4e-12], limit=50000 * u.adu, uncertainties=sigmas)
    np.testing.assert_allclose(variance(independent, x), sigmas**2 @ gradient**2)


def test_a_fully_correlated_polynomial_has_one_cause_of_error_and_an_exact_one_none():
    sigmas = np.array([2e-7, 4e-12, 1e-16])
    linearity = LinearityPolynomial([1e-6, -4e-12, 0], limit=50000 * u.adu, covariance=np.outer(sigmas, sigmas))
    (only,) = linearity.error_components(np.array([40000.0]))
    # The sign of an eigenvector is arbitrary.
    assert abs(only.item()) == pytest.approx(sigmas @ (40000.0 ** np.arange(2, 5)))
    assert CUBIC.error_components(np.array([40000.0])) == []
    assert TABLE.error_components(np.array([40000.0])) == []


def test_the_variance_of_a_table_is_that_of_its_neighbouring_values():
    # z = (1 - t) y_i + t y_i+1, also where the last segment is continued (t = 1.5).
    table = LinearityTable([10000, 30000, 60000] * u.adu, [10000, 31000, 64000] * u.adu, [10, 40, 60] * u.adu)
    found = variance(table, np.array([0.0, 5000.0, 10000.0, 25000.0, 30000.0, 75000.0]))
    expected = [0.0, 5.0**2, 10.0**2, (10 / 4) ** 2 + 30.0**2, 40.0**2, 20.0**2 + 90.0**2]
    np.testing.assert_allclose(found, expected)


def test_a_table_has_a_cause_of_error_for_each_value():
    table = LinearityTable([10000, 30000, 60000] * u.adu, [10000, 31000, 64000] * u.adu, [10, 40, 60] * u.adu)
    parts = np.array(table.error_components(np.array([5000.0, 25000.0, 45000.0])))
    np.testing.assert_allclose(parts, [[5.0, 2.5, 0.0], [0.0, 30.0, 20.0], [0.0, 0.0, 30.0]])


def test_a_long_table_has_few_causes_of_error_and_the_same_variance():
    nodes = np.arange(1, 201) * 300.0
    sigmas = np.random.default_rng(1).uniform(5, 50, 200)
    table = LinearityTable(nodes * u.adu, nodes * 1.01 * u.adu, sigmas * u.adu)
    x = np.random.default_rng(2).uniform(300, 60000, 1000)
    assert len(table.error_components(x)) == 16
    below = np.floor(x / 300).astype(int)
    part = x / 300 - below
    padded = np.append(0, sigmas)
    expected = ((1 - part) * padded[below]) ** 2 + (part * padded[np.minimum(below + 1, 200)]) ** 2
    np.testing.assert_allclose(variance(table, x), expected)


# ---- identity


def test_equal_descriptions_are_equal_and_can_be_sent_to_another_process():
    for one in (CUBIC, TABLE):
        again = pickle.loads(pickle.dumps(one))  # noqa: S301  our own bytes
        assert again == one
        assert hash(again) == hash(one)
        assert again.identity() == one.identity()
    others = [
        LinearityPolynomial([1e-6, -4.1e-12], limit=50000 * u.adu),
        LinearityPolynomial([1e-6, -4e-12], limit=50001 * u.adu),
        LinearityPolynomial([1e-6, -4e-12], limit=50000 * u.adu, uncertainties=[1e-7, 0]),
        TABLE,
    ]
    assert all(other != CUBIC for other in others)


def test_a_description_cannot_be_changed():
    with pytest.raises(AttributeError):
        CUBIC.limit = 60000 * u.adu
    with pytest.raises(ValueError, match="read-only"):
        TABLE.corrected[0] = 5 * u.adu
    nodes = [10000.0, 60000.0] * u.adu
    table = LinearityTable(nodes, nodes)
    nodes[0] = 20000 * u.adu
    assert table.measured[1] == 10000 * u.adu


# ---- what is refused


@pytest.mark.parametrize(
    ("coefficients", "place"),
    # The slope 1 - 2.5e-5 x is lowest at the limit; 1 - 8e-5 x + 1.5e-9 x^2 at x = 26667, where it is -0.067.
    [([-1.25e-5], "50000 adu"), ([-4e-5, 5e-10], "26666.7 adu")],
)
def test_a_corrected_signal_that_falls_is_refused(coefficients, place):
    with pytest.raises(ValueError, match=f"does not rise .* at {place}.*limit of 50000 adu.*lower limit"):
        LinearityPolynomial(coefficients, limit=50000 * u.adu)


def test_a_polynomial_may_fall_beyond_its_limit():
    # It turns at 1 / 2.4e-5 = 41667 adu.
    linearity = LinearityPolynomial([-1.2e-5], limit=40000 * u.adu)
    assert linearity.slope(np.array([1e5])).item() == pytest.approx(0.04)


@pytest.mark.parametrize("coefficients", [[], [np.nan], [[1e-6]], 1e-6])
def test_coefficients_are_a_list_of_numbers(coefficients):
    with pytest.raises(ValueError, match=r"coefficients are .* finite numbers \[a1, a2, \.\.\.\] in powers of 1/adu"):
        LinearityPolynomial(coefficients, limit=50000 * u.adu)


@pytest.mark.parametrize(
    ("limit", "error", "message"),
    [
        (50000, u.UnitTypeError, "limit has no unit; give it in adu"),
        (50000 * u.electron, u.UnitConversionError, "cannot be converted to adu"),
        (-5 * u.adu, ValueError, "one positive signal"),
        ([1, 2] * u.adu, ValueError, "one positive signal"),
        (np.inf * u.adu, ValueError, "expected finite numbers"),
    ],
)
def test_the_limit_is_a_signal(limit, error, message):
    with pytest.raises(error, match=message):
        LinearityPolynomial([1e-6], limit=limit)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"uncertainties": [1e-7]}, "expected 2 finite numbers, zero or positive"),
        ({"uncertainties": [1e-7, -1e-12]}, "expected 2 finite numbers, zero or positive"),
        ({"covariance": [[1e-14]]}, "matrix of 2 x 2 finite numbers"),
        ({"covariance": [[1e-14, 0], [1e-19, 1e-24]]}, "symmetric"),
        ({"covariance": [[1e-14, 2e-19], [2e-19, 1e-24]]}, "negative eigenvalues"),
        ({"covariance": np.eye(2) * 1e-14, "uncertainties": [1e-7, 1e-12]}, "not both"),
    ],
)
def test_uncertainties_are_those_of_the_coefficients(given, message):
    with pytest.raises(ValueError, match=message):
        LinearityPolynomial([1e-6, -4e-12], limit=50000 * u.adu, **given)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (([1, 2], [1, 2] * u.adu), u.UnitTypeError, "measured has no unit"),
        (([1, 2] * u.adu, [1, 2] * u.m), u.UnitConversionError, "corrected is .* cannot be converted to adu"),
        (([1, 2] * u.adu, [1, 2, 3] * u.adu), ValueError, r"measured \(2,\), corrected \(3,\); expected one length"),
        ((1 * u.adu, 1 * u.adu), ValueError, "expected one length"),
        (([] * u.adu, [] * u.adu), ValueError, "expected one length"),
        (([1, 3, 2] * u.adu, [1, 2, 3] * u.adu), ValueError, "measured must increase; after 3.0 adu comes 2.0 adu"),
        (([-1, 3] * u.adu, [1, 2] * u.adu), ValueError, "measured must increase; after 0.0 adu comes -1.0 adu"),
        (([1, 2, 3] * u.adu, [1, 2, 2] * u.adu), ValueError, "corrected must increase; after 2.0 adu comes 2.0 adu"),
        (([1, np.nan] * u.adu, [1, 2] * u.adu), ValueError, "measured is .* expected finite numbers"),
        (([0, 1] * u.adu, [5, 6] * u.adu), ValueError, "0 must stay 0"),
        (([1, 2] * u.adu, [1, 2] * u.adu, [1, -1] * u.adu), ValueError, "uncertainties are .* zero or positive"),
        (([1, 2] * u.adu, [1, 2] * u.adu, [1] * u.adu), ValueError, "expected one length"),
        (([0, 1] * u.adu, [0, 1] * u.adu, [1, 1] * u.adu), ValueError, "0 must stay 0"),
    ],
)
def test_a_table_is_of_increasing_signals(columns, error, message):
    with pytest.raises(error, match=message):
        LinearityTable(*columns)
