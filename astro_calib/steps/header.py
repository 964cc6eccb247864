"""What a header says of a raw frame, and is no longer true of what the steps of a calibration make of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

__all__ = ["forget_encoding", "forget_levels", "forget_sections", "note_electrons"]

#: How the numbers were kept in the file. The file that is written has its own.
ENCODING = re.compile(r"BLANK|BZERO|BSCALE")
#: Where parts of the frame are, counted in its own pixels or in those of the detector.
SECTIONS = re.compile(
    r"(?:BIAS|TRIM|DATA|CCD|AMP|DET|ORIG|IMAGE?|OVER)SEC\d*|[ABCDT]SEC\d*[A-Z]?|LTV\d|LTM\d_\d|"
    r"PRESCAN|OVERSCAN|OVRSCAN\d?|POSTSCAN|[XY]ORGSUBF"
)
#: Numbers of the digitiser, pedestal included: where pixels saturate, the response bends, and what the image spans.
LEVELS = re.compile(
    r"SATURATE|SATLEVEL|SATURATI|SATURAT|MAXADU|MAXLIN|LINLIMIT|NONLIN|DATAM(?:IN|AX)|GOODM(?:IN|AX)|"
    r"CBLACK|CWHITE|PEDESTAL|ZEROLEV"
)
#: Electrons per adu; GAIN and its like may also be the number of an amplifier's setting.
ELECTRONS_PER_ADU = re.compile(r"EGAIN\d*|E_GAIN|ADUGAIN")
GAIN_OR_SETTING = re.compile(r"(?:CCD|DET|ATOD)?GAIN(?:\d+|[A-D])?")
#: How comments say that a gain is no setting.
ELECTRONS = re.compile(r"e-|e/|elec|\be\b.*\b(?:adu|dn)\b", re.IGNORECASE)
#: Gains that differ by less than this part are the same.
SAME_GAIN = 0.01


def forget_encoding(meta: MutableMapping[str, Any]) -> None:
    """Take out how the numbers were kept in the raw file."""
    _forget(meta, ENCODING)


def forget_sections(meta: MutableMapping[str, Any], keywords: Iterable[str] = ()) -> None:
    """Take out where overscan and data were: the frame is cut, or past the steps that ask for them."""
    _forget(meta, SECTIONS, keywords)


def forget_levels(meta: MutableMapping[str, Any], keywords: Iterable[str] = ()) -> None:
    """Take out levels in adu of a frame from which its pedestal was subtracted, or that is not in adu any more."""
    _forget(meta, LEVELS, keywords)


def note_electrons(
    meta: MutableMapping[str, Any],
    gains: Iterable[float],
    *,
    named: Iterable[str] = (),
    levels: Iterable[str] = (),
    sections: Iterable[str] = (),
) -> None:
    """
    Make a header that of a frame in electrons: whoever converts it by its gain leaves it as it is.

    Parameters
    ----------
    meta : header or dict
        Is changed.
    gains : iterable of float
        By which the frame was multiplied, in electron/adu.
    named, levels, sections : iterable of str
        Keywords of electrons per adu, of levels in adu and of sections, besides the usual ones.

    Notes
    -----
    A GAIN that is the number of a setting stays. It is one if there is an EGAIN, or if it is a whole number, is not the
    gain that was applied, and its comment does not speak of electrons. An EGAIN of 1 stands beside it then.
    """
    forget_encoding(meta)
    forget_sections(meta, sections)
    forget_levels(meta, levels)
    applied, known = list(gains), {keyword.upper() for keyword in named}
    names = dict.fromkeys(str(keyword) for keyword in meta)
    ambiguous = [name for name in names if GAIN_OR_SETTING.fullmatch(name.upper())]
    exact = [name for name in names if ELECTRONS_PER_ADU.fullmatch(name.upper()) or name.upper() in known]
    exact = [name for name in exact if name not in ambiguous]
    settings = []
    for name in ambiguous:
        (
            settings if _is_setting(meta, name, applied, beside=any(one not in ambiguous for one in exact)) else exact
        ).append(name)
    for name in exact:
        _set(meta, name, 1.0, "electron per unit of this frame; see HISTORY")
    if settings and not exact:
        _set(meta, "EGAIN", 1.0, "electron per unit of this frame; see HISTORY")
    if "BUNIT" in meta:
        _set(meta, "BUNIT", "electron", "")


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
    meta[name] = (value, comment) if comment and hasattr(meta, "comments") else value


def _forget(meta: MutableMapping[str, Any], pattern: re.Pattern[str], keywords: Iterable[str] = ()) -> None:
    known = {keyword.upper() for keyword in keywords}
    for name in [str(name) for name in meta]:
        if (pattern.fullmatch(name.upper()) or name.upper() in known) and name in meta:
            del meta[name]
