"""
Whether an ASDF file is whole and harmless, before memory is taken for anything in it.

After the text come blocks, each with a header of its own that tells its size (ASDF standard 1.6, "Low-level file
layout"); then an index of the blocks, which may be missing.
"""

from __future__ import annotations

import os
import struct
from collections import UserString
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from astro_calib.detector.waves import MOST_TONES
from astro_calib.errors import FrameError
from astro_calib.io.memory import SMALL, available_memory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["MAX_TEXT", "check_tree", "check_whole_asdf"]

BEGINNING = b"#ASDF "
BLOCK = b"\xd3BLK"
INDEX = b"#ASDF BLOCK INDEX"
#: Flags, compression, bytes allocated, used, and after decompression, checksum.
HEADER = struct.Struct(">I4sQQQ16s")
STREAMED = 1
NDARRAY = "tag:stsci.edu:asdf/core/ndarray-"
#: A text of more bytes than this is none; it takes minutes to read.
MAX_TEXT = 1 << 24
#: A tree of more nodes than this, each counted wherever it is referred to, is none.
MAX_NODES = 10**7
#: While a compressed block is read, this many times its content is in memory.
COPIES = 2
#: No compression makes data smaller than by this factor.
MAX_RATIO = 2000


def check_whole_asdf(path: Path) -> None:
    """
    Raise a FrameError, which does not name the file, if any byte of an ASDF file is missing.

    Also if it is no ASDF file, contradicts itself, or announces compressed blocks that do not fit into memory.
    """
    if path.exists() and not path.is_file():
        msg = "it is no regular file"
        raise FrameError(msg)
    with path.open("rb") as file:
        start = file.read(len(BEGINNING))
        if start != BEGINNING:
            msg = "not an ASDF file: it does not begin with #ASDF" if start else "the file is empty"
            raise FrameError(msg)
        _check_blocks(file, _end_of_text(file), path.stat().st_size)


def _end_of_text(file: BinaryIO) -> int:
    """Return where the first block begins."""
    while file.tell() < MAX_TEXT:
        line = file.readline(MAX_TEXT)
        if line.rstrip(b"\r\n") == b"..." and line.endswith(b"\n"):
            return file.tell()
        if not line:
            break
    msg = f"truncated or damaged: its text has no end within {MAX_TEXT} bytes"
    raise FrameError(msg)


def _check_blocks(file: BinaryIO, position: int, size: int) -> None:
    """Make sure that all blocks are whole, and that their index is there if there has to be one."""
    # Files without blocks have no index, and those whose last block is streamed.
    index_needed = False
    while position < size:
        file.seek(position)
        beginning = file.read(len(INDEX))
        if not beginning.startswith(BLOCK):
            if not (beginning == INDEX and file.seek(-4, os.SEEK_END) and b"..." in file.read()):
                msg = f"truncated or damaged: what begins at byte {position} is neither a block nor the index"
                raise FrameError(msg)
            return
        end, streamed = _end_of_block(file, position, size)
        position, index_needed = end, not streamed
    if index_needed:
        msg = "truncated: the index of its blocks is missing"
        raise FrameError(msg)


def _end_of_block(file: BinaryIO, position: int, size: int) -> tuple[int, bool]:
    """Return where the block at this position ends, and whether it is streamed."""
    file.seek(position + len(BLOCK))
    head = file.read(2)
    length = int.from_bytes(head, "big") if len(head) == 2 else 0
    header = file.read(length)
    start = position + len(BLOCK) + 2 + length
    if len(head) < 2 or length < HEADER.size or len(header) < length:
        msg = f"truncated or damaged: the block at byte {position} has no header"
        raise FrameError(msg)
    flags, compression, allocated, used, data, _ = HEADER.unpack(header[: HEADER.size])
    if flags & STREAMED:
        return size, True
    plain = compression == b"\0\0\0\0"
    if used > allocated or (plain and data != used) or data > max(used, 64) * MAX_RATIO:
        msg = f"damaged: the sizes of the block at byte {position} contradict each other"
        raise FrameError(msg)
    # Arrays that are not compressed may stay on disk, and are looked at when they are read.
    if not plain and data > SMALL and data * COPIES > (limit := available_memory()):
        msg = f"the block at byte {position} announces {data} bytes, but only {limit} bytes of memory are free"
        raise FrameError(msg)
    if start + allocated > size:
        msg = f"truncated: {start + allocated - size} bytes of the block at byte {position} are missing"
        raise FrameError(msg)
    return start + allocated, False


def check_tree(tree: Any) -> None:
    """
    Raise a FrameError unless a tree, not converted yet, has a workable size and all its arrays in the file itself.

    It may contain itself, or grow without end where it refers to its own parts. An array may be in another file, or
    begin before its block, where numpy would read memory that is not the file's.
    """
    sizes: dict[int, int] = {}

    def size_of(node: Any) -> int:
        if not isinstance(node, (Mapping, Sequence)) or isinstance(node, (str, bytes, UserString)):
            return 1
        if id(node) not in sizes:
            # Until the size is known, a node counts as one that contains itself.
            sizes[id(node)] = MAX_NODES
            if isinstance(node, Mapping):
                if str(getattr(node, "_tag", "")).startswith(NDARRAY):
                    _check_array(node)
                _check_correlations(node.get("correlations", ()))
                parts: Iterable[Any] = node.values()
            else:
                parts = node
            sizes[id(node)] = 1 + sum(map(size_of, parts))
        return sizes[id(node)]

    if size_of(tree) >= MAX_NODES:
        msg = f"its tree has more than {MAX_NODES} nodes, or contains itself"
        raise FrameError(msg)


def _check_correlations(entries: Any) -> None:
    """Refuse waves that are too many, before time is taken for each."""
    for entry in entries if isinstance(entries, Sequence) else ():
        waves = entry.get("waves", ()) if isinstance(entry, Mapping) else ()
        if isinstance(waves, Sequence) and len(waves) > 1 + MOST_TONES:
            msg = f"a correlation has {len(waves)} waves; expected 1 to {1 + MOST_TONES}"
            raise FrameError(msg)


def _check_array(node: Mapping[str, Any]) -> None:
    source, offset = node.get("source", 0), node.get("offset", 0)
    if not isinstance(source, int):
        msg = f"an array is in another file, {str(source)!r}, which is not opened"
        raise FrameError(msg)
    if not isinstance(offset, int) or offset < 0:
        msg = f"an array begins at byte {offset} of its block"
        raise FrameError(msg)
