"""Headers as cameras write them: what of them is used, what is left out, and what is said about it."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import CCDFrame
from astro_calib.detector.header_values import as_seconds, stated_unit_of_time
from astro_calib.errors import FrameError
from astro_calib.night import plan_night, reduce_night

CAMERA = {"gain": 1.5, "read_noise": 8.0}
QUICK = {"stars": False, "pictures": False, "progress": False}
DATA = Path(__file__).parents[3] / "shared" / "data"


def replace_card(path, old, new):
    """Put a card of any bytes where there is one."""
    content = path.read_bytes()
    place = content.index(f"{old:8}=".encode())
    path.write_bytes(content[:place] + new.encode("latin-1").ljust(80) + content[place + 80 :])


def set_everywhere(raw, **cards):
    for path in raw.iterdir():
        for keyword, value in cards.items():
            fits.setval(path, keyword, value=value)


# -- broken cards ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    "card",
    [
        "FOO.BAR = 12.5",
        "OBSERVER= 'a\tb'",
        "OBSERVER= 'a\0b' / x",
        "AIRMASS = 1.5 / \x1b",
        "COMMENT a\nb",
        "CCDTEMP = -20 / \xb0C",
        "AIRMASS = 12,5",
    ],
)
def test_broken_card_in_the_first_frame_of_each_group_does_not_end_the_night(raw, tmp_path, card):
    for name in ("bias0.fits", "flat0.fits", "m13.fits"):
        fits.setval(raw / name, "QPLACE", value=1)
        replace_card(raw / name, "QPLACE", card)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    assert [master.number for master in summary.masters] == [3, 2]
    assert (len(summary.frames), summary.failures, summary.unused) == (1, (), ())
    said = [remark for remark in summary.remarks if "break the rules of FITS" in remark]
    name = card[:8].strip()
    assert said == [
        f"bias0.fits, flat0.fits, m13.fits: header cards that break the rules of FITS were repaired: {name}"
    ]
    assert fits.getheader(summary.frames[0].path)["OBJECT"] == "M 13"


# -- sections --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    "section",
    [
        "[0,513:0,1536]",
        "UNKNOWN",
        "N/A",
        "[]",
        "[0:0,0:0]",
        "[20:17,1:16]",
        "[17:40,1:16]",
        "[4096:4109]",
        "[18,1:16]",
        "[17.5:20,1:16]",
        "[*,*]",
        "[1:20,1:16]",
        32,
    ],
    ids=str,
)
def test_overscan_that_cannot_be_used_is_left_out_with_one_remark(raw, section):
    set_everywhere(raw, BIASSEC=section)
    plan = plan_night(raw, **CAMERA)
    assert (len(plan.frames), plan.unused, plan.overscan) == (6, (), None)
    (remark,) = [remark for remark in plan.remarks if "BIASSEC" in remark]
    assert remark.startswith("bias0.fits to m13.fits (6 files): BIASSEC")
    assert str(section) in remark
    assert remark.endswith(": reduced without overscan")


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("section", ["", "   ", "none", "None"])
def test_header_that_says_that_there_is_no_overscan_is_believed(raw, section):
    set_everywhere(raw, BIASSEC=section)
    plan = plan_night(raw, **CAMERA)
    assert (len(plan.frames), plan.overscan) == (6, None)
    assert not any("BIASSEC" in remark for remark in plan.remarks)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("section", ["UNKNOWN", "[1:30,1:16]", "[0:0,0:0]"])
def test_data_section_that_cannot_be_used(raw, section):
    set_everywhere(raw, TRIMSEC=section)
    plan = plan_night(raw, **CAMERA)
    assert (len(plan.frames), plan.trim) == (6, None)
    assert any("TRIMSEC" in remark and remark.endswith(": the whole frame is kept") for remark in plan.remarks)
    # Another keyword may tell it.
    set_everywhere(raw, DATASEC="[1:16,1:16]")
    plan = plan_night(raw, **CAMERA)
    assert (plan.trim, [remark for remark in plan.remarks if "TRIMSEC" in remark]) == ("[1:16,1:16]", [])


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("section", ["UNKNOWN", "N/A", "", "[0:0,0:0]", "[20:17,1:16]", "17:20,1:16", "[0,16:0,20]"])
@pytest.mark.parametrize("faulty", [["m13"], ["bias1", "flat0"], ["bias0", "bias1", "bias2", "flat0"]], ids=len)
def test_section_that_a_header_does_not_tell_is_that_of_the_other_frames(raw, section, faulty):
    set_everywhere(raw, BIASSEC="[17:20,1:16]", TRIMSEC="[1:16,1:16]")
    for name in faulty:
        fits.setval(raw / f"{name}.fits", "BIASSEC", value=section)
        fits.setval(raw / f"{name}.fits", "TRIMSEC", value=section)
    plan = plan_night(raw, **CAMERA)
    assert (len(plan.frames), plan.unused) == (6, ())
    assert {(frame.overscan, frame.trim) for frame in plan.frames} == {("[17:20,1:16]", "[1:16,1:16]")}
    said = [remark for remark in plan.remarks if remark.endswith("is taken, as in the other frames")]
    assert len(said) == 2
    assert all(f"{faulty[0]}.fits" in remark for remark in said)


@pytest.mark.usefixtures("small_night")
def test_frame_whose_section_lies_beyond_it_may_have_been_cut(raw):
    set_everywhere(raw, BIASSEC="[17:20,1:16]", TRIMSEC="[1:16,1:16]")
    fits.setval(raw / "bias1.fits", "BIASSEC", value="[4096:4109]")
    (file,) = plan_night(raw, **CAMERA).unused
    assert str(file).startswith("bias1.fits: BIASSEC: '[4096:4109]' is not a section")


def test_gain_and_read_noise_that_are_not_known_are_said_at_once(raw, write_raw):
    for name, kind in (("bias.fits", "BIAS"), ("a.fits", "LIGHT")):
        write_raw(name, kind, FILTER="V")
    with pytest.raises(FrameError, match=r"(?s)the gain .*Give --gain,.*\nthe read noise .*--read-noise,"):
        plan_night(raw)


@pytest.mark.usefixtures("small_night")
def test_all_of_the_data_are_no_overscan(raw):
    set_everywhere(raw, BIASSEC="[1:18,1:16]", TRIMSEC="[1:16,1:16]")
    plan = plan_night(raw, **CAMERA)
    assert (plan.overscan, plan.trim) == (None, "[1:16,1:16]")
    assert any("covers all of the data section [1:16,1:16]" in remark for remark in plan.remarks)


def test_overscan_that_is_needed_and_cannot_be_used_is_an_error_that_names_it(raw, write_raw):
    for name, kind in (("flat.fits", "FLAT"), ("a.fits", "LIGHT")):
        write_raw(name, kind, FILTER="V", BIASSEC="UNKNOWN")
    with pytest.raises(FrameError, match=r"neither biases nor an overscan(?s:.*)\n  a.fits, flat.fits: BIASSEC: 'UNKN"):
        plan_night(raw, **CAMERA)


@pytest.mark.usefixtures("small_night")
def test_values_that_are_not_asked_for_do_not_matter(raw):
    set_everywhere(raw, GAIN="UNKNOWN", RDNOISE="N/A", SATURATE="")
    plan = plan_night(raw, **CAMERA, saturation=60000)
    assert (len(plan.frames), plan.unused, plan.remarks) == (6, (), ())


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("value", ["UNKNOWN", -1, 0, 1e300])
def test_saturation_that_is_none_is_not_known(raw, value):
    set_everywhere(raw, SATURATE=value)
    plan = plan_night(raw, **CAMERA)
    assert plan.detector.saturation.value == 65535
    assert any(f"SATURATE={value!r} is no saturation; give --saturation" in remark for remark in plan.remarks)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    "cards",
    [{"GAIN": 1e300}, {"GAIN": 1e-300}, {"GAIN": 1e7}, {"RDNOISE": 1e300}, {"RDNOISE": 2e6}],
    ids=str,
)
@pytest.mark.parametrize("frames", ["all", "one"])
def test_absurd_number_of_a_detector_is_named_with_file_and_keyword(raw, cards, frames):
    set_everywhere(raw, GAIN=1.5, RDNOISE=8.0)
    if frames == "all":
        set_everywhere(raw, **cards)
    else:
        fits.setval(raw / "bias1.fits", next(iter(cards)), value=next(iter(cards.values())))
    ((keyword, value),) = cards.items()
    said = f"{keyword}={value!r} is no {'gain' if keyword == 'GAIN' else 'read noise'}"
    if frames == "all":
        with pytest.raises(FrameError) as error:
            plan_night(raw)
        assert "m13.fits" in str(error.value)
        assert said in str(error.value)
    else:
        # It costs one file, and not the night.
        plan = plan_night(raw)
        assert plan.detector.gain.value == 1.5
        assert [file.path.name for file in plan.unused] == ["bias1.fits"]
        assert said in plan.unused[0].reason


@pytest.mark.usefixtures("small_night")
def test_all_that_is_wrong_with_a_frame_is_said_at_once(raw, write_raw):
    write_raw("odd.fits", "LIGHT", BUNIT="Jy", EXPTIME="long", GAIN="high", RDNOISE=-1)
    set_everywhere(raw, GAIN=1.5, RDNOISE=8.0)
    for keyword, value in (("GAIN", "high"), ("RDNOISE", -1)):
        fits.setval(raw / "odd.fits", keyword, value=value)
    (file,) = plan_night(raw).unused
    assert all(part in file.reason for part in ("BUNIT='Jy'", "EXPTIME='long'", "GAIN='high'", "RDNOISE=-1"))


# -- units -----------------------------------------------------------------------------------------------------------

UNITS = ["Data Value", "Intensity", "ADU/pixel", "raw", "counts/s", "e-/s", "electron"]


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("unit", UNITS)
def test_unit_that_is_given_goes_before_that_of_the_header(raw, tmp_path, unit):
    usual = reduce_night(raw, tmp_path / "usual", **CAMERA, **QUICK)
    set_everywhere(raw, BUNIT=unit)
    with pytest.raises(FrameError, match=rf"BUNIT='{unit}': .*--unit adu"):
        plan_night(raw, **CAMERA)
    summary = reduce_night(raw, tmp_path / "out", unit="adu", **CAMERA, **QUICK)
    assert summary.remarks == usual.remarks
    image = CCDFrame.read(summary.frames[0].path)
    np.testing.assert_array_equal(image.data, CCDFrame.read(usual.frames[0].path).data)
    assert (str(image.unit), fits.getheader(summary.frames[0].path)["BUNIT"]) == ("electron", "electron")


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("unit", ["adu ", "Counts", "DN", "COUNT", "ADUs"])
def test_other_names_of_adu(raw, unit):
    set_everywhere(raw, BUNIT=unit)
    assert len(plan_night(raw, **CAMERA).frames) == 6


@pytest.mark.usefixtures("small_night")
def test_unit_in_a_profile_and_a_unit_that_raw_frames_do_not_have(raw, tmp_path):
    set_everywhere(raw, BUNIT="Data Value")
    profile = tmp_path / "camera.toml"
    profile.write_text("[detector]\nunit = 'adu'\n")
    assert len(plan_night(raw, profile, **CAMERA).frames) == 6
    for unit in ("electron", "Jy", ""):
        with pytest.raises(ValueError, match="raw frames are in adu: give 'adu'"):
            plan_night(raw, unit=unit, **CAMERA)
    profile.write_text("[detector]\nunit = 'Jy'\n")
    with pytest.raises(ValueError, match=r"detector.unit is 'Jy'; raw frames are in 'adu'"):
        plan_night(raw, profile, **CAMERA)


# -- exposure times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (30, 30),
        ("30 s", 30),
        ("30.0 seconds", 30),
        ("500 ms", 0.5),
        ("2 min", 120),
        ("1/30", 1 / 30),
        ("1/4 s", 0.25),
        ("1,5", 1.5),
        ("0,500", 0.5),
        ("3,2E-05", 3.2e-5),
        ("1.5D1", 15),
        # What may mean several things, or nothing.
        ("1,500", None),
        ("0:30", None),
        ("1,234.5", None),
        ("1/0", None),
        ("30 parsec", None),
        ("NaN", None),
        (-1, None),
        (True, None),
    ],
)
def test_exposure_times_as_headers_write_them(value, seconds):
    assert as_seconds(value) == (None if seconds is None else pytest.approx(seconds, rel=1e-14))


@pytest.mark.parametrize(
    ("comment", "unit"),
    [
        ("[ms] exposure", "ms"),
        ("exposure time in milliseconds", "milliseconds"),
        ("Exposure (ms)", "ms"),
        ("[min]", "min"),
        ("[s] exposure", ""),
        ("exposure in seconds", ""),
        ("seconds, to 1 ms", ""),
        ("", ""),
    ],
)
def test_unit_of_an_exposure_time_in_its_comment(comment, unit):
    assert stated_unit_of_time(comment) == unit


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("card", ["EXPTIME = '3,2E-05'", "EXPTIME = 3,2E-05", "EXPTIME = 3.2e-05"])
def test_decimal_comma_is_read(raw, tmp_path, card):
    replace_card(raw / "m13.fits", "EXPTIME", card)
    (frame,) = plan_night(raw, **CAMERA).science
    assert frame.exposure_time == pytest.approx(3.2e-5)
    summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    assert fits.getheader(summary.frames[0].path)["EXPTIME"] == pytest.approx(3.2e-5)


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("value", ["1,500", "0:30", "N/A", -1.0, "NaN"])
def test_exposure_time_that_is_none_is_named_unless_another_keyword_has_it(raw, value):
    fits.setval(raw / "m13.fits", "EXPTIME", value=value)
    with pytest.raises(FrameError, match=f"m13.fits: EXPTIME={value!r} is no exposure time of a science frame"):
        plan_night(raw, **CAMERA)
    fits.setval(raw / "m13.fits", "EXPOSURE", value=20.0)
    assert plan_night(raw, **CAMERA).science[0].exposure_time == 20


@pytest.mark.usefixtures("small_night")
def test_blank_exposure_time_is_none(raw):
    fits.setval(raw / "m13.fits", "EXPTIME", value="")
    with pytest.raises(FrameError, match=r"m13.fits: no exposure time: its header has none of EXPTIME, EXPOSURE"):
        plan_night(raw, **CAMERA)
    fits.setval(raw / "m13.fits", "EXPOSURE", value=20.0)
    assert plan_night(raw, **CAMERA).science[0].exposure_time == 20


@pytest.mark.usefixtures("small_night")
def test_milliseconds_are_taken_as_such_and_written_as_seconds(raw, tmp_path):
    fits.setval(raw / "m13.fits", "EXPTIME", value=500, comment="[ms] exposure")
    summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    assert "m13.fits: EXPTIME is taken to be in ms, as its comment says" in summary.remarks
    card = fits.getheader(summary.frames[0].path).cards["EXPTIME"]
    assert (card.value, card.comment) == (0.5, "[s] exposure time")


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize(
    ("kind", "time", "expected"),
    [
        ("Dark Frame", 1e-32, "bias"),
        ("DARK", 0.001, "bias"),
        ("dark", "3,2E-05", "bias"),
        ("DARK", "1 ms", "bias"),
        ("Darks", 0, "bias"),
        ("DARK", 0.0011, "dark"),
        ("DARK", 1.0, "dark"),
    ],
)
def test_a_dark_of_a_millisecond_is_a_bias(raw, write_raw, kind, time, expected):
    write_raw("d.fits", kind, EXPTIME=time)
    plan = plan_night(raw, **CAMERA)
    (frame,) = [frame for frame in plan.frames if frame.name == "d"]
    assert frame.kind == expected
    said = any(f"although EXPTIME={time!r}" in remark for remark in plan.remarks)
    assert said == (expected == "bias" and time != 0)


@pytest.mark.usefixtures("small_night")
def test_a_dark_of_negative_time_is_nothing(raw, write_raw):
    write_raw("d.fits", "DARK", EXPTIME=-1.0)
    (file,) = plan_night(raw, **CAMERA).unused
    assert file.reason == "EXPTIME=-1.0 is no exposure time of a dark frame"


# -- what headers of results say -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("options", [CAMERA, {"read_noise": 8.0}], ids=["gain given", "gain of the header"])
@pytest.mark.parametrize("trim", ["[1:16,1:16]", "none"])
def test_headers_of_results_are_true_whatever_the_options(raw, tmp_path, options, trim):
    profile = tmp_path / "camera.toml"
    profile.write_text(f"[keywords]\noverscan = 'OSEC'\nsaturation = 'FULL'\n[detector]\ntrim = '{trim}'\n")
    cards = {"GAIN": 120, "EGAIN": 1.5, "SATURATE": 60000, "FULL": 60000, "MAXLIN": 5e4, "RDNOISE": 8.0}
    sections = {"OSEC": "[17:20,1:16]", "BIASSEC": "[17:20,1:16]", "TRIMSEC": "[1:16,1:16]", "CCDSEC": "[1:20,1:16]"}
    set_everywhere(raw, **cards, **sections, BLANK=0, BUNIT="ADU", DATAMAX=60000.0)
    summary = reduce_night(raw, tmp_path / "out", profile=profile, **options, **QUICK)
    for path in [master.path for master in summary.masters] + [frame.path for frame in summary.frames]:
        header = fits.getheader(path)
        assert not {"SATURATE", "FULL", "MAXLIN", "DATAMAX", "BLANK", *sections} & set(header)
        assert (header["EGAIN"], header["GAIN"], header["RDNOISE"], header["BUNIT"]) == (1, 120, 8, "electron")


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("options", [CAMERA, {"read_noise": 8.0}], ids=["gain given", "gain of the header"])
def test_gain_under_the_name_that_a_profile_tells_is_one(raw, tmp_path, options):
    profile = tmp_path / "camera.toml"
    profile.write_text("[keywords]\ngain = 'CONVERS'\n")
    set_everywhere(raw, CONVERS=1.5, GAIN=7)
    summary = reduce_night(raw, tmp_path / "out", profile=profile, **options, **QUICK)
    header = fits.getheader(summary.frames[0].path)
    assert (header["CONVERS"], header["GAIN"], header["EGAIN"]) == (1, 7, 1)


@pytest.mark.usefixtures("small_night")
def test_master_flat_has_the_mean_exposure_time_of_the_frames_that_are_in_it(raw, write_raw, tmp_path):
    # Without light, and not among them.
    write_raw("dim.fits", "FLAT", FILTER="V", level=900, EXPTIME=60.0)
    summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    assert fits.getheader(summary.masters[1].path)["EXPTIME"] == 2.5


@pytest.mark.usefixtures("small_night")
def test_name_of_an_extension_that_is_a_number_does_not_keep_results_from_being_written(raw, tmp_path):
    set_everywhere(raw, EXTNAME="QPLACE")
    for path in raw.iterdir():
        replace_card(path, "EXTNAME", "EXTNAME = 5")
    summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    assert (len(summary.masters), len(summary.frames), summary.failures, summary.unused) == (2, 1, (), ())


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("unit", [1, 1.0, True, "electron"])
def test_unit_that_is_given_is_not_said_for_each_file(raw, tmp_path, unit, caplog, capsys):
    set_everywhere(raw, BUNIT=unit)
    summary = reduce_night(raw, tmp_path / "out", unit="adu", **CAMERA, **QUICK)
    assert (len(summary.frames), summary.unused) == (1, ())
    assert "using the unit" not in caplog.text + "".join(capsys.readouterr())


# -- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_night")
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "lost"), [("flat0", "flat", False), ("bias0", "bias", False), ("m13", "science", True)]
)
def test_file_that_is_cut_off_is_what_its_header_says(raw, name, kind, lost, compress):
    path = raw / f"{name}.fits"
    cut = path.read_bytes()[:3000]
    path.unlink()
    path = raw / f"{name}.fits.gz" if compress else path
    path.write_bytes(gzip.compress(cut) if compress else cut)
    # Another one, so that something is left.
    data, header = fits.getdata(raw / "flat1.fits", header=True)
    header["IMAGETYP"] = "LIGHT"
    fits.writeto(raw / "other.fits", data - 9000, header)
    (file,) = plan_night(raw, **CAMERA).unused
    assert (file.kind, file.lost) == (kind, lost)
    assert str(file).startswith(f"{path.name}: truncated")


@pytest.mark.usefixtures("small_night")
def test_file_whose_header_is_cut_off_may_be_a_science_frame(raw):
    (raw / "cut.fits").write_bytes((raw / "flat0.fits").read_bytes()[:500])
    (file,) = plan_night(raw, **CAMERA).unused
    assert (file.kind, file.lost) == ("", True)


@pytest.mark.usefixtures("small_night")
def test_notes_of_astropy_on_a_wcs_do_not_come_with_each_file(raw, tmp_path, caplog):
    # Coefficients of a distortion without a name for it.
    sip = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6, "B_2_0": 1e-6}
    set_everywhere(raw, CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=250.0, CRVAL2=36.0, **sip)
    set_everywhere(raw, CRPIX1=8.0, CRPIX2=8.0, CDELT1=-1e-4, CDELT2=1e-4)
    set_everywhere(raw, **{"DATE-OBS": "24/05/13"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    said = [remark for remark in summary.remarks if "SIP" in remark]
    # They are applied, and the header of the result says so.
    assert said == [record for record in caplog.records if "SIP" in record.getMessage()] == []
    assert fits.getheader(summary.frames[0].path)["CTYPE1"] == "RA---TAN-SIP"


@pytest.mark.usefixtures("small_night")
def test_no_message_says_the_name_of_a_file_twice(raw, write_raw, tmp_path, monkeypatch):
    from astro_calib.night.tasks import make

    write_raw("full.fits", "LIGHT", FILTER="V", level=65535)
    write_raw("dim.fits", "FLAT", FILTER="V", level=900)
    write_raw("gone.fits", "LIGHT", FILTER="V", level=1400)
    original = make.reduce_science

    def removed(frame, *arguments, **options):
        if frame.name == "gone":
            (raw / "gone.fits").write_bytes(b"SIMPLE")
        return original(frame, *arguments, **options)

    monkeypatch.setattr(make, "reduce_science", removed)
    summary = reduce_night(raw, tmp_path / "out", **CAMERA, **QUICK)
    files = [*summary.failures, *summary.unused]
    assert {file.path.name for file in files} >= {"gone.fits", "dim.fits"}
    for file in files:
        assert str(file).count(file.path.name) == 1


# -- real frames -----------------------------------------------------------------------------------------------------


def real(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"the real frames in ../shared/data/{name} are not part of a checkout")
    return DATA / name


def test_real_bias_that_is_called_a_dark():
    plan = plan_night(real("huntsman"), gain=1, read_noise=3)
    assert [frame.path.name for frame in plan.biases] == ["bias_0.fits.gz"]
    assert [frame.path.name for frame in plan.of_kind("dark")] == ["dark_0.fits.gz"]
    assert "bias_0.fits.gz: a bias by its header, although EXPTIME=1e-32" in plan.remarks


def test_finished_master_among_the_raw_frames_is_named_once(tmp_path):
    with pytest.raises(FrameError, match="nothing to calibrate with") as caught:
        reduce_night(real("aspen"), tmp_path, gain=1.0, read_noise=5.0, **QUICK)
    (line,) = [line for line in str(caught.value).splitlines() if "is a stack (COMBINED=T)" in line]
    assert "--masters" in line
    assert str(caught.value).count("combined_bias.fit.gz") == 1


def test_real_frame_in_data_values(raw, write_raw):
    path = real("odd") / "bunit-data-value.fits.gz"
    shape = fits.getdata(path).shape
    write_raw("bias.fits", "BIAS", shape=shape)
    with pytest.raises(FrameError, match=r"BUNIT='Data Value': .*--unit adu"):
        plan_night([raw, path], **CAMERA)
    plan = plan_night([raw, path], unit="adu", **CAMERA)
    assert [frame.path for frame in plan.science] == [path]
    assert str(CCDFrame.read(path, unit="adu").unit) == "adu"
