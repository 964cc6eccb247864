"""
The layout of a raw file from the keywords of its headers, as the NOAO image data structure definitions have them.

DATASEC and BIASSEC are sections of the image; CCDSEC and DETSEC say which unbinned pixels of the CCD and of the whole
detector the data are of. One of them that is written backwards says that the image runs against it. AMPSEC is
the section in the order in which it is read. The matrices say the same with signs: LTM leads from the CCD to the image,
DTM to the detector, ATM to the amplifier. Where an image has several amplifiers, the keywords end in a letter.
"""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from astro_calib.detector.header_values import as_number
from astro_calib.detector.layout import AmplifierLayout, corner_of
from astro_calib.detector.sections import Span, spans_of_section
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astro_calib.detector.layout import Box

__all__ = ["MOST_AMPLIFIERS", "RawImage", "amplifiers_of_headers", "box_inside", "numbers_of_header", "says_sections"]

#: More amplifiers than any camera has.
MOST_AMPLIFIERS = 1000
#: Sections of the data, the first that a header has.
DATA = ("DATASEC", "TRIMSEC")
#: Where the data are from: of the whole detector, or of the CCD.
PLACES = ("DETSEC", "CCDSEC")
#: What tells the chips of a file apart.
CHIPS = ("DETPOS", "CCDNAME", "CCDNUM", "CCDID")
#: The binning of both axes in one text, or in a keyword each.
BINNING_OF_BOTH = "CCDSUM"
BINNING = (("CCDBIN1", "CCDBIN2"), ("XBINNING", "YBINNING"))
#: The numbers of an amplifier, and what they may be called.
NUMBERS = {
    "gain": ("GAIN",),
    "read_noise": ("RDNOISE", "READNOIS"),
    # Above MAXLIN pixels are not linear.
    "saturation": ("MAXLIN", "SATURATE", "SATURAT"),
}
#: Detectors at the edge of the field that are read out with the others.
KINDS = ((re.compile(r"F[NS]\d+"), "focus"), (re.compile(r"G[NS]\d+"), "guide"))
#: What some cameras write for what is not known.
NOTHING = ("UNKNOWN", "UNDEFINED", "NONE", "N/A")
REMEDY = "Give amplifiers=[...] with the layout of the camera, or [[amplifiers]] in a profile."


class RawImage(NamedTuple):
    """
    An image in a raw file, without its pixels.

    Attributes
    ----------
    number : int
        Of its HDU.
    name : str
        What messages call it.
    shape : tuple of int
        As that of the array of its pixels.
    header : mapping
        With what the primary header says beside its own.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    header: Mapping[str, Any]

    def text(self, keyword: str) -> str:
        """The text under a keyword; empty if there is none."""
        value = self.header.get(keyword)
        text = "" if value is None or isinstance(value, bool) else str(value).strip()
        return "" if text.upper() in NOTHING else text


def says_sections(image: RawImage) -> bool:
    """Whether a header says where its image is from."""
    return any(image.text(f"{keyword}{letter}") for keyword in PLACES for letter in ("", *_letters(image)))


def amplifiers_of_headers(images: Sequence[RawImage]) -> list[AmplifierLayout]:
    """
    Return the amplifiers that the headers of a file's images tell of.

    Parameters
    ----------
    images : sequence of RawImage
        Those of one file, calibration tables and the like left out.

    Raises
    ------
    FrameError
        If a section cannot be read or does not lie inside its image, or keywords contradict each other.
    """
    amplifiers = []
    for image in images:
        if len(image.shape) != 2:
            msg = (
                f"{image.name} has {len(image.shape)} axes {image.shape[::-1]}; its header does not say where each of "
                f"its planes belongs. {REMEDY}"
            )
            raise FrameError(msg)
        if len(images) > 1 and not says_sections(image):
            msg = f"{image.name} has neither DETSEC nor CCDSEC, so that it is not known where it belongs. {REMEDY}"
            raise FrameError(msg)
        amplifiers += [_amplifier(image, letter) for letter in _letters(image) or ("",)]
    if len(amplifiers) > MOST_AMPLIFIERS:
        msg = f"its headers tell of {len(amplifiers)} amplifiers; expected {MOST_AMPLIFIERS} at most."
        raise FrameError(msg)
    several = len({one.chip for one in amplifiers}) > 1
    without = [one.name for one in amplifiers if not one.chip]
    if several and without:
        msg = f"{', '.join(without)} do not say of which chip they are, as others do ({', '.join(CHIPS)}). {REMEDY}"
        raise FrameError(msg)
    return amplifiers


def box_inside(image: RawImage, keyword: str, spans: tuple[Span, Span]) -> Box:
    """Return the rows and columns of a section, which has to lie inside its image."""
    ny, nx = image.shape[-2:]
    rows, columns = (span.pixels for span in spans)
    if rows.stop > ny or columns.stop > nx:
        msg = (
            f"{image.name}: {keyword} goes to column {columns.stop} and row {rows.stop}; its image has {nx} columns "
            f"and {ny} rows."
        )
        raise FrameError(msg)
    return rows, columns


def _letters(image: RawImage) -> tuple[str, ...]:
    """The letters of the amplifiers of an image that has several."""
    return tuple(letter for letter in ascii_uppercase if any(image.text(f"{name}{letter}") for name in DATA))


def _amplifier(image: RawImage, letter: str) -> AmplifierLayout:
    name = f"{image.name} amplifier {letter}" if letter else image.name
    if not letter and image.text("AMPNAME"):
        name = f"{name} ({image.text('AMPNAME')})"
    data_keyword = next((f"{one}{letter}" for one in DATA if image.text(f"{one}{letter}")), "")
    bias_keyword = f"BIASSEC{letter}"
    ny, nx = image.shape
    data = _spans(image, data_keyword) or (Span(1, ny), Span(1, nx))
    pixels = box_inside(image, data_keyword, data)
    bias = _spans(image, bias_keyword)
    overscan = None if bias is None else box_inside(image, bias_keyword, bias)
    if overscan is not None:
        if not data_keyword:
            msg = f"{name} has a {bias_keyword}, but no {DATA[0]}{letter} that says where its data are. {REMEDY}"
            raise FrameError(msg)
        _refuse_overlap(name, data_keyword, pixels, bias_keyword, overscan)
    axes = [_Axis(image, name, letter, axis, data_keyword, data[1 - axis], bias) for axis in (1, 0)]
    rows, columns = axes
    corner = corner_of(upper=rows.read_from_end, right=columns.read_from_end)
    found = numbers_of_header(image, letter)
    chip = next((image.text(keyword) for keyword in CHIPS if image.text(keyword)), "")
    kind = next((kind for pattern, kind in KINDS if pattern.fullmatch(image.text("DETPOS"))), "science")
    return AmplifierLayout(
        name=name,
        image=image.number,
        data=pixels,
        overscan=overscan,
        on_detector=(rows.on_detector, columns.on_detector),
        binning=(rows.binning, columns.binning),
        flipped=(rows.to_detector < 0, columns.to_detector < 0),
        corner=corner,
        chip=chip,
        kind=kind,
        gain=found["gain"][1],
        read_noise=found["read_noise"][1],
        saturation=found["saturation"][1],
        keywords={key: keyword for key, (keyword, value) in found.items() if value is not None},
    )


def numbers_of_header(image: RawImage, letter: str = "") -> dict[str, tuple[str, float | None]]:
    """Return the gain, read noise and saturation that the header of an image tells, with the keyword of each."""
    return {key: _number(image, names, letter) for key, names in NUMBERS.items()}


def _spans(image: RawImage, keyword: str) -> tuple[Span, Span] | None:
    """What a section says; None if there is none."""
    text = image.text(keyword) if keyword else ""
    if not text:
        return None
    try:
        return spans_of_section(text)
    except ValueError as error:
        msg = f"{image.name}: {keyword}={text!r}; {error}."
        raise FrameError(msg) from error


def _refuse_overlap(name: str, data_keyword: str, data: Box, bias_keyword: str, overscan: Box) -> None:
    if all(max(a.start, b.start) < min(a.stop, b.stop) for a, b in zip(data, overscan, strict=True)):
        msg = f"{name}: {data_keyword} and {bias_keyword} overlap, so that the overscan would have seen light. {REMEDY}"
        raise FrameError(msg)


def _number(image: RawImage, names: Sequence[str], letter: str) -> tuple[str, float | None]:
    """The first of an amplifier's own numbers that is above zero, or of those for all amplifiers, and its keyword."""
    for keyword in (*(f"{name}{letter}" for name in names), *names):
        number = as_number(image.header.get(keyword))
        if number is not None and number > 0:
            return keyword, number
    return "", None


class _Axis:
    """
    One axis of an amplifier's image: which pixels of the detector it has, which way it runs, where it is read first.

    ``axis`` is the number of the axis in FITS less one: 0 for columns, 1 for rows.
    """

    def __init__(
        self,
        image: RawImage,
        name: str,
        letter: str,
        axis: int,
        data_keyword: str,
        data: Span,
        bias: tuple[Span, Span] | None,
    ) -> None:
        self._image, self._name, self._letter, self._axis = image, name, letter, axis
        self._data_keyword, self._data = data_keyword or "the image", data
        self._detector, self._ccd, self._amplifier = (self._span(key) for key in ("DETSEC", "CCDSEC", "AMPSEC"))
        self._image_sign, self._detector_sign, self._amplifier_sign = (self._sign(key) for key in ("LTM", "DTM", "ATM"))
        self.binning = self._binning()
        to_ccd = self._to_ccd()
        #: 1 or -1: whether the image runs with the detector or against it.
        self.to_detector = self._to_detector(to_ccd)
        source = self._detector or self._ccd
        #: Unbinned pixels of the detector.
        self.on_detector = data.pixels if source is None else source.pixels
        if source is None:
            self.on_detector = range(len(data.pixels) * self.binning)
        #: Whether the last row or column of the data, on the detector, is read first.
        self.read_from_end = self._read(to_ccd, bias) < 0

    def _span(self, keyword: str) -> Span | None:
        spans = _spans(self._image, f"{keyword}{self._letter}")
        return None if spans is None else spans[1 - self._axis]

    def _key(self, keyword: str) -> str:
        number = self._axis + 1
        return f"{keyword}{number}_{number}" if keyword in ("LTM", "DTM", "ATM") else f"{keyword}{self._letter}"

    def _sign(self, matrix: str) -> int | None:
        """The sign of the number on the diagonal of a matrix; None if there is none."""
        header, number = self._image.header, self._axis + 1
        turned = f"{matrix}{number}_{3 - number}"
        if as_number(header.get(turned)) not in (None, 0.0):
            msg = f"{self._name}: {turned}={header[turned]!r} turns the image, which cannot be followed. {REMEDY}"
            raise FrameError(msg)
        value = as_number(header.get(self._key(matrix)))
        return None if not value else 1 if value > 0 else -1

    def _contradict(self, *keywords: str) -> NoReturn:
        said = []
        for keyword in keywords:
            key = self._key(keyword) if keyword != "DATASEC" else self._data_keyword
            value = self._image.header.get(key)
            said.append(key if value is None else f"{key}={value!r}")
        which = "columns" if self._axis == 0 else "rows"
        msg = f"{self._name}: {', '.join(said)} contradict each other about its {which}. {REMEDY}"
        raise FrameError(msg)

    def _binning(self) -> int:
        stated, keyword = self._stated_binning()
        source, place = (self._detector, "DETSEC") if self._detector else (self._ccd, "CCDSEC")
        pixels = len(self._data.pixels)
        if source is None:
            return stated or 1
        length = len(source.pixels)
        binning = stated or max(round(length / pixels), 1)
        # Pixels that do not fill one of the image are not read, or are.
        if pixels not in (length // binning, -(-length // binning)):
            self._contradict("DATASEC", place, *([keyword] if stated else []))
        if self._detector and self._ccd and len(self._ccd.pixels) not in (length, pixels):
            self._contradict("DETSEC", "CCDSEC")
        return binning

    def _stated_binning(self) -> tuple[int | None, str]:
        texts = [(BINNING_OF_BOTH, self._image.text(BINNING_OF_BOTH).replace(",", " ").split())]
        texts += [(pair[self._axis], [self._image.text(one) for one in pair]) for pair in BINNING]
        for keyword, words in texts:
            if any(words):
                numbers = [as_number(word) for word in words]
                # Two more say how many pixels the first one is made of.
                if len(numbers) == 4 and numbers[2:] == numbers[:2]:
                    numbers = numbers[:2]
                number = numbers[self._axis] if len(numbers) == 2 else None
                if number is None or number < 1 or number != int(number):
                    found = self._image.header.get(keyword)
                    msg = f"{self._name}: {keyword}={found!r}; expected a binning such as '2 2'."
                    raise FrameError(msg)
                return int(number), keyword
        return None, ""

    def _to_ccd(self) -> int | None:
        """Whether the image runs with the CCD (1) or against it (-1); None if the header does not say."""
        by_sections = self._data.direction * self._ccd.direction if self._ccd else None
        if self._image_sign is None:
            return by_sections
        if by_sections == -1 and self._image_sign == 1:
            self._contradict("DATASEC", "CCDSEC", "LTM")
        return self._image_sign

    def _to_detector(self, to_ccd: int | None) -> int:
        if self._detector is None:
            # The CCD is all that is known of the detector.
            return self._data.direction if to_ccd is None else to_ccd
        by_sections = self._data.direction * self._detector.direction
        by_matrices = (to_ccd or 1) * (self._detector_sign or 1)
        if by_sections == -1:
            if self._image_sign and self._detector_sign and by_matrices == 1:
                self._contradict("DATASEC", "DETSEC", "LTM", "DTM")
            return -1
        if by_matrices == -1 and self._image_sign is None and to_ccd == -1:
            # A CCD that is mounted the other way round would have a DTM that says so.
            self._contradict("DATASEC", "CCDSEC", "DETSEC", "DTM")
        return by_matrices

    def _read(self, to_ccd: int | None, bias: tuple[Span, Span] | None) -> int:
        """1 if the first pixel of the detector is read first, -1 for the last."""
        ccd_to_detector = (self._detector_sign or 1) if to_ccd is None else to_ccd * self.to_detector
        read = None
        if self._amplifier is not None:
            read = self._amplifier.direction * (self._ccd.direction if self._ccd else 1)
        if read == -1 and self._amplifier_sign == 1:
            self._contradict("AMPSEC", "ATM")
        if self._amplifier_sign is not None:
            read = self._amplifier_sign
        if read is not None:
            return read * ccd_to_detector
        # The overscan is read after the data.
        overscan = None if bias is None else bias[1 - self._axis].pixels
        before = overscan is not None and overscan.stop <= self._data.pixels.start
        return (-1 if before else 1) * self.to_detector
