"""Images that are read from their files by rows are those that astropy reads whole."""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from astro_calib import CCDFrame, combine, covariance
from astro_calib.errors import FrameError, NoiseWarning
from astro_calib.io.fits import rows as module
from astro_calib.io.fits.rows import raw_on_disk

SHAPE = (23, 31)


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def written(path, data, **header):
    fits.PrimaryHDU(data, fits.Header(header)).writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_pixels_types_and_identity_are_those_of_the_whole_file(rng, tmp_path, dtype):
    path = written(tmp_path / "a.fits", rng.integers(0, 200, SHAPE).astype(dtype))
    whole = CCDFrame.read(path, unit="adu")
    frame = raw_on_disk(path, u.adu, stated=False)
    assert frame.dtype == whole.dtype.newbyteorder("=")
    np.testing.assert_array_equal(frame.pixels[3:9, 2:], whole.data[3:9, 2:])
    np.testing.assert_array_equal(frame.pixels[::5], whole.data[::5])
    np.testing.assert_array_equal(frame.pixels[:], whole.data)
    origins = frame.origin, whole.origin
    assert origins[0].raw.identity() == origins[1].raw.identity()
    assert (origins[0].quantum, origins[0].window) == (origins[1].quantum, origins[1].window)


def test_scaled_whole_numbers_are_what_astropy_makes_of_them(rng, tmp_path):
    path = tmp_path / "a.fits"
    hdu = fits.PrimaryHDU(rng.normal(1000, 20, SHAPE))
    hdu.scale("int16", bzero=900, bscale=0.1)
    hdu.writeto(path)
    frame = raw_on_disk(path, u.adu, stated=False)
    np.testing.assert_allclose(frame.pixels[:], fits.getdata(path), rtol=1e-7)
    assert frame.dtype == fits.getdata(path).dtype.newbyteorder("=")


@pytest.mark.parametrize("dtype", ["f4", "f8", "u8"])
def test_other_scaled_numbers_are_left_to_astropy(rng, tmp_path, dtype):
    hdu = fits.PrimaryHDU(rng.integers(1, 100, SHAPE).astype(dtype))
    if dtype != "u8":
        hdu.header["BSCALE"], hdu.header["BZERO"] = 0.1, 3.0
    paths = [tmp_path / "a.fits", tmp_path / "b.fits"]
    for path in paths:
        hdu.writeto(path)
        hdu.data = hdu.data[::-1]
    assert raw_on_disk(paths[0], u.adu, stated=False) is None
    expected = combine([CCDFrame.read(path, unit="adu") for path in paths])
    np.testing.assert_array_equal(combine(paths, unit="adu").data, expected.data)


def test_only_plain_images_are_left_on_disk(rng, tmp_path):
    data = rng.integers(0, 99, SHAPE).astype(np.int16)
    plain = written(tmp_path / "plain.fits", data, BUNIT="ADU")
    assert raw_on_disk(plain, u.adu, stated=True) is not None
    assert raw_on_disk(plain, u.electron, stated=True) is None
    extended = tmp_path / "extended.fits"
    fits.HDUList([fits.PrimaryHDU(data), fits.ImageHDU(data, name="MASK")]).writeto(extended)
    cut = tmp_path / "cut.fits"
    cut.write_bytes(plain.read_bytes()[:3000])
    text = tmp_path / "text.fits"
    text.write_text("no image")
    for path in (
        extended,
        cut,
        text,
        written(tmp_path / "cube.fits", np.zeros((2, 3, 4), "i2")),
        written(tmp_path / "blank.fits", data, BLANK=3),
        tmp_path / "missing.fits",
    ):
        assert raw_on_disk(path, u.adu, stated=False) is None, path


@pytest.fixture
def night(rng, tmp_path):
    """Seven raw frames, one of them with a hit."""
    pattern = rng.normal(1000, 30, SHAPE)
    paths = []
    for number in range(7):
        pixels = (pattern + rng.normal(0, 4, SHAPE)).round().astype(np.uint16)
        pixels[3, 4] = 40000 if number == 2 else pixels[3, 4]
        paths.append(written(tmp_path / f"{number}.fits", pixels, OBJECT=f"frame {number}"))
    return paths


def assert_same_stack(one, other):
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-5)
    np.testing.assert_array_equal(one.flags, other.flags)
    np.testing.assert_array_equal(one.n_used, other.n_used)
    np.testing.assert_allclose(covariance(one, other), one.variance, rtol=1e-5)
    assert dict(one.meta) == dict(other.meta)
    assert {s.identity for s, _ in one.budget.terms} == {s.identity for s, _ in other.budget.terms}


HOW = [{}, {"method": "median"}, {"clip": "sigma"}, {"method": "median", "clip": "scatter"}, {"clip": "minmax"}]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_a_stack_of_files_is_that_of_frames(night, how):
    frames = [CCDFrame.read(path, unit="adu") for path in night]
    assert_same_stack(combine(night, unit="adu", **how), combine(frames, **how))


@pytest.mark.parametrize("limit", [1.0, 5e4])
def test_with_any_limit_of_memory(night, monkeypatch, limit):
    # Few rows at a time, and files that have to be decompressed to temporary ones.
    expected = combine(night, unit="adu", clip="sigma")
    packed = []
    for path in night:
        packed.append(path.with_suffix(".fits.gz"))
        with path.open("rb") as plain, gzip.open(packed[-1], "wb") as out:
            shutil.copyfileobj(plain, out)
    made = []
    real = tempfile.TemporaryDirectory
    monkeypatch.setattr(
        sys.modules["astro_calib.stack.inputs"],
        "TemporaryDirectory",
        lambda **how: made.append(real(**how)) or made[-1],
    )
    for paths in (packed, [*packed[:2], *night[2:]]):
        assert_same_stack(combine(paths, unit="adu", clip="sigma", memory_limit=limit), expected)
    assert bool(made) == (limit == 1.0)
    for directory in made:
        directory.cleanup()


def test_each_byte_is_read_once(rng, tmp_path, monkeypatch):
    # But for some rows from which typical values are taken.
    shape = (512, 600)
    paths = [written(tmp_path / f"{n}.fits", rng.integers(0, 999, shape).astype("u2")) for n in range(4)]
    read = []
    real = module.RowsOnDisk._read

    def noted(self, start, stop, *more):
        read.append(stop - start)
        return real(self, start, stop, *more)

    monkeypatch.setattr(module.RowsOnDisk, "_read", noted)
    combine(paths, unit="adu", method="median", memory_limit=1e6)
    assert 3 * 512 <= sum(read) <= 3 * 512 * 1.3


def test_frames_that_are_held_in_memory_are_said_to_be_too_many(rng, tmp_path):
    paths = [written(tmp_path / f"{i}.fits", rng.integers(900, 1100, SHAPE).astype(np.uint16)) for i in range(4)]
    whole = SHAPE[0] * SHAPE[1] * 2
    combine(paths, unit="adu", scale="median", memory_limit=4 * whole)
    with pytest.warns(AstropyUserWarning, match="the first 4 frames take .* more than memory_limit"):
        combine(paths, unit="adu", scale="median", memory_limit=3 * whole)
    # By rows they are not in memory.
    combine(paths, unit="adu", memory_limit=3 * whole)


def test_the_same_file_twice_is_noticed(night):
    with pytest.warns(NoiseWarning, match=r"0 \(0.fits\) and 7 \(0.fits\) are the same exposure"):
        combine([*night, night[0]], unit="adu")


def test_a_file_that_shrinks_is_an_error(night):
    frame = raw_on_disk(night[1], u.adu, stated=False)
    night[1].write_bytes(night[1].read_bytes()[:3000])
    with pytest.raises(OSError, match=r"1\.fits was changed while it was read"):
        frame.pixels[:]


def test_a_file_that_is_replaced_is_an_error(night):
    frame = raw_on_disk(night[1], u.adu, stated=False)
    night[2].replace(night[1])
    with pytest.raises(OSError, match=r"1\.fits was changed while it was read"):
        frame.pixels[:]


def test_the_first_frame_may_have_no_weight(night):
    stack = combine(night, unit="adu", weights=[0, *[1] * 6])
    frames = [CCDFrame.read(path, unit="adu") for path in night]
    assert_same_stack(stack, combine(frames, weights=[0, *[1] * 6]))
    assert stack.meta["OBJECT"] == "frame 0"


def test_files_in_another_unit_than_a_frame_are_not_taken_for_it(rng, night):
    frame = CCDFrame(rng.normal(1000, 4, SHAPE), unit="electron")
    with pytest.raises(u.UnitConversionError):
        combine([frame, *night], unit="adu")


def test_files_that_do_not_fit_together_are_named(night, tmp_path):
    other = written(tmp_path / "other.fits", np.arange(60, dtype="u2").reshape(6, 10))
    with pytest.raises(FrameError, match=r"other\.fits"):
        combine([*night, other], unit="adu")
