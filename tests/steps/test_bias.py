from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty

from astro_calib import CCDFrame, subtract_bias
from astro_calib.errors import FrameError, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted, make_frame


def test_the_bias_is_subtracted_and_its_noise_added(rng):
    raw, bias = make_frame(rng, 150.0, 5.0), make_frame(rng, 50.0, 3.0)
    result = subtract_bias(raw, bias)
    np.testing.assert_allclose(result.data, raw.data - bias.data)
    np.testing.assert_allclose(result.variance, 34.0)
    assert_scatters_as_predicted(result.data - 100.0, result.variance)
    assert result.unit == u.electron


def test_the_same_bias_subtracted_twice_counts_coherently(rng):
    raw, bias = make_frame(rng, 150.0, 5.0), make_frame(rng, 50.0, 3.0)
    result = subtract_bias(raw, bias) - bias
    np.testing.assert_allclose(result.variance, 5.0**2 + (2 * 3.0) ** 2)
    assert_scatters_as_predicted(result.data - 50.0, result.variance)


def test_a_bias_less_itself_is_exactly_zero(rng):
    bias = make_frame(rng, 50.0, 3.0, (4, 5))
    result = subtract_bias(bias, bias)
    np.testing.assert_array_equal(result.data, 0)
    np.testing.assert_array_equal(result.variance, 0)


def test_the_noise_of_the_bias_goes_by_that_name(rng):
    result = subtract_bias(make_frame(rng, 150.0, 5.0, (2, 2)), make_frame(rng, 50.0, 3.0, (2, 2)))
    np.testing.assert_allclose(result.budget.variances()["bias"], 9.0)


@pytest.mark.parametrize(
    "uncertainty",
    [StdDevUncertainty([[3.0, 3.0]]), VarianceUncertainty([[9.0, 9.0]]), InverseVariance([[1 / 9, 1 / 9]])],
)
def test_any_ccddata_serves_as_master_and_is_one_noise(rng, uncertainty):
    master = CCDData([[50.0, 51.0]], unit="electron", uncertainty=uncertainty)
    first, second = (make_frame(rng, 150.0, 5.0, (1, 2)) for _ in range(2))
    result = subtract_bias(first, master)
    assert isinstance(result, CCDFrame)
    np.testing.assert_allclose(result.variance, 34.0)
    # What both frames have from the master cancels.
    np.testing.assert_allclose((result - subtract_bias(second, master)).variance, 50.0)


def test_a_master_without_uncertainty_counts_as_exact(rng):
    raw = make_frame(rng, 150.0, 5.0, (1, 2))
    np.testing.assert_allclose(subtract_bias(raw, CCDData([[50.0, 51.0]], unit="electron")).variance, 25.0)


def test_units_are_converted(rng):
    raw = make_frame(rng, 150.0, 5.0, (2, 2))
    bias = CCDFrame(np.full((2, 2), 0.05), unit=1000 * u.electron, uncertainty=np.full((2, 2), 0.003))
    result = subtract_bias(raw, bias)
    np.testing.assert_allclose(result.data, raw.data - 50.0)
    np.testing.assert_allclose(result.variance, 34.0)


@pytest.mark.parametrize("master_type", [np.float32, np.float64])
def test_float32_stays(rng, master_type):
    raw = make_frame(rng, 150.0, 5.0, (2, 2), dtype=np.float32)
    result = subtract_bias(raw, make_frame(rng, 50.0, 3.0, (2, 2), dtype=master_type))
    assert result.data.dtype == np.float32
    assert result.variance.dtype == np.float32


def test_unsigned_integers_do_not_wrap():
    raw = CCDFrame(np.array([[10, 60000]], dtype=np.uint16), unit="adu")
    master = CCDFrame(np.array([[20, 10]], dtype=np.uint16), unit="adu")
    result = subtract_bias(raw, master)
    np.testing.assert_array_equal(result.data, [[-10, 59990]])
    assert result.data.dtype == np.float32


def test_masks_and_flags_of_both_are_united_and_the_header_is_the_frames():
    raw = CCDFrame(
        [[1.0, 2.0, 3.0]], unit="adu", mask=[[True, False, False]], flags=np.array([[4, 0, 2]]), meta={"A": 1}
    )
    master = CCDFrame(
        [[1.0, 1.0, 1.0]], unit="adu", mask=[[False, True, False]], flags=np.array([[0, 1, 1]]), meta={"A": 2}
    )
    result = subtract_bias(raw, master)
    np.testing.assert_array_equal(result.mask, [[True, True, False]])
    np.testing.assert_array_equal(result.flags, [[4, 1, 3]])
    assert result.meta["A"] == 1
    np.testing.assert_array_equal(raw.mask, [[True, False, False]])
    np.testing.assert_array_equal(raw.data, [[1.0, 2.0, 3.0]])


def test_a_frame_without_header_does_not_get_the_masters():
    master = CCDFrame([[1.0]], unit="adu", meta={"NCOMBINE": 10})
    assert not subtract_bias(CCDFrame([[1.0]], unit="adu"), master).meta


def test_shapes_that_differ_name_both_frames():
    raw = CCDFrame(np.ones((2, 3)), unit="adu", name="d1048.fits")
    master = CCDFrame(np.ones((2, 4)), unit="adu", name="bias.fits")
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits.*\(2, 3\).*bias\.fits.*\(2, 4\)"):
        subtract_bias(raw, master)


def test_units_that_differ_are_an_error():
    raw = CCDFrame(np.ones((2, 3)), unit="adu", name="d1048.fits")
    with pytest.raises(u.UnitConversionError, match=r"d1048\.fits.*adu.*electron"):
        subtract_bias(raw, CCDFrame(np.ones((2, 3)), unit="electron"))


def test_a_master_of_nans_is_an_error():
    master = CCDFrame(np.full((2, 3), np.nan), unit="adu", name="bias.fits")
    with pytest.raises(FrameError, match=r"bias\.fits.*finite"):
        subtract_bias(CCDFrame(np.ones((2, 3)), unit="adu"), master)


def test_an_array_is_no_master():
    with pytest.raises(FrameError, match=r"ndarray.*CCDFrame"):
        subtract_bias(CCDFrame(np.ones((2, 3)), unit="adu"), np.ones((2, 3)))
