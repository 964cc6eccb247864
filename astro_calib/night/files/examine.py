"""What the header of a raw file says that it is, and whether it can be used."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from astro_calib.detector.bayer import PATTERNS
from astro_calib.io.fits.cards import remark_on_cards
from astro_calib.night.common.frames import RawFrame, UnusedFile, file_state
from astro_calib.night.common.names import file_name, stem
from astro_calib.night.files.kind_of_file import kind_of_file
from astro_calib.night.headers.not_raw import header_of_stack
from astro_calib.night.headers.numbers import possible
from astro_calib.night.headers.observed import time_of
from astro_calib.night.headers.raw_file import UnusableFileError, read_raw_headers
from astro_calib.night.headers.setting_cards import CHIP, READ_NOISE, hints_of
from astro_calib.night.headers.settings import rotator_of, settings_of
from astro_calib.night.headers.temperature_cards import doubtful_card
from astro_calib.night.headers.told_by_name import exposure_by_name, filter_by_name
from astro_calib.night.headers.values import header_value, parse_section, values_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from astro_calib.night.headers.raw_file import RawHeader
    from astro_calib.night.profiles.profile import Profile
    from astro_calib.night.profiles.recognise import Recognised

__all__ = ["ADU", "ELECTRONS", "examine_chips"]

#: How headers write that an image is in adu, in small letters.
ADU = frozenset({"", "adu", "adus", "dn", "data number", "count", "counts", "ct", "cts"})
#: How headers write that an image is in electrons, in small letters.
ELECTRONS = frozenset({"electron", "electrons", "e-", "e", "el", "photoelectron"})
#: Cards that say how the colours of a mosaic are laid out, and what they hold.
MOSAIC = ("BAYERPAT", "COLORTYP")
COLOURS = re.compile(r"[RGBCMY]{4}", re.IGNORECASE)
DAY = 86400.0
#: A bias may have this exposure time, which no dark current fills; seconds.
SHORTEST_DARK = 0.0010001
#: A raw frame that is said to be exposed for longer than this is not; seconds.
LONGEST_EXPOSURE = 10 * DAY


def examine_chips(
    path: Path, profile: Profile, *, needs_numbers: bool = True, places: Collection[Path] = ()
) -> list[RawFrame | UnusedFile]:
    """
    Read the header of a raw file; return what it is, chip by chip, or why it cannot be used. No pixel is read.

    If ``needs_numbers``, a header whose gain or read noise makes no sense is such a reason; else it is a remark.
    ``places`` are the folders that somebody gave as the night, whose names say nothing of a single file.
    """
    cards: list[str] = []
    said: list[str] = []
    state = (0, 0)
    try:
        with suppress(OSError):  # as it is told below
            state = file_state(path)
        headers = read_raw_headers(path, cards, profile.amplifiers, said)
    except UnusableFileError as error:
        # Some say what they are although they cannot be read.
        own = None if error.header is None else profile.of(error.header)
        if own is not None and (combined := header_of_stack(error.header, own.keywords["kind"])):
            return [UnusedFile(path, f"no raw frame, for it {combined}: {error}")]
        kind = None if own is None else own.recognise(error.header, path, places).kind
        lost = kind == "science" or (kind is None and error.may_be_science)
        return [UnusedFile(path, str(error), kind or "", lost=lost, damaged=error.cut)]
    frames: list[RawFrame | UnusedFile] = []
    for one in headers:
        chip = one.chip.name if one.chip is not None and len(headers) > 1 else ""
        own = profile.of(one.header)
        found = kind_of_file(path, one.header, own, places)
        if isinstance(found, UnusedFile):
            return [found]
        description = _Description(path, one, found, own, needs_numbers, places)
        frame = description.frame(chip)
        if description.faults:
            lost = frame.kind == "science"
            frames.append(UnusedFile(frame.path, "; ".join(description.faults), frame.kind, lost=lost))
            continue
        remarks = [remark_on_cards(cards)] if cards else []
        remarks += said
        said = []  # of the file, and not of each chip
        frames.append(replace(frame, state=state, remarks=(*remarks, *description.remarks)))
    return frames


class _Description:
    """Reads the description of a raw frame from its header; collects faults, which exclude it, and remarks."""

    def __init__(
        self,
        path: Path,
        raw: RawHeader,
        found: Recognised,
        profile: Profile,
        needs_numbers: bool,
        places: Collection[Path],
    ) -> None:
        self.path, self.header, self.shape, self.profile, self.places = path, raw.header, raw.shape, profile, places
        self.raw = raw
        self.amplifiers = () if raw.chip is None else raw.chip.amplifiers
        self.kind, self.why, self.by, self.needs_numbers = str(found.kind), found.why, found.by, needs_numbers
        self.faults: list[str] = []
        self.remarks: list[str] = [found.remark] if found.remark else []
        self.unusable: dict[str, str] = {}
        self.beyond: set[str] = set()
        self.misfits: list[str] = []

    def frame(self, chip: str) -> RawFrame:
        """The frame of a chip, if there are several, which can be used if there are no faults."""
        header, profile, shape = self.header, self.profile, self.shape
        self._check_unit()
        self._check_colours()
        about = profile.find(header, "object")
        exposure_time = self._exposure_time()
        trim = self.raw.chip.trim if self.raw.chip is not None else self._section("trim", shape)
        settings = settings_of(header, profile.keywords["gain"])
        in_header = self._in_header()
        if "read_noise" in in_header and profile.read_noise is None:
            # Each mode of read-out has its own.
            settings[READ_NOISE] = in_header["read_noise"]
        if chip:
            settings[CHIP] = chip
        return RawFrame(
            path=self.path.with_name(f"{self.path.name}[{chip}]") if chip else self.path,
            name=file_name(f"{stem(self.path)}-{chip}" if chip else stem(self.path)),
            kind=self.kind,
            why=self.why,
            filter=self._filter() if self.kind in ("flat", "science") else "",
            exposure_time=exposure_time,
            object=str(about[1]) if about else "",
            time=time_of(header),
            shape=shape,
            unsigned_16_bit=self.raw.unsigned_16_bit,
            overscan=self._overscan(shape, trim),
            trim=trim,
            gain=self._number("gain"),
            read_noise=self._number("read_noise"),
            saturation=self._number("saturation"),
            misfit="; ".join(self.misfits),
            unusable=self.unusable,
            beyond=frozenset(self.beyond),
            settings=settings,
            in_header=in_header,
            profile=profile,
            rotator=rotator_of(header),
            hints=hints_of(header, profile.keywords),
            thermometer=doubtful_card(header),
            chip=chip,
            is_assembled=self.raw.chip is not None,
            amplifiers=self.amplifiers,
        )

    def _overscan(self, shape: tuple[int, int], trim: str | None) -> str | None:
        """The overscan section, or those of all amplifiers."""
        if not self.amplifiers:
            return self._section("overscan", shape, within=trim)
        unused = [f"detector.{role}" for role in ("trim", "overscan") if getattr(self.profile, role) is not None]
        if unused:
            self.remarks.append(
                f"{' and '.join(unused)} of {self.profile.source} {'is' if len(unused) == 1 else 'are'} not used: the "
                "sections of several amplifiers are those of the headers, or of [[amplifiers]]"
            )
        sections = [one.overscan_section for one in self.amplifiers]
        told = [section.replace(" ", "") for section in sections if section is not None]
        if told and len(told) < len(sections):
            without = ", ".join(one.name for one in self.amplifiers if one.overscan_section is None)
            have = "has" if len(told) == len(sections) - 1 else "have"
            self.remarks.append(f"{without} {have} no overscan: that of the other amplifiers is not used either")
            return None
        return " ".join(told) or None

    def _filter(self) -> str:
        """The filter by the header; by the file's name, with a remark, if the header names none."""
        found = self.profile.find(self.header, "filter")
        if found is not None:
            return str(found[1])
        told = filter_by_name(self.path, self.places)
        if told is None:
            return ""
        self.remarks.append("its filter is the one that its name or folder says, for its header names none")
        return told.value

    def _check_colours(self) -> None:
        """A mosaic of colours is one plane, in which neighbours are of different filters."""
        if self.kind != "science":
            return
        steps = self.profile.steps
        values = {keyword: str(header_value(self.header, keyword) or "").strip() for keyword in MOSAIC}
        told = [f"{keyword}={value!r}" for keyword, value in values.items() if COLOURS.fullmatch(value)]
        if steps.colours and not any(value.upper() in PATTERNS for value in values.values()):
            found = told[0] if told else "its header has no BAYERPAT"
            self.remarks.append(
                f"{found}: no planes of colours are written, for that needs one of {', '.join(PATTERNS)}"
            )
        elif told and not steps.colours:
            self.remarks.append(
                f"{told[0]}: reduced as one plane, in which neighbouring pixels are of different "
                "colours; --colours writes the planes as well, and measures stars in a green one"
            )
        misled = [name.replace("_", " ") for name in ("cosmic_rays", "sky") if getattr(steps, name) is not None]
        if told and misled:
            self.faults.append(
                f"{told[0]}: in a mosaic of colours each pixel differs from its neighbours, so that neither cosmic "
                f"rays nor a sky can be told; reduce it without {' and '.join(misled)}"
            )

    def _check_unit(self) -> None:
        unit = header_value(self.header, "BUNIT")
        if self.profile.unit is not None or unit is None or str(unit).casefold() in ADU:
            return
        advice = "give --unit adu if its numbers are in adu all the same"
        if str(unit).casefold() in ELECTRONS:
            self.faults.append(f"BUNIT={unit!r}: the gain was applied already; raw frames are in adu ({advice})")
        else:
            found = f"BUNIT={unit!r}: raw frames are in adu (or DN, or counts)"
            self.faults.append(f"{found}; this one was calibrated, or is something else ({advice})")

    def _exposure_time(self) -> float:
        """The exposure time in seconds; NaN, and a fault, if there is none."""
        found = self.profile.exposure_time(self.header)
        if self.kind == "bias":
            # That a dark is taken for one is said, however short it is.
            by_time = found is not None and found.keyword in self.why
            if found is not None and found.seconds and (by_time or found.seconds > SHORTEST_DARK):
                self.remarks.append(f"a bias by {self.by}, although {found.keyword}={found.value!r}")
            return 0.0
        if found is None:
            told = exposure_by_name(self.path)
            if told is not None and told <= LONGEST_EXPOSURE:
                self.remarks.append(f"its exposure time, {told:g} s, is the one in its name, for its header tells none")
                return told
            keywords = ", ".join(self.profile.keywords["exposure_time"])
            self.faults.append(
                f"no exposure time: its header has none of {keywords}; write it into the header, or let a profile name "
                "its card (exposure_time under [keywords]), or the name of the file tell it, such as 60s"
            )
            return float("nan")
        seconds = found.seconds
        if seconds is None or (seconds == 0 and self.kind == "dark"):
            self.faults.append(f"{found.keyword}={found.value!r} is no exposure time of a {self.kind} frame")
            return float("nan")
        if seconds > LONGEST_EXPOSURE:
            days = f"{LONGEST_EXPOSURE / DAY:g} days"
            self.faults.append(f"{found.keyword}={found.value!r} is an exposure of more than {days}; expected seconds")
            return float("nan")
        if seconds == 0 and self.kind == "science" and not found.contradicted:
            self.remarks.append(
                f"{found.keyword}={found.value!r}: a science frame of 0 s, of which no dark current is subtracted; if "
                "it was exposed, correct its header, or name another card under exposure_time in the [keywords] of a "
                "profile"
            )
        if found.contradicted:
            self.remarks.append(
                f"{found.keyword}={found.value!r} is taken to be the exposure time, although {found.contradicted}; "
                "exposure_time under [keywords] in a profile says which is right"
            )
        if found.unit:
            self.remarks.append(f"{found.keyword} is taken to be in {found.unit}, as its comment says")
        return seconds

    def _section(self, role: str, shape: tuple[int, int], *, within: str | None = None) -> str | None:
        """The section that the profile or else the header names; what cannot be one of this frame is noted."""
        given: str | None = getattr(self.profile, role)
        advice = f"; give detector.{role} in a profile (a section, or 'none')"
        if given is not None:
            section, fault = _usable_section(f"detector.{role} of {self.profile.source}", given, shape)
            if fault:
                self.misfits.append(fault + advice)
            return section
        faults = []
        for keyword, value in values_of(self.header, self.profile.keywords[role]):
            section, fault = _usable_section(keyword, str(value), shape)
            if section is not None and role == "overscan" and _covers(section, within, shape):
                what = "the whole frame" if within is None else f"all of the data section {within}"
                section, fault = None, f"{keyword}={value!r} covers {what}, and cannot be an overscan"
            if not fault:
                return section
            faults.append(fault)
            if any(int(number) > max(shape) for number in re.findall(r"\d+", str(value))):
                self.beyond.add(role)
        if faults:
            self.unusable[role] = "; ".join(faults) + advice
        return None

    def _number(self, role: str) -> float | None:
        """A property of the detector: from the profile, else from the header."""
        fixed = getattr(self.profile, role)
        if fixed is not None:
            return float(fixed)
        found = self.profile.find(self.header, role)
        if found is None:
            passed_over = self.profile.passed_over(self.header, role)
            if passed_over and role != "saturation":
                self.unusable[role] = passed_over
            return None
        value = possible(role, found[1])
        if value is None:
            # Frames of which it is not known where they saturate can be reduced.
            harmless = role == "saturation" or not self.needs_numbers
            advice = f"give --{role.replace('_', '-')}, or detector.{role} in a profile"
            # Whether anything else tells it is said elsewhere.
            advice = "it is passed over" if harmless and role != "saturation" else advice
            fault = f"{found[0]}={found[1]!r} is no {role.replace('_', ' ')}; {advice}"
            (self.remarks if harmless else self.faults).append(fault)
        return value

    def _in_header(self) -> dict[str, float]:
        """The gain and the read noise of the header, as far as they are possible."""
        found = {role: self.profile.find(self.header, role) for role in ("gain", "gain_per_step", "read_noise")}
        values = {role: possible(role, one[1]) for role, one in found.items() if one is not None}
        return {role: value for role, value in values.items() if value is not None}


def _usable_section(origin: str, section: str, shape: tuple[int, int]) -> tuple[str | None, str]:
    """A section without blanks; None if there is none, or with the reason if it cannot be one of a frame."""
    if section.strip().casefold() == "none":
        return None, ""
    try:
        slices = parse_section(section)
    except ValueError as error:
        return None, f"{origin}: {error}"
    for part, length in zip(slices, shape, strict=True):
        if part.stop is not None and part.stop > length:
            return None, f"{origin}={section!r} does not fit in a frame of {shape[1]} columns and {shape[0]} rows"
    return section.replace(" ", ""), ""


def _covers(section: str, other: str | None, shape: tuple[int, int]) -> bool:
    """Whether all pixels of another section, or of the frame, are in a section."""
    inner: tuple[slice, slice] = (slice(None), slice(None)) if other is None else parse_section(other)
    pairs = zip(parse_section(section), inner, shape, strict=True)
    limits = [(outer.indices(length), part.indices(length)) for outer, part, length in pairs]
    return all(outer[0] <= part[0] and part[1] <= outer[1] for outer, part in limits)
