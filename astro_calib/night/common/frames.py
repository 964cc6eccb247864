"""The raw files of a night: those that can be used, as RawFrame, and those that cannot, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import printable
from astro_calib.night.common.names import in_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from astro_calib.io.fits.chip import MosaicAmplifier
    from astro_calib.night.profiles.profile import Profile

__all__ = ["NOT_FITS", "RawFrame", "UnusedFile", "by_amplifier", "by_reason", "file_state"]

#: Why other files that lie beside raw ones are left out.
NOT_FITS = "not FITS by its name"
#: So many files in a row are named one by one in an error.
LISTED = 20


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
        Checksum of the pixels; empty as long as they were not read.
    header_digest : str
        Checksum of the header, likewise.
    state : (int, int)
        Length of the file and when it was last written, so that a change is noticed.
    misfit : str
        Why a section of the profile cannot be that of this frame; empty if all can.
    unusable : mapping of str to str
        Why its header does not tell what it seems to tell, of ``"overscan"``, ``"trim"``, ``"gain"`` and
        ``"read_noise"``.
    beyond : frozenset of str
        Which of these sections name pixels beyond the frame: it may have been cut.
    remarks : tuple of str
        What is to be said of its header.
    settings : mapping of str to (str or float)
        What its header says of the setup of the camera, by card.
    in_header : mapping of str to float
        The gain, in electron/adu or for a step of the converter, and the read noise that its header tells, whatever
        the profile says.
    profile : Profile or None
        The profile by which it was read.
    why : str
        What tells its kind, such as ``IMAGETYP='FLAT'``.
    time : float or None
        When the exposure began, as a modified Julian date in days (UT); None if the header does not tell.
    rotator : float or None
        The angle of the rotator in degrees; None if the header does not tell.
    hints : mapping of str to str
        What its header says under cards that may tell a setting as well, by card.
    thermometer : str
        The card that counts as the detector's temperature although nothing says whose it is; empty if one says it.
    chip : str
        The name of its chip in a file of several; its ``path`` ends with that in brackets, and ``file`` does not.
    is_assembled : bool
        Whether it is put together from what several amplifiers have read, with the overscans beside the data.
    amplifiers : tuple of MosaicAmplifier
        Those that have read it, if it is assembled and not meant to be that of one of them.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night import plan_night
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
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
    digest: str = ""
    header_digest: str = ""
    state: tuple[int, int] = (0, 0)
    misfit: str = ""
    unusable: Mapping[str, str] = field(default_factory=dict)
    beyond: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()
    settings: Mapping[str, str | float] = field(default_factory=dict)
    in_header: Mapping[str, float] = field(default_factory=dict)
    profile: Profile | None = field(default=None, repr=False)
    why: str = ""
    time: float | None = None
    rotator: float | None = None
    hints: Mapping[str, str] = field(default_factory=dict)
    thermometer: str = ""
    chip: str = ""
    is_assembled: bool = False
    amplifiers: tuple[MosaicAmplifier, ...] = ()

    @property
    def file(self) -> Path:
        """The file, of which the frame may be one chip."""
        return self.path.with_name(self.path.name.removesuffix(f"[{self.chip}]")) if self.chip else self.path

    @property
    def overscans(self) -> str | list[str] | None:
        """The overscan as `astro_calib.calibrate` takes it: a section, or one for each of several amplifiers."""
        if self.overscan is None or not self.amplifiers:
            return self.overscan
        return [str(amplifier.overscan_section) for amplifier in self.amplifiers]


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
    damaged : bool
        Whether it is a frame that cannot be read, as it is cut off or damaged, or without any number of use.
    doubt : {"", "unknown", "several"}
        Whether its kind is not known, or patterns of several kinds fit it.
    passing : bool
        Whether the disk or the memory failed, and not the file, so that another run may find it well.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night import UnusedFile
    >>> print(
    ...     UnusedFile(
    ...         Path("d1050.fits"), "no filter in its header", kind="flat"
    ...     )
    ... )
    d1050.fits: no filter in its header
    """

    path: Path
    reason: str
    kind: str = ""
    lost: bool = False
    damaged: bool = False
    doubt: str = ""
    passing: bool = False

    def __post_init__(self) -> None:
        # The file is named beside the reason, in which errors name it again.
        names = "|".join(re.escape(name) for name in (str(self.path), self.path.name))
        reason = re.sub(rf"^(?:{names})(?:: | (?=cannot |has an ))", "", self.reason)
        object.__setattr__(self, "reason", reason)

    def __str__(self) -> str:
        return f"{printable(self.path.name)}: {printable(self.reason)}"


def by_amplifier(frame: RawFrame) -> list[RawFrame]:
    """
    Return a frame as each of its amplifiers has it: with its sections, and what the header says of it.

    A frame of one amplifier is returned as it is.
    """
    if not frame.amplifiers:
        return [frame]
    frames = []
    for one in frame.amplifiers:
        numbers: dict[str, Any] = {
            role: None if quantity is None else float(quantity.value)
            for role in ("gain", "read_noise", "saturation")
            for quantity in (getattr(one, role),)
        }
        told = {role: numbers[role] for role in ("gain", "read_noise") if numbers[role] is not None}
        frames.append(
            replace(
                frame,
                trim=one.read_section or one.data_section,
                overscan=one.overscan_section,
                amplifiers=(),
                in_header={**frame.in_header, **told},
                **{role: getattr(frame, role) if value is None else value for role, value in numbers.items()},
            )
        )
    return frames


def by_reason(files: Iterable[UnusedFile]) -> list[str]:
    """
    Return a line for each reason why files are left out, with the names of the files.

    >>> from pathlib import Path
    >>> from astro_calib.night.common.frames import UnusedFile, by_reason
    >>> by_reason(
    ...     [
    ...         UnusedFile(Path(name), "every pixel is 0")
    ...         for name in ("a.fits", "b.fits")
    ...     ]
    ... )
    ['a.fits, b.fits: every pixel is 0']
    """
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(file.reason, []).append(file.path.name)
    return [printable(f"{', '.join(in_rows(names, LISTED))}: {reason}") for reason, names in groups.items()]


def file_state(path: Path) -> tuple[int, int]:
    """Return the length of a file in bytes, and when it was last written, in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
