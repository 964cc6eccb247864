"""The plan of a night as text: what each file was taken for, and what each science frame would be calibrated with."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from astro_calib.arguments import printable
from astro_calib.night.common.frames import NOT_FITS
from astro_calib.night.common.names import PLURALS, called, common_pattern, for_filter, in_rows, natural
from astro_calib.night.common.remarks import FileRemark, Remarks
from astro_calib.night.common.text import paragraph
from astro_calib.night.preview.numbers_told import numbers_told, unknown_numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import RawFrame, UnusedFile
    from astro_calib.night.matching.matching import Choice, Match
    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.plan.plan import Plan

__all__ = ["lost_science", "may_be_science", "plan_text"]

#: How wide the text is.
WIDTH = 80
WITH_SCIENCE = {**PLURALS, "science": "science frames"}


def plan_text(night: NightPlan, *, measured: bool = True) -> str:
    """
    Return what would be made of a night, from its headers alone; also of one that is incomplete.

    What cannot be reduced stands first, with what would mend it. Then each file; then, for each setup, the masters and
    what each science frame gets, and why. ``measured`` says whether gain and read noise may be measured.

    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night import plan_night
    >>> from astro_calib.night.preview.plan_text import plan_text
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
    ...     text = plan_text(plan_night(directory, headers_only=True))
    >>> print(text.partition(chr(10))[0])
    26 raw files, of which 26 are used; nothing was written, and no pixel was read
    """
    label = _called({*(frame.path for frame in _frames(night)), *(file.path for file in night.unused)})
    number = len(label) - sum(file.reason == NOT_FITS for file in night.unused)
    used = len(night.frames)
    counts = f"{number} raw file{'' if number == 1 else 's'}, of which {used} {'is' if used == 1 else 'are'} used"
    lines = [f"{counts}; nothing was written, and no pixel was read"]
    lines += _section("what cannot be reduced, and what would mend it", _problems(night, label, measured=measured))
    lines += _section("what each file is taken for", _kinds(night, label))
    lines += _section("what is not used", _unused(night.unused, label))
    for plan in night.setups:
        of_setup = f" ({plan.title})" if plan.title else ""
        borrowed = " or borrowed" if plan.loan.masters else ""
        lines += _section(f"masters to be made{borrowed}{of_setup}", _masters(plan, label))
        lines += _section(f"what each science frame gets{of_setup}", _matches(plan, night.unused, label))
        lines += _section(f"steps beside the usual{of_setup}", _wrapped("; ".join(plan.profile.steps.words())))
        lines += _section(f"the detector{of_setup}", _numbers(plan, measured=measured))
    lines += _section("remarks", _remarks(night, label))
    return "\n".join(lines)


def _called(paths: Collection[Path]) -> dict[Path, str]:
    """What files are called; names may hold line breaks, and commands to a terminal."""
    return {path: printable(name) for path, name in called(sorted(paths)).items()}


def lost_science(night: NightPlan, *, measured: bool = True) -> tuple[int, int]:
    """
    Return how many science frames would not be reduced, files that may be some among them, and how many would.

    ``measured`` says whether gain and read noise may be measured.
    """
    sure = [plan for plan in night.setups if not unknown_numbers(plan, measured=measured)]
    reduced = sum(not match.problem for plan in sure for match in plan.matches())
    return sum(file.lost for file in night.unused) + len(night.science) - reduced, reduced


def may_be_science(night: NightPlan) -> int:
    """Return how many of the files that are not used may be science frames, without anything saying so."""
    return sum(file.lost and file.kind != "science" for file in night.unused)


def _section(title: str, lines: Iterable[str]) -> list[str]:
    """A title and what is below it; nothing if there is nothing."""
    found = list(lines)
    return ["", title, *found] if found else []


def _wrapped(text: str, indent: int = 2, more: int = 2) -> list[str]:
    """A paragraph, indented; its further lines by ``more``. An error may have several, with reasons below it."""
    first, *others = map(printable, text.split("\n"))
    lines = paragraph(first, WIDTH, " " * indent, " " * (indent + more))
    return lines + [line for one in others for line in paragraph(one.strip(), WIDTH, " " * (indent + more))]


def _frames(night: NightPlan) -> list[RawFrame]:
    """The frames that were recognised, also of setups that cannot be reduced, in the order of their files."""
    plans = (*night.setups, *night.incomplete)
    frames = {frame.path: frame for plan in plans for frame in plan.frames}
    return sorted(frames.values(), key=lambda frame: (frame.path.parent, frame.path.name))


def _listed(
    paths: Sequence[Path], position: dict[Path, int], label: Mapping[Path, str], *, counted: bool = True
) -> str:
    """The names of files; of those that follow each other in a folder the first and the last, and how many they are."""
    parts = []
    ordered = enumerate(sorted(paths, key=position.__getitem__))
    for _, group in groupby(ordered, key=lambda one: (one[1].parent, position[one[1]] - one[0])):
        run = [path for _, path in group]
        if len(run) <= 2:
            parts += [label[path] for path in run]
        else:
            parts.append(f"{label[run[0]]} to {label[run[-1]]}" + (f" ({len(run)} files)" if counted else ""))
    return ", ".join(parts)


def _kinds(night: NightPlan, label: Mapping[Path, str]) -> Iterator[str]:
    """A paragraph for each kind of frame, filter, exposure time, and what tells the kind."""
    frames = _frames(night)
    everything = sorted({*(frame.path for frame in frames), *(file.path for file in night.unused)}, key=natural)
    position = {path: number for number, path in enumerate(everything)}
    groups: dict[str, list[Path]] = {}
    for frame in sorted(frames, key=lambda one: (list(WITH_SCIENCE).index(one.kind), one.filter, one.exposure_time)):
        said = [frame.kind, frame.filter, "" if frame.kind == "bias" else f"{frame.exposure_time:g} s"]
        why = f" ({frame.why})" if frame.why else ""
        groups.setdefault(", ".join(filter(None, said)) + why, []).append(frame.path)
    for what, paths in groups.items():
        yield from _wrapped(f"{what}: {_listed(paths, position, label)}", more=4)


def _unused(files: Iterable[UnusedFile], label: Mapping[Path, str]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for file in files:
        kind = f"a {file.kind}{' frame' if file.kind == 'science' else ''}, but " if file.kind else ""
        groups.setdefault(kind + file.reason, []).append(label[file.path])
    for reason, names in groups.items():
        yield from _wrapped(f"{', '.join(in_rows(names))}: {reason}", more=4)


def _problems(night: NightPlan, label: Mapping[Path, str], *, measured: bool) -> Iterator[str]:
    """What is missing: setups that cannot be reduced, and science frames of others."""
    for plan in night.setups:
        if unknown := unknown_numbers(plan, measured=measured):
            yield from _wrapped(f"{plan.title}: {unknown}" if plan.title else unknown, more=4)
    for plan in night.incomplete:
        of_setup = f"{plan.title}: " if plan.title else ""
        # The files that are not used are listed by themselves.
        yield from _wrapped(of_setup + plan.problem.partition(" Not used are:")[0], more=4)
        for line in plan.elsewhere:
            yield from _wrapped(of_setup + line, more=4)
    problems: dict[str, list[str]] = {}
    for plan in night.setups:
        for match in plan.matches():
            if match.problem:
                problems.setdefault(match.problem, []).append(label[match.frame.path])
    for problem, names in problems.items():
        yield from _wrapped(f"{', '.join(names)}: {problem}", more=4)
    yield from _unknown(night, label)
    if not night.setups and not night.incomplete:
        yield from _wrapped("no file can be used; below is why. A profile can say what their headers mean.")


def _unknown(night: NightPlan, label: Mapping[Path, str]) -> Iterator[str]:
    """Files of no known kind where there are no science frames: they may be these, as an option can say."""
    unknown = [file.path for file in night.unused if file.doubt == "unknown"]
    frames = _frames(night)
    if not unknown or any(frame.kind == "science" for frame in frames):
        return
    pattern = common_pattern(unknown, [frame.path for frame in frames])
    names = ", ".join(in_rows([label[path] for path in unknown]))
    yield from _wrapped(f"{names}: of a kind that is not known; if they are the science frames, give {pattern}", more=4)


def _masters(plan: Plan, label: Mapping[Path, str]) -> Iterator[str]:
    """What is made of calibration frames, and what is borrowed."""
    groups: dict[str, tuple[RawFrame, ...]] = {"bias": plan.biases} if plan.biases else {}
    groups |= {f"dark-{time:g}s": frames for time, frames in plan.darks.items()}
    groups |= {f"flat-{key or 'none'}": frames for key, frames in plan.flat_groups.items()}
    position = {path: number for number, path in enumerate(sorted((frame.path for frame in plan.frames), key=natural))}
    width = max(map(len, groups), default=0)
    for name, frames in groups.items():
        number = f"{len(frames)} {WITH_SCIENCE[frames[0].kind] if len(frames) > 1 else frames[0].kind}"
        listed = _listed([frame.path for frame in frames], position, label, counted=False)
        yield from _wrapped(f"{name:{width}}  {number}: {listed}", more=width + 2)
    for one in plan.loan.masters:
        yield from _wrapped(f"{one.master.path.name}: {one.title}, {one.age}", more=4)


def _matches(plan: Plan, unused: Sequence[UnusedFile], label: Mapping[Path, str]) -> Iterator[str]:
    """A paragraph for all science frames that get the same, for the same reasons."""
    groups: dict[tuple[object, ...], list[Match]] = {}
    for match in plan.matches():
        choices = tuple((one.name, one.why, one.mend) for one in (match.bias, match.dark, match.flat))
        groups.setdefault((match.frame.filter, match.frame.exposure_time, choices), []).append(match)
    position = {path: number for number, path in enumerate(sorted((one.path for one in plan.frames), key=natural))}
    left_out = Counter(file.kind for file in unused)
    for matches in groups.values():
        first = matches[0]
        listed = _listed([match.frame.path for match in matches], position, label)
        yield from _wrapped(f"{listed}: {for_filter(first.frame.filter)}, {first.frame.exposure_time:g} s", more=4)
        for kind in ("bias", "dark", "flat"):
            choice = getattr(first, kind)
            others = ""
            if left_out[kind] and not choice.name:
                plural = WITH_SCIENCE[kind] if left_out[kind] > 1 else kind
                others = f" ({left_out[kind]} {plural} not used: see above why)"
            yield from _wrapped(f"{kind:5} {_choice(choice)}{others}", indent=4, more=6)


def _choice(choice: Choice) -> str:
    """What is taken and why, or why nothing is, and what would be better."""
    taken = f"{choice.name}: {choice.why}" if choice.name else f"none: {choice.why}"
    return f"{taken}; {'better' if choice.name else 'mended'} by {choice.mend}" if choice.mend else taken


def _numbers(plan: Plan, *, measured: bool) -> Iterator[str]:
    """The profile, and where gain and read noise are from, or what would tell them."""
    chosen = f", chosen by {plan.profile.why}" if plan.profile.why else ""
    yield from _wrapped(f"profile     {plan.profile.name}{chosen}", more=12)
    for told in numbers_told(plan, measured=measured):
        yield from _wrapped(f"{told.name:10}  {told.text}", more=12)
    yield from _wrapped(f"overscan    {plan.overscan or 'none'}; kept {plan.trim or 'the whole frame'}", more=12)


def _remarks(night: NightPlan, label: Mapping[Path, str]) -> Iterator[str]:
    """What the headers of frames need to have said, each once."""
    remarks = Remarks()
    remarks.add(*(FileRemark(label[frame.path], remark) for frame in _frames(night) for remark in frame.remarks))
    remarks.add(*(remark for plan in night.setups for remark in (*plan.remarks, *plan.loan.remarks)))
    for line in remarks.lines():
        yield from _wrapped(line, more=4)
