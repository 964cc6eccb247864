"""A night whose files are written in another way is reduced to the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import DataQuality, simulate
from astro_calib.night import reduce_night

SHAPE = (64, 80)
STOKES = {"CTYPE3": "STOKES", "CRVAL3": 1.0, "CRPIX3": 1.0, "WCSAXES": 3}
PLANE = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 5.0, "CRPIX2": 6.0}
SCALE = {"CDELT1": -1e-4, "CDELT2": 1e-4}


def in_extension(data, header):
    return [fits.PrimaryHDU(header=header), fits.ImageHDU(data)]


def in_tiles(data, header):
    return [fits.PrimaryHDU(header=header), fits.CompImageHDU(data)]


def behind_a_table(data, header):
    table = fits.BinTableHDU.from_columns([fits.Column("x", "J", array=[1])], name="GUIDING")
    return [fits.PrimaryHDU(header=header), table, fits.ImageHDU(data, name="SCI")]


def third_axis(data, header):
    return [fits.PrimaryHDU(data[None], header)]


def with_a_polarisation(data, header):
    return [fits.PrimaryHDU(data, header + fits.Header({**PLANE, **SCALE, **STOKES}))]


def wcs_that_is_none(data, header):
    return [fits.PrimaryHDU(data, header + fits.Header({**PLANE, **SCALE, "CTYPE1": "RA---XYZ"}))]


def flags_of_another(data, header):
    return [fits.PrimaryHDU(data, header), fits.ImageHDU(np.full(data.shape, 70000, np.int32), name="FLAGS")]


def blank_that_no_pixel_has(data, header):
    return [fits.PrimaryHDU(data, header + fits.Header({"BLANK": 32767}))]


WAYS = [
    *(in_extension, in_tiles, behind_a_table, third_axis, with_a_polarisation, wcs_that_is_none, flags_of_another),
    blank_that_no_pixel_has,
]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    directory = tmp_path_factory.mktemp("night") / "raw"
    camera = simulate.camera(SHAPE, filters=["V"])
    return simulate.night(directory, camera=camera, seed=8, biases=3, darks=2, flats=2, science=1, stars=3)


@pytest.fixture(scope="module")
def calibrated(night, tmp_path_factory):
    """Images of the night as it is."""
    return images(reduce_night(night.directory, tmp_path_factory.mktemp("out") / "out", **QUICKLY))


QUICKLY = {"progress": False, "pictures": False, "stars": False}


def images(summary):
    assert not summary.failures
    return [fits.getdata(frame.path, ext) for frame in summary.frames for ext in (0, "UNCERT", "FLAGS")]


def rewritten(night, raw, way, which):
    raw.mkdir()
    chosen = {path.name for kind in which for path in night.paths(kind)[:1]}
    for path in sorted(night.directory.iterdir()):
        data, header = fits.getdata(path, header=True)
        header.strip()
        if path.name in chosen:
            fits.HDUList(way(data, header)).writeto(raw / path.name)
        else:
            fits.writeto(raw / path.name, data, header)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_pixels_come_of_files_that_are_written_in_another_way(night, calibrated, tmp_path, way):
    rewritten(night, tmp_path / "raw", way, ("bias", "dark", "flat", "science"))
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", **QUICKLY)
    for image, expected in zip(images(summary), calibrated, strict=True):
        np.testing.assert_array_equal(image, expected)
    (frame,) = summary.frames
    header = fits.getheader(frame.path)
    for keyword in ("OBJECT", "FILTER", "EXPTIME"):
        assert header[keyword] == fits.getheader(night.paths("science")[0])[keyword]
    said = " ".join(summary.remarks)
    assert ("its WCS is left out" in said) == (way is wcs_that_is_none)
    assert ("flags of another program are left out" in said) == (way is flags_of_another)


def test_blank_pixels_of_any_frame_are_in_no_result(night, calibrated, tmp_path):
    def with_blanks(data, header):
        data = data.copy()
        # In the image, and one in the overscan, which lies beside it.
        data[10, 12], data[20, -4] = 0, 0
        return [fits.PrimaryHDU(data, header + fits.Header({"BLANK": -32768}))]

    rewritten(night, tmp_path / "raw", with_blanks, ("bias", "dark", "flat", "science"))
    (frame,) = reduce_night(tmp_path / "raw", tmp_path / "out", **QUICKLY).frames
    data, flags, mask = (fits.getdata(frame.path, ext) for ext in (0, "FLAGS", "MASK"))
    assert mask[10, 12] == 1
    assert flags[10, 12] & int(DataQuality.NO_DATA)
    assert "BLANK" not in fits.getheader(frame.path)
    # All others hardly change: a bias, dark and flat less at one pixel, a level of the overscan of one pixel less.
    others = (mask == 0) & np.isfinite(calibrated[0])
    np.testing.assert_allclose(data[others], calibrated[0][others], atol=1.0)
    assert np.count_nonzero(flags & int(DataQuality.NO_DATA)) == 1
