"""Tables and paragraphs as text, as wide as there is room."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.arguments import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["columns", "glued", "listed", "number_text", "paragraph"]

#: Stands for a space at which no line ends; nothing that is printed has it, as `printable` sees to.
GLUE = "\ue000"
#: The last column of a table is folded if it has at least so much room.
NARROWEST = 24


def number_text(value: float, form: str) -> str:
    """Return a number as text, a dash where there is none."""
    return format(value, form) if np.isfinite(value) else "-"


def glued(text: str) -> str:
    """Return a text, such as the name of a file, that stays on one line."""
    return printable(text).replace(" ", GLUE)


def listed(items: Iterable[str]) -> str:
    """Return the items of a list with commas between them, where lines may end; not within one of them."""
    return ", ".join(map(glued, items))


def paragraph(text: str, width: int | None, indent: str = "  ", following: str | None = None) -> list[str]:
    """
    Return a text as lines of at most ``width`` letters, or as one; a word that is longer stays whole.

    >>> from astro_calib.night.common.text import glued, paragraph
    >>> paragraph(f"{glued('my frame.fits')}: no filter", 20)
    ['  my frame.fits: no', '  filter']
    """
    lines = textwrap.wrap(
        text,
        sys.maxsize if width is None else width,
        initial_indent=indent,
        subsequent_indent=indent if following is None else following,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(GLUE, " ") for line in lines]


def columns(rows: Sequence[tuple[str, ...]], alignment: str, width: int | None = None) -> list[str]:
    r"""
    Return the rows of a table with columns as wide as they need to be, the first of them the headings.

    A heading may have two lines. If the table would be wider than ``width``, its last column is folded where that is
    text; else the first cell of each row has a line of its own.

    >>> from astro_calib.night.common.text import columns
    >>> columns([("file", "frames"), ("master-bias.fits", "10")], "<>")
    ['  file              frames', '  master-bias.fits      10']
    >>> columns(
    ...     [("file", "SNR\nafter", "bad"), ("m13.fits.gz", "31.2", "12268")],
    ...     "<>>",
    ...     width=20,
    ... )
    ['  file', '      SNR', '    after    bad', '  m13.fits.gz', '     31.2  12268']
    """
    return [line for lines in _rows(rows, alignment, width, indent=2) for line in lines]


def _rows(rows: Sequence[tuple[str, ...]], alignment: str, width: int | None, indent: int) -> list[list[str]]:
    """The lines of each row."""
    head, *others = rows
    above = [tuple(cell.partition("\n")[0] if "\n" in cell else "" for cell in head)]
    heading = tuple(cell.rpartition("\n")[2] for cell in head)
    whole = [heading, *others] if not any(above[0]) else [*above, heading, *others]
    widths = [max(len(cell) for cell in column) for column in zip(*whole, strict=True)]
    start = indent + sum(widths[:-1]) + 2 * (len(widths) - 1)
    if width is None or start + widths[-1] <= width or len(widths) == 1:
        made = [[_line(row, alignment, widths, indent)] for row in whole]
    elif alignment[-1] == "<" and width - start >= NARROWEST:
        made = [_folded(row, alignment, widths, width, indent) for row in whole]
    else:
        beside = _rows([row[1:] for row in rows], alignment[1:], width, max(indent, 4))
        return [[*_own_line(row[0], indent), *lines] for row, lines in zip(rows, beside, strict=True)]
    return made if len(whole) == len(rows) else [made[0] + made[1], *made[2:]]


def _own_line(cell: str, indent: int) -> list[str]:
    return [f"{'':{indent}}{cell}".replace(GLUE, " ")] if cell else []


def _line(row: Sequence[str], alignment: str, widths: Sequence[int], indent: int) -> str:
    cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, alignment, widths, strict=True))
    return (" " * indent + "  ".join(cells)).rstrip().replace(GLUE, " ")


def _folded(row: Sequence[str], alignment: str, widths: Sequence[int], width: int, indent: int) -> list[str]:
    """The lines of a row whose last cell has as many as it needs."""
    before = _line([*row[:-1], "|"], alignment, [*widths[:-1], 1], indent)[:-1]
    if max(map(len, row[-1].split()), default=0) > width - len(before):
        return [before.rstrip(), *paragraph(row[-1], width, " " * (indent + 4))]
    return paragraph(row[-1], width, before, " " * len(before)) or [before.rstrip()]
