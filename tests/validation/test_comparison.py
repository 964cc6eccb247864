from __future__ import annotations

import io

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.table import Table

from astro_calib.validation import compare_noise


def row_of(errors, variances):
    """The row of a single case."""
    return compare_noise({"a case (e)": (errors, variances)})[0]


def test_columns_and_order_of_the_cases():
    table = compare_noise({"b (e)": ([3.0, -3.0], 9.0), "a (%)": ([1.0, -1.0], 4.0)})
    assert table.colnames == ["quantity", "predicted", "observed", "ratio", "standard error"]
    assert list(table["quantity"]) == ["b (e)", "a (%)"]


def test_by_hand():
    # The squares are 1, 9, 25 and 49: their mean is 21.
    row = row_of([1, -3, 5, -7], [10, 20, 30, 40])
    assert row["predicted"] == pytest.approx(5)
    assert row["observed"] == pytest.approx(np.sqrt(21))
    assert row["ratio"] == pytest.approx(np.sqrt(21) / 5)
    # Squares less 0.84 times the variances: -7.4, -7.8, -0.2, 15.4.
    assert row["standard error"] == pytest.approx(np.sqrt(352.8 / 3) / (2 * np.sqrt(21) * 5 * np.sqrt(4)))


def test_gaussian_errors_of_unlike_variances():
    # The variance of e^2 - V is 2 V^2.
    variances = np.repeat([1.0, 100.0], [50000, 1000])
    expected = np.sqrt(np.sum(variances**2) / 2) / np.sum(variances)
    row = row_of(np.random.default_rng(5).normal(0, np.sqrt(variances)), variances)
    assert row["standard error"] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("scale", [0.01, 1, 2000])
def test_of_gaussian_errors_the_relative_standard_error_is_that_of_a_standard_deviation(scale):
    # 1 / sqrt(2 n). The squares are chi-square distributed, with an excess kurtosis of 12, so that their standard
    # deviation is known to sqrt(14 / (4 n)), 0.2%.
    n = 1_000_000
    row = row_of(np.random.default_rng(1).normal(0, scale, n), scale**2)
    assert row["standard error"] / row["ratio"] == pytest.approx(1 / np.sqrt(2 * n), rel=0.01)
    assert row["ratio"] == pytest.approx(1, abs=4 / np.sqrt(2 * n))


def test_of_uniform_errors_the_standard_error_follows_from_their_fourth_moment():
    # Uniform in (-1, 1): mean square 1/3, mean fourth power 1/5, so that std(e^2) / mean(e^2) = sqrt(1/5 - 1/9) * 3.
    n = 400_000
    row = row_of(np.random.default_rng(2).uniform(-1, 1, n), 1 / 3)
    relative = np.sqrt(1 / 5 - 1 / 9) * 3 / 2 / np.sqrt(n)
    assert row["standard error"] == pytest.approx(relative, rel=0.01)
    assert row["ratio"] == pytest.approx(1, abs=4 * relative)


def test_the_ratio_scatters_by_its_standard_error():
    # Over repetitions with chi-square distributed squares: (r - 1) / s has variance 1.
    rng = np.random.default_rng(3)
    repetitions, n = 800, 400
    table = compare_noise({f"{number}": (rng.normal(0, 3, n), 9.0) for number in range(repetitions)})
    pulls = (table["ratio"] - 1) / table["standard error"]
    assert np.mean(np.square(pulls)) == pytest.approx(1, abs=4 * np.sqrt(2 / repetitions))


def test_an_error_bar_that_is_half_of_the_true_one_gives_a_ratio_of_two():
    row = row_of(np.random.default_rng(4).normal(0, 10, (100, 100)), np.full((100, 100), 25.0))
    assert abs(row["ratio"] - 2) < 4 * row["standard error"]
    assert row["standard error"] < 0.02


def test_a_common_offset_is_an_error_too():
    assert row_of([5.0, 5.0, 5.0], 1.0)["observed"] == pytest.approx(5)


def test_values_that_are_not_known_are_left_out_of_both():
    known = row_of([1, -2, 4], [1, 2, 3])
    nan = row_of([1, np.nan, -2, 4, 1e6], [1, 100, 2, 3, np.nan])
    masked = row_of(np.ma.array([1, 9, -2, 4], mask=[0, 1, 0, 0]), [1, 100, 2, 3])
    masked_integers = row_of([1, 9, -2, 4], np.ma.array([1, 9, 2, 3], mask=[0, 1, 0, 0]))
    for row in (nan, masked, masked_integers):
        assert list(row) == list(known)


def test_variances_broadcast_to_the_errors():
    errors = np.random.default_rng(5).normal(size=(3, 4))
    per_column = np.array([1.0, 2.0, 3.0, 4.0])
    assert list(row_of(errors, per_column)) == list(row_of(errors, np.tile(per_column, (3, 1))))
    assert list(row_of(errors, 2)) == list(row_of(errors, np.full((3, 4), 2)))


def test_numbers_of_32_bits_are_squared_and_added_as_such_of_64():
    errors = np.full(10, 1e25, dtype=np.float32)
    row = row_of(errors, np.float64(errors[0]) ** 2)
    assert row["ratio"] == pytest.approx(1, rel=1e-12)
    assert row_of(np.array([200, 200], dtype=np.uint8), 40000)["ratio"] == pytest.approx(1)


def test_no_error_at_all_is_a_ratio_of_zero():
    table = compare_noise({"a case (e)": ([0.0, 0.0], 1.0)})
    assert (table["ratio"][0], table["standard error"][0]) == (0, 0)
    assert table.pformat()


def printed(table):
    return [line.split() for line in table["predicted", "observed", "ratio", "standard error"].pformat()[2:]]


def test_the_smallest_standard_error_is_printed_with_two_digits():
    # The squares are 81 and 121 in equal numbers n / 2: mean 101, standard deviation 20 sqrt(n / (n - 1)).
    errors = np.tile([9.0, 11.0], 5000)
    table = compare_noise({"many (e)": (errors, 101.0), "few (e)": (errors[:100], 101.0)})
    # 20 / (2 * 101 * sqrt(10000)) = 0.00099; sqrt(101) = 10.04988.
    assert printed(table) == [
        ["10.0499", "10.0499", "1.00000", "0.00099"],
        ["10.0499", "10.0499", "1.00000", "0.00995"],
    ]


def test_large_numbers_are_printed_without_exponent():
    # 1e6 sqrt(101) = 10049875.6; 20 / (2 * 101 * sqrt(200)) = 0.0070.
    table = compare_noise({"a case (e)": (1e6 * np.tile([9.0, 11.0], 100), 101e12)})
    assert printed(table) == [["10049875.6", "10049875.6", "1.0000", "0.0070"]]


def test_the_table_can_be_written_with_its_formats():
    table = compare_noise({"a case (e)": ([1.0, -3.0], 4.0)})
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    assert Table.read(text.getvalue(), format="ascii.ecsv").pformat() == table.pformat()


@pytest.mark.parametrize(
    ("errors", "variances", "kind", "match"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0], ValueError, r"a case \(e\): variances of shape \(2,\) .* errors of shape \(3,\)"),
        ([1.0, 2.0], np.ones((3, 2)), ValueError, r"variances of shape \(3, 2\)"),
        ([], [], ValueError, "0 of 0 values"),
        ([np.nan, np.nan], 1.0, ValueError, "0 of 2 values"),
        ([1.0, 2.0], [np.nan, 1.0], ValueError, "1 of 2 values"),
        (3.0, 1.0, ValueError, "1 of 1 values"),
        ([1.0, np.inf], 1.0, ValueError, "infinite"),
        ([1.0, 2.0], [1.0, np.inf], ValueError, "infinite"),
        ([1.0, 2.0], [1.0, -0.5], ValueError, r"negative \(-0.5\)"),
        ([1.0, 2.0], 0.0, ValueError, "all variances are zero"),
        ([1.0, 2.0] * u.electron, 1.0, TypeError, "the errors are a Quantity; .* its value"),
        ([1.0, 2.0], 1.0 * u.electron**2, TypeError, "the variances are a Quantity"),
        (CCDData([1.0, 2.0], unit="electron"), 1.0, TypeError, "the errors are a CCDData; .* its data or variance"),
    ],
)
def test_what_cannot_be_compared_is_refused(errors, variances, kind, match):
    with pytest.raises(kind, match=match):
        row_of(errors, variances)


def test_no_cases_are_refused():
    with pytest.raises(ValueError, match="no cases"):
        compare_noise({})
