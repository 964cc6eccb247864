"""The WCS of an image from its FITS header, and the header without it."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.detector.header_values import as_number
from astro_calib.errors import warn

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header
    from astropy.wcs import WCS

__all__ = ["WCS_KEYWORD", "header_and_wcs"]

#: Keywords that say where on the sky pixels are, in the first or another WCS of a header.
WCS_KEYWORD = re.compile(
    r"(WCSAXES|WCSNAME|LONPOLE|LATPOLE|(CTYPE|CRPIX|CRVAL|CDELT|CUNIT|CROTA|CNAME|CRDER|CSYER)\d+"
    r"|(CD|PC|PV|PS)\d+_\d+|[AB]P?_(ORDER|DMAX|\d+_\d+)|(CPDIS|CPERR|CQDIS|CQERR|DP|DQ|DET2IM|D2IMDIS|D2IMERR)\d?"
    r"|(DP|DQ|D2IM)\d(\..*)?)[A-Z]?"
)
#: The axes that such a keyword is about: of the world in the last number, or of both in a matrix.
OF_ONE_AXIS = re.compile(r"(?:CTYPE|CRPIX|CRVAL|CDELT|CUNIT|CROTA|CNAME|CRDER|CSYER)(\d+)[A-Z]?|P[VS](\d+)_\d+[A-Z]?")
OF_TWO_AXES = re.compile(r"(?:CD|PC)(\d+)_(\d+)([A-Z]?)")
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
#: Keywords that the WCS shares with the rest of the header.
SHARED = ("DATE-OBS", "MJD-OBS", "JD-OBS")


def header_and_wcs(header: Header, name: str, hdus: HDUList | None = None) -> tuple[Header, WCS | None]:
    """
    Return a header without its WCS, and the WCS of the image's own axes; None if there is none that can be used.

    A WCS that cannot be used is left out with a warning, and so are its keywords, which would be wrong once the image
    is cut. ``hdus`` hold the tables of distortion.
    """
    axes = max(int(header.get("NAXIS", 2)), 2)
    try:
        plain = _of_axes(header, axes)
        wcs, left_out = _parsed(plain, hdus)
        if wcs is None:
            return header, None
        described = wcs.to_header(relax=True)
    except Exception as error:  # noqa: BLE001  astropy and wcslib raise errors of any kind
        rest = header.copy()
        for keyword in {card.keyword for card in header.cards if WCS_KEYWORD.fullmatch(card.keyword)}:
            rest.remove(keyword, ignore_missing=True, remove_all=True)
        said = str(error.args[0] if error.args else error)
        reason = re.sub(r"ERROR \d+ in \w+\(\) at line \d+ of file \S+:", "", said)
        msg = f"{name}: its WCS is left out, because it cannot be used: {' '.join(reason.split()).rstrip('.')}."
        warn(msg)
        return rest, None
    if left_out:
        found = ", ".join(left_out)
        warn(f"{name}: {found} is left out: the WCS cannot be read with it.")
    rest = plain
    of_sip = re.compile(r"[AB]P?_\d+_\d+") if wcs.sip is not None else None
    for keyword in {card.keyword for card in rest.cards}:
        matrix = OF_TWO_AXES.fullmatch(keyword)
        # The WCS that astropy has is the first; others stay as they are.
        of_wcs = (keyword in described and keyword not in SHARED) or (matrix is not None and not matrix[3])
        if of_wcs or (of_sip is not None and of_sip.fullmatch(keyword)):
            rest.remove(keyword, ignore_missing=True, remove_all=True)
    return rest, wcs


def _of_axes(header: Header, number: int) -> Header:
    """The header without keywords of axes that the image does not have, such as that of a polarisation."""
    result = header.copy()
    for card in header.cards:
        one, two = OF_ONE_AXIS.fullmatch(card.keyword), OF_TWO_AXES.fullmatch(card.keyword)
        if one is not None and int(one[1] or one[2]) > number:
            result.remove(card.keyword, ignore_missing=True)
        elif two is not None and max(int(two[1]), int(two[2])) > number:
            if min(int(two[1]), int(two[2])) <= number and card.value not in (0, None):
                msg = f"it has more axes than the image, which depend on those of the image ({card.keyword})"
                raise ValueError(msg)
            result.remove(card.keyword, ignore_missing=True)
    for keyword in [keyword for keyword in result if re.fullmatch(r"WCSAXES[A-Z]?", keyword)]:
        if isinstance(result[keyword], int) and result[keyword] > number:
            result[keyword] = number
    return result


def _parsed(header: Header, hdus: HDUList | None) -> tuple[WCS | None, list[str]]:
    """
    The WCS of a header that is complete, and cards that it can do without; None if it does not begin to tell one.

    Numbers that are written as texts become numbers in the header.
    """
    if not any(str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2)):
        return None, []
    wcs, refused = _tried(header, hdus)
    left_out = []
    for keyword, complaint in refused.items():
        value = header.get(keyword)
        # An equinox may be written as J2000.
        number = as_number(re.sub(r"^[JB](?=\d{4})", "", value) if isinstance(value, str) else None)
        if number is not None and "floating-point" in complaint:
            header[keyword] = number
        elif WCS_KEYWORD.fullmatch(keyword):
            raise ValueError(complaint)
        else:
            if isinstance(value, (str, int, float)):
                left_out.append(f"{keyword}={value!r}")
            header.remove(keyword, ignore_missing=True, remove_all=True)
    if refused:
        wcs, refused = _tried(header, hdus)
        if refused:
            raise ValueError("; ".join(refused.values()))
    if not wcs.wcs.ctype[0]:
        return None, left_out
    axes = range(1, wcs.naxis + 1)
    matrix: Any = [[header.get(f"CD{i}_{j}", 0.0) for j in axes] for i in axes]
    # astropy takes one degree a pixel instead.
    if any(f"CD{i}_{j}" in header for j in axes for i in axes) and np.linalg.matrix_rank(matrix) < wcs.naxis:
        msg = "its matrix CD is singular"
        raise ValueError(msg)
    return wcs, left_out


def _tried(header: Header, hdus: HDUList | None) -> tuple[WCS, dict[str, str]]:
    """What astropy makes of a header, and what it says of each card that it takes no notice of."""
    from astropy.wcs import WCS

    header = _with_sip(header)
    if "DATE-OBS" in header and not ISO_DATE.match(str(header["DATE-OBS"])):
        # astropy reads 13/05/24 as a day of 1924.
        header = header.copy()
        header.remove("DATE-OBS", ignore_missing=True, remove_all=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wcs = WCS(header, fobj=hdus)
        wcs.wcs.set()
    refused = {}
    for message in (str(warning.message) for warning in caught):
        if "value was expected" in message:
            refused[message.partition("=")[0].strip()] = message
    return wcs, refused


def _with_sip(header: Header) -> Header:
    """The header, with the ending of CTYPE that says what astropy takes for granted: that SIP coefficients count."""
    if "A_ORDER" not in header or "B_ORDER" not in header:
        return header
    result = header.copy()
    for keyword in ("CTYPE1", "CTYPE2"):
        if str(header.get(keyword, "")).endswith("-TAN"):
            result[keyword] = f"{header[keyword]}-SIP"
    return result
