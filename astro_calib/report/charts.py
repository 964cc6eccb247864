"""Charts as the numbers of an SVG: paths and places, which the template of the page draws."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.photometry.ratios import compared
from astro_calib.report.histogram import Histogram
from astro_calib.report.ticks import linear_ticks, log_ticks, tick_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["histogram_chart", "ratio_chart", "share_bar"]

#: The panel within a chart: left, top, right, bottom; a chart is 400 wide.
BOX, SQUARE = (64, 10, 390, 230), (64, 10, 390, 336)
#: So many stars are enough for a chart.
STARS = 600
#: Shares below this are added up as "other".
SMALLEST = 0.002


def histogram_chart(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the chart of a histogram as a summary tells it; None if its numbers cannot be."""
    histogram = Histogram(
        told["start"],
        told["width"],
        array("Q", told["before"]),
        array("Q", told["after"]),
        told["pixels"],
        (told["spreads"][0], told["spreads"][-1]) if told["spreads"] else (math.nan, math.nan),
        told["predicted"],
    )
    size = len(histogram.before)
    sane = math.isfinite(histogram.start) and 0 < histogram.width < math.inf and histogram.pixels > 0
    if not sane or size == 0 or size != len(histogram.after):
        return None
    left, top, right, bottom = BOX
    with np.errstate(all="ignore"):
        edges, (lowest, highest) = histogram.edges, histogram.limits
    if not (-math.inf < edges[0] < edges[-1] < math.inf and 0 < lowest < highest < math.inf):
        return None
    x = _places(edges, edges[0], edges[-1], left, right)
    steps = []
    for density in histogram.densities:
        y = _places(np.log10(np.maximum(density, lowest)), math.log10(lowest), math.log10(highest), bottom, top)
        steps.append("M" + "L".join(f"{a:.1f},{h:.1f}L{b:.1f},{h:.1f}" for a, b, h in zip(x, x[1:], y, strict=False)))
    curve = np.array(histogram.curve(81)).reshape(-1, 2)
    cx = _places(curve[:, 0], edges[0], edges[-1], left, right)
    cy = _places(np.log10(curve[:, 1]), math.log10(lowest), math.log10(highest), bottom, top)
    return {
        "box": BOX,
        "before": steps[0],
        "after": steps[1],
        "curve": "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(cx, cy, strict=True)) if len(curve) else "",
        "spreads": histogram.spreads,
        "predicted": histogram.predicted,
        "x": _marks(linear_ticks(edges[0], edges[-1], 5), edges[0], edges[-1], left, right),
        "y": _log_marks(log_ticks(lowest, highest, 5), lowest, highest, bottom, top),
    }


def ratio_chart(before: NDArray[np.float64], after: NDArray[np.float64]) -> dict[str, Any] | None:
    """Return the chart of stars' signal-to-noise ratios before and after; None without a star."""
    found = compared(before, after)
    if found is None:
        return None
    before, after, (low, high) = found.before, found.after, found.limits
    left, top, right, bottom = SQUARE
    shown = slice(None, None, max(1, -(-before.size // STARS)))
    x = _places(np.log10(before[shown]), math.log10(low), math.log10(high), left, right)
    y = _places(np.log10(after[shown]), math.log10(low), math.log10(high), bottom, top)
    ticks = log_ticks(low, high, 5)
    return {
        "box": SQUARE,
        # Points of no length, which round ends of lines make discs.
        "dots": "".join(f"M{a:.1f},{b:.1f}h0" for a, b in zip(x, y, strict=True)),
        "number": int(before.size),
        "drawn": len(x),
        "gain": found.change,
        "x": _log_marks(ticks, low, high, left, right),
        "y": _log_marks(ticks, low, high, bottom, top),
    }


def share_bar(shares: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the parts of a stacked bar 1000 wide; what is too small to be seen is added up."""
    large = {name: share for name, share in shares.items() if SMALLEST <= share <= 1.0001}
    rest = 1 - sum(large.values())
    if large and rest >= SMALLEST:
        large["other"] = large.get("other", 0.0) + rest
    parts, start = [], 0.0
    for name, share in large.items():
        parts.append({"name": name, "share": share, "start": round(1000 * start, 1), "width": round(1000 * share, 1)})
        start += share
    return parts


def _places(values: Any, low: float, high: float, first: float, last: float) -> Any:
    return first + (np.asarray(values) - low) / (high - low) * (last - first)


def _marks(ticks: list[float], low: float, high: float, first: float, last: float) -> list[tuple[float, str]]:
    return [(round(float(_places(value, low, high, first, last)), 1), tick_text(value)) for value in ticks]


def _log_marks(ticks: list[float], low: float, high: float, first: float, last: float) -> list[tuple[float, str]]:
    logs = math.log10(low), math.log10(high)
    return [(round(float(_places(math.log10(tick), *logs, first, last)), 1), tick_text(tick)) for tick in ticks]
