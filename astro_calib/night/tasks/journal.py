"""The journal of a reduction, a line of JSON for each task that is done, which need not be done again."""

from __future__ import annotations

import errno
import json
import os
import platform
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from astro_calib.io.atomic import sync_directory
from astro_calib.night.common.log import LOG
from astro_calib.night.common.output import PARTS
from astro_calib.night.tasks.plain_outcome import inside, outcome_of, plain_outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from astro_calib.night.tasks.task import Outcome

__all__ = ["JOURNAL", "Journal", "Past", "Record", "read_journal", "state_of"]

JOURNAL = "journal.jsonl"
#: The form of the journal; one of another form is not read.
FORM = 1
#: Longer ones are not read: no night makes them.
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Record:
    """
    What a journal says of a task: its key, its files with their lengths and times of writing, and its outcome.

    ``number`` is larger than that of the records before it.
    """

    key: str
    files: Mapping[str, tuple[int, int]]
    outcome: Outcome
    number: int

    def is_whole(self, directory: Path) -> bool:
        """Whether its files are as they were when it was written; they were on the disk before it was."""
        return all(state_of(directory / file) == state for file, state in self.files.items())


@dataclass
class Past:
    """
    What a journal tells of earlier runs into its directory.

    Parameters
    ----------
    parameters : mapping of str to str or None
        With which parameters they were made; None if no journal tells.
    records : dict of str to Record
        What was done last of each task.
    older : dict of str to (int, int)
        Files of tasks that have been replaced by others, with their lengths and times of writing.
    run : mapping of str to object
        Who has begun last.
    noted : int
        How many records there are, with those that others have replaced.
    """

    parameters: Mapping[str, str] | None = None
    records: dict[str, Record] = field(default_factory=dict)
    older: dict[str, tuple[int, int]] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    noted: int = 0


def read_journal(directory: Path) -> Past:
    """Return what the journal in a directory of results tells; lines that are torn, or that mean nothing, are left."""
    past = Past()
    try:
        if (
            not (directory / JOURNAL).is_file()
            or (directory / JOURNAL).is_symlink()
            or (directory / JOURNAL).stat().st_size > MOST_BYTES
        ):
            return past
        lines = (directory / JOURNAL).read_bytes().split(b"\n")
    except OSError:
        return past
    for line in lines:
        try:
            _take(json.loads(line), past, directory)
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
            continue
    return past


def _take(line: Any, past: Past, directory: Path) -> None:
    if "journal" in line:
        if line["journal"] == FORM:
            past.parameters = {str(name): str(value) for name, value in line["parameters"].items()}
            past.older = _files(line["older"])
            past.records.clear()
    elif "run" in line:
        past.run = dict(line["run"])
    elif past.parameters is not None:
        outcome, files = outcome_of(line["outcome"], directory), _files(line["files"])
        if set(files) != set(outcome.files):
            msg = "the files of a task are not those of its outcome"
            raise ValueError(msg)
        past.noted += 1
        past.records[outcome.name] = Record(str(line["key"]), files, outcome, past.noted)


def _files(content: Any) -> dict[str, tuple[int, int]]:
    found = {}
    for file, (size, written) in content.items():
        if inside(file).parts[0] not in PARTS:
            msg = f"{file!r} is no file of the results"
            raise ValueError(msg)
        found[file] = (int(size), int(written))
    return found


class Journal:
    """The journal of a directory, open for writing; whoever opens it holds the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.path = directory, directory / JOURNAL
        self._fails = False
        if self.path.is_symlink():
            # What a link points to is not written.
            self.path.unlink()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file: IO[bytes] = os.fdopen(os.open(self.path, flags, 0o666), "r+b", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the journal."""
        self._file.close()

    def begin(self, parameters: Mapping[str, str], older: Mapping[str, tuple[int, int]], *, anew: bool) -> None:
        """
        Take note of who is at work, with which parameters.

        ``anew`` begins a new journal, with the files of earlier runs that are ``older``.
        """
        if anew:
            self._file.truncate(0)
            self._add({"journal": FORM, "parameters": dict(parameters), "older": dict(older)})
        self._add({"run": _run()})
        sync_directory(self.directory)

    def done(self, key: str, outcome: Outcome) -> None:
        """Take note of a task that is done, whose files are on the disk."""
        states = {file: state_of(self.directory / file) for file in outcome.files}
        if None not in states.values():
            self._add({"key": key, "files": states, "outcome": plain_outcome(outcome, self.directory)})

    def _add(self, line: dict[str, Any]) -> None:
        """Write a line, after a torn one if there is one; without it more is redone, but nothing is wrong."""
        try:
            size = self._file.seek(0, os.SEEK_END)
            torn = False
            if size:
                self._file.seek(size - 1)
                torn = self._file.read(1) != b"\n"
            text = b"\n" * torn + json.dumps(line, allow_nan=False).encode() + b"\n"
            if self._file.write(text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301  told below
            os.fsync(self._file.fileno())
        except OSError as error:
            if not self._fails:
                LOG.warning("%s cannot be written: %s; what is done now would be done again", self.path, error.strerror)
            self._fails = True


def state_of(path: Path) -> tuple[int, int] | None:
    """Return the length of a file, and when it was written; None if it is not there, or is a link."""
    with suppress(OSError, ValueError):
        status = path.lstat()
        if not path.is_symlink():
            return status.st_size, status.st_mtime_ns
    return None


def _run() -> dict[str, Any]:
    """Who is at work: computer, process, since when, with which command."""
    return {
        "host": platform.node(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
    }
