"""A master in a file: what its header, its name and its history say that it is, without its pixels being read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from astro_calib.detector.header_values import as_number
from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.names import stem
from astro_calib.night.common.net import tried
from astro_calib.night.files.examine import ADU, ELECTRONS
from astro_calib.night.headers.cards import cards_of
from astro_calib.night.headers.not_raw import STACKED, header_of_stack
from astro_calib.night.headers.observed import time_of
from astro_calib.night.headers.setting_cards import hints_of
from astro_calib.night.headers.settings import COOLED, rotator_of, settings_of
from astro_calib.night.headers.told_by_name import kind_by_name
from astro_calib.night.headers.values import header_value, values_of
from astro_calib.steps.header import GAIN_OF_ONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.detector.detector import Detector
    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.profiles.profile import Profile

__all__ = ["CALIBRATIONS", "MasterFile", "examine_master", "made_of", "setup_of"]

#: The kinds of frame that masters are made of.
CALIBRATIONS = ("bias", "dark", "flat")
#: What is said of a frame beside its kind where it is a master.
MASTER = re.compile(
    r"master|super|combined|stack(?:ed)?|integrat(?:ed|ion)|median|mean|average|(?<![a-z])m(?=bias|dark|flat)",
    re.IGNORECASE,
)
#: How the names of files tell an exposure time.
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
    gain, gain_uncertainty, read_noise : tuple of float
        For one of ours, with which gains its frames were multiplied, in electron/adu, how well these were known, and
        the read noise in electron.
    sections : mapping of str to str
        For one of ours, the overscan and trim sections of its frames, as far as there were any.
    subtracted : bool
        Whether its header says that a bias or a dark was subtracted.
    holds_bias : bool
        Whether it is a dark of ours whose bias is still in it, less ``pedestal``.
    pedestal : float
        The level in adu that was subtracted from its frames; 0 for none.
    rotator : float or None
        The angle of the rotator in degrees; None if its header does not tell.
    settings : mapping of str to (str or float)
        What is known of the setup of the camera, by card.
    hints : mapping of str to str
        What its header says under cards that may tell a setting as well, by card.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astro_calib.night.library.master_file import MasterFile
    >>> MasterFile(
    ...     path=Path("flat-V.fits"), kind="flat", shape=(64, 96)
    ... ).is_of_filter("V")
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
    gain_uncertainty: tuple[float, ...] = ()
    read_noise: tuple[float, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)
    subtracted: bool = False
    holds_bias: bool = False
    pedestal: float = 0.0
    rotator: float | None = None
    settings: Mapping[str, str | float] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)

    @property
    def may_hold_bias(self) -> bool:
        """Whether it is a dark whose bias is still in it, or may be, as long as its pixels were not looked at."""
        return self.kind == "dark" and (self.holds_bias if self.ours else not self.subtracted)

    def is_of_filter(self, name: str) -> bool:
        """Whether it is a flat of a filter, by its header, or by its name if the header does not tell."""
        if self.filter or not name:
            return self.filter == name
        words = re.split(r"[\s_.-]+", stem(self.path))
        return name in words or (len(name) > 1 and name.casefold() in {word.casefold() for word in words})


def made_of(frames: Sequence[RawFrame], detector: Detector) -> dict[str, Any]:
    """
    Return what is noted in a master of what it is made of, so that it can be lent to another night.

    Its header cannot tell: GAIN becomes 1 in a frame in electrons, and the window of a frame that was cut is left out.
    """
    if not frames:
        return {}
    noted: dict[str, Any] = {"kind": frames[0].kind, "filter": frames[0].filter or None, "setup": setup_of(frames)}
    for name in ("gain", "gain_uncertainty", "read_noise"):
        # That of each frame may be its own.
        values = [getattr(amplifier, name) for amplifier in detector.amplifiers]
        noted[name] = None if None in values else [float(value.value) for value in values]
    return noted


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
    from astro_calib.io.fits.header_reader import read_image_header
    from astro_calib.io.fits_budget import read_provenance

    found = read_image_header(path)
    if found.fault:
        return UnusedFile(path, found.fault, lost=True)
    header = found.header
    profile = profile.of(header)
    # What we have calibrated has a CALID, and what we have combined a number of frames.
    steps = read_provenance(path) if "CALID" in header and "NCOMBINE" in header else ()
    kind = _parameter(steps, "kind") or _kind(header, path, profile)
    if kind not in CALIBRATIONS:
        what = (
            "a science frame or a stack of some"
            if kind == "science"
            else "neither bias nor dark nor flat by its header"
        )
        return UnusedFile(path, f"no master: {what}", kind or "")
    floats = found.dtype is not None and found.dtype.kind == "f"
    if not (floats or _made_of_many(header, path, profile)):
        return UnusedFile(path, "no master: a raw frame, for nothing says that it was combined from several", kind)
    if len(found.shape) != 2 or found.images != 1:
        return UnusedFile(path, "no master: not one image of two dimensions", kind)
    of_filter = profile.find(header, "filter")
    return MasterFile(
        path=path,
        kind=kind,
        filter=_parameter(steps, "filter") or (str(of_filter[1]) if of_filter and kind == "flat" else ""),
        exposure_time=0.0 if kind == "bias" else _exposure_time(header, path, profile),
        shape=(found.shape[0], found.shape[1]),
        time=time_of(header),
        number=_number(header),
        unit=_unit(header, kind),
        ours=bool(steps),
        gain=_numbers(steps, "gain"),
        gain_uncertainty=_numbers(steps, "gain_uncertainty"),
        read_noise=_numbers(steps, "read_noise"),
        sections=_sections(steps),
        subtracted=_subtracted(header),
        holds_bias=kind == "dark" and bool(steps) and not _bias_subtracted(steps),
        pedestal=float(_parameter(steps, "pedestal") or 0.0),
        rotator=rotator_of(header),
        settings=_settings(header, profile, steps),
        hints=hints_of(header, profile.keywords),
    )


def _kind(header: Header, path: Path, profile: Profile) -> str | None:
    """The kind of a master's frames: what its header says of its kind without the word master, or else its name."""
    plain = header.copy()
    for card in cards_of(header, profile.keywords["kind"]):
        plain[card.keyword] = MASTER.sub(" ", str(card.value)).strip()
    kind = profile.kind(plain)
    if kind is not None:
        return kind
    told = kind_by_name(path.with_name(MASTER.sub("_", path.name)))
    return None if told is None else told.value


def _made_of_many(header: Header, path: Path, profile: Profile) -> bool:
    """Whether something says that an image of whole numbers, as cameras write them, is no raw frame."""
    words = [stem(path), *(str(card.value) for card in cards_of(header, profile.keywords["kind"]))]
    named = any(MASTER.search(text) for text in words)
    return named or bool(header_of_stack(header, series=True))


def _exposure_time(header: Header, path: Path, profile: Profile) -> float:
    found = profile.exposure_time(header)
    if found is not None and found.seconds is not None:
        return found.seconds
    in_name = SECONDS.findall(stem(path))
    told = [float(number) for number, unit in in_name if unit] or [float(number) for number, _ in in_name]
    return told[0] if len(told) == 1 else float("nan")


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
