"""``astro-calib info``: what it says of raw frames, of results, and of files that are neither."""

from __future__ import annotations

import gzip

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib import CCDFrame, Detector, calibrate, combine, simulate
from astro_calib.cli import main
from astro_calib.masters.provenance import record

SHAPE = (12, 20)
DETECTOR = Detector(gain=2 * u.electron / u.adu, read_noise=10 * u.electron)


def info(*arguments):
    result = CliRunner().invoke(main, ["info", *map(str, arguments)])
    return result.exit_code, result.output


def facts(text):
    """What is told, by what it is about, of the output for one file."""
    found, label = {}, ""
    for line in text.splitlines()[1:]:
        label = line[:20].strip() or label
        found[label] = f"{found.get(label, '')} {line[20:].strip()}".strip()
    return found


def raw(path, kind="FLAT", *, cards=(), pack=bytes, dtype=np.uint16):
    data = np.random.default_rng(1).integers(900, 1100, SHAPE).astype(dtype)
    header = fits.Header([("IMAGETYP", kind), ("EXPTIME", 2.5), ("FILTER", "V"), *cards])
    plain = path.with_name("plain")
    fits.writeto(plain, data, header)
    path.write_bytes(pack(plain.read_bytes()))
    plain.unlink()
    return path


def test_of_a_raw_frame_it_says_what_a_reduction_would_take(tmp_path):
    cards = [
        ("EGAIN", 1.25),
        ("RDNOISE", 7.0),
        ("DATAMAX", 60000),
        ("BIASSEC", "[17:20,1:12]"),
        ("TRIMSEC", "[1:16,1:12]"),
        ("OBJECT", "twilight"),
        ("DATE-OBS", "2024-05-13T06:00:00"),
        ("XBINNING", 2),
    ]
    status, text = info(raw(tmp_path / "a.fits.gz", cards=cards, pack=gzip.compress))
    assert status == 0
    assert text.startswith("a.fits.gz\n")
    told = facts(text)
    assert told["taken for"] == "a flat, as IMAGETYP='FLAT' says"
    assert told["filter"] == "V (FILTER)"
    assert told["exposure"] == "2.5 s (EXPTIME)"
    assert told["object"] == "twilight (OBJECT)"
    assert told["pixels"] == "20 columns x 12 rows, uint16"
    assert told["began"] == "2024-05-13T06:00:00 (UT)"
    assert (told["kept"], told["overscan"]) == ("[1:16,1:12]", "[17:20,1:12]")
    assert told["gain"] == "1.25 electron/adu (EGAIN)"
    assert told["read noise"] == "7 electron (RDNOISE)"
    assert told["saturation"] == "60000 adu (DATAMAX)"
    assert "XBINNING 2" in told["settings"]
    assert max(map(len, text.splitlines())) <= 80


def test_the_profile_goes_before_the_header(tmp_path):
    (tmp_path / "mine.toml").write_text(
        "[detector]\ngain = 2.5\n[science]\nIMAGETYP = 'FLAT'\n[flat]\nIMAGETYP = 'x'\n"
    )
    told = facts(info(raw(tmp_path / "a.fits", cards=[("EGAIN", 1.25)]), "--profile", tmp_path / "mine.toml")[1])
    assert told["taken for"].startswith("a science frame")
    assert told["gain"] == "2.5 electron/adu (profile mine)"
    assert told["profile"] == "mine"


def test_a_number_that_no_header_tells_can_be_measured(tmp_path):
    told = facts(info(raw(tmp_path / "a.fits"))[1])
    assert told["gain"] == "unknown (measured from two flats and two biases of the night)"


def test_a_frame_that_is_not_used_says_why(tmp_path):
    status, text = info(raw(tmp_path / "a.fits", "LIGHT", cards=[("BUNIT", "electron")]))
    assert status == 0
    assert "nothing (a science frame): BUNIT='electron': the gain was applied already" in facts(text)["taken for"]
    assert facts(text)["exposure"] == "2.5 s (EXPTIME)"


def test_pixels_of_a_raw_frame_are_not_read(tmp_path):
    path = raw(tmp_path / "a.fits.gz", pack=gzip.compress)
    path.write_bytes(path.read_bytes()[:-100])
    assert facts(info(path)[1])["pixels"] == "20 columns x 12 rows, uint16"


@pytest.fixture
def master():
    """A master bias of three frames."""
    rng = np.random.default_rng(2)
    frames = [
        CCDFrame(rng.normal(1000, 5, SHAPE).round().astype(np.uint16), unit="adu", name=f"b{n}.fits") for n in range(3)
    ]
    made = combine([calibrate(frame, DETECTOR, pedestal=1000 * u.adu, shot_noise=0) for frame in frames])
    made.meta["IMAGETYP"] = "BIAS"
    record(made, "calibrate", parameters={"read_noise": ["10 electron"]})
    record(made, "combine", parameters={"frames": [f"b{n}.fits" for n in range(3)]})
    return made


@pytest.mark.parametrize("suffix", ["fits", "fits.gz", "asdf"])
def test_of_a_result_it_says_what_it_was_made_of_and_what_its_noise_is(tmp_path, master, suffix):
    path = tmp_path / f"master.{suffix}"
    master.write(path)
    status, text = info(path)
    told = facts(text)
    assert status == 0
    assert told["is"] == "a stack of 3 frames (IMAGETYP='BIAS')"
    assert told["pixels"] == "20 columns x 12 rows, float32, in electron"
    assert "read noise 10 electron" in told["step 1"]
    assert "frames b0.fits, b1.fits, b2.fits" in told["step 2"]
    # Three frames of 10 electron.
    assert float(told["error of a pixel"].split()[0]) == pytest.approx(10 / np.sqrt(3), rel=0.1)
    assert told["its variance"].startswith("read noise")


def test_of_a_calibrated_frame_it_names_the_masters(tmp_path, master):
    master.write(tmp_path / "master-bias.fits")
    frame = CCDFrame(np.full(SHAPE, 1200, np.uint16) + np.arange(SHAPE[1], dtype=np.uint16), unit="adu", name="s.fits")
    bias = CCDFrame.read(tmp_path / "master-bias.fits")
    made = calibrate(frame, DETECTOR, bias=bias)
    record(made, "calibrate", masters={"bias": bias})
    made.write(tmp_path / "s.fits")
    told = facts(info(tmp_path / "s.fits")[1])
    assert told["is"] == "a calibrated frame, with bias applied"
    assert "bias master-bias.fits" in told["step 1"]
    assert "shot noise" in told["its variance"]


def test_a_directory_stands_for_its_files_and_a_bad_one_stops_none(tmp_path):
    simulate.night(tmp_path, camera=simulate.camera((16, 24), filters=["V"]), science=1)
    (tmp_path / "bad.fits").write_text("no image")
    status, text = info(tmp_path)
    assert status == 1
    assert "bad.fits: not a FITS file" in text
    assert text.count("taken for") == sum(1 for _ in tmp_path.glob("*.fits")) - 1


def test_a_stack_of_one_frame_is_called_so(tmp_path):
    frame = CCDFrame(np.ones(SHAPE), unit="electron", uncertainty=np.ones(SHAPE))
    combine([frame]).write(tmp_path / "single.fits")
    assert facts(info(tmp_path / "single.fits")[1])["is"] == "a stack of 1 frame"
