"""Find the raw files of a night: in folders and below them, but not among results and what was rejected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import as_path
from astro_calib.errors import FrameError
from astro_calib.night.common.frames import NOT_FITS, UnusedFile
from astro_calib.night.common.output import PARTS
from astro_calib.night.headers.not_raw import NAMED
from astro_calib.night.headers.raw_file import FITS_SUFFIX
from astro_calib.night.headers.told_by_name import kind_by_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["entries_of", "find_files", "places_of"]

#: Formats of capture programs that are not read here, by the ends of names, and what to do.
OTHER_FORMATS = {
    ".xisf": "an XISF file, which is not read here; let the program that wrote it save it as FITS",
    ".xz": "packed with xz, which is not read here; unpack it, or pack it with gzip or bzip2",
    ".ser": "a SER film, which is not read here; let the program that took it save single frames as FITS",
}
#: What is in such files if their names say so is a result.
RESULT = re.compile(r"integrat|drizzle|regist|calibrat|debayer|cosmetic", re.IGNORECASE)
#: Where observers put frames that are no good.
REJECTED = re.compile(r"reject(?:s|ed)?|bad|deleted|trash|unusable", re.IGNORECASE)


def entries_of(raw: Any) -> list[Path]:
    """Return the paths that were given for a night: one, several, or those of a ccdproc.ImageFileCollection."""
    if isinstance(raw, str | PathLike):
        given: list[Any] = [raw]
    elif hasattr(raw, "files_filtered"):
        given = list(raw.files_filtered(include_path=True))
    elif isinstance(raw, Iterable) and not hasattr(raw, "shape"):
        given = list(raw)
    else:
        given = [raw]  # which is refused below
    return [as_path("a raw file", one) for one in given]


def places_of(entries: Iterable[Path]) -> frozenset[Path]:
    """
    Return the folders that were given for a night, and those of files that were.

    Their names, and those of what is above them, say where a night is kept, and nothing of single files.
    """
    return frozenset(entry if os.path.isdir(entry) else entry.parent for entry in entries)  # noqa: PTH112  see below


def find_files(raw: Any) -> tuple[list[Path], list[UnusedFile]]:
    """
    Return the files of a night, each once, and those of directories that are not FITS by their names.

    ``raw`` is a path, several, or a ccdproc.ImageFileCollection. Directories are searched with all that are in them for
    what is not hidden; the results of a reduction and folders of rejected frames are left out. A path that does not
    exist is a FileNotFoundError, no path at all a FrameError.
    """
    given = entries_of(raw)
    search = _Search(places_of(given))
    for entry in given:
        if not os.path.lexists(entry):
            msg = f"{entry} does not exist; expected a raw FITS file, or a directory of them."
            raise FileNotFoundError(msg)
        # A Path raises at a link to itself, and at what may not be looked at; os.path does not, here and below.
        if os.path.isdir(entry):  # noqa: PTH112  as said
            search.directory(entry)
        else:
            search.file(entry)
    if not search.paths and not search.unused:
        where = ", ".join(map(str, given)) or "the list"
        msg = f"there are no raw frames in {where}: it is empty; give a directory of FITS files, or the files."
        raise FrameError(msg)
    return list(search.paths.values()), search.unused


class _Search:
    """Collects files, each once, and what is left out."""

    def __init__(self, places: frozenset[Path]) -> None:
        self.places = places
        self.paths: dict[str, Path] = {}
        self.unused: list[UnusedFile] = []
        self._searched: set[str] = set()

    def file(self, path: Path) -> None:
        """Take a file, if it is not of a format that is known not to be read."""
        refused = OTHER_FORMATS.get(path.suffix.lower())
        if refused is None:
            self.paths.setdefault(os.path.realpath(path), path)
            return
        told = kind_by_name(path, self.places)
        science = told is None or told.value == "science"
        lost = science and not (NAMED.search(path.name) or RESULT.search(path.name))
        self.unused.append(UnusedFile(path, refused, lost=lost))

    def directory(self, directory: Path) -> None:
        """Take the files of a directory, and of those in it."""
        self._searched.add(os.path.realpath(directory))
        try:
            inside = sorted(directory.iterdir())
        except OSError as error:
            reason = f"it cannot be looked into: {error.strerror or error}"
            self.unused.append(UnusedFile(directory, reason, lost=True))
            return
        folders = []
        for path in inside:
            if path.name.startswith("."):
                continue
            if os.path.isdir(path):  # noqa: PTH112  as said above
                folders.append(path)
            elif FITS_SUFFIX.search(path.name) or path.suffix.lower() in OTHER_FORMATS:
                self.file(path)
            else:
                self.unused.append(UnusedFile(path, NOT_FITS))
        for folder in folders:
            self._folder(folder)

    def _folder(self, folder: Path) -> None:
        """Take the files of a directory within one, if there may be raw frames in it."""
        before = len(self.paths), len(self.unused)
        if os.path.realpath(folder) in self._searched:
            reason = "a link to a directory that is searched already"
        elif all((folder / part).is_dir() for part in PARTS):
            reason = "the results of a reduction; give it as well if there are raw frames in it"
        elif REJECTED.fullmatch(folder.name):
            reason = "not searched, for it holds what was rejected, by its name; give it as well if it does not"
        else:
            self.directory(folder)
            if (len(self.paths), len(self.unused)) != before or not FITS_SUFFIX.search(folder.name):
                return
            reason = "a directory, and nothing is in it"
        self.unused.append(UnusedFile(folder, reason))
