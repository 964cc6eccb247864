"""Standard streams that are closed or full when a command runs, how wide they are, and signals that end it."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tqdm import tqdm

__all__ = ["Ended", "forget_stdout", "is_terminal", "progress_bar", "room_on", "steady_streams", "unwinding_signals"]

#: A terminal that is narrower is written to as if it were as wide as this.
NARROWEST = 40


class Ended(SystemExit):
    """A signal ended the command, which has put away its temporary files; the exit status is 128 more, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


@contextmanager
def unwinding_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `Ended`, where they would end the process without a chance to put anything away."""

    def unwind(number: int, _: Any) -> None:
        raise Ended(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # A signal that is ignored, as under nohup, stays ignored.
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def steady_streams() -> Iterator[None]:
    """Go on without standard streams that are closed, and without what cannot be written to standard error."""
    _fill_closed()
    before = sys.stderr
    # Another stream was put there on purpose, by a test or a program that calls the command.
    if sys.stderr is sys.__stderr__:
        sys.stderr = _forgiving()
    try:
        yield
    finally:
        if sys.stderr is not before:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            sys.stderr = before


def forget_stdout() -> None:
    """Send what is still to be written to standard output nowhere, after it could not be written."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def is_terminal(stream: Any) -> bool:
    """Whether somebody sees what is written to a stream as it is written."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):
        # There is none, or it is closed.
        return False


def room_on(stream: Any) -> int | None:
    """How many letters a line has on a stream: on a terminal, or where COLUMNS says it; None if there is no limit."""
    if is_terminal(stream) or os.environ.get("COLUMNS", "").isdecimal():
        return max(NARROWEST, shutil.get_terminal_size().columns)
    return None


def progress_bar(
    iterable: Iterable[Any] | None = None, *, desc: str, unit: str, show: bool, total: int | None = None
) -> tqdm[Any]:
    """Show how far work has come: as a bar on a terminal and in a notebook, as one line of a log elsewhere."""
    from tqdm import tqdm

    live = is_terminal(sys.stderr) or type(sys.stderr).__module__.startswith("ipykernel")
    bar = tqdm(iterable, desc=desc, unit=unit, total=total, disable=not (show and live) or total == 0)
    if show and not live and bar.total:
        print(f"{desc}: {bar.total} {unit}{'s' * (bar.total > 1)}", file=sys.stderr)  # noqa: T201  there is no bar
    return bar


def _fill_closed() -> None:
    """Open the standard descriptors that are closed: the next file would get their number, and what is printed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


class _Forgiving(io.RawIOBase):
    """Standard error, as far as it can be written to."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    def write(self, content: Any) -> int:
        with suppress(OSError):
            return os.write(2, content)
        return len(content)


def _forgiving() -> io.TextIOWrapper:
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(_Forgiving()), encoding=encoding, errors="backslashreplace", line_buffering=True
    )
