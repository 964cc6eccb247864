"""The path that a caller means by a name or an open file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

__all__ = ["file_to_read", "file_to_write"]


def file_to_read(filename: Any) -> Path | None:
    """The path of a file that is given by its name or open; None if it has no name."""
    name = filename if isinstance(filename, (str, os.PathLike)) else getattr(filename, "name", None)
    return Path(name) if isinstance(name, (str, os.PathLike)) else None


def file_to_write(filename: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the path of a file to write; a FileExistsError if it is there and may not be overwritten."""
    path = Path(filename)
    if path.exists() and not overwrite:
        msg = f"{path} already exists; give overwrite=True to replace it."
        raise FileExistsError(msg)
    return path
