"""What a header says of a raw frame, and is no longer true of what the steps of a calibration make of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.detector.sections import OF_SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

__all__ = [
    "forget_encoding",
    "forget_levels",
    "forget_sections",
    "is_gain_or_setting",
    "note_binning",
    "note_electrons",
    "note_gain_of_one",
    "note_larger_pixels",
]

#: How the numbers were kept in the file. The file that is written has its own.
ENCODING = re.compile(r"BLANK|BZERO|BSCALE")
#: Numbers of the digitiser, pedestal included: where pixels saturate, the response bends, and what the image spans.
LEVELS = re.compile(
    r"SATURATE|SATLEVEL|SATURATI|SATURAT|MAXADU|MAXLIN|LINLIMIT|NONLIN|DATAM(?:IN|AX)|GOODM(?:IN|AX)|"
    r"CBLACK|CWHITE|PEDESTAL|ZEROLEV"
)
#: How many columns and how many rows were read out as one, and where both stand, such as "2 2".
BINNINGS = (("XBINNING", "CCDXBIN", "CCDBIN1"), ("YBINNING", "CCDYBIN", "CCDBIN2"))
BINNINGS_OF_BOTH = ("CCDSUM", "BINNING")
#: What they say of pixels that were read out one by one.
BY_ONE = re.compile(r"1(?:\.0*)?(?:\D+1(?:\.0*)?)?")
#: Pixels on the sensor and on the sky, across columns and across rows; those of both in the third.
SIZES = (("XPIXSZ",), ("YPIXSZ",), ("SECPIX", "PIXSCALE", "PIXSCAL"))
#: Electrons per adu; GAIN and its like may also be the number of an amplifier's setting.
ELECTRONS_PER_ADU = re.compile(r"EGAIN\d*|E_GAIN|ADUGAIN")
GAIN_OR_SETTING = re.compile(r"(?:CCD|DET|ATOD)?GAIN(?:\d+|[A-D])?")
#: How comments say that a gain is no setting.
ELECTRONS = re.compile(r"e-|e/|elec|\be\b.*\b(?:adu|dn)\b", re.IGNORECASE)
GAIN_OF_ONE = "electron per unit of this frame; see HISTORY"
#: Gains that differ by less than this part are the same.
SAME_GAIN = 0.01


def forget_encoding(meta: MutableMapping[str, Any]) -> None:
    """Take out how the numbers were kept in the raw file."""
    _forget(meta, ENCODING)


def forget_sections(meta: MutableMapping[str, Any], keywords: Iterable[str] = ()) -> None:
    """Take out where overscan and data were: the frame is cut, or past the steps that ask for them."""
    _forget(meta, OF_SECTIONS, keywords)


def forget_levels(meta: MutableMapping[str, Any], keywords: Iterable[str] = ()) -> None:
    """Take out levels in adu of a frame from which its pedestal was subtracted, or that is not in adu any more."""
    _forget(meta, LEVELS, keywords)


def note_electrons(meta: MutableMapping[str, Any], gains: Iterable[float]) -> None:
    """
    Make a header that of a frame in electrons: whoever converts it by its gain leaves it as it is.

    Parameters
    ----------
    meta : header or dict
        Is changed.
    gains : iterable of float
        By which the frame was multiplied, in electron/adu.

    Notes
    -----
    A GAIN that is the number of a setting stays, with an EGAIN of 1 beside it. It is one if it is not the gain that was
    applied, its comment does not speak of electrons, and there is an EGAIN or it is a whole number.
    """
    forget_encoding(meta)
    forget_sections(meta)
    forget_levels(meta)
    applied = list(gains)
    names = list(dict.fromkeys(str(keyword) for keyword in meta))
    certain = [name for name in names if ELECTRONS_PER_ADU.fullmatch(name.upper())]
    ambiguous = [name for name in names if GAIN_OR_SETTING.fullmatch(name.upper())]
    settings = [name for name in ambiguous if _is_setting(meta, name, applied, beside=bool(certain))]
    note_gain_of_one(meta, [*certain, *(name for name in ambiguous if name not in settings)])
    if settings and not certain:
        _set(meta, "EGAIN", 1.0, GAIN_OF_ONE)
    if "BUNIT" in meta:
        meta["BUNIT"] = "electron"


def note_gain_of_one(meta: MutableMapping[str, Any], keywords: Iterable[str]) -> None:
    """Say that the frame is in electrons where the header says how many electrons an adu has."""
    for keyword in keywords:
        if keyword in meta:
            _set(meta, keyword, 1.0, GAIN_OF_ONE)


def binning_cards(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return the cards that say that pixels were read out together."""
    told = {keyword: str(meta.get(keyword, "")).strip() for axis in (*BINNINGS, BINNINGS_OF_BOTH) for keyword in axis}
    return {keyword: value for keyword, value in told.items() if value and not BY_ONE.fullmatch(value)}


def note_binning(meta: MutableMapping[str, Any], columns: int, rows: int) -> None:
    """Say how many pixels were added up to one, beside those that were read out as one."""
    known = False
    for keywords, factor in zip(BINNINGS, (columns, rows), strict=True):
        for keyword in keywords:
            match = re.fullmatch(r"(\d+)(?:\.0*)?", str(meta.get(keyword, "")).strip())
            if match is not None:
                meta[keyword] = int(match[1]) * factor
                known = True
    for keyword in BINNINGS_OF_BOTH:
        match = re.fullmatch(r"(\d+)(\D+)(\d+)", str(meta.get(keyword, "")).strip())
        if match is not None:
            meta[keyword] = f"{int(match[1]) * columns}{match[2]}{int(match[3]) * rows}"
            known = True
    if not known:
        for keyword, factor in (("XBINNING", columns), ("YBINNING", rows)):
            _set(meta, keyword, factor, "pixels that were added up to one")
    note_larger_pixels(meta, columns, rows)


def note_larger_pixels(meta: MutableMapping[str, Any], columns: int, rows: int) -> None:
    """Say that a pixel is as wide and as high as so many were; one number for both is left out if they differ."""
    for keywords, factor in zip(SIZES, (columns, rows, columns if columns == rows else 0), strict=True):
        for keyword in keywords:
            if keyword not in meta:
                continue
            try:
                size = float(meta[keyword])
            except (TypeError, ValueError):
                continue
            if factor:
                meta[keyword] = size * factor
            else:
                del meta[keyword]


def is_gain_or_setting(keyword: str) -> bool:
    """Whether a keyword is one under which some have electrons per adu, and others the number of a setting."""
    return GAIN_OR_SETTING.fullmatch(keyword.upper()) is not None


def _is_setting(meta: MutableMapping[str, Any], name: str, applied: Iterable[float], *, beside: bool) -> bool:
    try:
        value = float(meta[name])
    except (TypeError, ValueError):
        return True
    if any(abs(value - gain) <= SAME_GAIN * gain for gain in applied):
        return False
    comments = getattr(meta, "comments", None)
    if comments is not None and ELECTRONS.search(comments[name]):
        return False
    return beside or bool(value == np.round(value))


def _set(meta: MutableMapping[str, Any], name: str, value: Any, comment: str) -> None:
    meta[name] = (value, comment) if hasattr(meta, "comments") else value


def _forget(meta: MutableMapping[str, Any], pattern: re.Pattern[str], keywords: Iterable[str] = ()) -> None:
    known = {keyword.upper() for keyword in keywords}
    for name in [str(name) for name in meta]:
        if (pattern.fullmatch(name.upper()) or name.upper() in known) and name in meta:
            del meta[name]
