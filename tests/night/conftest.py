"""Raw frames for the tests of a night, as small as they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.quickly import without_pictures_and_empty_apertures

NICKEL = Path(__file__).parents[3] / "shared" / "data" / "nickel"


@pytest.fixture(scope="session")
def nickel():
    """The directory of a real night at the Nickel telescope."""
    if not NICKEL.is_dir():
        pytest.skip("the real frames in ../shared/data/nickel are not part of a checkout")
    return NICKEL


@pytest.fixture(scope="session")
def lisbon():
    """The directory of a real night with a camera whose headers tell a wrong gain."""
    directory = NICKEL.with_name("lisbon")
    if not directory.is_dir():
        pytest.skip("the real frames in ../shared/data/lisbon are not part of a checkout")
    return directory


@pytest.fixture(scope="session")
def huntsman():
    """The directory of real frames of a camera of 12 bits."""
    directory = NICKEL.with_name("huntsman")
    if not directory.is_dir():
        pytest.skip("the real frames in ../shared/data/huntsman are not part of a checkout")
    return directory


@pytest.fixture(scope="session")
def aspen():
    """The directory of a real raw frame with finished masters."""
    directory = NICKEL.with_name("aspen")
    if not directory.is_dir():
        pytest.skip("the real frames in ../shared/data/aspen are not part of a checkout")
    return directory


@pytest.fixture
def quick(monkeypatch):
    """No empty apertures, and pictures without anything on them: for tests of what is done with files."""
    without_pictures_and_empty_apertures(monkeypatch)


@pytest.fixture
def raw(tmp_path):
    """An empty directory for raw files."""
    directory = tmp_path / "raw"
    directory.mkdir()
    return directory


@pytest.fixture
def write_raw(raw):
    """Write a raw frame of noise around a level, with a header; return its path."""

    def write(name, kind=None, *, level=1000.0, shape=(16, 20), dtype=np.uint16, seed=None, **cards):
        number = sum(1 for _ in raw.iterdir()) if seed is None else seed
        data = np.random.default_rng(number).normal(level, 5.0, shape).round().astype(dtype)
        header = fits.Header()
        if kind is not None:
            header["IMAGETYP"] = kind
            if kind != "BIAS":
                header["EXPTIME"] = 30.0
        for keyword, value in cards.items():
            if value is None:
                header.remove(keyword)
            else:
                header[keyword] = value
        path = raw / name
        fits.writeto(path, data, header)
        return path

    return write


@pytest.fixture
def small_night(write_raw):
    """Three biases, two flats in V and one science frame; the headers tell neither gain nor read noise."""
    for index in range(3):
        write_raw(f"bias{index}.fits", "BIAS")
    for index in range(2):
        write_raw(f"flat{index}.fits", "FLAT", level=20000, FILTER="V ", EXPTIME=2.0 + index)
    write_raw("m13.fits", "LIGHT", level=1500, FILTER=" V", OBJECT="M 13")
