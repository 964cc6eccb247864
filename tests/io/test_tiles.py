"""Damaged tiles are refused before what unpacks them gets to see them."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib import CCDFrame
from astro_calib.errors import FrameError
from astro_calib.night.headers.raw_file import UnusableFileError, read_raw_file
from tests import processes

DATA = np.random.default_rng(1).normal(1000, 5, (32, 48)).round().astype(np.int16)
WAYS = ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"]
QUANTIZED = {"quantize_level": 16.0}


def write(path, way, data=DATA, *, checksum=False, **options):
    if way == "HCOMPRESS_1":
        options["tile_shape"] = (8, 48)
    hdu = fits.CompImageHDU(data, compression_type=way, **options)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, checksum=checksum)
    return path.read_bytes()


def heap(path):
    """Where the tiles are."""
    with fits.open(path, disable_image_compression=True) as hdus:
        header, start = hdus[1].header, hdus[1].fileinfo()["datLoc"]
        begin = start + header.get("THEAP", header["NAXIS1"] * header["NAXIS2"])
        return begin, begin + header["PCOUNT"]


@pytest.mark.parametrize("way", WAYS)
def test_whole_files_are_read(tmp_path, way):
    path = tmp_path / "a.fits.fz"
    write(path, way, checksum=True)
    np.testing.assert_array_equal(read_raw_file(path)[1], DATA)
    np.testing.assert_array_equal(CCDFrame.read(path, unit="adu").data, DATA)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("way", ["RICE_1", "GZIP_2", "HCOMPRESS_1"])
def test_whole_files_of_any_type_and_tiles_that_end_at_the_edge(tmp_path, way, dtype):
    path = tmp_path / "a.fits.fz"
    data = np.random.default_rng(2).normal(100, 5, (36, 46)).round().astype(dtype)
    hdu = fits.CompImageHDU(
        data, compression_type=way, tile_shape=(8, 10), quantize_level=0.0 if way == "GZIP_2" else 16
    )
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    assert read_raw_file(path)[1].shape == (36, 46)


@pytest.mark.parametrize("way", WAYS)
def test_any_flipped_bit_is_noticed_where_there_are_checksums(tmp_path, way):
    path = tmp_path / "a.fits.fz"
    content = bytearray(write(path, way, checksum=True))
    begin, end = heap(path)
    rng = np.random.default_rng(3)
    for place in rng.integers(begin, end, 12):
        bit = 1 << int(rng.integers(8))
        content[place] ^= bit
        path.write_bytes(content)
        with pytest.raises(UnusableFileError, match="differ from their DATASUM"):
            read_raw_file(path)
        with pytest.raises(FrameError, match=r"a\.fits\.fz cannot be read: .*differ from their DATASUM"):
            CCDFrame.read(path, unit="adu")
        content[place] ^= bit


FUZZ = """
import sys, warnings
from pathlib import Path
import numpy as np
from astro_calib import CCDFrame
from astro_calib.errors import FrameError
from astro_calib.night.headers.raw_file import read_raw_file
warnings.simplefilter("ignore")
path, begin, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
content = path.read_bytes()
refused = 0
for seed in range(40):
    rng = np.random.default_rng(seed)
    damaged = bytearray(content)
    for _ in range(1 + seed % 4):
        damaged[rng.integers(begin, end)] ^= 1 << int(rng.integers(8))
    path.write_bytes(damaged)
    for read in (read_raw_file, lambda path: CCDFrame.read(path, unit="adu")):
        try:
            read(path)
        except FrameError:
            refused += 1
print(refused)
"""


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_damage_is_an_error_of_the_frame_or_stays_in_its_pixels(tmp_path, way):
    # In a process of its own, which some damage would end: cfitsio writes beyond its memory.
    path = tmp_path / "a.fits.fz"
    write(path, way)
    begin, end = heap(path)
    # From the places of the tiles, which are before them.
    result = processes.run(FUZZ, path, begin - 4 * 8, end)
    assert result.returncode == 0, result.stderr[-500:]
    assert int(result.stdout) > 0


def changed_tile(path, change):
    """The file with another beginning of its first tile."""
    content = bytearray(path.read_bytes())
    begin, _ = heap(path)
    change(content, begin)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("way", "place", "value", "said"),
    [
        ("HCOMPRESS_1", 0, b"\xdd\x98", "is no HCOMPRESS tile"),
        ("HCOMPRESS_1", 2, struct.pack(">i", 9), r"its shape is \(9, 48\), but it is \(8, 48\)"),
        ("HCOMPRESS_1", 6, struct.pack(">i", 1 << 30), "its shape is"),
        ("HCOMPRESS_1", 2, struct.pack(">ii", -8, -48), "its shape is"),
        ("HCOMPRESS_1", 22, b"\xff", "is no HCOMPRESS tile"),
        ("PLIO_1", 6, b"\x7f\x7f\x7f\x7f", "words, but only"),
    ],
)
def test_what_a_tile_says_of_itself_is_not_believed(tmp_path, way, place, value, said):
    path = tmp_path / "a.fits.fz"
    write(path, way)

    def change(content, begin):
        content[begin + place : begin + place + len(value)] = value

    changed_tile(path, change)
    with pytest.raises(UnusableFileError, match=f"damaged: tile 0 of header 1 .*{said}"):
        read_raw_file(path)
    with pytest.raises(FrameError, match=r"a\.fits\.fz cannot be read: damaged: tile 0"):
        CCDFrame.read(path, unit="adu")


def test_a_tile_that_unpacks_to_more_than_its_pixels_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "a.fits.fz"
    # One tile for all, as long as zeros that would fill 200 MB.
    noise = np.random.default_rng(5).integers(-(2**15), 2**15, (300, 500)).astype(np.int16)
    write(path, "GZIP_1", noise, tile_shape=(300, 500))
    begin, end = heap(path)
    packed = gzip.compress(bytes(200_000_000), 9)
    assert len(packed) < end - begin
    content = bytearray(path.read_bytes())
    content[begin : begin + len(packed)] = packed
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(UnusableFileError, match="tile 0 of header 1 unpacks to more than"):
        read_raw_file(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


# -- checksums of plain and compressed raw files ---------------------------------------------------------------------


@pytest.fixture(params=["plain", "gzip"])
def summed(request, tmp_path):
    """A raw file with checksums, and its content when nothing is packed."""
    path = tmp_path / ("a.fits" if request.param == "plain" else "a.fits.gz")
    fits.PrimaryHDU(DATA.astype(np.uint16), fits.Header([("OBJECT", "M 13")])).writeto(path, checksum=True)
    content = path.read_bytes() if request.param == "plain" else gzip.decompress(path.read_bytes())
    return path, content, bytes if request.param == "plain" else gzip.compress


def test_any_flipped_bit_of_pixels_is_noticed(summed):
    path, content, pack = summed
    damaged = bytearray(content)
    rng = np.random.default_rng(4)
    for place in rng.integers(2880, 2880 + DATA.nbytes, 100):
        bit = 1 << int(rng.integers(8))
        damaged[place] ^= bit
        path.write_bytes(pack(damaged))
        with pytest.raises(UnusableFileError, match=r"data of header 0 .* differ from their DATASUM"):
            read_raw_file(path)
        damaged[place] ^= bit


def test_a_header_that_was_changed_costs_a_remark_and_no_more(summed):
    path, content, pack = summed
    path.write_bytes(pack(content.replace(b"'M 13", b"'M 92")))
    with pytest.warns(AstropyUserWarning, match=r"a\.fits.*: header 0 was changed after its CHECKSUM was written"):
        header, data = read_raw_file(path)
    assert header["OBJECT"] == "M 92"
    np.testing.assert_array_equal(data, DATA)


@pytest.mark.parametrize("value", ["", "unknown", None])
def test_a_datasum_that_is_none_says_nothing(tmp_path, value):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(DATA, fits.Header([("DATASUM", value), ("CHECKSUM", "x" * 16)])).writeto(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_raw_file(path)[1], DATA)
