"""What a command prints and writes, and its errors as messages."""

from __future__ import annotations

import logging
import sys
import textwrap
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astro_calib.night import NightSummary


#: Longer lines are hard to read.
WIDEST = 120


class Failure(click.ClickException):
    """What could not be done, in a message that fits the terminal."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on standard error."""
        click.echo(_for_stderr(f"Error: {self.format_message()}"), file=file, err=file is None)


class FailureInPart(Failure):
    """What could not be done, while something was: the exit status is 3."""

    exit_code = 3


class Folding(logging.Formatter):
    """Lines of a log on standard error that fit the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return _for_stderr(super().format(record))


def _for_stderr(text: str) -> str:
    """A text, folded if standard error is a terminal; elsewhere somebody may look for a line."""
    from astro_calib.io.terminal import is_terminal, room_on

    room = room_on(sys.stderr) if is_terminal(sys.stderr) else None
    return text if room is None else "\n".join(_folded(text, room))


def _folded(text: str, width: int) -> Iterator[str]:
    """The lines of a text, those that are too long in several; what follows is further in."""
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        yield from textwrap.wrap(
            line.strip(),
            width,
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn errors that a user can do something about into messages; any other is a fault of this program."""
    try:
        yield
    except (OSError, ValueError, MemoryError) as error:
        # FrameError, ProfileError and the errors of units are ValueErrors.
        raise Failure(str(error) or type(error).__name__) from error


def show(text: object, where: str = "") -> None:
    """Print results; ``where`` says where else they are, if they cannot be printed."""
    from astro_calib.io.terminal import forget_stdout

    try:
        try:
            click.echo(text)
        except UnicodeEncodeError:
            click.echo(str(text).encode("ascii", "replace").decode())
    except BrokenPipeError:
        # The reader of the pipe has closed it.
        forget_stdout()
    except OSError as error:
        forget_stdout()
        msg = f"the results cannot be printed: {error.strerror or error}.{where}"
        raise Failure(msg) from error


def show_summary(summary: NightSummary, *, whole: bool = False) -> None:
    """Print the summary of a night: on a terminal what matters most, as wide as it is; elsewhere all of it."""
    from astro_calib.io.terminal import is_terminal, room_on

    room = room_on(sys.stdout)
    short = is_terminal(sys.stdout) and not whole
    text = str(summary) if room is None else summary.text(min(room, WIDEST), short=short)
    show(text, f" They are in {summary.out / 'summary.txt'}.")


def check_writable(out: Path, overwrite: bool) -> None:
    """Say what is wrong with a path before the work begins, not after."""
    from tempfile import TemporaryFile

    if out.is_dir():
        msg = f"{out} is a directory; give the name of a file."
        raise IsADirectoryError(msg)
    if out.exists() and not overwrite:
        msg = f"{out} exists already; give another file, or --overwrite to replace it."
        raise FileExistsError(msg)
    if not out.parent.is_dir():
        msg = f"{out.parent} is not a directory; make it first."
        raise NotADirectoryError(msg)
    try:
        with TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        msg = f"no file can be made in {out.parent}: {error.strerror}; give another place."
        raise OSError(msg) from error
