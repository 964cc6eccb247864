"""A profile's TOML file, checked: an error names the file, the key, what was found and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import astropy.units as u

from astro_calib.detector.header_values import as_number
from astro_calib.detector.linearity import LinearityPolynomial, LinearityTable
from astro_calib.detector.table_layout import checked_tables
from astro_calib.errors import ProfileError
from astro_calib.night.headers.cards import ENTRY, JOINED, UNITS
from astro_calib.night.headers.values import parse_section
from astro_calib.night.profiles.matching_rules import Matching
from astro_calib.night.profiles.steps import Steps, checked_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astro_calib.detector.linearity import Linearity

__all__ = ["KINDS", "OVERSCAN_AXES", "Rule", "checked_fields"]

#: The kinds of frame, in the order in which their rules are tried.
KINDS = ("ignore", "bias", "dark", "flat", "science")

#: What the header keywords of a profile are for.
ROLES = (
    "kind",
    "exposure_time",
    "filter",
    "object",
    "gain",
    "gain_per_step",
    "read_noise",
    "saturation",
    "overscan",
    "trim",
)

#: The ``overscan_axis`` of `astro_calib.subtract_overscan` for each ``overscan_level`` of a profile.
OVERSCAN_AXES: Mapping[str, int | tuple[int, int]] = MappingProxyType({"frame": (0, 1), "row": 1, "column": 0})

NUMBERS = ("gain", "gain_uncertainty", "read_noise", "saturation", "pedestal")
ZERO_ALLOWED = ("gain_uncertainty", "read_noise", "pedestal")
DETECTOR_KEYS = (
    *NUMBERS,
    "unit",
    "linearity",
    "overscan",
    "trim",
    "overscan_level",
    "bad",
    "darks_expected",
)
#: The table of the headers by which a profile is chosen.
CHOSEN_BY = "chosen_by"
#: That of a profile that asks for none.
NO_STEPS = Steps()
#: The tables of the amplifiers, for headers that do not tell which pixels each has read.
AMPLIFIERS = "amplifiers"
#: The keys of a linearity, by that which tells its two kinds apart: those that it must have, and those that it may.
LINEARITY_KEYS = {"coefficients": ("coefficients", "limit"), "measured": ("measured", "corrected")}
KEYWORD = re.compile(r"[A-Z0-9_-]+( [A-Z0-9_ -]+)?")
#: What a rule can hold beside its lines: that it comes beside the built-in ones, that it is a doubtful one, and why it
#: leaves files out.
ADD, DOUBTFUL, REASON = "add", "doubtful", "reason"


@dataclass(frozen=True)
class Rule(Mapping[str, tuple[Any, ...]]):
    """
    One way to recognise a kind of frame: for each keyword or role the alternatives, one of which must fit.

    Parameters
    ----------
    lines : mapping of str to tuple
        The alternatives by keyword or role.
    doubtful : bool
        Whether it is tried only where the others say that a frame is a science frame, or nothing; with a remark.
    reason : str
        Why the files that it is about are left out.
    """

    lines: Mapping[str, tuple[Any, ...]]
    doubtful: bool = False
    reason: str = ""

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return self.lines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)


def checked_fields(source: str, table: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """
    Return the fields of a `~astro_calib.night.Profile` from a TOML table; what it leaves out is as in ``base``.

    A ProfileError names the ``source``, the key, what was found and what is allowed.
    """
    tables = ("keywords", "detector", "matching", "steps")
    _known(source, "at the top", table, ("name", "description", *tables, *KINDS, CHOSEN_BY, AMPLIFIERS))
    for key in tables:
        if not isinstance(table.get(key, {}), dict):
            raise _fail(source, key, table[key], f"it must be a table, [{key}]")
    for key in ("name", "description"):
        if not isinstance(table.get(key, ""), str):
            raise _fail(source, key, table[key], "it must be text in quotes")
    keywords = _keywords(source, base["keywords"]) | _keywords(source, table.get("keywords", {}), base["keywords"])
    rules = {kind: _rules_of(source, kind, table, base) for kind in KINDS}
    named = {"name": table["name"]} if "name" in table else {}
    chosen_by = _rules(source, CHOSEN_BY, table[CHOSEN_BY]) if CHOSEN_BY in table else ()
    return {
        **named,
        "description": table.get("description", ""),
        "keywords": MappingProxyType(keywords),
        "rules": MappingProxyType(rules),
        CHOSEN_BY: chosen_by,
        **_detector(source, base["detector"] | table.get("detector", {})),
        "matching": _matching(source, table.get("matching", {})),
        "steps": _steps(source, table.get("steps", {})),
        AMPLIFIERS: _amplifiers(source, table[AMPLIFIERS]) if AMPLIFIERS in table else (),
    }


def _fail(source: str, key: str, found: Any, allowed: str) -> ProfileError:
    return ProfileError(f"{source}: {key} is {found!r}; {allowed}.")


def _known(source: str, where: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Refuse a key that means nothing: it is most likely misspelt, and would be lost without a word."""
    for key in table:
        if key not in allowed:
            close = difflib.get_close_matches(key, allowed, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            msg = f"{source}: unknown key {key!r} {where}; {hint}Allowed are {', '.join(allowed)}."
            raise ProfileError(msg)


def _keywords(source: str, table: dict[str, Any], base: Mapping[str, Any] | None = None) -> dict[str, tuple[str, ...]]:
    """The entries by role; with ``{ add = ... }`` some come before the built-in ones, ``base``."""
    _known(source, "in [keywords]", table, ROLES)
    result = {}
    for role, given in table.items():
        key, wanted, rest = f"keywords.{role}", given, []
        if isinstance(given, dict) and base is not None:
            _known(source, f"in {key}", given, (ADD,))
            key, wanted, rest = f"{key}.{ADD}", given.get(ADD), list(base[role])
        names = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(names, list) or not all(isinstance(name, str) and _is_entry(role, name) for name in names):
            allowed = "it must be a header keyword in capitals, or a list of them"
            raise _fail(source, key, wanted, allowed)
        result[role] = tuple(dict.fromkeys([*names, *rest]))
    return result


def _is_entry(role: str, entry: str) -> bool:
    """Whether an entry can be one of a role: a keyword, several with plus signs between them, or one with a unit."""
    if not ENTRY.fullmatch(entry) or (" + " in entry and role not in JOINED):
        return False
    _, bracket, unit = entry.partition(" [")
    return not bracket or unit.rstrip("]") in UNITS.get(role, ())


def _detector(source: str, table: dict[str, Any]) -> dict[str, Any]:
    _known(source, "in [detector]", table, DETECTOR_KEYS)
    result = {key: _detector_value(source, key, value) for key, value in table.items()}
    if "gain_uncertainty" in result and "gain" not in result:
        found = table["gain_uncertainty"]
        raise _fail(source, "detector.gain_uncertainty", found, "it needs detector.gain beside it")
    return result


def _amplifiers(source: str, given: Any) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple(MappingProxyType(dict(table)) for table in checked_tables(given))
    except ValueError as error:
        msg = f"{source}: {error}"
        raise ProfileError(msg) from error


def _steps(source: str, table: dict[str, Any]) -> Steps:
    if not table:
        return NO_STEPS
    try:
        return checked_steps(table, "steps.")
    except ValueError as error:
        msg = f"{source}: {error}"
        raise ProfileError(msg) from error


def _matching(source: str, table: dict[str, Any]) -> Matching:
    keys = tuple(one.name for one in fields(Matching))
    _known(source, "in [matching]", table, keys)
    for key, value in table.items():
        if key == "scale_darks":
            if not isinstance(value, bool):
                raise _fail(source, f"matching.{key}", value, "it must be true or false")
        elif isinstance(value, str | bool) or (number := as_number(value)) is None or number <= 0:
            raise _fail(source, f"matching.{key}", value, "it must be a number above 0")
    return Matching(**table)


def _detector_value(source: str, key: str, value: Any) -> Any:
    name = f"detector.{key}"
    if key in NUMBERS:
        number = None if isinstance(value, str) else as_number(value)
        zero_allowed = key in ZERO_ALLOWED
        if number is None or number < 0 or (number == 0 and not zero_allowed):
            raise _fail(source, name, value, f"it must be a number{', 0 or' if zero_allowed else ''} above 0")
        return number
    if key == "unit":
        if value != "adu":
            raise _fail(source, name, value, "raw frames are in 'adu'; leave it out if BUNIT is right")
        return value
    if key == "linearity":
        return _linearity(source, name, value)
    if key in ("overscan", "trim"):
        if value != "none":
            _check_section(source, name, value, "; 'none' stands for no section")
        return value
    if key == "bad":
        if not isinstance(value, list):
            raise _fail(source, name, value, "it must be a list of sections, such as ['[257:257, 1:1024]']")
        for section in value:
            _check_section(source, name, section, "")
        return tuple(value)
    if key == "overscan_level":
        if not isinstance(value, str) or value not in OVERSCAN_AXES:
            raise _fail(source, name, value, f"it must be one of {', '.join(OVERSCAN_AXES)}")
        return value
    if not isinstance(value, bool):
        raise _fail(source, name, value, "it must be true or false")
    return value


def _linearity(source: str, name: str, table: Any) -> Linearity:
    kind = next((key for key in LINEARITY_KEYS if isinstance(table, dict) and key in table), None)
    if kind is None:
        allowed = "it must be { coefficients = [...], limit = number } or { measured = [...], corrected = [...] }"
        raise _fail(source, name, table, allowed)
    _known(source, f"in {name}", table, (*LINEARITY_KEYS[kind], "uncertainties"))
    missing = [key for key in LINEARITY_KEYS[kind] if key not in table]
    if missing:
        raise _fail(source, name, table, f"it needs {missing[0]} as well")
    for key, value in table.items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, str) or as_number(number) is None for number in numbers):
            raise _fail(source, f"{name}.{key}", value, "it must hold numbers only")
    try:
        if kind == "coefficients":
            return LinearityPolynomial(
                table["coefficients"], limit=table["limit"] * u.adu, uncertainties=table.get("uncertainties")
            )
        return LinearityTable(**{key: column * u.adu for key, column in table.items()})
    except (TypeError, ValueError) as error:
        msg = f"{source}: {name}: {error}"
        raise ProfileError(msg) from error


def _check_section(source: str, name: str, value: Any, also: str) -> None:
    if not isinstance(value, str):
        raise _fail(source, name, value, f"it must be a section such as '[1025:1056, 1:1024]'{also}")
    try:
        parse_section(value)
    except ValueError as error:
        msg = f"{source}: {name}: {error}{also}."
        raise ProfileError(msg) from error


def _rules_of(source: str, kind: str, table: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules for a kind: those of a profile, the built-in ones, or those with ``add = true`` before the built-in."""
    if kind not in table:
        return _rules(source, kind, base[kind])
    given = table[kind]
    rules = _rules(source, kind, given)
    added = [isinstance(one, dict) and one.get(ADD) is True for one in (given if isinstance(given, list) else [given])]
    if any(added) and not all(added):
        allowed = f"true in all of [[{kind}]], or in none: either they come beside the built-in ones or in their place"
        raise _fail(source, f"{kind}.{ADD}", added, allowed)
    return (*rules, *_rules(source, kind, base[kind])) if any(added) else rules


def _rules(source: str, kind: str, given: Any) -> tuple[Rule, ...]:
    tables = given if isinstance(given, list) else [given]
    return tuple(_rule(source, kind, table) for table in tables)


def _rule(source: str, kind: str, table: Any) -> Rule:
    beside = table if isinstance(table, dict) else {}
    for key in (ADD, DOUBTFUL):
        if not isinstance(beside.get(key, False), bool):
            raise _fail(source, f"{kind}.{key}", beside[key], "it must be true or false")
    if not isinstance(beside.get(REASON, ""), str) or (REASON in beside and kind != "ignore"):
        raise _fail(source, f"{kind}.{REASON}", beside[REASON], "it must be text in quotes, in [ignore]")
    lines = {name: expected for name, expected in beside.items() if name not in (ADD, DOUBTFUL, REASON)}
    if not lines:
        allowed = f"it must be a table [{kind}] with at least one line, such as OBSTYPE = 'DARK'"
        raise _fail(source, kind, table, allowed)
    found = {}
    for name, expected in lines.items():
        where = f"{kind}.{name}"
        if name not in ROLES and not KEYWORD.fullmatch(name):
            allowed = f"a header keyword in capitals, or one of {', '.join(ROLES)}"
            raise _fail(source, f"a key of [{kind}]", name, f"it must be {allowed}")
        alternatives = expected if isinstance(expected, list) else [expected]
        if not alternatives:
            raise _fail(source, where, expected, "the list must not be empty")
        for alternative in alternatives:
            _check_alternative(source, where, alternative)
        found[name] = tuple(alternatives)
    return Rule(MappingProxyType(found), beside.get(DOUBTFUL, False), beside.get(REASON, ""))


def _check_alternative(source: str, where: str, expected: Any) -> None:
    if isinstance(expected, bool | str | int | float):
        return
    if (
        isinstance(expected, dict)
        and expected
        and set(expected) <= {"above", "below"}
        and all(as_number(limit) is not None and not isinstance(limit, str) for limit in expected.values())
    ):
        return
    allowed = "it must be text, a number, true, false, a list of these, or { above = number, below = number }"
    raise _fail(source, where, expected, allowed)
