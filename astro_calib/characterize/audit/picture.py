"""The figure of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.figure import Figure

__all__ = ["picture"]

#: A line of the verdict is not longer than this.
WIDTH = 130


def picture(title: str, noise: Table, lags: Table, apertures: Table) -> Figure:
    """Draw the ratios of an audit, stated and with the faults that were named."""
    import textwrap

    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    by_level, by_lag, by_radius = figure.subplots(1, 3)
    for number, kind in enumerate(dict.fromkeys(noise["kind"])):
        rows = noise[noise["kind"] == kind]
        level = np.maximum(rows["level"], 1.0)
        by_level.errorbar(level, rows["ratio"], rows["error"], fmt="o", ms=4, color=f"C{number}", label=str(kind))
        by_level.plot(level, rows["with_faults"], "x", ms=5, color=f"C{number}")
        rows = lags[(lags["kind"] == kind) & (lags["dy"] == 0) & (lags["dx"] > 0)]
        by_lag.errorbar(rows["dx"], rows["covariance"], rows["error"], fmt="o-", ms=3, lw=0.7, color=f"C{number}")
    by_level.set(xscale="log", xlabel="level [electron]", ylabel="noise over prediction")
    by_level.legend(title="x: with the faults", fontsize="small", title_fontsize="small")
    by_lag.set(xlabel="distance along the row [pixel]", ylabel="covariance over variance")
    rows = apertures
    by_radius.errorbar(rows["radius"], rows["ratio"], rows["error"], fmt="o", ms=4, label="as stated")
    by_radius.plot(rows["radius"], rows["with_faults"], "x", ms=6, label="with the faults")
    by_radius.set(xlabel="radius of empty apertures [pixel]", ylabel="noise of sums over prediction")
    if len(rows):
        by_radius.legend(fontsize="small")
    for axes, value in ((by_level, 1), (by_lag, 0), (by_radius, 1)):
        axes.axhline(value, color="k", lw=0.8)
    figure.suptitle("\n".join(textwrap.wrap(title, WIDTH)), fontsize="small")
    return figure
