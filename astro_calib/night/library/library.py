"""A library of masters of other nights: found by kind, setup, exposure or filter, and age, and lent to a night."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import as_path, printable
from astro_calib.errors import FrameError
from astro_calib.night.common.frames import UnusedFile, by_reason
from astro_calib.night.common.names import for_filter, named
from astro_calib.night.headers.raw_file import FITS_SUFFIX
from astro_calib.night.headers.setting_cards import FAMILIES, PEDESTAL, family_of
from astro_calib.night.headers.settings import COOLED
from astro_calib.night.headers.values import parse_section
from astro_calib.night.library.loan import NOTHING, Borrowed, Loan
from astro_calib.night.library.master_file import examine_master, setup_of
from astro_calib.night.matching.matching import near, same_exposure
from astro_calib.night.profiles.choice import load_profile, profile_of
from astro_calib.night.setups.dark_temperature import doubt_of_master_dark
from astro_calib.night.setups.odd_cards import doubts_of_cards
from astro_calib.night.setups.setups import Setup, difference
from astro_calib.night.setups.told_in_part import contradictions_of_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.library.master_file import MasterFile
    from astro_calib.night.profiles.matching_rules import Matching
    from astro_calib.night.profiles.profile import Profile
    from astro_calib.night.setups.setups import OfSetup

__all__ = ["Library", "find_library"]

#: A dark that has to be scaled by more than this, up or down, is a last resort.
FAR = 10.0
#: So many masters that do not fit are named with what they have differently.
NAMED = 5
#: A master that is farther from the night than this is worth a remark of its own, days.
OLD = 365.25


class _Night:
    """What masters are compared with: the frames of one setup of the camera."""

    def __init__(self, frames: Sequence[RawFrame], rules: Matching) -> None:
        self.frames, self.rules = frames, rules
        first = frames[0]
        self.overscan, self.trim, self.shape = first.overscan, first.trim, first.shape
        self.setup = Setup(setup_of(frames), tuple(frames), rules.temperature)
        times = [frame.time for frame in frames if frame.time is not None]
        self.time = median(times) if times else None

    @cached_property
    def kept(self) -> tuple[int, int]:
        """Rows and columns of a calibrated frame."""
        if self.trim is None:
            return self.shape
        rows, columns = (
            range(*part.indices(length)) for part, length in zip(parse_section(self.trim), self.shape, strict=True)
        )
        return len(rows), len(columns)

    def days_from(self, master: MasterFile) -> float | None:
        """How many days the night is later than a master; None if one of the two has no date."""
        return None if self.time is None or master.time is None else self.time - master.time

    def untold(self, master: MasterFile) -> list[str]:
        """What the headers of the frames tell of the setup, and the header of a master does not."""
        ours, of_master = (
            {family_of(card) or card for card in settings} for settings in (self.setup.settings, master.settings)
        )
        return [
            what
            for what in (*FAMILIES, COOLED)
            # A flat is free from it, and from its card.
            if not (what == PEDESTAL and master.kind == "flat")
            if what in ours and what not in of_master
        ]

    def untold_here(self, master: MasterFile) -> list[str]:
        """What the header of a master tells of the setup, and those of science frames do not, as far as it matters."""
        of_master = {family_of(card) or card for card in master.settings}
        told = [{family_of(card) or card for card in one.settings} for one in self.frames if one.kind == "science"]
        wanted = [what for what in FAMILIES if not (what == PEDESTAL and master.kind == "flat")]
        wanted += [COOLED] if master.kind == "dark" else []
        return [what for what in wanted if what in of_master and any(what not in ours for ours in told)]

    def doubts(self, master: MasterFile) -> list[str]:
        """What headers say against a master that fits, as of calibration frames of the night."""
        frames: list[OfSetup] = [master, *(frame for frame in self.frames if frame.kind == "science")]
        found = [*doubts_of_cards(frames), *contradictions_of_settings(frames)]
        if master.kind == "dark" and COOLED in master.settings:
            found.append(doubt_of_master_dark(float(master.settings[COOLED]), self.frames))
        days = self.days_from(master)
        if days is not None and abs(days) > OLD:
            what = "dust may have moved" if master.kind == "flat" else "bias and hot pixels may have changed"
            found.append(f"it is {abs(days) / OLD:.1f} years away from the night: {what} since; take a newer one")
        return [f"{master.path.name}: {doubt}" for doubt in found if doubt]

    def _is_near(self, temperature: float, kind: str) -> bool:
        """Whether a temperature is within the tolerance of the setup's; that of a dark, of each science frame's."""
        each = [float(one.settings[COOLED]) for one in self.frames if one.kind == "science" and COOLED in one.settings]
        usual = float(self.setup.settings[COOLED])
        own = each if kind == "dark" and each else [usual]
        return all(abs(temperature - one) <= self.setup.tolerance for one in own)

    def other_level(self, master: MasterFile) -> str:
        """Which gain or offset a flat of ours has that is not that of these frames, which it is free from."""
        settings = {card: value for card, value in master.settings.items() if card != COOLED}
        compared = replace(master, settings=settings)
        different = difference(self.setup, compared)
        return different.words if master.ours and master.kind == "flat" and different.is_of_level else ""

    def misfit(self, master: MasterFile) -> str:
        """Why a master cannot be applied to these frames; empty if it can."""
        settings = dict(master.settings)
        own = self.setup.settings.get(COOLED)
        if own is not None and COOLED in settings and self._is_near(float(settings[COOLED]), master.kind):
            settings.pop(COOLED, None)
        different = difference(self.setup, replace(master, settings=settings))
        if different.words and not self.other_level(master):
            may = " (matching.temperature in a profile can allow it)" if different.is_of_temperature else ""
            return f"its {different.words}{may}"
        if self.frames[0].amplifiers and not master.ours:
            return "it is of another program, and the frames are of several amplifiers"
        if master.ours:
            for role, section in (("overscan", self.overscan), ("trim", self.trim)):
                if master.sections.get(role) != section:
                    of_master = master.sections.get(role, "none")
                    return f"the {role} section of its frames is {of_master}, not {section or 'none'}"
        if master.shape not in (self.kept, self.shape):
            rows, columns = master.shape
            wanted = f"{self.kept[1]} columns x {self.kept[0]} rows"
            return f"it has {columns} columns x {rows} rows, and the frames {wanted}"
        for frame in self.frames if master.kind == "flat" else ():
            known = frame.kind == "science" and master.is_of_filter(frame.filter) and frame.rotator is not None
            if known and master.rotator is not None and not near(master.rotator, frame.rotator, self.rules.rotator):
                return f"its rotator is at {master.rotator:g} degrees, not at {frame.rotator:g}"
        if not master.unit and master.kind != "flat":
            return "it is neither in adu nor in electron by its BUNIT"
        return ""


class Library:
    """
    The masters in some files and directories.

    Parameters
    ----------
    masters : iterable of MasterFile
        Those that were found.
    places : iterable of Path
        Where.
    others : iterable of UnusedFile
        The files there that are no masters, or cannot be read.
    profile : Profile, optional
        Says how near temperature and angle of the rotator have to be, where the frames do not choose one.
    """

    def __init__(
        self,
        masters: Iterable[MasterFile],
        places: Iterable[Path],
        others: Iterable[UnusedFile] = (),
        profile: Profile | None = None,
    ) -> None:
        self.profile = profile or load_profile("generic")
        self.masters = tuple(masters)
        self.places = tuple(places)
        self.others = tuple(others)

    def lend(self, frames: Sequence[RawFrame]) -> Loan:
        """Return the masters that frames of one setup have nothing in the place of."""
        kinds = {frame.kind for frame in frames}
        if kinds <= {"bias"}:
            return NOTHING
        night = _Night(frames, profile_of(frames, self.profile).matching)
        found: list[Borrowed] = []
        missing: list[str] = []
        if "bias" not in kinds:
            biases = [one for one in self.masters if one.kind == "bias"]
            found += self._nearest(night, biases, "bias", "master bias", missing)
        if "dark" not in kinds and kinds & {"flat", "science"}:
            found += self._darks(night, missing)
        flats = {frame.filter for frame in frames if frame.kind == "flat"}
        for name in sorted({frame.filter for frame in frames if frame.kind == "science"} - flats):
            of_filter = [one for one in self.masters if one.kind == "flat" and one.is_of_filter(name)]
            found += [
                one._replace(master=replace(one.master, filter=name))
                for one in self._nearest(night, of_filter, "flat", f"master flat for {for_filter(name)}", missing)
            ]
        taken = [_taken(one, night.untold(one.master), night.untold_here(one.master)) for one in found]
        doubts = (printable(doubt) for one in found for doubt in night.doubts(one.master))
        return Loan(masters=tuple(found), remarks=(*taken, *doubts, *missing))

    def _nearest(
        self, night: _Night, candidates: Sequence[MasterFile], kind: str, title: str, missing: list[str]
    ) -> list[Borrowed]:
        """The one that fits and is nearest in time; if none fits, ``missing`` gets a line that says why."""
        misfits = {one.path: night.misfit(one) for one in candidates}
        fitting = [
            Borrowed(one, night.days_from(one), night.other_level(one)) for one in candidates if not misfits[one.path]
        ]
        if not fitting:
            missing += self._none(kind, title, misfits)
            return []
        return [min(fitting, key=lambda one: (bool(one.other_level), _by_age(one)))]

    def _darks(self, night: _Night, missing: list[str]) -> list[Borrowed]:
        """The darks for the exposures of the night: of each exposure time that one of them may need, the nearest."""
        candidates = [one for one in self.masters if one.kind == "dark" and one.exposure_time > 0]
        misfits = {one.path: night.misfit(one) for one in candidates}
        groups: dict[float, Borrowed] = {}
        for one in sorted(candidates, key=lambda one: one.exposure_time):
            if misfits[one.path]:
                continue
            same = next((time for time in groups if same_exposure(time, one.exposure_time)), one.exposure_time)
            lent = Borrowed(one, night.days_from(one))
            groups[same] = min(groups.get(same, lent), lent, key=_by_age)
        if not groups:
            missing += self._none("dark", "master dark", misfits)
            return []
        exposures = {frame.exposure_time for frame in night.frames if frame.kind in ("science", "flat")} - {0.0}
        needed = {time for exposure in exposures for time in _of_use(exposure, groups)}
        return [groups[time] for time in sorted(needed)]

    def _none(self, kind: str, title: str, misfits: Mapping[Path, str]) -> list[str]:
        """What the files that come into question have differently; that there is none at all is said elsewhere."""
        reasons: dict[str, list[str]] = {}
        for path, reason in misfits.items():
            reasons.setdefault(reason, []).append(path.name)
        for file in self.others:
            if file.kind == kind or file.lost:
                reasons.setdefault(file.reason, []).append(file.path.name)
        if not reasons:
            return []
        where = ", ".join(str(place) for place in self.places)
        said = [f"{named(names)}: {reason}" for reason, names in list(reasons.items())[:NAMED]]
        return [printable(f"there is no {title} in {where} that fits: {'; '.join(said)}")]


def _by_age(one: Borrowed) -> tuple[float, int, str]:
    """The nearest in time first; of those of one time the one of most frames."""
    return math.inf if one.days is None else abs(one.days), -(one.master.number or 0), str(one.master.path)


def _taken(one: Borrowed, untold: Sequence[str], untold_here: Sequence[str]) -> str:
    frames = f"{one.master.number} frames" if one.master.number else "an unknown number of frames"
    text = f"the {one.title} is {one.master.path}, {one.age}, of {frames}"
    if one.other_level:
        text += f"; its {one.other_level}, which makes no difference to a flat"
    if untold:
        text += (
            f"; its header does not tell {', '.join(untold)}, in which it is taken to be like the frames of the night"
        )
    if untold_here:
        text += (
            f"; headers of science frames do not tell {', '.join(untold_here)}, in which they are taken to be like the "
            "frames of the master"
        )
    return printable(text)


def _of_use(exposure: float, times: Iterable[float]) -> list[float]:
    """The exposure times of darks that may serve for an exposure: that of it, or those near it, or the nearest."""
    apart = {time: max(time / exposure, exposure / time) for time in times}
    nearest = min(apart, key=apart.__getitem__)
    if same_exposure(nearest, exposure):
        return [nearest]
    return [time for time, factor in apart.items() if factor <= FAR] or [nearest]


def find_library(places: Any, profile: Profile) -> Library:
    """
    Return the masters in files and directories; only headers are read.

    Directories are searched with all that is below them. What is no master is passed over: a library may be a
    directory of results, with calibrated frames beside the masters. A place that does not exist is a FileNotFoundError,
    one without any master a FrameError that says what was found.
    """
    several = isinstance(places, Iterable) and not isinstance(places, (str, PathLike))
    given = list(places) if several else [places]
    paths = [as_path("masters", place) for place in given]
    for path in paths:
        if not os.path.lexists(path):
            msg = f"masters: {path} does not exist; give a directory of masters, such as the masters of another night."
            raise FileNotFoundError(msg)
    files: dict[str, Path] = {}
    for path in _files(paths):
        files.setdefault(os.path.realpath(path), path)
    masters: list[MasterFile] = []
    others: list[UnusedFile] = []
    for path in files.values():
        found = examine_master(path, profile)
        if isinstance(found, UnusedFile):
            others.append(found)
        else:
            masters.append(found)
    if not masters:
        where = ", ".join(map(str, paths))
        reasons = "".join(f"\n  {line}" for line in by_reason(others)[:NAMED])
        msg = f"there is no master in {where}, where masters of other nights are looked for (--masters):{reasons}"
        raise FrameError(msg if others else f"{msg} it holds no FITS file.")
    return Library(masters, paths, others, profile)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """The FITS files among some paths and below them; hidden ones are left out."""
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112  a Path raises at a link to itself
            yield path
            continue
        for directory, below, names in os.walk(path):
            below[:] = sorted(name for name in below if not name.startswith("."))
            fits = (name for name in sorted(names) if FITS_SUFFIX.search(name) and not name.startswith("."))
            yield from (Path(directory) / name for name in fits)
