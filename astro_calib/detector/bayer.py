"""
The pattern of a colour sensor's filters: two rows and two columns that are repeated over the frame.

A pattern is the word that headers have for it, such as ``"RGGB"``: the colours of the first two pixels of the first
row, and of the first two of the second. The green that stands in the rows of red is ``"G1"``, that in the rows of blue
``"G2"``; their filters are alike, but not the neighbours from which charge and light come over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.arguments import described

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COLOURS", "PATTERNS", "check_pattern", "colour_at", "cut_pattern", "places"]

#: The colours of a mosaic, in the order in which its planes are given.
COLOURS = ("R", "G1", "G2", "B")
#: All that there are: red and blue on one diagonal, green on the other.
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


def check_pattern(what: str, value: Any) -> str:
    """
    A pattern that a user gives, in capitals.

    Raises
    ------
    ValueError
        If it is none.
    """
    pattern = value.strip().upper() if isinstance(value, str) else ""
    if pattern not in PATTERNS:
        msg = f"{what} is {described(value)}; expected one of {', '.join(PATTERNS)}."
        raise ValueError(msg)
    return pattern


def colour_at(pattern: str, row: int, column: int) -> str:
    """The colour of a pixel."""
    rows = pattern[:2], pattern[2:]
    letter = rows[row % 2][column % 2]
    if letter != "G":
        return letter
    return "G1" if "R" in rows[row % 2] else "G2"


def places(pattern: str) -> dict[str, tuple[int, int]]:
    """For each colour, the first row and the first column that have it."""
    found = {colour_at(pattern, row, column): (row, column) for row in (0, 1) for column in (0, 1)}
    return {colour: found[colour] for colour in COLOURS}


def cut_pattern(pattern: str, starts: Sequence[int], steps: Sequence[int]) -> str | None:
    """
    The pattern of a cut; None if its pixels have one colour, or two that alternate along one axis.

    Parameters
    ----------
    pattern : str
        Of the whole frame.
    starts, steps : (int, int)
        The first row and column of the cut, and how far it is to the next ones; negative for one that is turned round.
    """
    if any(step % 2 == 0 for step in steps):
        return None
    # Every odd step goes from the one row or column of the pattern to the other.
    return "".join(colour_at(pattern, starts[0] + row, starts[1] + column)[0] for row in (0, 1) for column in (0, 1))
