"""A sheet of 256 grey levels and colours to draw on, which becomes a small PNG file quickly."""

from __future__ import annotations

import io
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as PlainFont

__all__ = ["AFTER", "BEFORE", "BLACK", "LINE", "MASKED", "PANELS", "PREDICTED", "WHITE", "Box", "Canvas"]

#: Left, top, right and bottom; the last two are not part of it.
Box = tuple[int, int, int, int]

#: Grey levels go from black to white; the colours follow. Letters have levels between, which makes them smooth.
BLACK, WHITE = 0, 247
COLOURS = {"masked": (160, 48, 48), "after": (31, 111, 180), "predicted": (200, 16, 46)}
MASKED, AFTER, PREDICTED = range(WHITE + 1, WHITE + 1 + len(COLOURS))
#: Shades of grey with a meaning.
BEFORE, LINE = 138, 90
#: Compression of PNG files: the least, for noise hardly gets smaller by more.
COMPRESSION = 1
#: Under this key a PNG says where in it the images are.
PANELS = "astro-calib panels"


class Canvas:
    """A white sheet of so many dots; places are counted from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new("L", (width, height), WHITE)
        self._draw = ImageDraw.Draw(self.image)
        self.panels: list[Box] = []

    def text(self, place: tuple[float, float], text: str, anchor: str = "mm", size: int = 13) -> None:
        """Write a line, with what ``anchor`` names (left, middle, right; top, middle, bottom) at a place."""
        # Headers and names of files may hold commands, and bytes that are no text.
        self._draw.text(place, printable(text), fill=BLACK, font=_font(size), anchor=anchor)

    def upright(self, place: tuple[int, int], text: str, size: int = 13) -> None:
        """Write a line from below to above, its middle at a place."""
        from PIL import Image, ImageDraw

        length = int(self._draw.textlength(text, font=_font(size))) + 4
        strip = Image.new("L", (length, size + 6), WHITE)
        ImageDraw.Draw(strip).text((2, size // 2 + 3), text, fill=BLACK, font=_font(size), anchor="lm")
        turned = strip.transpose(Image.Transpose.ROTATE_90)
        self.image.paste(turned, (place[0] - turned.width // 2, place[1] - turned.height // 2))

    def width_of(self, text: str, size: int = 13) -> float:
        """How many dots a line of text is wide."""
        return self._draw.textlength(printable(text), font=_font(size))

    def line(self, points: Sequence[tuple[float, float]], color: int = LINE, width: int = 1) -> None:
        """Draw a line through places."""
        self._draw.line(list(points), fill=color, width=width)

    def frame(self, box: Box) -> None:
        """Draw a rectangle around a panel."""
        left, top, right, bottom = box
        self._draw.rectangle((left - 1, top - 1, right, bottom), outline=LINE)

    def dot(self, place: tuple[float, float], color: int, radius: float = 2.5) -> None:
        """Draw a filled circle."""
        x, y = place
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    def paste(self, levels: NDArray[np.uint8], corner: tuple[int, int], times: int = 1) -> Box:
        """Put an image at a corner, each of its pixels so many times along both axes; return where it is."""
        from PIL import Image

        image = Image.fromarray(levels)
        if times > 1:
            image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
        self.image.paste(image, corner)
        return (*corner, corner[0] + image.width, corner[1] + image.height)

    def png(self) -> bytes:
        """Return the content of a PNG file, which says where in it the images are."""
        from PIL.PngImagePlugin import PngInfo

        # Nothing is drawn after this: the levels get their colours.
        self.image.putpalette(_palette())
        info = PngInfo()
        if self.panels:
            info.add_text(PANELS, json.dumps(self.panels))
        content = io.BytesIO()
        self.image.save(content, format="png", compress_level=COMPRESSION, pnginfo=info)
        return content.getvalue()


@cache
def _palette() -> bytes:
    greys = [round(255 * level / WHITE) for level in range(WHITE + 1)]
    return bytes([part for grey in greys for part in (grey, grey, grey)] + [p for c in COLOURS.values() for p in c])


@cache
def _font(size: int) -> FreeTypeFont | PlainFont:
    """The letters that come with matplotlib, which know more alphabets than those within Pillow."""
    from PIL import ImageFont

    found: Any = find_spec("matplotlib")
    for place in found.submodule_search_locations if found is not None else ():
        path = Path(place) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.load_default(size)
