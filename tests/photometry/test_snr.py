"""Signal-to-noise ratios of simulated stars, against their truth and the scatter of many."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib import CCDFrame, DataQuality, compare_snr, measure_snr, simulate
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.photometry import before_calibration

from .conftest import EXPOSURE, FWHM, GAIN, READ_NOISE

PARTS = ("source", "sky", "read_noise", "dark", "bias", "flat", "other")


def gaussian_light_within(radius, fwhm):
    """The part of a circular Gaussian star's light inside of an aperture."""
    return 1 - 2.0 ** (-4 * (radius / fwhm) ** 2)


def noise_frame(rng, sigma=10.0, shape=(120, 130), level=0.0, **kwargs):
    return CCDFrame(
        rng.normal(level, sigma, shape),
        unit="electron",
        uncertainty=StdDevUncertainty(np.full(shape, sigma)),
        **kwargs,
    )


@pytest.fixture(scope="module")
def compared(patterned):
    return compare_snr(patterned.before, patterned.after)


@pytest.fixture(scope="module")
def at_truth(patterned):
    """Measured at the true positions, in apertures that hold nearly all light."""
    return measure_snr(patterned.after, patterned.before, positions=patterned.stars, fwhm=FWHM, radius=5.0)


# -- fluxes and errors are true --------------------------------------------------------------------------------------


def test_fluxes_scatter_about_the_truth_as_predicted(patterned, at_truth):
    light = patterned.stars["flux"].value * gaussian_light_within(5.0, FWHM)
    pulls = (at_truth["flux"].value - light) / at_truth["flux_err"].value
    number = len(pulls)
    assert number == 324
    # Standard errors: of a standard deviation 1 / sqrt(2 n), of a mean 1 / sqrt(n).
    assert np.std(pulls) == pytest.approx(1, abs=3.5 / np.sqrt(2 * number))
    assert np.mean(pulls) == pytest.approx(0, abs=3.5 / np.sqrt(number))
    assert at_truth["snr"].min() < 25
    assert at_truth["snr"].max() > 300


def test_apertures_of_the_default_size_hold_94_percent(patterned, compared):
    assert compared.meta["fwhm"] == pytest.approx(FWHM, rel=0.02)
    assert compared.meta["radius"] == compared.meta["fwhm"]
    table = measure_snr(patterned.after, positions=patterned.stars, n_empty=0)
    bright = patterned.stars["flux"].value > 50000
    held = np.mean(table["flux"][bright].value / patterned.stars["flux"].value[bright])
    # Of a Gaussian 94%; taking in the light over a pixel, and giving it out evenly there, adds 1/12 to its variance.
    widened = np.sqrt(1 + 8 * np.log(2) / 12 / FWHM**2)
    assert held == pytest.approx(gaussian_light_within(table.meta["radius"], FWHM * widened), abs=0.01)
    assert gaussian_light_within(1, 1) == pytest.approx(0.94, abs=0.005)


def test_most_stars_are_found_and_little_else(patterned, compared):
    truth = np.stack([patterned.stars["x"], patterned.stars["y"]], axis=1)
    found = np.stack([compared["x"].value, compared["y"].value], axis=1)
    away = np.hypot(*(truth[:, np.newaxis] - found).transpose(2, 0, 1))
    assert np.mean(away.min(axis=1) < 0.5) > 0.98
    assert np.mean(away.min(axis=0) < 0.5) > 0.97
    assert compared.meta["n_found"] == len(compared)
    assert np.all(np.diff(compared["flux"].value) < 0)
    np.testing.assert_array_equal(compared["id"], np.arange(1, len(compared) + 1))


def test_parts_of_the_error_add_up(compared):
    squares = sum(compared[f"err_{part}"] ** 2 for part in PARTS)
    np.testing.assert_allclose(np.sqrt(squares).value, compared["flux_err"].value, rtol=1e-6)


def test_parts_of_the_error_are_what_they_say(patterned, at_truth):
    flux = patterned.stars["flux"].value
    bright = flux > 20000
    # A star's electrons are Poisson distributed: the sensitivity, 5% off at most, is divided out.
    np.testing.assert_allclose(at_truth["err_source"][bright].value, np.sqrt(flux[bright]), rtol=0.06)
    # 5 pixels of radius: Merline & Howell, with the default annulus of ten apertures.
    pixels = np.pi * 5.0**2 * (1 + 1 / 10)
    quantisation = GAIN**2 / 12
    assert np.median(at_truth["err_read_noise"].value) == pytest.approx(
        np.sqrt(pixels * (READ_NOISE**2 + quantisation)), rel=0.06
    )
    assert np.median(at_truth["err_sky"].value) == pytest.approx(np.sqrt(pixels * (3.0 + 0.1) * EXPOSURE), rel=0.06)
    # Means of 10 biases and of 5 darks, each a tenth and a fifth of a frame's variance.
    assert np.median(at_truth["err_dark"].value) == pytest.approx(
        np.sqrt(pixels * (READ_NOISE**2 + quantisation + 0.1 * EXPOSURE) / 5), rel=0.1
    )


# -- empty apertures -------------------------------------------------------------------------------------------------


def test_empty_apertures_scatter_as_predicted_after_and_more_before(compared):
    meta = compared.meta
    # 1.17 / sqrt(n) is the relative standard error of a scaled median absolute deviation.
    standard_error = 1.17 / np.sqrt(meta["n_empty"])
    assert meta["n_empty"] >= 200
    assert meta["empty_scatter"] / meta["empty_predicted"] == pytest.approx(1, abs=3.5 * standard_error)
    # Columns with a scatter of 4.5 electrons, dust and vignetting are in it before.
    assert meta["empty_scatter_before"] / meta["empty_predicted_before"] > 1 + 5 * standard_error
    np.testing.assert_allclose(compared["snr_empirical"], compared["flux"].value / meta["empty_scatter"])
    np.testing.assert_allclose(
        compared["snr_empirical_before"], compared["flux_before"].value / meta["empty_scatter_before"]
    )


def test_without_room_for_empty_apertures_their_scatter_is_not_known():
    with pytest.warns(AstropyUserWarning, match="empty apertures"):
        table = measure_snr(noise_frame(np.random.default_rng(2), shape=(40, 40)), positions=[[20, 20]], fwhm=3.0)
    assert np.isnan(table.meta["empty_scatter"])
    assert np.isnan(table["snr_empirical"][0])
    assert np.isfinite(table["snr"][0])


# -- before and after ------------------------------------------------------------------------------------------------


def test_a_flat_weakens_and_strengthens_the_light(at_truth):
    before, after = at_truth["flux_before"].value, at_truth["flux"].value
    bright = after > 20000
    assert np.std(before[bright] / after[bright]) > 0.005
    assert np.mean(before[bright] / after[bright]) == pytest.approx(1, abs=0.03)


def test_ratios_are_after_over_before(compared):
    np.testing.assert_allclose(compared["snr_ratio"], compared["snr"] / compared["snr_before"])
    np.testing.assert_allclose(
        compared["snr_empirical_ratio"], compared["snr_empirical"] / compared["snr_empirical_before"]
    )
    # The masters bring noise, but take out pattern.
    assert np.median(compared["snr_ratio"]) < 1.02
    assert np.median(compared["snr_empirical_ratio"]) > 1.1


def test_both_frames_lose_the_pixels_that_one_of_them_misses(patterned):
    x, y = (float(patterned.stars[name][40]) for name in ("x", "y"))
    holed = patterned.before.copy()
    holed.mask = np.zeros(holed.shape, dtype=bool)
    holed.mask[round(y), round(x)] = True
    whole, other = (
        measure_snr(patterned.after, frame, positions=[[x, y]], fwhm=FWHM, n_empty=0)
        for frame in (patterned.before, holed)
    )
    assert (whole["n_missing"][0], other["n_missing"][0]) == (0, 1)
    assert other["flux"][0] < 0.95 * whole["flux"][0]
    assert other["flux_before"][0] < 0.95 * whole["flux_before"][0]


def test_before_calibration_is_the_raw_frame_less_one_number(detector):
    camera = simulate.Camera(
        shape=(60, 80), detector=detector, overscan_columns=20, bias_structure=simulate.bias((60, 80), 0, structure=3)
    )
    raw, truth = camera.expose("science", 10, filter="V", sky=20, rng=1)
    overscan = float(np.median(raw.data[:, 80:]))
    by_overscan = before_calibration(raw, detector, overscan="[81:100,1:60]", trim="[1:80,1:60]")
    by_number = before_calibration(raw, detector, pedestal=1000 * u.adu, trim="[1:80,1:60]")
    subtracted = raw.data[:, :80] - by_overscan.data / GAIN
    assert np.ptp(subtracted) < 1e-3
    assert subtracted.mean() == pytest.approx(overscan, abs=0.5)
    np.testing.assert_allclose(by_number.data, (raw.data[:, :80] - 1000.0) * GAIN, rtol=1e-5)
    assert by_number.unit == u.electron
    # The error knows all light as shot noise, and read noise; the pattern of the bias counts as light.
    expected = truth.electrons + GAIN * camera.bias_structure + READ_NOISE**2 + GAIN**2 / 12
    assert by_number.variance.mean() == pytest.approx(expected.mean(), rel=0.02)


def test_before_calibration_wants_one_number(detector):
    raw = CCDFrame(np.full((5, 5), 1000, dtype=np.uint16), unit="adu", name="a.fits")
    with pytest.raises(TypeError, match=r"a\.fits: give overscan"):
        before_calibration(raw, detector)
    with pytest.raises(TypeError, match=r"a\.fits: give overscan"):
        before_calibration(raw, detector, overscan="[1:2,1:5]", pedestal=3)


# -- where to measure ------------------------------------------------------------------------------------------------


def test_positions_may_be_an_array_or_a_table_and_keep_their_order(patterned):
    x, y = np.asarray(patterned.stars["x"][:4]), np.asarray(patterned.stars["y"][:4])
    tables = [
        measure_snr(patterned.after, positions=where, fwhm=FWHM, n_empty=0)
        for where in (
            np.stack([x, y], axis=1),
            [list(pair) for pair in zip(x, y, strict=True)],
            patterned.stars[:4],
            QTable({"x": x * u.pixel, "y": y * u.pixel}),
        )
    ]
    for table in tables:
        np.testing.assert_allclose(table["x"].to_value(u.pixel), x)
        np.testing.assert_allclose(table["y"].to_value(u.pixel), y)
        np.testing.assert_array_equal(table["id"], [1, 2, 3, 4])
        np.testing.assert_array_equal(table["flux"], tables[0]["flux"])


def test_positions_that_the_table_has_give_the_same_again(patterned, compared):
    again = measure_snr(patterned.after, patterned.before, positions=compared, fwhm=compared.meta["fwhm"])
    for name in ("flux", "flux_err", "flux_before", "snr_empirical", "err_sky"):
        np.testing.assert_allclose(again[name].value, compared[name].value)


def test_a_position_outside_of_the_frame_has_no_flux():
    frame = noise_frame(np.random.default_rng(3))
    table = measure_snr(frame, positions=[[60, 60], [500, 60], [0, 0]], fwhm=3.0)
    assert np.isfinite(table["flux"][[0, 2]]).all()
    assert np.isnan(table["flux"][1])
    assert np.isnan(table["snr"][1])
    assert table["n_missing"][0] == 0
    assert table["n_missing"][1] > table["n_missing"][2] > 15


def test_the_brightest_are_measured(patterned, compared):
    table = measure_snr(patterned.after, max_stars=10, n_empty=0)
    assert len(table) == 10
    assert table.meta["n_found"] == len(compared)
    assert table["flux"].min() > np.sort(compared["flux"])[-16]


def test_the_annulus_begins_outside_of_the_stars_light_and_has_ten_times_the_area():
    frame = noise_frame(np.random.default_rng(4))
    for fwhm, radius in ((3.0, None), (3.0, 8.0)):
        meta = measure_snr(frame, positions=[[60, 60]], fwhm=fwhm, radius=radius, n_empty=0).meta
        inner, outer = meta["annulus"]
        assert inner >= meta["radius"] + 1.5 * fwhm
        assert outer**2 - inner**2 == pytest.approx(10 * meta["radius"] ** 2)
    meta = measure_snr(frame, positions=[[60, 60]], radius=4.0, annulus=(5, 9), n_empty=0).meta
    assert (meta["radius"], meta["annulus"], meta["fwhm"]) == (4.0, [5.0, 9.0], None)


# -- odd frames ------------------------------------------------------------------------------------------------------


def test_of_noise_alone_the_table_is_empty_but_has_its_columns(compared):
    rng = np.random.default_rng(5)
    with pytest.warns(AstropyUserWarning, match="noise.fits: no star found above 5 sigma"):
        table = compare_snr(noise_frame(rng), noise_frame(rng, name="noise.fits"))
    assert len(table) == 0
    assert table.colnames == compared.colnames
    for name in table.colnames:
        assert table[name].dtype == compared[name].dtype
        assert getattr(table[name], "unit", None) == getattr(compared[name], "unit", None)
    assert table.meta.keys() == compared.meta.keys()


def test_few_stars_are_measured_with_a_width_that_is_assumed():
    rng = np.random.default_rng(6)
    frame = noise_frame(rng)
    frame.data[:] += 20 * 2.0 ** (-4 * (np.hypot(*np.ogrid[-60:60, -50:80]) / 4.0) ** 2) * 10
    with pytest.warns(AstropyUserWarning, match="fwhm of 4 pixels is assumed"):
        table = measure_snr(CCDFrame(frame.data, unit="electron", uncertainty=frame.uncertainty))
    assert len(table) == 1
    assert table.meta["fwhm"] is None
    assert table.meta["radius"] == 4.0


def test_what_was_rejected_in_a_mean_is_no_flag_of_a_star():
    frame = noise_frame(np.random.default_rng(6))
    frame.flags = np.full(frame.shape, DataQuality.REJECTED | DataQuality.UNCERTAIN_DIVISOR, dtype=np.uint16)
    table = measure_snr(frame, positions=[[40.0, 40.0]], fwhm=3.0)
    assert DataQuality(int(table["flags"][0])) == DataQuality.UNCERTAIN_DIVISOR


def test_a_saturated_star_says_so(detector):
    camera = simulate.Camera(shape=(200, 220), detector=detector)
    stars = QTable({"x": [60.0, 150.0], "y": [70.0, 140.0], "flux": [3e5, 500.0] * u.electron / u.s})
    raw, truth = camera.expose("science", 10, filter="V", sky=10, stars=stars, rng=7)
    table = measure_snr(before_calibration(raw, detector, pedestal=1000), fwhm=3.5)
    np.testing.assert_allclose(table["x"].value, [60, 150], atol=0.5)
    assert table["n_saturated"][0] == table["n_missing"][0] == truth.saturated.sum() > 0
    assert DataQuality(int(table["flags"][0])) == DataQuality.SATURATED
    assert (table["n_saturated"][1], table["n_missing"][1], table["flags"][1]) == (0, 0, 0)


def test_pixels_that_are_no_numbers_are_missing():
    frame = noise_frame(np.random.default_rng(8))
    data = frame.data.copy()
    data[60, 60], data[61, 60] = np.nan, np.inf
    table = measure_snr(
        CCDFrame(data, unit="electron", uncertainty=frame.uncertainty), positions=[[60, 60], [30, 30]], fwhm=3.0
    )
    assert list(table["n_missing"]) == [2, 0]
    assert np.isfinite(table["flux"]).all()


def test_nothing_given_is_changed(patterned):
    before = [patterned.after.data.copy(), patterned.after.mask.copy(), patterned.after.flags.copy()]
    identity = patterned.after.budget
    measure_snr(patterned.after, patterned.before, max_stars=3, n_empty=30)
    for array, copy in zip((patterned.after.data, patterned.after.mask, patterned.after.flags), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert patterned.after.budget is identity


def test_float32_frames_are_as_good_as_float64(patterned):
    assert patterned.after.data.dtype == np.float32
    table = measure_snr(patterned.after, positions=patterned.stars[:5], fwhm=FWHM, n_empty=0)
    assert table["flux"].dtype == np.float64


def test_the_table_survives_a_file(compared, tmp_path):
    compared.write(tmp_path / "stars.ecsv")
    again = QTable.read(tmp_path / "stars.ecsv")
    assert again.colnames == compared.colnames
    assert again.meta == compared.meta
    for name in again.colnames:
        np.testing.assert_array_equal(again[name], compared[name])
        assert getattr(again[name], "unit", None) == getattr(compared[name], "unit", None)
        assert again[name].info.description == compared[name].info.description


def test_every_column_is_described(compared):
    for name in compared.colnames:
        assert compared[name].info.description, name
    assert compared["flux_before"].info.description.endswith("before calibration")


# -- errors ----------------------------------------------------------------------------------------------------------


def test_frames_that_cannot_be_measured_are_named():
    rng = np.random.default_rng(9)
    good = noise_frame(rng, name="good.fits")
    with pytest.raises(FrameError, match=r"raw.fits has no variance.*create_deviation"):
        measure_snr(CCDFrame(np.zeros((50, 50)), unit="electron", name="raw.fits"))
    empty = CCDFrame(
        np.full((50, 50), np.nan), unit="electron", uncertainty=StdDevUncertainty(np.ones((50, 50))), name="nan.fits"
    )
    with pytest.raises(FrameError, match=r"nan.fits: no pixel can be measured"):
        measure_snr(empty)
    masked = noise_frame(rng, mask=np.ones((120, 130), dtype=bool), name="masked.fits")
    with pytest.raises(FrameError, match=r"good.fits and masked.fits: no pixel can be measured"):
        measure_snr(good, masked)
    with pytest.raises(ShapeMismatchError, match=r"good.fits has shape \(120, 130\).*other.fits\) \(50, 60\)"):
        measure_snr(good, noise_frame(rng, shape=(50, 60), name="other.fits"))
    in_adu = CCDFrame(good.data, unit="adu", uncertainty=good.uncertainty.array, name="adu.fits")
    with pytest.raises(u.UnitConversionError, match=r"good.fits is in electron.*adu.fits\) in adu.*gain_correct"):
        compare_snr(in_adu, good)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "threshold is 0; it must be a positive number"),
        ({"fwhm": -3}, "fwhm is -3"),
        ({"radius": np.nan}, "radius is nan"),
        ({"max_stars": 0}, "max_stars is 0"),
        ({"fwhm": 3, "annulus": (2, 9)}, r"annulus is \(2, 9\).*aperture \(3\)"),
        ({"fwhm": 3, "annulus": (9, 8)}, r"annulus is \(9, 8\)"),
        ({"fwhm": 3, "positions": [[1, 2, 3]]}, r"positions must be.*\(1, 3\)"),
        ({"fwhm": 3, "positions": [[np.nan, 2]]}, "positions must be finite"),
    ],
)
def test_arguments_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        measure_snr(noise_frame(np.random.default_rng(10)), **options)
