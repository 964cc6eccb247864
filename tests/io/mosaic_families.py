"""Raw files as the public headers of four families of cameras say; what the keywords mean is in ``mosaic_judge.py``."""

from __future__ import annotations

from .mosaic_layout import Block, ccdsum, laid_out, section


def sinistro(*, binning=(1, 1), row="full", window=None):
    """LCO Sinistro: a 2x2 chip, every extension as it was read, flips in DETSEC only.

    From the public pipeline of LCO (BANZAI), which writes these cards for old files and reads them from new ones:
    DETSEC of the four quadrants is [1:2048,1:2048], [4096:2049,1:2048], [4096:2049,4096:2049], [1:2048,4096:2049];
    BIASSEC is [2055:2080,1:2048], on the right of all four, with six columns between data and overscan; DATASEC of
    the upper two begins with row 2, and has one row less where the middle row of the chip was not read
    (``row="missing"``); GAIN, SATURATE and MAXLIN stand in the extensions, the crosstalk coefficients in the primary
    header, CRSTLKij for what amplifier i puts on amplifier j. Files are fpacked ("LCO data products"). Not
    documented, and so left out: names of extensions. Chosen: RDNOISE and the WCS stand in the extensions. ``window``
    is a number of rows that each amplifier reads, the first ones.
    """
    nx, ny = 40, 60
    rows = ny if window is None else window
    primary = {"INSTRUME": "fa06", "TELESCOP": "1m0-13", "SITEID": "cpt", "OBSTYPE": "EXPOSE", "EXPTIME": 30.0}
    primary |= {"CCDSUM": ccdsum(binning), "DETSIZE": section(1, 2 * nx, 1, 2 * ny)}
    primary |= {f"CRSTLK{i}{j}": 1e-4 * (10 * i + j) for i in range(1, 5) for j in range(1, 5) if i != j}
    between, over = ("between", 6), ("overscan", 26)
    less = 1 if row == "missing" else 0
    boxes = (
        (0, nx, 0, rows),
        (nx, 2 * nx, 0, rows),
        (nx, 2 * nx, 2 * ny - rows + less, 2 * ny),
        (0, nx, 2 * ny - rows + less, 2 * ny),
    )
    corners = ("lower left", "lower right", "upper right", "upper left")
    extra = 1 if binning == (1, 1) and window is None else 0
    blocks = []
    for k, (box, corner) in enumerate(zip(boxes, corners, strict=True)):
        below, above = (extra, 0) if k > 1 else (0, extra - less)
        flip = ("right" in corner, "upper" in corner)
        gain = (1.0, 1.1, 0.95, 1.04)[k]
        block = Block(
            "", box, (), (between, over), below, above, flip, corner, "", gain, 7.0 + k / 10, 62000.0 - 500 * k
        )
        blocks.append([block])

    def cards(header, extension):
        block = extension[0]
        header["BIASSEC"] = (section(*block.strips["overscan"]), "[binned pixel] Overscan Region")
        header["DATASEC"] = (section(*block.data), "[binned pixel] Data section")
        header["DETSEC"] = (section(*block.read_as), "[unbinned pixel] Detector section")
        header["CCDSUM"] = ccdsum(binning)
        header.update(
            {"GAIN": block.gain, "RDNOISE": block.read_noise, "SATURATE": block.saturation, "MAXLIN": block.saturation}
        )

    return laid_out(primary, blocks, binning=binning, cards=cards, width=2 * nx)


def mosaic3(*, binning=(1, 1), window=None, atm=True):
    """NOIRLab Mosaic-3 (KPNO): four chips of four amplifiers, im1 to im16, all in the orientation of the detector.

    The CRPIX and CD cards of a real file (public, in the observing code of the Legacy Surveys) say so: all four
    extensions of a chip have one CD matrix, and the places of the reference pixel give the order, which differs from
    chip to chip: im1 and im2 are the lower right and lower left quarter of the lower right chip, im3 and im4 those
    above; im9 to im12 are the upper left, upper right, lower left and lower right of the upper right chip. The
    direction of the read-out is in ATM1_1 and ATM2_2 ("MSCRED xtalkcor") and, as a section that is written backwards,
    in AMPSEC (keyword dictionary). LTV holds the columns and rows before the data ("MSCRED guide"). Chosen: widths,
    prescan and overscan outside of a chip's quarter, TRIMSEC narrower than DATASEC. ``atm=False`` leaves ATM and LTM
    out: AMPSEC alone says which corner is read first.
    """
    nx, ny = 40, 60
    detector = (4 * nx, 4 * ny)
    lower, upper = ("lr", "ll", "ur", "ul"), ("ul", "ur", "ll", "lr")
    order = (("CCD3", (1, 0), lower), ("CCD1", (0, 0), lower), ("CCD4", (1, 1), upper), ("CCD2", (0, 1), upper))
    extensions = []
    for chip, (cx, cy), quarters in order:
        for quarter in quarters:
            right, up = quarter[1] == "r", quarter[0] == "u"
            x0, y0 = (2 * cx + right) * nx, (2 * cy + up) * ny
            y1 = y0 + ny
            if window is not None:
                y0, y1 = (y0, y0 + window) if not up else (y1 - window, y1)
            strips = (("prescan", 4), ("overscan", 10))
            corner = f"{'upper' if up else 'lower'} {'right' if right else 'left'}"
            k = len(extensions)
            block = Block(
                chip,
                (x0, x0 + nx, y0, y1),
                (strips[1],) if right else (strips[0],),
                (strips[0],) if right else (strips[1],),
                3 if up else 0,
                0 if up else 3,
                (False, False),
                corner,
                "",
                1.6 + k / 20,
                6.0 + k / 10,
                55000.0 - 100 * k,
                {"cx": cx * 2 * nx, "cy": cy * 2 * ny, "name": f"im{k + 1}"},
            )
            extensions.append([block])
    primary = {"INSTRUME": "mosaic3", "DETECTOR": "mosaic3", "OBSERVAT": "KPNO", "OBSTYPE": "object", "EXPTIME": 60.0}
    primary |= {"DETSIZE": section(1, detector[0], 1, detector[1]), "NCCDS": 4, "NAMPS": 16, "NEXTEND": 16}

    def cards(header, extension):
        (block,) = extension
        x0, x1, y0, y1 = block.box
        cx, cy = block.extra["cx"], block.extra["cy"]
        ccd = (x0 - cx + 1, x1 - cx, y0 - cy + 1, y1 - cy)
        header.update({"EXTNAME": block.extra["name"], "IMAGEID": int(block.extra["name"][2:]), "CCDNAME": block.chip})
        header.update({"AMPNAME": f"{block.chip} {block.corner}", "CCDNAMPS": 4, "CCDSUM": ccdsum(binning)})
        trim = block.data[0] + 1, block.data[1] - 1, block.data[2], block.data[3]
        header.update(
            {"DATASEC": section(*block.data), "TRIMSEC": section(*trim), "BIASSEC": section(*block.strips["overscan"])}
        )
        right, up = "right" in block.corner, "upper" in block.corner
        amp = (*(ccd[1::-1] if right else ccd[:2]), *(ccd[:1:-1] if up else ccd[2:]))
        header.update({"CCDSIZE": section(1, 2 * nx, 1, 2 * ny), "CCDSEC": section(*ccd), "AMPSEC": section(*amp)})
        header["DETSEC"] = section(*block.read_as)
        if atm:
            header.update({"ATM1_1": -1.0 if right else 1.0, "ATM2_2": -1.0 if up else 1.0})
            for axis, b in enumerate(binning, 1):
                header[f"LTM{axis}_{axis}"] = 1 / b
                first = block.data[2 * axis - 2]
                header[f"LTV{axis}"] = first - (ccd[2 * axis - 2] + (b - 1) / 2) / b
            header.update({"DTM1_1": 1.0, "DTM2_2": 1.0, "DTV1": float(cx), "DTV2": float(cy)})
        header.update({"GAIN": block.gain, "RDNOISE": block.read_noise, "SATURATE": block.saturation})

    return laid_out(primary, extensions, binning=binning, cards=cards, width=detector[0])


def mosaic_upside_down(*, binning=(1, 1), flips_by="DETSEC"):
    """NOAO Mosaic with one amplifier a chip; the chips of the upper row are mounted upside down.

    As in the test headers of MSCRED (``ccdtest/demos/mosaic/mosaic1.dat`` to ``mosaic8.dat``, written after files of
    Mosaic-1): im1 to im4 have DETSEC [1:100,1:100] and so on, im5 to im8 [100:1,200:101] and so on with CCDSEC
    [1:100,1:100] and CD1_1 = -1; DATASEC [1:100,1:100], BIASSEC [103:130,1:100]. ``flips_by="DTM"`` writes DETSEC
    forwards, and the flip in DTM and DTV only; ``"DATASEC"`` writes DETSEC forwards and DATASEC backwards; ``"both"``
    turns round all three sections of every chip, which changes nothing.
    """
    n = 40
    extensions = []
    for k in range(8):
        x0, y0 = (k % 4) * n, (k // 4) * n
        up = k > 3
        corner = "upper right" if up else "lower left"
        block = Block(
            f"Mosaic {k + 1}",
            (x0, x0 + n, y0, y0 + n),
            (),
            (("between", 2), ("overscan", 28)),
            0,
            0,
            (up, up),
            corner,
            "",
            3.2 + k / 10,
            3.9 + k / 10,
            40000.0 + k,
        )
        extensions.append([block])
    primary = {
        "DETECTOR": "Mosaic1",
        "OBSERVAT": "KPNO",
        "OBSTYPE": "object",
        "EXPTIME": 60.0,
        "NEXTEND": 8,
        "NCCDS": 8,
        "NAMPS": 8,
    }
    primary["DETSIZE"] = section(1, 4 * n, 1, 2 * n)

    def cards(header, extension):
        (block,) = extension
        k = int(block.chip[-1])
        up = block.flip[0]
        header.update({"EXTNAME": f"im{k}", "IMAGEID": k, "CCDNAME": block.chip, "AMPNAME": f"Amplifier {k}-1"})
        header.update({"CCDSUM": ccdsum(binning), "CCDSIZE": section(1, n, 1, n), "CCDNAMPS": 1})
        x0, x1, y0, y1 = block.box
        detsec, datasec, ccdsec = block.read_as, block.data, (1, n, 1, n)
        if flips_by in ("DTM", "DATASEC"):
            detsec = (x0 + 1, x1, y0 + 1, y1)
        if flips_by == "DATASEC" and up:
            datasec = (*datasec[1::-1], *datasec[:1:-1])
        if flips_by == "both":
            turned = (datasec[1], datasec[0], datasec[3], datasec[2])
            detsec = (detsec[1], detsec[0], detsec[3], detsec[2])
            datasec, ccdsec = turned, (n, 1, n, 1)
        header.update({"DETSEC": section(*detsec), "DATASEC": section(*datasec), "CCDSEC": section(*ccdsec)})
        header.update({"BIASSEC": section(*block.strips["overscan"]), "TRIMSEC": section(*datasec)})
        if flips_by == "DTM":
            sign = -1.0 if up else 1.0
            header.update({"LTM1_1": 1 / binning[0], "LTM2_2": 1 / binning[1], "DTM1_1": sign, "DTM2_2": sign})
            header.update({"DTV1": float(x1 + 1 if up else x0), "DTV2": float(y1 + 1 if up else y0)})
        header.update({"GAIN": block.gain, "RDNOISE": block.read_noise, "SATURATE": block.saturation})

    return laid_out(primary, extensions, binning=binning, cards=cards, width=4 * n)


def two_amplifiers(*, binning=(1, 1), flips_by="LTM"):
    """One chip, an amplifier on the left and one on the right, whose image is recorded as it was read, mirrored.

    ``flips_by="LTM"`` writes all sections forwards: only LTM1_1 = -1 and LTV1 say that the image is mirrored (image =
    LTM x chip + LTV, "MSCRED guide"); ``"CCDSEC"`` writes CCDSEC backwards, without DETSEC, LTM and ATM. There is no
    empty primary image with cards of the detector, and GAIN and RDNOISE are not in the headers.
    """
    nx, ny = 40, 60
    extensions = []
    for k, mirrored in enumerate((False, True)):
        block = Block(
            "",
            (k * nx, (k + 1) * nx, 0, ny),
            (("prescan", 4),),
            (("overscan", 8),),
            0,
            0,
            (mirrored, False),
            "lower right" if mirrored else "lower left",
            "",
            None,
            None,
            None,
        )
        extensions.append([block])

    def cards(header, extension):
        (block,) = extension
        forwards = (block.box[0] + 1, block.box[1], 1, ny)
        header.update({"EXTNAME": f"AMP{block.box[0] // nx + 1}", "CCDSUM": ccdsum(binning)})
        header.update({"DATASEC": section(*block.data), "BIASSEC": section(*block.strips["overscan"])})
        if flips_by == "CCDSEC":
            header["CCDSEC"] = section(*block.read_as)
            return
        header.update({"CCDSEC": section(*forwards), "DETSEC": section(*forwards)})
        for axis, b in enumerate(binning):
            sign = -1 if block.flip[axis] else 1
            header[f"LTM{axis + 1}_{axis + 1}"] = sign / b
            # The first pixel of the data is the mean of b pixels of the chip.
            chip = block.read_as[2 * axis] + sign * (b - 1) / 2
            header[f"LTV{axis + 1}"] = block.data[2 * axis] - sign * chip / b

    return laid_out({"OBSTYPE": "OBJECT", "EXPTIME": 60.0}, extensions, binning=binning, cards=cards, width=2 * nx)


def gmos(kind="Hamamatsu", *, binning=(1, 1), window=None):
    """GMOS: three chips side by side, of two amplifiers each (e2v, 6 extensions) or of four (Hamamatsu, 12 extensions).

    "GMOS data format" (Gemini): extensions have no names, as many as amplifiers; overscan 32 samples wide whatever
    the binning, not at the same side for all. Header script for GMOS-S (public, in DRAGONS): DETSEC and CCDSEC count
    unbinned pixels, the chips follow each other in DETSEC without the gap; CRPIX1 has the gap in it (61 or 67 pixels
    for Hamamatsu, 37 for e2v; tables of DRAGONS), and the columns of an overscan that is on the left; CCDSEC was
    wrong in old files: it had DETSEC's numbers or those of another chip, so that DETSEC has to be believed. AMPNAME
    is "BI5-36-4k-2, 1" or "e2v 10031-23-05, left" (tables of gains of DRAGONS). Extensions need not be sorted by
    DETSEC (DRAGONS sorts them): the e2v file has them from right to left here. Which corner is read first is not in
    the headers. Chosen: overscan left and right in turns, 32 samples as 8. ``window`` is a pair of rows of the
    detector, unbinned, counted from 0, as of a region of interest.
    """
    four = kind == "Hamamatsu"
    each, ny = (20 if four else 40), 60
    y0, y1 = window or (0, ny)
    chips = (
        ("BI5-36-4k-2", "BI11-33-4k-1", "BI12-34-4k-1")
        if four
        else ("e2v 10031-23-05", "e2v 10031-01-03", "e2v 10031-18-04")
    )
    count, gap = (4, 61.0) if four else (2, 37.0)
    extensions = []
    for c, chip in enumerate(chips):
        for a in range(count):
            x0 = (c * count + a) * each
            left, strip = a % 2 == 1, (("overscan", 8),)
            name = str(a + 1) if four else ("left", "right")[a]
            block = Block(
                chip,
                (x0, x0 + each, y0, y1),
                strip if left else (),
                () if left else strip,
                0,
                0,
                (False, False),
                None,
                "",
                1.5 + c / 10 + a / 100,
                4.0 + a / 10,
                None,
                {"name": f"{chip}, {name}", "chip0": c * count * each},
            )
            extensions.append([block])
    if not four:
        extensions.reverse()
    primary = {"INSTRUME": "GMOS-S" if four else "GMOS-N", "OBSTYPE": "OBJECT", "EXPTIME": 60.0}
    primary |= {
        "DETECTOR": f"GMOS + {kind}",
        "DETSIZE": section(1, 3 * count * each, 1, ny),
        "NCCDS": 3,
        "NAMPS": count,
    }

    def cards(header, extension):
        (block,) = extension
        x0 = block.extra["chip0"]
        header.update({"CCDNAME": block.chip, "AMPNAME": block.extra["name"], "CCDSUM": ccdsum(binning)})
        header.update({"DETSEC": section(*block.read_as), "DATASEC": section(*block.data)})
        ccd = (block.box[0] - x0 + 1, block.box[1] - x0, y0 + 1, y1)
        wrong = four and block.chip != chips[0]
        header["CCDSEC"] = section(*(block.read_as if wrong else ccd))
        header.update({"BIASSEC": section(*block.strips["overscan"]), "GAIN": block.gain, "RDNOISE": block.read_noise})

    shifts = {chip: ((c - 1) * gap, 0.0) for c, chip in enumerate(chips)}
    return laid_out(
        primary, extensions, binning=binning, cards=cards, width=3 * count * each, shifts=shifts, inherit=False
    )


def decam(*, binning=(1, 1), window=None):
    """DECam: an extension a chip with two amplifiers in it, A and B, chips with gaps between them, everything fpacked.

    From headers of raw files (public, among the test data of astro_metadata_translator: chip S1; and in a data model
    of DESI: a chip of the northern half). S1: DATASECA [1081:2104,51:4146], BIASSECA [2105:2154,51:4146], PRESECA
    [2155:2160,51:4146], POSTSECA [1081:2104,1:50], AMPSECA [2048:1025,4096:1] ("CCD section in read order"), so A is
    on the right and its upper right corner is read first; B is its mirror image with DATASECB [57:1080,51:4146],
    BIASSECB [7:56,51:4146]. Northern half: A is on the left, BIASSECA [7:56,1:4096], POSTSECA [57:1080,4097:4146]:
    postscan above, lower corners read first. DATASEC, TRIMSEC, DETSEC and CCDSEC are of both together; GAINA,
    RDNOISEA, SATURATA and the same for B; CCDNUM, DETPOS = EXTNAME; CCDBIN1 and CCDBIN2, and no CCDSUM; LTV is where
    the data begin (56 and 50 in S1); TPV with PV cards; DETSIZE [1:29400,1:29050], much larger than the chips. BZERO
    = 32768. The overscan of an amplifier is on its outer side, next to the prescan, so that its side does not say
    which pixels are read last. An extension that is no chip's image is behind the chips (focus and guide chips are).
    Chosen: sizes. ``window`` is the number of rows read, from those that are read first.
    """
    nx, ny, gap = 40, 60, 7
    strip = (("prescan", 3), ("overscan", 10))
    extensions = []
    for name, number, cx, cy in (("S1", 25, 0, 0), ("S2", 26, 1, 0), ("N1", 32, 0, 1), ("N2", 33, 1, 1)):
        north = cy == 1
        x0, y0 = cx * (2 * nx + gap), cy * (ny + gap)
        y1 = y0 + ny
        if window is not None:
            y0, y1 = (y0, y0 + window) if north else (y1 - window, y1)
        blocks = []
        for k, letter in enumerate(("A", "B") if north else ("B", "A")):
            corner = f"{'lower' if north else 'upper'} {'right' if k else 'left'}"
            box = (x0 + k * nx, x0 + (k + 1) * nx, y0, y1)
            blocks.append(
                Block(
                    name,
                    box,
                    () if k else strip,
                    strip[::-1] if k else (),
                    0 if north else 5,
                    5 if north else 0,
                    (False, False),
                    corner,
                    letter,
                    4.4 + number / 100 + k,
                    7.0 + k / 10,
                    44000.0 + number + k,
                    {"number": number, "x0": x0, "y0": cy * (ny + gap), "north": north},
                )
            )
        extensions.append(blocks)
    primary = {
        "INSTRUME": "DECam",
        "TELESCOP": "CTIO 4.0-m telescope",
        "OBSTYPE": "object",
        "EXPTIME": 30.0,
        "PROCTYPE": "RAW",
    }

    def cards(header, extension):
        first, second = extension
        x0, y0, north = first.extra["x0"], first.extra["y0"], first.extra["north"]
        header.update({"DETSIZE": "[1:29400,1:29050]", "DETECTOR": f"S3-{first.chip}", "CCDNUM": first.extra["number"]})
        header.update(
            {"DETPOS": first.chip, "EXTNAME": first.chip, "BUNIT": "adu", "CCDBIN1": binning[0], "CCDBIN2": binning[1]}
        )
        both = (first.data[0], second.data[1], *first.data[2:])
        ccd = (1, 2 * nx, first.box[2] - y0 + 1, first.box[3] - y0)
        header.update({"TRIMSEC": section(*both), "DATASEC": section(*both), "CCDSEC": section(*ccd)})
        header["DETSEC"] = section(first.box[0] + 1, second.box[1], first.box[2] + 1, first.box[3])
        for block in extension:
            one = block.letter
            own = (block.box[0] - x0 + 1, block.box[1] - x0, *ccd[2:])
            amp = (*(own[1::-1] if "right" in block.corner else own[:2]), *(own[2:] if north else own[:1:-1]))
            header.update({f"TRIMSEC{one}": section(*block.data), f"DATASEC{one}": section(*block.data)})
            header.update(
                {f"DETSEC{one}": section(*block.read_as), f"CCDSEC{one}": section(*own), f"AMPSEC{one}": section(*amp)}
            )
            header.update(
                {f"BIASSEC{one}": section(*block.strips["overscan"]), f"PRESEC{one}": section(*block.strips["prescan"])}
            )
            rows = block.data[3] + 1 if north else 1
            header[f"POSTSEC{one}"] = section(*block.data[:2], rows, rows + 4)
            header.update(
                {f"GAIN{one}": block.gain, f"RDNOISE{one}": block.read_noise, f"SATURAT{one}": block.saturation}
            )
        for axis, b in enumerate(binning, 1):
            header[f"LTM{axis}_{axis}"] = 1 / b
            header[f"LTV{axis}"] = both[2 * axis - 2] - (ccd[2 * axis - 2] + (b - 1) / 2) / b

    distortion = {"PV1_0": 1e-3, "PV1_1": 1.02, "PV1_4": 4e-2, "PV2_0": -7e-4, "PV2_1": 1.01, "PV2_4": -1e-3}
    return laid_out(primary, extensions, binning=binning, cards=cards, width=4 * nx + gap, distortion=distortion)
