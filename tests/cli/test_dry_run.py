"""``astro-calib reduce --dry-run``: each file and why, what goes with what and why, what is missing; without pixels."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib.cli import main
from astro_calib.night import plan_night
from astro_calib.night.files import pixels
from astro_calib.night.headers import raw_file
from astro_calib.night.preview.plan_text import lost_science, plan_text

SHAPE = (12, 20)
NUMBERS = {"EGAIN": 1.5, "RDNOISE": 8.0}


def run(*arguments):
    result = CliRunner().invoke(main, ["reduce", "--dry-run", *map(str, arguments)])
    return result.exit_code, result.output


def write(path, kind, exposure=0.0, filter_name=None, **cards):
    level = {"FLAT": 20000, "LIGHT": 1500}.get(kind, 1000)
    data = np.random.default_rng(list(path.name.encode())).normal(level, 6, SHAPE).round().astype(np.uint16)
    header = fits.Header([("IMAGETYP", kind), ("EXPTIME", exposure), *(NUMBERS | cards).items()])
    if filter_name:
        header["FILTER"] = filter_name
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.writeto(path, data, header)
    return path


@pytest.fixture
def night(tmp_path):
    """Three biases, two darks, two flats of V, and three science frames, of which one has no flat."""
    raw = tmp_path / "raw"
    for number in range(3):
        write(raw / f"b{number}.fits", "BIAS")
    for number in range(2):
        write(raw / f"d{number}.fits", "DARK", 60.0)
        write(raw / f"f{number}.fits", "FLAT", 3.0, "V")
    write(raw / "s0.fits", "LIGHT", 60.0, "V")
    write(raw / "s1.fits", "LIGHT", 60.0, "V")
    write(raw / "s2.fits", "LIGHT", 30.0, "R")
    return raw


def section(text, title):
    """The lines below a title."""
    lines = text.split("\n")
    start = lines.index(title) + 1
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    return lines[start:end]


def test_each_file_is_listed_with_what_tells_its_kind(night):
    status, text = run(night)
    assert status == 0
    assert section(text, "what each file is taken for") == [
        "  bias (IMAGETYP='BIAS'): b0.fits to b2.fits (3 files)",
        "  dark, 60 s (IMAGETYP='DARK'): d0.fits, d1.fits",
        "  flat, V, 3 s (IMAGETYP='FLAT'): f0.fits, f1.fits",
        "  science, R, 30 s (IMAGETYP='LIGHT'): s2.fits",
        "  science, V, 60 s (IMAGETYP='LIGHT'): s0.fits, s1.fits",
    ]


def test_texts_beside_raw_files_are_no_raw_files_and_are_not_named_one_by_one(night):
    for number in range(300):
        (night / f"t{number}.txt").write_text("seeing 2 arcsec")
    text = run(night)[1]
    assert text.startswith("10 raw files, of which 10 are used;")
    assert section(text, "what is not used") == ["  t0.txt to t299.txt (300 files): not FITS by its name"]


def test_masters_and_what_each_frame_gets_are_told_with_the_reasons(night):
    text = run(night)[1]
    assert section(text, "masters to be made") == [
        "  bias      3 biases: b0.fits to b2.fits",
        "  dark-60s  2 darks: d0.fits, d1.fits",
        "  flat-V    2 flats: f0.fits, f1.fits",
    ]
    got = "\n".join(section(text, "what each science frame gets"))
    first, second = got.split("  s2.fits")
    assert first.startswith("  s0.fits, s1.fits: filter V, 60 s\n")
    assert "dark  dark-60s: 2 of the same exposure" in first
    assert "flat  flat-V: 2 of filter V" in first
    # It says what is missing, and what would mend it.
    assert "dark-60s: scaled by 0.5" in second
    assert "darks of 30 s" in second
    assert "none: no flat for filter R; there are flats of V" in " ".join(second.split())


def test_what_the_plan_says_is_what_the_reduction_does(night, tmp_path):
    text = run(night)[1]
    result = CliRunner().invoke(
        main, ["reduce", str(night), "-o", str(tmp_path / "out"), "--no-stars", "--no-pictures", "--detector", "header"]
    )
    assert result.exit_code == 0, result.output
    planned = {line.split()[0] for line in section(text, "masters to be made")}
    assert {f"master-{name}.fits" for name in planned} == {
        path.name for path in (tmp_path / "out" / "masters").iterdir()
    }
    with fits.open(tmp_path / "out" / "calibrated" / "s2.fits") as hdus:
        assert hdus[0].header["DARKFILE"] == "master-dark-60s.fits"
        assert "FLATFILE" not in hdus[0].header


def test_no_pixel_is_read_and_nothing_is_written(night, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError

    monkeypatch.setattr(raw_file, "read_raw_file", refuse)
    monkeypatch.setattr(pixels, "raw_pixels", refuse)
    packed = night / "s0.fits"
    # What is missing at its end would be noticed by whoever unpacks it.
    (night / "s0.fits.gz").write_bytes(gzip.compress(packed.read_bytes())[:-20])
    packed.unlink()
    before = sorted(tmp_path.rglob("*"))
    status, text = run(night)
    assert status == 0
    assert "10 raw files, of which 10 are used; nothing was written, and no pixel was read" in text
    assert sorted(tmp_path.rglob("*")) == before


def test_a_night_that_is_incomplete_says_what_would_mend_it(tmp_path):
    raw = tmp_path / "raw"
    write(raw / "s0.fits", "LIGHT", 60.0, "V")
    write(raw / "f0.fits", "FLAT", 3.0, "V")
    status, text = run(raw)
    assert status == 1
    missing = " ".join(section(text, "what cannot be reduced, and what would mend it"))
    assert "bias" in missing
    assert "  science, V, 60 s (IMAGETYP='LIGHT'): s0.fits" in section(text, "what each file is taken for")
    assert "Error: nothing of this night can be reduced; above is why" in text


def test_of_two_setups_that_without_calibration_frames_is_lost(night):
    write(night / "t0.fits", "LIGHT", 60.0, "V", XBINNING=2, YBINNING=2)
    for path in night.glob("[bdfs]*.fits"):
        fits.setval(path, "XBINNING", value=1)
    status, text = run(night)
    assert status == 3
    assert "1 of 4 science frames, or files that may be some, would not be reduced" in text
    assert any("t0.fits" in line for line in section(text, "what is not used"))
    plan = plan_night(night, headers_only=True)
    assert lost_science(plan) == (1, 3)


def test_frames_of_several_setups_are_told_apart(night):
    for path in night.glob("*.fits"):
        fits.setval(path, "GAIN", value=120)
        fits.setval(path, "INSTRUME", value="one")
        other = night / f"x{path.name}"
        other.write_bytes(path.read_bytes())
        fits.setval(other, "INSTRUME", value="other")
    text = run(night)[1]
    titles = [line for line in text.split("\n") if line.startswith("what each science frame gets (")]
    assert len(titles) == 2
    assert "other" in titles[0] + titles[1]


def test_folders_are_named_where_two_files_have_the_same_name(night):
    write(night / "more" / "b0.fits", "BIAS")
    lines = section(run(night)[1], "what each file is taken for")
    assert lines[0] == "  bias (IMAGETYP='BIAS'): raw/b0.fits to b2.fits (3 files), more/b0.fits"


def test_files_that_are_not_used_are_named_with_the_reason(night):
    (night / "bad.fits").write_text("no image")
    write(night / "e0.fits", "LIGHT", 60.0, "V", BUNIT="electron")
    status, text = run(night)
    left_out = " ".join(" ".join(section(text, "what is not used")).split())
    assert status == 3
    assert "bad.fits: not a FITS file" in left_out
    assert "e0.fits: a science frame, but BUNIT='electron': the gain was applied already" in left_out


@pytest.mark.parametrize(
    ("cards", "told"),
    [
        ({}, "gain        1.5 electron/adu by the headers, checked with the frames"),
        ({"EGAIN": None}, "gain        measured from the frames, for no header tells it"),
    ],
    ids=["in headers", "in none"],
)
def test_where_gain_and_read_noise_are_from(night, cards, told):
    for path in night.glob("*.fits"):
        for keyword in cards:
            fits.delval(path, keyword)
    assert f"  {told}" in section(run(night)[1], "the detector")


def test_what_would_tell_an_unknown_gain(tmp_path):
    for number, kind in enumerate(["BIAS", "FLAT", "LIGHT"]):
        path = write(tmp_path / f"{number}.fits", kind, 0.0 if kind == "BIAS" else 30.0, "V")
        fits.delval(path, "EGAIN")
    found = " ".join(" ".join(section(run(tmp_path)[1], "the detector")).split())
    assert "unknown: no header tells it; give --gain, or take two flats of one filter and two biases" in found
    found = " ".join(" ".join(section(run(tmp_path, "--gain", 2)[1], "the detector")).split())
    assert "gain 2 electron/adu, as profile or options say" in found


def test_without_biases_the_shortest_darks_tell_the_read_noise(tmp_path):
    for number in range(2):
        fits.delval(write(tmp_path / f"d{number}.fits", "DARK", 60.0), "RDNOISE")
    fits.delval(write(tmp_path / "s.fits", "LIGHT", 60.0, "V"), "RDNOISE")
    assert "  read noise  measured from the frames, for no header tells it" in run(tmp_path)[1]
    assert "no header tells it; give --read-noise" in run(tmp_path, "--detector", "header")[1]


def test_masters_of_other_nights_are_named_with_their_age(night, tmp_path):
    made = tmp_path / "made"
    options = ["--no-stars", "--no-pictures", "--detector", "header"]
    assert CliRunner().invoke(main, ["reduce", str(night), "-o", str(made), *options]).exit_code == 0
    lights = tmp_path / "lights"
    fits.delval(write(lights / "s0.fits", "LIGHT", 60.0, "V"), "EGAIN")
    assert run(lights)[0] == 1
    status, text = run(lights, "--masters", made / "masters")
    assert status == 0
    assert text.startswith("1 raw file, of which 1 is used;")
    borrowed = section(text, "masters to be made or borrowed")
    assert [line.split(":")[0].strip() for line in borrowed if ".fits:" in line] == [
        "master-bias.fits",
        "master-dark-60s.fits",
        "master-flat-V.fits",
    ]
    assert "1.5 electron/adu, with which the masters of other nights were made" in " ".join(text.split())


def test_calibration_frames_that_do_not_fit_are_pointed_to(night):
    for path in night.glob("*.fits"):
        fits.setval(path, "XBINNING", value=2 if path.name.startswith("f") else 1)
    text = run(night)[1]
    assert "f0.fits, f1.fits: a flat, but its binning (XBINNING) is 2, not 1" in " ".join(text.split())
    assert "flat none: no flat for filter V; mended by flats of filter V (2 flats not used: see above why)" in " ".join(
        text.split()
    )


def test_lines_fit_a_terminal(night):
    for number in range(40):
        write(night / f"science-frame-of-the-night-{number * 3:03d}.fits", "LIGHT", 60.0 + number % 2, "V")
    assert max(map(len, run(night)[1].splitlines())) <= 80


def test_names_that_cannot_be_printed_do_no_harm(night):
    write(night / "s\x1b[2J.fits", "LIGHT", 60.0, "V", OBJECT="x")
    assert "\x1b" not in plan_text(plan_night(night, headers_only=True))


def test_quiet_says_errors_only(night, tmp_path):
    assert run(night, "--quiet") == (0, "")
    write(tmp_path / "other" / "s0.fits", "LIGHT", 60.0, "V")
    assert run(tmp_path / "other", "--quiet") == (1, "Error: nothing of this night can be reduced\n")


def test_options_that_make_no_sense_with_it(night, tmp_path):
    status, text = run(night, "--json", tmp_path / "a.json")
    assert status == 2
    assert "--dry-run writes nothing" in text
    result = CliRunner().invoke(main, ["reduce", str(night)])
    assert result.exit_code == 2
    assert "--out is missing" in result.output


def without(raw, *cards):
    """The night, in whose headers some cards are missing."""
    for path in raw.iterdir():
        for card in cards:
            fits.delval(path, card)
    return raw


@pytest.mark.parametrize(
    ("cards", "fewer", "said"),
    [
        (("RDNOISE",), ("b1", "b2", "d0", "d1"), "the read noise is unknown: no header tells it; give --read-noise"),
        (("EGAIN",), ("f0",), "the gain is unknown: no header tells it; give --gain"),
        (("EGAIN", "RDNOISE"), ("f0", "f1"), "frames tell it in adu, and the gain is unknown; give --gain"),
    ],
)
def test_the_status_is_that_of_a_reduction_which_lacks_a_number(night, tmp_path, cards, fewer, said):
    for name in fewer:
        (night / f"{name}.fits").unlink()
    without(night, *cards)
    status, text = run(night)
    reduced = CliRunner().invoke(main, ["reduce", str(night), "-o", str(tmp_path / "out"), "--no-stars"])
    assert status == reduced.exit_code == 1
    assert said in " ".join(" ".join(section(text, "what cannot be reduced, and what would mend it")).split())
    assert run(night, "--gain", 1.5, "--read-noise", 8)[0] == 0
