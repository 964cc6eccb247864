"""Frames that may be of several setups, for their headers do not tell a card in which these differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.common.remarks import Remark
from astro_calib.night.headers.settings import COOLED
from astro_calib.night.setups.setups import SIZE, setting_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.setups.setups import Setup

__all__ = ["Sure", "without_unsure"]

SORT = "put the frames of each setup into a folder of its own, and reduce each folder by itself"


class Sure(NamedTuple):
    """
    Setups without the frames of which nothing tells that they belong there.

    Attributes
    ----------
    setups : list of Setup
        In the order in which they were given.
    reasons : dict of Path to str
        Why frames are in none of the setups in which they may belong.
    remarks : list of list of Remark
        Of each setup, what is said of such frames.
    """

    setups: list[Setup]
    reasons: dict[Path, str]
    remarks: list[list[Remark]]


def without_unsure(found: Sequence[Setup]) -> Sure:
    """
    Take frames out of setups that differ in a card which the frames do not tell.

    A science frame stays where others of its setup tell the card, if there is one such setup only, and a bias, dark or
    flat where no other kind of setup has science frames; both with a remark.

    >>> from dataclasses import dataclass
    >>> from pathlib import Path
    >>> from astro_calib.night.setups.setups import setups
    >>> from astro_calib.night.setups.unsure import without_unsure
    >>> @dataclass
    ... class Frame:
    ...     path: Path
    ...     settings: dict
    ...     kind: str = "bias"
    ...     filter: str = ""
    >>> frames = [
    ...     Frame(Path(f"b{offset}.fits"), {"OFFSET": offset})
    ...     for offset in (10.0, 30.0)
    ... ]
    >>> sure = without_unsure(
    ...     setups([*frames, Frame(Path("m13.fits"), {}, "science")])
    ... )
    >>> sure.reasons[Path("m13.fits")][:56]
    'its header does not tell OFFSET, which is 10 or 30 in fr'
    """
    members: dict[Path, list[int]] = {}
    frames: dict[Path, RawFrame] = {}
    for number, setup in enumerate(found):
        for frame in setup.frames:
            members.setdefault(frame.path, []).append(number)
            frames[frame.path] = frame
    places = {path: set(numbers) for path, numbers in members.items()}
    lacking = {
        path: cards
        for path, numbers in members.items()
        if len(numbers) > 1 and (cards := _lacking(frames[path], [found[number] for number in numbers]))
    }
    # What there is in each setup without doubt.
    sure = [{(one.kind, one.filter) for one in setup.frames if len(members[one.path]) == 1} for setup in found]
    with_darks = [any(frame.kind == "dark" for frame in setup.frames) for setup in found]
    said: list[dict[str, list[str]]] = [{} for _ in found]
    reasons: dict[Path, str] = {}

    def tell(path: Path, numbers: set[int], text: str) -> None:
        for number in numbers:
            said[number].setdefault(text, []).append(path.name)

    for path in (path for path in lacking if frames[path].kind == "science"):
        numbers, text = members[path], _words(lacking[path])
        likely = _likely(numbers, sure)
        if _of_temperature(lacking[path]) and not any(with_darks[number] for number in numbers):
            likely = likely[:1]
        if len(likely) > 1:
            places[path] = set()
            reasons[path] = f"{text}, and masters of each could be its own; {SORT}"
            continue
        places[path] = {*likely, *numbers[: not likely]}
        said_of_it = f"{text}: it is taken to be like the other frames of its setup; if it is not, {SORT}"
        tell(path, places[path], said_of_it)
    # The others are of use for science frames alone.
    with_science = set().union(*(places[path] for path in places if frames[path].kind == "science"))
    for path in (path for path in lacking if frames[path].kind != "science"):
        frame, text = frames[path], _words(lacking[path])
        wanted = with_science.intersection(members[path])
        if len(wanted) > 1 or any((frame.kind, frame.filter) in sure[number] for number in wanted):
            places[path] = set()
            reasons[path] = f"{text}, and it may be of either; {SORT}"
            tell(path, wanted, f"not used: {reasons[path]}")
        elif wanted:
            tell(path, wanted, f"{text}: it is taken to be like the science frames; if it is not, {SORT}")
    kept = [
        setup._replace(frames=tuple(frame for frame in setup.frames if number in places[frame.path]))
        for number, setup in enumerate(found)
    ]
    return Sure(kept, reasons, [[Remark(text, names) for text, names in one.items()] for one in said])


def _likely(numbers: Sequence[int], sure: Sequence[set[tuple[str, str]]]) -> list[int]:
    """The setups that a science frame may be of: those of other science frames, else those with biases or darks."""
    kinds = {number: {kind for kind, _ in sure[number]} for number in numbers}
    whole = [number for number in numbers if "science" in kinds[number] and len(kinds[number]) > 1]
    return whole or [number for number in numbers if kinds[number] & {"bias", "dark"}]


def _words(lacking: str) -> str:
    """What is said of a frame."""
    return f"its header does not tell {lacking}"


def _lacking(frame: RawFrame, setups: Sequence[Setup]) -> str:
    """The cards that a frame does not tell, and what they are in its setups; empty if it tells what matters."""
    cards = dict.fromkeys(card for setup in setups for card in setup.settings)
    told = []
    for card in cards:
        values = _values(card, [setup.settings for setup in setups])
        # Biases and flats hardly depend on the temperature.
        matters = card != SIZE and (card != COOLED or frame.kind in ("dark", "science"))
        if len(values) > 1 and card not in frame.settings and matters:
            what = "its temperature" if card == COOLED else card
            told.append(f"{what}, which is {' or '.join(values)} in frames of the night")
    return ", nor ".join(told)


def _values(card: str, settings: Sequence[Mapping[str, str | float]]) -> list[str]:
    unit = " C" if card == COOLED else ""
    return list(dict.fromkeys(setting_text(one[card]) + unit for one in settings if card in one))


def _of_temperature(lacking: str) -> bool:
    return lacking.startswith("its temperature") and ", nor " not in lacking
