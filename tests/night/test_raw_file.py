"""Raw files: whole ones are read, others are refused with the reason."""

from __future__ import annotations

import bz2
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night.headers.raw_file import UnusableFileError, read_raw_file

DATA = np.random.default_rng(1).integers(0, 65536, (50, 60)).astype(np.uint16)


@pytest.fixture
def content(tmp_path):
    """The bytes of a raw file: one block of header and 6000 bytes of data in three blocks."""
    path = tmp_path / "whole.fits"
    fits.writeto(path, DATA, fits.Header([("IMAGETYP", "BIAS")]))
    return path.read_bytes()


def reason(path):
    with pytest.raises(UnusableFileError) as caught:
        read_raw_file(path)
    return str(caught.value)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_plain_and_compressed_files_hold_the_same_image(tmp_path, content, compress):
    # Told from the content: the name of a file may say nothing.
    path = tmp_path / "a.fits"
    path.write_bytes(compress(content))
    header, data = read_raw_file(path)
    assert header["IMAGETYP"] == "BIAS"
    assert data.dtype == np.uint16
    np.testing.assert_array_equal(data, DATA)


def test_tile_compressed_image_has_the_keywords_of_both_headers(tmp_path):
    path = tmp_path / "a.fits.fz"
    primary = fits.PrimaryHDU(header=fits.Header([("OBSERVER", "Hubble")]))
    fits.HDUList([primary, fits.CompImageHDU(DATA, fits.Header([("IMAGETYP", "BIAS")]))]).writeto(path)
    header, data = read_raw_file(path)
    assert (header["IMAGETYP"], header["OBSERVER"]) == ("BIAS", "Hubble")
    np.testing.assert_array_equal(data, DATA)


@pytest.mark.parametrize("name", ["~/a.fits", "http:a.fits"])
def test_a_name_is_that_of_a_file_and_nothing_else(tmp_path, monkeypatch, content, name):
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_raw_file(path)[1], DATA)


@pytest.mark.parametrize("length", [1000, 2880, 5000, 2880 + 5999])
def test_cut_off_file_is_refused(tmp_path, content, length):
    path = tmp_path / "a.fits"
    path.write_bytes(content[:length])
    assert reason(path).startswith("truncated")
    path.write_bytes(gzip.compress(content[:length]))
    assert reason(path).startswith("truncated")


def test_every_pixel_is_there_without_the_padding_of_the_last_block(tmp_path, content):
    path = tmp_path / "a.fits"
    path.write_bytes(content[: 2880 + 6000])
    np.testing.assert_array_equal(read_raw_file(path)[1], DATA)


@pytest.mark.parametrize("cut", [1, 8, 3000])
def test_cut_off_gzip_file_is_refused(tmp_path, content, cut):
    # A cut of 8 bytes takes away the checksum only; astropy opens such a file without a word.
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(content)[:-cut])
    assert reason(path).startswith("truncated or damaged")


def test_gzip_file_with_one_wrong_byte_is_refused(tmp_path, content):
    compressed = bytearray(gzip.compress(content, compresslevel=0))
    compressed[5000] ^= 1
    path = tmp_path / "a.fits.gz"
    path.write_bytes(compressed)
    assert "CRC" in reason(path)


def test_cut_off_tile_compressed_file_is_refused(tmp_path):
    path = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(DATA)]).writeto(path)
    path.write_bytes(path.read_bytes()[:-5760])
    assert reason(path).startswith("truncated")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"a comment\n" * 1000, "not a FITS file"),
        (b"\0" * 5760, "not a FITS file"),
        (gzip.compress(b"a comment\n" * 1000), "not a FITS file"),
    ],
    ids=["empty", "text", "zeros", "compressed text"],
)
def test_other_files_are_refused(tmp_path, content, expected):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    assert expected in reason(path)


@pytest.mark.parametrize(
    ("hdus", "expected"),
    [
        ([fits.PrimaryHDU()], "no image in the file"),
        ([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])], "no image"),
        ([fits.PrimaryHDU(), fits.ImageHDU(DATA), fits.ImageHDU(DATA)], "2 images in the file"),
        ([fits.PrimaryHDU(DATA[0])], "the image has 1 dimensions"),
        ([fits.PrimaryHDU(np.stack([DATA] * 3))], "the image has 3 dimensions (60 x 50 x 3 pixels)"),
        ([fits.PrimaryHDU(DATA[:, :, None])], "the image has 3 dimensions (1 x 60 x 50 pixels)"),
        ([fits.PrimaryHDU(), fits.ImageHDU(np.stack([DATA] * 2))], "the image has 3 dimensions (60 x 50 x 2 pixels)"),
        ([fits.PrimaryHDU(np.full((4, 4), np.nan, np.float32))], "no pixel has a finite value"),
        ([fits.PrimaryHDU(np.zeros((4, 4), np.int16))], "every pixel is 0"),
    ],
)
def test_files_without_one_image_are_refused(tmp_path, hdus, expected):
    path = tmp_path / "a.fits"
    fits.HDUList([hdu.copy() for hdu in hdus]).writeto(path)
    assert expected in reason(path)


def test_extensions_beside_the_image_are_no_images_of_their_own(tmp_path):
    path = tmp_path / "a.fits"
    beside = [fits.ImageHDU(np.ones(DATA.shape, np.uint8), name=name) for name in ("MASK", "UNCERT", "FLAGS")]
    fits.HDUList([fits.PrimaryHDU(DATA), *beside]).writeto(path)
    np.testing.assert_array_equal(read_raw_file(path)[1], DATA)


def test_file_that_cannot_be_read(tmp_path):
    assert reason(tmp_path) == "it is no regular file"
    os.mkfifo(tmp_path / "pipe.fits")
    assert reason(tmp_path / "pipe.fits") == "it is no regular file"
    assert "it cannot be read: No such file" in reason(tmp_path / "nowhere.fits")
