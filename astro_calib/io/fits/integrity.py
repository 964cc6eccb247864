"""Whether a FITS file is as it was written: its headers, its data, and the tiles of compressed images."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError
from astro_calib.io.fits.checksums import folded, ones_complement_sum
from astro_calib.io.fits.tiles import check_tiles
from astro_calib.io.fits.whole import BLOCK

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from pathlib import Path

    from astro_calib.io.fits.whole import HeaderUnit

__all__ = ["check_units"]

#: What a header that asks for a look at its data holds, for each way to look at them.
MARKS = {"all": (b"",), "stated": (b"DATASUM", b"ZIMAGE"), "tiles": (b"ZIMAGE",), "none": (b"ZIMAGE",)}


def check_units(
    source: Path | bytes,
    units: Sequence[HeaderUnit],
    *,
    headers: bool = False,
    data: str = "stated",
    numbers: Container[int] | None = None,
) -> list[str]:
    """
    Compare a file with its checksums, and make sure that its tiles can be unpacked without harm.

    With ``headers``, a header that differs from its CHECKSUM is a FrameError. Without, the remarks that are returned
    tell of it: many programs change a header and leave its CHECKSUM as it was. Data that differ from their DATASUM are
    always a FrameError; ``data`` says which are compared: "all" (then each must have a DATASUM), those where it is
    "stated", those of compressed "tiles" where it is stated (damaged ones make the unpacking fail), or "none". Only the
    units of these ``numbers`` are looked at, or all.
    """
    remarks = []
    content: Any = None
    for number, unit in enumerate(units):
        if numbers is not None and number not in numbers:
            continue
        look = any(mark in unit.header for mark in MARKS[data])
        if not (look or headers):
            continue
        header = unit.cards
        if headers and "CHECKSUM" in header and not _header_agrees(unit, int(header.get("DATASUM", 0))):
            msg = (
                f"header {number} is not as it was written: its CHECKSUM differs. If it was changed on purpose, read "
                "with checksum=False"
            )
            raise FrameError(msg)
        if not look:
            continue
        content = _content(source) if content is None else content
        text = str(header.get("DATASUM", "")).strip()
        expected = int(text) if text.isdecimal() else None
        if data == "all" and expected is None:
            msg = f"it cannot be checked: header {number} has no DATASUM; read without checksum=True"
            raise FrameError(msg)
        if expected is not None and (data in ("all", "stated") or (data == "tiles" and "ZIMAGE" in header)):
            if not _data_agree(unit, content, expected):
                name = header.get("EXTNAME", "primary")
                msg = f"the data of header {number} ({name}) differ from their DATASUM: damaged"
                raise FrameError(msg)
            if header.get("CHECKSUM") and not _header_agrees(unit, expected):
                remarks.append(f"header {number} was changed after its CHECKSUM was written; its data were not")
        if header.get("ZIMAGE") is True:
            check_tiles(number, header, memoryview(content)[unit.data :][: unit.size])
    return remarks


def _content(source: Path | bytes) -> Any:
    """What a file holds, read only where it is looked at; not closed, for an error found in it still refers to it."""
    if isinstance(source, bytes):
        return source
    with source.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _header_agrees(unit: HeaderUnit, datasum: int) -> bool:
    return folded(ones_complement_sum(unit.header) + datasum) in (0, 0xFFFFFFFF)


def _data_agree(unit: HeaderUnit, content: Any, expected: int) -> bool:
    # 0 is written in two ways in ones' complement, with no bit and with all of them.
    found = ones_complement_sum(memoryview(content)[unit.data : unit.data + unit.size + -unit.size % BLOCK])
    return found % 0xFFFFFFFF == expected % 0xFFFFFFFF
