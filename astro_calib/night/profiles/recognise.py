"""What kind of frame a file holds, and why: somebody says so, a profile's rules fit, or names tell it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.raw_file import FITS_SUFFIX
from astro_calib.night.headers.told_by_name import kind_by_name
from astro_calib.night.profiles.reading import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from astro_calib.night.profiles.check import Rule
    from astro_calib.night.profiles.reading import Reading

__all__ = ["Recognised", "fits_rule", "is_named", "recognise"]


#: How the reason begins where names tell the kind.
BY_NAME = ("its name", "its folder")


class Recognised(NamedTuple):
    """
    What kind of frame a file holds.

    Attributes
    ----------
    kind : str or None
        One of the profile's kinds; None if nothing tells it.
    why : str
        What tells it, such as ``IMAGETYP='Bias Frame'``; if there is no kind, what somebody says of it that cannot be.
    remark : str
        What somebody should look at, for it was told by less than a header's own word; empty if there is nothing.
    reason : str
        Why a file is left out that a rule says is to be ignored; empty if the rule does not say.
    silent : bool
        Whether neither the header nor a name says anything of the kind.
    given : bool
        Whether somebody says it, by a pattern of names.
    """

    kind: str | None
    why: str
    remark: str = ""
    reason: str = ""
    silent: bool = False
    given: bool = False

    @property
    def by(self) -> str:
        """What tells the kind, in two words if it is the header."""
        return self.why if self.given or self.why.startswith(BY_NAME) else "its header"


def recognise(
    reading: Reading,
    rules: Mapping[str, Sequence[Rule]],
    given: Mapping[str, Sequence[str]],
    places: Collection[Path] = (),
) -> Recognised:
    """
    Return what kind of frame a header, and the names of its file and folders, tell of.

    What is ``given``, patterns by kind, goes before the rules. Doubtful rules are tried where the others say that it is
    a science frame, or nothing; the names of file and folders, where the header is silent; but not
    those of the ``places`` that somebody gave as the night, nor those above them.
    """
    said = _given(reading.path, given)
    if said:
        why = " and ".join(said.values())
        return Recognised(None, f"it fits {why}") if len(said) > 1 else Recognised(next(iter(said)), why, given=True)
    sure = _first_rule(reading, rules, doubtful=False)
    if sure is None or sure[0] == "science":
        doubtful = _first_rule(reading, rules, doubtful=True)
        if doubtful is not None and (sure is None or doubtful[0] != "science"):
            return _doubtful(reading, *doubtful)
    if sure is not None:
        kind, rule = sure
        why = _why(reading, rule)
        return Recognised(kind, why, _contradiction(kind, why, reading.path), rule.reason)
    if any(True for _ in reading.of_kind()):
        return Recognised(None, "")
    told = kind_by_name(reading.path, places) if reading.path is not None else None
    if told is None:
        return Recognised(None, "", silent=True)
    where = "its name" if reading.path is not None and told.name == reading.path.name else f"its folder {told.name!r}"
    remark = "taken for what its name or folder says, for its header does not tell what it is"
    if told.against:
        remark = (
            f"taken for {_described(told.value)}, as {where} says, although its folder {told.against!r} says something "
            "else, and its header does not tell (--bias, --dark, --flat or --science does)"
        )
    return Recognised(told.value, where, remark)


def _described(kind: str) -> str:
    """What messages call a frame of a kind."""
    return f"a {kind}" if kind in ("bias", "dark", "flat") else f"a {kind} frame"


def _given(path: Path | None, given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which kinds somebody says that a file is of, and in which words."""
    if path is None:
        return {}
    found = {kind: next((text for text in given[kind] if is_named(path, text)), None) for kind in given}
    return {kind: f"--{kind} {pattern!r}" for kind, pattern in found.items() if pattern is not None}


def is_named(path: Path, pattern: str) -> bool:
    """
    Whether a pattern is about a file: about its name, with or without what tells its format, or about a folder of it.

    >>> from pathlib import Path
    >>> from astro_calib.night.profiles.recognise import is_named
    >>> path = Path("raw/darks/d1.fits.gz")
    >>> [
    ...     is_named(path, pattern)
    ...     for pattern in ("d?", "darks", "raw/darks/", "raw/*/d1.*", "flats")
    ... ]
    [True, True, True, True, False]
    """
    wanted = pattern.replace("\\", "/").casefold()
    if "/" in wanted and os.path.exists(pattern):  # noqa: PTH110  a link to itself does not exist, and is no error
        # Whichever way it is written.
        place, file = os.path.realpath(pattern), os.path.realpath(path)
        if file == place or file.startswith(place + os.sep):
            return True
    if "/" in wanted.rstrip("/"):
        wanted = wanted.rstrip("/").removeprefix("./")
        whole = path.as_posix().casefold()
        places = [whole[place:] for place in (0, *(match.end() for match in re.finditer("/", whole)))]
        return any(fnmatchcase(place, wanted) or fnmatchcase(place, f"{wanted}/*") for place in places)
    names = [] if wanted.endswith("/") else [path.name, FITS_SUFFIX.sub("", path.name)]
    folders = (folder.name for folder in path.parents if folder.name)
    return any(fnmatchcase(name.casefold(), wanted.rstrip("/")) for name in (*names, *folders))


def _first_rule(reading: Reading, rules: Mapping[str, Sequence[Rule]], *, doubtful: bool) -> tuple[str, Rule] | None:
    """The first rule that fits, and the kind that it is for."""
    every = ((kind, rule) for kind, several in rules.items() for rule in several if rule.doubtful == doubtful)
    return next(((kind, rule) for kind, rule in every if fits_rule(reading, rule)), None)


def fits_rule(reading: Reading, rule: Rule) -> bool:
    """Whether every line of a rule fits."""
    return all(
        any(_matches_any(value, alternatives) for _, value in reading.values(name))
        for name, alternatives in rule.items()
    )


def _why(reading: Reading, rule: Rule) -> str:
    """What makes a rule fit."""
    return ", ".join(f"{keyword}={value!r}" for keyword, value in (next(reading.values(name)) for name in rule))


def _doubtful(reading: Reading, kind: str, rule: Rule) -> Recognised:
    """What a doubtful rule makes of a frame, and what its header says all the same."""
    why = _why(reading, rule)
    against = ", ".join(f"{keyword}={value!r}" for keyword, value in reading.of_kind())
    remark = f"taken for {_described(kind)}, as {why} says"
    return Recognised(kind, why, f"{remark}, although {against}" if against else remark)


def _contradiction(kind: str, why: str, path: Path | None) -> str:
    """What the name of a file says against the header of a science frame."""
    told = kind_by_name(path) if kind == "science" and path is not None else None
    if told is None or path is None or told.name != path.name or told.value == "science":
        return ""
    return f"a science frame, as {why} says, although its name says {told.value} (--{told.value} would make it one)"


def _matches_any(value: Any, alternatives: tuple[Any, ...]) -> bool:
    """Whether a header's value is what one of the alternatives of a rule expects."""
    if isinstance(value, str) and all(isinstance(expected, str) for expected in alternatives):
        return _text_matches_any(value, alternatives)
    return any(_matches(value, expected) for expected in alternatives)


@lru_cache(1 << 12)
def _text_matches_any(value: str, alternatives: tuple[str, ...]) -> bool:
    """The same of texts, of which most are in many headers."""
    return any(_matches(value, expected) for expected in alternatives)


def _matches(value: Any, expected: Any) -> bool:
    """Whether a header's value is what one alternative of a rule expects."""
    if isinstance(expected, bool):
        return isinstance(value, bool) and value == expected
    if isinstance(expected, str):
        wanted = plain(expected)
        # Most are words, which need no pattern.
        found = plain(str(value))
        return found == wanted or (("*" in wanted or "?" in wanted) and fnmatchcase(found, wanted.replace("[", "[[]")))
    number = as_number(value)
    if number is None:
        return False
    if isinstance(expected, Mapping):
        return bool(expected.get("above", -math.inf) < number < expected.get("below", math.inf))
    return bool(number == expected)
