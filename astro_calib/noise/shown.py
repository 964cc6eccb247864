"""How the parts of a variance are told: as text, as tables, and as a chart."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.arguments import axes_to_draw_on, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

__all__ = ["draw_shares", "share_rows", "share_table", "share_table_html", "shares_text"]

#: Smaller shares are left out of a line of text, and not told in numbers in a table.
SMALLEST = 0.001
TITLES = ("source", "sigma", "share")
NUMBER = '<td style="text-align:right">'
EXACT = "exact: no source of noise"
#: The axis is longer than the longest bar by this factor, which leaves room for the numbers beside it.
ROOM = 1.6


def share_rows(parts: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """
    Return a row for each source and one for all: name, standard deviation, share of the variance.

    A part may be negative, where noise that is shared cancels; it has no standard deviation.

    >>> from astro_calib.noise.shown import share_rows
    >>> share_rows({"shot noise": 16.0, "read noise": 9.0})
    [('shot noise', '4', '64%'), ('read noise', '3', '36%'), ('together', '5', '100%')]
    """
    total = sum(parts.values())
    rows = [*parts.items(), ("together", total)]
    return [(name, f"{np.sqrt(part):.3g}" if part >= 0 else "-", _share(part, total)) for name, part in rows]


def _share(part: float, total: float) -> str:
    if not total > 0:
        return "-"
    return f"{100 * part / total:.3g}%" if part == 0 or abs(part) >= SMALLEST * total else "<0.1%"


def shares_text(shares: Mapping[str, float]) -> str:
    """
    Return shares as a line of text.

    >>> from astro_calib.noise.shown import shares_text
    >>> shares_text({"shot noise": 0.8, "read noise": 0.196, "flat": 0.004})
    'shot noise 80%, read noise 19.6%, flat 0.4%'
    """
    return ", ".join(f"{name} {100 * share:.3g}%" for name, share in shares.items() if share >= SMALLEST)


def share_table(parts: Mapping[str, float]) -> str:
    """Return sources, standard deviations and shares as lines of text."""
    if not parts:
        return EXACT
    rows = [TITLES, *((printable(name), *numbers) for name, *numbers in share_rows(parts))]
    name, sigma, share = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join(f"{row[0]:<{name}}  {row[1]:>{sigma}}  {row[2]:>{share}}" for row in rows)


def share_table_html(parts: Mapping[str, float]) -> str:
    """Return the same as a table for a notebook; names of sources may come from files, and are escaped."""
    if not parts:
        return f"<p>{EXACT}</p>"
    head = "".join(f"<th>{title}</th>" for title in TITLES)
    rows = "".join(
        f"<tr><td>{escape(printable(name))}</td>" + "".join(f"{NUMBER}{number}</td>" for number in numbers) + "</tr>"
        for name, *numbers in share_rows(parts)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def draw_shares(parts: Mapping[str, float], axes: Axes | None = None) -> Axes:
    """Draw a bar for each source, the largest at the top, with its standard deviation and share beside it."""
    axes = axes_to_draw_on(axes)
    total = sum(parts.values())
    *rows, (_, sigma, _) = share_rows(parts)
    widths = [100 * part / total if total > 0 else 0.0 for part in parts.values()]
    bars = axes.barh([printable(name) for name in parts], widths, color="#1f6fb4")
    axes.bar_label(bars, [f"{one}  ({share})" for _, one, share in rows], padding=4)
    axes.invert_yaxis()
    axes.set(
        xlim=(min([0.0, *widths]), ROOM * (max(widths, default=0.0) or 100.0)),
        xticks=range(0, 101, 25),
        xlabel="share of the variance (%)",
        title=f"sigma {sigma} of a typical pixel" if parts else EXACT,
    )
    return axes
