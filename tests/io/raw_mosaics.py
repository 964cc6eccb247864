"""Small raw files of several amplifiers, laid out as the cameras of four families write them, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    cards: dict[str, Any] = field(default_factory=dict)


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


def section(x: tuple[int, int], y: tuple[int, int], *, back_x: bool = False, back_y: bool = False, bins=(1, 1)) -> str:
    """A section of unbinned pixels, written backwards on request."""
    ends = []
    for (low, high), back, bin_ in zip((x, y), (back_x, back_y), bins, strict=True):
        pair = (low * bin_ + 1, high * bin_)
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


def mosaic() -> tuple[list[list[Amp]], list[np.ndarray], list[tuple[np.ndarray, fits.Header]]]:
    """Two chips of two amplifiers; the images run as the CCD does, and ATM says from where they are read."""
    ny, nx = 18, 16
    truths = [detector(ny, 2 * nx, seed) for seed in (1, 2)]
    amps, images = [], []
    for chip, truth in enumerate(truths):
        pair = [
            Amp((0, nx), (0, ny), overscan="left", pre=0),
            Amp((nx, 2 * nx), (0, ny), overscan="right", pre=0),
        ]
        amps.append(pair)
        for number, amp in enumerate(pair):
            pixels, cards = amplifier_image(truth, amp, number)
            gap = chip * (2 * nx + 6)
            right = number == 1
            first = int(cards["DATASEC"][1:].partition(":")[0])
            cards |= {
                "DETSEC": section((amp.x[0] + gap, amp.x[1] + gap), amp.y),
                "CCDSEC": section(amp.x, amp.y),
                "AMPSEC": section((0, nx), amp.y, back_x=right),
                "TRIMSEC": cards["DATASEC"],
                "CCDNAME": f"CCD{chip + 1}",
                "AMPNAME": f"CCD{chip + 1}, {'AB'[number]}",
                "CCDSUM": "1 1",
                "ATM1_1": -1.0 if right else 1.0,
                "ATM2_2": 1.0,
                "LTM1_1": 1.0,
                "LTM2_2": 1.0,
                "LTV1": float(first - 1 - amp.x[0]),
                "DTM1_1": 1.0,
                "DTM2_2": 1.0,
                "DTV1": float(gap),
                "GAIN": 2.5,
                "RDNOISE": 5.0,
                "EXTNAME": f"im{2 * chip + number + 1}",
                "BUNIT": "adu",
            }
            images.append((pixels, fits.Header(cards)))
    return amps, truths, images


def gmos(binning: tuple[int, int] = (2, 2)) -> tuple[list[list[Amp]], list[np.ndarray], list[Any]]:
    """Three chips of four amplifiers, binned; overscans to the left and to the right in turn."""
    ny, nx = 14, 8
    truths = [detector(ny, 4 * nx, seed) for seed in (3, 4, 5)]
    amps, images = [], []
    for chip, truth in enumerate(truths):
        several = [
            Amp((k * nx, (k + 1) * nx), (0, ny), pre=0, gap=0, overscan="left" if k % 2 else "right") for k in range(4)
        ]
        amps.append(several)
        for number, amp in enumerate(several):
            pixels, cards = amplifier_image(truth, amp, number)
            offset = 4 * nx * chip
            cards |= {
                "DETSEC": section((amp.x[0] + offset, amp.x[1] + offset), amp.y, bins=binning),
                "CCDSEC": section(amp.x, amp.y, bins=binning),
                "CCDSUM": f"{binning[0]} {binning[1]}",
                "CCDNAME": f"BI5-36-4k-{chip}",
                "AMPNAME": f"BI5-36-4k-{chip}, {number + 1}",
                "EXTVER": 4 * chip + number + 1,
                "BUNIT": "adu",
            }
            images.append((pixels, fits.Header(cards)))
    return amps, truths, images


def decam() -> tuple[list[list[Amp]], list[np.ndarray], list[Any]]:
    """Chips of two amplifiers in one image with the overscans outside, and one for focus; keywords end in A and B."""
    ny, nx, width, pre = 16, 12, 5, 3
    truths = [detector(ny, 2 * nx, seed) for seed in (6, 7, 8)]
    amps, images = [], []
    for chip, (truth, position) in enumerate(zip(truths, ("S1", "N31", "FS2"), strict=True)):
        pair = [
            Amp((nx, 2 * nx), (0, ny), post=width, gap=0),
            Amp((0, nx), (0, ny), post=width, gap=0),
        ]
        amps.append(pair)
        rows = np.arange(ny, dtype=np.uint16)
        pixels = np.full((ny + 4, 2 * (nx + width + pre)), 7, np.uint16)
        first = pre + width
        pixels[4:, first : first + 2 * nx] = truth
        pixels[4:, pre : pre + width] = (OVERSCAN + 1000 + rows)[:, None]
        pixels[4:, first + 2 * nx : first + 2 * nx + width] = (OVERSCAN + rows)[:, None]
        right, offset = first + 2 * nx, 100 * chip
        y = f"5:{ny + 4}"
        cards = {
            "DETSEC": section((offset, offset + 2 * nx), (0, ny)),
            "DATASEC": f"[{first + 1}:{first + 2 * nx},{y}]",
            "TRIMSEC": f"[{first + 1}:{first + 2 * nx},{y}]",
            "CCDSEC": section((0, 2 * nx), (0, ny)),
            "DETSECA": section((offset + nx, offset + 2 * nx), (0, ny)),
            "CCDSECA": section((nx, 2 * nx), (0, ny)),
            "AMPSECA": section((nx, 2 * nx), (0, ny), back_x=True, back_y=True),
            "DATASECA": f"[{first + nx + 1}:{right},{y}]",
            "BIASSECA": f"[{right + 1}:{right + width},{y}]",
            "PRESECA": f"[{right + width + 1}:{right + width + pre},{y}]",
            "DETSECB": section((offset, offset + nx), (0, ny)),
            "CCDSECB": section((0, nx), (0, ny)),
            "AMPSECB": section((0, nx), (0, ny), back_y=True),
            "DATASECB": f"[{first + 1}:{first + nx},{y}]",
            "BIASSECB": f"[{pre + 1}:{pre + width},{y}]",
            "PRESECB": f"[1:{pre},{y}]",
            "CCDNUM": 25 + chip,
            "DETPOS": position,
            "EXTNAME": position,
            "GAINA": 4.5 + chip,
            "RDNOISEA": 7.1,
            "SATURATA": 43266.0,
            "GAINB": 4.4 + chip,
            "RDNOISEB": 7.0,
            "SATURATB": 44935.0,
            "CCDBIN1": 1,
            "CCDBIN2": 1,
            "LTM1_1": 1.0,
            "LTM2_2": 1.0,
            "LTV1": float(first),
            "LTV2": 4.0,
            "BUNIT": "adu",
        }
        images.append((pixels, fits.Header(cards)))
    return amps, truths, images
