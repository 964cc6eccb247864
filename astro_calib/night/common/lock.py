"""One reduction at a time in a folder: who is at work there."""

from __future__ import annotations

import fcntl
import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from astro_calib.arguments import printable

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_idle", "hold", "release"]

#: The file that a reduction holds while it writes into a folder.
LOCK = ".astro-calib.lock"
#: So many characters of it are read: it may be anybody's.
LONGEST = 200


def hold(directory: Path) -> IO[str]:
    """
    Hold a folder until `release`, or until the process ends in whatever way.

    A BlockingIOError says which process holds it already.
    """
    path = directory / LOCK
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _occupied(directory, file) from error
        # Who held it before may have removed it between the two lines above.
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break
        file.close()
    file.truncate(0)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    file.write(f"process {os.getpid()} on {platform.node()}, since {now}")
    file.flush()
    return file


def release(directory: Path, held: IO[str]) -> None:
    """Let go of a folder."""
    with suppress(OSError):
        (directory / LOCK).unlink()
    held.close()


def check_idle(directory: Path) -> None:
    """Find out whether somebody holds a folder, without making anything; a BlockingIOError says who."""
    try:
        file = (directory / LOCK).open(encoding="utf-8", errors="replace")
    except OSError:
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _occupied(directory, file) from error


def _occupied(directory: Path, file: IO[str]) -> BlockingIOError:
    file.seek(0)
    holder = printable(file.read(LONGEST)) or "another process"
    file.close()
    msg = f"{directory} is being written by another reduction ({holder}); wait for its end, or give another directory."
    return BlockingIOError(msg)
