"""How a raw file of several amplifiers is built: from the truth, without looking at a keyword."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

UNREAD = -1
"""Value of pixels of `Mosaic.chips` that no amplifier read."""

PRESCAN, POSTSCAN, BETWEEN = 111, 222, 333
"""Values of pixels that are neither data nor overscan: whoever takes them sees it."""

CRVAL = (150.1, 2.2)
CD = 7.5e-5 * np.array([[-0.99, 0.141], [0.141, 0.99]])


@dataclass(frozen=True)
class Amplifier:
    """What is right for one amplifier; its pixels stand in the image of its chip, which is oriented as the detector."""

    hdu: int
    letter: str
    chip: str
    x: slice
    y: slice
    overscan: np.ndarray
    gain: float | None
    read_noise: float | None
    saturation: float | None
    corner: str | None
    """Corner of its pixels that is read first, in the image of the chip; None where no keyword says it."""


@dataclass(frozen=True)
class Mosaic:
    """A raw file, and what is right for it."""

    hdus: fits.HDUList
    binning: tuple[int, int]
    chips: dict[str, np.ndarray]
    origins: dict[str, tuple[int, int]]
    """Unbinned pixel of the detector, counted from 0, at the lower left of each chip's image."""
    shifts: dict[str, tuple[float, float]]
    amplifiers: tuple[Amplifier, ...]
    distortion: dict[str, float] = field(default_factory=dict)

    def write(self, path, *, compressed=False):
        """Write the file, each extension compressed (``.fits.fz``) on request."""
        hdus = self.hdus
        if compressed:
            hdus = fits.HDUList([fits.PrimaryHDU(header=hdus[0].header)])
            hdus[0].header["EXTEND"] = True
            hdus += [
                fits.CompImageHDU(
                    each.data, each.header.copy(), compression_type="RICE_1", tile_shape=(1, each.data.shape[1])
                )
                for each in self.hdus[1:]
            ]
        hdus.writeto(path)
        return path

    def frame(self):
        """All chips as their DETSEC places them, from the first pixel read to the last one, UNREAD in between."""
        bx, by = self.binning
        left = min(x for x, _ in self.origins.values())
        low = min(y for _, y in self.origins.values())
        right = max(self.origins[n][0] // bx + image.shape[1] for n, image in self.chips.items())
        top = max(self.origins[n][1] // by + image.shape[0] for n, image in self.chips.items())
        frame = np.full((top - low // by, right - left // bx), UNREAD, dtype=np.int64)
        for name, image in self.chips.items():
            x, y = (self.origins[name][0] - left) // bx, (self.origins[name][1] - low) // by
            frame[y : y + image.shape[0], x : x + image.shape[1]] = image
        return frame

    def sky(self, chip, x, y):
        """Right ascension and declination of the pixel (x, y), counted from 0, of a chip's image."""
        header = _celestial(self.distortion)
        for axis, pixel in enumerate(_reference(self.shifts[chip])):
            b = self.binning[axis]
            header[f"CRPIX{axis + 1}"] = (pixel - 1 - self.origins[chip][axis] - (b - 1) / 2) / b + 1
        for i in (1, 2):
            for j in (1, 2):
                header[f"CD{i}_{j}"] = CD[i - 1, j - 1] * self.binning[j - 1]
        return WCS(header).all_pix2world(x, y, 0)


def _reference(shift):
    """Reference pixel on the detector, unbinned, counted from 1, of a chip that lies so many pixels off its DETSEC."""
    return (37.25 - shift[0], 51.75 - shift[1])


def _celestial(distortion):
    kind = "TPV" if distortion else "TAN"
    header = fits.Header({"WCSAXES": 2, "CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}", "RADESYS": "ICRS"})
    header.update({"CRVAL1": CRVAL[0], "CRVAL2": CRVAL[1], "CUNIT1": "deg", "CUNIT2": "deg", **distortion})
    return header


@dataclass
class Block:
    """Pixels of one amplifier in an extension: columns before and after its data, rows below and above them, flips."""

    chip: str
    box: tuple[int, int, int, int]  # of the detector, unbinned, from 0, the ends not included: x, x, y, y
    left: tuple[tuple[str, int], ...] = ()
    right: tuple[tuple[str, int], ...] = (("overscan", 8),)
    below: int = 0
    above: int = 0
    flip: tuple[bool, bool] = (False, False)
    corner: str | None = None
    letter: str = ""
    gain: float | None = 2.0
    read_noise: float | None = 5.0
    saturation: float | None = 60000.0
    extra: dict = field(default_factory=dict)
    # Found when the extension is laid out, sections of the file as 1-based (first, last) pairs:
    data: tuple[int, int, int, int] = (0, 0, 0, 0)
    strips: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)

    @property
    def read_as(self):
        """DETSEC: backwards where the file is flipped."""
        x0, x1, y0, y1 = self.box
        return (*((x1, x0 + 1) if self.flip[0] else (x0 + 1, x1)), *((y1, y0 + 1) if self.flip[1] else (y0 + 1, y1)))


def section(x0, x1, y0, y1):
    """A section as a header has it."""
    return f"[{x0}:{x1},{y0}:{y1}]"


def _code(box, binning, width):
    bx, by = binning
    x = np.arange(box[0] // bx, box[1] // bx)
    y = np.arange(box[2] // by, box[3] // by)
    return 2000 + y[:, None] * width + x


def _level(number):
    return 700 + 37 * number


def _overscan(block, binning, number, width):
    """Overscan in the orientation of the detector: each row says to which row of data it belongs."""
    by = binning[1]
    rows = np.arange(block.box[2] // by, block.box[3] // by)
    return _level(number) + 20 * rows[:, None] + np.arange(width)


def laid_out(primary, extensions, *, binning, cards, distortion=None, width, shifts=None, inherit=True):
    """Lay out the blocks of every extension side by side; `cards` writes the family's own keywords of one extension."""
    shifts = shifts or {}
    boxes = {}
    for block in (b for e in extensions for b in e):
        x0, x1, y0, y1 = block.box
        old = boxes.get(block.chip, block.box)
        boxes[block.chip] = (min(x0, old[0]), max(x1, old[1]), min(y0, old[2]), max(y1, old[3]))
    bx, by = binning
    chips = {n: np.full(((b[3] - b[2]) // by, (b[1] - b[0]) // bx), UNREAD, dtype=np.int64) for n, b in boxes.items()}
    hdus = fits.HDUList([fits.PrimaryHDU(header=fits.Header({"EXTEND": True, **primary}))])
    amplifiers = []
    for extension in extensions:
        pieces = []
        column = 0
        for block in extension:
            number = len(amplifiers)
            code = _code(block.box, binning, width) + _level(number)
            over = _overscan(block, binning, number, dict((*block.left, *block.right))["overscan"])
            turn = (slice(None, None, -1 if block.flip[1] else 1), slice(None, None, -1 if block.flip[0] else 1))
            low, high = block.below + 1, block.below + code.shape[0]
            for kind, count in (*block.left, ("data", code.shape[1]), *block.right):
                place = (column + 1, column + count, low, high)
                middle = {"data": code[turn], "overscan": over[turn]}.get(kind)
                if middle is None:
                    middle = np.full((code.shape[0], count), PRESCAN if kind == "prescan" else BETWEEN)
                pieces.append(
                    np.vstack(
                        [np.full((block.below, count), POSTSCAN), middle, np.full((block.above, count), POSTSCAN)]
                    )
                )
                if kind == "data":
                    block.data = place
                else:
                    block.strips[kind] = place
                column += count
            box = boxes[block.chip]
            x = slice((block.box[0] - box[0]) // bx, (block.box[1] - box[0]) // bx)
            y = slice((block.box[2] - box[2]) // by, (block.box[3] - box[2]) // by)
            chips[block.chip][y, x] = code
            amplifiers.append(
                Amplifier(
                    len(hdus),
                    block.letter,
                    block.chip,
                    x,
                    y,
                    over,
                    block.gain,
                    block.read_noise,
                    block.saturation,
                    block.corner,
                )
            )
        header = fits.Header()
        if inherit:
            header["INHERIT"] = True
        cards(header, extension)
        header.update(_celestial(distortion or {}))
        first = extension[0]
        edge = extension[0].read_as[0], extension[0].read_as[2]
        reference = _reference(shifts.get(first.chip, (0.0, 0.0)))
        for axis, b in enumerate(binning):
            sign = -1 if first.flip[axis] else 1
            start = first.data[2 * axis]
            header[f"CRPIX{axis + 1}"] = start + (sign * (reference[axis] - edge[axis]) - (b - 1) / 2) / b
            for i in (0, 1):
                header[f"CD{i + 1}_{axis + 1}"] = CD[i, axis] * sign * b
        hdus.append(fits.ImageHDU(np.hstack(pieces).astype(np.uint16), header))
    origins = {n: (b[0], b[2]) for n, b in boxes.items()}
    shifts = {n: shifts.get(n, (0.0, 0.0)) for n in boxes}
    return Mosaic(hdus, binning, chips, origins, shifts, tuple(amplifiers), distortion or {})


def ccdsum(binning):
    return f"{binning[0]} {binning[1]}"
