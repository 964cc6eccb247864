"""Positions that are given: recentred, incomplete, on the sky; in apertures of one radius."""

from __future__ import annotations

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.utils.masked import Masked
from astropy.wcs import WCS

from astro_calib import CCDFrame, DataQuality, Detector, compare_snr, create_deviation, measure_snr, simulate
from astro_calib.photometry import StarTable

SHAPE = (200, 220)
STARS = np.array([[50.3, 60.8], [120.7, 70.2], [60.1, 140.4], [150.5, 150.0]])
FWHM, FLUX = 3.0, 30000.0
CAMERA = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)


@pytest.fixture(scope="module")
def frame():
    stars = Table({"x": STARS[:, 0], "y": STARS[:, 1], "flux": [FLUX] * 4})
    rng = np.random.default_rng(1)
    data = rng.poisson(simulate.stars(SHAPE, stars, FWHM) + 100.0) + rng.normal(0, 5, SHAPE)
    return create_deviation(CCDFrame(data, unit="electron", name="field.fits"), CAMERA)


def measured(frame, positions, **options):
    return measure_snr(frame, positions=positions, n_empty=0, **({"fwhm": FWHM} | options))


# -- centres ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [(0.0, 0.0), (1.5, 0.0), (-1.0, 1.2), (0.4, -2.3)])
def test_positions_are_moved_to_the_centres_of_the_stars(frame, off):
    table = measured(frame, STARS + off, recenter=True)
    np.testing.assert_allclose(np.stack([table["x"].value, table["y"].value], axis=1), STARS, atol=0.05)
    np.testing.assert_allclose(table["shift"].value, np.hypot(*off), atol=0.1)
    np.testing.assert_allclose(table["flux"].value, measured(frame, STARS)["flux"].value, rtol=0.003)
    # A position that is not centred loses light.
    if np.hypot(*off) > 1:
        assert (measured(frame, STARS + off)["flux"].value < 0.97 * table["flux"].value).all()


@pytest.mark.parametrize("where", [(100.0, 110.0), (57.5, 60.8), (500.0, 20.0), (-30.0, -30.0), (0.0, 0.0), (1e300, 5)])
def test_a_position_without_a_star_near_it_stays(frame, where):
    table = measured(frame, [where, STARS[0]], recenter=True)
    assert (table["x"][0].value, table["y"][0].value) == where
    assert np.isnan(table["shift"][0])
    assert table["shift"][1] < 0.1 * u.pix


def test_only_recentred_tables_have_a_shift(frame):
    assert "shift" not in measured(frame, STARS).colnames
    assert "shift" not in measure_snr(frame, n_empty=0).colnames


def test_a_trailed_star_is_recentred_along_its_trail():
    steps = np.linspace(-4, 4, 33)
    x, y = (np.add.outer(STARS[:, axis], steps * way).ravel() for axis, way in ((0, 0.8), (1, 0.6)))
    light = simulate.stars(SHAPE, Table({"x": x, "y": y, "flux": np.full(x.size, FLUX / 33)}), 2.0)
    image = create_deviation(
        CCDFrame(np.random.default_rng(2).poisson(light + 100.0).astype(float), unit="electron"), CAMERA
    )
    table = measure_snr(image, positions=STARS + np.array([1.6, 1.2]), recenter=True, n_empty=0)
    np.testing.assert_allclose(np.stack([table["x"].value, table["y"].value], axis=1), STARS, atol=0.1)
    np.testing.assert_allclose(table["flux"].value, FLUX, rtol=0.03)


# -- fluxes that are not whole ---------------------------------------------------------------------------------------


def holed(frame, pixels, flag=None):
    """The frame without pixels, given relative to the first star's."""
    rows, columns = np.transpose([(61 + dy, 50 + dx) for dx, dy in pixels])
    mask = np.zeros(SHAPE, dtype=bool)
    mask[rows, columns] = True
    image = frame.copy()
    image.mask = mask
    if flag is not None:
        image.flags = np.where(mask, np.uint16(flag), np.uint16(0))
    return image


@pytest.mark.parametrize(
    ("pixels", "partial"),
    [
        ([(0, 0)], True),
        ([(1, -1)], True),
        ([(dx, dy) for dx in range(-1, 2) for dy in range(-1, 2)], True),
        # At the rim of the aperture is less than a percent of the light; in the annulus there is none.
        ([(3, 1)], False),
        ([(9, 2), (10, 2), (0, -9)], False),
        ([(dx, 0) for dx in range(-40, 41)], True),
    ],
)
@pytest.mark.parametrize("flag", [None, DataQuality.BAD, DataQuality.SATURATED])
def test_a_flux_that_lacks_light_says_so(frame, pixels, partial, flag):
    whole, table = measured(frame, STARS), measured(holed(frame, pixels, flag), STARS)
    np.testing.assert_array_equal(whole["partial"], False)
    np.testing.assert_array_equal(whole["missing_light"], 0)
    lost = 1 - table["flux"][0] / whole["flux"][0]
    assert table["missing_light"][0] == pytest.approx(float(lost), abs=0.02)
    if flag != DataQuality.SATURATED:
        assert table["partial"][0] == partial
        assert table.meta["n_partial"] == partial
    elif table["n_saturated"][0]:
        assert table["partial"][0]
    np.testing.assert_array_equal(table["partial"][1:], False)


@pytest.mark.parametrize(
    ("where", "missing"),
    [((-0.5, 100), 0.5), ((100, 199.5), 0.5), ((-0.5, -0.5), 0.75), ((300, 90), 1), ((1e300, 5), 1)],
)
def test_a_position_at_the_edge_lacks_what_is_outside(frame, where, missing):
    table = measured(frame, [where])
    assert table["missing_light"][0] == pytest.approx(missing, abs=0.01)
    assert table["partial"][0]
    assert np.isnan(table["flux"][0]) == (missing == 1)


def test_a_saturated_star_that_is_found_is_partial():
    stars = Table({"x": [60.0, 150.0], "y": [70.0, 140.0], "flux": [3e5, 8000.0]})
    light = simulate.stars(SHAPE, stars, FWHM) + 100
    saturated = light > 15000
    image = create_deviation(CCDFrame(np.minimum(light, 15000.0), unit="electron", mask=saturated), CAMERA)
    image.flags = np.where(saturated, np.uint16(DataQuality.SATURATED), np.uint16(0))
    table = measure_snr(image, fwhm=FWHM, n_empty=0)
    np.testing.assert_array_equal(table["partial"], [True, False])
    assert table["missing_light"][0] > 0.3


@pytest.mark.parametrize(
    "column",
    [
        MaskedColumn([50.0, 60.0], mask=[False, True]),
        MaskedColumn([50, 60], mask=[False, True]),
        Masked([50.0, 60] * u.pix, [False, True]),
        [50.0, np.inf],
    ],
    ids=["column", "whole numbers", "quantity", "infinite"],
)
def test_masked_positions_are_refused(frame, column):
    table = QTable({"x": column, "y": [50.0, 60.0]})
    with pytest.raises(ValueError, match=r"1 of 2 are masked or not finite, the first in row 1"):
        measured(frame, table)


# -- one radius ------------------------------------------------------------------------------------------------------


def test_the_table_says_the_radius(frame):
    for options, radius in (({"radius": 5.5}, 5.5), ({}, FWHM)):
        table = measured(frame, STARS, **options)
        np.testing.assert_array_equal(table["aperture_radius"].to_value(u.pix), radius)
        assert table.meta["radius"] == radius


# -- the sky ---------------------------------------------------------------------------------------------------------


def tangential(**cards):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 100.5, "CRPIX2": 90.5})
    header.update({"CRVAL1": 150.0, "CRVAL2": 30.0, "CDELT1": -1e-4, "CDELT2": 1e-4})
    for key, value in cards.items():
        header[key] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(header)


def on_the_sky(frame, wcs):
    image = frame.copy()
    image.wcs = wcs
    return measured(image, STARS)


def test_stars_have_right_ascension_and_declination(frame):
    table = on_the_sky(frame, tangential())
    # The tangential projection of a small field: offsets along the sky, in degrees.
    away = (STARS - [99.5, 89.5]) * 1e-4
    np.testing.assert_allclose(table["dec"].to_value(u.deg), 30 + away[:, 1], atol=1e-7)
    np.testing.assert_allclose((table["ra"].to_value(u.deg) - 150) * np.cos(np.radians(30)), -away[:, 0], atol=1e-6)
    assert "ra" not in measured(frame, STARS).colnames


@pytest.mark.parametrize(
    ("cards", "system"),
    [
        ({"RADESYS": "FK5", "EQUINOX": 1975.0}, "fk5"),
        ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "galactic"),
        ({"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 30.0, "CRVAL2": 150.0}, "icrs"),
        ({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6}, "icrs"),
    ],
    ids=["equinox", "galactic", "axes exchanged", "SIP"],
)
def test_coordinates_are_icrs_whatever_the_frame_has(frame, cards, system):
    wcs = tangential(**cards)
    table = on_the_sky(frame, wcs)
    expected = wcs.pixel_to_world(*STARS.T).icrs
    assert wcs.pixel_to_world(1, 1).name == system
    found = SkyCoord(table["ra"], table["dec"])
    assert found.separation(expected).max() < 1e-6 * u.arcsec


def test_a_spectral_axis_more_changes_nothing(frame):
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN", "STOKES"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [150, 30, 1], [100.5, 90.5, 1], [-1e-4, 1e-4, 1]
    image = frame.copy()
    # CCDFrame takes what readers of files with such headers give it.
    image._wcs = wcs
    table = measured(image, STARS)
    np.testing.assert_allclose(table["ra"].value, on_the_sky(frame, tangential())["ra"].value)


def test_a_wcs_of_something_else_gives_no_coordinates(frame):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["PIXEL", "PIXEL"]
    for other in (wcs, WCS(naxis=2)):
        assert "ra" not in on_the_sky(frame, other).colnames


def unfitted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 30.0}))


def broken():
    wcs = tangential()
    wcs.wcs.crval = [150.0, 200.0]
    return wcs


@pytest.mark.parametrize(
    ("wcs", "reason"),
    [
        (unfitted, "it has no scale"),
        (broken, "Ill-conditioned"),
        (lambda: tangential(RADESYS="FOO"), "RADESYS is 'FOO'"),
    ],
    ids=["not fitted", "broken", "unknown system"],
)
def test_a_wcs_that_cannot_be_used_is_a_remark(frame, wcs, reason):
    with pytest.warns(AstropyUserWarning, match=r"field.fits: its WCS cannot be used, .*no ra and dec: .*" + reason):
        table = on_the_sky(frame, wcs())
    assert "ra" not in table.colnames
    assert np.isfinite(table["flux"]).all()


def test_no_star_no_coordinates():
    wcs = tangential()
    empty = CCDFrame(
        np.random.default_rng(3).normal(0, 10, SHAPE),
        unit="electron",
        uncertainty=StdDevUncertainty(np.full(SHAPE, 10.0)),
        wcs=wcs,
    )
    with pytest.warns(AstropyUserWarning, match="no star found"):
        table = measure_snr(empty, n_empty=0)
    assert len(table["ra"]) == len(table["dec"]) == 0


# -- files -----------------------------------------------------------------------------------------------------------


def odd_meta(table):
    table.meta |= {"user": {"a": [1, None]}, "näme": "Größe\n", "none": None, "long": "x" * 300, "comments": ["one"]}
    table.meta |= {"list": [1.5, None, float("nan"), "ü"], "number": np.float32(3), "yes": True, "EXTNAME": "stars"}
    table.meta["a key that is longer than any card of FITS has room for, by far, as it goes on and on"] = 1
    return table


@pytest.fixture(scope="module", params=["measured", "compared", "empty", "odd meta", "rate"])
def table(request, frame):
    image = frame.copy()
    image.wcs = tangential()
    if request.param == "compared":
        return compare_snr(image, image, fwhm=FWHM, n_empty=30)
    if request.param == "rate":
        return measured((image / (10 * u.s)), STARS)
    found = measured(image, STARS)
    return {"measured": found, "empty": found[:0], "odd meta": odd_meta(found)}[request.param]


@pytest.mark.parametrize(("name", "form"), [("x.fits", None), ("x.vot", "votable"), ("x.ecsv", None)])
def test_tables_are_written_without_a_warning_and_read_back_equal(table, name, form, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table.write(tmp_path / name, **({"format": form} if form else {}))
        again = QTable.read(tmp_path / name, **({"format": form} if form else {}))
        Table.read(tmp_path / name, **({"format": form} if form else {}))
    assert again.colnames == table.colnames
    for column in table.colnames:
        np.testing.assert_array_equal(np.asarray(again[column]), np.asarray(table[column]), err_msg=column)
        assert again[column].dtype.newbyteorder("=") == table[column].dtype
        assert str(again[column].unit) == str(table[column].unit)
        assert again[column].info.description == table[column].info.description
    if name != "x.vot":
        for key in ("frame", "radius", "annulus", "n_partial"):
            assert again.meta[key] == table.meta[key]


@pytest.mark.parametrize(("name", "form"), [("y.fits", None), ("y.vot", "votable"), ("y.ecsv", None)])
@pytest.mark.parametrize(
    ("first", "first_form"),
    [
        ("x.ecsv", None),
        pytest.param("x.fits", None, marks=pytest.mark.long),
        pytest.param("x.vot", "votable", marks=pytest.mark.long),
    ],
)
def test_a_table_in_a_file_is_written_in_another_format_without_a_warning(
    table, first, first_form, name, form, tmp_path
):
    table.write(tmp_path / first, **({"format": first_form} if first_form else {}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = StarTable.read(tmp_path / first, **({"format": first_form} if first_form else {}))
        read.write(tmp_path / name, **({"format": form} if form else {}))
        read.write(tmp_path / name, overwrite=True, **({"format": form} if form else {}))
        again = StarTable.read(tmp_path / name, **({"format": form} if form else {}))
    assert again.colnames == table.colnames
    np.testing.assert_array_equal(again["flux"].value, table["flux"].value)
    assert str(again["flux"].unit) == str(table["flux"].unit)


def test_the_table_written_is_not_changed(table, tmp_path):
    meta, units = dict(table.meta), [table[name].unit for name in table.colnames]
    for name, form in (("x.fits", "fits"), ("x.vot", "votable")):
        table.write(tmp_path / name, format=form)
    assert dict(table.meta) == meta or "odd" in str(meta) or np.isnan(table.meta["empty_scatter"])
    assert [table[name].unit for name in table.colnames] == units


def test_fits_are_not_overwritten_unasked(table, tmp_path):
    table.write(tmp_path / "x.fits")
    with pytest.raises(OSError, match="already exists"):
        table.write(tmp_path / "x.fits")
    table.write(tmp_path / "x.fits", overwrite=True)


def test_asdf_holds_the_table(frame, tmp_path):
    import asdf

    found = measured(frame, STARS)
    asdf.AsdfFile({"stars": found}).write_to(tmp_path / "x.asdf")
    with asdf.open(tmp_path / "x.asdf") as file:
        np.testing.assert_array_equal(file["stars"]["flux"].value, found["flux"].value)
        assert str(file["stars"]["flux"].unit) == "electron"
