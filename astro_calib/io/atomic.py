"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["write_atomically"]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """
    Write a file so that it is there whole or not at all; one that is there already is replaced at the end.

    Parameters
    ----------
    path : Path
        The file to make; its directory must exist.
    write : callable
        Called with the path of a temporary file in the same directory and with the same suffix, which does
        not exist yet.

    Raises
    ------
    OSError
        If it cannot be written. Nothing is left behind then, nor after any other error.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib.io.atomic import write_atomically
    >>> with TemporaryDirectory() as directory:
    ...     path = Path(directory) / "summary.txt"
    ...     write_atomically(path, lambda temporary: temporary.write_text("4 frames"))
    ...     path.read_text()
    '4 frames'
    """
    descriptor, name = tempfile.mkstemp(prefix=".", suffix="-" + path.name, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        temporary.unlink()
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
