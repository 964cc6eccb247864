"""
Read a file to its last byte before anything is done with it.

A FITS file that was cut off, or damaged under its compression, may still open: astropy pads what is missing, or never
reads as far as the checksum of a .gz file. Here a file is either whole or an error. What its headers announce is looked
at before memory is taken for it, so that neither a damaged header nor a file that decompresses to more than that can
fill the memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import os
import warnings
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from astropy.io import fits

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "HeaderUnit",
    "NotFitsError",
    "check_whole_fits",
    "header_units",
    "headers_of_rest",
    "memory_limit",
    "openable",
]

#: FITS files come in blocks of so many bytes.
BLOCK = 2880
#: A header of more blocks than this is none.
MAX_HEADER_BLOCKS = 4000
#: So many bytes of padding may follow the last extension.
MAX_PADDING = 1 << 20
COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
DAMAGED = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, MemoryError, zlib.error, fits.VerifyError)


class NotFitsError(FrameError):
    """A file of another format."""


class HeaderUnit(NamedTuple):
    """
    One header of a FITS file and where its data are.

    Attributes
    ----------
    header : bytes
        Whole blocks.
    data, size : int
        Where the data begin, and their length in bytes, without padding.
    """

    header: bytes
    data: int
    size: int


def check_whole_fits(path: Path) -> tuple[Path | bytes, list[HeaderUnit]]:
    """
    Make sure that no byte of a FITS file is missing.

    Parameters
    ----------
    path : Path
        FITS, plain or compressed with gzip or bzip2 (told from its content).

    Returns
    -------
    source : Path or bytes
        The file itself if it is plain, so that its data need not be read; else what is in it, decompressed.
    units : list of HeaderUnit
        Its headers.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If it cannot be read, is not FITS, is cut off or damaged, or does not fit into memory. The message gives the
        reason, not the name.
    """
    with _opened(path) as file:
        if _compression(file) is None:
            units = _checked(file)
            if file.seek(0, os.SEEK_END) % BLOCK == 0:
                return path, units
            file.seek(0)
        return _content(file)


def _content(file: BinaryIO) -> tuple[bytes, list[HeaderUnit]]:
    compressed = _compression(file)
    if compressed is None:
        units = _checked(file)
        file.seek(0)
        content = file.read()
    else:
        kept = _Kept(compressed(file))
        units = _checked(kept)
        content = bytes(kept.content)
    # Some programs leave out the padding of the last block, which holds nothing.
    return content + bytes(-len(content) % BLOCK), units


def openable(source: Path | bytes) -> Any:
    """What astropy can open, of what `check_whole_fits` returned."""
    # A name that begins with ~ or looks like an address would be taken for what it is not.
    return io.BytesIO(source) if isinstance(source, bytes) else source.absolute()


def header_units(file: Any) -> Iterator[HeaderUnit]:
    """
    The headers of a FITS file, one after the other; data are skipped.

    Parameters
    ----------
    file : file object
        At its beginning.

    Raises
    ------
    FrameError
        If it is no FITS file, cut off or damaged.
    """
    block = file.read(BLOCK)
    if not block:
        msg = "the file is empty"
        raise FrameError(msg)
    if not block.startswith(b"SIMPLE"):
        msg = "not a FITS file: it does not begin with SIMPLE"
        raise NotFitsError(msg)
    position = 0
    while block.startswith(b"XTENSION") or position == 0:
        blocks = [block]
        while not _has_end(blocks[-1]):
            block = file.read(BLOCK)
            if len(block) < BLOCK:
                msg = f"truncated: the header that begins at byte {position} has no end"
                raise FrameError(msg)
            if len(blocks) == MAX_HEADER_BLOCKS:
                msg = f"damaged: the header that begins at byte {position} is longer than {MAX_HEADER_BLOCKS} blocks"
                raise FrameError(msg)
            blocks.append(block)
        header = b"".join(blocks)
        start = position + len(header)
        size = _announced(fits.Header.fromstring(header.decode("latin-1")))
        limit = memory_limit()
        if size > limit:
            msg = f"its header announces {size} bytes of data, more than the {limit} of this machine's memory"
            raise FrameError(msg)
        yield HeaderUnit(header, start, size)
        _skip(file, start, size)
        position = start + size + -size % BLOCK
        _skip(file, start + size, -size % BLOCK, needed=False)
        block = file.read(BLOCK)
    padding = 0
    while block:
        padding += len(block)
        if block.strip(b"\0 "):
            # What follows the last whole HDU is the beginning of another.
            msg = f"truncated or damaged: what follows the last whole extension, at byte {position}, is none"
            raise FrameError(msg)
        if padding > MAX_PADDING:
            msg = f"more than {MAX_PADDING} bytes follow its last extension"
            raise FrameError(msg)
        block = file.read(BLOCK)


def headers_of_rest(path: Path) -> list[bytes]:
    """
    The whole headers at the beginning of a file that is cut off or damaged.

    Parameters
    ----------
    path : Path
        The file; compressed or not.

    Returns
    -------
    list of bytes
        Empty if not even the first can be read.
    """
    headers: list[bytes] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(path) as file:
                compressed = _compression(file)
                headers.extend(unit.header for unit in header_units(compressed(file) if compressed else file))
        except DAMAGED:
            # The headers before the damage are there.
            pass
    return headers


def memory_limit() -> int:
    """The size of this machine's memory in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 36


class _Kept:
    """A compressed file, of which all that was read is kept."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.content = bytearray()

    def read(self, length: int) -> bytes:
        """The next bytes."""
        part: bytes = self._file.read(length)
        self.content += part
        return part


def _opened(path: Path) -> BinaryIO:
    if path.exists() and not path.is_file():
        # A pipe or a device would be read for ever.
        msg = "it is no regular file"
        raise FrameError(msg)
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        msg = f"it cannot be read: {error.strerror or error}"
        raise FrameError(msg) from error


def _compression(file: BinaryIO) -> Any:
    """What opens a compressed file; None for a plain one."""
    beginning = file.read(3)
    file.seek(0)
    return next((kind for magic, kind in COMPRESSED.items() if beginning.startswith(magic)), None)


def _checked(file: Any) -> list[HeaderUnit]:
    """The headers of a file that is whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(header_units(file))
        except DAMAGED as error:
            if isinstance(error, FrameError):
                raise
            msg = f"truncated or damaged: {error}"
            raise FrameError(msg) from error


def _has_end(block: bytes) -> bool:
    return any(block[place : place + 8] == b"END     " for place in range(0, len(block), 80))


def _announced(header: fits.Header) -> int:
    """The number of bytes that a header says its data have."""
    axes = [header[f"NAXIS{axis + 1}"] for axis in range(header["NAXIS"])]
    if header.get("GROUPS") is True and axes and axes[0] == 0:
        axes = axes[1:]
    numbers = [header["BITPIX"], header.get("PCOUNT", 0), header.get("GCOUNT", 1), *axes]
    if not all(isinstance(number, int) for number in numbers) or min(numbers[1:]) < 0:
        msg = f"its header announces data of an impossible size: {numbers}"
        raise FrameError(msg)
    if "ZNAXIS" in header:
        # A tile-compressed image: what it is decompressed to must be possible, too.
        whole = math.prod(header[f"ZNAXIS{axis + 1}"] for axis in range(header["ZNAXIS"])) * abs(header["ZBITPIX"]) // 8
        if whole > memory_limit():
            msg = f"its header announces an image of {whole} bytes, more than this machine's memory"
            raise FrameError(msg)
    bits, parameters, groups = numbers[:3]
    return abs(bits) * groups * (parameters + (math.prod(axes) if axes else 0)) // 8


def _skip(file: Any, start: int, size: int, *, needed: bool = True) -> None:
    """Go past data, and make sure that they are there."""
    left = size
    if isinstance(file, _Kept):
        while left and (part := file.read(min(left, 1 << 24))):
            left -= len(part)
    else:
        end = file.seek(0, os.SEEK_END)
        left = max(0, start + size - end)
        file.seek(min(start + size, end))
    if left and needed:
        msg = f"truncated: {start + size - left} bytes, where its header announces {start + size}"
        raise FrameError(msg)
