"""Small copies of pictures, to be put into a page."""

from __future__ import annotations

import base64
import io
import json
import warnings
from typing import TYPE_CHECKING

from astro_calib.report.canvas import PANELS

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

__all__ = ["thumbnails"]

#: The longer side of a small copy, in dots, and how much of it JPEG keeps.
SIZE, QUALITY = 400, 72
#: A picture has less dots than this.
LARGEST = 16 * 2**20


def thumbnails(path: Path) -> list[str]:
    """Return the images within a picture as data of a page, or all of it if it does not say where they are."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
            picture = Image.open(path, formats=["PNG"])
        with picture:
            if picture.width * picture.height > LARGEST:
                return []
            boxes = _boxes(picture)
            picture.load()
            return [_encoded(picture.crop(box)) for box in boxes]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Pillow raises a SyntaxError for a broken PNG file, and errors of its own for one that would be huge.
        return []


def _boxes(picture: Image) -> list[tuple[int, int, int, int]]:
    """Where the images are, as the picture says; all of it if it says nothing that can be."""
    whole = (0, 0, picture.width, picture.height)
    try:
        told = json.loads(picture.info.get(PANELS, "[]"))
        boxes = [tuple(int(edge) for edge in box) for box in told][:4]
    except (ValueError, TypeError, OverflowError, RecursionError):
        boxes = []
    good = [
        (box[0], box[1], box[2], box[3])
        for box in boxes
        if len(box) == 4 and 0 <= box[0] < box[2] <= picture.width and 0 <= box[1] < box[3] <= picture.height
    ]
    return good or [whole]


def _encoded(image: Image) -> str:
    from PIL import Image

    image = image.convert("RGB")
    image.thumbnail((SIZE, SIZE), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    image.save(content, format="jpeg", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
