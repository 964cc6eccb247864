"""Find the file of a master by its identity."""

from __future__ import annotations

import bz2
import gzip
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_calib.io.asdf.integrity import MAX_TEXT
from astro_calib.io.fits_budget import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.io.stored import Stored

__all__ = ["OPENERS", "Finder"]

#: What reads as much of a file as tells what its frame is, by format; each format enters its own.
OPENERS: dict[str, Callable[[Path, Finder], Stored | CCDFrame]] = {}

#: How the names of files end that may hold a master.
ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.bz2", ".fits.fz", ".fz", ".asdf")
#: How an identity is written: in a FITS header, and in the text at the beginning of an ASDF file.
IN_FITS = re.compile(rf"{IDENTITY:8}= '(frame:[0-9a-f]+)".encode())
IN_ASDF = re.compile(rb"frame_id: ['\"]?(frame:[0-9a-f]+)")
#: So many bytes are looked into at a time; the header of a FITS file is not looked into further.
PART = 1 << 16


class Finder:
    """
    Finds masters for a frame that is read.

    A master is looked for under the name that the frame's file gives, then in all files that lie in the same places.

    Parameters
    ----------
    path : Path or None
        The frame's file.
    masters : path or iterable of paths, optional
        Files and directories to look in first.
    """

    def __init__(self, path: Path | None, masters: str | os.PathLike[str] | Iterable[Any] | None = None) -> None:
        self._beside = None if path is None else path.absolute().parent
        if masters is None:
            masters = ()
        elif isinstance(masters, (str, os.PathLike)):
            masters = (masters,)
        self._places = [Path(place) for place in masters]
        # What may not be looked at is not there for os.path, here and below; pathlib stops at it.
        missing = [str(place) for place in self._places if not os.path.exists(place)]  # noqa: PTH110  as said
        if missing:
            msg = f"masters={', '.join(missing)}: there is no such file or directory."
            raise FileNotFoundError(msg)
        self._under_way: set[str] = set()

    def _of_master(self, path: Path) -> Finder:
        """What finds the masters of a master, which names files as seen from its own directory."""
        result = Finder(path, self._places if self._beside is None else [*self._places, self._beside])
        result._under_way = self._under_way
        return result

    def __call__(self, entry: Mapping[str, Any]) -> Stored | CCDFrame | None:
        """
        The master, of which as little as possible has been read; None if it is nowhere.

        Parameters
        ----------
        entry : mapping
            Of the master: ``identity``, and ``file`` if it is known.
        """
        identity = str(entry["identity"])
        if identity in self._under_way:
            # Two files that refer to each other, which we do not write.
            return None
        self._under_way.add(identity)
        try:
            for path, named in self._candidates(entry):
                found = _opened(path, identity, self._of_master(path), named=named)
                if found is not None:
                    return found
        finally:
            self._under_way.discard(identity)
        return None

    def _candidates(self, entry: Mapping[str, Any]) -> Iterator[tuple[Path, bool]]:
        """Files to look into, and whether that is because of their names."""
        file = str(entry.get("file") or "")
        name = file.rpartition("/")[2]
        directories = [place for place in self._places if os.path.isdir(place)]  # noqa: PTH112  as said
        seen: set[Path] = set()

        def new(path: Path) -> bool:
            fresh = path not in seen and os.path.isfile(path)  # noqa: PTH113  as said
            seen.add(path)
            return fresh

        if self._beside is not None:
            directories.append(self._beside)
            if file:
                directories.append((self._beside / file).parent)
        for path in self._places:
            if new(path):
                yield path, True
        if name:
            yield from ((path, True) for directory in directories if new(path := directory / name))
        for directory in directories:
            try:
                inside = sorted(path for path in directory.iterdir() if path.name.lower().endswith(ENDINGS))
            except OSError:
                # Not there, or not to be looked into.
                continue
            yield from ((path, False) for path in inside if new(path))


def _opened(path: Path, identity: str, find: Finder, *, named: bool) -> Stored | CCDFrame | None:
    """What is in a file, if it is the frame of that identity."""
    from astro_calib.frame.lending import master_of
    from astro_calib.frame.read_write import register_formats
    from astro_calib.io.stored import Stored

    try:
        asdf, said = _identity(path)
        if said != identity and (said is not None or asdf or not named):
            return None
        register_formats()
        found = OPENERS["asdf" if asdf else "fits"](path, find)
        if isinstance(found, Stored):
            # Whether it can be understood is seen now, and not when the noise is asked for.
            _ = found.terms
    except Exception:  # noqa: BLE001  a damaged file raises errors of any kind
        # Some other file, which happens to lie here, or one that must not be read.
        return None
    if said is None:
        # A file of another origin is known by all that is in it, which is read only if the name is the right one.
        return None if isinstance(found, Stored) or master_of(found).identity != identity else found
    return found


def _identity(path: Path) -> tuple[bool, str | None]:
    """Whether a file is ASDF, and what it says that it is."""
    with path.open("rb") as file:
        start = file.read(PART)
        asdf = start.startswith(b"#ASDF")
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                start = unpacked.read(PART)
        elif start.startswith(b"BZh"):
            with bz2.open(path) as unpacked:
                start = unpacked.read(PART)
        pattern = IN_ASDF if asdf else IN_FITS
        while asdf and not pattern.search(start) and b"\n..." not in start and len(start) < MAX_TEXT:
            part = file.read(PART)
            if not part:
                break
            start += part
    found = pattern.search(start)
    return asdf, None if found is None else found[1].decode()
