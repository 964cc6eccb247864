"""One raw file: what its header says it is, and whether it can be used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import as_path
from astro_calib.errors import FrameError
from astro_calib.identity import content_digest
from astro_calib.night.headers import as_number, header_value, parse_section, printable
from astro_calib.night.names import file_name, stem
from astro_calib.night.raw_file import FITS_SUFFIX, UnusableFileError, read_raw_file

if TYPE_CHECKING:
    import numpy as np
    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from astro_calib.night.profile import Profile

__all__ = ["RawFrame", "UnusedFile", "by_reason", "examine_file", "find_files"]


#: How headers write that an image is in adu, in small letters.
ADU = frozenset({"", "adu", "adus", "dn", "data number", "count", "counts", "ct", "cts"})
#: And in electrons.
ELECTRONS = frozenset({"electron", "electrons", "e-", "e", "el", "photoelectron"})


@dataclass(frozen=True, kw_only=True)
class RawFrame:
    """
    A raw frame that can be used.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        A name for what is made from it, safe as a file name and different for each frame of the night.
    kind : {"bias", "dark", "flat", "science"}
        What it is for.
    filter : str
        The filter; empty if the header names none, and for biases and darks.
    exposure_time : float
        In seconds.
    object : str
        What the header says was observed.
    shape : (int, int)
        Rows and columns of the frame as it is in the file.
    unsigned_16_bit : bool
        Whether its numbers end at 65535.
    overscan, trim : str or None
        Sections in FITS convention, where there are any.
    gain, read_noise, saturation : float or None
        In electron/adu, electron and adu, as far as known.
    digest : str
        Checksum of the pixels.
    misfit : str
        Why a section cannot be that of this frame; empty if all can.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night import plan_night
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(directory, camera=simulate.camera((64, 96), filters=["V"]), science=1)
    ...     plan = plan_night(directory)
    >>> frame = plan.science[0]
    >>> frame.kind, frame.filter, frame.shape, frame.gain
    ('science', 'V', (64, 128), 1.5)
    """

    path: Path
    name: str
    kind: str
    filter: str
    exposure_time: float
    object: str
    shape: tuple[int, int]
    unsigned_16_bit: bool
    overscan: str | None
    trim: str | None
    gain: float | None
    read_noise: float | None
    saturation: float | None
    digest: str
    misfit: str = ""


@dataclass(frozen=True)
class UnusedFile:
    """
    A file that is left out, and why.

    Parameters
    ----------
    path : Path
        The file.
    reason : str
        Why.
    kind : str
        The kind of frame that it is, if known.
    lost : bool
        Whether it is a science frame that should have been reduced; or may be one, if it cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night import UnusedFile
    >>> print(UnusedFile(Path("d1050.fits"), "no filter in its header", kind="flat"))
    d1050.fits: no filter in its header
    """

    path: Path
    reason: str
    kind: str = ""
    lost: bool = False

    def __str__(self) -> str:
        return f"{printable(self.path.name)}: {printable(self.reason)}"


def by_reason(files: Iterable[UnusedFile]) -> list[str]:
    """
    Files and why they are left out, those of one reason together.

    Parameters
    ----------
    files : iterable of UnusedFile
        The files.

    Returns
    -------
    list of str
        One for each reason.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night.frames import UnusedFile, by_reason
    >>> by_reason([UnusedFile(Path(name), "every pixel is 0") for name in ("a.fits", "b.fits")])
    ['a.fits, b.fits: every pixel is 0']
    """
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(file.reason, []).append(file.path.name)
    return [printable(f"{', '.join(names)}: {reason}") for reason, names in groups.items()]


def find_files(raw: Any) -> tuple[list[Path], list[UnusedFile]]:
    """
    The files of a night.

    Parameters
    ----------
    raw : path, ccdproc.ImageFileCollection, or iterable of paths
        Files and directories; of a directory all files that are not hidden, but nothing of those below it.

    Returns
    -------
    paths : list of Path
        Each file once, sorted by name within each directory.
    unused : list of UnusedFile
        Files of directories whose names do not end as those of FITS files do.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    FrameError
        If no path is given.
    """
    if isinstance(raw, str | PathLike):
        given: list[Any] = [raw]
    elif hasattr(raw, "files_filtered"):
        given = list(raw.files_filtered(include_path=True))
    elif isinstance(raw, Iterable) and not hasattr(raw, "shape"):
        given = list(raw)
    else:
        given = [raw]  # which is refused below
    paths: dict[Path, Path] = {}
    unused = []
    for entry in (as_path("a raw file", one) for one in given):
        if not entry.exists():
            msg = f"{entry} does not exist; expected a raw FITS file, or a directory of them."
            raise FileNotFoundError(msg)
        if not entry.is_dir():
            paths.setdefault(entry.resolve(), entry)
            continue
        for path in sorted(entry.iterdir()):
            if path.name.startswith(".") or path.is_dir():
                continue
            if FITS_SUFFIX.search(path.name):
                paths.setdefault(path.resolve(), path)
            else:
                unused.append(UnusedFile(path, "not FITS by its name"))
    if not paths and not unused:
        where = ", ".join(str(entry) for entry in map(Path, given)) or "the list"
        msg = f"there are no raw frames in {where}: it is empty; give a directory of FITS files, or the files."
        raise FrameError(msg)
    return list(paths.values()), unused


def examine_file(path: Path, profile: Profile) -> RawFrame | UnusedFile:
    """
    Read a raw file to its end and tell what it is, or why it cannot be used.

    Parameters
    ----------
    path : Path
        The file.
    profile : Profile
        How it is to be understood.

    Returns
    -------
    RawFrame or UnusedFile
    """
    try:
        header, data = read_raw_file(path)
    except UnusableFileError as error:
        if error.header is None:
            return UnusedFile(path, str(error), lost=not error.not_fits)
        kind = profile.kind(error.header)
        return UnusedFile(path, str(error), kind or "", lost=kind == "science")
    kind = profile.kind(header)
    if kind is None:
        return UnusedFile(path, f"its kind is not known to profile {profile.name}: {profile.kind_values(header)}")
    if kind == "ignore":
        return UnusedFile(path, f"left out by profile {profile.name}: {profile.kind_values(header)}")
    try:
        return _describe(path, header, data, kind, profile)
    except UnusableFileError as error:
        return UnusedFile(path, str(error), kind, lost=kind == "science")


def _describe(
    path: Path,
    header: Header,
    data: NDArray[np.generic],
    kind: str,
    profile: Profile,
) -> RawFrame:
    unit = header_value(header, "BUNIT")
    if isinstance(unit, str) and unit.casefold() in ELECTRONS:
        msg = f"BUNIT={unit!r}: the gain was applied already; raw frames are in adu"
        raise UnusableFileError(msg)
    if isinstance(unit, str) and unit.casefold() not in ADU:
        msg = f"BUNIT={unit!r}: raw frames are in adu (or DN, or counts); this one was calibrated, or is something else"
        raise UnusableFileError(msg)
    shape = (data.shape[0], data.shape[1])
    texts = {role: profile.find(header, role) for role in ("filter", "object")}
    overscan, overscan_misfit = _section(header, profile, "overscan", shape)
    trim, trim_misfit = _section(header, profile, "trim", shape)
    return RawFrame(
        path=path,
        name=file_name(stem(path)),
        kind=kind,
        filter=str(texts["filter"][1]) if texts["filter"] and kind in ("flat", "science") else "",
        exposure_time=_exposure_time(header, profile, kind),
        object=str(texts["object"][1]) if texts["object"] else "",
        shape=shape,
        unsigned_16_bit=data.dtype == "uint16",
        overscan=overscan,
        trim=trim,
        gain=_from_header(header, profile, "gain"),
        read_noise=_from_header(header, profile, "read_noise"),
        saturation=_from_header(header, profile, "saturation"),
        digest=content_digest(data),
        misfit=overscan_misfit or trim_misfit,
    )


def _exposure_time(header: Header, profile: Profile, kind: str) -> float:
    if kind == "bias":
        return 0.0
    found = profile.find(header, "exposure_time")
    if found is None:
        keywords = ", ".join(profile.keywords["exposure_time"])
        msg = f"no exposure time: its header has none of {keywords}"
        raise UnusableFileError(msg)
    seconds = as_number(found[1])
    if seconds is None or seconds < 0 or (seconds == 0 and kind == "dark"):
        msg = f"{found[0]}={found[1]!r} is no exposure time of a {kind} frame"
        raise UnusableFileError(msg)
    return seconds


def _section(header: Header, profile: Profile, role: str, shape: tuple[int, int]) -> tuple[str | None, str]:
    """The section that the profile or else the header names, and why it cannot be one of this frame, if so."""
    section: str | None = getattr(profile, role)
    origin = f"detector.{role} of {profile.source}"
    if section is None:
        found = profile.find(header, role)
        if found is None:
            return None, ""
        origin, section = found[0], str(found[1])
    if section == "none":
        return None, ""
    advice = f"; give detector.{role} in a profile (a section, or 'none')"
    try:
        slices = parse_section(section)
    except ValueError as error:
        return section, f"{origin}: {error}{advice}"
    for part, length in zip(slices, shape, strict=True):
        if part.stop is not None and part.stop > length:
            frame = f"a frame of {shape[1]} columns and {shape[0]} rows"
            return section, f"{origin}={section!r} does not fit in {frame}{advice}"
    return section.replace(" ", ""), ""


def _from_header(header: Header, profile: Profile, role: str) -> float | None:
    """A property of the detector: from the profile, else from the header."""
    fixed = getattr(profile, role)
    if fixed is not None:
        return float(fixed)
    found = profile.find(header, role)
    if found is None:
        return None
    value = as_number(found[1])
    if value is None or value < 0 or (value == 0 and role != "read_noise"):
        advice = f"give --{role.replace('_', '-')}, or detector.{role} in a profile"
        msg = f"{found[0]}={found[1]!r} is no {role.replace('_', ' ')}; {advice}"
        raise UnusableFileError(msg)
    return value
