"""Write a file whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["remove_leftovers", "sync_directory", "write_atomically"]

#: How the names of temporary files begin, before the number of the process that writes them.
TEMPORARY = ".astro-calib-"

#: How many letters of a file's name the temporary name repeats: directories limit the length of names.
SUFFIX = 40


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """
    Write a file whole or not at all; replace an old one only when the new one is complete and on disk.

    ``write`` is called with the path of a temporary file, which does not exist yet, in the same directory and with the
    same suffix. Behind a symbolic link, the file that it points to is replaced. An OSError names the file; after any
    error nothing is left behind.
    """
    # Follow a link: whoever put the file on another disk wants it there.
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        # A device would be replaced by a file.
        raise OSError(errno.EINVAL, "it is there, and is no regular file", str(path))
    temporary = None
    try:
        prefix = f"{TEMPORARY}{os.getpid()}-"
        descriptor, name = tempfile.mkstemp(prefix=prefix, suffix="-" + path.name[-SUFFIX:], dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        temporary.unlink()
        write(temporary)
        _to_disk(temporary)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        # Under the name that the user knows. What numpy says of a full disk has no number.
        reason = error.strerror or f"is the disk full? {error}"
        raise OSError(error.errno or errno.EIO, reason, str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Wait until the names of the files in a folder would outlast a power failure."""
    with suppress(OSError):  # some file systems cannot do that with a folder
        _to_disk(directory)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files that killed processes left in a directory; touch nothing else."""
    for path in directory.glob(f"{TEMPORARY}*-*"):
        number = path.name.removeprefix(TEMPORARY).partition("-")[0]
        if number.isdecimal() and (int(number) == os.getpid() or not _runs(int(number))):
            with suppress(OSError):
                path.unlink()


def _runs(process: int) -> bool:
    """Whether a process of this number may be running."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # It belongs to somebody else.
        return True
    return True
