"""
Look at the tiles of compressed images before they are unpacked.

The code that unpacks them, cfitsio's in astropy, believes what a tile says of itself: a damaged HCOMPRESS tile writes
beyond its memory and ends the process, and a GZIP tile may unpack to any size.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.io import fits

__all__ = ["check_tiles"]

#: Columns that hold tiles.
COLUMNS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA")
#: How an HCOMPRESS tile begins, then: rows, columns, scale, sum, bits of each quarter.
HCOMPRESS = struct.Struct(">2s3iq3B")
HCOMPRESS_MAGIC = b"\xdd\x99"
MOST_BITS = 64
#: Bytes of one value by the letter of its type.
SIZES = dict(zip("LXBIJKAEDCMPQ", (1, 0.125, 1, 2, 4, 8, 1, 4, 8, 8, 16, 8, 16), strict=True))
#: No GZIP stream unpacks to more than so many times its length.
MOST_GZIP = 1032
#: How many bytes more than its pixels a GZIP tile may unpack to.
HARMLESS = 1 << 22


def check_tiles(number: int, header: fits.Header, data: memoryview) -> None:
    """Raise a FrameError if a tile of the compressed image under this header cannot be unpacked without harm."""
    for tile, shape, way, content in _tiles(header, data):
        wrong = _wrong(way, content, shape, abs(header["ZBITPIX"]) // 8)
        if wrong:
            msg = f"damaged: tile {tile} of header {number} {wrong}"
            raise FrameError(msg)


def _tiles(header: fits.Header, data: memoryview) -> Iterator[tuple[int, tuple[int, ...], str, memoryview]]:
    """Number, shape, way of compression and content of each tile."""
    axes = range(header["ZNAXIS"], 0, -1)
    whole = tuple(header[f"ZNAXIS{axis}"] for axis in axes)
    usual = tuple(header.get(f"ZTILE{axis}", header[f"ZNAXIS{axis}"] if axis == 1 else 1) for axis in axes)
    if min(usual) < 1:
        msg = f"damaged: its tiles have shape {usual}"
        raise FrameError(msg)
    grid = tuple(-(-length // tile) for length, tile in zip(whole, usual, strict=True))
    rows, width = header["NAXIS2"], header["NAXIS1"]
    if rows != math.prod(grid):
        msg = f"damaged: it has {rows} tiles, but its image consists of {math.prod(grid)}"
        raise FrameError(msg)
    table = np.frombuffer(data[: rows * width], np.uint8).reshape(rows, width)
    heap = data[header.get("THEAP", rows * width) :]
    for name, (place, form) in _descriptors(header).items():
        way = header["ZCMPTYPE"] if name == COLUMNS[0] else "GZIP_1"
        kind, size = (">u8", 8) if form[0] == "Q" else (">u4", 4)
        item = {"B": 1, "I": 2, "J": 4}.get(form[1:2], 1)
        found = np.ascontiguousarray(table[:, place : place + 2 * size]).view(kind)
        # Floats do not overflow.
        lengths, starts = found[:, 0].astype(float) * item, found[:, 1].astype(float)
        outside = np.flatnonzero(starts + lengths > len(heap))
        if outside.size:
            msg = f"damaged: tile {outside[0]} ends beyond the end of its table"
            raise FrameError(msg)
        for row in np.flatnonzero(lengths > _harmless_length(str(way))).tolist():
            length, start = found[row].tolist()
            if length:
                where = np.unravel_index(row, grid)
                parts = zip(whole, usual, where, strict=True)
                shape = tuple(min(tile, total - int(at) * tile) for total, tile, at in parts)
                yield row, shape, str(way), heap[start : start + length * item]


def _descriptors(header: fits.Header) -> dict[str, tuple[int, str]]:
    """Where in a row the length and the place of each tile are, and the form of that column without its number."""
    places, found = 0, {}
    for column in range(1, header["TFIELDS"] + 1):
        form = str(header[f"TFORM{column}"]).strip()
        digits = len(form) - len(form.lstrip("0123456789"))
        repeat, form = int(form[:digits] or 1), form[digits:]
        name = str(header.get(f"TTYPE{column}", "")).strip().upper()
        if name in COLUMNS and form[:1] in ("P", "Q") and repeat:
            found[name] = (places, form)
        places += math.ceil(repeat * SIZES[form[:1]])
    return found


def _harmless_length(way: str) -> float:
    """How long a tile may be so that it does no harm, whatever is in it."""
    if way in ("HCOMPRESS_1", "PLIO_1"):
        return 0
    # What unpacks RICE tiles knows where they and their pixels end.
    return HARMLESS / MOST_GZIP if way.startswith("GZIP") else math.inf


def _wrong(way: str, content: memoryview, shape: tuple[int, ...], size: int) -> str:
    """What is wrong with a tile; empty if nothing is."""
    if way == "HCOMPRESS_1":
        if len(content) < HCOMPRESS.size:
            return "has no beginning"
        magic, rows, columns, _, _, *bits = HCOMPRESS.unpack(content[: HCOMPRESS.size])
        if magic != HCOMPRESS_MAGIC or max(bits) > MOST_BITS:
            return "is no HCOMPRESS tile"
        if rows * columns != math.prod(shape) or min(rows, columns) < 1:
            return f"says that its shape is {(rows, columns)}, but it is {shape}"
    if way == "PLIO_1":
        return _wrong_list(content)
    if way.startswith("GZIP"):
        return _too_long(content, math.prod(shape) * size)
    return ""


def _wrong_list(content: memoryview) -> str:
    """What is wrong with a PLIO tile: words of 16 bits, the first few of which tell how many there are."""
    words = np.frombuffer(content[: len(content) // 2 * 2], ">i2")
    if words.size < 3:
        return "has no beginning"
    # Older lists tell their length in the third word; newer ones in two, after the length of their own beginning.
    length = int(words[2]) if words[2] > 0 else int(words[4]) << 15 | int(words[3]) if words.size > 4 else -1
    return "" if 0 <= length <= words.size else f"says that it has {length} words, but only {words.size} are there"


def _too_long(content: memoryview, expected: int) -> str:
    """Whether a GZIP tile unpacks to more than its pixels; what is damaged in it the unpacking finds."""
    most = expected + HARMLESS
    if len(content) * MOST_GZIP <= most:
        return ""
    rest: Any = content
    found = 0
    while rest and found <= most:
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof and found <= most:
            part = stream.decompress(rest, 1 << 16)
            rest = stream.unconsumed_tail
            found += len(part)
            if not part and not rest:
                break
        rest = stream.unused_data
    return f"unpacks to more than {most} bytes, but its pixels take only {expected}" if found > most else ""
