"""Pictures of a reduction: frames before and after, histograms of their pixels, and the stars' SNR."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from astro_calib.photometry.sky_noise import SkyNoise

__all__ = ["before_after_picture", "histogram_picture", "master_picture", "rendered", "snr_picture"]

#: Pixels on a side that are shown of an image; of larger ones every second, third, ... is.
SHOWN = 1024
#: Width and height of a picture with two frames side by side, inches.
FRAMES_SIZE = (13.0, 6.6)
#: Margins of a picture, inches (COLOR_SCALE: on the right, with one); between two panels, in units of their width.
LEFT, RIGHT, COLOR_SCALE, BOTTOM, TOP, BETWEEN = 0.85, 0.2, 0.9, 0.6, 0.65, 0.32
#: Dots per inch.
RESOLUTION = 110
#: Compression of PNG files: half of the usual effort, for files a few percent larger.
COMPRESSION = 3
BEFORE, AFTER, PREDICTED, MASKED = "#8a8a8a", "#1f6fb4", "#c8102e", "#a03030"


def rendered(figure: Figure) -> bytes:
    """Draw a figure; return the content of a PNG file."""
    content = io.BytesIO()
    figure.set_dpi(RESOLUTION)
    with warnings.catch_warnings():
        # Names of files may have letters that the font has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="png", dpi=RESOLUTION, pil_kwargs={"compress_level": COMPRESSION})
    return content.getvalue()


def before_after_picture(title: str, before: NDArray[Any], after: NDArray[Any], labels: tuple[str, str]) -> Figure:
    """Show a frame before and after, NaN where a pixel is masked, side by side, each with a zscale stretch."""
    figure = _figure(title, FRAMES_SIZE, COLOR_SCALE)
    for axes, image, label in zip(figure.subplots(1, 2), (before, after), labels, strict=True):
        _show(axes, image, label)
    return figure


def histogram_picture(title: str, before: NDArray[Any], after: NDArray[Any], sky: SkyNoise, step: float) -> Figure:
    """
    Show the values of the same pixels before and after, less their medians, and the predicted width of the sky's noise.

    All values are finite and in electron; ``sky`` is that of the frame after, ``step`` the electrons of a digital step,
    by which values before differ, if they differ.
    """
    figure = _figure(title, (8.0, 5.0))
    axes = figure.subplots()
    width = sky.predicted if np.isfinite(sky.predicted) and sky.predicted > 0 else _spread(after)
    # Both around 0, because a pedestal and a flat move the level but not what is looked at here.
    # The median is a value that a pixel has, so that the values before are whole steps from it.
    before, after = (values - np.quantile(values, 0.5, method="nearest") for values in (before, after))
    spreads = _spread(before), _spread(after)
    reach = float(np.clip(4 * spreads[0], 6 * width, 30 * width))
    # Each bin holds as many of the steps as any other, or the histogram would be a comb; its edges are between them.
    steps = max(1, round(width / 5 / step))
    count = int(np.ceil(reach / (steps * step)))
    bins = (np.arange(-count, count + 2) * steps - steps // 2 - 0.5) * step
    heights = [np.histogram(values, bins)[0] / (values.size * steps * step) for values in (before, after)]
    # Not left to matplotlib: on a logarithmic scale it would show the curve's way to nothing and no pixel.
    lowest = min(height[height > 0].min() for height in heights) / 2
    highest = max(height.max() for height in heights) * 2
    for spread, height, color, label in zip(spreads, heights, (BEFORE, AFTER), ("before", "after"), strict=True):
        scatter = f"{label}: 1.4826 MAD {spread:.4g}"
        axes.stairs(height, bins, baseline=None, color=color, linewidth=1.4, label=scatter)
    if np.isfinite(sky.predicted):
        x = np.linspace(bins[0], bins[-1], 1001)
        curve = np.exp(-0.5 * (x / width) ** 2) / (width * np.sqrt(2 * np.pi))
        shown = curve >= lowest
        label = f"predicted noise of the sky: {width:.4g}"
        axes.plot(x[shown], curve[shown], color=PREDICTED, linestyle="--", linewidth=1.2, label=label)
    axes.set_yscale("log")
    axes.set_ylim(lowest, highest)
    axes.set_xlabel("value less the median / electron")
    axes.set_ylabel("fraction of pixels per electron")
    # Above, where it hides nothing.
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1.5, fontsize="small", frameon=False
    )
    return figure


def snr_picture(title: str, ratios: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> Figure:
    """Show the signal-to-noise ratio of each star before against after, in a panel for each kind of ratio."""
    figure = _figure(title, (5.6 * len(ratios), 5.8))
    panels = figure.subplots(1, len(ratios), squeeze=False)[0]
    for axes, (label, (before, after)) in zip(panels, ratios.items(), strict=True):
        _compare(axes, label, np.asarray(before), np.asarray(after))
    return figure


def _compare(axes: Axes, label: str, before: NDArray[Any], after: NDArray[Any]) -> None:
    good = np.isfinite(before) & np.isfinite(after) & (before > 0) & (after > 0)
    before, after = before[good], after[good]
    axes.set_title(label, fontsize="medium")
    if before.size == 0:
        axes.text(0.5, 0.5, "no star could be measured", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    lowest, highest = min(before.min(), after.min()) / 1.3, max(before.max(), after.max()) * 1.3
    axes.plot([lowest, highest], [lowest, highest], color=BEFORE, linewidth=1, label="no change")
    change = f"{before.size} stars, median of after / before {np.median(after / before):.3f}"
    axes.scatter(before, after, s=14, color=AFTER, alpha=0.7, linewidths=0, label=change)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(lowest, highest)
    axes.set_ylim(lowest, highest)
    axes.set_aspect("equal")
    axes.set_xlabel("SNR before")
    axes.set_ylabel("SNR after")
    axes.legend(loc="upper left", fontsize="small", frameon=False)


def master_picture(title: str, image: NDArray[Any], sigma: NDArray[Any], unit: str) -> Figure:
    """Show a master and its standard deviation, NaN where a pixel is masked; ``unit`` is empty for a flat."""
    figure = _figure(title, FRAMES_SIZE, COLOR_SCALE)
    of = f" / {unit}" if unit else ""
    for axes, values, label in zip(
        figure.subplots(1, 2), (image, sigma), (f"value{of}", f"standard deviation{of}"), strict=True
    ):
        _show(axes, values, label)
    return figure


def _figure(title: str, size: tuple[float, float], right: float = RIGHT) -> Figure:
    """A figure that is drawn in memory and known to nobody else: no state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Margins in inches: a layout that is found from the sizes of all labels takes longer than the drawing.
    width, height = size
    margins = {"left": LEFT / width, "right": 1 - right / width, "bottom": BOTTOM / height, "top": 1 - TOP / height}
    figure = Figure(figsize=size)
    figure.subplots_adjust(**margins, wspace=BETWEEN)
    FigureCanvasAgg(figure)
    # Headers and file names are not formulas, and names of files may hold bytes that are no text.
    figure.suptitle(printable(title), parse_math=False, y=1 - 0.15 / height)
    return figure


def _show(axes: Axes, image: NDArray[Any], label: str) -> None:
    """An image with a zscale stretch, masked pixels in red, a colour bar, and pixel coordinates from 0."""
    from astropy.visualization import ZScaleInterval
    from matplotlib import colormaps

    step = max(1, int(np.ceil(max(image.shape) / SHOWN)))
    shown = np.asarray(image[::step, ::step], dtype=np.float32)
    finite = shown[np.isfinite(shown)]
    low, high = ZScaleInterval().get_limits(finite) if finite.size else (0.0, 1.0)
    if not low < high:
        low, high = low - 0.5, high + 0.5
    extent = (-0.5, image.shape[1] - 0.5, -0.5, image.shape[0] - 0.5)
    drawn = axes.imshow(
        shown,
        origin="lower",
        extent=extent,
        cmap=colormaps["gray"].with_extremes(bad=MASKED),
        vmin=low,
        vmax=high,
        interpolation="antialiased",
    )
    note = " (red: masked)" if finite.size < shown.size else ""
    axes.set_title(label + note, fontsize="medium", parse_math=False)
    axes.set_xlabel("column / pixel")
    axes.set_ylabel("row / pixel")
    assert axes.figure is not None
    axes.figure.colorbar(drawn, cax=axes.inset_axes((1.02, 0, 0.03, 1)))


def _spread(values: NDArray[Any]) -> float:
    """1.4826 times the median absolute deviation; 1 if all values are equal."""
    from astro_calib.photometry.empty import robust_scatter

    return (robust_scatter(values) if values.size else 0.0) or 1.0
