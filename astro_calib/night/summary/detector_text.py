"""What a summary says of the detector: each number as it was measured, written and stated, and which was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.common.text import columns, paragraph
from astro_calib.night.detector.decide import UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.night.detector.decide import Number

__all__ = ["number_lines"]


def number_lines(numbers: Sequence[Number], width: int) -> list[str]:
    """Return a table with a line for each number of the detector, and a line for each with the reason."""
    if not numbers:
        return []
    rows: list[tuple[str, ...]] = [("", "measured", "header", "stated", "taken", "from")]
    rows += [_row(number) for number in numbers]
    reasons = [f"{number.name}: {number.why}" for number in numbers if number.why]
    lines = [line for reason in reasons for line in paragraph(reason, width, following=4 * " ")]
    return ["detector", *columns(rows, "<>>>><", width), *lines]


def _row(number: Number) -> tuple[str, ...]:
    measured = str(number.measured or "-")
    name = f"{number.name}, {UNITS[number.role].replace('electron', 'e')}"
    return name, measured, _plain(number.header), _plain(number.stated), _taken(number), number.source


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _taken(number: Number) -> str:
    if number.value is None:
        return "-"
    return f"{number.value:.4g}" if number.uncertainty is None else f"{number.value:.4g} +- {number.uncertainty:.2g}"
