"""
Whether an ASDF file is whole, before memory is taken for anything in it.

After the text come blocks, each with a header of its own that tells its size (ASDF standard 1.6, "Low-level file
layout"); then an index of the blocks, which may be missing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError
from astro_calib.io.whole import memory_limit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_whole_asdf"]

BEGINNING = b"#ASDF "
BLOCK = b"\xd3BLK"
INDEX = b"#ASDF BLOCK INDEX"
#: Flags, compression, bytes allocated, used, and after decompression, checksum.
HEADER = struct.Struct(">I4sQQQ16s")
STREAMED = 1
#: A text of more bytes than this is none.
MAX_TEXT = 1 << 28
#: No compression makes data smaller than by this factor.
MAX_RATIO = 2000


def check_whole_asdf(path: Path) -> None:
    """
    Make sure that no byte of an ASDF file is missing.

    Parameters
    ----------
    path : Path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If it is not ASDF, cut off or damaged, or announces more than fits into memory. The message gives the reason,
        not the name.
    """
    if path.exists() and not path.is_file():
        msg = "it is no regular file"
        raise FrameError(msg)
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(BEGINNING))
        if start != BEGINNING:
            msg = "not an ASDF file: it does not begin with #ASDF" if start else "the file is empty"
            raise FrameError(msg)
        position = _end_of_text(file)
        while position < size:
            file.seek(position)
            beginning = file.read(len(INDEX))
            if not beginning.startswith(BLOCK):
                if not (beginning == INDEX and file.seek(-4, 2) and b"..." in file.read()):
                    msg = f"truncated or damaged: what begins at byte {position} is neither a block nor the index"
                    raise FrameError(msg)
                return
            position = _end_of_block(file, position, size)
    if not _may_lack_index(path):
        msg = "truncated: the index of its blocks is missing"
        raise FrameError(msg)


def _end_of_text(file: Any) -> int:
    """Where the first block begins."""
    length = 0
    for line in file:
        length += len(line)
        if line.rstrip(b"\r\n") == b"..." and line.endswith(b"\n"):
            return int(file.tell())
        if length > MAX_TEXT:
            break
    msg = "truncated or damaged: its text has no end"
    raise FrameError(msg)


def _end_of_block(file: Any, position: int, size: int) -> int:
    """Where a block ends that begins at some position."""
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
        return size
    plain = compression == b"\0\0\0\0"
    if used > allocated or (plain and data != used) or data > max(used, 64) * MAX_RATIO:
        msg = f"damaged: the sizes of the block at byte {position} contradict each other"
        raise FrameError(msg)
    if data > memory_limit():
        msg = f"the block at byte {position} announces {data} bytes, more than this machine's memory"
        raise FrameError(msg)
    if start + allocated > size:
        msg = f"truncated: of the block at byte {position}, {start + allocated - size} bytes are missing"
        raise FrameError(msg)
    return int(start + allocated)


def _may_lack_index(path: Path) -> bool:
    """Files without blocks have no index, and those whose last block is streamed."""
    with path.open("rb") as file:
        position, size = _end_of_text(file), path.stat().st_size
        last = position
        while position < size:
            last, position = position, _end_of_block(file, position, size)
        if last == position:
            return True
        file.seek(last + len(BLOCK) + 2)
        return bool(int.from_bytes(file.read(4), "big") & STREAMED)
