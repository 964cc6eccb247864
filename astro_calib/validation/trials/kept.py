"""Results that are written to a file and read again before their errors are looked at."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from astro_calib.frame.frame import CCDFrame

__all__ = ["read_again"]


def read_again(frame: CCDFrame, kept: str | None) -> CCDFrame:
    """The frame as a file of a format has it; as it is where none is asked for."""
    if kept is None:
        return frame
    with TemporaryDirectory() as directory:
        path = Path(directory) / f"frame.{kept}"
        frame.write(path)
        return CCDFrame.read(path)
