"""Where it is told what is done with each file: standard error (``-v``), a file (``--log``), or nowhere."""

from __future__ import annotations

import logging
import platform
import shlex
import sys
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from astro_calib.cli.output import Failure, FailureInPart, Folding, clear_errors
from astro_calib.cli.reports import not_written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What concerns the command as a whole, which standard error has anyway.
COMMAND = logging.getLogger("astro_calib.command")
FORM = "%(asctime)s %(levelname)-7s %(message)s"


@contextmanager
def logged(path: Path | None, verbose: bool) -> Iterator[None]:
    """Tell what is done to a file, and on standard error if that is asked for."""
    from astro_calib.night.common.log import LOG

    before = LOG.level
    with ExitStack() as stack:
        if verbose:
            stack.enter_context(_told(_to_stderr()))
        if path is not None:
            with clear_errors():
                file = _LogFile(path)
            stack.enter_context(_failures_of(file))
            stack.enter_context(_told(file))
        if path is not None or verbose:
            LOG.setLevel(logging.INFO if path is None else logging.DEBUG)
        try:
            yield
        except BaseException as error:
            COMMAND.error(_said(error))
            raise
        finally:
            LOG.setLevel(before)


def _to_stderr() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Folding())
    handler.setLevel(logging.INFO)
    handler.addFilter(lambda record: record.name != COMMAND.name)
    return handler


class _LogFile(logging.FileHandler):
    """A log whose file may fail, as on a full disk: then nothing more is written, and the command goes on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, mode="w", encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter(FORM))
        self.path = path
        self.failure: OSError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, if none has failed."""
        if self.failure is None:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  as logging calls it
        """Keep what the file says; any other error is a fault of this program."""
        error = sys.exception()
        if isinstance(error, OSError):
            self.failure = error
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file; what could not be written by now is lost."""
        try:
            super().close()
        except OSError as error:
            self.failure = self.failure or error


@contextmanager
def _failures_of(file: _LogFile) -> Iterator[None]:
    """Say at the end that a log could not be written: beside what else failed, or by itself."""
    try:
        yield
    except Failure as failure:
        if file.failure is not None:
            msg = f"{failure.message}\n{not_written(file.path, file.failure)}"
            raise type(failure)(msg) from failure
        raise
    if file.failure is not None:
        raise FailureInPart(not_written(file.path, file.failure))


@contextmanager
def _told(handler: logging.Handler) -> Iterator[None]:
    from astropy import log

    from astro_calib.night.common.log import LOG

    LOG.addHandler(handler)
    if isinstance(handler, logging.FileHandler):
        log.addHandler(handler)
        system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
        called = shlex.join(["astro-calib", *sys.argv[1:]])
        for text in (f"astro-calib {version('astro-calib')}, {system}", called):
            handler.handle(logging.LogRecord(COMMAND.name, logging.INFO, "", 0, text, None, None))
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        log.removeHandler(handler)
        handler.close()


def _said(error: BaseException) -> str:
    """What ended the command."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
