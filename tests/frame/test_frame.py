"""CCDFrame as an object: what it takes, what it keeps, what it refuses."""

from __future__ import annotations

import copy
import threading

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS

import astro_calib
from astro_calib import CCDFrame, DataQuality, NoiseSource, UncertaintyBudget, covariance
from astro_calib.errors import FrameError, NoiseWarning, ProfileError, ShapeMismatchError

SHAPE = (3, 4)
SIGMA = 5.0
VALUES = np.random.default_rng(30).uniform(80, 120, SHAPE)


def tangent_plane():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 250.42, 36.46
    wcs.wcs.crpix = 2, 1
    wcs.wcs.cdelt = -1e-4, 1e-4
    return wcs


def sky_of_corners(ccd):
    return ccd.wcs.wcs_pix2world([[0, 0], [0, 2], [3, 0], [3, 2]], 0)


def frame(value=100.0, sigma=SIGMA, unit="electron", **kwargs):
    return CCDFrame(value * VALUES / 100, unit=unit, uncertainty=StdDevUncertainty(np.full(SHAPE, sigma)), **kwargs)


@pytest.fixture
def full():
    """A frame with everything but a PSF."""
    mask = np.zeros(SHAPE, bool)
    mask[0, 1] = True
    flags = np.zeros(SHAPE, np.uint16)
    flags[0, 1] = DataQuality.SATURATED
    flags[2, 2] = DataQuality.NONLINEAR
    header = fits.Header([("OBJECT", "M13"), ("EXPTIME", 30.0)])
    return frame(mask=mask, flags=flags, meta=header, wcs=tangent_plane(), name="d1048.fits")


# -- making one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uncertainty", "variance"),
    [
        (StdDevUncertainty(np.full(SHAPE, 3.0)), 9),
        (VarianceUncertainty(np.full(SHAPE, 3.0)), 3),
        (InverseVariance(np.full(SHAPE, 4.0)), 0.25),
        (np.full(SHAPE, 3.0), 9),
        (StdDevUncertainty(np.full(SHAPE, 3, dtype=int)), 9),
        (StdDevUncertainty(np.full(SHAPE, 0.003), unit=1000 * u.adu), 9),
        (VarianceUncertainty(np.full(SHAPE, 3e-6), unit=(1000 * u.adu) ** 2), 3),
        (None, None),
    ],
)
def test_any_kind_of_uncertainty_becomes_a_variance(uncertainty, variance):
    made = CCDFrame(VALUES, unit="adu", uncertainty=uncertainty)
    assigned = CCDFrame(VALUES, unit="adu")
    assigned.uncertainty = uncertainty
    for result in (made, assigned):
        if variance is None:
            assert (result.variance, result.uncertainty, result.budget.terms) == (None, None, ())
            continue
        np.testing.assert_allclose(result.variance, variance, rtol=1e-14)
        assert type(result.uncertainty) is VarianceUncertainty
        assert result.uncertainty.unit == u.adu**2
        np.testing.assert_array_equal(result.uncertainty.array, result.variance)
        assert result.uncertainty.parent_nddata is result


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_whole_numbers_of_sigma_are_squared_without_wrapping(dtype):
    sigma = 200
    made = CCDFrame(VALUES, unit="adu", uncertainty=StdDevUncertainty(np.full(SHAPE, sigma, dtype)))
    np.testing.assert_array_equal(made.variance, sigma**2)
    plain = CCDData(VALUES, unit="adu", uncertainty=StdDevUncertainty(np.full(SHAPE, sigma, dtype)))
    np.testing.assert_array_equal(CCDFrame(plain).variance, sigma**2)


def test_variance_is_a_copy_of_what_was_given():
    sigmas, variances = np.full(SHAPE, 3.0), np.full(SHAPE, 9.0)
    made = [CCDFrame(VALUES, unit="adu", uncertainty=kind) for kind in (sigmas, VarianceUncertainty(variances))]
    sigmas[...] = variances[...] = 100
    for one in made:
        np.testing.assert_array_equal(one.variance, 9)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({}, ValueError, "unit"),
        ({"unit": "adu", "uncertainty": np.ones((4, 3))}, ValueError, r"\(4, 3\) is not \(3, 4\)"),
        ({"unit": "adu", "uncertainty": StdDevUncertainty(np.ones((4, 3)))}, ValueError, r"\(4, 3\) is not \(3, 4\)"),
        ({"unit": "adu", "uncertainty": 5.0}, TypeError, "NDUncertainty"),
        ({"unit": "adu", "mask": np.zeros((4, 3), bool)}, ValueError, "mask"),
        ({"unit": "adu", "flags": np.zeros((4, 3), np.uint16)}, ValueError, "flags"),
        ({"unit": "adu", "budget": UncertaintyBudget((4, 3))}, ShapeMismatchError, r"d1048\.fits.*\(4, 3\)"),
        ({"unit": "adu", "uncertainty": UnknownUncertainty(np.ones(SHAPE))}, TypeError, "Unknown"),
    ],
)
def test_what_does_not_fit_is_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        CCDFrame(VALUES, name="d1048.fits", **kwargs)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.ones(SHAPE, complex), "complex128; expected real numbers.* real part"),
        (np.ones(SHAPE, "c8"), "complex64"),
        (np.full(SHAPE, "1000"), "<U4; expected real numbers.*astype"),
        (np.full(SHAPE, b"1000"), "S4"),
        (np.ones(SHAPE, object), "object"),
        (np.zeros(SHAPE, "M8[D]"), "datetime64"),
        (np.zeros(SHAPE, "m8[s]"), "timedelta64"),
        (np.zeros(SHAPE, [("red", "f4"), ("blue", "f4")]), "red"),
        (np.ma.masked_equal(np.ones(SHAPE, complex), 2), "complex128"),
        (np.ones(SHAPE, complex) * u.adu, "complex128"),
        ([[1j, 2], [3, 4]], "complex128"),
        (NDData(np.ones(SHAPE, complex)), "complex128"),
        ("d1048.fits", "<U10.*CCDFrame.read"),
        (None, "object"),
    ],
)
def test_pixels_are_real_numbers(pixels, message):
    with pytest.raises(FrameError, match=rf"d1048\.fits: .*{message}"):
        CCDFrame(pixels, unit="adu", uncertainty=np.ones(SHAPE), name="d1048.fits")


@pytest.mark.parametrize("dtype", ["?", "u1", ">i2", "u2", "i8", "f2", "f4", ">f8", "g"])
def test_any_real_numbers_are_pixels(dtype):
    assert CCDFrame(np.ones(SHAPE, dtype), unit="adu").dtype == dtype
    assert CCDFrame(np.ones(SHAPE, dtype).tolist(), unit="adu").shape == SHAPE


def test_pixels_that_are_assigned_are_real_numbers():
    made = CCDFrame(VALUES, unit="adu", name="d1048.fits")
    with pytest.raises(FrameError, match=r"d1048\.fits: .*complex128"):
        made.data = VALUES * 1j
    np.testing.assert_array_equal(made.data, VALUES)
    with pytest.raises(FrameError, match="complex128"):
        made + CCDData(VALUES * 1j, unit="adu")


def test_budget_instead_of_an_uncertainty():
    budget = UncertaintyBudget(
        SHAPE, [(NoiseSource("read noise", 9.0), 1.0), (NoiseSource("gain", 1.0, ()), VALUES / 10)]
    )
    made = CCDFrame(VALUES, unit="electron", budget=budget)
    assert made.budget.names == ("read noise", "gain")
    np.testing.assert_allclose(made.variance, 9 + VALUES**2 / 100, rtol=1e-14)


def test_plain_ccddata_is_taken_over_whole(full):
    plain = CCDData(
        full.data, unit=full.unit, uncertainty=full.uncertainty, mask=full.mask, meta=full.meta, wcs=full.wcs
    )
    plain.flags = full.flags
    made = CCDFrame(plain)
    assert made.unit == full.unit
    assert made.meta["OBJECT"] == "M13"
    np.testing.assert_array_equal(sky_of_corners(made), sky_of_corners(full))
    for attribute in ("data", "variance", "mask", "flags"):
        np.testing.assert_array_equal(getattr(made, attribute), getattr(full, attribute))


def test_what_is_given_with_a_frame_goes_before_what_the_frame_has(full):
    other_mask = np.ones(SHAPE, bool)
    made = CCDFrame(full, uncertainty=StdDevUncertainty(np.full(SHAPE, 2.0)), mask=other_mask, name="other")
    np.testing.assert_array_equal(made.variance, 4)
    np.testing.assert_array_equal(made.mask, other_mask)
    assert made.name == "other"
    np.testing.assert_array_equal(full.variance, SIGMA**2)
    np.testing.assert_array_equal(CCDFrame(full, unit="electron").flags, full.flags)


def test_quantity_and_nddata_are_taken():
    assert CCDFrame(VALUES * u.adu).unit == u.adu
    made = CCDFrame(NDData(VALUES, unit="adu", uncertainty=StdDevUncertainty(np.full(SHAPE, 3.0))))
    np.testing.assert_array_equal(made.variance, 9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.uint16, np.int32, ">f4", ">i2"])
def test_any_type_of_pixel_can_have_an_uncertainty(dtype):
    made = CCDFrame(VALUES.astype(dtype), unit="adu", uncertainty=np.full(SHAPE, 3.0))
    np.testing.assert_array_equal(made.variance, 9)
    assert made.variance.dtype.kind == "f"
    np.testing.assert_array_equal((made - made).variance, 0)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 4), (0,), ()])
def test_any_number_of_axes(shape):
    data = np.random.default_rng(1).uniform(1, 2, shape)
    made = CCDFrame(data, unit="", uncertainty=np.full(shape, 3.0))
    np.testing.assert_allclose((made * 2 - made).variance, np.full(shape, 9.0))
    np.testing.assert_allclose((made * made).variance, 36 * data**2)
    if shape:
        np.testing.assert_allclose(made[1:].variance, np.full(data[1:].shape, 9.0))


def test_name_is_used_in_messages():
    assert frame(name="d1048.fits").name == "d1048.fits"
    assert frame().name == "the frame"
    assert (frame(name="d1048.fits") * 2)[1:].copy().name == "d1048.fits"


# -- flags --------------------------------------------------------------------------------------------------------


def test_quality_bits_are_those_of_dragons():
    # Gemini's DRAGONS: bad 1, nonlinear 2, saturated 4, cosmic ray 8, no data 16.
    bits = {name: int(DataQuality[name]) for name in ("BAD", "NONLINEAR", "SATURATED", "COSMIC_RAY", "NO_DATA")}
    assert bits == {"BAD": 1, "NONLINEAR": 2, "SATURATED": 4, "COSMIC_RAY": 8, "NO_DATA": 16}
    assert len({bit.value for bit in DataQuality}) == len(list(DataQuality))
    assert all(0 < bit < 2**16 for bit in DataQuality)
    assert not DataQuality.UNUSABLE & (DataQuality.NONLINEAR | DataQuality.UNCERTAIN_DIVISOR | DataQuality.REJECTED)
    assert DataQuality.UNUSABLE & DataQuality.NO_DATA


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int32, np.int64, ">u2"])
def test_flags_are_unsigned_16_bits_whatever_they_were(dtype):
    made = frame(flags=np.ones(SHAPE, dtype))
    assert made.flags.dtype == np.uint16
    assert made.flags.dtype.isnative
    np.testing.assert_array_equal(made.flags, 1)


@pytest.mark.parametrize("value", [2**16, 2**20 + 4, -1])
def test_flags_that_do_not_fit_are_refused(value):
    with pytest.raises(ValueError, match="flags"):
        frame(flags=np.full(SHAPE, value, dtype=np.int32))


def test_refused_flags_leave_those_that_were_there(full):
    before = full.flags.copy()
    for bad in (np.full(SHAPE, 2**16), np.full(SHAPE, 0.5), [[0.5] * 4] * 3, np.zeros((4, 3), np.uint16)):
        with pytest.raises(ValueError, match="flags"):
            full.flags = bad
        np.testing.assert_array_equal(full.flags, before)


def test_errors_are_what_a_caller_would_catch():
    assert issubclass(FrameError, ValueError)
    assert issubclass(ShapeMismatchError, FrameError)
    assert issubclass(ProfileError, ValueError)
    assert issubclass(NoiseWarning, UserWarning)
    for name in ("CCDFrame", "DataQuality", "covariance"):
        assert name in astro_calib.__all__


# -- what survives ------------------------------------------------------------------------------------------------

OPERATIONS = {
    "a - b": lambda a, b: a - b,
    "b - a": lambda a, b: b - a,
    "a * 2": lambda a, _: a * 2,
    "a - array": lambda a, _: a / np.full(SHAPE, 2.0),
    "array / a": lambda a, _: np.full(SHAPE, 2.0) / a,
    "quantity - a": lambda a, _: 5 * u.electron - a,
    "quantity * a": lambda a, _: 5 * u.s * a,
    "2 / a": lambda a, _: 2 / a,
    "-a": lambda a, _: -a,
    "a / b": lambda a, b: a / b,
    "convert": lambda a, _: a.convert_unit_to(1000 * u.electron),
    "copy": lambda a, _: a.copy(),
    "deepcopy": lambda a, _: copy.deepcopy(a),
    "constructor": lambda a, _: CCDFrame(a),
    "ccdproc": ccdproc.subtract_bias,
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_header_wcs_mask_and_flags_survive(full, operation):
    result = operation(full, frame(30.0, 3.0))
    assert result.meta["OBJECT"] == "M13"
    assert result.meta["EXPTIME"] == 30
    np.testing.assert_array_equal(sky_of_corners(result), sky_of_corners(full))
    np.testing.assert_array_equal(result.mask, full.mask)
    # Division by these frames, whose error is large, adds a remark of its own.
    remark = np.uint16(DataQuality.UNCERTAIN_DIVISOR)
    np.testing.assert_array_equal(result.flags & ~remark, full.flags)
    assert result.flags.dtype == np.uint16


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "constructor"])
def test_result_shares_nothing_that_can_be_written_to(full, operation):
    result = OPERATIONS[operation](full, frame(30.0, 3.0))
    result.meta["OBJECT"] = "M92"
    result.mask[...] = True
    result.flags[...] = 255
    result.wcs.wcs.crval = 0, 0
    assert full.meta["OBJECT"] == "M13"
    assert full.mask.sum() == 1
    assert full.flags.max() == DataQuality.SATURATED
    assert full.wcs.wcs.crval[0] == 250.42


@pytest.mark.parametrize("kind", [CCDFrame, CCDData])
def test_masks_and_flags_of_both_are_combined(full, kind):
    mask, flags = np.zeros(SHAPE, bool), np.zeros(SHAPE, np.uint16)
    mask[1, 1], flags[0, 1], flags[1, 1] = True, DataQuality.BAD, DataQuality.BAD
    other = kind(VALUES + 1, unit="electron", mask=mask, flags=flags)
    for result in (full - other, other - full, full * other, other / full):
        np.testing.assert_array_equal(result.mask, full.mask | mask)
        remark = np.uint16(DataQuality.UNCERTAIN_DIVISOR)
        np.testing.assert_array_equal(result.flags & ~remark, full.flags | flags)
        assert result.flags[0, 1] == DataQuality.SATURATED | DataQuality.BAD


def test_header_is_that_of_the_first_operand(full):
    other = frame(30.0, 3.0, meta={"OBJECT": "bias"})
    assert (full - other).meta["OBJECT"] == "M13"
    assert (other - full).meta["OBJECT"] == "bias"
    plain = CCDData(VALUES, unit="electron", meta={"OBJECT": "plain"})
    assert (full - plain).meta["OBJECT"] == "M13"
    for result in (plain - full, plain + full, plain * full, plain / full):
        assert result.meta["OBJECT"] == "plain"


def test_nested_header_is_copied_with_its_frame():
    a = frame(meta={"site": {"name": "Lick"}})
    for result in (a.copy(), copy.deepcopy(a), a * 2):
        result.meta["site"]["name"] = "Palomar"
    assert a.meta["site"]["name"] == "Lick"


def test_cut_takes_along_what_belongs_to_its_pixels(full):
    part = full[:2, 1:3]
    np.testing.assert_array_equal(part.data, full.data[:2, 1:3])
    np.testing.assert_array_equal(part.mask, [[True, False], [False, False]])
    np.testing.assert_array_equal(part.flags, [[4, 0], [0, 0]])
    assert part.meta["OBJECT"] == "M13"
    assert part.unit == full.unit
    here, there = part.wcs.pixel_to_world(0, 1), full.wcs.pixel_to_world(1, 1)
    assert here.separation(there).arcsec < 1e-6


def test_numpy_negative_is_minus():
    np.testing.assert_array_equal(np.negative(frame()).variance, frame().variance)


@pytest.mark.filterwarnings("ignore:.* returns an array without")
def test_numpy_functions_see_the_data(full):
    a = frame()
    for function in (np.sqrt, np.isfinite, np.log10, np.abs):
        np.testing.assert_array_equal(function(a), function(a.data))
        assert not isinstance(function(a), CCDFrame)
    assert isinstance(np.sqrt(full), np.ma.MaskedArray)
    np.testing.assert_array_equal(np.sqrt(full).mask, full.mask)
    assert np.median(a) == np.median(a.data)
    assert np.maximum.reduce(a, axis=None) == a.data.max()
    out = np.zeros(SHAPE)
    np.add(a, 1, out=out)
    np.testing.assert_array_equal(out, a.data + 1)


def test_numpy_cannot_write_into_a_frame():
    with pytest.raises(TypeError):
        np.add(VALUES, 1, out=frame())


# -- sums and means -----------------------------------------------------------------------------------------------


def known_frame():
    """Pixel noise of variance 4, rows of variance 1, 2, 3, columns of 0.5, and one level of 0.25 for all."""
    sources = [
        NoiseSource("read noise", 4.0),
        NoiseSource("rows", np.array([[1.0], [2.0], [3.0]]), axes=(0,)),
        NoiseSource("columns", 0.5, axes=(1,)),
        NoiseSource("level", 0.25, axes=()),
    ]
    return CCDFrame(VALUES, unit="electron", budget=UncertaintyBudget(SHAPE, [(source, 1.0) for source in sources]))


def test_sum_and_mean_add_up_what_is_common():
    a = known_frame()
    total = 12 * 4 + 16 * (1 + 2 + 3) + 4 * 9 * 0.5 + 144 * 0.25
    along_rows = 4 * 4 + 16 * np.array([1, 2, 3]) + 4 * 0.5 + 16 * 0.25
    along_columns = np.full(4, 3 * 4 + (1 + 2 + 3) + 9 * 0.5 + 9 * 0.25)
    for axes, number, variance in (
        ({}, 12, total),
        ({"axis": (0, 1)}, 12, total),
        ({"axis": 1}, 4, along_rows),
        ({"axis": -1}, 4, along_rows),
        ({"axis": 0}, 3, along_columns),
    ):
        added, averaged = a.sum(**axes), a.mean(**axes)
        np.testing.assert_allclose(added.data, VALUES.sum(**axes), rtol=1e-14)
        np.testing.assert_allclose(averaged.data, VALUES.mean(**axes), rtol=1e-14)
        np.testing.assert_allclose(added.variance, variance, rtol=1e-13)
        np.testing.assert_allclose(averaged.variance, variance / number**2, rtol=1e-13)
        assert added.unit == averaged.unit == u.electron
        assert added.uncertainty.unit == u.electron**2
        assert isinstance(added, CCDFrame)


def test_sum_leaves_masked_pixels_out_when_asked():
    a = known_frame()
    mask = np.zeros(SHAPE, bool)
    mask[:, 0] = mask[2] = True
    a.mask = mask
    # 2 rows of 3 pixels are left.
    variance = 6 * 4 + 9 * (1 + 2) + 3 * 4 * 0.5 + 36 * 0.25
    added, averaged = a.sum(operation_ignores_mask=True), a.mean(operation_ignores_mask=True)
    assert float(added.data) == pytest.approx(VALUES[:2, 1:].sum())
    assert float(added.variance) == pytest.approx(variance)
    assert float(averaged.data) == pytest.approx(VALUES[:2, 1:].mean())
    assert float(averaged.variance) == pytest.approx(variance / 36)


def test_mean_along_an_axis_with_nothing_left_is_masked_without_a_warning():
    a = frame(mask=np.array([[True, False, False, False]] * 3))
    averaged = a.mean(axis=0, operation_ignores_mask=True)
    np.testing.assert_array_equal(averaged.mask, [True, False, False, False])
    np.testing.assert_allclose(averaged.variance[1:], SIGMA**2 / 3)


def test_extremes_have_no_error_bar_and_exact_frames_have_exact_sums():
    a = frame()
    assert a.max().variance is None
    assert float(a.min().data) == a.data.min()
    assert CCDFrame(VALUES, unit="adu").sum().variance is None


# -- covariance ---------------------------------------------------------------------------------------------------


def test_covariance_of_frames():
    a, b = frame(), frame(30.0, 3.0)
    np.testing.assert_array_equal(covariance(a, b), 0)
    np.testing.assert_allclose(covariance(a - b, 2 * b), -18, rtol=1e-14)
    np.testing.assert_allclose(covariance(a, a), a.variance)
    np.testing.assert_array_equal(covariance(a, CCDFrame(VALUES, unit="adu")), np.zeros(SHAPE))
    with pytest.raises(ShapeMismatchError, match=r"d1\.fits has shape \(3, 4\), d2\.fits has \(3, 3\)"):
        covariance(frame(name="d1.fits"), frame(name="d2.fits")[:, 1:])


# -- failure ------------------------------------------------------------------------------------------------------


def test_frames_of_different_shapes_are_named():
    one, other = frame(name="d1.fits"), frame(name="d2.fits")[:, 1:]
    for operation in ("add", "subtract", "multiply", "divide"):
        with pytest.raises(ShapeMismatchError, match=r"d1\.fits has shape \(3, 4\).*d2\.fits has shape \(3, 3\)"):
            getattr(one, operation)(other)


def test_units_that_do_not_add_are_named():
    with pytest.raises(u.UnitConversionError, match=r"d1\.fits is in electron.* in adu"):
        frame(name="d1.fits") - frame(unit="adu")
    for operand in (5, 5.0, VALUES, frame(unit="")):
        with pytest.raises(u.UnitConversionError, match=r"d1\.fits is in electron.* in (no unit|dimensionless)"):
            frame(name="d1.fits") + operand


@pytest.mark.parametrize(
    "operand", [None, "five", object(), {"a": 1}, [1, "x"]], ids=lambda operand: type(operand).__name__
)
def test_what_is_no_operand_is_refused(operand):
    for operation in ("add", "subtract", "multiply", "divide"):
        with pytest.raises((TypeError, ValueError)):
            getattr(frame(unit=""), operation)(operand)


def test_correlation_given_by_hand_is_refused():
    with pytest.raises(ValueError, match="uncertainty_correlation"):
        frame().subtract(frame(), uncertainty_correlation=0.5)


FAILURES = {
    "shape": lambda: frame() + frame()[1:],
    "unit": lambda: frame() + 5,
    "operand": lambda: frame() * "five",
    "wcs": lambda: frame().add(frame(), compare_wcs=lambda *_: False),
    "meta": lambda: frame().add(frame(), handle_meta=lambda *_: 1 / 0),
    "class": lambda: CCDFrame.add(5, "five"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_after_a_failure_data_without_unit_are_still_refused(failure):
    with pytest.raises(Exception, match=r"."):
        failure()
    with pytest.raises(ValueError, match="unit"):
        CCDData([1, 2])
    with pytest.raises(ValueError, match="unit"):
        CCDFrame([1, 2])


def test_ccdproc_combine_is_refused_loudly():
    # It writes standard deviations into the variance of a copy of the first frame.
    with pytest.raises(ValueError, match=r"use astro_calib\.combine"):
        ccdproc.combine([frame() for _ in range(3)])


def test_threads_that_calculate_with_numbers_do_not_meet():
    flat = frame(1.0, 0.02, unit="")
    failures = []
    go = threading.Barrier(4)

    def work(number):
        try:
            go.wait()
            for _ in range(150):
                result = (number * flat + 1 - number) * 2.0
                np.testing.assert_allclose(result.variance, 4 * number**2 * 0.0004, rtol=1e-12)
                assert not (flat - flat).variance.any()
                with pytest.raises(ValueError, match="unit"):
                    CCDData([1, 2])
        except BaseException as error:  # noqa: BLE001  whatever a thread raises is shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_divisor_with_an_error_above_five_percent_is_flagged():
    # noise-model.md section 2: first order is good to 1% while sigma_b / b < 0.05.
    sigmas = np.array([[0.0, 0.049, 0.051, 1.0]])
    divisor = CCDFrame(np.ones((1, 4)), unit="", uncertainty=sigmas)
    image = CCDFrame(np.ones((1, 4)), unit="adu")
    np.testing.assert_array_equal((image / divisor).flags, [[0, 0, 64, 64]])
    assert (image * divisor).flags is None
    assert (image / divisor).mask is None


def test_too_many_positional_arguments_are_refused():
    with pytest.raises(TypeError, match="after the data, each once"):
        CCDFrame(np.ones((2, 2)), None, None, unit="adu", mask=np.zeros((2, 2), dtype=bool))


def test_a_shallow_copy_shares_the_array_and_notices_that_it_is_written_into():
    buffer = np.random.default_rng(4).normal(100, 5, (6, 7))
    frame = CCDFrame(buffer, unit="adu", uncertainty=StdDevUncertainty(np.full((6, 7), 5.0)), name="one")
    twin = copy.copy(frame)
    assert twin.data is frame.data
    assert (twin.name, twin.unit) == (frame.name, frame.unit)
    np.testing.assert_array_equal(covariance(frame, twin), 25)
    buffer += 1
    np.testing.assert_array_equal(covariance(frame, twin), 0)
