"""Raw files of several amplifiers: one frame a chip, with the overscan of each amplifier beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.arguments import check_switch, described
from astro_calib.detector.header_layout import amplifiers_of_headers, says_sections
from astro_calib.detector.layout import chips_of, merged
from astro_calib.detector.table_layout import amplifiers_of_tables, checked_tables
from astro_calib.errors import HeaderWarning, warn
from astro_calib.io.fits.cards import remark_on_cards
from astro_calib.io.fits.chip import Chip
from astro_calib.io.fits.mosaic_file import MosaicFile
from astro_calib.io.fits.readable import readable
from astro_calib.io.paths import file_to_read

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from astro_calib.detector.layout import ChipLayout

__all__ = ["Mosaic", "read_mosaic"]


class Mosaic:
    """
    A raw file of several amplifiers, as `~astro_calib.read_mosaic` returns it.

    Attributes
    ----------
    name : str
        Of the file.
    chips : tuple of Chip
        Those that take the image, in the order of the file.
    others : tuple of Chip
        Those for focus and guiding.
    header : astropy.io.fits.Header
        The primary header.
    """

    def __init__(self, file: MosaicFile, chips: Sequence[Chip]) -> None:
        self.name, self.header = file.name, file.primary
        self.chips = tuple(chip for chip in chips if chip.kind == "science")
        self.others = tuple(chip for chip in chips if chip.kind != "science")

    def __getitem__(self, name: str) -> Chip:
        for chip in (*self.chips, *self.others):
            if chip.name == name:
                return chip
        names = ", ".join(repr(chip.name) for chip in (*self.chips, *self.others))
        msg = f"{self.name} has no chip {name!r}, but {names}."
        raise KeyError(msg)

    def __repr__(self) -> str:
        return f"<Mosaic {self.name!r}: {len(self.chips)} chips>"


def read_mosaic(
    filename: str | os.PathLike[str], *, unit: Any = None, amplifiers: Any = None, one_frame: bool = False
) -> Mosaic:
    """
    Read the layout of a raw file of several amplifiers, and its pixels chip by chip when they are asked for.

    Parameters
    ----------
    filename : str or path
        A FITS file; plain, compressed (.gz, .bz2) or tile-compressed (.fz). It is read as long as its chips are.
    unit : Unit, optional
        Of the pixels, for files that do not say theirs in BUNIT.
    amplifiers : sequence of mapping, optional
        The layout, for files whose headers do not tell it: for each amplifier ``extension`` (number or name of the
        HDU, 0 if it is left out), ``plane`` (of a cube, from 1), ``data``, ``overscan`` and ``placed`` (sections of the
        image and of the assembled frame, the last one written backwards where the image is mirrored), ``corner`` (the
        one that is read first), ``gain``, ``gain_uncertainty``, ``read_noise``, ``saturation`` (numbers in
        electron/adu, electron and adu), ``chip`` and ``name``.
    one_frame : bool
        Whether all chips make one frame, with the gaps between them.

    Returns
    -------
    Mosaic
        Whose ``chips`` have a ``frame``, ``overscans``, ``amplifiers`` and a ``detector()``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If the file cannot be read as FITS, is cut off or damaged, or its headers do not say where its images belong, or
        contradict each other; the message names the keywords.
    TypeError
        If the file is not given by its path.
    ValueError
        If a key or a value of ``amplifiers`` means nothing.

    Warns
    -----
    HeaderWarning
        If the header holds cards that FITS does not allow, which are repaired.
    AstropyUserWarning
        If images say nothing of amplifiers, and are left out.

    Notes
    -----
    The layout comes from DATASEC, BIASSEC, DETSEC, CCDSEC, AMPSEC, CCDSUM and from LTM, DTM and ATM, with a letter at
    their end where an image has several amplifiers. A section that is written backwards, or a matrix with a negative
    sign, says that the image is mirrored; the assembled frame is in the orientation of the detector.

    Examples
    --------
    Two amplifiers, of which the right one is read from the right:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astro_calib import read_mosaic
    >>> hdus = fits.HDUList([fits.PrimaryHDU()])
    >>> for section in ("[1:3,1:2]", "[6:4,1:2]"):
    ...     cards = {
    ...         "DATASEC": "[1:3,1:2]",
    ...         "BIASSEC": "[4:5,1:2]",
    ...         "DETSEC": section,
    ...         "BUNIT": "adu",
    ...     }
    ...     hdus.append(
    ...         fits.ImageHDU(
    ...             np.arange(10, dtype=np.int16).reshape(2, 5),
    ...             fits.Header(cards),
    ...         )
    ...     )
    >>> with TemporaryDirectory() as directory:
    ...     path = Path(directory) / "raw.fits"
    ...     hdus.writeto(path)
    ...     (chip,) = read_mosaic(path).chips
    ...     frame, overscans = chip.frame, chip.overscans
    >>> frame.data
    array([[0, 1, 2, 2, 1, 0],
           [5, 6, 7, 7, 6, 5]], dtype=int16)
    >>> overscans[1].data
    array([[4, 3],
           [9, 8]], dtype=int16)
    >>> [(one.data_section, one.corner) for one in chip.amplifiers]
    [('[1:3,1:2]', 'lower left'), ('[4:6,1:2]', 'lower right')]
    """
    one_frame = check_switch("one_frame", one_frame)
    path = file_to_read(filename)
    if path is None:
        msg = f"read_mosaic takes a path, not {described(filename)}."
        raise TypeError(msg)
    if amplifiers is not None:
        checked_tables(amplifiers)
    with readable(path.name):
        file = MosaicFile(path, unit)
        layouts = _layouts(file, amplifiers)
        if one_frame:
            science = [layout for layout in layouts if layout.kind == "science"]
            layouts = [merged(science or layouts)]
    if file.repaired:
        warn(f"{path.name}: {remark_on_cards(file.repaired)}", HeaderWarning)
    return Mosaic(file, [Chip(file, layout) for layout in layouts])


def _layouts(file: MosaicFile, tables: Any) -> list[ChipLayout]:
    images = file.images()
    if tables is not None:
        return chips_of(amplifiers_of_tables(tables, images))
    telling = [image for image in images if says_sections(image)]
    if telling and len(telling) < len(images):
        names = ", ".join(image.name for image in images if image not in telling)
        warn(f"{file.name}: {names} have neither DETSEC nor CCDSEC, and are left out.")
    return chips_of(amplifiers_of_headers(telling or images))
