"""One reduction at a time in a folder: who is at work there."""

from __future__ import annotations

import fcntl
import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from astro_calib.arguments import printable
from astro_calib.errors import warn

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_idle", "hold", "holder", "release"]

#: The file that a reduction holds while it writes into a folder.
LOCK = ".astro-calib.lock"
#: So many characters of it are read: it may be anybody's.
LONGEST = 200


def hold(directory: Path) -> IO[str]:
    """
    Hold a folder until `release`, or until the process ends in whatever way.

    A BlockingIOError says which process holds it already. A disk that knows no locks is a warning.
    """
    path = directory / LOCK
    while True:
        file = _opened(path, os.O_RDWR | os.O_CREAT, "r+")
        _lock(directory, file, fcntl.LOCK_EX)
        # Who held it before may have removed it between the two lines above.
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break
        file.close()
    file.truncate(0)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    file.write(f"process {os.getpid()} on {platform.node()}, since {now}")
    file.flush()
    return file


def release(directory: Path, held: IO[str]) -> None:
    """Let go of a folder."""
    with suppress(OSError):
        (directory / LOCK).unlink()
    held.close()


def holder(directory: Path) -> str:
    """Return who holds a folder, as `hold` has written it; empty if nobody does."""
    try:
        with _opened(directory / LOCK, os.O_RDONLY, "r") as file:
            return file.read(LONGEST)
    except OSError:
        return ""


def check_idle(directory: Path) -> None:
    """Find out whether somebody holds a folder, without making anything; a BlockingIOError says who."""
    try:
        file = _opened(directory / LOCK, os.O_RDONLY, "r")
    except OSError:
        return
    with file:
        _lock(directory, file, fcntl.LOCK_SH)


def _opened(path: Path, how: int, mode: str) -> IO[str]:
    """Open the file of the lock, which is neither a link to somebody's file nor a pipe that keeps one waiting."""
    descriptor = os.open(path, how | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    return os.fdopen(descriptor, mode, encoding="utf-8", errors="replace")


def _lock(directory: Path, file: IO[str], how: int) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = printable(file.read(LONGEST)) or "another process"
        file.close()
        msg = f"{directory} is written by another reduction ({who}); wait for its end, or give another directory."
        raise BlockingIOError(msg) from error
    except OSError as error:
        warn(f"{directory} is on a disk that knows no locks ({error.strerror}): let no other reduction write into it")
