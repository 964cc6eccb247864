"""Settings of the camera that some frames of a setup tell and others do not, or under cards that do not agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from astro_calib.night.common.remarks import Remark
from astro_calib.night.headers.setting_cards import family_of
from astro_calib.night.setups.setups import setting_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.setups.setups import OfSetup

    #: What each frame tells under the cards of one family.
    Own = Mapping[Path, Mapping[str, str | float]]

__all__ = ["contradictions_of_settings", "remarks_on_settings"]

#: What cards of one of these tell is the same whatever they are called; not so a gain, in electron/adu or in steps.
COMPARED = ("binning", "offset setting", "row order")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
WHOSE = {"bias": "the biases", "dark": "the darks", "flat": "the flats", "science": "the science frames"}


def remarks_on_settings(frames: Sequence[RawFrame], said: Iterable[str] = ()) -> Iterator[Remark | str]:
    """
    Yield remarks on frames of one setup that do not tell a setting which the others tell.

    What was ``said`` already of a file and a card is not said again.

    >>> from dataclasses import dataclass
    >>> from pathlib import Path
    >>> from astro_calib.night.setups.told_in_part import remarks_on_settings
    >>> @dataclass
    ... class Frame:
    ...     path: Path
    ...     settings: dict
    ...     kind: str = "bias"
    >>> told = [
    ...     Frame(Path(f"b{number}.fits"), {"OFFSET": 10.0})
    ...     for number in range(3)
    ... ]
    >>> print(
    ...     *remarks_on_settings(
    ...         [*told, Frame(Path("m13.fits"), {}, "science")]
    ...     )
    ... )
    m13.fits: its header does not tell OFFSET, which is 10 in the other frames: it is taken to be the same
    """
    families: dict[str, None] = {}
    for frame in frames:
        families |= {family: None for card in frame.settings if (family := family_of(card))}
    known = [remark for remark in said if isinstance(remark, Remark)]
    for family in families:
        own = {frame.path: _of_family(frame, family) for frame in frames}
        yield from _lacking(frames, own, known)
    yield from contradictions_of_settings(frames)


def contradictions_of_settings(frames: Sequence[OfSetup]) -> Iterator[str]:
    """Yield remarks on kinds of frames, or of masters, that tell a setting under different cards, and not the same."""
    for family in COMPARED:
        own = {frame.path: _of_family(frame, family) for frame in frames}
        yield from _contradicting(frames, own, family)


def _of_family(frame: OfSetup, family: str) -> Mapping[str, str | float]:
    return {card: value for card, value in frame.settings.items() if family_of(card) == family}


def _lacking(frames: Sequence[RawFrame], own: Own, known: Sequence[Remark]) -> Iterator[Remark]:
    """A remark on the frames that tell nothing of a family of cards."""
    told = {card: value for cards in own.values() for card, value in cards.items()}
    words = [re.compile(rf"(?<![\w-]){re.escape(card)}(?![\w-])") for card in told]
    said = {name for remark in known if any(word.search(remark) for word in words) for name in remark.names}
    silent = [frame.path.name for frame in frames if not own[frame.path] and frame.path.name not in said]
    if silent:
        cards = " and ".join(f"{card}, which is {setting_text(value)}" for card, value in told.items())
        yield Remark(f"its header does not tell {cards} in the other frames: it is taken to be the same", silent)


def _contradicting(frames: Sequence[OfSetup], own: Own, family: str) -> Iterator[str]:
    """A remark on kinds of frames that tell a setting under different cards, and not the same."""
    seen: dict[tuple[str, tuple[str, ...]], tuple[str, Mapping[str, str | float]]] = {}
    for frame in frames:
        if cards := own[frame.path]:
            seen.setdefault((frame.kind, tuple(cards)), (frame.kind, cards))
    science = [cards for kind, cards in seen.values() if kind == "science"]
    for kind, cards in seen.values():
        for other in science:
            if kind == "science" or set(cards) & set(other) or _numbers(cards) == _numbers(other):
                continue
            yield (
                f"{WHOSE[kind]} say {_words(cards)}, and {WHOSE['science']} {_words(other)}: if both tell the "
                f"{family}, they do not go together; calibrate with frames of the same {family}"
            )


def _numbers(cards: Mapping[str, str | float]) -> tuple[str, ...]:
    """What cards tell, as texts; one of two that are alike."""
    told = [text for value in cards.values() for text in NUMBER.findall(setting_text(value)) or [setting_text(value)]]
    return (told[0],) if len(set(told)) == 1 else tuple(told)


def _words(cards: Mapping[str, str | float]) -> str:
    return " and ".join(f"{card}={setting_text(value)}" for card, value in cards.items())
