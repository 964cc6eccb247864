"""One net for all that is done with one file: what fails is named, and the others go on."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, TypeVar

from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.log import LOG

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fault", "reason_of", "tried"]

T = TypeVar("T")

#: Errors that a file may cause; any other is a fault of this program.
OF_THE_FILE = (ArithmeticError, EOFError, LookupError, MemoryError, OSError, TypeError, ValueError)


def tried(path: Path, kind: str, work: Callable[[], T]) -> T | UnusedFile:
    """
    Do something with one file; return the result, or why it cannot be done, which does not stop the work on others.

    ``kind`` is the kind of frame in the file; empty if that is not known.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001  whatever it is, it costs one frame and not the night
        LOG.debug("%s", path.name, exc_info=True)
        lost = kind in ("", "science") or fault(error)
        reason = reason_of(error).removeprefix(f"{path.name}: ")
        return UnusedFile(path, reason, kind, lost=lost, passing=_may_pass(error))


def fault(error: Exception) -> bool:
    """Whether an error is a fault of this program, and not of a file."""
    return not isinstance(error, OF_THE_FILE)


def _may_pass(error: BaseException | None) -> bool:
    """Whether an error is none of what is in the file, but of the disk, the network or the memory."""
    return error is not None and (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno is not None)
        or _may_pass(error.__cause__)
    )


def reason_of(error: Exception) -> str:
    """The text of an error; for a fault of this program also its type and its place in the code."""
    said = str(error)
    if not fault(error):
        if isinstance(error, MemoryError):
            return f"there is not enough memory for it{f': {said}' if said else ''}"
        return said or type(error).__name__
    last = extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return f"{type(error).__name__}{f': {said}' if said else ''}: a fault of astro-calib ({where}); please report it"
