"""Frames through FITS files, read back by this package and by astropy alone."""

from __future__ import annotations

import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS

from astro_calib import CCDFrame, create_deviation
from astro_calib.detector.detector import Detector
from astro_calib.errors import FrameError
from astro_calib.frame.lending import master_of
from astro_calib.io.fits import write as fits_writer

SHAPE = (30, 40)


def tangent_plane():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 250.42, 36.46
    wcs.wcs.crpix = 20, 15
    wcs.wcs.cdelt = -1e-4, 1e-4
    return wcs


@pytest.fixture
def frame():
    """A frame with all that a frame can have, but a PSF."""
    rng = np.random.default_rng(5)
    return CCDFrame(
        rng.normal(100, 5, SHAPE).astype(np.float32),
        unit="electron",
        uncertainty=StdDevUncertainty(rng.uniform(4, 6, SHAPE).astype(np.float32)),
        mask=rng.random(SHAPE) > 0.9,
        flags=rng.integers(0, 2**16, SHAPE).astype(np.uint16),
        meta=fits.Header([("OBJECT", "M13"), ("EXPTIME", 30.0, "seconds"), ("HISTORY", "overscan removed")]),
        wcs=tangent_plane(),
    )


@pytest.mark.parametrize("name", ["frame.fits", "frame.fits.gz"])
def test_round_trip(frame, tmp_path, name):
    path = tmp_path / name
    frame.write(path)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    again = CCDFrame.read(path)
    assert isinstance(again, CCDFrame)
    for attribute in ("data", "variance", "mask", "flags"):
        np.testing.assert_array_equal(getattr(again, attribute), getattr(frame, attribute))
    assert again.unit == u.electron
    assert again.flags.dtype == np.uint16
    assert again.mask.dtype == bool
    for array in (again.data, again.variance):
        assert array.dtype.kind == "f"
        assert array.dtype.itemsize == 4
    assert again.meta["OBJECT"] == "M13"
    assert again.meta["EXPTIME"] == 30
    assert again.meta["HISTORY"][0] == "overscan removed"
    sky = again.wcs.pixel_to_world(3, 8)
    assert sky.separation(frame.wcs.pixel_to_world(3, 8)).arcsec < 1e-6


def test_frame_without_the_optional_parts(tmp_path):
    path = tmp_path / "frame.fits"
    CCDFrame(np.ones(SHAPE), unit="adu").write(path)
    again = CCDFrame.read(path)
    assert (again.variance, again.mask, again.flags, again.wcs) == (None, None, None, None)


def test_plain_ccddata_reads_it(frame, tmp_path):
    path = tmp_path / "frame.fits"
    frame.write(path)
    plain = CCDData.read(path)
    assert type(plain) is CCDData
    assert plain.unit == u.electron
    assert type(plain.uncertainty) is VarianceUncertainty
    np.testing.assert_array_equal(plain.data, frame.data)
    np.testing.assert_array_equal(plain.uncertainty.array, frame.variance)
    np.testing.assert_array_equal(plain.mask, frame.mask)
    np.testing.assert_array_equal(fits.getdata(path, "FLAGS"), frame.flags)


@pytest.mark.parametrize(
    ("kind", "values"), [(StdDevUncertainty, 3.0), (VarianceUncertainty, 9.0), (InverseVariance, 1 / 9)]
)
def test_file_of_plain_ccddata_with_any_uncertainty_is_read(tmp_path, kind, values):
    path = tmp_path / "plain.fits"
    CCDData(np.ones(SHAPE), unit="adu", uncertainty=kind(np.full(SHAPE, values))).write(path)
    np.testing.assert_allclose(CCDFrame.read(path).variance, 9, rtol=1e-14)


@pytest.mark.parametrize("unit", ["", "adu", "electron", "electron / s", "adu2", "1e-3 electron"])
def test_units_survive(tmp_path, unit):
    path = tmp_path / "frame.fits"
    CCDFrame(np.ones(SHAPE), unit=unit, uncertainty=np.full(SHAPE, 2.0)).write(path)
    again = CCDFrame.read(path)
    assert again.unit == u.Unit(unit)
    assert again.variance[0, 0] == 4


def test_dimensionless_unit_can_be_given_as_any_other(tmp_path):
    path = tmp_path / "flat.fits"
    fits.PrimaryHDU(np.ones(SHAPE)).writeto(path)
    for unit in (u.dimensionless_unscaled, ""):
        assert CCDFrame.read(path, unit=unit).unit == u.dimensionless_unscaled


def test_unsigned_raw_pixels_survive_arithmetic_and_a_second_file(tmp_path):
    pixels = np.array([[0, 1, 32767], [32768, 65534, 65535]], dtype=np.uint16)
    CCDFrame(pixels, unit="adu").write(tmp_path / "raw.fits")
    raw = CCDFrame.read(tmp_path / "raw.fits")
    assert raw.dtype == np.uint16
    np.testing.assert_array_equal(raw.data, pixels)
    (raw - 1000.0 * u.adu).write(tmp_path / "net.fits")
    np.testing.assert_array_equal(CCDFrame.read(tmp_path / "net.fits").data, pixels.astype(float) - 1000)


def test_frame_is_called_what_its_file_is_called(frame, tmp_path):
    path = tmp_path / "frame.fits"
    frame.write(path)
    assert CCDFrame.read(path).name == "frame.fits"
    assert CCDFrame.read(str(path)).name == "frame.fits"
    assert CCDFrame.read(path)[:5].name == "frame.fits"
    assert (CCDFrame.read(path) - frame).name == "frame.fits"


def test_the_same_file_is_the_same_noise_and_another_is_not(frame, tmp_path):
    frame.write(tmp_path / "one.fits")
    other = CCDFrame(frame.data + 1, unit=frame.unit, uncertainty=VarianceUncertainty(frame.variance))
    other.write(tmp_path / "other.fits")
    one, again = (CCDFrame.read(tmp_path / "one.fits") for _ in range(2))
    assert (one - again).variance.max() == 0
    assert (one[3:9, ::2] - again[3:9, ::2]).variance.max() == 0
    np.testing.assert_allclose((one - CCDFrame.read(tmp_path / "other.fits")).variance, 2 * frame.variance, rtol=1e-6)


def test_the_same_raw_file_is_the_same_noise_whatever_type_it_is_read_as(tmp_path):
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)
    pixels = np.random.default_rng(6).integers(0, 60000, SHAPE).astype(np.uint16)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "integer.fits")
    fits.PrimaryHDU(pixels.astype(np.float32)).writeto(tmp_path / "float.fits")
    one, other = (
        create_deviation(CCDFrame.read(tmp_path / name, unit="adu"), camera, pedestal=0, shot_noise=0)
        for name in ("integer.fits", "float.fits")
    )
    # Whole numbers have digitisation noise as well, in an array of any type: one twelfth of a step of one adu, squared.
    for frame in (one, other):
        assert frame.variance[0, 0] == pytest.approx(25 / 4 + 1 / 12)
    assert (one - other).variance.max() == 0


# -- files that cannot be read ------------------------------------------------------------------------------------


def places_to_cut(path):
    """Lengths at which a file ends inside a header or inside the data of each HDU."""
    with fits.open(path) as hdus:
        for hdu in hdus:
            header, data = hdu.fileinfo()["hdrLoc"], hdu.fileinfo()["datLoc"]
            yield from (header + 100, data, data + 100, data + hdu.size - 1)


def test_truncated_file_is_refused_by_name_wherever_it_ends(frame, tmp_path):
    path, cut = tmp_path / "frame.fits", tmp_path / "cut.fits"
    frame.write(path)
    whole = path.read_bytes()
    for length in places_to_cut(path):
        cut.write_bytes(whole[:length])
        with pytest.raises(FrameError, match=r"cut\.fits"):
            CCDFrame.read(cut)


def test_file_that_lacks_only_the_padding_of_its_last_block_is_read(frame, tmp_path):
    path = tmp_path / "frame.fits"
    frame.write(path)
    with fits.open(path) as hdus:
        end = hdus[-1].fileinfo()["datLoc"] + hdus[-1].size
    path.write_bytes(path.read_bytes()[:end])
    again = CCDFrame.read(path)
    np.testing.assert_array_equal(again.data, frame.data)
    np.testing.assert_array_equal(again.flags, frame.flags)


def test_truncated_compressed_file_is_refused_by_name(frame, tmp_path):
    path, cut = tmp_path / "frame.fits.gz", tmp_path / "cut.fits.gz"
    frame.write(path)
    whole = path.read_bytes()
    for length in (20, 200, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(FrameError, match=r"cut\.fits\.gz"):
            CCDFrame.read(cut)


def not_fits(path):
    path.write_text("This is no FITS file.\n" * 500)


def empty(path):
    path.write_bytes(b"")


def directory(path):
    path.mkdir()


@pytest.mark.parametrize("make", [not_fits, empty, directory])
@pytest.mark.parametrize("name", ["thing.fits", "thing"])
@pytest.mark.parametrize("arguments", [{}, {"format": "fits"}], ids=["found out", "told"])
def test_what_is_no_fits_file_is_refused_by_name(tmp_path, make, name, arguments):
    make(tmp_path / name)
    with pytest.raises(FrameError, match=re.escape(name)):
        CCDFrame.read(tmp_path / name, unit="adu", **arguments)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.fits"):
        CCDFrame.read(tmp_path / "nothing.fits", unit="adu")


def test_standard_is_kept_and_every_header_has_its_checksums(frame, tmp_path):
    for name in ("frame.fits", "frame.fits.fz"):
        frame.write(tmp_path / name)
        with fits.open(tmp_path / name, checksum=True) as hdus:
            hdus.verify("exception")
            assert hdus[0].header["NEXTEND"] == len(hdus) - 1
            assert hdus["BUDGET"].data.tobytes().startswith(b'{"version":1,')
        with fits.open(tmp_path / name, disable_image_compression=True) as hdus:
            assert all({"CHECKSUM", "DATASUM"} <= set(hdu.header) for hdu in hdus)


@pytest.mark.parametrize("name", ["frame.fits", "frame.fits.gz", "frame.fits.fz"])
@pytest.mark.parametrize("length", [1000, 1 << 20, (1 << 20) + 4, 3000000])
def test_checksums_are_right_for_astropy_and_those_of_astropy_for_us(tmp_path, name, length):
    path = tmp_path / name
    pixels = np.frombuffer(np.random.default_rng(7).bytes(length), np.int16).reshape(2, -1)
    CCDFrame(pixels, unit="adu").write(path)
    # astropy checks some when it opens the file, and the others when it reads their data: by warnings.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as hdus:
            assert sum(hdu.data is not None for hdu in hdus) == 2
    np.testing.assert_array_equal(CCDFrame.read(path, checksum=True).data, pixels)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "other.fits", checksum=True)
    np.testing.assert_array_equal(CCDFrame.read(tmp_path / "other.fits", unit="adu", checksum=True).data, pixels)


def test_keyword_of_an_observatory_that_is_like_ours_comes_back(tmp_path):
    # Subaru gives each exposure a FRAMEID.
    header = fits.Header([("FRAMEID", "SUPA01234567"), ("HIERARCH ESO Det Chip name", "CCD-44"), ("CALID", "calspec")])
    fits.PrimaryHDU(np.ones(SHAPE), header).writeto(tmp_path / "raw.fits")
    raw = CCDFrame.read(tmp_path / "raw.fits", unit="adu")
    raw.write(tmp_path / "frame.fits")
    again = CCDFrame.read(tmp_path / "frame.fits").meta
    assert again["FRAMEID"] == "SUPA01234567"
    assert again["ESO Det Chip name"] == "CCD-44"


def test_frame_that_another_program_has_written_anew_is_read_when_told_so(frame, tmp_path):
    frame.write(tmp_path / "frame.fits")
    plain = CCDData.read(tmp_path / "frame.fits")
    for checksum in (False, True):
        path = tmp_path / f"anew{checksum}.fits"
        plain.multiply(2).to_hdu().writeto(path, checksum=checksum)
        # The header of ours, but no budget.
        fits.setval(path, "CALID", value=fits.getheader(tmp_path / "frame.fits")["CALID"])
        fits.setval(path, "NEXTEND", value=4)
        with pytest.raises(FrameError, match=r"anew.*checksum=False"):
            CCDFrame.read(path)
        again = CCDFrame.read(path, checksum=False)
        np.testing.assert_allclose(again.variance, 4 * frame.variance, rtol=1e-6)
        assert "CALID" not in again.meta
        again.write(path, overwrite=True)
        np.testing.assert_array_equal(CCDFrame.read(path).variance, again.variance)


def test_tiles_are_compressed_on_request_without_loss(frame, tmp_path):
    smooth = CCDFrame(np.zeros((500, 500), np.float32), unit="adu", mask=np.zeros((500, 500), bool))
    smooth.write(tmp_path / "plain.fits")
    for name, options in (("image.fits.fz", {}), ("image.fits", {"compress": True})):
        smooth.write(tmp_path / name, **options)
        assert (tmp_path / name).stat().st_size < 0.2 * (tmp_path / "plain.fits").stat().st_size
        frame.write(tmp_path / name, overwrite=True, **options)
        np.testing.assert_array_equal(CCDFrame.read(tmp_path / name).variance, frame.variance)
        plain = CCDData.read(tmp_path / name, hdu=1, format="fits")
        np.testing.assert_array_equal(plain.data, frame.data)
        np.testing.assert_array_equal(plain.uncertainty.array, frame.variance)


@pytest.mark.parametrize(("ending", "known"), [("bz2", True), ("zip", False), ("xz", False)])
def test_what_is_written_can_be_read(frame, tmp_path, ending, known):
    path = tmp_path / f"frame.fits.{ending}"
    if known:
        frame.write(path, format="fits")
        np.testing.assert_array_equal(CCDFrame.read(path, format="fits").variance, frame.variance)
    else:
        with pytest.raises(FrameError, match=rf"{ending}.*\.gz"):
            frame.write(path, format="fits")
        assert names(tmp_path) == []


def test_frame_without_unit_is_read_by_plain_ccddata_when_told_so(tmp_path):
    path = tmp_path / "flat.fits"
    CCDFrame(np.ones(SHAPE), unit="", uncertainty=np.full(SHAPE, 0.1)).write(path)
    assert CCDData.read(path, unit=u.dimensionless_unscaled).unit == u.dimensionless_unscaled


def test_header_comes_back_without_what_belongs_to_the_file(frame, tmp_path):
    path = tmp_path / "frame.fits"
    frame.write(path)
    assert list(CCDFrame.read(path).meta) == list(frame.meta)


def test_number_with_more_digits_than_a_header_holds_comes_back(tmp_path):
    path = tmp_path / "frame.fits"
    CCDFrame(np.ones(SHAPE), unit="adu", meta={"SEEING": 1e-300 / 3}).write(path)
    assert fits.getheader(path)["SEEING"] != 1e-300 / 3
    assert CCDFrame.read(path).meta["SEEING"] == 1e-300 / 3


def image_of_another_shape(extension):
    def make(path):
        whole = CCDData(
            np.ones(SHAPE), unit="adu", uncertainty=StdDevUncertainty(np.ones(SHAPE)), mask=np.zeros(SHAPE, bool)
        )
        hdus = whole.to_hdu()
        hdus[extension].data = np.ones((3, 3), dtype=np.uint8)
        hdus.writeto(path)

    return make


def no_image(path):
    fits.PrimaryHDU().writeto(path)


def only_a_table(path):
    fits.BinTableHDU.from_columns([fits.Column("x", "D", array=[1.0])]).writeto(path)


def no_unit(path):
    fits.PrimaryHDU(np.ones(SHAPE)).writeto(path)


def unknown_unit(path):
    fits.PrimaryHDU(np.ones(SHAPE), fits.Header([("BUNIT", "parrots")])).writeto(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_image, ""),
        (only_a_table, ""),
        (no_unit, "unit='adu'"),
        (unknown_unit, "parrots"),
        (image_of_another_shape("UNCERT"), r"\(3, 3\)"),
        (image_of_another_shape("MASK"), r"\(3, 3\)"),
    ],
    ids=["no image", "only a table", "no unit", "unknown unit", "UNCERT of another shape", "MASK of another shape"],
)
def test_file_without_a_usable_image_is_refused_by_name(tmp_path, make, message):
    path = tmp_path / "odd.fits"
    make(path)
    with pytest.raises(FrameError, match=rf"odd\.fits.*{message}"):
        CCDFrame.read(path)


def test_argument_that_astropy_does_not_support_is_not_blamed_on_the_file(frame, tmp_path):
    path = tmp_path / "frame.fits"
    frame.write(path)
    with pytest.raises(TypeError, match="do_not_scale_image_data"):
        CCDFrame.read(path, do_not_scale_image_data=True)


# -- files that cannot be written ---------------------------------------------------------------------------------


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_prepared_file_is_the_same_and_nothing_is_noted_by_who_writes_it(frame, tmp_path):
    # In another thread, where nothing that others go through at the time may change.
    with ThreadPoolExecutor(1) as writer:
        writer.submit(fits_writer.prepare_fits(frame, tmp_path / "a.fits")).result()
    assert master_of(frame).path is None
    frame.write(tmp_path / "b.fits")
    assert master_of(frame).path == tmp_path / "b.fits"
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_old_file_is_replaced_only_when_asked(frame, tmp_path):
    path = tmp_path / "frame.fits"
    path.write_text("old")
    with pytest.raises(FileExistsError, match=r"frame\.fits.*overwrite=True"):
        frame.write(path)
    assert path.read_text() == "old"
    frame.write(path, overwrite=True)
    np.testing.assert_array_equal(CCDFrame.read(path).data, frame.data)
    assert names(tmp_path) == ["frame.fits"]


@pytest.mark.parametrize("meta", [{"OBSERVER": {"name": "Hubble"}}, {"COMMENTS": "two\nlines"}, {"SEEING": np.nan}])
@pytest.mark.parametrize("old", ["old", None])
def test_header_that_cannot_be_written_leaves_the_directory_as_it_was(tmp_path, meta, old):
    path = tmp_path / "frame.fits"
    if old:
        path.write_text(old)
    with pytest.raises(ValueError, match=r"."):
        CCDFrame(np.ones(SHAPE), unit="adu", meta=meta).write(path, overwrite=True)
    assert names(tmp_path) == (["frame.fits"] if old else [])
    assert old is None or path.read_text() == old


def test_card_that_is_no_card_is_refused_with_the_names_of_frame_and_file(tmp_path):
    header = fits.Header([fits.Card.fromstring("BA d    = 12 x3")])
    frame = CCDFrame(np.ones(SHAPE), unit="adu", meta=header, name="the frame")
    with pytest.raises(FrameError, match=r"the frame cannot be written to .*frame\.fits"):
        frame.write(tmp_path / "frame.fits")
    assert names(tmp_path) == []


def test_failure_while_writing_leaves_the_old_file(frame, tmp_path, monkeypatch):
    path = tmp_path / "frame.fits"
    frame.write(path)
    before = path.read_bytes()

    def fail(_hdus, name):
        name.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fits_writer, "write_hdus", fail)
    with pytest.raises(OSError, match="No space left"):
        (frame * 2).write(path, overwrite=True)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["frame.fits"]


def test_missing_directory_is_named_with_the_file(frame, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*frame\.fits"):
        frame.write(tmp_path / "nowhere" / "frame.fits")


def test_frame_can_be_put_into_an_extension_as_astropy_does(frame, tmp_path):
    path = tmp_path / "frame.fits"
    frame.write(path, as_image_hdu=True)
    with fits.open(path) as hdus:
        assert isinstance(hdus[1], fits.ImageHDU)
        np.testing.assert_array_equal(hdus[1].data, frame.data)
