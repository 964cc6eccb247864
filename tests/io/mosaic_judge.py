"""Raw files of cameras with several amplifiers, as their headers say, and what an assembly has to give.

Every pixel says where it should be: it holds a number of its place on the detector, and a level of its amplifier.
`assembled` puts the files together in plain NumPy from the keywords alone; the builders know the truth without the
keywords. Both have to agree (``test_mosaic_judge.py``), so that neither is trusted alone.

What the keywords mean, and which document says so
--------------------------------------------------
DATASEC, BIASSEC, CCDSEC
    Pixels of the extension that are data, pixels that are overscan, region of the chip that the data are. IRAF,
    ``noao.imred.ccdred`` "ccdgeometry". Sections begin with 1 and name both ends, x before y.
DETSEC, CCDSEC, AMPSEC, DETSIZE, NCCDS, NAMPS
    NOAO, "Image Data Structure Definitions" and "NOAO Mosaic Camera FITS Keyword Dictionary". A section that is
    written backwards is a flip, as everywhere in IRAF: the example of AMPSEC is '[1:2048,2048:1]'. AMPSEC maps the
    chip's section to the order of the read-out, it says nothing about how the image was recorded.
LTM, LTV; ATM, ATV; DTM, DTV
    From pixels of the chip to pixels of the image, of the amplifier, of the detector (the same documents; "MSCRED
    guide" 4.3.1.5 for LTM and LTV: image = LTM x chip + LTV, binning included). "MSCRED xtalkcor": the signs of
    ATM1_1 and ATM2_2 are the direction of the read-out, while the image is as it was recorded.
CCDSUM
    Pixels that were summed in x and y on the chip. DETSEC and CCDSEC count unbinned pixels, DATASEC and BIASSEC those
    of the file (comments of the cards of LCO, "[unbinned pixel] Detector section"; header script for GMOS-S; Gemini,
    "GMOS data format": the overscan is 32 samples wide whatever the binning).

Which extension is what is said at each builder (``mosaic_families.py``), together with what was not documented and is
chosen here.
"""

from __future__ import annotations

import re

import numpy as np

from .mosaic_families import decam, gmos, mosaic3, mosaic_upside_down, sinistro, two_amplifiers
from .mosaic_layout import UNREAD

__all__ = ["FILES", "UNREAD", "assembled"]


def _ends(text):
    """The ends of a section, (first, last) in x and in y, as they are written."""
    x0, x1, y0, y1 = (int(n) for n in re.fullmatch(r"\[(\d+):(\d+),(\d+):(\d+)\]", text.replace(" ", "")).groups())
    return (x0, x1), (y0, y1)


def _cut(image, text):
    """Pixels of a section, in the order in which it is written: backwards is a flip."""
    (x0, x1), (y0, y1) = _ends(text)
    part = image[min(y0, y1) - 1 : max(y0, y1), min(x0, x1) - 1 : max(x0, x1)]
    return part[:: -1 if y0 > y1 else 1, :: -1 if x0 > x1 else 1]


def assembled(hdus):
    """Image of each chip in the orientation of the detector, and overscan strips, by the keywords' documentation.

    Gives the images by name of the chip, and for every amplifier the index of its extension, its letter, and its
    overscan.
    """
    parts, strips = {}, []
    for index, hdu in enumerate(hdus):
        header = hdu.header
        letters = [""] if "DATASECA" not in header else ["A", "B"]
        if hdu.data is None or f"DATASEC{letters[0]}" not in header:
            continue
        chip = header.get("CCDNAME", header.get("DETPOS", ""))
        summed = header.get("CCDSUM", f"{header.get('CCDBIN1', 1)} {header.get('CCDBIN2', 1)}").split()
        binning = tuple(int(n) for n in summed)
        for letter in sorted(letters, key=lambda one: _ends(header[f"DATASEC{one}"])[0]):
            image = _cut(hdu.data.astype(np.int64), header[f"DATASEC{letter}"])
            over = hdu.data.astype(np.int64)
            (a0, a1), _ = _ends(header[f"BIASSEC{letter}"])
            over = over[:, min(a0, a1) - 1 : max(a0, a1)]
            _, (d0, d1) = _ends(header[f"DATASEC{letter}"])
            over = over[min(d0, d1) - 1 : max(d0, d1)]
            (x0, x1), (y0, y1) = _ends(header.get(f"DETSEC{letter}", header.get(f"CCDSEC{letter}")))
            place = [x0, x1, y0, y1]
            turn = [-1 if place[0] > place[1] else 1, -1 if place[2] > place[3] else 1]
            data_x, data_y = _ends(header[f"DATASEC{letter}"])
            recorded = [t * (-1 if e[0] > e[1] else 1) for t, e in zip(turn, (data_x, data_y), strict=True)]
            for axis in (0, 1):
                # A negative element is a flip that the sections do not have: image to chip, or chip to detector.
                sign = np.sign(header.get(f"LTM{axis + 1}_{axis + 1}", 1)) * np.sign(
                    header.get(f"DTM{axis + 1}_{axis + 1}", 1)
                )
                if turn[axis] > 0 > sign:
                    turn[axis], recorded[axis] = -1, -recorded[axis]
            parts.setdefault(chip, []).append((place, image[:: turn[1], :: turn[0]], binning))
            strips.append((index, letter, over[:: recorded[1], :: recorded[0]]))
    chips = {}
    for chip, pieces in parts.items():
        left, low = (min(min(p[i : i + 2]) for p, _, _ in pieces) for i in (0, 2))
        right, top = (max(max(p[i : i + 2]) for p, _, _ in pieces) for i in (0, 2))
        bx, by = pieces[0][2]
        chips[chip] = np.full(((top - low + 1) // by, (right - left + 1) // bx), UNREAD, dtype=np.int64)
        for place, image, _ in pieces:
            x, y = (min(place[:2]) - left) // bx, (min(place[2:]) - low) // by
            chips[chip][y : y + image.shape[0], x : x + image.shape[1]] = image
    return chips, strips


FILES = {
    "Sinistro": sinistro,
    "Sinistro, middle row not read": lambda: sinistro(row="missing"),
    "Sinistro, 2x2": lambda: sinistro(binning=(2, 2)),
    "Sinistro, window": lambda: sinistro(window=24),
    "Mosaic-3": mosaic3,
    "Mosaic-3, 2x2": lambda: mosaic3(binning=(2, 2)),
    "Mosaic-3, window": lambda: mosaic3(window=20),
    "Mosaic-3, AMPSEC only": lambda: mosaic3(atm=False),
    "Mosaic, upside down": mosaic_upside_down,
    "Mosaic, upside down by DTM": lambda: mosaic_upside_down(flips_by="DTM"),
    "Mosaic, upside down by DATASEC": lambda: mosaic_upside_down(flips_by="DATASEC"),
    "Mosaic, all sections backwards": lambda: mosaic_upside_down(flips_by="both"),
    "Mosaic, upside down, 2x1": lambda: mosaic_upside_down(binning=(2, 1)),
    "two amplifiers by LTM": two_amplifiers,
    "two amplifiers by LTM, 2x1": lambda: two_amplifiers(binning=(2, 1)),
    "two amplifiers by CCDSEC": lambda: two_amplifiers(flips_by="CCDSEC"),
    "GMOS Hamamatsu": gmos,
    "GMOS Hamamatsu, 2x2": lambda: gmos(binning=(2, 2)),
    "GMOS Hamamatsu, 2x1": lambda: gmos(binning=(2, 1)),
    "GMOS Hamamatsu, window": lambda: gmos(window=(20, 44)),
    "GMOS e2v": lambda: gmos("e2v"),
    "GMOS e2v, window 2x2": lambda: gmos("e2v", binning=(2, 2), window=(20, 44)),
    "DECam": decam,
    "DECam, window": lambda: decam(window=24),
}
"""Builders by name; each takes no argument and gives a `Mosaic`."""
