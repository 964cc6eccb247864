"""A part of some frames of a night, enough to measure the detector with, and which frames serve for that."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.detector.header_values import as_number
from astro_calib.errors import FrameError
from astro_calib.night.common.frames import UnusedFile, by_amplifier
from astro_calib.night.common.net import tried
from astro_calib.night.files.raw_pixels import raw_pixels
from astro_calib.night.headers.not_raw import NAMED, are_whole_numbers, header_of_stack
from astro_calib.night.headers.values import header_value, parse_section

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from astro_calib.night.common.frames import RawFrame

__all__ = ["FEWER", "PIXELS", "ROWS", "Piece", "Sampler", "Seen", "raw_pieces", "why_not_raw"]

#: So many pixels of a frame tell gain and read noise well enough, and so many contradict wrong ones; in so many rows at
#: least.
PIXELS, FEWER, ROWS = 800_000, 200_000, 64
#: So many pieces are kept while the night is read: of biases and of the flats of each filter, and in all.
KEPT, MOST_KEPT = {"bias": 8, "flat": 4}, 32


class Piece(NamedTuple):
    """
    The middle rows of a frame.

    Attributes
    ----------
    pixels : ndarray, shape (ny, nx)
        Without overscan, adu.
    level : float
        The median of the overscan in these rows, adu; NaN if there is none.
    why_not_raw : str
        Why it says nothing about the noise of one read-out; empty if it does.
    exposed : float
        For how long it was exposed by its header, s.
    overscan : ndarray, shape (ny, n), or None
        The overscan of these rows, if it has them.
    """

    pixels: NDArray[Any]
    level: float
    why_not_raw: str
    exposed: float
    overscan: NDArray[Any] | None = None


class Sampler:
    """
    Takes pieces of frames of one shape, each once: from pixels that were read anyway, or from the files.

    ``seen`` are pieces that were taken while the night was read; those of other sections are not used. ``pixels`` is
    about how many a piece has, if it is not as large as those.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        overscan: str | None,
        trim: str | None,
        seen: Seen | None = None,
        pixels: int = PIXELS,
    ) -> None:
        whole = (slice(None), slice(None))
        parts = whole if trim is None else parse_section(trim)
        rows, columns = (range(*part.indices(length)) for part, length in zip(parts, shape, strict=True))
        pixels = pixels if seen is None else seen.pixels
        number = min(len(rows), max(ROWS, pixels // max(len(columns), 1)))
        first = rows[0] + (len(rows) - number) // 2
        self.rows = slice(first, first + number)
        self.columns = slice(columns[0], columns[-1] + 1)
        self.overscan = None if overscan is None else parse_section(overscan)
        self._pieces: dict[Path, Piece] = {} if seen is None else seen.pieces(shape, overscan, trim)

    def piece(self, frame: RawFrame) -> Piece:
        """Return the piece of a frame; what cannot be read any more is an error."""
        if frame.path not in self._pieces:
            header, data = raw_pixels(frame)
            if data.shape != frame.shape:
                msg = f"{frame.path.name} had shape {frame.shape} when the night was planned, and has {data.shape} now."
                raise FrameError(msg)
            self._pieces[frame.path] = self.taken(frame.path, header, data)
        return self._pieces[frame.path]

    def taken(self, path: Path, header: Header, data: NDArray[Any]) -> Piece:
        """Return the piece of a frame that was read."""
        beside = self._overscan_of(data)
        level = np.nan if beside is None else float(np.median(beside))
        same_rows = beside is not None and len(beside) == self.rows.stop - self.rows.start
        return Piece(
            data[self.rows, self.columns].copy(),
            level,
            why_not_raw(path, header, data),
            as_number(header_value(header, "EXPTIME")) or 0.0,
            beside if same_rows else None,
        )

    def _overscan_of(self, data: NDArray[Any]) -> NDArray[Any] | None:
        """The overscan beside the rows; all of it, if it does not have these."""
        if self.overscan is None:
            return None
        rows, columns = self.overscan
        has = range(*rows.indices(len(data)))
        beside = has and self.rows.start >= has[0] and self.rows.stop <= has[-1] + 1
        return np.array(data[self.rows if beside else rows, columns])


class Seen:
    """Keeps the pieces of some biases and flats, of about so many pixels, while the files of a night are read."""

    def __init__(self, pixels: int = PIXELS) -> None:
        self.pixels = pixels
        self._kept: dict[tuple[tuple[int, int], str | None, str | None], dict[Path, Piece]] = {}
        self._number: Counter[tuple[str, str]] = Counter()

    def look(self, frame: RawFrame, header: Header, data: NDArray[Any]) -> None:
        """Keep the piece of a frame that was read, if there are not enough of its kind."""
        group = (frame.kind, frame.filter)
        if self._number[group] < KEPT.get(frame.kind, 0) and self._number.total() < MOST_KEPT:
            self._number[group] += 1
            for one in by_amplifier(frame):
                sections = (one.shape, one.overscan, one.trim)
                pixels = self.pixels // max(1, len(frame.amplifiers))
                taken = Sampler(*sections, pixels=pixels).taken(frame.path, header, data)
                self._kept.setdefault(sections, {})[frame.path] = taken

    def pieces(self, shape: tuple[int, int], overscan: str | None, trim: str | None) -> dict[Path, Piece]:
        """Return the pieces of frames with these sections, by path."""
        return dict(self._kept.get((shape, overscan, trim), {}))


def why_not_raw(path: Path, header: Header, data: NDArray[Any]) -> str:
    """
    Return why a frame is no raw one, as a clause behind its name; empty if it seems to be one.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astro_calib.night.files.sample import why_not_raw
    >>> why_not_raw(
    ...     Path("flat.fits"),
    ...     fits.Header([("NCOMBINE", 9)]),
    ...     np.zeros((2, 2), np.uint16),
    ... )
    'is a stack (NCOMBINE=9)'
    """
    said = header_of_stack(header, series=True) or ("is a master by its name" if NAMED.search(path.name) else "")
    if not said and data.dtype.kind == "f" and not are_whole_numbers(data):
        return "has numbers that are no whole ones, as no camera writes them"
    return said


def raw_pieces(
    frames: Iterable[RawFrame], sampler: Sampler, most: int, notes: dict[str, list[str]]
) -> list[tuple[RawFrame, Piece]]:
    """Return the pieces of the first ``most`` raw ones of some frames; ``notes`` gets the others, by reason."""
    found: list[tuple[RawFrame, Piece]] = []
    for frame in frames:
        if len(found) == most:
            break
        piece = tried(frame.path, frame.kind, partial(sampler.piece, frame))
        if isinstance(piece, UnusedFile):
            notes.setdefault(f"cannot be read any more: {piece.reason}", []).append(frame.path.name)
        elif piece.why_not_raw:
            notes.setdefault(piece.why_not_raw, []).append(frame.path.name)
        else:
            found.append((frame, piece))
    return found
