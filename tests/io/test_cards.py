"""Header cards that FITS does not allow: what becomes of each, and of the file that they are in."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from astro_calib import CCDFrame, combine
from astro_calib.errors import HeaderWarning
from astro_calib.io.fits.cards import repaired_header

#: A card as a camera writes it, the keyword under which it is found afterwards, and its value.
BROKEN = {
    "dot": ("FOO.BAR = 12.5 / x", "FOO.BAR", 12.5),
    "space": ("CCD TEMP= -20.5 / at start", "CCD TEMP", -20.5),
    "dot and number": ("DET.TEMP= -20.5", "DET.TEMP", -20.5),
    "bracket": ("A(1)    = 5", "A(1)", 5),
    "star": ("*OBS    = 5", "_OBS", 5),
    "long keyword": ("LONGKEYWORD = 12 / x", "LONGKEYWORD", 12),
    "tab": ("OBSERVER= 'a\tb'", "OBSERVER", "a b"),
    "NUL": ("OBSERVER= 'a\0b'", "OBSERVER", "a b"),
    "newline": ("OBSERVER= 'a\nb'", "OBSERVER", "a b"),
    "escape": ("OBSERVER= 'a\x1b[2Jb'", "OBSERVER", "a?[2Jb"),
    "delete": ("OBSERVER= 'a\x7fb'", "OBSERVER", "a?b"),
    "tab in a comment": ("AIRMASS = 1.5 / x\ty", "AIRMASS", 1.5),
    "tab in COMMENT": ("COMMENT a\tb", "COMMENT", "a b"),
    "NUL in HISTORY": ("HISTORY a\0b", "HISTORY", "a b"),
    "tab in a card without keyword": ("        a\tb", "", "a b"),
    "degree": ("CCDTEMP = '-20 \xb0C' / \xb0C", "CCDTEMP", "-20 ?C"),
    "decimal comma": ("AIRMASS = 12,5 / x", "AIRMASS", "12,5"),
    "no quotes": ("OBSERVER= Hubble / x", "OBSERVER", "Hubble"),
    "date without quotes": ("DATE-OBS= 2024-05-13T01:02:03", "DATE-OBS", "2024-05-13T01:02:03"),
    "other quotes": ('OBSERVER= "Hubble" / x', "OBSERVER", "Hubble"),
    "one quote": ("OBSERVER= 'Hubble and so on", "OBSERVER", "Hubble and so on"),
    "quote in a text": ("OBSERVER= 'O'Neill'", "OBSERVER", "O'Neill'"),
    "NaN": ("AIRMASS = NaN / x", "AIRMASS", "NaN"),
    "unit behind the number": ("CCDTEMP = -20.5 C", "CCDTEMP", "-20.5 C"),
    "no sign": ("OBSERVER Hubble", "COMMENT", "OBSERVER Hubble"),
    "END in a text": ("END of night= 5", "COMMENT", "END of night= 5"),
    "END with a value": ("END     = 5", "COMMENT", "END     = 5"),
    "END with a text": ("END     = 'x' / y", "COMMENT", "END     = 'x' / y"),
    "continued from nothing": ("CONTINUE  'abc'", "COMMENT", "CONTINUE  'abc'"),
}
#: What is not nice, but means what it says: nothing is said.
HARMLESS = {
    "no blank after the sign": ("OBSERVER='Hubble' / x", "OBSERVER", "Hubble"),
    "small letters": ("airmass = 1.5 / x", "AIRMASS", 1.5),
    "small exponent": ("AIRMASS = 1.5e0 / x", "AIRMASS", 1.5),
    "NULs at the end": ("OBSERVER= 'Hubble'" + "\0" * 62, "OBSERVER", "Hubble"),
    "NULs alone": ("\0" * 80, "", ""),
}
#: What is allowed, and stays as it is to the letter.
ALLOWED = [
    "HIERARCH ESO Det Chip name = 'CCD-44' / x",
    "BIG     = 123456789012345678901234567890 / x",
    "OBSERVER= / x",
    "OBSERVER= 'it''s' / x",
    "CPLX    = (1.0, 2.0)",
    "CCD-TEMP= -20.5",
    "COMMENT = 'nothing'",
    "SIMPLE  =                    T",
]


def padded(text):
    return text.encode("latin-1").ljust(80)


def with_card(path, text, shift=0):
    """A raw frame with a WCS, in whose header one card is as given."""
    header = fits.Header([("IMAGETYP", "LIGHT"), ("QPLACE", 1), ("OBJECT", "M 13")])
    header["CTYPE1"], header["CTYPE2"], header["CRVAL1"], header["CRVAL2"] = "RA---TAN", "DEC--TAN", 250.0, 36.0
    fits.writeto(path, np.roll(np.arange(12, dtype=np.uint16), shift).reshape(3, 4), header)
    content = path.read_bytes()
    place = content.index(b"QPLACE  =")
    path.write_bytes(content[:place] + padded(text) + content[place + 80 :])
    return path


@pytest.mark.parametrize("name", [*BROKEN, *HARMLESS])
def test_card_becomes_one_that_fits_allows(name):
    text, keyword, value = (BROKEN | HARMLESS)[name]
    content, names = repaired_header(padded(text) + padded("END") + b" " * 2720)
    assert len(content) == 2880
    header = fits.Header.fromstring(content)
    header.cards[0].verify("exception")
    assert header.cards[0].keyword == keyword
    assert header.cards[0].value == value
    assert bool(names) == (name in BROKEN)


@pytest.mark.parametrize("text", ALLOWED)
def test_card_that_fits_allows_is_left_alone(text):
    header = padded("OBJECT  = 'M 13'") + padded(text) + padded("END")
    assert repaired_header(header) == (header, [])


def test_text_that_goes_on_in_the_next_card_is_left_alone():
    header = fits.Header([("OBSERVER", "x" * 150)]).tostring().encode()
    assert repaired_header(header)[0] is header


@pytest.mark.parametrize("name", BROKEN)
def test_frame_with_a_broken_card_is_read_and_written(tmp_path, name):
    text, keyword, value = BROKEN[name]
    path = with_card(tmp_path / "raw.fits", text)
    with pytest.warns(HeaderWarning, match=r"^raw\.fits: header cards that break the rules of FITS were repaired: "):
        frame = CCDFrame.read(path, unit="adu")
    # Beside such a card astropy finds no WCS.
    assert frame.wcs is not None
    np.testing.assert_array_equal(frame.data, np.arange(12).reshape(3, 4))
    for ending in ("fits", "asdf"):
        frame.write(tmp_path / f"out.{ending}")
        again = CCDFrame.read(tmp_path / f"out.{ending}")
        assert again.meta["OBJECT"] == "M 13"
        assert again.meta[keyword] == value or value in list(again.meta[keyword])
    with fits.open(tmp_path / "out.fits") as hdus:
        hdus.verify("exception")


@pytest.mark.parametrize("compress", [False, True])
def test_compressed_and_stacked_files_alike(tmp_path, compress):
    paths = [with_card(tmp_path / f"{number}.fits", "CCD TEMP= -20.5", shift=number) for number in range(3)]
    if compress:
        paths = [path.with_suffix(".fits.gz") for path in paths]
        for path in paths:
            path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    with pytest.warns(HeaderWarning, match="CCD TEMP"):
        stack = combine(paths, unit="adu")
    assert stack.meta["CCD TEMP"] == -20.5
    stack.write(tmp_path / "stack.fits")


def test_broken_card_in_an_extension(tmp_path):
    path = tmp_path / "raw.fits"
    header = fits.Header([("QPLACE", 1)])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 4)), header)]).writeto(path)
    path.write_bytes(path.read_bytes().replace(b"QPLACE  =", b"CCD TEMP="))
    with pytest.warns(HeaderWarning, match="CCD TEMP"):
        assert CCDFrame.read(path, unit="adu").meta["CCD TEMP"] == 1


def test_number_that_asdf_cannot_hold_is_kept_as_text(tmp_path):
    frame = CCDFrame(np.ones((2, 2)), unit="adu", meta=fits.Header([("BIG", 10**30)]))
    frame.write(tmp_path / "frame.asdf")
    assert CCDFrame.read(tmp_path / "frame.asdf").meta["BIG"] == str(10**30)


def test_extensions_say_where_they_are_and_in_which_unit(tmp_path):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ("RA---TAN", "DEC--TAN"), (250.0, 36.0), (-1e-4, 1e-4)
    frame = CCDFrame(
        np.ones((3, 4)),
        unit="electron",
        uncertainty=np.ones((3, 4)),
        mask=np.zeros((3, 4), bool),
        flags=np.zeros((3, 4), np.uint16),
        wcs=wcs,
    )
    for name in ("frame.fits", "frame.fits.gz", "frame.fits.fz"):
        frame.write(tmp_path / name)
        for extension in ("UNCERT", "MASK", "FLAGS"):
            assert WCS(fits.getheader(tmp_path / name, extension)).wcs.compare(wcs.wcs, tolerance=1e-12)
        assert fits.getheader(tmp_path / name, "UNCERT")["BUNIT"] == "electron2"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plain = CCDData.read(tmp_path / name, format="fits", hdu=int(name.endswith("fz")))
        assert plain.uncertainty.unit == plain.unit**2
        again = CCDFrame.read(tmp_path / name)
        assert again.wcs.wcs.compare(wcs.wcs, tolerance=1e-12)
        assert list(again.meta) == list(frame.meta)


def test_blank_of_whole_numbers_is_not_told_of_others(tmp_path):
    header = fits.Header([("BLANK", -32768), ("BUNIT", "adu")])
    frame = CCDFrame(np.ones((2, 2), np.float32), unit="electron", meta=header)
    for ending in ("fits", "asdf"):
        frame.write(tmp_path / f"frame.{ending}")
        again = CCDFrame.read(tmp_path / f"frame.{ending}").meta
        assert "BLANK" not in again
        assert again["BUNIT"] == "electron"
    assert frame.meta["BLANK"] == -32768
