"""Tables as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["columns", "number_text"]


def number_text(value: float, form: str) -> str:
    """Return a number as text, a dash where there is none."""
    return format(value, form) if np.isfinite(value) else "-"


def columns(rows: Sequence[tuple[str, ...]], alignment: str) -> list[str]:
    """
    Return the rows of a table with columns as wide as they need to be.

    >>> from astro_calib.night.text import columns
    >>> columns([("file", "frames"), ("master-bias.fits", "10")], "<>")
    ['  file              frames', '  master-bias.fits      10']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, alignment, widths, strict=True))
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines
