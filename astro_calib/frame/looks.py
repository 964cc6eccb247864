"""How a frame looks: at the prompt, in a notebook, and as a picture."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.arguments import axes_to_draw_on, printable
from astro_calib.frame.base import BaseFrame
from astro_calib.frame.header_values import header_value
from astro_calib.frame.shrink import shrunk, zscale
from astro_calib.frame.thumbnail import png_address
from astro_calib.noise.shares import sample, typical_parts
from astro_calib.noise.shown import share_table_html, shares_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["Looks"]

#: What is told of a header, and the keywords that may have it.
TOLD = {"object": ("OBJECT",), "filter": ("FILTER",), "exposure": ("EXPTIME", "EXPOSURE")}
#: Headers and names of files may hold very long texts.
LONGEST = 40
#: Lines of text are not longer.
WIDTH = 79
#: The longer side of a thumbnail and of a picture in dots. A dot is the mean of at most so many pixels along each axis.
THUMBNAIL, PICTURE, MEAN_OF = 200, 1000, 4
NO_ERROR = "no error yet: calibrate(frame, detector, ...) finds it"


class _Seen(NamedTuple):
    """What is told of a frame, in words; ``parts`` are those of the variance, None if it has none."""

    title: str
    header: dict[str, str]
    shape: str
    unit: str
    masked: str
    parts: dict[str, float] | None

    @property
    def error(self) -> str:
        if self.parts is None:
            return NO_ERROR
        total = sum(self.parts.values())
        if not total > 0:
            return "sigma 0" if self.parts else "no pixel has a known error"
        shares = {name: part / total for name, part in self.parts.items()}
        return f"sigma {np.sqrt(total):.4g}: {printable(shares_text(shares))}"


class Looks(BaseFrame):
    """What is shown of a frame. It is found from a sample of the pixels, so that it takes no time."""

    def __repr__(self) -> str:
        seen = self._seen()
        first = ": ".join(filter(None, (seen.title, ", ".join(seen.header.values()))))
        parts = (first, f"{seen.shape} in {seen.unit}, {seen.masked} masked", seen.error)
        lines = [line for part in parts for line in textwrap.wrap(part, WIDTH - 2, subsequent_indent="  ")]
        return "<" + "\n ".join(lines) + ">"

    def _repr_html_(self) -> str:
        seen = self._seen()
        facts = {**seen.header, "shape": seen.shape, "unit": seen.unit, "masked": seen.masked}
        error = ""
        if seen.parts is None:
            facts["error"] = NO_ERROR
        else:
            error = f"<div><p>Error of a typical pixel, {escape(seen.unit)}:</p>{share_table_html(seen.parts)}</div>"
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
        # Headers are not trusted: everything that comes from one is escaped.
        return (
            '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start">'
            f"<div><p><strong>{escape(seen.title)}</strong></p><table><tbody>{rows}</tbody></table></div>"
            f"{error}{self._thumbnail()}</div>"
        )

    def plot(self, axes: Axes | None = None) -> Axes:
        """
        Draw the image, with a zscale stretch and what is masked in red.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Draw here; by default in a new figure of pyplot, which ``plt.show()`` shows.

        Returns
        -------
        matplotlib.axes.Axes
            With a scale of grey levels beside it. Large frames are drawn as means over blocks of their pixels; the
            axes count pixels all the same.

        Raises
        ------
        ValueError
            If the frame is no image: it has other than two axes, or no pixel.

        Examples
        --------
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from astro_calib import CCDFrame
        >>> frame = CCDFrame(
        ...     np.arange(12.0).reshape(3, 4), unit="electron", name="ramp.fits"
        ... )
        >>> axes = frame.plot(Figure().subplots())
        >>> axes.get_title()
        'ramp.fits'
        """
        if self.ndim != 2 or not self.size:
            msg = f"{self.name} has shape {self.shape}; a picture needs two axes, as frame[0] of a cube has them."
            raise ValueError(msg)
        axes = axes_to_draw_on(axes)
        from matplotlib import colormaps

        shown, block = shrunk(self.pixels, self._good(()), PICTURE)
        low, high = zscale(shown)
        rows, columns = (length * block for length in shown.shape) if min(self.shape) >= block else self.shape
        image = axes.imshow(
            shown,
            origin="lower",
            cmap=colormaps["gray"].with_extremes(bad=(0.63, 0.19, 0.19)),
            vmin=low,
            vmax=high,
            extent=(-0.5, columns - 0.5, -0.5, rows - 0.5),
            interpolation="nearest",
        )
        axes.set(xlabel="column (pixels)", ylabel="row (pixels)", title=_short(self._name or ""))
        axes.figure.colorbar(image, ax=axes, label=str(self.unit))
        return axes

    def _seen(self) -> _Seen:
        """What is told of the frame."""
        header = {what: text for what, keywords in TOLD.items() if (text := self._told(what, keywords))}
        shape = f"{self.shape[1]} columns x {self.shape[0]} rows" if self.ndim == 2 else f"shape {self.shape}"
        masked = 0.0 if self.mask is None or not self.size else float(np.count_nonzero(self.mask) / self.size)
        budget = self.known_budget
        item = sample(self.shape)
        return _Seen(
            title=f"{type(self).__name__} {_short(self._name or '')}".rstrip(),
            header=header,
            shape=shape,
            unit=str(self.unit) or "no unit",
            masked=_percent(masked),
            parts=None if budget is None else typical_parts(budget, self._good(item)),
        )

    def _told(self, what: str, keywords: tuple[str, ...]) -> str:
        """The first value that a header has under some keywords, as text; empty if it has none."""
        found = [value for keyword in keywords if (value := header_value(self.meta, keyword)) is not None]
        if not found:
            return ""
        is_time = what == "exposure" and not isinstance(found[0], str)
        return _short(f"{found[0]:g} s" if is_time else str(found[0]))

    def _good(self, item: tuple[slice, ...]) -> NDArray[np.bool_]:
        """Where the pixels of a part of the frame are numbers that are not masked."""
        good = np.isfinite(self.pixels[item])
        return good if self.mask is None else good & ~np.asarray(self.mask)[item]

    def _thumbnail(self) -> str:
        """The image as an element of a page, with what is masked in red; empty if the frame is none."""
        if self.ndim != 2 or not self.size:
            return ""
        item = (slice(None, None, max(1, max(self.shape) // (THUMBNAIL * MEAN_OF))),) * 2
        small, _ = shrunk(self.pixels[item], self._good(item), THUMBNAIL)
        rows, columns = small.shape
        size = f"{columns * THUMBNAIL // max(small.shape)}px;height:{rows * THUMBNAIL // max(small.shape)}px"
        return (
            f'<img alt="thumbnail of the frame" src="{png_address(small)}" '
            f'style="width:{size};min-width:2px;min-height:2px;image-rendering:pixelated;margin:0">'
        )


def _short(text: str) -> str:
    """A text that can be printed, and is not long."""
    text = printable(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _percent(share: float) -> str:
    """
    A share as a percentage.

    >>> from astro_calib.frame.looks import _percent
    >>> _percent(0), _percent(1 / 2**22), _percent(0.01234), _percent(1)
    ('nothing', '<0.01%', '1.23%', '100%')
    """
    if not share:
        return "nothing"
    return "<0.01%" if share < 1e-4 else f"{100 * share:.3g}%"
