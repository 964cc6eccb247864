"""What a night's files are recognised as, and what is said about those that cannot be used."""

from __future__ import annotations

import gzip
import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from astro_calib.errors import FrameError, ProfileError
from astro_calib.night import plan_night

CAMERA = {"gain": 1.5, "read_noise": 8.0}


def reasons(plan):
    return {file.path.name: file.reason for file in plan.unused}


def test_real_night_at_the_nickel_telescope(nickel):
    plan = plan_night(nickel, "nickel", gain=1.80, read_noise=9.4)
    assert [frame.name for frame in plan.biases] == [f"d{number}" for number in range(1001, 1011)]
    assert {key: [f.name for f in frames] for key, frames in plan.flats.items()} == {"V": ["d1035", "d1036", "d1037"]}
    science = {frame.name: (frame.object, frame.filter, frame.exposure_time) for frame in plan.science}
    assert science == {
        "d1047": ("PG1323-085", "V", 60),
        "d1048": ("NGC_4147", "V", 60),
        "d1052": ("NGC_3982", "V", 120),
        "d1059": ("NGC_6205", "V", 60),
        "d1074": ("UGC_9837", "V", 600),
        "d1083": ("PG1530+057", "V", 60),
    }
    assert plan.darks == {}
    assert plan.unused == ()
    assert plan.remarks == ()
    assert plan.detector.gain == 1.80 * u.electron / u.adu
    assert plan.trim == "[1:1024,1:1024]"


@pytest.mark.usefixtures("small_night")
def test_kinds_filters_and_numbers(raw):
    plan = plan_night(raw, **CAMERA, saturation=60000)
    assert [frame.name for frame in plan.biases] == ["bias0", "bias1", "bias2"]
    # Spaces around a filter's name are not part of it.
    assert {name: len(frames) for name, frames in plan.flats.items()} == {"V": 2}
    (science,) = plan.science
    assert (science.filter, science.object, science.exposure_time) == ("V", "M 13", 30.0)
    assert science.shape == (16, 20)
    assert plan.detector.saturation == 60000 * u.adu
    assert plan.unused == ()


@pytest.mark.usefixtures("small_night")
def test_str_is_a_table_of_what_there_is(raw):
    (raw / "notes.txt").write_text("seeing 2 arcsec")
    text = str(plan_night(raw, **CAMERA))
    assert "6 raw frames, 20 columns x 16 rows, profile generic" in text
    assert "bias0.fits, bias1.fits, bias2.fits" in text
    assert "2 to 3" in text
    assert "notes.txt: not FITS by its name" in text
    assert "gain 1.5 electron/adu, read noise 8 electron, saturation 65535 adu" in text


def test_numbers_of_the_options_go_before_the_profile_and_those_before_the_header(write_raw, raw, tmp_path):
    for name, kind in [("a.fits", "BIAS"), ("b.fits", "FLAT"), ("c.fits", "LIGHT")]:
        write_raw(name, kind, GAIN=3.0, RDNOISE=5.0, SATURATE=50000.0)
    profile = tmp_path / "p.toml"
    profile.write_text("[detector]\ngain = 2.0\ngain_uncertainty = 0.1\n")
    by_header, by_profile = plan_night(raw).detector, plan_night(raw, profile).detector
    by_option = plan_night(raw, profile, gain=0.001 * u.electron / u.madu).detector
    assert by_header.gain.value == 3.0
    assert by_profile.gain.value == 2.0
    assert by_profile.gain_uncertainty.value == 0.1
    assert by_option.gain.value == pytest.approx(1.0)
    # The uncertainty was that of the other number.
    assert by_option.gain_uncertainty is None
    for detector in (by_header, by_profile, by_option):
        assert (detector.read_noise.value, detector.saturation.value) == (5.0, 50000.0)


def test_electrons_per_adu_are_preferred_to_the_setting_of_an_amplifier(write_raw, raw):
    # As N.I.N.A. writes it for CMOS cameras.
    for name, kind in [("a.fits", "BIAS"), ("b.fits", "FLAT"), ("c.fits", "LIGHT")]:
        write_raw(name, kind, GAIN=139, EGAIN=0.25)
    assert plan_night(raw, read_noise=1.5).detector.gain.value == 0.25


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    ("known", "missing", "option"),
    [({"read_noise": 8}, "gain", "--gain"), ({"gain": 2}, "read noise", "--read-noise")],
)
def test_unknown_gain_or_read_noise_says_which_option_gives_it(raw, known, missing, option):
    with pytest.raises(FrameError, match=f"the {missing} .* is not known.* Give {option}, or detector.") as error:
        plan_night(raw, **known)
    assert "bias0.fits" in str(error.value)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("value", [0, -1.5, np.nan, np.inf, [1, 2]])
def test_impossible_gain(raw, value):
    with pytest.raises(ValueError, match=r"gain is .* number above 0|gain is inf"):
        plan_night(raw, gain=value, read_noise=8)


@pytest.mark.usefixtures("small_night")
def test_gain_in_a_wrong_unit(raw):
    with pytest.raises(u.UnitConversionError):
        plan_night(raw, gain=1.5 * u.adu / u.electron, read_noise=8)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("value", [0.0, -1.8, "high"])
def test_impossible_gain_in_a_header(raw, write_raw, value):
    for path in raw.glob("*.fits"):
        fits.setval(path, "GAIN", value=1.5)
    write_raw("odd.fits", "LIGHT", FILTER="V", GAIN=value)
    # What the header says does not matter where the gain is given.
    assert reasons(plan_night(raw, **CAMERA)) == {}
    assert reasons(plan_night(raw, read_noise=8)) == {
        "odd.fits": f"GAIN={value!r} is no gain; give --gain, or detector.gain in a profile"
    }


@pytest.mark.usefixtures("small_night")
def test_frames_that_cannot_be_used_are_named_with_the_reason(raw, write_raw):
    write_raw("no_kind.fits", OBJECT="x")
    write_raw("arc.fits", "COMP")
    write_raw("focus.fits", "FOCUS")
    write_raw("no_time.fits", "LIGHT", FILTER="V", EXPTIME=None)
    write_raw("bad_time.fits", "LIGHT", FILTER="V", EXPTIME=-3.0)
    write_raw("text_time.fits", "LIGHT", FILTER="V", EXPTIME="long")
    write_raw("electrons.fits", "LIGHT", FILTER="V", BUNIT="electron")
    write_raw("window.fits", "LIGHT", shape=(8, 20), FILTER="V")
    shutil.copy(raw / "bias1.fits", raw / "bias1_copy.fits")
    whole = (raw / "m13.fits").read_bytes()
    (raw / "cut.fits").write_bytes(whole[:3000])
    (raw / "cut.fits.gz").write_bytes(gzip.compress(whole)[:-20])
    (raw / "m13.fits.gz").write_bytes(gzip.compress(whole))
    (raw / "not.fits").write_text("<html>404</html>")
    (raw / "photo.jpg").write_bytes(b"\xff\xd8")
    (raw / ".hidden.fits").write_bytes(whole)
    (raw / "more").mkdir()
    plan = plan_night(raw, **CAMERA)
    assert len(plan.frames) == 6
    found = reasons(plan)
    expected = {
        "no_kind.fits": "its kind is not known to profile generic",
        "arc.fits": "IMAGETYP='COMP'",
        "focus.fits": "left out by profile generic: IMAGETYP='FOCUS'",
        "no_time.fits": "no exposure time: its header has none of EXPTIME, EXPOSURE",
        "bad_time.fits": "EXPTIME=-3.0 is no exposure time of a science frame",
        "text_time.fits": "EXPTIME='long' is no exposure time",
        "electrons.fits": "BUNIT='electron': the gain was applied already",
        "window.fits": "shape (rows, columns) is (8, 20), most frames have (16, 20)",
        "bias1_copy.fits": "the same pixels as bias1.fits",
        "cut.fits": "truncated: 3000 bytes, where its header announces 3520",
        "cut.fits.gz": "truncated or damaged",
        "m13.fits.gz": "the same pixels as m13.fits",
        "not.fits": "not a FITS file",
        "photo.jpg": "not FITS by its name",
    }
    assert found.keys() == expected.keys()
    for name, part in expected.items():
        assert part in found[name]


@pytest.mark.usefixtures("small_night")
def test_lost_are_science_frames_and_what_may_be_some(raw, write_raw):
    whole = (raw / "m13.fits").read_bytes()
    (raw / "cut.fits").write_bytes(whole[:3000])
    (raw / "copy.fits").write_bytes(whole)
    (raw / "log.fits").write_text("clouds")
    (raw / "log.txt").write_text("clouds")
    write_raw("arc.fits", "COMP")
    write_raw("focus.fits", "FOCUS")
    write_raw("no_time.fits", "LIGHT", EXPTIME=None)
    write_raw("no_time_flat.fits", "FLAT", EXPTIME=None)
    write_raw("window.fits", "LIGHT", shape=(8, 20))
    for name, kind in (("empty.fits", "LIGHT"), ("empty_bias.fits", "BIAS")):
        write_raw(name, kind, level=np.nan, dtype=np.float32)
    plan = plan_night(raw, **CAMERA)
    assert {file.path.name for file in plan.unused if file.lost} == {
        "cut.fits",
        "no_time.fits",
        "window.fits",
        "empty.fits",
    }


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("unit", ["Jy/beam", "adu/s", "mag"])
def test_an_image_in_another_unit_is_no_raw_frame(raw, write_raw, unit):
    write_raw("odd.fits", "LIGHT", FILTER="V", BUNIT=unit)
    for index, usual in enumerate(["ADU", "DN", "counts", ""]):
        write_raw(f"usual{index}.fits", "LIGHT", FILTER="V", BUNIT=usual)
    found = reasons(plan_night(raw, **CAMERA))
    assert found.keys() == {"odd.fits"}
    assert f"BUNIT={unit!r}" in found["odd.fits"]


@pytest.mark.usefixtures("small_night")
def test_files_of_one_reason_stand_in_one_line(raw, write_raw):
    for index in range(20):
        write_raw(f"arc{index:02}.fits", "WHATEVER")
    (line,) = [line for line in str(plan_night(raw, **CAMERA)).splitlines() if "its kind is not known" in line]
    assert "arc00.fits, arc01.fits" in line
    assert "arc19.fits: its kind" in line


@pytest.mark.usefixtures("small_night")
def test_copies_of_the_same_name_are_told_apart(raw, tmp_path):
    other = tmp_path / "zzz"
    other.mkdir()
    shutil.copy(raw / "m13.fits", other)
    (file,) = plan_night([raw, other], **CAMERA).unused
    assert file.reason == f"{other / 'm13.fits'} has the same pixels as {raw / 'm13.fits'}"


def test_another_shape_is_named_before_a_section_that_does_not_fit(write_raw, raw, tmp_path):
    profile = tmp_path / "p.toml"
    profile.write_text("[detector]\ngain = 1\nread_noise = 1\noverscan = '[17:20, 1:16]'")
    for name, kind in [("a.fits", "BIAS"), ("b.fits", "FLAT"), ("c.fits", "LIGHT")]:
        write_raw(name, kind)
    write_raw("window.fits", "LIGHT", shape=(8, 10))
    assert "shape (rows, columns) is (8, 10)" in reasons(plan_night(raw, profile))["window.fits"]


@pytest.mark.usefixtures("small_night")
def test_the_same_values_in_another_order_are_another_frame(raw):
    data = fits.getdata(raw / "bias0.fits")
    fits.writeto(raw / "flipped.fits", data[::-1], fits.getheader(raw / "bias0.fits"))
    assert len(plan_night(raw, **CAMERA).biases) == 4


@pytest.mark.usefixtures("small_night")
def test_damaged_header_cards_do_not_stop_the_scan(raw):
    content = (raw / "m13.fits").read_bytes()
    damaged = content.replace(b"OBJECT  = 'M 13    '", b"OBJECT  = 'M 13     ", 1)
    assert damaged != content
    (raw / "m13.fits").write_bytes(damaged)
    (science,) = plan_night(raw, **CAMERA).science
    assert science.filter == "V"


@pytest.mark.usefixtures("small_night")
def test_frames_with_another_setting_are_not_mixed(raw, write_raw):
    for path in raw.glob("*.fits"):
        fits.setval(path, "GAIN", value=1.5)
    write_raw("high.fits", "LIGHT", FILTER="V", GAIN=0.4)
    write_raw("silent.fits", "LIGHT", FILTER="V")
    plan = plan_night(raw, read_noise=8)
    assert plan.detector.gain.value == 1.5
    assert [frame.name for frame in plan.science] == ["m13", "silent"]
    assert "gain in electron/adu is 0.4, most frames have 1.5" in reasons(plan)["high.fits"]


def test_sections_from_the_header(write_raw, raw):
    # Spaces as the SAAO frame in ccdproc's tests has them.
    for name, kind in [("a.fits", "BIAS"), ("b.fits", "FLAT"), ("c.fits", "LIGHT")]:
        write_raw(name, kind, BIASSEC="[  17:  20,   1:  16]", TRIMSEC="[   1:  16,   1:  16]")
    write_raw("cut.fits", "LIGHT", BIASSEC="[4096:4109]", TRIMSEC="[1:16,1:16]")
    write_raw("outside.fits", "LIGHT", BIASSEC="[17:40,1:16]", TRIMSEC="[1:16,1:16]")
    plan = plan_night(raw, **CAMERA)
    assert (plan.overscan, plan.trim) == ("[17:20,1:16]", "[1:16,1:16]")
    found = reasons(plan)
    assert "BIASSEC: '[4096:4109]' is not a section" in found["cut.fits"]
    assert "does not fit in a frame of 20 columns and 16 rows; give detector.overscan" in found["outside.fits"]


@pytest.mark.usefixtures("small_night")
def test_sections_of_the_profile_must_fit(raw, tmp_path):
    profile = tmp_path / "p.toml"
    profile.write_text("[detector]\ngain = 1\nread_noise = 1\noverscan = '[21:24, 1:16]'")
    with pytest.raises(FrameError, match=r"none of the 6 files can be used.*\n.*detector.overscan of profile .*p.toml"):
        plan_night(raw, profile)
    profile.write_text("[detector]\ngain = 1\nread_noise = 1\nbad = ['[25:25, 1:16]']")
    with pytest.raises(ProfileError, match=r"detector.bad: '\[25:25, 1:16\]' does not fit in frames of 20 columns"):
        plan_night(raw, profile)


def test_empty_directory(raw):
    with pytest.raises(FrameError, match=f"there are no raw frames in {raw}: it is empty"):
        plan_night(raw, **CAMERA)


def test_directory_without_any_usable_file(raw):
    (raw / "notes.txt").write_text("clouds")
    with pytest.raises(FrameError, match=r"none of the 1 files can be used .*\n.*notes.txt: not FITS by its name"):
        plan_night(raw, **CAMERA)


def test_path_that_does_not_exist(raw):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; expected a raw FITS file"):
        plan_night(raw / "nowhere", **CAMERA)


def test_only_science_frames(raw, write_raw):
    write_raw("a.fits", "LIGHT", FILTER="V")
    write_raw("b.fits", "LIGHT", FILTER="V")
    with pytest.raises(FrameError, match=r"only science frames \(a.fits and so on, 2 in all\)"):
        plan_night(raw, **CAMERA)


@pytest.mark.usefixtures("small_night")
def test_science_frames_that_cannot_be_used_are_not_passed_over(raw, write_raw):
    (raw / "m13.fits").unlink()
    write_raw("m13.fits", "LIGHT", EXPTIME=None)
    with pytest.raises(FrameError, match=r"none of the science frames can be used:\n  m13.fits: no exposure time"):
        plan_night(raw, **CAMERA)


def test_neither_bias_nor_overscan(raw, write_raw):
    write_raw("flat.fits", "FLAT", FILTER="V")
    write_raw("a.fits", "LIGHT", FILTER="V")
    with pytest.raises(FrameError, match=r"neither biases nor an overscan .* give biases, or detector.overscan"):
        plan_night(raw, **CAMERA)


def test_flats_of_a_filter_by_another_name_are_remarked(raw, write_raw):
    write_raw("bias.fits", "BIAS")
    for number in range(3):
        write_raw(f"flat{number}.fits", "FLAT", FILTER="v")
    write_raw("other.fits", "FLAT")
    light = write_raw("a.fits", "LIGHT", FILTER="V")
    remarks = plan_night(raw, **CAMERA).remarks
    assert "no flat for filter V: reduced without one: a.fits" in remarks
    (remark,) = [remark for remark in remarks if "by another name" in remark]
    assert remark.startswith("1 flat of no filter name, 3 flats of filter v: no science frame has that filter; if")
    # Where every science frame has a flat, others may wait for another night.
    fits.setval(light, "FILTER", value="v")
    assert not any("another name" in remark for remark in plan_night(raw, **CAMERA).remarks)


def test_what_is_missing_is_remarked(raw, write_raw):
    write_raw("bias.fits", "BIAS")
    write_raw("flat.fits", "FLAT", FILTER="V")
    write_raw("a.fits", "LIGHT", FILTER="R", EXPTIME=600.0)
    write_raw("b.fits", "LIGHT")
    remarks = "\n".join(plan_night(raw, **CAMERA).remarks)
    assert "no darks: the dark current of up to 600 s stays" in remarks
    assert "no flat for filter R: reduced without one: a.fits" in remarks
    assert "no flat for frames without a filter name: reduced without one: b.fits" in remarks
    assert "65535 adu is taken" in remarks


@pytest.mark.usefixtures("small_night")
def test_files_and_directories_and_collections(raw, tmp_path):
    from ccdproc import ImageFileCollection

    everything = plan_night(raw, **CAMERA)
    other = tmp_path / "other"
    other.mkdir()
    shutil.move(raw / "m13.fits", other / "m13.fits")
    mixed = plan_night([raw, other / "m13.fits", raw / "bias0.fits"], **CAMERA)
    assert {frame.digest for frame in mixed.frames} == {frame.digest for frame in everything.frames}
    collection = plan_night(ImageFileCollection(raw), **CAMERA)
    assert [frame.name for frame in collection.frames] == ["bias0", "bias1", "bias2", "flat0", "flat1"]


@pytest.mark.usefixtures("small_night")
def test_same_name_in_two_directories_gives_two_names(raw, write_raw, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.move(write_raw("new.fits", "LIGHT", FILTER="V"), other / "m13.fits")
    plan = plan_night([raw, other], **CAMERA)
    assert [frame.name for frame in plan.science] == ["m13", "m13-2"]


@pytest.mark.usefixtures("small_night")
def test_darks_whose_shutter_took_its_time_belong_together(raw, write_raw):
    for index, seconds in enumerate([60.01, 59.98, 60.04, 120.0]):
        write_raw(f"dark{index}.fits", "DARK", EXPTIME=seconds)
    darks = plan_night(raw, **CAMERA).darks
    assert list(darks) == pytest.approx([60.01, 120.0])
    assert [len(frames) for frames in darks.values()] == [3, 1]


def test_table_says_which_numbers_are_those_of_the_header(write_raw, raw):
    for name, kind in [("a.fits", "BIAS"), ("b.fits", "FLAT"), ("c.fits", "LIGHT")]:
        write_raw(name, kind, GAIN=3.0)
    expected = "gain 3 electron/adu (header), read noise 8 electron, saturation 65535 adu"
    assert expected in plan_night(raw, read_noise=8).table()


@pytest.mark.usefixtures("small_night")
def test_commands_to_a_terminal_are_not_passed_on(raw, write_raw):
    write_raw("odd\x1b[2J.fits", "WHATEVER")
    text = str(plan_night(raw, **CAMERA))
    assert "odd?[2J.fits: its kind is not known" in text
    assert "\x1b" not in text


def test_only_science_frames_are_listed_where_none_can_be_used(raw, write_raw):
    for name, kind in (("b.fits", "BIAS"), ("d.fits", "DARK"), ("f.fits", "FLAT"), ("m13.fits", "LIGHT")):
        fits.delval(write_raw(name, kind, EXPTIME=30.0), "EXPTIME")
    with pytest.raises(FrameError, match="none of the science frames can be used") as caught:
        plan_night(raw, gain=1.5, read_noise=8)
    assert "m13.fits" in str(caught.value)
    assert "d.fits" not in str(caught.value)
    assert "f.fits" not in str(caught.value)
