"""The image in a FITS file: which of its HDUs it is, its header with what the primary one says, and its pixels."""

from __future__ import annotations

import operator
import warnings
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy import log
from astropy.io import fits
from astropy.nddata import CCDData

from astro_calib.errors import FrameError
from astro_calib.io.fits.pixels import Scaling, blank_number, plane_shape, without_blanks
from astro_calib.io.fits.wcs import WCS_KEYWORD
from astro_calib.io.fits.whole import openable
from astro_calib.io.stored_arrays import own_native

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "BESIDE_THE_IMAGE",
    "OF_THE_HDU",
    "find_hdu",
    "image_header",
    "image_numbers",
    "image_pixels",
    "unit_of_header",
]

#: Extensions that say something about the image, as `astropy.nddata.CCDData.write` and ``CCDFrame.write`` name them.
BESIDE_THE_IMAGE = frozenset({"UNCERT", "MASK", "FLAGS", "PSFIMAGE", "BUDGET", "ARRAY"})
#: Keywords that say which part of a detector an image is of.
OF_AMPLIFIERS = ("DETSEC", "CCDSEC", "DETSECA", "CCDSECA")
#: So many names are told.
FEW = 4
#: Keywords that say how an HDU is stored, beside those that `astropy.io.fits.Header.strip` takes out.
OF_THE_HDU = (
    *("XTENSION", "EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "CHECKSUM", "DATASUM", "BLANK", "NEXTEND"),
    *("ZHECKSUM", "ZDATASUM", "TTYPE1", "TFORM1"),
)


def image_numbers(hdus: fits.HDUList) -> list[int]:
    """Which HDUs hold an image, other than the extensions that say something about it."""
    return [
        number
        for number, hdu in enumerate(hdus)
        if hdu.is_image and hdu.header.get("NAXIS", 0) > 0 and hdu.size > 0
        if number == 0 or hdu.name not in BESIDE_THE_IMAGE
    ]


def _contents(hdus: fits.HDUList) -> str:
    """What is in a file, for messages."""
    what = []
    for number, hdu in enumerate(hdus):
        name = f" {hdu.name}" if hdu.name and hdu.name != "PRIMARY" else ""
        if not hdu.is_image:
            kind = "a table" if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)) else "no image"
        elif not hdu.header.get("NAXIS", 0):
            kind = "empty"
        else:
            lengths = [str(hdu.header[f"NAXIS{axis + 1}"]) for axis in range(hdu.header["NAXIS"])]
            kind = f"an image of {' x '.join(lengths)} pixels"
        what.append(f"{number}{name} ({kind})")
    return f"{len(what)} HDU{'' if len(what) == 1 else 's'}: {', '.join(what)}"


def find_hdu(hdus: fits.HDUList, wanted: Any) -> int:
    """
    Return the number of the image that is asked for: by number, name, or name and version; None is the first image.

    A negative number counts from the end. An empty primary HDU stands for the first image, as in astropy. If there is
    no such image, the FrameError says what the file has.
    """
    if wanted is not None:
        number = _number_of(hdus, wanted)
        hdu = hdus[number]
        if hdu.is_image and hdu.header.get("NAXIS", 0) > 0 and hdu.size > 0:
            return number
        if number != 0:
            msg = f"hdu={wanted!r} is no image; the file has {_contents(hdus)}. Give the number or name of an image."
            raise FrameError(msg)
    images = image_numbers(hdus)
    if not images:
        msg = f"there is no image in it; it has {_contents(hdus)}."
        raise FrameError(msg)
    amplifiers = [number for number in images if any(hdus[number].header.get(keyword) for keyword in OF_AMPLIFIERS)]
    if wanted is None and len(amplifiers) > 1 and images[0] != 0:
        names = ", ".join(f"{number} {hdus[number].name}".rstrip() for number in amplifiers[:FEW])
        rest = f" and {len(amplifiers) - FEW} more" if len(amplifiers) > FEW else ""
        msg = (
            f"it holds {len(amplifiers)} images of amplifiers or chips ({names}{rest}): astro_calib.read_mosaic "
            f"assembles them; hdu={amplifiers[0]} reads one of them as it is."
        )
        raise FrameError(msg)
    return images[0]


def _number_of(hdus: fits.HDUList, wanted: Any) -> int:
    try:
        if isinstance(wanted, (str, tuple)):
            return int(hdus.index_of(wanted))
        return range(len(hdus))[operator.index(wanted)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        msg = f"there is no hdu={wanted!r} in it; it has {_contents(hdus)}. Give the number or name of one of them."
        raise FrameError(msg) from error


def image_header(hdus: fits.HDUList, number: int) -> fits.Header:
    """A copy of an image's header; of one in an extension with the keywords of the primary header beside its own."""
    header = hdus[number].header.copy()
    shape = hdus[number].shape
    if number == 0:
        for keyword in ("BLANK", "BZERO", "BSCALE"):
            header.remove(keyword, ignore_missing=True, remove_all=True)
        if not isinstance(header.get("EXTNAME", ""), str):
            # astropy reads a number as a name, and does not write it.
            header.remove("EXTNAME", remove_all=True)
        if plane_shape(shape) != shape:
            _set_shape(header, plane_shape(shape))
        return header
    header = with_primary(header, hdus[0].header)
    _strip(header)
    _set_shape(header, plane_shape(shape))
    return header


def with_primary(header: fits.Header, primary: fits.Header) -> fits.Header:
    """The header of an extension with the keywords of the primary one that it lacks, unless its INHERIT is false."""
    result, rest = header.copy(), primary.copy()
    if header.get("INHERIT") is False:
        return result
    _strip(rest)
    if any(str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2)):
        # Two halves of different WCS make none.
        for keyword in {card.keyword for card in rest.cards if WCS_KEYWORD.fullmatch(card.keyword)}:
            rest.remove(keyword, remove_all=True)
    result.extend(rest, unique=True)
    return result


def _strip(header: fits.Header) -> None:
    """Take out of a header how its HDU is stored."""
    header.strip()
    for keyword in OF_THE_HDU:
        header.remove(keyword, ignore_missing=True, remove_all=True)


def _set_shape(header: fits.Header, shape: tuple[int, ...]) -> None:
    """Let a header say what shape its image has, which a WCS wants to know."""
    for keyword in [keyword for keyword in header if keyword.startswith("NAXIS") and keyword[5:].isdigit()]:
        del header[keyword]
    header["NAXIS"] = len(shape)
    for axis, length in enumerate(reversed(shape), start=1):
        header.insert(f"NAXIS{axis - 1}" if axis > 1 else "NAXIS", (f"NAXIS{axis}", length), after=True)


def image_pixels(
    hdus: fits.HDUList, number: int, source: Path | bytes
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """
    Return an image's pixels, in an array of their own and in native byte order, and where they have no value, or None.

    Whole numbers stay whole. A pixel has no value if its stored number is BLANK, or if it is a float that is not
    finite: it becomes 0, or NaN in floats. Axes beyond the second that are one pixel long, as NAXIS3 = 1, are left out.
    """
    hdu = hdus[number]
    blank = blank_number(hdu.header)
    shape = plane_shape(hdu.shape)
    if blank is None:
        pixels = own_native(hdu.data).reshape(shape)
        if pixels.dtype.kind != "f":
            return pixels, None
        # The sum is finite only if all are, and takes no array.
        with np.errstate(all="ignore"):
            if np.isfinite(np.sum(pixels)):
                return pixels, None
        missing = ~np.isfinite(pixels)
        return pixels, missing if missing.any() else None
    # astropy takes no notice of it where BZERO only shifts the numbers, and makes floats of all others.
    with (
        warnings.catch_warnings(),
        fits.open(openable(source), memmap=False, do_not_scale_image_data=True, lazy_load_hdus=False) as unscaled,
    ):
        # What is odd about the header was said when the frame was read.
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        stored, header = unscaled[number].data, unscaled[number].header
        scaling = Scaling(stored.dtype, header.get("BZERO", 0), header.get("BSCALE", 1))
        return without_blanks(np.require(stored, requirements="W").reshape(shape), scaling, blank)


def unit_of_header(header: fits.Header, given: Any) -> u.UnitBase:
    """The unit of an image: the one that is given, or else that of its header."""
    found = header.get("BUNIT")
    if given is None and found is None:
        msg = "it does not say its unit; give it, as in unit='adu'."
        raise FrameError(msg)
    text = str(found).strip()
    if given is not None:
        if text and found is not None and text.lower() != str(given).lower():
            log.info(f"using the unit {given} that is given instead of {text} in the file.")
        return u.Unit(given)
    if not text:
        # A unit without name counts as none in astropy.
        return u.dimensionless_unscaled
    text = text.lower() if text.lower() == "adu" else text
    msg = f"its unit BUNIT={text!r} is not known; give the right one, as in unit='adu'."
    if not isinstance(found, str):
        raise FrameError(msg)
    try:
        return u.Unit(CCDData.known_invalid_fits_unit_strings.get(text, text))
    except ValueError as error:
        raise FrameError(msg) from error
