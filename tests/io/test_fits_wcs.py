"""A WCS with more axes than the image, or one that cannot be understood, costs no frame."""

from __future__ import annotations

from contextlib import nullcontext

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning

from astro_calib import CCDFrame, trim_image

SHAPE = (20, 30)
PIXELS = np.random.default_rng(1).normal(1000, 5, SHAPE).round().astype(np.uint16)
PLANE = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 5.0, "CRPIX2": 6.0}
SCALE = {"CD1_1": -1e-4, "CD2_2": 1e-4}
STOKES = {"CTYPE3": "STOKES", "CRVAL3": 1.0, "CRPIX3": 1.0}
SIP = {"A_ORDER": 2, "A_2_0": 1e-6, "B_ORDER": 2, "B_2_0": 1e-6}
OF_SIP = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", **SIP}

#: More axes than the image; the first two say where it is.
REDUCED = {
    "a polarisation": {**PLANE, **SCALE, "WCSAXES": 3, **STOKES, "CD3_3": 1.0},
    "a polarisation without its matrix": {**PLANE, **SCALE, "WCSAXES": 3, **STOKES},
    "a polarisation and steps": {**PLANE, "CDELT1": -1e-4, "CDELT2": 1e-4, "WCSAXES": 3, **STOKES, "CDELT3": 1.0},
    "a frequency and a polarisation": {
        **PLANE,
        **SCALE,
        "WCSAXES": 4,
        "CTYPE3": "FREQ",
        "CRVAL3": 1.4e9,
        "CDELT3": 1e6,
        "CUNIT3": "Hz",
        "CTYPE4": "STOKES",
        "CRVAL4": 1.0,
    },
    "only their number": {**PLANE, **SCALE, "WCSAXES": 3},
    "a number that no WCS has": {**PLANE, **SCALE, "WCSAXES": 99},
    "a time": {**PLANE, **SCALE, "WCSAXES": 3, "CTYPE3": "TIME", "CRVAL3": 60000.0, "CUNIT3": "d"},
    "without WCSAXES": {**PLANE, **SCALE, **STOKES},
    "distorted, and a polarisation": {**PLANE, **SCALE, **OF_SIP, "WCSAXES": 3, **STOKES},
}
#: What cannot be used, and what the remark says of it.
LEFT_OUT = {
    "a spectrograph's": ({**PLANE, **SCALE, "CTYPE1": "WAVE", "CTYPE2": "RA---TAN", "CTYPE3": "DEC--TAN"}, "Unmatched"),
    "axes that depend on each other": ({**PLANE, **SCALE, "CTYPE3": "FREQ", "CD1_3": 1e-5, "CD3_3": 1e6}, "CD1_3"),
    "a projection that is not known": ({**PLANE, **SCALE, "CTYPE1": "RA---XYZ"}, "XYZ"),
    "one celestial axis": ({**PLANE, **SCALE, "CTYPE2": "XXX"}, "Unmatched celestial axes"),
    "the same axis twice": ({**PLANE, **SCALE, "CTYPE2": "RA---TAN"}, "Inconsistent projection types"),
    "a matrix of zeros": ({**PLANE, "CD1_1": 0.0, "CD2_2": 0.0}, "singular"),
    "a singular matrix": ({**PLANE, "CD1_1": 1e-4, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 1e-4}, "singular"),
    "a step of zero": ({**PLANE, "CDELT1": 0.0, "CDELT2": 1e-4}, "singular"),
    "half of SIP": ({**PLANE, **SCALE, **OF_SIP, "B_ORDER": None, "B_2_0": None}, "B_ORDER"),
    "an order that is a text": ({**PLANE, **SCALE, **OF_SIP, "A_ORDER": "two"}, "str"),
    "tables that are missing": ({**PLANE, **SCALE, "CPDIS1": "LOOKUP", "CPDIS2": "LOOKUP"}, "DP1"),
    "a value that is a text": ({**PLANE, **SCALE, "CRVAL1": "10h00m"}, "CRVAL1"),
    "a unit that is none": ({**PLANE, **SCALE, "CUNIT1": "parrots"}, "parrots"),
}


def written(path, cards, data=PIXELS):
    given = [(keyword, value) for keyword, value in cards.items() if value is not None]
    fits.writeto(path, data, fits.Header([("OBJECT", "M 13"), *given]))
    return path


def assert_survives_all(frame, tmp_path):
    """Cutting, arithmetic, copies and files do not fail, and the sky stays where it is."""
    parts = [frame[5:, 3:], trim_image(frame, "[4:30,6:20]"), (2.0 * frame - frame)[5:, 3:], frame.copy()[5:, 3:]]
    for number, part in enumerate(parts):
        path = tmp_path / f"part{number}.fits"
        part.write(path)
        for one in (part, CCDFrame.read(path)):
            assert one.shape == (15, 27)
            if frame.wcs is None:
                assert one.wcs is None
                assert not {"CRVAL1", "CTYPE1", "CD1_1"} & set(one.meta)
            else:
                assert one.wcs.pixel_n_dim == 2
                here, there = one.wcs.pixel_to_world(1, 2), frame.wcs.pixel_to_world(4, 7)
                assert here.separation(there).arcsec < 1e-6


@pytest.mark.parametrize("case", REDUCED)
@pytest.mark.parametrize("shape", [SHAPE, (1, *SHAPE)], ids=["NAXIS 2", "NAXIS 3"])
def test_axes_that_the_image_does_not_have_are_left_out(tmp_path, case, shape):
    frame = CCDFrame.read(written(tmp_path / "a.fits", REDUCED[case], PIXELS.reshape(shape)), unit="adu")
    # The plane's reference point, without any distortion.
    sky = frame.wcs.pixel_to_world(4, 5)
    assert (sky.ra.deg, sky.dec.deg) == pytest.approx((10, 20), abs=1e-9)
    # And 10 pixels of 0.36 arcsec to the north of it.
    assert sky.separation(frame.wcs.pixel_to_world(4, 15)).arcsec == pytest.approx(3.6, abs=1e-6)
    assert not [keyword for keyword in frame.meta if keyword.endswith("3") or keyword.startswith(("CR", "CD", "WCS"))]
    assert frame.meta["OBJECT"] == "M 13"
    assert_survives_all(frame, tmp_path)


@pytest.mark.parametrize("case", LEFT_OUT)
def test_wcs_that_cannot_be_used_is_left_out_with_a_remark(tmp_path, case):
    cards, reason = LEFT_OUT[case]
    path = written(tmp_path / "a.fits", cards)
    with pytest.warns(AstropyUserWarning, match=rf"a\.fits: its WCS is left out.*{reason}") as caught:
        frame = CCDFrame.read(path, unit="adu")
    assert len(caught) == 1
    assert frame.wcs is None
    np.testing.assert_array_equal(frame.data, PIXELS)
    assert frame.meta["OBJECT"] == "M 13"
    assert_survives_all(frame, tmp_path)


@pytest.mark.parametrize(
    ("keyword", "value", "read", "remark"),
    [
        ("MJD-OBS", "60443.5", 60443.5, None),
        ("MJD-OBS", "unknown", None, "MJD-OBS='unknown' is left out"),
        ("EQUINOX", "J2000", 2000.0, None),
        ("EQUINOX", "2000.0", 2000.0, None),
        ("EQUINOX", "now", None, "EQUINOX='now' is left out"),
        ("OBSGEO-X", "abc", None, "OBSGEO-X='abc' is left out"),
        ("CRPIX1", "5.0", 5.0, None),
        ("CRVAL1", "10,0", 10.0, None),
        ("LONPOLE", "180", 180.0, None),
    ],
)
def test_text_in_place_of_a_number_does_not_take_the_wcs_away(tmp_path, keyword, value, read, remark):
    path = written(tmp_path / "a.fits", {**PLANE, **SCALE} | {keyword: value})
    with pytest.warns(AstropyUserWarning, match=rf"^a\.fits: {remark}") if remark else nullcontext():
        frame = CCDFrame.read(path, unit="adu")
    sky = frame.wcs.pixel_to_world(4, 5)
    assert (sky.ra.deg, sky.dec.deg) == pytest.approx((10, 20), abs=1e-9)
    assert_survives_all(frame, tmp_path)
    assert fits.getheader(tmp_path / "part0.fits").get(keyword) == (read - 3 if keyword == "CRPIX1" else read)
    # Others find the WCS of what is written, too.
    assert CCDData.read(tmp_path / "part0.fits").wcs is not None


def test_old_date_does_not_become_one_of_another_century(tmp_path):
    frame = CCDFrame.read(written(tmp_path / "a.fits", {**PLANE, **SCALE} | {"DATE-OBS": "13/05/24"}), unit="adu")
    frame.write(tmp_path / "b.fits")
    header = fits.getheader(tmp_path / "b.fits")
    assert header["DATE-OBS"] == "13/05/24"
    assert "MJD-OBS" not in header


def test_distortion_that_its_type_does_not_announce_counts_and_is_no_remark(tmp_path, capsys):
    frame = CCDFrame.read(written(tmp_path / "a.fits", {**PLANE, **SCALE, **SIP}), unit="adu")
    announced = CCDFrame.read(written(tmp_path / "b.fits", {**PLANE, **SCALE, **OF_SIP}), unit="adu")
    assert frame.wcs.pixel_to_world(25, 15).separation(announced.wcs.pixel_to_world(25, 15)).arcsec < 1e-9
    frame.write(tmp_path / "c.fits")
    assert capsys.readouterr() == ("", "")


def test_header_without_a_wcs_keeps_its_cards(tmp_path):
    frame = CCDFrame.read(written(tmp_path / "a.fits", {"CTYPE1": "", "CTYPE2": "", "CRVAL1": 3.0}), unit="adu")
    assert frame.wcs is None
    assert frame.meta["CRVAL1"] == 3


def test_other_wcs_of_the_header_stays(tmp_path):
    cards = {**PLANE, **SCALE, "CTYPE1A": "LINEAR", "CTYPE2A": "LINEAR", "CRVAL1A": 7.0, "CD1_1A": 2.0, "CD2_2A": 2.0}
    frame = CCDFrame.read(written(tmp_path / "a.fits", cards), unit="adu")
    assert frame.wcs.wcs.crval[0] == 10
    assert frame.meta["CRVAL1A"] == 7


# -- frames that are made with such a WCS ----------------------------------------------------------------------------


@pytest.fixture
def wcs_of():
    def make(cards):
        with pytest.warns(FITSFixedWarning):
            return WCS(fits.Header({"NAXIS": 2, "NAXIS1": 30, "NAXIS2": 20, **cards}))

    return make


@pytest.mark.parametrize("case", ["a polarisation", "a frequency and a polarisation", "a time"])
def test_frame_takes_the_axes_that_it_has_of_a_wcs(tmp_path, wcs_of, case):
    given = wcs_of(REDUCED[case])
    frame = CCDFrame(PIXELS, unit=u.adu, wcs=given)
    assert given.pixel_n_dim > frame.wcs.pixel_n_dim == 2
    assert_survives_all(frame, tmp_path)


def test_frame_says_that_it_cannot_take_a_wcs(tmp_path, wcs_of):
    given = wcs_of({**PLANE, "CTYPE1": "WAVE", "CTYPE2": "RA---TAN", "CTYPE3": "DEC--TAN", "CUNIT1": "m", "WCSAXES": 3})
    with pytest.warns(AstropyUserWarning, match="the frame: its WCS has 3 axes, the image 2; it is left out"):
        frame = CCDFrame(PIXELS, unit=u.adu, wcs=given)
    assert_survives_all(frame, tmp_path)


def test_wcs_that_is_set_later_is_reduced_too(wcs_of):
    frame = CCDFrame(PIXELS, unit=u.adu)
    frame.wcs = wcs_of(REDUCED["a polarisation"])
    assert frame[3:, 2:].wcs.wcs.crpix.tolist() == [3, 3]
    frame.wcs = None
    assert frame.wcs is None
