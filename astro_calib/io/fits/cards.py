"""
Header cards that FITS does not allow, repaired in the bytes of a file before anything else reads them.

Cameras write names with dots and spaces, tabs and degree signs, decimal commas and texts without quotes. astropy reads
such a card until somebody asks for it, and then refuses the whole header; it finds no WCS beside one, and writes none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from astro_calib.io.fits.lazy_header import CARD, KEPT, cards_before_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from astro_calib.io.fits.whole import HeaderUnit

__all__ = ["remark_on_cards", "repaired", "repaired_header"]

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?"
QUOTED = r"'(?:[^']|'')*'"
VALUE = rf" *(?:{QUOTED}|[TF]|{NUMBER}|\( *{NUMBER} *, *{NUMBER} *\))? *(?:/.*)?"
#: Cards that FITS allows.
CONFORMING = re.compile(
    r"(?:COMMENT|HISTORY|       ) .*"
    rf"|CONTINUE  *(?:{QUOTED})? *(?:/.*)?"
    rf"|HIERARCH [ -<>-~]+={VALUE}"
    rf"|(?!END )(?=[A-Z0-9_-]+ *=)[A-Z0-9_ -]{{8}}= {VALUE}"
)
#: Keywords that say how the data lie in the file; what they say is never changed.
STRUCTURAL = re.compile(
    r"(?:SIMPLE|XTENSION|BITPIX|Z?NAXIS\d*|EXTEND|[PG]COUNT|GROUPS|BSCALE|BZERO|ZIMAGE|TFIELDS|T[A-Z]{4}\d+|THEAP) *= "
)
#: How a card ends whose text goes on in the next.
TO_BE_CONTINUED = re.compile(r"&' *(?:/.*)?$")
STANDARD_NAME = re.compile(r"[A-Z0-9_-]{1,8}")
#: A name without blanks, an equals sign where it should not be, and what follows.
ASSIGNMENT = re.compile(r"([A-Za-z0-9_.-]+) *= *(.*)")
HIERARCH = re.compile(r"HIERARCH +([ -<>-~]+?) *= *(.*)", re.IGNORECASE)
#: Characters that separate words or end a text; other control characters become "?".
BLANKS = "\0\t\n\v\f\r"
ALPHABET = {code: "?" for code in range(256) if not 32 <= code < 127} | {ord(blank): " " for blank in BLANKS}


def repaired(
    source: Path | bytes, units: Sequence[HeaderUnit]
) -> tuple[Path | bytes, list[HeaderUnit], tuple[str, ...]]:
    """
    Repair the headers of a file: return the file or its repaired bytes, its headers, and the names of the cards.

    The file itself comes back if there is nothing to repair. The length of the headers and the data stay as they are.
    """
    names: dict[str, None] = {}
    changed = []
    for unit in units:
        header, repairs = repaired_header(unit.header)
        names |= dict.fromkeys(repairs)
        changed.append(unit._replace(header=header))
    if all(new.header is old.header for new, old in zip(changed, units, strict=True)):
        return source, list(units), ()
    content = bytearray(source.read_bytes() if isinstance(source, Path) else source)
    content += bytes(-len(content) % 2880)
    for unit in changed:
        content[unit.data - len(unit.header) : unit.data] = unit.header
    return bytes(content), changed, tuple(names)


def repaired_header(header: bytes) -> tuple[bytes, list[str]]:
    """
    Repair the cards of a header, without changing its length; return it, and the names of the repaired cards.

    A name that FITS does not allow is kept by the convention HIERARCH, as astropy does; a value that is neither a
    number nor a text in quotes becomes a text; what assigns nothing becomes a COMMENT. The same object comes back if
    nothing had to be repaired.

    >>> from astro_calib.io.fits.cards import repaired_header
    >>> header, cards = repaired_header(
    ...     b"CCD TEMP= -20.5 / at start".ljust(80) + b"END".ljust(80)
    ... )
    >>> header[:80].rstrip(), cards
    (b'HIERARCH CCD TEMP = -20.5 / at start', ['CCD TEMP'])
    """
    texts = cards_before_end(header.decode("latin-1"))
    if all(map(_conforms, texts)) and not any(text.startswith("CONTINUE") for text in texts):
        return header, []
    cards, names = [], []
    new = ""
    for text in texts:
        previous = new
        if text.startswith("CONTINUE") and not TO_BE_CONTINUED.search(previous):
            new = _comment(text.translate(ALPHABET))
        else:
            new = text if _conforms(text) else _repaired_card(text)
        cards.append(new.encode("ascii"))
        if new != text and _meaning(new) != _meaning(text):
            names.append(_name(text))
    length = CARD * len(cards)
    found = b"".join(cards)
    return (header, []) if found == header[:length] else (found + header[length:], names)


def remark_on_cards(cards: Iterable[str]) -> str:
    """The remark on a file in which these cards were repaired."""
    return f"header cards that break the rules of FITS were repaired: {', '.join(cards)}"


@lru_cache(KEPT)
def _conforms(card: str) -> bool:
    """Whether FITS allows a card."""
    return CONFORMING.fullmatch(card) is not None and card.isascii() and card.isprintable()


def _repaired_card(card: str) -> str:
    text = card.translate(ALPHABET)
    if CONFORMING.fullmatch(text) or STRUCTURAL.match(text):
        return text
    if text[8:10] == "= " and text[:8].strip():
        name, rest = text[:8], text[10:]
    elif assigned := HIERARCH.fullmatch(text) or ASSIGNMENT.fullmatch(text):
        name, rest = assigned.groups()
    else:
        return _comment(text)
    if name.strip().upper() == "END":
        return _comment(text)
    value, comment = _value_and_comment(rest.strip())
    # astropy takes these for wildcards.
    name = re.sub("[*?]", "_", name.strip())
    if STANDARD_NAME.fullmatch(name.upper()) and not text.upper().startswith("HIERARCH "):
        # The standard fixes the columns where numbers end and texts begin.
        assignment = f"{name.upper():8}= " + (value if value.startswith("'") else f"{value:>20}")
    else:
        assignment = f"HIERARCH {name} = {value}"
    if len(assignment) > CARD:
        return _comment(text)
    return (f"{assignment} / {comment}" if comment else assignment)[:CARD].ljust(CARD)


def _comment(text: str) -> str:
    """The text of a card as a comment; a blank card if there is none in it."""
    words = text.strip() if any(letter.isalnum() for letter in text) else ""
    return f"COMMENT {words}"[:CARD].ljust(CARD) if words else " " * CARD


def _value_and_comment(text: str) -> tuple[str, str]:
    """A value as FITS writes it, and the comment, of what follows an equals sign."""
    quoted = re.fullmatch(rf"({QUOTED}) *(?:/ *(.*))?", text)
    if quoted:
        return quoted[1], quoted[2] or ""
    if text.startswith("'"):
        # The closing quote is missing, or single quotes are in the text.
        return _quoted(text[1:]), ""
    if text.startswith("/"):
        return "", text[1:].strip()
    number = re.fullmatch(rf"({NUMBER}|[TF]) *(?:/ *(.*))?", text, re.IGNORECASE)
    if number:
        return number[1].upper(), number[2] or ""
    value, _, comment = text.partition(" /")
    return _quoted(value.strip().strip('"')), comment.strip()


def _quoted(text: str) -> str:
    escaped = text.rstrip().replace("'", "''")
    return f"'{escaped:8}'"


def _meaning(card: str) -> str:
    """A card without what may be written in several ways: blanks, and capitals outside of a text."""
    words = card.rstrip(" \0").replace(" ", "")
    name, sign, rest = words.partition("=")
    return name.upper() + sign + (rest if "'" in rest else rest.upper())


def _name(card: str) -> str:
    """What a message calls a card."""
    text = card.translate(ALPHABET)
    if text[8:10] == "= " or text.startswith(("COMMENT ", "HISTORY ")):
        return text[:8].strip()
    assigned = HIERARCH.fullmatch(text) or ASSIGNMENT.fullmatch(text)
    return assigned[1] if assigned else text.strip()[:20].strip()
