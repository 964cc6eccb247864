"""What somebody says of the files of a night by hand: which of them are of which kind, and which pixels are bad."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import as_path, described
from astro_calib.errors import FrameError
from astro_calib.night.headers.raw_file import UnusableFileError, read_raw_file
from astro_calib.night.headers.values import parse_section
from astro_calib.night.profiles.recognise import is_named

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from astro_calib.night.profiles.profile import Profile

__all__ = ["BadPixelFile", "Pattern", "read_bad_pixels", "unfitting", "with_patterns"]

#: What files of a kind, or folders of them, are called.
Pattern = str | PathLike[str] | Iterable[str | PathLike[str]] | None
#: In a mask fewer pixels are bad than good.
MOST_BAD = 0.5


def with_patterns(profile: Profile, patterns: Mapping[str, Any]) -> Profile:
    """
    Return a profile that takes files for a kind whose name, or that of a folder of theirs, fits a pattern.

    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> from astro_calib.night import load_profile
    >>> from astro_calib.night.profiles.by_hand import with_patterns
    >>> profile = with_patterns(load_profile("generic"), {"flat": "dusk*"})
    >>> profile.kind(fits.Header([("IMAGETYP", "LIGHT")]), Path("dusk-3.fits"))
    'flat'
    """
    given = {kind: _texts(kind, value) for kind, value in patterns.items() if value is not None}
    return replace(profile, given=given) if any(given.values()) else profile


def _texts(kind: str, value: Any) -> tuple[str, ...]:
    several = [value] if isinstance(value, str | PathLike) or not isinstance(value, Iterable) else list(value)
    for one in several:
        if not isinstance(one, str | PathLike) or not str(one).strip():
            msg = (
                f"{kind} is {described(one)}; expected a pattern for the names of files or folders, such as '{kind}*'."
            )
            raise ValueError(msg)
    return tuple(str(os.fspath(one)) for one in several)


def unfitting(profile: Profile, paths: Iterable[Path]) -> tuple[str, ...]:
    """Return a remark for each pattern that no file fits: it is most likely misspelt."""
    every = list(paths)
    return tuple(
        f"no file or folder fits --{kind} {pattern!r}"
        for kind, patterns in profile.given.items()
        for pattern in patterns
        if not any(is_named(path, pattern) for path in every)
    )


@dataclass(frozen=True)
class BadPixelFile:
    """
    The bad pixels that a file names.

    Parameters
    ----------
    path : Path
        The file.
    bad : ndarray of bool, shape (ny, nx)
        True where a pixel is bad; of frames as they are in their files, or of what is kept of them.
    """

    path: Path
    bad: NDArray[np.bool_]

    def is_in(self, path: Path) -> bool:
        """Whether this is the file at a path, which may not be there."""
        return os.path.realpath(path) == os.path.realpath(self.path)

    def of(self, shape: tuple[int, int], trim: str | None) -> NDArray[np.bool_] | None:
        """The bad pixels of what is kept of a frame of some shape; None if they are those of another one."""
        if self.bad.shape == shape:
            return self.bad if trim is None else self.bad[parse_section(trim)]
        if trim is None:
            return None
        kept = [len(range(*part.indices(length))) for part, length in zip(parse_section(trim), shape, strict=True)]
        return self.bad if self.bad.shape == tuple(kept) else None

    def misfit(self, shape: tuple[int, int]) -> str:
        """What to say where it is of another shape."""
        return (
            f"{self.path.name} has {self.bad.shape[1]} columns and {self.bad.shape[0]} rows, the frames have "
            f"{shape[1]} and {shape[0]}: its bad pixels are not used"
        )


def read_bad_pixels(path: str | PathLike[str]) -> BadPixelFile:
    """Return what a FITS file has as bad pixels: all that are not 0; a FrameError says why they cannot be used."""
    file = as_path("the file of bad pixels", path)
    try:
        _, values = read_raw_file(file)
    except UnusableFileError as error:
        msg = f"the bad pixels of {file} cannot be used: {error}; expected a FITS image in which bad pixels are not 0."
        raise FrameError(msg) from error
    bad = np.asarray(values != 0)
    part = float(np.mean(bad))
    if part > MOST_BAD:
        msg = (
            f"by {file} {100 * part:.0f}% of the pixels are bad; expected a mask with 0 where a pixel is good. If it "
            "has 1 there, turn it around."
        )
        raise FrameError(msg)
    return BadPixelFile(file, bad)
