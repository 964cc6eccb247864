"""Small raw files of a few amplifiers, whose headers tests change, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits

#: Added to the pixels of an overscan, beside the row (column) of the detector: no data have such values.
OVERSCAN = 40000


@dataclass
class Amp:
    """
    An amplifier that reads columns ``x`` and rows ``y`` of a detector: binned, counted from 0, the ends excluded.

    The file has ``pre`` columns before the image and ``post`` behind it, in its own order, of which those in
    ``overscan`` ("right" or "left") are the overscan; ``flip_x`` and ``flip_y`` say how it lies in the file.
    """

    x: tuple[int, int]
    y: tuple[int, int]
    flip_x: bool = False
    flip_y: bool = False
    pre: int = 3
    post: int = 8
    overscan: str = "right"
    gap: int = 2


def detector(ny: int, nx: int, seed: int = 0) -> np.ndarray:
    """Pixels that are all different, so that each says where it belongs."""
    order = np.random.default_rng(seed).permutation(ny * nx)
    return order.reshape(ny, nx).astype(np.uint16)


def amplifier_image(truth: np.ndarray, amp: Amp, number: int) -> tuple[np.ndarray, dict[str, str]]:
    """The image of an amplifier in the file, and the sections of data and overscan."""
    data = truth[amp.y[0] : amp.y[1], amp.x[0] : amp.x[1]]
    rows = np.arange(amp.y[0], amp.y[1], dtype=np.uint16)
    if amp.flip_x:
        data = data[:, ::-1]
    if amp.flip_y:
        data, rows = data[::-1], rows[::-1]
    ny, nx = data.shape
    width = amp.post - amp.gap
    image = np.full((ny, amp.pre + nx + amp.post), 7, np.uint16)
    first = amp.pre if amp.overscan == "right" else amp.post
    image[:, first : first + nx] = data
    start = first + nx + amp.gap if amp.overscan == "right" else 0
    image[:, start : start + width] = (OVERSCAN + 1000 * number + rows)[:, None]
    sections = {
        "DATASEC": f"[{first + 1}:{first + nx},1:{ny}]",
        "BIASSEC": f"[{start + 1}:{start + width},1:{ny}]",
    }
    return image, sections


def section(x: tuple[int, int], y: tuple[int, int], *, back_x: bool = False, back_y: bool = False) -> str:
    """A section, written backwards on request."""
    ends = []
    for (low, high), back in zip((x, y), (back_x, back_y), strict=True):
        pair = (low + 1, high)
        ends.append(":".join(map(str, pair[::-1] if back else pair)))
    return f"[{','.join(ends)}]"


def expected_overscan(amp: Amp, number: int) -> np.ndarray:
    """The overscan of an amplifier in the orientation of the detector."""
    rows = np.arange(amp.y[0], amp.y[1], dtype=np.uint16)
    return np.broadcast_to((OVERSCAN + 1000 * number + rows)[:, None], (len(rows), amp.post - amp.gap)).astype(
        np.uint16
    )


def hdu_list(images: list[tuple[np.ndarray, fits.Header]], primary: dict[str, Any], *, compressed: bool = False) -> Any:
    """A file with an empty primary HDU."""
    hdus: list[Any] = [fits.PrimaryHDU(header=fits.Header({"INSTRUME": "camera", "OBJECT": "field", **primary}))]
    for pixels, header in images:
        if compressed:
            hdus.append(fits.CompImageHDU(pixels, header, compression_type="RICE_1"))
        else:
            hdus.append(fits.ImageHDU(pixels, header))
    return fits.HDUList(hdus)


def sinistro() -> tuple[list[Amp], np.ndarray, list[tuple[np.ndarray, fits.Header]]]:
    """Four quadrants of one chip, each in the order of its read-out; DETSEC is written backwards."""
    ny, nx = 20, 24
    truth = detector(2 * ny, 2 * nx)
    amps = [
        Amp((0, nx), (0, ny), pre=0),
        Amp((nx, 2 * nx), (0, ny), flip_x=True, pre=0),
        Amp((nx, 2 * nx), (ny, 2 * ny), flip_x=True, flip_y=True, pre=0),
        Amp((0, nx), (ny, 2 * ny), flip_y=True, pre=0),
    ]
    images = []
    for number, amp in enumerate(amps):
        pixels, cards = amplifier_image(truth, amp, number)
        cards |= {
            "DETSEC": section(amp.x, amp.y, back_x=amp.flip_x, back_y=amp.flip_y),
            "CCDSUM": "1 1",
            "GAIN": 1.0 + number / 10,
            "RDNOISE": 8.0 + number,
            "SATURATE": 60000.0 + number,
            "EXTNAME": "SCI",
            "EXTVER": number + 1,
            "BUNIT": "adu",
            "CRYOTEMP": -110.0,
        }
        images.append((pixels, fits.Header(cards)))
    return amps, truth, images
