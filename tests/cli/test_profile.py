"""``astro-calib profile``: a draft that can be loaded, and says what headers say."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib import simulate
from astro_calib.cli import main
from astro_calib.night import load_profile, plan_night
from astro_calib.night.headers.values import parse_section
from astro_calib.night.preview.draft import draft_profile

SHAPE = (12, 20)


def run(*arguments):
    result = CliRunner().invoke(main, ["profile", *map(str, arguments)])
    return result.exit_code, result.output


def write(path, **cards):
    data = np.random.default_rng(list(path.name.encode())).integers(900, 1100, SHAPE).astype(np.uint16)
    header = fits.Header()
    for keyword, value in cards.items():
        header[keyword.replace("_", "-")] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.writeto(path, data, header)
    return path


def loaded(tmp_path, text):
    path = tmp_path / "draft.toml"
    path.write_text(text, encoding="utf-8")
    return load_profile(path)


def test_a_draft_of_a_usual_night_changes_nothing(tmp_path):
    simulate.night(tmp_path / "raw", camera=simulate.camera((32, 48), filters=["V"]), science=1)
    profile = loaded(tmp_path, draft_profile(tmp_path / "raw"))
    generic = load_profile("generic")
    assert (profile.keywords, profile.rules) == (generic.keywords, generic.rules)
    same = {name: getattr(generic, name) for name in ("name", "description", "source")}
    assert replace(profile, **same) == generic
    assert profile.name == "simulated_camera"
    kinds = [(frame.path.name, frame.kind) for frame in plan_night(tmp_path / "raw", headers_only=True).frames]
    mine = [(frame.path.name, frame.kind) for frame in plan_night(tmp_path / "raw", profile, headers_only=True).frames]
    assert mine == kinds


def test_it_tells_the_values_of_the_cards(tmp_path):
    for number, name in enumerate("VVR"):
        write(tmp_path / f"f{number}.fits", IMAGETYP="FLAT", EXPTIME=2.5, FILTER=name, GAIN=120, OFFSET=30, RDNOISE=7.5)
    lines = draft_profile(tmp_path).splitlines()
    assert "# filter = \"FILTER\"  # 'V' (2), 'R' (1)" in lines
    assert any(line.startswith("# exposure_time = \"EXPTIME\"  # '2.5' (3)") for line in lines)
    assert any(
        line.startswith('# gain = "GAIN"  # not taken: GAIN=120 is what the camera was set to') for line in lines
    )
    assert "# read_noise = 7.5  # electron, as RDNOISE says" in lines
    assert "#   flat     IMAGETYP='FLAT': f0.fits, f1.fits, f2.fits" in lines


def test_every_line_behind_a_mark_can_be_taken_as_it_is(tmp_path):
    cards = {"BIASSEC": "[17:20,1:12]", "TRIMSEC": "[1:16,1:12]", "EGAIN": 1.5, "SATURATE": 60000}
    write(tmp_path / "raw" / "b.fits", IMAGETYP="BIAS", EXPTIME=0.0, **cards)
    text = draft_profile(tmp_path / "raw")
    uncommented = [
        line[2:] if line.startswith("# ") and " = " in line.partition("#")[2].partition("#")[0] else line
        for line in text.splitlines()
    ]
    profile = loaded(tmp_path, "\n".join(uncommented))
    assert (profile.gain, profile.saturation, profile.overscan, profile.trim) == (
        1.5,
        60000,
        "[17:20,1:12]",
        "[1:16,1:12]",
    )
    assert (profile.pedestal, profile.darks_expected, profile.matching.temperature) == (1000, False, 2.5)
    # The bad pixels are some of the frame.
    ((rows, columns),) = (parse_section(section) for section in profile.bad)
    assert (rows.stop or 0, columns.stop) <= SHAPE
    assert columns == slice(0, 1)


def test_a_card_that_nobody_knows_is_found_by_its_values(tmp_path):
    raw = tmp_path / "raw"
    for number, (kind, seconds) in enumerate([("my bias", 0.0), ("my flat", 3.0), ("my light", 60.0)]):
        write(raw / f"{number}.fits", WHATISIT=kind, SHUTOPEN=seconds, MYWHEEL="V")
        with fits.open(raw / f"{number}.fits", mode="update") as hdus:
            hdus[0].header.comments["SHUTOPEN"] = "exposure in seconds"
            hdus[0].header.comments["MYWHEEL"] = "filter wheel"
    assert not plan_night(raw, headers_only=True).frames
    text = draft_profile(raw)
    profile = loaded(tmp_path, text)
    assert profile.keywords["kind"][0] == "WHATISIT"
    assert profile.keywords["exposure_time"][0] == "SHUTOPEN"
    assert profile.keywords["filter"][0] == "MYWHEEL"


def test_a_kind_that_nobody_knows_is_guessed_from_its_words(tmp_path):
    raw = tmp_path / "raw"
    write(raw / "1.fits", IMAGETYP="my own FLAT of the dome", EXPTIME=3.0, FILTER="V")
    write(raw / "2.fits", IMAGETYP="bias", EXPTIME=0.0)
    profile = loaded(tmp_path, draft_profile(raw))
    frames = plan_night(raw, profile, headers_only=True)
    assert {
        frame.path.name: frame.kind for frame in (*frames.frames, *(f for p in frames.incomplete for f in p.frames))
    } == {
        "1.fits": "flat",
        "2.fits": "bias",
    }


def test_what_nothing_tells_is_asked_in_a_comment(tmp_path):
    raw = tmp_path / "raw"
    write(raw / "1.fits", IMAGETYP="xyzzy", EXPTIME=3.0)
    write(raw / "2.fits", EXPTIME=3.0)
    text = draft_profile(raw)
    assert '# IMAGETYP = "xyzzy"' in text
    assert "# What are these?" in text
    assert "# No header, name or folder tells what these are: 2.fits." in text
    assert loaded(tmp_path, text).rules == load_profile("generic").rules


def test_a_built_in_profile_that_fits_is_named(tmp_path):
    write(tmp_path / "1.fits", IMAGETYP="BIAS", EXPTIME=0.0, INSTRUME="ZWO ASI183MM", EGAIN=1.5)
    assert "# The built-in profile zwo is chosen for 1 of them, by INSTRUME='ZWO ASI183MM'" in draft_profile(tmp_path)


@pytest.mark.parametrize(
    "text", ["quotes \" and ' and \\", "ends in a \\", "[table]", "# a comment", "= '''", "x" * 60]
)
def test_whatever_is_in_a_header_the_draft_can_be_loaded(tmp_path, text):
    raw = tmp_path / "raw"
    write(raw / "1.fits", IMAGETYP=text, EXPTIME=text, FILTER=text, OBJECT=text, INSTRUME=text, GAIN=text, BIASSEC=text)
    profile = loaded(tmp_path, draft_profile(raw))
    assert profile.description == text
    write(raw / "2.fits", IMAGETYP=f"flat {text[:50]}", EXPTIME=1.0)
    assert "flat" in tomllib.loads(draft_profile(raw))


def test_files_that_cannot_be_read_are_named(tmp_path):
    write(tmp_path / "1.fits", IMAGETYP="BIAS", EXPTIME=0.0)
    (tmp_path / "2.fits").write_text("no image")
    assert "# Left out: 2.fits: not a FITS file: it does not begin with SIMPLE" in draft_profile(tmp_path)


def test_without_any_header_it_says_why(tmp_path):
    (tmp_path / "2.fits").write_text("no image")
    status, text = run(tmp_path)
    assert status == 1
    assert "no profile can be drafted" in text
    assert "2.fits: not a FITS file" in text


def test_it_is_printed_or_written_and_replaces_nothing(tmp_path):
    write(tmp_path / "raw" / "1.fits", IMAGETYP="BIAS", EXPTIME=0.0)
    out = tmp_path / "mine.toml"
    status, text = run(tmp_path / "raw")
    assert status == 0
    assert run(tmp_path / "raw", "-o", out) == (0, "")
    assert out.read_text(encoding="utf-8") == text
    status, text = run(tmp_path / "raw", "-o", out)
    assert status == 1
    assert "exists already" in text
    assert run(tmp_path / "raw", "-o", out, "--overwrite")[0] == 0
