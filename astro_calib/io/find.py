"""Find the file of a master by its identity."""

from __future__ import annotations

import bz2
import gzip
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from astro_calib.frame import CCDFrame
    from astro_calib.io.stored import Stored

__all__ = ["Finder"]

#: How the names of files end that may hold a master.
ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.bz2", ".fits.fz", ".fz", ".asdf")
#: How an identity is written: in a FITS header, and in the text at the beginning of an ASDF file.
IN_FITS = re.compile(rb"FRAMEID = '(frame:[0-9a-f]+)")
IN_ASDF = re.compile(rb"frame_id: ['\"]?(frame:[0-9a-f]+)")
#: Where the header of a FITS file and the text of an ASDF file end at the latest, for looking into it.
HEADER = 1 << 16
TEXT = 1 << 24


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
        missing = [str(place) for place in self._places if not place.exists()]
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
            for path in self._candidates(entry):
                found = _opened(path, identity, self._of_master(path))
                if found is not None:
                    return found
        finally:
            self._under_way.discard(identity)
        return None

    def _candidates(self, entry: Mapping[str, Any]) -> Iterator[Path]:
        file = str(entry.get("file") or "")
        name = file.rpartition("/")[2]
        directories = [place for place in self._places if place.is_dir()]
        seen: set[Path] = set()

        def new(path: Path) -> bool:
            fresh = path not in seen and path.is_file()
            seen.add(path)
            return fresh

        if self._beside is not None:
            directories.append(self._beside)
            if file:
                directories.append((self._beside / file).parent)
        for path in self._places:
            if new(path):
                yield path
        if name:
            yield from (path for directory in directories if new(path := directory / name))
        for directory in directories:
            if directory.is_dir():
                inside = sorted(path for path in directory.iterdir() if path.name.lower().endswith(ENDINGS))
                yield from (path for path in inside if new(path))


def _opened(path: Path, identity: str, find: Finder) -> Stored | CCDFrame | None:
    """What is in a file, if it is the frame of that identity."""
    from astro_calib.io.asdf import stored_asdf
    from astro_calib.io.fits import stored_fits
    from astro_calib.io.stored import Stored
    from astro_calib.masters import master_of

    asdf = path.suffix == ".asdf"
    said = _identity(path, asdf=asdf)
    if said not in (identity, None):
        return None
    if said is None and asdf:
        return None
    try:
        found = stored_asdf(path, find) if asdf else stored_fits(path, find)
    except (FrameError, OSError, ValueError):
        # Some other file, which happens to lie here.
        return None
    if said is None:
        # A file of another origin is known by what is in it.
        return None if isinstance(found, Stored) or master_of(found).identity != identity else found
    return found


def _identity(path: Path, *, asdf: bool) -> str | None:
    """What a file says that it is, from its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(TEXT if asdf else HEADER)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                start = unpacked.read(HEADER)
        elif start.startswith(b"BZh"):
            with bz2.open(path) as unpacked:
                start = unpacked.read(HEADER)
    except (OSError, EOFError):
        return None
    found = (IN_ASDF if asdf else IN_FITS).search(start)
    return None if found is None else found[1].decode()
