"""
What programs and observatories write into headers, and what is to come of it: a table for a test and for the pages.

``python -m tests.night.conventions`` prints the rows that docs/conventions.inc has.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CONVENTIONS", "Convention", "Frame", "page"]


@dataclass(frozen=True)
class Frame:
    """
    One file of a convention: what is in it in truth, its cards, its name, and what is to come of it.

    ``truth`` is one of bias, dark, flat, science; or arc, master and other for what is no frame to reduce. ``sentence``
    is a part of what is said of a file that is left out, or of a remark on one that is not.
    """

    truth: str
    cards: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    seconds: float | None = None
    filter: str = ""
    sentence: str = ""


@dataclass(frozen=True)
class Convention:
    """
    The files of one program or observatory, with what all of them have, and the gain in electron/adu that they tell.

    The profile ``generic`` believes a ``generic_gain`` that the profile for these headers does not.
    """

    who: str
    frames: tuple[Frame, ...]
    cards: dict[str, Any] = field(default_factory=dict)
    gain: float | None = None
    generic_gain: float | None = None
    saturation: float | None = None
    floats: bool = False


def four(
    keyword: str, words: tuple[str, str, str, str], exposure: str = "EXPTIME", name: str = "V", **wheel: Any
) -> tuple[Frame, ...]:
    """A bias, a dark, a flat and a science frame, told by one keyword; the filter as ``wheel`` says it."""
    bias, dark, flat, science = words
    return (
        Frame("bias", {keyword: bias, exposure: 0.0}, seconds=0.0),
        Frame("dark", {keyword: dark, exposure: 60.0}, seconds=60.0),
        Frame("flat", {keyword: flat, exposure: 5.0} | wheel, seconds=5.0, filter=name),
        Frame("science", {keyword: science, exposure: 60.0} | wheel, seconds=60.0, filter=name),
    )


def by_names(
    names: tuple[str, str, str, str], said: str, filter_name: str = "", exposure: str = "EXPTIME", **wheel: Any
) -> tuple[Frame, ...]:
    """The same, told by the names of files or folders only."""
    kinds = ("bias", "dark", "flat", "science")
    seconds = (0.0, 60.0, 5.0, 60.0)
    return tuple(
        Frame(
            kind,
            {exposure: time} | (wheel if kind in ("flat", "science") else {}),
            name=name,
            seconds=time,
            filter=filter_name if kind in ("flat", "science") else "",
            sentence=said,
        )
        for kind, name, time in zip(kinds, names, seconds, strict=True)
    )


#: What the page calls the name of a file.
FILE = "file"
UPPER = ("BIAS", "DARK", "FLAT", "LIGHT")
FRAMES = ("Bias Frame", "Dark Frame", "Flat Field", "Light Frame")
OBJECTS = ("zero", "dark", "flat", "object")
BY_NAME = "for its header does not tell what it is"
ASI = {"INSTRUME": "ZWO ASI294MC Pro", "GAIN": 120}

CONVENTIONS = (
    Convention(
        "MaxIm DL",
        (
            *four("IMAGETYP", FRAMES, name="SII", FILTER="SII"),
            Frame("science", {"IMAGETYP": "Tricolor Image", "EXPTIME": 9.0, "FILTER": "R"}, seconds=9.0, filter="R"),
        ),
        {"SWCREATE": "MaxIm DL Version 5.24", "INSTRUME": "Apogee USB/Net", "READOUTM": "Monochrome", "PEDESTAL": -100},
    ),
    Convention(
        "MaxIm DL, flats by their longer name",
        four("IMAGETYP", ("Bias Frame", "Dark Frame", "Flat Field Frame", "Light Frame"), "EXPOSURE", "B", FILTER="B"),
        {"SWCREATE": "MaxIm DL Version 6.18"},
    ),
    Convention(
        "Sequence Generator Pro",
        four("IMAGETYP", UPPER, "EXPOSURE", "HaOIII", FILTER="HaOIII"),
        {**ASI, "CREATOR": "Sequence Generator Pro v3.1.0.479", "EGAIN": 3.99, "OFFSET": 30},
        generic_gain=3.99,
    ),
    Convention(
        "Sequence Generator Pro, with a WCS",
        four("IMAGETYP", UPPER, "EXPOSURE", "HaOIII", FILTER="HaOIII"),
        {
            **ASI,
            "CREATOR": "Sequence Generator Pro v3.1.0.479",
            "EGAIN": 3.99,
            "OFFSET": 30,
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CRVAL1": 283.4,
            "CRVAL2": 33.0,
            "CRPIX1": 150.0,
            "CRPIX2": 100.0,
            "CDELT1": -1e-4,
            "CDELT2": 1e-4,
        },
        generic_gain=3.99,
    ),
    Convention(
        "N.I.N.A.",
        (
            *four("IMAGETYP", UPPER, name="L", FILTER="L"),
            Frame("dark", {"IMAGETYP": "DARKFLAT", "EXPTIME": 5.0}, seconds=5.0),
            Frame("science", {"IMAGETYP": "SNAPSHOT", "EXPTIME": 2.0, "FILTER": "L"}, seconds=2.0, filter="L"),
        ),
        {
            **ASI,
            "SWCREATE": "N.I.N.A. 1.10.2.90",
            "EGAIN": 1.00224,
            "OFFSET": 30,
            "USBLIMIT": 40,
            "ROWORDER": "TOP-DOWN",
        },
        gain=1.00224,
    ),
    Convention(
        "N.I.N.A., colour camera",
        (
            *four("IMAGETYP", UPPER, name="")[:3],
            Frame("science", {"IMAGETYP": "LIGHT", "EXPTIME": 30.0}, seconds=30.0, sentence="reduced as one plane"),
        ),
        {**ASI, "SWCREATE": "N.I.N.A. 3.1", "EGAIN": 1.00224, "OFFSET": 30, "BAYERPAT": "RGGB"},
        gain=1.00224,
    ),
    Convention(
        "Astro Photography Tool",
        four("IMAGETYP", ("Bias Frame", "Dark Frame", "Flat Frame", "Light Frame"), name=""),
        {**ASI, "SWCREATE": "Astro Photography Tool - APT v.3.54.1", "EGAIN": 1.00224},
        gain=1.00224,
    ),
    Convention(
        "SharpCap, in folders",
        by_names(("bias/a_1.fits", "darks/a_2.fits", "flats/a_3.fits", "lights/a_4.fits"), BY_NAME),
        {"SWCREATE": "SharpCap", "INSTRUME": "ZWO ASI290MM Mini", "CCD-TEMP": 12.7},
    ),
    Convention(
        "SharpCap, by names of files",
        by_names(("Bias_00001.fits", "Dark_00001.fits", "Flat_00001.fits", "Light_00001.fits"), BY_NAME),
        {"SWCREATE": "SharpCap", "INSTRUME": "ZWO ASI290MM Mini", "CCD-TEMP": 12.7},
    ),
    Convention(
        "SharpCap, where no name tells anything",
        (Frame("other", {"EXPTIME": 2.0}, name="21_33_05/Capture_00001.fits", sentence="--science with a pattern"),),
        {"SWCREATE": "SharpCap", "INSTRUME": "ZWO ASI290MM Mini", "CCD-TEMP": 12.7},
    ),
    Convention(
        "DWARF",
        (Frame("other", name="lights/raw_0001.fits", sentence="no exposure time"),),
        {"INSTRUME": "DWARFII", "GAIN": 110, "BAYERPAT": "GBRG"},
    ),
    Convention(
        "DWARF, with an exposure time",
        (Frame("science", {"EXPTIME": 15.0}, name="lights/raw_0001.fits", seconds=15.0, sentence=BY_NAME),),
        {"INSTRUME": "DWARFII", "GAIN": 110, "BAYERPAT": "GBRG"},
    ),
    Convention(
        "Seestar, single frames",
        (
            Frame(
                "science",
                {"IMAGETYP": "Light", "EXPTIME": 10.0, "FILTER": "IRCUT"},
                seconds=10.0,
                filter="IRCUT",
                sentence="reduced as one plane",
            ),
        ),
        {"CREATOR": "ZWO Seestar S50", "INSTRUME": "Seestar S50", "GAIN": 80, "BAYERPAT": "GRBG", "CCD-TEMP": 21.875},
    ),
    Convention(
        "Seestar, stacked",
        (
            Frame(
                "master", {"IMAGETYP": "Light", "EXPTIME": 10.0, "STACKCNT": 187}, sentence="is a stack (STACKCNT=187)"
            ),
        ),
        {"CREATOR": "ZWO Seestar S50", "INSTRUME": "Seestar S50", "GAIN": 80, "BAYERPAT": "GRBG", "TOTALEXP": 1870.0},
    ),
    Convention(
        "Astro Pixel Processor",
        (Frame("other", {"EXPTIME": 900.0, "GAIN": 0.0}, name="result.fits", sentence="--science with a pattern"),),
        floats=True,
    ),
    Convention(
        "Astro Pixel Processor, frames of a ZWO camera",
        (Frame("other", {"EXPTIME": 1.28}, name="result.fits", sentence="--science with a pattern"),),
        {"INSTRUME": "ZWO ASI294MC Pro", "GAIN": 120.0, "ROWORDER": "TOP-DOWN"},
        floats=True,
    ),
    Convention(
        "PixInsight, masters",
        (
            Frame(
                "master",
                {"IMAGETYP": "Master Light", "EXPTIME": "120.00"},
                sentence="is a master (IMAGETYP='Master Light')",
            ),
            Frame(
                "master",
                {"IMAGETYP": "Master Bias", "EXPTIME": "0.00"},
                sentence="is a master (IMAGETYP='Master Bias')",
            ),
        ),
        {"XBINNING": "1", "FILTER": "LP", "EGAIN": "3.62", "INSTRUME": "ZWO ASI183MC Pro"},
        floats=True,
    ),
    Convention(
        "PixInsight, calibrated frames",
        (Frame("master", {"IMAGETYP": "Light Frame", "EXPTIME": "120.00"}, sentence="fractions between 0 and 1"),),
        {"FILTER": "LP", "EGAIN": "3.62"},
        floats=True,
    ),
    Convention(
        "CCDSoft, TheSkyX",
        (
            Frame("bias", {"PICTTYPE": 2, "EXPTIME": 0.0}, seconds=0.0),
            Frame("dark", {"PICTTYPE": 3, "EXPTIME": 60.0}, seconds=60.0),
            Frame("flat", {"PICTTYPE": 4, "EXPTIME": 5.0, "FILTER": "V"}, seconds=5.0, filter="V"),
            Frame("science", {"PICTTYPE": 1, "EXPTIME": 60.0, "FILTER": "V"}, seconds=60.0, filter="V"),
        ),
    ),
    Convention(
        "CCDOPS",
        by_names(("bias-001.fit", "dark-001.fit", "flat-V-003.fit", "light-V-001.fit"), BY_NAME, "V", "EXPOSURE"),
        {"INSTRUME": "SBIG ST-8"},
    ),
    Convention(
        "Andor Solis",
        by_names(("bias_1.fits", "dark_1.fits", "flat_1.fits", "science_1.fits"), BY_NAME, exposure="EXPOSURE"),
        {"FRAME": "Thu Jul 04 21:13:02 2024", "HEAD": "DU888_BV", "PREAMP": 1.0},
    ),
    Convention(
        "INDI (Ekos, CCDciel)",
        four("FRAME", ("Bias", "Dark", "Flat", "Light"), name="R", FILTER="R"),
        {"INSTRUME": "SBIG CCD", "XBINNING": 3, "YBINNING": 3},
    ),
    Convention(
        "PANOPTES, Huntsman",
        (
            Frame(
                "bias", {"IMAGETYP": "Dark Frame", "EXPTIME": 1e-32, "FIELD": "Bias"}, seconds=0.0, sentence="although"
            ),
            Frame("dark", {"IMAGETYP": "Dark Frame", "EXPTIME": 300, "FIELD": "Dark"}, seconds=300.0),
            Frame(
                "flat",
                {"IMAGETYP": "Light Frame", "EXPTIME": 3, "FIELD": "FlatDither00", "FILTER": "g_band"},
                seconds=3.0,
                filter="g_band",
                sentence="taken for a flat",
            ),
            Frame(
                "science",
                {"IMAGETYP": "Light Frame", "EXPTIME": 300, "FIELD": "Dorado-p0", "FILTER": "g_band"},
                seconds=300.0,
                filter="g_band",
            ),
        ),
        {"EGAIN": 1.1447, "BITDEPTH": 16, "CAM-GAIN": 100},
        gain=1.1447,
        saturation=65535.0,
    ),
    Convention(
        "IRAF, NOAO",
        (*four("IMAGETYP", OBJECTS, name="B", FILTERS="B"), Frame("arc", {"IMAGETYP": "comp", "EXPTIME": 9.0})),
        {"GAIN": (2, "electrons per ADU"), "RDNOISE": 4.0},
        gain=2.0,
    ),
    Convention(
        "KPNO",
        four("OBSTYPE", ("zero", "dark", "dome flat", "object"), name="R k1004", FILTER="R k1004"),
        {"GAIN": 2.7, "RDNOISE": 6.0},
        gain=2.7,
    ),
    Convention(
        "KPNO, sky and projector flats",
        (
            Frame("flat", {"OBSTYPE": "sky flat", "EXPTIME": 5.0, "FILTER": "R"}, seconds=5.0, filter="R"),
            Frame("flat", {"OBSTYPE": "projector flat", "EXPTIME": 6.0, "FILTER": "R"}, seconds=6.0, filter="R"),
        ),
    ),
    Convention(
        "Lick, Nickel",
        (
            Frame("bias", {"OBSTYPE": "DARK", "EXPTIME": 0, "FILTNAM": "B"}, seconds=0.0),
            Frame(
                "flat",
                {"OBSTYPE": "OBJECT", "OBJECT": "sky flat", "EXPTIME": 4, "FILTNAM": "V"},
                seconds=4.0,
                filter="V",
                sentence="taken for a flat",
            ),
            Frame(
                "science",
                {"OBSTYPE": "OBJECT", "OBJECT": "NGC_4147", "EXPTIME": 60, "FILTNAM": "V"},
                seconds=60.0,
                filter="V",
            ),
        ),
        {"GAIN": (1, "DCS GAIN INDEX")},
    ),
    Convention(
        "LCO",
        (
            *four("OBSTYPE", ("BIAS", "DARK", "SKYFLAT", "EXPOSE"), name="V", FILTER="V", FILTER1="air", FILTER2="V"),
            Frame("flat", {"OBSTYPE": "LAMPFLAT", "EXPTIME": 7.0, "FILTER": "V"}, seconds=7.0, filter="V"),
            Frame("arc", {"OBSTYPE": "ARC", "EXPTIME": 30.0}),
        ),
        {"GAIN": (1.0, "[electrons/count] Pixel gain"), "RDNOISE": 8.0, "SATURATE": 46000.0},
        gain=1.0,
        saturation=46000.0,
    ),
    Convention(
        "ESO",
        (
            *four(
                "HIERARCH ESO DPR TYPE",
                ("BIAS", "DARK", "FLAT,SKY", "OBJECT"),
                name="V#641",
                **{"HIERARCH ESO INS FILT1 NAME": "V#641"},
            ),
            Frame(
                "flat",
                {"HIERARCH ESO DPR TYPE": "FLAT,DOME", "EXPTIME": 6.0, "HIERARCH ESO INS FILT1 NAME": "V#641"},
                seconds=6.0,
                filter="V#641",
            ),
            Frame("arc", {"HIERARCH ESO DPR TYPE": "WAVE,LAMP", "EXPTIME": 8.0}),
        ),
        {"HIERARCH ESO DET OUT1 CONAD": 2.19, "HIERARCH ESO DET OUT1 GAIN": 0.46},
        gain=2.19,
    ),
    Convention(
        "Subaru",
        (
            *four("DATA-TYP", ("BIAS", "DARK", "DOMEFLAT", "OBJECT"), name="SCFCFLBV01", FILTER01="SCFCFLBV01"),
            Frame("arc", {"DATA-TYP": "COMPARISON", "EXPTIME": 8.0}),
        ),
        {"GAIN": (3.2, "AD conversion factor [electron/ADU]")},
        gain=3.2,
    ),
    Convention(
        "Keck archive",
        (
            *four("KOAIMTYP", ("bias", "dark", "flatlamp", "object"), "ELAPTIME", "V", FILTER="V"),
            Frame("arc", {"KOAIMTYP": "arclamp", "ELAPTIME": 8.0}),
        ),
    ),
    Convention(
        "Isaac Newton Group, wide field camera",
        four("OBSTYPE", ("BIAS", "DARK", "FLAT", "TARGET"), name="Harris V", WFFBAND="Harris V"),
        {"GAIN": 2.8, "READNOIS": 7.7},
        gain=2.8,
    ),
    Convention(
        "Nordic Optical Telescope",
        (
            *four("IMAGETYP", ("BIAS", "DARK", "FLAT,SKY", "OBJECT"), name="V_Bes 530_80", FAFLTNM="V_Bes 530_80"),
            Frame(
                "flat",
                {"IMAGETYP": "FLAT,SKY", "EXPTIME": 7.0, "FAFLTNM": "Open", "ALFLTNM": "R_Bes 650_130"},
                seconds=7.0,
                filter="R_Bes 650_130",
            ),
        ),
        {"GAIN": 0.16, "RDNOISE": 4.3},
        gain=0.16,
    ),
    Convention(
        "Filters under INSFLNAM, gain under CCDSENS",
        four("IMAGETYP", ("bias", "dark", "flat", "science"), "EXP", "r Sloan", INSFLNAM="r Sloan"),
        {"CCDSENS": 0.97, "CCDRON": 3.5},
        gain=0.97,
    ),
    Convention(
        "Gemini",
        (
            *four("OBSTYPE", ("BIAS", "DARK", "FLAT", "OBJECT"), name="r_G0303", FILTER1="open1-6", FILTER2="r_G0303"),
            Frame("arc", {"OBSTYPE": "ARC", "EXPTIME": 8.0}),
        ),
    ),
    Convention(
        "Two wheels",
        (
            Frame("bias", {"IMAGETYP": "Bias", "EXPTIME": 0.0}, seconds=0.0),
            Frame(
                "flat",
                {"IMAGETYP": "Flat", "EXPTIME": 5.0, "FILTER": "V", "FILTER2": "ND2"},
                seconds=5.0,
                filter="V+ND2",
            ),
            Frame(
                "flat", {"IMAGETYP": "Flat", "EXPTIME": 6.0, "FILTER": "V", "FILTER2": "Clear"}, seconds=6.0, filter="V"
            ),
            Frame(
                "science",
                {"IMAGETYP": "Light", "EXPTIME": 60.0, "FILTER": "V", "FILTER2": "Open"},
                seconds=60.0,
                filter="V",
            ),
        ),
    ),
    Convention("IMGTYPE", four("IMGTYPE", UPPER, "EXP_TIME", "V", FILTERID="V")),
    Convention("IMGTYP", four("IMGTYP", UPPER, "XPOSURE", "V", FILTNAME="V")),
    Convention(
        "CCDTYPE",
        four("CCDTYPE", ("BIAS", "DARK", "FLAT", "OBJECT"), "ITIME", "V", FILTER="V"),
        {"CCDGAIN": (7, "setting"), "CCDRON": 5.0},
    ),
    Convention(
        "FRMTYPE, milliseconds",
        (
            Frame("bias", {"FRMTYPE": "bias", "IMG_EXP": 0}, seconds=0.0),
            Frame("dark", {"FRMTYPE": "dark", "IMG_EXP": 60000}, seconds=60.0),
            Frame("flat", {"FRMTYPE": "flat", "IMG_EXP": 500, "FILTER": "V"}, seconds=0.5, filter="V"),
            Frame("science", {"FRMTYPE": "science", "IMG_EXP": 60000, "FILTER": "V"}, seconds=60.0, filter="V"),
        ),
    ),
    Convention(
        "CALTYPE beside OBSTYPE",
        (
            Frame("bias", {"OBSTYPE": "CALIB", "CALTYPE": "BIAS", "EXPTIME": 0.0}, seconds=0.0),
            Frame(
                "flat", {"OBSTYPE": "CALIB", "CALTYPE": "FLAT", "EXPTIME": 5.0, "FILTER": "V"}, seconds=5.0, filter="V"
            ),
            Frame("arc", {"OBSTYPE": "CALIB", "CALTYPE": "LAMP", "EXPTIME": 8.0}),
            Frame("science", {"OBSTYPE": "OBJECT", "EXPTIME": 60.0, "FILTER": "V"}, seconds=60.0, filter="V"),
        ),
    ),
    Convention(
        "EXPTYPE, Science Image",
        four("EXPTYPE", ("Bias Image", "Dark Image", "Flat Image", "Science Image"), name="V", FILTER="V"),
        {"DATAMAX": (65535.0, "saturation")},
        saturation=65535.0,
    ),
    Convention(
        "Darks for flats",
        (
            Frame("dark", {"IMAGETYP": "Dark Flat", "EXPTIME": 5.0}, seconds=5.0),
            Frame("dark", {"IMAGETYP": "FlatDark", "EXPTIME": 6.0}, seconds=6.0),
            Frame("flat", {"IMAGETYP": "Flat", "EXPTIME": 5.0, "FILTER": "V"}, seconds=5.0, filter="V"),
            Frame("science", {"IMAGETYP": "Light", "EXPTIME": 60.0, "FILTER": "V"}, seconds=60.0, filter="V"),
        ),
    ),
    Convention(
        "Darks for flats, by folders",
        (
            Frame("dark", {"EXPTIME": 5.0}, "dark flats/a1.fits", 5.0, sentence=BY_NAME),
            Frame("flat", {"EXPTIME": 5.0}, "flats/V/a2.fits", 5.0, "V", BY_NAME),
            Frame("science", {"EXPTIME": 60.0}, "lights/V/a3.fits", 60.0, "V", BY_NAME),
        ),
    ),
    Convention(
        "Kinds told by the object",
        (
            Frame(
                "bias",
                {"OBSTYPE": "OBJECT", "OBJECT": "bias", "EXPTIME": 0.0},
                seconds=0.0,
                sentence="taken for a bias",
            ),
            Frame(
                "dark",
                {"OBSTYPE": "OBJECT", "OBJECT": "dark", "EXPTIME": 60.0},
                seconds=60.0,
                sentence="taken for a dark",
            ),
            Frame(
                "flat",
                {"OBSTYPE": "OBJECT", "OBJECT": "dome flat V", "EXPTIME": 5.0, "FILTER": "V"},
                seconds=5.0,
                filter="V",
                sentence="taken for a flat",
            ),
            Frame(
                "science",
                {"OBSTYPE": "OBJECT", "OBJECT": "M 13", "EXPTIME": 60.0, "FILTER": "V"},
                seconds=60.0,
                filter="V",
            ),
        ),
    ),
    Convention(
        "Stacks of raw frames",
        (Frame("master", {"IMAGETYP": "BIAS", "EXPTIME": 0.0, "NCOMBINE": 9}, sentence="is a stack (NCOMBINE=9)"),),
    ),
    Convention(
        "Times with units",
        (
            Frame("flat", {"IMAGETYP": "FLAT", "EXPTIME": "500 ms", "FILTER": "V"}, seconds=0.5, filter="V"),
            Frame("science", {"IMAGETYP": "LIGHT", "EXPTIME": "1/4 s", "FILTER": "V"}, seconds=0.25, filter="V"),
            Frame(
                "science",
                {"IMAGETYP": "LIGHT", "EXPTIME": (250, "[ms] exposure"), "FILTER": "V"},
                seconds=0.25,
                filter="V",
            ),
        ),
    ),
)


def page() -> str:
    """The table as the documentation has it: a row for each convention, what is written and what comes of it."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 20 40 40",
        "",
        "   * - who, or what",
        "     - is written",
        "     - is taken for",
    ]
    for convention in CONVENTIONS:
        lines.append(f"   * - {convention.who}")
        lines += _cell([_written(cards) for cards in _several(convention)])
        lines += _cell(_outcomes(convention))
    return "\n".join(lines) + "\n"


def _several(convention: Convention) -> list[dict[str, Any]]:
    own = [frame.cards | ({FILE: frame.name} if frame.name else {}) for frame in convention.frames]
    return [*own, *([convention.cards] if convention.cards else [])]


def _written(cards: dict[str, Any]) -> str:
    shown = ((key, value[0] if isinstance(value, tuple) else value) for key, value in cards.items())
    return "; ".join(f"{key} ``{value}``" if key == FILE else f"``{key}`` {value}" for key, value in shown)


def _outcomes(convention: Convention) -> list[str]:
    return [*map(_outcome, convention.frames), *([_gain(convention)] if convention.cards else [])]


def _outcome(frame: Frame) -> str:
    if frame.truth == "arc":
        return "ignored: arc lamp"
    if frame.seconds is None:
        said = frame.sentence.replace(" (", ", ").rstrip(")")
        return f"left out: {said}" if said[0] != "-" else f"left out: nothing tells what it is; {said} of its name does"
    time = f", {frame.seconds:g} s" if frame.truth != "bias" else ""
    filter_name = f", filter {frame.filter}" if frame.filter else ""
    return f"{frame.truth}{time}{filter_name}{', with a remark' if frame.sentence else ''}"


def _gain(convention: Convention) -> str:
    gain = "no gain" if convention.gain is None else f"gain {convention.gain:g} electron/adu"
    return gain if convention.saturation is None else f"{gain}, saturation {convention.saturation:g}"


def _cell(lines: list[str]) -> list[str]:
    first, *rest = [f"| {line}" for line in lines]
    return [f"     - {first}", *(f"       {line}" for line in rest)]


if __name__ == "__main__":
    sys.stdout.write(page())
