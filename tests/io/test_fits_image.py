"""The image of a file that a camera or another program has written: header, axes, blank pixels, flags."""

from __future__ import annotations

import bz2
import gzip
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib import CCDFrame, DataQuality, Detector, calibrate, combine
from astro_calib.errors import FrameError
from astro_calib.night.headers.raw_file import read_raw_file

SHAPE = (12, 16)
PIXELS = np.random.default_rng(3).integers(1000, 1200, SHAPE).astype(np.uint16)
PRIMARY = [("OBJECT", "M 13"), ("EXPTIME", 30.0, "seconds"), ("FILTER", "V"), ("DATE-OBS", "2024-05-13T06:00:00")]
BLANKS = [(2, 3), (5, 15), (11, 0)]


def with_primary(tmp_path, *extensions, cards=PRIMARY, name="a.fits"):
    path = tmp_path / name
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(cards)), *extensions]).writeto(path, checksum=True)
    return path


def table():
    return fits.BinTableHDU.from_columns([fits.Column("x", "J", array=[1, 2])], name="CATALOG")


# -- the header of an image in an extension --------------------------------------------------------------------------

IN_EXTENSION = {
    "in extension 1": [fits.ImageHDU(PIXELS)],
    "compressed by tiles": [fits.CompImageHDU(PIXELS)],
    "behind a table": [table(), fits.ImageHDU(PIXELS, name="SCI")],
    "before another image of a name": [fits.ImageHDU(PIXELS, name="SCI"), fits.ImageHDU(PIXELS * 0, name="MASK")],
    "behind a mask": [fits.ImageHDU(PIXELS * 0, name="MASK"), fits.ImageHDU(PIXELS, name="SCI")],
    "inherits": [fits.ImageHDU(PIXELS, fits.Header([("INHERIT", True)]))],
}


@pytest.mark.parametrize("case", IN_EXTENSION)
def test_keywords_of_the_primary_header_are_those_of_the_image(tmp_path, case):
    path = with_primary(tmp_path, *(hdu.copy() for hdu in IN_EXTENSION[case]))
    frame = CCDFrame.read(path, unit="adu")
    np.testing.assert_array_equal(frame.data, PIXELS)
    for header in (frame.meta, read_raw_file(path)[0]):
        assert [header[card[0]] for card in PRIMARY] == [card[1] for card in PRIMARY]
        assert header.comments["EXPTIME"] == "seconds"
        of_the_file = {"EXTEND", "SIMPLE", "XTENSION", "EXTNAME", "CHECKSUM", "DATASUM", "PCOUNT", "GCOUNT", "INHERIT"}
        assert not of_the_file & set(header)
        assert (header["NAXIS"], header["NAXIS1"], header["NAXIS2"]) == (2, 16, 12)
    # And they are in what is written of it, once.
    frame.write(tmp_path / "again.fits")
    again = fits.getheader(tmp_path / "again.fits")
    assert [again[card[0]] for card in PRIMARY] == [card[1] for card in PRIMARY]
    assert again.count("OBJECT") == 1
    assert CCDFrame.read(tmp_path / "again.fits").meta["OBJECT"] == "M 13"


def test_keywords_are_those_of_astropy(tmp_path):
    path = with_primary(tmp_path, fits.ImageHDU(PIXELS, fits.Header([("GAIN", 1.8), ("OBJECT", "M 92")])))
    expected = CCDData.read(path, unit="adu").meta
    found = CCDFrame.read(path, unit="adu").meta
    for keyword in ("OBJECT", "EXPTIME", "FILTER", "DATE-OBS", "GAIN"):
        assert found[keyword] == expected[keyword]


@pytest.mark.parametrize("hdu", [1, "SCI", ("SCI", 1), -2, np.int64(1), None])
def test_keywords_are_merged_whichever_way_the_image_is_named(tmp_path, hdu):
    path = with_primary(tmp_path, fits.ImageHDU(PIXELS, name="SCI"), table())
    frame = CCDFrame.read(path, unit="adu", **({} if hdu is None else {"hdu": hdu}))
    assert frame.meta["OBJECT"] == "M 13"
    np.testing.assert_array_equal(frame.data, PIXELS)


def test_value_of_the_extension_counts_and_history_is_that_of_both(tmp_path):
    cards = [*PRIMARY, ("HISTORY", "read out"), ("COMMENT", "windy")]
    own = fits.Header([("OBJECT", "M 92"), ("HISTORY", "cut"), ("GAIN", 1.8)])
    meta = CCDFrame.read(with_primary(tmp_path, fits.ImageHDU(PIXELS, own), cards=cards), unit="adu").meta
    assert (meta["OBJECT"], meta["GAIN"], meta["FILTER"]) == ("M 92", 1.8, "V")
    assert meta.count("OBJECT") == 1
    assert list(meta["HISTORY"]) == ["cut", "read out"]
    assert list(meta["COMMENT"]) == ["windy"]


def test_extension_that_does_not_inherit_has_its_own_keywords_only(tmp_path):
    own = fits.Header([("INHERIT", False), ("OBJECT", "M 92")])
    meta = CCDFrame.read(with_primary(tmp_path, fits.ImageHDU(PIXELS, own)), unit="adu").meta
    assert meta["OBJECT"] == "M 92"
    assert "FILTER" not in meta


def test_image_in_the_primary_hdu_takes_nothing_from_extensions(tmp_path):
    path = tmp_path / "a.fits"
    beside = fits.ImageHDU(PIXELS * 0, fits.Header([("OBJECT", "the mask")]), name="MASK")
    fits.HDUList([fits.PrimaryHDU(PIXELS), beside]).writeto(path)
    assert "OBJECT" not in CCDFrame.read(path, unit="adu").meta


def test_wcs_of_the_extension_is_not_mixed_with_another_of_the_primary_header(tmp_path):
    def wcs(value, **matrix):
        cards = {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CRPIX1": 8.0,
            "CRPIX2": 6.0,
            "CRVAL1": value,
            "CRVAL2": 36.0,
        }
        return fits.Header(cards | matrix)

    own = wcs(250.0, CDELT1=-1e-4, CDELT2=1e-4)
    of_primary = wcs(10.0, CD1_1=-1e-2, CD1_2=1e-3, CD2_1=1e-3, CD2_2=1e-2, RADESYS="ICRS")
    path = with_primary(tmp_path, fits.ImageHDU(PIXELS, own), cards=[*PRIMARY, *of_primary.cards])
    frame = CCDFrame.read(path, unit="adu")
    # 7 pixels of 1e-4 degrees to the east, at a declination of 36 degrees.
    sky = frame.wcs.pixel_to_world(0, 5)
    assert sky.ra.deg == pytest.approx(250 + 7e-4 / np.cos(np.radians(36)), abs=1e-9)
    assert not [keyword for keyword in frame.meta if keyword.startswith(("CD1", "CRVAL"))]
    path = with_primary(tmp_path, fits.ImageHDU(PIXELS), cards=[*PRIMARY, *of_primary.cards], name="b.fits")
    assert CCDFrame.read(path, unit="adu").wcs.wcs.crval[0] == 10


def test_file_of_ours_is_compressed_with_its_own_keywords(tmp_path):
    frame = CCDFrame(PIXELS, unit="adu", meta=fits.Header(PRIMARY))
    frame.write(tmp_path / "a.fits.fz")
    again = CCDFrame.read(tmp_path / "a.fits.fz").meta
    assert [card[:2] for card in again.cards] == [card[:2] for card in fits.Header(PRIMARY).cards]


# -- which HDU -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hdu", [3, -4, "DATA", ("SCI", 2), 2, "CATALOG", 1.5, "3", None])
def test_hdu_that_is_no_image_is_refused_with_what_there_is(tmp_path, hdu):
    path = with_primary(tmp_path, fits.ImageHDU(PIXELS, name="SCI"), table())
    if hdu is None:
        path = with_primary(tmp_path, table(), name="b.fits")
    with pytest.raises(FrameError) as caught:
        CCDFrame.read(path, unit="adu", **({} if hdu is None else {"hdu": hdu}))
    message = str(caught.value)
    assert message.startswith(f"{path.name} cannot be read: ")
    assert ("2 HDUs" if hdu is None else "3 HDUs: 0 (empty), 1 SCI (an image of 16 x 12 pixels)") in message
    assert "CATALOG (a table)" in message
    assert hdu is None or f"hdu={hdu!r}" in message


def test_empty_primary_hdu_stands_for_the_image(tmp_path):
    path = with_primary(tmp_path, table(), fits.ImageHDU(PIXELS))
    assert CCDFrame.read(path, unit="adu", hdu=0).shape == SHAPE


# -- axes of one pixel -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (kind, (1,) * more + SHAPE)
        for kind in (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
        for more in ((1, 2) if kind is fits.CompImageHDU else (1, 2, 3))
    ],
)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_axes_of_one_pixel_are_left_out(tmp_path, shape, kind, dtype):
    path = tmp_path / "a.fits"
    options = {"quantize_level": 0.0, "compression_type": "GZIP_2"} if kind is fits.CompImageHDU else {}
    hdu = kind(PIXELS.astype(dtype).reshape(shape), fits.Header(PRIMARY), **options)
    fits.HDUList([hdu] if kind is fits.PrimaryHDU else [fits.PrimaryHDU(), hdu]).writeto(path)
    frame = CCDFrame.read(path, unit="adu")
    np.testing.assert_array_equal(frame.data, PIXELS)
    np.testing.assert_array_equal(read_raw_file(path)[1], PIXELS)
    assert frame.meta["NAXIS"] == 2
    assert "NAXIS3" not in frame.meta
    frame[2:, 3:].write(tmp_path / "part.fits")
    assert CCDFrame.read(tmp_path / "part.fits").shape == (10, 13)


def test_frames_with_a_third_axis_of_one_pixel_are_combined_from_their_files(tmp_path):
    rng = np.random.default_rng(4)
    stack = rng.integers(1000, 1100, (4, *SHAPE)).astype(np.uint16)
    paths = [tmp_path / f"{number}.fits" for number in range(4)]
    for path, pixels in zip(paths, stack, strict=True):
        fits.writeto(path, pixels[None])
    np.testing.assert_allclose(combine(paths, unit="adu").data, stack.mean(axis=0), rtol=1e-6)


def test_mask_and_uncertainty_with_a_third_axis_belong_to_the_image(tmp_path):
    path = tmp_path / "a.fits"
    mask = (PIXELS > 1150).astype(np.uint8)
    beside = [fits.ImageHDU(mask, name="MASK"), fits.ImageHDU(np.full((1, *SHAPE), 3.0), name="UNCERT")]
    fits.HDUList([fits.PrimaryHDU(PIXELS[None].astype(float)), *beside]).writeto(path)
    frame = CCDFrame.read(path, unit="adu")
    np.testing.assert_array_equal(frame.mask, mask == 1)
    np.testing.assert_array_equal(frame.variance, 9)


# -- blank pixels ----------------------------------------------------------------------------------------------------

#: BITPIX, BZERO, BSCALE, and the type that the pixels have when they are read.
SCALED = [
    (8, 0, 1, "u1"),
    (8, -128, 1, "i1"),
    (8, 0, 2.5, "f4"),
    (16, 0, 1, "i2"),
    (16, 32768, 1, "u2"),
    (16, 100.0, 0.5, "f4"),
    (32, 0, 1, "i4"),
    (32, 2147483648, 1, "u4"),
    (32, 3.5, 2, "f8"),
    (64, 0, 1, "i8"),
]


def stored_image(bitpix, zero, scale, blank, blanks=BLANKS):
    """An HDU of stored numbers, without astropy's help, and what they mean."""
    dtype = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8"}[bitpix]
    stored = np.random.default_rng(bitpix).integers(10, 120, SHAPE).astype(dtype)
    meant = stored * float(scale) + zero
    for place in blanks:
        stored[place] = blank
    header = fits.Header([("SIMPLE", True), ("BITPIX", bitpix), ("NAXIS", 2), ("NAXIS1", 16), ("NAXIS2", 12)])
    header["BLANK"] = blank
    if (zero, scale) != (0, 1):
        header["BZERO"], header["BSCALE"] = zero, scale
    content = header.tostring().encode() + stored.tobytes()
    return content + bytes(-len(content) % 2880), meant


@pytest.mark.parametrize(("bitpix", "zero", "scale", "dtype"), SCALED)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress], ids=["plain", "gz", "bz2"])
def test_blank_pixels_are_masked(tmp_path, bitpix, zero, scale, dtype, compress):
    blank = 255 if bitpix == 8 else -(2 ** min(bitpix - 1, 31))
    content, meant = stored_image(bitpix, zero, scale, blank)
    path = tmp_path / "a.fits"
    path.write_bytes(compress(content))
    frame = CCDFrame.read(path, unit="adu")
    missing = np.zeros(SHAPE, bool)
    missing[tuple(zip(*BLANKS, strict=True))] = True
    np.testing.assert_array_equal(frame.mask, missing)
    np.testing.assert_array_equal(frame.flags, missing * int(DataQuality.NO_DATA))
    assert frame.dtype == dtype
    np.testing.assert_allclose(frame.data[~missing], meant[~missing], rtol=1e-6)
    np.testing.assert_array_equal(frame.data[missing], np.nan if dtype[0] == "f" else 0)
    assert "BLANK" not in frame.meta
    # The plan of a night looks at the same pixels.
    np.testing.assert_array_equal(read_raw_file(path)[1], frame.data)
    frame.write(tmp_path / "again.fits")
    again = CCDFrame.read(tmp_path / "again.fits")
    np.testing.assert_array_equal(again.mask, missing)
    np.testing.assert_array_equal(again.data, frame.data)


@pytest.mark.parametrize("blank", [0, 32767, -32768, 32767.0])
def test_blank_number_may_be_any(tmp_path, blank):
    content, _ = stored_image(16, 32768, 1, int(blank))
    header = content[:2880]
    card = next(header[place : place + 80] for place in range(0, 2880, 80) if header[place:].startswith(b"BLANK"))
    path = tmp_path / "a.fits"
    path.write_bytes(content.replace(card, f"BLANK   = {blank!r:>20}".ljust(80).encode()))
    frame = CCDFrame.read(path, unit="adu")
    assert frame.mask.sum() == len(BLANKS)
    # Not taken for saturated, whatever the number is.
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron, saturation=65000 * u.adu)
    assert not (calibrate(frame, camera, pedestal=0).flags & int(DataQuality.SATURATED)).any()


@pytest.mark.parametrize(("bitpix", "zero", "blank"), [(16, 32768, -32768), (16, 0, -5), (32, 0, 0), (8, 0, 7)])
def test_whole_numbers_stay_as_they_are_where_nothing_is_blank(tmp_path, bitpix, zero, blank):
    path = tmp_path / "a.fits"
    path.write_bytes(stored_image(bitpix, zero, 1, blank, blanks=[])[0])
    frame = CCDFrame.read(path, unit="adu")
    assert frame.dtype.kind in "ui"
    assert (frame.mask, frame.flags) == (None, None)


@pytest.mark.parametrize("value", [32767, 99999, "nothing", True, -1.5])
def test_blank_of_floats_and_one_that_is_no_number_of_the_file_mean_nothing(tmp_path, value):
    path = tmp_path / "a.fits"
    pixels = PIXELS.astype(np.float32)
    pixels[0, 0] = 32767
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.writeto(path, pixels, fits.Header([("BLANK", value)]), output_verify="ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CCDFrame.read(path, unit="adu").mask is None
    content = stored_image(16, 0, 1, 5, blanks=[])[0]
    old = f"BLANK   = {5:>20}".encode()
    path.write_bytes(content.replace(old, fits.Card("BLANK", value).image.encode()[:30].ljust(len(old))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CCDFrame.read(path, unit="adu").mask is None


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_that_are_no_numbers_are_masked(tmp_path, dtype, value):
    pixels = PIXELS.astype(dtype)
    pixels[4, 4] = value
    fits.writeto(tmp_path / "a.fits", pixels)
    frame = CCDFrame.read(tmp_path / "a.fits", unit="adu")
    assert np.argwhere(frame.mask).tolist() == [[4, 4]]
    assert frame.flags[4, 4] == DataQuality.NO_DATA


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4"])
@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_2"])
def test_blank_pixels_of_tiles_are_masked(tmp_path, dtype, compression):
    pixels = np.random.default_rng(2).integers(10, 100, SHAPE).astype(dtype)
    pixels[3, 4] = 3
    stored = 3 - 32768 if dtype == "u2" else 3
    header = fits.Header([("BLANK", stored)])
    path = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, header, compression_type=compression)]).writeto(path)
    frame = CCDFrame.read(path, unit="adu")
    assert np.argwhere(frame.mask).tolist() == [[3, 4]]
    assert frame.dtype == dtype
    good = ~frame.mask
    np.testing.assert_array_equal(frame.data[good], pixels[good])


def test_blank_pixels_count_in_no_stack_and_in_no_calibrated_frame(tmp_path):
    rng = np.random.default_rng(6)
    paths, stack = [], np.ma.MaskedArray(rng.integers(990, 1010, (5, *SHAPE)), mask=np.zeros((5, *SHAPE), bool))
    stack.mask[1, 2, 3] = stack.mask[1, 5, 5] = stack.mask[3, 2, 3] = True
    stack.mask[:, 7, 7] = True
    for number, pixels in enumerate(stack):
        paths.append(tmp_path / f"{number}.fits")
        values = np.where(pixels.mask, 65535, pixels.data).astype(np.uint16)
        fits.writeto(paths[-1], values, fits.Header([("BLANK", 32767)]))
    expected = stack.mean(axis=0)
    for frames in (paths, [CCDFrame.read(path, unit="adu") for path in paths]):
        mean = combine(frames, unit="adu")
        np.testing.assert_allclose(mean.data[~expected.mask], expected[~expected.mask], rtol=1e-6)
        assert np.argwhere(mean.mask).tolist() == [[7, 7]]
        assert mean.flags[7, 7] & DataQuality.NO_DATA
        assert mean.n_used[2, 3] == 3
    # The last columns are an overscan; one of its pixels is blank.
    values = np.full(SHAPE, 1000, np.uint16)
    values[:, :10] = 1500
    values[3, 12] = values[4, 5] = 0
    fits.writeto(tmp_path / "raw.fits", values, fits.Header([("BLANK", -32768)]))
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron, saturation=65000 * u.adu)
    raw = CCDFrame.read(tmp_path / "raw.fits", unit="adu")
    frame = calibrate(raw, camera, overscan="[11:16,1:12]", overscan_axis=1, trim="[1:10,1:12]")
    assert np.argwhere(frame.mask).tolist() == [[4, 5]]
    assert frame.flags[4, 5] == DataQuality.NO_DATA
    np.testing.assert_allclose(frame.data[~frame.mask], 1000)


def test_stack_of_floats_is_the_same_from_files_and_from_frames(tmp_path):
    rng = np.random.default_rng(7)
    paths = []
    for number in range(4):
        pixels = rng.normal(100, 5, SHAPE).astype(np.float32)
        pixels[number, :3] = np.nan
        paths.append(tmp_path / f"{number}.fits")
        fits.writeto(paths[-1], pixels)
    from_files, from_frames = combine(paths, unit="adu"), combine([CCDFrame.read(path, unit="adu") for path in paths])
    for attribute in ("data", "variance", "flags", "n_used"):
        np.testing.assert_array_equal(getattr(from_files, attribute), getattr(from_frames, attribute))
    assert from_files.mask is None or not from_files.mask.any()


# -- flags of other programs -----------------------------------------------------------------------------------------


def with_flags(tmp_path, flags, name="FLAGS"):
    path = tmp_path / "a.fits"
    mask = fits.ImageHDU((PIXELS > 1150).astype(np.uint8), name="MASK")
    beside = fits.ImageHDU(flags, name=name) if isinstance(flags, np.ndarray) else flags
    beside.name = name
    fits.HDUList([fits.PrimaryHDU(PIXELS), mask, beside]).writeto(path)
    return path


def flags_like(dtype, value):
    flags = np.zeros(SHAPE, dtype)
    flags[1, 1] = value
    return flags


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (flags_like("i4", 70000), "they go from 0 to 70000"),
        (flags_like("u4", 1 << 31), "they go from 0 to 2147483648"),
        (flags_like("i8", 1 << 40), "they go from 0 to 1099511627776"),
        (flags_like("i2", -1), "they go from -1 to 0"),
        (flags_like("f4", 0.5), "of type float32"),
        (flags_like("f8", np.nan), "they go from nan to nan"),
        (np.zeros((3, 3), np.uint8), "has shape (3, 3)"),
        (np.zeros((2, *SHAPE), np.uint8), "has shape (2, 12, 16)"),
        (table(), "is no image"),
    ],
    ids=["i4", "u4", "i8", "negative", "half", "nan", "another shape", "two planes", "a table"],
)
@pytest.mark.parametrize("name", ["FLAGS", "DQ"])
def test_flags_that_are_none_of_ours_are_left_out_with_a_remark(tmp_path, flags, reason, name):
    path = with_flags(tmp_path, flags.copy(), name)
    with pytest.warns(AstropyUserWarning, match=r"a\.fits: the flags of another program are left out") as caught:
        frame = CCDFrame.read(path, unit="adu", **({} if name == "FLAGS" else {"hdu_flags": name}))
    assert reason in str(caught[0].message)
    assert frame.flags is None
    np.testing.assert_array_equal(frame.data, PIXELS)
    np.testing.assert_array_equal(frame.mask, PIXELS > 1150)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "u4", "f4", "f8"])
def test_flags_are_read_whatever_type_they_were_written_as(tmp_path, dtype):
    frame = CCDFrame.read(with_flags(tmp_path, flags_like(dtype, 20)), unit="adu")
    assert frame.flags.dtype == np.uint16
    np.testing.assert_array_equal(frame.flags, flags_like("u2", 20))


def test_raw_file_with_flags_of_another_program_is_a_raw_frame(tmp_path):
    path = with_flags(tmp_path, flags_like("i4", 70000))
    np.testing.assert_array_equal(read_raw_file(path)[1], PIXELS)


def test_changed_flags_of_a_file_of_ours_do_not_wrap_around(tmp_path):
    path = Path(tmp_path / "a.fits")
    CCDFrame(PIXELS.astype(float), unit="adu", flags=flags_like("u2", 4)).write(path)
    with fits.open(path, mode="update") as hdus:
        hdus["FLAGS"] = fits.ImageHDU(flags_like("i4", 65536 + 4), name="FLAGS")
    with pytest.raises(FrameError, match=r"a\.fits cannot be read: they go from 0 to 65540"):
        CCDFrame.read(path, checksum=False)
