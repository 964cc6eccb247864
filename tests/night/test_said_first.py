"""What cannot be used is said where somebody looks first, in words that are true."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib.cli import main
from astro_calib.night import load_profile, plan_night, reduce_night
from astro_calib.night.common.names import common_pattern, in_rows
from astro_calib.night.files.examine import examine_chips
from astro_calib.night.headers.told_by_name import kind_by_name
from tests.night.synthetic import Camera

LEAN = {"stars": False, "pictures": False, "progress": False, "detector": "header"}


def reduced(raw, **options):
    return reduce_night(raw, raw.parent / "out", **{**LEAN, **options})


def cut(path):
    """Cut off a packed file, of which the header can still be read."""
    packed = gzip.compress(path.read_bytes())
    path.with_name(f"{path.name}.gz").write_bytes(packed[: len(packed) // 2])
    path.unlink()


def command(*arguments):
    result = CliRunner().invoke(main, [*map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("bias", "none of the 4 biases can be used (truncated"),
        ("dark", "none of the 4 darks can be used (truncated"),
        ("flat", "no flat for filter V that can be used: reduced without one"),
    ],
)
def test_frames_that_are_damaged_are_not_said_to_be_missing(tmp_path, kind, said):
    raw = Camera(seed=81).night(tmp_path / "raw")
    for path in raw.glob("dark*"):
        fits.setval(path, "EXPTIME", value=60.0)
    for path in raw.glob("light*"):
        fits.setval(path, "EXPTIME", value=60.0)
    for path in raw.glob(f"{kind}*"):
        cut(path)
    remarks = reduced(raw).remarks
    assert any(said in remark for remark in remarks)
    assert any(remark.startswith(kind) and "truncated" in remark for remark in remarks)


@pytest.mark.parametrize("packed", [True, False])
def test_one_damaged_dark_of_four_is_a_remark(tmp_path, packed):
    raw = Camera(seed=82).night(tmp_path / "raw")
    path = raw / "dark2.fits"
    if packed:
        cut(path)
    else:
        path.write_bytes(path.read_bytes()[:4000])
    assert any(remark.startswith("dark2.fits") for remark in reduced(raw).remarks)


def test_a_light_that_was_calibrated_already_is_missing_in_the_results(tmp_path):
    raw = Camera(seed=83).night(tmp_path / "raw", lights=2)
    fits.setval(raw / "lightV1.fits", "CALSTAT", value="BDF")
    summary = reduced(raw)
    assert summary.outcome == "part"
    assert [(file.path.name, "was calibrated already" in file.reason) for file in summary.lost] == [
        ("lightV1.fits", True)
    ]


def test_a_dry_run_of_a_night_without_known_science_frames_has_the_status_of_its_reduction(tmp_path):
    raw = Camera(seed=84).night(tmp_path / "raw")
    for number, path in enumerate(sorted(raw.glob("light*"))):
        fits.delval(path, "IMAGETYP")
        path.rename(raw / f"M31-{number}.fits")
    status, text = command("reduce", raw, "--dry-run")
    made, _ = command("reduce", raw, "-o", tmp_path / "out", "--no-pictures", "--no-stars")
    assert status == made == 3
    assert "M31-0.fits: of a kind that is not known; if they are the science frames, give --science 'M31-*'" in text
    assert command("reduce", raw, "--dry-run", "--science", "M31-*")[0] == 0


def test_lines_of_an_error_are_lines_in_a_dry_run(tmp_path):
    raw = Camera(seed=85).night(tmp_path / "raw", biases=0, darks=0)
    library = tmp_path / "library"
    Camera(seed=85).write(library / "md.fits", "Master Dark", 30, NCOMBINE=9, INSTRUME="another")
    for path in raw.iterdir():
        fits.setval(path, "INSTRUME", value="this")
    text = command("reduce", raw, "--dry-run", "--masters", library)[1]
    assert "there is no master dark in" in text
    assert "?" not in text


def test_patterns_that_contradict_each_other_are_called_that(tmp_path):
    raw = Camera(seed=86).night(tmp_path / "raw")
    summary = reduced(raw, dark="dark*", bias="*3.fits")
    text = " ".join(str(summary).split())
    assert (
        "files that fit patterns of several kinds (1): dark3.fits: it fits --bias '*3.fits' and --dark 'dark*'" in text
    )
    assert "cannot be read" not in text


def test_the_exposure_time_in_a_name_serves_where_the_header_tells_none(tmp_path):
    camera = Camera(seed=87)
    raw = camera.night(tmp_path / "raw", lights=0)
    fits.delval(camera.write(raw / "M 31_30s60_Astro.fits", "LIGHT", 30, "V"), "EXPTIME")
    fits.delval(camera.write(raw / "M 33.fits", "LIGHT", 30, "V"), "EXPTIME")
    plan = plan_night(raw, headers_only=True)
    assert [frame.exposure_time for frame in plan.science] == [30.0]
    assert "its exposure time, 30 s, is the one in its name" in plan.science[0].remarks[0]
    (other,) = plan.unused
    assert other.reason.endswith("or the name of the file tell it, such as 60s")


@pytest.mark.parametrize(("seconds", "said"), [(0.001, False), (0.1, True)])
def test_a_bias_of_a_millisecond_is_one(tmp_path, seconds, said):
    camera = Camera(seed=88)
    path = camera.write(tmp_path / "raw" / "bias0.fits", "BIAS", seconds)
    (frame,) = plan_night(path, headers_only=True).frames
    assert any("a bias by" in remark for remark in frame.remarks) is said


@pytest.mark.parametrize(
    ("cards", "kind"),
    [
        ({"IMAGETYP": "INTFLAT"}, "flat"),
        ({"IMAGETYP": "FLAT-DOME"}, "flat"),
        ({"IMAGETYP": "thermal"}, "dark"),
        ({"IMAGETYP": "Tricolour Image"}, "science"),
        ({"IMAGETYP": "DITHER"}, "science"),
        ({"VIMTYPE": "BIAS"}, "bias"),
        ({"OBS_TYPE": "DARK"}, "dark"),
        ({"HIERARCH ESO DPR CATG": "SCIENCE"}, "science"),
        ({"IMAGETYP": "LIGHT", "EXPTIME": None, "DARKTIME": 30.0}, "science"),
    ],
)
def test_words_of_observatories(write_raw, cards, kind):
    path = write_raw("a.fits", **({"EXPTIME": 30.0} | {k: v for k, v in cards.items() if v is not None}))
    if cards.get("EXPTIME", 0) is None:
        fits.delval(path, "EXPTIME")
    frame = examine_chips(path, load_profile("generic"), needs_numbers=False)[0]
    assert (frame.kind, frame.exposure_time) == (kind, 0.0 if kind == "bias" else 30.0)


def test_a_file_that_is_packed_with_xz_is_named_with_a_way_out(tmp_path):
    raw = Camera(seed=89).night(tmp_path / "raw")
    (raw / "lightV9.fits.xz").write_bytes(b"\xfd7zXZ")
    (file,) = plan_night(raw, headers_only=True).unused
    assert file.reason.startswith("packed with xz")
    assert file.lost


def test_a_pixel_without_a_number_counts_as_bad(tmp_path):
    camera = Camera(seed=90)
    raw = camera.night(tmp_path / "raw", lights=0)
    pixels = camera.pixels("LIGHT", 30, "V").astype(np.float32)
    pixels[3, 4] = np.nan
    camera.write(raw / "light.fits", "LIGHT", 30, "V", pixels=pixels)
    assert reduced(raw).frames[0].bad == 1


def test_a_folder_of_objects_holds_science_frames():
    assert [kind_by_name(Path(f"{name}/0.fits")).value for name in ("Objekt", "Objekte", "objets")] == ["science"] * 3


def test_very_many_names_are_counted():
    names = [f"x{number}.fits" for number in range(0, 2100, 7)]
    rows = in_rows(names)
    assert rows[:2] == ["x0.fits", "x7.fits"]
    assert rows[-1] == "and 280 more"
    assert len(rows) == 21
    assert in_rows(names[:20]) == names[:20]


def test_a_pattern_that_takes_no_other_file(tmp_path):
    files = [tmp_path / f"NGC7000_{number}.fits" for number in range(3)]
    assert common_pattern(files, [tmp_path / "bias.fits"]) == "--science 'NGC7000_*'"
    assert "pattern" in common_pattern(files, [tmp_path / "ngc7000_flat.fits"])
    assert "pattern" in common_pattern([tmp_path / "a.fits", tmp_path / "b.fits"], [])
