"""Headers that are read without pixels: the same as with them, however the file is packed."""

from __future__ import annotations

import bz2
import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.io.fits.header_reader import header_at_beginning, read_image_header
from astro_calib.io.fits.lazy_header import LazyHeader
from astro_calib.night.headers.raw_file import UnusableFileError, read_raw_file, read_raw_header

SHAPE = (30, 40)
PIXELS = np.random.default_rng(3).integers(1000, 1200, SHAPE).astype(np.uint16)
#: Cards that a header can hold, some of them in ways that astropy treats by themselves.
CARDS = [
    ("IMAGETYP", "Light Frame", "kind"),
    ("OBJECT", "M 13's core", ""),
    ("EXPTIME", 30.0, "[s] exposure"),
    ("CCD-TEMP", -19.5, ""),
    ("FLAG", True, ""),
    ("NOTHING", None, "no value"),
    ("DP1", "EXTVER: 1", "like a record"),
    ("LONG", "a text that goes on " * 8, "and its comment"),
    ("HIERARCH ESO DPR TYPE", "FLAT,SKY", "of the south"),
    ("HISTORY", "once", ""),
    ("COMMENT", "so it is", ""),
    ("CTYPE1", "RA---TAN", ""),
    ("CRVAL1", 10.5, ""),
    ("TTYPE", "no column", ""),
    ("TFORM1X", 3, "no column either"),
]
ABSENT = ("NOPE", "nope", "ESO DPR CATG", "HIERARCH ESO DPR CATG", "DP2.EXTVER", "FOO.BAR")


def header():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fits.Header([fits.Card(*card) for card in CARDS])


def plain(data=PIXELS, **kwargs):
    return fits.HDUList([fits.PrimaryHDU(data, header(), **kwargs)])


def in_extension(kind=fits.ImageHDU, data=PIXELS, cards=(), **kwargs):
    primary = fits.Header([("OBJECT", "not this"), ("TELESCOP", "a small one"), ("CRPIX1", 5.0), ("HISTORY", "of old")])
    extension = kind(data, header(), **kwargs)
    extension.header.update(cards)
    return fits.HDUList([fits.PrimaryHDU(header=primary), extension])


def blank():
    hdu = fits.PrimaryHDU(PIXELS.astype(np.int16), header())
    hdu.header["BLANK"] = 1100
    return fits.HDUList([hdu])


def scaled():
    hdu = fits.PrimaryHDU(PIXELS.astype(float), header())
    hdu.scale("int16", bzero=1000, bscale=0.5)
    return fits.HDUList([hdu])


FLOATS = PIXELS.astype(np.float32) + np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
FILES = {
    "plain": plain,
    "signed": lambda: plain(PIXELS.astype(np.int32)),
    "floats": lambda: plain(FLOATS),
    "scaled": scaled,
    "with BLANK": blank,
    "an axis of one pixel": lambda: plain(PIXELS[np.newaxis]),
    "in an extension": in_extension,
    "an extension that does not inherit": lambda: in_extension(cards={"INHERIT": False}),
    "behind a table": lambda: fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.BinTableHDU.from_columns([fits.Column("x", "J", array=[1, 2])]),
            fits.ImageHDU(PIXELS, header()),
        ]
    ),
    "with a mask behind it": lambda: fits.HDUList([*plain(), fits.ImageHDU(PIXELS * 0, name="MASK")]),
    "RICE": lambda: in_extension(fits.CompImageHDU),
    "RICE, named": lambda: in_extension(fits.CompImageHDU, name="SCI"),
    "GZIP": lambda: in_extension(fits.CompImageHDU, compression_type="GZIP_2"),
    "HCOMPRESS": lambda: in_extension(fits.CompImageHDU, compression_type="HCOMPRESS_1", tile_shape=(30, 20)),
    "floats in tiles": lambda: in_extension(fits.CompImageHDU, FLOATS),
    "tiles of an axis of one pixel": lambda: in_extension(fits.CompImageHDU, PIXELS[np.newaxis]),
}
PACKED = {"as it is": bytes, "gzip": gzip.compress, "bzip2": bz2.compress}


def write(tmp_path, case, pack=bytes, *, checksum=True):
    path = tmp_path / "a.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FILES[case]().writeto(path, checksum=checksum)
    path.write_bytes(pack(path.read_bytes()))
    return path


def cards(of):
    """All cards, in any order; blank ones have no meaning."""
    return sorted((card.keyword, str(card.value), card.comment) for card in of.cards if card.keyword)


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize("case", FILES)
def test_the_header_is_that_of_the_frame_with_its_pixels(tmp_path, case, pack):
    path = write(tmp_path, case, PACKED[pack])
    expected, pixels = read_raw_file(path)
    found = read_image_header(path)
    assert (found.shape, found.dtype, found.images, found.fault) == (pixels.shape, pixels.dtype, 1, "")
    found = read_raw_header(path)
    assert (found.shape, found.unsigned_16_bit) == (pixels.shape, pixels.dtype == "uint16")
    # Single values first, which are looked up another way than all of them.
    names = [name for name in expected if name not in ("", "COMMENT", "HISTORY")]
    values = {name: (found.header[name], found.header.comments[name], name in found.header) for name in names}
    assert values == {name: (expected[name], expected.comments[name], True) for name in names}
    assert cards(found.header) == cards(expected)


@pytest.mark.parametrize("case", ["plain", "RICE"])
def test_astropy_finds_the_same(tmp_path, case):
    path = write(tmp_path, case)
    number = 0 if case == "plain" else 1
    with fits.open(path) as hdus:
        expected = {name: hdus[number].header[name] for name, *_ in CARDS if name not in ("HISTORY", "COMMENT")}
        shape = hdus[number].data.shape
    found = read_image_header(path)
    assert {name: found.header[name] for name in expected} == expected
    assert found.shape == shape


def test_a_file_in_which_cards_break_the_rules_is_repaired_alike(tmp_path):
    path = write(tmp_path, "plain", checksum=False)
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"CCD-TEMP=", b"CCD TEMP=").replace(b"OBJECT  = 'M 13''s core'", b"OBJECT  = M 13's core   ")
    )
    broken = []
    expected, _ = read_raw_file(path, broken)
    found = read_image_header(path)
    assert broken
    assert list(found.repaired) == broken
    assert found.header["CCD TEMP"] == expected["CCD TEMP"] == -19.5
    assert cards(found.header) == cards(expected)


def test_only_the_beginning_of_a_compressed_file_is_unpacked(tmp_path):
    path = write(tmp_path, "plain", gzip.compress)
    content = path.read_bytes()
    # What is behind the header is missing, and would be noticed.
    path.write_bytes(content[: len(content) * 2 // 3])
    assert read_image_header(path).header["EXPTIME"] == 30
    with pytest.raises(UnusableFileError, match="truncated"):
        read_raw_file(path)


# -- what is wrong with a file ---------------------------------------------------------------------------------------


def test_a_plain_file_that_is_cut_off_says_so_and_what_it_is(tmp_path):
    path = write(tmp_path, "plain")
    path.write_bytes(path.read_bytes()[:-2880])
    assert read_image_header(path).fault.startswith("truncated")
    with pytest.raises(UnusableFileError, match="truncated") as caught:
        read_raw_header(path)
    assert caught.value.header["IMAGETYP"] == "Light Frame"
    assert caught.value.cut


def test_a_number_of_bits_that_fits_has_not_is_what_is_wrong(tmp_path):
    path = write(tmp_path, "plain")
    content = path.read_bytes()
    old = next(card for card in (content[place : place + 80] for place in range(0, 2880, 80)) if card[:6] == b"BITPIX")
    path.write_bytes(content.replace(old, b"BITPIX  =                   17".ljust(80)))
    for read in (read_raw_header, read_raw_file):
        with pytest.raises(
            UnusableFileError, match="damaged: its header says that a number has 17 bits; expected"
        ) as caught:
            read(path)
        assert "truncated" not in str(caught.value)


def two_images(path):
    fits.HDUList([*plain(), fits.ImageHDU(PIXELS)]).writeto(path)


def no_image(path):
    fits.PrimaryHDU(header=header()).writeto(path)


def a_cube(path):
    plain(np.zeros((3, *SHAPE), np.uint16)).writeto(path)


def one_dimension(path):
    plain(PIXELS[0]).writeto(path)


def a_text(path):
    path.write_text("no image at all")


def nothing(path):
    path.write_bytes(b"")


def a_header_without_end(path):
    path.write_bytes(fits.PrimaryHDU().header.tostring(endcard=False, padding=False).encode().ljust(2880))


def missing(path):
    """No such file."""


FAULTS = [two_images, no_image, a_cube, one_dimension, a_text, nothing, a_header_without_end, missing]


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning", "ignore:Keyword name")
@pytest.mark.parametrize("spoil", FAULTS, ids=lambda function: function.__name__)
def test_what_the_headers_tell_is_refused_in_the_same_words(tmp_path, spoil):
    path = tmp_path / "a.fits"
    spoil(path)
    said = []
    for read in (read_raw_file, read_raw_header):
        with pytest.raises(UnusableFileError) as caught:
            read(path)
        said.append((str(caught.value), caught.value.not_fits, caught.value.may_be_science))
    assert said[0] == said[1]


def test_a_number_of_bits_that_no_image_has_is_a_fault(tmp_path):
    path = write(tmp_path, "plain")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"BITPIX  =                   16", b"BITPIX  =                    4"))
    assert "a number has 4 bits" in read_image_header(path).fault


def test_what_is_not_fits_has_no_header(tmp_path):
    a_text(tmp_path / "a.fits")
    assert header_at_beginning(tmp_path / "a.fits") is None
    with pytest.raises(FrameError, match="does not begin with SIMPLE"):
        read_image_header(tmp_path / "a.fits")


# -- headers whose cards are parsed when they are asked for ----------------------------------------------------------


def lazy():
    return LazyHeader.of_bytes(header().tostring().encode())


@pytest.mark.parametrize("name", [*(card[0] for card in CARDS), *ABSENT, "exptime", "Ccd-Temp", "DP1.EXTVER", "CTYPE*"])
def test_a_value_is_the_one_that_astropy_finds(name):
    expected = header()
    assert (name in lazy()) is (name in expected)
    assert str(lazy().get(name, "none")) == str(expected.get(name, "none"))
    if name in expected:
        assert str(lazy()[name]) == str(expected[name])
        assert str(lazy().comments[name]) == str(expected.comments[name])
    elif "*" not in name:
        with pytest.raises(KeyError, match="not found"):
            lazy()[name]


def test_commentaries_are_lines():
    many = fits.Header([("COMMENT", "one"), ("GAIN", 1), ("COMMENT", "two"), ("HISTORY", "of old")])
    found = LazyHeader.of_bytes(many.tostring().encode())
    for name in ("COMMENT", "HISTORY"):
        assert list(found[name]) == list(many[name]) == list(found.get(name))
        assert str(found[name]) == str(many[name])
    for without in (LazyHeader.of_cards([]), fits.Header()):
        assert without.get("COMMENT", "none") == "none"
        with pytest.raises(KeyError):
            without["COMMENT"]


def test_it_can_be_changed_copied_and_written_as_any_other():
    found = lazy()
    assert found["EXPTIME"] == 30
    found["EXPTIME"] = 60.0
    found.comments["OBJECT"] = "a cluster"
    del found["FLAG"]
    assert (found["EXPTIME"], found.comments["OBJECT"], found.get("FLAG")) == (60.0, "a cluster", None)
    assert found.copy()["EXPTIME"] == 60
    assert fits.Header.fromstring(found.tostring()).tostring() == found.tostring()
    assert list(lazy()) == list(header())
    assert repr(lazy()) == repr(header())


def test_the_first_of_several_cards_is_found():
    twice = LazyHeader.of_cards([f"{card:80}" for card in ("CONTINUE  'lost'", "GAIN    = 1", "GAIN    = 2 / later")])
    assert twice["GAIN"] == 1
    assert twice.count("GAIN") == 2
