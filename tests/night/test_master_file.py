"""Masters in files: what header and name say that they are, and what is no master."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night import UnusedFile, load_profile
from astro_calib.night.library.master_file import examine_master

GENERIC = load_profile("generic")


def examined(directory, name, cards, dtype=np.float32, shape=(6, 8)):
    path = directory / name
    fits.writeto(path, np.ones(shape, dtype=dtype), fits.Header(cards))
    return examine_master(path, GENERIC)


@pytest.mark.parametrize(
    ("name", "cards", "dtype", "kind", "number"),
    [
        ("a.fits", [("IMAGETYP", "Master Bias"), ("NCOMBINE", 20)], np.uint16, "bias", 20),
        ("b.fits", [("IMAGETYP", "Master Dark"), ("EXPTIME", 60.0)], np.float32, "dark", None),
        ("c.fits", [("IMAGETYP", "MasterFlat"), ("FILTER", "V")], np.float32, "flat", None),
        ("d.fits", [("IMAGETYP", "master_dark"), ("EXPOSURE", 60.0)], np.uint16, "dark", None),
        ("e.fits", [("IMAGETYP", "BIAS"), ("COMBINED", True)], np.float32, "bias", None),
        ("f.fits", [("IMAGETYP", "Bias Frame"), ("STACKCNT", 31)], np.uint16, "bias", 31),
        ("g.fits", [("OBSTYPE", "superflat"), ("NCOMB", 5)], np.float32, "flat", 5),
        # A dark of no time is a bias, as among raw frames.
        ("h.fits", [("IMAGETYP", "DARK"), ("EXPTIME", 0.0), ("NCOMBINE", 3)], np.float32, "bias", 3),
        # Where the header is silent the name tells.
        ("master-bias.fits", [], np.float32, "bias", None),
        ("MasterBias.fit", [], np.uint16, "bias", None),
        ("combined_dark_90.000.fit", [], np.float32, "dark", None),
        ("masterFlat_V.fits", [], np.uint16, "flat", None),
        ("V_flat_master.fits", [], np.float32, "flat", None),
        ("master-flatdark-2s.fits", [], np.float32, "dark", None),
        ("superbias_2024.fits", [], np.float32, "bias", None),
        ("mdark_300s.fits", [], np.float32, "dark", None),
    ],
)
def test_kind_and_number_of_frames(tmp_path, name, cards, dtype, kind, number):
    master = examined(tmp_path, name, cards, dtype)
    assert (master.kind, master.number, master.shape, master.ours) == (kind, number, (6, 8), False)


@pytest.mark.parametrize(
    ("name", "cards", "dtype", "reason"),
    [
        ("b1.fits", [("IMAGETYP", "BIAS")], np.uint16, "a raw frame, for nothing says that it was combined"),
        ("flat-V-003.fits", [], np.uint16, "a raw frame"),
        ("m13.fits", [("IMAGETYP", "Master Light"), ("EXPTIME", 60.0)], np.float32, "a science frame"),
        ("m13.fits", [("IMAGETYP", "LIGHT"), ("NCOMBINE", 4)], np.float32, "a science frame"),
        ("thing.fits", [("NCOMBINE", 4)], np.float32, "neither bias nor dark nor flat"),
    ],
)
def test_what_is_no_master(tmp_path, name, cards, dtype, reason):
    found = examined(tmp_path, name, cards, dtype)
    assert isinstance(found, UnusedFile)
    assert reason in found.reason


def test_what_is_no_image(tmp_path):
    assert "two dimensions" in examined(tmp_path, "master-flat.fits", [], shape=(3, 6, 8)).reason
    (tmp_path / "notes.fits").write_text("no FITS")
    assert isinstance(examine_master(tmp_path / "notes.fits", GENERIC), UnusedFile)


@pytest.mark.parametrize(
    ("name", "cards", "seconds"),
    [
        ("dark.fits", [("EXPTIME", 90.0)], 90.0),
        ("combined_dark_90.000.fit", [], 90.0),
        ("master-dark-120s.fits", [], 120.0),
        ("master_dark_-20C_300s.fits", [], 300.0),
        # Two numbers, and nothing says which of them is the time.
        ("master_dark_20_300.fits", [], math.nan),
        ("master_dark.fits", [], math.nan),
    ],
)
def test_exposure_time(tmp_path, name, cards, seconds):
    master = examined(tmp_path, name, cards)
    np.testing.assert_equal(master.exposure_time, seconds)


@pytest.mark.parametrize(
    ("name", "cards", "filters", "others"),
    [
        ("flat.fits", [("FILTER", "V")], ["V"], ["B", "v", ""]),
        ("master-flat-V.fits", [], ["V", ""], ["v", "B", "Vx"]),
        ("combined_flat_filter_r.fit", [], ["r", ""], ["R", "filter_r"]),
        ("masterflat_Halpha.fits", [], ["Halpha", "HALPHA"], ["H"]),
    ],
)
def test_filter(tmp_path, name, cards, filters, others):
    master = examined(tmp_path, name, [("IMAGETYP", "FLAT"), *cards])
    assert [master.is_of_filter(one) for one in filters] == [True] * len(filters)
    assert [master.is_of_filter(one) for one in others] == [False] * len(others)
