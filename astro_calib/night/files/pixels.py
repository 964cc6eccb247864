"""Look at the pixels of frames whose headers are known: damaged files, and copies of others, are named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from astro_calib.errors import FrameError
from astro_calib.night.common.frames import RawFrame, UnusedFile, file_state
from astro_calib.night.common.net import tried
from astro_calib.night.files.raw_pixels import raw_pixels
from astro_calib.night.files.unlike import Glance, glance_at
from astro_calib.night.headers.not_raw import pixels_of_result
from astro_calib.night.headers.raw_file import UnusableFileError
from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.night.files.sample import Seen

__all__ = ["Pixels"]

SAME_PIXELS = "it has the same pixels as "


class Pixels:
    """
    Reads the pixels of the frames of a night, those of each file once.

    ``most`` is the number of bytes that a file may hold.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._first_with: dict[str, Path] = {}
        self._known: dict[Path, RawFrame | UnusedFile] = {}
        #: What is kept of the calibration frames, to compare them.
        self.glances: dict[Path, Glance] = {}

    def looked_at(self, frame: RawFrame, seen: Seen | None = None) -> RawFrame | UnusedFile:
        """Return a frame with its checksum, or why it cannot be used; ``seen`` takes a look at its pixels as well."""
        if frame.path not in self._known:
            self._known[frame.path] = tried(frame.path, frame.kind, partial(self._read, frame, seen))
        found = self._known[frame.path]
        # Sections may be known from other frames of the setup.
        if isinstance(found, UnusedFile):
            return found
        return replace(frame, digest=found.digest, header_digest=found.header_digest)

    def _read(self, frame: RawFrame, seen: Seen | None) -> RawFrame | UnusedFile:
        try:
            header, data = raw_pixels(frame, most=self._most)
        except UnusableFileError as error:
            return UnusedFile(frame.path, str(error), frame.kind, lost=frame.kind == "science", damaged=True)
        if data.shape != frame.shape or file_state(frame.file) != frame.state:
            msg = "it was changed after its header was read; reduce again when nothing writes to it"
            raise FrameError(msg)
        if reason := pixels_of_result(data):
            return UnusedFile(frame.path, f"{reason}: no raw frame; give the files of the camera", frame.kind)
        digest = content_digest(data)
        path = frame.path
        twin = self._first_with.setdefault(digest, path)
        if twin is not path:
            # The name alone would say that the file is like itself.
            reason = f"{path} has the same pixels as {twin}" if path.name == twin.name else SAME_PIXELS + twin.name
            return UnusedFile(path, reason, frame.kind)
        if frame.kind != "science":
            self.glances[path] = glance_at(data, frame.trim)
        if seen is not None:
            seen.look(frame, header, data)
        return replace(frame, digest=digest, header_digest=_digest_of(header))


def _digest_of(header: Header) -> str:
    """A checksum of a header, also of one that breaks the rules."""
    text = "".join(card.image for card in header.cards) if header else ""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
