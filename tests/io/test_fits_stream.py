"""HDUs that are put into a file are what astropy would have put there."""

from __future__ import annotations

import resource
import signal
import tracemalloc
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from astro_calib import CCDFrame
from astro_calib.errors import FrameError
from astro_calib.io.fits import stream as fits_stream
from astro_calib.io.fits.stream import write_hdus
from astro_calib.io.fits_budget import storable

#: Bytes that are worked on at a time.
PIECE = fits_stream.LARGE
NUMBERS = ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def hdus_of(*arrays):
    """Of arrays that astropy would not swap in place; the first one's is primary."""
    header = fits.Header([("OBJECT", "M13"), ("LONG", "x" * 100), ("HISTORY", "DATASUM = '1' and CHECKSUM= '2'")])
    images = [fits.ImageHDU(storable(array), name=f"array {number}") for number, array in enumerate(arrays[1:])]
    return fits.HDUList([fits.PrimaryHDU(storable(arrays[0]), header), *images])


def content(path):
    """
    Cards, DATASUM and the bytes of the data of each HDU.

    astropy checks CHECKSUM and DATASUM as it opens a file, and warns.
    """
    found, whole = [], path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as hdus:
            for hdu in hdus:
                cards = [str(card) for card in hdu.header.cards if card.keyword not in ("CHECKSUM", "DATASUM")]
                info = hdu.fileinfo()
                data = whole[info["datLoc"] : info["datLoc"] + info["datSpan"]]
                found.append((cards, int(hdu.header["DATASUM"]), data))
            assert info["datLoc"] + info["datSpan"] == len(whole)
    return found


def assert_as_astropy_writes(directory, *arrays):
    """Both write the same, and leave the arrays as they are."""
    before = [array.tobytes() for array in arrays]
    for name in ("ours", "astropys"):
        (directory / name).unlink(missing_ok=True)
    write_hdus(hdus_of(*arrays), directory / "ours")
    assert [array.tobytes() for array in arrays] == before
    hdus_of(*arrays).writeto(directory / "astropys", checksum=True)
    assert content(directory / "ours") == content(directory / "astropys")


def pixels(length, dtype, seed=1):
    """Any bits, also of numbers that are none."""
    return np.frombuffer(np.random.default_rng(seed).bytes(length * np.dtype(dtype).itemsize), dtype)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("number", NUMBERS)
def test_all_numbers_in_both_byte_orders(tmp_path, number, order):
    array = pixels(61 * 47, order + number).reshape(61, 47)
    assert_as_astropy_writes(tmp_path, array, array[1:, ::3], array.T, array[::-1, ::-2], array.ravel()[:5])


def test_extremes_of_integers(tmp_path):
    kinds = [np.iinfo(number) for number in NUMBERS if number[0] != "f"]
    assert_as_astropy_writes(tmp_path, *(np.array([kind.min, kind.max, 0, 1], kind.dtype) for kind in kinds))


@pytest.mark.parametrize("number", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("more", [-1, 0, 1, 3, PIECE])
def test_arrays_that_end_near_the_end_of_the_buffer(tmp_path, number, more):
    length = PIECE // np.dtype(number).itemsize + more
    assert_as_astropy_writes(tmp_path, pixels(length, number), np.ones(3, "u1"))


@pytest.mark.parametrize("number", ["u1", "u2", "f4"])
def test_large_views(tmp_path, number):
    array = pixels(701 * 1001 * 3, number).reshape(701, 1001, 3)
    assert_as_astropy_writes(tmp_path, array[..., 1].T, array.transpose(2, 0, 1), array[3:, 5:-2, ::2], array[..., 0])


@given(
    data=st.data(), number=st.sampled_from(NUMBERS), order=st.sampled_from("<>"), buffer=st.sampled_from([8, 24, 64])
)
def test_any_view_through_any_buffer(tmp_path_factory, data, number, order, buffer):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=9))
    array = pixels(int(np.prod(shape)), order + number).reshape(shape)
    array = array.transpose(data.draw(st.permutations(range(len(shape)))))
    view = array[data.draw(hnp.basic_indices(array.shape, min_dims=1, allow_newaxis=False))]
    if view.size:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fits_stream, "LARGE", buffer)
            assert_as_astropy_writes(tmp_path_factory.getbasetemp(), view)


@pytest.mark.parametrize("number", ["u2", ">f4", "f4"])
def test_memory_is_that_of_the_buffer(tmp_path, number):
    array = np.ones((2000, 2100), number)[:, 50:-50]
    hdus = hdus_of(array, array > 0, array.T)
    write_hdus(hdus_of(np.ones(PIECE)), tmp_path / "first")
    tracemalloc.start()
    write_hdus(hdus, tmp_path / "frame")
    assert tracemalloc.get_traced_memory()[1] < 3 * PIECE
    tracemalloc.stop()


def test_arrays_of_a_frame_are_not_copied_and_cannot_be_changed():
    array = np.arange(12.0).reshape(3, 4)
    for one in (array, array[:, ::2], array.astype(">f4"), array > 3):
        held = storable(one)
        assert np.shares_memory(held, one)
        assert not held.flags.writeable
        assert one.flags.writeable
    np.testing.assert_array_equal(storable(array > 3), [[0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]])


@pytest.mark.parametrize(
    "array", [np.ones(3, complex), np.array(1.0), np.ones((0, 3)), np.array(["a"]), np.ones(2, "g")]
)
def test_what_fits_cannot_hold(array):
    with pytest.raises(FrameError, match=r"FITS cannot hold an array of shape"):
        storable(array)


@contextmanager
def small_disk(size):
    """Files can have no more than so many bytes."""
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("missing", [1, 2000, 3000, PIECE, PIECE + 100000])
def test_disk_that_is_full_at_any_place(tmp_path, missing):
    frame = CCDFrame(pixels(700 * 701, "u2").reshape(700, 701), unit="adu")
    frame.write(tmp_path / "whole.fits")
    size = (tmp_path / "whole.fits").stat().st_size
    with small_disk(size):
        frame.write(tmp_path / "whole.fits", overwrite=True)
    with small_disk(size - missing), pytest.raises(OSError, match=r"frame\.fits"):
        frame.write(tmp_path / "frame.fits")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.fits"]
