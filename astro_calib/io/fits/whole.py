"""
Read a file to its last byte before anything is done with it.

A FITS file that was cut off, or damaged under its compression, may still open: astropy pads what is missing, or never
reads as far as the checksum of a .gz file. Here a file is either whole or an error. What its headers announce is looked
at before memory is taken for it, so that neither a damaged header nor a file that decompresses to more than that can
fill the memory that is free.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from astro_calib.errors import FrameError
from astro_calib.io.fits.lazy_header import LazyHeader
from astro_calib.io.fits.pixels import fault_of_bits
from astro_calib.io.memory import SMALL, available_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astropy.io.fits import Header

__all__ = [
    "HeaderUnit",
    "NotFitsError",
    "announced_size",
    "check_whole_fits",
    "checked_units",
    "header_units",
    "number_of_pixels",
    "openable",
    "opened",
    "unpacked",
]

#: FITS files come in blocks of so many bytes.
BLOCK = 2880
#: A header of more blocks than this is none.
MAX_HEADER_BLOCKS = 4000
#: So many bytes of padding may follow the last extension.
MAX_PADDING = 1 << 20
COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
#: While a compressed file is read, this many times its content is in memory: unpacked, as an array, and scaled.
COPIES = 3


class NotFitsError(FrameError):
    """A file of another format."""


class HeaderUnit(NamedTuple):
    """A header in whole blocks, the byte at which its data begin, and their length without padding."""

    header: bytes
    data: int
    size: int

    @property
    def cards(self) -> Header:
        """The header as astropy reads it."""
        return LazyHeader.of_bytes(self.header)


def check_whole_fits(path: Path, most: int | None = None) -> tuple[Path | bytes, list[HeaderUnit]]:
    """
    Make sure that no byte of a FITS file is missing; return the file, and its headers.

    A plain file is returned as its path, so that its data need not be read; one that is compressed with gzip or bzip2
    (told from its content) as its bytes, decompressed. A FrameError, which does not name the file, says why it cannot
    be used: not FITS, cut off, damaged, more than ``most`` bytes unpacked, or more than fits into memory.
    """
    with opened(path) as file:
        if _compression(file) is None:
            units = _checked(file, most)
            if file.seek(0, os.SEEK_END) % BLOCK == 0:
                return path, units
            file.seek(0)
        return _content(file, most)


def checked_units(path: Path) -> tuple[list[HeaderUnit], bool]:
    """
    Make sure that no byte of a FITS file is missing; return its headers, and whether it is not compressed as a whole.

    Nothing of its data is kept. Errors are those of `check_whole_fits`.
    """
    with opened(path) as file:
        source = unpacked(file)
        return _checked(source, None), source is file


def _content(file: BinaryIO, most: int | None) -> tuple[bytes, list[HeaderUnit]]:
    compressed = _compression(file)
    if compressed is None:
        units = _checked(file, most)
        file.seek(0)
        content = file.read()
        return content + bytes(-len(content) % BLOCK), units
    kept = _Kept(compressed(file))
    units = _checked(kept, most)
    # Some programs leave out the padding of the last block, which holds nothing.
    kept.content.write(bytes(-kept.content.tell() % BLOCK))
    # The memory of the buffer itself, not a copy of it.
    return kept.content.getvalue(), units


def openable(source: Path | bytes) -> Any:
    """Turn what `check_whole_fits` returned into what astropy can open."""
    # A name that begins with ~ or looks like an address would be taken for what it is not.
    return io.BytesIO(source) if isinstance(source, bytes) else source.absolute()


def header_units(file: Any, most: int | None = None) -> Iterator[HeaderUnit]:
    """
    Yield the headers of an open FITS file one after the other, and skip the data; ``most`` as for `check_whole_fits`.

    A FrameError says that it is no FITS file, cut off or damaged.
    """
    block = file.read(BLOCK)
    if not block:
        msg = "the file is empty"
        raise FrameError(msg)
    if not block.startswith(b"SIMPLE"):
        msg = "not a FITS file: it does not begin with SIMPLE"
        raise NotFitsError(msg)
    position = total = 0
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
        cards = LazyHeader.of_bytes(header)
        size = _announced(cards)
        # Headers count, too: there could be any number of them without data.
        total += len(header) + announced_size(cards)
        _check_size(total, most, 1 if hasattr(file, "fileno") else COPIES)
        yield HeaderUnit(header, start, size)
        # The length of what follows would be wrong, and is not what is wrong.
        if fault := fault_of_bits(cards["BITPIX"]):
            raise FrameError(fault)
        _skip(file, start, size)
        position = start + size + -size % BLOCK
        _skip(file, start + size, -size % BLOCK, needed=False)
        block = file.read(BLOCK)
    padding = 0
    while block:
        padding += len(block)
        if block.strip(b"\0 "):
            # What follows the last whole HDU is the beginning of another.
            msg = f"truncated or damaged: the bytes from {position} on, after the last extension, make no other"
            raise FrameError(msg)
        if padding > MAX_PADDING:
            msg = f"more than {MAX_PADDING} bytes follow its last extension"
            raise FrameError(msg)
        block = file.read(BLOCK)


def _check_size(size: int, most: int | None, copies: int) -> None:
    """Refuse what cannot be in memory, or is more than a caller wants there."""
    if most is not None and size > most:
        msg = (
            f"its headers announce {size} bytes, many times more than most files of the night have ({most} at most); "
            "reduce it with frames of its own"
        )
        raise FrameError(msg)
    if size * copies > SMALL and size * copies > (limit := available_memory()):
        needed = f", which take {size * copies} to read" if copies > 1 else ""
        msg = f"its headers announce {size} bytes{needed}, but only {limit} bytes of memory are free"
        raise FrameError(msg)


class _Unpacked:
    """A compressed file, read from its beginning; how much was read is where it is."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, length: int) -> bytes:
        """The next bytes."""
        part: bytes = self._file.read(length)
        return part


class _Kept(_Unpacked):
    """A compressed file, of which all that was read is kept."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.content = io.BytesIO()

    def read(self, length: int) -> bytes:
        """The next bytes."""
        part = super().read(length)
        self.content.write(part)
        return part


def opened(path: Path) -> BinaryIO:
    """Open a regular file; what cannot be read is a FrameError."""
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


def unpacked(file: BinaryIO) -> Any:
    """A file whose content, if it is compressed, is unpacked as far as it is read; a plain one as it is."""
    compressed = _compression(file)
    return file if compressed is None else _Unpacked(compressed(file))


def _checked(file: Any, most: int | None) -> list[HeaderUnit]:
    """The headers of a file, all of which is there."""
    with warnings.catch_warnings():
        # What is odd about a header is said where it is read; here its length counts.
        warnings.simplefilter("ignore")
        try:
            return list(header_units(file, most))
        except FrameError:
            raise
        except Exception as error:
            # In a damaged file astropy, and the libraries that unpack it, raise errors of any kind.
            msg = f"truncated or damaged: {error}"
            raise FrameError(msg) from error


def _is_end(card: bytes) -> bool:
    """Whether a card ends a header; END = 5 does not."""
    return card[:3] == b"END" and card.rstrip(b" \0") == b"END"


def _has_end(block: bytes) -> bool:
    return b"END" in block and any(_is_end(block[place : place + 80]) for place in range(0, len(block), 80))


def _announced(header: Header) -> int:
    """The number of bytes that a header says its data have."""
    axes = [header[f"NAXIS{axis + 1}"] for axis in range(header["NAXIS"])]
    if header.get("GROUPS") is True and axes and axes[0] == 0:
        axes = axes[1:]
    numbers = [header["BITPIX"], header.get("PCOUNT", 0), header.get("GCOUNT", 1), *axes]
    if not all(isinstance(number, int) for number in numbers) or min(numbers[1:]) < 0:
        msg = f"its header announces data of an impossible size: {numbers}"
        raise FrameError(msg)
    bits, parameters, groups = numbers[:3]
    return abs(bits) * groups * (parameters + (math.prod(axes) if axes else 0)) // 8


def announced_size(header: Header) -> int:
    """Return how many bytes a header announces: of data, and of the image that they are unpacked to."""
    size = _announced(header)
    if "ZNAXIS" in header:
        if not isinstance(header["ZBITPIX"], int):
            msg = f"its header announces numbers of {header['ZBITPIX']!r} bits"
            raise FrameError(msg)
        size += number_of_pixels(header) * abs(header["ZBITPIX"]) // 8
    return size


def number_of_pixels(header: Header) -> int:
    """Return how many pixels the image under a header has, compressed or not."""
    letter = "Z" if "ZNAXIS" in header else ""
    axes = [header[f"{letter}NAXIS{axis + 1}"] for axis in range(header[f"{letter}NAXIS"])]
    if not all(isinstance(number, int) for number in axes) or min(axes, default=0) < 0:
        msg = f"its header announces an image of an impossible size: {axes}"
        raise FrameError(msg)
    return math.prod(axes)


def _skip(file: Any, start: int, size: int, *, needed: bool = True) -> None:
    """Go past data, and make sure that they are there."""
    left = size
    if isinstance(file, _Unpacked):
        while left and (part := file.read(min(left, 1 << 20))):
            left -= len(part)
    else:
        end = file.seek(0, os.SEEK_END)
        left = max(0, start + size - end)
        file.seek(min(start + size, end))
    if left and needed:
        msg = f"truncated: {start + size - left} bytes, where its header announces {start + size}"
        raise FrameError(msg)
