"""The signal-to-noise ratios of stars as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from astro_calib.arguments import axes_to_draw_on, described
from astro_calib.photometry.ratios import RATIOS, compared

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_snr"]

NO_STAR = "no star could be measured"


def plot_snr(table: Table, axes: Axes | None = None) -> Axes:
    """
    Draw the signal-to-noise ratios of stars.

    Parameters
    ----------
    table : Table
        From `~astro_calib.compare_snr`, or `~astro_calib.measure_snr` with a frame before calibration: the flux over
        the scatter of empty apertures, after calibration against before. That of `~astro_calib.measure_snr` alone: the
        ratio with the predicted error, and that with the scatter, against the flux.
    axes : matplotlib.axes.Axes, optional
        Draw here; by default in a new figure of pyplot, which ``plt.show()`` shows.

    Returns
    -------
    matplotlib.axes.Axes
        With logarithmic scales. Stars of which a ratio is not positive are left out.

    Raises
    ------
    TypeError
        If the table is something else.
    ValueError
        If it has none of these columns.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from matplotlib.figure import Figure
    >>> from astro_calib import plot_snr
    >>> table = Table(
    ...     {
    ...         "snr_empirical_before": [10.0, 20.0],
    ...         "snr_empirical": [15.0, 30.0],
    ...     }
    ... )
    >>> axes = plot_snr(table, Figure().subplots())
    >>> print(axes.get_title())
    SNR after / before: median 1.5
    """
    if not isinstance(table, Table):
        msg = f"plot_snr draws a table of measure_snr or compare_snr, not {described(table)}."
        raise TypeError(msg)
    before, after, words = RATIOS["empirical"]
    is_compared = before in table.colnames and after in table.colnames
    missing = [name for name in ("flux", "snr", after) if name not in table.colnames]
    if missing and not is_compared:
        msg = (
            f"the table lacks {', '.join(missing)}; plot_snr draws what measure_snr(frame) or "
            f"compare_snr(before, after) returned. It has {', '.join(table.colnames) or 'no column'}."
        )
        raise ValueError(msg)
    axes = axes_to_draw_on(axes)
    if not is_compared:
        return _against_flux(table, axes)
    found = compared(table[before], table[after])
    axes.set(xlabel=f"{words}, before", ylabel="after")
    if found is None:
        axes.set_title(NO_STAR)
        return axes
    axes.plot(found.limits, found.limits, color="#8a8a8a", lw=1, label="no change")
    axes.plot(
        found.before, found.after, "o", ms=4, mew=0, alpha=0.7, color="#1f6fb4", label=f"{found.before.size} stars"
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=found.limits,
        ylim=found.limits,
        title=f"SNR after / before: median {found.change:.3g}",
    )
    axes.legend()
    return axes


def _against_flux(table: Table, axes: Axes) -> Axes:
    """The two ratios of each star against its flux."""
    flux, *ratios = (np.asarray(table[name], dtype=np.float64) for name in ("flux", "snr", "snr_empirical"))
    unit = str(table["flux"].unit or "").strip()
    axes.set(xlabel=f"flux ({unit})" if unit else "flux", ylabel="signal-to-noise ratio")
    labels = ("flux / its predicted error", "flux / scatter of empty apertures")
    for ratio, label, color, marker in zip(ratios, labels, ("#1f6fb4", "#c8102e"), "ox", strict=True):
        good = np.isfinite(flux) & np.isfinite(ratio) & (flux > 0) & (ratio > 0)
        if good.any():
            axes.plot(flux[good], ratio[good], marker, ms=4, alpha=0.7, color=color, label=label)
    if not axes.lines:
        axes.set_title(NO_STAR)
        return axes
    axes.set(xscale="log", yscale="log", title=f"{len(table)} stars")
    axes.legend()
    return axes
