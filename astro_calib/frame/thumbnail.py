"""A small image as data within a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from astro_calib.frame.shrink import grey_levels, zscale

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["png_address"]

#: Grey levels go up to this one; the one after it is the colour of what is masked.
WHITE = 254
MASKED = (160, 48, 48)


def png_address(image: NDArray[Any]) -> str:
    """Return the address of an image, stretched by zscale, with red for NaN: a PNG file within the address itself."""
    from PIL import Image

    picture = Image.fromarray(grey_levels(image, zscale(image), WHITE, WHITE + 1))
    greys = [level for grey in range(WHITE + 1) for level in (grey * 255 // WHITE,) * 3]
    picture.putpalette(bytes([*greys, *MASKED]))
    content = io.BytesIO()
    picture.save(content, format="png")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
