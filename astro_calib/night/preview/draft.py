"""A profile that is drafted from the headers of a night: what they say, and what somebody has to decide."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.arguments import printable
from astro_calib.errors import FrameError
from astro_calib.night.common.names import file_name, named
from astro_calib.night.files.find import find_files
from astro_calib.night.files.kind_of_file import kind_of_file
from astro_calib.night.headers.cards import cards_of
from astro_calib.night.headers.raw_file import UnusableFileError, read_raw_headers
from astro_calib.night.headers.search_cards import cards_that_may_tell
from astro_calib.night.headers.told_by_name import kind_by_name
from astro_calib.night.headers.values import header_value
from astro_calib.night.profiles.check import ROLES
from astro_calib.night.profiles.choice import load_profile
from astro_calib.night.profiles.matching_rules import Matching
from astro_calib.night.profiles.recognise import Recognised

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.night.profiles.profile import Profile

__all__ = ["draft_profile"]

#: So many different values of a card are listed.
LISTED = 6
#: The cards that tell a camera and the program that took the frames.
CAMERA, PROGRAM = (
    ("INSTRUME", "CAM-MOD", "DETECTOR", "CAMERA", "TELESCOP"),
    ("SWCREATE", "CREATOR", "PROGRAM", "SOFTWARE"),
)
MEANINGS = {
    "kind": "what the rules below call kind",
    "exposure_time": "in seconds",
    "filter": "",
    "object": "",
    "gain": "electron/adu, where [detector] does not give the number",
    "gain_per_step": "electrons for one step of the converter",
    "read_noise": "electron, likewise",
    "saturation": "adu, likewise",
    "overscan": "a section, likewise",
    "trim": "a section, likewise",
}
#: Roles that each of several amplifiers has for itself.
OF_AMPLIFIERS = ("gain", "gain_per_step", "read_noise", "saturation", "overscan", "trim")
#: Roles without which a frame is not used, or not as it should be.
NEEDED = ("kind", "exposure_time", "filter")
#: Lines of [detector] beside the sections and numbers that headers may tell, and what they mean.
OTHERS = {
    "darks_expected = false": "the dark current is negligible",
    "pedestal = 1000": "adu: the level of zero light, where nothing in the frames tells it",
    "unit = 'adu'": "the raw frames are in adu, whatever BUNIT says",
}


class _File(NamedTuple):
    path: Path
    header: Header
    shape: tuple[int, int]
    amplifiers: int = 0


def draft_profile(raw: Any) -> str:
    """
    Return a profile for the files of a night as TOML, which is loaded as it is.

    Lines that somebody has to decide about, and those that say what holds without them, are comments. A card that no
    built-in profile knows is named where its values can be understood.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night.preview.draft import draft_profile
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
    ...     text = draft_profile(directory)
    >>> print(text.partition(chr(10))[0])
    # A draft from the headers of bias-001.fits to science-001-V.fits (26 files).
    """
    paths, _ = find_files(raw)
    files, unread = _read(paths)
    if not files:
        msg = f"no profile can be drafted: none of the {len(paths)} files has a header that can be read"
        raise FrameError(f"{msg}; {unread[0]}" if unread else msg)
    generic = load_profile("generic")
    camera, program = _first(files, CAMERA), _first(files, PROGRAM)
    lines = [f"# A draft from the headers of {named([file.path.name for file in files])}."]
    lines += [f"# Left out: {text}" for text in unread]
    lines += _about(files, camera, program)
    lines += ["", f"name = {_quoted(file_name(camera or 'camera').lower())}"]
    lines += [f"description = {_quoted(', '.join(filter(None, (camera, program))) or 'a camera')}"]
    lines += ["", "[keywords]", *_keywords(files, generic)]
    lines += ["", "[detector]", *_detector(files, generic)]
    lines += ["", "[matching]", *_matching()]
    lines += ["", *_kinds(files, generic)]
    return "\n".join(map(printable, lines)) + "\n"


def _read(paths: Iterable[Path]) -> tuple[list[_File], list[str]]:
    """The headers of the files that have one, and why others have none."""
    files, unread = [], []
    for path in paths:
        try:
            first, *_ = read_raw_headers(path)
        except UnusableFileError as error:
            unread.append(f"{path.name}: {error}")
            continue
        files.append(_File(path, first.header, first.shape, 0 if first.chip is None else len(first.chip.amplifiers)))
    return files, unread


def _about(files: Sequence[_File], camera: str, program: str) -> Iterator[str]:
    if camera or program:
        yield f"# Camera {camera or 'unknown'}, program {program or 'unknown'}."
    chosen = Counter((found.name, found.why) for found in (load_profile("auto").of(file.header) for file in files))
    for (name, why), number in chosen.items():
        if name != "generic":
            yield f"# The built-in profile {name} is chosen for {number} of them, by {why}."
            yield "# It may be all that is needed; a profile of your own has nothing of it."
    yield "# Lines behind a # say what holds without them, or wait for you: take the # away, and put your values."


def _first(files: Sequence[_File], cards: Iterable[str]) -> str:
    """What most files say under the first of some cards that any has."""
    for card in cards:
        values = Counter(str(value) for file in files if (value := header_value(file.header, card)) is not None)
        if values:
            return values.most_common(1)[0][0]
    return ""


def _keywords(files: Sequence[_File], generic: Profile) -> Iterator[str]:
    """Which cards are read, with their values; and which could be, where none of the known ones is there."""
    for role in ROLES:
        if role in OF_AMPLIFIERS and files[0].amplifiers:
            continue
        found: dict[str, list[Any]] = {}
        for file in files:
            for card in islice(cards_of(file.header, generic.keywords[role]), 1):
                found.setdefault(card.keyword, []).append(card.value)
        meaning = f"; {MEANINGS[role]}" if MEANINGS[role] else ""
        for keyword, values in found.items():
            passed = next(filter(None, (generic.passed_over(file.header, role) for file in files)), "")
            remark = f"not taken: {passed}" if passed and role != "kind" else f"{_values(values)}{meaning}"
            yield f"# {role} = {_quoted(keyword)}  # {remark}"
        if found or role == "gain_per_step":
            continue
        suggested = cards_that_may_tell(role, [file.header for file in files]) if role in NEEDED else {}
        if not suggested:
            yield f"# {role} = {_quoted(generic.keywords[role][0])}  # in no header{meaning}"
            continue
        best, *others = suggested
        beside = f"; or {', '.join(others)}" if others else ""
        yield f"{role} = {{ add = {_quoted(best)} }}  # no usual card is there; {_values(suggested[best])}{beside}"


def _values(values: Sequence[Any]) -> str:
    """Different values, and how many files have each."""
    counted = Counter(map(str, values))
    if len(counted) > LISTED:
        return f"{len(counted)} values, such as {next(iter(counted))!r} ({len(values)} files)"
    return ", ".join(f"{value!r} ({number})" for value, number in counted.most_common())


def _detector(files: Sequence[_File], generic: Profile) -> Iterator[str]:
    """What is known of the detector, as comments."""
    if number := files[0].amplifiers:
        yield f"# {number} amplifiers: the headers tell sections, gain, read noise and saturation of each;"
        yield "# tables [[amplifiers]] behind all others would say what holds instead"
        yield "# darks_expected = false  # the dark current is negligible"
        return
    examples = {"gain": "1.5", "read_noise": "8.0", "saturation": "65535"}
    for role, example in examples.items():
        told = Counter(found for file in files if (found := generic.find(file.header, role)) is not None)
        unit = {"gain": "electron/adu", "read_noise": "electron", "saturation": "adu"}[role]
        if told:
            (keyword, value), _ = told.most_common(1)[0]
            yield f"# {role} = {value if isinstance(value, (int, float)) else example}  # {unit}, as {keyword} says"
            continue
        passed = Counter(text for file in files if (text := generic.passed_over(file.header, role)))
        why = passed.most_common(1)[0][0] if passed else "no header tells it"
        measured = "" if role == "saturation" else "; measured where there are two biases, and two flats of a filter"
        yield f"# {role} = {example}  # {unit}: {why}{measured}"
    for role in ("overscan", "trim"):
        told = Counter(found for file in files if (found := generic.find(file.header, role)) is not None)
        rows, columns = files[0].shape
        if told:
            (keyword, value), _ = told.most_common(1)[0]
            yield f"# {role} = {_quoted(str(value))}  # as {keyword} says"
        elif role == "overscan":
            section = f"[{max(1, columns - 31)}:{columns}, 1:{rows}]"
            yield f"# overscan = {_quoted(section)}  # an example, for no header tells it: only if there is one"
        else:
            yield f"# trim = {_quoted(f'[1:{columns}, 1:{rows}]')}  # in no header: the whole frame is kept"
    first_column = f"[1:1, 1:{files[0].shape[0]}]"
    yield f"# bad = ['{first_column}']  # bad pixels of the frame as it is in the file, as an example a column"
    for line, meaning in OTHERS.items():
        yield f"# {line}  # {meaning}"


def _matching() -> Iterator[str]:
    """The rules by which frames go together, with what they are."""
    meanings = {
        "temperature": "degrees C: how far apart the frames of one setup may be",
        "rotator": "degrees: how far apart a flat and a science frame may be",
        "flat_hours": "flats with a longer pause between them make two masters",
        "scale_darks": "false: a frame gets a dark of its own exposure, or none",
    }
    for field in fields(Matching):
        yield f"# {field.name} = {json.dumps(field.default)}  # {meanings.get(field.name, '')}".rstrip("# ")


def _kinds(files: Sequence[_File], generic: Profile) -> Iterator[str]:
    """What the files are taken for; rules for those whose kind nothing tells."""
    known: dict[str, list[str]] = {}
    unknown: dict[tuple[tuple[str, Any], ...], list[_File]] = {}
    for file in files:
        found = kind_of_file(file.path, file.header, generic)
        if isinstance(found, Recognised):
            remark = ", with a remark" if found.remark else ""
            known.setdefault(f"{found.kind or '':8} {found.why}{remark}", []).append(file.path.name)
        elif found.lost:
            told = tuple((card.keyword, card.value) for card in cards_of(file.header, generic.keywords["kind"]))
            unknown.setdefault(told, []).append(file)
        else:
            known.setdefault(f"-        {found.reason}", []).append(file.path.name)
    yield "# What the files are taken for without any rule here:"
    for what, names in known.items():
        yield f"#   {what}: {named(names)}"
    for told, group in unknown.items():
        yield from _rule(told, group)


def _rule(told: Sequence[tuple[str, Any]], files: Sequence[_File]) -> Iterator[str]:
    """A rule for files of no known kind; a comment if nothing tells what they may be."""
    names = named([file.path.name for file in files])
    yield ""
    if not told:
        yield f"# No header, name or folder tells what these are: {names}."
        yield "# [[science]]"
        yield "# add = true"
        yield f"# FILENAME = {_quoted(files[0].path.name)}  # * stands for any text"
        return
    keyword, value = told[0]
    guess = _guess(value)
    mark = "" if guess else "# "
    if guess:
        yield f"# Guessed from the word: {names}. Is it right?"
    else:
        yield f"# What are these? Take the # away, and put bias, dark, flat, science or ignore: {names}."
    yield f"{mark}[[{guess or 'science'}]]"
    yield f"{mark}add = true"
    yield f"{mark}{_key(keyword)} = {_quoted(value) if isinstance(value, str) else json.dumps(value)}"


def _guess(value: Any) -> str:
    """The kind that the words of a value tell; empty if they do not."""
    from pathlib import PurePath

    told = kind_by_name(PurePath(str(value).replace("/", " ")))
    return "" if told is None else told.value


def _key(keyword: str) -> str:
    return keyword if keyword.replace("-", "").replace("_", "").isalnum() else _quoted(keyword)


def _quoted(text: Any) -> str:
    """A text as TOML writes it."""
    return json.dumps(printable(str(text)))
