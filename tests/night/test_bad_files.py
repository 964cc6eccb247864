"""A night with bad files in it: they are named, and all else is reduced to the same pixels."""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
import socket
import tracemalloc
from functools import cache, partial
from importlib import import_module
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.night import reduce_night, run
from astro_calib.night.common.net import tried
from astro_calib.night.masters import masters
from astro_calib.night.planning import make_plan

SHAPE = (16, 20)
LEAN = {"stars": False, "pictures": False, "progress": False}
SCIENCE = fits.Header([("IMAGETYP", "LIGHT"), ("EXPTIME", 30.0), ("FILTER", "V"), ("GAIN", 1.5), ("RDNOISE", 8.0)])


def pixels(seed, level=1500.0):
    return np.random.default_rng(seed).normal(level, 5.0, SHAPE).round().astype(np.uint16)


def write_night(raw):
    raw.mkdir()
    number = 0
    for kind, count, level, time in (
        ("BIAS", 4, 1000, 0),
        ("DARK", 3, 1010, 30),
        ("FLAT", 3, 20000, 2),
        ("LIGHT", 2, 1500, 30),
    ):
        for index in range(count):
            number += 1
            header = SCIENCE.copy()
            header["IMAGETYP"], header["EXPTIME"] = kind, float(time)
            fits.writeto(raw / f"{kind.lower()}{index}.fits", pixels(number, level), header)


def results(out):
    """The pixels and variances of all that was made, by the names of the files."""
    return {
        str(path.relative_to(out)): [fits.getdata(path), fits.getdata(path, "UNCERT")]
        for path in sorted(out.rglob("*.fits"))
    }


def assert_same(found, expected):
    for name, arrays in expected.items():
        for one, other in zip(found[name], arrays, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A night and what is made of it."""
    directory = tmp_path_factory.mktemp("clean")
    write_night(directory / "raw")
    reduce_night(directory / "raw", directory / "out", **LEAN)
    return directory / "raw", results(directory / "out")


@pytest.fixture
def raw(clean, tmp_path):
    return shutil.copytree(clean[0], tmp_path / "raw")


# -- files that are bad from the beginning ---------------------------------------------------------------------------


def content(**options):
    """The bytes of a science frame."""
    file = BytesIO()
    fits.PrimaryHDU(pixels(99), SCIENCE).writeto(file, **options)
    return file.getvalue()


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


def tiles(path, way):
    options = {"tile_shape": (8, SHAPE[1])} if way == "HCOMPRESS_1" else {}
    hdu = fits.CompImageHDU(pixels(98).astype(np.int16), SCIENCE, compression_type=way, **options)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    with fits.open(path, disable_image_compression=True) as hdus:
        start = hdus[1].fileinfo()["datLoc"] + hdus[1].header["NAXIS1"] * hdus[1].header["NAXIS2"]
    data = bytearray(path.read_bytes())
    data[start : start + 6] = b"\xff" * 6
    path.write_bytes(data)


def large(path, header=SCIENCE):
    """64 MB of zeros."""
    fits.PrimaryHDU(np.zeros((4000, 8000), np.int16), header).writeto(path)


def large_tiles(path):
    hdu = fits.CompImageHDU(np.zeros((4000, 8000), np.int16), SCIENCE, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def large_beside(path):
    """A frame of the usual size with a table of 64 MB behind it."""
    table = fits.BinTableHDU(np.zeros(4_000_000, dtype=[("a", ">f8"), ("b", ">f8")]))
    fits.HDUList([fits.PrimaryHDU(pixels(97), SCIENCE), table]).writeto(path)


def sparse(path):
    """4 GB, of which the disk holds nothing."""
    header = SCIENCE.copy()
    for keyword, value in reversed(
        [("SIMPLE", True), ("BITPIX", 16), ("NAXIS", 2), ("NAXIS1", 50000), ("NAXIS2", 40000)]
    ):
        header.insert(0, (keyword, value))
    start = header.tostring().encode()
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + 4_000_000_000 + 2880 - 4_000_000_000 % 2880)


def endless(path):
    """What follows the image unpacks to 200 MB."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(content())
        for _ in range(200):
            file.write(bytes(1 << 20))


def bound_socket(path):
    # Its whole name may have 107 letters.
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


BAD = {
    "empty.fits": lambda path: path.write_bytes(b""),
    "text.fits": lambda path: path.write_bytes(b"clouds\n" * 1000),
    "cut.fits": lambda path: path.write_bytes(content()[:3000]),
    "cut.fits.gz": lambda path: path.write_bytes(gzip.compress(content())[:-8]),
    "flipped.fits.gz": lambda path: path.write_bytes(flipped(gzip.compress(content()), 200)),
    "cut.fits.bz2": lambda path: path.write_bytes(bz2.compress(content())[:-20]),
    "flipped.fits.bz2": lambda path: path.write_bytes(flipped(bz2.compress(content()), 200)),
    "two_members.fits.gz": lambda path: path.write_bytes(gzip.compress(content()) + b"garbage"),
    "datasum.fits": lambda path: path.write_bytes(flipped(content(checksum=True), 3000)),
    "datasum.fits.gz": lambda path: path.write_bytes(gzip.compress(flipped(content(checksum=True), 3000))),
    "rice.fits.fz": partial(tiles, way="RICE_1"),
    "gzip1.fits.fz": partial(tiles, way="GZIP_1"),
    "gzip2.fits.fz": partial(tiles, way="GZIP_2"),
    "hcompress.fits.fz": partial(tiles, way="HCOMPRESS_1"),
    "loop.fits": lambda path: path.symlink_to(path),
    "dangling.fits": lambda path: path.symlink_to(path.parent / "not there"),
    "directory.fits": lambda path: path.mkdir(),
    "linked-directory.fits": lambda path: path.symlink_to(path.parent),
    "pipe.fits": os.mkfifo,
    "zero.fits": lambda path: path.symlink_to("/dev/zero"),
    "socket.fits": bound_socket,
    "new\nline.fits": lambda path: path.write_bytes(b""),
    os.fsdecode(b"no text \xe9.fits"): lambda path: path.write_bytes(b""),
    "x" * 250 + ".fits": lambda path: path.write_bytes(b""),
    "large.fits.gz": large,
    "large.fits.bz2": large,
    "large.fits.fz": large_tiles,
    "beside.fits.gz": large_beside,
    "sparse.fits": sparse,
    "endless.fits.gz": endless,
}


def named(name, text):
    return "".join(letter if letter.isprintable() else "?" for letter in name) in text


#: Large ones, and others that are much like one that is left; a test below has all at once.
LATER = (
    *("large.fits.gz", "large.fits.bz2", "beside.fits.gz", "large.fits.fz"),
    *("cut.fits.bz2", "flipped.fits.bz2", "datasum.fits.gz", "gzip1.fits.fz", "gzip2.fits.fz", "dangling.fits"),
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name in LATER), id=ascii(name)[:30]) for name in BAD],
)
def test_a_bad_file_is_named_and_all_else_is_the_same(clean, raw, tmp_path, name):
    BAD[name](raw / name)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert_same(results(tmp_path / "out"), clean[1])
    assert [file.path.name for file in (*summary.unused, *summary.failures)] == [name]
    assert named(name, str(summary))
    assert "please report" not in str(summary)


@pytest.mark.long
def test_all_bad_files_at_once_take_no_more_memory_than_none(clean, raw, tmp_path):
    def peak(directory, out):
        tracemalloc.start()
        summary = reduce_night(directory, out, **LEAN)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken, summary

    peak(clean[0], tmp_path / "warm")
    for name, make in BAD.items():
        make(raw / name)
    usual, _ = peak(clean[0], tmp_path / "clean")
    taken, summary = peak(raw, tmp_path / "out")
    assert_same(results(tmp_path / "out"), clean[1])
    assert {file.path.name for file in summary.unused} == set(BAD)
    # The buffers of what unpacks bzip2, and the headers, are all that there is more; the smallest bomb holds 64 MB.
    assert taken < usual + 12e6


def test_frames_that_are_larger_than_others_by_a_few_times_are_told_apart_as_before(clean, raw, tmp_path):
    fits.writeto(raw / "unbinned.fits", np.tile(pixels(50), (4, 4)), SCIENCE)
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    (file,) = summary.unused
    assert "its shape (rows, columns) is (64, 80), most frames have (16, 20)" in file.reason
    assert_same(results(tmp_path / "out"), clean[1])


def test_small_files_of_other_kinds_do_not_make_frames_large(clean, raw, tmp_path):
    header = SCIENCE.copy()
    header["IMAGETYP"] = "GUIDER"
    for number in range(30):
        fits.writeto(raw / f"guide{number}.fits", np.full((1, 2), number, np.int16), header)
    reduce_night(raw, tmp_path / "out", **LEAN)
    assert_same(results(tmp_path / "out"), clean[1])


def test_a_changed_header_is_remarked_and_its_frame_reduced(clean, raw, tmp_path):
    path = raw / "edited.fits"
    path.write_bytes(content(checksum=True).replace(b"FILTER  = 'V", b"FILTER  = 'R"))
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert "edited.fits: header 0 was changed after its CHECKSUM was written; its data were not" in summary.remarks
    assert "edited.fits" in [frame.path.name for frame in summary.frames]
    assert summary.unused == ()
    assert_same(results(tmp_path / "out"), clean[1])


# -- files that turn bad after they were looked at -------------------------------------------------------------------


@pytest.fixture
def after_planning(monkeypatch):
    """Do something between the plan and the masters."""

    def install(change):
        def planned(*arguments, **options):
            plan = make_plan(*arguments, **options)
            change()
            return plan

        monkeypatch.setattr(run, "make_plan", planned)

    return install


SPOILT = {
    "removed": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:3000]),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a loop": lambda path: (path.unlink(), path.symlink_to(path)),
    "smaller": lambda path: fits.writeto(path, pixels(1)[:8, :8], SCIENCE, overwrite=True),
    "empty": lambda path: path.write_bytes(b""),
    # Of the same length, and whole: nothing but the plan knows that its pixels or its header are others.
    "other pixels": lambda path: path.write_bytes(flipped(path.read_bytes(), 3000)),
    "another kind": lambda path: fits.setval(path, "IMAGETYP", value="FOCUS"),
}


@pytest.fixture(scope="module")
def without(clean, tmp_path_factory):
    """Function: what is made of the night without a file."""

    @cache
    def made(name):
        directory = tmp_path_factory.mktemp("without")
        (directory / "raw").mkdir()
        for path in clean[0].iterdir():
            if path.name != name:
                shutil.copy(path, directory / "raw")
        reduce_night(directory / "raw", directory / "out", **LEAN)
        return results(directory / "out")

    return made


@pytest.mark.parametrize("name", ["bias1.fits", "dark1.fits", "flat1.fits", "light1.fits"])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoil, marks=[pytest.mark.long] * (name in ("cut", "a directory", "a loop")), id=name)
        for name, spoil in SPOILT.items()
    ],
)
def test_a_file_that_is_spoilt_after_planning_costs_itself(raw, without, tmp_path, after_planning, name, spoil):
    expected = without(name)
    after_planning(lambda: spoil(raw / name))
    summary = reduce_night(raw, tmp_path / "out", **LEAN)
    assert [file.path.name for file in (*summary.unused, *summary.failures)] == [name]
    # What is made is what would have been made without the file.
    assert_same(results(tmp_path / "out"), expected)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), 0),
        (OSError(5, "Input/output error"), 0),
        (ValueError("the WCS has 3 axes"), 0),
        (EOFError("end"), 0),
        (RuntimeError("loops"), 1),
        (AssertionError(), 1),
        (AttributeError("nothing of that name"), 1),
        (NotImplementedError("not yet"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize(
    "names", [["bias2.fits"], ["flat0.fits", "flat1.fits", "flat2.fits"], ["dark0.fits", "dark1.fits", "dark2.fits"]]
)
def test_any_error_of_calibration_frames_costs_them_and_is_told(clean, tmp_path, monkeypatch, error, status, names):
    from astro_calib.cli.reduce import lost

    original = masters.read_raw

    def fail(frame):
        if frame.path.name in names:
            raise error
        return original(frame)

    monkeypatch.setattr(masters, "read_raw", fail)
    summary = reduce_night(clean[0], tmp_path / "out", **LEAN)
    assert [file.path.name for file in summary.unused] == names
    assert len(summary.frames) == 2
    assert all(type(error).__name__ in file.reason for file in summary.unused) or str(error) or status == 0
    assert bool(lost(summary)) == bool(status)
    if status:
        assert "a fault of astro-calib (test_bad_files.py, line" in summary.unused[0].reason
    if len(names) > 1:
        what = {
            "f": "no flat for filter V can be used: reduced without one",
            "d": "the dark current stays in the frames",
        }
        assert any(what[names[0][0]] in remark for remark in summary.remarks)


def test_biases_that_are_all_lost_leave_their_pattern_only_with_an_overscan(clean, tmp_path, monkeypatch):
    def fail(frame):
        if frame.kind == "bias":
            msg = "gone"
            raise RuntimeError(msg)
        return original(frame)

    original = masters.read_raw
    monkeypatch.setattr(masters, "read_raw", fail)
    with pytest.raises(FrameError, match="none of the 4 biases can be used, and there is no overscan:\n  bias0"):
        reduce_night(clean[0], tmp_path / "out", **LEAN)


def test_a_group_that_cannot_be_combined_is_lost_as_a_whole(clean, tmp_path, monkeypatch):
    module = import_module("astro_calib.stack.combination")
    original = module.combine

    def fail(frames, **options):
        taken = list(frames)
        if taken[0].name.startswith("dark"):
            raise MemoryError
        return original(taken, **options)

    monkeypatch.setattr(module, "combine", fail)
    summary = reduce_night(clean[0], tmp_path / "out", **LEAN)
    assert [file.path.name for file in summary.unused] == ["dark0.fits", "dark1.fits", "dark2.fits"]
    assert "they cannot be combined: there is not enough memory for it" in summary.unused[0].reason
    assert "none of the darks of 30 s can be used: the dark current stays in the frames" in summary.remarks


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_who_ends_the_program_is_not_held_up(tmp_path, stop):
    def work():
        raise stop

    with pytest.raises(stop):
        tried(tmp_path, "bias", work)


# -- raw frames are never written to ---------------------------------------------------------------------------------


def symbolic(link, target):
    link.symlink_to(target)


def hard(link, target):
    os.link(target, link)


def relative(link, target):
    link.symlink_to(os.path.relpath(target, link.parent))


def through_another(link, target):
    between = link.parents[2] / "between"
    between.symlink_to(target)
    link.symlink_to(between)


@pytest.mark.parametrize("make", [symbolic, hard, relative, through_another])
@pytest.mark.parametrize(
    ("result", "name"),
    [
        ("calibrated/light0.fits", "light0.fits"),
        ("calibrated/light0.fits", "light1.fits"),
        ("masters/master-bias.fits", "bias0.fits"),
        ("summary.txt", "bias0.fits"),
    ],
)
def test_a_result_that_is_a_link_to_a_raw_frame_does_not_replace_it(clean, raw, tmp_path, make, result, name):
    out = tmp_path / "deep" / "out"
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    link = out / result
    link.parent.mkdir(parents=True)
    make(link, raw / name)
    reduce_night(raw, out, overwrite=True, **LEAN)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before
    assert not link.is_symlink()
    assert_same(results(out), clean[1])


def test_a_link_to_a_frame_of_another_night_is_not_followed_either(raw, tmp_path):
    other = tmp_path / "other.fits"
    other.write_bytes(b"photons of last night")
    (tmp_path / "out" / "calibrated").mkdir(parents=True)
    (tmp_path / "out" / "calibrated" / "light0.fits").symlink_to(other)
    reduce_night(raw, tmp_path / "out", overwrite=True, **LEAN)
    assert other.read_bytes() == b"photons of last night"


@pytest.mark.parametrize("where", ["", "calibrated", "masters", "tables"])
def test_raw_frames_under_another_name_of_their_directory_are_seen(raw, tmp_path, where):
    (tmp_path / "out").mkdir()
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    out = tmp_path / "out" if where else tmp_path / "link"
    (out / where).symlink_to(raw) if where else out.symlink_to(raw)
    with pytest.raises(FileExistsError, match="lies where the results would be written"):
        reduce_night(raw, out, overwrite=True, **LEAN)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


def test_links_to_raw_frames_that_lie_where_results_go_are_not_replaced(raw, tmp_path):
    links = tmp_path / "out" / "calibrated"
    links.mkdir(parents=True)
    for path in raw.iterdir():
        (links / path.name).symlink_to(path)
    with pytest.raises(FileExistsError, match="lies where the results would be written"):
        reduce_night(links, tmp_path / "out", overwrite=True, **LEAN)
    assert all(path.is_symlink() for path in links.iterdir())


def test_results_within_the_directory_of_raw_frames_are_fine(clean, raw):
    reduce_night(raw, raw / "reduced", **LEAN)
    assert_same(results(raw / "reduced"), clean[1])
