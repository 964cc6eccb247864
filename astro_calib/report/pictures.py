"""Pictures of a reduction: frames before and after, histograms of their pixels, and the stars' SNR."""

from __future__ import annotations

import io
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.frame.shrink import grey_levels, shrunk, zscale
from astro_calib.photometry.ratios import compared
from astro_calib.report.canvas import AFTER, BEFORE, MASKED, PREDICTED, WHITE, Canvas
from astro_calib.report.ticks import linear_ticks, log_ticks, tick_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from astro_calib.report.canvas import Box
    from astro_calib.report.histogram import Histogram

__all__ = ["before_after_picture", "histogram_picture", "master_picture", "rendered", "snr_picture"]

#: The longer side of an image in a picture, in dots, is at most this; smaller images are enlarged to about half of it.
SHOWN = 600
#: Dots around the panels: to the left of each, to its right with a scale of grey levels and without, above, below.
LEFT, SCALE, RIGHT, TOP, BOTTOM = 75, 85, 20, 60, 55
#: Width and height of panels with curves and with stars.
CURVES, STARS = (700, 400), 420
#: Dots per inch of figures, and the compression of their PNG files.
RESOLUTION, COMPRESSION = 110, 3


def rendered(figure: Figure) -> bytes:
    """Draw a figure of matplotlib; return the content of a PNG file."""
    content = io.BytesIO()
    figure.set_dpi(RESOLUTION)
    with warnings.catch_warnings():
        # Names of files may have letters that the font has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="png", dpi=RESOLUTION, pil_kwargs={"compress_level": COMPRESSION})
    return content.getvalue()


#: A label, pixels, and where these can be used.
Panel = tuple[str, Any, Any]


def before_after_picture(title: str, before: Panel, after: Panel) -> bytes:
    """Show a frame before and after, side by side, each with a zscale stretch; return a PNG file."""
    return _side_by_side(title, (before, after))


def master_picture(title: str, image: NDArray[Any], sigma: NDArray[Any], good: NDArray[np.bool_], unit: str) -> bytes:
    """Show a master and its standard deviation; ``unit`` is empty for a flat. Return a PNG file."""
    of = f" / {unit}" if unit else ""
    return _side_by_side(title, ((f"value{of}", image, good), (f"standard deviation{of}", sigma, good)))


def _side_by_side(title: str, panels: Sequence[Panel]) -> bytes:
    small = [shrunk(image, good, SHOWN) for _, image, good in panels]
    rows, columns = small[0][0].shape
    times = -(-(SHOWN // 2) // max(rows, columns))
    width, height = columns * times, rows * times
    canvas = Canvas(2 * (LEFT + width + SCALE), TOP + height + BOTTOM)
    canvas.text((canvas.image.width / 2, 18), title, size=16)
    for number, ((label, image, _), (shown, block)) in enumerate(zip(panels, small, strict=True)):
        corner = LEFT + number * (LEFT + width + SCALE), TOP
        limits = zscale(shown)
        box = canvas.paste(grey_levels(shown, limits, WHITE, MASKED), corner, times)
        canvas.panels.append(box)
        canvas.frame(box)
        note = " (red: masked)" if np.isnan(shown).any() else ""
        canvas.text(((box[0] + box[2]) / 2, TOP - 14), label + note)
        _pixel_axes(canvas, box, (shown.shape[1] * block, shown.shape[0] * block), image.shape)
        _grey_scale(canvas, box, limits)
    return canvas.png()


def _pixel_axes(canvas: Canvas, box: Box, shown: tuple[int, int], shape: tuple[int, ...]) -> None:
    """Pixel coordinates from 0 at the centre of the first pixel, the first row at the bottom."""
    left, top, right, bottom = box
    along, up = (right - left) / shown[0], (bottom - top) / shown[1]
    for value in linear_ticks(0, min(shown[0], shape[1]) - 1):
        x = left + (value + 0.5) * along
        canvas.line([(x, bottom), (x, bottom + 4)])
        canvas.text((x, bottom + 6), tick_text(value), "mt", 12)
    for value in linear_ticks(0, min(shown[1], shape[0]) - 1):
        y = bottom - (value + 0.5) * up
        canvas.line([(left - 5, y), (left - 1, y)])
        canvas.text((left - 8, y), tick_text(value), "rm", 12)
    canvas.text(((left + right) / 2, bottom + 26), "column / pixel", "mt")
    canvas.upright((left - 62, (top + bottom) // 2), "row / pixel")


def _grey_scale(canvas: Canvas, box: Box, limits: tuple[float, float]) -> None:
    """Which value has which grey level."""
    _, top, right, bottom = box
    levels = np.linspace(WHITE, 0, bottom - top).astype(np.uint8)
    ramp = canvas.paste(np.repeat(levels[:, np.newaxis], 14, axis=1), (right + 12, top))
    canvas.frame(ramp)
    low, high = limits
    for value in linear_ticks(low, high):
        y = bottom - (value - low) / (high - low) * (bottom - top)
        canvas.line([(ramp[2], y), (ramp[2] + 4, y)])
        canvas.text((ramp[2] + 7, y), tick_text(value), "lm", 12)


def histogram_picture(title: str, histogram: Histogram) -> bytes:
    """Show the values of a sky's pixels before and after, and the predicted width of their noise; return a PNG file."""
    width, height = CURVES
    canvas = Canvas(LEFT + width + RIGHT, TOP + height + BOTTOM)
    box = (LEFT, TOP, LEFT + width, TOP + height)
    edges, (lowest, highest) = histogram.edges, histogram.limits
    x, y = _scale(edges[0], edges[-1], LEFT, LEFT + width), _scale(lowest, highest, TOP + height, TOP, log=True)
    canvas.text((canvas.image.width / 2, 18), title, size=16)
    for density, color in zip(histogram.densities, (BEFORE, AFTER), strict=True):
        heights = np.repeat(np.maximum(density, lowest), 2)
        places = np.repeat(edges, 2)[1:-1]
        canvas.line([(x(one), y(other)) for one, other in zip(places, heights, strict=True)], color, 2)
    curve = [(x(one), y(other)) for one, other in histogram.curve(401)]
    # Dashes: of five parts three.
    for first in range(0, len(curve) - 3, 5):
        canvas.line(curve[first : first + 4], PREDICTED, 2)
    canvas.frame(box)
    for value in linear_ticks(edges[0], edges[-1]):
        canvas.line([(x(value), box[3]), (x(value), box[3] + 4)])
        canvas.text((x(value), box[3] + 6), tick_text(value), "mt", 12)
    for value in log_ticks(lowest, highest):
        canvas.line([(LEFT - 5, y(value)), (LEFT - 1, y(value))])
        canvas.text((LEFT - 8, y(value)), tick_text(value), "rm", 12)
    canvas.text(((box[0] + box[2]) / 2, box[3] + 28), "value less the median / electron", "mt")
    canvas.upright((13, (box[1] + box[3]) // 2), "fraction of pixels per electron")
    before, after = histogram.spreads
    parts = [(BEFORE, f"before: 1.4826 MAD {before:.4g}"), (AFTER, f"after: 1.4826 MAD {after:.4g}")]
    if curve:
        parts.append((PREDICTED, f"predicted noise of the sky: {histogram.predicted:.4g}"))
    _legend(canvas, parts)
    return canvas.png()


def _legend(canvas: Canvas, parts: Sequence[tuple[int, str]]) -> None:
    """Say above a panel, where it hides nothing, which line is what."""
    lengths = [26 + canvas.width_of(text, 12) + 22 for _, text in parts]
    x = (canvas.image.width - sum(lengths)) / 2
    for (color, text), length in zip(parts, lengths, strict=True):
        canvas.line([(x, TOP - 16), (x + 20, TOP - 16)], color, 2)
        canvas.text((x + 26, TOP - 16), text, "lm", 12)
        x += length


def snr_picture(title: str, ratios: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> bytes:
    """Show the signal-to-noise ratio of each star before against after, a panel for each kind; return a PNG file."""
    canvas = Canvas(len(ratios) * (LEFT + STARS + RIGHT), TOP + STARS + BOTTOM)
    canvas.text((canvas.image.width / 2, 18), title, size=16)
    for number, (label, (before, after)) in enumerate(ratios.items()):
        left = LEFT + number * (LEFT + STARS + RIGHT)
        box = (left, TOP, left + STARS, TOP + STARS)
        canvas.text(((box[0] + box[2]) / 2, TOP - 14), label)
        _compare(canvas, box, np.asarray(before), np.asarray(after))
    return canvas.png()


def _compare(canvas: Canvas, box: Box, before: NDArray[Any], after: NDArray[Any]) -> None:
    left, top, right, bottom = box
    found = compared(before, after)
    if found is None:
        canvas.text(((left + right) / 2, (top + bottom) / 2), "no star could be measured")
        return
    before, after, (low, high) = found.before, found.after, found.limits
    x, y = _scale(low, high, left, right, log=True), _scale(low, high, bottom, top, log=True)
    canvas.line([(left, bottom), (right, top)], BEFORE)
    for one, other in zip(before.tolist(), after.tolist(), strict=True):
        canvas.dot((x(one), y(other)), AFTER)
    canvas.frame(box)
    for value in log_ticks(low, high):
        canvas.line([(x(value), bottom), (x(value), bottom + 4)])
        canvas.text((x(value), bottom + 6), tick_text(value), "mt", 12)
        canvas.line([(left - 5, y(value)), (left - 1, y(value))])
        canvas.text((left - 8, y(value)), tick_text(value), "rm", 12)
    canvas.text(((left + right) / 2, bottom + 28), "SNR before", "mt")
    canvas.upright((left - 58, (top + bottom) // 2), "SNR after")
    canvas.line([(left + 10, top + 16), (left + 26, top + 16)], BEFORE)
    canvas.text((left + 34, top + 16), "no change", "lm", 12)
    canvas.dot((left + 18, top + 36), AFTER)
    change = f"{before.size} stars, median of after / before {found.change:.3f}"
    canvas.text((left + 34, top + 36), change, "lm", 12)


def _scale(low: float, high: float, first: float, last: float, *, log: bool = False) -> Callable[[float], float]:
    """A function from values between two limits to places between two others."""
    if log:
        start, span = math.log10(low), math.log10(high) - math.log10(low)
        return lambda value: first + (math.log10(value) - start) / span * (last - first)
    return lambda value: first + (value - low) / (high - low) * (last - first)
