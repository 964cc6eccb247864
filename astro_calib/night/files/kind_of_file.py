"""The kind of frame in a file, or why the file is left out: it is no raw frame, to be ignored, or of no known kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.headers.not_raw import header_of_stack, name_of_stack

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.night.profiles.profile import Profile
    from astro_calib.night.profiles.recognise import Recognised

__all__ = ["kind_of_file"]

#: What makes a file of no known kind one of a known kind.
SAY_IT = "--bias, --dark, --flat or --science with a pattern of its name says what it is"
MASTERS = "--masters with its folder lets it stand in for frames that the night lacks"


def kind_of_file(
    path: Path, header: Header, profile: Profile, places: Collection[Path] = ()
) -> Recognised | UnusedFile:
    """
    Return what kind of frame is in a file, and what tells it; or why the file is left out.

    ``places`` are the folders that somebody gave as the night.

    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> from astro_calib.night import load_profile
    >>> from astro_calib.night.files.kind_of_file import kind_of_file
    >>> generic = load_profile("generic")
    >>> print(
    ...     kind_of_file(
    ...         Path("a.fit"), fits.Header([("IMAGETYP", "COMP")]), generic
    ...     )
    ... )
    a.fit: ignored: arc lamp (IMAGETYP='COMP')
    """
    found = profile.recognise(header, path, places)
    combined = header_of_stack(header, profile.keywords["kind"])
    if combined:
        advice = "" if found.kind == "science" else f": {MASTERS}"
        # A stack is none of the frames of the night; one that was calibrated is, and is not among the results.
        lost = found.kind == "science" and combined.startswith("was calibrated")
        return UnusedFile(path, f"no raw frame, for it {combined}{advice}", "science" if lost else "", lost=lost)
    named = "" if found.given else name_of_stack(path)
    if named:
        return UnusedFile(path, f"no raw frame, for it {named}: {MASTERS}; {SAY_IT} if it is a raw frame")
    if found.kind == "ignore":
        if found.reason:
            return UnusedFile(path, f"ignored: {found.reason} ({found.why})")
        return UnusedFile(path, f"left out by profile {profile.name}: {profile.kind_values(header)}")
    if found.kind is None:
        if found.why:
            return UnusedFile(path, f"{found.why}; give patterns that tell them apart", lost=True, doubt="several")
        silent = "neither its header nor its name or folder tells it: " if found.silent else ""
        known = f"its kind is not known to profile {profile.name}: {profile.kind_values(header)}"
        # Whoever took it may miss it, whatever word the header has for it.
        return UnusedFile(path, f"{known}; {silent}{SAY_IT}, or [[ignore]] in a profile", lost=True, doubt="unknown")
    return found
