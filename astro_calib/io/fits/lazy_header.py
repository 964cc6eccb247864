"""
A header of which a card is parsed when somebody asks for it.

To tell what a frame is, some hundred keywords are looked up in each header, of which a few are there. astropy parses
the names of all cards first, which takes longer than all the rest where there are thousands of files.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from astropy.io.fits import Card, Header
from astropy.io.fits.card import Undefined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["CARD", "KEPT", "LazyHeader", "NamedCard", "cards_before_end", "named_cards"]

#: What a header may hold many times, as text.
COMMENTARY = ("COMMENT", "HISTORY")
#: A keyword, and the text of its card.
NamedCard = tuple[str, str]
#: How long a card is.
CARD = 80
#: Most cards are the same in all files of a night: so many are kept parsed.
KEPT = 1 << 13
#: Keywords that a header may have many times, without a value.
COMMENTARY = ("COMMENT", "HISTORY")
STANDARD_NAME = re.compile(r"[A-Z0-9_-]{1,8}")
#: Names that can be looked up as they are: nothing in them has a meaning to astropy.
PLAIN_NAME = re.compile(r"(?!HIERARCH |(?:COMMENT|HISTORY|END|CONTINUE) *$)[A-Z0-9_-]+(?: [A-Z0-9_-]+)*")


class LazyHeader(Header):
    """
    A `~astropy.io.fits.Header` made by `LazyHeader.of_cards`, which looks up single values and comments quickly.

    Anything else that is asked of it makes it an ordinary one.

    >>> from astro_calib.io.fits.lazy_header import LazyHeader
    >>> header = LazyHeader.of_cards(
    ...     [f"{'GAIN    =                  120 / setting':80}"]
    ... )
    >>> (
    ...     header["GAIN"],
    ...     header.comments["GAIN"],
    ...     header.get("OFFSET"),
    ...     len(header),
    ... )
    (120, 'setting', None, 1)
    """

    #: Its cards, and the first of each keyword; only as long as it was asked for nothing else.
    named: Sequence[NamedCard]
    first: Mapping[str, str]

    @classmethod
    def of_cards(cls, cards: Iterable[str]) -> LazyHeader:
        """Make a header of the cards of a file, 80 characters each, without END."""
        return cls.of_named(named_cards(cards))

    @classmethod
    def of_named(cls, cards: Sequence[NamedCard]) -> LazyHeader:
        """Make a header of what `named_cards` returned."""
        return cls._of(cards, _first_of_each(cards))

    @classmethod
    def of_bytes(cls, content: bytes) -> LazyHeader:
        """Make a header of its bytes in a file, with END and what follows."""
        return cls._of(*_parts(content))

    @classmethod
    def _of(cls, named: Sequence[NamedCard], first: Mapping[str, str]) -> LazyHeader:
        header = cls.__new__(cls)
        header.named, header.first = named, first
        return header

    def __getattr__(self, name: str) -> Any:
        """Make it an ordinary header: what astropy keeps in one is asked for."""
        named = self.__dict__.pop("named", None)
        if named is None:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        del self.first
        self.__dict__.update(vars(Header.fromstring("".join(card for _, card in named))))
        return getattr(self, name)

    def __getitem__(self, key: Any) -> Any:
        first = self.__dict__.get("first")
        if first is not None and key in COMMENTARY and (lines := self._lines(key)):
            return lines
        if first is None or not isinstance(key, str) or not _is_plain(key):
            return super().__getitem__(key)
        try:
            return _parsed(first[key])[0]
        except KeyError:
            msg = f"Keyword {key!r} not found."
            raise KeyError(msg) from None

    def __contains__(self, key: Any) -> bool:
        first = self.__dict__.get("first")
        if first is None or not isinstance(key, str) or not _is_plain(key):
            return bool(super().__contains__(key))
        return key in first

    def __iter__(self) -> Iterator[str]:
        named = self.__dict__.get("named")
        if named is None:
            return iter(super().__iter__())
        # A card such as DP1 = 'EXTVER: 1' has part of its value in its keyword.
        return iter([_keyword(card) if not name or ": " in card else name for name, card in named])

    def get(self, key: Any, default: Any = None) -> Any:
        """As `astropy.io.fits.Header.get`; commentary cards are a tuple of their texts."""
        first = self.__dict__.get("first")
        if first is not None and key in COMMENTARY:
            return self._lines(key) or default
        if first is None or not isinstance(key, str) or not _is_plain(key):
            return super().get(key, default)
        card = first.get(key)
        return default if card is None else _parsed(card)[0]

    def _lines(self, key: str) -> _Lines:
        return _Lines(card[8:].rstrip() for name, card in self.named if not name and card[:8].rstrip() == key)

    @property
    def comments(self) -> Any:
        """As `astropy.io.fits.Header.comments`."""
        first = self.__dict__.get("first")
        return super().comments if first is None else _Comments(self, first)


class _Lines(tuple[str, ...]):
    """The lines of a commentary."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(self)


class _Comments:
    """The comments of a header that is not parsed yet."""

    def __init__(self, header: LazyHeader, first: Mapping[str, str]) -> None:
        self._header, self._first = header, first

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key in self._first:
            return _parsed(self._first[key])[1]
        return self._ordinary[key]

    def __setitem__(self, key: Any, comment: Any) -> None:
        self._ordinary[key] = comment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ordinary, name)

    @property
    def _ordinary(self) -> Any:
        len(self._header)
        return self._header.comments


def named_cards(cards: Iterable[str]) -> list[NamedCard]:
    """
    Return each card with its keyword, and with those by which it goes on; comments have no keyword.

    >>> from astro_calib.io.fits.lazy_header import named_cards
    >>> named_cards([f"{'GAIN    = 1':80}", f"{'HISTORY of old':80}"])[0][0]
    'GAIN'
    """
    named: list[NamedCard] = []
    for card in cards:
        name = _standard_name(card[:10])
        if name == "CONTINUE":
            name, before = named.pop() if named else ("", "")
            named.append((name, before + card))
        else:
            named.append((_keyword(card) if name is None else name, card))
    return named


def cards_before_end(text: str) -> list[str]:
    """Return the cards of a header before END."""
    cards = [text[place : place + CARD] for place in range(0, len(text), CARD)]
    end = next((n for n, card in enumerate(cards) if card.startswith("END") and card.rstrip(" \0") == "END"), None)
    return cards[:end]


def _first_of_each(cards: Iterable[NamedCard]) -> dict[str, str]:
    """The first card of each keyword."""
    first: dict[str, str] = {}
    for name, card in cards:
        if name:
            first.setdefault(name, card)
    return first


@lru_cache(4)
def _parts(content: bytes) -> tuple[Sequence[NamedCard], Mapping[str, str]]:
    """The cards of a header, and the first of each keyword: several look at the header of one file."""
    named = named_cards(cards_before_end(content.decode("latin-1")))
    return named, _first_of_each(named)


@lru_cache(KEPT)
def _standard_name(beginning: str) -> str | None:
    """The keyword of a card that begins so, if it is written in the usual way; empty for comments."""
    name = beginning[:8].rstrip()
    if beginning[8:] == "= " and STANDARD_NAME.fullmatch(name):
        return name
    return {"CONTINUE": name, "COMMENT": "", "HISTORY": "", "": ""}.get(name)


@lru_cache(KEPT)
def _keyword(card: str) -> str:
    """The keyword of a card that is not written in the usual way."""
    keyword: str = Card.normalize_keyword(Card.fromstring(card).keyword)
    return keyword


@lru_cache(KEPT)
def _parsed(card: str) -> tuple[Any, str]:
    """The value of a card, None if it has none, and its comment."""
    parsed = Card.fromstring(card)
    # As a header gives it that is asked for the name of a card such as DP1 = 'EXTVER: 1'.
    value = parsed.value if parsed.field_specifier is None else parsed.rawvalue
    return (None if isinstance(value, Undefined) else value), parsed.comment


@lru_cache(1 << 10)
def _is_plain(key: str) -> bool:
    return PLAIN_NAME.fullmatch(key) is not None
