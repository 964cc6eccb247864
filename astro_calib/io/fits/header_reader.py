"""The header of the image in a file, read without its pixels: of a compressed file only the beginning is unpacked."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.io.fits.cards import repaired_header
from astro_calib.io.fits.image import BESIDE_THE_IMAGE, OF_THE_HDU
from astro_calib.io.fits.lazy_header import CARD, LazyHeader, NamedCard
from astro_calib.io.fits.pixels import STORED, Scaling, fault_of_bits, plane_shape
from astro_calib.io.fits.wcs import WCS_KEYWORD
from astro_calib.io.fits.whole import announced_size, header_units, number_of_pixels, opened, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.io.fits.whole import HeaderUnit

__all__ = [
    "ImageHeader",
    "header_at_beginning",
    "header_of_image",
    "is_compressed",
    "is_image",
    "read_image_header",
]

#: How many headers of a file we look at.
MANY_HEADERS = 100
#: Keywords that say how an HDU is stored.
STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|[PG]COUNT|GROUPS|BSCALE|BZERO|TFIELDS|" + "|".join(OF_THE_HDU)
)
#: Those of a table that holds a compressed image.
OF_TILES = re.compile(
    r"ZSIMPLE|ZTENSION|ZBITPIX|ZEXTEND|ZBLOCKED|Z[PG]COUNT|ZIMAGE|ZCMPTYPE|ZMASKCMP|ZQUANTIZ|ZDITHER0|ZBLANK|ZSCALE|ZZERO"
    r"|(ZNAXIS|ZTILE|ZNAME|ZVAL)\d*|THEAP|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|BCOL|DIM|CTYP|CUNI|CRPX|CRVL|CDLT|RPOS)\d+"
)
#: Keywords of a primary HDU that hold for its image only, and no longer once that is read.
OF_STORED_NUMBERS = ("BLANK", "BZERO", "BSCALE")


class ImageHeader(NamedTuple):
    """
    What the headers of a file tell of the image in it.

    Attributes
    ----------
    header : astropy.io.fits.Header
        The image's header as a frame has it that is read with its pixels; the first one if there is no image.
    shape : tuple of int
        As that of the array of its pixels; empty if there is no image.
    dtype : numpy.dtype or None
        The type of its pixels; None if there is no image.
    images : int
        How many images there are; in a file compressed with gzip or bzip2 those behind one in the primary HDU are not
        counted.
    size : int
        How many bytes the headers announce, unpacked; up to the first image in a compressed file.
    repaired : tuple of str
        The names of the cards that break the rules of FITS and were repaired.
    fault : str
        What is wrong with the file behind its first header, as far as the headers tell; empty if nothing is.
    """

    header: Header
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    images: int
    size: int
    repaired: tuple[str, ...]
    fault: str


def read_image_header(path: Path) -> ImageHeader:
    """
    Read the headers of a FITS file, which may be compressed with gzip or bzip2 or tile by tile, and no pixels.

    A FrameError, which does not name the file, says that it cannot be read, is not FITS, or ends within its first
    header. That a plain file is cut off behind it is said in ``fault``; of a compressed one it shows only later.
    """
    units: list[HeaderUnit] = []
    fault = ""
    with warnings.catch_warnings(), opened(path) as file:
        # What is odd about a header is said where its frame is read.
        warnings.simplefilter("ignore")
        source = unpacked(file)
        try:
            for unit in header_units(source):
                units.append(unit)
                if len(units) == MANY_HEADERS or (source is not file and _is_alone(units)):
                    break
        except Exception as error:
            # What unpacks a damaged file makes errors of any kind.
            fault = str(error) if isinstance(error, FrameError) else f"truncated or damaged: {error}"
            if not units:
                if isinstance(error, FrameError):
                    raise
                raise FrameError(fault) from error
        return _image_header(units, fault)


def _is_alone(units: Sequence[HeaderUnit]) -> bool:
    """Whether the image is in the primary HDU, behind which none of other amplifiers follow."""
    return len(units) == 1 and is_image(units[0].cards, 0)


def header_at_beginning(path: Path) -> Header | None:
    """The header of the first image of a file, also of one that is cut off behind it; None if it has no header."""
    try:
        return read_image_header(path).header
    except (FrameError, OSError):
        return None


def _image_header(units: Sequence[HeaderUnit], fault: str) -> ImageHeader:
    repaired: dict[str, None] = {}
    headers = []
    for unit in units:
        content, cards = repaired_header(unit.header)
        repaired |= dict.fromkeys(cards)
        headers.append(LazyHeader.of_bytes(content))
    images = [number for number, header in enumerate(headers) if is_image(header, number)]
    number = images[0] if images else 0
    header = headers[number]
    shape: tuple[int, ...] = ()
    dtype = None
    if images:
        letter = "Z" if is_compressed(header) else ""
        lengths = tuple(header[f"{letter}NAXIS{axis}"] for axis in range(header[f"{letter}NAXIS"], 0, -1))
        shape = plane_shape(lengths)
        stored = STORED.get(header[f"{letter}BITPIX"])
        if stored is None:
            fault = fault or fault_of_bits(header[f"{letter}BITPIX"])
        else:
            dtype = Scaling(np.dtype(stored), header.get("BZERO", 0), header.get("BSCALE", 1)).dtype
        header = header_of_image(header, headers[0] if number else None)
    size = sum(len(unit.header) + announced_size(one) for unit, one in zip(units, headers, strict=True))
    return ImageHeader(header, shape, dtype, len(images), size, tuple(repaired), fault)


def header_of_image(header: LazyHeader, primary: LazyHeader | None) -> LazyHeader:
    """
    Return the header of the image in an HDU as a frame has it, with what the primary header says beside its own.

    Both are repaired, and nothing but single values was asked of them yet; ``primary`` is None for the image in the
    primary HDU.
    """
    letter = "Z" if is_compressed(header) else ""
    lengths = tuple(header[f"{letter}NAXIS{axis}"] for axis in range(header[f"{letter}NAXIS"], 0, -1))
    own = _of_primary(header, lengths) if primary is None else _of_extension(header, primary, plane_shape(lengths))
    return LazyHeader.of_named(own)


def is_compressed(header: Header) -> bool:
    """Whether a header is that of a table that holds an image tile by tile."""
    return header.get("ZIMAGE") is True and header.get("XTENSION") == "BINTABLE"


def is_image(header: Header, number: int) -> bool:
    """Whether there is an image under the header of this number, other than what says something about another one."""
    if number and not (header.get("XTENSION") in ("IMAGE", "IUEIMAGE") or is_compressed(header)):
        return False
    axes = header["ZNAXIS" if is_compressed(header) else "NAXIS"]
    name = str(header.get("EXTNAME", "")).strip().upper()
    return axes > 0 and number_of_pixels(header) > 0 and (number == 0 or name not in BESIDE_THE_IMAGE)


def _of_primary(header: LazyHeader, lengths: tuple[int, ...]) -> list[NamedCard]:
    """The cards of an image in the primary HDU."""
    left_out = [*OF_STORED_NUMBERS]
    if not isinstance(header.get("EXTNAME", ""), str):
        left_out.append("EXTNAME")
    shape = plane_shape(lengths)
    if shape == lengths:
        return [card for card in header.named if card[0] not in left_out]
    cards = [card for card in header.named if card[0] not in left_out and card[0][:5] != "NAXIS"]
    return cards + _of_shape(shape, header.comments["NAXIS"])


def _of_extension(header: LazyHeader, primary: LazyHeader, shape: tuple[int, ...]) -> list[NamedCard]:
    """The cards of an image in an extension, and those of the primary header that it lacks."""
    own = [card for card in header.named if not STRUCTURE.fullmatch(card[0])]
    if is_compressed(header):
        own = [card for card in own if not OF_TILES.fullmatch(card[0])]
    if header.get("INHERIT") is False:
        return own + _of_shape(shape)
    names = {name for name, _ in own if name}
    comments = {card for name, card in own if not name}
    has_wcs = any(str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2))
    rest = [
        (name, card)
        for name, card in primary.named
        if (name not in names if name else card not in comments or not card.strip())
        and not STRUCTURE.fullmatch(name)
        # Two halves of different WCS make none.
        and not (has_wcs and WCS_KEYWORD.fullmatch(name))
    ]
    return own + rest + _of_shape(shape)


def _of_shape(shape: tuple[int, ...], comment: str = "") -> list[NamedCard]:
    """The cards that tell the shape of an image; the comment is that of the first."""
    lengths = {"NAXIS": len(shape)} | {f"NAXIS{axis}": length for axis, length in enumerate(reversed(shape), start=1)}
    end = f" / {comment}" if comment else ""
    cards = [(name, f"{name:8}= {length:>20}") for name, length in lengths.items()]
    return [(name, (card + end if name == "NAXIS" else card)[:CARD].ljust(CARD)) for name, card in cards]
