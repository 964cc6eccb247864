"""Instrument profiles: what they recognise, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from astropy.io import fits

from astro_calib.errors import ProfileError
from astro_calib.night import builtin_profiles, load_profile
from astro_calib.night.profiles import profile as profile_module


def header(**cards):
    return fits.Header(list(cards.items()))


@pytest.fixture
def write(tmp_path):
    """Write a profile and return its path."""

    def write_profile(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_profile


def test_built_in_profiles():
    assert set(builtin_profiles()) >= {"generic", "nickel"}
    for name in builtin_profiles():
        assert load_profile(name).name == name


# Spellings from the documents of MaxIm DL, IRAF, NINA, SharpCap, LCO, NOAO, SAAO, Siril.
@pytest.mark.parametrize(
    ("cards", "kind"),
    [
        ({"IMAGETYP": "Bias Frame"}, "bias"),
        ({"IMAGETYP": "ZERO"}, "bias"),
        ({"IMAGETYP": "zero    "}, "bias"),
        ({"OBSTYPE": "BIAS"}, "bias"),
        ({"FRAME": "Bias"}, "bias"),
        ({"IMAGETYP": "Dark Frame", "EXPTIME": 0.0}, "bias"),
        ({"IMAGETYP": "Dark Frame", "EXPTIME": 30.0}, "dark"),
        ({"IMAGETYP": "dark", "EXPOSURE": 30.0}, "dark"),
        ({"IMAGETYP": "Flat Field"}, "flat"),
        ({"IMAGETYP": "FLAT"}, "flat"),
        ({"OBSTYPE": "SKYFLAT"}, "flat"),
        ({"IMAGETYP": "dome flat"}, "flat"),
        ({"IMAGETYP": "sky_flat"}, "flat"),
        ({"IMAGETYP": "Light Frame"}, "science"),
        ({"IMAGETYP": "LIGHT"}, "science"),
        ({"IMAGETYP": "object    "}, "science"),
        ({"OBSTYPE": "EXPOSE"}, "science"),
        ({"IMAGETYP": "focus"}, "ignore"),
        ({"IMAGETYP": "comp"}, "ignore"),
        ({"IMAGETYP": "Master Bias"}, None),
        ({"OBJECT": "M 13"}, None),
    ],
)
def test_generic_profile_knows_the_usual_spellings(cards, kind):
    assert load_profile("generic").kind(header(**cards)) == kind


@pytest.mark.parametrize(
    ("cards", "kind"),
    [
        ({"OBSTYPE": "DARK", "EXPTIME": 0, "OBJECT": "bias"}, "bias"),
        ({"OBSTYPE": "DARK", "EXPTIME": 300}, "dark"),
        ({"OBSTYPE": "OBJECT", "EXPTIME": 4, "OBJECT": "sky flat"}, "flat"),
        ({"OBSTYPE": "OBJECT", "EXPTIME": 4, "OBJECT": "Sky Flat V"}, "flat"),
        ({"OBSTYPE": "OBJECT", "EXPTIME": 60, "OBJECT": "NGC_4147"}, "science"),
        ({"EXPTIME": 60, "OBJECT": "NGC_4147"}, None),
    ],
)
def test_nickel_profile_copes_with_headers_without_imagetyp(cards, kind):
    assert load_profile("nickel").kind(header(**cards)) == kind


def test_nickel_profile_does_not_trust_the_gain_of_the_header():
    nickel = load_profile("nickel")
    # Nor does it state one: both numbers are measured from the frames of each night.
    assert (nickel.gain, nickel.read_noise, nickel.saturation) == (None, None, 65000)
    assert nickel.keywords["gain"] == ()
    assert not nickel.darks_expected
    assert nickel.overscan_axis == (0, 1)


def test_a_profile_of_two_lines_is_enough(write):
    profile = load_profile(write("[detector]\ngain = 1.5\nread_noise = 8\n", "mountain.toml"))
    assert (profile.name, profile.gain, profile.read_noise) == ("mountain", 1.5, 8.0)
    assert profile.kind(header(IMAGETYP="Bias Frame")) == "bias"


def test_the_example_in_the_documentation_is_valid_and_complete(write):
    text = profile_module.__doc__.partition("A complete one")[2].partition("::\n")[2].partition("\nText is")[0]
    profile = load_profile(write("\n".join(line[4:] for line in text.splitlines())))
    assert profile.name == "mountain"
    assert profile.bad == ("[257:257, 1:1024]",)
    assert profile.kind(header(OBSTYPE="DARK", EXPTIME=0)) == "bias"
    assert profile.kind(header(OBSTYPE="DARK", EXPTIME=5)) == "dark"
    assert profile.kind(header(OBSTYPE="OBJECT", OBJECT="dome flat R")) == "flat"
    assert profile.kind(header(OBSTYPE="OBJECT", OBJECT="Focus 3")) == "ignore"
    assert profile.kind(header(OBSTYPE="OBJECT", OBJECT="M 1")) == "science"


def test_a_range_and_any_of_several_and_wildcards(write):
    profile = load_profile(
        write(
            """
            [bias]
            MODE = ["b?as", "zero*"]
            [dark]
            TEMP = { above = -20.5, below = -10 }
            [flat]
            LAMP = true
            [science]
            MODE = "[x]"
            """
        )
    )
    assert profile.kind(header(MODE="Bias")) == "bias"
    assert profile.kind(header(MODE="zero-3")) == "bias"
    assert profile.kind(header(MODE="bas")) is None
    assert profile.kind(header(TEMP=-15.0)) == "dark"
    assert profile.kind(header(TEMP="-15")) == "dark"
    assert profile.kind(header(TEMP=-20.5)) is None
    assert profile.kind(header(LAMP=True)) == "flat"
    assert profile.kind(header(LAMP=1)) is None
    # Brackets are letters like others: only * and ? stand for something else.
    assert profile.kind(header(MODE="[X]")) == "science"
    assert profile.kind(header(MODE="x")) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[detektor]\ngain = 1", "unknown key 'detektor' at the top; did you mean 'detector'?"),
        ("[detector]\ngian = 1", "unknown key 'gian' in [detector]; did you mean 'gain'?"),
        ("[keywords]\nexptime = 'EXPTIME'", "unknown key 'exptime' in [keywords]"),
        ("[detector]\ngain = 0", "detector.gain is 0; it must be a number above 0"),
        ("[detector]\ngain = -1.5", "detector.gain is -1.5; it must be a number above 0"),
        ("[detector]\ngain = '1.5'", "detector.gain is '1.5'; it must be a number above 0"),
        ("[detector]\ngain = nan", "detector.gain is nan; it must be a number above 0"),
        ("[detector]\ngain = true", "detector.gain is True; it must be a number above 0"),
        ("[detector]\nread_noise = -1", "detector.read_noise is -1; it must be a number, 0 or above 0"),
        ("[detector]\ngain_uncertainty = 0.1", "it needs detector.gain beside it"),
        ("[detector]\noverscan = '1025:1056'", "detector.overscan: '1025:1056' is not a section"),
        ("[detector]\noverscan = '[1025:1056]'", "expected two ranges, columns first"),
        ("[detector]\ntrim = '[1:a, 1:10]'", "detector.trim: '[1:a, 1:10]' is not a section"),
        ("[detector]\ntrim = '[10:1, 1:10]'", "detector.trim: '[10:1, 1:10]' is not a section"),
        ("[detector]\ntrim = 5", "detector.trim is 5; it must be a section"),
        ("[detector]\nbad = '[1:1, 1:5]'", "detector.bad is '[1:1, 1:5]'; it must be a list of sections"),
        ("[detector]\nbad = ['[0:1, 1:5]']", "detector.bad: '[0:1, 1:5]' is not a section"),
        ("[detector]\noverscan_level = 'pixel'", "it must be one of frame, row, column"),
        ("[detector]\ndarks_expected = 'no'", "detector.darks_expected is 'no'; it must be true or false"),
        ("detector = 5", "detector is 5; it must be a table, [detector]"),
        ("name = 5", "name is 5; it must be text in quotes"),
        ("[keywords]\nfilter = 5", "keywords.filter is 5; it must be a header keyword in capitals"),
        ("[keywords]\nfilter = ['filter']", "it must be a header keyword in capitals"),
        ("bias = 'zero'", "bias is 'zero'; it must be a table [bias]"),
        ("[bias]", "bias is {}; it must be a table [bias] with at least one line"),
        ("[bias]\nobstype = 'BIAS'", "a key of [bias] is 'obstype'; it must be a header keyword in capitals"),
        ("[bias]\nOBSTYPE = []", "bias.OBSTYPE is []; the list must not be empty"),
        ("[bias]\nEXPTIME = { over = 1 }", "bias.EXPTIME is {'over': 1}; it must be text, a number"),
        ("[bias]\nEXPTIME = { above = 'x' }", "bias.EXPTIME is {'above': 'x'}"),
        ("gain = = 1", "is not valid TOML"),
    ],
)
def test_errors_name_the_file_the_key_what_was_found_and_what_is_allowed(write, text, message):
    path = write(text)
    with pytest.raises(ProfileError, match=re.escape(message)) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)


def test_unknown_profile_names_those_that_exist():
    with pytest.raises(ProfileError, match=r"no profile 'nikcel'; built in are generic, .*nickel"):
        load_profile("nikcel")


def test_missing_file_and_binary_file(tmp_path):
    with pytest.raises(ProfileError, match=r"nowhere\.toml cannot be read: No such file"):
        load_profile(tmp_path / "nowhere.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match=r"binary\.toml is not valid TOML"):
        load_profile(binary)


def test_a_name_is_never_a_path_out_of_the_built_in_profiles():
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile("../profiles/generic")
    assert not Path("../profiles/generic").exists()
