"""Where in a raw file the pixels of each amplifier are, and where they belong on their chip."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from astro_calib.detector.amplifier import CORNERS
from astro_calib.detector.sections import section_of
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AmplifierLayout",
    "Box",
    "ChipLayout",
    "Strip",
    "chips_of",
    "corner_of",
    "merged",
    "one_chip",
    "share",
]

#: Rows and columns, counted from 0, the first of the axis first.
Box: TypeAlias = tuple[range, range]

#: A frame that has this many times the pixels of its amplifiers would be made of nothing.
MOST_GAPS = 4


def corner_of(*, upper: bool, right: bool) -> str:
    """
    Name a corner.

    >>> from astro_calib.detector.layout import corner_of
    >>> corner_of(upper=True, right=False)
    'upper left'
    """
    return next(name for name, falls in CORNERS.items() if falls == (right, upper))


@dataclass(frozen=True, kw_only=True)
class AmplifierLayout:
    """
    An amplifier in a raw file.

    Attributes
    ----------
    name : str
        What messages call it.
    image : int
        The number of the HDU that holds its pixels.
    plane : int
        Of a cube, from 0.
    data : Box
        Rows and columns of that image which saw light.
    overscan : Box or None
        Those of its overscan.
    on_detector : Box
        The unbinned rows and columns of the detector that the data are of.
    binning : (int, int)
        Rows and columns of the detector in one of the image.
    flipped : (bool, bool)
        Whether the rows and the columns of the image run against those of the detector.
    corner : str
        Which corner of the data, in the detector's orientation, is read first, as `Amplifier` has it.
    chip, kind : str
        The chip that it reads, and what that is for: "science", "focus" or "guide".
    gain, gain_uncertainty, read_noise, saturation : float or None
        In electron/adu, electron and adu, as the file says.
    keywords : mapping
        Where these are from: the keyword of each.
    """

    name: str
    image: int
    data: Box
    on_detector: Box
    plane: int = 0
    overscan: Box | None = None
    binning: tuple[int, int] = (1, 1)
    flipped: tuple[bool, bool] = (False, False)
    corner: str = "lower left"
    chip: str = ""
    kind: str = "science"
    gain: float | None = None
    gain_uncertainty: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    keywords: Mapping[str, str] = field(default_factory=dict)

    @property
    def overscan_axis(self) -> int:
        """The axis along which the overscan lies beside the data: 1 for columns, 0 for rows."""
        assert self.overscan is not None
        return 0 if _meet(self.overscan[1], self.data[1]) else 1


class Strip(NamedTuple):
    """
    The overscan of an amplifier in the image of its chip.

    Attributes
    ----------
    box : Box
        All of it, as long as the amplifier's cell.
    source : Box
        What there is of that in the amplifier's own image.
    target : Box
        Where in the chip's image this part is.
    """

    box: Box
    source: Box
    target: Box


@dataclass(frozen=True, kw_only=True)
class ChipLayout:
    """
    A chip as one image of all its amplifiers: their data first, and their overscans beside and above these.

    Attributes
    ----------
    name, kind : str
        As its amplifiers have them.
    shape : (int, int)
        Of the data.
    raw_shape : (int, int)
        Of the image, overscans included.
    amplifiers : tuple of AmplifierLayout
        In the order of the file.
    placed : tuple of Box
        Where in the image the data of each are.
    cells : tuple of Box
        The same, with the gaps beside them where amplifiers stand in a grid, so that every pixel has an amplifier.
    strips : tuple of Strip or None
        Where the overscan of each is: to the right of the data in the rows of the amplifier, or above them in its
        columns.
    is_full : bool
        Whether every pixel of the data is of an amplifier.
    is_full_raw : bool
        Whether that is so for every pixel of the image.
    """

    name: str
    kind: str
    shape: tuple[int, int]
    raw_shape: tuple[int, int]
    amplifiers: tuple[AmplifierLayout, ...]
    placed: tuple[Box, ...]
    cells: tuple[Box, ...]
    strips: tuple[Strip | None, ...]
    is_full: bool
    is_full_raw: bool


def chips_of(amplifiers: Sequence[AmplifierLayout]) -> list[ChipLayout]:
    """
    Return the chips that amplifiers read, in the order of the file.

    Raises
    ------
    FrameError
        If two amplifiers read the same pixels, are binned differently, or are far from each other.
    """
    by_chip: dict[str, list[AmplifierLayout]] = {}
    for one in amplifiers:
        by_chip.setdefault(one.chip, []).append(one)
    return [one_chip(name, several) for name, several in by_chip.items()]


def one_chip(name: str, amplifiers: Sequence[AmplifierLayout]) -> ChipLayout:
    """Return one image of amplifiers, whether they are of one chip or of several; errors as for `chips_of`."""
    first = amplifiers[0]
    for one in amplifiers:
        if one.binning != first.binning:
            msg = (
                f"{first.name} is binned {_spoken(first.binning)}, {one.name} {_spoken(one.binning)} (CCDSUM); one "
                "image has one binning."
            )
            raise FrameError(msg)
    corner = [min(one.on_detector[axis].start for one in amplifiers) for axis in (0, 1)]
    placed = [_placed(one, corner) for one in amplifiers]
    for (one, where), (other, there) in combinations(zip(amplifiers, placed, strict=True), 2):
        if all(map(share, where, there)):
            msg = (
                f"{one.name} and {other.name} both read pixels {section_of(*where)} and {section_of(*there)} of chip "
                f"{name or 'without a name'}. Check DETSEC, CCDSEC and CCDNAME, or give amplifiers=[...]."
            )
            raise FrameError(msg)
    ny, nx = (max(where[axis][-1] for where in placed) + 1 for axis in (0, 1))
    filled = sum(len(rows) * len(columns) for rows, columns in placed)
    if ny * nx > MOST_GAPS * filled:
        msg = (
            f"the sections of chip {name or 'without a name'} span {nx} x {ny} pixels, of which amplifiers read only "
            f"{filled}. Check DETSEC, or give amplifiers=[...]."
        )
        raise FrameError(msg)
    is_full = filled == ny * nx
    cells = tuple(placed) if is_full else _cells(placed, (ny, nx))
    strips = _strips(amplifiers, placed, cells, (ny, nx))
    found = [strip for strip in strips if strip is not None]
    raw_ny, raw_nx = (
        max([length, *(strip.box[axis][-1] + 1 for strip in found)]) for axis, length in ((0, ny), (1, nx))
    )
    read = filled + sum(len(strip.target[0]) * len(strip.target[1]) for strip in found)
    return ChipLayout(
        name=name,
        kind=first.kind,
        shape=(ny, nx),
        raw_shape=(raw_ny, raw_nx),
        amplifiers=tuple(amplifiers),
        placed=tuple(placed),
        cells=cells,
        strips=strips,
        is_full=is_full,
        is_full_raw=read == raw_ny * raw_nx,
    )


def merged(chips: Sequence[ChipLayout]) -> ChipLayout:
    """Return one image of all chips, with the gaps between them."""
    amplifiers = [
        replace(one, name=f"{chip.name} {one.name}".strip()) if chip.name not in one.name else one
        for chip in chips
        for one in chip.amplifiers
    ]
    return one_chip("", amplifiers)


def _placed(amplifier: AmplifierLayout, corner: Sequence[int]) -> Box:
    found = []
    for axis in (0, 1):
        pixels, binning, data = amplifier.on_detector[axis], amplifier.binning[axis], amplifier.data[axis]
        start, rest = divmod(pixels.start - corner[axis], binning)
        if rest:
            msg = (
                f"{amplifier.name} begins at {'row' if axis == 0 else 'column'} {pixels.start + 1} of the detector, "
                f"which is not a multiple of the binning ({binning}) away from the others, which begin at "
                f"{corner[axis] + 1} (DETSEC, CCDSUM)."
            )
            raise FrameError(msg)
        found.append(range(start, start + len(data) * pixels.step, pixels.step))
    rows, columns = found
    return rows, columns


def _strips(
    amplifiers: Sequence[AmplifierLayout], placed: Sequence[Box], cells: Sequence[Box], shape: tuple[int, int]
) -> tuple[Strip | None, ...]:
    """Find a place for each overscan beside the data, where no other is."""
    strips: list[Strip | None] = []
    for one, where, cell in zip(amplifiers, placed, cells, strict=True):
        if one.overscan is None:
            strips.append(None)
            continue
        across = one.overscan_axis
        along = 1 - across
        neighbours = [strip.box for strip in strips if strip is not None and _meet(strip.box[along], cell[along])]
        start = max([shape[across], *(box[across].stop for box in neighbours)])
        beside = range(start, start + len(one.overscan[across]))
        source, target = _in_line(one, where, cell, along)
        strips.append(
            Strip(
                *(
                    (first, second) if across == 1 else (second, first)
                    for first, second in ((cell[along], beside), (source, one.overscan[across]), (target, beside))
                )
            )
        )
    return tuple(strips)


def _in_line(amplifier: AmplifierLayout, placed: Box, cell: Box, axis: int) -> tuple[range, range]:
    """Which rows (columns) of an overscan go on with those of a cell: in the amplifier's image, and in the chip's."""
    assert amplifier.overscan is not None
    data, overscan, where = amplifier.data[axis], amplifier.overscan[axis], placed[axis]
    if overscan.step != data.step or (overscan.start - data.start) % data.step:
        msg = (
            f"the {'rows' if axis == 0 else 'columns'} of the overscan of {amplifier.name} are not those of its data: "
            f"{section_of(*amplifier.overscan)} and {section_of(*amplifier.data)}."
        )
        raise FrameError(msg)
    # Places in the chip's image of the overscan's first and last row, the lower one first.
    first = (overscan.start - data.start) // data.step
    begin = len(data) - first - len(overscan) if amplifier.flipped[axis] else first
    goes_on = range(where.start + begin * where.step, where.start + (begin + len(overscan)) * where.step, where.step)
    common = [place for place, pixel in enumerate(goes_on) if pixel in cell[axis]]
    if not common:
        return range(0), range(0)
    begin, end = common[0], common[-1] + 1
    taken = range(len(overscan) - end, len(overscan) - begin) if amplifier.flipped[axis] else range(begin, end)
    return overscan[taken.start : taken.stop], goes_on[begin:end]


def _cells(placed: Sequence[Box], shape: tuple[int, int]) -> tuple[Box, ...]:
    """The boxes with the gaps between them, if they stand in a grid; else the boxes as they are."""
    spans: list[dict[tuple[int, int], range]] = []
    for axis in (0, 1):
        known = sorted({(where[axis].start, where[axis].stop) for where in placed})
        if any(where[axis].step != 1 for where in placed) or any(a[1] > b[0] for a, b in pairwise(known)):
            return tuple(placed)
        ends = [start for start, _ in known[1:]] + [shape[axis]]
        begins = [0, *(start for start, _ in known[1:])]
        spans.append({one: range(begin, end) for one, begin, end in zip(known, begins, ends, strict=True)})
    if len(spans[0]) * len(spans[1]) != len(placed):
        return tuple(placed)
    return tuple((spans[0][rows.start, rows.stop], spans[1][columns.start, columns.stop]) for rows, columns in placed)


def _meet(one: range, other: range) -> bool:
    """Whether two ranges have something between their ends in common."""
    return max(one.start, other.start) < min(one.stop, other.stop)


def share(one: range, other: range) -> bool:
    """Whether two ranges have a number in common."""
    if not _meet(one, other) or (one.step == 1 and other.step == 1):
        return _meet(one, other)
    return bool(set(one).intersection(other))


def _spoken(binning: tuple[int, int]) -> str:
    return f"{binning[1]} x {binning[0]}"
