"""What a file is, as text: ``astro-calib info``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import printable
from astro_calib.errors import FrameError
from astro_calib.night.common.text import paragraph

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.night.preview.about_raw import Facts
    from astro_calib.night.profiles.profile import Profile

__all__ = ["about_file"]

#: How wide the text is, and the column of what is about.
WIDTH, LABEL = 80, 18


def about_file(path: Path, profile: Profile) -> str:
    r"""
    Return what a file is: a raw frame, from its headers alone; or one of our own results, with its noise and history.

    Raises
    ------
    FrameError
        If it is no FITS file, or no file of ours, or is cut off or damaged; the message names the file.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night import load_profile
    >>> from astro_calib.night.preview.about import about_file
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
    ...     text = about_file(
    ...         Path(directory) / "flat-001-V.fits", load_profile("generic")
    ...     )
    >>> print("\n".join(text.splitlines()[:4]))
    flat-001-V.fits
      taken for         a flat, as IMAGETYP='FLAT' says
      object            flat (OBJECT)
      filter            V (FILTER)
    """
    lines = [printable(path.name)]
    for label, text in _facts(path, profile).items():
        first = f"  {label:{LABEL}}"[: max(LABEL, len(label)) + 2]
        lines += paragraph(printable(text), WIDTH, first, " " * (LABEL + 2))
    return "\n".join(lines)


def _facts(path: Path, profile: Profile) -> Facts:
    from astro_calib.io.fits.header_reader import read_image_header
    from astro_calib.night.preview.about_raw import about_raw
    from astro_calib.night.preview.about_result import about_result

    if path.suffix.lower() == ".asdf":
        return about_result(path)
    try:
        found = read_image_header(path)
    except FrameError as error:
        msg = f"{path}: {error}"
        raise FrameError(msg) from error
    if found.fault:
        msg = f"{path}: {found.fault}"
        raise FrameError(msg)
    return about_result(path) if _is_ours(found.header) else about_raw(path, found, profile)


def _is_ours(header: Header) -> bool:
    """Whether this package wrote the file."""
    from astro_calib.io.fits_budget import IDENTITY

    return str(header.get(IDENTITY, "")).startswith("frame:")
