"""The figure of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["picture"]

#: A line of the verdict is not longer than this, and no more lines than these are shown.
WIDTH, LINES = 130, 4


def picture(verdict: str, noise: Table, lags: Table, apertures: Table, figure: Figure | None = None) -> Figure:
    """Draw the ratios of an audit, stated and with the faults that were named."""
    import textwrap

    from matplotlib.figure import Figure

    parts = [part for part, table in ((_by_level, noise), (_by_lag, lags), (_by_radius, apertures)) if len(table)]
    tables = [table for table in (noise, lags, apertures) if len(table)]
    if figure is None:
        figure = Figure(figsize=(3.7 * max(len(parts), 2), 3.8), layout="constrained")
    for axes, part, table in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, tables, strict=True):
        part(axes, table)
    lines = [line for sentence in verdict.split("\n") for line in textwrap.wrap(sentence, WIDTH * len(parts) // 3)]
    if len(lines) > LINES:
        lines[LINES - 1 :] = [lines[LINES - 1] + " ..."]
    figure.suptitle("\n".join(lines), fontsize="small")
    return figure


def _of_kinds(table: Table) -> list[tuple[str, str, Table]]:
    """Kind, colour and rows, each in its own colour."""
    kinds = dict.fromkeys(map(str, table["kind"]))
    return [(kind, f"C{number}", table[table["kind"] == kind]) for number, kind in enumerate(kinds)]


def _by_level(axes: Axes, noise: Table) -> None:
    from matplotlib.ticker import NullFormatter

    better = bool(np.any(noise["with_faults"] != noise["ratio"]))
    for kind, color, rows in _of_kinds(noise):
        axes.errorbar(rows["level"], rows["ratio"], rows["error"], fmt="o", ms=4, color=color, label=kind)
        if better:
            axes.plot(rows["level"], rows["with_faults"], "x", ms=5, color=color)
    if better:
        axes.plot([], [], "kx", ms=5, label="with the faults")
    # Biases have no light; a logarithmic scale does not show it.
    top = float(np.max(noise["level"], initial=10.0))
    if np.min(noise["level"]) > 1:
        axes.set(
            xscale="log", xlim=10.0 ** np.array([np.floor(np.log10(np.min(noise["level"]))), np.ceil(np.log10(top))])
        )
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(-5, 3 * top)
    axes.axhline(1, color="k", lw=0.8)
    axes.set(xlabel="level [electron]", ylabel="noise over prediction")
    axes.legend(fontsize="small")


def _by_lag(axes: Axes, lags: Table) -> None:
    better = bool(np.any(lags["with_faults"] != lags["predicted"]))
    for kind, color, all_rows in _of_kinds(lags):
        rows = all_rows[(all_rows["dy"] == 0) & (all_rows["dx"] > 0)]
        rows.sort("dx")
        axes.errorbar(rows["dx"], rows["covariance"], rows["error"], fmt="o", ms=4, color=color, label=kind)
        axes.plot(rows["dx"], rows["predicted"], "-", lw=0.9, color=color)
        if better:
            axes.plot(rows["dx"], rows["with_faults"], "x", ms=5, color=color)
    axes.plot([], [], "k-", lw=0.9, label="predicted")
    if better:
        axes.plot([], [], "kx", ms=5, label="with the faults")
    axes.axhline(0, color="k", lw=0.5, ls=":")
    axes.set(xlabel="distance along the row [pixel]", ylabel="covariance over variance")
    axes.legend(fontsize="small")


def _by_radius(axes: Axes, apertures: Table) -> None:
    axes.errorbar(apertures["radius"], apertures["ratio"], apertures["error"], fmt="o", ms=4, label="as stated")
    if np.any(apertures["with_faults"] != apertures["ratio"]):
        axes.plot(apertures["radius"], apertures["with_faults"], "kx", ms=6, label="with the faults")
    axes.axhline(1, color="k", lw=0.8)
    axes.set(xlabel="radius of empty apertures [pixel]", ylabel="noise of sums over prediction")
    axes.legend(fontsize="small")
