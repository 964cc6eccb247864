"""Files that were cut off, changed or made to do harm: an error that says so, and nothing else."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from io import BytesIO

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import StdDevUncertainty

from astro_calib import CCDFrame
from astro_calib.errors import FrameError
from tests.io.frames import tangent_plane

SHAPE = (40, 50)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(5)
    made = CCDFrame(
        rng.normal(100, 5, SHAPE).astype(np.float32),
        unit="electron",
        uncertainty=StdDevUncertainty(rng.uniform(4, 6, SHAPE).astype(np.float32)),
        mask=rng.random(SHAPE) > 0.9,
        flags=rng.integers(0, 2**16, SHAPE).astype(np.uint16),
        meta=fits.Header([("OBJECT", "M13"), ("EXPTIME", 30.0, "seconds")]),
        wcs=tangent_plane(),
    )
    # Two sources with arrays, so that the file has an array of the budget, too.
    other = CCDFrame(made.data, unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, 2, np.float32)))
    return made + other


@pytest.fixture(scope="module")
def whole_files(frame, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    content = {}
    for ending in ("fits", "asdf"):
        frame.write(directory / f"whole.{ending}")
        content[ending] = (directory / f"whole.{ending}").read_bytes()
    return content


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(FrameError, match=path.name.replace(".", r"\.")):
        CCDFrame.read(path, format=path.suffix[1:])


def test_fits_cut_off_at_any_block_is_refused(whole_files, tmp_path):
    content = whole_files["fits"]
    assert len(content) > 15 * 2880
    for length in range(0, len(content), 2880):
        refused(tmp_path / "cut.fits", content[:length])


@pytest.mark.parametrize("ending", ["fits", "asdf"])
def test_file_cut_off_anywhere_is_refused(whole_files, tmp_path, ending):
    content = whole_files[ending]
    rng = np.random.default_rng(1)
    # The last block may lack its padding.
    for length in sorted(rng.integers(0, len(content) - 2880, 60)):
        refused(tmp_path / f"cut.{ending}", content[:length])


def test_asdf_without_its_last_bytes_is_refused(whole_files, tmp_path):
    content = whole_files["asdf"]
    for length in range(len(content) - 150, len(content) - 4):
        refused(tmp_path / "cut.asdf", content[:length])


def header_bytes(content):
    """Where the headers of a FITS file are."""
    with fits.open(BytesIO(content)) as hdus:
        places = [(hdu.fileinfo()["hdrLoc"], hdu.fileinfo()["datLoc"]) for hdu in hdus]
    return np.concatenate([np.arange(start, stop) for start, stop in places])


def test_any_flipped_bit_of_a_header_is_noticed(whole_files, tmp_path):
    content = bytearray(whole_files["fits"])
    rng = np.random.default_rng(2)
    for place in rng.choice(header_bytes(bytes(content)), 150, replace=False):
        bit = 1 << int(rng.integers(0, 8))
        content[place] ^= bit
        refused(tmp_path / "flipped.fits", bytes(content))
        content[place] ^= bit


def test_header_that_was_edited_on_purpose_can_be_read(frame, tmp_path):
    path = tmp_path / "edited.fits"
    frame.write(path)
    path.write_bytes(path.read_bytes().replace(b"'M13", b"'M92"))
    with pytest.raises(FrameError, match=r"edited\.fits.*checksum=False"):
        CCDFrame.read(path)
    again = CCDFrame.read(path, checksum=False)
    assert again.meta["OBJECT"] == "M92"
    np.testing.assert_array_equal(again.variance, frame.variance)


@pytest.mark.parametrize("ending", ["fits", "asdf"])
def test_flipped_bits_of_pixels_are_noticed_when_asked(frame, whole_files, tmp_path, ending):
    content, order = bytearray(whole_files[ending]), ">" if ending == "fits" else "<"
    (tmp_path / f"whole.{ending}").write_bytes(content)
    CCDFrame.read(tmp_path / f"whole.{ending}", checksum=True)
    content[bytes(content).index(frame.data.astype(f"{order}f4").tobytes()) + 1000] ^= 4
    path = tmp_path / f"flipped.{ending}"
    path.write_bytes(content)
    CCDFrame.read(path)
    with pytest.raises(FrameError, match=rf"flipped\.{ending}"):
        CCDFrame.read(path, checksum=True)


def test_any_flipped_bit_of_an_asdf_file_is_an_error_or_harmless(whole_files, tmp_path):
    content = bytearray(whole_files["asdf"])
    rng = np.random.default_rng(3)
    end = bytes(content).index(b"\n...") + 60
    path = tmp_path / "flipped.asdf"
    refusals = []
    for place in rng.choice(end, 100, replace=False):
        bit = 1 << int(rng.integers(0, 8))
        content[place] ^= bit
        path.write_bytes(content)
        try:
            again = CCDFrame.read(path)
        except FrameError as error:
            refusals.append(str(error))
        else:
            assert again.shape == SHAPE
        content[place] ^= bit
    assert len(refusals) > 20
    assert all("flipped.asdf" in message for message in refusals)


def with_tree(frame, path, change):
    """A file whose budget was changed, with checksums that fit."""
    frame.write(path)
    with fits.open(path, mode="update", checksum=False) as hdus:
        tree = json.loads(hdus["BUDGET"].data.tobytes())
        change(tree)
        text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
        hdus["BUDGET"].data = np.frombuffer(text, np.uint8)
        for hdu in hdus:
            hdu.add_checksum()


def term(tree):
    return tree["budget"]["terms"][0]


CHANGES = {
    "later version": lambda tree: tree.update(version=99),
    "no version": lambda tree: tree.pop("version"),
    "terms are no list": lambda tree: tree["budget"].update(terms=7),
    "no fields": lambda tree: tree["budget"].update(fields=[]),
    "axis that is none": lambda tree: term(tree)["source"].update(axes=[0, 7]),
    "axes in disorder": lambda tree: term(tree)["source"].update(axes=[1, 0]),
    "step of zero": lambda tree: term(tree)["source"].update(window=[[0, 0], [0, 1]]),
    "coefficient that is no number": lambda tree: term(tree).update(coefficient="__import__('os')"),
    "coefficient of another kind": lambda tree: term(tree).update(coefficient={"a": 1}),
    "field that is not there": lambda tree: term(tree).update(coefficient=[[1.0, [[99, 1]]]]),
    "field before the first": lambda tree: term(tree).update(coefficient=[[1.0, [[-1, 1]]]]),
    "extension that is not there": lambda tree: tree["budget"]["fields"].append({"extension": 9, "dtype": "f4"}),
    "other shape": lambda tree: tree["budget"].update(shape=[3, 3]),
    "enormous shape": lambda tree: tree["budget"].update(shape=[10**9, 10**9]),
    "other type": lambda tree: tree["budget"].update(dtype="object"),
    "data of objects": lambda tree: tree.update(dtype="object"),
    "bit that no integer has": lambda tree: (
        tree["budget"]["fields"].append({"plane": 0, "bit": 10**12}),
        term(tree).update(coefficient=[[1.0, [[len(tree["budget"]["fields"]) - 1, 1]]]]),
    ),
    "two sources that are the rest": lambda tree: [
        part["source"].update(variance={"rest": "float32"}) for part in tree["budget"]["terms"]
    ],
    "origin without identity": lambda tree: tree.update(origin={"shape": [1, 1]}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_budget_that_makes_no_sense_is_refused(frame, tmp_path, change):
    path = tmp_path / "odd.fits"
    with_tree(frame, path, change)
    with pytest.raises(FrameError, match=r"odd\.fits"):
        CCDFrame.read(path)


def test_later_version_is_told_before_anything_else_is_looked_at(frame, tmp_path):
    def of_the_future(tree):
        tree.clear()
        tree.update(version=99)

    with_tree(frame, tmp_path / "later.fits", of_the_future)
    with pytest.raises(FrameError, match=r"later\.fits.*version 99.*update"):
        CCDFrame.read(tmp_path / "later.fits")


def test_array_that_is_referred_to_many_times_is_held_once(frame, tmp_path):
    path = tmp_path / "many.fits"
    mask = [{"extension": 1, "dtype": "float16"}]
    with_tree(frame, path, lambda tree: tree.update(more=mask * 50000))
    tracemalloc.start()
    CCDFrame.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Each of them would be 4 kB.
    assert peak < 60e6


@pytest.mark.parametrize("text", [b"", b"{", b"[1, 2]", b"\xff\xfe", b"[" * 100000])
def test_budget_that_is_no_text_is_refused(frame, tmp_path, text):
    path = tmp_path / "odd.fits"
    frame.write(path)
    with fits.open(path) as hdus:
        kept = fits.HDUList([hdu.copy() for hdu in hdus])
    kept["BUDGET"].data = np.frombuffer(text + b" ", np.uint8)
    kept.writeto(path, overwrite=True, checksum=True)
    with pytest.raises(FrameError, match=r"odd\.fits"):
        CCDFrame.read(path)


def header_of(*cards):
    text = "".join(f"{card:<80}" for card in ("SIMPLE  =                    T", *cards, "END"))
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


def test_image_that_cannot_fit_into_memory_is_refused_at_once(tmp_path):
    header = header_of("BITPIX  = -64", "NAXIS   = 2", "NAXIS1  = 9999999", "NAXIS2  = 9999999")
    refused(tmp_path / "large.fits", header + bytes(2880))
    path = tmp_path / "large.fits.gz"
    path.write_bytes(gzip.compress(header + bytes(2880)))
    with pytest.raises(FrameError, match=r"large\.fits\.gz.*memory"):
        CCDFrame.read(path)


@pytest.mark.parametrize("beginning", [b"", header_of("BITPIX  = 8", "NAXIS   = 0")])
def test_small_file_that_decompresses_to_a_large_one_is_refused_before_it_does(tmp_path, beginning):
    path = tmp_path / "bomb.fits.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(beginning)
        for _ in range(300):
            file.write(bytes(1 << 20))
    started = time.monotonic()
    with pytest.raises(FrameError, match=r"bomb\.fits\.gz"):
        CCDFrame.read(path, unit="adu", format="fits")
    assert time.monotonic() - started < 1.0


def test_asdf_block_that_announces_more_than_there_is_is_refused(whole_files, tmp_path):
    content = bytearray(whole_files["asdf"])
    block = bytes(content).index(b"\xd3BLK")
    for field in (14, 22, 30):
        changed = content.copy()
        changed[block + field : block + field + 8] = (1 << 62).to_bytes(8, "big")
        refused(tmp_path / "large.asdf", bytes(changed))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ccd_frame-1.0.0", b"ccd_frame-9.0.0"),
        (b"version: 1\n", b"version: 9\n"),
        (b"unit: electron", b"unit: [1, 2, 3]"),
        (b"  data: !core", b"  dato: !core"),
        (b"source: 0\n", b"source: 9\n"),
        (b"datatype: float32", b"datatype: flout32"),
        (b"shape: [40, 50]", b"shape: [90, 50]"),
    ],
)
def test_asdf_file_that_makes_no_sense_is_refused(whole_files, tmp_path, old, new):
    content = whole_files["asdf"]
    assert old in content
    start = content.index(b"\n...")
    refused(tmp_path / "odd.asdf", content[:start].replace(old, new) + content[start:])


def changed(content, *changes):
    """A file whose text is another at the first place where it is found."""
    start = content.index(b"\n...")
    text = content[:start]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text + content[start:]


@pytest.mark.parametrize("source", ["other.asdf", "file:///etc/passwd", "'http://127.0.0.1:9/other.asdf'"])
def test_array_in_another_file_is_not_looked_for(frame, whole_files, tmp_path, source):
    asdf.AsdfFile({"x": frame.data}).write_to(tmp_path / "other.asdf")
    path = tmp_path / "t.asdf"
    path.write_bytes(changed(whole_files["asdf"], (b"source: 0", f"source: {source}".encode())))
    with pytest.raises(FrameError, match=r"t\.asdf.*another file"):
        CCDFrame.read(path)


@pytest.mark.parametrize("offset", [-8, -(10**12)])
def test_array_before_the_beginning_of_its_block_is_refused(whole_files, tmp_path, offset):
    # numpy reads there whatever is in memory.
    refused(
        tmp_path / "t.asdf", changed(whole_files["asdf"], (b"source: 0", f"source: 0\n    offset: {offset}".encode()))
    )


def test_array_that_repeats_its_numbers_beyond_the_memory_is_refused(whole_files, tmp_path):
    shape = (b"shape: [40, 50]", b"shape: [900000, 900000]\n    strides: [0, 0]")
    content = whole_files["asdf"]
    for _ in range(content[: content.index(b"\n...")].count(shape[0])):
        content = changed(content, shape)
    refused(tmp_path / "t.asdf", content)


BOMB = ", ".join(["b0: &b0 [x, x, x]", *(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 20))])


@pytest.mark.parametrize("text", [BOMB, "A: &a [*a]", "A: " + "[" * 3000 + "]" * 3000], ids=["bomb", "circle", "deep"])
@pytest.mark.parametrize("place", ["  meta:\n", "  provenance: []\n"])
def test_tree_that_grows_without_bound_is_refused_at_once(whole_files, tmp_path, text, place):
    more = f"  more: {{{text}}}\n{place}".encode()
    started = time.monotonic()
    refused(tmp_path / "t.asdf", changed(whole_files["asdf"], (place.encode(), more)))
    assert time.monotonic() - started < 5


def test_text_without_end_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "long.asdf"
    with path.open("wb") as file:
        file.write(b"#ASDF 1.0.0\n")
        file.truncate(1 << 36)
    with pytest.raises(FrameError, match=r"long\.asdf"):
        CCDFrame.read(path)


def test_reason_why_a_part_of_a_tree_is_refused_is_told(whole_files, tmp_path):
    path = tmp_path / "t.asdf"
    path.write_bytes(changed(whole_files["asdf"], (b"datatype: float32", b"datatype: flout32")))
    with pytest.raises(FrameError, match=r"t\.asdf.*flout32"):
        CCDFrame.read(path)


def test_no_code_is_run_from_an_asdf_file(whole_files, tmp_path):
    target = tmp_path / "made by the file"
    code = f'unit: !!python/object/apply:os.mkdir ["{target}"]'.encode()
    refused(tmp_path / "code.asdf", whole_files["asdf"].replace(b"unit: electron", code))
    assert not target.exists()
