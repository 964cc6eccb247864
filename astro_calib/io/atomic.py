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

__all__ = ["remove_leftovers", "write_atomically"]

#: How the names of temporary files begin, before the number of the process that writes them.
TEMPORARY = ".astro-calib-"

#: So much of a file's name is in that of the temporary one, which may be no longer than the directory allows.
SUFFIX = 40


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """
    Write a file so that it is there whole or not at all; one that is there already is replaced at the end.

    Parameters
    ----------
    path : Path
        The file to make; its directory must exist. If it is a symbolic link, what that points to is made.
    write : callable
        Called with the path of a temporary file in the same directory and with the same suffix, which does
        not exist yet.

    Raises
    ------
    OSError
        If it cannot be written, or is a device or a directory; it names the file. Nothing is left behind then, nor
        after any other error.

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
    # Where a link points to, for who has put the file on another disk wants it there.
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
        temporary.replace(path)
    except OSError as error:
        # Under the name that the user knows. What numpy says of a full disk has no number.
        reason = error.strerror or f"is the disk full? {error}"
        raise OSError(error.errno or errno.EIO, reason, str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_leftovers(directory: Path) -> None:
    """
    Remove the temporary files of processes that were killed while they wrote into a directory.

    Parameters
    ----------
    directory : Path
        Of which nothing else is touched.
    """
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
