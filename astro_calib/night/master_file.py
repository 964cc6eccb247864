"""A master in a file: what its header, its name and its history say that it is, without its pixels being read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.detector.header_values import as_number
from astro_calib.night.examine import ADU, ELECTRONS
from astro_calib.night.frames import UnusedFile
from astro_calib.night.headers import header_value, values_of
from astro_calib.night.names import stem
from astro_calib.night.net import tried
from astro_calib.night.sample import STACKED, why_not_raw
from astro_calib.night.setups import COOLED, settings_of
from astro_calib.steps.header import GAIN_OF_ONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.night.frames import RawFrame
    from astro_calib.night.profile import Profile

__all__ = ["CALIBRATIONS", "MasterFile", "examine_master", "made_of", "setup_of", "time_of"]

#: The kinds of frame that masters are made of.
CALIBRATIONS = ("bias", "dark", "flat")
#: What is said of a frame beside its kind where it is a master.
MASTER = re.compile(r"master|super|combined|stack(?:ed)?|integrat(?:ed|ion)|median|mean|average", re.IGNORECASE)
#: How the names of files tell the kind: darks for flats are darks.
IN_NAMES = {
    "dark": re.compile(r"(?<![a-z])m?(?:darks?|flat[\W_]*darks?)(?![a-z])", re.IGNORECASE),
    "flat": re.compile(r"(?<![a-z])m?(?:sky|dome)?flats?(?:[\W_]*field)?(?![a-z])", re.IGNORECASE),
    "bias": re.compile(r"(?<![a-z])m?(?:bias(?:es)?|zeros?|offsets?)(?![a-z])", re.IGNORECASE),
}
#: How they tell an exposure time.
SECONDS = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)[\s_]*(s|sec|secs|seconds)?(?![\da-z])", re.IGNORECASE)
#: Cards by which programs say that a bias or a dark was subtracted; MaxIm DL lists what it did under CALSTAT.
SUBTRACTED = ("BIASFILE", "DARKFILE", "SUBTRACT_BIAS", "SUBTRACT_DARK", "SUBBIAS", "SUBDARK", "ZEROCOR", "DARKCOR")
CALIBRATED = "CALSTAT"


@dataclass(frozen=True, kw_only=True)
class MasterFile:
    """
    A master of another night, as far as its header tells.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"bias", "dark", "flat"}
        What it is for.
    filter : str
        The filter; empty if it is not known, and for biases and darks.
    exposure_time : float
        In seconds; NaN if it is not known.
    shape : (int, int)
        Rows and columns.
    time : float or None
        When it was observed, as a modified Julian date, in days.
    number : int or None
        Of how many frames it was made; None if nothing says so.
    unit : {"adu", "electron", ""}
        Of its numbers; empty if it is neither.
    ours : bool
        Whether this package has made it.
    gain, read_noise : tuple of float
        For one of ours, with which gains its frames were multiplied, in electron/adu, and their read noise in electron.
    sections : mapping of str to str
        For one of ours, the overscan and trim sections of its frames, as far as there were any.
    subtracted : bool
        Whether its header says that a bias or a dark was subtracted.
    holds_bias : bool
        Whether it is a dark of ours whose bias is still in it.
    settings : mapping of str to (str or float)
        What is known of the setup of the camera, by card.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night.master_file import MasterFile
    >>> MasterFile(path=Path("flat-V.fits"), kind="flat", shape=(64, 96)).is_of_filter("V")
    True
    """

    path: Path
    kind: str
    filter: str = ""
    exposure_time: float = float("nan")
    shape: tuple[int, int]
    time: float | None = None
    number: int | None = None
    unit: str = "adu"
    ours: bool = False
    gain: tuple[float, ...] = ()
    read_noise: tuple[float, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)
    subtracted: bool = False
    holds_bias: bool = False
    settings: Mapping[str, str | float] = field(default_factory=dict)

    def is_of_filter(self, name: str) -> bool:
        """Whether it is a flat of a filter, by its header, or by its name if the header does not tell."""
        if self.filter or not name:
            return self.filter == name
        words = re.split(r"[\s_.-]+", stem(self.path))
        return name in words or (len(name) > 1 and name.casefold() in {word.casefold() for word in words})


def made_of(frames: Sequence[RawFrame]) -> dict[str, Any]:
    """
    Return what is noted in a master of what it is made of, so that it can be lent to another night.

    Its header cannot tell: GAIN becomes 1 in a frame in electrons, and the window of a frame that was cut is left out.
    """
    return {"kind": frames[0].kind, "filter": frames[0].filter or None, "setup": setup_of(frames)} if frames else {}


def setup_of(frames: Sequence[RawFrame]) -> dict[str, str | float]:
    """Return what the headers of frames of one setup say of it, all together."""
    setup = {card: value for frame in frames for card, value in frame.settings.items()}
    temperatures = [float(frame.settings[COOLED]) for frame in frames if COOLED in frame.settings]
    if temperatures:
        setup[COOLED] = median(temperatures)
    return setup


def examine_master(path: Path, profile: Profile) -> MasterFile | UnusedFile:
    """Return what master is in a file, or why it cannot be used as one."""
    return tried(path, "", lambda: _examined(path, profile))


def _examined(path: Path, profile: Profile) -> MasterFile | UnusedFile:
    from astro_calib.io.fits.image import header_at_beginning

    header = header_at_beginning(path)
    if header is None:
        return UnusedFile(path, "no FITS file")
    steps = _steps(path) if "CALID" in header else ()
    kind = _parameter(steps, "kind") or _kind(header, path, profile)
    if kind not in CALIBRATIONS:
        what = (
            "a science frame or a stack of some"
            if kind == "science"
            else "neither bias nor dark nor flat by its header"
        )
        return UnusedFile(path, f"no master: {what}", kind or "")
    if not _made_of_many(header, path, profile):
        return UnusedFile(path, "no master: a raw frame, for nothing says that it was combined from several", kind)
    shape = _shape(header)
    if shape is None:
        return UnusedFile(path, "no image of two dimensions", kind)
    found = profile.find(header, "filter")
    return MasterFile(
        path=path,
        kind=kind,
        filter=_parameter(steps, "filter") or (str(found[1]) if found and kind == "flat" else ""),
        exposure_time=0.0 if kind == "bias" else _exposure_time(header, path, profile),
        shape=shape,
        time=time_of(header),
        number=_number(header),
        unit=_unit(header, kind),
        ours=bool(steps),
        gain=_numbers(steps, "gain"),
        read_noise=_numbers(steps, "read_noise"),
        sections=_sections(steps),
        subtracted=_subtracted(header),
        holds_bias=kind == "dark" and bool(steps) and not _bias_subtracted(steps),
        settings=_settings(header, profile, steps),
    )


def _kind(header: Header, path: Path, profile: Profile) -> str | None:
    """The kind of a master's frames: what its header says of its kind without the word master, or else its name."""
    plain = header.copy()
    for keyword, value in values_of(header, profile.keywords["kind"]):
        plain[keyword] = MASTER.sub(" ", str(value)).strip()
    kind = profile.kind(plain)
    if kind is not None:
        return kind
    found = {kind: pattern.search(MASTER.sub("_", stem(path))) for kind, pattern in IN_NAMES.items()}
    places = {kind: match.start() for kind, match in found.items() if match is not None}
    return min(places, key=places.__getitem__) if places else None


def _made_of_many(header: Header, path: Path, profile: Profile) -> bool:
    """Whether something says that an image is no raw frame; cameras write whole numbers."""
    bits = as_number(header_value(header, "ZBITPIX") or header_value(header, "BITPIX")) or 0
    words = [stem(path), *(str(value) for _, value in values_of(header, profile.keywords["kind"]))]
    named = any(MASTER.search(text) for text in words)
    return bits < 0 or named or bool(why_not_raw(path, header, np.zeros((1, 1), dtype=np.uint16)))


def _shape(header: Header) -> tuple[int, int] | None:
    prefix = "Z" if "ZNAXIS" in header else ""
    lengths = [as_number(header_value(header, f"{prefix}NAXIS{axis}")) for axis in (1, 2, 3)]
    columns, rows, planes = lengths
    if columns is None or rows is None or (planes or 1) > 1:
        return None
    return int(rows), int(columns)


def _exposure_time(header: Header, path: Path, profile: Profile) -> float:
    found = profile.exposure_time(header)
    if found is not None and found.seconds is not None:
        return found.seconds
    in_name = SECONDS.findall(stem(path))
    told = [float(number) for number, unit in in_name if unit] or [float(number) for number, _ in in_name]
    return told[0] if len(told) == 1 else float("nan")


def time_of(header: Header) -> float | None:
    """When a frame was observed, as a modified Julian date; None if its header does not say."""
    for keyword, offset in (("MJD-OBS", 0.0), ("MJD", 0.0), ("JD", 2400000.5), ("JD-OBS", 2400000.5)):
        days = as_number(header_value(header, keyword))
        if days is not None and days > offset:
            return days - offset
    date = str(header_value(header, "DATE-OBS") or "")
    if date and "T" not in date:
        hours = header_value(header, "TIME-OBS") or header_value(header, "UT") or ""
        date = f"{date}T{hours}" if hours else date
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return None
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1858, 11, 17, tzinfo=UTC)
    return since.total_seconds() / 86400


def _number(header: Header) -> int | None:
    numbers = (as_number(value) for _, value in values_of(header, STACKED))
    return next((int(number) for number in numbers if number is not None and number >= 1), None)


def _unit(header: Header, kind: str) -> str:
    """The unit by BUNIT; a flat is divided by its mean, so that its unit makes no difference."""
    unit = str(header_value(header, "BUNIT") or "").casefold()
    if unit in ELECTRONS:
        return "electron"
    return "adu" if unit in ADU or kind == "flat" else ""


def _subtracted(header: Header) -> bool:
    status = str(header_value(header, CALIBRATED) or "").upper()
    return bool(set("BD") & set(status)) or any(True for _ in values_of(header, SUBTRACTED))


def _bias_subtracted(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the frames of a master of ours had their bias or their overscan subtracted."""
    kinds = {entry["kind"] for step in steps for entry in step["masters"]}
    return "bias" in kinds or _parameter(steps, "overscan") is not None


def _steps(path: Path) -> Sequence[Mapping[str, Any]]:
    """What was done to a master of ours and its frames, the oldest step first."""
    from astropy.io import fits

    from astro_calib.io.fits_budget import read_tree

    with fits.open(path) as hdus:
        return tuple(read_tree(hdus).get("provenance") or ())


def _parameter(steps: Sequence[Mapping[str, Any]], name: str) -> Any:
    """A parameter of the last step that has it."""
    return next((step["parameters"][name] for step in reversed(steps) if name in step["parameters"]), None)


def _numbers(steps: Sequence[Mapping[str, Any]], name: str) -> tuple[float, ...]:
    """Quantities of each amplifier, without their units."""
    numbers = (as_number(str(value).partition(" ")[0]) for value in _parameter(steps, name) or ())
    return tuple(number for number in numbers if number is not None)


def _sections(steps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    sections = {role: _parameter(steps, role) for role in ("overscan", "trim")}
    return {role: str(section) for role, section in sections.items() if section is not None}


def _settings(header: Header, profile: Profile, steps: Sequence[Mapping[str, Any]]) -> dict[str, str | float]:
    """The setup as it was noted when the master was made; else what is left of it in the header."""
    noted = _parameter(steps, "setup")
    if noted is not None:
        return dict(noted)
    settings = settings_of(header, profile.keywords["gain"])
    return {card: value for card, value in settings.items() if not _of_electrons(header, card)}


def _of_electrons(header: Header, card: str) -> bool:
    """Whether a card says that the frame is in electrons, and no longer what the camera was set to."""
    return card in header and header.comments[card].startswith(GAIN_OF_ONE[:20])
